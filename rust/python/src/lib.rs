//! The native half of the Python package `lakeflow_connect`: options in as text, Arrow out.
//!
//! Every wait is outside the interpreter's lock and looks for signals several times a second, so
//! Ctrl-C ends it. What Python code says of a table, an offset or a split is JSON of the engine's
//! making; nothing here decides what is read.

mod failure;
mod read;
mod stream;

use failure::{Failure, stop};
use lakeflow_core::{Options, Result, TableSchema};
use lakeflow_door::{
    Mapping, Place, Wanted, answer, describe, parse, plan, require_readable, resolve, runtime,
};
use pyo3::prelude::*;
use pyo3_arrow::PySchema;
use std::collections::BTreeMap;

/// Options as Python has them.
type Given = BTreeMap<String, String>;

/// See `_native.pyi`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::{arrow_schema, contents, described, left_out, planned, resolved, sources};

    #[pymodule_export]
    use super::read::{Read, read, stored};

    #[pymodule_export]
    use super::stream::Stream;
}

#[pyfunction]
fn sources() -> Vec<&'static str> {
    runtime::engine().source_names()
}

#[pyfunction]
fn resolved(options: Given) -> Result<Given, Failure> {
    Ok(resolve(&as_options(options), &[], Place::Session)?)
}

#[pyfunction]
#[pyo3(signature = (options, outline = false))]
fn described(py: Python<'_>, options: Given, outline: bool) -> Result<String, Failure> {
    let options = as_options(options);
    let work = async move { describe(&runtime::engine(), &options, outline).await };

    py.detach(|| answer(work, &stop)).map(|table| table.to_json().to_string())
}

#[pyfunction]
fn contents(py: Python<'_>, options: Given, namespace: Vec<String>) -> Result<String, Failure> {
    let options = as_options(options);
    let work = async move { runtime::engine().contents(&options, &namespace).await };

    py.detach(|| answer(work, &stop)).map(|contents| contents.to_json().to_string())
}

#[pyfunction]
fn planned(
    py: Python<'_>,
    options: Given,
    wanted: &str,
    slots: usize,
) -> Result<Vec<String>, Failure> {
    let (options, wanted) = (as_options(options), parse::<Wanted>(wanted.as_bytes())?);
    let work = async move { plan(&runtime::engine(), &options, wanted, slots).await };
    let plan = py.detach(|| answer(work, &stop))?;
    let splits = plan["splits"].as_array().into_iter().flatten();

    Ok(splits.map(ToString::to_string).collect())
}

#[pyfunction]
fn left_out(
    source: &str,
    table: &str,
    declared: &str,
    given: &str,
) -> Result<Vec<String>, Failure> {
    Ok(require_readable(source, table, &as_schema(declared)?, &as_schema(given)?)?)
}

#[pyfunction]
fn arrow_schema(schema: &str) -> Result<PySchema, Failure> {
    Ok(PySchema::new(Mapping::to(&as_schema(schema)?)?.schema()))
}

fn as_options(given: Given) -> Options {
    given.into_iter().collect()
}

/// Spark's JSON form of a schema.
fn as_schema(json: &str) -> Result<TableSchema> {
    TableSchema::from_spark_json(&parse(json.as_bytes())?)
}
