//! The `example` description: fixed routes, filters, pages, writes and tombstones.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{BASIC, NOW, Reply, at, frozen, get, send};
use lakeflow_simulator::Simulator;
use serde_json::{Value, json};

const CURSOR_NOW: &str = "2031-03-01T10:00:00+00:00";

async fn start() -> Simulator {
    frozen().0.source("example").start().await.unwrap()
}

async fn fetch(simulator: &Simulator, path: &str) -> Reply {
    get(&format!("{}{path}", simulator.base_url("example")), BASIC).await
}

/// Rows of every page, and the number of pages.
async fn walk(simulator: &Simulator, path: &str) -> (Vec<Value>, usize) {
    let (mut rows, mut page, mut pages) = (Vec::new(), json!(1), 0);
    while !page.is_null() {
        let separator = if path.contains('?') { '&' } else { '?' };
        let reply = fetch(simulator, &format!("{path}{separator}page={page}")).await.json();
        rows.extend(reply["records"].as_array().unwrap().clone());
        page = reply["next_page"].clone();
        pages += 1;
    }
    (rows, pages)
}

#[tokio::test]
async fn tables_have_their_rows_pages_and_cursor_steps() {
    let simulator = start().await;
    let cases = [
        ("products", "product_id", 53, 3, "\"prod_0000\"", "\"prod_0052\""),
        (
            "events",
            "created_at",
            101,
            3,
            "\"2031-03-01T09:00:00+00:00\"",
            "\"2031-03-01T09:01:40+00:00\"",
        ),
        (
            "users",
            "updated_at",
            37,
            3,
            "\"2031-03-01T09:00:00+00:00\"",
            "\"2031-03-01T09:36:00+00:00\"",
        ),
        (
            "orders",
            "updated_at",
            103,
            3,
            "\"2031-03-01T09:00:00+00:00\"",
            "\"2031-03-01T09:01:42+00:00\"",
        ),
        (
            "metrics",
            "updated_at",
            253,
            3,
            "\"2031-03-01T09:00:00+00:00\"",
            "\"2031-03-01T13:12:00+00:00\"",
        ),
    ];
    for (table, order, count, pages, first, last) in cases {
        let (rows, walked) = walk(&simulator, &format!("/tables/{table}/records")).await;
        assert_eq!((rows.len(), walked), (count, pages), "{table}");
        let values: Vec<String> = rows.iter().map(|row| row[order].to_string()).collect();
        assert!(values.is_sorted(), "{table}");
        assert_eq!((values[0].as_str(), values[count - 1].as_str()), (first, last), "{table}");
    }
}

