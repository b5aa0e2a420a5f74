//! The running server and how it is set up.

use crate::admin;
use crate::answer::{Answer, Content, Request, Tricks, answer, http_date, of_json};
use crate::churn::{Churn, Grow, Movement};
use crate::clock::SimulatorClock;
use crate::fault::{Fault, FaultKind, Faults};
use crate::oauth::OAuth;
use crate::wire::{Body, Delivery, Listener, ResetSwitch, body};
use crate::world::{SourceSetup, World};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use lakeflow_core::{Clock, Instant, Result, SystemClock};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Request bodies beyond this are refused.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// The log keeps the newest requests up to this number, so that a run of days ends with memory to
/// spare; it is well beyond what a test counts.
const MAX_LOGGED: usize = 1_000_000;

/// A request as it was received and answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoggedRequest {
    /// From 1, in order of arrival; never starts again.
    pub number: u64,
    /// When it came, in milliseconds since 1970 by the simulator's clock.
    pub at_ms: i64,
    /// The source, first part of the path.
    pub source: String,
    /// Method, upper case.
    pub method: String,
    /// Path after the source, as sent.
    pub path: String,
    /// Decoded query parameters, in their order.
    pub query: Vec<(String, String)>,
    /// Status of the answer; 0 while, or if, there is none.
    pub status: u16,
    /// Records in the answer.
    pub rows: usize,
    /// Bytes of its body.
    pub bytes: usize,
}

type Hook = Arc<dyn Fn(&LoggedRequest, &mut World) + Send + Sync>;

/// What requests, hooks and the admin routes share. Locks are taken one at a time.
pub(crate) struct Shared {
    pub(crate) clock: Arc<SimulatorClock>,
    pub(crate) world: Mutex<World>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) log: Mutex<Log>,
    hooks: RwLock<Vec<Hook>>,
    url: String,
}

#[derive(Default)]
pub(crate) struct Log {
    received: u64,
    pub(crate) requests: VecDeque<LoggedRequest>,
}

/// A running server on a free port of 127.0.0.1; stops when dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// Sets up a [`Simulator`].
pub struct Builder {
    clock: Arc<dyn Clock>,
    seed: u64,
    port: u16,
    default_faults: bool,
    cache_bodies: bool,
    sources: BTreeMap<String, SourceSetup>,
}

