//! Order values: what a service sorts and filters by.

use crate::{Error, Result};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use std::cmp::Ordering;
use std::fmt;

/// A point in time in UTC, with nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i128);

const NANOS: i128 = 1_000_000_000;

impl Instant {
    /// From whole seconds since the epoch and nanoseconds after that second.
    pub fn from_parts(seconds: i64, nanos: u32) -> Self {
        Self(i128::from(seconds) * NANOS + i128::from(nanos))
    }

    /// From nanoseconds since the epoch.
    pub fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub fn nanos(self) -> i128 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.div_euclid(NANOS)).unwrap_or(i64::MAX)
    }

    /// This instant moved by `nanos`, which may be negative.
    pub fn plus_nanos(self, nanos: i128) -> Self {
        Self(self.0 + nanos)
    }

    /// This instant rounded down to a multiple of `step_nanos`.
    pub fn floor(self, step_nanos: i128) -> Self {
        Self(self.0 - self.0.rem_euclid(step_nanos.max(1)))
    }

    /// Parses ISO 8601: date or date and time, `T` or blank between, `Z`, an offset or nothing
    /// (then UTC), and up to nine fraction digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Some(Self::of_naive(date.and_hms_opt(0, 0, 0)?));
        }
        if let Ok(t) = DateTime::parse_from_rfc3339(text) {
            return Some(Self::from_parts(t.timestamp(), t.timestamp_subsec_nanos()));
        }
        if let Ok(t) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z") {
            return Some(Self::from_parts(t.timestamp(), t.timestamp_subsec_nanos()));
        }
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .map(Self::of_naive)
    }

    fn of_naive(t: NaiveDateTime) -> Self {
        Self::from_parts(t.and_utc().timestamp(), t.and_utc().timestamp_subsec_nanos())
    }

    /// `None` if the instant lies outside the years that `chrono` knows.
    pub fn to_chrono(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(
            i64::try_from(self.0.div_euclid(NANOS)).ok()?,
            u32::try_from(self.0.rem_euclid(NANOS)).ok()?,
        )
    }

    /// RFC 3339 in UTC with a final `Z` and `digits` fraction digits, cut and not rounded.
    pub fn to_rfc3339(self, digits: usize) -> String {
        let Some(t) = self.to_chrono() else { return self.0.to_string() };
        let seconds = t.format("%Y-%m-%dT%H:%M:%S").to_string();
        if digits == 0 {
            return format!("{seconds}Z");
        }
        let fraction = format!("{:09}", t.timestamp_subsec_nanos());
        format!("{seconds}.{}Z", &fraction[..digits.min(9)])
    }
}

/// How order values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorKind {
    /// Timestamps, compared as points in time whatever their spelling.
    Instant,
    /// Points in time as whole seconds since 1970.
    EpochSeconds,
    /// Points in time as whole milliseconds since 1970.
    EpochMillis,
    /// Calendar days.
    Date,
    /// Whole numbers, as JSON numbers or as text.
    Integer,
    /// Text, compared by code points.
    Text,
}

/// The smallest difference by which a service can filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nanoseconds between two instants that the service can tell apart.
    Nanos(u64),
    /// One calendar day.
    Day,
    /// One whole number.
    One,
    /// Values have no next one (text).
    None,
}

impl Step {
    /// One second.
    pub const SECOND: Step = Step::Nanos(1_000_000_000);
    /// One millisecond.
    pub const MILLISECOND: Step = Step::Nanos(1_000_000);
    /// One microsecond.
    pub const MICROSECOND: Step = Step::Nanos(1_000);

    /// Fraction digits that show this step.
    fn digits(self) -> usize {
        match self {
            Step::Nanos(n) if n % 1_000_000_000 == 0 => 0,
            Step::Nanos(n) if n % 1_000_000 == 0 => 3,
            Step::Nanos(n) if n % 1_000 == 0 => 6,
            Step::Nanos(_) => 9,
            _ => 0,
        }
    }
}

/// What a [`Cursor`] is compared by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparable {
    /// A point in time.
    Instant(Instant),
    /// Days since 1970-01-01.
    Date(i32),
    /// A whole number.
    Integer(i128),
    /// Text.
    Text(Box<str>),
}

/// An order value as the service wrote it, compared by kind: `10:00:00Z` equals `10:00:00.000Z`.
#[derive(Clone)]
pub struct Cursor {
    raw: Box<str>,
    kind: CursorKind,
    parsed: Comparable,
}

