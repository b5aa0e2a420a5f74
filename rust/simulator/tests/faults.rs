//! Every kind of fault, as a bare socket sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{TOKEN, frozen, get, open, send};
use lakeflow_simulator::{Fault, FaultKind, Simulator};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn start() -> (Simulator, String) {
    let (builder, _) = frozen();
    let simulator = builder.source("github").rows("github", "issues", 90).start().await.unwrap();
    let url = format!("{}/repos/o/r/issues?state=all", simulator.base_url("github"));
    (simulator, url)
}

#[tokio::test]
async fn a_status_replaces_the_answer_on_its_turn_and_leaves_the_source_alone() {
    let (simulator, url) = start().await;
    let headers = BTreeMap::from([
        ("Retry-After".to_owned(), "7".to_owned()),
        ("Content-Type".to_owned(), "text/plain".to_owned()),
    ]);
    let kind = FaultKind::Status { code: 429, headers, body: Some("slow down".into()) };
    simulator.fault(Fault::new(kind).on("/github/repos/*").nth(2));
    let statuses = [get(&url, TOKEN).await.status, 0, get(&url, TOKEN).await.status];
    assert_eq!(statuses, [200, 0, 429]);
    simulator.clear_faults();

    simulator.fault(Fault::status(503).method("POST").times(1));
    let before = simulator.records("github", "o/r/issues").unwrap().len();
    let post = url.replace("?state=all", "");
    let reply = send("POST", &post, TOKEN, r#"{"title":"t"}"#).await;
    assert_eq!((reply.status, reply.json()), (503, json!({"message": "injected fault"})));
    assert_eq!(simulator.records("github", "o/r/issues").unwrap().len(), before);
    assert_eq!(simulator.fault_hits(), [1]);
    assert_eq!(send("POST", &post, TOKEN, r#"{"title":"t"}"#).await.status, 201);
    let logged: Vec<u16> = simulator.requests().iter().map(|request| request.status).collect();
    assert_eq!(logged, [200, 429, 503, 201]);
}

#[tokio::test]
async fn the_headers_of_a_status_replace_the_standard_ones() {
    let (simulator, url) = start().await;
    let headers = BTreeMap::from([("date".to_owned(), "Fri, 28 Feb 2031 00:00:00 GMT".to_owned())]);
    simulator.fault(Fault::new(FaultKind::Status { code: 500, headers, body: None }));
    let reply = get(&url, TOKEN).await;
    assert_eq!(reply.header("date"), Some("Fri, 28 Feb 2031 00:00:00 GMT"));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn bodies_break_where_they_shall() {
    let (simulator, url) = start().await;
    let whole = get(&url, TOKEN).await;
    assert_eq!((whole.broken, whole.column("id").len()), (None, 30));
    let length = whole.body.len();
    let cases = [
        (FaultKind::ResetMidBody { after: 0 }, 0, Some(ErrorKind::ConnectionReset)),
        (FaultKind::ResetMidBody { after: 1_000 }, 1_000, Some(ErrorKind::ConnectionReset)),
        (
            FaultKind::ResetMidBody { after: length - 1 },
            length - 1,
            Some(ErrorKind::ConnectionReset),
        ),
        (FaultKind::ShortBody { after: 1_000 }, 1_000, Some(ErrorKind::UnexpectedEof)),
        (FaultKind::TruncatedBody { keep: 1_000 }, 1_000, None),
        (FaultKind::Drip { bytes_per_second: 1_000_000_000 }, length, None),
        (FaultKind::Latency { ms: 1 }, length, None),
    ];
    for (kind, kept, broken) in cases {
        simulator.fault(Fault::new(kind.clone()).times(1));
        let reply = get(&url, TOKEN).await;
        assert_eq!((reply.status, reply.body.len(), reply.broken), (200, kept, broken), "{kind:?}");
        assert_eq!(reply.body, whole.body[..kept], "{kind:?}");
        let announced: usize = reply.header("content-length").unwrap().parse().unwrap();
        let complete = matches!(kind, FaultKind::TruncatedBody { .. });
        assert_eq!(announced, if complete { kept } else { length }, "{kind:?}");
        assert_eq!(get(&url, TOKEN).await.body, whole.body, "the next answer is whole");
    }
}

#[tokio::test]
async fn a_drip_sends_its_bytes_over_time() {
    let (simulator, url) = start().await;
    let length = get(&url, TOKEN).await.body.len() as u64;
    simulator.fault(Fault::new(FaultKind::Drip { bytes_per_second: length * 10 }));
    let started = Instant::now();
    assert_eq!(get(&url, TOKEN).await.body.len() as u64, length);
    // Two pieces of a twentieth of a second each; the first goes at once.
    assert!(started.elapsed() >= Duration::from_millis(45), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_black_hole_keeps_the_connection_and_says_nothing() {
    let (simulator, url) = start().await;
    simulator.fault(Fault::new(FaultKind::BlackHole));
    let (mut stream, path) = open(&url).await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: s\r\n{TOKEN}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut byte = [0];
    let silent = tokio::time::timeout(Duration::from_millis(30), stream.read(&mut byte)).await;
    assert!(silent.is_err(), "{silent:?}");
    assert_eq!(simulator.requests()[0].status, 0);
    drop(simulator);
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut byte)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test]
async fn lies_about_content_and_pages_are_told() {
    let (simulator, url) = start().await;
    let foreign = FaultKind::ForeignLink { origin: "http://127.0.0.2:9".into() };
    for (kind, check) in [
        (FaultKind::Html200, "html"),
        (FaultKind::FalseGzip, "gzip"),
        (FaultKind::RepeatLink, "repeat"),
        (foreign, "foreign"),
        (FaultKind::EmptyPage, "empty"),
    ] {
        simulator.fault(Fault::new(kind).times(1));
        let reply = get(&format!("{url}&page=2"), TOKEN).await;
        assert_eq!(reply.status, 200, "{check}");
        let next = reply.link("next").unwrap_or_default();
        match check {
            "html" => {
                assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
                assert!(reply.body.starts_with(b"<!DOCTYPE html>"));
            }
            "gzip" => {
                assert_eq!(reply.header("content-encoding"), Some("gzip"));
                assert_eq!(reply.column("id").len(), 30);
            }
            "repeat" => assert!(next.ends_with("&page=2"), "{next}"),
            "foreign" => {
                assert!(next.starts_with("http://127.0.0.2:9/repositories/"), "{next}");
            }
            _ => assert!(next.ends_with("&page=3") && reply.column("id").is_empty(), "{next}"),
        }
    }

    let (builder, _) = frozen();
    let simulator = builder.source("example").start().await.unwrap();
    simulator.fault(Fault::new(FaultKind::RepeatLink));
    let url = format!("{}/tables/users/records?page=2", simulator.base_url("example"));
    assert_eq!(get(&url, common::BASIC).await.json()["next_page"], 2);
}

#[tokio::test]
async fn a_sources_own_faults_come_only_when_asked_for() {
    for (on, expected) in [(false, 0..=0), (true, 1..=40)] {
        let (builder, _) = frozen();
        let simulator = builder.source("example").default_faults(on).start().await.unwrap();
        let url = format!("{}/tables", simulator.base_url("example"));
        let mut failed = 0;
        for _ in 0..300 {
            let status = get(&url, common::BASIC).await.status;
            assert!([200, 429, 500, 503].contains(&status), "{status}");
            failed += u32::from(status != 200);
        }
        assert!(expected.contains(&failed), "{on}: {failed}");
    }
}
