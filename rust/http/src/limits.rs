//! How many requests a credential may send: declared by the connector, learned from answers.

use crate::auth::Auth;
use crate::pace::{FIRST_PAUSE, Pace, RISE};
use crate::registry::Registry;
use crate::reply::Wait;
use lakeflow_core::{Error, ErrorKind, Instant as Moment, Result, Retry};
use reqwest::header::HeaderMap;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout};

/// A bucket that is fuller than this part is only filled as fast as it drains.
const BUCKET_PART: f64 = 0.8;

/// Windows whose ends differ by no more are one: services count in whole seconds.
const SAME_WINDOW: Duration = Duration::from_secs(2);

/// A pause or a reset that is longer than this says nothing of the pace.
const FAR: Duration = Duration::from_secs(60);

/// A request counts for this part of a window longer than the service says, or at most this long:
/// requests do not take equally long to reach it.
const MARGIN: f64 = 0.05;
const LONGEST_MARGIN: Duration = Duration::from_millis(500);

/// A sum of parts that is not less than this is the whole.
const WHOLE: f64 = 1.0 - 1e-9;

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

    /// So many requests a second, fractions allowed.
    pub(crate) fn per_second(rate: f64) -> Self {
        let requests = rate.floor().max(1.0);

        Self::new(requests as u32, Duration::from_secs_f64(requests / rate))
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
    at_once: Option<(usize, Semaphore)>,
    /// Requests that use the same budgets go out in the order in which they came, for one that
    /// others overtake might wait for ever. One turn for each set of budgets, a bit each.
    turns: Vec<Turn>,
    state: Mutex<State>,
}

type Turn = tokio::sync::Mutex<()>;

#[derive(Default)]
struct State {
    /// Readers at present, and the sum of their shares.
    leases: usize,
    leased: f64,
    /// Part of what the credential may send that this process takes, up to 1: what its readers
    /// brought, and more once answers show that others leave it.
    part: f64,
    /// No request is sent before, because the service asked one of them to wait.
    not_before: Option<Instant>,
    /// What was sent of each budget.
    spent: Vec<Spent>,
    window: Option<Window>,
    bucket: Option<Bucket>,
    pace: Pace,
    /// Requests at once that have a place.
    places: usize,
}

/// Time and cost of what was sent of a budget.
#[derive(Default)]
struct Spent {
    window: VecDeque<(Instant, u32)>,
    last: Option<(Instant, u32)>,
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

/// A reader's claim on the limits, for as long as it lives.
pub(crate) struct Lease {
    limits: Arc<Limits>,
    share: f64,
}

impl Deref for Lease {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.limits
    }
}

