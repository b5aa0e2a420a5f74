//! Work that runs by itself and hands over items, at most two ahead.

use crate::{panics, runtime};
use futures::FutureExt;
use lakeflow_core::{Error, ErrorKind, Result};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::AbortHandle;

/// Items that are ready before they are asked for.
const AHEAD: usize = 2;

/// Longest time between two looks at whether the host wants to stop.
const WAIT: Duration = Duration::from_millis(200);

/// What [`Task::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// The next item.
    Item(T),
    /// Nothing within the time given.
    NotYet,
    /// All items were delivered.
    End,
}

/// Work under way. Dropped, it ends.
pub struct Task<T> {
    items: tokio::sync::Mutex<Receiver<Result<T>>>,
    ended: Arc<AtomicBool>,
    work: AbortHandle,
}

/// Where work puts its items.
pub struct Items<T>(Sender<Result<T>>);

impl<T> Items<T> {
    /// Waits until there is room for `item`.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] if nobody wants it any more.
    pub async fn send(&self, item: T) -> Result<()> {
        self.0.send(Ok(item)).await.map_err(|_| closed())
    }
}

impl<T: Send + 'static> Task<T> {
    /// Starts work. What it fails with, or panics with, comes with [`next`](Self::next).
    ///
    /// # Errors
    /// Those of [`runtime`](runtime::runtime).
    pub fn spawn<F>(work: impl FnOnce(Arc<Items<T>>) -> F) -> Result<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (send, receive) = mpsc::channel(AHEAD);
        let ended = Arc::new(AtomicBool::new(false));
        let items = Arc::new(Items(send));
        let work = AssertUnwindSafe(work(items.clone())).catch_unwind();
        let done = ended.clone();
        let task = runtime::runtime()?.spawn(async move {
            match work.await.unwrap_or_else(|payload| Err(panics::error(payload))) {
                Ok(()) => done.store(true, Ordering::Release),
                // Without a receiver nobody is left to tell.
                Err(error) => drop(items.0.send(Err(error)).await),
            }
        });

        Ok(Self { items: tokio::sync::Mutex::new(receive), ended, work: task.abort_handle() })
    }

    /// Waits at most `wait` for the next item.
    ///
    /// # Errors
    /// What the work met, once; [`ErrorKind::Cancelled`] after that or if it was cancelled.
    pub fn next(&self, wait: Duration) -> Result<Next<T>> {
        let received = runtime::runtime()?.block_on(async {
            let receive = async { self.items.lock().await.recv().await };
            tokio::time::timeout(wait, receive).await
        });
        match received {
            Err(_) => Ok(Next::NotYet),
            Ok(Some(item)) => item.map(Next::Item),
            Ok(None) if self.ended.load(Ordering::Acquire) => Ok(Next::End),
            Ok(None) => Err(closed()),
        }
    }

    /// Waits for the next item, or `None` at the end; `check` is asked several times a second
    /// whether to go on waiting.
    ///
    /// # Errors
    /// As [`next`](Self::next), and what `check` fails with.
    pub fn wait<E: From<Error>>(&self, check: &dyn Fn() -> Result<(), E>) -> Result<Option<T>, E> {
        loop {
            match self.next(WAIT)? {
                Next::Item(item) => return Ok(Some(item)),
                Next::End => return Ok(None),
                Next::NotYet => check()?,
            }
        }
    }

    /// Ends the work; who waits for it gets [`ErrorKind::Cancelled`].
    pub fn cancel(&self) {
        self.work.abort();
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Runs work that has one result and waits for it; `check` as of [`Task::wait`].
///
/// # Errors
/// What the work met, and what `check` fails with.
pub fn answer<T, F, E>(work: F, check: &dyn Fn() -> Result<(), E>) -> Result<T, E>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
    E: From<Error>,
{
    let task = Task::spawn(|items| async move { items.send(work.await?).await })?;

    task.wait(check)?.ok_or_else(|| Error::internal("work ended without its result").into())
}

fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "the read was closed or has failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> Result<()> {
        Ok(())
    }

    #[test]
    fn items_come_in_order_and_then_the_end_for_good() {
        let task = Task::spawn(|items| async move {
            for n in 0..5 {
                items.send(n).await?;
            }
            Ok(())
        })
        .unwrap();
        let got: Vec<_> = std::iter::from_fn(|| task.wait(&never).unwrap()).collect();

        assert_eq!(got, [0, 1, 2, 3, 4]);
        assert_eq!(task.next(Duration::ZERO).unwrap(), Next::End);
    }

    #[test]
    fn an_error_comes_once_after_the_items_before_it() {
        let task = Task::spawn(|items| async move {
            items.send(1).await?;
            Err(Error::bad_response("torn"))
        })
        .unwrap();

        assert_eq!(task.wait(&never).unwrap(), Some(1));
        assert_eq!(task.wait(&never).unwrap_err().to_string(), "torn");
        assert_eq!(task.wait(&never).unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_panic_is_an_error_that_says_where() {
        #[allow(clippy::panic, unreachable_code, reason = "what is tested")]
        let task = Task::<()>::spawn(|_| async { panic!("lost") }).unwrap();
        let error = task.wait(&never).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().starts_with("panic: lost (location: "), "{error}");
    }

    #[test]
    fn who_waits_is_asked_whether_to_go_on() {
        let endless = Task::<()>::spawn(|_| std::future::pending()).unwrap();
        let stop = || Err(Error::new(ErrorKind::Cancelled, "enough"));

        assert_eq!(endless.wait(&stop).unwrap_err().to_string(), "enough");
        endless.cancel();
        assert_eq!(endless.wait(&never).unwrap_err().kind(), ErrorKind::Cancelled);
    }
}