impl Cursor {
    /// Reads `raw` as `kind`.
    ///
    /// # Errors
    /// [`ErrorKind::DataInvalid`](crate::ErrorKind::DataInvalid) if it is not of that kind.
    pub fn parse(kind: CursorKind, raw: &str) -> Result<Self> {
        let parsed = match kind {
            CursorKind::Instant => Instant::parse(raw).map(Comparable::Instant),
            CursorKind::EpochSeconds | CursorKind::EpochMillis => {
                let count: Option<i64> = raw.trim().parse().ok();
                let nanos = count.map(|count| i128::from(count) * kind.unit());
                nanos.map(|nanos| Comparable::Instant(Instant::from_nanos(nanos)))
            }
            CursorKind::Date => NaiveDate::parse_from_str(raw.trim(), "%Y-%m-%d")
                .ok()
                .map(|d| Comparable::Date(days_of(d))),
            CursorKind::Integer => raw.trim().parse().ok().map(Comparable::Integer),
            CursorKind::Text => Some(Comparable::Text(raw.into())),
        };
        match parsed {
            Some(parsed) => Ok(Self { raw: raw.into(), kind, parsed }),
            None => Err(Error::new(
                crate::ErrorKind::DataInvalid,
                format!("'{}' is not {}", excerpt(raw), kind.describe()),
            )),
        }
    }

    /// A point in time written by us, rounded down to the table's `step`: RFC 3339 UTC, a whole
    /// number, or a date.
    ///
    /// `None` for kinds that are not of time.
    pub fn of_time(kind: CursorKind, instant: Instant, step: Step) -> Option<Self> {
        match kind {
            CursorKind::Instant | CursorKind::EpochSeconds | CursorKind::EpochMillis => {
                Some(Self::of_instant(kind, instant, step))
            }
            CursorKind::Date => {
                let days = i32::try_from(instant.seconds().div_euclid(86_400)).ok()?;
                Some(Self::of_days(days))
            }
            CursorKind::Integer | CursorKind::Text => None,
        }
    }

    fn of_instant(kind: CursorKind, instant: Instant, step: Step) -> Self {
        let instant = match step {
            Step::Nanos(nanos) => instant.floor(i128::from(nanos).max(kind.unit())),
            _ => instant,
        };
        let raw = match kind {
            CursorKind::EpochSeconds | CursorKind::EpochMillis => {
                instant.nanos().div_euclid(kind.unit()).to_string()
            }
            _ => instant.to_rfc3339(step.digits()),
        };

        Self { raw: raw.into(), kind, parsed: Comparable::Instant(instant) }
    }

    fn of_days(days: i32) -> Self {
        let raw = date_of(days).format("%Y-%m-%d").to_string().into();

        Self { raw, kind: CursorKind::Date, parsed: Comparable::Date(days) }
    }

    /// The service's own text.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// What it is compared by.
    pub fn comparable(&self) -> &Comparable {
        &self.parsed
    }

    /// The point in time, for instants and (at midnight UTC) dates.
    pub fn instant(&self) -> Option<Instant> {
        match self.parsed {
            Comparable::Instant(i) => Some(i),
            Comparable::Date(days) => Some(Instant::from_parts(i64::from(days) * 86_400, 0)),
            _ => None,
        }
    }

    /// The value `steps` steps later, or earlier if negative; itself if the kind has no step.
    pub fn moved(&self, step: Step, steps: i64) -> Self {
        match (&self.parsed, step) {
            (Comparable::Instant(i), Step::Nanos(n)) => {
                let moved = i.plus_nanos(i128::from(n) * i128::from(steps));
                Self::of_instant(self.kind, moved, finer(step, *i))
            }
            (Comparable::Date(d), Step::Day) => {
                Self::of_days(d.saturating_add(i32::try_from(steps).unwrap_or(i32::MAX)))
            }
            (Comparable::Integer(i), Step::One) => {
                let moved = i + i128::from(steps);
                let parsed = Comparable::Integer(moved);
                Self { raw: moved.to_string().into(), kind: self.kind, parsed }
            }
            _ => self.clone(),
        }
    }

    /// The value that lies `nanos` earlier; dates move by whole days, rounded up.
    pub fn minus_nanos(&self, nanos: u128, step: Step) -> Self {
        match &self.parsed {
            Comparable::Instant(i) => {
                let nanos = i128::try_from(nanos).unwrap_or(i128::MAX / 2);
                Self::of_instant(self.kind, i.plus_nanos(-nanos), finer(step, *i))
            }
            Comparable::Date(_) => {
                let days = nanos.div_ceil(86_400_000_000_000);
                self.moved(Step::Day, -i64::try_from(days).unwrap_or(0))
            }
            _ => self.clone(),
        }
    }
}

