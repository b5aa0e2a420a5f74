//! Children of changed records: what a feed of parents delivers is read below, in its order.

use crate::ahead::{Ahead, Leg};
use crate::feed::Feed;
use crate::page::ScannedPage;
use crate::seen::Seen;
use crate::table::{ChildOf, Table};
use crate::walk::{Delivery, Reading, Step};
use lakeflow_arrow::json_text;
use lakeflow_core::{Error, ErrorKind, Ingestion, Part, PartKey, RawJson, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// The feed of parents, and the children of the page of parents under way.
///
/// Where the feed could go on after that page, this table can after its children.
pub(crate) struct Children {
    table: Arc<Table>,
    below: ChildOf,
    feed: Feed,
    parents: VecDeque<Part>,
    legs: Ahead,
    /// Whether a page of parents is under way, and whether a slice may end after it.
    safe_after: Option<bool>,
}

impl Children {
    pub(crate) fn new(table: Arc<Table>, below: ChildOf, feed: Feed) -> Self {
        Self {
            table,
            below,
            feed,
            parents: VecDeque::new(),
            legs: Ahead::default(),
            safe_after: None,
        }
    }

    /// The next page of children or safe point; `reading` is that of the feed.
    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        loop {
            while self.legs.len() < self.table.max_concurrent() {
                let Some(parent) = self.parents.pop_front() else { break };
                self.legs.push(self.leg(reading, parent));
            }
            if self.legs.len() > 0 {
                match self.legs.next().await {
                    Ok(Some(Step::Page(mut delivery))) => {
                        if self.table.spec.ingestion == Ingestion::Append && reading.streaming {
                            self.mask(reading, &mut delivery)?;
                        }
                        delivery.safe = false;
                        return Ok(Some(Step::Page(delivery)));
                    }
                    Ok(Some(Step::Safe)) => {}
                    Ok(None) => {
                        for warning in self.legs.pop()?.reading.warnings {
                            reading.warn_once(&warning);
                        }
                        reading.memory.below.begin_reading();
                    }
                    Err(error) if error.kind() == ErrorKind::ParentGone => {
                        self.legs.pop()?;
                        reading.memory.below.begin_reading();
                        reading.parents_gone();
                    }
                    Err(error) => return Err(error.table(self.table.name.as_str())),
                }
            } else if let Some(safe) = self.safe_after.take() {
                if safe {
                    return Ok(Some(Step::Safe));
                }
            } else {
                match self.feed.next(reading).await? {
                    None => return Ok(None),
                    Some(Step::Safe) => return Ok(Some(Step::Safe)),
                    Some(Step::Page(delivery)) => {
                        self.parents = self.parents_of(&delivery)?;
                        self.safe_after = Some(delivery.safe);
                    }
                }
            }
        }
    }

    fn leg(&self, reading: &Reading, parent: Part) -> Leg {
        let mut leg = Reading::new(self.table.clone(), None, reading.salt, reading.streaming);
        leg.parts = vec![parent];

        Leg::new(leg, None)
    }

    /// Leaves out rows of an append table that were delivered when their parent was read before.
    fn mask(&self, reading: &mut Reading, delivery: &mut Delivery) -> Result<()> {
        let Delivery { page, selection, .. } = delivery;
        let (salt, before) = (reading.salt, selection.len());
        selection.retain(|&row| {
            let id = self.table.row_id(page, row, salt);
            reading.memory.below.is_new_version(id, id)
        });
        self.table.metrics.masked((before - selection.len()) as u64);
        if reading.memory.below.is_full() {
            return Err(Error::unsupported(format!(
                "an append table below parents that change can be streamed up to {} records, which \
                 are remembered to be delivered once; read it as a batch",
                Seen::MAX_UNORDERED
            ))
            .table(self.table.name.as_str()));
        }

        Ok(())
    }

    fn parents_of(&self, delivery: &Delivery) -> Result<VecDeque<Part>> {
        delivery.selection.iter().map(|&row| self.parent(&delivery.page, row)).collect()
    }

    fn parent(&self, page: &ScannedPage, row: usize) -> Result<Part> {
        let key = page.tap(row, self.below.key_tap).ok_or_else(|| {
            Error::new(ErrorKind::DataInvalid, "a parent has no identity")
                .table(self.below.feed.name.as_str())
        })?;
        let value = |tap: usize| page.tap(row, tap).unwrap_or(b"null");
        let columns = self.below.column_taps.iter();
        let columns =
            columns.map(|(name, tap)| (name.clone(), RawJson::copy_from_slice(value(*tap))));

        Ok(Part { key: PartKey(json_text(key)?.into_owned()), columns: columns.collect() })
    }
}
