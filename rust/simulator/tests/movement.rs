//! Changes while lists are walked, direct changes, and the admin routes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{BASIC, NOW, TOKEN, at, frozen, get, send};
use lakeflow_core::ErrorKind;
use lakeflow_simulator::{Churn, Grow, LoggedRequest, Simulator};
use serde_json::{Value, json};

async fn start(rows: u64) -> Simulator {
    frozen().0.source("github").rows("github", "issues", rows).start().await.unwrap()
}

fn url(simulator: &Simulator, query: &str) -> String {
    format!("{}/repos/o/r/issues?state=all&{query}", simulator.base_url("github"))
}

async fn admin(simulator: &Simulator, method: &str, route: &str, body: &str) -> (u16, Value) {
    let reply = send(method, &format!("{}/_simulator/{route}", simulator.url()), "", body).await;
    (reply.status, reply.json())
}

const OK: fn() -> (u16, Value) = || (200, json!({"ok": true}));

#[tokio::test]
async fn direct_changes_keep_fields_as_given() {
    let simulator = start(2).await;
    let issue = json!({"id": 5, "number": 50, "state": "open", "updated_at": "2040-01-01T00:00:00Z", "x": [1]});
    simulator.upsert("github", "issues", &issue).unwrap();
    simulator.patch("github", "issues", 5, &json!({"x": {"y": 2}, "new": true})).unwrap();
    let reply = get(&url(&simulator, "sort=updated&per_page=1"), TOKEN).await;
    let mut expected = issue;
    expected["x"] = json!({"y": 2});
    expected["new"] = json!(true);
    assert_eq!(reply.json(), json!([expected]));
    assert!(simulator.remove("github", "o/r/issues", 5).unwrap());
    assert!(!simulator.remove("github", "issues", "5").unwrap());
    assert_eq!(simulator.records("github", "o/r/issues").unwrap().len(), 2);

    let widget =
        json!({"id": 6, "number": 1, "repository_url": "https://api.github.com/repos/acme/gears"});
    simulator.upsert("github", "issues", &widget).unwrap();
    assert_eq!(simulator.records("github", "acme/gears/issues").unwrap().len(), 8);

    simulator.with_world(|world| world.touch("github", "issues", 6)).unwrap();
    let touched = simulator.records("github", "acme/gears/issues").unwrap()[7].clone();
    assert_eq!((&touched["updated_at"], &touched["comments"]), (&json!(NOW), &json!(1)));

    let kind = |result: lakeflow_core::Result<()>| result.unwrap_err().kind();
    let one = json!({});
    assert_eq!(kind(simulator.upsert("nope", "issues", &one)), ErrorKind::ConfigInvalid);
    assert_eq!(kind(simulator.upsert("github", "nope", &one)), ErrorKind::ConfigInvalid);
    assert_eq!(kind(simulator.upsert("github", "issues", &one)), ErrorKind::DataInvalid);
    assert_eq!(kind(simulator.patch("github", "issues", 99, &one)), ErrorKind::DataInvalid);
}

#[tokio::test]
async fn a_hook_changes_the_corpus_before_the_answer() {
    let simulator = start(5).await;
    simulator.on_request(|request: &LoggedRequest, world| {
        if request.number == 2 {
            let first = world.records("github", "o/r/issues").unwrap()[0]["id"].clone();
            world.patch("github", "issues", first, &json!({"title": "moved"})).unwrap();
        }
    });
    let url = url(&simulator, "direction=asc&per_page=1");
    let titles = [get(&url, TOKEN).await.column("title"), get(&url, TOKEN).await.column("title")];
    assert_ne!(titles[0], [json!("moved")]);
    assert_eq!(titles[1], [json!("moved")]);
}

#[tokio::test]
async fn requests_are_logged_with_query_status_and_rows() {
    let simulator = start(5).await;
    let page = get(&url(&simulator, "since=2000-01-01T00%3A00%3A00Z&per_page=3"), TOKEN).await;
    let missing = get(&format!("{}/repos/x", simulator.base_url("github")), TOKEN).await;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let expected = LoggedRequest {
        number: 1,
        at_ms: at(NOW).seconds() * 1000,
        source: "github".into(),
        method: "GET".into(),
        path: "/repos/o/r/issues".into(),
        query: vec![
            pair("state", "all"),
            pair("since", "2000-01-01T00:00:00Z"),
            pair("per_page", "3"),
        ],
        status: 200,
        rows: 3,
        bytes: page.body.len(),
    };
    let second = LoggedRequest {
        number: 2,
        path: "/repos/x".into(),
        query: vec![],
        status: 404,
        rows: 0,
        bytes: missing.body.len(),
        ..expected.clone()
    };
    assert_eq!(simulator.requests(), [expected, second]);
    let (_, logged) = admin(&simulator, "GET", "requests", "").await;
    assert_eq!(logged[1]["path"], "/repos/x");
    assert_eq!(logged[0]["query"][2], json!(["per_page", "3"]));
    assert_eq!(admin(&simulator, "DELETE", "requests", "").await, OK());
    assert_eq!(simulator.requests(), []);
}

