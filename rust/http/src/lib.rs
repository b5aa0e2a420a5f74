//! The HTTP kit of all connectors: one client, its retries, paginators and redaction.
//!
//! A connector describes requests and says where things are in the answers. It never loops,
//! sleeps, counts attempts or reads `Retry-After`: [`Client::send`] and [`paginate::pages`] do.
//!
//! ```
//! use lakeflow_core::{Context, ErrorKind, Page, PageStream, Records, Result};
//! use lakeflow_http::paginate::{CursorToken, Next, Parsed, pages};
//! use lakeflow_http::{Allowance, Budget, Client, ErrorReply, OAuth, Request, Verdict};
//! use lakeflow_http::{envelope, path};
//! use std::time::Duration;
//!
//! fn client(context: &Context) -> Result<Client> {
//!     let settings = &context.settings;
//!     let root = settings.text("base_url")?;
//!     let tokens = format!("{root}/oauth/token");
//!     let auth = OAuth::refresh_token(
//!         &tokens,
//!         settings.text("client_id")?,
//!         settings.secret("refresh_token")?,
//!     );
//!     Client::builder(context, root)?
//!         .auth(auth)
//!         .budget(Budget::new(100, Duration::from_secs(10)))
//!         .allowance(|h| Allowance::epoch_seconds(h, "x-rate-remaining", "x-rate-reset"))
//!         .errors(verdict)
//!         .build()
//! }
//!
//! fn verdict(reply: &ErrorReply<'_>) -> Verdict {
//!     match reply.status {
//!         410 => Verdict::new(ErrorKind::Unsupported).message("the project has no tickets"),
//!         status => Verdict::of_status(status),
//!     }
//! }
//!
//! fn tickets(client: Client, project: &str) -> Result<PageStream> {
//!     let first = Request::get(path(&["projects", project, "tickets"])?).query("limit", 100);
//!     Ok(pages(client, first, CursorToken::query("after"), |response| {
//!         let body = envelope::object(&response.body)?;
//!         let page = Page::of(Records::array(body.array("tickets")?));
//!         Ok(Parsed::from(page).next(Next::token(body.text("next")?)))
//!     }))
//! }
//! ```
#![forbid(unsafe_code)]

mod auth;
mod batch;
mod body;
mod client;
mod connect;
mod guard;
mod limits;
mod oauth;
mod options;
mod origin;
mod pace;
mod redact;
mod registry;
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
pub use limits::{Allowance, Budget, Headers};
pub use oauth::OAuth;
pub use options::OPTIONS;
pub use origin::path;
pub use reply::{ErrorReply, Verdict, Wait};
pub use request::Request;
pub use response::Response;

#[cfg(test)]
mod tests;
