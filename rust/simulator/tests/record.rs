//! Recordings made from another simulator: complete, replayable, without a secret.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{frozen, get, send};
use lakeflow_core::ErrorKind;
use lakeflow_simulator::{Origin, Recorder, Replay};
use serde_json::{Value, json};
use std::path::PathBuf;

const SECRET: &str = "s3cret-Token/1";
/// `someone:s3cret-Token/1`
const BASIC: &str = "authorization: Basic c29tZW9uZTpzM2NyZXQtVG9rZW4vMQ==\r\n";

const ENDPOINTS: &str = r#"
auth:
  scheme: basic
  missing: {status: 401, body: {error: missing}}
  rejected: {status: 401, body: {error: rejected}}
errors:
  not_found: {status: 404, body: {error: "nothing at '${path}'"}}
  invalid_parameter: {status: 400, body: {error: "${value}"}}
  invalid_body: {status: 400, body: {error: body}}
collections:
  things: {unique: [id], fields: {id: integer}}
routes:
  - on: GET /things
    answer:
      list:
        collection: things
        sort: {default: id}
        paging: {page_param: page, size_param: per_page, size: 2, max_size: 2}
        body: {things: "${rows}", next: "${next_url}"}
  - on: POST /find/{value}
    answer: {respond: {status: 200, body: {found: "${value}"}}}
  - on: GET /session
    answer: {respond: {status: 200, headers: {set-cookie: "sid=abcdef987654; Path=/", x-note: "s3cret-Token/1 seen"}, body: {access_token: issued-by-host, refresh_token: refresh-by-host, echo: "you sent s3cret-Token/1"}}}
  - on: GET /echo
    answer: {respond: {status: 200, body: {token_was: issued-by-host}}}
  - on: GET /hidden
    answer: {respond: {status: 200, body: {opaque: "eDpzM2NyZXQtVG9rZW4vMQ=="}}}
"#;
const CORPUS: &str =
    "collections: {things: {rows: 5, values: {n: {sequence: {start: 1}}}, record: {id: \"${n}\"}}}";

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("lakeflow-record-{}-{name}.json", std::process::id()))
}

#[tokio::test]
async fn a_walk_is_recorded_without_secrets_and_replayed_page_by_page() {
    let upstream = frozen().0.spec("shop", ENDPOINTS, CORPUS).start().await.unwrap();
    let path = file("walk");
    let recorder = Recorder::start(&upstream.base_url("shop"), &path).await.unwrap();
    let echo = get(&format!("{}/echo", recorder.url()), BASIC).await;
    let mut next = Some(format!("{}/things?access_token={SECRET}&per_page=2", recorder.url()));
    let mut pages = Vec::new();
    while let Some(url) = next {
        let page = get(&url, BASIC).await.json();
        next = page["next"].as_str().map(str::to_owned);
        assert!(next.iter().all(|url| url.starts_with(recorder.url())), "{next:?}");
        pages.push(page["things"].clone());
    }
    assert_eq!(
        pages,
        [json!([{"id": 1}, {"id": 2}]), json!([{"id": 3}, {"id": 4}]), json!([{"id": 5}])]
    );
    let session = get(&format!("{}/session", recorder.url()), BASIC).await;
    assert_eq!(session.json()["access_token"], "issued-by-host", "the client gets what was sent");
    for wanted in ["one", "two"] {
        let body = json!({"q": wanted, "client_secret": "another-secret"}).to_string();
        send("POST", &format!("{}/find/{wanted}", recorder.url()), BASIC, &body).await;
    }

    let text = std::fs::read_to_string(&path).unwrap();
    let hidden = [
        SECRET,
        "s3cret-Token%2F1",
        "c29tZW9uZTpzM2NyZXQt",
        "issued-by-host",
        "refresh-by-host",
        "abcdef987654",
        "another-secret",
    ];
    for secret in hidden {
        assert!(!text.contains(secret), "{secret}");
    }
    let stored: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(stored.len(), 7);
    assert_eq!(
        stored[4]["response"],
        json!({"access_token": "REDACTED", "refresh_token": "REDACTED", "echo": "you sent REDACTED"})
    );
    assert_eq!(
        (&stored[4]["headers"]["x-note"], stored[4]["headers"].get("set-cookie")),
        (&json!("REDACTED seen"), None)
    );
    assert_eq!(stored[0]["response"], json!({"token_was": "REDACTED"}), "learned afterwards");
    assert_eq!(echo.json(), json!({"token_was": "issued-by-host"}));

    let replay = Replay::start(&path, Origin::Rewritten).await.unwrap();
    let mut next = Some(format!("{}/things?access_token=any-token&per_page=2", replay.url()));
    let mut again = Vec::new();
    while let Some(url) = next {
        let page = get(&url, "").await.json();
        next = page["next"].as_str().map(str::to_owned);
        again.push(page["things"].clone());
    }
    assert_eq!(again, pages);
    let find = async |path: &str, body: Value| {
        send("POST", &format!("{}{path}", replay.url()), "", &body.to_string()).await
    };
    let same = find("/find/two", json!({"client_secret": "whatever", "q": "two"})).await;
    assert_eq!((same.status, same.json()), (200, json!({"found": "two"})));
    let other = find("/find/two", json!({"q": "three"})).await;
    assert_eq!(other.status, 501);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_secret_in_another_spelling_is_not_stored() {
    let upstream = frozen().0.spec("shop", ENDPOINTS, CORPUS).start().await.unwrap();
    let path = file("hidden");
    let recorder = Recorder::start(&upstream.base_url("shop"), &path).await.unwrap();
    let refused = get(&format!("{}/hidden", recorder.url()), BASIC).await;
    assert_eq!(refused.status, 502);
    assert!(!String::from_utf8(refused.body).unwrap().contains(SECRET));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[\n\n]\n");
    let short = get(&format!("{}/things", recorder.url()), "authorization: Bearer abc\r\n").await;
    assert_eq!(short.status, 502);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn what_cannot_be_recorded_is_refused() {
    let path = file("refused");
    for upstream in ["ftp://h", "no url", "https://user@h"] {
        let error = Recorder::start(upstream, &path).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{upstream}");
    }
    let error = Recorder::start("http://127.0.0.1:1", &PathBuf::from("/nonexistent/x")).await;
    assert_eq!(error.err().unwrap().kind(), ErrorKind::ConfigInvalid);
    let recorder = Recorder::start("http://127.0.0.1:1", &path).await.unwrap();
    assert_eq!(get(&format!("{}/x", recorder.url()), "").await.status, 502);
    std::fs::remove_file(path).unwrap();
}
