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
    list(name, DataType::Struct(fields))
}

/// A list of texts.
pub(crate) fn texts(name: &str) -> Column {
    list(name, DataType::String)
}

/// A list of whole numbers.
pub(crate) fn longs(name: &str) -> Column {
    list(name, DataType::Long)
}

/// A map from text to text.
pub(crate) fn text_map(name: &str) -> Column {
    Column::new(name, map_of_text())
}

/// A list of maps from text to text.
pub(crate) fn text_maps(name: &str) -> Column {
    list(name, map_of_text())
}

fn list(name: &str, element: DataType) -> Column {
    Column::new(name, DataType::Array { element: Box::new(element), contains_null: true })
}

fn map_of_text() -> DataType {
    let text = || Box::new(DataType::String);

    DataType::Map { key: text(), value: text(), value_contains_null: true }
}
