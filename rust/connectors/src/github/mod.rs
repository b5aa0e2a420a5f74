//! GitHub, REST API v3 (`api.github.com` or a GitHub Enterprise Server).
//!
//! # Source
//! GitHub REST API reference, version 2022-11-28: "List repository issues", "Using pagination in
//! the REST API", "Rate limits for the REST API".

mod api;
mod schemas;

use api::Api;
use async_trait::async_trait;
use lakeflow_core::{
    Connector, Error, Ingestion, OptionKind, OptionSpec, Order, PageStream, Progress, ReadRequest,
    Result, Settings, Source, Step, TableSpec,
};
use std::sync::Arc;
use std::time::Duration;

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
        .default("https://api.github.com"),
    ],
    kit_options: lakeflow_http::OPTIONS,
    table_options: &[
        OptionSpec::new(
            "owner",
            OptionKind::Text,
            "User or organization that owns the repository.",
        )
        .identity()
        .required()
        .tables(&["issues"]),
        OptionSpec::new("repo", OptionKind::Text, "Name of the repository.")
            .identity()
            .required()
            .tables(&["issues"]),
        OptionSpec::new(
            "state",
            OptionKind::Choice(&["all", "open", "closed"]),
            "State of the issues to read.",
        )
        .identity()
        .default("all")
        .tables(&["issues"]),
        OptionSpec::new("per_page", OptionKind::Integer { min: 1, max: 100 }, "Records per page.")
            .default("100"),
        OptionSpec::new(
            "lookback_seconds",
            OptionKind::Integer { min: 0, max: 31_536_000 },
            "How far before the last cursor each run looks for records that became visible late.",
        )
        .default("300")
        .tables(&["issues"]),
    ],
    build: |context| Ok(Arc::new(GitHub { api: Api::new(context)? })),
};

const TABLES: &[&str] = &["issues"];

struct GitHub {
    api: Api,
}

#[async_trait]
impl Connector for GitHub {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(TABLES.iter().map(|t| (*t).to_owned()).collect())
    }

    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec> {
        if table != "issues" {
            return Err(Error::table_not_found(table, TABLES));
        }
        let lookback = options.integer("lookback_seconds").unwrap_or(0).unsigned_abs();
        let order =
            Order::instants("updated_at", Step::SECOND).lookback(Duration::from_secs(lookback));
        let rows = Progress::Ascending { order, restart_pages: 1 };

        Ok(TableSpec::new(schemas::issues(), Ingestion::Cdc, &["id"], rows))
    }

    /// Pages of issues, oldest change first; `since` is inclusive and in whole seconds.
    fn read_table(&self, read: ReadRequest) -> PageStream {
        self.api.issues(&read).unwrap_or_else(PageStream::error)
    }
}
