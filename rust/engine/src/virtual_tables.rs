//! Tables that every source has: what it says of its tables, and where they lie.
//!
//! They are read as any snapshot, through a connector that asks the source's own.

use crate::options::{PLATFORM_OPTIONS, VIRTUAL_OPTIONS};
use crate::rows;
use async_trait::async_trait;
use lakeflow_core::{
    Column, Connector, CursorKind, DataType, Error, ErrorKind, FieldPath, Ingestion, Namespaces,
    Options, PageStream, Progress, ReadRequest, Result, Settings, Source, TableSchema, TableSpec,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How the names of virtual tables begin; no table of a source is called so.
const PREFIX: &str = "_community_";

/// Name, and what it is.
const TABLES: &[(&str, Virtual)] = &[
    ("_community_table_metadata", Virtual::Metadata),
    ("_community_namespaces", Virtual::Namespaces),
    ("_community_tables", Virtual::Tables),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Virtual {
    /// Keys, cursor and ingestion type of listed tables.
    Metadata,
    /// Children of a namespace.
    Namespaces,
    /// Tables of a namespace.
    Tables,
}

impl Virtual {
    /// The virtual table called `name`, if it is one.
    ///
    /// # Errors
    /// [`ErrorKind::TableNotFound`] for another name with the reserved prefix.
    pub(crate) fn called(name: &str) -> Result<Option<Self>> {
        let found = TABLES.iter().find(|(known, _)| *known == name).map(|(_, table)| *table);
        if found.is_none() && name.starts_with(PREFIX) {
            let names: Vec<&str> = TABLES.iter().map(|(known, _)| *known).collect();
            return Err(Error::new(
                ErrorKind::TableNotFound,
                format!(
                    "unknown table '{}': names that begin with {PREFIX} are reserved for {}",
                    name.chars().take(80).collect::<String>(),
                    names.join(", ")
                ),
            ));
        }

        Ok(found)
    }
}

/// A connector whose one table is a virtual one.
#[derive(Clone)]
pub(crate) struct About {
    pub(crate) table: Virtual,
    pub(crate) source: &'static Source,
    pub(crate) connector: Arc<dyn Connector>,
    /// As the user gave them: each listed table gets them with its own over them.
    pub(crate) options: Options,
}

#[async_trait]
impl Connector for About {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(TABLES.iter().map(|(name, _)| (*name).to_owned()).collect())
    }

    async fn table(&self, _: &str, options: &Settings) -> Result<TableSpec> {
        self.check(options)?;
        let names = || DataType::Array { element: Box::new(DataType::String), contains_null: true };
        let columns = match self.table {
            Virtual::Metadata => {
                let mut columns = vec![
                    Column::new("tableName", DataType::String).required(),
                    Column::new("primary_keys", names()),
                    Column::new("cursor_field", DataType::String),
                    Column::new("ingestion_type", DataType::String),
                ];
                if options.flag("withErrors") {
                    columns.push(Column::new("_error", DataType::String));
                }
                if options.flag("withCursorKinds") {
                    columns.push(Column::new("_cursor_kind", DataType::String));
                }
                columns
            }
            Virtual::Namespaces => vec![Column::new("namespace", names()).required()],
            Virtual::Tables => vec![
                Column::new("namespace", names()).required(),
                Column::new("tableName", DataType::String).required(),
            ],
        };

        Ok(TableSpec::new(TableSchema::new(columns), Ingestion::Snapshot, &[], Progress::Snapshot))
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        let about = self.clone();
        PageStream::later(async move {
            let rows = match about.table {
                Virtual::Metadata => about.metadata(&read.options).await,
                Virtual::Namespaces => about.namespaces(&read.options).await,
                Virtual::Tables => about.tables(&read.options).await,
            };

            Ok(PageStream::from(vec![rows::page(&rows?)?]))
        })
    }
}

impl About {
    /// Names mistakes before a query starts.
    fn check(&self, options: &Settings) -> Result<()> {
        match self.table {
            Virtual::Metadata => {
                strings(options, "tableNameList")?;
                object(options, "tableConfigs")?;
            }
            Virtual::Namespaces if self.connector.namespaces().is_some() => {
                strings(options, "namespacePrefix")?;
            }
            Virtual::Tables if options.get("namespace").is_some() => {
                self.namespace(options)?;
            }
            Virtual::Namespaces | Virtual::Tables => {}
        }

        Ok(())
    }

    async fn metadata(&self, options: &Settings) -> Result<Vec<Value>> {
        let tables = strings(options, "tableNameList")?.unwrap_or_default();
        let configs = object(options, "tableConfigs")?;
        let mut rows = Vec::new();
        for table in tables {
            let described = self.describe(&table, configs.get(&table)).await;
            rows.push(match described {
                Ok(mut row) => {
                    row["tableName"] = table.into();
                    row
                }
                Err(error) if of_one_table(error.kind()) => {
                    json!({"tableName": table, "_error": error.to_string()})
                }
                Err(error) => return Err(error.table(table)),
            });
        }

        Ok(rows)
    }

    async fn describe(&self, table: &str, config: Option<&Value>) -> Result<Value> {
        let mut options: Options = self
            .options
            .iter()
            .filter(|(name, _)| !VIRTUAL_OPTIONS.iter().any(|own| own.is_called(name)))
            .collect();
        for (name, value) in config.and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            options.set(name, value);
        }
        options.set("tableName", table);
        let specs = crate::FRAMEWORK_OPTIONS.iter().chain(self.source.options());
        let settings = Settings::resolve(&options, specs, PLATFORM_OPTIONS)?;
        let spec = self.connector.table(table, &settings).await?;
        let key: Vec<String> = spec.key.iter().map(FieldPath::to_string).collect();

        Ok(json!({
            "primary_keys": if key.is_empty() { Value::Null } else { key.into() },
            "cursor_field": spec.cursor.as_ref().map(FieldPath::to_string),
            "ingestion_type": spec.ingestion.name(),
            "_cursor_kind": cursor_kind(&spec),
        }))
    }

    async fn namespaces(&self, options: &Settings) -> Result<Vec<Value>> {
        let Some(tree) = self.connector.namespaces() else { return Ok(Vec::new()) };
        let prefix = strings(options, "namespacePrefix")?.unwrap_or_default();
        let children = children(tree, &prefix).await?;

        Ok(children.into_iter().map(|namespace| json!({"namespace": namespace})).collect())
    }

    async fn tables(&self, options: &Settings) -> Result<Vec<Value>> {
        let namespace = self.namespace(options)?;
        let mut tables = match self.connector.namespaces() {
            Some(tree) => tree.tables(&namespace).await?,
            None => self.connector.list_tables().await?,
        };
        tables.sort_unstable();

        let row = |table: String| json!({"namespace": namespace, "tableName": table});
        Ok(tables.into_iter().map(row).collect())
    }

    /// The namespace whose tables are asked for; the root of a source without namespaces.
    fn namespace(&self, options: &Settings) -> Result<Vec<String>> {
        let given = strings(options, "namespace")?;
        match (self.connector.namespaces(), given) {
            (Some(_), Some(namespace)) => Ok(namespace),
            (None, None) => Ok(Vec::new()),
            (Some(_), None) => Err(Error::config(format!(
                "option 'namespace' is required: source '{}' has namespaces; give one as a JSON \
                 list of strings, [] for the root",
                self.source.name
            ))),
            (None, Some(_)) => Err(Error::config(format!(
                "source '{}' has no namespaces; leave option 'namespace' out",
                self.source.name
            ))),
        }
    }
}

