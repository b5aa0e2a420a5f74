//! The tables, and lists that they are read from.

use super::schemas;
use lakeflow_core::{Column, DataType, Step, TableSchema};
use lakeflow_http::rest::{Bound, By, Filter, Paging, Spelling, Table, Tables};

/// Audiences, as parents of their members, and the one that option `list_id` names.
pub(super) const AUDIENCES: &str = "audiences";
pub(super) const AUDIENCE: &str = "audience";
/// When reports were sent, to find the oldest: the service does not sort them.
pub(super) const SEND_TIMES: &str = "send_times";

const REFRESH: &str = "refresh_days";
const SPELLING: Spelling = Spelling::Offset { digits: 0 };

pub(super) const TABLES: Tables = Tables(&[
    paged(Table::new("campaigns", "/campaigns", schemas::campaigns))
        .cdc(&["id"], "create_time")
        .ascending(By::instants("create_time", Step::SECOND).refresh_days(REFRESH), 1)
        .query(&[
            ("sort_field", "create_time"),
            ("sort_dir", "ASC"),
            ("exclude_fields", "campaigns._links,_links"),
        ])
        .filters(&[
            Filter::exact(
                "type",
                "type",
                "",
                &["regular", "plaintext", "absplit", "rss", "variate"],
            ),
            Filter::exact(
                "status",
                "status",
                "",
                &["save", "paused", "schedule", "sending", "sent"],
            ),
        ])
        .since("since_create_time", Bound::Exclusive, SPELLING)
        .until("before_create_time", Bound::Exclusive, SPELLING)
        .split_by_order()
        .rows("campaigns"),
    paged(Table::new("reports", "/reports", schemas::reports))
        .cdc(&["id"], "send_time")
        .windows(By::instants("send_time", Step::SECOND).refresh_days(REFRESH))
        .query(&[("exclude_fields", "reports._links,_links")])
        .since("since_send_time", Bound::Exclusive, SPELLING)
        .until("before_send_time", Bound::Exclusive, SPELLING)
        .rows("reports"),
    paged(Table::new("lists", "/lists", schemas::lists))
        .cdc(&["id"], "date_created")
        .one_pass(By::instants("date_created", Step::SECOND).refresh_all())
        .grows_by("date_created")
        .query(&[
            ("sort_field", "date_created"),
            ("sort_dir", "ASC"),
            ("exclude_fields", "lists._links,_links,constraints"),
        ])
        .rows("lists"),
    paged(Table::new("members", "/lists/{parent.list_id}/members", schemas::members))
        .cdc(&["list_id", "id"], "last_changed")
        .ascending(By::instants("last_changed", Step::SECOND), 1)
        .under_parents(1)
        .query(&[
            ("sort_field", "last_changed"),
            ("sort_dir", "ASC"),
            ("exclude_fields", "members._links,_links"),
            ("status", "{parent.status}"),
        ])
        .since("since_last_changed", Bound::Exclusive, SPELLING)
        .until("before_last_changed", Bound::Exclusive, SPELLING)
        .rows("members"),
    paged(Table::new(AUDIENCES, "/lists", audiences))
        .query(&[
            ("sort_field", "date_created"),
            ("sort_dir", "ASC"),
            ("fields", "lists.id,total_items"),
        ])
        .rows("lists")
        .hidden(),
    Table::new(AUDIENCE, "/lists/{list_id}", audiences)
        .query(&[("fields", "id")])
        .one_row()
        .hidden(),
    paged(Table::new(SEND_TIMES, "/reports", send_times))
        .windows(By::instants("send_time", Step::SECOND))
        .query(&[("fields", "reports.send_time,total_items")])
        .since("since_send_time", Bound::Exclusive, SPELLING)
        .until("before_send_time", Bound::Exclusive, SPELLING)
        .rows("reports")
        .hidden(),
]);

const fn paged(table: Table) -> Table {
    let paging = Paging::Offset { parameter: "offset", total: "total_items" };

    table.page_size("count", 1000).paging(paging)
}

fn audiences() -> TableSchema {
    TableSchema::new(vec![Column::new("id", DataType::String).required()])
}

fn send_times() -> TableSchema {
    TableSchema::new(vec![Column::new("send_time", DataType::String)])
}
