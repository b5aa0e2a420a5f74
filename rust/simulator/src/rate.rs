//! Request budgets: windows that follow each other, windows that roll, buckets that leak.

use crate::answer::{Answer, add_header, of_reply};
use crate::fault::fits;
use crate::spec::{RateKind, RateLimitSpec};
use crate::value::Value;
use lakeflow_core::Instant;
use std::collections::VecDeque;

const SECOND: i128 = 1_000_000_000;

/// What a source's limits have seen.
#[derive(Default)]
pub(crate) struct Rates(Vec<(RateLimitSpec, Budget)>);

struct Budget {
    /// Requests beyond which the source refuses; none: it never does.
    enforced: Option<u64>,
    /// When the requests of the window came, oldest first.
    times: VecDeque<Instant>,
    window_start: Instant,
    used: u64,
    /// Content of the bucket in billionths of a request.
    level: i128,
    level_at: Instant,
}

/// The state of a budget as headers tell it.
struct Shown {
    limit: u64,
    used: u64,
    reset: Instant,
    retry_after: i64,
}

impl Rates {
    /// `own`: the first limit is enforced with this number. `all`: each with the documented one.
    pub(crate) fn new(specs: Vec<RateLimitSpec>, own: Option<u64>, all: bool) -> Self {
        let budget = |(at, spec): (usize, RateLimitSpec)| {
            let documented = all.then_some(spec.limit);
            let enforced = if at == 0 { own.or(documented) } else { documented };
            let start = Instant::from_parts(0, 0);
            let budget = Budget {
                enforced,
                times: VecDeque::new(),
                window_start: start,
                used: 0,
                level: 0,
                level_at: start,
            };
            (spec, budget)
        };
        Self(specs.into_iter().enumerate().map(budget).collect())
    }

    /// Counts a request; the answer that refuses it if a budget is exhausted.
    pub(crate) fn admit(&mut self, path: &str, now: Instant) -> Option<Answer> {
        for (spec, budget) in &mut self.0 {
            if counts(spec, path) && !budget.take(spec, now) {
                let shown = budget.shown(spec, now);
                return Some(of_reply(&spec.exceeded, &|name: &str| shown.name(name, now)));
            }
        }

        None
    }

    /// Adds the headers that tell of the budgets.
    pub(crate) fn add_headers(&self, path: &str, now: Instant, answer: &mut Answer) {
        for (spec, budget) in self.0.iter().filter(|(spec, _)| counts(spec, path)) {
            let shown = budget.shown(spec, now);
            for (name, value) in spec.headers.iter() {
                let value = value.render_text(&|name: &str| shown.name(name, now));
                add_header(answer, name, value);
            }
        }
    }
}

fn counts(spec: &RateLimitSpec, path: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, path));
    any(&spec.on) && !any(&spec.except)
}

impl Budget {
    /// Whether one more request is within the budget.
    fn take(&mut self, spec: &RateLimitSpec, now: Instant) -> bool {
        let Some(limit) = self.enforced else { return true };
        let window = i128::from(spec.window_seconds) * SECOND;
        match spec.kind {
            RateKind::Fixed => {
                if now.nanos() >= self.window_start.nanos() + window {
                    self.window_start = now;
                    self.used = 0;
                }
                self.used += 1;
                self.used <= limit
            }
            RateKind::Rolling => {
                while self.times.front().is_some_and(|at| at.nanos() + window <= now.nanos()) {
                    self.times.pop_front();
                }
                let free = (self.times.len() as u64) < limit;
                if free {
                    self.times.push_back(now);
                }
                free
            }
            RateKind::LeakyBucket => {
                let leaked = (now.nanos() - self.level_at.nanos()) * leak(spec);
                self.level = (self.level - leaked).max(0);
                self.level_at = now;
                let free = self.level + SECOND <= i128::from(limit) * SECOND;
                if free {
                    self.level += SECOND;
                }
                free
            }
        }
    }

