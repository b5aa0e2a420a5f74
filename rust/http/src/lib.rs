//! The HTTP kit of all connectors: one client, its retries, paginators and redaction.
//!
//! A connector describes requests and says where things are in the answers. It never loops,
//! sleeps, counts attempts or reads `Retry-After`: [`Client::send`] and [`paginate::pages`] do.
//!
//! ```
//! use lakeflow_core::{Context, ErrorKind, Page, PageStream, Records, Result};
//! use lakeflow_http::paginate::{LinkHeader, Parsed, pages};
//! use lakeflow_http::{Auth, Client, ErrorReply, Request, Verdict, envelope, path};
//!
//! fn verdict(reply: &ErrorReply<'_>) -> Verdict {
//!     match reply.status {
//!         410 => Verdict::new(ErrorKind::Unsupported).message("the repository has no issues"),
//!         _ => Verdict::of_status(reply.status),
//!     }
//! }
//!
//! fn client(context: &Context) -> Result<Client> {
//!     Client::builder(context, context.settings.text("base_url")?)?
//!         .auth(Auth::Bearer(context.settings.secret("token")?))
//!         .header("accept", "application/vnd.github+json")
//!         .errors(verdict)
//!         .build()
//! }
//!
//! fn issues(client: Client, owner: &str, repo: &str) -> Result<PageStream> {
//!     let first = Request::get(path(&["repos", owner, repo, "issues"])?).query("per_page", 100);
//!     Ok(pages(client, first, LinkHeader::new(), |response| {
//!         let rows = envelope::array(&response.body)?;
//!         Ok(Parsed::from(Page::of(Records::array(rows))))
//!     }))
//! }
//! ```
#![forbid(unsafe_code)]

mod auth;
mod batch;
mod body;
mod client;
mod guard;
mod options;
mod origin;
mod redact;
mod reply;
mod request;
mod response;
mod retry;
mod transport;

pub mod envelope;
pub mod paginate;
pub mod rest;

pub use auth::Auth;
pub use batch::{Chunks, details, wide_details};
pub use body::MAX_BODY_BYTES;
pub use client::{Client, ClientBuilder};
pub use options::OPTIONS;
pub use origin::path;
pub use reply::{ErrorReply, Verdict, Wait};
pub use request::Request;
pub use response::Response;

#[cfg(test)]
mod tests;
