//! What a door tells its host of a table before reading it.

use lakeflow_core::{Column, DataType, FieldPath, FilterBy, Progress, TableSchema};
use serde_json::{Value, json};

use crate::changes;
use crate::filter::{filtering_columns, ordering_column};
use crate::table::Table;

/// Schema and metadata of a table.
#[derive(Clone, Debug)]
pub struct TableDescription {
    source: String,
    table: String,
    schema: TableSchema,
    ingestion: &'static str,
    key: Vec<String>,
    cursor: Option<String>,
    streamable: bool,
    ordering_column: Option<String>,
    filters: Vec<FilterBy>,
}

impl TableDescription {
    pub(crate) fn of(table: &Table) -> Self {
        let mut schema = table.spec.schema.clone();
        if let Some(name) = table.settings.get("rescuedDataColumn") {
            schema.columns.push(Column::new(name, DataType::String));
        }
        if table.deletes.is_some() {
            schema.columns.extend(changes::columns());
        }

        Self {
            source: table.source.to_owned(),
            table: table.name.clone(),
            schema,
            ingestion: table.spec.ingestion.name(),
            key: table.spec.key.iter().map(FieldPath::to_string).collect(),
            cursor: table.spec.cursor.as_ref().map(FieldPath::to_string),
            streamable: !matches!(table.progress(), Progress::Snapshot),
            ordering_column: ordering_column(table).map(|(column, _)| column.to_owned()),
            filters: filtering_columns(table).to_vec(),
        }
    }

    /// Id of the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Name of the table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The columns, those for rescued data and of a change feed included.
    pub fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// One sentence for people: source, ingestion type, key and cursor.
    pub fn comment(&self) -> String {
        let Self { source, table, ingestion, key, .. } = self;
        let key = match key.join(", ") {
            none if none.is_empty() => "no primary key".to_owned(),
            key => format!("primary key {key}"),
        };
        let cursor = match &self.cursor {
            None => "no cursor".to_owned(),
            Some(cursor) => format!("cursor {cursor}"),
        };

        format!("Table {table} of {source}: ingestion type {ingestion}, {key}, {cursor}.")
    }

    /// `{"source", "table", "schema", "ingestion_type", "primary_keys", "cursor_field",
    /// "streamable", "comment", "ordering_column", "filters"}`; the schema in Spark's JSON form.
    /// Comparisons of the ordering column, if there is one, make batch reads ask for less, and so does
    /// equality with one of the values that `filters` has under the name of a column.
    pub fn to_json(&self) -> Value {
        let filters = self.filters.iter().map(|by| (by.column.clone(), json!(by.values)));
        json!({
            "source": self.source,
            "table": self.table,
            "schema": self.schema.to_spark_json(),
            "ingestion_type": self.ingestion,
            "primary_keys": self.key,
            "cursor_field": self.cursor,
            "streamable": self.streamable,
            "comment": self.comment(),
            "ordering_column": self.ordering_column,
            "filters": Value::Object(filters.collect()),
        })
    }
}
