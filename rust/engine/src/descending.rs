//! Lists sorted newest first: read from the front to the first page that reaches the lower bound.
//!
//! A record that changes goes to the front, and others come again on a later page; none is hidden
//! by that. A record that leaves the list hides one: the others move up. So a walk of several pages
//! counts once another walk has met every record of it: then none had left.

use crate::walk::{Reading, Step, Walks};
use lakeflow_core::{Cursor, Error, PageStream, Result};
use std::collections::HashSet;

/// A range being read from its end to its beginning. The only safe point is the end.
pub(crate) struct Descending {
    from: Option<Cursor>,
    pages: Option<PageStream>,
    /// Pages of the walk under way.
    count: u32,
    /// Hashes of the keys that the walk under way has met, those past the range included.
    met: HashSet<u64>,
    /// Those of the walk before.
    previous: Option<HashSet<u64>>,
    walks: u32,
    largest: Option<Cursor>,
    done: bool,
}

impl Descending {
    /// Reads from `from`, inclusive.
    pub(crate) fn new(from: Option<Cursor>) -> Self {
        Self {
            from,
            pages: None,
            count: 0,
            met: HashSet::new(),
            previous: None,
            walks: 0,
            largest: None,
            done: false,
        }
    }

    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        while !self.done {
            let pages = match &mut self.pages {
                Some(pages) => pages,
                closed => closed.insert(reading.open(self.from.as_ref(), None)),
            };
            if let Some(page) = pages.next().await? {
                return self.page(reading, page).map(Some);
            }
            self.end_walk()?;
        }

        Ok(self.finish(reading).then_some(Step::Safe))
    }

    /// Moves the cursor when all was seen; whether it had to be moved.
    fn finish(&mut self, reading: &mut Reading) -> bool {
        let bound = match (self.largest.take(), reading.bound()) {
            (Some(largest), Some(bound)) => Some(largest.min(bound)),
            (largest, _) => largest,
        };
        if let Some(bound) = &bound {
            reading.reach(bound);
        }

        bound.is_some()
    }

    fn page(&mut self, reading: &mut Reading, page: lakeflow_core::Page) -> Result<Step> {
        let page = reading.scan(page)?;
        self.count += 1;
        let bound = reading.bound();
        let low = self.from.as_ref().map(Cursor::comparable);
        let mut delivery = reading.deliver(page, low, bound.as_ref().map(Cursor::comparable))?;
        let page = &delivery.page;
        for (row, order) in page.order.iter().enumerate() {
            if low.is_none() || order.as_ref() >= low {
                self.met.insert(reading.table.key_id(page, row, reading.salt));
            }
        }
        if page.max > self.largest {
            self.largest.clone_from(&page.max);
        }
        if page.last || matches!((&page.min, low), (Some(min), Some(low)) if min < low) {
            self.end_walk()?;
        }
        if self.done {
            self.finish(reading);
            delivery.last = true;
        }

        Ok(Step::Page(delivery))
    }

    fn end_walk(&mut self) -> Result<()> {
        let met = std::mem::take(&mut self.met);
        let complete = self.count <= 1 || self.previous.as_ref().is_some_and(|p| p.is_subset(&met));
        if complete {
            self.done = true;
            return Ok(());
        }
        self.walks += 1;
        if self.walks >= Walks::MAX {
            return Err(Error::bad_response(format!(
                "records left the list in each of {} readings",
                Walks::MAX
            )));
        }
        (self.previous, self.pages, self.count) = (Some(met), None, 0);

        Ok(())
    }
}
