//! Counters of one read, shared by kit, engine and doors.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters that only grow, and how many requests wait for a limit; every method may be
        /// called from any thread.
        #[derive(Debug, Default)]
        pub struct Metrics { waiting: AtomicU64, $($name: AtomicU64),+ }

        /// The values of [`Metrics`] at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct MetricsSnapshot { $($(#[$doc])* pub $name: u64),+ }

        impl Metrics {
            $($(#[$doc])* pub fn $name(&self, by: u64) { self.$name.fetch_add(by, Relaxed); })+

            /// The current values.
            pub fn snapshot(&self) -> MetricsSnapshot {
                MetricsSnapshot { $($name: self.$name.load(Relaxed)),+ }
            }
        }

        impl MetricsSnapshot {
            /// Names and values in the order of declaration.
            pub fn pairs(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),+]
            }
        }
    };
}

impl Metrics {
    /// Counts one request as waiting for the service's limit, until the result is dropped.
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Relaxed);
        Waiting(self)
    }

    /// Whether requests wait for the service's limit at this moment.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }
}

/// A request that waits.
#[derive(Debug)]
#[must_use = "it waits until this is dropped"]
pub struct Waiting<'a>(&'a Metrics);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

counters! {
    /// HTTP requests sent, retries included.
    requests,
    /// Requests that were repeats of a failed one.
    retries,
    /// Milliseconds spent waiting because the service asked for it.
    throttled_ms,
    /// Bytes of response bodies, as received.
    bytes,
    /// Records delivered.
    records,
    /// Records that came again and were left out.
    masked,
    /// Values replaced by null because they did not fit their column.
    nulled,
    /// Fields that the schema does not know.
    unknown_fields,
    /// Parents that were gone when their children were asked for.
    parents_gone,
}
