//! A drain: from a start offset to an `until` pinned when it began.

use crate::children::Children;
use crate::engine::random_bits;
use crate::feed::Feed;
use crate::filter::Wanted;
use crate::parts::Places;
use crate::seen::Seen;
use crate::state::{self, StateBlob};
use crate::table::Table;
use crate::walk::{Reading, Step, clock_bound};
use bytes::Bytes;
use lakeflow_core::{
    Cursor, DeletesPlace, Error, Ingestion, Instant, Latest, Offset, Progress, Result, Until,
};
use std::sync::Arc;

/// Ties that an offset holds itself; more of them go into the state blob.
const MAX_INLINE_TIES: usize = 256;

enum Walk {
    Feed(Feed),
    Children(Box<Children>),
}

/// Where a drain without rows has come: a hint for the next one from the same offset.
pub(crate) struct Idle {
    offset: Offset,
    places: Places,
    deletes: Option<Box<Idle>>,
}

/// From where a drain begins.
#[derive(Default)]
pub(crate) struct Start {
    /// The offset; `None`: the beginning.
    pub(crate) offset: Option<Offset>,
    /// The blob that it names.
    pub(crate) state: Option<Bytes>,
    /// What an earlier drain from the same offset has found.
    pub(crate) idle: Option<Idle>,
    pub(crate) warnings: Vec<String>,
    pub(crate) wanted: Wanted,
}

/// Reads a feed from an offset up to `until`.
pub(crate) struct Drain {
    /// That of the table, or of the feed of its parents.
    pub(crate) reading: Reading,
    walk: Walk,
    done: bool,
    /// The offset reached: that of the drain's start, or of its last slice.
    offset: Offset,
    /// Where both are read as one feed, the deletes. They come first: a record that is there when
    /// the rows are read was deleted, if ever, before it came back.
    deletes: Option<Box<Drain>>,
}

impl Start {
    /// The starts of the two feeds that a change feed consists of.
    fn split(self, table: &Table, deletes: &Table) -> Result<(Self, Self)> {
        let Self { offset, state, mut idle, warnings, mut wanted } = self;
        let mut rows = offset.unwrap_or_else(|| table.beginning());
        let DeletesPlace { cursor, ties, pass } = rows.deletes.take().unwrap_or_default();
        rows.salt.get_or_insert_with(random_bits);
        let (salt, seq) = (rows.salt, rows.seq);
        let mut gone = Offset { cursor, ties, pass, salt, seq, ..deletes.beginning() };
        let mut gone_idle = idle.as_mut().and_then(|idle| idle.deletes.take()).map(|idle| *idle);
        gone.state.clone_from(&rows.state);
        let (mut rows_state, mut gone_state) = (None, None);
        if let (Some(hash), Some(bytes)) = (&rows.state, state) {
            let (of_rows, of_deletes) = state::split(&bytes, hash)?;
            let place = |offset: &mut Offset, idle: &mut Option<Idle>, blob: Option<StateBlob>| {
                offset.state = blob.as_ref().map(|blob| blob.hash.clone());
                if let Some(idle) = idle {
                    idle.offset.state.clone_from(&offset.state);
                }
                blob.map(|blob| blob.bytes)
            };
            rows_state = place(&mut rows, &mut idle, of_rows);
            gone_state = place(&mut gone, &mut gone_idle, of_deletes);
        }
        let now = table.clock.now();
        let ends = [table, deletes].map(|table| clock_bound(table.order()?, now)?.instant());
        let end = ends.into_iter().flatten().min();
        let upto = |table: &Table| {
            end.zip(table.order())
                .and_then(|(end, order)| Cursor::of_time(order.kind, end, order.step))
        };
        wanted.upto = upto(table);
        let gone_wanted = Wanted { upto: upto(deletes), ..Wanted::default() };
        let start = Self { offset: Some(rows), state: rows_state, idle, warnings, wanted };
        let gone = Self {
            offset: Some(gone),
            state: gone_state,
            idle: gone_idle,
            warnings: Vec::new(),
            wanted: gone_wanted,
        };

        Ok((start, gone))
    }
}

impl Drain {
    /// Pins `until`, applies lookback and finds the first lower bound.
    ///
    /// `streaming`: rows must be deliverable exactly once.
    pub(crate) async fn begin(table: Arc<Table>, start: Start, streaming: bool) -> Result<Self> {
        let Some(deletes) = table.deletes.clone() else {
            return Self::of_feed(table, start, streaming).await;
        };
        let (start, gone) = start.split(&table, &deletes)?;
        let gone = Self::of_feed(deletes, gone, streaming).await?;
        let rows = Self::of_feed(table, start, streaming).await?;

        Ok(Self { deletes: Some(Box::new(gone)), ..rows })
    }