#[tokio::test]
async fn filters_bound_and_select() {
    let simulator = start().await;
    let since = "2031-03-01T09%3A01%3A40%2B00%3A00";
    let cases = [
        (format!("/tables/orders/records?since={since}"), 2),
        (format!("/tables/events/records?since={since}"), 0),
        ("/tables/metrics/records?since=2031-03-01T09:10:00%2B00:00&until=2031-03-01T09:12:00%2B00:00".into(), 2),
        ("/tables/metrics/records?until=2031-03-01T09:02:00%2B00:00".into(), 3),
        ("/tables/events/records?limit=7".into(), 7),
        ("/tables/events/records?limit=700".into(), 50),
        ("/tables/events/records?page=3".into(), 1),
        ("/tables/events/records?page=4".into(), 0),
        ("/tables/orders/deleted_records".into(), 0),
    ];
    for (path, count) in cases {
        let reply = fetch(&simulator, &path).await;
        assert_eq!(
            (reply.status, reply.json()["records"].as_array().unwrap().len()),
            (200, count),
            "{path}"
        );
    }
    for (filter, table) in [("status", "orders"), ("user_id", "orders"), ("category", "products")] {
        let (all, _) = walk(&simulator, &format!("/tables/{table}/records")).await;
        let value = all.iter().find_map(|row| row[filter].as_str()).unwrap();
        let expected: Vec<&Value> = all.iter().filter(|row| row[filter] == value).collect();
        let (found, _) =
            walk(&simulator, &format!("/tables/{table}/records?{filter}={value}")).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}

#[tokio::test]
async fn refusals_name_what_was_wrong() {
    let simulator = start().await;
    let cases = [
        ("/tables/orders/records?page=0", 400, "parameter 'page' does not take '0'"),
        ("/tables/orders/records?page=x", 400, "parameter 'page' does not take 'x'"),
        ("/tables/orders/records?until=x", 400, "unsupported parameter 'until'"),
        ("/tables/users/deleted_records", 400, "table 'users' has no deleted records"),
        ("/tables/nope/records", 404, "nothing at '/tables/nope/records'"),
        ("/tables/nope/deleted_records", 404, "nothing at '/tables/nope/deleted_records'"),
        ("/tables/metrics/schema", 404, "nothing at '/tables/metrics/schema'"),
        ("/tables/metrics/metadata", 404, "nothing at '/tables/metrics/metadata'"),
    ];
    for (path, status, error) in cases {
        let reply = fetch(&simulator, path).await;
        assert_eq!((reply.status, reply.json()), (status, json!({ "error": error })), "{path}");
    }
    let url = format!("{}/tables", simulator.base_url("example"));
    // Base64 of ":p", "u:" and "u:p".
    for (headers, status) in [
        ("", 401),
        ("authorization: Bearer x\r\n", 401),
        ("authorization: Basic OnA=\r\n", 401),
        ("authorization: Basic dTo=\r\n", 401),
        ("authorization: Basic dTpw\r\n", 200),
    ] {
        assert_eq!(get(&url, headers).await.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn fixed_routes_describe_the_listed_tables() {
    let simulator = start().await;
    assert_eq!(
        fetch(&simulator, "/tables").await.json(),
        json!({"tables": ["products", "events", "users", "orders"]})
    );
    assert_eq!(
        fetch(&simulator, "/tables/events/metadata").await.json(),
        json!({"metadata": {"cursor_field": "created_at"}})
    );
    assert_eq!(
        fetch(&simulator, "/tables/orders/schema").await.json()["schema"][4],
        json!({"name": "updated_at", "type": "timestamp"})
    );
}

#[tokio::test]
async fn posts_insert_or_upsert_and_stamp_cursors() {
    let simulator = start().await;
    let base = simulator.base_url("example");
    let cases = [
        ("products", json!({"product_id": "prod_0001", "price": 1.5}), 201, None),
        ("events", json!({"event_id": "e"}), 200, Some("created_at")),
        ("users", json!({"user_id": "user_0001", "updated_at": "x"}), 200, Some("updated_at")),
        ("orders", json!({"order_id": "new"}), 200, Some("updated_at")),
        ("metrics", json!({"metric_id": "new"}), 200, Some("updated_at")),
    ];
    for (table, mut record, status, cursor) in cases {
        let url = format!("{base}/tables/{table}/records");
        let reply = send("POST", &url, BASIC, &record.to_string()).await;
        if let Some(cursor) = cursor {
            record[cursor] = json!(CURSOR_NOW);
        }
        assert_eq!((reply.status, reply.json()), (status, json!({ "record": record })), "{table}");
        assert!(simulator.records("example", table).unwrap().contains(&record), "{table}");
    }
    let counts = ["products", "events", "users", "orders", "metrics"]
        .map(|table| simulator.records("example", table).unwrap().len());
    assert_eq!(counts, [53, 102, 37, 104, 254]);
    for body in ["[1]", "{}", "x"] {
        let reply = send("POST", &format!("{base}/tables/users/records"), BASIC, body).await;
        assert_eq!(reply.status, 400, "{body}");
    }
}

#[tokio::test]
async fn a_deleted_order_leaves_a_tombstone() {
    let (builder, clock) = frozen();
    let simulator = builder.source("example").start().await.unwrap();
    let url = format!("{}/tables/orders/records/order_0007", simulator.base_url("example"));
    clock.set(at(NOW).plus_nanos(1_500_000_000));
    let tombstone = json!({
        "order_id": "order_0007", "user_id": null, "amount": null, "status": null,
        "updated_at": "2031-03-01T10:00:01.500000+00:00",
    });
    let reply = send("DELETE", &url, BASIC, "").await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "record": tombstone })));
    assert_eq!(send("DELETE", &url, BASIC, "").await.status, 404);
    let other = url.replace("orders", "users");
    assert_eq!(send("DELETE", &other, BASIC, "").await.status, 400);

    let (orders, _) = walk(&simulator, "/tables/orders/records").await;
    assert_eq!(orders.len(), 102);
    let (deleted, _) = walk(&simulator, "/tables/orders/deleted_records").await;
    assert_eq!(deleted, vec![tombstone]);
    let (later, _) =
        walk(&simulator, "/tables/orders/deleted_records?since=2031-03-01T10:00:01.500000%2B00:00")
            .await;
    assert_eq!(later, [json!(null); 0]);
}

#[tokio::test]
async fn ties_across_a_page_edge_keep_their_order() {
    let events: Vec<Value> = (0..60)
        .map(|i| json!({"event_id": format!("e{i}"), "created_at": "2031-01-01T00:00:00+00:00"}))
        .collect();
    let (builder, _) = frozen();
    let simulator = builder
        .source("example")
        .records("example", "events", events.clone())
        .start()
        .await
        .unwrap();
    assert_eq!(walk(&simulator, "/tables/events/records").await, (events, 2));
}
