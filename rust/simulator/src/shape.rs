//! Records as an answer shows them: chosen fields, and other records inside them.

use crate::answer::{Matched, Request};
use crate::fields::Fields;
use crate::spec::{ChildrenSpec, EmbedSpec, SelectSpec, ShapeSpec};
use crate::table::{Condition, Query, Slot, Start, Test, ViewKey, at_path};
use crate::token::Token;
use crate::value::{Key, Value};
use crate::world::{Place, SourceState};
use bytes::Bytes;
use lakeflow_core::{Error, Result};
use serde_json::Value as Json;
use serde_json::value::RawValue;

/// What a request wants to see of each record.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Fields by name; none: as the description says.
    pub(crate) fields: Option<Vec<String>>,
    /// By embedding of the description, the names asked for.
    pub(crate) embedded: Vec<Vec<String>>,
}

impl Wanted {
    /// Reads the parameters of a request; the first refused name and its parameter otherwise.
    pub(crate) fn of_query(
        shape: &ShapeSpec,
        request: &Request,
    ) -> std::result::Result<Self, (String, String)> {
        let list = |param: &str| {
            let mut given = request.query.iter().filter(|(key, _)| key == param).peekable();
            given.peek()?;
            let names = given.flat_map(|(_, value)| value.split(','));
            Some(names.map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect::<Vec<_>>())
        };
        let mut wanted =
            Self { fields: shape.select.as_ref().and_then(|s| list(&s.param)), embedded: vec![] };
        for embed in &shape.embed {
            let names = match &embed.param {
                Some(param) => list(param).unwrap_or_default(),
                None => Vec::new(),
            };
            let refused = |name: &&String| {
                !embed.allowed.is_empty() && !embed.allowed.iter().any(|known| known == *name)
            };
            if let Some(name) = names.iter().find(refused) {
                return Err((embed.param.clone().unwrap_or_default(), name.clone()));
            }
            wanted.embedded.push(names);
        }

        Ok(wanted)
    }
}

/// Shows a record as the request wants it.
///
/// # Errors
/// Only what is wrong with the description.
pub(crate) fn show(
    state: &mut SourceState,
    matched: &Matched,
    shape: &ShapeSpec,
    wanted: &Wanted,
    json: Bytes,
) -> Result<Bytes> {
    let json = match shape.hide.as_slice() {
        [] => json,
        hidden => exclude_paths(&json, &hidden.iter().map(String::as_str).collect::<Vec<_>>()),
    };
    let all = |select: &SelectSpec| wanted.fields.is_none() && select.default.is_none();
    if shape.embed.is_empty() && shape.select.as_ref().is_none_or(all) {
        return Ok(json);
    }
    let mut record = Fields::parse(&json).unwrap_or_default();
    if !shape.embed.is_empty() {
        let row: Json = serde_json::from_slice(&json).unwrap_or_default();
        for (at, embed) in shape.embed.iter().enumerate() {
            let names = wanted.embedded.get(at).map(Vec::as_slice).unwrap_or_default();
            embed_into(state, matched, embed, names, &row, &mut record)?;
        }
    }
    if let Some(select) = &shape.select {
        select_fields(state, matched, select, wanted, &mut record)?;
    }

    Ok(record.render())
}

fn embed_into(
    state: &mut SourceState,
    matched: &Matched,
    embed: &EmbedSpec,
    names: &[String],
    row: &Json,
    record: &mut Fields,
) -> Result<()> {
    if embed.param.is_none() {
        let found = children(state, matched, &embed.children, row, "", &Start::Offset(0))?;
        record.set(&embed.into, list_json(&found.rows));
        return Ok(());
    }
    let mut object = Fields::default();
    for name in names {
        let found = children(state, matched, &embed.children, row, name, &Start::Offset(0))?;
        if found.rows.is_empty() {
            continue;
        }
        let next = found.next.map(|start| Token::new(&start, Vec::new()).seal(TOKEN_PATH));
        let lookup = |key: &str| match key {
            "children" => Value::Json(list_json(&found.rows)),
            "next_token" => next.as_deref().map_or(Value::Null, Value::text),
            "name" => Value::text(name),
            other => row_name(matched, row, other),
        };
        object.set(name, embed.body.render(&lookup));
    }
    if !object.is_empty() {
        record.set(&embed.into, object.render());
    }

    Ok(())
}

/// Tokens of embedded lists are good wherever the same children are listed.
pub(crate) const TOKEN_PATH: &str = "children";

/// Some children of a record, shown, and where the next ones begin.
pub(crate) struct Children {
    pub(crate) rows: Vec<Bytes>,
    pub(crate) next: Option<Start>,
}

