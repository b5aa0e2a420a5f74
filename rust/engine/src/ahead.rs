//! Several lists read at once and handed over one after the other.

use crate::list::List;
use crate::walk::{Reading, Step};
use futures::FutureExt;
use futures::future::{self, BoxFuture};
use lakeflow_core::{Cursor, Error, Result};
use std::collections::VecDeque;
use std::task::{Context, Poll};

/// One list with a reading of its own, so that it needs nothing of the others.
pub(crate) struct Leg {
    pub(crate) reading: Reading,
    /// Lower bound, inclusive.
    pub(crate) from: Option<Cursor>,
    list: Option<List>,
}

impl Leg {
    pub(crate) fn new(reading: Reading, from: Option<Cursor>) -> Self {
        Self { reading, from, list: None }
    }

    async fn next(&mut self) -> Result<Option<Step>> {
        let list = match &mut self.list {
            Some(list) => list,
            None => match List::begin(&mut self.reading, self.from.clone()).await? {
                Some(list) => self.list.insert(list),
                None => return Ok(None),
            },
        };

        list.next(&mut self.reading).await
    }
}

type Advancing = BoxFuture<'static, (Leg, Result<Option<Step>>)>;

/// A leg and what it is doing; at most one step ahead of what was taken.
enum Slot {
    Idle(Box<Leg>),
    Advancing(Advancing),
    Ahead(Box<Leg>, Box<Result<Option<Step>>>),
    /// Between two of the above.
    Moving,
}

impl Slot {
    fn advance(leg: Leg) -> Self {
        let advancing = async move {
            let mut leg = leg;
            let step = leg.next().await;
            (leg, step)
        };

        Self::Advancing(advancing.boxed())
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Self::Advancing(advancing) = self
            && let Poll::Ready((leg, step)) = advancing.poll_unpin(cx)
        {
            *self = Self::Ahead(Box::new(leg), Box::new(step));
        }
    }

    fn take(&mut self) -> Option<Result<Option<Step>>> {
        match std::mem::replace(self, Self::Moving) {
            Self::Ahead(leg, step) => {
                *self = Self::Idle(leg);
                Some(*step)
            }
            other => {
                *self = other;
                None
            }
        }
    }
}

/// Legs in order; all of them advance while the first one is waited for.
#[derive(Default)]
pub(crate) struct Ahead(VecDeque<Slot>);

impl Ahead {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, leg: Leg) {
        self.0.push_back(Slot::advance(leg));
    }

    pub(crate) fn push_front(&mut self, leg: Leg) {
        self.0.push_front(Slot::advance(leg));
    }

    /// The next step of the first leg.
    pub(crate) async fn next(&mut self) -> Result<Option<Step>> {
        if let Some(front) = self.0.front_mut() {
            match std::mem::replace(front, Slot::Moving) {
                Slot::Idle(leg) => *front = Slot::advance(*leg),
                other => *front = other,
            }
        }
        future::poll_fn(|cx| {
            self.0.iter_mut().for_each(|slot| slot.poll(cx));
            match self.0.front_mut() {
                None => Poll::Ready(Ok(None)),
                Some(front) => front.take().map_or(Poll::Pending, Poll::Ready),
            }
        })
        .await
    }

    /// The first leg, from which a step was just taken.
    pub(crate) fn front(&mut self) -> Result<&mut Leg> {
        match self.0.front_mut() {
            Some(Slot::Idle(leg)) => Ok(leg),
            _ => Err(Error::internal("no list has just advanced")),
        }
    }

    /// Takes the first leg out, from which a step was just taken.
    pub(crate) fn pop(&mut self) -> Result<Leg> {
        match self.0.pop_front() {
            Some(Slot::Idle(leg)) => Ok(*leg),
            _ => Err(Error::internal("no list has just advanced")),
        }
    }
}
