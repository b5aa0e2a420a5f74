//! Batch reads: the whole table up to `until`, in bounded memory.

use crate::drain::{Drain, Start};
use crate::emit::Emitter;
use crate::table::Table;
use crate::walk::Step;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lakeflow_core::{MetricsSnapshot, Result};
use std::sync::Arc;

/// Reads a table from its beginning; `until` is pinned at the first call of [`next`](Self::next).
pub struct BatchReader {
    table: Arc<Table>,
    drain: Option<Drain>,
    emitter: Emitter,
    ended: bool,
}

impl BatchReader {
    pub(crate) fn new(table: Arc<Table>, columns: Option<&[String]>) -> Result<Self> {
        let emitter = Emitter::new(table.decoder(columns)?, table.metrics.clone());

        Ok(Self { table, drain: None, emitter, ended: false })
    }

    /// Schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        self.emitter.schema()
    }

    /// Counters of this read.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.table.metrics.snapshot()
    }

    /// The next batch, about 10,000 rows or 8 MiB, or `None` at the end.
    ///
    /// # Errors
    /// Whatever the source meets, and
    /// [`DataInvalid`](lakeflow_core::ErrorKind::DataInvalid) for a value that does not fit.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.ended {
            return Ok(None);
        }
        let mut drain = match self.drain.take() {
            Some(drain) => drain,
            None => Drain::begin(self.table.clone(), Start::default(), false).await?,
        };
        while let Some(step) = drain.next().await? {
            let Step::Page(delivery) = step else { continue };
            if let Some(batch) = self.emitter.push(&delivery)? {
                self.drain = Some(drain);
                return Ok(Some(batch));
            }
        }
        self.ended = true;
        if let Some(warning) = self.emitter.report() {
            tracing::warn!(table = self.table.name, warning, "read ended");
        }

        self.emitter.flush()
    }
}
