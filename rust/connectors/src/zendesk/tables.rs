//! The tables.
//!
//! Exports give what changed at or after `start_time`, in whole seconds, oldest first, and never
//! what changed within the last minute. Lists are read by cursor: by number they stop after 100
//! pages.
//!
//! # Source
//! developer.zendesk.com, "Using the Incremental Export API" (order, time and cursor exports, the
//! last minute), "Incremental Exports" (`per_page`, which pages of time exports exceed for ties)
//! and "Pagination".

use super::{comments, schemas};
use lakeflow_core::{
    CursorKind, Feed, Page, ReadRequest, Records, Result, Rows, Step, TableSchema,
};
use lakeflow_http::paginate::Parsed;
use lakeflow_http::rest::{Bound, By, Paging, Spelling, Table, Tables};
use lakeflow_http::{Response, envelope};

/// Seconds that exports hold changes back.
const SETTLE: u64 = 60;

/// Days for which a cursor of an export is taken to be good; the service names no limit.
const CURSOR_DAYS: u64 = 365;

/// Always that of the option: an export by time does not get beyond a second that fills a page.
const PER_PAGE: (&str, &str) = ("per_page", "{per_page}");

/// An export, ordered by what pages state or by a column.
const fn export(name: &'static str, path: &'static str, schema: fn() -> TableSchema) -> Table {
    Table::new(name, path, schema)
        .cdc(&["id"], "updated_at")
        .since("start_time", Bound::Inclusive, Spelling::EpochSeconds)
        .since_first("0")
        .query(&[PER_PAGE])
        .legacy_cursor(&["resume_after", "start_time"])
        .rows(name)
        .more_unless("end_of_stream")
}

/// An export by time: a page names the second up to which it reaches, from which the next begins.
/// It is larger than asked for where records share their second.
const fn by_time(name: &'static str, path: &'static str, schema: fn() -> TableSchema) -> Table {
    export(name, path, schema)
        .ascending(By::stated(CursorKind::EpochSeconds, Step::SECOND).settle(SETTLE), 1)
        .paging(Paging::Number { parameter: "start_time", at: "end_time" })
        .resume_from("end_time")
        .exceeds_for_ties("per_page")
}

/// An export by cursor: a page names an exact place.
const fn by_cursor(
    name: &'static str,
    path: &'static str,
    schema: fn() -> TableSchema,
    by: By,
) -> Table {
    export(name, path, schema)
        .token(Some(by.settle(SETTLE)), CURSOR_DAYS)
        .paging(Paging::Url("after_url"))
        .resume_at("after_cursor", "cursor")
}

/// A list by cursor.
const fn list(name: &'static str, path: &'static str, schema: fn() -> TableSchema) -> Table {
    Table::new(name, path, schema)
        .snapshot(&["id"])
        .page_size("page[size]", 100)
        .rows(name)
        .paging(Paging::Url("links.next"))
        .more_if("meta.has_more")
}

/// `generated_timestamp` also moves with changes that leave `updated_at` as it is.
const TICKETS: Table = by_cursor(
    "tickets",
    "/api/v2/incremental/tickets/cursor.json",
    schemas::tickets,
    By::epoch_seconds("generated_timestamp"),
)
.shape(tickets);

pub(super) const TABLES: Tables = Tables(&[
    TICKETS.deletes(&TICKETS),
    by_time("organizations", "/api/v2/incremental/organizations.json", schemas::organizations),
    by_cursor(
        "users",
        "/api/v2/incremental/users/cursor.json",
        schemas::users,
        By::instants("updated_at", Step::SECOND),
    ),
    by_time("ticket_comments", "/api/v2/incremental/ticket_events.json", schemas::ticket_comments)
        .query(&[PER_PAGE, ("include", "comment_events")])
        .shape(comments::rows),
    list("articles", "/api/v2/help_center/articles.json", schemas::articles),
    list("brands", "/api/v2/brands.json", schemas::brands),
    list("groups", "/api/v2/groups.json", schemas::groups),
    list("topics", "/api/v2/community/topics.json", schemas::topics),
]);

/// Deleted tickets stay in the export, with a status that says so: among the rows, but not where
/// the deletes are read beside these.
fn tickets(response: &Response, read: &ReadRequest) -> Result<Parsed> {
    let tickets = envelope::object(&response.body)?.array("tickets")?;
    if read.feed == Feed::Rows {
        return Ok(Parsed::from(Page::of(Records::array(tickets))));
    }
    let mut rows = Vec::new();
    for ticket in envelope::elements(&tickets)? {
        let deleted = envelope::object(&ticket)?.text("status")?.as_deref() == Some("deleted");
        if deleted == (read.feed == Feed::Deletes) {
            rows.push(ticket);
        }
    }
    let records = Records { rows: Rows::Each(rows), ..Records::default() };

    Ok(Parsed::from(Page::of(records)))
}
