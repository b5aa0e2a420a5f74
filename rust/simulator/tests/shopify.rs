//! The `shopify` description: links, bounds, embedded records and limits.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{NOW, Reply, at, frozen, get};
use lakeflow_core::Instant;
use lakeflow_simulator::Simulator;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const TOKEN: &str = "x-shopify-access-token: shpat_1\r\n";
const API: &str = "/admin/api/2026-04";

async fn start() -> Simulator {
    frozen().0.source("shopify").start().await.unwrap()
}

async fn fetch(simulator: &Simulator, path: &str) -> Reply {
    get(&format!("{}{API}{path}", simulator.base_url("shopify")), TOKEN).await
}

/// Every row, and the number of pages.
async fn walk(simulator: &Simulator, path: &str) -> (Vec<Value>, usize) {
    let name = path.split(".json").next().unwrap().rsplit('/').next().unwrap();
    let mut next = Some(format!("{}{API}{path}", simulator.base_url("shopify")));
    let (mut rows, mut pages) = (Vec::new(), 0);
    while let Some(url) = next {
        let reply = get(&url, TOKEN).await;
        assert_eq!(reply.status, 200, "{url}");
        rows.extend(reply.json()[name].as_array().unwrap().clone());
        next = reply.link("next");
        pages += 1;
    }
    (rows, pages)
}

fn instants(rows: &[Value], field: &str) -> Vec<Instant> {
    rows.iter().map(|row| at(row[field].as_str().unwrap())).collect()
}

#[tokio::test]
async fn tables_have_three_pages_and_each_key_once() {
    let simulator = start().await;
    let order = simulator.records("shopify", "orders").unwrap()[0]["id"].clone();
    let cases = [
        ("/products.json?limit=250".to_owned(), "id"),
        ("/customers.json?limit=250".to_owned(), "id"),
        ("/orders.json?limit=250&status=any".to_owned(), "id"),
        (format!("/orders/{order}/refunds.json?limit=250"), "id"),
        (format!("/orders/{order}/fulfillments.json?limit=250"), "id"),
        ("/inventory_levels.json?limit=250&location_ids=655441491".to_owned(), "inventory_item_id"),
    ];
    for (path, key) in cases {
        let (rows, pages) = walk(&simulator, &path).await;
        assert!(pages >= 3, "{path}: {pages}");
        let keys: BTreeSet<String> = rows.iter().map(|row| row[key].to_string()).collect();
        assert_eq!(keys.len(), rows.len(), "{path}");
    }
    assert_eq!(walk(&simulator, "/products.json").await.1, 560_usize.div_ceil(50));
}

#[tokio::test]
async fn bounds_of_times_are_inclusive_and_compare_instants() {
    let simulator = start().await;
    for table in ["products", "customers", "orders"] {
        let path = format!("/{table}.json?limit=250&status=any&order=updated_at%20asc");
        let path = if table == "orders" { path } else { path.replace("&status=any", "") };
        let (rows, _) = walk(&simulator, &path).await;
        let times = instants(&rows, "updated_at");
        assert!(times.is_sorted(), "{table}");
        let distinct: BTreeSet<&Instant> = times.iter().collect();
        assert!(distinct.len() < times.len(), "{table} has no ties");
        let (low, high) = (times[100], times[400]);
        let bounds =
            format!("&updated_at_min={}&updated_at_max={}", low.to_rfc3339(0), high.to_rfc3339(0));
        let (found, _) = walk(&simulator, &format!("{path}{bounds}")).await;
        let within = rows.iter().zip(&times).filter(|(_, time)| (low..=high).contains(*time));
        assert_eq!(found, within.map(|(row, _)| row.clone()).collect::<Vec<_>>(), "{table}");
        let zones: BTreeSet<String> =
            rows.iter().map(|row| row["updated_at"].as_str().unwrap()[19..].to_owned()).collect();
        assert!(zones.contains("-07:00") && zones.contains("+05:30"), "{zones:?}");
        let texts: Vec<&str> = rows.iter().map(|row| row["updated_at"].as_str().unwrap()).collect();
        assert!(!texts.is_sorted(), "{table}: text order is the order of time");
        let ids: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        assert!(!ids.is_sorted(), "{table}");
    }
}

