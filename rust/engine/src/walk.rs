//! What all kinds of progress share: the state of a drain's reading.

use crate::page::ScannedPage;
use crate::seen::Seen;
use crate::state::Memory;
use crate::table::Table;
use lakeflow_core::{
    Comparable, Cursor, Error, Ingestion, Instant, Order, Page, PageStream, Part, Pass, Position,
    Pushdown, ReadRequest, Result, Until, Within, canonical_json,
};
use std::sync::Arc;

/// Pages in a row that are empty, or the same, after which a list is taken to have no end.
const MAX_STILL_PAGES: u32 = 1_000;

/// Rows of one page that are to be delivered, and whether a slice may end after them.
pub(crate) struct Delivery {
    pub(crate) page: ScannedPage,
    /// Ascending numbers of the rows to deliver.
    pub(crate) selection: Vec<usize>,
    /// Number of the page's first record in this drain, for error messages.
    pub(crate) first_record: u64,
    /// Whether the reading could go on from `Reading::reached` after a crash.
    pub(crate) safe: bool,
    /// Digest of the page's rows within the range, delivered or not; sums over pages.
    pub(crate) listing: u64,
    /// Whether nothing follows in this list.
    pub(crate) last: bool,
}

/// Whether walks through a list that moves have shown all of it.
///
/// A row is hidden from a walk only if another one, seen earlier in that walk, left the list
/// meanwhile; the next walk lacks that one. So two walks in a row with the same rows have hidden
/// nothing, and neither has a walk of a single page.
#[derive(Default)]
pub(crate) struct Walks {
    pages: u32,
    listing: u64,
    previous: Option<u64>,
    count: u32,
}

impl Walks {
    /// Walks after which rows are taken to be made up by the service.
    pub(crate) const MAX: u32 = 1_000;

    /// Takes in a page of the walk under way.
    pub(crate) fn page(&mut self, listing: u64) {
        self.pages += 1;
        self.listing = self.listing.wrapping_add(listing);
    }

    /// Whether the walk under way has come to a page.
    pub(crate) fn begun(&self) -> bool {
        self.pages > 0
    }

    /// Ends a walk through the records at `value`: whether all was seen. If not, another walk begins.
    ///
    /// # Errors
    /// [`BadResponse`](lakeflow_core::ErrorKind::BadResponse) after too many walks.
    pub(crate) fn all_seen(&mut self, value: &str) -> Result<bool> {
        if self.pages <= 1 || self.previous == Some(self.listing) {
            return Ok(true);
        }
        if self.count >= Self::MAX {
            return Err(Error::bad_response(format!(
                "the records at '{value}' were others in each of {} readings",
                Self::MAX
            )));
        }
        *self = Self { previous: Some(self.listing), count: self.count + 1, ..Self::default() };

        Ok(false)
    }
}

/// What a walk comes back with.
#[allow(clippy::large_enum_variant, reason = "handed over once per page")]
pub(crate) enum Step {
    /// A page.
    Page(Delivery),
    /// No rows, but the reading could go on from `Reading::reached` after a crash.
    Safe,
}

/// State of a drain that does not depend on how the table advances.
pub(crate) struct Reading {
    pub(crate) table: Arc<Table>,
    pub(crate) salt: u64,
    /// Order value at which the drain began; nothing below it ends a slice.
    pub(crate) start: Option<Cursor>,
    /// Largest order value that counts as delivered.
    pub(crate) reached: Option<Cursor>,
    /// Where the drain ends, inclusive; lowered once if the service's clock is behind ours.
    pub(crate) until: Option<Cursor>,
    until_settled: bool,
    /// Where the drain ends by the service's clock, once a page has told it.
    pub(crate) server_until: Option<Cursor>,
    /// A stream refuses append rows without an order value; a batch delivers them.
    pub(crate) streaming: bool,
    /// Whether rows past `until` are left to a later pass.
    pub(crate) exact: bool,
    records: u64,
    /// Digest of the last page, and how many pages in a row had it.
    last_page: u64,
    still_pages: u32,
    pub(crate) warnings: Vec<String>,
    /// Parents whose children are read.
    pub(crate) parts: Vec<Part>,
    /// The connector's place at which lists are opened.
    pub(crate) at: Option<Position>,
    /// The pass under way, as an offset holds it.
    pub(crate) pass: Option<Pass>,
    pub(crate) memory: Memory,
    /// Lowest order value that is wanted of a read that begins at the beginning, inclusive.
    pub(crate) wanted_from: Option<Cursor>,
    /// What the service may leave out.
    pub(crate) pushed: Pushdown,
    /// What is wanted of the field that the table is split by.
    pub(crate) within: Option<Within>,
    /// Whether the drain begins right after its start.
    pub(crate) skips_lookback: bool,
}

