//! The tables, and the lists that some of them are read from.

use super::{api::EMPTY_REPOSITORY, schemas};
use lakeflow_core::{Error, Result, Settings, Step, TableSchema};
use lakeflow_http::rest::{Bound, By, Filter, Paging, Spelling, Table, Tables};

/// Five minutes, for changes that become visible late.
const UPDATED: By = By::instants("updated_at", Step::SECOND).lookback(300);

/// Thirty days: a merge brings in commits as old as its branch.
const COMMITTED: By = By::instants("commit_committer_date", Step::SECOND).lookback(2_592_000);

const SECONDS: Spelling = Spelling::Rfc3339 { digits: 0 };

const REPOSITORY: &[(&str, &str)] =
    &[("repository_owner", "{owner}"), ("repository_name", "{repo}")];

/// A list on pages of up to 100 rows.
const fn list(name: &'static str, path: &'static str, schema: fn() -> TableSchema) -> Table {
    Table::new(name, path, schema).page_size("per_page", 100).paging(Paging::Link)
}

/// The order that changes least while a list is read.
const OLDEST_FIRST: &[(&str, &str)] = &[("sort", "created"), ("direction", "asc")];

const fn repositories(name: &'static str, path: &'static str) -> Table {
    list(name, path, schemas::repositories).snapshot(&["id"]).query(OLDEST_FIRST)
}

const PULLS: &str = "/repos/{owner}/{repo}/pulls";
const REVIEWS: &str = "/repos/{owner}/{repo}/pulls/{parent}/reviews";

pub(super) const TABLES: Tables = Tables(&[
    list("issues", "/repos/{owner}/{repo}/issues", schemas::issues)
        .cdc(&["id"], "updated_at")
        .ascending(UPDATED, 1)
        .query(&[("state", "{state}"), ("sort", "updated"), ("direction", "asc")])
        .filters(&[Filter::exact("state", "state", "all", &["open", "closed"])])
        .since("since", Bound::Inclusive, SECONDS)
        .columns(REPOSITORY),
    list("comments", "/repos/{owner}/{repo}/issues/comments", schemas::comments)
        .cdc(&["id"], "updated_at")
        .ascending(UPDATED, 1)
        .query(&[("sort", "updated"), ("direction", "asc")])
        .since("since", Bound::Inclusive, SECONDS)
        .columns(REPOSITORY),
    list("pull_requests", PULLS, schemas::pull_requests)
        .cdc(&["id"], "updated_at")
        .descending(UPDATED)
        .query(&[("state", "{state}"), ("sort", "updated"), ("direction", "desc")])
        .first_by_place()
        .columns(REPOSITORY),
    list("pull_requests_of_state", PULLS, schemas::pull_requests)
        .cdc(&["id"], "updated_at")
        .descending(UPDATED)
        .query(&[("state", "{state}"), ("sort", "updated"), ("direction", "desc")])
        .columns(REPOSITORY)
        .hidden(),
    list("pull_requests_by_creation", PULLS, schemas::pull_requests)
        .cdc(&["id"], "updated_at")
        .one_pass(UPDATED)
        .query(&[("state", "all"), ("sort", "created"), ("direction", "asc")])
        .resume_by_link(&["page", "per_page", "after"])
        .grows_by("created_at")
        .columns(REPOSITORY)
        .hidden(),
    Table::new("pull_request", "/repos/{owner}/{repo}/pulls/{pull_number}", schemas::pull_requests)
        .cdc(&["id"], "updated_at")
        .one_pass(UPDATED)
        .one_row()
        .columns(REPOSITORY)
        .hidden(),
    list("reviews", REVIEWS, schemas::reviews)
        .cdc(&["id"], "submitted_at")
        .children_of("pull_requests", "number", &[("pull_number", "number")])
        .columns(REPOSITORY),
    list("reviews_of_one", REVIEWS, schemas::reviews)
        .cdc(&["id"], "submitted_at")
        .children_of("pull_request", "number", &[("pull_number", "number")])
        .columns(REPOSITORY)
        .hidden(),
    list("commits", "/repos/{owner}/{repo}/commits", schemas::commits)
        .append(&["sha"])
        .windows(COMMITTED)
        .since("since", Bound::Inclusive, SECONDS)
        .until("until", Bound::Inclusive, SECONDS)
        .split_by_order()
        .empty_on(EMPTY_REPOSITORY)
        .columns(REPOSITORY),
    list("assignees", "/repos/{owner}/{repo}/assignees", schemas::assignees)
        .snapshot(&["repository_owner", "repository_name", "id"])
        .columns(REPOSITORY),
    list("branches", "/repos/{owner}/{repo}/branches", schemas::branches)
        .snapshot(&["repository_owner", "repository_name", "name"])
        .columns(REPOSITORY),
    list("collaborators", "/repos/{owner}/{repo}/collaborators", schemas::collaborators)
        .snapshot(&["repository_owner", "repository_name", "id"])
        .columns(REPOSITORY),
    repositories("repositories", "/users/{owner}/repos"),
    repositories("repositories_of_org", "/orgs/{org}/repos").hidden(),
    repositories("repositories_of_token", "/user/repos")
        .query(&[("affiliation", "owner"), ("sort", "created"), ("direction", "asc")])
        .hidden(),
    list("organizations", "/user/orgs", schemas::organizations).snapshot(&["id"]),
    list("teams", "/user/teams", schemas::teams).snapshot(&["id"]),
    Table::new("users", "/user", schemas::users).snapshot(&["id"]).one_row(),
]);

/// The row by which `table` is read with these options.
///
/// # Errors
/// [`ErrorKind::ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid) unless exactly one of
/// `owner` and `org` says whose repositories to read.
pub(super) fn way<'a>(table: &'a str, options: &Settings) -> Result<&'a str> {
    let (owner, org) = (options.get("owner").is_some(), options.get("org").is_some());
    match table {
        "repositories" if owner == org => Err(Error::config(
            "exactly one of options 'owner' (a user) and 'org' (an organization) must say whose \
             repositories to read",
        )
        .table(table)),
        "repositories" if org => Ok("repositories_of_org"),
        "reviews" if options.get("pull_number").is_some() => Ok("reviews_of_one"),
        // Those that change their state leave the list, and hide others from a walk by place.
        "pull_requests" if options.get("state") != Some("all") => Ok("pull_requests_of_state"),
        _ => Ok(table),
    }
}