/// The children of `row`; the templates know it as `${row.field}` and `name` as `${name}`.
pub(crate) fn children(
    state: &mut SourceState,
    matched: &Matched,
    spec: &ChildrenSpec,
    row: &Json,
    name: &str,
    start: &Start,
) -> Result<Children> {
    let lookup = |key: &str| match key {
        "name" => Value::text(name),
        other => row_name(matched, row, other),
    };
    let value = spec.value.render_text(&lookup);
    let place: Place = (spec.collection.clone(), spec.scope.render_text(&lookup));
    let collection = state.spec.collection(&spec.collection)?.clone();
    let field = collection
        .fields
        .position(&spec.field)
        .ok_or_else(|| Error::internal(format!("field '{}' is not indexed", spec.field)))?;
    let compare = collection.fields.get(&spec.field).copied();
    let key = compare.and_then(|compare| Key::of_text(compare, &value)).unwrap_or(Key::Null);
    // A range of the order by this field: one index serves every parent.
    let query = Query {
        view: ViewKey { sort: Some(field), equal: Vec::new() },
        all: vec![
            Condition { field, test: Test::AtOrAfter(key.clone()) },
            Condition { field, test: Test::AtOrBefore(key) },
        ],
        ..Query::default()
    };
    let table = state.table(&place)?;
    let found = table.query(&query, start, spec.max);
    let shown = |slot: &Slot| table.json(*slot).map(|json| show_child(matched, spec, row, json));
    let rows = found.slots.iter().filter_map(shown).collect();
    let last = found.slots.last().filter(|_| found.more);
    let next = last.map(|slot| table.place(*slot, &query.view)).map(|(k, s)| Start::After(k, s));

    Ok(Children { rows, next })
}

fn show_child(matched: &Matched, spec: &ChildrenSpec, row: &Json, json: &Bytes) -> Bytes {
    let Some(template) = &spec.show else { return json.clone() };
    let child: Json = serde_json::from_slice(json).unwrap_or_default();
    let lookup = |key: &str| match key.strip_prefix("child.") {
        Some(field) => Value::from_json(at_path(&child, field)),
        None => row_name(matched, row, key),
    };

    template.render(&lookup).into()
}

/// `${row.field}`, or what the route knows.
pub(crate) fn row_name(matched: &Matched, row: &Json, name: &str) -> Value {
    match name.strip_prefix("row.") {
        Some(field) => Value::from_json(at_path(row, field)),
        None => matched.name(name),
    }
}

fn select_fields(
    state: &mut SourceState,
    matched: &Matched,
    select: &SelectSpec,
    wanted: &Wanted,
    record: &mut Fields,
) -> Result<()> {
    let Some(names) = wanted.fields.as_ref().or(select.default.as_ref()) else { return Ok(()) };
    let mut names: Vec<&str> = names.iter().chain(&select.always).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let Some(within) = &select.within else {
        record.retain(|field| names.contains(&field));
        return Ok(());
    };
    let mut inner = record.object(within);
    inner.retain(|field| names.binary_search(&field).is_ok());
    if let Some(known) = &select.known {
        let scope = matched.text(&known.scope);
        let table = state.table(&(matched.text(&known.collection), scope))?;
        for name in names {
            if inner.get(name).is_none() && table.find(&known.field, name).is_some() {
                inner.set(name, "null");
            }
        }
    }
    record.set(within, inner.render());

    Ok(())
}

/// Records as a JSON list.
pub(crate) fn list_json(rows: &[Bytes]) -> Bytes {
    let (before, after) = (Bytes::from_static(b"["), Bytes::from_static(b"]"));
    crate::answer::Content::Rows { before, rows: rows.to_vec(), after }.into_bytes()
}

/// Keeps only what the dotted paths name, in objects and in every item of lists.
pub(crate) fn include_paths(json: &[u8], paths: &[&str]) -> Bytes {
    choose(json, paths, true)
}

/// Drops what the dotted paths name.
pub(crate) fn exclude_paths(json: &[u8], paths: &[&str]) -> Bytes {
    choose(json, paths, false)
}

fn choose(json: &[u8], paths: &[&str], include: bool) -> Bytes {
    if let Ok(items) = serde_json::from_slice::<Vec<Box<RawValue>>>(json) {
        let items: Vec<Bytes> =
            items.iter().map(|item| choose(item.get().as_bytes(), paths, include)).collect();
        return list_json(&items);
    }
    let Some(fields) = Fields::parse(json) else { return Bytes::copy_from_slice(json) };
    let mut chosen = Fields::default();
    for (key, value) in fields.iter() {
        let below: Vec<&str> =
            paths.iter().filter_map(|path| path.strip_prefix(key)?.strip_prefix('.')).collect();
        let named = paths.contains(&key);
        match (include, named, below.is_empty()) {
            (true, true, _) | (false, false, true) => chosen.set(key, value.clone()),
            (true, false, true) | (false, true, _) => {}
            (_, false, false) => chosen.set(key, choose(value, &below, include)),
        }
    }

    chosen.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_paths_choose_parts_of_a_body() {
        let json =
            br#"{"lists":[{"id":1,"_links":[],"stats":{"a":1,"b":2}}],"total":1,"_links":[]}"#;
        let cases: [(bool, &[&str], &str); 5] = [
            (true, &["total", "lists.id"], r#"{"lists":[{"id":1}],"total":1}"#),
            (true, &["lists.stats.b"], r#"{"lists":[{"stats":{"b":2}}]}"#),
            (
                true,
                &["lists", "lists.id"],
                r#"{"lists":[{"id":1,"_links":[],"stats":{"a":1,"b":2}}]}"#,
            ),
            (
                false,
                &["_links", "lists._links", "lists.stats.a"],
                r#"{"lists":[{"id":1,"stats":{"b":2}}],"total":1}"#,
            ),
            (
                false,
                &["nothing"],
                r#"{"lists":[{"id":1,"_links":[],"stats":{"a":1,"b":2}}],"total":1,"_links":[]}"#,
            ),
        ];
        for (include, paths, expected) in cases {
            assert_eq!(choose(json, paths, include), expected, "{include} {paths:?}");
        }
    }
}
