//! One list of a table, below given parents if it has some, read as the table declares.

use crate::ascending::Ascending;
use crate::descending::Descending;
use crate::one_pass::{OnePass, Snapshot};
use crate::token::Token;
use crate::walk::{Reading, Step};
use crate::windows::Windows;
use lakeflow_core::{Cursor, Progress, ReadRequest, Result};

/// How a list is walked.
pub(crate) enum List {
    Snapshot(Snapshot),
    Ascending(Ascending),
    Windows(Windows),
    OnePass(Box<OnePass>),
    Descending(Descending),
    Token(Token),
}

impl List {
    /// The list from `from` on, inclusive; `None`: there is nothing to read.
    pub(crate) async fn begin(
        reading: &mut Reading,
        mut from: Option<Cursor>,
    ) -> Result<Option<Self>> {
        let table = reading.table.clone();
        if let (true, Some(from), Some(until)) = (reading.streaming, &from, &reading.until)
            && from > until
        {
            return Ok(None);
        }
        if table.first_by_place() && (from.is_none() || reading.at.is_some()) {
            return Ok(Some(Self::OnePass(Box::new(OnePass::new(from)))));
        }
        let list = match table.progress() {
            // The children of one parent are read whole.
            Progress::Snapshot | Progress::Children { .. } => Self::Snapshot(Snapshot::default()),
            Progress::Ascending { order, restart_pages } => {
                let upto = reading.bound();
                Self::Ascending(Ascending::new(*restart_pages, order.step, from, upto))
            }
            Progress::Windows { order, window, sorted, .. } => {
                if from.is_none() {
                    let upto = reading.until.clone();
                    let request = ReadRequest { upto, ..reading.request() };
                    from = table.connector.oldest(&request).await?;
                }
                let cap = table.settings.integer("max_records_per_batch").unwrap_or(i64::MAX);
                let cap = u64::try_from(cap).unwrap_or(u64::MAX);
                Self::Windows(Windows::new(from, order, *window, *sorted, cap))
            }
            Progress::OnePass { .. } => Self::OnePass(Box::new(OnePass::new(from))),
            Progress::Descending { .. } => Self::Descending(Descending::new(from)),
            Progress::Token { .. } => Self::Token(Token::begin(reading, from).await?),
        };

        Ok(Some(list))
    }

    /// The next page or safe point, or `None` when all was read.
    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        match self {
            Self::Snapshot(list) => list.next(reading).await,
            Self::Ascending(list) => Ok(list.next(reading).await?.map(Step::Page)),
            Self::Windows(list) => list.next(reading).await,
            Self::OnePass(list) => list.next(reading).await,
            Self::Descending(list) => list.next(reading).await,
            Self::Token(list) => list.next(reading).await,
        }
    }
}
