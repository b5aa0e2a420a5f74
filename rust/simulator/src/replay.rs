//! Recorded traffic, served again.

use crate::answer::Answer;
use crate::redact::{redact_body, redact_pairs};
use crate::simulator::{LoggedRequest, build, failure, lock, millis};
use crate::template::OrderedMap;
use crate::wire::{Delivery, Listener, ResetSwitch, body};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use lakeflow_core::{Clock, Error, Result, SystemClock};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// Headers that describe how the recorded bytes travelled; the new ones travel anew.
pub(crate) const TRANSPORT_HEADERS: &[&str] =
    &["content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive"];

/// Longer request bodies are taken as empty.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// Which origin the URLs in recorded headers and bodies have when they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// That of the replaying server.
    Rewritten,
    /// The recorded one.
    Kept,
}

/// One exchange as `nock` records it.
#[derive(Deserialize)]
struct Recorded {
    scope: String,
    method: String,
    path: String,
    /// The body of the request, JSON or text.
    #[serde(default)]
    body: Option<Box<RawValue>>,
    status: u16,
    #[serde(default)]
    response: Option<Box<RawValue>>,
    #[serde(default, rename = "responseIsBinary")]
    response_is_binary: bool,
    #[serde(default)]
    headers: OrderedMap<serde_json::Value>,
}

struct Exchange {
    method: String,
    /// Path with query, as recorded.
    target: String,
    /// The body of the request without secrets; empty: any.
    request: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

struct State {
    exchanges: Vec<Exchange>,
    /// How often each was asked for, so that equal requests get their answers in turn.
    asked: Mutex<Vec<u64>>,
    requests: Mutex<Vec<LoggedRequest>>,
}

/// A server on a free port of 127.0.0.1 that answers from a recording; stops when dropped.
///
/// The first recorded exchange answers every request with its method and path, whatever the
/// query; the others answer exactly their method, path, query and, if one was recorded, JSON body.
/// Anything else gets status 501
/// and an error that names the closest recorded request.
pub struct Replay {
    url: String,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Replay {
    /// Serves a recording: a JSON list of `scope`, `method`, `path`, `status`, `headers` and
    /// `response` (JSON or text), as in the scenarios of npm package `@octokit/fixtures`.
    ///
    /// # Errors
    /// `ConfigInvalid` if the file cannot be read or is of another form; `Unsupported` for a
    /// binary response.
    pub async fn start(recording: &Path, origin: Origin) -> Result<Self> {
        Self::start_on(0, recording, origin).await
    }

    /// As [`start`](Self::start), on this port; 0 takes a free one.
    ///
    /// # Errors
    /// As there, and `ConfigInvalid` for a port in use.
    pub async fn start_on(port: u16, recording: &Path, origin: Origin) -> Result<Self> {
        let named = |e: Error| e.context("recording", recording.display().to_string());
        let text = std::fs::read_to_string(recording)
            .map_err(|e| named(Error::config("cannot read the recording").source(e)))?;
        let listener = Listener::bind(port).await?;
        let url = listener.url();
        let own = (origin == Origin::Rewritten).then_some(url.as_str());
        let exchanges = parse(&text, own).map_err(named)?;
        let asked = Mutex::new(vec![0; exchanges.len()]);
        let state = Arc::new(State { exchanges, asked, requests: Mutex::default() });
        let shared = state.clone();
        let server = listener.serve(move |request, _| {
            let state = shared.clone();
            async move {
                let (parts, incoming) = request.into_parts();
                // A body that breaks off is no recorded one either.
                let body_of = Limited::new(incoming, MAX_REQUEST_BYTES).collect().await;
                let received = body_of.map(|collected| collected.to_bytes()).unwrap_or_default();
                let answer = state.answer(parts.method.as_str(), &parts.uri, &received);
                let bytes = answer.body.into_bytes();
                build(
                    answer.status,
                    &answer.headers,
                    body(bytes, &Delivery::Whole, &ResetSwitch::default()),
                )
            }
        });

        Ok(Self { url, state, server })
    }

    /// `http://127.0.0.1:PORT`, the recorded host's stand-in.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far; `source` is empty, `rows` counts the items of a JSON list.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        lock(&self.state.requests).clone()
    }

    /// Waits until the server ends, which it does not by itself.
    pub async fn run(mut self) {
        // An aborted or panicked server has ended all the same.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    fn answer(&self, method: &str, uri: &hyper::Uri, request: &[u8]) -> Answer {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        if (method, target) == ("GET", "/_simulator/requests") {
            let requests = lock(&self.requests).clone();
            let json = serde_json::to_vec(&requests).unwrap_or_default();
            return crate::answer::of_json(200, json.into());
        }
        let answer = match self.find(method, target, &normal(&redact_body(request))) {
            Some(exchange) => Answer {
                status: exchange.status,
                headers: exchange.headers.clone(),
                rows: count_rows(&exchange.body),
                body: crate::answer::Content::Whole(exchange.body.clone()),
            },
            None => self.unknown(method, target),
        };
        let query = uri.query().unwrap_or_default();
        let mut requests = lock(&self.requests);
        let number = requests.len() as u64 + 1;
        requests.push(LoggedRequest {
            number,
            at_ms: millis(SystemClock.now()),
            source: String::new(),
            method: method.to_owned(),
            path: uri.path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            status: answer.status,
            rows: answer.rows,
            bytes: answer.body.len(),
        });

