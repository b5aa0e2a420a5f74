//! Access tokens of OAuth 2: asked for, kept, renewed.

use crate::redact::Redactor;
use crate::registry::Registry;
use crate::reply::{ErrorReply, Verdict};
use crate::request::Request;
use crate::response::Response;
use crate::{Auth, Client};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use lakeflow_core::{Clock, Error, ErrorKind, Instant, Result, Retry, Secret};
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time;
use url::form_urlencoded::{Serializer, byte_serialize};

/// A token is renewed so long before it expires, or a tenth of its life if that is shorter.
const LEEWAY_SECONDS: u64 = 60;

/// Longest text of a token service that an error shows, in characters.
const DESCRIPTION_CHARS: usize = 200;

/// How access tokens are come by: options `access_token`, `refresh_token`, `client_id` and
/// `client_secret` of a source.
///
/// All clients of a process that have the same credential share its tokens, so that a token is
/// renewed once. A refresh token that the service replaces is never sent again.
///
/// # Source
/// RFC 6749: 4.4 client credentials, 6 refresh token, 5 answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    token_url: String,
    grant: Grant,
    client_id: String,
    client_secret: Option<Secret>,
    basic: bool,
    parameters: Vec<(&'static str, String)>,
    access_token: Option<Secret>,
    prefix: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Grant {
    None,
    ClientCredentials,
    RefreshToken(Secret),
}

impl OAuth {
    /// The service gives tokens to the client itself.
    pub fn client_credentials(token_url: &str, client_id: &str, client_secret: Secret) -> Self {
        Self {
            grant: Grant::ClientCredentials,
            client_secret: Some(client_secret),
            ..Self::of(token_url, client_id)
        }
    }

    /// The service gives tokens for a refresh token, which it may replace each time.
    pub fn refresh_token(token_url: &str, client_id: &str, refresh_token: Secret) -> Self {
        Self { grant: Grant::RefreshToken(refresh_token), ..Self::of(token_url, client_id) }
    }

    /// An access token that nothing is known to renew by: it is used until it is rejected.
    pub fn access_token(token: Secret) -> Self {
        Self { access_token: Some(token), ..Self::of("", "") }
    }

    fn of(token_url: &str, client_id: &str) -> Self {
        Self {
            token_url: token_url.to_owned(),
            grant: Grant::None,
            client_id: client_id.to_owned(),
            client_secret: None,
            basic: false,
            parameters: Vec::new(),
            access_token: None,
            prefix: "Bearer ",
        }
    }

    /// The secret of the client that the refresh token was issued to.
    pub fn client_secret(mut self, secret: Secret) -> Self {
        self.client_secret = Some(secret);
        self
    }

    /// Client id and secret go into an `Authorization: Basic` header and not into the body.
    pub fn basic(mut self) -> Self {
        self.basic = true;
        self
    }

    /// A further parameter of the token request, such as `scope`.
    pub fn parameter(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }

    /// Begins with this access token, if there is one, and renews it when it is rejected.
    pub fn starting_with(mut self, access_token: Option<Secret>) -> Self {
        self.access_token = access_token;
        self
    }

    /// What stands before the token in the `Authorization` header, in place of `Bearer`.
    pub fn prefix(mut self, prefix: &'static str) -> Self {
        self.prefix = prefix;
        self
    }

    /// Where tokens are asked for; `None` if they cannot be.
    pub(crate) fn token_url(&self) -> Option<&str> {
        Some(self.token_url.as_str()).filter(|_| self.grant != Grant::None)
    }

    /// What stays the same for as long as the credential does.
    pub(crate) fn identity(&self) -> Self {
        match self.grant {
            Grant::None => self.clone(),
            _ => Self { access_token: None, ..self.clone() },
        }
    }

    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let refresh = match &self.grant {
            Grant::RefreshToken(token) => Some(token.clone()),
            _ => None,
        };
        let basic = self.basic.then(|| self.pair());
        let own = [self.client_secret.clone(), self.access_token.clone(), refresh, basic];

        own.into_iter().flatten().collect()
    }

    /// Value of the `Authorization` header for `token`.
    pub(crate) fn header(&self, token: &Secret) -> Secret {
        Secret::new(format!("{}{}", self.prefix, token.expose()))
    }

    /// The options that a user should look at.
    fn options(&self) -> &'static str {
        match self.grant {
            Grant::None => "option 'access_token'",
            Grant::ClientCredentials => "options 'client_id' and 'client_secret'",
            Grant::RefreshToken(_) => "option 'refresh_token'",
        }
    }

    /// Id and secret of the client as one text, each encoded as RFC 6749, 2.3.1 wants.
    fn pair(&self) -> Secret {
        let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let secret = self.client_secret.as_ref().map_or("", Secret::expose);
        let pair = Secret::new(format!("{}:{}", encode(&self.client_id), encode(secret)));

        Secret::new(STANDARD.encode(pair.expose()))
    }

    /// The request for a new token.
    fn request(&self, refresh: Option<&Secret>) -> Request {
        let mut form = Serializer::new(String::new());
        match refresh {
            Some(token) => {
                form.append_pair("grant_type", "refresh_token");
                form.append_pair("refresh_token", token.expose());
            }
            None => {
                form.append_pair("grant_type", "client_credentials");
            }
        }
        if !self.basic {
            form.append_pair("client_id", &self.client_id);
            if let Some(secret) = &self.client_secret {
                form.append_pair("client_secret", secret.expose());
            }
        }
        form.extend_pairs(&self.parameters);
        let request = Request::post(self.token_url.as_str())
            .body("application/x-www-form-urlencoded", form.finish())
            .idempotent()
            .confidential();
        if self.basic {
            request.header("authorization", format!("Basic {}", self.pair().expose()))
        } else {
            request
        }
    }

    /// What an error answer of the token service means.
    pub(crate) fn verdict(&self, reply: &ErrorReply<'_>) -> Verdict {
        let answer: Option<Answer> = serde_json::from_slice(reply.body).ok();
        match answer.as_ref().and_then(|a| Some((a, a.error.as_deref()?))) {
            Some((answer, code)) if reply.status < 500 && reply.status != 429 => {
                let (kind, message) = self.refusal(code, answer.error_description.as_deref());
                Verdict::new(kind).message(message)
            }
            _ if matches!(reply.status, 400 | 401) => Verdict::new(ErrorKind::AuthFailed)
                .message(format!("the token service refused {}", self.options())),
            _ => Verdict::of_status(reply.status),
        }
    }

    /// Kind and message for an error code of the token service.
    ///
    /// # Source
    /// RFC 6749, 5.2.
    fn refusal(&self, code: &str, description: Option<&str>) -> (ErrorKind, String) {
        let client = "options 'client_id' and 'client_secret'";
        let (kind, what) = match (code, &self.grant) {
            ("invalid_grant", Grant::RefreshToken(_)) => (
                ErrorKind::AuthFailed,
                "the token service refused option 'refresh_token', which is expired, revoked or \
                 replaced: authorise again"
                    .to_owned(),
            ),
            ("invalid_client" | "unauthorized_client", _) => {
                (ErrorKind::AuthFailed, format!("the token service refused {client}"))
            }
            ("invalid_scope", _) => (
                ErrorKind::PermissionDenied,
                "the token service does not grant the scope that is asked for".to_owned(),
            ),
            ("temporarily_unavailable" | "server_error", _) => {
                (ErrorKind::SourceUnavailable, "the token service is not available".to_owned())
            }
            _ => (ErrorKind::AuthFailed, format!("the token service refused {}", self.options())),
        };
        let shown = description.map(|d| format!("{code}: {d}"));
        let shown: String =
            shown.as_deref().unwrap_or(code).chars().take(DESCRIPTION_CHARS).collect();

        (kind, format!("{what} ({})", shown.replace(char::is_control, " ")))
    }

    /// The token in an answer with status 200; nothing of the answer goes into an error.
    fn read(&self, response: &Response) -> Result<Answer> {
        let answer: Answer = serde_json::from_slice(&response.body)
            .map_err(|_| Error::bad_response("the answer of the token service cannot be read"))?;
        match (&answer.access_token, &answer.error) {
            (Some(token), _) if !token.is_empty() => Ok(answer),
            // Some services answer so with status 200.
            (_, Some(code)) => {
                let (kind, message) = self.refusal(code, answer.error_description.as_deref());
                Err(Error::new(kind, message))
            }
            _ => Err(Error::bad_response("the answer of the token service has no access token")),
        }
    }
}

