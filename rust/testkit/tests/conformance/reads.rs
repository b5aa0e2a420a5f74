//! Batch reads: all records, whole keys, filled columns.

use crate::bench::Bench;
use crate::check::Outcome;
use crate::rows::{differences, is_blank, key_of, null_but_required, unfilled};
use lakeflow_core::Result;
use serde_json::Value;
use std::collections::BTreeSet;

/// As many rows as the service has records for the table, from at least three pages.
pub async fn every_record_is_read(bench: Bench) -> Result<Outcome> {
    let rows = bench.read(&[], None).await?.len();
    let expected = bench.expected()?;
    let mut problems = Vec::new();
    if rows != expected {
        problems.push(format!("{rows} rows of {expected} records"));
    }
    let pages = expected.div_ceil(usize::try_from(bench.case.page).unwrap_or(1));
    if pages < 3 {
        problems.push(format!("{expected} records are only {pages} pages of {}", bench.case.page));
    }

    Ok(problems.into())
}

/// Keys are whole, and no two rows have the same.
pub async fn keys_are_unique(bench: Bench) -> Result<Outcome> {
    let key = key(&bench.describe().await?);
    if key.is_empty() {
        return Ok(Outcome::Spared);
    }
    let mut known = BTreeSet::new();
    let mut problems = Vec::new();
    for row in bench.read(&[], None).await? {
        match key_of(&row, &key) {
            None => problems.push(format!("a key is null: {row}")),
            Some(key) if !known.insert(key.clone()) => {
                problems.push(format!("two rows have the key {key}"));
            }
            Some(_) => {}
        }
    }

    Ok(problems.into())
}

/// Columns that are declared as never null are not, below records and lists too.
pub async fn required_columns_are_filled(bench: Bench) -> Result<Outcome> {
    let rows = bench.read(&[], None).await?;
    let fields = &bench.describe().await?["schema"]["fields"];

    Ok(null_but_required(fields, &rows)
        .into_iter()
        .map(|path| format!("{path}: null in a row"))
        .collect::<Vec<_>>()
        .into())
}

/// Each column, and each field of a record in it, has a value in some row.
pub async fn every_column_is_filled(bench: Bench) -> Result<Outcome> {
    let rows = bench.read(&[], None).await?;
    let fields = &bench.describe().await?["schema"]["fields"];

    Ok(unfilled(fields, &rows)
        .into_iter()
        .map(|path| format!("{path}: null in every row"))
        .collect::<Vec<_>>()
        .into())
}

/// Every row has a value in some column.
pub async fn no_row_is_blank(bench: Bench) -> Result<Outcome> {
    let rows = bench.read(&[], None).await?;

    Ok(match rows.iter().filter(|row| is_blank(row)).count() {
        0 => Vec::new(),
        blank => vec![format!("{blank} of {} rows have nothing but nulls", rows.len())],
    }
    .into())
}

/// A read of some columns gives the values that a read of all gives.
pub async fn projection_changes_no_value(bench: Bench) -> Result<Outcome> {
    let whole = bench.read(&[], None).await?;
    let description = bench.describe().await?;
    let fields = description["schema"]["fields"].as_array().cloned().unwrap_or_default();
    let names: Vec<String> =
        fields.iter().filter_map(|f| f["name"].as_str()).map(str::to_owned).collect();
    let mut problems = Vec::new();
    for half in [0, 1] {
        let columns: Vec<String> = names.iter().skip(half).step_by(2).cloned().collect();
        let of_whole = |row: &Value| {
            columns.iter().map(|name| (name.clone(), row[name].clone())).collect::<Value>()
        };
        let expected: Vec<Value> = whole.iter().map(of_whole).collect();
        let rows = bench.read(&[], Some(&columns)).await?;
        problems.extend(differences(&columns.join(","), &expected, &rows));
    }

    Ok(problems.into())
}

/// Where the service filters by a column it sends all records with the value, and no others.
pub async fn filters_leave_out_what_does_not_match(bench: Bench) -> Result<Outcome> {
    let description = bench.describe().await?;
    let filters = description["filters"].as_object().cloned().unwrap_or_default();
    if filters.is_empty() {
        return Ok(Outcome::Spared);
    }
    let whole = bench.read(&[], None).await?;
    let mut problems = Vec::new();
    for (column, values) in &filters {
        for value in values.as_array().into_iter().flatten() {
            let matches = |row: &&Value| row[column] == *value;
            let expected: Vec<Value> = whole.iter().filter(matches).cloned().collect();
            let rows = bench.read_where(column, value.as_str().unwrap_or_default()).await?;
            problems.extend(differences(&format!("{column} = {value}"), &expected, &rows));
        }
    }

    Ok(problems.into())
}

/// A read in splits gives the rows of a read in one piece.
pub async fn splits_give_the_whole(bench: Bench) -> Result<Outcome> {
    let Some((rows, splits)) = bench.read_in_splits("7").await? else {
        return Ok(Outcome::Spared);
    };
    let mut problems = differences("7 splits", &bench.read(&[], None).await?, &rows);
    if splits < 2 {
        problems.push("the read is not split".to_owned());
    }

    Ok(problems.into())
}

/// Column paths of the primary key.
pub fn key(description: &Value) -> Vec<String> {
    let names = description["primary_keys"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}
