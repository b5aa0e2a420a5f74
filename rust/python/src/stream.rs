//! The driver's side of a stream.

use crate::failure::{Failure, stop};
use crate::{Given, as_options, as_schema};
use lakeflow_door::{StoredStream, as_json, metrics, runtime};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;
use std::path::PathBuf;

/// A stream whose slices lie in a store.
#[pyclass(frozen, module = "lakeflow_connect._native")]
pub(crate) struct Stream(StoredStream);

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (options, store = None, schema = None))]
    fn new(
        py: Python<'_>,
        options: Given,
        store: Option<PathBuf>,
        schema: Option<&str>,
    ) -> Result<Self, Failure> {
        let (options, schema) = (as_options(options), schema.map(as_schema).transpose()?);

        py.detach(|| {
            StoredStream::open(&runtime::engine(), options, store.as_deref(), schema, &stop)
        })
        .map(Self)
    }

    fn default_limit(&self) -> u64 {
        self.0.default_limit()
    }

    /// `{"offset", "rows", "lag_ms", "warnings", "metrics"}` of the next slice, as JSON.
    fn latest(
        &self,
        py: Python<'_>,
        start: &str,
        rows: Option<u64>,
        single_drain: bool,
    ) -> Result<String, Failure> {
        let end = py.detach(|| self.0.latest(start, rows, single_drain, &stop))?;
        let told = json!({
            "offset": end.offset,
            "rows": end.rows,
            "lag_ms": end.lag_ms,
            "warnings": end.warnings,
            "metrics": metrics(end.metrics),
        });

        Ok(told.to_string())
    }

    fn splits(
        &self,
        py: Python<'_>,
        start: &str,
        end: &str,
        slots: usize,
    ) -> Result<Option<Vec<String>>, Failure> {
        let splits = py.detach(|| self.0.splits(start, end, slots, &stop))?;

        Ok(splits.map(|splits| as_json(&splits).iter().map(ToString::to_string).collect()))
    }

    fn parts<'py>(
        &self,
        py: Python<'py>,
        start: &str,
        end: &str,
        tasks: usize,
    ) -> Result<Vec<Bound<'py, PyBytes>>, Failure> {
        let parts = py.detach(|| {
            let parts = self.0.parts(start, end, tasks, &stop)?;
            let parts = parts.iter().map(|part| part.to_bytes());
            parts.collect::<lakeflow_core::Result<Vec<_>>>().map_err(Failure::from)
        })?;

        Ok(parts.iter().map(|part| PyBytes::new(py, part)).collect())
    }

    fn close(&self) {
        self.0.close();
    }

    fn commit(&self, py: Python<'_>, end: &str) -> Result<(), Failure> {
        Ok(py.detach(|| self.0.commit(end))?)
    }
}