/// `instant` for a cursor whose values are points in time however they are spelled; `None` for others,
/// and for those that the table is not read by.
fn cursor_kind(spec: &TableSpec) -> Option<&'static str> {
    let order = spec.rows.order()?;
    let read_by = spec.cursor.is_some() && order.field == spec.cursor;

    (read_by && order.kind == CursorKind::Instant).then_some("instant")
}

/// The namespaces directly below `prefix`, sorted.
pub(crate) async fn children(tree: &dyn Namespaces, prefix: &[String]) -> Result<Vec<Vec<String>>> {
    let mut children = tree.children(prefix).await?;
    children.sort_unstable();
    children.dedup();

    Ok(children)
}

/// Whether an error says something of the table asked for, and not of the source as a whole.
pub(crate) fn of_one_table(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TableNotFound
            | ErrorKind::ConfigInvalid
            | ErrorKind::PermissionDenied
            | ErrorKind::Unsupported
            | ErrorKind::BadResponse
            | ErrorKind::DataInvalid
    )
}

/// An option that holds a JSON list of strings.
fn strings(options: &Settings, name: &str) -> Result<Option<Vec<String>>> {
    let Some(text) = options.get(name) else { return Ok(None) };

    serde_json::from_str(text).map(Some).map_err(|_| not_json(name, "list of strings", text))
}

/// An option that holds a JSON object.
fn object(options: &Settings, name: &str) -> Result<Map<String, Value>> {
    let Some(text) = options.get(name) else { return Ok(Map::new()) };

    serde_json::from_str(text).map_err(|_| not_json(name, "object", text))
}

fn not_json(name: &str, expected: &str, text: &str) -> Error {
    let shown: String = text.chars().take(80).collect();

    Error::config(format!("option '{name}' must be a JSON {expected}, got \"{shown}\""))
}
