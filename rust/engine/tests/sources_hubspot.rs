//! HubSpot through the engine, against the simulator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "common/played.rs"]
mod played;

use lakeflow_core::ErrorKind;
use lakeflow_simulator::{Builder, Simulator};
use played::{Played, status};
use serde_json::{Value, json};

async fn hubspot() -> Played {
    played(Simulator::builder()).await
}

async fn played(builder: Builder) -> Played {
    let simulator = builder.source("hubspot").start().await.unwrap();
    let options = [
        ("access_token", "canary-token"),
        ("requests_per_10_seconds", "100000"),
        ("searches_per_second", "10000"),
        ("maxRetries", "0"),
        ("maxWaitSeconds", "0"),
    ];

    Played::new("hubspot", simulator, &options)
}

fn ids(records: &[Value], archived: bool) -> Vec<Vec<String>> {
    let kept = records.iter().filter(|r| r["archived"].as_bool().unwrap_or(false) == archived);
    let mut ids: Vec<_> = kept.map(|r| vec![r["id"].as_str().unwrap().to_owned()]).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn every_table_of_hubspot_is_read_whole_and_its_archived_records_are_deletes() {
    let played = hubspot().await;
    let tables = [
        ("contacts", true),
        ("companies", true),
        ("deals", true),
        ("tickets", true),
        ("calls", false),
        ("emails", true),
        ("meetings", false),
        ("tasks", true),
        ("notes", true),
    ];
    for (table, deletes) in tables {
        let records = played.records(table);
        let mut rows = played.batch(&played.options(table, &[]), &["id"]).await.unwrap();
        rows.sort();
        assert_eq!(rows, ids(&records, false), "{table}");
        if deletes {
            let options = played.options(table, &[("isDeleteFlow", "true")]);
            let (mut rows, _) = played.drain(&options, &["id"], ("{}", 10_000, false)).await;
            rows.sort();
            assert_eq!(rows, ids(&records, true), "{table}");
        }
    }
    let rows = played.batch(&played.options("vehicles", &[]), &["id"]).await.unwrap();
    assert!(!rows.is_empty(), "custom objects are tables");
}

#[tokio::test]
async fn a_change_feed_has_records_by_their_change_and_archived_ones_by_their_archiving() {
    let played = hubspot().await;
    let options = played.options("deals", &[("readChangeFeed", "true")]);
    let columns = ["id", "_change_type", "updatedAt"];
    let (mut rows, end) = played.drain(&options, &columns, ("{}", 50, true)).await;

    let change = |deal: &Value| {
        let text = |name: &str| deal[name].as_str().unwrap().to_owned();
        match deal["archived"].as_bool().unwrap_or(false) {
            true => vec![text("id"), "delete".to_owned(), text("archivedAt")],
            false => vec![text("id"), "update_postimage".to_owned(), text("updatedAt")],
        }
    };
    let mut expected: Vec<_> = played.records("deals").iter().map(change).collect();
    rows.sort();
    expected.sort();
    assert_eq!(rows, expected);
    assert_eq!(played.drain(&options, &columns, (&end, 50, true)).await.0, [[""; 0]; 0]);
}

#[tokio::test]
async fn deletes_have_the_time_of_archiving() {
    let played = hubspot().await;
    let options = played.options("deals", &[("isDeleteFlow", "true")]);
    let (rows, _) = played.drain(&options, &["id", "updatedAt"], ("{}", 10_000, false)).await;

    let records = played.records("deals");
    for row in rows {
        let record = records.iter().find(|r| r["id"] == json!(row[0])).unwrap();
        assert_eq!(record["archivedAt"], json!(row[1]));
    }
}

#[tokio::test]
async fn a_first_read_goes_on_from_its_page() {
    let played = hubspot().await;
    let options = played.options("calls", &[]);
    let (mut rows, _) = played.drain(&options, &["id"], ("{}", 100, true)).await;

    rows.sort();
    assert_eq!(rows, ids(&played.records("calls"), false));
    let asked = played.asked();
    let lists = asked.iter().filter(|(path, _)| path.ends_with("/crm/v3/objects/calls"));
    let firsts = lists.filter(|(_, query)| !query.contains_key("after")).count();
    assert_eq!(firsts, 1, "{asked:?}");
}

#[tokio::test]
async fn associations_stay_when_a_record_changes() {
    let played = hubspot().await;
    let columns = ["id", "contacts", "companies", "tickets"];
    let options = played.options("deals", &[]);
    let (rows, end) = played.drain(&options, &columns, ("{}", 10_000, false)).await;
    let before = rows.iter().find(|row| row[1] != "[]" && row[2] != "[]").unwrap();
    let mut deal = played.records("deals");
    let mut deal = deal.remove(deal.iter().position(|d| d["id"] == json!(before[0])).unwrap());
    let now = played.simulator.now().to_rfc3339(3);
    deal["updatedAt"] = json!(now);
    deal["properties"]["hs_lastmodifieddate"] = json!(now);
    played.simulator.upsert("hubspot", "deals", &deal).unwrap();

    let (rows, _) = played.drain(&options, &columns, (&end, 10_000, false)).await;
    assert_eq!(&rows, std::slice::from_ref(before));
}

#[tokio::test]
async fn long_lists_of_associations_are_read_whole() {
    let played = hubspot().await;
    let rows = played.batch(&played.options("companies", &[]), &["id", "contacts"]).await.unwrap();
    let row = rows.iter().find(|row| row[0] == "2100001").unwrap();
    let mut found: Vec<&str> = row[1].trim_matches(['[', ']']).split(", ").collect();
    let associations = played.records("associations");
    let of_company = associations.iter().filter(|a| a["key"] == "companies/2100001/contacts");
    let mut expected: Vec<&str> = of_company.map(|a| a["toId"].as_str().unwrap()).collect();
    found.sort_unstable();
    expected.sort_unstable();

    assert!(expected.len() > 200, "three pages of 100: {}", expected.len());
    assert_eq!(found, expected);
}

#[tokio::test]
async fn more_records_of_one_time_than_a_search_gives_come_once() {
    let at = "2025-01-01T00:00:00.000Z";
    let vehicle = |n: u64| {
        let id = n.to_string();
        let properties =
            json!({"hs_object_id": id, "hs_createdate": at, "hs_lastmodifieddate": at});
        json!({"id": id, "properties": properties, "createdAt": at, "updatedAt": at,
               "archived": false})
    };
    let vehicles: Vec<Value> = (1..=10_150).map(vehicle).collect();
    let builder = Simulator::builder().records("hubspot", "p7000001_vehicles", vehicles.clone());
    let played = played(builder).await;
    let offset = r#"{"updatedAt": "2024-12-31T23:59:59.000Z"}"#;
    let options = played.options("vehicles", &[("lookback_seconds", "0")]);
    let (mut rows, _) = played.drain(&options, &["id"], (offset, 1_000_000, false)).await;

    rows.sort();
    assert!(rows == ids(&vehicles, false), "{} rows of {}", rows.len(), vehicles.len());
}

#[tokio::test]
async fn tables_and_properties_are_asked_for_once_a_read() {
    let played = hubspot().await;
    played.batch(&played.options("vehicles", &[]), &["id"]).await.unwrap();
    let asked = played.asked();
    let discovery = asked.iter().map(|(path, _)| path).filter(|path| !path.contains("/objects/"));

    let once = ["/crm/v3/schemas", "/crm/v3/properties/2-3456789"];
    assert_eq!(discovery.collect::<Vec<_>>(), once);
}

#[tokio::test]
async fn wide_lists_of_properties_are_asked_for_by_id() {
    let played = hubspot().await;
    let rows = played.batch(&played.options("contacts", &[]), &["id", "properties"]).await.unwrap();

    assert_eq!(rows.len(), ids(&played.records("contacts"), false).len());
    let asked = played.asked();
    assert!(asked.iter().any(|(path, _)| path.ends_with("/contacts/batch/read")), "{asked:?}");
    let longest = asked.iter().flat_map(|(_, query)| query.values()).map(String::len).max();
    assert!(longest < Some(2_100), "{longest:?}");
}

#[tokio::test]
async fn errors_of_hubspot_say_what_to_do() {
    // A simulator for each: what one refusal says of the limits holds for the next request too.
    let cases = [
        (status(401, &[], "{}"), ErrorKind::AuthFailed, "'access_token'"),
        (status(403, &[], "{}"), ErrorKind::PermissionDenied, "crm.objects.<object>.read"),
        (status(429, &[], r#"{"policyName": "DAILY"}"#), ErrorKind::RateLimited, "tomorrow"),
        (
            status(429, &[], r#"{"policyName": "TEN_SECONDLY_ROLLING"}"#),
            ErrorKind::RateLimited,
            "10",
        ),
        (status(400, &[], r#"{"message": "no such property"}"#), ErrorKind::BadResponse, "no such"),
    ];
    for (fault, kind, part) in cases {
        let played = hubspot().await;
        played.simulator.fault(fault);
        let error = played.error(&played.options("contacts", &[])).await;
        let text = format!("{error:?}");
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(part) && !text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn without_the_scope_custom_objects_are_unknown_tables() {
    let played = hubspot().await;
    played.simulator.fault(status(403, &[], "{}"));
    let error = played.error(&played.options("vehicles", &[])).await;

    assert_eq!(error.kind(), ErrorKind::TableNotFound, "{error:?}");
    assert!(error.message().contains("contacts"), "{error}");
}

#[tokio::test]
async fn an_offset_of_the_python_connector_is_continued() {
    let played = hubspot().await;
    let options = played.options("calls", &[("lookback_seconds", "0")]);
    let records = played.records("calls");
    let changed = |r: &Value| r["properties"]["hs_lastmodifieddate"].as_str().unwrap().to_owned();
    let mut times: Vec<_> = records.iter().map(changed).collect();
    times.sort();
    let start = times[times.len() - 150].clone();
    let offset = format!("{{\"updatedAt\": \"{start}\"}}");
    let (rows, _) = played.drain(&options, &["id"], (&offset, 10_000, false)).await;

    assert_eq!(rows.len(), times.iter().filter(|time| **time >= start).count());
}
