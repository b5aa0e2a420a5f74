//! HubSpot: CRM objects, their associations and archived records, API v3 and v4.
//!
//! # Source
//! developers.hubspot.com: "Search the CRM" (one sort, 10,000 hits, 3,000 characters of a body, no
//! associations), "Using object APIs", "Associations v4", "Properties", "Custom objects", "API
//! usage guidelines".

mod api;
mod objects;
mod reads;
mod rows;
mod schema;

use api::Api;
use async_trait::async_trait;
use lakeflow_core::{
    Connector, OptionKind, OptionSpec, PageStream, ReadRequest, Result, Settings, Source, TableSpec,
};
use std::sync::Arc;

/// The source `hubspot`.
pub static SOURCE: Source = Source {
    name: "hubspot",
    connection_options: &[
        OptionSpec::secret(
            "access_token",
            "Access token of a private app, with scopes `crm.objects.<object>.read` and \
             `crm.schemas.<object>.read` for each object that is read.",
        ),
        OptionSpec::new(
            "base_url",
            OptionKind::Url,
            "Root of the API, also for accounts in the EU.",
        )
        .identity()
        .destination()
        .default("https://api.hubapi.com"),
        OptionSpec::new(
            "requests_per_10_seconds",
            OptionKind::Integer { min: 1, max: 100_000 },
            "Requests that the account's plan allows a private app in ten seconds.",
        )
        .default("100"),
        OptionSpec::new(
            "searches_per_second",
            OptionKind::Integer { min: 1, max: 10_000 },
            "Searches that the account's plan allows in a second.",
        )
        .default("5"),
    ],
    kit_options: lakeflow_http::OPTIONS,
    table_options: &[
        OptionSpec::new(
            "lookback_seconds",
            OptionKind::Integer { min: 0, max: 31_536_000 },
            "How far before the last cursor each run looks for records that the search index \
             showed late.",
        )
        .default("300"),
        OptionSpec::new("limit", OptionKind::Integer { min: 1, max: 100 }, "Records per page.")
            .default("100"),
    ],
    build: |context| Ok(Arc::new(HubSpot { api: Arc::new(Api::new(context)?) })),
};

struct HubSpot {
    api: Arc<Api>,
}

#[async_trait]
impl Connector for HubSpot {
    /// The standard objects, and the custom ones that the token may see.
    async fn list_tables(&self) -> Result<Vec<String>> {
        let standard = objects::STANDARD.iter().map(|object| object.table.to_owned());
        let custom = self.api.custom_objects().await?;

        Ok(standard.chain(custom.iter().map(|object| object.table.clone())).collect())
    }

    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec> {
        let object = self.api.object(table).await?;
        let properties = self.api.properties(&object).await?;

        Ok(schema::spec(&object, &properties, options))
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        PageStream::later(reads::rows(self.api.clone(), read))
    }

    fn read_table_deletes(&self, read: ReadRequest) -> PageStream {
        PageStream::later(reads::deletes(self.api.clone(), read))
    }
}
