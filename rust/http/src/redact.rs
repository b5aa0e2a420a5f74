//! Secrets are removed from every text that leaves the kit, by value.

use crate::origin::percent_encode;
use lakeflow_core::{Error, Secret};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use url::Url;
use url::form_urlencoded::byte_serialize;

/// What stands in place of a secret.
const MASK: &str = "***";

/// Shorter values are no secrets, and removing them would garble every text.
const MIN_SECRET_CHARS: usize = 4;

/// Longest excerpt of a response body in an error, in bytes.
const EXCERPT_BYTES: usize = 2048;

/// How much of a body is looked at to make an excerpt, in bytes.
const LOOK_BYTES: usize = 16 * 1024;

/// Longest description of a request, in bytes.
const REQUEST_BYTES: usize = 500;

/// Secrets that are learned beyond this push out the oldest learned ones.
const MOST_LEARNED: usize = 400;

/// Knows the secrets of one client; clones share what it learns.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Arc<RwLock<Needles>>);

#[derive(Default)]
struct Needles {
    /// Each secret in every spelling in which it may come back; given ones, then learned ones.
    texts: Vec<Secret>,
    given: usize,
    longest: usize,
}

impl Redactor {
    pub(crate) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut needles = Needles::default();
        for secret in secrets {
            needles.add(&secret);
        }
        needles.given = needles.texts.len();

        Self(Arc::new(RwLock::new(needles)))
    }

    /// Removes `secret` too from now on.
    pub(crate) fn learn(&self, secret: &Secret) {
        if !self.needles().texts.contains(secret) {
            self.0.write().unwrap_or_else(PoisonError::into_inner).learn(secret);
        }
    }

    fn needles(&self) -> RwLockReadGuard<'_, Needles> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// `text` with every secret replaced; overlapping ones go as a whole.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let needles = self.needles();
        let mut found: Vec<Range<usize>> =
            needles.texts.iter().flat_map(|n| occurrences(text, n.expose())).collect();
        found.sort_unstable_by_key(|r| r.start);
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for range in found {
            if range.start >= done {
                out.push_str(text.get(done..range.start).unwrap_or_default());
                out.push_str(MASK);
            }
            done = done.max(range.end);
        }
        out.push_str(text.get(done..).unwrap_or_default());

        out
    }

    /// The start of a body as one line of at most 2 KiB; a secret at the cut is not shown in part.
    pub(crate) fn excerpt(&self, body: &[u8]) -> String {
        let look = body.get(..LOOK_BYTES).unwrap_or(body);
        let mut text = self.scrub(&String::from_utf8_lossy(look));
        if look.len() < body.len() {
            let whole = text.len().saturating_sub(self.needles().longest);
            cut(&mut text, whole);
        }
        let line = text.split(|c: char| c.is_whitespace() || c.is_control());
        let mut line = line.filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
        if line.len() > EXCERPT_BYTES {
            cut(&mut line, EXCERPT_BYTES);
            line.push('…');
        }

        line
    }

    /// Method, path and query, without values of parameters that look like credentials.
    pub(crate) fn describe(&self, method: &str, url: &Url) -> String {
        let mut text = format!("{method} {}", url.path());
        let pairs = url.query().into_iter().flat_map(|q| q.split('&')).filter(|p| !p.is_empty());
        for (i, pair) in pairs.enumerate() {
            text.push(if i == 0 { '?' } else { '&' });
            match pair.split_once('=') {
                Some((name, _)) if is_sensitive(name) => text.push_str(&format!("{name}={MASK}")),
                _ => text.push_str(pair),
            }
        }
        let mut text = self.scrub(&text);
        if text.len() > REQUEST_BYTES {
            cut(&mut text, REQUEST_BYTES);
            text.push('…');
        }

        text
    }

    /// `error` with its message and context scrubbed.
    pub(crate) fn error(&self, error: Error) -> Error {
        error.map_text(|text| self.scrub(text))
    }

    /// The chain of causes below `error` as text, scrubbed.
    pub(crate) fn cause(&self, error: &(dyn std::error::Error + 'static)) -> Cause {
        let mut texts: Vec<String> = Vec::new();
        let mut next = Some(error);
        while let Some(cause) = next {
            let text = self.scrub(&cause.to_string());
            if !texts.iter().any(|t| t.contains(&text)) {
                texts.push(text);
            }
            next = cause.source();
        }

        Cause(texts.join(": "))
    }
}

