//! Batch reads: the whole table up to `until`, in bounded memory.

use crate::changes;
use crate::drain::{Drain, Start};
use crate::emit::Emitter;
use crate::filter::{Filter, Wanted};
use crate::split::{self, Split};
use crate::table::Table;
use crate::walk::Step;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use lakeflow_core::{Error, Metrics, MetricsSnapshot, Pushdown, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// Column of a capped read: whether the table has more rows than these.
pub(crate) const TRUNCATED: &str = "_truncated";

/// Reads a table from its beginning; `until` is pinned at the first call of [`next`](Self::next).
pub struct BatchReader {
    table: Arc<Table>,
    drain: Option<Drain>,
    emitter: Emitter,
    /// Rows that are still wanted.
    left: u64,
    /// What a capped read has ready, and its cap until then.
    capped: VecDeque<RecordBatch>,
    cap: Option<u64>,
    ended: bool,
    wanted: Wanted,
}

impl BatchReader {
    pub(crate) fn new(table: Arc<Table>, columns: Option<&[String]>) -> Result<Self> {
        if table.deletes.is_some() {
            return Err(Error::unsupported(format!(
                "option '{}' is for streams; a batch reads the rows without it, and the deletes \
                 with isDeleteFlow=true",
                changes::OPTION
            ))
            .table(table.name.as_str()));
        }
        let emitter = Emitter::new(table.decoder(columns)?, table.metrics.clone());
        // Who wants every column, or the fields that have none, gets what the service sends by itself.
        let known = &table.spec.schema;
        let some = |columns: &&[String]| {
            columns.len() < known.columns.len() && columns.iter().all(|c| known.column(c).is_some())
        };
        let columns = columns.filter(some).map(<[String]>::to_vec);
        let pushed = Pushdown { columns, ..Pushdown::default() };

        Ok(Self {
            table,
            drain: None,
            emitter,
            left: u64::MAX,
            capped: VecDeque::new(),
            cap: None,
            ended: false,
            wanted: Wanted { pushed, ..Wanted::default() },
        })
    }

    /// Ends the read once it has given this many rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.left = rows;
        self.wanted.pushed.limit = Some(rows);
        self
    }

    /// Asks for fewer rows where the service can leave out what the filters do; rows that they
    /// exclude may come all the same.
    pub fn filter(mut self, filters: &[Filter]) -> Self {
        self.wanted.narrow(&self.table, filters);
        self
    }

    /// Reads a part of the table only.
    ///
    /// # Errors
    /// [`Internal`](lakeflow_core::ErrorKind::Internal) if it was planned for another table.
    pub fn split(mut self, split: &Split) -> Result<Self> {
        split.narrow(&self.table, &mut self.wanted)?;
        Ok(self)
    }

    /// The parts in which `slots` tasks at once are to read this; one if it is small, limited, or
    /// cannot be split.
    ///
    /// # Errors
    /// What the source meets where it is asked for its beginning.
    pub fn plan(&self, slots: usize) -> impl Future<Output = Result<Vec<Split>>> + Send + use<> {
        let limited = self.cap.is_some() || self.wanted.pushed.limit.is_some();
        let (table, wanted) = (self.table.clone(), self.wanted.clone());

        async move {
            if limited {
                return Ok(vec![Split::default()]);
            }
            split::plan(&table, &wanted, slots).await
        }
    }

    /// Gives at most this many rows, held in memory, and says in column [`TRUNCATED`] whether the
    /// table has more.
    pub(crate) fn capped(mut self, rows: u64) -> Self {
        self.cap = Some(rows);
        self
    }

    /// Schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        self.emitter.schema()
    }

    /// Counters of this read.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.table.metrics.snapshot()
    }

    /// The same while the read goes on, for whoever watches it.
    pub fn live_metrics(&self) -> Arc<Metrics> {
        self.table.metrics.clone()
    }

    /// The next batch, about 10,000 rows or 8 MiB, or `None` at the end.
    ///
    /// # Errors
    /// Whatever the source meets, and
    /// [`DataInvalid`](lakeflow_core::ErrorKind::DataInvalid) for a value that does not fit.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(cap) = self.cap.take() {
            self.collect(cap).await?;
        }
        match self.capped.pop_front() {
            Some(batch) => Ok(Some(batch)),
            None => self.read().await,
        }
    }

    /// Reads the rows of a capped read, and one more to see whether there is one.
    async fn collect(&mut self, cap: u64) -> Result<()> {
        self.left = cap.saturating_add(1);
        let mut batches = Vec::new();
        while let Some(batch) = self.read().await? {
            batches.push(batch);
        }
        let truncated = self.left == 0;
        if truncated && let Some(last) = batches.pop() {
            batches.push(last.slice(0, last.num_rows().saturating_sub(1)));
        }
        self.capped = batches
            .into_iter()
            .filter(|batch| batch.num_rows() > 0)
            .map(|batch| mark(&batch, truncated))
            .collect::<Result<_>>()?;

        Ok(())
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>> {
        if self.ended || self.left == 0 {
            return Ok(None);
        }
        let mut drain = match self.drain.take() {
            Some(drain) => drain,
            None => {
                let start = Start { wanted: self.wanted.clone(), ..Start::default() };
                Drain::begin(self.table.clone(), start, false).await?
            }
        };
        while let Some(step) = drain.next().await? {
            let Step::Page(mut delivery) = step else { continue };
            if let Some(within) = &self.wanted.within {
                split::keep(within, &self.table, &mut delivery)?;
            }
            self.emitter.push(&delivery)?;
            if let Some(batch) = self.emitter.take() {
                self.drain = Some(drain);
                return Ok(Some(self.take(batch)));
            }
            if self.emitter.waiting() >= self.left {
                break;
            }
        }
        self.ended = true;
        if let Some(warning) = self.emitter.report() {
            tracing::warn!(table = self.table.name, warning, "read ended");
        }

        self.emitter.finish()?;

        Ok(self.emitter.take().map(|batch| self.take(batch)))
    }

    /// What is wanted of a batch.
    fn take(&mut self, batch: RecordBatch) -> RecordBatch {
        let rows = usize::try_from(self.left).unwrap_or(usize::MAX).min(batch.num_rows());
        self.left -= rows as u64;

        batch.slice(0, rows)
    }
}

/// Fills the column that says whether the read was cut, if it is wanted.
fn mark(batch: &RecordBatch, truncated: bool) -> Result<RecordBatch> {
    let Ok(index) = batch.schema().index_of(TRUNCATED) else { return Ok(batch.clone()) };
    let mut columns = batch.columns().to_vec();
    columns[index] = Arc::new(BooleanArray::from(vec![truncated; batch.num_rows()]));

    RecordBatch::try_new(batch.schema(), columns)
        .map_err(|e| Error::internal("a column cannot be filled").source(e))
}
