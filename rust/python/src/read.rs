//! Record batches, one after the other.

use crate::failure::{Failure, ended, stop};
use crate::{Given, as_options, as_schema};
use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use lakeflow_core::{Error, Metrics, Result};
use lakeflow_door::{
    Items, Mapping, Part, StoredBatches, Task, Wanted, batch, metrics, parse, runtime,
};
use lakeflow_engine::Split;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::{PyRecordBatch, PyRecordBatchReader, PySchema};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard};

/// A read under way: an iterator of record batches, and an Arrow stream of those that are left.
#[pyclass(frozen, module = "lakeflow_connect._native")]
pub(crate) struct Read(Arc<Reading>);

struct Reading {
    schema: SchemaRef,
    batches: Mutex<Batches>,
    metrics: Arc<Metrics>,
}

enum Batches {
    Live(Task<Item>),
    Stored(Box<StoredBatches>),
}

enum Item {
    Begin(SchemaRef, Arc<Metrics>),
    Batch(RecordBatch),
}

/// Begins to read one split of a table, or all of it, in the schema of Spark's JSON form if given.
#[pyfunction]
#[pyo3(signature = (options, wanted, split = None, schema = None))]
pub(crate) fn read(
    py: Python<'_>,
    options: Given,
    wanted: &str,
    split: Option<&str>,
    schema: Option<&str>,
) -> Result<Read, Failure> {
    let options = as_options(options);
    let wanted: Wanted = parse(wanted.as_bytes())?;
    let split = split.map(|json| Split::from_json(&parse::<Value>(json.as_bytes())?));
    let split = split.transpose()?.unwrap_or_default();
    let mapping = schema.map(as_schema).transpose()?.as_ref().map(Mapping::to).transpose()?;
    let work = async move |items: Arc<Items<Item>>| -> Result<()> {
        let mut reader = batch(&runtime::engine(), &options, wanted, &split).await?;
        let schema = mapping.as_ref().map_or_else(|| reader.schema(), Mapping::schema);
        items.send(Item::Begin(schema, reader.live_metrics())).await?;
        while let Some(batch) = reader.next().await? {
            let batch = mapping.as_ref().map_or(Ok(batch.clone()), |to| to.apply(&batch))?;
            items.send(Item::Batch(batch)).await?;
        }

        Ok(())
    };
    let task = Task::spawn(work)?;
    let Some(Item::Begin(schema, metrics)) = py.detach(|| task.wait(&stop))? else {
        return Err(Error::internal("a read began without its schema").into());
    };

    Ok(Read(Arc::new(Reading { schema, batches: Mutex::new(Batches::Live(task)), metrics })))
}

/// Reads a part of stored slices in the schema of Spark's JSON form.
#[pyfunction]
pub(crate) fn stored(part: Vec<u8>, schema: &str) -> Result<Read, Failure> {
    let mapping = Mapping::to(&as_schema(schema)?)?;
    let schema = mapping.schema();
    let batches = StoredBatches::open(Part::from_bytes(&part.into())?, mapping)?;
    let batches = Mutex::new(Batches::Stored(Box::new(batches)));

    Ok(Read(Arc::new(Reading { schema, batches, metrics: Arc::default() })))
}

#[pymethods]
impl Read {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<PyRecordBatch>, Failure> {
        Ok(py.detach(|| self.0.next())?.map(PyRecordBatch::new))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let schema = Bound::new(py, PySchema::new(self.0.schema.clone()))?;

        schema.call_method0("__arrow_c_schema__")
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // The interface lets a producer leave casts to whoever asks: they refuse values that do not
        // fit, where a cast here would make them null.
        drop(requested_schema);
        let reader = PyRecordBatchReader::new(Box::new(Rest(self.0.clone())));

        Bound::new(py, reader)?.call_method0("__arrow_c_stream__")
    }

    /// Counters up to now, and `waiting`: whether a request waits for the service's limit; as JSON.
    fn metrics(&self) -> String {
        let live = &self.0.metrics;
        let mut told = metrics(live.snapshot());
        told["waiting"] = live.is_waiting().into();

        told.to_string()
    }
}

impl Reading {
    fn next(&self) -> Result<Option<RecordBatch>, Failure> {
        // Batches that are ready come without a wait that would hear of Ctrl-C.
        stop()?;
        match &mut *lock(&self.batches) {
            Batches::Live(task) => match task.wait(&stop)? {
                Some(Item::Batch(batch)) => Ok(Some(batch)),
                Some(Item::Begin(..)) => Err(Error::internal("a read begins twice").into()),
                None => Ok(None),
            },
            Batches::Stored(batches) => Ok(batches.next_batch()?),
        }
    }
}

/// The batches that are left, for whoever takes Arrow streams.
struct Rest(Arc<Reading>);

impl Iterator for Rest {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = Python::try_attach(|py| py.detach(|| self.0.next()));
        let next = next.unwrap_or_else(|| Err(ended()));

        // Nothing but text gets through such a stream: whoever reads it raises an error of its own.
        next.map_err(|failure| ArrowError::ExternalError(Box::new(failure))).transpose()
    }
}

impl RecordBatchReader for Rest {
    fn schema(&self) -> SchemaRef {
        self.0.schema.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
