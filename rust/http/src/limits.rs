//! How many requests a credential may send: declared by the connector, learned from answers.

use crate::auth::Auth;
use crate::registry::Registry;
use crate::reply::Wait;
use lakeflow_core::{Error, ErrorKind, Instant as Moment, Result, Retry};
use reqwest::header::HeaderMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout};

/// A bucket that is fuller than this part is only filled as fast as it drains.
const BUCKET_PART: f64 = 0.8;

/// Windows whose ends differ by no more are one: services count in whole seconds.
const SAME_WINDOW: Duration = Duration::from_secs(2);

/// Distance between requests after a refusal that does not say when to come back.
const FIRST_GAP: Duration = Duration::from_secs(1);

/// Each further such refusal makes the distance so many times longer, up to the longest.
const GAP_GROWTH: u32 = 4;
const LONGEST_GAP: Duration = Duration::from_secs(300);

/// Each answer makes it shorter by this part; what is below the shortest is none.
const GAP_PART: f64 = 0.98;
const SHORTEST_GAP: Duration = Duration::from_millis(10);

/// So many requests in any span of time of a window's length.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    requests: u32,
    window: Duration,
    cost: fn(&str) -> u32,
}

impl Budget {
    /// `requests` per `window`, counting every request once.
    pub const fn new(requests: u32, window: Duration) -> Self {
        Self { requests, window, cost: |_| 1 }
    }

    /// What a request costs, by its path from the root of the host; those of cost 0 are not held
    /// back by this budget.
    pub const fn cost(mut self, cost: fn(&str) -> u32) -> Self {
        self.cost = cost;
        self
    }
}

/// What an answer's headers say of further requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowance {
    /// So many more requests until the limit is reset.
    Window {
        /// Requests that are left.
        remaining: u64,
        /// When there are more.
        reset: Wait,
    },
    /// A leaky bucket: requests fill it, and it drains steadily.
    Bucket {
        /// Requests in it.
        used: f64,
        /// Requests that fit.
        size: f64,
        /// Requests that drain in a second.
        per_second: f64,
    },
}

impl Allowance {
    /// A window by the headers `remaining` and `reset`, the latter in seconds from now.
    pub fn seconds_left(headers: &Headers<'_>, remaining: &str, reset: &str) -> Option<Self> {
        let seconds = headers.text(reset)?.parse().ok()?;
        let reset = Wait::For(Duration::try_from_secs_f64(seconds).ok()?);

        Some(Self::Window { remaining: headers.number(remaining)?, reset })
    }

    /// A window by the headers `remaining` and `reset`, the latter in seconds since 1970.
    pub fn epoch_seconds(headers: &Headers<'_>, remaining: &str, reset: &str) -> Option<Self> {
        let seconds = headers.text(reset)?.parse().ok()?;
        let reset = Wait::Until(Moment::from_parts(seconds, 0));

        Some(Self::Window { remaining: headers.number(remaining)?, reset })
    }
}

/// Headers of an answer.
pub struct Headers<'a>(pub(crate) &'a HeaderMap);

impl Headers<'_> {
    /// The first value of a header, if it is ASCII text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok().map(str::trim)
    }

    /// The first value of a header, if it is a whole number from 0.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

