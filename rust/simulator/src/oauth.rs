//! An OAuth 2.0 token endpoint (RFC 6749) that any source can be given.

use crate::answer::{Answer, Request, header_text, of_json};
use crate::auth::basic_pair;
use crate::value::Mix;
use bytes::Bytes;
use lakeflow_core::Instant;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// Where the token endpoint of a source lies, below its base URL.
pub(crate) const TOKEN_PATH: &str = "/oauth/token";

/// What the token endpoint of a source knows and gives.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// The client that may ask for tokens.
    pub client_id: String,
    /// Its secret, sent in the body or as HTTP Basic.
    pub client_secret: String,
    /// The refresh token to begin with. Each use replaces it; a second use of an old one revokes
    /// every token that came from it.
    pub refresh_token: String,
    /// Life of an access token by the simulator's clock, in seconds.
    pub expires_in: i64,
}

impl Default for OAuth {
    fn default() -> Self {
        Self {
            client_id: "client-1".to_owned(),
            client_secret: "client-secret-1".to_owned(),
            refresh_token: "refresh-token-1".to_owned(),
            expires_in: 3_600,
        }
    }
}

/// The tokens that are out.
pub(crate) struct TokenServer {
    config: OAuth,
    /// Tokens that came from one grant live and die together.
    families: Vec<Family>,
    mix: Mix,
}

#[derive(Default)]
struct Family {
    refresh: Option<String>,
    used: BTreeSet<String>,
    access: BTreeMap<String, Instant>,
}

impl TokenServer {
    pub(crate) fn new(config: OAuth, seed: u64) -> Self {
        let first = Family { refresh: Some(config.refresh_token.clone()), ..Family::default() };
        Self { config, families: vec![first], mix: Mix::new(&[seed, 0x006f_6175_7468]) }
    }

    /// Whether this access token is out and has not expired.
    pub(crate) fn accepts(&self, token: &str, now: Instant) -> bool {
        self.families.iter().any(|family| family.access.get(token).is_some_and(|end| now < *end))
    }

    /// Lets every access token expire.
    pub(crate) fn expire(&mut self, now: Instant) {
        for end in self.families.iter_mut().flat_map(|family| family.access.values_mut()) {
            *end = now.min(*end);
        }
    }

    /// Answers a request to the token endpoint: a form or a JSON object.
    pub(crate) fn answer(&mut self, request: &Request, now: Instant) -> Answer {
        let fields = fields(&request.body);
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let header = header_text(request, "authorization").and_then(|text| text.split_once(' '));
        let (id, secret) = header
            .and_then(|(_, pair)| basic_pair(pair))
            .unwrap_or_else(|| (field("client_id").to_owned(), field("client_secret").to_owned()));
        if (id.as_str(), secret.as_str()) != (&self.config.client_id, &self.config.client_secret) {
            return failure(401, "invalid_client", "unknown client or wrong secret");
        }
        match field("grant_type") {
            "client_credentials" => {
                self.families.push(Family::default());
                let last = self.families.len() - 1;
                self.issue(last, now)
            }
            "refresh_token" => self.refresh(field("refresh_token"), now),
            _ => failure(400, "unsupported_grant_type", "this grant type is not supported"),
        }
    }

    fn refresh(&mut self, given: &str, now: Instant) -> Answer {
        for (at, family) in self.families.iter_mut().enumerate() {
            if family.used.contains(given) {
                *family = Family { used: std::mem::take(&mut family.used), ..Family::default() };
                return failure(400, "invalid_grant", "a refresh token was used twice");
            }
            if family.refresh.as_deref() == Some(given) {
                let token = format!("refresh-{:016x}", self.mix.next());
                family.used.insert(given.to_owned());
                family.refresh = Some(token);
                return self.issue(at, now);
            }
        }

        failure(400, "invalid_grant", "the refresh token is unknown or revoked")
    }

    fn issue(&mut self, at: usize, now: Instant) -> Answer {
        let token = format!("access-{:016x}", self.mix.next());
        let expires_in = self.config.expires_in;
        let mut body = json!({
            "access_token": token, "token_type": "bearer", "expires_in": expires_in,
        });
        if let Some(family) = self.families.get_mut(at) {
            let end = now.plus_nanos(i128::from(expires_in) * 1_000_000_000);
            family.access.insert(token, end);
            if let Some(refresh) = &family.refresh {
                body["refresh_token"] = Json::from(refresh.as_str());
            }
        }
        let mut answer = of_json(200, body.to_string().into());
        answer.headers.push(("cache-control".to_owned(), "no-store".to_owned()));

        answer
    }
}

fn fields(body: &Bytes) -> BTreeMap<String, String> {
    match serde_json::from_slice::<BTreeMap<String, String>>(body) {
        Ok(fields) => fields,
        Err(_) => url::form_urlencoded::parse(body).into_owned().collect(),
    }
}

fn failure(status: u16, error: &str, description: &str) -> Answer {
    of_json(status, json!({ "error": error, "error_description": description }).to_string().into())
}
