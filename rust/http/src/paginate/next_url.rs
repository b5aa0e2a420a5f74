//! The next page is an address in the response's body.

use super::{Next, Paginator, Parsed, Visited, unsaid};
use crate::{Request, Response};
use lakeflow_core::Result;
use url::Url;

/// Follows the address that the body names ([`Next::url`]) until there is none; it is taken as it
/// is, with the first request's method, headers and body and without its query.
#[derive(Clone, Debug, Default)]
pub struct NextUrl(Addresses);

impl NextUrl {
    /// Starts with the first request.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Paginator for NextUrl {
    fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        found: &Parsed,
    ) -> Result<Option<Request>> {
        let address = match &found.next {
            Next::End => return Ok(None),
            Next::Url(address) => response.address(address, "next address")?,
            _ => return Err(unsaid()),
        };

        self.0.follow(sent, response, &address).map(Some)
    }
}

/// Where a walk along addresses has been.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses(Visited);

impl Addresses {
    /// The request for `address`, unless that was visited before.
    pub(super) fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        address: &str,
    ) -> Result<Request> {
        let shown = |address: &str| {
            Url::parse(address).map_or_else(
                |_| "a link".to_owned(),
                |url| response.about.redactor.describe(sent.method.as_str(), &url),
            )
        };
        if self.0.0.is_empty() {
            self.0.note(response.url.as_str(), || shown(response.url.as_str()))?;
        }
        self.0.note(address, || shown(address))?;

        Ok(sent.with_address(address))
    }
}
