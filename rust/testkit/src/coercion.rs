//! The golden table of coercion as a source: what each case gives must be the same from Rust and
//! from Spark.
//!
//! For each type there is a table `ok_<type>` of the cases with a value and a table `error_<type>`
//! of those with an error, both with the columns `row` and `value`.

use async_trait::async_trait;
use bytes::Bytes;
use lakeflow_core::{
    Column, Connector, Context, DataType, Encoding, EpochUnit, Error, Ingestion, OptionKind,
    OptionSpec, Page, PageStream, Progress, ReadRequest, Records, Result, Rows, Settings, Source,
    TableSchema, TableSpec,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The source `coercion`.
pub static COERCION: Source = Source {
    name: "coercion",
    connection_options: &[OptionSpec::new(
        "cases_file",
        OptionKind::Text,
        "Path of the file of cases.",
    )
    .required()],
    kit_options: &[],
    table_options: &[],
    build,
};

/// Numbers of cases that are not rows of the specification begin after this.
const EXTRA: u32 = 1000;

/// One raw value, what it is read as, and what must come of it.
#[derive(Debug)]
pub struct Case {
    /// Row of the specification, or a number above 1000.
    pub row: u32,
    /// What the case shows; empty for rows of the specification.
    pub name: String,
    /// JSON text as a service writes it.
    pub input: String,
    /// Column `value`, or the refusal of its type.
    pub column: Result<Column>,
    /// Zone of timestamps without one, if it is not UTC.
    pub zone: Option<String>,
    /// What must come of it.
    pub expected: Expected,
    /// Unknown fields by path, and how often each comes.
    pub unknown: BTreeMap<String, u64>,
    /// Keys that come again.
    pub duplicates: u64,
    /// Characters that are replaced.
    pub replaced: u64,
}

/// What must come of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A value as Arrow displays it (a variant as JSON), or null.
    Value(Option<String>),
    /// A message without its context, and the column path that the error names.
    Error {
        /// Message.
        message: String,
        /// Column path.
        column: String,
    },
    /// The message by which the type itself is refused.
    Refused(String),
}

/// Reads a file of cases, a JSON array with one object for each.
///
/// # Errors
/// [`ErrorKind::ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid) if the file cannot be read
/// or is of another form.
pub fn load(path: &str) -> Result<Vec<Case>> {
    let unreadable = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::config(format!("cannot read the cases in '{path}'")).source(cause)
    };
    let text = std::fs::read(path).map_err(|e| unreadable(e.into()))?;
    let cases: Vec<Value> = serde_json::from_slice(&text).map_err(|e| unreadable(e.into()))?;

    cases.iter().zip(EXTRA + 1..).map(|(case, number)| read_case(case, number)).collect()
}

fn read_case(case: &Value, number: u32) -> Result<Case> {
    let text = |name: &str| case.get(name).and_then(Value::as_str);
    let count = |name: &str| case.get(name).and_then(Value::as_u64).unwrap_or(0);
    let form = || Error::config(format!("a case is not of the expected form: {case}"));
    let column = spark_type(case.get("type").ok_or_else(form)?).map(|data_type| {
        let mut column = Column::new("value", data_type);
        column.nullable = case.get("nullable").and_then(Value::as_bool).unwrap_or(true);
        column.format = text("format").map(str::to_owned);
        column.unit = text("unit").and_then(unit);
        column.encoding = text("encoding").and_then(encoding).unwrap_or_default();
        column.blank_is_null = case.get("blank_is_null").is_some_and(|b| *b == Value::Bool(true));
        column
    });
    let expected = match (case.get("value"), text("error"), text("refused")) {
        (Some(Value::String(value)), None, None) => Expected::Value(Some(value.clone())),
        (Some(Value::Null), None, None) => Expected::Value(None),
        (None, Some(message), None) => Expected::Error {
            message: message.to_owned(),
            column: text("column").unwrap_or("value").to_owned(),
        },
        (None, None, Some(message)) => Expected::Refused(message.to_owned()),
        _ => return Err(form()),
    };
    let unknown = case.get("unknown").and_then(Value::as_object).into_iter().flatten();
    let row = case.get("row").and_then(Value::as_u64).and_then(|row| u32::try_from(row).ok());

    Ok(Case {
        row: row.unwrap_or(number),
        name: text("name").unwrap_or_default().to_owned(),
        input: text("input").ok_or_else(form)?.to_owned(),
        column,
        zone: text("zone").map(str::to_owned),
        expected,
        unknown: unknown.map(|(path, n)| (path.clone(), n.as_u64().unwrap_or(0))).collect(),
        duplicates: count("duplicates"),
        replaced: count("replaced"),
    })
}

