//! Who may ask: required headers, keys, pairs and tokens.

use crate::answer::{Answer, Request, header_text, of_reply};
use crate::fault::fits;
use crate::spec::{Scheme, SourceSpec};
use crate::value::Value;
use crate::world::SourceState;
use base64::Engine as _;
use lakeflow_core::Instant;

/// The answer to a request that is refused before any route is looked for.
pub(crate) fn refused(state: &mut SourceState, request: &Request, now: Instant) -> Option<Answer> {
    let spec = state.spec.clone();
    let none = |_: &str| Value::Null;
    if let Some(max) = &spec.max_url
        && request.path.len() + 1 + request.raw_query.len() > max.bytes
    {
        return Some(of_reply(&max.refused, &none));
    }
    for (header, reply) in spec.required_headers.iter() {
        if header_text(request, header).is_none_or(|text| text.trim().is_empty()) {
            return Some(of_reply(reply, &none));
        }
    }
    let issued = bearer(request).zip(state.oauth.as_ref());
    if !issued.is_some_and(|(token, oauth)| oauth.accepts(token, now)) {
        let Some(given) = credential(&spec, request) else {
            return Some(of_reply(&spec.auth.missing, &none));
        };
        let anyone = state.credentials.is_empty() && state.oauth.is_none();
        if given.trim().is_empty() || !(anyone || state.credentials.contains(&given)) {
            return Some(of_reply(&spec.auth.rejected, &none));
        }
    }

    state.rates.admit(&request.path, now)
}

/// The token after the word `Bearer`.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = header_text(request, "authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The key, token or password of the request; a user name of another form makes a pair blank.
fn credential(spec: &SourceSpec, request: &Request) -> Option<String> {
    if spec.auth.scheme == Scheme::Header {
        return header_text(request, &spec.auth.header).map(|key| key.trim().to_owned());
    }
    let header = header_text(request, "authorization")?;
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    if spec.auth.scheme == Scheme::Token {
        let known = spec.auth.prefixes.iter().any(|p| p.eq_ignore_ascii_case(scheme));
        return known.then(|| rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let (user, password) = basic_pair(rest)?;
    // A star stands for at least one character, which it takes itself in the pattern.
    let named = !user.trim().is_empty() && user.len() >= spec.auth.user.len();
    Some(if named && fits(&spec.auth.user, &user) { password } else { String::new() })
}

/// User name and password of HTTP Basic (RFC 7617).
pub(crate) fn basic_pair(encoded: &str) -> Option<(String, String)> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