#[tokio::test]
async fn churn_touches_listed_rows_and_page_edges_only() {
    let simulator = start(50).await;
    let churn = Churn {
        source: "github".into(),
        collection: "issues".into(),
        every_requests: 2,
        rows: 3,
        page_edges: true,
        seed: 1,
    };
    simulator.churn(churn);
    let before = simulator.records("github", "o/r/issues").unwrap();
    let changed = |simulator: &Simulator| -> Vec<Value> {
        let after = simulator.records("github", "o/r/issues").unwrap();
        let changed = before.iter().zip(&after).filter(|(b, a)| b != a).map(|(_, a)| a.clone());
        changed.collect()
    };
    let page = url(&simulator, "sort=created&direction=asc&per_page=10");
    let first = get(&page, TOKEN).await.column("number");
    assert_eq!(changed(&simulator), [json!(null); 0]);
    get(&format!("{page}&page=2"), TOKEN).await;

    let touched = changed(&simulator);
    let numbers: Vec<&Value> = touched.iter().map(|issue| &issue["number"]).collect();
    assert!(numbers.iter().all(|number| first.contains(number)), "{numbers:?}");
    assert!(numbers.contains(&&first[0]) && numbers.contains(&&first[9]), "{numbers:?}");
    assert!((2..=5).contains(&touched.len()));
    for issue in &touched {
        assert_eq!(issue["updated_at"], NOW);
        let old = before.iter().find(|old| old["id"] == issue["id"]).unwrap();
        assert!(issue["comments"].as_u64() > old["comments"].as_u64());
    }
}

#[tokio::test]
async fn a_growing_source_has_one_more_row_on_every_list() {
    let simulator = start(3).await;
    let grow = Grow {
        source: "github".into(),
        collection: "o/r/issues".into(),
        every_requests: 1,
        rows: 1,
    };
    simulator.grow(grow);
    let query = url(&simulator, "sort=updated&direction=asc");
    for rows in [4, 5, 6] {
        let reply = get(&query, TOKEN).await;
        assert_eq!(reply.column("id").len(), rows);
        let newest = &reply.json()[rows - 1];
        assert_eq!((&newest["created_at"], &newest["updated_at"]), (&json!(NOW), &json!(NOW)));
        assert_eq!(newest["number"], rows);
    }
    let gears = format!("{}/repos/acme/gears/issues?state=all", simulator.base_url("github"));
    assert_eq!(get(&gears, TOKEN).await.column("id").len(), 7);
    simulator.clear_movements();
    assert_eq!(get(&query, TOKEN).await.column("id").len(), 6);
}

