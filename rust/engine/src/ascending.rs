//! Lists sorted ascending, read by value and not by page.
//!
//! A row that is updated while the list is walked goes to the end, and all others move up: the next
//! page by number would skip one. So after `restart_pages` pages the engine reads again from the
//! value reached, inclusive, and leaves out what it delivered. Links are followed only inside a
//! group of rows that share one value; such a group is walked until all of it was seen, and then
//! the reading goes on after it. Rows without a value come before all others, if they come: the pages
//! up to the first value are walked in the same way.

use crate::walk::{Delivery, Reading, Walks};
use lakeflow_core::{Cursor, Error, PageStream, Result, Resume, Step};

/// A range being read by value.
pub(crate) struct Ascending {
    restart_pages: u32,
    step: Step,
    /// Where the reading under way began, inclusive.
    from: Option<Cursor>,
    /// End of the range, inclusive, if the service is given one.
    upto: Option<Cursor>,
    pages: Option<PageStream>,
    /// Pages of the reading under way.
    count: u32,
    /// Walks through the rows that share the value `from`.
    group: Option<Walks>,
    /// Walks through pages whose rows have no value, up to the first page that has one.
    unvalued: Walks,
    /// Whether a page lay wholly below the range: its end is then the end of all there is.
    unbounded: bool,
    /// Whether the reading under way asked for all of the range and has shown no row.
    empty: bool,
    /// Last page's explicit place, and a digest of its rows, to notice a service that does not move.
    last_place: Option<Cursor>,
    last_listing: u64,
    done: bool,
}

impl Ascending {
    /// Reads `[from, upto]`; `step` is the smallest difference the service can filter by.
    pub(crate) fn new(
        restart_pages: u32,
        step: Step,
        from: Option<Cursor>,
        upto: Option<Cursor>,
    ) -> Self {
        Self {
            restart_pages: restart_pages.max(1),
            step,
            from,
            upto,
            pages: None,
            count: 0,
            group: None,
            unvalued: Walks::default(),
            unbounded: false,
            empty: false,
            last_place: None,
            last_listing: 0,
            done: false,
        }
    }

    /// The next page of the range, or `None` when all of it was sent.
    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Delivery>> {
        loop {
            if self.done {
                return Ok(None);
            }
            let pages = match &mut self.pages {
                Some(pages) => pages,
                closed => {
                    // A group that is walked again is asked for by its value alone.
                    self.empty = self.group.is_none();
                    let upto = if self.group.is_some() { &self.from } else { &self.upto };
                    closed.insert(reading.open(self.from.as_ref(), upto.as_ref()))
                }
            };
            let Some(page) = pages.next().await? else {
                self.list_ended()?;
                continue;
            };
            let page = reading.scan(page)?;
            self.count += 1;
            self.empty &= page.len() == 0;
            let delivery = match &self.group {
                Some(_) => self.group_page(reading, page)?,
                None => self.page(reading, page)?,
            };

            return Ok(Some(delivery));
        }
    }

    fn page(&mut self, reading: &mut Reading, page: crate::page::ScannedPage) -> Result<Delivery> {
        let low = self.from.as_ref().map(Cursor::comparable);
        let high = self.upto.as_ref().map(Cursor::comparable);
        let mut delivery = reading.deliver(page, low, high)?;
        let max = self.place(&delivery)?;
        let unvalued = max.is_none() && !reading.states_order();
        if !self.all_unvalued_seen(&delivery, unvalued)? {
            return Ok(delivery);
        }
        if let Some(max) = &max {
            reading.reach(max);
        }
        delivery.safe = reading.past_lookback(max.as_ref());
        self.unbounded |= matches!(
            (&delivery.page.max, &self.from),
            (Some(max), Some(from)) if max < from
        );
        let moved = match (&max, &self.from) {
            (Some(max), Some(from)) => max > from,
            (max, None) => max.is_some(),
            (None, _) => false,
        };
        if delivery.page.last || reading.past_until(max.as_ref()) {
            self.done = true;
        } else if self.count < self.restart_pages || max.is_none() {
            // The service's own marker is trusted for so many pages, and where there is no value.
        } else if reading.states_order() {
            // Ties lie between two pages, or all on this one: there are no groups.
            let next = match &delivery.page.resume {
                Resume::UpTo(value) => Some(value.moved(self.step, 1)),
                _ => max,
            };
            self.done = reading.past_until(next.as_ref());
            self.restart(next);
        } else if moved && !delivery.page.single_valued() {
            self.restart(max);
        } else {
            if moved {
                self.from = max;
            }
            let mut walks = Walks::default();
            walks.page(delivery.listing);
            self.group = Some(walks);
        }
        delivery.last = self.done;

        Ok(delivery)
    }

