//! Columns of the tables. Timestamps stay text, as GitHub writes them.

use crate::schema::{boolean, long, record, records, string, text_map, texts};
use lakeflow_core::{Column, FieldPath, TableSchema};

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

pub(super) fn pull_requests() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("node_id"),
        long("number").required(),
        string("repository_owner").required(),
        string("repository_name").required(),
        string("state"),
        string("title"),
        string("body"),
        boolean("draft"),
        string("created_at"),
        string("updated_at"),
        string("closed_at"),
        string("merged_at"),
        string("merge_commit_sha"),
        record("user", user_fields()),
        text_map("base"),
        text_map("head"),
        string("html_url"),
        string("url"),
    ])
}

pub(super) fn comments() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("node_id"),
        string("repository_owner").required(),
        string("repository_name").required(),
        string("issue_url"),
        string("html_url"),
        string("body"),
        record("user", user_fields()),
        string("created_at"),
        string("updated_at"),
        string("author_association"),
    ])
}

pub(super) fn reviews() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("node_id"),
        string("repository_owner").required(),
        string("repository_name").required(),
        long("pull_number").required(),
        string("state"),
        string("body"),
        record("user", user_fields()),
        string("commit_id"),
        string("submitted_at"),
        string("html_url"),
    ])
}

pub(super) fn commits() -> TableSchema {
    TableSchema::new(vec![
        string("sha").required(),
        string("node_id"),
        string("repository_owner").required(),
        string("repository_name").required(),
        string("commit_message").from(FieldPath::pointer("/commit/message")),
        string("commit_author_name").from(FieldPath::pointer("/commit/author/name")),
        string("commit_author_email").from(FieldPath::pointer("/commit/author/email")),
        string("commit_author_date").from(FieldPath::pointer("/commit/author/date")),
        string("commit_committer_name").from(FieldPath::pointer("/commit/committer/name")),
        string("commit_committer_email").from(FieldPath::pointer("/commit/committer/email")),
        string("commit_committer_date").from(FieldPath::pointer("/commit/committer/date")),
        string("html_url"),
        string("url"),
        record("author", user_fields()),
        record("committer", user_fields()),
    ])
}

pub(super) fn assignees() -> TableSchema {
    TableSchema::new(vec![
        string("repository_owner").required(),
        string("repository_name").required(),
        string("login").required(),
        long("id").required(),
        string("node_id"),
        string("type"),
        boolean("site_admin"),
    ])
}

pub(super) fn branches() -> TableSchema {
    TableSchema::new(vec![
        string("repository_owner").required(),
        string("repository_name").required(),
        string("name").required(),
        record("commit", vec![string("sha"), string("url")]),
        boolean("protected"),
        string("protection_url"),
    ])
}

pub(super) fn collaborators() -> TableSchema {
    TableSchema::new(vec![
        string("repository_owner").required(),
        string("repository_name").required(),
        string("login").required(),
        long("id").required(),
        string("node_id"),
        string("type"),
        boolean("site_admin"),
        record("permissions", vec![boolean("admin"), boolean("push"), boolean("pull")]),
    ])
}

pub(super) fn repositories() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("node_id"),
        string("repository_owner").required().from(FieldPath::pointer("/owner/login")),
        string("repository_name").required().from(FieldPath::pointer("/name")),
        string("name"),
        string("full_name"),
        record("owner", user_fields()),
        boolean("private"),
        string("html_url"),
        string("description"),
        boolean("fork"),
        string("url"),
        string("archive_url"),
        string("assignees_url"),
        string("blobs_url"),
        string("branches_url"),
        string("collaborators_url"),
        string("comments_url"),
        string("commits_url"),
        string("compare_url"),
        string("contents_url"),
        string("contributors_url"),
        string("deployments_url"),
        string("downloads_url"),
        string("events_url"),
        string("forks_url"),
        string("git_commits_url"),
        string("git_refs_url"),
        string("git_tags_url"),
        string("git_url"),
        string("issue_comment_url"),
        string("issue_events_url"),
        string("issues_url"),
        string("keys_url"),
        string("labels_url"),
        string("languages_url"),
        string("merges_url"),
        string("milestones_url"),
        string("notifications_url"),
        string("pulls_url"),
        string("releases_url"),
        string("ssh_url"),
        string("stargazers_url"),
        string("statuses_url"),
        string("subscribers_url"),
        string("subscription_url"),
        string("tags_url"),
        string("teams_url"),
        string("trees_url"),
        string("clone_url"),
        string("mirror_url"),
        string("hooks_url"),
        string("svn_url"),
        string("homepage"),
        string("language"),
        long("forks_count"),
        long("stargazers_count"),
        long("watchers_count"),
        long("size"),
        string("default_branch"),
        long("open_issues_count"),
        boolean("is_template"),
        texts("topics"),
        boolean("has_issues"),
        boolean("has_projects"),
        boolean("has_wiki"),
        boolean("has_pages"),
        boolean("has_downloads"),
        boolean("archived"),
        boolean("disabled"),
        string("visibility"),
        string("pushed_at"),
        string("created_at"),
        string("updated_at"),
        record("permissions", vec![boolean("admin"), boolean("push"), boolean("pull")]),
        boolean("allow_rebase_merge"),
        record(
            "template_repository",
            vec![long("id"), string("node_id"), string("name"), string("full_name")],
        ),
        string("temp_clone_token"),
        boolean("allow_squash_merge"),
        boolean("allow_merge_commit"),
        long("subscribers_count"),
        long("network_count"),
        record(
            "license",
            vec![
                string("key"),
                string("name"),
                string("spdx_id"),
                string("url"),
                string("node_id"),
            ],
        ),
    ])
}

pub(super) fn organizations() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("login").required(),
        string("node_id"),
        string("url"),
        string("repos_url"),
        string("events_url"),
        string("hooks_url"),
        string("issues_url"),
        string("members_url"),
        string("public_members_url"),
        string("avatar_url"),
        string("description"),
    ])
}

pub(super) fn teams() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("node_id"),
        string("organization_login").required().from(FieldPath::pointer("/organization/login")),
        string("name"),
        string("slug"),
        string("description"),
        string("privacy"),
        string("permission"),
    ])
}

pub(super) fn users() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("login").required(),
        string("node_id"),
        string("type"),
        boolean("site_admin"),
        string("name"),
        string("company"),
        string("blog"),
        string("location"),
        string("email"),
        string("created_at"),
        string("updated_at"),
    ])
}
