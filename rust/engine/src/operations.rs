//! Questions about a source, for agents: option `operation` in the place of a table.
//!
//! The answer of a metadata operation has a column `_meta` that says how it went: an error is one
//! row. `read_table` gives the rows of a table, at most so many, and its errors are errors.

use crate::batch::BatchReader;
use crate::contents::Contents;
use crate::engine::Engine;
use crate::options::{FRAMEWORK_OPTIONS, PLATFORM_OPTIONS};
use crate::rows;
use crate::virtual_tables::of_one_table;
use async_trait::async_trait;
use lakeflow_core::{
    Column, Connector, DataType, Error, ErrorKind, FieldPath, Ingestion, Operation, OptionKind,
    OptionSpec, Options, PageStream, Progress, ReadRequest, Result, Settings, Source, TableSchema,
    TableSpec,
};
use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};
use std::sync::Arc;

/// Column that says how an operation went.
const META: &str = "_meta";

/// Longest pattern of `search`, in bytes, and the most memory that it may compile to.
const MAX_PATTERN: usize = 1_000;
const MAX_COMPILED: usize = 1 << 20;

/// The operation whose answer is a table.
pub(crate) const READ_TABLE: &str = "read_table";

/// Option that names the operation.
const OPTION: &str = "operation";

/// Tables that `validate_connection` asks before it gives up.
const MAX_PROBES: usize = 3;

const fn text(name: &'static str, doc: &'static str) -> OptionSpec {
    OptionSpec::new(name, OptionKind::Text, doc)
}

static BUILT_IN: &[Operation] = &[
    Operation {
        name: "list_objects",
        doc: "Lists tables and namespaces.",
        parameters: &[
            text("path", "Namespace to list, its names separated by dots; the root unless set."),
            text("search", "Regular expression that names must match somewhere."),
        ],
        schema: Some(|| strings(&["name", "type", "full_path"])),
    },
    Operation {
        name: READ_TABLE,
        doc: "Reads rows of a table; column `_truncated` says whether it has more than these.",
        parameters: &[
            text("tableName", "Table to read.").required(),
            OptionSpec::new(
                "limit",
                OptionKind::Integer { min: 1, max: 100_000 },
                "Most rows to give.",
            )
            .default("1000"),
        ],
        schema: None,
    },
    Operation {
        name: "get_object_metadata",
        doc: "Tells keys, cursor and ingestion type of a table.",
        parameters: &[
            text("name", "Table to describe.").required(),
            text("metadataKey", "Only this key of the answer, in any case."),
        ],
        schema: Some(|| strings(&["key", "value"])),
    },
    Operation {
        name: "validate_connection",
        doc: "Asks the service for one record, to see whether it takes the credentials.",
        parameters: &[],
        schema: Some(|| TableSchema::new(Vec::new())),
    },
    Operation {
        name: "list_operations",
        doc: "Lists the operations of the source.",
        parameters: &[],
        schema: Some(|| {
            strings(&["name", "description", "kind", "result_schema_json", "parameters_json"])
        }),
    },
];

fn strings(names: &[&str]) -> TableSchema {
    TableSchema::new(names.iter().map(|name| Column::new(*name, DataType::String)).collect())
}

/// The operations of a source: the built-in ones, each replaced where the source has its own of
/// that name, then the others by name.
pub(crate) fn catalogue(connector: Option<&dyn Connector>) -> Vec<Operation> {
    let own = connector.and_then(Connector::operations).map_or(&[][..], |o| o.declared());
    let mut operations: Vec<Operation> = BUILT_IN
        .iter()
        .map(|built_in| own.iter().find(|o| o.name == built_in.name).unwrap_or(built_in).clone())
        .collect();
    let mut others: Vec<_> =
        own.iter().filter(|o| BUILT_IN.iter().all(|built_in| built_in.name != o.name)).collect();
    others.sort_unstable_by_key(|o| o.name);
    operations.extend(others.into_iter().cloned());

    operations
}

/// Parameters of a built-in operation, checked, and the options that are none of them.
pub(crate) fn split(operation: &str, options: &Options) -> Result<(Settings, Options)> {
    let found = BUILT_IN.iter().find(|built_in| built_in.name == operation);
    let (parameters, rest) = partition(found.map_or(&[], |found| found.parameters), options);

    Ok((check(found.map_or(&[], |found| found.parameters), &parameters)?, rest))
}

fn partition(parameters: &[OptionSpec], options: &Options) -> (Options, Options) {
    let mut rest = Options::new();
    let mut own = Options::new();
    for (name, value) in options.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(OPTION)) {
        let parameter = parameters.iter().any(|parameter| parameter.is_called(name));
        if parameter { &mut own } else { &mut rest }.set(name, value);
    }

    (own, rest)
}

fn check(parameters: &'static [OptionSpec], given: &Options) -> Result<Settings> {
    let settings = Settings::resolve(given, parameters, &[])?;
    settings.require(None)?;

    Ok(settings)
}