impl Reading {
    pub(crate) fn new(
        table: Arc<Table>,
        start: Option<Cursor>,
        salt: u64,
        streaming: bool,
    ) -> Self {
        let until = table.order().and_then(|order| clock_bound(order, table.clock.now()));
        let seen = Seen::new(table.counts_occurrences(), states_order(&table));

        Self {
            salt,
            reached: start.clone(),
            start,
            until,
            until_settled: false,
            server_until: None,
            streaming,
            exact: table.exact,
            records: 0,
            last_page: 0,
            still_pages: 0,
            warnings: Vec::new(),
            parts: Vec::new(),
            at: None,
            pass: None,
            memory: Memory { seen, ..Memory::default() },
            wanted_from: None,
            pushed: Pushdown::default(),
            within: None,
            skips_lookback: false,
            table,
        }
    }

    /// Opens the pages of `[from, upto]`, both inclusive; `None`: open. They begin at the
    /// connector's place if there is one. A batch that is open below gives the service no upper
    /// bound either: that would leave out records without a value.
    pub(crate) fn open(&mut self, from: Option<&Cursor>, upto: Option<&Cursor>) -> PageStream {
        self.memory.seen.begin_reading();
        let step = self.table.order().map(|o| o.step);
        let after = from.map(|from| step.map_or_else(|| from.clone(), |step| from.moved(step, -1)));
        let upto = upto.filter(|_| self.streaming || from.is_some()).cloned();

        self.table.read(ReadRequest { after, upto, ..self.request() })
    }

    /// The upper bound of rows, if those past `until` are left to a later pass.
    pub(crate) fn bound(&self) -> Option<Cursor> {
        self.until.clone().filter(|_| self.exact)
    }

    /// Ends the drain at `bound` if that is earlier.
    pub(crate) fn lower_until(&mut self, bound: &Cursor) {
        if self.until.as_ref().is_some_and(|until| bound < until) {
            self.until = Some(bound.clone());
        }
    }

    /// As [`lower_until`](Self::lower_until), for the bound of a feed whose order may be of another
    /// kind.
    pub(crate) fn end_with(&mut self, bound: Option<Instant>) {
        let bound = bound
            .zip(self.table.order())
            .and_then(|(instant, order)| Cursor::of_time(order.kind, instant, order.step));
        if let Some(bound) = bound {
            self.lower_until(&bound);
        }
    }

    /// Locates rows and order values of a page; the first page of a drain settles `until`.
    pub(crate) fn scan(&mut self, mut page: Page) -> Result<ScannedPage> {
        if let [part] = &*self.parts
            && self.table.spec.parents.is_none_or(|parents| parents.per_request == 1)
        {
            page.upserts.add_columns(&part.columns);
            page.deletes.add_columns(&part.columns);
        }
        let page = ScannedPage::scan(&self.table, page, self.records)?;
        self.check_moves(&page)?;
        if let (false, Some(date)) = (self.until_settled, page.server_date) {
            self.until_settled = true;
            let bound = self.table.order().and_then(|order| clock_bound(order, date));
            if let Some(bound) = bound {
                self.lower_until(&bound);
                self.server_until = Some(bound);
            }
        }

        Ok(page)
    }

    /// Notices a service that names next pages for ever.
    fn check_moves(&mut self, page: &ScannedPage) -> Result<()> {
        let digest = page.digest();
        let still = !page.last && digest == self.last_page;
        self.still_pages = if still { self.still_pages + 1 } else { 1 };
        self.last_page = digest;
        if self.still_pages < MAX_STILL_PAGES {
            return Ok(());
        }
        let place = match (&self.at, &self.reached) {
            (Some(at), _) => canonical_json(&at.to_value()),
            (None, Some(reached)) => format!("'{}'", reached.raw()),
            (None, None) => "its beginning".to_owned(),
        };

        Err(Error::bad_response(format!(
            "the list has no end: after {place} the service names a next page {MAX_STILL_PAGES} \
             times in a row, and all of them are empty or the same"
        )))
    }

    /// Chooses the rows of `page` within `[low, high]` that were not delivered before.
    ///
    /// # Errors
    /// [`DataInvalid`](lakeflow_core::ErrorKind::DataInvalid) for an append row without an order
    /// value in a stream.
    pub(crate) fn deliver(
        &mut self,
        page: ScannedPage,
        low: Option<&Comparable>,
        high: Option<&Comparable>,
    ) -> Result<Delivery> {
        let first_record = self.records;
        self.records += page.len() as u64;
        // The bound may have been lowered since the list was opened.
        let bound = self.bound();
        let high = high.into_iter().chain(bound.as_ref().map(Cursor::comparable)).min();
        let mut selection = Vec::with_capacity(page.len());
        let (mut below, mut listing) = (0, 0u64);
        for (row, order) in page.order.iter().enumerate() {
            match order {
                Some(order) if low.is_some_and(|low| order < low) => {
                    below += 1;
                    continue;
                }
                Some(order) if high.is_some_and(|high| order > high) => continue,
                None if self.refuses_null_order() => {
                    return Err(self.null_order(first_record + row as u64));
                }
                _ => {}
            }
            let id = self.table.row_id(&page, row, self.salt);
            listing = listing.wrapping_add(id);
            if self.is_new(&page, row, id) {
                selection.push(row);
            }
        }
        if below > 0 && below == page.len() && self.table.filters_by_order() {
            self.warn_once("the service ignores the lower bound: it sends records below it");
        }
        self.table.metrics.masked((page.len() - selection.len()) as u64);

        Ok(Delivery { page, selection, first_record, safe: false, listing, last: false })
    }

