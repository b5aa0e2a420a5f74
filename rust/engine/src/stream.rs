//! Streams: slices of a drain, each with the offset at which it ends.
//!
//! A door that gives [`TableStream::read_ahead`] a task has the next slice of a drain read while its
//! host works on the last one.

use crate::changes;
use crate::drain::{Drain, Idle, Start};
use crate::emit::Emitter;
use crate::split::{self, Split};
use crate::state::StateBlob;
use crate::table::Table;
use crate::walk::Step;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use lakeflow_core::{Error, Instant, Metrics, MetricsSnapshot, Offset, Result};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// A stream of one feed; remembers the drain under way between slices. Cheap to clone.
#[derive(Clone)]
pub struct TableStream(Arc<Inner>);

struct Inner {
    table: Arc<Table>,
    state: Mutex<State>,
    /// The slice that was read ahead; locked while it is being read.
    ahead: tokio::sync::Mutex<Option<Ahead>>,
    slice_ended: Notify,
}

#[derive(Default)]
struct State {
    /// The drain under way and the slice that it goes on with.
    drain: Option<(Wanted, Drain)>,
    /// What a drain without rows has found, and the offset text that it began at.
    idle: Option<(String, Idle)>,
    /// The offset text of a stream that has caught up, and when it last looked at the service.
    caught_up: Option<(String, Instant)>,
    /// When an AvailableNow run first asked whether tasks are to read.
    began: Option<Instant>,
    /// Whether the one drain of an AvailableNow run has ended.
    single_drain_ended: bool,
    /// As of the last slice that was read.
    lag_ms: Option<u64>,
}

/// A slice read before it was asked for, or what the reading met.
struct Ahead {
    wanted: Wanted,
    reading: Result<Reading>,
}

/// What decides the rows of a slice within a drain.
#[derive(Clone, PartialEq)]
struct Wanted {
    start: String,
    limit: Option<u64>,
    single_drain: bool,
}

/// What a slice is asked for.
#[derive(Clone, Debug)]
pub struct SliceRequest {
    /// Fresh id that the end offset carries; the caller names its file by it.
    pub id: String,
    /// Offset text to go on from; `{}` is the beginning.
    pub start: String,
    /// The blob that the offset's `state` names, if it is still there.
    pub state: Option<Bytes>,
    /// Records after which the slice ends at the next safe point, as it does after the bytes of
    /// option `maxBytesPerTrigger`; `None`: all there is.
    pub limit: Option<u64>,
    /// One drain only (AvailableNow): once it has ended, every call returns its start.
    pub single_drain: bool,
}

/// How a slice ended.
#[derive(Clone, Debug)]
pub struct SliceEnd {
    /// Offset text; without rows that of the start. Only a feed whose place the service keeps moves
    /// without rows: to its first place, and away from one that grows old.
    pub offset: String,
    /// Rows of the slice.
    pub rows: u64,
    /// Blob that the offset names; to be stored before the offset is used.
    pub state: Option<StateBlob>,
    /// Milliseconds from the order value that was reached to the end of the drain, 0 once the drain
    /// has come there; `None` where the order is not one of time.
    pub lag_ms: Option<u64>,
    /// What the user should know, each in one line.
    pub warnings: Vec<String>,
    /// Counters of the stream up to this slice.
    pub metrics: MetricsSnapshot,
}

