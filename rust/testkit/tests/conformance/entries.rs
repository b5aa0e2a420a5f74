//! The sources under test: one entry each, one case per table.

use crate::entry::{Change, Count, Entry, TableCase};
use lakeflow_core::Instant;
use lakeflow_simulator::Simulator;
use serde_json::{Value, json};

/// The sources for which the suite holds.
pub static ENTRIES: &[&Entry] =
    &[&EXAMPLE, &GITHUB, &HUBSPOT, &MAILCHIMP, &SHOPIFY, &ZENDESK, &KIT_WITH_REFRESH];

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
    .corpus(&[
        ("acme/widgets/issues", 120),
        ("acme/widgets/commits", 40),
        ("acme/widgets/assignees", 30),
        ("acme/widgets/branches", 30),
        ("repos", 80),
        ("orgs", 30),
        ("teams", 30),
    ])
    .tables(&[
        TableCase::new("issues", "acme/widgets/issues")
            .page(12)
            .change(Change::Touch("id"))
            .quiet_requests(16),
        TableCase::new("pull_requests", "acme/widgets/pulls").page(12).change(Change::Touch("id")),
        TableCase::new("reviews", "reviews")
            .page(12)
            .count(Count::Where(of_widgets))
            .change(Change::By(review))
            .repeats(),
        TableCase::new("comments", "acme/widgets/comments")
            .page(12)
            .change(Change::Touch("id"))
            .quiet_requests(12),
        TableCase::new("commits", "acme/widgets/commits")
            .options(&[("window_seconds", "43200")])
            .page(12),
        TableCase::new("assignees", "acme/widgets/assignees").page(12),
        TableCase::new("branches", "acme/widgets/branches").page(12),
        TableCase::new("collaborators", "acme/widgets/collaborators").page(12),
        TableCase::new("repositories", "repos")
            .options(&[("owner", ""), ("repo", ""), ("org", "acme")])
            .page(12)
            .count(Count::Where(|repo| repo["owner"]["login"] == "acme")),
        TableCase::new("organizations", "orgs").page(12),
        TableCase::new("teams", "teams").page(12),
        TableCase::new("users", "users"),
    ]);

fn of_widgets(review: &Value) -> bool {
    let pull = review["pull_request_url"].as_str();

    pull.is_some_and(|url| url.contains("/repos/acme/widgets/"))
}

/// A pull request is reviewed.
fn review(simulator: &Simulator, now: Instant) {
    let reviews = simulator.records("github", "reviews").unwrap();
    let mut review = reviews.into_iter().find(of_widgets).unwrap();
    review["id"] = json!(now.seconds());
    review["submitted_at"] = json!(now.to_rfc3339(0));
    simulator.upsert("github", "reviews", &review).unwrap();
}

const fn object(table: &'static str, collection: &'static str) -> TableCase {
    TableCase::new(table, collection)
        .page(12)
        .count(Count::Where(live))
        .change(Change::Touch("id"))
        .quiet_requests(26)
}

const fn with_archive(table: &'static str, delete: fn(&Simulator, Instant)) -> TableCase {
    object(table, table).delete(delete)
}

/// Budgets stand in the way of a test that reads as fast as it can.
///
/// Half of the records were changed in one moment, more than a page: a quiet drain reads them
/// twice, two pages each time, and looks once for later ones. Each page costs a search and a request
/// for each kind of associated records, and one for the many properties of contacts.
pub static HUBSPOT: Entry = Entry::new(&lakeflow_connectors::hubspot::SOURCE)
    .options(&[
        ("requests_per_10_seconds", "100000"),
        ("searches_per_second", "10000"),
        ("limit", "12"),
    ])
    .secrets(&["access_token"])
    .corpus(&[
        ("contacts", 60),
        ("companies", 60),
        ("deals", 60),
        ("tickets", 60),
        ("calls", 40),
        ("emails", 60),
        ("meetings", 40),
        ("tasks", 60),
        ("notes", 60),
        ("p7000001_vehicles", 60),
        ("associations", 3000),
    ])
    .tables(&[
        with_archive("contacts", |s, now| archive(s, "contacts", now)),
        with_archive("companies", |s, now| archive(s, "companies", now)),
        with_archive("deals", |s, now| archive(s, "deals", now)),
        with_archive("tickets", |s, now| archive(s, "tickets", now)),
        object("calls", "calls"),
        with_archive("emails", |s, now| archive(s, "emails", now)),
        object("meetings", "meetings"),
        with_archive("tasks", |s, now| archive(s, "tasks", now)),
        with_archive("notes", |s, now| archive(s, "notes", now)),
        object("vehicles", "p7000001_vehicles"),
    ]);

/// Members are asked for twice below each of twelve audiences, which are two pages. Half of them
/// were changed in one moment: in some audiences that is more than a page, which is read twice.
pub static MAILCHIMP: Entry = Entry::new(&lakeflow_connectors::mailchimp::SOURCE)
    .below("/3.0")
    .secrets(&["api_key"])
    .corpus(&[("campaigns", 60), ("members", 40)])
    .options(&[("count", "10")])
    .tables(&[
        TableCase::new("campaigns", "campaigns").page(10),
        TableCase::new("reports", "reports").page(10),
        TableCase::new("lists", "lists").options(&[("count", "4")]).page(4),
        TableCase::new("members", "members")
            .page(10)
            .change(Change::Touch("id"))
            .quiet_requests(40),
    ]);

