//! What is remembered of parents: which were read, and the service's place below each.

use lakeflow_arrow::hash_bytes;
use lakeflow_core::{Part, PartKey, Position};
use std::collections::{BTreeMap, BTreeSet};

/// One parent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Whether the pass under way has read it.
    pub(crate) done: bool,
    /// The connector's place below it, and the version of that.
    pub(crate) at: Option<(u32, Position)>,
}

/// Parents that were read before, by the hash of their key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places(BTreeMap<u64, Place>);

impl Places {
    /// By what a parent is known.
    pub(crate) fn id(salt: u64, part: &Part) -> u64 {
        hash_bytes(&[&salt.to_le_bytes(), part.key.0.as_bytes()])
    }

    pub(crate) fn insert(&mut self, id: u64, place: Place) {
        self.0.insert(id, place);
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Place> {
        self.0.get(&id)
    }

    /// The place below a parent has moved.
    pub(crate) fn move_to(&mut self, id: u64, version: u32, at: Position) {
        self.0.entry(id).or_default().at = Some((version, at));
    }

    /// The pass under way has read a parent.
    pub(crate) fn done(&mut self, id: u64) {
        self.0.entry(id).or_default().done = true;
    }

    /// A new pass has read none of them.
    pub(crate) fn begin_pass(&mut self) {
        self.0.values_mut().for_each(|place| place.done = false);
    }

    /// Ends a pass over the parents `listed`; those that are gone are forgotten, so that they are
    /// read from their start if they come back.
    pub(crate) fn end_pass(&mut self, listed: &BTreeSet<u64>) {
        self.0.retain(|id, place| std::mem::take(&mut place.done) && listed.contains(id));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&u64, &Place)> {
        self.0.iter()
    }
}

/// The name of parents that are read together.
pub(crate) fn group_key(parts: &[Part]) -> PartKey {
    PartKey(parts.iter().map(|part| part.key.0.as_str()).collect::<Vec<_>>().join("\n"))
}
