//! Schemas: Spark's types, plus where and how a column is found in a raw record.

use crate::{Error, Result};
use serde_json::{Value, json};
use std::fmt;

/// The type of a column or of a nested field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataType {
    /// UTF-8 text.
    String,
    /// Text of at most this many characters.
    Varchar(u32),
    /// Text of at most this many characters; shorter text is not padded.
    Char(u32),
    /// 8-bit signed integer.
    Byte,
    /// 16-bit signed integer.
    Short,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    Long,
    /// 32-bit float.
    Float,
    /// 64-bit float.
    Double,
    /// Fixed-point number.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: u8,
    },
    /// True or false.
    Boolean,
    /// Calendar day.
    Date,
    /// Instant with microseconds.
    Timestamp,
    /// Wall-clock time with microseconds, without a zone.
    TimestampNtz,
    /// Bytes.
    Binary,
    /// Any JSON value, in Spark's variant encoding.
    Variant,
    /// No value but null.
    Void,
    /// List of one type.
    Array {
        /// Type of the elements.
        element: Box<DataType>,
        /// Whether elements may be null.
        contains_null: bool,
    },
    /// Map from keys of one type to values of one type.
    Map {
        /// Type of the keys.
        key: Box<DataType>,
        /// Type of the values.
        value: Box<DataType>,
        /// Whether values may be null.
        value_contains_null: bool,
    },
    /// Named fields in order.
    Struct(Vec<Column>),
}

/// How text stands for bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Base64, standard or url-safe, padded or not.
    #[default]
    Base64Any,
    /// Base64 of the standard alphabet only.
    Base64,
    /// Two hexadecimal digits a byte.
    Hex,
    /// The text's own bytes.
    Utf8,
}

/// Unit of epoch numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// A column, or a field of a struct: name, type and where its value lies in a raw record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in the table.
    pub name: String,
    /// Type.
    pub data_type: DataType,
    /// Whether null is allowed.
    pub nullable: bool,
    /// Place in the enclosing JSON object; `None`: the field called `name`.
    pub from: Option<FieldPath>,
    /// `strftime` format of dates and timestamps; wins over every other reading.
    pub format: Option<String>,
    /// Unit of epoch numbers; `None`: by size.
    pub unit: Option<EpochUnit>,
    /// Encoding of binary text.
    pub encoding: Encoding,
    /// Whether blank text is null in a string column too.
    pub blank_is_null: bool,
}

impl Column {
    /// A nullable column that is called in the record as in the table.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            data_type,
            nullable: true,
            from: None,
            format: None,
            unit: None,
            encoding: Encoding::default(),
            blank_is_null: false,
        }
    }

    /// Null is not allowed.
    pub fn required(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// Takes the value from `path` in the record.
    pub fn from(mut self, path: FieldPath) -> Self {
        self.from = Some(path);
        self
    }
}

/// Columns of a table, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSchema {
    /// The columns.
    pub columns: Vec<Column>,
}

impl TableSchema {
    /// A schema of these columns.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns }
    }

    /// Only the named columns, in the given order.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`](crate::ErrorKind::ConfigInvalid) for a name that is not there.
    pub fn project<S: AsRef<str>>(&self, names: &[S]) -> Result<Self> {
        let find = |name: &S| {
            self.columns.iter().find(|c| c.name == name.as_ref()).cloned().ok_or_else(|| {
                Error::config(format!("the table has no column '{}'", name.as_ref()))
            })
        };

        Ok(Self { columns: names.iter().map(find).collect::<Result<_>>()? })
    }

    /// The column that the first segment of `path` names.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Where the value of column path `path` lies in a raw record.
    pub fn place_of(&self, path: &FieldPath) -> FieldPath {
        let mut place = Vec::new();
        let mut columns = self.columns.as_slice();
        for segment in path.segments() {
            let column = columns.iter().find(|c| &*c.name == segment);
            match column.and_then(|c| c.from.as_ref()) {
                Some(from) => place.extend(from.segments().map(Box::from)),
                None => place.push(Box::from(segment)),
            }
            columns = match column.map(|c| &c.data_type) {
                Some(DataType::Struct(fields)) => fields,
                _ => &[],
            };
        }

        FieldPath(place.into())
    }

    /// Spark's JSON form of the schema, as `DataType.fromJson` reads it.
    pub fn to_spark_json(&self) -> Value {
        spark_struct(&self.columns)
    }

    /// Reads Spark's JSON form of a schema, with plain names: where values lie is not part of it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a type that no table has, naming
    /// the column; [`ErrorKind::Internal`](crate::ErrorKind::Internal) for another JSON.
    pub fn from_spark_json(json: &Value) -> Result<Self> {
        Ok(Self { columns: from_spark_struct("", json)? })
    }

    /// Checks what no table may declare: no columns, one name twice, a decimal out of range.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal), naming the column.
    pub fn validate(&self) -> Result<()> {
        if self.columns.is_empty() {
            return Err(Error::internal("a table needs at least one column"));
        }

        validate_columns(&self.columns)
    }
}

