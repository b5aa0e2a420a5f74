//! How long to pause before a request is repeated.

use lakeflow_core::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Reads `Retry-After`: seconds, fractions allowed, or an HTTP date, of which the time left after
/// `now` remains; nothing remains of a past one. `None` for anything else.
pub(crate) fn retry_after(value: &str, now: Instant) -> Option<Duration> {
    let value = value.trim();
    let is_number = value.starts_with(|c: char| c.is_ascii_digit())
        && value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_number {
        let seconds: f64 = value.parse().ok()?;
        return Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }

    http_date(value).map(|then| until(then, now))
}

/// The time left from `now` to `then`, zero if that is past.
pub(crate) fn until(then: Instant, now: Instant) -> Duration {
    let left = then.nanos().saturating_sub(now.nanos()).max(0);
    Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
}

/// Reads an HTTP date in any of the three forms of RFC 9110, 5.6.7.
pub(crate) fn http_date(value: &str) -> Option<Instant> {
    let time: SystemTime = httpdate::parse_http_date(value.trim()).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(Instant::from_parts(i64::try_from(since.as_secs()).ok()?, since.subsec_nanos()))
}

/// Highest pause before repeat number `retry`, counted from 0.
fn ceiling(retry: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(retry)).min(LONGEST)
}

/// A pause with full jitter: anything up to the ceiling, which doubles with each repeat.
pub(crate) fn backoff(retry: u32) -> Duration {
    ceiling(retry).mul_f64(fastrand::f64())
}

/// The pause to make when the service asks for `asked`.
///
/// Zero (a limit that was reset in the past, clocks that differ) becomes the upper half of the
/// jittered pause: a service that keeps answering so must not be asked in a tight loop.
pub(crate) fn pause(asked: Duration, retry: u32) -> Duration {
    if asked.is_zero() { ceiling(retry).mul_f64(0.5 + fastrand::f64() / 2.0) } else { asked }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_924_992_000; // 2031-01-01T00:00:00Z

    fn read(value: &str) -> Option<Duration> {
        retry_after(value, Instant::from_parts(NOW, 0))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let cases = [
            ("0", Some(Duration::ZERO)),
            (" 120 ", Some(Duration::from_secs(120))),
            ("1.5", Some(Duration::from_millis(1500))),
            ("99999999999999999999999999", Some(Duration::MAX)),
            ("Wed, 01 Jan 2031 00:01:00 GMT", Some(Duration::from_secs(60))),
            ("Wednesday, 01-Jan-31 00:01:00 GMT", Some(Duration::from_secs(60))),
            ("Wed Jan  1 00:01:00 2031", Some(Duration::from_secs(60))),
            ("Tue, 31 Dec 2030 23:59:59 GMT", Some(Duration::ZERO)),
            ("", None),
            ("-5", None),
            ("soon", None),
            ("1.2.3", None),
            ("inf", None),
            ("2031-01-01T00:01:00Z", None),
        ];
        for (value, expected) in cases {
            assert_eq!(read(value), expected, "{value:?}");
        }
    }

    #[test]
    fn ceilings_double_up_to_thirty_seconds() {
        let ceilings: Vec<_> = (0..8).map(|r| ceiling(r).as_millis()).collect();
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(ceiling(u32::MAX), LONGEST);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(value in ".*") {
            let _ = read(&value);
        }

        #[test]
        fn dates_and_seconds_round_trip(seconds in 0_u32..100_000_000) {
            let then = UNIX_EPOCH + Duration::from_secs(NOW as u64 + u64::from(seconds));
            let expected = Some(Duration::from_secs(seconds.into()));
            prop_assert_eq!(read(&httpdate::fmt_http_date(then)), expected);
            prop_assert_eq!(read(&seconds.to_string()), expected);
        }

        #[test]
        fn pauses_stay_in_their_bounds(retry in 0_u32..20, asked in 0_u64..5) {
            prop_assert!(backoff(retry) <= ceiling(retry));
            let made = pause(Duration::from_secs(asked), retry);
            if asked == 0 {
                prop_assert!(made >= ceiling(retry) / 2 && made <= ceiling(retry));
            } else {
                prop_assert_eq!(made, Duration::from_secs(asked));
            }
        }
    }
}
