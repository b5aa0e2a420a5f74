//! What was delivered: rows that may come again must be known again.

use lakeflow_arrow::hash_bytes;
use lakeflow_core::Comparable;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// Delivered rows by order value, for the span in which rows may come again.
///
/// A row is known by a 64-bit hash: of its bytes; of key and order value where its fields differ at
/// every call; of its key in append tables; and in append tables without a key, of its bytes and how
/// often they occurred in one reading. Rows without an order value may come again at any time: of
/// each key the version delivered last is remembered.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    by_order: BTreeMap<Comparable, Vec<u64>>,
    delivered: HashMap<u64, u32>,
    /// Rows without an order value: hash of the key, and of the version delivered last.
    unordered: BTreeMap<u64, u64>,
    /// How often each row came in the reading under way; used only where `counting`.
    occurrences: HashMap<u64, u32>,
    counting: bool,
    /// The largest order value at which each row came; used only where `wandering`.
    last: HashMap<u64, Comparable>,
    wandering: bool,
}

impl Seen {
    /// Rows without an order value that are remembered; hashes of them take 16 MB, or 8 MB where a
    /// key has one version.
    pub(crate) const MAX_UNORDERED: usize = 1_000_000;

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
    pub(crate) fn is_new(&mut self, order: &Comparable, id: u64) -> bool {
        let needed = self.occurrence(id);
        let is_new = self.delivered.get(&id).copied().unwrap_or(0) < needed;
        if is_new || self.has_wandered(order, id) {
            self.insert(order.clone(), id);
        }

        is_new
    }

    /// Whether a row that was delivered comes at a larger order value than ever.
    fn has_wandered(&self, order: &Comparable, id: u64) -> bool {
        self.last.get(&id).is_some_and(|last| order > last)
    }

    /// As [`is_new`](Self::is_new), for a row without an order value: `key` is the hash of its key.
    pub(crate) fn is_new_version(&mut self, key: u64, id: u64) -> bool {
        let (key, id) = match self.occurrence(id) {
            1 => (key, id),
            n => {
                let nth = hash_bytes(&[&id.to_le_bytes(), &n.to_le_bytes()]);
                (nth, nth)
            }
        };
        if self.is_full() && !self.unordered.contains_key(&key) {
            return true;
        }

        self.unordered.insert(key, id) != Some(id)
    }

    /// The record of this key has an order value now.
    pub(crate) fn is_ordered(&mut self, key: u64) {
        self.unordered.remove(&key);
    }

    /// Whether no further row without an order value can be remembered.
    pub(crate) fn is_full(&self) -> bool {
        self.unordered.len() >= Self::MAX_UNORDERED
    }

    /// Takes a row in that an earlier drain delivered.
    pub(crate) fn insert(&mut self, order: Comparable, id: u64) {
        *self.delivered.entry(id).or_insert(0) += 1;
        if self.wandering {
            let last = self.last.entry(id).or_insert_with(|| order.clone());
            *last = order.clone().max(last.clone());
        }
        self.by_order.entry(order).or_default().push(id);
    }

    /// As [`insert`](Self::insert), for a row without an order value.
    pub(crate) fn insert_version(&mut self, key: u64, id: u64) {
        self.unordered.insert(key, id);
    }

    /// How often the row has come in the reading under way, where that tells rows apart.
    fn occurrence(&mut self, id: u64) -> u32 {
        if !self.counting {
            return 1;
        }
        let occurrence = self.occurrences.entry(id).or_insert(0);
        *occurrence += 1;

        *occurrence
    }

    /// Forgets rows whose order value is below `floor`.
    pub(crate) fn forget_below(&mut self, floor: &Comparable) {
        self.forget_between(None, floor);
    }

    /// Forgets rows whose order value lies between the two, both exclusive.
    pub(crate) fn forget_between(&mut self, above: Option<&Comparable>, below: &Comparable) {
        if above.is_some_and(|above| above >= below) {
            return;
        }
        let above = above.map_or(Bound::Unbounded, |above| Bound::Excluded(above.clone()));
        let range = (above, Bound::Excluded(below.clone()));
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
        let mut ids = self.by_order.get(order).cloned().unwrap_or_default();
        ids.sort_unstable();
        ids
    }

    /// Whether no row with an order value is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_order.is_empty()
    }

    /// All rows with an order value, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Comparable, &[u64])> {
        self.by_order.iter().map(|(order, ids)| (order, ids.as_slice()))
    }

    /// Whether a row without an order value is remembered.
    pub(crate) fn has_unordered(&self) -> bool {
        !self.unordered.is_empty()
    }

    /// All rows without one: hash of the key, ascending, and of the version.
    pub(crate) fn unordered(&self) -> impl Iterator<Item = (u64, u64)> {
        self.unordered.iter().map(|(key, id)| (*key, *id))
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

        assert!(seen.is_new(&at(1), 7));
        seen.begin_reading();
        assert!(!seen.is_new(&at(1), 7));
    }

    #[test]
    fn rows_without_a_key_are_counted_per_reading() {
        for ordered in [true, false] {
            let mut seen = Seen::new(true, false);
            let read = |seen: &mut Seen, copies: usize| {
                seen.begin_reading();
                let is_new = |_: &usize| match ordered {
                    true => seen.is_new(&at(1), 7),
                    false => seen.is_new_version(7, 7),
                };
                (0..copies).filter(is_new).count()
            };

            assert_eq!(read(&mut seen, 2), 2);
            assert_eq!(read(&mut seen, 2), 0);
            assert_eq!(read(&mut seen, 3), 1);
        }
    }

    #[test]
    fn of_rows_without_order_the_last_version_is_known() {
        let mut seen = Seen::new(false, false);
        let versions = [7, 7, 8, 7].map(|id| seen.is_new_version(1, id));
        assert_eq!(versions, [true, false, true, true]);

        seen.is_ordered(1);
        assert!(seen.is_new_version(1, 7));
    }

    #[test]
    fn a_row_that_comes_again_at_a_larger_value_is_remembered_there() {
        let known_after = |wandering: bool| {
            let mut seen = Seen::new(false, wandering);
            seen.is_new(&at(1), 7);
            seen.is_new(&at(5), 7);
            seen.is_new(&at(4), 7);
            seen.forget_below(&at(5));
            !seen.is_new(&at(5), 7)
        };

        assert_eq!((known_after(true), known_after(false)), (true, false));
    }

    #[test]
    fn forgetting_keeps_the_span_and_rows_without_order() {
        let mut seen = Seen::new(false, false);
        for n in 1..=4 {
            seen.is_new(&at(n), n as u64);
        }
        seen.is_new_version(9, 9);
        seen.forget_between(Some(&at(2)), &at(2));
        seen.forget_below(&at(3));

        assert_eq!(seen.iter().map(|(o, _)| o.clone()).collect::<Vec<_>>(), [at(3), at(4)]);
        assert!(seen.is_new(&at(1), 1));
        assert!(!seen.is_new_version(9, 9));
        assert_eq!(seen.at(&at(4)), [4]);
    }
}
