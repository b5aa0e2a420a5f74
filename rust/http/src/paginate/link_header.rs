//! The next page is a link in the response's header.

use super::{Next, Paginator, Visited};
use crate::{Request, Response};
use lakeflow_core::Result;
use url::Url;

/// Follows the `Link` header's `rel="next"` until there is none; the link is taken as it is, with
/// the first request's headers and without its query.
#[derive(Debug, Default)]
pub struct LinkHeader(Visited);

impl LinkHeader {
    /// Starts with the first request.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Paginator for LinkHeader {
    fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        _next: &Next,
    ) -> Result<Option<Request>> {
        let Some(address) = response.link("next")? else { return Ok(None) };
        let shown = |address: &str| {
            Url::parse(address).map_or_else(
                |_| "a link".to_owned(),
                |url| response.about.redactor.describe(sent.method.as_str(), &url),
            )
        };
        if self.0.0.is_empty() {
            self.0.note(response.url.as_str(), || shown(response.url.as_str()))?;
        }
        self.0.note(&address, || shown(&address))?;

        Ok(Some(sent.with_address(&address)))
    }
}
