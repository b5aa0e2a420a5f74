//! Whole walks: snapshots, and tables whose service can neither sort nor bound.

use crate::walk::{Delivery, Reading, Step};
use lakeflow_core::{Cursor, PageStream, Result};

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

        Ok(Some(Step::Page(reading.deliver_all(page))))
    }
}

/// One walk over everything; rows outside the range are left out.
///
/// The only safe point is the end, and the new cursor is the smaller of the largest value seen and
/// `until`: a row that changed while the walk was under way lies past `until` and comes next time.
pub(crate) struct OnePass {
    from: Option<Cursor>,
    pages: Option<PageStream>,
    largest: Option<Cursor>,
    done: bool,
}

impl OnePass {
    pub(crate) fn new(from: Option<Cursor>) -> Self {
        Self { from, pages: None, largest: None, done: false }
    }

    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        if self.done {
            return Ok(None);
        }
        let pages = match &mut self.pages {
            Some(pages) => pages,
            closed => closed.insert(reading.open(self.from.as_ref(), None)),
        };
        if let Some(page) = pages.next().await? {
            let page = reading.scan(page)?;
            let until = reading.until.clone();
            let low = self.from.as_ref().map(Cursor::comparable);
            let delivery = reading.deliver(page, low, until.as_ref().map(Cursor::comparable))?;
            if delivery.page.max > self.largest {
                self.largest.clone_from(&delivery.page.max);
            }
            return Ok(Some(Step::Page(Delivery { safe: false, ..delivery })));
        }
        self.done = true;
        let bound = match (self.largest.take(), &reading.until) {
            (Some(largest), Some(until)) => Some(largest.min(until.clone())),
            (largest, _) => largest,
        };
        if let Some(bound) = bound {
            reading.reach(&bound);
        }

        Ok(Some(Step::Safe))
    }
}