impl TableStream {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self(Arc::new(Inner {
            table,
            state: Mutex::default(),
            ahead: tokio::sync::Mutex::default(),
            slice_ended: Notify::new(),
        }))
    }

    /// Reads the next slice of the drain under way whenever one has ended, up to
    /// `maxPrefetchBytes`; it is given out when just that slice is asked for, else dropped. Never
    /// begins a drain. For a task that the door ends with the stream; returns only with
    /// `prefetch=false`.
    pub async fn read_ahead(&self) {
        let settings = &self.0.table.settings;
        let bytes = settings.integer("maxPrefetchBytes").and_then(|n| u64::try_from(n).ok());
        let (true, Some(bytes)) = (settings.flag("prefetch"), bytes) else { return };
        loop {
            self.0.slice_ended.notified().await;
            let mut ahead = self.0.ahead.lock().await;
            let Some((wanted, drain)) = self.0.state().drain.take_if(|(_, drain)| !drain.done())
            else {
                continue;
            };
            let reading = self.0.go_on(drain, wanted.limit);
            let reading = async { reading?.filled(bytes).await }.await;
            *ahead = Some(Ahead { wanted, reading });
        }
    }

    /// The next slice; does nothing until it is polled.
    pub fn slice(&self, request: SliceRequest) -> Slice {
        Slice { stream: self.clone(), request, upto: None, reading: None }
    }

    /// A slice that reads `(request.start, end]` once more, for a batch whose rows are lost.
    ///
    /// Exact as far as the order of the table tells: it ends at the first page past `end`.
    pub fn slice_again(&self, request: SliceRequest, end: String) -> Slice {
        Slice { stream: self.clone(), request, upto: Some(end), reading: None }
    }

    /// Checks that both offsets are this stream's and that `end` does not lie before `start`.
    ///
    /// # Errors
    /// [`OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid), naming what differs, or both
    /// places.
    pub fn check_range(&self, start: &str, end: &str) -> Result<()> {
        let table = &self.0.table;
        let mut warnings = Vec::new();
        let from = table.accept(start, &mut warnings)?;
        let to = table.accept(end, &mut warnings)?;
        // Slices count up from 1; offsets of other makers, which have no number, come before.
        let number = |offset: &Option<Offset>| offset.as_ref().map_or(0, |offset| 1 + offset.seq);
        let (before, after) = (number(&from), number(&to));
        if start == end || before < after || (before == after && after == 1) {
            return Ok(());
        }

        Err(Error::offset_invalid(format!(
            "the batch ends at {}, which does not come after its start at {}: the checkpoint's log \
             of offsets was mixed from two runs; restore all of it, or use a new checkpoint",
            place(&to),
            place(&from)
        ))
        .table(table.name.as_str()))
    }

    /// The end of the next micro-batch from offset text `start`, if tasks are to read it; `None`: it
    /// is to be a slice. With `single_drain` (AvailableNow) none ends after the first call.
    ///
    /// # Errors
    /// [`OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid) for an offset of another stream;
    /// what the source meets where it is asked for its beginning.
    pub async fn leap(&self, start: &str, single_drain: bool) -> Result<Option<String>> {
        let table = &self.0.table;
        let offset = table.accept(start, &mut Vec::new())?;
        let now = {
            let mut state = self.0.state();
            if (single_drain && state.single_drain_ended)
                || self.0.rests(&state, start, single_drain)
            {
                return Ok(None);
            }
            let now = table.clock.now();
            if single_drain { *state.began.get_or_insert(now) } else { now }
        };
        let offset = split::leap(table, offset, now).await?;

        offset.map(|offset| offset.to_text()).transpose()
    }

    /// What `slots` tasks at once are to read of a micro-batch that [`leap`](Self::leap) has ended.
    ///
    /// # Errors
    /// As [`leap`](Self::leap).
    pub async fn splits(&self, start: &str, end: &str, slots: usize) -> Result<Vec<Split>> {
        let table = &self.0.table;
        let start = table.accept(start, &mut Vec::new())?;
        let end = table.accept(end, &mut Vec::new())?;
        let end = end.ok_or_else(|| Error::offset_invalid("a micro-batch ends at no offset"))?;

        split::replan(table, start.as_ref(), &end, slots).await
    }

    /// Records of a slice unless the caller wants another number.
    pub fn default_limit(&self) -> u64 {
        let cap = self.0.table.settings.integer("max_records_per_batch");
        cap.and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX)
    }

    /// Counters of all slices so far.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.0.table.metrics.snapshot()
    }

    /// The same while slices are read, for whoever watches them.
    pub fn live_metrics(&self) -> Arc<Metrics> {
        self.0.table.metrics.clone()
    }
}