fn validate_columns(columns: &[Column]) -> Result<()> {
    for (i, column) in columns.iter().enumerate() {
        if columns[..i].iter().any(|c| c.name == column.name) {
            return Err(Error::internal(format!("column '{}' is declared twice", column.name)));
        }
        validate_type(&column.name, &column.data_type)?;
    }

    Ok(())
}

fn validate_type(name: &str, data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Decimal { precision, scale }
            if !(1..=38).contains(precision) || scale > precision =>
        {
            Err(Error::internal(format!("column '{name}': decimal({precision},{scale})")))
        }
        DataType::Array { element, .. } => validate_type(name, element),
        DataType::Map { key, value, .. } => {
            validate_type(name, key)?;
            validate_type(name, value)
        }
        DataType::Struct(fields) => validate_columns(fields),
        _ => Ok(()),
    }
}

fn spark_struct(columns: &[Column]) -> Value {
    let fields: Vec<Value> = columns
        .iter()
        .map(|c| {
            let metadata = match c.data_type {
                DataType::Varchar(n) => {
                    json!({"__CHAR_VARCHAR_TYPE_STRING": format!("varchar({n})")})
                }
                DataType::Char(n) => json!({"__CHAR_VARCHAR_TYPE_STRING": format!("char({n})")}),
                _ => json!({}),
            };
            json!({
                "name": c.name,
                "type": spark_type(&c.data_type),
                "nullable": c.nullable,
                "metadata": metadata,
            })
        })
        .collect();

    json!({"type": "struct", "fields": fields})
}

fn spark_type(data_type: &DataType) -> Value {
    match data_type {
        DataType::String | DataType::Varchar(_) | DataType::Char(_) => json!("string"),
        DataType::Byte => json!("byte"),
        DataType::Short => json!("short"),
        DataType::Int => json!("integer"),
        DataType::Long => json!("long"),
        DataType::Float => json!("float"),
        DataType::Double => json!("double"),
        DataType::Decimal { precision, scale } => json!(format!("decimal({precision},{scale})")),
        DataType::Boolean => json!("boolean"),
        DataType::Date => json!("date"),
        DataType::Timestamp => json!("timestamp"),
        DataType::TimestampNtz => json!("timestamp_ntz"),
        DataType::Binary => json!("binary"),
        DataType::Variant => json!("variant"),
        DataType::Void => json!("void"),
        DataType::Array { element, contains_null } => json!({
            "type": "array", "elementType": spark_type(element), "containsNull": contains_null,
        }),
        DataType::Map { key, value, value_contains_null } => json!({
            "type": "map",
            "keyType": spark_type(key),
            "valueType": spark_type(value),
            "valueContainsNull": value_contains_null,
        }),
        DataType::Struct(fields) => spark_struct(fields),
    }
}

fn from_spark_struct(prefix: &str, json: &Value) -> Result<Vec<Column>> {
    let fields = json.get("fields").and_then(Value::as_array);
    let fields = fields.ok_or_else(|| Error::internal("a schema in Spark's form is malformed"))?;
    let column = |field: &Value| {
        let name = field.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| Error::internal("a column of a schema has no name"))?;
        let data_type = from_spark_type(&format!("{prefix}{name}"), &field["type"])?;
        let nullable = field.get("nullable").and_then(Value::as_bool).unwrap_or(true);

        Ok(Column { nullable, ..Column::new(name, data_type) })
    };

    fields.iter().map(column).collect()
}

fn from_spark_type(path: &str, json: &Value) -> Result<DataType> {
    let flag = |name: &str| json.get(name).and_then(Value::as_bool).unwrap_or(true);
    let inner = |name: &str, step: &str| {
        from_spark_type(&format!("{path}.{step}"), &json[name]).map(Box::new)
    };
    let name = json.as_str().or_else(|| json["type"].as_str()).unwrap_or_default();
    Ok(match name {
        "string" => DataType::String,
        "byte" => DataType::Byte,
        "short" => DataType::Short,
        "integer" => DataType::Int,
        "long" => DataType::Long,
        "float" => DataType::Float,
        "double" => DataType::Double,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp,
        "timestamp_ntz" => DataType::TimestampNtz,
        "binary" => DataType::Binary,
        "variant" => DataType::Variant,
        "void" => DataType::Void,
        "array" => DataType::Array {
            element: inner("elementType", "element")?,
            contains_null: flag("containsNull"),
        },
        "map" => DataType::Map {
            key: inner("keyType", "key")?,
            value: inner("valueType", "value")?,
            value_contains_null: flag("valueContainsNull"),
        },
        "struct" => DataType::Struct(from_spark_struct(&format!("{path}."), json)?),
        other => decimal(other).ok_or_else(|| {
            let other: String = other.chars().take(80).collect();
            Error::unsupported(format!("column '{path}' is {other}, a type that no table has"))
        })?,
    })
}

