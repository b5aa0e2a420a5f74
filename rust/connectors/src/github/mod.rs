//! GitHub, REST API v3 (`api.github.com` or a GitHub Enterprise Server).
//!
//! # Source
//! GitHub REST API reference, version 2022-11-28: "List repository issues", "Using pagination in
//! the REST API", "Rate limits for the REST API".

mod api;
mod schemas;
mod tables;

use async_trait::async_trait;
use lakeflow_core::{
    Connector, Cursor, OptionKind, OptionSpec, PageStream, ReadRequest, Result, Settings, Source,
    TableSpec,
};
use lakeflow_http::Client;
use std::sync::Arc;
use tables::TABLES;

/// Tables that take option `owner`; only the first is not of one repository.
const WITH_OWNER: &[&str] = &[
    "repositories",
    "issues",
    "pull_requests",
    "comments",
    "reviews",
    "commits",
    "assignees",
    "branches",
    "collaborators",
];

/// Tables of one repository.
const OF_REPOSITORY: &[&str] = WITH_OWNER.split_at(1).1;

/// The source `github`.
pub static SOURCE: Source = Source {
    name: "github",
    connection_options: &[
        OptionSpec::secret(
            "token",
            "Personal access token, classic or fine-grained, with read access to the repository.",
        ),
        OptionSpec::new(
            "base_url",
            OptionKind::Url,
            "Root of the API; for GitHub Enterprise Server `https://<host>/api/v3`.",
        )
        .identity()
        .destination()
        .default("https://api.github.com"),
    ],
    kit_options: lakeflow_http::OPTIONS,
    table_options: &[
        OptionSpec::new(
            "owner",
            OptionKind::Text,
            "User or organization that owns the repository; for `repositories` the user whose \
             repositories to read. Required but for `repositories` with `org`.",
        )
        .aliases(&["repository_owner"])
        .identity()
        .tables(WITH_OWNER),
        OptionSpec::new("repo", OptionKind::Text, "Name of the repository.")
            .identity()
            .required()
            .tables(OF_REPOSITORY),
        OptionSpec::new(
            "org",
            OptionKind::Text,
            "Organization whose repositories to read, in place of `owner`.",
        )
        .identity()
        .tables(&["repositories"]),
        OptionSpec::new(
            "state",
            OptionKind::Choice(&["all", "open", "closed"]),
            "State of the issues or pull requests to read; of `reviews`, state of their pull request.",
        )
        .identity()
        .default("all")
        .tables(&["issues", "pull_requests", "reviews"]),
        OptionSpec::new(
            "pull_number",
            OptionKind::Integer { min: 1, max: i64::MAX },
            "Only reviews of the pull request with this number.",
        )
        .identity()
        .tables(&["reviews"]),
        OptionSpec::new("per_page", OptionKind::Integer { min: 1, max: 100 }, "Records per page.")
            .default("100"),
        OptionSpec::new(
            "lookback_seconds",
            OptionKind::Integer { min: 0, max: 31_536_000 },
            "How far before the last cursor each run looks for records that became visible late: \
             300 unless set, 2592000 (30 days) for `commits`.",
        )
        .tables(&["issues", "pull_requests", "comments", "reviews", "commits"]),
        OptionSpec::new(
            "window_seconds",
            OptionKind::Integer { min: 1, max: 31_536_000 },
            "Length of the first window of commits; later ones adapt.",
        )
        .default("604800")
        .tables(&["commits"]),
    ],
    build: |context| Ok(Arc::new(GitHub { client: api::client(context)? })),
};

struct GitHub {
    client: Client,
}

#[async_trait]
impl Connector for GitHub {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(TABLES.names())
    }

    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec> {
        TABLES.spec(tables::way(table, options)?, options)
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        let client = self.client.clone();
        PageStream::later(async move {
            let mut way = tables::way(&read.table, &read.options)?;
            if let ("repositories", Some(owner)) = (way, read.options.get("owner"))
                && api::is_token_of(&client, owner).await?
            {
                way = "repositories_of_token";
            }
            if way == "pull_requests" && read.after.is_none() {
                way = "pull_requests_by_creation";
            }
            Ok(TABLES.get(way)?.pages(&client, &read))
        })
    }

    async fn oldest(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        match TABLES.get(&read.table)? {
            commits if commits.name() == "commits" => {
                api::oldest_commit(&self.client, commits, read).await
            }
            table => table.oldest(&self.client, read).await,
        }
    }
}

#[cfg(test)]
mod tests;
