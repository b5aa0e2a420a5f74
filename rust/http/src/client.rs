//! The client: one request with all that belongs to it.

use crate::auth::{self, Auth};
use crate::connect::{Trust, proxy_secrets};
use crate::limits::{self, Allowance, Budget, Headers, Learn, Lease, Limits};
use crate::oauth::{Credential, OAuth, Token, Via};
use crate::options::Policy;
use crate::origin::Base;
use crate::redact::Redactor;
use crate::reply::{ErrorReply, Verdict};
use crate::request::Request;
use crate::response::{About, Response};
use crate::retry;
use lakeflow_core::{Clock, Context, Error, ErrorKind, Metrics, Result, Retry, Secret};
use reqwest::Method;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

type Mapping = Box<dyn Fn(&ErrorReply<'_>) -> Verdict + Send + Sync>;

/// Sends requests to one origin; clones share connections and limits.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) base: Base,
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) redactor: Redactor,
    pub(crate) mapping: Mapping,
    headers: HeaderMap,
    pub(crate) trust: Trust,
    /// Made at the first request: it reads the machine's certificates.
    pub(crate) http: OnceLock<reqwest::Client>,
    pub(crate) limits: Lease,
    pub(crate) learn: Option<Learn>,
    /// Tokens that are renewed, and what they are asked for through.
    tokens: Option<(Arc<Credential>, Via)>,
}

/// A request made ready to be sent, several times if need be.
pub(crate) struct Prepared {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) request: Request,
    pub(crate) about: Arc<About>,
}

