//! Pages that are asked for before the reader needs them.

use super::{Paginator, Parsed};
use crate::{Client, Request, Response};
use futures::stream;
use lakeflow_core::{Error, Page, PageStream, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// As [`pages`](super::pages), for lists that are read whole: up to `at_once` pages are asked for
/// before the reader needs them, and wait in memory.
///
/// The page after the one that was read is always one of them; those behind it are, where the
/// paginator [foresees](Paginator::foresee) them. That decides nothing: pages come in order, each
/// one says where the list goes on, and what was asked for in vain is dropped. So rows are those of
/// a walk page by page, an error hides no page before it, and a list that grows or shrinks
/// meanwhile ends where it says.
pub fn pages_ahead(
    client: Client,
    first: Request,
    paginator: impl Paginator,
    at_once: usize,
    parse: impl Fn(&Response) -> Result<Parsed> + Send + Sync + 'static,
) -> PageStream {
    if let Err(error) = paginator.check(&first) {
        return PageStream::error(error);
    }
    let walk = Walk {
        client,
        paginator,
        at_once: at_once.max(1),
        parse: Arc::new(parse),
        foresees: true,
        asked: VecDeque::new(),
    };
    PageStream::new(stream::try_unfold((walk, Some(first)), |(mut walk, first)| async {
        if let Some(first) = first {
            walk.ask(first);
        }
        Ok(walk.step().await?.map(|page| (page, (walk, None))))
    }))
}

struct Walk<P, F> {
    client: Client,
    paginator: P,
    at_once: usize,
    parse: Arc<F>,
    /// Pages have come as they were foreseen.
    foresees: bool,
    /// What was asked for, in the order of the pages.
    asked: VecDeque<(Request, Answer)>,
}

impl<P, F> Walk<P, F>
where
    P: Paginator,
    F: Fn(&Response) -> Result<Parsed> + Send + Sync + 'static,
{
    /// The next page, with others on their way.
    async fn step(&mut self) -> Result<Option<Page>> {
        let Some((request, answer)) = self.asked.pop_front() else { return Ok(None) };
        let (found, response) = answer.wait().await?;
        let next = self.paginator.follow(&request, &response, &found);
        let next = next.map_err(|e| response.about.finish(e))?;
        let last = next.is_none();
        match next {
            Some(next) => self.go_on(next, &request, &response, &found),
            None => self.asked.clear(),
        }
        let mut page = found.page;
        page.server_date = page.server_date.or(response.date);
        page.last |= last;

        Ok(Some(page))
    }

    /// Asks for `next`, which follows `sent`, and for pages behind it.
    fn go_on(&mut self, next: Request, sent: &Request, response: &Response, found: &Parsed) {
        if self.asked.front().is_none_or(|(request, _)| *request != next) {
            // Once is enough: a service that is not understood is not asked in vain again.
            self.foresees &= self.asked.is_empty();
            self.asked.clear();
            self.ask(next);
        }
        if self.foresees {
            let following = self.paginator.foresee(sent, response, found, self.at_once);
            following.into_iter().skip(self.asked.len()).for_each(|request| self.ask(request));
        }
    }

    /// Sends `request` now: in a task of its own, for a future that nobody polls while a page is
    /// decoded would run into its deadline and keep others from sending.
    fn ask(&mut self, request: Request) {
        let (client, parse, sent) = (self.client.clone(), self.parse.clone(), request.clone());
        let answer = Answer(tokio::spawn(async move {
            client.send_with(sent, |response| Ok((parse(&response)?, response))).await
        }));
        self.asked.push_back((request, answer));
    }
}

/// An answer on its way; nobody waits for it once this is dropped.
struct Answer(JoinHandle<Result<(Parsed, Response)>>);

impl Answer {
    async fn wait(mut self) -> Result<(Parsed, Response)> {
        match (&mut self.0).await {
            Ok(outcome) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::internal("a request broke off")),
            },
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
