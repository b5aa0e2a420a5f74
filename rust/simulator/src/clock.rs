//! The simulator's own time: an injected clock that tests may stop or move.

use lakeflow_core::{Clock, Instant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Follows a base clock, at a distance, or stands still.
pub(crate) struct SimulatorClock {
    base: Arc<dyn Clock>,
    mode: Mutex<Mode>,
}

#[derive(Clone, Copy)]
enum Mode {
    Shifted { nanos: i128 },
    Frozen(Instant),
}

impl SimulatorClock {
    pub(crate) fn new(base: Arc<dyn Clock>) -> Self {
        Self { base, mode: Mutex::new(Mode::Shifted { nanos: 0 }) }
    }

    /// Stands still at `at`.
    pub(crate) fn freeze(&self, at: Instant) {
        *self.mode() = Mode::Frozen(at);
    }

    /// Moves the time, frozen or not.
    pub(crate) fn advance(&self, by_nanos: i128) {
        let mut mode = self.mode();
        *mode = match *mode {
            Mode::Shifted { nanos } => Mode::Shifted { nanos: nanos + by_nanos },
            Mode::Frozen(at) => Mode::Frozen(at.plus_nanos(by_nanos)),
        };
    }

    /// Follows the base clock again.
    pub(crate) fn follow(&self) {
        *self.mode() = Mode::Shifted { nanos: 0 };
    }

    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimulatorClock {
    fn now(&self) -> Instant {
        match *self.mode() {
            Mode::Shifted { nanos } => self.base.now().plus_nanos(nanos),
            Mode::Frozen(at) => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakeflow_core::ManualClock;

    #[test]
    fn time_shifts_freezes_and_follows_again() {
        let base = Arc::new(ManualClock::new(Instant::from_parts(100, 0)));
        let clock = SimulatorClock::new(base.clone());
        clock.advance(5_000_000_000);
        assert_eq!(clock.now().seconds(), 105);
        base.set(Instant::from_parts(200, 0));
        assert_eq!(clock.now().seconds(), 205);
        clock.freeze(Instant::from_parts(10, 0));
        clock.advance(1_000_000_000);
        assert_eq!(clock.now().seconds(), 11);
        clock.follow();
        assert_eq!(clock.now().seconds(), 200);
    }
}