fn unit(name: &str) -> Option<EpochUnit> {
    match name {
        "seconds" => Some(EpochUnit::Seconds),
        "millis" => Some(EpochUnit::Millis),
        "micros" => Some(EpochUnit::Micros),
        "nanos" => Some(EpochUnit::Nanos),
        _ => None,
    }
}

fn encoding(name: &str) -> Option<Encoding> {
    match name {
        "base64" => Some(Encoding::Base64),
        "hex" => Some(Encoding::Hex),
        "utf8" => Some(Encoding::Utf8),
        _ => None,
    }
}

/// The type that Spark's JSON names; `varchar(n)` and `char(n)` too.
///
/// # Errors
/// [`ErrorKind::Unsupported`](lakeflow_core::ErrorKind::Unsupported) for a type that no table can
/// declare.
pub fn spark_type(json: &Value) -> Result<DataType> {
    let unsupported = || {
        let name = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        Error::unsupported(format!("type '{name}' is not supported"))
    };
    let flag = |name: &str| json.get(name).and_then(Value::as_bool).unwrap_or(true);
    let part = |name: &str| spark_type(json.get(name).ok_or_else(unsupported)?).map(Box::new);
    if let Some(name) = json.as_str() {
        return simple_type(name).ok_or_else(unsupported);
    }
    match json.get("type").and_then(Value::as_str) {
        Some("array") => Ok(DataType::Array {
            element: part("elementType")?,
            contains_null: flag("containsNull"),
        }),
        Some("map") => Ok(DataType::Map {
            key: part("keyType")?,
            value: part("valueType")?,
            value_contains_null: flag("valueContainsNull"),
        }),
        Some("struct") => {
            let fields = json.get("fields").and_then(Value::as_array).ok_or_else(unsupported)?;
            let field = |field: &Value| {
                let name = field.get("name").and_then(Value::as_str).ok_or_else(unsupported)?;
                let data_type = spark_type(field.get("type").ok_or_else(unsupported)?)?;
                let mut column = Column::new(name, data_type);
                column.nullable = field.get("nullable").and_then(Value::as_bool).unwrap_or(true);
                Ok(column)
            };
            fields.iter().map(field).collect::<Result<_>>().map(DataType::Struct)
        }
        _ => Err(unsupported()),
    }
}

fn simple_type(name: &str) -> Option<DataType> {
    let (word, arguments) = match name.strip_suffix(')').and_then(|n| n.split_once('(')) {
        Some((word, arguments)) => (word, arguments.split(',').collect()),
        None => (name, Vec::new()),
    };
    let number = |at: usize| arguments.get(at).and_then(|n| n.trim().parse::<u32>().ok());
    Some(match (word, arguments.len()) {
        ("string", 0) => DataType::String,
        ("varchar", 1) => DataType::Varchar(number(0)?),
        ("char", 1) => DataType::Char(number(0)?),
        ("byte", 0) => DataType::Byte,
        ("short", 0) => DataType::Short,
        ("integer", 0) => DataType::Int,
        ("long", 0) => DataType::Long,
        ("float", 0) => DataType::Float,
        ("double", 0) => DataType::Double,
        ("decimal", 2) => DataType::Decimal {
            precision: u8::try_from(number(0)?).ok()?,
            scale: u8::try_from(number(1)?).ok()?,
        },
        ("boolean", 0) => DataType::Boolean,
        ("date", 0) => DataType::Date,
        ("timestamp", 0) => DataType::Timestamp,
        ("timestamp_ntz", 0) => DataType::TimestampNtz,
        ("binary", 0) => DataType::Binary,
        ("variant", 0) => DataType::Variant,
        ("void", 0) => DataType::Void,
        _ => return None,
    })
}

struct Cases {
    path: String,
}

struct Tables(BTreeMap<String, Table>);

struct Table {
    column: Column,
    rows: Vec<Bytes>,
}

fn build(context: &Context) -> Result<Arc<dyn Connector>> {
    let path = context.settings.text("cases_file")?.to_owned();

    Ok(Arc::new(Cases { path }))
}

impl Cases {
    fn tables(&self) -> Result<Tables> {
        load(&self.path).map(Tables::new)
    }
}

impl Tables {
    fn new(cases: Vec<Case>) -> Self {
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        for case in cases {
            // The zone is an option of the read and not of a column.
            let (Ok(column), None) = (case.column, case.zone) else { continue };
            let kind = match case.expected {
                Expected::Value(_) => "ok",
                Expected::Error { .. } => "error",
                Expected::Refused(_) => continue,
            };
            let name = slug(kind, &column);
            let names = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}_{n}")));
            let taken = |name: &String| tables.get(name).is_some_and(|t| t.column != column);
            let Some(name) = names.into_iter().find(|name| !taken(name)) else { continue };
            let table = tables.entry(name).or_insert_with(|| Table { column, rows: Vec::new() });
            let row = format!("{{\"row\":{},\"value\":{}}}", case.row, case.input);
            table.rows.push(row.into());
        }

