//! Tables, schemas and metadata.

use crate::bench::Bench;
use crate::check::Outcome;
use lakeflow_core::{Error, ErrorKind, Result};
use serde_json::Value;
use std::collections::BTreeSet;

const UNKNOWN: &str = "__nonexistent_table_$$_9z9z9z__";

/// Two calls give the same tables, and the same schema and metadata.
pub async fn discovery_is_stable(bench: Bench) -> Result<Outcome> {
    let mut problems = Vec::new();
    let first = bench.connector()?.list_tables().await?;
    let second = bench.connector()?.list_tables().await?;
    if first != second {
        problems.push(format!("tables differ between calls: {first:?}, {second:?}"));
    }
    let names: BTreeSet<&str> = first.iter().map(String::as_str).collect();
    if names.len() != first.len() {
        problems.push(format!("a table is listed twice: {first:?}"));
    }
    let tested: BTreeSet<&str> = bench.entry.tables.iter().map(|case| case.name).collect();
    let enough = if bench.entry.partial { tested.is_subset(&names) } else { tested == names };
    if !enough {
        problems.push(format!("listed {names:?}, but entries.rs has {tested:?}"));
    }
    if bench.describe().await? != bench.describe().await? {
        problems.push("schema or metadata differ between calls".to_owned());
    }

    Ok(problems.into())
}

/// Schema, batch read, stream and delete stream of an unknown table fail, and name the known ones.
pub async fn unknown_tables_are_refused(bench: Bench) -> Result<Outcome> {
    let rows = bench.options(&[("tableName", UNKNOWN)]);
    let deletes = bench.options(&[("tableName", UNKNOWN), ("isDeleteFlow", "true")]);
    let engine = &bench.engine;
    let calls: [(&str, Option<Error>); 4] = [
        ("describe", engine.describe(&rows).await.err()),
        ("batch", engine.batch(&rows, None).await.err()),
        ("stream", engine.stream(&rows).await.err()),
        ("delete stream", engine.stream(&deletes).await.err()),
    ];
    let problem = |(call, error): (&str, Option<Error>)| match error {
        None => Some(format!("{call} takes an unknown table")),
        Some(e) if e.kind() != ErrorKind::TableNotFound => Some(format!("{call}: {e:?}")),
        Some(e) if !e.message().contains(bench.case.name) => {
            Some(format!("{call} does not name the known tables: {e}"))
        }
        Some(_) => None,
    };

    Ok(calls.into_iter().filter_map(problem).collect::<Vec<_>>().into())
}

/// Keys and cursor are columns, and the ingestion type has what it needs.
pub async fn metadata_is_consistent(bench: Bench) -> Result<Outcome> {
    let description = bench.describe().await?;
    let mut problems = inconsistencies(&description);
    let deletes = bench.engine.stream(&bench.options(&[("isDeleteFlow", "true")])).await.err();
    let offers = description["ingestion_type"] == "cdc_with_deletes";
    match deletes {
        None if !offers => problems.push("there is an undeclared delete feed".to_owned()),
        Some(e) if offers => problems.push(format!("the declared delete feed: {e:?}")),
        Some(e) if e.kind() != ErrorKind::Unsupported => {
            problems.push(format!("the missing delete feed: {e:?}"));
        }
        _ => {}
    }
    if offers != bench.case.delete.is_some() {
        problems.push(
            "entries.rs must say how a record is deleted, exactly for tables with \
             a delete feed"
                .to_owned(),
        );
    }

    Ok(problems.into())
}

/// What in a description contradicts itself.
fn inconsistencies(description: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let fields = description["schema"]["fields"].as_array().map_or(&[][..], Vec::as_slice);
    let names: Vec<&str> = fields.iter().filter_map(|f| f["name"].as_str()).collect();
    let folded: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
    if names.is_empty() || folded.len() != names.len() {
        problems.push(format!("columns are missing or differ by case only: {names:?}"));
    }
    let key: Vec<&str> = description["primary_keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let ingestion = description["ingestion_type"].as_str().unwrap_or_default();
    if key.is_empty() && ingestion != "append" {
        problems.push(format!("a {ingestion} table has no key"));
    }
    let cursor = description["cursor_field"].as_str();
    if cursor.is_none() && ingestion.starts_with("cdc") {
        problems.push(format!("a {ingestion} table has no cursor"));
    }
    for path in key.into_iter().chain(cursor) {
        if !is_column(fields, path) {
            problems.push(format!("'{path}' is no column"));
        }
    }

    problems
}

fn is_column(fields: &[Value], path: &str) -> bool {
    if fields.iter().any(|f| f["name"] == path) {
        return true;
    }
    let Some((head, rest)) = path.split_once('.') else { return false };
    let inner = fields.iter().find(|f| f["name"] == head);
    let inner = inner.and_then(|f| f["type"]["fields"].as_array());
    inner.is_some_and(|fields| is_column(fields, rest))
}

#[test]
fn contradictions_of_a_description_are_found() {
    use serde_json::json;
    let schema = json!({"fields": [
        {"name": "id", "type": "long"},
        {"name": "at", "type": {"type": "struct", "fields": [{"name": "time", "type": "string"}]}},
    ]});
    let found = |ingestion: &str, key: &[&str], cursor: Option<&str>| {
        inconsistencies(&json!({"schema": schema, "ingestion_type": ingestion,
            "primary_keys": key, "cursor_field": cursor}))
    };
    assert_eq!(found("cdc", &["id"], Some("at.time")), [""; 0]);
    assert_eq!(found("append", &[], None), [""; 0]);
    assert_eq!(found("snapshot", &[], None), ["a snapshot table has no key"]);
    assert_eq!(found("cdc", &["id"], None), ["a cdc table has no cursor"]);
    assert_eq!(
        found("cdc", &["x"], Some("at.date")),
        ["'x' is no column", "'at.date' is no column"]
    );
}
