//! Answers to requests: routes, reads and writes as the description says.

use crate::auth::refused;
use crate::batch::answer_batch;
use crate::corpus::Corpus;
use crate::fields::Fields;
use crate::links::Cause;
use crate::list::{answer_list, invalid};
use crate::oauth::TOKEN_PATH;
use crate::search::answer_search;
use crate::shape::{Wanted, show};
use crate::spec::{
    Action, CreateSpec, DeleteSpec, GetSpec, PickSpec, Reply, ResolveSpec, Route, SourceSpec,
    UpdateSpec,
};
use crate::table::{Slot, at_path, reads_as};
use crate::template::{OrderedMap, Template};
use crate::value::Value;
use crate::world::{Place, SourceState, World, json_of};
use bytes::Bytes;
use lakeflow_core::{Clock, Error, Instant, Result};
use serde_json::Value as Json;
use std::sync::Arc;

const SECOND: i128 = 1_000_000_000;

/// A request to one source.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the source, as sent.
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
    /// `http://127.0.0.1:PORT/source`.
    pub(crate) base_url: String,
    pub(crate) tricks: Tricks,
}

/// How a page lies about what follows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tricks {
    pub(crate) repeat_link: bool,
    pub(crate) restart_link: bool,
    pub(crate) foreign_origin: Option<String>,
    pub(crate) empty_page: bool,
    pub(crate) hide_changed_seconds: Option<i64>,
}

/// What is sent back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Content,
    pub(crate) rows: usize,
}

/// A body, or the pieces of one: joined when no lock is held.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    Rows { before: Bytes, rows: Vec<Bytes>, after: Bytes },
}

impl Content {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Rows { before, rows, after } => {
                let commas = rows.len().saturating_sub(1);
                before.len() + rows.iter().map(Bytes::len).sum::<usize>() + commas + after.len()
            }
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        let length = self.len();
        match self {
            Self::Whole(bytes) => bytes,
            Self::Rows { before, rows, after } => {
                let mut out = Vec::with_capacity(length);
                out.extend_from_slice(&before);
                for (i, row) in rows.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(row);
                }
                out.extend_from_slice(&after);
                out.into()
            }
        }
    }
}

/// A route that fits, with what its templates may name.
pub(crate) struct Matched {
    pub(crate) spec: Arc<SourceSpec>,
    pub(crate) route: usize,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) parent: Option<Json>,
    pub(crate) scope: String,
    pub(crate) now: Instant,
}

impl Matched {
    pub(crate) fn name(&self, name: &str) -> Value {
        if let Some(field) = name.strip_prefix("parent.") {
            return self
                .parent
                .as_ref()
                .map_or(Value::Null, |p| Value::from_json(at_path(p, field)));
        }
        if let Some((_, value)) = self.params.iter().find(|(known, _)| known == name) {
            return Value::text(value);
        }
        match name {
            "now" => Value::text(&self.spec.time_format.write(self.now)),
            "now_epoch" => Value::Integer(self.now.seconds()),
            _ => Value::Null,
        }
    }

    /// A template filled with what the route knows, as text.
    pub(crate) fn text(&self, template: &Template) -> String {
        template.render_text(&|name: &str| self.name(name))
    }

    pub(crate) fn names(&self) -> impl Fn(&str) -> Value {
        |name: &str| self.name(name)
    }

    pub(crate) fn place(&self, collection: &str) -> Place {
        (collection.to_owned(), self.scope.clone())
    }
}

/// Answers one request to `source`.
///
/// # Errors
/// Only what is wrong with the description or the simulator itself; everything an API would
/// refuse is an [`Answer`].
pub(crate) fn answer(world: &mut World, source: &str, request: &Request) -> Result<Answer> {
    let now = world.clock.now();
    let state = world.source_mut(source)?;
    let spec = state.spec.clone();
    if request.method == "POST"
        && request.path == TOKEN_PATH
        && let Some(oauth) = &mut state.oauth
    {
        return Ok(oauth.answer(request, now));
    }
    let mut answer = match refused(state, request, now) {
        Some(refusal) => refusal,
        None => match find_route(state, request, now)? {
            Some(matched) => act(world, source, request, &matched)?,
            None => not_found(&spec, request),
        },
    };
    for (name, value) in spec.headers.iter() {
        let names = |name: &str| match name {
            "now_epoch" => Value::Integer(now.seconds()),
            _ => Value::Null,
        };
        add_header(&mut answer, name, value.render_text(&names));
    }
    let state = world.source_mut(source)?;
    state.rates.add_headers(&request.path, now, &mut answer);

    Ok(answer)
}

