//! How fast a service is asked that refuses requests: found by trial, because its limits are not
//! known, or because others use them too.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Pause after a refusal that does not say when to come back; each further one in a row makes it
/// so many times longer, up to the longest.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(1);
const PAUSE_GROWTH: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What passed before a refusal is taken for the limit; this part of it is used from then on.
const PART: f64 = 0.95;

/// Fewer requests than these, before a first refusal, do not show that a limit is below one a
/// second, or below one in the pause that was asked for.
const FEW: u32 = 8;
const LEAST: f64 = 1.0;

/// A refusal at a rate that was kept lowers it to this part at most: how many requests a slow
/// process sent in a second says little.
const LOWERED: f64 = 0.8;

/// Requests a second with which a process begins once it was refused, if others use the limit too:
/// all of them are refused at about the same time, and rise alike from here until one is again.
const BEGIN: f64 = 2.0;

/// A refusal while the rate was rising from a guess lowers it to this part at most.
const OVERSHOT: f64 = 0.5;

/// After so many times the pause after the last refusal, longer by as much as others use the limit
/// too, it is tried whether the service takes more. That costs about one refusal in a hundred
/// requests of all, and a pause in so much time.
const PATIENT_PAUSES: f64 = 20.0;

/// Nobody's part is taken for less.
const LEAST_PART: f64 = 0.01;

/// After so many answers without any refusal each raises the part that this process may use.
const UNREFUSED: u32 = 100;
pub(crate) const RISE: f64 = 1.02;

/// The factor by which the rate rises in the first second, and how much that grows in each further
/// one, more so where others may have left their parts; a guess rises by the largest one.
const FIRST_RISE: f64 = 1.1;
const GROWTH_ALONE: f64 = 0.05;
const GROWTH_SHARED: f64 = 0.1;
const LARGEST_RISE: f64 = 2.0;

/// A higher rate is no longer kept to: nobody sends faster.
const UNBOUNDED: f64 = 200.0;

/// Requests that are remembered as let through.
const REMEMBERED: usize = 1024;

/// The rate of requests to a service.
#[derive(Default)]
pub(crate) struct Pace {
    refusal: Option<Refusal>,
    /// When the latest requests that were let through were sent.
    passed: VecDeque<Instant>,
    /// Answers since the rate was last bounded.
    free: u32,
    last: Option<Instant>,
}

/// The last refusal, and the rate that follows from it.
struct Refusal {
    /// When the request was sent.
    sent: Instant,
    /// When the refusal was known: what was sent until then says nothing new.
    known: Instant,
    /// When the first one in its row was sent, and how many there are.
    first: Instant,
    row: u32,
    /// No request before.
    until: Instant,
    /// Whether others may use the limit too.
    shared: bool,
    /// When the first request after it was sent with which a higher rate was tried.
    rises: Option<Instant>,
    /// How far before `first` requests count, which is as long as is waited after it.
    span: Duration,
    /// The rate at which it came, if one was kept, and whether that had risen from a guess.
    kept: Option<f64>,
    overshot: bool,
    /// Requests per second, and whether that is a guess which is rather too low.
    guessed: bool,
    rate: f64,
}

impl Pace {
    /// Whether the rate is bounded.
    pub(crate) fn is_bounded(&self) -> bool {
        self.refusal.is_some()
    }

    /// When the next request may be sent.
    pub(crate) fn next(&self) -> Option<Instant> {
        let refusal = self.refusal.as_ref()?;
        let gap = Duration::try_from_secs_f64(1.0 / refusal.rate).unwrap_or(LONGEST_PAUSE);

        Some(self.last.map_or(refusal.until, |last| refusal.until.max(last + gap)))
    }

    /// Notes that a request is sent.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// Notes that the request of `sent` was let through; says whether it is time to try for more. This
    /// process has `part` of the limit.
    pub(crate) fn passed(&mut self, sent: Instant, part: f64) -> bool {
        if self.passed.len() == REMEMBERED {
            self.passed.pop_front();
        }
        self.passed.push_back(sent);
        if self.refusal.as_ref().is_some_and(|refusal| sent <= refusal.known) {
            self.estimate();
            return false;
        }
        let Some(refusal) = &mut self.refusal else {
            self.free = self.free.saturating_add(1);
            return self.free > UNREFUSED;
        };
        refusal.row = 0;
        let patience = refusal.span.mul_f64(PATIENT_PAUSES / part.clamp(LEAST_PART, 1.0));
        if !refusal.guessed && sent < refusal.known + patience {
            return false;
        }
        let since = *refusal.rises.get_or_insert(sent);
        let seconds = sent.saturating_duration_since(since).as_secs_f64();
        let growth = if refusal.shared { GROWTH_SHARED } else { GROWTH_ALONE };
        let in_a_second = match refusal.guessed {
            true => LARGEST_RISE,
            false => (FIRST_RISE + growth * seconds).min(LARGEST_RISE),
        };
        refusal.rate *= in_a_second.powf(1.0 / refusal.rate).min(LARGEST_RISE);
        self.refusal.take_if(|refusal| refusal.rate > UNBOUNDED);

        true
    }