impl Client {
    /// A builder for a client of the API below `base_url`.
    ///
    /// [`OPTIONS`](crate::OPTIONS) come from the settings of `context`, and the settings' secrets
    /// are removed from every error text. Nothing is read or sent before the first request.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`] if `base_url` is malformed, holds credentials, is plain `http`
    /// to another machine without `allowInsecureHttp`, or is a link-local or metadata address.
    pub fn builder(context: &Context, base_url: &str) -> Result<ClientBuilder> {
        let policy = Policy::of(&context.settings);
        Ok(ClientBuilder {
            base: Base::parse("option 'base_url'", base_url, policy.allow_insecure_http)?,
            policy,
            clock: context.clock.clone(),
            metrics: context.metrics.clone(),
            secrets: context.settings.secrets(),
            mapping: Box::new(|reply| Verdict::of_status(reply.status)),
            headers: Ok(default_headers()),
            auth: Auth::None,
            share: context.share,
            budgets: Vec::new(),
            at_once: None,
            learn: None,
        })
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Sends `request` and reads the whole answer, repeating it where that is safe and of use.
    ///
    /// Layers, outermost first: cancelling (drop the future), total deadline, retry, credentials,
    /// rate limits, deadline of one attempt. What rate limits and pauses that the service asks for
    /// take holds back all clients of the credential and does not count towards the total
    /// deadline. A token that is rejected is renewed once.
    ///
    /// # Errors
    /// What the mapping of [`ClientBuilder::errors`] says of error responses;
    /// [`ErrorKind::SourceUnavailable`] for failed connections and timeouts;
    /// [`ErrorKind::BadResponse`] for HTML or truncated JSON where JSON is expected, for bodies
    /// over [`MAX_BODY_BYTES`](crate::MAX_BODY_BYTES), and for redirects that loop or lead to
    /// another origin. Retry class [`Retry::Exhausted`] if repeats did not help,
    /// [`Retry::After`] if the request would wait for longer than `maxWaitSeconds` in all.
    pub async fn send(&self, request: Request) -> Result<Response> {
        self.send_with(request, Ok).await
    }

    /// As [`send`](Self::send), where `read` makes something of the answer: if it fails with
    /// [`Retry::Backoff`] (the answer is broken), the request is repeated.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and of `read`.
    pub async fn send_with<T>(
        &self,
        request: Request,
        mut read: impl FnMut(Response) -> Result<T>,
    ) -> Result<T> {
        let inner = &*self.0;
        let mut prepared = inner.prepare(request).map_err(|e| inner.redactor.error(e))?;
        let mut deadline = Instant::now() + inner.policy.total_timeout;
        let mut retries = 0;
        let mut renewed = false;
        let mut waited = Duration::ZERO;
        loop {
            let start = Instant::now();
            let token = inner.authorise(&mut prepared).await?;
            let place = inner.limits.place().await?;
            let path = prepared.url.path();
            let waiting = inner.metrics.wait();
            let admitted = inner.limits.admit(path, waited, inner.policy.max_wait).await;
            drop(waiting);
            let pause = admitted.map_err(|e| prepared.about.finish(e))?;
            inner.throttled(pause);
            waited += pause;
            let sent = Instant::now();
            deadline += sent - start;
            let outcome = inner.attempt_in_time(&prepared, deadline).await;
            drop(place);
            inner.note(&outcome, sent);
            let error = match outcome.and_then(&mut read) {
                Ok(value) => return Ok(value),
                Err(error) => prepared.about.finish(error),
            };
            if let (ErrorKind::AuthFailed, Some((credential, via)), Some(token)) =
                (error.kind(), &inner.tokens, &token)
            {
                if renewed {
                    return Err(credential.still_rejected(error));
                }
                renewed = true;
                let start = Instant::now();
                let outcome = credential.renewed(via, Some(token.number)).await;
                outcome.map_err(|e| prepared.about.finish(e))?;
                deadline += start.elapsed();
                continue;
            }
            let pause = match inner.pause_after(&error, &prepared, retries, waited, deadline) {
                Ok(pause) => pause,
                Err(class) => return Err(inner.give_up(error, class, retries, waited)),
            };
            tracing::warn!(
                path = inner.redactor.scrub(prepared.url.path()),
                code = error.kind().code(),
                retry = retries + 1,
                pause_ms = pause.length.as_millis(),
                "a request failed and is repeated"
            );
            if pause.for_all {
                inner.limits.hold_back(pause.length);
            } else {
                let waiting = pause.asked.then(|| inner.metrics.wait());
                sleep(pause.length).await;
                drop(waiting);
                if pause.asked {
                    inner.throttled(pause.length);
                    waited += pause.length;
                    deadline += pause.length;
                }
            }
            retries += 1;
            inner.metrics.retries(1);
        }
    }
}

/// A pause before a repeat.
struct Pause {
    length: Duration,
    /// The service asked for it.
    asked: bool,
    /// It holds for every request of the client.
    for_all: bool,
}

impl Inner {
    fn prepare(&self, request: Request) -> Result<Prepared> {
        let mut url = self.base.resolve(&request.target)?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut headers = self.headers.clone();
        for (name, value) in &request.headers {
            let (name, value) = header(name, value)?;
            headers.insert(name, value);
        }
        let about = Arc::new(About {
            request: self.redactor.describe(request.method.as_str(), &url),
            origin: self.base.origin.clone(),
            redactor: self.redactor.clone(),
        });

        Ok(Prepared { method: request.method.clone(), url, headers, request, about })
    }

    /// One attempt within the smaller of its own deadline and `deadline`.
    async fn attempt_in_time(&self, prepared: &Prepared, deadline: Instant) -> Result<Response> {
        let left = deadline.saturating_duration_since(Instant::now());
        let (limit, option) = if left < self.policy.request_timeout {
            (self.policy.total_timeout, "totalTimeoutSeconds")
        } else {
            (self.policy.request_timeout, "requestTimeoutSeconds")
        };
        match timeout(left.min(self.policy.request_timeout), self.attempt(prepared)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let seconds = limit.as_secs_f64();
                let message = format!("no complete answer within {seconds} s (option '{option}')");
                Err(Error::new(ErrorKind::SourceUnavailable, message).retry(Retry::Backoff))
            }
        }
    }

