//! A feed from where it was left: one list, or passes.

use crate::list::List;
use crate::pass::Pass;
use crate::walk::{Reading, Step};
use lakeflow_core::{Progress, Result};

/// The feed under way.
pub(crate) enum Feed {
    List(Box<List>),
    Pass(Box<Pass>),
    /// Nothing to read.
    Empty,
}

impl Feed {
    /// Goes on from the value and the place that `reading` has reached, lookback applied.
    pub(crate) async fn begin(reading: &mut Reading) -> Result<Self> {
        let table = reading.table.clone();
        let option = table.order().map(|order| table.start_option(order)).transpose()?.flatten();
        // Of two lower bounds the higher one holds; none is lower than any.
        let first_from = option.into_iter().chain(reading.wanted_from.clone()).max();
        let from = match (&reading.reached, table.order()) {
            (Some(reached), Some(order)) if reading.skips_lookback => {
                Some(reached.moved(order.step, 1))
            }
            (Some(reached), Some(order)) => {
                Some(reached.minus_nanos(order.lookback.as_nanos(), order.step))
            }
            _ => first_from.clone(),
        };
        let token = matches!(table.progress(), Progress::Token { .. });
        let past_until = !token
            && reading.pass.is_none()
            && matches!((&from, &reading.until), (Some(from), Some(until)) if from > until);
        if past_until {
            return Ok(Self::Empty);
        }
        let first_by_place = table.first_by_place() && (from.is_none() || reading.pass.is_some());
        let in_passes = token
            || first_by_place
            || table.spec.parents.is_some()
            || matches!(table.progress(), Progress::OnePass { .. } | Progress::Descending { .. });
        if in_passes {
            return Ok(Self::Pass(Box::new(Pass::begin(reading, from, first_from)?)));
        }
        reading.pass = None;

        Ok(List::begin(reading, from).await?.map_or(Self::Empty, |list| Self::List(Box::new(list))))
    }

    /// The next page or safe point, or `None` when everything up to `until` was read.
    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        loop {
            match self {
                Self::Empty => return Ok(None),
                Self::List(list) => return list.next(reading).await,
                Self::Pass(pass) => {
                    let step = pass.next(reading).await?;
                    if step.is_some() || !pass.ends_before(reading.until.as_ref()) {
                        return Ok(step);
                    }
                }
            }
            // A pass that an earlier drain began has ended at that drain's bound.
            *self = Self::begin(reading).await?;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}
