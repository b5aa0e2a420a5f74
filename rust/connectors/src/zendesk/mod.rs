//! Zendesk: Support, Help Center and Community, REST API v2.
//!
//! # Source
//! developer.zendesk.com: "Incremental Exports", "Using the Incremental Export API", "Pagination",
//! "Rate limits", "Security and authentication".

mod api;
mod comments;
mod schemas;
mod tables;

use async_trait::async_trait;
use lakeflow_core::{
    Connector, OptionKind, OptionSpec, PageStream, ReadRequest, Result, Settings, Source, TableSpec,
};
use lakeflow_http::Client;
use std::sync::Arc;
use tables::TABLES;

/// The source `zendesk`.
pub static SOURCE: Source = Source {
    name: "zendesk",
    connection_options: &[
        OptionSpec::new(
            "subdomain",
            OptionKind::Text,
            "The account: what stands before `.zendesk.com`.",
        )
        .identity()
        .destination()
        .required(),
        OptionSpec::new("email", OptionKind::Text, "Login of the agent who owns the API token.")
            .required(),
        OptionSpec::secret(
            "api_token",
            "API token, made in the Admin Center under Apps and integrations, APIs.",
        ),
        OptionSpec::new(
            "base_url",
            OptionKind::Url,
            "Address of the account in place of `https://<subdomain>.zendesk.com`.",
        )
        .identity()
        .destination(),
        OptionSpec::new(
            "exports_per_minute",
            OptionKind::Integer { min: 1, max: 10_000 },
            "Requests for incremental exports that the account's plan allows in a minute.",
        )
        .default("10"),
    ],
    kit_options: lakeflow_http::OPTIONS,
    table_options: &[OptionSpec::new(
        "per_page",
        OptionKind::Integer { min: 1, max: 1_000 },
        "Records per page of an export: fewer if Zendesk takes too long to answer.",
    )
    .default("1000")
    .tables(&["tickets", "users", "organizations", "ticket_comments"])],
    build: |context| Ok(Arc::new(Zendesk { client: api::client(context)? })),
};

struct Zendesk {
    client: Client,
}

#[async_trait]
impl Connector for Zendesk {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(TABLES.names())
    }

    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec> {
        TABLES.spec(table, options)
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        match TABLES.get(&read.table) {
            Ok(table) => table.pages(&self.client, &read),
            Err(error) => PageStream::error(error),
        }
    }

    fn read_table_deletes(&self, read: ReadRequest) -> PageStream {
        match TABLES.get(&read.table) {
            Ok(table) => table.delete_pages(&self.client, &read),
            Err(error) => PageStream::error(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_of_tables_are_without_mistakes() {
        assert_eq!(super::TABLES.mistakes(&super::SOURCE), Vec::<String>::new());
    }
}
