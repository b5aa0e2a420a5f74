//! A source in memory whose tables lie in namespaces, with an operation of its own.

use async_trait::async_trait;
use lakeflow_core::{
    Column, Connector, Context, DataType, Error, ErrorKind, Ingestion, Namespaces, Operation,
    Operations, OptionKind, OptionSpec, Page, PageStream, Progress, ReadRequest, Records, Result,
    Settings, Source, TableSchema, TableSpec,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The source `tree`: tables `root`, `acme.plans`, `acme.billing.invoices` and `acme.billing.taxes`,
/// each with the numbers from 1 to 2,500, three pages of them.
pub static TREE: Source = Source {
    name: "tree",
    connection_options: &[OptionSpec::secret("key", "Any text but `wrong`.")],
    kit_options: &[],
    table_options: &[OptionSpec::new("unit", OptionKind::Text, "Unit of the numbers.")],
    build: |context: &Context| {
        Ok(Arc::new(Tree { wrong: context.settings.secret("key")?.expose() == "wrong" }))
    },
};

/// Namespace and name of each table.
const TABLES: &[(&[&str], &str)] = &[
    (&[], "root"),
    (&["acme"], "plans"),
    (&["acme", "billing"], "taxes"),
    (&["acme", "billing"], "invoices"),
    (&["acme", "support"], "calls"),
];

/// Rows of each table, and of each page.
const ROWS: i64 = 2_500;
const PAGE_ROWS: i64 = 1_000;

static OPERATIONS: &[Operation] = &[Operation {
    name: "tree.height",
    doc: "Tells how deep the tree is.",
    parameters: &[
        OptionSpec::new("unit", OptionKind::Choice(&["levels", "steps"]), "Unit.").required()
    ],
    schema: Some(|| {
        TableSchema::new(vec![
            Column::new("unit", DataType::String).required(),
            Column::new("height", DataType::Long),
        ])
    }),
}];

struct Tree {
    wrong: bool,
}

fn full_name((path, table): &(&[&str], &str)) -> String {
    path.iter().chain([table]).copied().collect::<Vec<_>>().join(".")
}

#[async_trait]
impl Connector for Tree {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(TABLES.iter().map(full_name).collect())
    }

    async fn table(&self, table: &str, _: &Settings) -> Result<TableSpec> {
        let names = self.list_tables().await?;
        if !names.iter().any(|name| name == table) {
            return Err(Error::table_not_found(table, &names));
        }
        let schema = TableSchema::new(vec![Column::new("n", DataType::Long).required()]);

        Ok(TableSpec::new(schema, Ingestion::Snapshot, &["n"], Progress::Snapshot))
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        if self.wrong {
            let error = Error::new(ErrorKind::AuthFailed, "the service rejected option 'key'");
            return PageStream::error(error.table(read.table));
        }
        let page = |first: i64| {
            let last = ROWS.min(first + PAGE_ROWS - 1);
            let rows: Vec<_> = (first..=last).map(|n| json!({"n": n})).collect();
            let json = Value::from(rows).to_string();
            Page { last: last == ROWS, ..Page::of(Records::array(json.into())) }
        };

        PageStream::from(vec![page(1), page(1 + PAGE_ROWS), page(1 + 2 * PAGE_ROWS)])
    }

    fn namespaces(&self) -> Option<&dyn Namespaces> {
        Some(self)
    }

    fn operations(&self) -> Option<&dyn Operations> {
        Some(self)
    }
}

#[async_trait]
impl Namespaces for Tree {
    async fn children(&self, prefix: &[String]) -> Result<Vec<Vec<String>>> {
        let below =
            |path: &&[&str]| path.len() > prefix.len() && prefix.iter().eq(&path[..prefix.len()]);
        let child = |path: &[&str]| path[..=prefix.len()].iter().map(|s| (*s).to_owned()).collect();

        Ok(TABLES.iter().map(|(path, _)| *path).filter(below).map(child).collect())
    }

    async fn tables(&self, namespace: &[String]) -> Result<Vec<String>> {
        let here = TABLES.iter().filter(|(path, _)| namespace.iter().eq(path.iter()));

        Ok(here.map(|(_, table)| (*table).to_owned()).collect())
    }
}

#[async_trait]
impl Operations for Tree {
    fn declared(&self) -> &'static [Operation] {
        OPERATIONS
    }

    async fn run(&self, _: &str, parameters: &Settings) -> Result<Vec<Value>> {
        let height = if parameters.text("unit")? == "levels" { 3 } else { 2 };

        Ok(vec![json!({"unit": parameters.text("unit")?, "height": height})])
    }
}
