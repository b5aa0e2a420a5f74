//! The next page has a token.

use super::{Next, Paginator, Parsed, Visited, shown, unsaid};
use crate::{Request, Response};
use lakeflow_core::{Error, Result};

/// Sends the token that the body names ([`Next::token`]) with the next request, until there is
/// none; everything else stays as in the first request.
#[derive(Clone, Debug)]
pub struct CursorToken {
    place: Place,
    seen: Visited,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Query(&'static str),
    Body(&'static str),
}

impl CursorToken {
    /// The token goes into this query parameter.
    pub fn query(parameter: &'static str) -> Self {
        Self { place: Place::Query(parameter), seen: Visited::default() }
    }

    /// The token goes into this field of the JSON object that the request's body is.
    pub fn body(field: &'static str) -> Self {
        Self { place: Place::Body(field), seen: Visited::default() }
    }

    /// The token that `request` sends.
    fn token(&self, request: &Request) -> Result<Option<String>> {
        match self.place {
            Place::Query(parameter) => Ok(request.parameter(parameter).map(str::to_owned)),
            Place::Body(field) => Ok(request.field(field)?.map(|value| match value.as_str() {
                Some(text) => text.to_owned(),
                None => value.to_string(),
            })),
        }
    }
}

impl Paginator for CursorToken {
    fn check(&self, first: &Request) -> Result<()> {
        let (Place::Query(name) | Place::Body(name)) = self.place;
        if name.is_empty() {
            return Err(Error::internal("the place of the page token has no name"));
        }

        self.token(first).map(|_| ())
    }

    fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        found: &Parsed,
    ) -> Result<Option<Request>> {
        let token = match &found.next {
            Next::End => return Ok(None),
            Next::Token(token) => token,
            _ => return Err(unsaid()),
        };
        if let (true, Some(first)) = (self.seen.0.is_empty(), self.token(sent)?) {
            self.seen.note(&first, || shown(&first, response))?;
        }
        self.seen.note(token, || shown(token, response))?;

        match self.place {
            Place::Query(parameter) => Ok(Some(sent.with_parameter(parameter, token))),
            Place::Body(field) => sent.with_field(field, token.as_str().into()).map(Some),
        }
    }
}