impl Drop for Lease {
    /// What a reader leaves is taken by the next one in this process, or by those that remain.
    fn drop(&mut self) {
        let mut state = self.limits.state();
        state.leases = state.leases.saturating_sub(1);
        state.leased -= self.share;
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

    pub(crate) fn new(budgets: Vec<Budget>, concurrent: Option<usize>) -> Self {
        let spent = budgets.iter().map(|_| Spent::default()).collect();
        Self {
            at_once: concurrent.map(|most| (most, Semaphore::new(0))),
            turns: (0..1_usize << budgets.len()).map(|_| Turn::default()).collect(),
            state: Mutex::new(State { spent, ..State::default() }),
            budgets,
        }
    }

    /// Lets one more reader in, whose part of what the credential may send is `share`.
    pub(crate) fn lease(self: Arc<Self>, share: f64) -> Lease {
        let mut state = self.state();
        if state.leases == 0 {
            (state.leased, state.part) = (0.0, 0.0);
        }
        state.leases += 1;
        state.leased += share;
        state.part = state.part.max(state.leased).min(1.0);
        self.grant(&mut state);
        drop(state);

        Lease { limits: self, share }
    }

    /// Makes the number of places for requests at once that fits the part of this process.
    fn grant(&self, state: &mut State) {
        let Some((most, places)) = &self.at_once else { return };
        let wanted = ((*most as f64 * state.part / WHOLE) as usize).max(1);
        if wanted > state.places {
            places.add_permits(wanted - state.places);
            state.places = wanted;
        } else {
            state.places -= places.forget_permits(state.places - wanted);
        }
    }

    /// One of the requests at once that the service allows; free again when it is dropped.
    pub(crate) async fn place(&self) -> Result<Option<SemaphorePermit<'_>>> {
        let Some((_, places)) = &self.at_once else { return Ok(None) };
        let closed = |_| Error::internal("the count of requests at once is closed");

        places.acquire().await.map(Some).map_err(closed)
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
            return Err(too_long(why, FIRST_PAUSE, max_wait, max_wait));
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
        let one_by_one = bits > 0 || self.state().pace.is_bounded();

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
        let part = state.part;
        let used_up = |window: &Window| window.remaining as f64 * part < WHOLE;
        if let Some(window) = state.window.filter(used_up) {
            wait(window.reset, &asked);
        }
        if let Some(bucket) = state.bucket {
            let over = bucket.level(now) + 1.0 - (bucket.size * BUCKET_PART).max(1.0);
            // Whole milliseconds: less than one would be over before it is waited for.
            let pause = (over / bucket.per_second).max(0.0) * 1000.0;
            let pause = Duration::try_from_secs_f64(pause.ceil() / 1000.0).unwrap_or(Duration::MAX);
            wait(now + pause.min(Duration::from_secs(86_400)), &asked);
        }
        if let Some(next) = state.pace.next() {
            wait(next, &|| "the service refuses requests and does not say until when".into());
        }
        for (budget, spent) in self.budgets.iter().zip(&mut state.spent) {
            let cost = (budget.cost)(path);
            if cost > budget.requests {
                return Err(Error::internal(format!(
                    "a request costs {cost} of a budget of {}",
                    budget.requests
                )));
            }
            if cost > 0 {
                wait(spent.free(budget, cost, part, now), &|| {
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

    /// Notes that the request which was sent at `sent` was refused, `asked` being the pause that the
    /// service asks for: further ones go out more slowly, unless what was learned holds them back
    /// already.
    pub(crate) fn refused(&self, sent: Instant, asked: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.state();
        let alone = state.part >= WHOLE;
        let full = |bucket: &Bucket| bucket.level(now) + 1.0 > bucket.size;
        let known = state.window.is_some_and(|window| {
            window.remaining == 0 && window.reset > if alone { now } else { now + FAR }
        });
        let asked = asked.filter(|asked| !asked.is_zero());
        let far = asked.is_some_and(|asked| asked > FAR);
        if !known && !far && !state.bucket.as_ref().is_some_and(full) {
            let shared = state.leased < WHOLE;
            state.pace.refused(sent, now, asked, shared);
        }
    }

    /// Notes that the request which was sent at `sent` was let through.
    pub(crate) fn passed(&self, sent: Instant) {
        let mut state = self.state();
        let part = state.leased;
        if state.pace.passed(sent, part) && state.part < 1.0 {
            state.part = (state.part * RISE).min(1.0);
            self.grant(&mut state);
        }
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
        for (budget, spent) in budgets.iter().zip(&mut self.spent) {
            let cost = (budget.cost)(path);
            if cost > 0 {
                spent.window.push_back((now, cost));
                spent.last = Some((now, cost));
            }
        }
        if let Some(window) = &mut self.window {
            window.remaining = window.remaining.saturating_sub(1);
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.level = bucket.level(now) + 1.0;
            bucket.at = now;
        }
        self.pace.sent(now);
    }
}

impl Budget {
    /// How long a request counts.
    fn counts_for(&self) -> Duration {
        self.window + self.window.mul_f64(MARGIN).min(LONGEST_MARGIN)
    }
}

impl Spent {
    /// When `cost` fits beside what was sent within the window. This process may use `part` of the
    /// budget: what is less than the whole is spread evenly.
    fn free(&mut self, budget: &Budget, cost: u32, part: f64, now: Instant) -> Instant {
        let window = budget.counts_for();
        self.window.retain(|(at, _)| *at + window > now);
        let used: u32 = self.window.iter().map(|(_, cost)| *cost).sum();
        let mut over = (used + cost).saturating_sub(budget.requests);
        let mut until = now;
        for (at, cost) in &self.window {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(*cost);
            until = *at + window;
        }
        if let Some((last, cost)) = self.last.filter(|_| part < WHOLE) {
            let windows = f64::from(cost) / (f64::from(budget.requests) * part);
            until = until.max(last + window.mul_f64(windows));
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
mod tests;