/// `decimal(10,2)`, or `decimal`, which is `decimal(10,0)`.
fn decimal(text: &str) -> Option<DataType> {
    let rest = text.strip_prefix("decimal")?;
    if rest.is_empty() {
        return Some(DataType::Decimal { precision: 10, scale: 0 });
    }
    let (precision, scale) = rest.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;

    Some(DataType::Decimal {
        precision: precision.trim().parse().ok()?,
        scale: scale.trim().parse().ok()?,
    })
}

/// The type as Spark shows it in words: `struct<id:bigint,tags:array<string>>`.
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::String | Self::Varchar(_) | Self::Char(_) => "string",
            Self::Byte => "tinyint",
            Self::Short => "smallint",
            Self::Int => "int",
            Self::Long => "bigint",
            Self::Float => "float",
            Self::Double => "double",
            Self::Decimal { precision, scale } => return write!(f, "decimal({precision},{scale})"),
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampNtz => "timestamp_ntz",
            Self::Binary => "binary",
            Self::Variant => "variant",
            Self::Void => "void",
            Self::Array { element, .. } => return write!(f, "array<{element}>"),
            Self::Map { key, value, .. } => return write!(f, "map<{key},{value}>"),
            Self::Struct(columns) => {
                f.write_str("struct<")?;
                for (i, column) in columns.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{}", column.name, column.data_type)?;
                }
                ">"
            }
        };

        f.write_str(name)
    }
}

/// A place in nested objects: names from the outside in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Box<[Box<str>]>);

impl FieldPath {
    /// A field of the record itself; the name may contain any character.
    pub fn field(name: impl Into<Box<str>>) -> Self {
        Self(Box::new([name.into()]))
    }

    /// `/commit/author/date`: the fields on the way, each after a slash.
    pub fn pointer(pointer: &str) -> Self {
        Self(pointer.trim_start_matches('/').split('/').map(Box::from).collect())
    }

    /// The names from the outside in.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|s| &**s)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spark_json_names_types_as_spark_does() {
        let schema = TableSchema::new(vec![
            Column::new("id", DataType::Long).required(),
            Column::new("v", DataType::Varchar(3)),
            Column::new("d", DataType::Decimal { precision: 10, scale: 2 }),
            Column::new(
                "m",
                DataType::Map {
                    key: Box::new(DataType::String),
                    value: Box::new(DataType::Array {
                        element: Box::new(DataType::TimestampNtz),
                        contains_null: false,
                    }),
                    value_contains_null: true,
                },
            ),
        ]);

        assert_eq!(
            schema.to_spark_json(),
            json!({"type": "struct", "fields": [
                {"name": "id", "type": "long", "nullable": false, "metadata": {}},
                {"name": "v", "type": "string", "nullable": true,
                 "metadata": {"__CHAR_VARCHAR_TYPE_STRING": "varchar(3)"}},
                {"name": "d", "type": "decimal(10,2)", "nullable": true, "metadata": {}},
                {"name": "m", "nullable": true, "metadata": {}, "type": {
                    "type": "map", "keyType": "string", "valueContainsNull": true,
                    "valueType": {"type": "array", "elementType": "timestamp_ntz",
                                  "containsNull": false}}},
            ]})
        );
    }

    #[test]
    fn spark_json_is_read_back_and_shown_in_words() {
        let inner = Column::new("a", DataType::Decimal { precision: 10, scale: 2 }).required();
        let names = DataType::Array { element: Box::new(DataType::String), contains_null: false };
        let schema = TableSchema::new(vec![
            Column::new("id", DataType::Long).required(),
            Column::new("s", DataType::Struct(vec![inner, Column::new("t", DataType::Timestamp)])),
            Column::new(
                "m",
                DataType::Map {
                    key: Box::new(DataType::Int),
                    value: Box::new(names),
                    value_contains_null: false,
                },
            ),
            Column::new("v", DataType::Variant),
        ]);
        assert_eq!(TableSchema::from_spark_json(&schema.to_spark_json()).unwrap(), schema);
        assert_eq!(
            DataType::Struct(schema.columns).to_string(),
            "struct<id:bigint,s:struct<a:decimal(10,2),t:timestamp>,m:map<int,array<string>>,\
             v:variant>"
        );

        let odd = json!({"type": "struct", "fields": [{"name": "s", "nullable": true, "type": {
            "type": "struct", "fields": [{"name": "i", "type": "interval year", "nullable": true}],
        }}]});
        assert_eq!(
            TableSchema::from_spark_json(&odd).unwrap_err().to_string(),
            "column 's.i' is interval year, a type that no table has"
        );
    }

    #[test]
    fn place_of_follows_from() {
        let schema = TableSchema::new(vec![
            Column::new("author_date", DataType::String)
                .from(FieldPath::pointer("/commit/author/date")),
            Column::new(
                "user",
                DataType::Struct(vec![
                    Column::new("name", DataType::String).from(FieldPath::field("login")),
                ]),
            ),
        ]);

        let place = |p: &str| schema.place_of(&FieldPath::pointer(p)).to_string();
        assert_eq!(place("/author_date"), "commit.author.date");
        assert_eq!(place("/user/name"), "user.login");
        assert_eq!(place("/id"), "id");
    }
}