pub(crate) fn add_header(answer: &mut Answer, name: &str, value: String) {
    if !answer.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
        answer.headers.push((name.to_owned(), value));
    }
}

pub(crate) fn header_text<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

fn find_route(state: &mut SourceState, request: &Request, now: Instant) -> Result<Option<Matched>> {
    let Some(path) = segments(&request.path) else { return Ok(None) };
    let spec = state.spec.clone();
    for (route, described) in spec.routes.iter().enumerate() {
        let fitting = described.pattern.fit(&request.method, &path, &spec.aliases);
        let asks = |(name, wanted): (&str, &Option<String>)| {
            let mut given = request.query.iter().filter(|(key, _)| key == name);
            given.any(|(_, value)| wanted.as_ref().is_none_or(|wanted| wanted == value))
        };
        let Some(params) = fitting.filter(|_| described.query.iter().all(asks)) else { continue };
        let mut matched =
            Matched { spec: spec.clone(), route, params, parent: None, scope: String::new(), now };
        if let Some(parent) = &described.parent {
            let value = parent.value.render_text(&matched.names());
            state.ensure(&parent.collection)?;
            let found = state.find(&parent.collection, &parent.field, &value);
            let Some(json) =
                found.and_then(|(place, slot)| state.tables.get(&place).and_then(|t| t.json(slot)))
            else {
                return Ok(None);
            };
            matched.parent = serde_json::from_slice(json).ok();
        }
        let scope = described.scope.render_text(&matched.names());
        matched.scope = scope;

        return Ok(Some(matched));
    }

    Ok(None)
}

/// Percent-decoded path segments; `None` if they are no UTF-8.
fn segments(path: &str) -> Option<Vec<String>> {
    path.trim_start_matches('/').split('/').map(decode_percent).collect()
}

fn decode_percent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }

    String::from_utf8(bytes).ok()
}

fn act(world: &mut World, source: &str, request: &Request, matched: &Matched) -> Result<Answer> {
    let Some(Route { guards, answer, .. }) = matched.spec.routes.get(matched.route) else {
        return Err(Error::internal("a route vanished"));
    };
    if let Some(off) = switched_off(world.source_mut(source)?, request, matched) {
        return Ok(off);
    }
    for guard in guards {
        let value = Some(guard.value.render_text(&matched.names()));
        if guard.is.is_some() && guard.is != value || guard.is_not == value {
            return Ok(of_reply(&guard.refusal, &matched.names()));
        }
    }
    match answer {
        Action::Respond(reply) => Ok(of_reply(reply, &matched.names())),
        Action::List(list) => {
            let place = matched.place(&matched.text(&list.collection));
            answer_list(world, source, request, matched, list, &place)
        }
        Action::Search(search) => {
            let place = matched.place(&matched.text(&search.collection));
            answer_search(world, source, request, matched, search, &place)
        }
        Action::Batch(batch) => answer_batch(world.source_mut(source)?, request, matched, batch),
        Action::Get(get) => get_record(world.source_mut(source)?, request, matched, get),
        Action::Create(create) => {
            create_record(world.source_mut(source)?, request, matched, create)
        }
        Action::Update(update) => {
            update_record(world.source_mut(source)?, request, matched, update)
        }
        Action::Delete(delete) => {
            delete_record(world.source_mut(source)?, request, matched, delete)
        }
    }
}

/// The answer while the collection that the route reads is switched off.
fn switched_off(state: &SourceState, request: &Request, matched: &Matched) -> Option<Answer> {
    let collection = match &matched.spec.routes.get(matched.route)?.answer {
        Action::List(list) => matched.text(&list.collection),
        Action::Search(search) => matched.text(&search.collection),
        Action::Get(get) => matched.text(&get.collection),
        _ => return None,
    };
    if !state.off.contains(&collection) {
        return None;
    }
    let described = matched.spec.collections.get(&collection);
    Some(match described.and_then(|collection| collection.off.as_ref()) {
        Some(reply) => of_reply(reply, &matched.names()),
        None => not_found(&matched.spec, request),
    })
}

