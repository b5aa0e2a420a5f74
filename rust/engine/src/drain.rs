//! A drain: from a start offset to an `until` pinned when it began.

use crate::ascending::Ascending;
use crate::engine::random_bits;
use crate::one_pass::{OnePass, Snapshot};
use crate::state::{self, StateBlob};
use crate::table::Table;
use crate::walk::{Delivery, Reading, Step};
use crate::windows::Windows;
use bytes::Bytes;
use lakeflow_core::{Cursor, Error, Ingestion, Offset, Progress, Result};
use std::sync::Arc;

/// Ties that an offset holds itself; more of them go into the state blob.
const MAX_INLINE_TIES: usize = 256;

enum Walk {
    Snapshot(Snapshot),
    Ascending(Ascending),
    Windows(Windows),
    OnePass(OnePass),
    /// Nothing to read.
    Empty,
}

/// Reads a feed from an offset up to `until`.
pub(crate) struct Drain {
    pub(crate) reading: Reading,
    walk: Walk,
    done: bool,
    /// The offset reached: that of the drain's start, or of its last slice with rows.
    offset: Offset,
}

impl Drain {
    /// Pins `until`, applies lookback and finds the first lower bound; sends at most one request.
    ///
    /// `state` is the blob that `start` names. `streaming`: rows must be deliverable exactly once.
    pub(crate) async fn begin(
        table: Arc<Table>,
        start: Option<Offset>,
        state: Option<Bytes>,
        streaming: bool,
        mut warnings: Vec<String>,
    ) -> Result<Self> {
        let mut offset = start.unwrap_or_else(|| {
            let mut offset = Offset::beginning(table.source, &*table.name, table.feed);
            offset.scope.clone_from(&table.scope);
            offset
        });
        let salt = *offset.salt.get_or_insert_with(random_bits);
        let cursor = match (&offset.cursor, table.order()) {
            (Some(raw), Some(order)) => Some(Cursor::parse(order.kind, raw).map_err(|e| {
                Error::offset_invalid(format!("the checkpoint's cursor: {}", e.message()))
                    .table(table.name.as_str())
            })?),
            _ => None,
        };
        let mut reading = Reading::new(table.clone(), cursor.clone(), salt, streaming);
        remember(&mut reading, &offset, state, &mut warnings)?;
        reading.warnings = warnings;
        let walk = walk(&reading, cursor).await?;

        Ok(Self { reading, done: matches!(walk, Walk::Empty), walk, offset })
    }

    /// The next page or safe point, or `None` when the drain has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Step>> {
        if self.done {
            return Ok(None);
        }
        let reading = &mut self.reading;
        let page = |delivery: Option<Delivery>| delivery.map(Step::Page);
        let step = match &mut self.walk {
            Walk::Snapshot(walk) => walk.next(reading).await,
            Walk::Ascending(walk) => walk.next(reading).await.map(page),
            Walk::Windows(walk) => walk.next(reading).await,
            Walk::OnePass(walk) => walk.next(reading).await,
            Walk::Empty => Ok(None),
        };
        let step = step.map_err(|e| e.table(self.reading.table.name.as_str()))?;
        self.done = step.is_none();

        Ok(step)
    }

    /// Whether everything up to `until` was read.
    pub(crate) fn done(&self) -> bool {
        self.done
    }

    /// The offset after a slice that had rows, and the blob it names.
    pub(crate) fn advance(&mut self, slice_id: &str) -> Result<(String, Option<StateBlob>)> {
        let lookback = self.reading.table.order().is_some_and(|o| !o.lookback.is_zero());
        let mut state = None;
        self.offset.seq += 1;
        self.offset.slice = Some(slice_id.to_owned());
        self.offset.ties.clear();
        if let Some(reached) = &self.reading.reached {
            self.offset.advance(self.reading.start.as_ref(), reached);
            let ties = self.reading.seen.at(reached.comparable());
            let fits = ties.len() <= MAX_INLINE_TIES;
            state = (lookback || !fits).then(|| state::encode(&self.reading.seen));
            self.offset.ties = if fits { ties } else { Vec::new() };
        }
        self.offset.state = state.as_ref().map(|s| s.hash.clone());

        Ok((self.offset.to_text()?, state))
    }
}

/// Takes in what is stored of the rows delivered before.
fn remember(
    reading: &mut Reading,
    offset: &Offset,
    state: Option<Bytes>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    match (&offset.state, state) {
        (Some(hash), Some(bytes)) => return state::decode(&bytes, hash, &mut reading.seen),
        (Some(hash), None) => {
            let table = &reading.table;
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
    let start = reading.start.as_ref().map(|c| c.comparable().clone());
    for tie in &offset.ties {
        reading.seen.insert(start.clone(), *tie);
    }

    Ok(())
}

/// Chooses the walk and its lower bound.
async fn walk(reading: &Reading, cursor: Option<Cursor>) -> Result<Walk> {
    let table = &reading.table;
    let Some(order) = table.order() else {
        return match table.progress() {
            Progress::Snapshot => Ok(Walk::Snapshot(Snapshot::default())),
            Progress::Children { .. } => Err(not_yet(table, "below changed parents")),
            _ => Err(not_yet(table, "by a token of the service")),
        };
    };
    let mut from = match cursor {
        Some(cursor) => Some(cursor.minus_nanos(order.lookback.as_nanos(), order.step)),
        None => table.start_option(order)?,
    };
    if let (None, Progress::Windows { .. }) = (&from, table.progress()) {
        let Some(oldest) = table.connector.oldest(&table.request(None, None)).await? else {
            return Ok(Walk::Empty);
        };
        from = Some(oldest);
    }
    if matches!((&from, &reading.until), (Some(from), Some(until)) if from > until) {
        return Ok(Walk::Empty);
    }

    Ok(match table.progress() {
        Progress::Ascending { restart_pages, .. } => {
            Walk::Ascending(Ascending::new(*restart_pages, order.step, from, None))
        }
        Progress::Windows { window, sorted, .. } => {
            let cap = table.settings.integer("max_records_per_batch").unwrap_or(i64::MAX);
            let cap = u64::try_from(cap).unwrap_or(u64::MAX);
            Walk::Windows(Windows::new(from, order, *window, *sorted, cap))
        }
        Progress::OnePass { .. } => Walk::OnePass(OnePass::new(from)),
        Progress::Descending { .. } => return Err(not_yet(table, "newest first")),
        Progress::Token { .. } => return Err(not_yet(table, "by a token of the service")),
        Progress::Snapshot | Progress::Children { .. } => Walk::Snapshot(Snapshot::default()),
    })
}

fn not_yet(table: &Table, how: &str) -> Error {
    Error::unsupported(format!("tables that are read {how} are not supported by this version"))
        .table(table.name.as_str())
}
