//! Lists by query parameters: filters, order, pages and what leads to the next one.

use crate::answer::{Answer, Content, Matched, Request, header_text, of_json, of_reply};
use crate::paging::{Around, Page, link_header, page_url, read_page};
use crate::shape::{Wanted, exclude_paths, include_paths, show};
use crate::spec::{BodyFieldsSpec, FilterSpec, ListSpec, Op, Style, Unit};
use crate::table::{Condition, Found, Query, Slot, Table, Test};
use crate::template::Template;
use crate::value::{Compare, Key, Value, name_hash};
use crate::world::{PageCache, Place, World};
use bytes::Bytes;
use lakeflow_core::{Error, Instant, Result};

/// A request the source refuses.
pub(crate) type Refusal = Box<Answer>;

/// What a list request asks for.
struct Asked {
    query: Query,
    page: Page,
    wanted: Wanted,
}

pub(crate) fn answer_list(
    world: &mut World,
    source: &str,
    request: &Request,
    matched: &Matched,
    list: &ListSpec,
    place: &Place,
) -> Result<Answer> {
    let spec = matched.spec.collection(&place.0)?.clone();
    let index = |field: &str| {
        let at = spec.fields.position(field);
        at.ok_or_else(|| Error::internal(format!("field '{field}' is not indexed")))
    };
    let asked = match read_list(request, matched, list, &spec.fields, &index)? {
        Ok(asked) => asked,
        Err(refusal) => return Ok(*refusal),
    };

    let version = before_list(world, source, place, matched.now)?;
    let plain = request.tricks == Default::default()
        && world.movements.is_empty()
        && list.settle_seconds == 0;
    let state = world.source_mut(source)?;
    let cache_key = format!("{}?{}", request.path, request.raw_query);
    let etag = format!("W/\"{:016x}{version:08x}\"", name_hash(&cache_key));
    let unchanged =
        matched.spec.etag && header_text(request, "if-none-match").is_some_and(|e| e == etag);
    if unchanged {
        let mut answer = of_json(304, Bytes::new());
        answer.headers = vec![("etag".to_owned(), etag)];
        return Ok(answer);
    }
    if let Some(cache) = &mut state.pages {
        if cache.version != version {
            *cache = PageCache { version, ..PageCache::default() };
        }
        if plain && let Some(answer) = cache.pages.get(&cache_key) {
            return Ok(answer.clone());
        }
    }

    let table = state.table(place)?;
    if let Some(reply) = list.empty.as_ref().filter(|_| table.len() == 0) {
        return Ok(of_reply(reply, &|name: &str| matched.name(name)));
    }
    let mut found = table.query(&asked.query, &asked.page.start, asked.page.size);
    if list.paging.style == Style::Time {
        found = with_ties(table, &asked, found);
    }
    let around = Around::new(table, &asked.query, &asked.page, &found, list, request, &spec);
    let mut rows = Vec::with_capacity(found.slots.len());
    if !request.tricks.empty_page {
        let stored: Vec<Bytes> = stored_rows(table, &found.slots);
        for row in stored {
            rows.push(show(state, matched, &list.shape, &asked.wanted, row)?);
        }
    }

    let mut answer = of_json(200, Bytes::new());
    answer.rows = rows.len();
    answer.body = fill_list(request, matched, list, rows, found.total, &around);
    if let Some(choice) = &list.shape.body_fields {
        answer.body = choose_body(request, choice, answer.body);
    }
    if matched.spec.etag {
        answer.headers.push(("etag".to_owned(), etag));
    }
    if let Some(link) = link_header(request, matched, list, &asked.page, &around, found.total) {
        answer.headers.push(("link".to_owned(), link));
    }
    if plain && let Some(cache) = &mut state.pages {
        answer.body = Content::Whole(answer.body.into_bytes());
        cache.pages.insert(cache_key, answer.clone());
    }
    after_list(world, source, place, &found.slots);

    Ok(answer)
}

/// The page with all records that share the time of its last one.
fn with_ties(table: &mut Table, asked: &Asked, found: Found) -> Found {
    let all = table.query(&asked.query, &asked.page.start, usize::MAX);
    let time = |slot: &Slot| table.place(*slot, &asked.query.view).0;
    let last = found.slots.last().map(time);
    let (shown, total) = (found.slots.len(), all.slots.len());
    let ties = all.slots.iter().skip(shown).take_while(|slot| Some(time(slot)) == last).count();

    Found {
        slots: all.slots.into_iter().take(shown + ties).collect(),
        more: shown + ties < total,
        total: found.total,
    }
}