impl From<OAuth> for Auth {
    fn from(oauth: OAuth) -> Self {
        Self::OAuth(Box::new(oauth))
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<Value>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Answer {
    /// Seconds that the token lives; some services write them as text.
    fn life(&self) -> Option<u64> {
        let life = self.expires_in.as_ref()?;
        life.as_f64().or_else(|| life.as_str()?.parse().ok()).map(|seconds| seconds as u64)
    }
}

/// An access token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    /// Which of the credential's tokens it is.
    pub(crate) number: u64,
    renew_at: Option<Instant>,
}

/// The tokens of one credential.
pub(crate) struct Credential {
    pub(crate) oauth: OAuth,
    state: Mutex<State>,
    /// Whoever renews holds it.
    turn: tokio::sync::Mutex<()>,
}

struct State {
    refresh_token: Option<Secret>,
    token: Option<Token>,
    /// The access token that was given last, in an option.
    given: Option<Secret>,
    failed: Option<(time::Instant, ErrorKind, Retry, String)>,
    count: u64,
}

static CREDENTIALS: Registry<OAuth, Credential> = Registry::new();

impl Credential {
    /// The process's one for `oauth`.
    pub(crate) fn shared(oauth: &OAuth) -> Arc<Self> {
        let identity = oauth.identity();
        let credential = CREDENTIALS.get(identity.clone(), || Self {
            state: Mutex::new(State {
                refresh_token: match &identity.grant {
                    Grant::RefreshToken(token) => Some(token.clone()),
                    _ => None,
                },
                token: None,
                given: None,
                failed: None,
                count: 0,
            }),
            oauth: identity,
            turn: tokio::sync::Mutex::new(()),
        });
        if let Some(given) = &oauth.access_token {
            credential.state().give(given);
        }

        credential
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that is still good by `clock`; asked for through `client` if there is none.
    pub(crate) async fn token(self: &Arc<Self>, via: &Via, clock: &dyn Clock) -> Result<Token> {
        let now = clock.now();
        let token = self.state().token.clone();
        match token {
            Some(token) if token.renew_at.is_none_or(|at| now < at) => Ok(token),
            stale => self.renewed(via, stale.map(|t| t.number)).await,
        }
    }

    /// A token other than number `stale`.
    ///
    /// Requests that ask for it at the same time get the outcome of one renewal.
    pub(crate) async fn renewed(self: &Arc<Self>, via: &Via, stale: Option<u64>) -> Result<Token> {
        let Some(client) = via.client.clone() else {
            return Err(Error::new(
                ErrorKind::AuthFailed,
                "the service rejected option 'access_token', and no option is given to renew it \
                 by: give a new one",
            ));
        };
        let (this, redactor) = (self.clone(), via.redactor.clone());
        let asked = time::Instant::now();
        // A task of its own: if the reader went away in between, the service would have replaced
        // the refresh token and nobody would know the new one.
        let task = tokio::spawn(async move {
            let _turn = this.turn.lock().await;
            if let Some(outcome) = this.state().settled(stale, asked) {
                return outcome;
            }
            this.renew(&client, &redactor).await
        });

        task.await.map_err(|_| Error::internal("the renewal of a token broke off"))?
    }

    /// Boxed, as it sends a request, which may renew a token.
    fn renew<'a>(
        &'a self,
        client: &'a Client,
        redactor: &'a Redactor,
    ) -> BoxFuture<'a, Result<Token>> {
        Box::pin(self.ask(client, redactor))
    }

