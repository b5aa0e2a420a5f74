//! The sources through the engine, against the simulator over loopback: what they ask for, and what
//! the service's errors become.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lakeflow_core::{Error, ErrorKind, ManualClock, Options, Result, SystemClock};
use lakeflow_engine::{Engine, SliceRequest};
use lakeflow_simulator::{Fault, FaultKind, Simulator};
use std::sync::Arc;

struct Setup {
    simulator: Simulator,
    engine: Engine,
}

async fn setup(source: &str) -> Setup {
    let simulator = Simulator::builder().source(source).start().await.unwrap();
    let engine = Engine::new(lakeflow_connectors::SOURCES.to_vec(), Arc::new(SystemClock));

    Setup { simulator, engine }
}

impl Setup {
    fn github(&self, more: &[(&str, &str)]) -> Options {
        let base_url = self.simulator.base_url("github");
        let mut options: Options = [
            ("sourceName", "github"),
            ("token", "canary-token"),
            ("base_url", base_url.as_str()),
            ("tableName", "issues"),
            ("owner", "acme"),
            ("repo", "widgets"),
        ]
        .into_iter()
        .collect();
        for (name, value) in more {
            options.set(*name, *value);
        }
        options
    }

    fn example(&self, table: &str) -> Options {
        let base_url = self.simulator.base_url("example");
        [
            ("sourceName", "example"),
            ("username", "u"),
            ("password", "canary-password"),
            ("base_url", base_url.as_str()),
            ("tableName", table),
        ]
        .into_iter()
        .collect()
    }

    async fn count(&self, options: &Options) -> Result<usize> {
        let mut reader = self.engine.batch(options, None).await?;
        let mut rows = 0;
        while let Some(batch) = reader.next().await? {
            rows += batch.num_rows();
        }
        Ok(rows)
    }

    async fn error(&self, options: &Options) -> Error {
        self.count(options).await.unwrap_err()
    }
}

fn status(code: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    Fault::new(FaultKind::Status {
        code,
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        body: Some(body.to_owned()),
    })
}

#[tokio::test]
async fn github_asks_for_changes_in_order_and_goes_on_from_the_last_value() {
    let setup = setup("github").await;
    assert_eq!(setup.count(&setup.github(&[("per_page", "50")])).await.unwrap(), 120);

    let requests = setup.simulator.requests();
    let first: Vec<_> = requests[0].query.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let fixed = [("state", "all"), ("sort", "updated"), ("direction", "asc"), ("per_page", "50")];
    assert_eq!(first, fixed);
    assert!(requests[0].path.ends_with("/repos/acme/widgets/issues"), "{}", requests[0].path);
    for later in &requests[1..] {
        assert!(later.query.iter().any(|(n, v)| n == "since" && v.ends_with('Z')), "{later:?}");
        assert!(!later.query.iter().any(|(n, _)| n == "page"), "{later:?}");
    }
}