/// Lets the source move before a list is answered; gives its version then.
pub(crate) fn before_list(
    world: &mut World,
    source: &str,
    place: &Place,
    now: Instant,
) -> Result<u64> {
    let mut movements = std::mem::take(&mut world.movements);
    let state = world.source_mut(source)?;
    let moved = movements.iter_mut().try_for_each(|m| m.before_list(source, state, place, now));
    let version = state.version();
    world.movements = movements;
    moved.map(|()| version)
}

/// Tells the movements which records were listed.
pub(crate) fn after_list(world: &mut World, source: &str, place: &Place, slots: &[Slot]) {
    world.movements.iter_mut().for_each(|movement| movement.after_list(source, place, slots));
}

pub(crate) fn stored_rows(table: &Table, slots: &[Slot]) -> Vec<Bytes> {
    slots.iter().filter_map(|slot| table.json(*slot).cloned()).collect()
}

fn read_list(
    request: &Request,
    matched: &Matched,
    list: &ListSpec,
    fields: &crate::template::OrderedMap<Compare>,
    index: &dyn Fn(&str) -> Result<usize>,
) -> Result<std::result::Result<Asked, Refusal>> {
    if let Some(refusal) = refuse_parameters(request, matched, list) {
        return Ok(Err(refusal));
    }
    let wanted = match Wanted::of_query(&list.shape, request) {
        Ok(wanted) => wanted,
        Err((parameter, value)) => return Ok(Err(invalid(matched, &parameter, &value))),
    };
    let (page, query_parameters) = match read_page(request, matched, &list.paging) {
        Ok(read) => read,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let parameter = |name: &str| last_parameter(&query_parameters, name);

    let mut query = Query { descending: list.sort.descending, ..Query::default() };
    for filter in &list.filters {
        if !filter.cases.0.is_empty() {
            match read_case(filter, matched, &parameter) {
                Ok(case) => {
                    for (field, set) in case {
                        let nothing = vec![Key::Null];
                        let test = if set { Test::NotAmong(nothing) } else { Test::Among(nothing) };
                        query.all.push(Condition { field: index(field)?, test });
                    }
                }
                Err(refusal) => return Ok(Err(refusal)),
            }
            continue;
        }
        let (condition, value) = match read_filter(filter, matched, fields, &parameter) {
            Ok(Some(read)) => read,
            Ok(None) => continue,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let field = index(&filter.field)?;
        match condition {
            Some(Test::Among(mut keys)) if filter.op == Op::Equal => {
                query.view.equal.extend(keys.pop().map(|key| (field, key)));
            }
            Some(test) => query.all.push(Condition { field, test }),
            None => return Ok(Err(refused_filter(matched, filter, &value))),
        }
    }

    let sort = list.sort.param.as_deref().and_then(parameter);
    let name = sort.unwrap_or(&list.sort.default);
    let field = if list.sort.fields.0.is_empty() {
        Some(&list.sort.default)
    } else {
        list.sort.fields.get(name)
    };
    let Some(field) = field else {
        return Ok(Err(invalid(matched, list.sort.param.as_deref().unwrap_or("sort"), name)));
    };
    let sorted = index(field)?;
    query.view.sort = Some(sorted);
    query.descending ^= list.sort.reversed.iter().any(|reversed| reversed == name);
    if let Some(param) = &list.sort.direction_param {
        match parameter(param).map(str::to_ascii_lowercase).as_deref() {
            None => {}
            Some("asc") => query.descending = false,
            Some("desc") => query.descending = true,
            Some(other) => return Ok(Err(invalid(matched, param, other))),
        }
    }
    if list.settle_seconds > 0
        && let Some(compare) = fields.get(field)
    {
        let limit = seconds_before(matched.now, list.settle_seconds);
        let test = Test::AtOrBefore(time_key(*compare, limit));
        query.all.push(Condition { field: sorted, test });
    }
    query.unchanged_since =
        request.tricks.hide_changed_seconds.map(|n| seconds_before(matched.now, n));

    Ok(Ok(Asked { query, page, wanted }))
}

/// The test a filter demands, with the value it was made of; no test if the value is refused.
type FilterRead = Option<(Option<Test>, String)>;

fn read_filter<'a>(
    filter: &FilterSpec,
    matched: &Matched,
    fields: &crate::template::OrderedMap<Compare>,
    parameter: &dyn Fn(&str) -> Option<&'a str>,
) -> std::result::Result<FilterRead, Refusal> {
    let given = filter.param.as_deref().and_then(parameter).map(str::to_owned);
    let default = |template: &Template| template.render_text(&|name: &str| matched.name(name));
    let Some(value) = given.or_else(|| filter.default.as_ref().map(default)) else {
        if filter.required {
            return Err(refused_filter(matched, filter, ""));
        }
        return Ok(None);
    };
    if filter.any.as_ref() == Some(&value) {
        return Ok(None);
    }
    let Some(compare) = fields.get(&filter.field).copied() else { return Ok(None) };
    let known = |item: &String| filter.allowed.is_empty() || filter.allowed.contains(item);
    if filter.op == Op::Among {
        let items = value.split(',').map(|item| item.trim().to_owned());
        let keys: Option<Vec<Key>> =
            items.map(|item| Key::of_text(compare, &item).filter(|_| known(&item))).collect();
        let few = |keys: &Vec<Key>| filter.max.is_none_or(|max| keys.len() <= max);
        return Ok(Some((keys.filter(few).map(Test::Among), value)));
    }
    let key = match filter.unit {
        Unit::Field => Key::of_text(compare, filter.means.get(&value).unwrap_or(&value)),
        Unit::EpochSeconds => {
            let at = value.parse().ok().map(|seconds| Instant::from_parts(seconds, 0));
            let old = |at: &Instant| {
                filter.min_age_seconds.is_none_or(|age| *at <= seconds_before(matched.now, age))
            };
            at.filter(old).map(|at| time_key(compare, at))
        }
    };
    let test = key.filter(|_| known(&value)).map(|key| match filter.op {
        Op::Equal | Op::Among => Test::Among(vec![key]),
        Op::After => Test::After(key),
        Op::AtOrAfter => Test::AtOrAfter(key),
        Op::Before => Test::Before(key),
        Op::AtOrBefore => Test::AtOrBefore(key),
    });

    Ok(Some((test, value)))
}

/// The fields that must be set, or must not be, for a value that stands for such a state.
fn read_case<'a, 'f>(
    filter: &'f FilterSpec,
    matched: &Matched,
    parameter: &dyn Fn(&str) -> Option<&'a str>,
) -> std::result::Result<Vec<(&'f str, bool)>, Refusal> {
    let given = filter.param.as_deref().and_then(parameter).map(str::to_owned);
    let default = |template: &Template| template.render_text(&|name: &str| matched.name(name));
    let value = given.or_else(|| filter.default.as_ref().map(default));
    let Some(value) = value.filter(|value| filter.any.as_ref() != Some(value)) else {
        return Ok(Vec::new());
    };
    match filter.cases.get(&value) {
        Some(case) => Ok(case.iter().map(|(field, set)| (field, *set)).collect()),
        None => Err(refused_filter(matched, filter, &value)),
    }
}

fn seconds_before(now: Instant, seconds: i64) -> Instant {
    now.plus_nanos(-i128::from(seconds) * 1_000_000_000)
}

/// What a field that compares so holds at a point in time.
fn time_key(compare: Compare, at: Instant) -> Key {
    match compare {
        Compare::Instant => Key::Number(at.nanos()),
        Compare::Integer => Key::Number(i128::from(at.seconds())),
        Compare::Text => Key::Text(at.to_rfc3339(0).into()),
    }
}

fn refuse_parameters(request: &Request, matched: &Matched, list: &ListSpec) -> Option<Refusal> {
    let route = matched.spec.routes.get(matched.route);
    for (name, value) in &request.query {
        if list.unsupported.contains(name) {
            let body = format!(
                "{{\"error\":{}}}",
                serde_json::Value::from(format!("the simulator does not know parameter '{name}'"))
            );
            return Some(Box::new(of_json(501, body.into())));
        }
        let paging = &list.paging;
        let known = list.filters.iter().any(|filter| filter.param.as_ref() == Some(name))
            || list.sort.param.as_ref() == Some(name)
            || list.sort.direction_param.as_ref() == Some(name)
            || paging.page_param == *name
            || paging.size_param.as_ref() == Some(name)
            || list.shape.parameters().any(|known| known == name)
            || route.is_some_and(|route| route.query.get(name).is_some());
        if !known && let Some(reply) = &matched.spec.errors.unknown_parameter {
            return Some(Box::new(of_reply(reply, &|key| {
                parameter_name(matched, key, name, value)
            })));
        }
    }

    None
}

/// The last value of a parameter that occurs more than once, as most servers take it.
pub(crate) fn last_parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

pub(crate) fn invalid(matched: &Matched, parameter: &str, value: &str) -> Refusal {
    let reply = &matched.spec.errors.invalid_parameter;
    Box::new(of_reply(reply, &|name| parameter_name(matched, name, parameter, value)))
}

fn refused_filter(matched: &Matched, filter: &FilterSpec, value: &str) -> Refusal {
    let reply = filter.invalid.as_ref().unwrap_or(&matched.spec.errors.invalid_parameter);
    let parameter = filter.param.as_deref().unwrap_or(&filter.field);
    Box::new(of_reply(reply, &|name| parameter_name(matched, name, parameter, value)))
}

fn parameter_name(matched: &Matched, name: &str, parameter: &str, value: &str) -> Value {
    match name {
        "parameter" => Value::text(parameter),
        "value" => Value::text(value),
        other => matched.name(other),
    }
}

/// Stands where the rows go; raw NUL occurs in no JSON.
const ROWS: &[u8] = b"[\0]";

/// A body around rows that are joined when no lock is held.
pub(crate) fn fill_envelope(
    body: &Template,
    rows: Vec<Bytes>,
    names: &dyn Fn(&str) -> Value,
) -> Content {
    let names = |name: &str| match name {
        "rows" => Value::Json(Bytes::from_static(ROWS)),
        "count" => count(rows.len()),
        other => names(other),
    };
    let rendered = Bytes::from(body.render(&names));
    match rendered.iter().position(|byte| *byte == 0) {
        Some(at) => {
            Content::Rows { before: rendered.slice(..at), rows, after: rendered.slice(at + 1..) }
        }
        None => Content::Whole(rendered),
    }
}

pub(crate) fn count(n: usize) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

fn fill_list(
    request: &Request,
    matched: &Matched,
    list: &ListSpec,
    rows: Vec<Bytes>,
    total: usize,
    around: &Around,
) -> Content {
    let typed = |value: &Option<String>| match (value, list.paging.style) {
        (None, _) => Value::Null,
        (Some(text), Style::Cursor) => Value::text(text),
        (Some(text), _) => text.parse().map_or(Value::Null, Value::Integer),
    };
    let url = |value: &Option<String>| match value {
        Some(value) => {
            let own = &request.base_url;
            let base = request.tricks.foreign_origin.as_ref().unwrap_or(own);
            Value::text(&page_url(request, list, base, &request.path, value))
        }
        None => Value::Null,
    };
    fill_envelope(&list.body, rows, &|name: &str| match name {
        "total" => count(total),
        "next_page" | "next_offset" | "next_token" | "end_time" => typed(&around.next),
        "previous_page" | "previous_token" => typed(&around.previous),
        "last_token" => typed(&around.last),
        "next_url" => url(&around.next),
        "previous_url" => url(&around.previous),
        "last_url" => url(&around.last),
        "has_more" => Value::Bool(around.more),
        "end_of_stream" => Value::Bool(!around.more),
        other => matched.name(other),
    })
}

fn choose_body(request: &Request, choice: &BodyFieldsSpec, body: Content) -> Content {
    let paths = |param: &str| -> Vec<&str> {
        last_parameter(&request.query, param)
            .map(|list| list.split(',').collect())
            .unwrap_or_default()
    };
    let mut bytes = body.into_bytes();
    let (include, exclude) = (paths(&choice.include), paths(&choice.exclude));
    if !include.is_empty() {
        bytes = include_paths(&bytes, &include);
    }
    if !exclude.is_empty() {
        bytes = exclude_paths(&bytes, &exclude);
    }

    Content::Whole(bytes)
}
