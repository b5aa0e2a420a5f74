//! The `zendesk` description: exports by time and cursor, pages of both kinds, limits, refusals.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{Reply, at, frozen, get};
use lakeflow_simulator::Simulator;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// `agent@example.com/token:secret-1`
const AGENT: &str = "authorization: Basic YWdlbnRAZXhhbXBsZS5jb20vdG9rZW46c2VjcmV0LTE=\r\n";

/// Seconds since 1970 of the frozen clock.
const NOW: i64 = 1_930_125_600;

async fn start() -> Simulator {
    frozen().0.source("zendesk").start().await.unwrap()
}

async fn ask(simulator: &Simulator, path: &str) -> Reply {
    get(&format!("{}/api/v2/{path}", simulator.base_url("zendesk")), AGENT).await
}

/// Tickets that changed so many seconds before now.
async fn with_tickets(ages: &[i64]) -> Simulator {
    let tickets = ages
        .iter()
        .zip(1..)
        .map(|(age, id)| json!({"id": id, "status": "open", "generated_timestamp": NOW - age}))
        .collect();
    frozen().0.source("zendesk").records("zendesk", "tickets", tickets).start().await.unwrap()
}

fn ids(reply: &Reply, records: &str) -> Vec<u64> {
    let json = reply.json();
    json[records].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[test]
fn the_constant_is_the_frozen_time() {
    assert_eq!(at(common::NOW).seconds(), NOW);
}

#[tokio::test]
async fn time_exports_are_inclusive_hide_the_last_minute_and_lead_on_by_end_time() {
    let simulator = with_tickets(&[500, 400, 400, 300, 60, 59, 0]).await;
    let base = simulator.base_url("zendesk");
    let page = async |start: i64| {
        let path = format!("incremental/tickets.json?start_time={start}&per_page=3");
        ask(&simulator, &path).await
    };
    let first = page(0).await;
    assert_eq!(ids(&first, "tickets"), [1, 2, 3]);
    let mut rest = first.json();
    rest.as_object_mut().unwrap().remove("tickets");
    assert_eq!(
        rest,
        json!({
            "count": 3, "end_of_stream": false, "end_time": NOW - 400,
            "next_page": format!("{base}/api/v2/incremental/tickets.json?start_time={}&per_page=3", NOW - 400),
        })
    );
    let second = get(first.json()["next_page"].as_str().unwrap(), AGENT).await;
    assert_eq!(ids(&second, "tickets"), [2, 3, 4]);
    let last = page(NOW - 300).await;
    assert_eq!(ids(&last, "tickets"), [4, 5]);
    assert_eq!(
        (&last.json()["end_of_stream"], &last.json()["end_time"]),
        (&json!(true), &json!(NOW - 60))
    );
    let empty = page(NOW - 60).await.json();
    assert_eq!(empty["count"], 1);

    let young = page(NOW - 59).await;
    assert_eq!((young.status, young.json()["error"].clone()), (400, json!("StartTimeTooRecent")));
    for bad in ["incremental/tickets.json", "incremental/tickets?start_time=yesterday"] {
        assert_eq!(ask(&simulator, bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn rows_of_one_second_are_on_one_page_which_may_not_advance() {
    let simulator = with_tickets(&[400, 400, 400, 300]).await;
    let start = NOW - 400;
    let path = format!("incremental/tickets.json?start_time={start}&per_page=2");
    let reply = ask(&simulator, &path).await;
    assert_eq!(ids(&reply, "tickets"), [1, 2, 3]);
    let reply = reply.json();
    assert_eq!(
        (&reply["end_time"], &reply["end_of_stream"]),
        (&json!(start), &json!(false)),
        "`next_page` leads to the same page"
    );
}

#[tokio::test]
async fn cursor_exports_walk_every_ticket_once_and_go_on_later() {
    let (builder, clock) = frozen();
    let simulator = builder.source("zendesk").start().await.unwrap();
    let mut url = format!(
        "{}/api/v2/incremental/tickets/cursor.json?start_time=0&per_page=700",
        simulator.base_url("zendesk")
    );
    let mut seen = Vec::new();
    loop {
        let reply = get(&url, AGENT).await;
        seen.extend(ids(&reply, "tickets"));
        let json = reply.json();
        url = json["after_url"].as_str().unwrap().to_owned();
        if json["end_of_stream"] == true {
            break;
        }
    }
    let distinct: BTreeSet<u64> = seen.iter().copied().collect();
    assert_eq!((seen.len(), distinct.len()), (2300, 2300));

    let again = get(&url, AGENT).await.json();
    assert_eq!((&again["tickets"], &again["end_of_stream"]), (&json!([]), &json!(true)));
    simulator.with_world(|world| world.touch("zendesk", "tickets", 35_005)).unwrap();
    assert_eq!(get(again["after_url"].as_str().unwrap(), AGENT).await.json()["tickets"], json!([]));
    clock.set(at(common::NOW).plus_nanos(61_000_000_000));
    let later = get(again["after_url"].as_str().unwrap(), AGENT).await;
    assert_eq!(ids(&later, "tickets"), [35_005]);
    assert_eq!(later.json()["tickets"][0]["updated_at"], common::NOW);
    assert_eq!(later.json()["tickets"][0]["generated_timestamp"], NOW);

    let made_up = "incremental/tickets/cursor.json?cursor=MTU3NjYxMzUzOS4wfHw0Njd8";
    assert_eq!(ask(&simulator, made_up).await.status, 400);
}

#[tokio::test]
async fn every_table_has_three_pages_at_the_greatest_page_size() {
    let simulator = start().await;
    let cases = [
        ("incremental/tickets.json?start_time=0", "tickets", 2300),
        ("incremental/users.json?start_time=0", "users", 2150),
        ("incremental/users/cursor.json?start_time=0", "users", 2150),
        ("incremental/organizations.json?start_time=0", "organizations", 2100),
        (
            "incremental/ticket_events.json?start_time=0&include=comment_events",
            "ticket_events",
            2200,
        ),
        ("help_center/incremental/articles.json?start_time=0", "articles", 2100),
        ("help_center/articles.json?page[size]=100", "articles", 2100),
        ("brands.json?page[size]=100", "brands", 210),
        ("groups.json?page[size]=100", "groups", 230),
        ("community/topics.json?page[size]=100", "topics", 215),
        ("brands.json?per_page=100", "brands", 210),
        ("groups?per_page=100", "groups", 230),
        ("community/topics.json?per_page=100", "topics", 215),
    ];
    for (path, records, total) in cases {
        let mut url = format!("{}/api/v2/{path}", simulator.base_url("zendesk"));
        let (mut seen, mut pages) = (BTreeSet::new(), 0);
        loop {
            let reply = get(&url, AGENT).await;
            assert_eq!(reply.status, 200, "{url}");
            seen.extend(ids(&reply, records));
            pages += 1;
            let json = reply.json();
            let next = [&json["links"]["next"], &json["after_url"], &json["next_page"]];
            let next = next.into_iter().find_map(Value::as_str);
            match next {
                Some(next) if json["end_of_stream"] != true => url = next.to_owned(),
                _ => break,
            }
        }
        assert!(pages >= 3, "{path}: {pages}");
        assert_eq!(seen.len(), total, "{path}");
    }
}

#[tokio::test]
async fn numbered_pages_end_after_a_hundred() {
    let simulator = start().await;
    let beyond = ask(&simulator, "groups.json?page=101&per_page=100").await;
    assert_eq!(
        (beyond.status, beyond.json()["errors"][0]["code"].clone()),
        (400, json!("InvalidPaginationDepth"))
    );
    let last = ask(&simulator, "groups.json?page=3&per_page=100").await.json();
    let base = simulator.base_url("zendesk");
    assert_eq!(
        (&last["next_page"], &last["previous_page"], &last["count"]),
        (
            &Value::Null,
            &json!(format!("{base}/api/v2/groups.json?page=2&per_page=100")),
            &json!(230)
        )
    );
    for refused in ["page[size]=101", "page[size]=10&page[after]=abc", "page=0"] {
        assert_eq!(
            ask(&simulator, &format!("groups.json?{refused}")).await.status,
            400,
            "{refused}"
        );
    }
}

#[tokio::test]
async fn comments_have_their_text_only_with_the_side_load() {
    let simulator = start().await;
    let comments = async |query: &str| {
        let path = format!("incremental/ticket_events.json?start_time=0{query}");
        let events = ask(&simulator, &path).await.json()["ticket_events"].clone();
        let children: Vec<Value> = events
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|event| event["child_events"].as_array().unwrap().clone())
            .collect();
        let comments = children.iter().filter(|child| child["event_type"] == "Comment");
        (children.len(), comments.cloned().collect::<Vec<_>>())
    };
    let (children, full) = comments("&include=comment_events").await;
    assert!(full.len() > 300 && children > full.len());
    for comment in &full {
        assert!(comment["body"].is_string() && comment["author_id"].is_u64(), "{comment}");
    }
    let (same, bare) = comments("").await;
    assert_eq!((same, bare.len()), (children, full.len()));
    assert_eq!((&bare[0]["body"], &bare[0]["comment_present"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn articles_sort_as_asked_and_are_missing_where_the_help_center_is_off() {
    let article = |id: u64, position: u64, hour: u64| json!({"id": id, "position": position, "updated_at": format!("2024-01-01T0{hour}:00:00Z")});
    let articles = vec![article(1, 5, 1), article(2, 0, 3), article(3, 2, 2)];
    let simulator = frozen()
        .0
        .source("zendesk")
        .records("zendesk", "articles", articles)
        .off("zendesk", "topics")
        .start()
        .await
        .unwrap();
    let cases: &[(&str, &[u64])] = &[
        ("", &[2, 3, 1]),
        ("sort_by=updated_at", &[1, 3, 2]),
        ("sort_by=updated_at&sort_order=desc&page[size]=2", &[2, 3]),
    ];
    for (query, expected) in cases {
        let reply = ask(&simulator, &format!("help_center/articles.json?{query}")).await;
        assert_eq!(ids(&reply, "articles"), *expected, "{query}");
    }
    let since = at("2024-01-01T02:00:00Z").seconds();
    let path = format!("help_center/incremental/articles?start_time={since}");
    assert_eq!(ids(&ask(&simulator, &path).await, "articles"), [3, 2]);

    let off = ask(&simulator, "community/topics.json?page[size]=100").await;
    assert_eq!((off.status, off.json()["error"].clone()), (404, json!("RecordNotFound")));
    simulator.with_world(|world| world.switch_off("zendesk", "articles")).unwrap();
    assert_eq!(ask(&simulator, "help_center/articles.json").await.status, 404);
}

#[tokio::test]
async fn credentials_need_the_token_form_and_limits_are_shown_and_enforced() {
    let simulator = frozen()
        .0
        .source("zendesk")
        .credential("zendesk", "secret-1")
        .enforce_rate_limits("zendesk")
        .start()
        .await
        .unwrap();
    let url = format!("{}/api/v2/groups.json", simulator.base_url("zendesk"));
    // agent@example.com:secret-1, /token:secret-1, agent@example.com/token:other-one
    for pair in [
        "YWdlbnRAZXhhbXBsZS5jb206c2VjcmV0LTE=",
        "L3Rva2VuOnNlY3JldC0x",
        "YWdlbnRAZXhhbXBsZS5jb20vdG9rZW46b3RoZXItb25l",
    ] {
        let reply = get(&url, &format!("authorization: Basic {pair}\r\n")).await;
        assert_eq!(
            (reply.status, reply.json()),
            (401, json!({"error": "Couldn't authenticate you"})),
            "{pair}"
        );
    }
    let shown = get(&url, AGENT).await;
    let header = |name: &str| shown.header(name).map(str::to_owned);
    assert_eq!(
        (shown.status, header("x-rate-limit"), header("x-rate-limit-remaining")),
        (200, Some("700".to_owned()), Some("699".to_owned()))
    );
    let export = "incremental/organizations.json?start_time=0&per_page=1";
    for _ in 0..10 {
        assert_eq!(ask(&simulator, export).await.status, 200);
    }
    let refused = ask(&simulator, export).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")));
    assert_eq!(ask(&simulator, "groups.json").await.status, 200);
}

#[tokio::test]
async fn every_documented_field_is_filled_and_some_are_null() {
    let simulator = start().await;
    for (collection, fields) in [
        ("tickets", 42),
        ("users", 39),
        ("organizations", 15),
        ("articles", 26),
        ("brands", 15),
        ("groups", 9),
        ("topics", 12),
    ] {
        let records = simulator.records("zendesk", collection).unwrap();
        let names: BTreeSet<&String> =
            records.iter().flat_map(|row| row.as_object().unwrap().keys()).collect();
        assert!(names.len() >= fields, "{collection}: {}", names.len());
        let empty = names
            .iter()
            .filter(|name| records.iter().all(|row| row[name.as_str()].is_null()))
            .map(|name| name.as_str())
            .collect::<Vec<_>>();
        let known: &[&str] = match collection {
            // An uploaded photo has no remote URL; a deleted organization leaves the export.
            "users" => &["remote_photo_url"],
            "organizations" => &["deleted_at"],
            _ => &[],
        };
        assert_eq!(empty, known, "{collection}");
    }
}