/// A connector whose one table is the answer of a metadata operation.
#[derive(Clone)]
pub(crate) struct Asked {
    engine: Engine,
    source: &'static Source,
    /// What is asked for, or that there is no such operation.
    operation: Attempt<Operation>,
    parameters: Attempt<Arc<Settings>>,
    /// Options besides the parameters.
    options: Options,
    settings: Attempt<Arc<Settings>>,
    connector: Attempt<Arc<dyn Connector>>,
}

/// What is wrong is told in the answer, each time that it is asked for.
type Attempt<T> = std::result::Result<T, Arc<Error>>;

impl Asked {
    pub(crate) fn new(
        engine: &Engine,
        source: &'static Source,
        name: &str,
        options: &Options,
    ) -> Self {
        let connector = connector(engine, source, options).map_err(Arc::new);
        let operations = catalogue(connector.as_deref().ok());
        let names: Vec<&str> = operations.iter().map(|operation| operation.name).collect();
        let operation = operations.iter().find(|o| o.name == name).cloned().ok_or_else(|| {
            let name: String = name.chars().take(80).collect();
            let known = names.join(", ");
            Arc::new(Error::unsupported(format!("unknown operation '{name}'; there are: {known}")))
        });
        let known = operation.as_ref().map_or(&[][..], |operation| operation.parameters);
        let (parameters, options) = partition(known, options);
        let parameters = check(known, &parameters).map(Arc::new).map_err(Arc::new);
        let specs = FRAMEWORK_OPTIONS.iter().chain(source.options());
        let settings = Settings::resolve(&options, specs, PLATFORM_OPTIONS);
        let settings = settings.map(Arc::new).map_err(Arc::new);
        let engine = engine.clone();

        Self { engine, source, operation, parameters, options, settings, connector }
    }

    /// Settings of the read; where they are wrong, which the answer tells, those of no options.
    pub(crate) fn settings_or_default(&self) -> Result<Arc<Settings>> {
        match &self.settings {
            Ok(settings) => Ok(settings.clone()),
            Err(_) => Settings::resolve(&Options::new(), FRAMEWORK_OPTIONS, PLATFORM_OPTIONS)
                .map(Arc::new),
        }
    }

    /// The columns of the answer, each of which an error leaves null.
    pub(crate) fn spec(&self) -> TableSpec {
        let schema = self.operation.as_ref().ok().and_then(|operation| operation.schema);
        let mut columns = schema.map_or_else(Vec::new, |schema| schema().columns);
        for column in &mut columns {
            column.nullable = true;
        }
        if columns.iter().all(|column| column.name != META) {
            let meta = DataType::Struct(vec![
                Column::new("status", DataType::String).required(),
                Column::new("code", DataType::String),
                Column::new("message", DataType::String),
            ]);
            columns.push(Column::new(META, meta));
        }

        TableSpec::new(TableSchema::new(columns), Ingestion::Snapshot, &[], Progress::Snapshot)
    }
}

/// The source's connector, which needs the options of its connection only.
fn connector(
    engine: &Engine,
    source: &'static Source,
    options: &Options,
) -> Result<Arc<dyn Connector>> {
    let specs = source.connection_options.iter().chain(source.kit_options);
    let wanted = |name: &str| specs.clone().any(|spec| spec.is_called(name));
    let options: Options = options.iter().filter(|(name, _)| wanted(name)).collect();
    let specs = FRAMEWORK_OPTIONS.iter().chain(specs);
    let settings = Settings::resolve(&options, specs, PLATFORM_OPTIONS)?;
    settings.require(None)?;

    (source.build)(&engine.context(Arc::new(settings)))
}

#[async_trait]
impl Connector for Asked {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn table(&self, _: &str, _: &Settings) -> Result<TableSpec> {
        Ok(self.spec())
    }

    fn read_table(&self, _: ReadRequest) -> PageStream {
        let asked = self.clone();
        PageStream::later(async move {
            let rows = match asked.answer().await {
                Ok(mut rows) => {
                    for row in rows.iter_mut().filter(|row| row.get(META).is_none()) {
                        row[META] = json!({"status": "ok"});
                    }
                    rows
                }
                Err(error) => vec![asked.failed(&error)],
            };

            Ok(PageStream::from(vec![rows::page(&rows)?]))
        })
    }
}

impl Asked {
    async fn answer(&self) -> Attempt<Vec<Value>> {
        let operation = self.operation.clone()?;
        let parameters = self.parameters.clone()?;
        if operation.name == "list_operations" {
            return Ok(catalogue(self.connector.as_deref().ok()).iter().map(declared).collect());
        }
        let settings = self.settings.clone()?;
        let connector = self.connector.clone()?;
        if let Some(own) = connector.operations()
            && own.declared().iter().any(|o| o.name == operation.name)
        {
            return Ok(own.run(operation.name, &parameters).await?);
        }
        let answer = match operation.name {
            "list_objects" => list_objects(&*connector, &parameters).await,
            "get_object_metadata" => object_metadata(&*connector, &parameters, &settings).await,
            _ => self.probe(&*connector).await.map(|()| vec![json!({})]),
        };

        Ok(answer?)
    }