    /// Whether no row without a value can be hidden on the pages before this one; if one can, they
    /// are walked again.
    fn all_unvalued_seen(&mut self, delivery: &Delivery, unvalued: bool) -> Result<bool> {
        let more = unvalued && !delivery.page.last;
        if (unvalued && delivery.page.len() > 0) || self.unvalued.begun() {
            self.unvalued.page(delivery.listing);
        }
        if !more && !self.unvalued.all_seen("null")? {
            self.restart(self.from.clone());
            return Ok(false);
        }
        if !more {
            self.unvalued = Walks::default();
        }

        Ok(true)
    }

    fn group_page(
        &mut self,
        reading: &mut Reading,
        page: crate::page::ScannedPage,
    ) -> Result<Delivery> {
        let value = self.from.as_ref().map(Cursor::comparable);
        // Rows beyond the group are left for the reading that begins after it.
        let mut delivery = reading.deliver(page, value, value)?;
        delivery.safe = reading.past_lookback(self.from.as_ref());
        let listing = std::mem::replace(&mut self.last_listing, delivery.listing);
        if matches!(delivery.page.resume, Resume::From(Some(_)) | Resume::UpTo(_))
            && delivery.listing == listing
        {
            self.place(&delivery)?;
        }
        if let Some(walks) = &mut self.group {
            walks.page(delivery.listing);
        }
        let max = delivery.page.max.clone();
        let beyond = matches!((&max, &self.from), (Some(max), Some(from)) if max > from);
        if beyond || delivery.page.last {
            self.list_ended()?;
        }

        Ok(delivery)
    }

    /// The list, or the group within it, came to its end.
    fn list_ended(&mut self) -> Result<()> {
        let (Some(walks), Some(value)) = (&mut self.group, &self.from) else {
            if self.unvalued.all_seen("null")? {
                self.done = true;
            } else {
                self.restart(self.from.clone());
            }
            return Ok(());
        };
        if self.unbounded || self.empty {
            self.done = true;
        } else if !walks.all_seen(value.raw())? {
            self.pages = None;
            self.count = 0;
        } else {
            // Also where nothing was seen after the group: it may have moved up out of sight.
            self.restart_after_group()?;
        }

        Ok(())
    }

    fn restart_after_group(&mut self) -> Result<()> {
        let Some(value) = &self.from else {
            return Err(Error::internal("a group without a value"));
        };
        let next = value.moved(self.step, 1);
        if next == *value {
            return Err(Error::internal("a list read by value needs values with a step"));
        }
        if self.upto.as_ref().is_some_and(|upto| next > *upto) {
            self.done = true;
        } else {
            self.restart(Some(next));
        }

        Ok(())
    }

    fn restart(&mut self, from: Option<Cursor>) {
        self.from = from;
        self.pages = None;
        self.count = 0;
        self.group = None;
    }

    /// The largest value up to which a page reaches, checked to move where the service states it.
    fn place(&mut self, delivery: &Delivery) -> Result<Option<Cursor>> {
        let stated = match &delivery.page.resume {
            Resume::No | Resume::From(None) => return Ok(delivery.page.max.clone()),
            Resume::From(Some(value)) | Resume::UpTo(value) => value.clone(),
            Resume::At(_) => {
                return Err(Error::internal("a sorted list states places by value only"));
            }
        };
        // Links that are trusted for several pages may pass through many rows of one value.
        if (self.count <= 1 || self.restart_pages <= 1)
            && delivery.selection.is_empty()
            && !delivery.page.last
            && self.last_place.as_ref() == Some(&stated)
        {
            return Err(Error::bad_response(format!(
                "the list does not move: two pages in a row end at '{}' and bring nothing new",
                stated.raw()
            )));
        }
        self.last_place = Some(stated.clone());
        self.last_listing = delivery.listing;

        Ok(Some(stated))
    }
}
