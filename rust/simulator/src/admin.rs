//! Routes below `/_simulator/` for tests in other languages.

use crate::answer::{Answer, Content, of_json};
use crate::churn::{Churn, Grow, Movement};
use crate::fault::Fault;
use crate::simulator::{Shared, failure, lock};
use bytes::Bytes;
use lakeflow_core::{Clock, Instant};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

/// One of `freeze` (ISO 8601), `advance_seconds`, `system`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    freeze: Option<String>,
    advance_seconds: Option<f64>,
    #[serde(default)]
    system: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSource {
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    source: String,
    collection: String,
    on: bool,
}

type Outcome = std::result::Result<Answer, String>;

/// Answers an admin request; `route` is the path after `/_simulator/`.
pub(crate) fn answer(shared: &Shared, method: &str, route: &str, body: &Bytes) -> Answer {
    let outcome = match (method, route.split_once('/')) {
        ("GET", Some(("records", name))) => records(shared, name),
        ("PUT", Some(("records", name))) => replace(shared, name, body),
        ("PUT", Some(("rate-limits", source))) => limit(shared, source, body),
        _ => simple(shared, method, route, body),
    };
    outcome.unwrap_or_else(|message| failure(400, &message))
}

fn simple(shared: &Shared, method: &str, route: &str, body: &Bytes) -> Outcome {
    match (method, route) {
        ("GET", "requests") => {
            let requests = lock(&shared.log).requests.clone();
            return match serde_json::to_vec(&requests) {
                Ok(json) => Ok(of_json(200, json.into())),
                Err(e) => Err(e.to_string()),
            };
        }
        ("DELETE", "requests") => lock(&shared.log).requests.clear(),
        ("POST", "faults") => {
            let fault = parse::<Fault>(body)?;
            lock(&shared.faults).add(fault);
        }
        ("DELETE", "faults") => lock(&shared.faults).clear(),
        ("POST", "clock") => change_clock(shared, &parse(body)?)?,
        ("POST", "churn") => {
            let churn = parse::<Churn>(body)?;
            check(shared, &churn.source, &churn.collection)?;
            lock(&shared.world).movements.push(Movement::churn(churn));
        }
        ("POST", "grow") => {
            let grow = parse::<Grow>(body)?;
            check(shared, &grow.source, &grow.collection)?;
            lock(&shared.world).movements.push(Movement::grow(grow));
        }
        ("DELETE", "churn" | "grow") => lock(&shared.world).movements.clear(),
        ("POST", "expire-tokens") => {
            let source = parse::<OfSource>(body)?.source;
            lock(&shared.world).expire_tokens(&source).map_err(|e| e.to_string())?;
        }
        ("POST", "switch") => {
            let Switch { source, collection, on } = parse(body)?;
            let mut world = lock(&shared.world);
            let switched = if on {
                world.switch_on(&source, &collection)
            } else {
                world.switch_off(&source, &collection)
            };
            switched.map_err(|e| e.to_string())?;
        }
        ("GET", "stats") => return Ok(of_json(200, stats(shared).to_string().into())),
        _ => return Ok(failure(404, &format!("no admin route '{method} /_simulator/{route}'"))),
    }

    Ok(done())
}

fn done() -> Answer {
    of_json(200, Bytes::from_static(b"{\"ok\":true}"))
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> std::result::Result<T, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

fn check(shared: &Shared, source: &str, collection: &str) -> std::result::Result<(), String> {
    let world = lock(&shared.world);
    let state = world.source(source).map_err(|e| e.to_string())?;
    state.places(collection).map(|_| ()).map_err(|e| e.to_string())
}

/// `source/collection`, where the collection may have its scope before it.
fn named(name: &str) -> std::result::Result<(&str, &str), String> {
    name.split_once('/').ok_or_else(|| format!("'{name}' is not 'source/collection'"))
}

fn records(shared: &Shared, name: &str) -> Outcome {
    let (source, collection) = named(name)?;
    let rows = lock(&shared.world).raw_records(source, collection).map_err(|e| e.to_string())?;
    let (before, after) = (Bytes::from_static(b"["), Bytes::from_static(b"]"));
    let body = Content::Rows { before, rows, after };

    Ok(Answer { body, ..of_json(200, Bytes::new()) })
}

fn replace(shared: &Shared, name: &str, body: &Bytes) -> Outcome {
    let (source, collection) = named(name)?;
    let records = parse::<Vec<Json>>(body)?;
    let replaced = lock(&shared.world).replace(source, collection, &records);
    replaced.map_err(|e| e.to_string())?;

    Ok(done())
}

fn limit(shared: &Shared, source: &str, body: &Bytes) -> Outcome {
    let limits = parse(body)?;
    let set = lock(&shared.world).set_rate_limits(source, limits);
    set.map_err(|e| e.to_string())?;

    Ok(done())
}

fn change_clock(shared: &Shared, change: &ClockChange) -> std::result::Result<(), String> {
    match change {
        ClockChange { freeze: Some(at), advance_seconds: None, system: false } => {
            let at = Instant::parse(at).ok_or_else(|| format!("'{at}' is not a timestamp"))?;
            shared.clock.freeze(at);
        }
        ClockChange { freeze: None, advance_seconds: Some(seconds), system: false } => {
            shared.clock.advance((seconds * 1e9) as i128);
        }
        ClockChange { freeze: None, advance_seconds: None, system: true } => shared.clock.follow(),
        _ => return Err("give one of 'freeze', 'advance_seconds', 'system'".to_owned()),
    }

    Ok(())
}

fn stats(shared: &Shared) -> Json {
    let requests = lock(&shared.log).requests.len();
    let fault_hits = lock(&shared.faults).hits();
    let world = lock(&shared.world);
    let rows: serde_json::Map<String, Json> = world
        .sources
        .iter()
        .flat_map(|(source, state)| {
            state.tables.iter().map(move |((collection, scope), table)| {
                let scope = if scope.is_empty() { String::new() } else { format!("{scope}/") };
                (format!("{source}/{scope}{collection}"), json!(table.len()))
            })
        })
        .collect();

    json!({
        "now": shared.clock.now().to_rfc3339(6),
        "requests": requests,
        "fault_hits": fault_hits,
        "rows": rows,
    })
}
