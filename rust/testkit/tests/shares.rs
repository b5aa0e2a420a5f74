//! One polite client of several processes: what a service with a limit sees of splits that are read
//! in them. The processes are this program again.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use futures::future::join_all;
use lakeflow_core::{Context, Metrics, Options, Secret, Settings, SystemClock};
use lakeflow_http::{Auth, Client, OPTIONS, Request};
use lakeflow_simulator::Simulator;
use serde_json::json;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

/// Splits that a process is to read: their number, the share of each, and where from.
const ORDER: &str = "LAKEFLOW_SHARES";

/// Requests that the service lets through in any second.
const LIMIT: u64 = 20;

/// Milliseconds in which the limit is found, and after which the processes end.
const FIRST: i64 = 5_000;
const LAST: i64 = 25_000;

/// How the limit is known: by an option, by `Retry-After`, or not at all.
const KINDS: [&str; 3] = ["declared", "told", "silent"];

/// Splits that each process reads at once: one, eight, and as many of 64 as have a place.
const RUNS: [&[usize]; 3] = [&[1], &[4, 4], &[16, 16]];

#[tokio::main]
async fn main() {
    match std::env::var(ORDER) {
        Ok(order) => read(&serde_json::from_str(&order).unwrap()).await,
        Err(_) => {
            let runs = KINDS.iter().flat_map(|kind| RUNS.map(|splits| run(kind, splits)));
            let wrong: Vec<_> = join_all(runs).await.into_iter().flatten().collect();
            assert_eq!(wrong, Vec::<String>::new());
        }
    }
}

/// Reads splits, page after page, until the end of the run.
async fn read((splits, share, options): &(usize, f64, Vec<(String, String)>)) {
    let base_url = &options[0].1;
    let options: Options = options[1..].iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let settings = Arc::new(Settings::resolve(&options, OPTIONS, &[]).unwrap());
    let split = || async {
        let context = Context {
            settings: settings.clone(),
            clock: Arc::new(SystemClock),
            metrics: Arc::new(Metrics::default()),
            share: *share,
        };
        let auth = Auth::Bearer(Secret::new("token"));
        let client = Client::builder(&context, base_url).unwrap().auth(auth).build().unwrap();
        loop {
            client.send(Request::get("repos/acme/widgets/issues?per_page=1")).await.unwrap();
        }
    };
    let reading = join_all((0..*splits).map(|_| split()));
    let _: Result<Vec<()>, _> =
        tokio::time::timeout(Duration::from_millis(LAST as u64), reading).await;
}

/// What is wrong with a run, if anything is.
async fn run(kind: &str, processes: &[usize]) -> Option<String> {
    let simulator = Simulator::builder().source("github").start().await.unwrap();
    let mut refusal = json!({"status": 429, "body": {"message": "too many requests"}});
    if kind == "told" {
        refusal["headers"] = json!({"retry-after": "${retry_after}"});
    }
    let limit =
        json!([{"kind": "rolling", "limit": LIMIT, "window_seconds": 1, "exceeded": refusal}]);
    simulator.with_world(|world| world.set_rate_limits("github", limit)).unwrap();

    let share = 1.0 / processes.iter().sum::<usize>() as f64;
    let mut options = vec![("base_url".to_owned(), simulator.base_url("github"))];
    if kind == "declared" {
        options.push(("requestsPerSecond".to_owned(), LIMIT.to_string()));
    }
    let start = |splits: &usize| -> Child {
        let order = json!([splits, share, options]).to_string();
        Command::new(std::env::current_exe().unwrap()).env(ORDER, order).spawn().unwrap()
    };
    for mut child in processes.iter().map(start).collect::<Vec<_>>() {
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
        assert!(ended.await.unwrap().success());
    }

    let log = simulator.requests();
    let from = log[0].at_ms + FIRST;
    let log: Vec<_> =
        log.iter().filter(|r| (from..from + LAST - FIRST).contains(&r.at_ms)).collect();
    let refused = log.iter().filter(|request| request.status == 429).count();
    let rate = (log.len() - refused) as f64 * 1000.0 / (LAST - FIRST) as f64;
    let percent = 100.0 * refused as f64 / log.len() as f64;
    let figures = format!("{kind} {processes:?}: {rate:.1} requests/s, {percent:.2} % refused");
    println!("{figures}");

    (rate < 0.8 * LIMIT as f64 || percent > 2.0).then_some(figures)
}
