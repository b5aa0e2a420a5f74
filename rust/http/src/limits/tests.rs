//! Budgets, windows, buckets and shares, in a time that is made up.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(900);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Limits with one reader, alone.
fn alone(budgets: Vec<Budget>, concurrent: Option<usize>) -> Lease {
    Arc::new(Limits::new(budgets, concurrent)).lease(1.0)
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
        let limits = alone(declared.collect(), None);
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
    let limits = alone(budgets, None);

    let seen = times(&limits, &["/search/a", "/search/b", "/search/c", "/x"]).await;
    assert_eq!(seen, [0, 0, 1050, 0], "another route is not held back");
    assert_eq!(times(&limits, &["/heavy"]).await, [9450]);
}

#[tokio::test(start_paused = true)]
async fn too_long_a_wait_and_too_dear_a_request_are_errors() {
    let limits = alone(vec![Budget::new(1, 1000 * SECOND)], None);
    times(&limits, &["/a"]).await;
    let error = limits.admit("/b", Duration::ZERO, MAX).await.unwrap_err();
    assert_eq!(error.retry_class(), Retry::After(1000 * SECOND + SECOND / 2));
    let message = "the budget of 1 requests in 1000 s is used up for another 1001 s; option \
                   'maxWaitSeconds' allows 900";
    assert_eq!((error.kind(), error.message()), (ErrorKind::RateLimited, message));

    let error = limits.admit("/b", Duration::ZERO, 1500 * SECOND);
    assert!(tokio::time::timeout(SECOND, error).await.is_err(), "waits");
    let error = limits.admit("/b", 600 * SECOND, 1500 * SECOND).await.unwrap_err();
    let message = "the budget of 1 requests in 1000 s is used up for another 1000 s after 600 s \
                   of waiting; option 'maxWaitSeconds' allows 1500";
    assert_eq!((error.kind(), error.message()), (ErrorKind::RateLimited, message));

    let limits = alone(vec![Budget::new(1, SECOND).cost(|_| 2)], None);
    let error = limits.admit("/b", Duration::ZERO, MAX).await.unwrap_err();
    assert_eq!(error.to_string(), "a request costs 2 of a budget of 1");
}

#[tokio::test(start_paused = true)]
async fn learned_windows_end_at_their_reset() {
    let learn = |limits: &Limits, remaining, seconds| {
        let reset = Wait::For(Duration::from_secs(seconds));
        limits.learn(Allowance::Window { remaining, reset }, |_| Duration::from_secs(seconds));
    };
    let limits = alone(Vec::new(), None);
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
    let limits = alone(Vec::new(), None);
    let bucket = Allowance::Bucket { used: 30.0, size: 40.0, per_second: 2.0 };
    limits.learn(bucket, |_| Duration::ZERO);

    assert_eq!(times(&limits, &["/"; 5]).await, [0, 0, 500, 1000, 1500]);
    limits.learn(Allowance::Bucket { used: 1.0, size: 0.5, per_second: 1.0 }, |_| SECOND);
    assert!(times(&limits, &["/"; 2]).await[1] <= 2000, "the smallest bucket lets one through");
}

#[tokio::test(start_paused = true)]
async fn requests_go_out_in_the_order_in_which_they_came() {
    let limits = alone(vec![Budget::new(1, SECOND)], None);
    let expected: Vec<u128> = (0..100).map(|i| i * 1050).collect();
    assert_eq!(times(&limits, &["/"; 100]).await, expected);

    let first = limits.admit("/", Duration::ZERO, MAX);
    let second = limits.admit("/", Duration::ZERO, SECOND / 2);
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap(), 1050 * SECOND / 1000);
    let message = "requests that came before are held back for another 1 s; option \
                   'maxWaitSeconds' allows 0.5";
    assert_eq!(second.unwrap_err().message(), message);
}

