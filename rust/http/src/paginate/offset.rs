//! Pages begin at a row number.

use super::{MAX_PAGES, Next, Paginator, Parsed};
use crate::{Request, Response};
use lakeflow_core::{Error, Result};

/// Asks for rows by their number, from 0 or what the first request says.
///
/// The first request says how many rows a page has. The list ends with a shorter page, or when it
/// reaches the total that the body names ([`Next::total`]). A total below the rows already seen is
/// not believed; a short page before the total is a page that the service made smaller, so the
/// next one begins right after it, or a whole page further if it was empty.
#[derive(Clone, Debug)]
pub struct Offset {
    offset: &'static str,
    count: &'static str,
    pages: usize,
}

impl Offset {
    /// Query parameters: the number of the first row, and how many rows a page has.
    pub fn new(offset: &'static str, count: &'static str) -> Self {
        Self { offset, count, pages: 0 }
    }

    /// First row and rows per page of `request`.
    fn place(&self, request: &Request) -> Result<(u64, u64)> {
        let number = |name: &str| request.parameter(name).map(str::parse::<u64>);
        match (number(self.offset), number(self.count)) {
            (None, Some(Ok(count))) if count > 0 => Ok((0, count)),
            (Some(Ok(offset)), Some(Ok(count))) if count > 0 => Ok((offset, count)),
            _ => Err(Error::internal(format!(
                "a list by offset needs whole numbers in parameters '{}' and '{}', the latter \
                 from 1",
                self.offset, self.count
            ))),
        }
    }
}

impl Paginator for Offset {
    fn check(&self, first: &Request) -> Result<()> {
        if self.offset.is_empty() || self.offset == self.count {
            return Err(Error::internal("a list by offset needs two parameters"));
        }

        self.place(first).map(|_| ())
    }

    fn follow(
        &mut self,
        sent: &Request,
        _response: &Response,
        found: &Parsed,
    ) -> Result<Option<Request>> {
        let (offset, count) = self.place(sent)?;
        let rows = found.row_count()?;
        let seen = offset.saturating_add(rows);
        let next = if rows == 0 { offset.saturating_add(count) } else { seen };
        let more = match found.next {
            Next::End => false,
            Next::Total(total) if total >= seen => total > next,
            _ => rows >= count,
        };
        if !more {
            return Ok(None);
        }
        self.pages += 1;
        if self.pages > MAX_PAGES {
            return Err(Error::bad_response(format!("the list has more than {MAX_PAGES} pages")));
        }

        Ok(Some(sent.with_parameter(self.offset, next)))
    }

    /// A total tells of all pages, if they are full.
    fn foresee(&self, sent: &Request, _: &Response, found: &Parsed, most: usize) -> Vec<Request> {
        let (Next::Total(total), Ok((offset, count))) = (&found.next, self.place(sent)) else {
            return Vec::new();
        };
        let offsets = (1..).map(|page| offset.saturating_add(count.saturating_mul(page)));

        offsets
            .take(most)
            .take_while(|offset| offset < total)
            .map(|offset| sent.with_parameter(self.offset, offset))
            .collect()
    }
}