fn get_record(
    state: &mut SourceState,
    request: &Request,
    matched: &Matched,
    get: &GetSpec,
) -> Result<Answer> {
    let pick = PickSpec {
        collection: matched.text(&get.collection),
        field: get.field.clone(),
        value: get.value.clone(),
    };
    let found = pick_record(state, matched, &pick)?;
    let Some((_, json)) = found.filter(|(_, json)| reads_as(json, &get.only)) else {
        return Ok(not_found(&matched.spec, request));
    };
    let wanted = match Wanted::of_query(&get.shape, request) {
        Ok(wanted) => wanted,
        Err((parameter, value)) => return Ok(*invalid(matched, &parameter, &value)),
    };
    let shown = show(state, matched, &get.shape, &wanted, json)?;

    Ok(match &get.body {
        Some(body) => with_record(200, body, shown),
        None => Answer { rows: 1, ..of_json(200, shown) },
    })
}

fn pick_record(
    state: &mut SourceState,
    matched: &Matched,
    pick: &PickSpec,
) -> Result<Option<(Slot, Bytes)>> {
    let value = pick.value.render_text(&matched.names());
    // A collection without scopes lives in the empty scope, wherever the route lies.
    let scoped = state.spec.collection(&pick.collection)?.scope.is_some();
    let scope = if scoped { matched.scope.clone() } else { String::new() };
    let table = state.table(&(pick.collection.clone(), scope))?;
    let Some(slot) = table.find(&pick.field, &value) else { return Ok(None) };
    Ok(table.json(slot).map(|json| (slot, json.clone())))
}

fn create_record(
    state: &mut SourceState,
    request: &Request,
    matched: &Matched,
    create: &CreateSpec,
) -> Result<Answer> {
    let body = match body_fields(matched, request, &create.required) {
        Ok(body) => body,
        Err(refusal) => return Ok(*refusal),
    };
    let place = matched.place(&create.collection);
    let mut record = if create.complete { state.next_record(&place)? } else { Fields::default() };
    for (field, value) in create.set.iter().filter(|_| create.complete) {
        record.set(field, value.render(&matched.names()));
    }
    accept(&mut record, &body, &create.accept, &create.resolve, &state.corpus);
    for (field, value) in create.set.iter().filter(|_| !create.complete) {
        record.set(field, value.render(&matched.names()));
    }
    let json = record.render();
    match state.write(&place, json.clone(), Some(matched.now), Cause::Edit) {
        Ok(_) => Ok(with_record(create.status, &create.body, json)),
        Err(_) => Ok(of_reply(&matched.spec.errors.invalid_body, &matched.names())),
    }
}

fn update_record(
    state: &mut SourceState,
    request: &Request,
    matched: &Matched,
    update: &UpdateSpec,
) -> Result<Answer> {
    let Some((_, json)) = pick_record(state, matched, &update.find)? else {
        return Ok(not_found(&matched.spec, request));
    };
    let body = match body_fields(matched, request, &[]) {
        Ok(body) => body,
        Err(refusal) => return Ok(*refusal),
    };
    let mut record =
        Fields::parse(&json).ok_or_else(|| Error::internal("a stored record is no object"))?;
    let before: Vec<Option<Json>> =
        update.when.iter().map(|when| record.get(&when.field)).collect();
    accept(&mut record, &body, &update.accept, &update.resolve, &state.corpus);
    for (when, before) in update.when.iter().zip(before) {
        let after = record.get(&when.field);
        if after != before && after == Some(Json::from(when.becomes.as_str())) {
            // What the body says itself wins.
            for (field, value) in when.set.iter().filter(|(field, _)| body.get(field).is_none()) {
                record.set(field, value.render(&matched.names()));
            }
        }
    }
    for (field, value) in update.set.iter() {
        record.set(field, value.render(&matched.names()));
    }
    let json = record.render();
    let place = matched.place(&update.find.collection);
    state.write(&place, json.clone(), Some(matched.now), Cause::Edit)?;

    Ok(with_record(200, &update.body, json))
}

