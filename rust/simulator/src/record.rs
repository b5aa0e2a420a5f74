//! Traffic with a real host, recorded without its secrets.

use crate::answer::{Answer, Content};
use crate::redact::{Secrets, is_secret_name, redact_body, redact_pairs};
use crate::replay::TRANSPORT_HEADERS;
use crate::simulator::{build, failure, lock};
use crate::wire::{Body, Delivery, Listener, ResetSwitch, body};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use lakeflow_core::{Error, Result};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// Bodies beyond this are refused: a recording is read by people.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// A server on a free port of 127.0.0.1 that forwards every request to a real host and stores the
/// exchanges for [`Replay`](crate::Replay); stops when dropped.
///
/// Secrets are removed by the names they stand under (headers, query, JSON and form fields) and,
/// wherever else they occur, by value. If one remains in another spelling, the exchange is not
/// stored and the request is answered with 502.
pub struct Recorder {
    url: String,
    server: JoinHandle<()>,
}

struct State {
    client: reqwest::Client,
    upstream: String,
    url: String,
    to: PathBuf,
    recorded: Mutex<Recorded>,
}

/// Exchanges are kept as they were, so that a secret that is seen later is removed from earlier
/// ones too.
#[derive(Default)]
struct Recorded {
    exchanges: Vec<Exchange>,
    secrets: Secrets,
}

#[derive(Clone)]
struct Exchange {
    method: String,
    path: String,
    query: Option<String>,
    request: Bytes,
    status: u16,
    headers: Vec<(String, String)>,
    response: Bytes,
}

impl Recorder {
    /// Forwards to `upstream`, an `http` or `https` URL, and stores in the file `to`, which is
    /// written anew after every exchange.
    ///
    /// # Errors
    /// `ConfigInvalid` for an upstream that is no such URL or a file that cannot be written.
    pub async fn start(upstream: &str, to: &Path) -> Result<Self> {
        Self::start_on(0, upstream, to).await
    }

    /// As [`start`](Self::start), on this port; 0 takes a free one.
    ///
    /// # Errors
    /// As there, and `ConfigInvalid` for a port in use.
    pub async fn start_on(port: u16, upstream: &str, to: &Path) -> Result<Self> {
        let known = url::Url::parse(upstream)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty());
        if known.is_none() {
            return Err(Error::config("upstream must be an http or https URL without a user name"));
        }
        // Fails only where the process has one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::internal("cannot set up the HTTP client").source(e))?;
        let listener = Listener::bind(port).await?;
        let url = listener.url();
        let state = Arc::new(State {
            client,
            upstream: upstream.trim_end_matches('/').to_owned(),
            url: url.clone(),
            to: to.to_owned(),
            recorded: Mutex::default(),
        });
        state.save(&[])?;
        let server = listener.serve(move |request, _| {
            let state = state.clone();
            async move { state.handle(request).await }
        });