#[tokio::test]
async fn admin_routes_set_records_faults_movements_and_time() {
    let (builder, _) = frozen();
    let simulator = builder.source("github").source("example").start().await.unwrap();
    let events = json!([{"event_id": "a", "created_at": "2030-01-01T00:00:00+00:00"}]);
    let put = admin(&simulator, "PUT", "records/example/events", &events.to_string()).await;
    assert_eq!(put, OK());
    assert_eq!(admin(&simulator, "GET", "records/example/events", "").await, (200, events));
    let issues = json!([{"id": 1, "number": 1, "state": "open"}]);
    let put =
        admin(&simulator, "PUT", "records/github/acme/widgets/issues", &issues.to_string()).await;
    assert_eq!(put, OK());
    assert_eq!(
        admin(&simulator, "GET", "records/github/acme/widgets/issues", "").await,
        (200, issues)
    );

    let (_, stats) = admin(&simulator, "GET", "stats", "").await;
    assert_eq!(stats["rows"]["github/acme/widgets/issues"], 1);
    assert_eq!(stats["rows"]["example/orders"], 103);
    assert_eq!(stats["now"], "2031-03-01T10:00:00.000000Z");

    let fault = json!({"path": "/example/*", "times": 1, "kind": {"status": {"code": 500}}});
    assert_eq!(admin(&simulator, "POST", "faults", &fault.to_string()).await, OK());
    let tables = format!("{}/tables", simulator.base_url("example"));
    let statuses = [get(&tables, BASIC).await.status, get(&tables, BASIC).await.status];
    assert_eq!(statuses, [500, 200]);
    assert_eq!(admin(&simulator, "DELETE", "faults", "").await, OK());

    for (change, expected) in [
        (json!({"advance_seconds": 1.5}), "2031-03-01T10:00:01.500000Z"),
        (json!({"freeze": "2032-01-01T00:00:00Z"}), "2032-01-01T00:00:00.000000Z"),
        (json!({"advance_seconds": -60}), "2031-12-31T23:59:00.000000Z"),
        (json!({"system": true}), "2031-03-01T10:00:00.000000Z"),
    ] {
        assert_eq!(admin(&simulator, "POST", "clock", &change.to_string()).await, OK());
        assert_eq!(simulator.now(), at(expected), "{change}");
    }

    let grow = json!({"source": "example", "collection": "events"});
    assert_eq!(admin(&simulator, "POST", "grow", &grow.to_string()).await, OK());
    let churn = json!({"source": "github", "collection": "issues", "rows": 1, "seed": 3});
    assert_eq!(admin(&simulator, "POST", "churn", &churn.to_string()).await, OK());
    let events = format!("{tables}/events/records");
    let counts = [get(&events, BASIC).await, get(&events, BASIC).await]
        .map(|reply| reply.column("event_id").len());
    assert_eq!(counts, [2, 3]);
    assert_eq!(admin(&simulator, "DELETE", "grow", "").await, OK());

    for (method, route, body, status) in [
        ("GET", "nope", "", 404),
        ("POST", "faults", "{}", 400),
        ("POST", "clock", "{}", 400),
        ("POST", "grow", r#"{"source":"x","collection":"y"}"#, 400),
        ("GET", "records/x/y", "", 400),
        ("PUT", "records/github/issues", "[{}]", 400),
    ] {
        let (got, body) = admin(&simulator, method, route, body).await;
        assert_eq!(got, status, "{method} {route}");
        assert!(body["simulator_error"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn cached_pages_equal_fresh_ones_and_end_with_any_change() {
    let (builder, _) = frozen();
    let builder = builder.source("github").rows("github", "issues", 20).cache_bodies(true);
    let simulator = builder.start().await.unwrap();
    let page = url(&simulator, "per_page=5&page=2");
    let first = get(&page, TOKEN).await;
    let second = get(&page, TOKEN).await;
    assert_eq!((first.body, first.headers), (second.body, second.headers));
    assert_eq!(get(&page, "user-agent: t\r\n").await.status, 401);
    assert_eq!(simulator.requests()[1].rows, 5);
    let id = second_id(&get(&page, TOKEN).await.json());
    simulator.patch("github", "issues", id, &json!({"title": "changed"})).unwrap();
    assert_eq!(get(&page, TOKEN).await.column("title")[0], "changed");
}

fn second_id(page: &Value) -> u64 {
    page[0]["id"].as_u64().unwrap()
}

#[tokio::test]
async fn mistakes_in_the_setup_are_named() {
    let message = |e: lakeflow_core::Error| e.to_string();
    let unknown = Simulator::builder().source("nope").start().await.err().map(message).unwrap();
    // Sources and collections come with time; the first ones stay.
    assert!(unknown.starts_with("unknown source 'nope', known: example, github"), "{unknown}");
    assert!(unknown.ends_with("(source: nope)"), "{unknown}");
    let rows = Simulator::builder().rows("github", "nope", 1).start().await;
    let rows = rows.err().map(message).unwrap();
    assert!(rows.starts_with("unknown collection 'nope', known: repos, "), "{rows}");
    assert!(rows.ends_with("(source: github)"), "{rows}");
}

#[tokio::test]
async fn limits_that_are_set_while_it_runs_are_enforced_in_place_of_its_own() {
    let simulator = start(5).await;
    let limit = r#"[{"kind": "rolling", "limit": 1, "window_seconds": 5, "headers": {"left": "${remaining}"},
        "exceeded": {"status": 429, "headers": {"retry-after": "${retry_after}"}, "body": {}}}]"#;
    assert_eq!(admin(&simulator, "PUT", "rate-limits/github", limit).await, OK());
    let mut seen = Vec::new();
    for _ in 0..2 {
        let reply = get(&url(&simulator, "per_page=1"), TOKEN).await;
        let header = |name: &str| reply.header(name).map(str::to_owned);
        seen.push((reply.status, header("left"), header("retry-after")));
    }
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(seen, [(200, text("0"), None), (429, text("0"), text("5"))]);

    for (route, body) in [("rate-limits/none", "[]"), ("rate-limits/github", r#"[{"limit": 1}]"#)] {
        assert_eq!(admin(&simulator, "PUT", route, body).await.0, 400);
    }
}
