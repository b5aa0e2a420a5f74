//! Rows of one schema as rows of another: the same types or wider ones, fields matched by name.

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray,
    new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType as Arrow, Field, FieldRef, Fields, SchemaRef};
use lakeflow_arrow::arrow_schema;
use lakeflow_core::{Column, DataType, Error, Result, TableSchema};
use std::collections::HashMap;
use std::sync::Arc;

/// Refuses a schema that rows of a table cannot be read as: each column must exist, by exactly this
/// name, with the declared type or a wider one. Gives the columns that it leaves out.
///
/// # Errors
/// [`ErrorKind::ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid), listing every difference.
pub fn require_readable(
    source: &str,
    table: &str,
    declared: &TableSchema,
    given: &TableSchema,
) -> Result<Vec<String>> {
    let found = Differences::of(declared, given, Lacking::Refused);
    if !found.is_empty() {
        return Err(Error::config(format!(
            "the given schema does not fit table '{table}' of {source}: {}; leave the schema out, \
             or correct these columns",
            found.join("; ")
        )));
    }
    let left_out = declared.columns.iter().filter(|column| given.column(&column.name).is_none());

    Ok(left_out.map(|column| column.name.clone()).collect())
}

/// What keeps rows that were stored with one schema from being read as another; empty if nothing
/// does. A column that only the stored ones have is left out, one that they lack is null.
pub(crate) fn differences(stored: &TableSchema, wanted: &TableSchema) -> Vec<String> {
    Differences::of(stored, wanted, Lacking::Null)
}

/// What becomes of a column that rows lack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lacking {
    Refused,
    Null,
}

struct Differences {
    lacking: Lacking,
    found: Vec<String>,
}

impl Differences {
    fn of(from: &TableSchema, to: &TableSchema, lacking: Lacking) -> Vec<String> {
        let mut differences = Self { lacking, found: Vec::new() };
        differences.fields("", &from.columns, &to.columns);
        differences.found
    }

    fn fields(&mut self, prefix: &str, from: &[Column], to: &[Column]) {
        for wanted in to {
            let path = format!("{prefix}{}", wanted.name);
            match from.iter().find(|column| column.name == wanted.name) {
                Some(column) => {
                    self.types(&path, &column.data_type, &wanted.data_type);
                    self.nulls(&path, column.nullable, wanted.nullable);
                }
                None if self.lacking == Lacking::Refused => {
                    let other = from.iter().find(|c| c.name.eq_ignore_ascii_case(&wanted.name));
                    let hint = other.map(|c| format!(" (it is called '{}')", c.name));
                    let hint = hint.unwrap_or_default();
                    self.found.push(format!("column '{path}' does not exist{hint}"));
                }
                None if !wanted.nullable => {
                    self.found.push(format!("column '{path}' is missing and may not be null"));
                }
                None => {}
            }
        }
    }

    fn types(&mut self, path: &str, from: &DataType, to: &DataType) {
        match (from, to) {
            (DataType::Struct(from), DataType::Struct(to)) => {
                self.fields(&format!("{path}."), from, to);
            }
            (
                DataType::Array { element: from, contains_null: from_null },
                DataType::Array { element: to, contains_null: to_null },
            ) => {
                let path = format!("{path}.element");
                self.types(&path, from, to);
                self.nulls(&path, *from_null, *to_null);
            }
            (
                DataType::Map { key, value, value_contains_null: from_null },
                DataType::Map { key: to_key, value: to_value, value_contains_null: to_null },
            ) => {
                self.types(&format!("{path}.key"), key, to_key);
                let path = format!("{path}.value");
                self.types(&path, value, to_value);
                self.nulls(&path, *from_null, *to_null);
            }
            _ if is_text(from) && is_text(to) => {}
            _ if from == to || widens(from, to) => {}
            _ => self.found.push(format!("column '{path}' is {from} and is wanted as {to}")),
        }
    }

    fn nulls(&mut self, path: &str, from: bool, to: bool) {
        if from && !to {
            self.found.push(format!("column '{path}' may be null but is wanted as not null"));
        }
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::String | DataType::Varchar(_) | DataType::Char(_))
}

