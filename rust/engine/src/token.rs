//! Feeds of which the service keeps the place: delta links, history ids.

use crate::one_pass::does_not_move;
use crate::walk::{Reading, Step};
use lakeflow_core::{Cursor, Error, Ingestion, Latest, PageStream, Position, Result, Resume};
use std::collections::HashSet;

/// The changes after a place, or everything where there is none.
pub(crate) struct Token {
    from: Option<Cursor>,
    pages: Option<PageStream>,
    last_at: Option<Position>,
    /// Whether the last page stated a place.
    safe: bool,
    /// A page past `until` has come: the next place ends the drain.
    past_until: bool,
    done: bool,
}

impl Token {
    /// A feed that goes on from the reading's place; without one, a stream takes the service's
    /// place of now if it has one, and begins with a listing if not.
    pub(crate) async fn begin(reading: &mut Reading, from: Option<Cursor>) -> Result<Self> {
        if reading.at.is_none() && reading.streaming && from.is_none() {
            match reading.table.connector.latest(&reading.request()).await {
                Ok(Latest::At(at)) => reading.at = Some(at),
                Ok(Latest::Value(_)) => {
                    return Err(Error::internal("a token feed needs a place, `latest` is a value"));
                }
                Err(e) if e.kind() == lakeflow_core::ErrorKind::Unsupported => {}
                Err(e) => return Err(e),
            }
        }

        Ok(Self { from, pages: None, last_at: None, safe: true, past_until: false, done: false })
    }

    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        if self.done {
            return Ok(None);
        }
        let pages = match &mut self.pages {
            Some(pages) => pages,
            closed => closed.insert(reading.open(self.from.as_ref(), None)),
        };
        let Some(page) = pages.next().await? else {
            if !self.safe {
                return Err(Error::internal("a token feed ended with a page that states no place"));
            }
            return Ok(None);
        };
        let page = reading.scan(page)?;
        let selection = last_of_each_key(reading, &page);
        let mut delivery = reading.deliver_rows(page, selection);
        if let Some(max) = delivery.page.max.clone() {
            self.past_until |= reading.past_until(Some(&max));
            reading.reach(&max);
        }
        match &delivery.page.resume {
            Resume::At(at) => {
                let repeats = self.last_at.replace(at.clone()).as_ref() == Some(at);
                if repeats && delivery.selection.is_empty() && !delivery.page.last {
                    return Err(does_not_move(at));
                }
                reading.at = Some(at.clone());
                self.safe = true;
            }
            Resume::No if delivery.page.last => {
                return Err(Error::internal("the last page of a token feed states no place"));
            }
            Resume::No => self.safe = false,
            _ => return Err(Error::internal("a token feed states its places with `At`")),
        }
        delivery.safe = self.safe;
        self.done = self.safe && (delivery.page.last || self.past_until);
        delivery.last = self.done;

        Ok(Some(Step::Page(delivery)))
    }
}

/// In one page of a feed the last entry of a key counts.
fn last_of_each_key(reading: &Reading, page: &crate::page::ScannedPage) -> Vec<usize> {
    let table = &reading.table;
    if table.spec.ingestion == Ingestion::Append || table.spec.key.is_empty() {
        return (0..page.len()).collect();
    }
    let mut keys = HashSet::new();
    let mut rows: Vec<usize> = (0..page.len())
        .rev()
        .filter(|&row| keys.insert(table.key_id(page, row, reading.salt)))
        .collect();
    rows.reverse();

    rows
}