impl Simulator {
    /// A builder with the machine's clock, seed 1 and no sources.
    pub fn builder() -> Builder {
        Builder {
            clock: Arc::new(SystemClock),
            seed: 1,
            port: 0,
            default_faults: false,
            cache_bodies: false,
            sources: BTreeMap::new(),
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// What a connector takes as `base_url`: `http://127.0.0.1:PORT/source`.
    pub fn base_url(&self, source: &str) -> String {
        format!("{}/{source}", self.shared.url)
    }

    /// The requests so far, in order of arrival, the newest million; admin requests are not among
    /// them.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        lock(&self.shared.log).requests.iter().cloned().collect()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        lock(&self.shared.log).requests.clear();
    }

    /// See [`World::upsert`].
    ///
    /// # Errors
    /// As there.
    pub fn upsert(&self, source: &str, collection: &str, record: &Json) -> Result<()> {
        self.with_world(|world| world.upsert(source, collection, record))
    }

    /// See [`World::remove`].
    ///
    /// # Errors
    /// As there.
    pub fn remove(&self, source: &str, collection: &str, key: impl Display) -> Result<bool> {
        self.with_world(|world| world.remove(source, collection, key))
    }

    /// See [`World::patch`].
    ///
    /// # Errors
    /// As there.
    pub fn patch(
        &self,
        source: &str,
        collection: &str,
        key: impl Display,
        fields: &Json,
    ) -> Result<()> {
        self.with_world(|world| world.patch(source, collection, key, fields))
    }

    /// See [`World::records`].
    ///
    /// # Errors
    /// As there.
    pub fn records(&self, source: &str, collection: &str) -> Result<Vec<Json>> {
        self.with_world(|world| world.records(source, collection))
    }

    /// Reads or changes the records while no request is answered.
    pub fn with_world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut lock(&self.shared.world))
    }

    /// Calls `hook` with every request before it is answered (status and rows are still 0), in
    /// addition to earlier hooks. A hook must not call this simulator; it has the [`World`].
    pub fn on_request(&self, hook: impl Fn(&LoggedRequest, &mut World) + Send + Sync + 'static) {
        self.shared.hooks.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(hook));
    }

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.faults).add(fault);
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// How often each fault has struck, in the order they were added.
    pub fn fault_hits(&self) -> Vec<u64> {
        lock(&self.shared.faults).hits()
    }

    /// Lets listed rows change while lists are walked.
    pub fn churn(&self, churn: Churn) {
        self.with_world(|world| world.movements.push(Movement::churn(churn)));
    }

    /// Lets new rows arrive while lists are walked.
    pub fn grow(&self, grow: Grow) {
        self.with_world(|world| world.movements.push(Movement::grow(grow)));
    }

    /// Ends every churn and growth.
    pub fn clear_movements(&self) {
        self.with_world(|world| world.movements.clear());
    }

    /// See [`World::expire_tokens`].
    ///
    /// # Errors
    /// As there.
    pub fn expire_tokens(&self, source: &str) -> Result<()> {
        self.with_world(|world| world.expire_tokens(source))
    }

    /// The present time of the simulator.
    pub fn now(&self) -> Instant {
        self.shared.clock.now()
    }

    /// Waits until the server ends, which it does not by itself.
    pub async fn run(mut self) {
        // An aborted or panicked server has ended all the same.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Builder {
    /// The clock of `Date` headers, write stamps and relative corpus times.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The seed of generated records.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The port; 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Serves an embedded source with its default corpus.
    pub fn source(mut self, source: &str) -> Self {
        self.setup(source);
        self
    }

    /// Serves a source from the text of an `endpoints.yaml` and a `corpus.yaml`.
    pub fn spec(mut self, source: &str, endpoints: &str, corpus: &str) -> Self {
        self.setup(source).files = Some((endpoints.to_owned(), corpus.to_owned()));
        self
    }

    /// The number of generated records of a collection, or of one scope of it
    /// (`acme/widgets/issues`); without a scope the default one is meant. Of a collection whose
    /// records come with those of another, the most that it begins with.
    pub fn rows(mut self, source: &str, collection: &str, rows: u64) -> Self {
        self.setup(source).rows.push((collection.to_owned(), rows));
        self
    }

    /// Exactly these records instead of generated ones.
    pub fn records(mut self, source: &str, collection: &str, records: Vec<Json>) -> Self {
        self.setup(source).records.push((collection.to_owned(), records));
        self
    }

    /// A password, key or token that a source accepts; may be called again for another one. By
    /// default any that is not blank is accepted.
    pub fn credential(mut self, source: &str, secret: &str) -> Self {
        self.setup(source).credentials.insert(secret.to_owned());
        self
    }

    /// As [`oauth_with`](Self::oauth_with), with the default [`OAuth`].
    pub fn oauth(self, source: &str) -> Self {
        self.oauth_with(source, OAuth::default())
    }

    /// Gives a source a token endpoint, `POST {base_url}/oauth/token` (client credentials, refresh
    /// tokens with rotation). The source then accepts `Authorization: Bearer` with the tokens that
    /// were issued and have not expired, and each [`credential`](Self::credential).
    pub fn oauth_with(mut self, source: &str, oauth: OAuth) -> Self {
        self.setup(source).oauth = Some(oauth);
        self
    }

    /// Switches a collection off: see [`World::switch_off`].
    pub fn off(mut self, source: &str, collection: &str) -> Self {
        self.setup(source).off.insert(collection.to_owned());
        self
    }

    /// Refuses more requests than this per window of the source's first limit; by default the
    /// headers show the limits and none is enforced.
    pub fn rate_limit(mut self, source: &str, requests: u64) -> Self {
        self.setup(source).rate_limit = Some(requests);
        self
    }

    /// Enforces every limit of the source with its documented number.
    pub fn enforce_rate_limits(mut self, source: &str) -> Self {
        self.setup(source).enforce_rate_limits = true;
        self
    }

    /// Keeps rendered pages by query until the source changes; costs memory.
    pub fn cache_bodies(mut self, cache_bodies: bool) -> Self {
        self.cache_bodies = cache_bodies;
        self
    }

    /// Adds the faults that the sources' descriptions name as their own.
    pub fn default_faults(mut self, default_faults: bool) -> Self {
        self.default_faults = default_faults;
        self
    }

    /// Generates the records, binds the port and serves on the current runtime.
    ///
    /// # Errors
    /// `ConfigInvalid` for an unknown source or collection, a malformed description or a port in
    /// use; `DataInvalid` for a record without its key.
    pub async fn start(self) -> Result<Simulator> {
        let clock = Arc::new(SimulatorClock::new(self.clock));
        let mut world = World::new(clock.clone());
        let mut faults = Faults::default();
        for mut setup in self.sources.into_values() {
            setup.cache_bodies = self.cache_bodies;
            world.add_source(&setup, self.seed)?;
            if self.default_faults {
                let spec = world.source(&setup.name)?.spec.clone();
                spec.default_faults.iter().for_each(|fault| faults.add(fault.clone()));
            }
        }
        let listener = Listener::bind(self.port).await?;
        let shared = Arc::new(Shared {
            clock,
            world: Mutex::new(world),
            faults: Mutex::new(faults),
            log: Mutex::default(),
            hooks: RwLock::default(),
            url: listener.url(),
        });
        let state = shared.clone();
        let server = listener.serve(move |request, switch| {
            let shared = state.clone();
            async move { handle(&shared, request, &switch).await }
        });

        Ok(Simulator { shared, server })
    }

    fn setup(&mut self, source: &str) -> &mut SourceSetup {
        self.sources
            .entry(source.to_owned())
            .or_insert_with(|| SourceSetup { name: source.to_owned(), ..SourceSetup::default() })
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn handle(
    shared: &Shared,
    request: hyper::Request<hyper::body::Incoming>,
    switch: &ResetSwitch,
) -> hyper::Response<Body> {
    let (parts, incoming) = request.into_parts();
    let received = match Limited::new(incoming, MAX_REQUEST_BYTES).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => return plain(shared, failure(413, "the request body is too long")),
    };
    let path = parts.uri.path().to_owned();
    if let Some(route) = path.strip_prefix("/_simulator/") {
        let answer = admin::answer(shared, parts.method.as_str(), route, &received);
        return plain(shared, answer);
    }
    let (source, rest) = match path.trim_start_matches('/').split_once('/') {
        Some((source, rest)) => (source.to_owned(), format!("/{rest}")),
        None => (path.trim_start_matches('/').to_owned(), "/".to_owned()),
    };
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect();
    let mut request = Request {
        method: parts.method.as_str().to_owned(),
        path: rest,
        raw_query,
        query,
        headers: parts.headers,
        body: received,
        base_url: format!("{}/{source}", shared.url),
        tricks: Tricks::default(),
    };

    let mut logged = shared.receive(&source, &request);
    let hooks = shared.hooks.read().unwrap_or_else(PoisonError::into_inner).clone();
    if !hooks.is_empty() {
        let mut world = lock(&shared.world);
        hooks.iter().for_each(|hook| hook(&logged, &mut world));
    }

    let (_presence, mut replaced) = shared.enter(&source);
    let faults = match replaced {
        Some(_) => Vec::new(),
        None => lock(&shared.faults).strike(&request.method, &path),
    };
    let mut spoils = Vec::new();
    for fault in faults {
        match fault {
            FaultKind::Status { code, headers, body } => {
                let body = body.unwrap_or_else(|| r#"{"message":"injected fault"}"#.to_owned());
                let mut answer = of_json(code, body.into());
                if headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
                    answer.headers.clear();
                }
                answer.headers.extend(headers);
                replaced = Some(answer);
            }
            FaultKind::Html200 => replaced = Some(html_page()),
            FaultKind::BlackHole => std::future::pending::<()>().await,
            FaultKind::Latency { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
            FaultKind::RepeatLink => request.tricks.repeat_link = true,
            FaultKind::ForeignLink { origin } => request.tricks.foreign_origin = Some(origin),
            FaultKind::RestartLink => request.tricks.restart_link = true,
            FaultKind::EmptyPage => request.tricks.empty_page = true,
            FaultKind::HideChanged { seconds } => {
                request.tricks.hide_changed_seconds = Some(seconds);
            }
            other => spoils.push(other),
        }
    }

    let answer = match replaced {
        Some(answer) => answer,
        None => shared.answer(&source, &request),
    };
    logged.status = answer.status;
    logged.rows = answer.rows;
    logged.bytes = answer.body.len();
    shared.answered(logged);
    respond(shared, answer, &spoils, switch)
}

/// Counts a request from its arrival until it is answered or its client is gone.
struct Presence<'a> {
    shared: &'a Shared,
    source: &'a str,
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        if let Ok(state) = lock(&self.shared.world).source_mut(self.source) {
            state.in_flight = state.in_flight.saturating_sub(1);
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(at: Instant) -> i64 {
    i64::try_from(at.nanos() / 1_000_000).unwrap_or(i64::MAX)
}

impl Shared {
    /// Counts a request in, and refuses it if there are too many at a time.
    fn enter<'a>(&'a self, source: &'a str) -> (Presence<'a>, Option<Answer>) {
        let mut world = lock(&self.world);
        let refusal = world.source_mut(source).ok().and_then(|state| {
            state.in_flight += 1;
            state.crowded()
        });
        (Presence { shared: self, source }, refusal)
    }

    fn receive(&self, source: &str, request: &Request) -> LoggedRequest {
        let mut log = lock(&self.log);
        log.received += 1;
        let logged = LoggedRequest {
            number: log.received,
            at_ms: millis(self.clock.now()),
            source: source.to_owned(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            status: 0,
            rows: 0,
            bytes: 0,
        };
        if log.requests.len() == MAX_LOGGED {
            log.requests.pop_front();
        }
        log.requests.push_back(logged.clone());
        logged
    }

    /// Completes the entry, unless the log was cleared meanwhile.
    fn answered(&self, logged: LoggedRequest) {
        let mut log = lock(&self.log);
        if let Some(entry) = log.requests.iter_mut().rev().find(|r| r.number == logged.number) {
            *entry = logged;
        }
    }

    fn answer(&self, source: &str, request: &Request) -> Answer {
        let mut world = lock(&self.world);
        if world.source(source).is_err() {
            return failure(404, &format!("the simulator serves no source '{source}'"));
        }
        answer(&mut world, source, request).unwrap_or_else(|e| failure(500, &format!("{e:?}")))
    }
}

/// An answer of the simulator itself, not of a source.
pub(crate) fn failure(status: u16, message: &str) -> Answer {
    let body = serde_json::json!({ "simulator_error": message });
    of_json(status, body.to_string().into())
}

fn html_page() -> Answer {
    let page =
        "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>";
    Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())],
        body: Content::Whole(Bytes::from_static(page.as_bytes())),
        rows: 0,
    }
}

