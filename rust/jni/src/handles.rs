//! Ids that Java holds in place of pointers.

use crate::reader::Reader;
use lakeflow_core::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

/// Handles by id. An id is never used twice, so a stale one is an error and never another read.
pub(crate) struct Handles<T> {
    next: AtomicI64,
    open: Mutex<HashMap<i64, Arc<T>>>,
}

/// The reads of this process.
pub(crate) static READERS: LazyLock<Handles<Reader>> = LazyLock::new(Handles::new);

impl<T> Handles<T> {
    pub(crate) fn new() -> Self {
        Self { next: AtomicI64::new(1), open: Mutex::new(HashMap::new()) }
    }

    /// Keeps `value` and returns its id.
    pub(crate) fn insert(&self, value: T) -> i64 {
        let id = self.next.fetch_add(1, Relaxed);
        self.lock().insert(id, Arc::new(value));
        id
    }

    /// The value; a call in flight keeps it alive beyond [`remove`](Self::remove).
    pub(crate) fn get(&self, id: i64) -> Result<Arc<T>> {
        self.lock().get(&id).cloned().ok_or_else(|| {
            Error::new(ErrorKind::Cancelled, "the read was closed")
                .context("handle", id.to_string())
        })
    }

    /// Forgets the id; `None` if that was done before.
    pub(crate) fn remove(&self, id: i64) -> Option<Arc<T>> {
        self.lock().remove(&id)
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<T>>> {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_not_reused_and_a_value_in_use_outlives_its_id() {
        let handles = Handles::new();
        let first = handles.insert("a");
        let in_use = handles.get(first).unwrap();

        assert!(handles.remove(first).is_some());
        assert!(handles.remove(first).is_none());
        assert_eq!(*in_use, "a");
        assert_ne!(handles.insert("b"), first);
        assert_eq!(handles.len(), 1);
    }

    #[test]
    fn stale_unknown_and_negative_ids_are_errors() {
        let handles = Handles::<()>::new();
        for id in [0, 1, -1, i64::MAX, i64::MIN] {
            let error = handles.get(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            assert_eq!(error.to_string(), format!("the read was closed (handle: {id})"));
        }
    }
}
