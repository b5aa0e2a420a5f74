//! Where a response says how the list goes on, as data.

use super::table::{RowsAt, Table};
use crate::envelope::{self, Envelope};
use crate::paginate::{
    CursorToken, LinkHeader, Next, NextUrl, Offset, OnePage, PageNumber, Paginator, Parsed,
};
use crate::{Request, Response};
use bytes::Bytes;
use lakeflow_core::{
    Cursor, Error, Instant, JsonScalar, Position, ReadRequest, Result, Resume, Rows, Step,
};
use serde_json::Value;
use url::Url;

/// How a service names the page after this one. Places in the body are paths with dots,
/// `links.next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Paging {
    /// There is one page only.
    None,
    /// In the `Link` header, `rel="next"`.
    Link,
    /// By its address, at this place in the body.
    Url(&'static str),
    /// By a token at this place in the body.
    Token {
        /// Query parameter that takes the token.
        parameter: &'static str,
        /// Place of the token.
        at: &'static str,
    },
    /// By a number at this place in the body, larger for each page.
    Number {
        /// Query parameter that takes the number.
        parameter: &'static str,
        /// Place of the number.
        at: &'static str,
    },
    /// By the number of its first row; its size is that of [`Table::page_size`].
    Offset {
        /// Query parameter that takes the number of the row.
        parameter: &'static str,
        /// Place of the number of rows on all pages.
        total: &'static str,
    },
}

/// A flag in the body that says whether a page follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct More {
    pub(super) at: &'static str,
    /// The value with which one follows.
    pub(super) follows: bool,
}

/// What a page states of the place that it reaches.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stated {
    /// Nothing: the largest order value of its rows counts.
    Nothing,
    /// An order value, at this place in the body.
    From(&'static str),
    /// A place of the service's own, at this place in the body; a query parameter takes it.
    At { at: &'static str, parameter: &'static str },
    /// These parameters of the link to the next page; the same query parameters take them.
    Link(&'static [&'static str]),
}

impl Table {
    pub(super) fn paginator(&self) -> Box<dyn Paginator> {
        match self.paging {
            Paging::None => Box::new(OnePage),
            Paging::Link => Box::new(LinkHeader::new()),
            Paging::Url(_) => Box::new(NextUrl::new()),
            Paging::Token { parameter, .. } => Box::new(CursorToken::query(parameter)),
            Paging::Number { parameter, .. } => Box::new(PageNumber::new(parameter)),
            Paging::Offset { parameter, .. } => {
                Box::new(Offset::new(parameter, self.page_size.map_or("", |(name, _)| name)))
            }
        }
    }

    /// Fills in what the body says of the next page and of the place reached, unless a shape did.
    pub(super) fn read_on(
        &self,
        response: &Response,
        read: &ReadRequest,
        parsed: Parsed,
    ) -> Result<Parsed> {
        let mut parsed = parsed;
        if let Stated::Link(parameters) = self.stated
            && let Some(place) = place_of_next(response, parameters)?
        {
            parsed.page.resume = Resume::At(place);
        }
        if matches!(self.rows_at, RowsAt::Root) {
            return Ok(parsed);
        }
        let body = envelope::object(&response.body)?;
        if parsed.next == Next::Unsaid {
            parsed.next = self.next(&body)?;
        }
        match self.stated {
            Stated::Nothing | Stated::Link(_) => {}
            Stated::From(at) => {
                let value = text(&body, at)?;
                let order = self.by.map(|by| by.order(&read.options));
                if let (Some(value), Some(order)) = (value, order) {
                    let reached = Cursor::parse(order.kind, &value)?;
                    let place = self.place(reached, order.step, &parsed, read)?;
                    if let (Resume::UpTo(_), Next::Number(next)) = (&place, &mut parsed.next) {
                        *next = next.saturating_add(1);
                    }
                    parsed.page.resume = place;
                }
            }
            Stated::At { at, .. } => {
                let missing = || Error::bad_response(format!("the response has no '{at}'"));
                let token = text(&body, at)?.ok_or_else(missing)?;
                let place = Position::default().with(name_of(at), JsonScalar::Text(token));
                parsed.page.resume = Resume::At(place);
            }
        }

        Ok(parsed)
    }

    /// From where to go on after a page that reaches up to `reached`: after it if the page has grown
    /// beyond the size that was asked for, so as not to part ties.
    fn place(
        &self,
        reached: Cursor,
        step: Step,
        parsed: &Parsed,
        read: &ReadRequest,
    ) -> Result<Resume> {
        let size = self.exceeds.and_then(|option| Some((option, read.options.integer(option)?)));
        let Some((option, asked)) = size else { return Ok(Resume::From(Some(reached))) };
        let (rows, asked) = (parsed.row_count()?, asked.unsigned_abs());
        let began = read.after.as_ref().map(|after| after.moved(step, 1));
        if rows > asked {
            return Ok(Resume::UpTo(reached));
        }
        if rows == asked && began.as_ref() == Some(&reached) && parsed.next != Next::End {
            return Err(Error::bad_response(format!(
                "the records at '{}' fill a page of {asked}, which does not show whether there are \
                 more of them: set option '{option}' to another number",
                reached.raw()
            )));
        }

        Ok(Resume::From(Some(reached)))
    }