    async fn ask(&self, client: &Client, redactor: &Redactor) -> Result<Token> {
        let refresh = self.state().refresh_token.clone();
        let request = self.oauth.request(refresh.as_ref());
        let answer = client.send_with(request, |response| self.oauth.read(&response)).await;
        match answer {
            Ok(answer) => {
                let now = client.clock().now();
                let token = self.state().take(&answer, now);
                for secret in [Some(token.secret.clone()), answer.refresh_token.map(Secret::new)] {
                    secret.into_iter().for_each(|s| redactor.learn(&s));
                }
                Ok(token)
            }
            Err(error) => {
                let failed = time::Instant::now();
                let (kind, retry) = (error.kind(), error.retry_class());
                self.state().failed = Some((failed, kind, retry, error.message().to_owned()));
                Err(error)
            }
        }
    }

    /// The error after a token that was just renewed has been rejected too.
    pub(crate) fn still_rejected(&self, error: Error) -> Error {
        let message = format!(
            "the service rejects an access token that was just renewed: check {} and its rights",
            self.oauth.options()
        );
        let pairs = error.context_pairs().iter();
        let renamed = pairs.fold(Error::new(error.kind(), message), |e, (k, v)| e.context(k, v));

        renamed.source(error)
    }
}

impl State {
    /// Takes an access token from an option, once: it may be older than what was renewed since.
    fn give(&mut self, given: &Secret) {
        if self.given.as_ref() != Some(given) {
            self.given = Some(given.clone());
            self.count += 1;
            let (secret, number) = (given.clone(), self.count);
            self.token = Some(Token { secret, number, renew_at: None });
        }
    }

    /// The outcome of a renewal that another request made since `asked`.
    fn settled(&self, stale: Option<u64>, asked: time::Instant) -> Option<Result<Token>> {
        match (&self.failed, &self.token) {
            (Some((at, kind, retry, message)), _) if *at >= asked => {
                Some(Err(Error::new(*kind, message.as_str()).retry(*retry)))
            }
            (_, Some(token)) if Some(token.number) != stale => Some(Ok(token.clone())),
            _ => None,
        }
    }

    fn take(&mut self, answer: &Answer, now: Instant) -> Token {
        if let Some(refresh) = answer.refresh_token.as_ref().filter(|t| !t.is_empty()) {
            self.refresh_token = Some(Secret::new(refresh.as_str()));
        }
        self.count += 1;
        let renew_at = answer.life().map(|life| {
            let life = life - LEEWAY_SECONDS.min(life / 10);
            now.plus_nanos(i128::from(life) * 1_000_000_000)
        });
        let secret = Secret::new(answer.access_token.as_deref().unwrap_or_default());
        let token = Token { secret, number: self.count, renew_at };
        self.failed = None;
        self.token = Some(token.clone());

        token
    }
}

/// What a client asks for tokens through.
#[derive(Clone)]
pub(crate) struct Via {
    /// A client of the token service; `None` if tokens cannot be renewed.
    pub(crate) client: Option<Client>,
    /// Learns new tokens.
    pub(crate) redactor: Redactor,
}
