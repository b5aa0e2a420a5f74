//! What to ask for.

use bytes::Bytes;
use lakeflow_core::{Error, Result};
use reqwest::Method;
use serde_json::{Map, Value};
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
    pub(crate) expects_json: bool,
    /// Nothing of the answer may be shown.
    pub(crate) confidential: bool,
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
            expects_json: true,
            confidential: false,
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

    /// Sets `value` as the body, in JSON. A search by POST is also [`idempotent`](Self::idempotent).
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// Sending it twice does no harm: it may be repeated.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The answer need not be JSON; without this an HTML page in its place is an error.
    pub fn any_format(mut self) -> Self {
        self.expects_json = false;
        self
    }

    /// The answer holds secrets: errors show nothing of it.
    pub fn confidential(mut self) -> Self {
        self.confidential = true;
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

    /// A field of the JSON object that the body is.
    ///
    /// # Errors
    /// `Internal` if the body is something else.
    pub(crate) fn field(&self, name: &str) -> Result<Option<Value>> {
        Ok(self.object()?.remove(name))
    }

    /// The same request with another value of a field of the JSON object that the body is.
    ///
    /// # Errors
    /// `Internal` if the body is something else.
    pub(crate) fn with_field(&self, name: &str, value: Value) -> Result<Self> {
        let mut object = self.object()?;
        object.insert(name.to_owned(), value);
        let mut request = self.clone();
        request.body = Some(Value::Object(object).to_string().into());

        Ok(request)
    }

    fn object(&self) -> Result<Map<String, Value>> {
        let body = self.body.as_deref().unwrap_or_default();
        serde_json::from_slice(body)
            .map_err(|_| Error::internal("the body of the request is no JSON object"))
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
    use serde_json::json;

    #[test]
    fn debug_shows_no_values() {
        let request = Request::get("https://canary@h/x?y=canary")
            .query("page", "canary")
            .header("x-key", "canary");
        assert_eq!(format!("{request:?}"), "Request(GET [\"page\"])");
    }

    #[test]
    fn field_of_the_body_is_replaced_and_others_stay() {
        let request = Request::post("x").json(&json!({"limit": 2, "after": "a"}));
        let next = request.with_field("after", "b".into()).unwrap();
        assert_eq!(next, Request::post("x").json(&json!({"limit": 2, "after": "b"})));
        assert_eq!(next.field("after").unwrap(), Some("b".into()));
        assert_eq!(next.field("none").unwrap(), None);

        for other in [Request::get("x"), Request::post("x").json(&json!([1]))] {
            let message = other.field("after").unwrap_err().to_string();
            assert_eq!(message, "the body of the request is no JSON object");
        }
    }

    #[test]
    fn parameter_is_replaced_and_others_stay() {
        let request = Request::get("x").query("a", 1).query("page", 1).with_parameter("page", 2);
        assert_eq!(request, Request::get("x").query("a", 1).query("page", 2));
    }
}
