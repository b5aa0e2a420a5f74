//! Rows as JSON values, compared and searched.

use serde_json::Value;
use std::collections::BTreeMap;

pub use lakeflow_testkit::rows::{Row, rows_of};

/// How often each row occurs.
pub fn count(rows: &[Row]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.to_string()).or_insert(0) += 1;
    }

    counts
}

/// Rows of `left` that `right` lacks, each as often as it is missing.
pub fn minus(left: &[Row], right: &[Row]) -> Vec<Row> {
    let mut right = count(right);
    let missing = |row: &&Row| match right.get_mut(&row.to_string()) {
        Some(n) if *n > 0 => {
            *n -= 1;
            false
        }
        _ => true,
    };

    left.iter().filter(missing).cloned().collect()
}

/// What is wrong with `got` where exactly the rows of `expected` were due, in any order.
pub fn differences(what: &str, expected: &[Row], got: &[Row]) -> Vec<String> {
    let show = |verb: &str, rows: Vec<Row>| {
        let first: String = rows.first()?.to_string().chars().take(160).collect();
        Some(format!("{what}: {} of {} rows {verb}, first {first}", rows.len(), expected.len()))
    };

    [show("missing", minus(expected, got)), show("too many", minus(got, expected))]
        .into_iter()
        .flatten()
        .collect()
}

/// The value at a path whose names are separated by dots.
pub fn at<'a>(row: &'a Row, path: &str) -> &'a Value {
    if let Some(value) = row.get(path) {
        return value;
    }
    path.split('.').fold(row, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// The key of a row, or `None` if a part of it is null.
pub fn key_of(row: &Row, key: &[String]) -> Option<String> {
    let parts: Vec<&Value> = key.iter().map(|path| at(row, path)).collect();
    let whole = parts.iter().all(|part| !part.is_null());

    whole.then(|| Value::from_iter(parts.into_iter().cloned()).to_string())
}

/// Whether a value is null, or a record of nothing but such values.
pub fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_blank),
        _ => false,
    }
}

/// Paths that hold a value in no row. `fields` is the form of Spark's schema JSON.
pub fn unfilled(fields: &Value, rows: &[Row]) -> Vec<String> {
    let values: Vec<&Value> = rows.iter().collect();
    let mut paths = Vec::new();
    walk_fields("", fields, &values, &mut |path, _, values| {
        if values.iter().all(|value| value.is_null()) {
            paths.push(path.to_owned());
        }
    });

    paths
}

/// Paths that are declared as never null and are null in some row.
pub fn null_but_required(fields: &Value, rows: &[Row]) -> Vec<String> {
    let values: Vec<&Value> = rows.iter().collect();
    let mut paths = Vec::new();
    walk_fields("", fields, &values, &mut |path, field, values| {
        if field["nullable"] == false && values.iter().any(|value| value.is_null()) {
            paths.push(path.to_owned());
        }
    });

    paths
}

type Visit<'a> = &'a mut dyn FnMut(&str, &Value, &[&Value]);

/// Calls `visit` with each field below `fields` and its values in the records among `values`.
fn walk_fields(prefix: &str, fields: &Value, values: &[&Value], visit: Visit<'_>) {
    for field in fields.as_array().into_iter().flatten() {
        let name = field["name"].as_str().unwrap_or_default();
        let path = format!("{prefix}{name}");
        let own: Vec<&Value> = values
            .iter()
            .filter(|record| record.is_object())
            .map(|record| record.get(name).unwrap_or(&Value::Null))
            .collect();
        visit(&path, field, &own);
        let mut data_type = &field["type"];
        let mut inner = own;
        while data_type["type"] == "array" {
            inner = inner.into_iter().filter_map(Value::as_array).flatten().collect();
            data_type = &data_type["elementType"];
        }
        walk_fields(&format!("{path}."), &data_type["fields"], &inner, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields() -> Value {
        let inner = json!([{"name": "b", "type": "string", "nullable": false}]);
        json!([
            {"name": "id", "type": "long", "nullable": false},
            {"name": "one", "nullable": true, "type": {"type": "struct", "fields": inner}},
            {"name": "many", "nullable": true, "type": {"type": "array", "elementType":
                {"type": "struct", "fields": inner}}},
        ])
    }

    #[test]
    fn columns_that_no_record_fills_are_named_with_their_path() {
        let rows = [
            json!({"id": "1", "one": {"b": null}, "many": [{"b": null}, {"b": "x"}]}),
            json!({"id": "2", "one": null, "many": []}),
        ];
        assert_eq!(unfilled(&fields(), &rows), ["one.b"]);
        assert_eq!(unfilled(&fields(), &[]), ["id", "one", "one.b", "many", "many.b"]);
    }

    #[test]
    fn nulls_that_the_schema_forbids_are_found_below_records_and_lists() {
        let rows = [
            json!({"id": null, "one": null, "many": null}),
            json!({"id": "1", "one": {"b": null}, "many": [{"b": null}]}),
        ];
        assert_eq!(null_but_required(&fields(), &rows), ["id", "one.b", "many.b"]);
    }

    #[test]
    fn rows_of_nothing_but_nulls_are_blank() {
        assert!(is_blank(&json!({"id": null, "one": {"b": null}})));
        for row in [json!({"id": "1", "one": null}), json!({"one": {"b": "x"}}), json!({"m": []})] {
            assert!(!is_blank(&row), "{row}");
        }
    }

    #[test]
    fn rows_are_compared_as_often_as_they_occur() {
        let (a, b) = (json!({"id": "a"}), json!({"id": "b"}));
        assert_eq!(
            minus(&[a.clone(), a.clone(), b.clone()], std::slice::from_ref(&a)),
            [a.clone(), b.clone()]
        );
        assert_eq!(
            differences("slices", &[a.clone(), b.clone()], &[a.clone(), a]),
            [
                "slices: 1 of 2 rows missing, first {\"id\":\"b\"}",
                "slices: 1 of 2 rows too many, first {\"id\":\"a\"}",
            ]
        );
    }
}
