//! Tables whose service takes both bounds: one window after the other, up to `until`.

use crate::ascending::Ascending;
use crate::walk::{Delivery, Reading, Step, Walks};
use lakeflow_core::{Cursor, CursorKind, Error, Order, PageStream, Result, Step as OrderStep};
use std::time::Duration;

/// A window is never narrower, whatever it holds.
const MIN_WIDTH: Duration = Duration::from_secs(1);

/// Windows in ascending order.
pub(crate) struct Windows {
    /// End of the last window, exclusive lower bound of the next; `None`: the table is empty.
    after: Option<Cursor>,
    kind: CursorKind,
    step: OrderStep,
    width: Duration,
    sorted: bool,
    /// Rows that a window should not exceed.
    cap: u64,
    current: Option<Window>,
}

struct Window {
    upto: Cursor,
    rows: u64,
    inside: Inside,
}

enum Inside {
    Sorted(Box<Ascending>),
    /// Walked until all was seen.
    Unsorted {
        from: Cursor,
        pages: PageStream,
        walks: Walks,
    },
}

impl Windows {
    /// Windows from `from`, inclusive; `None`: there is nothing to read.
    pub(crate) fn new(
        from: Option<Cursor>,
        order: &Order,
        width: Duration,
        sorted: bool,
        cap: u64,
    ) -> Self {
        let Order { kind, step, .. } = *order;
        let after = from.map(|from| from.moved(step, -1));

        Self { after, kind, step, width: width.max(MIN_WIDTH), sorted, cap, current: None }
    }

    /// The next page, the end of a window, or `None` when all windows up to `until` are read.
    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        if self.current.is_none() {
            let Some(window) = self.open(reading)? else { return Ok(None) };
            self.current = Some(window);
        }
        let Some(window) = &mut self.current else { return Ok(None) };
        if let Some(mut delivery) = window.inside.next(reading, &window.upto).await? {
            window.rows += delivery.selection.len() as u64;
            delivery.safe &= self.sorted;
            delivery.last = false;
            return Ok(Some(Step::Page(delivery)));
        }
        // The service's clock may turn out to be behind ours while the first window is read.
        let end = match &reading.until {
            Some(until) if *until < window.upto => until.clone(),
            _ => window.upto.clone(),
        };
        if window.rows == 0 {
            self.width = self.width.saturating_mul(2);
        } else if window.rows > self.cap {
            self.width = (self.width / 2).max(MIN_WIDTH);
        }
        reading.reach(&end);
        self.after = Some(end);
        self.current = None;

        Ok(Some(Step::Safe))
    }

    fn open(&self, reading: &mut Reading) -> Result<Option<Window>> {
        let (Some(after), Some(until)) = (&self.after, &reading.until) else { return Ok(None) };
        if after >= until {
            return Ok(None);
        }
        let width = i128::try_from(self.width.as_nanos()).unwrap_or(i128::MAX / 4);
        let end = after.instant().map(|start| start.plus_nanos(width));
        let end = end.and_then(|end| Cursor::of_time(self.kind, end, self.step));
        let Some(end) = end else {
            return Err(Error::internal("windows need an order of instants or dates"));
        };
        let from = after.moved(self.step, 1);
        let upto = end.max(from.clone()).min(until.clone());
        let inside = if self.sorted {
            Inside::Sorted(Box::new(Ascending::new(1, self.step, Some(from), Some(upto.clone()))))
        } else {
            let pages = reading.open(Some(&from), Some(&upto));
            Inside::Unsorted { from, pages, walks: Walks::default() }
        };

        Ok(Some(Window { upto, rows: 0, inside }))
    }
}

impl Inside {
    async fn next(&mut self, reading: &mut Reading, upto: &Cursor) -> Result<Option<Delivery>> {
        match self {
            Self::Sorted(walk) => walk.next(reading).await,
            Self::Unsorted { from, pages, walks } => loop {
                if let Some(page) = pages.next().await? {
                    let page = reading.scan(page)?;
                    let (low, high) = (from.comparable(), upto.comparable());
                    let delivery = reading.deliver(page, Some(low), Some(high))?;
                    walks.page(delivery.listing);
                    return Ok(Some(delivery));
                }
                if walks.all_seen(upto.raw())? {
                    return Ok(None);
                }
                *pages = reading.open(Some(from), Some(upto));
            },
        }
    }
}
