//! Secrets in traffic: found by the names they stand under, removed by name and by value.

use crate::auth::basic_pair;
use crate::fields::Fields;
use crate::shape::list_json;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use lakeflow_core::{Error, Result};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "REDACTED";

/// Shorter values occur in ordinary text: they cannot be removed by value.
const MIN_LENGTH: usize = 6;

/// Names, in lower case and without separators, of what is secret.
const NAMES: &[&str] =
    &["authorization", "cookie", "setcookie", "proxyauthorization", "token", "assertion", "passwd"];
const ENDINGS: &[&str] = &[
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "apitoken",
    "apikey",
    "secret",
    "password",
    "privatekey",
    "sessionid",
    "sessiontoken",
];

/// Whether values under this name are secret. Page tokens are not: a recording needs them.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    NAMES.contains(&plain.as_str()) || ENDINGS.iter().any(|ending| plain.ends_with(ending))
}

/// The secret values seen so far.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Remembers a value that must not be stored.
    ///
    /// # Errors
    /// `ConfigInvalid` if it is too short to be told from ordinary text.
    pub(crate) fn learn(&mut self, value: &str) -> Result<()> {
        let value = value.trim();
        if value.is_empty() || value == REDACTED {
            return Ok(());
        }
        if value.len() < MIN_LENGTH {
            return Err(Error::config(format!(
                "a credential has {} characters; record with one of {MIN_LENGTH} or more, \
                 shorter ones cannot be told from ordinary text",
                value.len()
            )));
        }
        self.0.insert(value.to_owned());

        Ok(())
    }

    /// Learns from a header.
    ///
    /// # Errors
    /// As [`learn`](Self::learn).
    pub(crate) fn learn_header(&mut self, name: &str, value: &str) -> Result<()> {
        if !is_secret_name(name) {
            return Ok(());
        }
        if name.to_ascii_lowercase().contains("cookie") {
            let pairs = value.split(';').filter_map(|pair| pair.split_once('='));
            // Attributes of a cookie, such as its path, are short and known.
            return pairs
                .map(|(_, value)| value.trim())
                .filter(|value| value.len() >= MIN_LENGTH && !value.contains(' '))
                .try_for_each(|value| self.learn(value));
        }
        let Some((_, rest)) = value.split_once(' ') else { return self.learn(value) };
        if let Some((_, password)) = basic_pair(rest) {
            self.learn(&password)?;
        }
        self.learn(rest)
    }

    /// Learns from a query or form.
    ///
    /// # Errors
    /// As [`learn`](Self::learn).
    pub(crate) fn learn_pairs(&mut self, encoded: &[u8]) -> Result<()> {
        url::form_urlencoded::parse(encoded)
            .filter(|(name, _)| is_secret_name(name))
            .try_for_each(|(_, value)| self.learn(&value))
    }

    /// Learns from a body: JSON, or else a form.
    ///
    /// # Errors
    /// As [`learn`](Self::learn).
    pub(crate) fn learn_body(&mut self, body: &[u8]) -> Result<()> {
        match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(json) => self.learn_json(&json),
            Err(_) => self.learn_pairs(body),
        }
    }

    fn learn_json(&mut self, json: &serde_json::Value) -> Result<()> {
        match json {
            serde_json::Value::Object(fields) => {
                fields.iter().try_for_each(|(name, value)| match value.as_str() {
                    Some(text) if is_secret_name(name) => self.learn(text),
                    _ => self.learn_json(value),
                })
            }
            serde_json::Value::Array(items) => {
                items.iter().try_for_each(|item| self.learn_json(item))
            }
            _ => Ok(()),
        }
    }

    /// The text without the secrets, however they are written in it.
    pub(crate) fn remove(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            for written in [secret.clone(), in_json(secret), in_url(secret)] {
                text = text.replace(&written, REDACTED);
            }
        }

        text
    }

    /// # Errors
    /// `DataInvalid` if a secret is still there, even inside Base64.
    pub(crate) fn check(&self, text: &str) -> Result<()> {
        let remains = |secret: &String| {
            [secret.clone(), in_json(secret), in_url(secret)]
                .into_iter()
                .chain(in_base64(secret))
                .any(|written| text.contains(&written))
        };
        if self.0.iter().any(remains) {
            return Err(Error::new(
                lakeflow_core::ErrorKind::DataInvalid,
                "a secret remains in the exchange in another spelling; it was not stored",
            ));
        }

        Ok(())
    }
}

fn in_json(secret: &str) -> String {
    serde_json::Value::from(secret).to_string().trim_matches('"').to_owned()
}