    /// What the body says of the next page.
    pub(super) fn next(&self, body: &Envelope) -> Result<Next> {
        if let Some(More { at, follows }) = self.more {
            let flag: Option<bool> =
                find(body, at)?.and_then(|raw| serde_json::from_slice(&raw).ok());
            match flag {
                Some(flag) if flag != follows => return Ok(Next::End),
                Some(_) => {}
                None => {
                    return Err(Error::bad_response(format!(
                        "the response has no true or false at '{at}', which says whether a page \
                         follows"
                    )));
                }
            }
        }
        let (at, next) = match self.paging {
            Paging::None | Paging::Link => return Ok(Next::Unsaid),
            Paging::Url(at) => (at, Next::url(text(body, at)?)),
            Paging::Token { at, .. } => (at, Next::token(text(body, at)?)),
            Paging::Number { at, .. } => (at, Next::from(number(body, at)?)),
            Paging::Offset { total, .. } => (total, Next::total(number(body, total)?)),
        };
        if next == Next::End && self.more.is_some() {
            return Err(Error::bad_response(format!(
                "the response says that a page follows, but has nothing at '{at}'"
            )));
        }

        Ok(next)
    }

    /// `parsed` as the last page, if the list grows and this page has rows newer than `began`.
    pub(super) fn ended(&self, parsed: Parsed, began: Option<Instant>) -> Result<Parsed> {
        let (Some(field), Some(began), Rows::Array(rows)) =
            (self.grows_by, began, &parsed.page.upserts.rows)
        else {
            return Ok(parsed);
        };
        let last = envelope::elements(rows)?.pop();
        let last: Option<Value> = last.and_then(|row| serde_json::from_slice(&row).ok());
        let newest = last.as_ref().and_then(|row| Instant::parse(row.get(field)?.as_str()?));

        Ok(if newest > Some(began) { parsed.next(Next::End) } else { parsed })
    }

    /// The request that goes on from the place of `read`, if it has one.
    pub(super) fn at_place(&self, request: &Request, read: &ReadRequest) -> Option<Request> {
        let at = read.at.as_ref()?;
        match self.stated {
            Stated::Nothing | Stated::From(_) => None,
            Stated::At { at: place, parameter } => {
                Some(request.clone().query(parameter, at.text(name_of(place))?))
            }
            Stated::Link(parameters) => {
                let given = parameters.iter().filter_map(|name| Some((name, at.text(name)?)));
                Some(given.fold(request.clone(), |request, (name, text)| request.query(name, text)))
            }
        }
    }
}

/// The place of the page after `response`: `parameters` of the link to it.
fn place_of_next(response: &Response, parameters: &[&str]) -> Result<Option<Position>> {
    let Some(next) = response.link("next")?.and_then(|next| Url::parse(&next).ok()) else {
        return Ok(None);
    };
    let pairs = next.query_pairs().filter(|(name, _)| parameters.contains(&name.as_ref()));

    Ok(Some(pairs.fold(Position::default(), |place, (name, value)| {
        place.with(name, JsonScalar::Text(value.into_owned()))
    })))
}

/// The last name of a path with dots.
fn name_of(path: &'static str) -> &'static str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The raw value at a path with dots; `None` if a name on the way is missing or null.
fn find(body: &Envelope, path: &str) -> Result<Option<Bytes>> {
    let Some((first, rest)) = path.split_once('.') else {
        return Ok(body.get(path).filter(|raw| raw.as_ref() != b"null").cloned());
    };
    match body.get(first).filter(|raw| raw.as_ref() != b"null") {
        Some(raw) => find(&envelope::object(raw)?, rest),
        None => Ok(None),
    }
}

/// The whole number at a path with dots, written as a number or as text.
fn number(body: &Envelope, path: &str) -> Result<Option<u64>> {
    let number = text(body, path)?.map(|number| number.parse()).transpose();

    number.map_err(|_| Error::bad_response(format!("field '{path}' is not a whole number from 0")))
}

/// The text or number at a path with dots.
fn text(body: &Envelope, path: &str) -> Result<Option<String>> {
    let Some(raw) = find(body, path)? else { return Ok(None) };
    match serde_json::from_slice(&raw) {
        Ok(Value::String(text)) => Ok(Some(text)),
        Ok(Value::Number(number)) => Ok(Some(number.to_string())),
        _ => Err(Error::bad_response(format!("field '{path}' is neither text nor a number"))),
    }
}