/// Whether a number can be read as another type without loss.
fn widens(from: &DataType, to: &DataType) -> bool {
    let bytes = |kind: &DataType| match kind {
        DataType::Byte => Some(1),
        DataType::Short => Some(2),
        DataType::Int => Some(4),
        DataType::Long => Some(8),
        _ => None,
    };
    match (from, to) {
        (
            DataType::Decimal { precision, scale },
            DataType::Decimal { precision: to_precision, scale: to_scale },
        ) => to_scale >= scale && to_precision - to_scale >= precision - scale,
        (DataType::Float, DataType::Double) => true,
        _ => bytes(from).zip(bytes(to)).is_some_and(|(from, to)| from < to),
    }
}

/// Turns batches into those of a schema.
#[derive(Clone, Debug)]
pub struct Mapping {
    schema: SchemaRef,
}

impl Mapping {
    /// To batches of `schema`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) for a schema that no table has.
    pub fn to(schema: &TableSchema) -> Result<Self> {
        Ok(Self { schema: Arc::new(arrow_schema(schema)?) })
    }

    /// Schema of every batch that comes out.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The batch in the schema; its rows must fit, which is checked once per schema elsewhere.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) if they do not.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if batch.schema() == self.schema {
            return Ok(batch.clone());
        }
        let schema = batch.schema();
        let columns =
            fields(schema.fields(), batch.columns(), self.schema.fields(), batch.num_rows())?;
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));

        RecordBatch::try_new_with_options(self.schema(), columns, &rows).map_err(unfit)
    }
}

fn fields(from: &Fields, arrays: &[ArrayRef], to: &Fields, rows: usize) -> Result<Vec<ArrayRef>> {
    let by_name: HashMap<_, _> = from.iter().map(|f| f.name()).zip(arrays).collect();
    let column = |field: &FieldRef| match by_name.get(field.name()) {
        Some(array) => as_type(array, field.data_type()),
        None => Ok(new_null_array(field.data_type(), rows)),
    };

    to.iter().map(column).collect()
}

fn as_type(array: &ArrayRef, to: &Arrow) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    match (array.data_type(), to) {
        (Arrow::Struct(_), Arrow::Struct(to)) => Ok(Arc::new(as_struct(array.as_struct(), to)?)),
        (Arrow::List(_), Arrow::List(to)) => {
            let list = array.as_list::<i32>();
            let values = as_type(list.values(), to.data_type())?;
            let list = ListArray::try_new(to.clone(), list.offsets().clone(), values, nulls(list));
            Ok(Arc::new(list.map_err(unfit)?))
        }
        (Arrow::Map(..), Arrow::Map(to, sorted)) => {
            let map = array.as_map();
            let Arrow::Struct(inner) = to.data_type() else {
                return Err(Error::internal("the entries of a map are no struct"));
            };
            let entries = as_entries(map.entries(), inner)?;
            let map =
                MapArray::try_new(to.clone(), map.offsets().clone(), entries, nulls(map), *sorted);
            Ok(Arc::new(map.map_err(unfit)?))
        }
        _ => cast(array, to).map_err(unfit),
    }
}

fn as_struct(from: &StructArray, to: &Fields) -> Result<StructArray> {
    let columns = fields(from.fields(), from.columns(), to, from.len())?;

    StructArray::try_new_with_length(to.clone(), columns, nulls(from), from.len()).map_err(unfit)
}

/// Keys and values, which are told by their place.
fn as_entries(from: &StructArray, to: &Fields) -> Result<StructArray> {
    let columns = from.columns().iter().zip(to.iter());
    let columns = columns.map(|(array, field): (_, &Arc<Field>)| as_type(array, field.data_type()));

    StructArray::try_new(to.clone(), columns.collect::<Result<_>>()?, nulls(from)).map_err(unfit)
}

fn nulls(array: &dyn Array) -> Option<NullBuffer> {
    array.nulls().cloned()
}

