//! Change feeds: upserts and deletes of a table as the rows of one slice.

use crate::emit::{BATCH_BYTES, BATCH_ROWS};
use crate::table::Table;
use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{
    DataType as Arrow, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use lakeflow_arrow::arrow_schema;
use lakeflow_core::{
    Column, DataType, Error, ErrorKind, Feed, FieldPath, Instant, Progress, Result, Settings,
    TableSchema, TableSpec,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// Option that asks for a change feed.
pub(crate) const OPTION: &str = "readChangeFeed";

/// Arrow bytes after which a slice of a change feed ends at the latest: it is sorted in memory.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

const UPSERT: &str = "update_postimage";
const DELETE: &str = "delete";

/// The columns that a change feed adds, last in the table.
pub(crate) fn columns() -> Vec<Column> {
    vec![
        Column::new("_change_type", DataType::String).required(),
        Column::new("_commit_version", DataType::Long).required(),
        Column::new("_commit_timestamp", DataType::Timestamp),
    ]
}

/// The declaration of a table whose changes are asked for: columns that a delete lacks may be null.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for a table whose changes cannot be put in order,
/// [`ConfigInvalid`](ErrorKind::ConfigInvalid) if a column has the name of an added one.
pub(crate) fn prepare(mut spec: TableSpec, table: &str, settings: &Settings) -> Result<TableSpec> {
    let rescued = settings.get("rescuedDataColumn");
    let added = columns();
    let clash = added.iter().map(|column| &*column.name).find(|name| {
        spec.schema.column(name).is_some() || rescued.is_some_and(|r| r.eq_ignore_ascii_case(name))
    });
    if let Some(name) = clash {
        return Err(Error::config(format!(
            "option '{OPTION}' adds column '{name}', which the table has already; leave the option \
             out, or call the column of option 'rescuedDataColumn' otherwise"
        ))
        .table(table));
    }
    let ordered = cursor_of(&spec).is_some() && !matches!(spec.rows, Progress::Children { .. });
    if spec.deletes.is_some() && !ordered {
        return Err(Error::unsupported(format!(
            "the table has no time of change by which rows and deletes could be put in order; leave \
             option '{OPTION}' out and read the deletes with isDeleteFlow=true"
        ))
        .table(table));
    }
    let kept: Vec<String> = spec.key.iter().chain(&spec.cursor).filter_map(first).collect();
    for column in &mut spec.schema.columns {
        column.nullable |= !kept.contains(&column.name);
    }

    Ok(spec)
}

fn first(path: &FieldPath) -> Option<String> {
    path.segments().next().map(str::to_owned)
}

/// Number of the cursor's column, if that is a time.
fn cursor_of(spec: &TableSpec) -> Option<usize> {
    let cursor = spec.cursor.as_ref()?.to_string();
    let index = spec.schema.columns.iter().position(|column| column.name == cursor)?;
    let column = spec.schema.columns.get(index)?;

    matches!(column.data_type, DataType::Timestamp | DataType::String).then_some(index)
}

/// The rows of one slice, until all of them are there.
pub(crate) struct Changes {
    schema: SchemaRef,
    slice: i64,
    cursor: usize,
    batches: Vec<RecordBatch>,
    /// Of each row, in the order of the batches.
    deleted: Vec<bool>,
}

impl Changes {
    /// `schema`: that of the rows.
    pub(crate) fn new(table: &Table, schema: &Schema, slice: u64) -> Result<Self> {
        let cursor = cursor_of(&table.spec)
            .ok_or_else(|| Error::internal("a change feed without a time of change"))?;
        let added = arrow_schema(&TableSchema::new(columns()))?;
        let fields: Vec<Arc<Field>> =
            schema.fields().iter().chain(added.fields()).cloned().collect();

        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            slice: i64::try_from(slice).unwrap_or(i64::MAX),
            cursor,
            batches: Vec::new(),
            deleted: Vec::new(),
        })
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next rows are of `feed`.
    pub(crate) fn note(&mut self, feed: Feed, rows: usize) {
        self.deleted.resize(self.deleted.len() + rows, feed == Feed::Deletes);
    }

    pub(crate) fn keep(&mut self, batch: RecordBatch) {
        self.batches.push(batch);
    }

    /// All rows by their time, deletes after upserts of the same instant, in batches.
    ///
    /// # Errors
    /// [`DataInvalid`](ErrorKind::DataInvalid) for a cursor that is no time.
    pub(crate) fn sorted(&mut self) -> Result<VecDeque<RecordBatch>> {
        let mut rows = Vec::with_capacity(self.deleted.len());
        let mut deleted = self.deleted.iter();
        for (number, batch) in self.batches.iter().enumerate() {
            let times = times(batch.column(self.cursor))?;
            let places = times.into_iter().enumerate().zip(deleted.by_ref());
            rows.extend(places.map(|((row, time), deleted)| (time, *deleted, (number, row))));
        }
        rows.sort();
        let bytes: usize = self.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let width = (bytes / rows.len().max(1)).max(1);
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let sorted = rows.chunks((BATCH_BYTES / width).clamp(1, BATCH_ROWS)).map(|rows| {
            let places: Vec<(usize, usize)> = rows.iter().map(|(_, _, place)| *place).collect();
            let mut columns =
                interleave_record_batch(&batches, &places).map_err(refused)?.columns().to_vec();
            let kinds = rows.iter().map(|(_, deleted, _)| if *deleted { DELETE } else { UPSERT });
            let times = rows.iter().map(|(time, ..)| *time);
            columns.extend([
                Arc::new(StringArray::from_iter_values(kinds)) as ArrayRef,
                Arc::new(Int64Array::from(vec![self.slice; rows.len()])),
                Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC")),
            ]);

            RecordBatch::try_new(self.schema.clone(), columns).map_err(refused)
        });
        let sorted = sorted.collect();
        self.batches.clear();
        self.deleted.clear();

        sorted
    }
}

/// Microseconds since 1970.
fn times(cursors: &ArrayRef) -> Result<Vec<Option<i64>>> {
    match cursors.data_type() {
        Arrow::Timestamp(TimeUnit::Microsecond, _) => {
            Ok(cursors.as_primitive::<TimestampMicrosecondType>().iter().collect())
        }
        Arrow::Utf8 => {
            let micros = |text: &str| {
                let instant = Instant::parse(text)?.nanos().div_euclid(1_000);
                i64::try_from(instant).ok()
            };
            let time =
                |text: Option<&str>| text.map(|text| micros(text).ok_or_else(no_time)).transpose();
            cursors.as_string::<i32>().iter().map(time).collect()
        }
        other => Err(Error::internal(format!("a time of change of type {other}"))),
    }
}

fn no_time() -> Error {
    Error::new(ErrorKind::DataInvalid, "a record's time of change is no time")
}

fn refused(error: arrow::error::ArrowError) -> Error {
    Error::internal("Arrow refused the rows of a change feed").source(error)
}
