//! Pages have numbers.

use super::{MAX_PAGES, Next, Paginator, Parsed, unsaid};
use crate::{Request, Response};
use lakeflow_core::{Error, Result};

/// Asks for pages by number, from 1 or what the first request says, as long as the body names a
/// next one; numbers must grow.
#[derive(Clone, Debug)]
pub struct PageNumber {
    parameter: &'static str,
    pages: usize,
}

impl PageNumber {
    /// `parameter` is the query parameter with the number; [`Parsed`](super::Parsed) must say for
    /// each page which one follows.
    pub fn new(parameter: &'static str) -> Self {
        Self { parameter, pages: 0 }
    }
}

impl Paginator for PageNumber {
    fn follow(
        &mut self,
        sent: &Request,
        _response: &Response,
        found: &Parsed,
    ) -> Result<Option<Request>> {
        let next = match found.next {
            Next::End => return Ok(None),
            Next::Number(next) => next,
            _ => return Err(unsaid()),
        };
        let here: u64 = match sent.parameter(self.parameter) {
            None => 1,
            Some(number) => number.parse().map_err(|_| {
                Error::internal(format!("parameter '{}' is not a page number", self.parameter))
            })?,
        };
        if next <= here {
            return Err(Error::bad_response(format!(
                "the list does not end: page {next} comes after page {here}"
            )));
        }
        self.pages += 1;
        if self.pages > MAX_PAGES {
            return Err(Error::bad_response(format!("the list has more than {MAX_PAGES} pages")));
        }

        Ok(Some(sent.with_parameter(self.parameter, next)))
    }
}