#[tokio::test]
async fn open_orders_are_the_default() {
    let simulator = start().await;
    let (all, _) = walk(&simulator, "/orders.json?limit=250&status=any").await;
    // Closed and cancelled; none: either way.
    let cases = [
        ("", Some(false), Some(false)),
        ("&status=open", Some(false), Some(false)),
        ("&status=closed", Some(true), None),
        ("&status=cancelled", None, Some(true)),
    ];
    for (status, closed, cancelled) in cases {
        let is = |order: &Value, field: &str, wanted: Option<bool>| {
            wanted.is_none_or(|wanted| order[field].is_string() == wanted)
        };
        let fits =
            |order: &&Value| is(order, "closed_at", closed) && is(order, "cancelled_at", cancelled);
        let expected: Vec<&Value> = all.iter().filter(fits).collect();
        let (found, _) = walk(&simulator, &format!("/orders.json?limit=250{status}")).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{status}");
        assert!(!found.is_empty() && found.len() < all.len(), "{status}");
    }
}

#[tokio::test]
async fn a_link_carries_its_token_and_nothing_else_may_stand_beside_it() {
    let simulator = start().await;
    let reply = fetch(&simulator, "/products.json?limit=3&status=active&fields=id,status").await;
    let next = reply.link("next").unwrap();
    assert!(
        next.contains("limit=3") && next.contains("page_info=") && !next.contains("status=active")
    );
    let second = get(&next, TOKEN).await.json();
    let rows = second["products"].as_array().unwrap();
    assert!(rows.len() == 3 && rows.iter().all(|row| row["status"] == "active"));
    assert_eq!(rows[0].as_object().unwrap().len(), 2);
    for (more, parameter) in
        [("&status=active", "status"), ("&updated_at_min=2024-01-01", "updated_at_min")]
    {
        let reply = get(&format!("{next}{more}"), TOKEN).await;
        let errors = json!({"errors": {parameter: "Invalid value."}});
        assert_eq!((reply.status, reply.json()), (400, errors), "{more}");
    }
    let made_up = fetch(&simulator, "/products.json?page_info=abc").await;
    assert_eq!(
        (made_up.status, made_up.json()["errors"]["page_info"].clone()),
        (400, json!("Invalid value."))
    );
    let elsewhere = next.replace("products.json", "customers.json");
    assert_eq!(get(&elsewhere, TOKEN).await.status, 400);
}

#[tokio::test]
async fn orders_hold_their_own_refunds_and_fulfillments() {
    let simulator = start().await;
    let path = "/orders.json?limit=250&status=any&fields=id,refunds,fulfillments";
    let (orders, _) = walk(&simulator, path).await;
    for field in ["refunds", "fulfillments"] {
        let inside: usize = orders.iter().map(|order| order[field].as_array().unwrap().len()).sum();
        assert_eq!(inside, simulator.records("shopify", field).unwrap().len());
        for order in orders.iter().rev().take(12) {
            let path = format!("/orders/{}/{field}.json?limit=250", order["id"]);
            assert_eq!(json!(walk(&simulator, &path).await.0), order[field], "{path}");
            let own = order[field].as_array().unwrap().iter();
            assert!(own.clone().all(|child| child["order_id"] == order["id"]));
        }
    }
    assert_eq!(fetch(&simulator, "/orders/1/refunds.json").await.status, 404);
}

#[tokio::test]
async fn a_refund_or_fulfillment_moves_its_order() {
    let simulator = start().await;
    let order = simulator.records("shopify", "orders").unwrap()[9]["id"].clone();
    let path = format!("/orders/{order}.json");
    let later = "2030-05-01T08:00:00-07:00";
    let refund = json!({"id": 5, "order_id": order, "created_at": later, "note": null});
    simulator.upsert("shopify", "refunds", &refund).unwrap();
    let shown = fetch(&simulator, &path).await.json()["order"].clone();
    assert_eq!(shown["updated_at"], later);
    assert!(shown["refunds"].as_array().unwrap().contains(&refund));

    let fulfillment = json!({"id": 6, "order_id": order, "updated_at": "2020-01-01T00:00:00Z"});
    simulator.upsert("shopify", "fulfillments", &fulfillment).unwrap();
    assert_eq!(fetch(&simulator, &path).await.json()["order"]["updated_at"], later);
    simulator.with_world(|world| world.touch("shopify", "fulfillments", 6)).unwrap();
    let moved = fetch(&simulator, &path).await.json()["order"]["updated_at"].clone();
    assert_eq!(at(moved.as_str().unwrap()), at(NOW));

    let count = simulator.records("shopify", "refunds").unwrap().len();
    simulator.with_world(|world| world.grow("shopify", "refunds", 1)).unwrap();
    let refunds = simulator.records("shopify", "refunds").unwrap();
    assert_eq!(refunds.len(), count + 1);
    assert!(simulator.remove("shopify", "orders", &order).unwrap());
    let refunds = simulator.records("shopify", "refunds").unwrap();
    assert!(refunds.iter().all(|refund| refund["order_id"] != order));
}