fn delete_record(
    state: &mut SourceState,
    request: &Request,
    matched: &Matched,
    delete: &DeleteSpec,
) -> Result<Answer> {
    let Some((slot, json)) = pick_record(state, matched, &delete.find)? else {
        return Ok(not_found(&matched.spec, request));
    };
    state.remove(&matched.place(&delete.find.collection), slot)?;
    let mut shown = json.clone();
    if let Some(tombstone) = &delete.tombstone {
        let mut record = Fields::parse(&json).unwrap_or_default();
        record.blank(&tombstone.keep);
        for (field, value) in tombstone.set.iter() {
            record.set(field, value.render(&matched.names()));
        }
        shown = record.render();
        state
            .table(&matched.place(&tombstone.collection))?
            .upsert(shown.clone(), Some(matched.now))?;
    }

    Ok(with_record(delete.status, &delete.body, shown))
}

/// Reads the body as an object with these fields, or says how the source refuses it.
fn body_fields(
    matched: &Matched,
    request: &Request,
    required: &[String],
) -> std::result::Result<OrderedMap<Box<serde_json::value::RawValue>>, Box<Answer>> {
    let errors = &matched.spec.errors;
    let Ok(body) =
        serde_json::from_slice::<OrderedMap<Box<serde_json::value::RawValue>>>(&request.body)
    else {
        return Err(Box::new(of_reply(&errors.invalid_body, &matched.names())));
    };
    let missing = required.iter().find(|field| body.get(field.as_str()).is_none());
    match missing {
        Some(field) => {
            let reply = errors.missing_field.as_ref().unwrap_or(&errors.invalid_body);
            let names = |name: &str| match name {
                "field" => Value::text(field),
                other => matched.name(other),
            };
            Err(Box::new(of_reply(reply, &names)))
        }
        None => Ok(body),
    }
}

fn accept(
    record: &mut Fields,
    body: &OrderedMap<Box<serde_json::value::RawValue>>,
    accepted: &[String],
    resolve: &OrderedMap<ResolveSpec>,
    corpus: &Corpus,
) {
    for (field, json) in body.iter() {
        if !accepted.is_empty() && !accepted.iter().any(|known| known == field) {
            continue;
        }
        match resolve.get(field) {
            Some(resolve) => {
                let given: Json = serde_json::from_str(json.get()).unwrap_or_default();
                record.set(field, json_of(&resolved(&given, resolve, corpus)));
            }
            None => record.set(field, json.get().to_owned()),
        }
    }
}

fn resolved(given: &Json, resolve: &ResolveSpec, corpus: &Corpus) -> Value {
    let one = |value: &Json| {
        let id = value.get(&resolve.by).unwrap_or(value);
        corpus.lookup(&resolve.pool, &resolve.by, id)
    };
    match given {
        Json::Array(items) => {
            let found: Vec<Bytes> = items.iter().filter_map(one).collect();
            let content = Content::Rows {
                before: Bytes::from_static(b"["),
                rows: found,
                after: Bytes::from_static(b"]"),
            };
            Value::Json(content.into_bytes())
        }
        other => one(other).map_or(Value::Null, Value::Json),
    }
}

fn with_record(status: u16, body: &Template, record: Bytes) -> Answer {
    let names = |name: &str| match name {
        "record" => Value::Json(record.clone()),
        _ => Value::Null,
    };
    Answer { rows: 1, ..of_json(status, body.render(&names).into()) }
}

pub(crate) fn not_found(spec: &SourceSpec, request: &Request) -> Answer {
    let names = |name: &str| match name {
        "path" => Value::text(&request.path),
        _ => Value::Null,
    };
    of_reply(&spec.errors.not_found, &names)
}

pub(crate) fn of_reply(reply: &Reply, names: &dyn Fn(&str) -> Value) -> Answer {
    let names = |name: &str| names(name);
    let mut answer = of_json(reply.status, reply.body.render(&names).into());
    for (name, value) in reply.headers.iter() {
        answer.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        answer.headers.push((name.to_owned(), value.render_text(&names)));
    }

    answer
}

pub(crate) fn of_json(status: u16, json: Bytes) -> Answer {
    Answer {
        status,
        headers: vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())],
        body: Content::Whole(json),
        rows: 0,
    }
}

/// The `Date` header for `now`.
pub(crate) fn http_date(now: Instant) -> String {
    let seconds = u64::try_from(now.nanos() / SECOND).unwrap_or(0);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}
