//! Batch reads: records, or the children of records, by ids in a JSON body.

use crate::answer::{Answer, Matched, Request, of_reply};
use crate::list::count;
use crate::search::refusal;
use crate::shape::{TOKEN_PATH, Wanted, children, list_json, row_name, show};
use crate::spec::{BatchRead, BatchSpec};
use crate::table::{Start, reads_as};
use crate::token::Token;
use crate::value::Value;
use crate::world::{SourceState, json_of};
use bytes::Bytes;
use lakeflow_core::Result;
use serde_json::{Value as Json, json};

/// One id of a batch, and where its children go on.
struct Item {
    id: String,
    start: Start,
}

pub(crate) fn answer_batch(
    state: &mut SourceState,
    request: &Request,
    matched: &Matched,
    batch: &BatchSpec,
) -> Result<Answer> {
    let (items, fields) = match read(request, batch) {
        Ok(read) => read,
        Err(message) => return Ok(refusal(&batch.refused, &message)),
    };
    let wanted = Wanted { fields, ..Wanted::default() };
    let mut rows = Vec::new();
    let mut missing = Vec::new();
    for item in items {
        match read_item(state, matched, batch, &wanted, &item)? {
            Some(row) => rows.push(row),
            None => missing.push(Json::from(item.id)),
        }
    }
    let reply = if missing.is_empty() { &batch.complete } else { &batch.partial };
    let lack = |id: &Json| {
        let names = |name: &str| match name {
            "id" => Value::from_json(id),
            other => matched.name(other),
        };
        batch.lack.render(&names).into()
    };
    let lacks: Vec<Bytes> = missing.iter().map(lack).collect();
    let missing_count = missing.len();
    let missing = Bytes::from(Json::Array(missing).to_string());
    let listed = list_json(&rows);
    let names = |name: &str| match name {
        "rows" => Value::Json(listed.clone()),
        "missing" => Value::Json(missing.clone()),
        "lacks" => Value::Json(list_json(&lacks)),
        "missing_count" => count(missing_count),
        other => matched.name(other),
    };

    Ok(Answer { rows: rows.len(), ..of_reply(reply, &names) })
}

/// The items of the body and the fields it asks for.
fn read(
    request: &Request,
    batch: &BatchSpec,
) -> std::result::Result<(Vec<Item>, Option<Vec<String>>), String> {
    let body: Json =
        serde_json::from_slice(&request.body).map_err(|e| format!("invalid input JSON: {e}"))?;
    let Some(listed) = body.get(&batch.items).and_then(Json::as_array) else {
        return Err(format!("'{}' is not a list", batch.items));
    };
    if listed.len() > batch.max {
        return Err(format!("{} inputs are more than {}", listed.len(), batch.max));
    }
    let mut items = Vec::with_capacity(listed.len());
    for item in listed {
        let id = match item.get(&batch.id) {
            Some(Json::String(id)) => id.clone(),
            Some(Json::Number(id)) => id.to_string(),
            _ => return Err(format!("an input has no '{}'", batch.id)),
        };
        let start = match item.get("after").and_then(Json::as_str) {
            None => Start::Offset(0),
            Some(text) => Token::open(text, TOKEN_PATH)
                .and_then(|token| token.start())
                .ok_or_else(|| format!("'{text}' is not a valid paging cursor"))?,
        };
        items.push(Item { id, start });
    }
    let fields = body
        .get("properties")
        .and_then(Json::as_array)
        .map(|names| names.iter().filter_map(Json::as_str).map(str::to_owned).collect());

    Ok((items, fields))
}

fn read_item(
    state: &mut SourceState,
    matched: &Matched,
    batch: &BatchSpec,
    wanted: &Wanted,
    item: &Item,
) -> Result<Option<Bytes>> {
    let row = json!({ "id": item.id });
    match &batch.read {
        BatchRead::Records { collection, field, only, shape } => {
            let table = state.table(&matched.place(&matched.text(collection)))?;
            let Some(json) = table.find(field, &item.id).and_then(|slot| table.json(slot)).cloned()
            else {
                return Ok(None);
            };
            if !reads_as(&json, only) {
                return Ok(None);
            }
            show(state, matched, shape, wanted, json).map(Some)
        }
        BatchRead::Children(spec) => {
            let found = children(state, matched, spec, &row, "", &item.start)?;
            if found.rows.is_empty() {
                return Ok(None);
            }
            let listed = list_json(&found.rows);
            let next = found.next.map(|start| Token::new(&start, Vec::new()).seal(TOKEN_PATH));
            let names = |name: &str| match name {
                "children" => Value::Json(listed.clone()),
                "next_token" => next.as_deref().map_or(Value::Null, Value::text),
                "id" => Value::text(&item.id),
                other => row_name(matched, &row, other),
            };
            Ok(Some(json_of(&batch.row.value(&names)).into()))
        }
    }
}
