//! Streams: slices of a drain, each with the offset at which it ends.

use crate::drain::{Drain, Idle, Start};
use crate::emit::Emitter;
use crate::state::StateBlob;
use crate::table::Table;
use crate::walk::Step;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use lakeflow_core::{Error, MetricsSnapshot, Result};
use std::sync::{Arc, Mutex, MutexGuard};

/// A stream of one feed; remembers the drain under way between slices. Cheap to clone.
#[derive(Clone)]
pub struct TableStream(Arc<Inner>);

struct Inner {
    table: Arc<Table>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The drain under way and the offset text at which its next slice starts.
    drain: Option<(String, Drain)>,
    /// What a drain without rows has found, and the offset text that it began at.
    idle: Option<(String, Idle)>,
    /// Whether the one drain of an AvailableNow run has ended.
    single_drain_ended: bool,
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
    /// Records after which the slice ends at the next safe point; `None`: all there is.
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
    /// What the user should know, each in one line.
    pub warnings: Vec<String>,
}

impl TableStream {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self(Arc::new(Inner { table, state: Mutex::default() }))
    }

    /// The next slice; does nothing until it is polled.
    pub fn slice(&self, request: SliceRequest) -> Slice {
        Slice { stream: self.clone(), request, reading: None }
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
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// One slice being read. Dropped half-way, it leaves nothing behind: the next one begins a drain.
pub struct Slice {
    stream: TableStream,
    request: SliceRequest,
    reading: Option<Reading>,
}

struct Reading {
    drain: Option<Drain>,
    emitter: Emitter,
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
        let limit = self.request.limit.unwrap_or(u64::MAX);
        let reading = self.reading().await?;
        let Some(drain) = reading.drain.as_mut().filter(|_| !reading.ended) else {
            return Ok(None);
        };
        while let Some(step) = drain.next().await? {
            let (safe, batch) = match step {
                Step::Page(delivery) => (delivery.safe, reading.emitter.push(&delivery)?),
                Step::Safe => (true, None),
            };
            reading.ended = safe && reading.emitter.rows >= limit;
            if batch.is_some() {
                return Ok(batch);
            }
            if reading.ended {
                break;
            }
        }
        reading.ended = true;

        reading.emitter.flush()
    }

    /// Ends the slice after its last batch.
    ///
    /// # Errors
    /// [`Internal`](lakeflow_core::ErrorKind::Internal) if there are batches left.
    pub fn end(self) -> Result<SliceEnd> {
        let Some(Reading { drain, emitter, ended: true }) = self.reading else {
            return Err(Error::internal("a slice was ended before its last batch"));
        };
        let mut end = SliceEnd {
            offset: self.request.start,
            rows: emitter.rows,
            state: None,
            warnings: emitter.report().into_iter().collect(),
        };
        let Some(mut drain) = drain else { return Ok(end) };
        end.warnings.append(&mut drain.reading.warnings);
        let mut state = self.stream.0.state();
        if end.rows > 0 || drain.moves_without_rows() {
            (end.offset, end.state) = drain.advance(&self.request.id)?;
            state.drain = Some((end.offset.clone(), drain));
        } else {
            state.idle = Some((end.offset.clone(), drain.idle()));
            state.single_drain_ended |= self.request.single_drain;
        }

        Ok(end)
    }

    async fn reading(&mut self) -> Result<&mut Reading> {
        if self.reading.is_none() {
            let reading = Reading::begin(&self.stream.0, &self.request).await?;
            self.reading = Some(reading);
        }

        self.reading.as_mut().ok_or_else(|| Error::internal("a slice without a reading"))
    }
}

impl Reading {
    /// Goes on with the drain under way if it stands at the start, else begins one.
    async fn begin(stream: &Inner, request: &SliceRequest) -> Result<Self> {
        let table = &stream.table;
        let emitter = Emitter::new(table.decoder(None)?, table.metrics.clone());
        let (under_way, idle, single_drain_ended) = {
            let mut state = stream.state();
            (state.drain.take(), state.idle.take(), state.single_drain_ended)
        };
        if request.single_drain && single_drain_ended {
            return Ok(Self { drain: None, emitter, ended: true });
        }
        let drain = match under_way {
            Some((at, drain)) if at == request.start => drain,
            _ => {
                let mut warnings = Vec::new();
                let offset = table.accept(&request.start, &mut warnings)?;
                let idle = idle.filter(|(at, _)| *at == request.start).map(|(_, idle)| idle);
                let state = request.state.clone();
                let start = Start { offset, state, idle, warnings, ..Start::default() };
                Drain::begin(table.clone(), start, true).await?
            }
        };

        Ok(Self { ended: drain.done(), drain: Some(drain), emitter })
    }
}