    /// Tells the limits of an attempt that was made at `sent`.
    fn note(&self, outcome: &Result<Response>, sent: Instant) {
        match outcome {
            Ok(_) => self.limits.passed(sent),
            Err(error) if error.kind() == ErrorKind::RateLimited => match error.retry_class() {
                Retry::Backoff => self.limits.refused(sent, None),
                Retry::After(asked) => self.limits.refused(sent, Some(asked)),
                _ => {}
            },
            Err(_) => {}
        }
    }

    /// The pause before the next attempt, or the retry class of the final error.
    fn pause_after(
        &self,
        error: &Error,
        prepared: &Prepared,
        retries: u32,
        waited: Duration,
        deadline: Instant,
    ) -> Result<Pause, Retry> {
        let asked = match error.retry_class() {
            Retry::Backoff => None,
            Retry::After(asked) => Some(asked),
            class => return Err(class),
        };
        if let Some(asked) = asked.filter(|a| a.saturating_add(waited) > self.policy.max_wait) {
            return Err(Retry::After(asked));
        }
        if !prepared.request.idempotent || retries >= self.policy.max_retries {
            return Err(Retry::Exhausted);
        }
        let length = asked.map_or_else(|| retry::backoff(retries), |a| retry::pause(a, retries));
        if asked.is_none() && Instant::now() + length >= deadline {
            return Err(Retry::Exhausted);
        }

        Ok(Pause {
            length,
            asked: asked.is_some(),
            for_all: asked.is_some() && error.kind() == ErrorKind::RateLimited,
        })
    }

    /// The final error.
    fn give_up(&self, error: Error, class: Retry, retries: u32, waited: Duration) -> Error {
        let error = match class {
            Retry::After(pause) => self.too_long(&error, pause, waited).source(error),
            _ => error,
        };
        let error = error.retry(class);
        if retries > 0 { error.context("attempts", (retries + 1).to_string()) } else { error }
    }

    fn too_long(&self, error: &Error, pause: Duration, waited: Duration) -> Error {
        let (asked, most) = (pause.as_secs(), self.policy.max_wait.as_secs_f64());
        let nanos = i128::try_from(pause.as_nanos()).unwrap_or(i128::MAX / 2);
        let end = self.clock.now().plus_nanos(nanos);
        let end = end.to_chrono().map(|_| format!(", until {}", end.to_rfc3339(0)));
        let message = format!(
            "the service asks for a pause of {asked} s{}{}; option 'maxWaitSeconds' allows {most}",
            limits::after(waited),
            end.unwrap_or_default()
        );
        let pairs = error.context_pairs().iter();
        pairs.fold(Error::new(error.kind(), message), |e, (key, value)| e.context(key, value))
    }

    /// Puts a token that is good now into the request, if tokens are renewed.
    async fn authorise(&self, prepared: &mut Prepared) -> Result<Option<Token>> {
        let Some((credential, via)) = &self.tokens else { return Ok(None) };
        let token = credential.token(via, &*self.clock).await;
        let token = token.map_err(|e| prepared.about.finish(e))?;
        self.redactor.learn(&token.secret);
        let value = auth::value(&credential.oauth.header(&token.secret))?;
        prepared.headers.insert(AUTHORIZATION, value);

        Ok(Some(token))
    }

    fn throttled(&self, waited: Duration) {
        self.metrics.throttled_ms(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.0.base.origin)
    }
}

/// Collects what a [`Client`] needs.
pub struct ClientBuilder {
    base: Base,
    policy: Policy,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    secrets: Vec<Secret>,
    mapping: Mapping,
    headers: Result<HeaderMap>,
    auth: Auth,
    share: f64,
    budgets: Vec<Budget>,
    at_once: Option<usize>,
    learn: Option<Learn>,
}

impl ClientBuilder {
    /// Credentials for every request.
    pub fn auth(mut self, auth: impl Into<Auth>) -> Self {
        self.auth = auth.into();
        self
    }

    /// A budget that requests must stay within, besides others; all clients of the credential in
    /// this process share it, and use as much of it as their [shares](Context::share) come to.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Requests at once that the service allows for the credential, from 1.
    pub fn at_once(mut self, requests: usize) -> Self {
        self.at_once = Some(requests.max(1));
        self
    }