        Ok(Self { url, server })
    }

    /// `http://127.0.0.1:PORT`, the upstream's stand-in.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the server ends, which it does not by itself.
    pub async fn run(mut self) {
        // An aborted or panicked server has ended all the same.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    async fn handle(
        &self,
        request: hyper::Request<hyper::body::Incoming>,
    ) -> hyper::Response<Body> {
        let answer = match self.forward(request).await {
            Ok(answer) => answer,
            Err(e) => failure(502, &e.to_string()),
        };
        let bytes = answer.body.into_bytes();
        build(
            answer.status,
            &answer.headers,
            body(bytes, &Delivery::Whole, &ResetSwitch::default()),
        )
    }

    async fn forward(&self, request: hyper::Request<hyper::body::Incoming>) -> Result<Answer> {
        let (parts, incoming) = request.into_parts();
        let received = Limited::new(incoming, MAX_BODY_BYTES)
            .collect()
            .await
            .map_err(|_| Error::config("the request body is too long"))?
            .to_bytes();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let unreachable = |e: reqwest::Error| {
            let message = format!("no answer from '{}'", self.upstream);
            Error::new(lakeflow_core::ErrorKind::SourceUnavailable, message).source(e.without_url())
        };
        let mut sent = self.client.request(parts.method.clone(), self.upstream.clone() + target);
        let mut given = Vec::new();
        for (name, value) in &parts.headers {
            given.push((name.as_str(), value.to_str().unwrap_or_default()));
            // The body is stored as text, so it must not come compressed.
            let own = ["host", "connection", "content-length", "accept-encoding"];
            if !own.contains(&name.as_str()) {
                sent = sent.header(name, value);
            }
        }
        let reply = sent.body(received.clone()).send().await.map_err(unreachable)?;
        let status = reply.status().as_u16();
        let headers: Vec<(String, String)> = reply
            .headers()
            .iter()
            .filter(|(name, _)| !TRANSPORT_HEADERS.contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        let response = reply.bytes().await.map_err(unreachable)?;
        let exchange = Exchange {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            request: received,
            status,
            headers,
            response,
        };
        self.store(&exchange, &given)?;

        let own = |text: &str| text.replace(&self.upstream, &self.url);
        let headers = exchange.headers.iter().map(|(n, v)| (n.clone(), own(v))).collect();
        let body = match std::str::from_utf8(&exchange.response) {
            Ok(text) => own(text).into(),
            Err(_) => exchange.response.clone(),
        };
        Ok(Answer { status, headers, body: Content::Whole(body), rows: 0 })
    }

    fn store(&self, exchange: &Exchange, given: &[(&str, &str)]) -> Result<()> {
        let mut recorded = lock(&self.recorded);
        let secrets = &mut recorded.secrets;
        for (name, value) in given {
            secrets.learn_header(name, value)?;
        }
        for (name, value) in &exchange.headers {
            secrets.learn_header(name, value)?;
        }
        secrets.learn_pairs(exchange.query.as_deref().unwrap_or_default().as_bytes())?;
        secrets.learn_body(&exchange.request)?;
        secrets.learn_body(&exchange.response)?;

        let mut exchanges: Vec<&Exchange> = recorded.exchanges.iter().collect();
        exchanges.push(exchange);
        let stored: Vec<String> = exchanges
            .into_iter()
            .map(|e| self.stored(e, &recorded.secrets))
            .collect::<Result<_>>()?;
        self.save(&stored)?;
        recorded.exchanges.push(exchange.clone());

        Ok(())
    }

    /// An exchange as JSON, without secrets.
    fn stored(&self, exchange: &Exchange, secrets: &Secrets) -> Result<String> {
        let path = match &exchange.query {
            Some(query) => format!("{}?{}", exchange.path, redact_pairs(query)),
            None => exchange.path.clone(),
        };
        let headers: serde_json::Map<String, Json> = exchange
            .headers
            .iter()
            .filter(|(name, _)| !is_secret_name(name))
            .map(|(name, value)| (name.clone(), Json::from(value.as_str())))
            .collect();
        let text = |json: Json| json.to_string();
        let response = redact_body(&exchange.response);
        let response = match serde_json::from_str::<&serde_json::value::RawValue>(&response) {
            Ok(_) => response,
            Err(_) => text(Json::from(response)),
        };
        let stored = format!(
            "{{\"scope\":{},\"method\":{},\"path\":{},\"body\":{},\"status\":{},\"response\":{response},\"headers\":{}}}",
            text(json!(self.upstream)),
            text(json!(exchange.method)),
            text(json!(path)),
            text(json!(redact_body(&exchange.request))),
            exchange.status,
            text(Json::Object(headers)),
        );
        let stored = secrets.remove(&stored);
        secrets.check(&stored)?;

        Ok(stored)
    }

    /// Replaces the file at once, so that nobody reads half of it.
    fn save(&self, stored: &[String]) -> Result<()> {
        let cannot = |e: std::io::Error| {
            Error::config(format!("cannot write the recording '{}'", self.to.display())).source(e)
        };
        let partial = self.to.with_extension("partial");
        std::fs::write(&partial, format!("[\n{}\n]\n", stored.join(",\n"))).map_err(cannot)?;
        std::fs::rename(&partial, &self.to).map_err(cannot)
    }
}
