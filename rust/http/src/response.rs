//! What was answered.

use crate::origin::Origin;
use crate::paginate::link;
use crate::redact::Redactor;
use bytes::Bytes;
use lakeflow_core::{Error, Instant, Result, Retry};
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// A complete response.
#[derive(Clone)]
pub struct Response {
    /// Status code: 2xx, or one that the request accepts.
    pub status: u16,
    /// Body in one buffer, decompressed.
    pub body: Bytes,
    /// The service's clock when it answered, from the `Date` header.
    pub date: Option<Instant>,
    /// Address that answered, after redirects.
    pub url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) about: Arc<About>,
}

/// What errors about a request need.
pub(crate) struct About {
    pub(crate) request: String,
    pub(crate) origin: Origin,
    pub(crate) redactor: Redactor,
}

impl About {
    /// `error` with the request named and secrets removed, from its causes too.
    pub(crate) fn finish(&self, error: Error) -> Error {
        let cause = std::error::Error::source(&error).map(|cause| self.redactor.cause(cause));
        let error = self.redactor.error(error.context("request", self.request.as_str()));
        match cause {
            Some(cause) => error.source(cause),
            None => error,
        }
    }
}

impl Response {
    /// The first value of a header, if it is ASCII text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// The absolute address of the first link with relation `rel` in the `Link` headers.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if the headers cannot be
    /// read or the link leads to another origin.
    ///
    /// # Source
    /// RFC 8288, 3.
    pub fn link(&self, rel: &str) -> Result<Option<String>> {
        for value in self.headers.get_all("link") {
            let links = std::str::from_utf8(value.as_bytes()).ok().and_then(link::parse);
            let Some(links) = links else {
                return Err(self.bad_response("the Link header cannot be read"));
            };
            let Some(found) = links.into_iter().find(|l| l.is(rel)) else { continue };
            return self.address(&found.target, &format!("link with relation '{rel}'")).map(Some);
        }

        Ok(None)
    }

    /// The absolute address that `text` is or leads to from here; `what` names it in errors.
    pub(crate) fn address(&self, text: &str, what: &str) -> Result<String> {
        let url = self.url.join(text);
        let mut url = url.map_err(|_| self.bad_response(format!("the {what} cannot be read")))?;
        url.set_fragment(None);
        let checked = self.about.origin.check(&url, &format!("a {what}"));

        checked.map(|()| url.into()).map_err(|e| self.about.finish(e))
    }

    /// The body as JSON of a known shape.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if it has another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let retry = if error.is_data() { Retry::Never } else { Retry::Backoff };
            let error =
                Error::bad_response("the response has not the expected shape").source(error);
            self.about.finish(error.retry(retry))
        })
    }

    /// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) about this response,
    /// naming the request.
    pub fn bad_response(&self, message: impl Into<String>) -> Error {
        self.about.finish(Error::bad_response(message))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, body, about, .. } = self;
        write!(f, "Response({status}, {} bytes, {})", body.len(), about.request)
    }
}