/// Reads an [`Allowance`] from headers.
pub(crate) type Learn = Box<dyn Fn(&Headers<'_>) -> Option<Allowance> + Send + Sync>;

/// What is shared by all clients of one origin, credential and declaration in this process.
#[derive(Clone, PartialEq)]
struct Key {
    origin: String,
    auth: Auth,
    budgets: Vec<(u32, Duration)>,
    concurrent: Option<usize>,
}

static LIMITS: Registry<Key, Limits> = Registry::new();

/// The state of one credential's limits.
pub(crate) struct Limits {
    budgets: Vec<Budget>,
    at_once: Option<Semaphore>,
    /// Requests that use the same budgets go out in the order in which they came, for one that
    /// others overtake might wait for ever. One turn for each set of budgets, a bit each.
    turns: Vec<Turn>,
    state: Mutex<State>,
}

type Turn = tokio::sync::Mutex<()>;

#[derive(Default)]
struct State {
    /// No request is sent before, because the service asked one of them to wait.
    not_before: Option<Instant>,
    /// Time and cost of what was sent in the window of each budget.
    sent: Vec<VecDeque<(Instant, u32)>>,
    window: Option<Window>,
    bucket: Option<Bucket>,
    pace: Option<Pace>,
}

/// How fast a service is asked that refuses requests without saying when to come back.
#[derive(Clone, Copy)]
struct Pace {
    gap: Duration,
    /// When the distance last grew.
    since: Instant,
    /// No request before.
    next: Instant,
}

#[derive(Clone, Copy)]
struct Window {
    remaining: u64,
    reset: Instant,
}

#[derive(Clone, Copy)]
struct Bucket {
    level: f64,
    size: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    fn level(&self, now: Instant) -> f64 {
        let drained = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        (self.level - drained).max(0.0)
    }
}

impl Limits {
    pub(crate) fn shared(
        origin: String,
        auth: &Auth,
        budgets: Vec<Budget>,
        concurrent: Option<usize>,
    ) -> Arc<Self> {
        let key = Key {
            origin,
            auth: auth.identity(),
            budgets: budgets.iter().map(|b| (b.requests, b.window)).collect(),
            concurrent,
        };
        LIMITS.get(key, || Self::new(budgets, concurrent))
    }

    fn new(budgets: Vec<Budget>, concurrent: Option<usize>) -> Self {
        let sent = budgets.iter().map(|_| VecDeque::new()).collect();
        Self {
            at_once: concurrent.map(Semaphore::new),
            turns: (0..1_usize << budgets.len()).map(|_| Turn::default()).collect(),
            state: Mutex::new(State { sent, ..State::default() }),
            budgets,
        }
    }

    /// One of the requests at once that the service allows; free again when it is dropped.
    pub(crate) async fn place(&self) -> Result<Option<SemaphorePermit<'_>>> {
        let Some(at_once) = &self.at_once else { return Ok(None) };
        let closed = |_| Error::internal("the count of requests at once is closed");

        at_once.acquire().await.map(Some).map_err(closed)
    }

    /// Waits until a request to `path` may be sent, and counts it; returns how long that took.
    /// `waited` is how long the request has waited before.
    ///
    /// # Errors
    /// `RateLimited` if it would wait longer than `max_wait` in all.
    pub(crate) async fn admit(
        &self,
        path: &str,
        waited: Duration,
        max_wait: Duration,
    ) -> Result<Duration> {
        let start = Instant::now();
        let left = max_wait.saturating_sub(waited);
        let turn = async {
            match self.turn(path) {
                Some(turn) => Some(turn.lock().await),
                None => None,
            }
        };
        let Ok(_turn) = timeout(left, turn).await else {
            let why = "requests that came before are held back";
            return Err(too_long(why, FIRST_GAP, max_wait, max_wait));
        };
        loop {
            let Some((until, why)) = self.try_admit(path)? else { return Ok(start.elapsed()) };
            let pause = until.saturating_duration_since(Instant::now());
            if start.elapsed().saturating_add(pause) > left {
                return Err(too_long(&why, pause, waited + start.elapsed(), max_wait));
            }
            sleep_until(until).await;
        }
    }

    /// The turn of the budgets that a request to `path` uses; `None` where requests are let
    /// through many at once, if at all.
    fn turn(&self, path: &str) -> Option<&Turn> {
        let bits = self.budgets.iter().enumerate();
        let bits: usize = bits.map(|(i, budget)| usize::from((budget.cost)(path) > 0) << i).sum();
        let one_by_one = bits > 0 || self.state().pace.is_some();

        self.turns.get(bits).filter(|_| one_by_one)
    }

    /// Counts a request to `path`, or says until when it must wait and why.
    fn try_admit(&self, path: &str) -> Result<Option<(Instant, String)>> {
        let now = Instant::now();
        let mut state = self.state();
        let mut latest: Option<(Instant, String)> = None;
        let mut wait = |until: Instant, why: &dyn Fn() -> String| {
            if until > now && latest.as_ref().is_none_or(|(l, _)| until > *l) {
                latest = Some((until, why()));
            }
        };
        let asked = || "the service lets no request through".to_owned();
        if let Some(until) = state.not_before {
            wait(until, &asked);
        }
        state.window = state.window.filter(|window| window.reset > now);
        if let Some(window) = state.window.filter(|window| window.remaining == 0) {
            wait(window.reset, &asked);
        }
        if let Some(bucket) = state.bucket {
            let over = bucket.level(now) + 1.0 - (bucket.size * BUCKET_PART).max(1.0);
            // Whole milliseconds: less than one would be over before it is waited for.
            let pause = (over / bucket.per_second).max(0.0) * 1000.0;
            let pause = Duration::try_from_secs_f64(pause.ceil() / 1000.0).unwrap_or(Duration::MAX);
            wait(now + pause.min(Duration::from_secs(86_400)), &asked);
        }
        if let Some(pace) = state.pace {
            wait(pace.next, &|| "the service refuses requests and does not say until when".into());
        }
        for (budget, sent) in self.budgets.iter().zip(&mut state.sent) {
            let cost = (budget.cost)(path);
            if cost > budget.requests {
                return Err(Error::internal(format!(
                    "a request costs {cost} of a budget of {}",
                    budget.requests
                )));
            }
            sent.retain(|(at, _)| *at + budget.window > now);
            if cost > 0 {
                wait(budget.free(sent, cost).unwrap_or(now), &|| {
                    let (requests, seconds) = (budget.requests, budget.window.as_secs_f64());
                    format!("the budget of {requests} requests in {seconds} s is used up")
                });
            }
        }
        if latest.is_none() {
            state.count(now, path, &self.budgets);
        }

        Ok(latest)
    }

    /// Notes what an answer says; `left` is the time until the reset of a window.
    pub(crate) fn learn(&self, allowance: Allowance, left: impl FnOnce(Wait) -> Duration) {
        let now = Instant::now();
        let mut state = self.state();
        match allowance {
            Allowance::Window { remaining, reset } => {
                let reset = now + left(reset).min(Duration::from_secs(86_400 * 365));
                state.window = Some(match state.window.filter(|w| w.reset > now) {
                    // An answer that took long, about a window that has gone by.
                    Some(known) if reset + SAME_WINDOW < known.reset => known,
                    // Answers may overtake each other.
                    Some(known) if reset <= known.reset + SAME_WINDOW => Window {
                        remaining: known.remaining.min(remaining),
                        reset: known.reset.max(reset),
                    },
                    _ => Window { remaining, reset },
                });
            }
            Allowance::Bucket { used, size, per_second } if per_second > 0.0 => {
                let known = state.bucket.map_or(0.0, |b| b.level(now));
                let level = known.max(used).min(size);
                state.bucket = Some(Bucket { level, size, per_second, at: now });
            }
            Allowance::Bucket { .. } => {}
        }
    }

    /// Notes that a request which was sent at `sent` was refused without a word on when to come
    /// back: requests go out further apart, unless it was sent before that was last decided, or
    /// what was learned holds them back already.
    pub(crate) fn slow_down(&self, sent: Instant) {
        let now = Instant::now();
        let mut state = self.state();
        let exhausted = state.window.is_some_and(|w| w.remaining == 0 && w.reset > now);
        let gap = match state.pace {
            Some(pace) if sent <= pace.since => return,
            _ if exhausted => return,
            Some(pace) => (pace.gap * GAP_GROWTH).min(LONGEST_GAP),
            None => FIRST_GAP,
        };
        state.pace = Some(Pace { gap, since: now, next: now + gap });
    }

    /// Notes that a request was answered.
    pub(crate) fn speed_up(&self) {
        let mut state = self.state();
        if let Some(pace) = &mut state.pace {
            pace.gap = pace.gap.mul_f64(GAP_PART);
        }
        state.pace = state.pace.filter(|pace| pace.gap >= SHORTEST_GAP);
    }

    /// Holds back every request for `length`.
    pub(crate) fn hold_back(&self, length: Duration) {
        let until = Instant::now() + length;
        let mut state = self.state();
        state.not_before = Some(state.not_before.map_or(until, |known| known.max(until)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, now: Instant, path: &str, budgets: &[Budget]) {
        for (budget, sent) in budgets.iter().zip(&mut self.sent) {
            let cost = (budget.cost)(path);
            if cost > 0 {
                sent.push_back((now, cost));
            }
        }
        if let Some(window) = &mut self.window {
            window.remaining = window.remaining.saturating_sub(1);
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.level = bucket.level(now) + 1.0;
            bucket.at = now;
        }
        if let Some(pace) = &mut self.pace {
            pace.next = now + pace.gap;
        }
    }
}

impl Budget {
    /// When `cost` fits beside what was `sent` within the window; `None`: it does now.
    fn free(&self, sent: &VecDeque<(Instant, u32)>, cost: u32) -> Option<Instant> {
        let used: u32 = sent.iter().map(|(_, cost)| *cost).sum();
        let mut over = (used + cost).saturating_sub(self.requests);
        let mut until = None;
        for (at, cost) in sent {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(*cost);
            until = Some(*at + self.window);
        }

        until
    }
}

fn too_long(why: &str, pause: Duration, waited: Duration, max_wait: Duration) -> Error {
    let message = format!(
        "{why} for another {} s{}; option 'maxWaitSeconds' allows {}",
        pause.as_secs_f64().ceil(),
        after(waited),
        max_wait.as_secs_f64()
    );

    Error::new(ErrorKind::RateLimited, message).retry(Retry::After(pause))
}

/// What an error says of the time that was spent waiting before.
pub(crate) fn after(waited: Duration) -> String {
    match waited.as_secs() {
        0 => String::new(),
        seconds => format!(" after {seconds} s of waiting"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(900);

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    }

    /// Milliseconds at which `paths` are let through, all of them asking at once.
    async fn times(limits: &Limits, paths: &[&str]) -> Vec<u128> {
        let start = Instant::now();
        let asked = paths.iter().map(|path| async {
            limits.admit(path, Duration::ZERO, MAX).await.unwrap();
            start.elapsed().as_millis()
        });
        futures::future::join_all(asked).await
    }

    proptest! {
        #[test]
        fn never_more_than_the_budget_in_any_window(
            budgets in prop::collection::vec((1_u32..20, 1_u64..20_000), 1..3),
            asks in prop::collection::vec((0_u64..3_000, 0_u32..3), 1..60),
        ) {
            let cost = |path: &str| path.parse::<u32>().unwrap().min(1);
            let declared = budgets.iter().map(|(n, ms)| {
                Budget::new(*n, Duration::from_millis(*ms)).cost(cost)
            });
            let limits = Limits::new(declared.collect(), None);
            let sent = runtime().block_on(async {
                let start = Instant::now();
                let mut at = Duration::ZERO;
                let asked = asks.iter().map(|(pause, cost)| {
                    at += Duration::from_millis(*pause);
                    let (limits, begin) = (&limits, at);
                    async move {
                        tokio::time::sleep(begin).await;
                        limits.admit(&cost.to_string(), Duration::ZERO, Duration::MAX).await.unwrap();
                        (start.elapsed(), (*cost).min(1))
                    }
                });
                futures::future::join_all(asked).await
            });
            for (n, ms) in budgets {
                let window = Duration::from_millis(ms);
                for (from, _) in &sent {
                    let inside = sent.iter().filter(|(at, _)| at >= from && *at < *from + window);
                    let used: u32 = inside.map(|(_, cost)| cost).sum();
                    prop_assert!(used <= n, "{used} of {n} in {window:?} from {from:?}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn budgets_hold_by_route_and_weight() {
        fn searches(path: &str) -> u32 {
            u32::from(path.starts_with("/search"))
        }
        fn weights(path: &str) -> u32 {
            if path == "/heavy" { 3 } else { 1 }
        }
        let budgets =
            vec![Budget::new(2, SECOND).cost(searches), Budget::new(5, 10 * SECOND).cost(weights)];
        let limits = Limits::new(budgets, None);

        let seen = times(&limits, &["/search/a", "/search/b", "/search/c", "/x"]).await;
        assert_eq!(seen, [0, 0, 1000, 0], "another route is not held back");
        assert_eq!(times(&limits, &["/heavy"]).await, [9000]);
    }

    #[tokio::test(start_paused = true)]
    async fn too_long_a_wait_and_too_dear_a_request_are_errors() {
        let limits = Limits::new(vec![Budget::new(1, 1000 * SECOND)], None);
        times(&limits, &["/a"]).await;
        let error = limits.admit("/b", Duration::ZERO, MAX).await.unwrap_err();
        assert_eq!(error.retry_class(), Retry::After(1000 * SECOND));
        let message = "the budget of 1 requests in 1000 s is used up for another 1000 s; option \
                       'maxWaitSeconds' allows 900";
        assert_eq!((error.kind(), error.message()), (ErrorKind::RateLimited, message));

        let error = limits.admit("/b", Duration::ZERO, 1500 * SECOND);
        assert!(tokio::time::timeout(SECOND, error).await.is_err(), "waits");
        let error = limits.admit("/b", 600 * SECOND, 1500 * SECOND).await.unwrap_err();
        let message = "the budget of 1 requests in 1000 s is used up for another 999 s after 600 s \
                       of waiting; option 'maxWaitSeconds' allows 1500";
        assert_eq!((error.kind(), error.message()), (ErrorKind::RateLimited, message));

        let limits = Limits::new(vec![Budget::new(1, SECOND).cost(|_| 2)], None);
        let error = limits.admit("/b", Duration::ZERO, MAX).await.unwrap_err();
        assert_eq!(error.to_string(), "a request costs 2 of a budget of 1");
    }

    #[tokio::test(start_paused = true)]
    async fn learned_windows_end_at_their_reset() {
        let learn = |limits: &Limits, remaining, seconds| {
            let reset = Wait::For(Duration::from_secs(seconds));
            limits.learn(Allowance::Window { remaining, reset }, |_| Duration::from_secs(seconds));
        };
        let limits = Limits::new(Vec::new(), None);
        learn(&limits, 2, 30);
        assert_eq!(times(&limits, &["/a", "/b", "/c"]).await, [0, 0, 30_000]);

        // A reset in the past says nothing.
        learn(&limits, 0, 0);
        assert_eq!(times(&limits, &["/a"]).await, [0]);

        // Answers that overtake each other: the lower count holds, and so does the later window.
        learn(&limits, 1, 30);
        learn(&limits, 5, 31);
        learn(&limits, 9, 10);
        assert_eq!(times(&limits, &["/a", "/b"]).await, [0, 31_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn buckets_are_filled_to_four_fifths_and_then_as_fast_as_they_drain() {
        let limits = Limits::new(Vec::new(), None);
        let bucket = Allowance::Bucket { used: 30.0, size: 40.0, per_second: 2.0 };
        limits.learn(bucket, |_| Duration::ZERO);

        assert_eq!(times(&limits, &["/"; 5]).await, [0, 0, 500, 1000, 1500]);
        limits.learn(Allowance::Bucket { used: 1.0, size: 0.5, per_second: 1.0 }, |_| SECOND);
        assert!(times(&limits, &["/"; 2]).await[1] <= 2000, "the smallest bucket lets one through");
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_without_a_pause_slow_down_and_answers_speed_up() {
        let limits = Limits::new(Vec::new(), None);
        let mut sent = Instant::now();
        let mut gaps = Vec::new();
        for _ in 0..7 {
            limits.slow_down(sent);
            gaps.push(times(&limits, &["/"]).await[0] / 1000);
            sent = Instant::now();
        }
        assert_eq!(gaps, [1, 4, 16, 64, 256, 300, 300]);

        // One of several that were on their way: its refusal says nothing new.
        limits.slow_down(sent);
        limits.slow_down(sent - SECOND);
        assert_eq!(times(&limits, &["/", "/"]).await, [300_000, 600_000]);

        (0..20).for_each(|_| limits.speed_up());
        assert_eq!(times(&limits, &["/", "/"]).await, [300_000, 500_283], "300 s * 0.98^20");
        (0..600).for_each(|_| limits.speed_up());
        tokio::time::advance(300 * SECOND).await;
        assert_eq!(times(&limits, &["/", "/"]).await, [0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_go_out_in_the_order_in_which_they_came() {
        let limits = Limits::new(vec![Budget::new(1, SECOND)], None);
        let expected: Vec<u128> = (0..100).map(|i| i * 1000).collect();
        assert_eq!(times(&limits, &["/"; 100]).await, expected);

        let first = limits.admit("/", Duration::ZERO, MAX);
        let second = limits.admit("/", Duration::ZERO, SECOND / 2);
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first.unwrap(), SECOND);
        let message = "requests that came before are held back for another 1 s; option \
                       'maxWaitSeconds' allows 0.5";
        assert_eq!(second.unwrap_err().message(), message);
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_in_a_window_that_is_known_to_be_used_up_does_not_slow_down() {
        let limits = Limits::new(Vec::new(), None);
        let window = Allowance::Window { remaining: 0, reset: Wait::For(30 * SECOND) };
        limits.learn(window, |_| 30 * SECOND);
        limits.slow_down(Instant::now());

        assert_eq!(times(&limits, &["/", "/"]).await, [30_000, 30_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_goes_away_takes_nothing() {
        let limits = Limits::new(vec![Budget::new(1, SECOND)], Some(1));
        times(&limits, &["/a"]).await;
        let place = limits.place().await.unwrap();
        assert!(tokio::time::timeout(SECOND / 2, limits.place()).await.is_err());
        assert!(
            tokio::time::timeout(SECOND / 4, limits.admit("/b", Duration::ZERO, MAX))
                .await
                .is_err()
        );
        drop(place);

        assert!(limits.place().await.unwrap().is_some());
        assert_eq!(times(&limits, &["/c"]).await, [250]);
    }

    #[test]
    fn limits_are_shared_by_origin_credential_and_declaration() {
        let bearer = |t: &str| Auth::Bearer(lakeflow_core::Secret::new(t));
        let shared = |origin: &str, auth: &Auth, concurrent| {
            Limits::shared(origin.into(), auth, vec![Budget::new(1, SECOND)], concurrent)
        };
        let first = shared("https://limits.example", &bearer("a"), None);
        let same = |other: Arc<Limits>| Arc::ptr_eq(&first, &other);

        assert!(same(shared("https://limits.example", &bearer("a"), None)));
        assert!(!same(shared("https://limits.example", &bearer("b"), None)));
        assert!(!same(shared("https://other.example", &bearer("a"), None)));
        assert!(!same(shared("https://limits.example", &bearer("a"), Some(1))));
    }

    #[test]
    fn allowances_are_read_from_headers() {
        let mut map = HeaderMap::new();
        for (name, value) in [("a", "7"), ("b", "1.5"), ("c", "1924992000"), ("d", "soon")] {
            map.insert(name, value.parse().unwrap());
        }
        let headers = Headers(&map);
        let window = |remaining, reset| Some(Allowance::Window { remaining, reset });

        let seconds = Wait::For(Duration::from_millis(1500));
        assert_eq!(Allowance::seconds_left(&headers, "a", "b"), window(7, seconds));
        let until = Wait::Until(Moment::from_parts(1_924_992_000, 0));
        assert_eq!(Allowance::epoch_seconds(&headers, "a", "c"), window(7, until));
        for (remaining, reset) in [("d", "b"), ("a", "d"), ("none", "b"), ("a", "none")] {
            assert_eq!(Allowance::seconds_left(&headers, remaining, reset), None);
            assert_eq!(Allowance::epoch_seconds(&headers, remaining, reset), None);
        }
    }
}
