//! Zendesk through the engine, against the simulator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "common/played.rs"]
mod played;

use lakeflow_core::{ErrorKind, Instant, Offset};
use lakeflow_engine::SliceRequest;
use lakeflow_simulator::Simulator;
use played::{Played, status};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

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

/// A simulator that holds only these records.
async fn holding(collection: &str, records: Vec<Value>) -> Played {
    let builder = Simulator::builder().source("zendesk");
    let builder = builder.records("zendesk", collection, records);

    Played::new("zendesk", builder.start().await.unwrap(), FAST)
}

fn ticket(id: u64, second: i64) -> Value {
    json!({"id": id, "status": "open", "generated_timestamp": second})
}

fn organization(id: u64, second: i64) -> Value {
    json!({"id": id, "updated_at": Instant::from_parts(second, 0).to_rfc3339(0)})
}

/// An event with as many comments.
fn event(id: u64, second: i64, comments: u64) -> Value {
    let comment =
        |n: u64| json!({"id": 10 * id + n, "event_type": "Comment", "author_id": 7, "body": "b"});
    json!({
        "id": id, "ticket_id": 1, "timestamp": second, "event_type": "Audit",
        "created_at": Instant::from_parts(second, 0).to_rfc3339(0),
        "child_events": (1..=comments).map(comment).collect::<Vec<_>>(),
    })
}

