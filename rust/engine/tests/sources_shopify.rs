//! What is peculiar to Shopify, through the engine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod service;

use lakeflow_connectors::shopify::SOURCE;
use lakeflow_core::{ErrorKind, Instant};
use serde_json::{Value, json};
use service::{Answer, Ask, Reader, Service};
use std::sync::{Arc, Mutex};

/// Records of one resource, which tests change while they are read.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Value>>>);

impl Records {
    fn put(&self, record: Value) {
        let mut records = self.0.lock().unwrap();
        records.retain(|r| r["id"] != record["id"]);
        records.push(record);
    }

    /// A page sorted by change, from `updated_at_min` on, and a link to the one after it.
    fn page(&self, ask: &Ask, resource: &str) -> Answer {
        let at = |r: &Value| Instant::parse(r["updated_at"].as_str().unwrap()).unwrap();
        let place = |r: &Value| (at(r), r["id"].as_u64().unwrap());
        let mut records = self.0.lock().unwrap().clone();
        records.sort_by_key(place);
        let limit = ask.number("limit").unwrap();
        if let Some(page_info) = ask.parameter("page_info") {
            let (seconds, id) = page_info.split_once('.').unwrap();
            let after = (Instant::from_parts(seconds.parse().unwrap(), 0), id.parse().unwrap());
            records.retain(|r| place(r) > after);
        } else {
            assert_eq!(ask.parameter("order"), Some("updated_at asc"));
            let min = ask.time("updated_at_min");
            records.retain(|r| min.is_none_or(|min| at(r) >= min));
        }
        let more = records.len() > limit;
        records.truncate(limit);
        let mut answer = Answer::json(&json!({ resource: records }));
        if let (true, Some(last)) = (more, records.last()) {
            let (seconds, id) = (at(last).seconds(), &last["id"]);
            let next = format!("{}?limit={limit}&page_info={seconds}.{id}", ask.path);
            answer.headers.push(("Link".into(), format!("<{next}>; rel=\"next\"")));
        }
        answer
    }
}

async fn serving(resource: &'static str, records: &Records) -> Service {
    let records = records.clone();
    Service::start(move |ask| records.page(ask, resource)).await
}

fn reader(service: &Service, table: &str) -> Reader {
    Reader::new(
        &SOURCE,
        &[
            ("shop", "acme-demo"),
            ("access_token", "canary-token"),
            ("base_url", &service.url),
            ("tableName", table),
        ],
    )
}

fn product(id: u64, updated_at: &str) -> Value {
    json!({"id": id, "updated_at": updated_at})
}

#[tokio::test]
async fn changes_in_all_zones_come_in_their_order_and_once() {
    let records = Records::default();
    for (id, at) in [
        (1, "2031-03-01T02:30:00-07:00"),
        (2, "2031-03-01T15:00:00+05:30"),
        (3, "2031-03-01T09:30:00Z"),
        (4, "2031-03-01T09:31:00Z"),
        (5, "2031-03-01T02:32:00-07:00"),
    ] {
        records.put(product(id, at));
    }
    let service = serving("products", &records).await;
    let mut reader = reader(&service, "products").option("limit", "2");

    let columns = ["id", "shop"];
    let first = ["1 acme-demo", "2 acme-demo", "3 acme-demo", "4 acme-demo", "5 acme-demo"];
    assert_eq!(reader.drain(&columns).await, first);
    assert_eq!(reader.offset().cursor.as_deref(), Some("2031-03-01T02:32:00-07:00"));
    assert_eq!(
        service.take_log()[0],
        "/admin/api/2026-04/products.json limit=2 order=updated_at asc"
    );

    // Later than the cursor though its text is smaller, late by a minute, and changed again.
    records.put(product(7, "2031-03-01T02:50:00-07:00"));
    records.put(product(8, "2031-03-01T14:59:00+05:30"));
    records.put(json!({"id": 4, "updated_at": "2031-03-01T09:31:00Z", "title": "new"}));
    assert_eq!(reader.drain(&["id"]).await, ["8", "4", "7"]);
    assert_eq!(
        service.take_log()[0],
        "/admin/api/2026-04/products.json limit=2 order=updated_at asc \
         updated_at_min=2031-03-01T09:27:00Z"
    );
    assert_eq!(reader.drain(&["id"]).await, [""; 0]);
}