        answer
    }

    fn find(&self, method: &str, target: &str, request: &str) -> Option<&Exchange> {
        let same = |exchange: &Exchange| {
            exchange.method == method
                && exchange.target == redacted(target)
                && (exchange.request.is_empty() || exchange.request == request)
        };
        let mut asked = lock(&self.asked);
        let exact = self
            .exchanges
            .iter()
            .zip(asked.iter_mut())
            .filter(|(exchange, _)| same(exchange))
            .min_by_key(|(_, asked)| **asked);
        if let Some((exchange, asked)) = exact {
            *asked += 1;
            return Some(exchange);
        }

        let first = self.exchanges.first()?;
        let fits = first.method == method && path_of(&first.target) == path_of(target);
        (fits && first.request.is_empty()).then_some(first)
    }

    fn unknown(&self, method: &str, target: &str) -> Answer {
        let asked = format!("{method} {target}");
        let closest = self
            .exchanges
            .iter()
            .map(|exchange| format!("{} {}", exchange.method, exchange.target))
            .max_by(|a, b| {
                strsim::jaro_winkler(a, &asked).total_cmp(&strsim::jaro_winkler(b, &asked))
            })
            .unwrap_or_default();
        failure(501, &format!("no recorded exchange for '{asked}', the closest is '{closest}'"))
    }
}

/// A target as a recording has it: secret values of the query replaced.
fn redacted(target: &str) -> String {
    match target.split_once('?') {
        Some((path, query)) => format!("{path}?{}", redact_pairs(query)),
        None => target.to_owned(),
    }
}

/// JSON in one spelling, other text as it is.
fn normal(body: &str) -> String {
    serde_json::from_str::<serde_json::Value>(body)
        .map_or_else(|_| body.to_owned(), |json| json.to_string())
}

fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

fn count_rows(body: &[u8]) -> usize {
    serde_json::from_slice::<Vec<&RawValue>>(body).map_or(0, |items| items.len())
}

/// Reads a recording; `own` replaces the recorded origin.
fn parse(text: &str, own: Option<&str>) -> Result<Vec<Exchange>> {
    let recorded: Vec<Recorded> = serde_json::from_str(text)
        .map_err(|e| Error::config("the recording is not a list of exchanges").source(e))?;

    recorded.into_iter().map(|recorded| exchange(recorded, own)).collect()
}

fn exchange(recorded: Recorded, own: Option<&str>) -> Result<Exchange> {
    if recorded.response_is_binary {
        return Err(Error::unsupported("a recorded response is binary")
            .context("request", format!("{} {}", recorded.method, recorded.path)));
    }
    let rewrite = |text: &str| match own {
        Some(own) => {
            // A scope names its port even where URLs leave it out.
            let plain = recorded.scope.trim_end_matches(":443").trim_end_matches(":80");
            text.replace(&recorded.scope, own).replace(plain, own)
        }
        None => text.to_owned(),
    };
    let body = match &recorded.response {
        None => String::new(),
        Some(json) => match serde_json::from_str::<String>(json.get()) {
            Ok(text) => text,
            Err(_) => compact(json.get()),
        },
    };
    let headers = recorded
        .headers
        .iter()
        .filter(|(name, _)| !TRANSPORT_HEADERS.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.to_owned(), rewrite(&text))
        })
        .collect();

    let request = recorded.body.as_ref().map_or_else(String::new, |json| {
        let text = serde_json::from_str::<String>(json.get());
        normal(&text.unwrap_or_else(|_| json.get().to_owned()))
    });

    Ok(Exchange {
        method: recorded.method.to_uppercase(),
        target: recorded.path.clone(),
        request,
        status: recorded.status,
        headers,
        body: rewrite(&body).into(),
    })
}

/// JSON without the white space that a formatter put between its tokens.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut in_text = false;
    let mut escaped = false;
    for c in json.chars() {
        if in_text {
            in_text = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            out.push(c);
        } else if !c.is_ascii_whitespace() {
            in_text = c == '"';
            out.push(c);
        }
    }

    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_keeps_texts_as_they_are() {
        let json = "{\n  \"a b\": [1, \" x \\\" y \", null],\n  \"c\\\\\": {} }";
        assert_eq!(compact(json), "{\"a b\":[1,\" x \\\" y \",null],\"c\\\\\":{}}");
    }
}