fn unfit(error: arrow::error::ArrowError) -> Error {
    Error::internal("rows do not fit the schema that they were checked for").source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringArray};

    fn schema(columns: &[(&str, DataType)]) -> TableSchema {
        let column = |(name, kind): &(&str, DataType)| Column::new(*name, kind.clone());
        TableSchema::new(columns.iter().map(column).collect())
    }

    fn decimal(precision: u8, scale: u8) -> DataType {
        DataType::Decimal { precision, scale }
    }

    fn array(element: DataType) -> DataType {
        DataType::Array { element: Box::new(element), contains_null: true }
    }

    #[test]
    fn types_may_widen_and_nothing_else() {
        let cases = [
            (DataType::Int, DataType::Long, None),
            (DataType::Long, DataType::Int, Some("column 'c' is bigint and is wanted as int")),
            (DataType::Float, DataType::Double, None),
            (DataType::Int, DataType::Double, Some("column 'c' is int and is wanted as double")),
            (decimal(5, 2), decimal(6, 3), None),
            (
                decimal(5, 2),
                decimal(5, 3),
                Some("column 'c' is decimal(5,2) and is wanted as decimal(5,3)"),
            ),
            (DataType::Varchar(3), DataType::String, None),
            (
                array(DataType::Long),
                array(DataType::String),
                Some("column 'c.element' is bigint and is wanted as string"),
            ),
        ];
        for (from, to, difference) in cases {
            let found = differences(&schema(&[("c", from)]), &schema(&[("c", to)]));
            assert_eq!(found, difference.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_given_schema_names_existing_columns_as_they_are_spelt() {
        let declared = schema(&[("id", DataType::Long), ("name", DataType::String)]);
        let left_out = |given: &TableSchema| require_readable("s", "t", &declared, given);

        assert_eq!(left_out(&declared).unwrap(), Vec::<String>::new());
        assert_eq!(left_out(&schema(&[("id", DataType::Long)])).unwrap(), ["name"]);
        let given = schema(&[("ID", DataType::Long), ("name", DataType::Int)]);
        assert_eq!(
            left_out(&given).unwrap_err().to_string(),
            "the given schema does not fit table 't' of s: column 'ID' does not exist (it is called \
             'id'); column 'name' is string and is wanted as int; leave the schema out, or correct \
             these columns"
        );
    }

    #[test]
    fn stored_rows_may_lack_what_may_be_null() {
        let stored = schema(&[("id", DataType::Long)]);
        let mut wanted = schema(&[("id", DataType::Long), ("new", DataType::Date)]);
        assert_eq!(differences(&stored, &wanted), Vec::<String>::new());

        wanted.columns[1].nullable = false;
        assert_eq!(differences(&stored, &wanted), ["column 'new' is missing and may not be null"]);
    }

    #[test]
    fn batches_are_mapped_by_name_to_any_depth() {
        let inner = |kind| array(DataType::Struct(vec![Column::new("n", kind)]));
        let stored = schema(&[
            ("gone", DataType::String),
            ("id", DataType::Int),
            ("deep", inner(DataType::Int)),
        ]);
        let wanted = schema(&[
            ("deep", inner(DataType::Long)),
            ("new", DataType::Date),
            ("id", DataType::Long),
        ]);
        let from = arrow_schema(&stored).unwrap();
        let Arrow::List(element) = from.field(2).data_type().clone() else { panic!() };
        let Arrow::Struct(fields) = element.data_type().clone() else { panic!() };
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
        let structs = StructArray::new(fields, vec![numbers], None);
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0]);
        let lists = ListArray::new(element, offsets, Arc::new(structs), None);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["a", "b"])),
            Arc::new(Int32Array::from(vec![1, 2])),
            Arc::new(lists),
        ];
        let batch = RecordBatch::try_new(Arc::new(from), columns).unwrap();

        let mapped = Mapping::to(&wanted).unwrap().apply(&batch).unwrap();

        let ids = mapped.column(2).as_primitive::<arrow::datatypes::Int64Type>();
        assert_eq!(ids.values(), &[1, 2]);
        assert_eq!(mapped.column(1).null_count(), 2);
        let deep = mapped.column(0).as_list::<i32>().value(0);
        let deep = deep.as_struct().column(0).as_primitive::<arrow::datatypes::Int64Type>().clone();
        assert_eq!(deep.iter().collect::<Vec<_>>(), [Some(7), None]);
    }
}
