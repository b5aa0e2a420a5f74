//! What to ask for.

use bytes::Bytes;
use reqwest::Method;
use std::fmt::{self, Display};

/// One request; [`Client::send`](crate::Client::send) adds credentials and default headers.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) idempotent: bool,
    pub(crate) json: bool,
    pub(crate) accepted: Vec<u16>,
}

impl Request {
    /// A GET of `target`: a path below the client's root (with or without a leading slash, build
    /// it with [`path`](crate::path()) from values that users give) or an absolute address of the
    /// same origin.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target.into(), true)
    }

    /// A POST to `target`; it is not repeated unless [`idempotent`](Self::idempotent) says so.
    pub fn post(target: impl Into<String>) -> Self {
        Self::new(Method::POST, target.into(), false)
    }

    fn new(method: Method, target: String, idempotent: bool) -> Self {
        Self {
            method,
            target,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            idempotent,
            json: true,
            accepted: Vec::new(),
        }
    }

    /// Adds a query parameter after those that `target` has; name and value are percent-encoded.
    pub fn query(mut self, name: impl AsRef<str>, value: impl Display) -> Self {
        self.query.push((name.as_ref().to_owned(), value.to_string()));
        self
    }

    /// Sets a header, in place of a default one of the client.
    pub fn header(mut self, name: &'static str, value: impl Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Sets the body and its media type.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", content_type)
    }

    /// Sending it twice does no harm: it may be repeated.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The answer need not be JSON; without this an HTML page in its place is an error.
    pub fn any_format(mut self) -> Self {
        self.json = false;
        self
    }

    /// A response with this status is an answer and no error.
    pub fn accept(mut self, status: u16) -> Self {
        self.accepted.push(status);
        self
    }

    /// The value of a parameter that was set with [`query`](Self::query).
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The same request with parameter `name` set to `value`.
    pub(crate) fn with_parameter(&self, name: &str, value: impl Display) -> Self {
        let mut request = self.clone();
        request.query.retain(|(n, _)| n != name);
        request.query(name, value)
    }

    /// The same request with another address, which has its own query.
    pub(crate) fn with_address(&self, address: &str) -> Self {
        let mut request = self.clone();
        request.query.clear();
        address.clone_into(&mut request.target);
        request
    }
}

/// Method and names of parameters: a request does not know which of its values are secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.query.iter().map(|(name, _)| name).collect();
        write!(f, "Request({} {names:?})", self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_values() {
        let request = Request::get("https://canary@h/x?y=canary")
            .query("page", "canary")
            .header("x-key", "canary");
        assert_eq!(format!("{request:?}"), "Request(GET [\"page\"])");
    }

    #[test]
    fn parameter_is_replaced_and_others_stay() {
        let request = Request::get("x").query("a", 1).query("page", 1).with_parameter("page", 2);
        assert_eq!(request, Request::get("x").query("a", 1).query("page", 2));
    }
}