impl Inner {
    /// Whether the stream has caught up at `start`, too short a time ago to look again.
    fn rests(&self, state: &State, start: &str, single_drain: bool) -> bool {
        let (Some(pause), Some((at, looked))) =
            (self.table.settings.seconds("minPollInterval"), &state.caught_up)
        else {
            return false;
        };
        let since = self.table.clock.now().nanos() - looked.nanos();

        // A clock that was set back says nothing of how long ago that was.
        !single_drain
            && at == start
            && u128::try_from(since).is_ok_and(|since| since < pause.as_nanos())
    }

    /// A slice of at most `limit` records of a drain; the drain's next one.
    fn go_on(&self, drain: Drain, limit: Option<u64>) -> Result<Reading> {
        let ended = drain.done();
        let slice = self.empty(limit, drain.slice_number())?;

        Ok(Reading { looks: !ended, ended, drain: Some(drain), ..slice })
    }

    /// A slice without a drain, which stays empty.
    fn empty(&self, limit: Option<u64>, number: u64) -> Result<Reading> {
        let table = &self.table;
        let bytes = table.settings.integer("maxBytesPerTrigger");
        let bytes = limit.and(bytes).and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX);
        let emitter = Emitter::new(table.decoder(None)?, table.metrics.clone());
        let (emitter, max_bytes) = match table.deletes {
            Some(_) => (emitter.of_changes(table, number)?, bytes.min(changes::MAX_BYTES)),
            None => (emitter, bytes),
        };
        let max_rows = limit.unwrap_or(u64::MAX);

        Ok(Reading { drain: None, looks: false, emitter, max_rows, max_bytes, ended: true })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// An offset in words.
fn place(offset: &Option<Offset>) -> String {
    let Some(offset) = offset else { return "the beginning".to_owned() };
    let cursor = offset.cursor.as_ref().map(|cursor| format!(" (cursor '{cursor}')"));

    format!("slice {}{}", offset.seq, cursor.unwrap_or_default())
}

/// One slice being read. Dropped half-way, it leaves nothing behind: the next one begins a drain.
pub struct Slice {
    stream: TableStream,
    request: SliceRequest,
    /// Offset text past which nothing is wanted.
    upto: Option<String>,
    reading: Option<Reading>,
}

struct Reading {
    drain: Option<Drain>,
    /// Whether the service is asked at all.
    looks: bool,
    emitter: Emitter,
    /// Where the slice ends: at the first safe point at or after either.
    max_rows: u64,
    max_bytes: u64,
    /// Whether there is nothing more to read.
    ended: bool,
}

impl Slice {
    /// Schema of every batch.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn schema(&mut self) -> Result<SchemaRef> {
        Ok(self.reading().await?.emitter.schema())
    }

    /// The next batch, about 10,000 rows or 8 MiB, or `None` at the end of the slice.
    ///
    /// # Errors
    /// [`OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid) for an offset of another feed;
    /// whatever the source meets;
    /// [`DataInvalid`](lakeflow_core::ErrorKind::DataInvalid) for a value that does not fit.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.reading().await?.next().await
    }

    /// Ends the slice after its last batch.
    ///
    /// # Errors
    /// [`Internal`](lakeflow_core::ErrorKind::Internal) if there are batches left.
    pub fn end(self) -> Result<SliceEnd> {
        let Some(reading) = self.reading.filter(|r| r.ended && r.emitter.is_empty()) else {
            return Err(Error::internal("a slice was ended before its last batch"));
        };
        let Reading { drain, looks, emitter, .. } = reading;
        let stream = &self.stream.0;
        let mut end = SliceEnd {
            offset: self.request.start,
            rows: emitter.rows,
            state: None,
            lag_ms: None,
            warnings: emitter.report().into_iter().collect(),
            metrics: stream.table.metrics.snapshot(),
        };
        let mut state = stream.state();
        let Some(mut drain) = drain else {
            end.lag_ms = state.lag_ms;
            return Ok(end);
        };
        end.warnings.append(&mut drain.take_warnings());
        end.lag_ms = drain.lag_ms();
        state.lag_ms = end.lag_ms;
        let caught_up = drain.done();
        if end.rows > 0 || drain.moves_without_rows() {
            (end.offset, end.state) = drain.advance(&self.request.id)?;
            let SliceRequest { limit, single_drain, .. } = self.request;
            let next = Wanted { start: end.offset.clone(), limit, single_drain };
            state.drain = Some((next, drain));
            // Who wants all in one slice asks for no other one.
            if limit.is_some() {
                stream.slice_ended.notify_one();
            }
        } else {
            state.idle = Some((end.offset.clone(), drain.idle()));
            state.single_drain_ended |= self.request.single_drain;
        }
        if looks {
            let now = stream.table.clock.now();
            state.caught_up = caught_up.then(|| (end.offset.clone(), now));
        }

        Ok(end)
    }

    async fn reading(&mut self) -> Result<&mut Reading> {
        if self.reading.is_none() {
            let upto = self.upto.as_deref();
            self.reading = Some(Reading::begin(&self.stream.0, &self.request, upto).await?);
        }

        self.reading.as_mut().ok_or_else(|| Error::internal("a slice without a reading"))
    }
}

