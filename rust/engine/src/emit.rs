//! Pages to Arrow batches of a size that suits Spark.

use crate::walk::Delivery;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lakeflow_arrow::Decoder;
use lakeflow_core::{Metrics, Result};
use std::sync::Arc;

/// Rows after which a batch is handed over.
const BATCH_ROWS: usize = 10_000;
/// Bytes after which a batch is handed over.
const BATCH_BYTES: usize = 8 << 20;

/// Collects delivered rows of many pages into batches.
pub(crate) struct Emitter {
    decoder: Decoder,
    metrics: Arc<Metrics>,
    /// Rows taken in.
    pub(crate) rows: u64,
    /// Bytes of the batches handed over.
    pub(crate) handed_over: u64,
}

impl Emitter {
    pub(crate) fn new(decoder: Decoder, metrics: Arc<Metrics>) -> Self {
        Self { decoder, metrics, rows: 0, handed_over: 0 }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.decoder.schema()
    }

    /// Decodes the rows of one page; a batch if enough have come together.
    pub(crate) fn push(&mut self, delivery: &Delivery) -> Result<Option<RecordBatch>> {
        let Delivery { page, selection, first_record, .. } = delivery;
        if !selection.is_empty() {
            self.decoder.append(&page.records, &page.scan, selection, *first_record)?;
            self.rows += selection.len() as u64;
            self.metrics.records(selection.len() as u64);
        }
        if self.decoder.rows() >= BATCH_ROWS || self.decoder.bytes() >= BATCH_BYTES {
            return self.finish();
        }

        Ok(None)
    }

    /// Rows taken in that no batch has given yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.decoder.rows() as u64
    }

    /// Arrow bytes of the rows taken in, uncompressed.
    pub(crate) fn bytes(&self) -> u64 {
        self.handed_over + self.decoder.bytes() as u64
    }

    /// What is left.
    pub(crate) fn flush(&mut self) -> Result<Option<RecordBatch>> {
        if self.decoder.rows() == 0 {
            return Ok(None);
        }

        self.finish()
    }

    fn finish(&mut self) -> Result<Option<RecordBatch>> {
        self.handed_over = self.bytes();

        self.decoder.finish().map(Some)
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
