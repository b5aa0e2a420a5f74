//! Searches: lists by conditions in a JSON body.

use crate::answer::{Answer, Matched, Request, of_json, of_reply};
use crate::list::{after_list, before_list, count, fill_envelope, stored_rows};
use crate::shape::{Wanted, show};
use crate::spec::{CollectionSpec, SearchSpec};
use crate::table::{Condition, Query, Start, Test};
use crate::value::{Compare, Key, Value};
use crate::world::{Place, World};
use lakeflow_core::{Instant, Result};
use serde::Deserialize;
use std::sync::Arc;

/// The body of a search, as the API documents it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body {
    filter_groups: Vec<Group>,
    sorts: Vec<Sort>,
    properties: Option<Vec<String>>,
    limit: Option<usize>,
    after: Option<Count>,
    query: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Group {
    filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    property_name: String,
    operator: String,
    value: Option<String>,
    high_value: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sort {
    property_name: String,
    direction: Option<String>,
}

/// A number, or its text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Count {
    Number(usize),
    Text(String),
}

/// Why a search is refused.
enum Refused {
    /// As the API refuses it.
    Source(String),
    /// The simulator does not know enough.
    Unknown(String),
}

fn no<T>(message: impl Into<String>) -> std::result::Result<T, Refused> {
    Err(Refused::Source(message.into()))
}

struct Asked {
    query: Query,
    offset: usize,
    size: usize,
    wanted: Wanted,
}

pub(crate) fn answer_search(
    world: &mut World,
    source: &str,
    request: &Request,
    matched: &Matched,
    search: &SearchSpec,
    place: &Place,
) -> Result<Answer> {
    let collection = matched.spec.collection(&place.0)?.clone();
    let mut asked = match read(request, search, &collection) {
        Ok(asked) => asked,
        Err(Refused::Source(message)) => return Ok(refusal(&search.refused, &message)),
        Err(Refused::Unknown(message)) => {
            return Ok(of_json(501, serde_json::json!({ "error": message }).to_string().into()));
        }
    };
    asked.query.unchanged_since = request
        .tricks
        .hide_changed_seconds
        .map(|seconds| matched.now.plus_nanos(-i128::from(seconds) * 1_000_000_000));

    before_list(world, source, place, matched.now)?;
    let state = world.source_mut(source)?;
    let table = state.table(place)?;
    let found = table.query(&asked.query, &Start::Offset(asked.offset), asked.size);
    let mut rows = Vec::with_capacity(found.slots.len());
    if !request.tricks.empty_page {
        for row in stored_rows(table, &found.slots) {
            rows.push(show(state, matched, &search.shape, &asked.wanted, row)?);
        }
    }
    let next = match (request.tricks.repeat_link, request.tricks.restart_link) {
        (true, _) => Some(asked.offset),
        (_, true) => Some(0),
        _ => found.more.then(|| asked.offset + found.slots.len()),
    };
    let mut answer = of_json(200, bytes::Bytes::new());
    answer.rows = rows.len();
    answer.body = fill_envelope(&search.body, rows, &|name: &str| match name {
        "total" => count(found.total),
        "next_offset" => next.map_or(Value::Null, |next| Value::text(&next.to_string())),
        other => matched.name(other),
    });
    after_list(world, source, place, &found.slots);

    Ok(answer)
}

/// A refusal with its `${message}`.
pub(crate) fn refusal(reply: &crate::spec::Reply, message: &str) -> Answer {
    of_reply(reply, &|name: &str| match name {
        "message" => Value::text(message),
        _ => Value::Null,
    })
}

