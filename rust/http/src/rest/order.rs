//! The order of a table, as data.

use lakeflow_core::{CursorKind, Order, Settings, Step, Until};
use std::time::Duration;

/// What a table is ordered and bounded by.
///
#[derive(Clone, Copy, Debug)]
pub struct By {
    field: Option<&'static str>,
    kind: CursorKind,
    step: Step,
    settle: Duration,
    lookback: Duration,
    until: Option<Until>,
}

impl By {
    /// Instants in `field`, a column path with dots; `step` is what the service can tell apart.
    pub const fn instants(field: &'static str, step: Step) -> Self {
        Self::new(Some(field), CursorKind::Instant, step)
    }

    /// Whole seconds since 1970 in `field`.
    pub const fn epoch_seconds(field: &'static str) -> Self {
        Self::new(Some(field), CursorKind::EpochSeconds, Step::SECOND)
    }

    /// Values that rows lack and pages state.
    pub const fn stated(kind: CursorKind, step: Step) -> Self {
        Self::new(None, kind, step)
    }

    const fn new(field: Option<&'static str>, kind: CursorKind, step: Step) -> Self {
        Self { field, kind, step, settle: Duration::ZERO, lookback: Duration::ZERO, until: None }
    }

    /// Seconds that the service may take to show a change.
    pub const fn settle(mut self, seconds: u64) -> Self {
        self.settle = Duration::from_secs(seconds);
        self
    }

    /// Seconds that each drain looks back unless option `lookback_seconds` says otherwise.
    pub const fn lookback(mut self, seconds: u64) -> Self {
        self.lookback = Duration::from_secs(seconds);
        self
    }

    /// Another end of drains than the clock.
    pub const fn until(mut self, until: Until) -> Self {
        self.until = Some(until);
        self
    }

    /// The order for these settings.
    pub fn order(&self, settings: &Settings) -> Order {
        Order {
            field: self.field.map(super::table::field_path),
            kind: self.kind,
            step: self.step,
            until: self.until.unwrap_or(Until::Clock { settle: self.settle }),
            lookback: settings.seconds("lookback_seconds").unwrap_or(self.lookback),
        }
    }
}