#[tokio::test(start_paused = true)]
async fn refusal_in_a_window_that_is_known_to_be_used_up_does_not_slow_down() {
    let limits = alone(Vec::new(), None);
    let window = Allowance::Window { remaining: 0, reset: Wait::For(30 * SECOND) };
    limits.learn(window, |_| 30 * SECOND);
    limits.refused(Instant::now(), None);

    assert_eq!(times(&limits, &["/", "/"]).await, [30_000, 30_000]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_away_takes_nothing() {
    let limits = alone(vec![Budget::new(1, SECOND)], Some(1));
    times(&limits, &["/a"]).await;
    let place = limits.place().await.unwrap();
    assert!(tokio::time::timeout(SECOND / 2, limits.place()).await.is_err());
    assert!(
        tokio::time::timeout(SECOND / 4, limits.admit("/b", Duration::ZERO, MAX)).await.is_err()
    );
    drop(place);

    assert!(limits.place().await.unwrap().is_some());
    assert_eq!(times(&limits, &["/c"]).await, [300]);
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

#[tokio::test(start_paused = true)]
async fn a_part_of_a_budget_is_spread_evenly_and_grows_with_the_readers() {
    let limits = Arc::new(Limits::new(vec![Budget::new(10, SECOND)], None));
    let first = limits.clone().lease(0.25);
    assert_eq!(times(&limits, &["/"; 3]).await, [0, 420, 840], "a quarter of 10 in 1.05 s");
    let second = limits.clone().lease(0.25);
    assert_eq!(times(&limits, &["/"; 3]).await, [210, 420, 630]);
    drop(first);
    assert_eq!(times(&limits, &["/"; 2]).await, [210, 420], "what is left is taken");
    drop(second);

    let _again = limits.clone().lease(0.25);
    assert_eq!(times(&limits, &["/"; 2]).await, [420, 840], "who comes first begins anew");
    let _all: Vec<_> = (0..3).map(|_| limits.clone().lease(0.5)).collect();
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(times(&limits, &["/"; 11]).await, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1050]);
}

#[tokio::test(start_paused = true)]
async fn a_part_rises_to_the_whole_while_nothing_is_refused() {
    let limits = Arc::new(Limits::new(vec![Budget::new(10, SECOND)], Some(8)));
    let lease = limits.clone().lease(0.5);
    let gap = |times: Vec<u128>| times[1] - times[0];
    let mut gaps = Vec::new();
    for answers in [100, 1, 34, 1] {
        (0..answers).for_each(|_| lease.passed(Instant::now()));
        gaps.push(gap(times(&limits, &["/"; 2]).await));
    }
    assert_eq!(gaps, [210, 206, 106, 0]);
}

#[tokio::test(start_paused = true)]
async fn places_at_once_and_what_is_left_of_a_window_are_used_in_part() {
    let limits = Arc::new(Limits::new(Vec::new(), Some(10)));
    let free = || limits.at_once.as_ref().unwrap().1.available_permits();
    let lease = limits.clone().lease(0.29);
    assert_eq!(free(), 2);
    let other = limits.clone().lease(0.31);
    assert_eq!(free(), 6);
    drop((lease, other));
    let _lease = limits.clone().lease(0.01);
    assert_eq!(free(), 1, "one at least");

    let _lease = limits.clone().lease(0.24);
    let reset = Wait::For(30 * SECOND);
    limits.learn(Allowance::Window { remaining: 5, reset }, |_| 30 * SECOND);
    assert_eq!(times(&limits, &["/"; 3]).await, [0, 0, 30_000], "a quarter of 3 is none");
}

#[tokio::test(start_paused = true)]
async fn refusal_in_a_short_window_that_others_use_too_slows_down() {
    let window = |seconds: u32| {
        let limits = Arc::new(Limits::new(Vec::new(), None));
        let lease = limits.lease(0.5);
        (0..10).for_each(|_| lease.passed(Instant::now()));
        let reset = seconds * SECOND;
        lease.learn(Allowance::Window { remaining: 0, reset: Wait::For(reset) }, |_| reset);
        lease.refused(Instant::now(), Some(reset));
        lease
    };
    assert_eq!(times(&window(10), &["/"; 2]).await, [10_000, 11_053], "10 in 10 s, less a part");
    assert_eq!(times(&window(100), &["/"; 2]).await, [100_000, 100_000]);
}
