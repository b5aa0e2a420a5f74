//! Searches that stop after so many rows.

use super::{Paginator, Parsed, Visited, shown};
use crate::{Request, Response, envelope};
use bytes::Bytes;
use lakeflow_core::{Error, Records, Result, Rows};
use serde_json::Value;

/// Where a further search begins; values are those of a row, as the service wrote them.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// At the rows with this value, sorted by value: those that came already come again.
    From(Value),
    /// Among the rows with exactly this value, sorted by id, after this id.
    Tie {
        /// The value that all of them have.
        value: Value,
        /// The last id that came; `None`: from the first.
        after: Option<Value>,
    },
    /// At the rows above this value, sorted by value.
    Above(Value),
}

/// Reads a list that a service sorts by a value and cuts off after so many rows: pages come from
/// another paginator within one search, and a new search begins at the last row's value.
///
/// If all rows of a search have one value, those are searched by id, and then the ones above. Rows
/// at the value where a search begins come again.
#[derive(Clone, Debug)]
pub struct Keyset<P, F> {
    template: P,
    inner: P,
    most_rows: u64,
    value: &'static str,
    id: &'static str,
    search: F,
    /// The value that all rows have, in a search by id.
    tie: Option<Value>,
    /// Value of the first row of this search.
    first: Option<Value>,
    last_row: Option<Bytes>,
    rows: u64,
    largest_page: u64,
    seen: Visited,
}

impl<P, F> Keyset<P, F>
where
    P: Paginator + Clone,
    F: FnMut(&Search) -> Result<Request> + Send + 'static,
{
    /// A search gives `most_rows` at most, its pages those of `inner`; `value` and `id` are JSON
    /// pointers into its rows, `search` makes the first request of a further one.
    pub fn new(inner: P, most_rows: u64, value: &'static str, id: &'static str, search: F) -> Self {
        Self {
            template: inner.clone(),
            inner,
            most_rows,
            value,
            id,
            search,
            tie: None,
            first: None,
            last_row: None,
            rows: 0,
            largest_page: 0,
            seen: Visited::default(),
        }
    }

    /// Counts the rows of a page.
    fn count(&mut self, found: &Parsed) -> Result<()> {
        let mut rows = rows_of(&found.page.upserts)?;
        rows.extend(rows_of(&found.page.deletes)?);
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        self.rows = self.rows.saturating_add(count);
        self.largest_page = self.largest_page.max(count);
        if let (None, Some(row)) = (&self.first, rows.first()) {
            self.first = Some(at(row, self.value)?);
        }
        self.last_row = rows.pop().or(self.last_row.take());

        Ok(())
    }

    /// The search that takes up where this one is cut off.
    fn further(&self) -> Result<Search> {
        let Some(row) = &self.last_row else {
            return Err(Error::bad_response("the search ended before its first row"));
        };
        let value = at(row, self.value)?;
        Ok(match &self.tie {
            Some(tie) => Search::Tie { value: tie.clone(), after: Some(at(row, self.id)?) },
            None if self.first.as_ref() == Some(&value) => Search::Tie { value, after: None },
            None => Search::From(value),
        })
    }

    fn begin(&mut self, search: &Search, response: &Response) -> Result<Option<Request>> {
        let place = match search {
            Search::From(value) => format!("from {value}"),
            Search::Tie { value, after: None } => format!("at {value}"),
            Search::Tie { value, after: Some(id) } => format!("at {value} after {id}"),
            Search::Above(value) => format!("above {value}"),
        };
        self.seen.note(&place, || format!("a search by {}", shown(&place, response)))?;
        self.tie = match search {
            Search::Tie { value, .. } => Some(value.clone()),
            _ => None,
        };
        self.inner = self.template.clone();
        (self.first, self.last_row, self.rows) = (None, None, 0);

        (self.search)(search).map(Some)
    }
}

impl<P, F> Paginator for Keyset<P, F>
where
    P: Paginator + Clone,
    F: FnMut(&Search) -> Result<Request> + Send + 'static,
{
    fn check(&self, first: &Request) -> Result<()> {
        if self.most_rows == 0 {
            return Err(Error::internal("a search that gives no rows never ends"));
        }

        self.inner.check(first)
    }

    fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        found: &Parsed,
    ) -> Result<Option<Request>> {
        self.count(found)?;
        // A service that cuts off may well say that this was the end.
        if self.rows < self.most_rows {
            match (self.inner.follow(sent, response, found)?, self.tie.take()) {
                (Some(next), tie) if self.rows + self.largest_page <= self.most_rows => {
                    self.tie = tie;
                    return Ok(Some(next));
                }
                (Some(_), tie) => self.tie = tie,
                (None, Some(value)) => return self.begin(&Search::Above(value), response),
                (None, None) => return Ok(None),
            }
        }
        let search = self.further()?;

        self.begin(&search, response)
    }
}

fn rows_of(records: &Records) -> Result<Vec<Bytes>> {
    match &records.rows {
        Rows::None => Ok(Vec::new()),
        Rows::Array(array) => envelope::elements(array),
        Rows::Each(rows) => Ok(rows.clone()),
    }
}

/// The value of `row` at a JSON pointer, which is there.
fn at(row: &Bytes, pointer: &str) -> Result<Value> {
    let row: Value =
        serde_json::from_slice(row).map_err(|_| Error::bad_response("a row cannot be read"))?;
    match row.pointer(pointer) {
        Some(value @ (Value::String(_) | Value::Number(_))) => Ok(value.clone()),
        _ => Err(Error::bad_response(format!(
            "a row has no text or number at '{pointer}', by which the list is read"
        ))),
    }
}
