//! The sources under test: one entry each, one case per table.

use crate::entry::{Change, Count, Entry, TableCase};
use lakeflow_core::Instant;
use lakeflow_simulator::Simulator;
use serde_json::json;

/// Every source of the registry.
pub static ENTRIES: &[&Entry] = &[&EXAMPLE, &GITHUB];

pub static EXAMPLE: Entry = Entry::new(&lakeflow_connectors::example::SOURCE)
    .options(&[("username", "u")])
    .secrets(&["password"])
    .tables(&[
        TableCase::new("products", "products").page(20).change(Change::Grow),
        TableCase::new("events", "events").page(50).change(Change::Grow),
        TableCase::new("users", "users").page(15).change(Change::Touch("user_id")),
        TableCase::new("orders", "orders")
            .page(40)
            .change(Change::Touch("order_id"))
            .delete(delete_order),
        TableCase::new("metrics", "metrics")
            .page(100)
            .count(Count::Until("updated_at"))
            .change(Change::Touch("metric_id")),
    ]);

pub static GITHUB: Entry = Entry::new(&lakeflow_connectors::github::SOURCE)
    .options(&[("owner", "acme"), ("repo", "widgets"), ("per_page", "12")])
    .secrets(&["token"])
    .corpus(&[("acme/widgets/issues", 40)])
    .tables(&[TableCase::new("issues", "acme/widgets/issues")
        .page(12)
        .change(Change::Touch("id"))]);

/// What the service does when an order is deleted.
fn delete_order(simulator: &Simulator, now: Instant) {
    let key = "order_0005";
    assert!(simulator.remove("example", "orders", key).unwrap(), "{key} exists");
    let at = now.to_rfc3339(0).replace('Z', "+00:00");
    let tombstone = json!({
        "order_id": key, "user_id": null, "amount": null, "status": null, "updated_at": at
    });
    simulator.upsert("example", "deleted_orders", &tombstone).unwrap();
}
