//! Answers to requests: routes, reads and writes as the description says.

use crate::corpus::Corpus;
use crate::fields::Fields;
use crate::list::answer_list;
use crate::spec::{
    Action, CreateSpec, DeleteSpec, PickSpec, Reply, ResolveSpec, Route, Scheme, SourceSpec,
    UpdateSpec,
};
use crate::table::{Slot, at_path};
use crate::template::{OrderedMap, Template};
use crate::value::Value;
use crate::world::{Place, SourceState, World, json_of};
use base64::Engine as _;
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
    pub(crate) foreign_origin: Option<String>,
    pub(crate) empty_page: bool,
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
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Rows { before, rows, after } => {
                let length: usize = rows.iter().map(|row| row.len() + 1).sum();
                let mut out = Vec::with_capacity(before.len() + length + after.len());
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

    fn names(&self) -> impl Fn(&str) -> Value {
        |name: &str| self.name(name)
    }

    fn place(&self, collection: &str) -> Place {
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
    let mut answer = match refused(state, request, now) {
        Some(refusal) => refusal,
        None => match find_route(state, request, now)? {
            Some(matched) => act(world, source, request, &matched)?,
            None => not_found(&spec, request),
        },
    };
    let state = world.source_mut(source)?;
    for (name, value) in spec.headers.iter() {
        let names = |name: &str| match name {
            "now_epoch" => Value::Integer(now.seconds()),
            _ => Value::Null,
        };
        add_header(&mut answer, name, value.render_text(&names));
    }
    if let Some(rate) = &spec.rate_limit {
        let names = rate_names(state, rate.limit, rate.window_seconds, now);
        for (name, value) in rate.headers.iter() {
            add_header(&mut answer, name, value.render_text(&names));
        }
    }

    Ok(answer)
}

fn add_header(answer: &mut Answer, name: &str, value: String) {
    if !answer.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
        answer.headers.push((name.to_owned(), value));
    }
}

/// While nobody enforces a limit the headers show a window with one request used: a client that
/// paces itself by them would else be slowed down by numbers nobody acts on.
fn rate_names(
    state: &SourceState,
    limit: u64,
    window_seconds: i64,
    now: Instant,
) -> impl Fn(&str) -> Value + use<> {
    let limit = state.rate.enforced.unwrap_or(limit);
    let (used, start) = match state.rate.enforced {
        Some(_) => (state.rate.used.min(limit), state.rate.window_start),
        None => (1, now.seconds()),
    };
    let number = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    move |name: &str| match name {
        "limit" => number(limit),
        "used" => number(used),
        "remaining" => number(limit.saturating_sub(used)),
        "reset_epoch" => Value::Integer(start + window_seconds),
        _ => Value::Null,
    }
}

/// Refusals that come before any route.
fn refused(state: &mut SourceState, request: &Request, now: Instant) -> Option<Answer> {
    let spec = state.spec.clone();
    let none = |_: &str| Value::Null;
    for (header, reply) in spec.required_headers.iter() {
        if header_text(request, header).is_none_or(|text| text.trim().is_empty()) {
            return Some(of_reply(reply, &none));
        }
    }
    match credential(&spec, request) {
        None => return Some(of_reply(&spec.auth.missing, &none)),
        Some(given) => {
            let wrong = state.credential.as_ref().is_some_and(|expected| *expected != given);
            if given.trim().is_empty() || wrong {
                return Some(of_reply(&spec.auth.rejected, &none));
            }
        }
    }
    let (Some(limit), Some(rate)) = (state.rate.enforced, &spec.rate_limit) else { return None };
    if now.seconds() >= state.rate.window_start + rate.window_seconds {
        state.rate.window_start = now.seconds();
        state.rate.used = 0;
    }
    state.rate.used += 1;
    if state.rate.used > limit {
        let names = rate_names(state, rate.limit, rate.window_seconds, now);
        return Some(of_reply(&rate.exceeded, &names));
    }

    None
}

/// The token or password of the request; blank user names make a pair blank.
fn credential(spec: &SourceSpec, request: &Request) -> Option<String> {
    let header = header_text(request, "authorization")?;
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    match spec.auth.scheme {
        Scheme::Token => {
            let known = spec.auth.prefixes.iter().any(|p| p.eq_ignore_ascii_case(scheme));
            known.then(|| rest.trim().to_owned())
        }
        Scheme::Basic => {
            if !scheme.eq_ignore_ascii_case("basic") {
                return None;
            }
            let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
            let pair = String::from_utf8(decoded).ok()?;
            let (user, password) = pair.split_once(':')?;
            Some(if user.trim().is_empty() { String::new() } else { password.to_owned() })
        }
    }
}

pub(crate) fn header_text<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

fn find_route(state: &mut SourceState, request: &Request, now: Instant) -> Result<Option<Matched>> {
    let Some(path) = segments(&request.path) else { return Ok(None) };
    let spec = state.spec.clone();
    for (route, described) in spec.routes.iter().enumerate() {
        let Some(params) = described.pattern.fit(&request.method, &path) else { continue };
        let mut matched =
            Matched { spec: spec.clone(), route, params, parent: None, scope: String::new(), now };
        if let Some(parent) = &described.parent {
            let value = parent.value.render_text(&matched.names());
            let table = state.table(&(parent.collection.clone(), String::new()))?;
            let Some(json) = table.find(&parent.field, &value).and_then(|slot| table.json(slot))
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
    let Some(Route { answer, .. }) = matched.spec.routes.get(matched.route) else {
        return Err(Error::internal("a route vanished"));
    };
    match answer {
        Action::Respond(reply) => Ok(of_reply(reply, &matched.names())),
        Action::List(list) => {
            let place = matched.place(&list.collection);
            answer_list(world, source, request, matched, list, &place)
        }
        Action::Get(pick) => {
            let state = world.source_mut(source)?;
            let Some((_, json)) = pick_record(state, matched, pick)? else {
                return Ok(not_found(&matched.spec, request));
            };
            Ok(Answer { rows: 1, ..of_json(200, json) })
        }
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
    match state.table(&place)?.upsert(json.clone()) {
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
    state.table(&matched.place(&update.find.collection))?.upsert(json.clone())?;

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
    state.table(&matched.place(&delete.find.collection))?.remove(slot);
    let mut shown = json.clone();
    if let Some(tombstone) = &delete.tombstone {
        let mut record = Fields::parse(&json).unwrap_or_default();
        record.blank(&tombstone.keep);
        for (field, value) in tombstone.set.iter() {
            record.set(field, value.render(&matched.names()));
        }
        shown = record.render();
        state.table(&matched.place(&tombstone.collection))?.upsert(shown.clone())?;
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
