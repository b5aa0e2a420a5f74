//! The next page is a link in the response's header.

use super::next_url::Addresses;
use super::{Next, Paginator, Parsed};
use crate::{Request, Response};
use lakeflow_core::Result;

/// Follows the `Link` header's `rel="next"` until there is none; the link is taken as it is, with
/// the first request's headers and without its query.
#[derive(Clone, Debug, Default)]
pub struct LinkHeader(Addresses);

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
        found: &Parsed,
    ) -> Result<Option<Request>> {
        let address = if found.next == Next::End { None } else { response.link("next")? };

        address.map(|address| self.0.follow(sent, response, &address)).transpose()
    }
}
