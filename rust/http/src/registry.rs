//! Things that a process has one of per key, whoever asks.

use std::sync::{Arc, Mutex, PoisonError};

/// Entries beyond this push out old ones that nobody uses.
const MOST: usize = 1000;

/// Values by key; keys may hold secrets, which are compared as they are and never shown.
pub(crate) struct Registry<K, V>(Mutex<Vec<(K, Arc<V>)>>);

impl<K: PartialEq, V> Registry<K, V> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The value of `key`, which is made if there is none.
    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = entries.iter().find(|(k, _)| *k == key) {
            return value.clone();
        }
        if entries.len() >= MOST {
            let unused = entries.iter().position(|(_, value)| Arc::strong_count(value) == 1);
            unused.map(|place| entries.remove(place));
        }
        let value = Arc::new(make());
        entries.push((key, value.clone()));

        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_per_key_and_unused_ones_give_way() {
        let registry = Registry::new();
        let first = registry.get(0, || 'a');
        assert!(Arc::ptr_eq(&first, &registry.get(0, || 'b')));

        for key in 1..=MOST {
            registry.get(key, || 'c');
        }
        assert_eq!(*registry.get(1, || 'd'), 'd', "the oldest unused one is gone");
        assert_eq!(*registry.get(0, || 'd'), 'a', "the used one stays");
    }
}
