//! A small connector that uses every part of the connector kit, against the simulator's service of
//! the same name.
//!
//! It is written as that of a real service would be, and shows how little that takes.

mod api;
mod tables;

use async_trait::async_trait;
use lakeflow_core::{
    Connector, OptionKind, OptionSpec, PageStream, ReadRequest, Result, Settings, Source, TableSpec,
};
use lakeflow_http::Client;
use std::sync::Arc;
use tables::TABLES;

/// The source `kit`.
pub static KIT: Source = Source {
    name: "kit",
    connection_options: &[
        secret("key", "Key, in place of tokens."),
        secret("access_token", "Access token to begin with."),
        secret("refresh_token", "Refresh token, which the service replaces."),
        OptionSpec::new("client_id", OptionKind::Text, "Client that asks for tokens."),
        secret("client_secret", "Secret of the client."),
        OptionSpec::new("base_url", OptionKind::Url, "Root of the API.")
            .required()
            .identity()
            .destination(),
    ],
    kit_options: lakeflow_http::OPTIONS,
    table_options: &[],
    build: |context| Ok(Arc::new(Kit { client: api::client(context)? })),
};

/// An option for one of several logins.
const fn secret(name: &'static str, doc: &'static str) -> OptionSpec {
    OptionSpec { required: false, ..OptionSpec::secret(name, doc) }
}

struct Kit {
    client: Client,
}

#[async_trait]
impl Connector for Kit {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(TABLES.names())
    }

    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec> {
        TABLES.spec(table, options)
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        let pages = TABLES.get(&read.table).and_then(|table| match table.name() {
            "orders" => api::orders(&self.client, &read),
            "parts" => api::parts(&self.client, table, &read),
            _ => Ok(table.pages(&self.client, &read)),
        });

        pages.unwrap_or_else(PageStream::error)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_of_tables_are_without_mistakes() {
        assert_eq!(super::TABLES.mistakes(&super::KIT), Vec::<String>::new());
    }
}
