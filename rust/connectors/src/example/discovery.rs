//! Schemas as the service describes them, and the one of the table it hides.

use crate::schema::{double, long, record, string, timestamp};
use lakeflow_core::{Column, DataType, Error, Result, TableSchema};
use serde_json::Value;

/// What `/tables/{t}/schema` and `/tables/{t}/metadata` say.
pub(super) struct Discovered {
    pub(super) schema: TableSchema,
    pub(super) key: Vec<String>,
    pub(super) cursor: Option<String>,
}

impl Discovered {
    pub(super) fn read(schema: &Value, metadata: &Value) -> Result<Self> {
        let metadata = &metadata["metadata"];
        let key = metadata["primary_keys"].as_array();
        let key = key.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();

        Ok(Self {
            schema: TableSchema::new(columns(&schema["schema"])?),
            key,
            cursor: metadata["cursor_field"].as_str().map(str::to_owned),
        })
    }
}

/// Columns of `[{"name", "type", "nullable", "fields"?}]`; `nullable` defaults to true.
fn columns(fields: &Value) -> Result<Vec<Column>> {
    let bad = || Error::bad_response("the schema has not the documented form");
    let fields = fields.as_array().ok_or_else(bad)?;
    let column = |field: &Value| {
        let name = field["name"].as_str().ok_or_else(bad)?;
        let data_type = match field["type"].as_str().ok_or_else(bad)? {
            "string" => DataType::String,
            "integer" => DataType::Long,
            "double" => DataType::Double,
            "timestamp" => DataType::Timestamp,
            "date" => DataType::Date,
            "struct" => DataType::Struct(columns(&field["fields"])?),
            other => {
                return Err(Error::bad_response(format!(
                    "column '{name}' has the unknown type '{other}'"
                )));
            }
        };
        let column = Column::new(name, data_type);

        Ok(if field["nullable"] == Value::Bool(false) { column.required() } else { column })
    };

    fields.iter().map(column).collect()
}

/// Columns of `metrics`, which the service does not describe.
pub(super) fn metrics() -> TableSchema {
    TableSchema::new(vec![
        string("metric_id").required(),
        string("name"),
        record("value", vec![long("count"), string("label"), double("measure")]),
        string("host"),
        timestamp("updated_at").required(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schema_and_metadata_are_read() {
        let schema = json!({"schema": [
            {"name": "id", "type": "string", "nullable": false},
            {"name": "value", "type": "struct", "fields": [{"name": "n", "type": "integer"}]},
        ]});
        let metadata = json!({"metadata": {"primary_keys": ["id"], "cursor_field": "at"}});
        let discovered = Discovered::read(&schema, &metadata).unwrap();

        let expected = vec![string("id").required(), record("value", vec![long("n")])];
        assert_eq!(discovered.schema.columns, expected);
        assert_eq!((discovered.key, discovered.cursor), (vec!["id".into()], Some("at".into())));
    }

    #[test]
    fn unknown_type_is_refused_by_name() {
        let schema = json!({"schema": [{"name": "x", "type": "blob"}]});
        let error = Discovered::read(&schema, &json!({})).map(|_| ()).unwrap_err();

        assert_eq!(error.to_string(), "column 'x' has the unknown type 'blob'");
    }
}
