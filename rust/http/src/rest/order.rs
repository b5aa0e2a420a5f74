//! The order of a table, as data.

use lakeflow_core::{CursorKind, Order, Settings, Step, Until};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// No record is older.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What a table is ordered and bounded by.
///
#[derive(Clone, Copy, Debug)]
pub struct By {
    pub(super) field: Option<&'static str>,
    kind: CursorKind,
    step: Step,
    settle: Duration,
    lookback: Duration,
    until: Option<Until>,
    refresh: Refresh,
}

/// What a drain reads again because it may have changed without its order value.
#[derive(Clone, Copy, Debug)]
enum Refresh {
    Nothing,
    /// As many days as an option says.
    Days(&'static str),
    Everything,
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
        Self {
            field,
            kind,
            step,
            settle: Duration::ZERO,
            lookback: Duration::ZERO,
            until: None,
            refresh: Refresh::Nothing,
        }
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

    /// Records change without their order value: each drain reads again as many days as option
    /// `days` says, and delivers what has changed.
    pub const fn refresh_days(mut self, days: &'static str) -> Self {
        self.refresh = Refresh::Days(days);
        self
    }

    /// Records change without their order value, and there are few: each drain reads all of them
    /// again, and delivers what has changed.
    pub const fn refresh_all(mut self) -> Self {
        self.refresh = Refresh::Everything;
        self
    }

    /// The order for these settings.
    pub fn order(&self, settings: &Settings) -> Order {
        Order {
            field: self.field.map(super::table::field_path),
            kind: self.kind,
            step: self.step,
            until: self.until.unwrap_or(Until::Clock { settle: self.settle }),
            lookback: settings
                .seconds("lookback_seconds")
                .unwrap_or(self.lookback)
                .max(self.refreshed(settings)),
        }
    }

    fn refreshed(&self, settings: &Settings) -> Duration {
        match self.refresh {
            Refresh::Nothing => Duration::ZERO,
            Refresh::Days(option) => {
                let days = settings.integer(option).map_or(0, i64::unsigned_abs);
                DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX))
            }
            Refresh::Everything => CENTURY,
        }
    }
}
