//! Pages to Arrow batches of a size that suits Spark.

use crate::changes::Changes;
use crate::table::Table;
use crate::walk::Delivery;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lakeflow_arrow::Decoder;
use lakeflow_core::{Metrics, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows after which a batch is handed over.
pub(crate) const BATCH_ROWS: usize = 10_000;
/// Bytes after which a batch is handed over.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// Collects delivered rows of many pages into batches.
pub(crate) struct Emitter {
    decoder: Decoder,
    metrics: Arc<Metrics>,
    /// Rows taken in.
    pub(crate) rows: u64,
    /// Bytes of the batches that are full.
    pub(crate) full: u64,
    ready: VecDeque<RecordBatch>,
    /// Upserts and deletes that are sorted when all of them are there.
    changes: Option<Changes>,
}

impl Emitter {
    pub(crate) fn new(decoder: Decoder, metrics: Arc<Metrics>) -> Self {
        Self { decoder, metrics, rows: 0, full: 0, ready: VecDeque::new(), changes: None }
    }

    /// Gives the columns of a change feed too, and all rows at the end, sorted.
    pub(crate) fn of_changes(mut self, table: &Table, slice: u64) -> Result<Self> {
        self.changes = Some(Changes::new(table, &self.decoder.schema(), slice)?);

        Ok(self)
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        match &self.changes {
            Some(changes) => changes.schema(),
            None => self.decoder.schema(),
        }
    }

    /// Decodes the rows of one page.
    pub(crate) fn push(&mut self, delivery: &Delivery) -> Result<()> {
        let Delivery { page, selection, first_record, .. } = delivery;
        if !selection.is_empty() {
            self.decoder.append(&page.records, &page.scan, selection, *first_record)?;
            self.rows += selection.len() as u64;
            self.metrics.records(selection.len() as u64);
            if let Some(changes) = &mut self.changes {
                changes.note(page.feed, selection.len());
            }
        }
        if self.decoder.rows() >= BATCH_ROWS || self.decoder.bytes() >= BATCH_BYTES {
            self.fill()?;
        }

        Ok(())
    }

    /// Rows taken in that no batch has given yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.decoder.rows() as u64
    }

    /// Arrow bytes of the rows taken in, uncompressed.
    pub(crate) fn bytes(&self) -> u64 {
        self.full + self.decoder.bytes() as u64
    }

    /// Whether no batch is ready.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// The next batch that is ready.
    pub(crate) fn take(&mut self) -> Option<RecordBatch> {
        self.ready.pop_front()
    }

    /// Makes ready what is left: nothing more comes.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if self.decoder.rows() > 0 {
            self.fill()?;
        }
        if let Some(changes) = &mut self.changes {
            self.ready = changes.sorted()?;
        }

        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.full = self.bytes();
        let batch = self.decoder.finish()?;
        match &mut self.changes {
            Some(changes) => changes.keep(batch),
            None => self.ready.push_back(batch),
        }

        Ok(())
    }

    /// One warning about fields that the schema does not know, and the counters.
    pub(crate) fn report(&self) -> Option<String> {
        let report = self.decoder.report();
        self.metrics.nulled(report.nulled);
        self.metrics.unknown_fields(report.unknown_fields);
        let names: Vec<&str> = report.unknown_names.keys().map(String::as_str).collect();

        (!names.is_empty()).then(|| {
            format!(
                "{} values of fields that the schema does not know were left out: {}",
                report.unknown_fields,
                names.join(", ")
            )
        })
    }
}
