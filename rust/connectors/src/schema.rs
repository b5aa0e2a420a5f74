//! Short names for schemas written as data.

use lakeflow_core::{Column, DataType};

pub(crate) fn string(name: &str) -> Column {
    Column::new(name, DataType::String)
}

pub(crate) fn long(name: &str) -> Column {
    Column::new(name, DataType::Long)
}

pub(crate) fn double(name: &str) -> Column {
    Column::new(name, DataType::Double)
}

pub(crate) fn boolean(name: &str) -> Column {
    Column::new(name, DataType::Boolean)
}

pub(crate) fn timestamp(name: &str) -> Column {
    Column::new(name, DataType::Timestamp)
}

pub(crate) fn record(name: &str, fields: Vec<Column>) -> Column {
    Column::new(name, DataType::Struct(fields))
}

/// A list of records.
pub(crate) fn records(name: &str, fields: Vec<Column>) -> Column {
    let element = Box::new(DataType::Struct(fields));
    Column::new(name, DataType::Array { element, contains_null: true })
}

/// A map from text to text.
pub(crate) fn text_map(name: &str) -> Column {
    let text = || Box::new(DataType::String);
    Column::new(name, DataType::Map { key: text(), value: text(), value_contains_null: true })
}

/// A list of texts.
pub(crate) fn texts(name: &str) -> Column {
    let element = Box::new(DataType::String);
    Column::new(name, DataType::Array { element, contains_null: true })
}

/// A list of whole numbers.
pub(crate) fn longs(name: &str) -> Column {
    let element = Box::new(DataType::Long);
    Column::new(name, DataType::Array { element, contains_null: true })
}