    /// What the headers of answers say of further requests; `None` where they say nothing.
    pub fn allowance(
        mut self,
        read: impl Fn(&Headers<'_>) -> Option<Allowance> + Send + Sync + 'static,
    ) -> Self {
        self.learn = Some(Box::new(read));
        self
    }

    /// A header for every request, in place of a default one (`accept: application/json`).
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers = self.headers.and_then(|mut headers| {
            let (name, value) = header(name, value)?;
            headers.insert(name, value);
            Ok(headers)
        });
        self
    }

    /// The `User-Agent` header in place of `lakeflow-connect/<version>`.
    pub fn user_agent(self, value: &str) -> Self {
        self.header("user-agent", value)
    }

    /// A further text that must appear in no error, such as a key derived from a credential.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// What error responses of this service mean, in place of [`Verdict::of_status`].
    ///
    /// `mapping` returns a [`Verdict`], or just a kind.
    pub fn errors<V: Into<Verdict>>(
        mut self,
        mapping: impl Fn(&ErrorReply<'_>) -> V + Send + Sync + 'static,
    ) -> Self {
        self.mapping = Box::new(move |reply| mapping(reply).into());
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`] if credentials or headers hold characters that cannot be sent.
    pub fn build(mut self) -> Result<Client> {
        self.secrets.extend(self.auth.secrets());
        self.secrets.extend(self.policy.proxy.iter().flat_map(proxy_secrets));
        let redactor = Redactor::new(std::mem::take(&mut self.secrets));
        let mut headers = std::mem::replace(&mut self.headers, Ok(HeaderMap::new()))
            .map_err(|e| redactor.error(e))?;
        if let Some((name, value)) = self.auth.line()? {
            headers.insert(name, value);
        }
        let trust = Trust::of(&self.policy).map_err(|e| redactor.error(e))?;
        let tokens = match &self.auth {
            Auth::OAuth(oauth) => {
                Some((Credential::shared(oauth), self.via(oauth, &redactor, &trust)?))
            }
            _ => None,
        };
        let origin = self.base.origin.to_string();
        self.budgets.extend(self.policy.requests_per_second.map(Budget::per_second));
        let limits = Limits::shared(origin, &self.auth, self.budgets, self.at_once);
        let limits = limits.lease(self.share);

        Ok(Client(Arc::new(Inner {
            base: self.base,
            policy: self.policy,
            clock: self.clock,
            metrics: self.metrics,
            redactor,
            mapping: self.mapping,
            headers,
            trust,
            http: OnceLock::new(),
            limits,
            learn: self.learn,
            tokens,
        })))
    }

    /// What tokens of `oauth` are asked for through: a client of the token service.
    fn via(&self, oauth: &OAuth, redactor: &Redactor, trust: &Trust) -> Result<Via> {
        let mut via = Via { client: None, redactor: redactor.clone() };
        if let Some(url) = oauth.token_url() {
            let insecure = self.policy.allow_insecure_http;
            let base = Base::parse("the address of the token service", url, insecure)?;
            let limits = Limits::shared(base.origin.to_string(), &Auth::None, Vec::new(), None);
            let limits = limits.lease(self.share);
            let oauth = oauth.clone();
            via.client = Some(Client(Arc::new(Inner {
                base,
                policy: self.policy.clone(),
                clock: self.clock.clone(),
                metrics: self.metrics.clone(),
                redactor: redactor.clone(),
                mapping: Box::new(move |reply| oauth.verdict(reply)),
                headers: default_headers(),
                trust: trust.clone(),
                http: OnceLock::new(),
                limits,
                learn: None,
                tokens: None,
            })));
        }

        Ok(via)
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientBuilder({})", self.base.origin)
    }
}

fn default_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let agent = concat!("lakeflow-connect/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));

    headers
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let fail = || Error::config(format!("the value of header '{name}' cannot be sent"));
    Ok((
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| fail())?,
        HeaderValue::from_bytes(value.as_bytes()).map_err(|_| fail())?,
    ))
}