    /// Delivers the rows `selection` of `page`, for tables in which none can come again.
    pub(crate) fn deliver_rows(&mut self, page: ScannedPage, selection: Vec<usize>) -> Delivery {
        let first_record = self.records;
        self.records += page.len() as u64;

        Delivery { page, selection, first_record, safe: false, listing: 0, last: false }
    }

    /// Leaves out what earlier readings delivered, for a page that a reading of its own chose from.
    pub(crate) fn mask(&mut self, delivery: &mut Delivery) {
        let Delivery { page, selection, .. } = delivery;
        let before = selection.len();
        selection.retain(|&row| {
            let id = self.table.row_id(page, row, self.salt);
            self.is_new(page, row, id)
        });
        self.table.metrics.masked((before - selection.len()) as u64);
    }

    /// Whether a row was not delivered before; it counts as delivered from now on.
    fn is_new(&mut self, page: &ScannedPage, row: usize, id: u64) -> bool {
        let key = || self.table.key_id(page, row, self.salt);
        let seen = &mut self.memory.seen;
        if let Some(order) = page.order.get(row).and_then(Option::as_ref) {
            if seen.has_unordered() {
                seen.is_ordered(key());
            }
            return seen.is_new(order, id);
        }
        let is_new = seen.is_new_version(key(), id);
        if seen.is_full() {
            self.warn_once(
                "too many records without an order value: those that cannot be remembered are \
                 delivered by every drain",
            );
        }

        is_new
    }

    /// Moves `reached` up to `value` and forgets rows that cannot come again.
    ///
    /// With a lookback it goes no further than `until`: a record that shows late, after the walk
    /// has passed its value, is then still within the lookback of the next drain. Nor does it where
    /// rows past `until` are left to a later pass.
    pub(crate) fn reach(&mut self, value: &Cursor) {
        let Some(Order { lookback, step, .. }) = self.table.order().cloned() else { return };
        let value = match &self.until {
            Some(until) if self.exact || !lookback.is_zero() => value.min(until),
            _ => value,
        };
        if self.reached.as_ref().is_none_or(|reached| value > reached) {
            self.reached = Some(value.clone());
        }
        if let Some(reached) = &self.reached {
            let floor = reached.minus_nanos(lookback.as_nanos(), step);
            self.memory.seen.forget_below(floor.comparable());
        }
    }

    /// Whether nothing of the span before the drain's start can still come.
    pub(crate) fn past_lookback(&self, page_max: Option<&Cursor>) -> bool {
        match (&self.start, page_max) {
            (Some(start), Some(max)) => max >= start,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// Whether rows lack the order value, and pages state it.
    pub(crate) fn states_order(&self) -> bool {
        states_order(&self.table)
    }

    /// Whether a list need not be read further. A split by a field of its own has an end in that
    /// field: its records are read however late they change.
    pub(crate) fn past_until(&self, value: Option<&Cursor>) -> bool {
        if self.within.is_some() {
            return false;
        }

        matches!((value, &self.until), (Some(value), Some(until)) if value > until)
    }

    /// A request for whatever lies at the reading's place and below its parents.
    pub(crate) fn request(&self) -> ReadRequest {
        let request = self.table.request(self.at.clone(), self.parts.clone());

        ReadRequest { pushed: self.pushed.clone(), within: self.within.clone(), ..request }
    }

    /// A parent vanished between listing and reading.
    pub(crate) fn parents_gone(&mut self) {
        self.table.metrics.parents_gone(1);
        self.warn_once("parents that were gone when their children were asked for are left out");
    }

    pub(crate) fn warn_once(&mut self, warning: &str) {
        if !self.warnings.iter().any(|w| w == warning) {
            tracing::warn!(table = self.table.name, warning, "reading goes on");
            self.warnings.push(warning.to_owned());
        }
    }

    fn refuses_null_order(&self) -> bool {
        self.streaming
            && self.table.order_tap.is_some()
            && self.table.spec.ingestion == Ingestion::Append
    }

    fn null_order(&self, record: u64) -> Error {
        let field = self.table.order().and_then(|o| o.field.as_ref()).map(ToString::to_string);
        Error::new(
            lakeflow_core::ErrorKind::DataInvalid,
            "a record of an append table has no order value, so it cannot be read exactly once",
        )
        .table(self.table.name.as_str())
        .context("column", field.unwrap_or_default())
        .context("record", record.to_string())
    }
}

fn states_order(table: &Table) -> bool {
    table.order().is_some_and(|order| order.field.is_none())
}

/// Where a drain that ends by the clock ends, if it began at `now`.
pub(crate) fn clock_bound(order: &Order, now: Instant) -> Option<Cursor> {
    let Until::Clock { settle } = order.until else { return None };
    let settle = i128::try_from(settle.as_nanos()).unwrap_or(0);

    Cursor::of_time(order.kind, now.plus_nanos(-settle), order.step)
}