fn plain(shared: &Shared, answer: Answer) -> hyper::Response<Body> {
    respond(shared, answer, &[], &ResetSwitch::default())
}

fn respond(
    shared: &Shared,
    answer: Answer,
    spoils: &[FaultKind],
    switch: &ResetSwitch,
) -> hyper::Response<Body> {
    let mut bytes = answer.body.into_bytes();
    let mut headers = answer.headers;
    let mut delivery = Delivery::Whole;
    for spoil in spoils {
        match spoil {
            FaultKind::TruncatedBody { keep } => bytes.truncate(*keep),
            FaultKind::FalseGzip => headers.push(("content-encoding".into(), "gzip".into())),
            FaultKind::Drip { bytes_per_second } => {
                delivery = Delivery::Drip { bytes_per_second: *bytes_per_second };
            }
            FaultKind::ResetMidBody { after } => {
                delivery = Delivery::Cut { after: *after, reset: true };
            }
            FaultKind::ShortBody { after } => {
                delivery = Delivery::Cut { after: *after, reset: false };
            }
            _ => {}
        }
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")) {
        headers.push(("date".to_owned(), http_date(shared.clock.now())));
    }
    if delivery != Delivery::Whole {
        headers.push(("content-length".to_owned(), bytes.len().to_string()));
    }

    build(answer.status, &headers, body(bytes, &delivery, switch))
}

/// A response; what is no valid status or header is answered as a failure.
pub(crate) fn build(
    status: u16,
    headers: &[(String, String)],
    body: Body,
) -> hyper::Response<Body> {
    let mut builder = hyper::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(name.as_str(), value.as_str());
    }
    builder.body(body).unwrap_or_else(|e| {
        let text = failure(500, &format!("an invalid status or header: {e}")).body.into_bytes();
        let mut response = hyper::Response::new(Body::Left(http_body_util::Full::new(text)));
        *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