    /// Asks for one record of a table that needs no further options, the simplest tables first.
    async fn probe(&self, connector: &dyn Connector) -> Result<()> {
        let mut tables = Vec::new();
        for name in connector.list_tables().await? {
            let mut options = self.options.clone();
            options.set("tableName", name);
            match self.engine.table(self.source, &options).await {
                Ok(table) => tables.push(table),
                Err(error) if error.kind() == ErrorKind::ConfigInvalid => {}
                Err(error) => return Err(error),
            }
        }
        tables.sort_by_key(|table| !matches!(table.progress(), Progress::Snapshot));
        let mut refused = Error::config(
            "no table can be asked for a record without further options; give those of one table",
        );
        for table in tables.into_iter().take(MAX_PROBES) {
            let table = Arc::new(table);
            match BatchReader::new(table, None)?.limit(1).next().await {
                Ok(_) => return Ok(()),
                Err(error) if of_one_table(error.kind()) => refused = error,
                Err(error) => return Err(error),
            }
        }

        Err(refused)
    }

    fn failed(&self, error: &Error) -> Value {
        let validating =
            self.operation.as_ref().is_ok_and(|operation| operation.name == "validate_connection");
        let code = if validating { "connection_failed" } else { code(error.kind()) };
        let message = error.to_string();

        json!({META: {"status": "error", "code": code, "message": message}})
    }
}

/// The word that agents know for a kind of error.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AuthFailed => "auth_failed",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::TableNotFound => "not_found",
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::ConfigInvalid => "bad_request",
        ErrorKind::Unsupported => "unsupported",
        _ => "internal_error",
    }
}

fn declared(operation: &Operation) -> Value {
    let parameters: Vec<Value> = operation.parameters.iter().map(parameter).collect();
    let schema = operation.schema.map(|schema| schema().to_spark_json().to_string());

    json!({
        "name": operation.name,
        "description": operation.doc,
        "kind": if operation.schema.is_some() { "metadata" } else { "data" },
        "result_schema_json": schema,
        "parameters_json": Value::from(parameters).to_string(),
    })
}

fn parameter(spec: &OptionSpec) -> Value {
    let (kind, words) = match spec.kind {
        OptionKind::Integer { .. } => ("integer", None),
        OptionKind::Bool => ("boolean", None),
        OptionKind::Choice(words) => ("string", Some(words)),
        _ => ("string", None),
    };

    json!({
        "name": spec.name,
        "type": kind,
        "description": spec.doc,
        "required": spec.required,
        "default": spec.default,
        "enum": words,
    })
}

async fn list_objects(connector: &dyn Connector, parameters: &Settings) -> Result<Vec<Value>> {
    let search = parameters.get("search").map(pattern).transpose()?;
    let path: Vec<String> = parameters
        .get("path")
        .into_iter()
        .flat_map(|path| path.split('.'))
        .map(str::to_owned)
        .collect();
    let contents = Contents::of(connector, &path).await?;
    let namespaces = contents.namespaces.into_iter().flatten().map(|child| ("namespace", child));
    let whole = |table| path.iter().cloned().chain([table]).collect();
    let tables = contents.tables.into_iter().map(|table| ("table", whole(table)));

    Ok(namespaces
        .chain(tables)
        .filter_map(|(kind, path)| {
            let name = path.last()?;
            let wanted = search.as_ref().is_none_or(|search| search.is_match(name));
            wanted.then(|| json!({"name": name, "type": kind, "full_path": path.join(".")}))
        })
        .collect())
}

/// A pattern that is matched in time linear in the text's length, whatever it says.
fn pattern(text: &str) -> Result<Regex> {
    let shown: String = text.chars().take(80).collect();
    if text.len() > MAX_PATTERN {
        return Err(Error::config(format!(
            "option 'search' must be a regular expression of at most {MAX_PATTERN} bytes, got \
             \"{shown}\""
        )));
    }

    RegexBuilder::new(text).size_limit(MAX_COMPILED).build().map_err(|e| {
        let reason = e.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim();
        Error::config(format!(
            "option 'search' must be a regular expression, got \"{shown}\": {reason}"
        ))
    })
}

async fn object_metadata(
    connector: &dyn Connector,
    parameters: &Settings,
    settings: &Settings,
) -> Result<Vec<Value>> {
    let spec = connector.table(parameters.text("name")?, settings).await?;
    let key: Vec<String> = spec.key.iter().map(FieldPath::to_string).collect();
    let rows = [
        ("primary_key", Some(json!(key).to_string()).filter(|_| !key.is_empty())),
        ("cursor_column", spec.cursor.as_ref().map(FieldPath::to_string)),
        ("ingestion_type", Some(spec.ingestion.name().to_owned())),
    ];
    let wanted = parameters.get("metadataKey");

    Ok(rows
        .into_iter()
        .filter(|(key, _)| wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(key)))
        .filter(|(_, value)| value.is_some())
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect())
}