        Self(tables)
    }

    fn take(mut self, table: &str) -> Result<Table> {
        let found = self.0.remove(table);
        found.ok_or_else(|| Error::table_not_found(table, &self.0.keys().collect::<Vec<_>>()))
    }
}

/// `ok_map_string_long`: the kind and the words of the type.
fn slug(kind: &str, column: &Column) -> String {
    let mut out = kind.to_owned();
    append_words(&mut out, &column.data_type);

    out
}

fn append_words(out: &mut String, data_type: &DataType) {
    let mut word = |word: &str| {
        out.push('_');
        out.push_str(word);
    };
    match data_type {
        DataType::String => word("string"),
        DataType::Varchar(n) => word(&format!("varchar_{n}")),
        DataType::Char(n) => word(&format!("char_{n}")),
        DataType::Byte => word("byte"),
        DataType::Short => word("short"),
        DataType::Int => word("integer"),
        DataType::Long => word("long"),
        DataType::Float => word("float"),
        DataType::Double => word("double"),
        DataType::Decimal { precision, scale } => word(&format!("decimal_{precision}_{scale}")),
        DataType::Boolean => word("boolean"),
        DataType::Date => word("date"),
        DataType::Timestamp => word("timestamp"),
        DataType::TimestampNtz => word("timestamp_ntz"),
        DataType::Binary => word("binary"),
        DataType::Variant => word("variant"),
        DataType::Void => word("void"),
        DataType::Array { element, .. } => {
            word("array");
            append_words(out, element);
        }
        DataType::Map { key, value, .. } => {
            word("map");
            append_words(out, key);
            append_words(out, value);
        }
        DataType::Struct(_) => word("struct"),
    }
}

#[async_trait]
impl Connector for Cases {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(self.tables()?.0.into_keys().collect())
    }

    async fn table(&self, table: &str, _options: &Settings) -> Result<TableSpec> {
        let value = self.tables()?.take(table)?.column;
        let columns = vec![Column::new("row", DataType::Int).required(), value];

        Ok(TableSpec::new(
            TableSchema::new(columns),
            Ingestion::Snapshot,
            &["row"],
            Progress::Snapshot,
        ))
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        match self.tables().and_then(|tables| tables.take(&read.table)) {
            Ok(table) => {
                let rows = Rows::Each(table.rows);
                let mut page = Page::of(Records { rows, ..Records::default() });
                page.last = true;
                vec![page].into()
            }
            Err(error) => PageStream::error(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_read_back_from_the_form_spark_prints() {
        let text = json!({"type": "struct", "fields": [
            {"name": "a", "type": "decimal(10,2)", "nullable": false, "metadata": {}},
            {"name": "m", "nullable": true, "metadata": {}, "type": {
                "type": "map", "keyType": "string", "valueContainsNull": false,
                "valueType": {"type": "array", "elementType": "integer", "containsNull": true}}},
        ]});
        let Ok(DataType::Struct(columns)) = spark_type(&text) else { panic!("not a struct") };

        assert_eq!(TableSchema::new(columns).to_spark_json(), text);
    }

    #[test]
    fn cases_become_tables_by_type_and_outcome() {
        let case = |json: Value| read_case(&json, 1001).unwrap();
        let tables = Tables::new(vec![
            case(json!({"row": 1, "input": "1", "type": "long", "value": "1"})),
            case(json!({"row": 2, "input": "x", "type": "long", "error": "m"})),
            case(json!({"name": "n", "input": "2", "type": "long", "value": "2"})),
            case(json!({"row": 4, "input": "3", "type": "long", "unit": "millis", "value": "3"})),
            case(json!({"row": 5, "input": "3", "type": "interval", "refused": "m"})),
        ]);

        let rows: Vec<(&str, Vec<&[u8]>)> = tables
            .0
            .iter()
            .map(|(name, table)| (name.as_str(), table.rows.iter().map(|r| &**r).collect()))
            .collect();
        assert_eq!(
            rows,
            vec![
                ("error_long", vec![&br#"{"row":2,"value":x}"#[..]]),
                ("ok_long", vec![br#"{"row":1,"value":1}"#, br#"{"row":1001,"value":2}"#]),
                ("ok_long_2", vec![br#"{"row":4,"value":3}"#]),
            ]
        );
    }
}