#[tokio::test]
async fn more_records_of_one_second_than_a_page_and_a_batch_hold_all_arrive() {
    let records = Records::default();
    for id in 1..=7 {
        records.put(product(id, "2031-03-01T03:00:00-07:00"));
    }
    records.put(product(8, "2031-03-01T10:00:01Z"));
    let service = serving("products", &records).await;
    let mut reader =
        reader(&service, "products").option("limit", "2").option("max_records_per_batch", "2");

    assert_eq!(reader.drain(&["id"]).await, ["1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[tokio::test]
async fn a_checkpoint_of_the_python_connector_is_continued() {
    let records = Records::default();
    records.put(product(1, "2031-03-01T02:25:00-07:00"));
    records.put(product(2, "2031-03-01T02:31:00-07:00"));
    let service = serving("products", &records).await;
    let mut reader =
        reader(&service, "products").start_at(r#"{"updated_at": "2031-03-01T09:31:00Z"}"#);

    assert_eq!(reader.drain(&["id"]).await, ["2"]);
    assert!(service.take_log()[0].ends_with("updated_at_min=2031-03-01T09:26:00Z"));
}

#[tokio::test]
async fn orders_of_every_status_are_asked_for() {
    let records = Records::default();
    let service = serving("orders", &records).await;

    assert_eq!(reader(&service, "orders").batch(&["id"]).await.unwrap(), [""; 0]);
    assert_eq!(
        service.take_log(),
        ["/admin/api/2026-04/orders.json limit=250 order=updated_at asc status=any"]
    );
}

#[tokio::test]
async fn refunds_are_read_out_of_orders_by_the_change_of_the_order() {
    let refund = |id: u64, order: u64, at: &str| json!({"id": id, "order_id": order, "created_at": at, "refund_line_items": []});
    let order = |id: u64, updated_at: &str, refunds: Vec<Value>| json!({"id": id, "updated_at": updated_at, "refunds": refunds});
    let records = Records::default();
    let (a, b, c) = (
        refund(11, 1, "2031-03-01T09:00:00Z"),
        refund(12, 1, "2031-03-01T09:30:00Z"),
        refund(31, 3, "2031-03-01T09:50:00Z"),
    );
    records.put(order(1, "2031-03-01T02:30:00-07:00", vec![a.clone(), b.clone()]));
    for id in 20..26 {
        records.put(order(id, "2031-03-01T09:40:00Z", Vec::new()));
    }
    records.put(order(3, "2031-03-01T09:50:00Z", vec![c]));
    let service = serving("orders", &records).await;
    let mut reader = reader(&service, "refunds").option("limit", "2");

    let columns = ["id", "order_id", "created_at", "shop"];
    let first = [
        "11 1 2031-03-01T09:00:00Z acme-demo",
        "12 1 2031-03-01T09:30:00Z acme-demo",
        "31 3 2031-03-01T09:50:00Z acme-demo",
    ];
    assert_eq!(reader.drain(&columns).await, first);
    assert_eq!(
        service.take_log()[0],
        "/admin/api/2026-04/orders.json fields=id,updated_at,refunds limit=2 order=updated_at asc \
         status=any"
    );

    let d = refund(13, 1, "2031-03-01T09:51:00Z");
    records.put(order(1, "2031-03-01T09:51:00Z", vec![a, b, d]));
    assert_eq!(reader.drain(&["id"]).await, ["11", "12", "13"]);
    assert_eq!(reader.drain(&["id"]).await, [""; 0]);
}

#[tokio::test]
async fn inventory_is_read_fifty_locations_at_a_time_and_then_by_change() {
    let locations: Vec<Value> =
        (100..=151).map(|id| json!({"id": id, "active": id != 151})).collect();
    let level = |location: u64, at: &str| json!({"inventory_item_id": 1, "location_id": location, "available": 3, "updated_at": at});
    let levels = Records::default();
    let put = |location: u64, at: &str| levels.0.lock().unwrap().push(level(location, at));
    for location in [100, 150, 151] {
        put(location, "2031-03-01T03:00:00-07:00");
    }
    let served = levels.clone();
    let service = Service::start(move |ask| {
        if ask.path.ends_with("/locations.json") {
            return Answer::json(&json!({ "locations": locations }));
        }
        let ids: Vec<&str> = ask.parameter("location_ids").unwrap().split(',').collect();
        assert!(ids.len() <= 50);
        let min = ask.time("updated_at_min");
        let mut rows = served.0.lock().unwrap().clone();
        rows.retain(|row| {
            let at = Instant::parse(row["updated_at"].as_str().unwrap()).unwrap();
            ids.contains(&row["location_id"].to_string().as_str())
                && min.is_none_or(|min| at >= min)
        });
        Answer::json(&json!({ "inventory_levels": rows }))
    })
    .await;
    let mut active = reader(&service, "inventory_levels");
    let columns = ["inventory_item_id", "location_id"];

    assert_eq!(active.drain(&columns).await, ["1 100", "1 150"]);
    let log = service.take_log();
    assert_eq!(log.len(), 3, "{log:?}");
    put(149, "2031-03-01T10:30:00Z");
    assert_eq!(active.drain(&columns).await, ["1 149"]);
    let log = service.take_log();
    assert!(log[1].ends_with("updated_at_min=2031-03-01T09:55:00Z"), "{log:?}");

    let all = reader(&service, "inventory_levels").option("include_inactive_locations", "true");
    assert_eq!(all.batch(&columns).await.unwrap(), ["1 100", "1 149", "1 150", "1 151"]);
}

#[tokio::test]
async fn requests_slow_down_where_the_bucket_is_four_fifths_full() {
    for (level, sent) in [("20/40", 2), ("39/40", 1)] {
        let records = Records::default();
        (1..=3).for_each(|id| records.put(product(id, &format!("2031-03-01T10:00:0{id}Z"))));
        let service = Service::start(move |ask| {
            let mut answer = records.page(ask, "products");
            answer.headers.push(("X-Shopify-Shop-Api-Call-Limit".into(), level.into()));
            answer
        })
        .await;
        let reader = reader(&service, "products").option("limit", "2");
        let read = reader.option("maxWaitSeconds", "0").batch(&["id"]).await;

        assert_eq!(read.is_err(), sent == 1, "{level}: {read:?}");
        if let Err(error) = read {
            assert_eq!(error.kind(), ErrorKind::RateLimited, "{error:?}");
        }
        assert_eq!(service.take_log().len(), sent, "{level}");
    }
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let cases = [
        (401, ErrorKind::AuthFailed, "option 'access_token'"),
        (402, ErrorKind::PermissionDenied, "the shop is frozen"),
        (403, ErrorKind::PermissionDenied, "lacks an access scope: grant it read_"),
        (404, ErrorKind::ConfigInvalid, "options 'shop', 'api_version'"),
        (422, ErrorKind::BadResponse, "422"),
        (423, ErrorKind::PermissionDenied, "the shop is locked"),
        (429, ErrorKind::RateLimited, "429"),
        (503, ErrorKind::SourceUnavailable, "503"),
    ];
    for (status, kind, part) in cases {
        let service = Service::start(move |ask| {
            assert_eq!(ask.headers["x-shopify-access-token"], "canary-token");
            Answer::status(status)
        })
        .await;
        // Orders without their refunds would be lost if such a failure were passed over.
        for table in ["products", "refunds"] {
            let reader = reader(&service, table).option("maxRetries", "0");
            let error = reader.batch(&["id"]).await.unwrap_err();
            let text = format!("{error:?}");

            assert_eq!(error.kind(), kind, "{text}");
            assert!(text.contains(part) && !text.contains("canary"), "{text}");
        }
    }
}