fn in_url(secret: &str) -> String {
    url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()
}

/// What every Base64 text that holds the secret contains, for each place it may begin at.
fn in_base64(secret: &str) -> Vec<String> {
    let mut written = Vec::new();
    for shift in 0..3 {
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(secret.as_bytes());
        bytes.truncate(bytes.len() / 3 * 3);
        for engine in [&STANDARD, &URL_SAFE] {
            let text = engine.encode(&bytes);
            // The first four characters depend on what stands before.
            let stable = text.get(if shift == 0 { 0 } else { 4 }..).unwrap_or_default();
            if stable.len() >= 8 {
                written.push(stable.to_owned());
            }
        }
    }

    written
}

/// JSON whose secret fields are replaced, everything else as it was.
pub(crate) fn redact_json(json: &[u8]) -> Bytes {
    if let Ok(items) = serde_json::from_slice::<Vec<Box<RawValue>>>(json) {
        let items: Vec<Bytes> =
            items.iter().map(|item| redact_json(item.get().as_bytes())).collect();
        return list_json(&items);
    }
    let Some(fields) = Fields::parse(json) else { return Bytes::copy_from_slice(json) };
    let mut shown = Fields::default();
    for (name, value) in fields.iter() {
        if is_secret_name(name) && value.starts_with(b"\"") {
            shown.set(name, format!("\"{REDACTED}\""));
        } else {
            shown.set(name, redact_json(value));
        }
    }

    shown.render()
}

/// A query or form whose secret values are replaced; without any, as it was.
pub(crate) fn redact_pairs(encoded: &str) -> String {
    let pairs = || url::form_urlencoded::parse(encoded.as_bytes());
    if !pairs().any(|(name, _)| is_secret_name(&name)) {
        return encoded.to_owned();
    }
    let mut shown = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs() {
        shown.append_pair(&name, if is_secret_name(&name) { REDACTED } else { &value });
    }

    shown.finish()
}

/// A body as it is stored: secret fields of JSON or of a form replaced.
pub(crate) fn redact_body(body: &[u8]) -> String {
    if serde_json::from_slice::<&RawValue>(body).is_ok() {
        return String::from_utf8_lossy(&redact_json(body)).into_owned();
    }

    redact_pairs(&String::from_utf8_lossy(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_name_and_page_tokens_are_not() {
        for name in [
            "Authorization",
            "access_token",
            "X-Shop-Access-Token",
            "clientSecret",
            "X-API-Key",
            "Set-Cookie",
            "token",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["next_page_token", "after_cursor", "page_info", "key", "authority", "etag"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn fields_are_replaced_and_the_rest_is_untouched() {
        let cases = [
            (
                r#"{"z":1.50,"access_token":"a","a":[{"password":"p","x":null}]}"#,
                r#"{"z":1.50,"access_token":"REDACTED","a":[{"password":"REDACTED","x":null}]}"#,
            ),
            (
                "grant_type=refresh_token&refresh_token=r%2F1",
                "grant_type=refresh_token&refresh_token=REDACTED",
            ),
            ("page=2&b=%20", "page=2&b=%20"),
            ("<html>", "<html>"),
            ("12", "12"),
        ];
        for (body, expected) in cases {
            assert_eq!(redact_body(body.as_bytes()), expected);
        }
    }

    #[test]
    fn values_are_removed_in_every_spelling_or_the_text_is_refused() {
        let mut secrets = Secrets::default();
        secrets
            .learn_header(
                "authorization",
                &format!("Basic {}", STANDARD.encode("me@x.example/token:s3cr\"et/1")),
            )
            .unwrap();
        secrets.learn_header("set-cookie", "session=abcdef123; Path=/; HttpOnly").unwrap();
        let text = r#"a s3cr"et/1 b s3cr\"et/1 c s3cr%22et%2F1 d abcdef123 e"#;
        let removed = secrets.remove(text);
        assert_eq!(removed, "a REDACTED b REDACTED c REDACTED d REDACTED e");
        secrets.check(&removed).unwrap();
        for hidden in ["s3cr\"et/1", "x:s3cr\"et/1", "xy:s3cr\"et/1"] {
            let error = secrets.check(&STANDARD.encode(hidden)).unwrap_err();
            assert_eq!(error.kind(), lakeflow_core::ErrorKind::DataInvalid, "{hidden}");
        }
        assert_eq!(
            secrets.learn("ab").unwrap_err().kind(),
            lakeflow_core::ErrorKind::ConfigInvalid
        );
    }
}