fn read(
    request: &Request,
    search: &SearchSpec,
    collection: &Arc<CollectionSpec>,
) -> std::result::Result<Asked, Refused> {
    if request.body.len() > search.max_body_bytes {
        return no(format!("the request body is longer than {} bytes", search.max_body_bytes));
    }
    let body: Body = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(e) => return no(format!("invalid input JSON: {e}")),
    };
    if body.query.is_some() {
        return Err(Refused::Unknown("the simulator does not search by 'query'".to_owned()));
    }
    let size = body.limit.unwrap_or(search.size);
    if size > search.max_size {
        return no(format!("limit {size} is greater than {}", search.max_size));
    }
    let offset = match body.after {
        None => 0,
        Some(Count::Number(offset)) => offset,
        Some(Count::Text(text)) => match text.parse() {
            Ok(offset) => offset,
            Err(_) => return no(format!("'{text}' is not a valid paging cursor")),
        },
    };
    if offset.saturating_add(size) > search.reach {
        return no(format!("only the first {} results can be read", search.reach));
    }

    let total: usize = body.filter_groups.iter().map(|group| group.filters.len()).sum();
    if body.filter_groups.len() > search.max_groups
        || body.filter_groups.iter().any(|group| group.filters.len() > search.max_filters)
        || total > search.max_total_filters
    {
        return no(format!(
            "at most {} groups of {} filters, {} in all",
            search.max_groups, search.max_filters, search.max_total_filters
        ));
    }
    let mut query = Query::default();
    for (field, value) in search.only.iter() {
        let known = collection.fields.position(field).zip(collection.fields.get(field));
        if let Some((at, compare)) = known {
            query.view.equal.extend(Key::of_text(*compare, value).map(|key| (at, key)));
        }
    }
    let property = |name: &str| {
        let field = format!("{}.{name}", search.within);
        let known = collection.fields.position(&field).zip(collection.fields.get(&field).copied());
        known.ok_or_else(|| {
            Refused::Unknown(format!("the simulator has no index of property '{name}'"))
        })
    };
    let mut groups = Vec::new();
    for group in &body.filter_groups {
        let mut conditions = Vec::new();
        for filter in &group.filters {
            let (field, compare) = property(&filter.property_name)?;
            for test in tests(filter, compare)? {
                conditions.push(Condition { field, test });
            }
        }
        groups.push(conditions);
    }
    match groups.len() {
        1 => query.all = groups.pop().unwrap_or_default(),
        _ => query.any = groups,
    }

    if body.sorts.len() > search.max_sorts {
        return no(format!("at most {} sort rules", search.max_sorts));
    }
    query.view.sort = collection.fields.position(&search.order);
    if let Some(sort) = body.sorts.first() {
        query.view.sort = Some(property(&sort.property_name)?.0);
        query.descending = match sort.direction.as_deref() {
            None | Some("ASCENDING") => false,
            Some("DESCENDING") => true,
            Some(other) => return no(format!("'{other}' is not a sort direction")),
        };
    }
    let wanted = Wanted { fields: body.properties, ..Wanted::default() };

    Ok(Asked { query, offset, size, wanted })
}

fn tests(filter: &Filter, compare: Compare) -> std::result::Result<Vec<Test>, Refused> {
    let name = &filter.property_name;
    let key = |text: &str| match operand(compare, text) {
        Some(key) => Ok(key),
        None => no(format!("'{text}' is no value of property '{name}'")),
    };
    let value = || match &filter.value {
        Some(value) => key(value),
        None => no(format!("the filter on '{name}' has no value")),
    };
    let among = || -> std::result::Result<Vec<Key>, Refused> {
        if filter.values.is_empty() {
            return no(format!("the filter on '{name}' has no values"));
        }
        filter.values.iter().map(|value| key(value)).collect()
    };
    Ok(vec![match filter.operator.as_str() {
        "EQ" => Test::Among(vec![value()?]),
        "NEQ" => Test::NotAmong(vec![value()?]),
        "GT" => Test::After(value()?),
        "GTE" => Test::AtOrAfter(value()?),
        "LT" => Test::Before(value()?),
        "LTE" => Test::AtOrBefore(value()?),
        "IN" => Test::Among(among()?),
        "NOT_IN" => Test::NotAmong(among()?),
        "HAS_PROPERTY" => Test::NotAmong(vec![Key::Null]),
        "NOT_HAS_PROPERTY" => Test::Among(vec![Key::Null]),
        "BETWEEN" => {
            let Some(high) = &filter.high_value else {
                return no(format!("the filter on '{name}' has no highValue"));
            };
            return Ok(vec![Test::AtOrAfter(value()?), Test::AtOrBefore(key(high)?)]);
        }
        "CONTAINS_TOKEN" | "NOT_CONTAINS_TOKEN" => {
            return Err(Refused::Unknown(format!(
                "the simulator does not know operator '{}'",
                filter.operator
            )));
        }
        other => return no(format!("'{other}' is not a filter operator")),
    }])
}

/// Times are milliseconds since 1970, or ISO 8601.
fn operand(compare: Compare, text: &str) -> Option<Key> {
    if compare == Compare::Instant
        && let Ok(millis) = text.parse::<i64>()
    {
        let at = Instant::from_nanos(i128::from(millis) * 1_000_000);
        return Some(Key::Number(at.nanos()));
    }
    Key::of_text(compare, text)
}
