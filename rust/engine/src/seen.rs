//! What was delivered: rows that may come again must be known again.

use lakeflow_core::Comparable;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// Delivered rows by order value, for the span in which rows may come again.
///
/// A row is known by a 64-bit hash: of its bytes; of key and order value where its fields differ at
/// every call; of its key in append tables; and in append tables without a key, of its bytes and how
/// often they occurred in one reading.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    by_order: BTreeMap<Option<Comparable>, Vec<u64>>,
    delivered: HashMap<u64, u32>,
    /// How often each row came in the reading under way; used only where `counting`.
    occurrences: HashMap<u64, u32>,
    counting: bool,
    /// The largest order value at which each row came; used only where `wandering`.
    last: HashMap<u64, Option<Comparable>>,
    wandering: bool,
}

impl Seen {
    /// `counting`: rows without a key, told apart by how often they occur in one reading.
    /// `wandering`: others may come again at a larger order value, that of their page.
    pub(crate) fn new(counting: bool, wandering: bool) -> Self {
        Self { counting, wandering: wandering && !counting, ..Self::default() }
    }

    /// The list is read from a new start: its rows come again.
    pub(crate) fn begin_reading(&mut self) {
        self.occurrences.clear();
    }

    /// Whether the row was not delivered before; it counts as delivered from now on.
    pub(crate) fn is_new(&mut self, order: Option<&Comparable>, id: u64) -> bool {
        let delivered = self.delivered.entry(id).or_insert(0);
        let needed = if self.counting {
            let occurrence = self.occurrences.entry(id).or_insert(0);
            *occurrence += 1;
            *occurrence
        } else {
            1
        };
        let is_new = *delivered < needed;
        if is_new || self.has_wandered(order, id) {
            self.insert(order.cloned(), id);
        }

        is_new
    }

    /// Whether a row that was delivered comes at a larger order value than ever.
    fn has_wandered(&self, order: Option<&Comparable>, id: u64) -> bool {
        self.last.get(&id).is_some_and(|last| order > last.as_ref())
    }

    /// Takes a row in that an earlier drain delivered.
    pub(crate) fn insert(&mut self, order: Option<Comparable>, id: u64) {
        *self.delivered.entry(id).or_insert(0) += 1;
        if self.wandering {
            let last = self.last.entry(id).or_insert(None);
            *last = order.clone().max(last.take());
        }
        self.by_order.entry(order).or_default().push(id);
    }

    /// Forgets rows whose order value is below `floor`; rows without one are kept.
    pub(crate) fn forget_below(&mut self, floor: &Comparable) {
        self.forget_between(None, floor);
    }

    /// Forgets rows whose order value lies between the two, both exclusive.
    pub(crate) fn forget_between(&mut self, above: Option<&Comparable>, below: &Comparable) {
        if above.is_some_and(|above| above >= below) {
            return;
        }
        // `None` sorts first, so rows without an order value are never in the range.
        let range = (Bound::Excluded(above.cloned()), Bound::Excluded(Some(below.clone())));
        let forgotten: Vec<_> =
            self.by_order.range(range).map(|(order, _)| order.clone()).collect();
        for order in forgotten {
            for id in self.by_order.remove(&order).unwrap_or_default() {
                if let Some(count) = self.delivered.get_mut(&id) {
                    *count -= 1;
                    if *count == 0 {
                        self.delivered.remove(&id);
                        self.last.remove(&id);
                    }
                }
            }
        }
    }

    /// Hashes of the rows at exactly `order`, sorted.
    pub(crate) fn at(&self, order: &Comparable) -> Vec<u64> {
        let mut ids = self.by_order.get(&Some(order.clone())).cloned().unwrap_or_default();
        ids.sort_unstable();
        ids
    }

    /// Whether no row with an order value is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// All rows with an order value, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Comparable, &[u64])> {
        self.by_order.iter().filter_map(|(order, ids)| Some((order.as_ref()?, ids.as_slice())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: i128) -> Comparable {
        Comparable::Integer(n)
    }

    #[test]
    fn a_row_is_new_once() {
        let mut seen = Seen::new(false, false);

        assert!(seen.is_new(Some(&at(1)), 7));
        seen.begin_reading();
        assert!(!seen.is_new(Some(&at(1)), 7));
    }

    #[test]
    fn rows_without_a_key_are_counted_per_reading() {
        let mut seen = Seen::new(true, false);
        let read = |seen: &mut Seen, copies: usize| {
            seen.begin_reading();
            (0..copies).filter(|_| seen.is_new(Some(&at(1)), 7)).count()
        };

        assert_eq!(read(&mut seen, 2), 2);
        assert_eq!(read(&mut seen, 2), 0);
        assert_eq!(read(&mut seen, 3), 1);
    }

    #[test]
    fn a_row_that_comes_again_at_a_larger_value_is_remembered_there() {
        let known_after = |wandering: bool| {
            let mut seen = Seen::new(false, wandering);
            seen.is_new(Some(&at(1)), 7);
            seen.is_new(Some(&at(5)), 7);
            seen.is_new(Some(&at(4)), 7);
            seen.forget_below(&at(5));
            !seen.is_new(Some(&at(5)), 7)
        };

        assert_eq!((known_after(true), known_after(false)), (true, false));
    }

    #[test]
    fn forgetting_keeps_the_span_and_rows_without_order() {
        let mut seen = Seen::new(false, false);
        for n in 1..=4 {
            seen.is_new(Some(&at(n)), n as u64);
        }
        seen.is_new(None, 9);
        seen.forget_between(Some(&at(2)), &at(2));
        seen.forget_below(&at(3));

        assert_eq!(seen.iter().map(|(o, _)| o.clone()).collect::<Vec<_>>(), [at(3), at(4)]);
        assert!(seen.is_new(Some(&at(1)), 1));
        assert!(!seen.is_new(None, 9));
        assert_eq!(seen.at(&at(4)), [4]);
    }
}
