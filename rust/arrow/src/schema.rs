//! Table schemas as Arrow schemas that every supported Spark reads.

use arrow::datatypes::{DataType as Arrow, Field, Fields, Schema, TimeUnit};
use lakeflow_core::{Column, DataType, Error, Result, TableSchema};
use std::sync::Arc;

/// The Arrow schema of a table.
///
/// Lists hold `element`, maps hold `entries` of `key` and `value`, a variant is a struct of `value`
/// and `metadata`, both binary, the latter marked with `variant` = `true`; timestamps are
/// microseconds in `UTC` or without a zone.
///
/// # Errors
/// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) for a schema that no table may
/// declare, such as a map whose keys are lists.
pub fn arrow_schema(schema: &TableSchema) -> Result<Schema> {
    schema.validate()?;
    Ok(Schema::new(arrow_fields(&schema.columns)?))
}

fn arrow_fields(columns: &[Column]) -> Result<Fields> {
    columns.iter().map(|c| Ok(Field::new(&c.name, arrow_type(&c.data_type)?, c.nullable))).collect()
}

pub(crate) fn arrow_type(data_type: &DataType) -> Result<Arrow> {
    Ok(match data_type {
        DataType::String | DataType::Varchar(_) | DataType::Char(_) => Arrow::Utf8,
        DataType::Byte => Arrow::Int8,
        DataType::Short => Arrow::Int16,
        DataType::Int => Arrow::Int32,
        DataType::Long => Arrow::Int64,
        DataType::Float => Arrow::Float32,
        DataType::Double => Arrow::Float64,
        DataType::Decimal { precision, scale } => Arrow::Decimal128(
            *precision,
            i8::try_from(*scale).map_err(|_| Error::internal("decimal scale above 127"))?,
        ),
        DataType::Boolean => Arrow::Boolean,
        DataType::Date => Arrow::Date32,
        DataType::Timestamp => Arrow::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::TimestampNtz => Arrow::Timestamp(TimeUnit::Microsecond, None),
        DataType::Binary => Arrow::Binary,
        DataType::Variant => Arrow::Struct(variant_fields()),
        DataType::Void => Arrow::Null,
        DataType::Array { element, contains_null } => {
            Arrow::List(Arc::new(Field::new("element", arrow_type(element)?, *contains_null)))
        }
        DataType::Map { key, value, value_contains_null } => {
            if matches!(
                **key,
                DataType::Array { .. }
                    | DataType::Map { .. }
                    | DataType::Struct(_)
                    | DataType::Variant
                    | DataType::Void
            ) {
                let key = type_name(key);
                return Err(Error::internal(format!("a map cannot have {key} keys")));
            }
            let entries = Fields::from(vec![
                Field::new("key", arrow_type(key)?, false),
                Field::new("value", arrow_type(value)?, *value_contains_null),
            ]);
            Arrow::Map(Arc::new(Field::new("entries", Arrow::Struct(entries), false)), false)
        }
        DataType::Struct(columns) => Arrow::Struct(arrow_fields(columns)?),
    })
}

/// Spark takes the first child for the value, the second for the metadata.
pub(crate) fn variant_fields() -> Fields {
    let mark = [("variant".to_owned(), "true".to_owned())].into();
    Fields::from(vec![
        Field::new("value", Arrow::Binary, false),
        Field::new("metadata", Arrow::Binary, false).with_metadata(mark),
    ])
}

/// The type as Spark's SQL names it, nested types without their insides.
pub(crate) fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::String => "string",
        DataType::Varchar(n) => return format!("varchar({n})"),
        DataType::Char(n) => return format!("char({n})"),
        DataType::Byte => "tinyint",
        DataType::Short => "smallint",
        DataType::Int => "int",
        DataType::Long => "bigint",
        DataType::Float => "float",
        DataType::Double => "double",
        DataType::Decimal { precision, scale } => return format!("decimal({precision},{scale})"),
        DataType::Boolean => "boolean",
        DataType::Date => "date",
        DataType::Timestamp => "timestamp",
        DataType::TimestampNtz => "timestamp_ntz",
        DataType::Binary => "binary",
        DataType::Variant => "variant",
        DataType::Void => "void",
        DataType::Array { .. } => "array",
        DataType::Map { .. } => "map",
        DataType::Struct(_) => "struct",
    };

    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_that_spark_reads() {
        let list = DataType::Array { element: Box::new(DataType::Date), contains_null: false };
        let schema = TableSchema::new(vec![
            Column::new("id", DataType::Long).required(),
            Column::new("d", DataType::Decimal { precision: 10, scale: 2 }),
            Column::new("t", DataType::Timestamp),
            Column::new("n", DataType::TimestampNtz),
            Column::new("l", list.clone()),
            Column::new(
                "m",
                DataType::Map {
                    key: Box::new(DataType::String),
                    value: Box::new(DataType::Void),
                    value_contains_null: true,
                },
            ),
            Column::new("v", DataType::Variant),
        ]);

        let shown: Vec<String> = arrow_schema(&schema)
            .unwrap()
            .fields()
            .iter()
            .map(|f| format!("{}: {}", f.name(), f.data_type()))
            .collect();
        assert_eq!(
            shown,
            [
                "id: Int64",
                "d: Decimal128(10, 2)",
                "t: Timestamp(\u{b5}s, \"UTC\")",
                "n: Timestamp(\u{b5}s)",
                "l: List(non-null Date32, field: 'element')",
                "m: Map(\"entries\": non-null Struct(\"key\": non-null Utf8, \"value\": Null), unsorted)",
                "v: Struct(\"value\": non-null Binary, \"metadata\": non-null Binary, metadata: {\"variant\": \"true\"})",
            ]
        );

        let bad = TableSchema::new(vec![Column::new(
            "m",
            DataType::Map {
                key: Box::new(list),
                value: Box::new(DataType::Long),
                value_contains_null: true,
            },
        )]);
        assert_eq!(arrow_schema(&bad).unwrap_err().to_string(), "a map cannot have array keys");
    }
}
