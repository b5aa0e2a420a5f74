//! Columns of the tables. Timestamps stay text, as GitHub writes them.

use crate::schema::{boolean, long, record, records, string, text_map};
use lakeflow_core::{Column, TableSchema};

/// A user as it appears inside other records.
fn user_fields() -> Vec<Column> {
    vec![string("login"), long("id"), string("node_id"), string("type"), boolean("site_admin")]
}

pub(super) fn issues() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("node_id"),
        long("number").required(),
        string("repository_owner").required(),
        string("repository_name").required(),
        string("title"),
        string("body"),
        string("state"),
        boolean("locked"),
        long("comments"),
        string("created_at"),
        string("updated_at"),
        string("closed_at"),
        string("author_association"),
        string("url"),
        string("html_url"),
        string("labels_url"),
        string("comments_url"),
        string("events_url"),
        string("timeline_url"),
        string("state_reason"),
        record("user", user_fields()),
        record("assignee", user_fields()),
        records("assignees", user_fields()),
        records(
            "labels",
            vec![
                long("id"),
                string("node_id"),
                string("name"),
                string("color"),
                string("description"),
                boolean("default"),
            ],
        ),
        record(
            "milestone",
            vec![
                long("id"),
                long("number"),
                string("title"),
                string("description"),
                string("state"),
                string("created_at"),
                string("updated_at"),
                string("due_on"),
            ],
        ),
        text_map("pull_request"),
        text_map("reactions"),
    ])
}
