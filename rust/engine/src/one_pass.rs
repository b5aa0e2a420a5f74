//! Whole walks: snapshots, and lists of which the service can neither sort nor bound.

use crate::page::ScannedPage;
use crate::walk::{Reading, Step};
use lakeflow_core::{Cursor, Error, PageStream, Position, Result, Resume};

/// A table without order: every row of every page.
#[derive(Default)]
pub(crate) struct Snapshot {
    pages: Option<PageStream>,
}

impl Snapshot {
    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        let pages = match &mut self.pages {
            Some(pages) => pages,
            closed => closed.insert(reading.open(None, None)),
        };
        let Some(page) = pages.next().await? else { return Ok(None) };
        let page = reading.scan(page)?;
        let all = (0..page.len()).collect();

        Ok(Some(Step::Page(reading.deliver_rows(page, all))))
    }
}

/// One walk over everything; rows outside the range are left out.
///
/// Safe points are the end and the places that pages state. A page is handed over when it is known
/// whether another one follows, so that the last rows and the end of the walk come together.
pub(crate) struct OnePass {
    from: Option<Cursor>,
    pages: Option<PageStream>,
    ahead: Option<ScannedPage>,
    /// Place of the last page, to notice a service that does not move.
    last_at: Option<Position>,
    done: bool,
}

impl OnePass {
    pub(crate) fn new(from: Option<Cursor>) -> Self {
        Self { from, pages: None, ahead: None, last_at: None, done: false }
    }

    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        if self.done {
            return Ok(None);
        }
        let page = match self.ahead.take() {
            Some(page) => page,
            None => match self.fetch(reading).await? {
                Some(page) => page,
                None => return Ok(None),
            },
        };
        self.ahead = if page.last { None } else { self.fetch(reading).await? };
        self.done = self.ahead.is_none();
        let bound = reading.bound();
        let low = self.from.as_ref().map(Cursor::comparable);
        let mut delivery = reading.deliver(page, low, bound.as_ref().map(Cursor::comparable))?;
        if let Some(max) = &delivery.page.max {
            let reached = bound.map_or_else(|| max.clone(), |bound| bound.min(max.clone()));
            reading.reach(&reached);
        }
        if let Resume::At(at) = &delivery.page.resume {
            let repeats = self.last_at.replace(at.clone()).as_ref() == Some(at);
            if repeats && delivery.selection.is_empty() && !self.done {
                return Err(does_not_move(at));
            }
            reading.at = Some(at.clone());
            // Rows that are told apart by how often they came are read in one go.
            delivery.safe = !reading.table.counts_occurrences();
        }
        delivery.last = self.done;

        Ok(Some(Step::Page(delivery)))
    }

    /// The next page that has rows.
    async fn fetch(&mut self, reading: &mut Reading) -> Result<Option<ScannedPage>> {
        let pages = match &mut self.pages {
            Some(pages) => pages,
            closed => closed.insert(reading.open(self.from.as_ref(), None)),
        };
        let mut empty_at = None;
        while let Some(page) = pages.next().await? {
            let page = reading.scan(page)?;
            if page.len() > 0 {
                return Ok(Some(page));
            }
            if page.last {
                break;
            }
            if let Resume::At(at) = page.resume {
                if empty_at.as_ref() == Some(&at) {
                    return Err(does_not_move(&at));
                }
                empty_at = Some(at);
            }
        }

        Ok(None)
    }
}

/// Two pages in a row stated one place and brought nothing new.
pub(crate) fn does_not_move(at: &Position) -> Error {
    Error::bad_response(format!(
        "the list does not move: two pages in a row end at {} and bring nothing new",
        lakeflow_core::canonical_json(&at.to_value())
    ))
}
