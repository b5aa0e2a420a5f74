//! Recordings: what matches, what is rewritten, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::get;
use lakeflow_core::ErrorKind;
use lakeflow_simulator::{Origin, Replay};
use serde_json::{Value, json};
use std::path::PathBuf;

const ORIGIN: &str = "https://api.github.com";

/// The recorded walk over the issues of a repository, from the folder `LAKEFLOW_FIXTURES` of the
/// unpacked npm package `@octokit/fixtures`, which the project's setup provides.
fn paginate_issues() -> PathBuf {
    let folder = std::env::var("LAKEFLOW_FIXTURES")
        .expect("LAKEFLOW_FIXTURES names the unpacked @octokit/fixtures; run bin/setup");
    PathBuf::from(folder).join("scenarios/api.github.com/paginate-issues/normalized-fixture.json")
}

fn recorded() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(paginate_issues()).unwrap()).unwrap()
}

fn write(name: &str, recording: &Value) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("lakeflow-replay-{}-{name}.json", std::process::id()));
    std::fs::write(&path, recording.to_string()).unwrap();
    path
}

#[tokio::test]
async fn a_recorded_walk_is_served_page_by_page_with_the_new_origin() {
    let replay = Replay::start(&paginate_issues(), Origin::Rewritten).await.unwrap();
    let mut next = Some(format!(
        "{}/repos/octokit-fixture-org/paginate-issues/issues?state=all&per_page=100",
        replay.url()
    ));
    let mut numbers = Vec::new();
    for exchange in recorded() {
        let reply = get(&next.unwrap(), "").await;
        let own = |text: &str| text.replace(ORIGIN, replay.url());
        let expected: Value =
            serde_json::from_str(&own(&exchange["response"].to_string())).unwrap();
        assert_eq!(
            (u64::from(reply.status), reply.json()),
            (exchange["status"].as_u64().unwrap(), expected)
        );
        for (name, value) in exchange["headers"].as_object().unwrap() {
            if ["content-length", "connection"].contains(&name.as_str()) {
                continue;
            }
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(reply.header(name), Some(own(&text).as_str()), "{name}");
        }
        numbers.extend(reply.column("number"));
        next = reply.link("next");
    }
    assert_eq!(next, None);
    assert_eq!(numbers, (1..=13).rev().map(|n| json!(n)).collect::<Vec<_>>());
    let rows: Vec<usize> = replay.requests().iter().map(|request| request.rows).collect();
    assert_eq!(rows, [3, 3, 3, 3, 1]);
}

#[tokio::test]
async fn a_kept_origin_stays_in_headers_and_bodies() {
    let replay = Replay::start(&paginate_issues(), Origin::Kept).await.unwrap();
    let url = format!("{}/repos/octokit-fixture-org/paginate-issues/issues", replay.url());
    let reply = get(&url, "").await;
    assert_eq!(reply.json(), recorded()[0]["response"]);
    assert_eq!(
        reply.link("next").unwrap(),
        format!("{ORIGIN}/repositories/1000/issues?per_page=3&page=2")
    );
}

#[tokio::test]
async fn the_first_exchange_ignores_the_query_and_the_others_do_not() {
    let exchange = |path: &str, status: u16, response: Value| {
        json!({"scope": "https://h.example:443", "method": "get", "path": path, "status": status,
               "response": response, "headers": {"content-encoding": "gzip", "x-n": 1}})
    };
    let recording = json!([
        exchange("/a?p=1", 200, json!([1])),
        exchange("/a?p=2", 200, json!([2])),
        exchange("/b", 404, json!({"u": "https://h.example/x"})),
        exchange("/b", 200, json!("plain \"text\"")),
        exchange("/c?x=1", 200, json!([])),
    ]);
    let path = write("matching", &recording);
    let replay = Replay::start(&path, Origin::Rewritten).await.unwrap();
    let cases = [
        ("/a?p=1", 200, "[1]".to_owned()),
        ("/a?p=1", 200, "[1]".to_owned()),
        ("/a", 200, "[1]".to_owned()),
        ("/a?q=9", 200, "[1]".to_owned()),
        ("/a?p=2", 200, "[2]".to_owned()),
        ("/b", 404, format!("{{\"u\":\"{}/x\"}}", replay.url())),
        ("/b", 200, "plain \"text\"".to_owned()),
    ];
    for (target, status, body) in cases {
        let reply = get(&format!("{}{target}", replay.url()), "").await;
        let got = String::from_utf8(reply.body.clone()).unwrap();
        assert_eq!((reply.status, got), (status, body), "{target}");
        assert_eq!((reply.header("content-encoding"), reply.header("x-n")), (None, Some("1")));
    }
    let reply = get(&format!("{}/c?x=2", replay.url()), "").await;
    assert_eq!(reply.status, 501);
    assert_eq!(
        reply.json(),
        json!({"simulator_error": "no recorded exchange for 'GET /c?x=2', the closest is 'GET /c?x=1'"})
    );
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn unreadable_recordings_are_refused() {
    let binary = json!([{"scope": "https://h", "method": "GET", "path": "/", "status": 200,
                         "response": "00", "responseIsBinary": true}]);
    for (path, kind) in [
        (PathBuf::from("/nonexistent"), ErrorKind::ConfigInvalid),
        (write("form", &json!({})), ErrorKind::ConfigInvalid),
        (write("binary", &binary), ErrorKind::Unsupported),
    ] {
        let error = Replay::start(&path, Origin::Kept).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{path:?}");
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
}