    /// While nobody enforces a limit the headers show one request used: a client that paces itself
    /// by them would else be slowed down by numbers nobody acts on.
    fn shown(&self, spec: &RateLimitSpec, now: Instant) -> Shown {
        let window = i128::from(spec.window_seconds) * SECOND;
        let limit = self.enforced.unwrap_or(spec.limit);
        let (used, reset, wait) = match (self.enforced, spec.kind) {
            (None, RateKind::LeakyBucket) => (1, now, 0),
            (None, _) => (1, now.plus_nanos(window), 0),
            (_, RateKind::Fixed) => {
                let reset = self.window_start.plus_nanos(window);
                (self.used.min(limit), reset, reset.nanos() - now.nanos())
            }
            (_, RateKind::Rolling) => {
                let oldest = self.times.front().copied().unwrap_or(now);
                let free = oldest.plus_nanos(window);
                (self.times.len() as u64, free, free.nanos() - now.nanos())
            }
            (_, RateKind::LeakyBucket) => {
                let used = (self.level + SECOND - 1) / SECOND;
                let over = self.level + SECOND - i128::from(limit) * SECOND;
                let reset = now.plus_nanos(self.level / leak(spec));
                (u64::try_from(used).unwrap_or(0), reset, over / leak(spec))
            }
        };
        let seconds = (wait.max(0) + SECOND - 1) / SECOND;
        Shown { limit, used, reset, retry_after: i64::try_from(seconds).unwrap_or(i64::MAX).max(1) }
    }
}

fn leak(spec: &RateLimitSpec) -> i128 {
    i128::from(spec.leak_per_second.max(1))
}

impl Shown {
    fn name(&self, name: &str, now: Instant) -> Value {
        let number = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        match name {
            "limit" => number(self.limit),
            "used" => number(self.used),
            "remaining" => number(self.limit.saturating_sub(self.used)),
            "reset_epoch" => Value::Integer(self.reset.seconds()),
            "reset_seconds" => Value::Integer(self.reset.seconds() - now.seconds()),
            "retry_after" => Value::Integer(self.retry_after),
            _ => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(yaml: &str) -> Vec<RateLimitSpec> {
        vec![serde_saphyr::from_str(yaml).unwrap()]
    }

    /// At each millisecond: whether the request passes, the remaining number, the wait.
    fn run(yaml: &str, at_ms: &[i64]) -> Vec<(bool, String, String)> {
        let specs = limits(yaml);
        let exceeded = specs[0].exceeded.clone();
        let mut rates = Rates::new(specs, None, true);
        at_ms
            .iter()
            .map(|ms| {
                let now = Instant::from_parts(1_000, 0).plus_nanos(i128::from(*ms) * 1_000_000);
                let mut answer = rates.admit("/x", now);
                let passed = answer.is_none();
                let mut answer =
                    answer.take().unwrap_or_else(|| of_reply(&exceeded, &|_: &str| Value::Null));
                rates.add_headers("/x", now, &mut answer);
                let header =
                    |name: &str| answer.headers.iter().find(|(n, _)| n == name).unwrap().1.clone();
                (passed, header("left"), if passed { String::new() } else { header("retry-after") })
            })
            .collect()
    }

    #[test]
    fn each_kind_of_budget_refuses_and_recovers_in_its_own_way() {
        let tail = "headers: {left: '${remaining}'}\nexceeded: {status: 429, headers: {retry-after: '${retry_after}'}, body: {}}";
        let pass = |left: &str| (true, left.to_owned(), String::new());
        let refuse = |wait: &str| (false, "0".to_owned(), wait.to_owned());
        let fixed = run(
            &format!("limit: 2\nwindow_seconds: 10\n{tail}"),
            &[0, 9_000, 9_500, 10_000, 10_001, 10_002],
        );
        assert_eq!(fixed, [pass("1"), pass("0"), refuse("1"), pass("1"), pass("0"), refuse("10")]);
        let rolling = run(
            &format!("kind: rolling\nlimit: 2\nwindow_seconds: 10\n{tail}"),
            &[0, 9_000, 9_500, 10_000, 10_001],
        );
        assert_eq!(rolling, [pass("1"), pass("0"), refuse("1"), pass("0"), refuse("9")]);
        let bucket = run(
            &format!("kind: leaky_bucket\nlimit: 2\nleak_per_second: 2\n{tail}"),
            &[0, 1, 2, 502, 503],
        );
        assert_eq!(bucket, [pass("1"), pass("0"), refuse("1"), pass("0"), refuse("1")]);
    }
}