    async fn of_feed(table: Arc<Table>, start: Start, streaming: bool) -> Result<Self> {
        let Start { offset, state, idle, mut warnings, wanted } = start;
        let mut offset = offset.unwrap_or_else(|| table.beginning());
        let salt = *offset.salt.get_or_insert_with(random_bits);
        let lead = table.child_of.as_ref().map_or(&table, |below| &below.feed).clone();
        let known = idle.as_ref().map_or(&offset, |idle| &idle.offset);
        let cursor = stored_cursor(&lead, known.cursor.as_deref())?;
        let mut reading = Reading::new(lead.clone(), cursor, salt, streaming);
        reading.pass.clone_from(&known.pass);
        reading.memory.below = Seen::new(table.counts_occurrences(), false);
        remember(&mut reading, &table, known, state, &mut warnings)?;
        if let Some(idle) = idle {
            reading.memory.places = idle.places;
        }
        reading.warnings = warnings;
        // Nobody remembers the rows that tasks have read, and none of them can show late.
        reading.skips_lookback = offset.by_split && table.spec.ingestion == Ingestion::Append;
        reading.wanted_from = wanted.from;
        reading.pushed = wanted.pushed;
        reading.within = wanted.within;
        if wanted.until.is_some() {
            reading.until = wanted.until;
        } else if lead.order().is_some_and(|order| order.until == Until::Latest) {
            match lead.connector.latest(&reading.request()).await? {
                Latest::Value(value) => reading.until = Some(value),
                Latest::At(_) => return Err(Error::internal("`latest` must be an order value")),
            }
        }
        if let Some(upto) = &wanted.upto {
            reading.lower_until(upto);
        }
        if let Some(bound) = &wanted.bound {
            reading.lower_until(bound);
            reading.exact = true;
        }
        let feed = Feed::begin(&mut reading).await?;
        let done = feed.is_empty();
        let walk = match &table.child_of {
            Some(below) => {
                Walk::Children(Box::new(Children::new(table.clone(), below.clone(), feed)))
            }
            None => Walk::Feed(feed),
        };

        Ok(Self { reading, walk, done, offset, deletes: None })
    }

    /// The next page or safe point, or `None` when the drain has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Step>> {
        if let Some(deletes) = self.deletes.as_mut().filter(|deletes| !deletes.done) {
            if let Some(step) = deletes.step().await? {
                return Ok(Some(step));
            }
            let end = deletes.reading.until.as_ref().and_then(Cursor::instant);
            self.reading.end_with(end);
        }

