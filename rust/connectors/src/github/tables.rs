//! The tables.

use super::schemas;
use lakeflow_core::Step;
use lakeflow_http::rest::{Bound, By, Paging, Spelling, Table, Tables};

pub(super) const TABLES: Tables =
    Tables(&[Table::new("issues", "/repos/{owner}/{repo}/issues", schemas::issues)
        .cdc(&["id"], "updated_at")
        .ascending(By::instants("updated_at", Step::SECOND), 1)
        .query(&[("state", "{state}"), ("sort", "updated"), ("direction", "asc")])
        .since("since", Bound::Inclusive, Spelling::Rfc3339 { digits: 0 })
        .page_size("per_page", 100)
        .paging(Paging::Link)
        .columns(&[("repository_owner", "{owner}"), ("repository_name", "{repo}")])]);
