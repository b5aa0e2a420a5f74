//! Several processes as one polite client, against a model of a service in a time that is made up.

use crate::limits::{Budget, Lease, Limits};
use futures::future::join_all;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

const SECOND: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(900);

/// A service that lets 10 requests through in any second.
struct Service {
    start: Instant,
    passed: Mutex<VecDeque<Instant>>,
    /// Whether it says when to come back, in whole seconds.
    tells: bool,
    /// When each request came, and whether it was let through.
    log: Mutex<Vec<(Duration, bool)>>,
}

impl Service {
    fn new(tells: bool) -> Self {
        let (passed, log) = (Mutex::default(), Mutex::default());
        Self { start: Instant::now(), passed, tells, log }
    }

    /// Nothing if the request is let through, else what the refusal asks for.
    fn answer(&self) -> Result<(), Option<Duration>> {
        let mut passed = self.passed.lock().unwrap();
        passed.retain(|at| at.elapsed() < SECOND);
        let free = passed.len() < 10;
        self.log.lock().unwrap().push((self.start.elapsed(), free));
        if free {
            passed.push_back(Instant::now());
            return Ok(());
        }

        Err(self.tells.then_some(SECOND))
    }

    /// When each request came that was let through.
    fn passed_at(&self) -> Vec<Duration> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|(_, passed)| *passed).map(|(at, _)| *at).collect()
    }

    /// Requests a second that were let through between these seconds, and the percentage of
    /// refusals.
    fn figures(&self, from: u32, to: u32) -> (f64, f64) {
        let log = self.log.lock().unwrap();
        let here =
            log.iter().filter(|(at, _)| (from * SECOND..SECOND.saturating_mul(to)).contains(at));
        let passed = here.clone().filter(|(_, passed)| *passed).count() as f64;
        let all = here.count() as f64;

        (passed / f64::from(to - from), 100.0 * (all - passed) / all)
    }
}

/// Reads so many pages.
async fn read(service: &Service, lease: &Lease, random: &mut fastrand::Rng, pages: usize) {
    let mut some = |ms: u64| Duration::from_millis(random.u64(ms / 2..=ms));
    let mut read = 0;
    while read < pages {
        lease.admit("/", Duration::ZERO, MAX).await.unwrap();
        let sent = Instant::now();
        sleep(some(40)).await;
        let answer = service.answer();
        sleep(some(40)).await;
        match answer {
            Ok(()) => {
                read += 1;
                lease.passed(sent);
            }
            Err(asked) => {
                lease.refused(sent, asked);
                match asked {
                    Some(asked) => lease.hold_back(asked),
                    None => sleep(some(500)).await,
                }
            }
        }
    }
}

/// What a run is like: the splits that each process reads, and the seconds after which it ends. Each
/// process begins 0.2 s after the one before.
type Processes = &'static [(usize, u32)];

async fn run(budget: Option<Budget>, tells: bool, processes: Processes, seed: u64) -> Service {
    let service = Service::new(tells);
    let splits: usize = processes.iter().map(|(splits, _)| splits).sum();
    let readers = processes.iter().enumerate().flat_map(|(process, (splits_here, seconds))| {
        let limits = Arc::new(Limits::new(budget.into_iter().collect(), None));
        let leases = (0..*splits_here).map(|_| limits.clone().lease(1.0 / splits as f64));
        let end = service.start + *seconds * SECOND;
        let seed = seed * 1000 + process as u64 * 100;
        let begin = SECOND / 5 * process as u32;
        let service = &service;
        let read = move |(n, lease)| async move {
            sleep(begin).await;
            let mut random = fastrand::Rng::with_seed(seed + n as u64);
            // What it has read by the end is enough.
            let _ = timeout_at(end, read(service, &lease, &mut random, usize::MAX)).await;
        };
        leases.enumerate().map(read).collect::<Vec<_>>()
    });
    join_all(readers.collect::<Vec<_>>()).await;

    service
}

const DECLARED: Option<Budget> = Some(Budget::new(10, SECOND));

/// One split; eight; as many as have a place at once of 64, in one process and in two.
const RUNS: &[Processes] = &[
    &[(1, 65)],
    &[(8, 65)],
    &[(4, 65), (4, 65)],
    &[(5, 65), (3, 65)],
    &[(16, 65)],
    &[(16, 65), (16, 65)],
    &[(8, 65), (8, 65), (8, 65), (8, 65)],
];

#[tokio::test(start_paused = true)]
async fn limit_is_used_and_hardly_exceeded_by_1_8_and_64_splits_in_several_processes() {
    let kinds = [("declared", DECLARED, true), ("told", None, true), ("silent", None, false)];
    for (name, budget, tells) in kinds {
        for processes in RUNS {
            for seed in 0..3 {
                let service = run(budget, tells, processes, seed).await;
                let (rate, refused) = service.figures(5, 65);
                assert!(rate >= 8.0, "{name} {processes:?} {seed}: {rate} requests/s");
                assert!(refused <= 2.0, "{name} {processes:?} {seed}: {refused} % refused");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_process_leaves_the_other_takes() {
    let kinds = [("declared", DECLARED, true), ("told", None, true), ("silent", None, false)];
    for (name, budget, tells) in kinds {
        let service = run(budget, tells, &[(16, 20), (16, 120)], 1).await;
        let (rate, refused) = service.figures(60, 120);
        assert!(rate >= 8.0 && refused <= 2.0, "{name}: {rate} requests/s, {refused} % refused");
    }
}

/// Two processes of 16 places read 448 pages in so many splits, each of which goes to the first free
/// place; tasks take up to a second to begin.
async fn work(splits: usize, tells: bool, seed: u64) -> Service {
    let service = Service::new(tells);
    let pages = 448 / splits;
    let at_once = splits.min(32);
    let left = Mutex::new(splits);
    let places = [0, 1].map(|process| {
        let limits = Arc::new(Limits::new(Vec::new(), None));
        (0..16).map(move |place| (limits.clone(), seed * 1000 + process * 100 + place))
    });
    // As tasks are handed out: in turn.
    let [one, other] = places;
    let places = one.zip(other).flat_map(|(one, other)| [one, other]);
    let take = |left: &Mutex<usize>| {
        let mut left = left.lock().unwrap();
        let some = *left > 0;
        *left -= usize::from(some);
        some
    };
    let read = |(limits, seed): (Arc<Limits>, u64)| {
        let (service, left, take) = (&service, &left, &take);
        async move {
            let mut random = fastrand::Rng::with_seed(seed);
            while take(left) {
                sleep(Duration::from_millis(random.u64(0..1000))).await;
                let lease = limits.clone().lease(1.0 / at_once as f64);
                read(service, &lease, &mut random, pages).await;
            }
        }
    };
    join_all(places.take(at_once).map(read)).await;

    service
}

#[tokio::test(start_paused = true)]
async fn work_is_done_at_the_rate_of_the_limit_until_one_process_has_none_left() {
    for splits in [1, 8, 64] {
        for tells in [true, false] {
            for seed in 0..20 {
                let service = work(splits, tells, seed).await;
                let passed = service.passed_at();
                let (rate, _) = service.figures(5, passed[300].as_secs() as u32);
                let (_, refused) = service.figures(5, u32::MAX);
                let end = passed.last().unwrap().as_secs();
                let run =
                    format!("{splits} {tells} {seed}: {rate} requests/s, {refused} % refused");
                assert!(rate >= 8.0 && refused <= 2.0 && end < 75, "{run}, {end} s");
            }
        }
    }
}
