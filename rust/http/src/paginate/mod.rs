//! From the first request of a list to its pages.

pub(crate) mod link;
mod link_header;
mod page_number;

pub use link_header::LinkHeader;
pub use page_number::PageNumber;

use crate::{Client, Request, Response};
use futures::stream;
use lakeflow_core::{Error, Page, PageStream, Result};
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// A list of more pages than this has lost its way.
const MAX_PAGES: usize = 1_000_000;

/// Finds the request for the next page.
///
/// Every paginator ends: on a page or address that comes again, and on one to another origin, with
/// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse).
pub trait Paginator: Send + 'static {
    /// The request after `sent`, which `response` answers; `None`: that was the last page.
    ///
    /// `next` is what the connector found in the body; it is never [`Next::End`].
    ///
    /// # Errors
    /// `BadResponse` if the list does not end.
    fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        next: &Next,
    ) -> Result<Option<Request>>;
}

impl Paginator for Box<dyn Paginator> {
    fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        next: &Next,
    ) -> Result<Option<Request>> {
        (**self).follow(sent, response, next)
    }
}

/// What a response's body says of the page after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the paginator looks elsewhere.
    #[default]
    Unsaid,
    /// No page follows.
    End,
    /// The page with this number follows.
    Number(u64),
}

/// The number of the next page, or the end.
impl From<Option<u64>> for Next {
    fn from(next: Option<u64>) -> Self {
        next.map_or(Self::End, Self::Number)
    }
}

/// What a connector makes of a response.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The page; `last` and `server_date` are filled in by [`pages`].
    pub page: Page,
    /// What the body says of the page after it.
    pub next: Next,
}

impl Parsed {
    /// Says which page follows: a [`Next`], or the number of the next page and `None` at the end.
    pub fn next(mut self, next: impl Into<Next>) -> Self {
        self.next = next.into();
        self
    }
}

impl From<Page> for Parsed {
    fn from(page: Page) -> Self {
        Self { page, next: Next::Unsaid }
    }
}

/// The pages of a list: sends `first`, then what `paginator` finds, each when it is polled for.
///
/// `parse` turns a response into a page; an error of it with
/// [`Retry::Backoff`](lakeflow_core::Retry::Backoff) has the request repeated. A page is `last` if
/// the paginator knows so. After an error the stream has ended. Errors name the request.
pub fn pages(
    client: Client,
    first: Request,
    paginator: impl Paginator,
    parse: impl FnMut(&Response) -> Result<Parsed> + Send + 'static,
) -> PageStream {
    let start = Some(Walk { client, request: first, paginator, parse });
    PageStream::new(stream::try_unfold(start, |walk| async {
        match walk {
            Some(walk) => walk.step().await.map(Some),
            None => Ok(None),
        }
    }))
}

struct Walk<P, F> {
    client: Client,
    request: Request,
    paginator: P,
    parse: F,
}

impl<P, F> Walk<P, F>
where
    P: Paginator,
    F: FnMut(&Response) -> Result<Parsed> + Send,
{
    /// The next page, and the walk from there on if it goes on.
    async fn step(mut self) -> Result<(Page, Option<Self>)> {
        let parse = &mut self.parse;
        let sent = self
            .client
            .send_with(self.request.clone(), |response| Ok((parse(&response)?, response)));
        let (Parsed { mut page, next }, response) = sent.await?;
        page.server_date = page.server_date.or(response.date);
        let following = match next {
            Next::End => None,
            next => self
                .paginator
                .follow(&self.request, &response, &next)
                .map_err(|e| response.about.finish(e))?,
        };
        page.last |= following.is_none();
        let walk = following.map(|request| Self { request, ..self });

        Ok((page, walk))
    }
}

/// The addresses a walk has come by.
#[derive(Debug, Default)]
struct Visited(HashSet<u64>);

impl Visited {
    /// Notes `address`; fails if it was noted before, or if the walk is too long.
    fn note(&mut self, address: &str, shown: impl FnOnce() -> String) -> Result<()> {
        let mut hasher = DefaultHasher::new();
        address.hash(&mut hasher);
        if !self.0.insert(hasher.finish()) {
            return Err(Error::bad_response(format!(
                "the list does not end: {} comes again",
                shown()
            )));
        }
        if self.0.len() > MAX_PAGES {
            return Err(Error::bad_response(format!("the list has more than {MAX_PAGES} pages")));
        }

        Ok(())
    }
}