impl Needles {
    fn add(&mut self, secret: &Secret) {
        for spelling in spellings(secret.expose()) {
            let long = spelling.expose().chars().count() >= MIN_SECRET_CHARS;
            if long && !self.texts.contains(&spelling) {
                self.longest = self.longest.max(spelling.expose().len());
                self.texts.push(spelling);
            }
        }
    }

    fn learn(&mut self, secret: &Secret) {
        self.add(secret);
        let too_many = self.texts.len().saturating_sub(self.given + MOST_LEARNED);
        self.texts.drain(self.given..self.given + too_many);
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// A cause of which only the scrubbed text was kept.
#[derive(Debug)]
pub(crate) struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

/// As it is, percent-encoded in two ways, and as JSON text.
fn spellings(secret: &str) -> Vec<Secret> {
    let mut encoded = String::new();
    percent_encode(&mut encoded, secret);
    let form: String = byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_matches('"').to_owned();

    [secret.to_owned(), encoded, form, json].into_iter().map(Secret::new).collect()
}

/// Every place of `needle`, overlapping ones too.
fn occurrences<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text.get(from..)?.find(needle)?;
        from = start + text.get(start..)?.chars().next().map_or(1, char::len_utf8);
        Some(start..start + needle.len())
    })
}

fn is_sensitive(parameter: &str) -> bool {
    let name = parameter.to_ascii_lowercase();
    let parts = ["token", "secret", "password", "signature", "credential", "apikey", "api_key"];
    matches!(name.as_str(), "key" | "sig" | "auth" | "code" | "access_key")
        || parts.iter().any(|part| name.contains(part))
}

fn cut(text: &mut String, bytes: usize) {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().map(|s| Secret::new(*s)))
    }

    #[test]
    fn secrets_vanish_in_every_spelling_and_overlap() {
        let cases = [
            (vec!["s3cret"], "a s3cret, s3cret!", "a ***, ***!"),
            (vec!["abcd", "cdef"], "xabcdefx", "x***x"),
            (vec!["abcd", "abcdef"], "abcdef", "***"),
            (vec!["aaaa"], "aaaaaaa", "***"),
            (vec!["a b/c+d"], "q=a%20b%2Fc%2Bd&r=a+b%2Fc%2Bd", "q=***&r=***"),
            (vec!["q\"uo\\te"], r#"{"k":"q\"uo\\te"}"#, r#"{"k":"***"}"#),
            (vec!["ab", ""], "abab", "abab"),
            (vec!["üüüü"], "xüüüüx", "x***x"),
        ];
        for (secrets, text, expected) in cases {
            assert_eq!(redactor(&secrets).scrub(text), expected, "{secrets:?}");
        }
    }

    #[test]
    fn learned_secrets_vanish_from_clones_too_and_the_oldest_give_way() {
        let redactor = redactor(&["given"]);
        let clone = redactor.clone();
        for i in 0..=MOST_LEARNED {
            redactor.learn(&Secret::new(format!("token{i:04}")));
            redactor.learn(&Secret::new(format!("token{i:04}")));
        }
        assert_eq!(clone.scrub("given token0000 token0001 token0400"), "*** token0000 *** ***");
    }

    #[test]
    fn excerpt_is_one_short_line_without_a_part_of_a_secret() {
        let secret = "canary-".repeat(100);
        let mut body = vec![b' '; LOOK_BYTES - 300];
        body.extend_from_slice(secret.as_bytes());

        assert_eq!(redactor(&[&secret]).excerpt(&body), "");
        assert_eq!(redactor(&[]).excerpt(b"a\r\n\tb\x00c\xff"), "a b c\u{fffd}");
        assert_eq!(redactor(&[]).excerpt(&[b'x'; 5000]).len(), EXCERPT_BYTES + '…'.len_utf8());
    }

    #[test]
    fn description_masks_credentials_in_the_query() {
        let url = "https://h/a/s3cret?page=2&api_key=v&nextPageToken=w&x=s3cret&y&sig=z";
        let url = Url::parse(url).unwrap();

        assert_eq!(
            redactor(&["s3cret"]).describe("GET", &url),
            "GET /a/***?page=2&api_key=***&nextPageToken=***&x=***&y&sig=***"
        );
    }
}
