//! Named connections: options that whoever starts the process keeps for reads to use by name.

use crate::credentials::Variables;
use lakeflow_core::{Error, Options, Result};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read;
use toml_edit::{Document, Item};

/// The file of connections in TOML, one table each.
const FILE: &str = "LAKEFLOW_CONNECTIONS_FILE";

/// A connection as JSON; its name follows in capitals, other characters than letters and digits as
/// underscores.
const VARIABLE: &str = "LAKEFLOW_CONNECTION_";

/// Names of options that a read may give beside the connection.
const ALLOW_LIST: &str = "externalOptionsAllowList";

/// A connection that was found.
pub(crate) struct Connection {
    pub(crate) name: String,
    /// Its options, `sourceName` perhaps among them.
    pub(crate) options: Options,
    /// Names of connection and kit options that a read may give beside it.
    pub(crate) allowed: Vec<String>,
}

impl Connection {
    /// The connection `name`; none if it is defined nowhere.
    ///
    /// # Errors
    /// `ConfigInvalid` for a malformed name or definition; its content is not shown.
    pub(crate) fn find(name: &str, variables: Variables<'_>) -> Result<Option<Self>> {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.len() > 100 || !name.chars().all(valid) {
            return Err(Error::config(
                "option 'connection' must be a name of at most 100 letters, digits, '_', '-' and '.'",
            ));
        }
        let variable = variable(name);
        let fields = match variables(&variable) {
            Some(json) => Some(of_json(&json, &variable)?),
            None => match variables(FILE).filter(|path| !path.trim().is_empty()) {
                Some(path) => of_file(path.trim(), name)?,
                None => None,
            },
        };

        fields.map(|fields| Self::new(name, fields)).transpose()
    }

    /// What to say of a connection that is defined nowhere.
    pub(crate) fn unknown(name: &str) -> Error {
        Error::config(format!(
            "option 'connection': there is no connection '{name}'; define it where the driver \
             runs, as table [{name}] of the file that {FILE} names, or as JSON in {}",
            variable(name)
        ))
    }

    fn new(name: &str, fields: Map<String, Value>) -> Result<Self> {
        let mut connection =
            Self { name: name.to_owned(), options: Options::new(), allowed: Vec::new() };
        for (option, value) in fields {
            if option.eq_ignore_ascii_case(ALLOW_LIST) {
                connection.allowed = names(&value)
                    .ok_or_else(|| connection.malformed(&option, "a list of names of options"))?;
            } else {
                let text = text(&value).ok_or_else(|| {
                    connection.malformed(&option, "text, a number, or true or false")
                })?;
                connection.options.set(option, text);
            }
        }

        Ok(connection)
    }

    fn malformed(&self, option: &str, expected: &str) -> Error {
        let option: String = option.chars().take(80).collect();
        Error::config(format!("connection '{}': '{option}' must be {expected}", self.name))
    }
}

fn variable(name: &str) -> String {
    let capital = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{VARIABLE}{}", name.chars().map(capital).collect::<String>())
}

fn of_json(json: &str, variable: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(json).map_err(|e| {
        Error::config(format!(
            "variable {variable} must hold a JSON object of options, see line {} column {}",
            e.line(),
            e.column()
        ))
    })
}

fn of_file(path: &str, name: &str) -> Result<Option<Map<String, Value>>> {
    let fail = |why: String| Error::config(format!("the file that {FILE} names {why}: {path}"));
    let mut file = File::open(path).map_err(|e| fail(format!("cannot be read ({})", e.kind())))?;
    if let Some(mode) = mode_for_others(&file) {
        return Err(fail(format!("has mode {mode:04o}, must have 0600")));
    }
    let mut text = String::new();
    let read = file.read_to_string(&mut text);
    read.map_err(|e| fail(format!("cannot be read ({})", e.kind())))?;
    // The parser's own message quotes the line.
    let document = Document::parse(text.as_str()).map_err(|e| {
        let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        fail(format!("is not TOML, see line {}", before.matches('\n').count() + 1))
    })?;
    let Some(table) = document.as_table().get(name) else { return Ok(None) };

    match json(table) {
        Value::Object(fields) => Ok(Some(fields)),
        _ => Err(fail(format!("must hold '{name}' as a table, [{name}]"))),
    }
}

/// Permissions of a file that others than its owner can use.
#[cfg(unix)]
fn mode_for_others(file: &File) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn mode_for_others(_: &File) -> Option<u32> {
    None
}

/// A TOML value as JSON; null for dates and lists of tables, which no option has.
fn json(item: &Item) -> Value {
    if let Some(table) = item.as_table_like() {
        return table.iter().map(|(name, item)| (name.to_owned(), json(item))).collect();
    }
    if let Some(list) = item.as_array() {
        return list.iter().map(|value| json(&Item::Value(value.clone()))).collect();
    }
    let number = || item.as_integer().map(Value::from).or(item.as_float().map(Value::from));
    let word = || item.as_str().map(Value::from).or(item.as_bool().map(Value::from));

    number().or_else(word).unwrap_or(Value::Null)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Names in a list, or separated by commas.
fn names(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(list) => list.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
        Value::String(text) => Some(text.split(',').map(|name| name.trim().to_owned()).collect()),
        _ => None,
    }
}