    /// Notes that the request of `sent` was refused, `asked` being the pause that the service asks
    /// for, and which others see to; `shared`: whether other processes may use the limit too.
    pub(crate) fn refused(
        &mut self,
        sent: Instant,
        now: Instant,
        asked: Option<Duration>,
        shared: bool,
    ) {
        self.free = 0;
        let before = self.refusal.take();
        if before.as_ref().is_some_and(|before| sent <= before.known) {
            self.refusal = before;
            return;
        }
        let (row, first) = match &before {
            Some(before) if before.row > 0 => (before.row + 1, before.first),
            _ => (1, sent),
        };
        let own = || (FIRST_PAUSE * PAUSE_GROWTH.saturating_pow(row - 1)).min(LONGEST_PAUSE);
        let pause = asked.unwrap_or_else(own);
        self.refusal = Some(Refusal {
            sent,
            known: now,
            first,
            row,
            until: if asked.is_some() { now } else { now + pause },
            shared,
            rises: None,
            span: pause,
            kept: before.as_ref().map(|before| before.rate),
            overshot: before.is_some_and(|before| before.guessed),
            guessed: false,
            rate: 0.0,
        });
        self.estimate();
    }

    /// Concludes the rate from what was let through before the refusal.
    fn estimate(&mut self) {
        let Some(refusal) = &mut self.refusal else { return };
        let before = |at: Instant| refusal.first.saturating_duration_since(at);
        let inside = self.passed.iter().filter(|at| **at <= refusal.sent);
        let inside: Vec<_> = inside.filter(|at| before(**at) < refusal.span).collect();
        let count = u32::try_from(inside.len()).unwrap_or(u32::MAX);
        let oldest = inside.into_iter().min().filter(|_| count as usize == REMEMBERED);
        let span = oldest.map_or(refusal.span, |at| before(*at));
        let span = span + refusal.sent.saturating_duration_since(refusal.first);
        let found = f64::from(count) / span.as_secs_f64();
        if let Some(kept) = refusal.kept.filter(|_| refusal.row == 1) {
            let lowered = if refusal.overshot { OVERSHOT } else { LOWERED };
            refusal.rate = (found * PART).clamp(kept * lowered, kept * PART);
            return;
        }
        let young = self.passed.front().is_none_or(|at| before(*at) < 2 * refusal.span);
        if refusal.kept.is_none() && refusal.shared && young {
            // What others had at the same time is not known.
            refusal.guessed = true;
            let least = BEGIN / refusal.span.as_secs_f64().max(1.0);
            refusal.rate = (found * PART).min(BEGIN).max(least);
            return;
        }
        let unknown = count == 0 || count < FEW && refusal.row == 1;
        let least = if unknown { LEAST.max(1.0 / refusal.span.as_secs_f64()) } else { 0.0 };
        refusal.guessed = found < least;
        let below = refusal.kept.map_or(f64::INFINITY, |kept| kept * PART);
        refusal.rate = (found * PART).max(least).min(below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// When the pace lets the next requests through, in milliseconds after `from`.
    fn next(pace: &mut Pace, from: Instant, requests: usize) -> Vec<u128> {
        let times = (0..requests).map(|_| {
            let at = pace.next().unwrap();
            pace.sent(at);
            (at - from).as_millis()
        });

        times.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn rate_after_a_refusal_is_a_little_less_than_what_was_let_through() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for at in 0..19 {
            assert!(!pace.passed(start + ms(at * 100), 1.0));
        }
        assert!(!pace.is_bounded());
        pace.refused(start + ms(1900), start + ms(1950), None, false);
        assert_eq!(next(&mut pace, start, 3), [2950, 3066, 3183], "9 in a second, less a part");

        // The answers of what was on its way are late: more was let through than seemed.
        pace.passed(start + ms(1890), 1.0);
        assert_eq!(next(&mut pace, start, 2), [3289, 3394], "10 in a second");
        // Refusals of what was on its way say nothing new.
        pace.refused(start + ms(1950), start + ms(2000), None, false);
        assert_eq!(next(&mut pace, start, 1), [3499]);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_while_every_request_is_refused() {
        let mut now = Instant::now();
        let mut pace = Pace::default();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pace.refused(now, now, None, false);
            let next = pace.next().unwrap();
            pauses.push((next - now).as_secs());
            now = next;
            pace.sent(now);
        }
        assert_eq!(pauses, [1, 4, 16, 64, 256, 300, 300]);

        pace.passed(now, 1.0);
        now += ms(1000);
        pace.refused(now, now, None, false);
        assert_eq!((pace.next().unwrap() - now).as_secs(), 1, "one that passes ends the row");
    }

    #[tokio::test(start_paused = true)]
    async fn rate_is_kept_for_a_while_and_then_raised_until_nobody_sends_faster() {
        let start = Instant::now();
        let mut pace = Pace::default();
        (0..10).for_each(|_| _ = pace.passed(start, 1.0));
        pace.refused(start, start, Some(ms(1000)), false);
        let mut gaps = Vec::new();
        let mut last = start;
        while pace.is_bounded() {
            let next = pace.next().unwrap();
            gaps.push((next - last).as_millis());
            last = next;
            pace.sent(next);
            pace.passed(next + ms(1), 1.0);
        }
        assert_eq!(gaps[..192], [&[0][..], &[105; 190], &[104]].concat());
        assert_eq!((gaps.len(), gaps.last()), (681, Some(&5)));
    }
}