pub static SHOPIFY: Entry = Entry::new(&lakeflow_connectors::shopify::SOURCE)
    .options(&[("shop", "acme"), ("limit", "12")])
    .secrets(&["access_token"])
    .corpus(&[("products", 40), ("customers", 40), ("orders", 40), ("inventory_levels", 60)])
    .tables(&[
        TableCase::new("products", "products").page(12).change(Change::Touch("id")),
        TableCase::new("customers", "customers").page(12).change(Change::Touch("id")),
        TableCase::new("orders", "orders").page(12).change(Change::Touch("id")),
        TableCase::new("refunds", "refunds").page(12).repeats(),
        TableCase::new("fulfillments", "fulfillments")
            .page(12)
            .change(Change::Touch("id"))
            .repeats(),
        TableCase::new("inventory_levels", "inventory_levels")
            .page(12)
            .count(Count::By(levels_of_active_locations))
            .change(Change::Touch("admin_graphql_api_id")),
        TableCase::new("locations", "locations").page(1000).change(Change::Touch("id")),
    ]);

fn levels_of_active_locations(simulator: &Simulator) -> usize {
    let locations = simulator.records("shopify", "locations").unwrap();
    let active = |level: &Value| {
        locations.iter().any(|l| l["id"] == level["location_id"] && l["active"] == true)
    };

    simulator.records("shopify", "inventory_levels").unwrap().into_iter().filter(active).count()
}

pub static ZENDESK: Entry = Entry::new(&lakeflow_connectors::zendesk::SOURCE)
    .options(&[
        ("subdomain", "acme"),
        ("email", "agent@example.com"),
        ("exports_per_minute", "10000"),
        ("per_page", "20"),
    ])
    .secrets(&["api_token"])
    .corpus(&[
        ("tickets", 60),
        ("organizations", 60),
        ("users", 60),
        ("ticket_events", 120),
        ("articles", 230),
    ])
    .tables(&[
        TableCase::new("tickets", "tickets")
            .page(20)
            .change(Change::Touch("id"))
            .delete(delete_ticket)
            .keeps_deleted(|ticket| ticket["status"] == "deleted"),
        TableCase::new("organizations", "organizations").page(20).change(Change::Touch("id")),
        TableCase::new("users", "users").page(20).change(Change::Touch("id")),
        TableCase::new("ticket_comments", "ticket_events").page(20).count(Count::By(comments)),
        TableCase::new("articles", "articles").change(Change::Touch("id")),
        TableCase::new("brands", "brands").change(Change::Touch("id")),
        TableCase::new("groups", "groups").change(Change::Touch("id")),
        TableCase::new("topics", "topics").change(Change::Touch("id")),
    ]);

/// What the service does when a ticket is deleted.
fn delete_ticket(simulator: &Simulator, now: Instant) {
    let tickets = simulator.records("zendesk", "tickets").unwrap();
    let ticket = tickets.iter().find(|ticket| ticket["status"] == "open").unwrap();
    let changes = json!({
        "status": "deleted", "subject": "SCRUBBED", "raw_subject": "SCRUBBED",
        "description": "SCRUBBED", "updated_at": now.to_rfc3339(0),
        "generated_timestamp": now.seconds(),
    });
    simulator.patch("zendesk", "tickets", ticket["id"].to_string(), &changes).unwrap();
}

fn live(record: &serde_json::Value) -> bool {
    record["archived"] == false
}

/// What the service does when an object is deleted.
fn archive(simulator: &Simulator, collection: &str, now: Instant) {
    let records = simulator.records("hubspot", collection).unwrap();
    let id = records.iter().find(|r| live(r)).and_then(|r| r["id"].as_str()).unwrap().to_owned();
    let at = now.to_rfc3339(3);
    let changes = json!({"archived": true, "archivedAt": at});
    simulator.patch("hubspot", collection, id, &changes).unwrap();
}

fn comments(simulator: &Simulator) -> usize {
    let events = simulator.records("zendesk", "ticket_events").unwrap();
    let children = events.iter().filter_map(|e| e["child_events"].as_array()).flatten();

    children.filter(|child| child["event_type"] == "Comment").count()
}

const KIT: Entry = Entry::new(&lakeflow_testkit::kit::KIT);

const KIT_TABLES: &[TableCase] = &[
    // Half of the orders changed in one moment, which is more than a search reaches: a drain without
    // news reads them again, by id.
    TableCase::new("orders", "orders").page(10).change(Change::Touch("id")).quiet_requests(20),
    TableCase::new("units", "units").page(10),
    TableCase::new("bins", "bins").page(10).follows("GET /kit/bins?page="),
    TableCase::new("shelves", "shelves").page(10).follows("GET /kit/shelves?page="),
    TableCase::new("moves", "moves").page(10).follows("token '"),
    TableCase::new("labels", "labels").page(10).follows("page 1 "),
    TableCase::new("parts", "parts").page(10).follows("token '"),
];

/// The testkit's connector with a refresh token that is replaced by each use.
pub static KIT_WITH_REFRESH: Entry = KIT
    .options(&[("client_id", "client-1")])
    .secrets(&["client_secret", "refresh_token"])
    .renews_tokens()
    .tables(KIT_TABLES);

/// Its other logins; a search is enough to tell them apart.
pub static KIT_WITH_CLIENT: Entry = KIT
    .options(&[("client_id", "client-1")])
    .secrets(&["client_secret"])
    .renews_tokens()
    .some_tables(KIT_TABLES.split_at(1).0);
pub static KIT_WITH_TOKEN: Entry =
    KIT.secrets(&["access_token"]).some_tables(KIT_TABLES.split_at(1).0);
pub static KIT_WITH_KEY: Entry = KIT.secrets(&["key"]).tables(KIT_TABLES);

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
