//! The tables.

use super::{api, schemas};
use lakeflow_core::{CursorKind, Step};
use lakeflow_http::rest::{Bound, By, Filter, Paging, Spelling, Split, Table, Tables};

/// Changes are stamped in whole seconds.
const BY: By = By::instants("updated_at", Step::SECOND);

const SECONDS: Spelling = Spelling::Rfc3339 { digits: 0 };

const CREATED: Split = Split::instants(
    "created_at",
    Step::SECOND,
    ("created_at_min", "created_at_max"),
    Bound::Inclusive,
    SECONDS,
    ("order", "created_at asc"),
);

/// Pages of orders that are read by their links, which lead on from the last order whatever moves
/// meanwhile: as many orders may share one second.
const PAGES_OF_ORDERS: u32 = 100;

/// Locations that one request for inventory levels may name.
const LOCATIONS_PER_REQUEST: usize = 50;

pub(super) const TABLES: Tables = Tables(&[
    changes("products", "/admin/api/{api_version}/products.json", schemas::products)
        .query(&[ASCENDING])
        .filters(&[Filter::exact("status", "status", "", &["active", "archived", "draft"])])
        .selects("fields")
        .rows("products"),
    changes("customers", "/admin/api/{api_version}/customers.json", schemas::customers)
        .query(&[ASCENDING])
        .selects("fields")
        .rows("customers"),
    changes("orders", ORDERS, schemas::orders)
        .query(&[ASCENDING, ANY_STATUS])
        .filters(&[Filter::exact("financial_status", "financial_status", "any", PAYMENT)])
        .selects("fields")
        .rows("orders"),
    embedded("refunds", schemas::refunds)
        .cursor("created_at")
        .legacy_cursor(&["created_at"])
        .query(&[ASCENDING, ANY_STATUS, ("fields", "id,updated_at,refunds")])
        .shape(api::refunds),
    embedded("fulfillments", schemas::fulfillments)
        .query(&[ASCENDING, ANY_STATUS, ("fields", "id,updated_at,fulfillments")])
        .shape(api::fulfillments),
    table(
        "inventory_levels",
        "/admin/api/{api_version}/inventory_levels.json",
        schemas::inventory_levels,
    )
    .cdc(&["inventory_item_id", "location_id"], "updated_at")
    .one_pass(BY)
    .under_parents(LOCATIONS_PER_REQUEST)
    .query(&[("location_ids", "{parents}")])
    .since("updated_at_min", Bound::Inclusive, SECONDS)
    .page_size("limit", 250)
    .paging(Paging::Link)
    .rows("inventory_levels"),
    table("locations", "/admin/api/{api_version}/locations.json", schemas::locations)
        .snapshot(&["id"])
        .rows("locations"),
]);

const ORDERS: &str = "/admin/api/{api_version}/orders.json";
const ASCENDING: (&str, &str) = ("order", "updated_at asc");

/// The service lists open orders only unless told otherwise.
const ANY_STATUS: (&str, &str) = ("status", "any");

/// What may be said of an order's payment; the service also knows `unpaid`, which no order holds.
const PAYMENT: &[&str] = &[
    "authorized",
    "pending",
    "paid",
    "partially_paid",
    "refunded",
    "voided",
    "partially_refunded",
];

type Schema = fn() -> lakeflow_core::TableSchema;

/// Rows lack the shop.
const fn table(name: &'static str, path: &'static str, schema: Schema) -> Table {
    Table::new(name, path, schema).columns(&[("shop", "{shop}")]).legacy_cursor(&["updated_at"])
}

/// A list sorted by change.
const fn changes(name: &'static str, path: &'static str, schema: Schema) -> Table {
    sorted(table(name, path, schema).cdc(&["id"], "updated_at"), BY, 1).split_by(CREATED)
}

/// Records inside orders, ordered by the change of their order, which their own change moves.
const fn embedded(name: &'static str, schema: Schema) -> Table {
    let by = By::stated(CursorKind::Instant, Step::SECOND);

    sorted(table(name, ORDERS, schema).cdc(&["id"], "updated_at"), by, PAGES_OF_ORDERS)
}

const fn sorted(table: Table, by: By, restart_pages: u32) -> Table {
    table
        .ascending(by, restart_pages)
        .since("updated_at_min", Bound::Inclusive, SECONDS)
        .page_size("limit", 250)
        .paging(Paging::Link)
}