/// `step`, or a finer one if `instant` has digits that `step` would cut.
fn finer(step: Step, instant: Instant) -> Step {
    match step {
        Step::Nanos(n) if instant.nanos().rem_euclid(i128::from(n.max(1))) != 0 => {
            [Step::MILLISECOND, Step::MICROSECOND]
                .into_iter()
                .find(|s| matches!(s, Step::Nanos(n) if instant.nanos() % i128::from(*n) == 0))
                .unwrap_or(Step::Nanos(1))
        }
        other => other,
    }
}

impl CursorKind {
    /// Nanoseconds that one unit of a count stands for.
    fn unit(self) -> i128 {
        match self {
            CursorKind::EpochSeconds => 1_000_000_000,
            CursorKind::EpochMillis => 1_000_000,
            _ => 1,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            CursorKind::Instant => "an ISO 8601 timestamp",
            CursorKind::EpochSeconds => "a number of seconds since 1970",
            CursorKind::EpochMillis => "a number of milliseconds since 1970",
            CursorKind::Date => "a date (YYYY-MM-DD)",
            CursorKind::Integer => "a whole number",
            CursorKind::Text => "text",
        }
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

fn days_of(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or(i32::MAX)
}

fn date_of(days: i32) -> NaiveDate {
    NaiveDate::default()
        .checked_add_signed(chrono::Duration::days(i64::from(days)))
        .unwrap_or_default()
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.parsed == other.parsed
    }
}

impl Eq for Cursor {}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parsed.cmp(&other.parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Cursor {
        Cursor::parse(CursorKind::Instant, text).unwrap()
    }

    #[test]
    fn spellings_of_one_instant_are_equal_and_keep_their_text() {
        let a = instant("2031-03-01T10:00:00Z");
        for other in [
            "2031-03-01T10:00:00.000Z",
            "2031-03-01T12:00:00+02:00",
            "2031-03-01 10:00:00",
            "2031-03-01T10:00:00+0000",
        ] {
            assert_eq!(a, instant(other));
            assert_eq!(instant(other).raw(), other);
        }
        assert!(a < instant("2031-03-01T10:00:00.0000001Z"));
    }

    #[test]
    fn moved_writes_rfc3339_at_the_step_and_loses_no_digit() {
        let cases = [
            ("2031-03-01T10:00:05Z", Step::SECOND, -1, "2031-03-01T10:00:04Z"),
            ("2031-03-01T00:00:00Z", Step::MICROSECOND, -1, "2031-02-28T23:59:59.999999Z"),
            ("2031-03-01T10:00:05.1234567Z", Step::SECOND, 1, "2031-03-01T10:00:06.123456700Z"),
        ];
        for (from, step, steps, expected) in cases {
            assert_eq!(instant(from).moved(step, steps).raw(), expected);
        }
        let day = Cursor::parse(CursorKind::Date, "2024-03-01").unwrap();
        assert_eq!(day.moved(Step::Day, -1).raw(), "2024-02-29");
        assert_eq!(day.minus_nanos(1, Step::Day).raw(), "2024-02-29");
        let n = Cursor::parse(CursorKind::Integer, "41").unwrap();
        assert_eq!(n.moved(Step::One, 1).raw(), "42");
    }

    #[test]
    fn times_of_ours_are_what_their_text_says() {
        let instant = Instant::from_parts(1_930_298_405, 500_000_000);
        let of = |kind, step| Cursor::of_time(kind, instant, step);

        let second = of(CursorKind::Instant, Step::SECOND).unwrap();
        assert_eq!(second.raw(), "2031-03-03T10:00:05Z");
        assert_eq!(second, Cursor::parse(CursorKind::Instant, second.raw()).unwrap());
        assert_eq!(of(CursorKind::Date, Step::Day).unwrap().raw(), "2031-03-03");
        assert_eq!(of(CursorKind::Integer, Step::One), None);
        let millis = of(CursorKind::EpochMillis, Step::MILLISECOND).unwrap();
        assert_eq!(millis.raw(), "1930298405500");
        assert_eq!(millis.moved(Step::MILLISECOND, -1).raw(), "1930298405499");
        let epoch = of(CursorKind::EpochSeconds, Step::SECOND).unwrap();
        assert_eq!(epoch.raw(), "1930298405");
        assert_eq!(epoch, second);
        assert_eq!(epoch.minus_nanos(1_500_000_000, Step::SECOND).raw(), "1930298403");
    }

    #[test]
    fn integers_compare_by_value() {
        let parse = |t| Cursor::parse(CursorKind::Integer, t).unwrap();
        assert!(parse("9") < parse("10"));
    }
}