        self.step().await
    }

    /// As [`next`](Self::next), without the deletes.
    async fn step(&mut self) -> Result<Option<Step>> {
        if self.done {
            return Ok(None);
        }
        let reading = &mut self.reading;
        let step = match &mut self.walk {
            Walk::Feed(feed) => feed.next(reading).await,
            Walk::Children(children) => children.next(reading).await,
        };
        let step = step.map_err(|e| e.table(self.reading.table.name.as_str()))?;
        self.done = step.is_none();

        Ok(step)
    }

    /// Whether everything up to `until` was read.
    pub(crate) fn done(&self) -> bool {
        self.done && self.deletes.as_ref().is_none_or(|deletes| deletes.done)
    }

    /// Number of the slice under way.
    pub(crate) fn slice_number(&self) -> u64 {
        self.offset.seq + 1
    }

    /// What the user should know; once.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.reading.warnings);
        if let Some(deletes) = &mut self.deletes {
            let others = std::mem::take(&mut deletes.reading.warnings);
            warnings
                .extend(others.into_iter().filter(|w| !warnings.contains(w)).collect::<Vec<_>>());
        }

        warnings
    }

    /// Ends the drain at the cursors of `end` where they are earlier.
    pub(crate) fn end_at(&mut self, end: &Offset) -> Result<()> {
        self.lower_until(end.cursor.as_deref())?;
        if let (Some(deletes), Some(place)) = (&mut self.deletes, &end.deletes) {
            deletes.lower_until(place.cursor.as_deref())?;
            // The slice ended before it came to the rows.
            let Offset { cursor, pass, .. } = &self.offset;
            self.done |= (cursor, pass) == (&end.cursor, &end.pass);
        }

        Ok(())
    }

    fn lower_until(&mut self, end: Option<&str>) -> Result<()> {
        if let Some(end) = stored_cursor(&self.reading.table, end)? {
            self.reading.lower_until(&end);
        }

        Ok(())
    }

    /// Milliseconds from the order value reached to `until`; `None` if the order is not of time.
    pub(crate) fn lag_ms(&self) -> Option<u64> {
        let until = self.reading.until.as_ref()?.instant()?;
        if self.done() {
            return Some(0);
        }
        let reached = self.reading.reached.as_ref()?.instant()?;

        Some(u64::try_from((until.nanos() - reached.nanos()) / 1_000_000).unwrap_or(0))
    }

    /// Whether a slice is to move the offset though it has no rows: to the first place of a feed
    /// that the service keeps, and away from a place that has lived half its life.
    pub(crate) fn moves_without_rows(&self) -> bool {
        if self.deletes.as_ref().is_some_and(|deletes| deletes.moves_without_rows()) {
            return true;
        }
        let Progress::Token { life, .. } = self.reading.table.progress() else { return false };
        let Some(place) = &self.reading.pass else { return false };
        let Some(stored) = &self.offset.pass else { return self.offset.seq == 0 };
        let instant = |since: &Option<String>| since.as_deref().and_then(Instant::parse);

        matches!(
            (instant(&stored.since), instant(&place.since)),
            (Some(then), Some(now)) if (now.nanos() - then.nanos()).unsigned_abs() > life.as_nanos() / 2
        )
    }

    /// The offset after a slice, and the blob it names.
    pub(crate) fn advance(&mut self, slice_id: &str) -> Result<(String, Option<StateBlob>)> {
        let mut state = self.settle();
        self.offset.seq += 1;
        self.offset.by_split = false;
        self.offset.slice = Some(slice_id.to_owned());
        if let Some(deletes) = &mut self.deletes {
            state = state::join(state, deletes.settle());
            deletes.offset.seq = self.offset.seq;
            let Offset { cursor, ties, pass, .. } = deletes.offset.clone();
            self.offset.deletes = Some(DeletesPlace { cursor, ties, pass });
        }
        self.offset.state = state.as_ref().map(|s| s.hash.clone());

        Ok((self.offset.to_text()?, state))
    }

    /// Writes down where the feed stands; the blob of what does not fit.
    fn settle(&mut self) -> Option<StateBlob> {
        let reading = &self.reading;
        let lookback = reading.table.order().is_some_and(|o| !o.lookback.is_zero());
        let fits = place(&mut self.offset, reading);
        let needed = (lookback && reading.reached.is_some())
            || !fits
            || (reading.pass.is_some() && !reading.memory.seen.is_empty())
            || reading.memory.outlives_cursor();

        needed.then(|| state::encode(&reading.memory))
    }

    /// What a drain that ended without rows has found.
    pub(crate) fn idle(&self) -> Idle {
        let mut offset = self.offset.clone();
        place(&mut offset, &self.reading);

        let deletes = self.deletes.as_ref().map(|deletes| Box::new(deletes.idle()));

        Idle { offset, places: self.reading.memory.places.clone(), deletes }
    }
}

/// A cursor as an offset holds it.
fn stored_cursor(table: &Table, raw: Option<&str>) -> Result<Option<Cursor>> {
    let (Some(raw), Some(order)) = (raw, table.order()) else { return Ok(None) };

    Cursor::parse(order.kind, raw).map(Some).map_err(|e| {
        Error::offset_invalid(format!("the checkpoint's cursor: {}", e.message()))
            .table(table.name.as_str())
    })
}

/// Writes down where `reading` stands; whether all ties fit.
fn place(offset: &mut Offset, reading: &Reading) -> bool {
    offset.pass.clone_from(&reading.pass);
    offset.ties.clear();
    let Some(reached) = &reading.reached else { return true };
    offset.advance(reading.start.as_ref(), reached);
    let ties = reading.memory.seen.at(reached.comparable());
    let fits = ties.len() <= MAX_INLINE_TIES;
    if fits {
        offset.ties = ties;
    }

    fits
}

/// Takes in what is stored of the rows delivered before.
fn remember(
    reading: &mut Reading,
    table: &Table,
    offset: &Offset,
    state: Option<Bytes>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    match (&offset.state, state) {
        (Some(hash), Some(bytes)) => {
            return state::decode(&bytes, hash, &mut reading.memory);
        }
        (Some(hash), None) => {
            let lost = format!("the stored state {hash}, which the checkpoint names, is missing");
            let tolerant = !table.settings.flag("failOnDataLoss");
            if table.spec.ingestion == Ingestion::Append && !tolerant {
                return Err(Error::offset_invalid(format!(
                    "{lost}: rows would be delivered twice; use a new checkpoint, or \
                     failOnDataLoss=false to accept that"
                ))
                .table(table.name.as_str()));
            }
            warnings.push(format!("{lost}: rows of the lookback span are delivered again"));
        }
        (None, _) => {}
    }
    if let Some(start) = &reading.start {
        for tie in &offset.ties {
            reading.memory.seen.insert(start.comparable().clone(), *tie);
        }
    }

    Ok(())
}