impl Reading {
    /// What was read ahead if it is what is asked for; else goes on with the drain under way if it
    /// stands at the start, else begins one.
    async fn begin(stream: &Inner, request: &SliceRequest, upto: Option<&str>) -> Result<Self> {
        let SliceRequest { start, limit, single_drain, .. } = request;
        let mut ahead = stream.ahead.lock().await;
        if let Some(Ahead { wanted, reading }) = ahead.take()
            && upto.is_none()
            && wanted
                == (Wanted { start: start.clone(), limit: *limit, single_drain: *single_drain })
        {
            return reading;
        }
        let (under_way, idle) = {
            let mut state = stream.state();
            let under_way = state.drain.take().filter(|(next, _)| next.start == *start);
            let ended = *single_drain && state.single_drain_ended;
            if ended || (under_way.is_none() && stream.rests(&state, start, *single_drain)) {
                return stream.empty(*limit, 0);
            }
            let idle = state.idle.take().filter(|(at, _)| at == start);
            (under_way, idle.map(|(_, idle)| idle))
        };
        drop(ahead);
        if let Some((_, drain)) = under_way {
            return stream.go_on(drain, *limit);
        }
        let table = &stream.table;
        let mut warnings = Vec::new();
        let offset = table.accept(start, &mut warnings)?;
        let state = request.state.clone();
        let start = Start { offset, state, idle, warnings, ..Start::default() };
        let mut drain = Drain::begin(table.clone(), start, true).await?;
        let end = upto.map(|end| table.accept(end, &mut Vec::new())).transpose()?.flatten();
        if let Some(end) = &end {
            drain.end_at(end)?;
        }

        Ok(Self { looks: true, ..stream.go_on(drain, *limit)? })
    }

    /// The next batch, or `None` at the end of the slice.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.emitter.is_empty() && !self.ended {
            self.read().await?;
        }

        Ok(self.emitter.take())
    }

    /// Reads until another batch is full, or to the end of the slice.
    async fn read(&mut self) -> Result<()> {
        let Some(drain) = self.drain.as_mut().filter(|_| !self.ended) else { return Ok(()) };
        let emitter = &mut self.emitter;
        let before = emitter.full;
        while let Some(step) = drain.next().await? {
            let safe = match step {
                Step::Page(delivery) => {
                    emitter.push(&delivery)?;
                    delivery.safe
                }
                Step::Safe => true,
            };
            if safe && (emitter.rows >= self.max_rows || emitter.bytes() >= self.max_bytes) {
                break;
            }
            if emitter.full > before {
                return Ok(());
            }
        }
        self.ended = true;

        emitter.finish()
    }

    /// Reads on to the end of the slice, or until so many bytes are ready.
    async fn filled(mut self, bytes: u64) -> Result<Self> {
        while self.emitter.full < bytes && !self.ended {
            self.read().await?;
        }

        Ok(self)
    }
}