#[tokio::test]
async fn errors_of_github_say_what_to_do() {
    let setup = setup("github").await;
    let quick = [("maxRetries", "0"), ("maxWaitSeconds", "0")];
    let cases: [(Fault, ErrorKind, &str); 7] = [
        (status(401, &[], "{}"), ErrorKind::AuthFailed, "option 'token'"),
        (status(404, &[], "{}"), ErrorKind::PermissionDenied, "options 'owner' and 'repo'"),
        (status(410, &[], "{}"), ErrorKind::Unsupported, "issues are disabled"),
        (status(403, &[], "{}"), ErrorKind::PermissionDenied, "403"),
        (status(403, &[("retry-after", "30")], "{}"), ErrorKind::RateLimited, "30"),
        (
            status(
                403,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1999999999")],
                "{}",
            ),
            ErrorKind::RateLimited,
            "2033-05-18",
        ),
        (
            status(403, &[], r#"{"message":"You have exceeded a secondary rate limit"}"#),
            ErrorKind::RateLimited,
            "60",
        ),
    ];
    for (case, (fault, kind, part)) in cases.into_iter().enumerate() {
        setup.simulator.clear_faults();
        setup.simulator.fault(fault);
        let mut options = setup.github(&quick);
        // What one refusal slows down is not asked by the next credential.
        options.set("token", format!("canary-token-{case}"));
        let error = setup.error(&options).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        let text = format!("{error:?}");
        assert!(text.contains(part) && !text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn a_used_up_limit_that_resets_soon_is_waited_for() {
    let setup = setup("github").await;
    setup.simulator.fault(status(429, &[("retry-after", "0")], "{}").times(1));

    assert_eq!(setup.count(&setup.github(&[])).await.unwrap(), 120);
}

#[tokio::test]
async fn an_empty_repository_and_an_unknown_one_differ() {
    let setup = setup("github").await;

    assert_eq!(setup.count(&setup.github(&[("repo", "empty")])).await.unwrap(), 0);
    let error = setup.error(&setup.github(&[("repo", "nope")])).await;
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn every_table_of_example_is_read_whole() {
    let clock = Arc::new(ManualClock::new(lakeflow_core::Instant::from_parts(1_900_000_000, 0)));
    let simulator =
        Simulator::builder().clock(clock.clone()).source("example").start().await.unwrap();
    let engine = Engine::new(lakeflow_connectors::SOURCES.to_vec(), clock);
    let setup = Setup { simulator, engine };
    let expected = [("products", 53), ("events", 101), ("users", 37), ("orders", 103)];
    for (table, rows) in expected {
        assert_eq!(setup.count(&setup.example(table)).await.unwrap(), rows, "{table}");
    }

    // One row a minute from an hour before the start: the rest lies in the future.
    assert_eq!(setup.count(&setup.example("metrics")).await.unwrap(), 61);
}

#[tokio::test]
async fn faults_of_every_call_lose_no_row_of_example() {
    let setup = setup("example").await;
    let mut statuses = Vec::new();
    for (i, code) in [429u16, 500, 503].into_iter().enumerate() {
        statuses.push(code);
        let fault = status(code, &[("retry-after", "0")], "{}");
        setup.simulator.fault(fault.nth(2 + 2 * i as u64));
    }
    setup.simulator.fault(Fault::new(FaultKind::ResetMidBody { after: 300 }).nth(8));

    assert_eq!(setup.count(&setup.example("orders")).await.unwrap(), 103);
    let seen: Vec<u16> = setup.simulator.requests().iter().map(|r| r.status).collect();
    assert!(statuses.iter().all(|s| seen.contains(s)), "{seen:?}");
    assert_eq!(setup.simulator.fault_hits(), [1, 1, 1, 1]);
}

#[tokio::test]
async fn deletes_of_orders_are_a_feed_of_their_own() {
    let setup = setup("example").await;
    let stream = |deletes: bool| {
        let mut options = setup.example("orders");
        options.set("isDeleteFlow", if deletes { "TRUE" } else { "false" });
        options
    };
    setup
        .simulator
        .upsert(
            "example",
            "deleted_orders",
            &serde_json::json!({
                "order_id": "order_0001", "user_id": null, "amount": null, "status": null,
                "updated_at": "2024-01-01T00:00:00+00:00"
            }),
        )
        .unwrap();
    let table = setup.engine.stream(&stream(true)).await.unwrap();
    let mut slice = table.slice(SliceRequest {
        id: "s".into(),
        start: "{}".into(),
        state: None,
        limit: None,
        single_drain: true,
    });
    let batch = slice.next().await.unwrap().unwrap();
    assert_eq!((batch.num_rows(), batch.column(1).null_count()), (1, 1));
    assert!(slice.next().await.unwrap().is_none());
    let end = slice.end().unwrap();
    assert!(end.offset.contains(r#""feed": "deletes""#), "{}", end.offset);

    let rows = setup.engine.stream(&stream(false)).await.unwrap();
    let mut slice = rows.slice(SliceRequest {
        id: "t".into(),
        start: end.offset,
        state: None,
        limit: None,
        single_drain: true,
    });
    assert_eq!(slice.next().await.unwrap_err().kind(), ErrorKind::OffsetInvalid);
}