#[tokio::test]
async fn inventory_levels_need_ids_and_take_fifty() {
    let simulator = start().await;
    let ids = |n: u64| (1..=n).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    let cases = [
        (String::new(), 422),
        (format!("?location_ids={}", ids(50)), 200),
        (format!("?location_ids={}", ids(51)), 422),
        (format!("?inventory_item_ids={}", ids(50)), 200),
        (format!("?inventory_item_ids={}", ids(51)), 422),
    ];
    for (query, status) in cases {
        let reply = fetch(&simulator, &format!("/inventory_levels.json{query}")).await;
        assert_eq!(reply.status, status, "{query}");
    }
    let path = "/inventory_levels.json?limit=250&location_ids=655441491,24826418";
    let (levels, _) = walk(&simulator, path).await;
    assert!(levels.iter().any(|level| level["available"].is_null()));
    let times = instants(&levels, "updated_at");
    let mut sorted = times.clone();
    sorted.sort();
    let since = sorted[sorted.len() / 2];
    let (later, _) =
        walk(&simulator, &format!("{path}&updated_at_min={}", since.to_rfc3339(0))).await;
    assert_eq!(later.len(), times.iter().filter(|time| **time >= since).count());
    let (locations, pages) = walk(&simulator, "/locations.json").await;
    assert_eq!((locations.len(), pages), (24, 1));
    assert!(locations.iter().any(|location| location["active"] == json!(false)));
}

#[tokio::test]
async fn a_full_bucket_refuses_and_leaks() {
    let (builder, clock) = frozen();
    let simulator = builder.source("shopify").enforce_rate_limits("shopify").start().await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..41 {
        let reply = fetch(&simulator, "/shop.json").await;
        let used = reply.header("x-shopify-shop-api-call-limit").unwrap().to_owned();
        seen.push((reply.status, used));
    }
    assert_eq!(seen[0], (200, "1/40".to_owned()));
    assert_eq!(seen[39], (200, "40/40".to_owned()));
    assert_eq!(seen[40].0, 429);
    let refused = fetch(&simulator, "/shop.json").await;
    assert_eq!(refused.header("retry-after"), Some("2.0"));
    clock.set(at("2031-03-01T10:00:02Z"));
    assert_eq!(fetch(&simulator, "/shop.json").await.status, 200);
}

#[tokio::test]
async fn refusals_and_versions_are_as_documented() {
    let simulator = start().await;
    let url = format!("{}{API}/shop.json", simulator.base_url("shopify"));
    let invalid = "[API] Invalid API key or access token (unrecognized login or wrong password)";
    let reply = get(&url, "").await;
    assert_eq!((reply.status, reply.json()), (401, json!({"errors": invalid})));
    let shop = fetch(&simulator, "/shop.json").await;
    assert_eq!(shop.header("x-shopify-api-version"), Some("2026-04"));
    assert_eq!(shop.json()["shop"]["myshopify_domain"], "acme-demo.myshopify.com");
    let missing = fetch(&simulator, "/nope.json").await;
    assert_eq!((missing.status, missing.json()), (404, json!({"errors": "Not Found"})));
    simulator.with_world(|world| world.switch_off("shopify", "orders")).unwrap();
    let scope = "[API] This action requires merchant approval for read_orders scope.";
    let reply = fetch(&simulator, "/orders.json").await;
    assert_eq!((reply.status, reply.json()), (403, json!({"errors": scope})));
    for (plan, status, errors) in
        [("frozen", 402, "Unavailable Shop"), ("fraudulent", 423, "Locked")]
    {
        simulator.patch("shopify", "shop", 548380009, &json!({"plan_name": plan})).unwrap();
        let reply = fetch(&simulator, "/products.json").await;
        assert_eq!((reply.status, reply.json()), (status, json!({"errors": errors})), "{plan}");
    }
}
