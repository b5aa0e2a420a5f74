//! Zendesk through the engine, against the simulator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "common/played.rs"]
mod played;

use lakeflow_core::ErrorKind;
use lakeflow_simulator::Simulator;
use played::{Played, status};
use serde_json::{Value, json};

const FAST: &[(&str, &str)] = &[
    ("subdomain", "acme"),
    ("email", "admin@acme.example"),
    ("api_token", "canary-token"),
    ("exports_per_minute", "10000"),
    ("maxRetries", "0"),
    ("maxWaitSeconds", "0"),
];

async fn zendesk() -> Played {
    let simulator = Simulator::builder().source("zendesk").start().await.unwrap();

    Played::new("zendesk", simulator, FAST)
}

/// Comments among the events.
fn comments(events: &[Value]) -> usize {
    let children = events.iter().filter_map(|event| event["child_events"].as_array()).flatten();

    children.filter(|child| child["event_type"] == "Comment").count()
}

#[tokio::test]
async fn every_table_of_zendesk_is_read_whole() {
    let played = zendesk().await;
    let tables = ["tickets", "users", "organizations", "articles", "brands", "groups", "topics"];
    for table in tables {
        let mut ids = played.batch(&played.options(table, &[]), &["id"]).await.unwrap();
        let mut expected: Vec<_> =
            played.records(table).iter().map(|r| vec![r["id"].to_string()]).collect();
        ids.sort();
        expected.sort();
        assert_eq!(ids, expected, "{table}");
    }
    let rows = played.batch(&played.options("ticket_comments", &[]), &["id"]).await.unwrap();
    assert!(!rows.is_empty());
    assert_eq!(rows.len(), comments(&played.records("ticket_events")));
}

#[tokio::test]
async fn exports_by_cursor_go_on_from_the_place_alone() {
    let played = zendesk().await;
    let options = played.options("tickets", &[]);
    let (rows, end) = played.drain(&options, &["id"], ("{}", 1, true)).await;

    assert_eq!(rows.len(), played.records("tickets").len());
    let asked = played.asked();
    assert_eq!(asked[0].1, [("start_time".to_owned(), "0".to_owned())].into());
    assert!(asked[1..].iter().all(|(_, query)| query.keys().eq(["cursor"])), "{asked:?}");

    assert_eq!(played.drain(&options, &["id"], (&end, 1, false)).await, (Vec::new(), end));
    assert_eq!(played.asked().len(), 1);
}

#[tokio::test]
async fn background_changes_of_a_ticket_arrive_though_updated_at_stays() {
    let played = zendesk().await;
    let options = played.options("tickets", &[]);
    let (_, end) = played.drain(&options, &["id"], ("{}", 10_000, false)).await;
    let mut ticket = played.records("tickets")[7].clone();
    ticket["generated_timestamp"] = json!(played.simulator.now().seconds() - 300);
    played.simulator.upsert("zendesk", "tickets", &ticket).unwrap();

    let (rows, _) = played.drain(&options, &["id", "updated_at"], (&end, 10_000, false)).await;
    let updated = ticket["updated_at"].as_str().unwrap().to_owned();
    assert_eq!(rows, [[ticket["id"].to_string(), updated]]);
}

#[tokio::test]
async fn comments_have_the_fields_of_their_event_that_they_lack() {
    let event = json!({
        "id": 551, "ticket_id": 8801, "timestamp": 1_730_040_101,
        "created_at": "2024-10-27T14:41:41Z", "event_type": "Audit", "via": "Web form",
        "child_events": [
            {"id": 552, "event_type": "Comment", "type": "Comment", "author_id": 77001,
             "public": true, "body": "Still \"broken\"", "audit_id": 551},
            {"id": 553, "event_type": "Change", "priority": "high"},
        ],
    });
    let quiet = json!({
        "id": 554, "ticket_id": 8802, "timestamp": 1_730_040_102,
        "created_at": "2024-10-27T14:41:42Z", "event_type": "Audit", "child_events": [],
    });
    let builder = Simulator::builder().source("zendesk");
    let builder = builder.records("zendesk", "ticket_events", vec![event, quiet]);
    let played = Played::new("zendesk", builder.start().await.unwrap(), FAST);
    let columns = [
        "id",
        "ticket_id",
        "event_id",
        "timestamp",
        "created_at",
        "updated_at",
        "type",
        "author_id",
        "public",
        "body",
        "audit_id",
        "subject",
    ];
    let options = played.options("ticket_comments", &[]);
    let rows = played.batch(&options, &columns).await.unwrap();

    let time = "2024-10-27T14:41:41Z";
    assert_eq!(
        rows,
        [[
            "552",
            "8801",
            "551",
            "1730040101",
            time,
            time,
            "Comment",
            "77001",
            "true",
            "Still \"broken\"",
            "551",
            "",
        ]]
    );
}

#[tokio::test]
async fn deleted_tickets_are_rows_and_a_feed_of_deletes() {
    let played = zendesk().await;
    let options = played.options("tickets", &[("isDeleteFlow", "true")]);
    let (rows, _) = played.drain(&options, &["id"], ("{}", 10_000, false)).await;

    let tickets = played.records("tickets");
    let deleted = tickets.iter().filter(|ticket| ticket["status"] == "deleted").count();
    assert!(deleted > 0);
    assert_eq!(rows.len(), deleted);
}

#[tokio::test]
async fn offsets_of_the_python_connector_are_continued() {
    let played = zendesk().await;
    let tickets = played.records("tickets");
    let mut times: Vec<_> =
        tickets.iter().map(|t| t["generated_timestamp"].as_i64().unwrap()).collect();
    times.sort_unstable();
    let (start, later) = (times[times.len() - 400], times[times.len() - 200]);
    let since = |time: i64| times.iter().filter(|t| **t >= time).count();
    for (offset, expected) in [
        (format!("{{\"start_time\": {start}}}"), since(start)),
        (format!("{{\"start_time\": {start}, \"resume_after\": {later}}}"), since(later)),
    ] {
        let options = played.options("tickets", &[]);
        let (rows, _) = played.drain(&options, &["id"], (&offset, 10_000, false)).await;
        assert_eq!(rows.len(), expected, "{offset}");
    }
}

#[tokio::test]
async fn errors_of_zendesk_say_what_to_do() {
    let played = zendesk().await;
    let cases = [
        ("tickets", status(401, &[], "{}"), ErrorKind::AuthFailed, "'email' and 'api_token'"),
        ("tickets", status(403, &[], "{}"), ErrorKind::PermissionDenied, "need an admin"),
        ("brands", status(404, &[], "{}"), ErrorKind::ConfigInvalid, "'subdomain'"),
        ("articles", status(404, &[], "{}"), ErrorKind::Unsupported, "Help Center"),
        ("topics", status(403, &[], "{}"), ErrorKind::Unsupported, "Community"),
        ("users", status(429, &[("retry-after", "30")], "{}"), ErrorKind::RateLimited, "30"),
    ];
    for (table, fault, kind, part) in cases {
        played.simulator.clear_faults();
        played.simulator.fault(fault);
        let error = played.error(&played.options(table, &[])).await;
        let text = format!("{error:?}");
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(part) && !text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn a_subdomain_cannot_lead_to_another_host() {
    let played = zendesk().await;
    for subdomain in ["evil.example/", "a.b", "x@y", "ü"] {
        let error = played.error(&played.options("tickets", &[("subdomain", subdomain)])).await;
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        assert!(error.message().contains("option 'subdomain'"), "{error}");
    }
    assert!(played.asked().is_empty());
}