/// Where the requests began that were sent since the last call.
fn places(played: &Played) -> Vec<String> {
    let place = |query: &BTreeMap<String, String>| {
        query.get("start_time").cloned().unwrap_or_else(|| "cursor".to_owned())
    };

    played.asked().iter().map(|(_, query)| place(query)).collect()
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
    let first = [("start_time", "0"), ("per_page", "1000")];
    assert_eq!(asked[0].1, first.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
    assert!(asked[1..].iter().all(|(_, q)| q.keys().eq(["cursor", "per_page"])), "{asked:?}");

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
    let played = holding("ticket_events", vec![event, quiet]).await;
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

/// Case 12 of the exports in the contract: two pages of the cursor export, each an offset.
#[tokio::test]
async fn the_place_of_a_cursor_export_is_kept_after_each_page_and_at_the_end() {
    let tickets = [(1, 100), (2, 101), (3, 101), (4, 105)];
    let played = holding("tickets", tickets.map(|(id, at)| ticket(id, at)).into()).await;
    let options = played.options("tickets", &[("per_page", "2")]);
    let stream = played.engine().stream(&options).await.unwrap();
    let (mut start, mut seen) = ("{}".to_owned(), Vec::new());
    for id in ["slice1", "slice2", "slice3"] {
        let mut slice = stream.slice(SliceRequest {
            id: id.to_owned(),
            start: start.clone(),
            state: None,
            limit: Some(2),
            single_drain: false,
        });
        let mut rows = 0;
        while let Some(batch) = slice.next().await.unwrap() {
            rows += batch.num_rows();
        }
        start = slice.end().unwrap().offset;
        let offset = Offset::from_text(&start).unwrap().unwrap();
        let place = offset.pass.and_then(|pass| pass.at).unwrap();
        seen.push((rows, offset.seq, place.text("after_cursor").unwrap().to_owned()));
    }

    assert_eq!(places(&played)[..2], ["0", "cursor"]);
    let steps: Vec<_> = seen.iter().map(|(rows, seq, _)| (*rows, *seq)).collect();
    assert_eq!(steps, [(2, 1), (2, 2), (0, 2)]);
    assert_ne!(seen[0].2, seen[1].2);
    assert_eq!(seen[1].2, seen[2].2);
}

#[tokio::test]
async fn more_tickets_of_one_second_than_a_page_holds_all_arrive() {
    let tickets = (1..=25).map(|id| ticket(id, 100)).chain([ticket(26, 200)]).collect();
    let played = holding("tickets", tickets).await;
    let options = played.options("tickets", &[("per_page", "10")]);
    let (rows, _) = played.drain(&options, &["id"], ("{}", 1, true)).await;

    let ids: Vec<_> = rows.concat().iter().map(|id| id.parse::<u64>().unwrap()).collect();
    assert_eq!(ids, (1..=26).collect::<Vec<_>>());
}

#[tokio::test]
async fn more_records_of_one_second_than_a_page_of_a_time_export_all_arrive() {
    let organizations =
        (1..=25).map(|id| organization(id, 100)).chain([organization(26, 200)]).collect();
    let events = (1..=25).map(|id| event(id, 100, 1)).chain([event(26, 200, 1)]).collect();
    let cases = [
        ("organizations", holding("organizations", organizations).await),
        ("ticket_comments", holding("ticket_events", events).await),
    ];
    for (table, played) in cases {
        let options = played.options(table, &[("per_page", "10")]);
        let (rows, end) = played.drain(&options, &["id"], ("{}", 1, true)).await;
        let ids: BTreeSet<_> = rows.concat().into_iter().collect();
        assert_eq!((rows.len(), ids.len()), (26, 26), "{table}");
        assert_eq!(played.drain(&options, &["id"], (&end, 1, false)).await, (Vec::new(), end));
    }
}

#[tokio::test]
async fn a_second_that_fills_a_page_of_a_time_export_is_an_error_that_names_the_option() {
    let organizations = (1..=4).map(|id| organization(id, 100)).chain([organization(5, 200)]);
    let played = holding("organizations", organizations.collect()).await;
    let error = played.error(&played.options("organizations", &[("per_page", "4")])).await;

    assert_eq!(error.kind(), ErrorKind::BadResponse);
    assert_eq!(
        error.message(),
        "the records at '100' fill a page of 4, which does not show whether there are more of \
         them: set option 'per_page' to another number"
    );
    let other = played.options("organizations", &[("per_page", "3")]);
    assert_eq!(played.batch(&other, &["id"]).await.unwrap().len(), 5);
}

/// Case 15 of the exports in the contract.
#[tokio::test]
async fn events_without_comments_move_the_reading_on() {
    let quiet = (2..=7).map(|id| event(id, 100 * id as i64, 0));
    let events = [event(1, 100, 1)].into_iter().chain(quiet).collect();
    let played = holding("ticket_events", events).await;
    let options = played.options("ticket_comments", &[("per_page", "3")]);
    let stream = played.engine().stream(&options).await.unwrap();
    let mut start = "{}".to_owned();
    let mut asked = Vec::new();
    for id in ["slice1", "slice2", "slice3"] {
        let mut slice = stream.slice(SliceRequest {
            id: id.to_owned(),
            start: start.clone(),
            state: None,
            limit: Some(1),
            single_drain: false,
        });
        while slice.next().await.unwrap().is_some() {}
        start = slice.end().unwrap().offset;
        asked.push(places(&played));
    }

    assert_eq!(asked, [vec!["0"], vec!["300", "500"], vec!["700"]]);
    let offset = Offset::from_text(&start).unwrap().unwrap();
    assert_eq!(offset.cursor.as_deref(), Some("300"), "it moves with rows only");
}

#[tokio::test]
async fn nothing_is_asked_of_the_last_minute() {
    let played = holding("organizations", Vec::new()).await;
    let now = played.simulator.now().seconds();
    for (id, age) in [(1, 3_000), (2, 100), (3, 30)] {
        let record = organization(id, now - age);
        played.simulator.upsert("zendesk", "organizations", &record).unwrap();
    }
    let options = played.options("organizations", &[]);
    let (rows, end) = played.drain(&options, &["id"], ("{}", 1, true)).await;
    assert_eq!(rows.concat(), ["1", "2"]);
    let (rows, _) = played.drain(&options, &["id"], (&end, 1, false)).await;
    assert_eq!(rows, Vec::<Vec<String>>::new());

    let latest = places(&played).iter().map(|place| place.parse::<i64>().unwrap()).max();
    assert!(latest <= Some(now - 60), "{latest:?}");
}

#[tokio::test]
async fn exports_keep_to_their_budget_and_lists_do_not() {
    let played = zendesk().await;
    let limited = [("exports_per_minute", "2"), ("per_page", "500")];
    let error = played.error(&played.options("tickets", &limited)).await;
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.message().contains("the budget of 2 requests in 60 s"), "{error}");
    assert_eq!(played.asked().len(), 2);

    let brands = played.options("brands", &[("exports_per_minute", "2")]);
    assert_eq!(played.batch(&brands, &["id"]).await.unwrap().len(), 210);
}

#[tokio::test]
async fn what_is_left_of_the_account_s_limit_is_learned() {
    let builder = Simulator::builder().source("zendesk").rate_limit("zendesk", 2);
    let played = Played::new("zendesk", builder.start().await.unwrap(), FAST);
    let error = played.error(&played.options("brands", &[])).await;

    assert_eq!(error.kind(), ErrorKind::RateLimited, "{error:?}");
    assert_eq!(played.asked().len(), 2, "the third request would be refused");
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
async fn in_a_change_feed_deleted_tickets_are_deletes_only() {
    let played = zendesk().await;
    let options = played.options("tickets", &[("readChangeFeed", "true")]);
    let (mut rows, _) = played.drain(&options, &["id", "_change_type"], ("{}", 200, true)).await;

    let change = |ticket: &Value| {
        let deleted = ticket["status"] == "deleted";
        let kind = if deleted { "delete" } else { "update_postimage" };
        vec![ticket["id"].to_string(), kind.to_owned()]
    };
    let mut expected: Vec<_> = played.records("tickets").iter().map(change).collect();
    rows.sort();
    expected.sort();
    assert_eq!(rows, expected);
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
