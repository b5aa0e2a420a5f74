//! Rows of Arrow batches as JSON values, for tests to compare and to search.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use lakeflow_core::{Error, Result};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A row: column name to value; every scalar is text.
pub type Row = Value;

/// The rows of a batch.
///
/// # Errors
/// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) for a value that has no text.
pub fn rows_of(batch: &RecordBatch) -> Result<Vec<Row>> {
    (0..batch.num_rows())
        .map(|i| {
            let schema = batch.schema();
            let columns = schema.fields().iter().zip(batch.columns());
            let cell =
                |(f, c): (&Arc<Field>, &ArrayRef)| Ok((f.name().clone(), value(c.as_ref(), i)?));
            columns.map(cell).collect::<Result<Map<_, _>>>().map(Value::Object)
        })
        .collect()
}

fn value(array: &dyn Array, i: usize) -> Result<Value> {
    if array.is_null(i) {
        return Ok(Value::Null);
    }
    let items = |items: &dyn Array| {
        (0..items.len()).map(|k| value(items, k)).collect::<Result<Vec<_>>>().map(Value::Array)
    };
    Ok(match array.data_type() {
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(i)),
        DataType::Struct(fields) => {
            let array = array.as_struct();
            let field =
                |(f, c): (&Arc<Field>, &ArrayRef)| Ok((f.name().clone(), value(c.as_ref(), i)?));
            Value::Object(fields.iter().zip(array.columns()).map(field).collect::<Result<_>>()?)
        }
        DataType::List(_) => items(array.as_list::<i32>().value(i).as_ref())?,
        DataType::Map(_, _) => items(&array.as_map().value(i))?,
        DataType::Timestamp(_, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(i);
            Value::from(micros.to_string())
        }
        _ => {
            let text = array_value_to_string(array, i);
            Value::from(text.map_err(|e| Error::internal("a value cannot be shown").source(e))?)
        }
    })
}
