//! From the first request of a list to its pages.

mod ahead;
mod cursor_token;
mod keyset;
pub(crate) mod link;
mod link_header;
mod next_url;
mod offset;
mod page_number;

pub use ahead::pages_ahead;
pub use cursor_token::CursorToken;
pub use keyset::{Keyset, Search};
pub use link_header::LinkHeader;
pub use next_url::NextUrl;
pub use offset::Offset;
pub use page_number::PageNumber;

use crate::{Client, Request, Response, envelope};
use futures::stream;
use lakeflow_core::{Error, Page, PageStream, Records, Result, Rows};
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::future::ready;
use std::hash::{Hash, Hasher};

/// A list of more pages than this has lost its way.
const MAX_PAGES: usize = 1_000_000;

/// Finds the request for the next page.
///
/// Every paginator ends: on a page, token or address that comes again, and on an address of
/// another origin, with [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse).
pub trait Paginator: Send + 'static {
    /// Refuses a first request from which no end can be found.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal), saying what it lacks.
    fn check(&self, _first: &Request) -> Result<()> {
        Ok(())
    }

    /// The request after `sent`, which `response` answers; `None`: that was the last page.
    ///
    /// `found` is what the connector made of the response.
    ///
    /// # Errors
    /// `BadResponse` if the list does not end.
    fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        found: &Parsed,
    ) -> Result<Option<Request>>;

    /// The requests that will follow `sent`, in order, `most` at the most, as far as the response
    /// lets them be foreseen; the first is what [`follow`](Self::follow) returns unless the list
    /// changes.
    fn foresee(&self, _: &Request, _: &Response, _: &Parsed, _most: usize) -> Vec<Request> {
        Vec::new()
    }
}

impl<P: Paginator + ?Sized> Paginator for Box<P> {
    fn check(&self, first: &Request) -> Result<()> {
        (**self).check(first)
    }

    fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        found: &Parsed,
    ) -> Result<Option<Request>> {
        (**self).follow(sent, response, found)
    }

    fn foresee(
        &self,
        sent: &Request,
        response: &Response,
        found: &Parsed,
        most: usize,
    ) -> Vec<Request> {
        (**self).foresee(sent, response, found, most)
    }
}

/// Takes the first page for the only one.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnePage;

impl Paginator for OnePage {
    fn follow(&mut self, _: &Request, _: &Response, _: &Parsed) -> Result<Option<Request>> {
        Ok(None)
    }
}

/// What a response's body says of the page after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the paginator looks elsewhere.
    #[default]
    Unsaid,
    /// No page follows.
    End,
    /// The page with this number follows.
    Number(u64),
    /// The page that this token stands for follows.
    Token(String),
    /// The page at this address, absolute or relative, follows.
    Url(String),
    /// The list has so many rows on all its pages.
    Total(u64),
}

impl Next {
    /// The token of the next page; none, or an empty one, is the end.
    pub fn token(token: Option<String>) -> Self {
        token.filter(|t| !t.is_empty()).map_or(Self::End, Self::Token)
    }

    /// The address of the next page; none, or an empty one, is the end.
    pub fn url(url: Option<String>) -> Self {
        url.filter(|u| !u.is_empty()).map_or(Self::End, Self::Url)
    }

    /// The number of rows on all pages, if the service tells.
    pub fn total(total: Option<u64>) -> Self {
        total.map_or(Self::Unsaid, Self::Total)
    }
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
    rows: Option<u64>,
}

impl Parsed {
    /// Says which page follows: a [`Next`], or the number of the next page and `None` at the end.
    pub fn next(mut self, next: impl Into<Next>) -> Self {
        self.next = next.into();
        self
    }

    /// Says how many rows the service sent, where the page holds others.
    pub fn rows(mut self, rows: u64) -> Self {
        self.rows = Some(rows);
        self
    }

    /// How many rows the service sent: what [`rows`](Self::rows) said, or those of the page.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if the rows are no JSON.
    pub fn row_count(&self) -> Result<u64> {
        match self.rows {
            Some(rows) => Ok(rows),
            None => Ok(count(&self.page.upserts)? + count(&self.page.deletes)?),
        }
    }
}

impl From<Page> for Parsed {
    fn from(page: Page) -> Self {
        Self { page, next: Next::Unsaid, rows: None }
    }
}

fn count(records: &Records) -> Result<u64> {
    let rows = match &records.rows {
        Rows::None => 0,
        Rows::Array(array) => envelope::count(array)?,
        Rows::Each(rows) => rows.len(),
    };

    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
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
    pages_then(client, first, paginator, parse, |page| ready(Ok(page)))
}

/// As [`pages`], where each page goes through `then` before it is yielded: further requests may
/// add to its rows, as [`details`](crate::details) does.
///
/// The paginator sees what `parse` made; `then` may change rows but not where the list goes on.
pub fn pages_then<F>(
    client: Client,
    first: Request,
    paginator: impl Paginator,
    parse: impl FnMut(&Response) -> Result<Parsed> + Send + 'static,
    then: impl FnMut(Page) -> F + Send + 'static,
) -> PageStream
where
    F: Future<Output = Result<Page>> + Send + 'static,
{
    if let Err(error) = paginator.check(&first) {
        return PageStream::error(error);
    }
    let start = Some(Walk { client, request: first, paginator, parse, then });
    PageStream::new(stream::try_unfold(start, |walk| async {
        match walk {
            Some(walk) => walk.step().await.map(Some),
            None => Ok(None),
        }
    }))
}

struct Walk<P, F, T> {
    client: Client,
    request: Request,
    paginator: P,
    parse: F,
    then: T,
}

impl<P, F, T, Fut> Walk<P, F, T>
where
    P: Paginator,
    F: FnMut(&Response) -> Result<Parsed> + Send,
    T: FnMut(Page) -> Fut + Send,
    Fut: Future<Output = Result<Page>> + Send,
{
    /// The next page, and the walk from there on if it goes on.
    async fn step(mut self) -> Result<(Page, Option<Self>)> {
        let parse = &mut self.parse;
        let sent = self
            .client
            .send_with(self.request.clone(), |response| Ok((parse(&response)?, response)));
        let (found, response) = sent.await?;
        let following = self
            .paginator
            .follow(&self.request, &response, &found)
            .map_err(|e| response.about.finish(e))?;
        let mut page = found.page;
        page.server_date = page.server_date.or(response.date);
        page.last |= following.is_none();
        drop(response);
        let page = (self.then)(page).await?;
        let walk = following.map(|request| Self { request, ..self });

        Ok((page, walk))
    }
}

/// The addresses or tokens a walk has come by.
#[derive(Clone, Debug, Default)]
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

/// A token as errors show it.
fn shown(token: &str, response: &Response) -> String {
    const MOST_CHARS: usize = 80;
    // Cut last: a part of a secret would not be found.
    let token = response.about.redactor.scrub(token);
    let mut short: String = token.chars().take(MOST_CHARS).collect();
    if short.len() < token.len() {
        short.push('…');
    }

    format!("token '{short}'")
}

/// The connector did not say what its paginator needs.
fn unsaid() -> Error {
    Error::internal("the connector says nothing of the next page")
}
