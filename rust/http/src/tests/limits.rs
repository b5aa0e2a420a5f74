//! Rate limits: declared, learned, shared.

use super::server::{Server, json, reply};
use super::{CANARY, builder, context, counted, facts};
use crate::{Allowance, Auth, Budget, Client, Request, Wait};
use futures::future::join_all;
use lakeflow_core::{ErrorKind, Secret};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

async fn get(client: &Client) -> u16 {
    client.send(Request::get("x")).await.unwrap().status
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_credential_share_a_budget_and_waiting_is_counted() {
    let server = Server::scripted(vec![json("[]")]).await;
    let contexts = [context(&[]), context(&[])];
    let clients: Vec<_> = contexts
        .iter()
        .map(|c| builder(c, &server.url).budget(Budget::new(5, 10 * SECOND)).build().unwrap())
        .collect();
    let other = Client::builder(&contexts[0], &server.url)
        .unwrap()
        .auth(Auth::Bearer(Secret::new("another")))
        .budget(Budget::new(5, 10 * SECOND))
        .build()
        .unwrap();
    let start = Instant::now();
    for i in 0..12 {
        get(&clients[i % 2]).await;
    }
    assert_eq!(start.elapsed().as_secs(), 21);
    get(&other).await;
    assert_eq!(start.elapsed().as_secs(), 21);

    let throttled: u64 = contexts.iter().map(|c| counted(c).throttled_ms).sum();
    assert!((20_900..21_100).contains(&throttled), "{throttled}");
}

#[tokio::test(start_paused = true)]
async fn budget_that_is_used_up_for_too_long_is_an_error_that_names_the_option() {
    let server = Server::scripted(vec![json("[]")]).await;
    let context = context(&[("maxWaitSeconds", "60")]);
    let daily = Budget::new(1, 86_400 * SECOND);
    let client = builder(&context, &server.url).budget(daily).build().unwrap();
    get(&client).await;
    let error = client.send(Request::get("x")).await.unwrap_err();

    let (kind, _, message) = facts(&error);
    assert_eq!(kind, ErrorKind::RateLimited);
    let expected = "the budget of 1 requests in 86400 s is used up for another 86401 s; option \
                    'maxWaitSeconds' allows 60 (request: GET /x)";
    assert_eq!((message.as_str(), server.heads().len()), (expected, 1));
}

#[tokio::test(start_paused = true)]
async fn rate_that_a_user_sets_is_a_budget_of_its_own() {
    let server = Server::scripted(vec![json("[]")]).await;
    for (rate, requests, seconds) in [("2.5", 7, 2.52), ("0.1", 2, 10.5)] {
        let context = context(&[("requestsPerSecond", rate)]);
        let client = builder(&context, &server.url).build().unwrap();
        let start = Instant::now();
        for _ in 0..requests {
            get(&client).await;
        }
        let taken = start.elapsed().as_secs_f64();
        assert!((seconds - 0.01..seconds + 0.2).contains(&taken), "{rate}: {taken} s");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_run_at_once_than_allowed() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (seen, highest) = (running.clone(), most.clone());
    let server = Server::start(move |_, _| {
        highest.fetch_max(seen.fetch_add(1, Relaxed) + 1, Relaxed);
        json("[]")
    })
    .await;
    let context = context(&[]);
    let client = builder(&context, &server.url).at_once(3).build().unwrap();
    join_all((0..20).map(|_| async {
        let got = client
            .send_with(Request::get("x"), |_| {
                running.fetch_sub(1, Relaxed);
                Ok(())
            })
            .await;
        got.unwrap();
    }))
    .await;
    assert_eq!(server.heads().len(), 20);
    assert!(server.connections() <= 3, "{}", server.connections());
    assert!(most.load(Relaxed) <= 3);
}

/// A service with `budget` requests per fixed window of 10 s, which tells what is left.
async fn windowed(budget: usize, refused: Arc<AtomicUsize>) -> Server {
    let state = Mutex::new((Instant::now(), 0_usize));
    Server::start(move |_, _| {
        let mut state = state.lock().unwrap();
        if state.0.elapsed() >= 10 * SECOND {
            *state = (Instant::now(), 0);
        }
        state.1 += 1;
        let left = budget.saturating_sub(state.1);
        let reset = (10 * SECOND).saturating_sub(state.0.elapsed()).as_secs_f64();
        let lines = [format!("ratelimit-remaining: {left}"), format!("ratelimit-reset: {reset}")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        if state.1 > budget {
            refused.fetch_add(1, Relaxed);
            return reply(429, &lines, "");
        }
        reply(200, &lines, "[]")
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn learned_limits_keep_refusals_rare_and_use_the_budget() {
    let refused = Arc::new(AtomicUsize::new(0));
    let server = windowed(50, refused.clone()).await;
    let context = context(&[("maxRetries", "100")]);
    let client = builder(&context, &server.url)
        .allowance(|h| Allowance::seconds_left(h, "ratelimit-remaining", "ratelimit-reset"))
        .build()
        .unwrap();
    let start = Instant::now();
    join_all((0..8).map(|_| async {
        for _ in 0..100 {
            get(&client).await;
        }
    }))
    .await;

    let (refused, seconds) = (refused.load(Relaxed), start.elapsed().as_secs_f64());
    let share = refused as f64 / (800 + refused) as f64;
    assert!(share <= 0.02, "{refused} refused");
    // 16 windows of 50 requests take 150 s at the least.
    assert!(seconds <= 150.0 / 0.85, "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn declared_budget_is_never_refused_and_used_up() {
    let refused = Arc::new(AtomicUsize::new(0));
    let server = windowed(50, refused.clone()).await;
    let context = context(&[]);
    let budget = Budget::new(50, 10 * SECOND);
    let client = builder(&context, &server.url).budget(budget).build().unwrap();
    let start = Instant::now();
    join_all((0..64).map(|_| async {
        for _ in 0..10 {
            get(&client).await;
        }
    }))
    .await;

    assert_eq!(refused.load(Relaxed), 0);
    let seconds = start.elapsed().as_secs_f64();
    assert!((120.0..=120.0 / 0.85).contains(&seconds), "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn reset_in_the_past_is_no_busy_loop() {
    let lines = ["x-remaining: 0", "x-reset: 1", "Date: Wed, 01 Jan 2031 00:00:00 GMT"];
    let limited = reply(429, &lines, "");
    let server = Server::scripted(vec![limited.clone(), limited, json("[]")]).await;
    let context = context(&[]);
    let client = builder(&context, &server.url)
        .allowance(|h| Allowance::epoch_seconds(h, "x-remaining", "x-reset"))
        .errors(|reply| {
            let reset = lakeflow_core::Instant::from_parts(reply.number("x-reset").unwrap(), 0);
            crate::Verdict::of_status(reply.status).wait(Wait::Until(reset))
        })
        .build()
        .unwrap();
    let start = Instant::now();
    get(&client).await;

    assert_eq!(server.heads().len(), 3);
    assert!(start.elapsed() >= Duration::from_millis(750), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn storm_of_refusals_is_weathered() {
    // Every third answer is a refusal without a word on when to come back.
    let server = Server::start(|n, _| match n % 3 {
        0 => reply(429, &[], ""),
        _ => json("[]"),
    })
    .await;
    let context = context(&[("maxRetries", "20"), ("maxWaitSeconds", "86400")]);
    let client = builder(&context, &server.url).build().unwrap();
    let got = join_all((0..4).map(|_| async {
        let mut sum = 0;
        for _ in 0..25 {
            sum += u32::from(get(&client).await == 200);
        }
        sum
    }))
    .await;

    assert_eq!(got, [25; 4]);
    assert_eq!(counted(&context).retries as usize, server.heads().len() - 100);
    assert!(!format!("{:?}", client).contains(CANARY));
}

#[tokio::test(start_paused = true)]
async fn silent_limit_is_found_and_kept() {
    // 50 requests per 10 s, of which no header speaks.
    let times = Arc::new(Mutex::new(Vec::<Instant>::new()));
    let refused = Arc::new(AtomicUsize::new(0));
    let (seen, count) = (times.clone(), refused.clone());
    let server = Server::start(move |_, _| {
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        if seen.iter().filter(|at| at.elapsed() < 10 * SECOND).count() > 50 {
            count.fetch_add(1, Relaxed);
            return reply(429, &[], "");
        }
        json("[]")
    })
    .await;
    let context = context(&[]);
    let client = builder(&context, &server.url).build().unwrap();
    join_all((0..8).map(|_| async {
        for _ in 0..250 {
            get(&client).await;
        }
    }))
    .await;

    let refused = refused.load(Relaxed);
    assert!(refused as f64 / 2000.0 <= 0.02, "{refused} refused");
    assert!(counted(&context).throttled_ms > 0);
}

#[tokio::test(start_paused = true)]
async fn who_watches_sees_that_a_request_waits() {
    let first = AtomicBool::new(true);
    let server = Server::start(move |_, _| match first.swap(false, Relaxed) {
        true => reply(429, &["retry-after: 40"], ""),
        false => json("[]"),
    })
    .await;
    let context = context(&[]);
    let client = builder(&context, &server.url).build().unwrap();
    let seen = Mutex::new(Vec::new());
    let watch = async {
        for _ in 0..60 {
            tokio::time::sleep(SECOND).await;
            seen.lock().unwrap().push(context.metrics.is_waiting());
        }
    };
    let ((), answer) = tokio::join!(watch, client.send(Request::get("x")));
    answer.unwrap();

    let seen = seen.into_inner().unwrap();
    let waited = seen.iter().filter(|waits| **waits).count();
    assert!((39..=50).contains(&waited) && !seen.last().unwrap(), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn waits_of_one_request_are_bounded_together() {
    let server = Server::start(|_, _| reply(429, &["retry-after: 40"], "")).await;
    let context = context(&[("maxWaitSeconds", "100")]);
    let client = builder(&context, &server.url).build().unwrap();
    let start = Instant::now();
    let error = client.send(Request::get("x")).await.unwrap_err();

    let (kind, retry, message) = facts(&error);
    assert_eq!((kind, retry), (ErrorKind::RateLimited, lakeflow_core::Retry::After(40 * SECOND)));
    let expected = "the service asks for a pause of 40 s after 80 s of waiting, until \
                    2031-01-01T00:00:40Z; option 'maxWaitSeconds' allows 100";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!((server.heads().len(), start.elapsed().as_secs()), (3, 80));
}
