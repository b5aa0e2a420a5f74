//! Shopify, REST Admin API.
//!
//! # Source
//! Shopify's REST Admin API reference, 2026-04: "Product", "Customer", "Order", "Refund",
//! "Fulfillment", "InventoryLevel" (at most 50 `location_ids`, `updated_at_min` inclusive),
//! "Location"; "Make paginated requests to the REST Admin API" (the link's parameters are taken as
//! they are), "Access scopes", "REST Admin API rate limits" and "HTTP status codes".

mod api;
mod schemas;
mod tables;

use async_trait::async_trait;
use lakeflow_core::{
    Connector, Cursor, OptionKind, OptionSpec, PageStream, Part, PartStream, ReadRequest, Result,
    Settings, Source, TableSpec,
};
use lakeflow_http::Client;
use serde::Deserialize;
use std::sync::Arc;
use tables::TABLES;

/// The source `shopify`.
pub static SOURCE: Source = Source {
    name: "shopify",
    connection_options: &[
        OptionSpec::new("shop", OptionKind::Text, "Label of the shop before `.myshopify.com`.")
            .identity()
            .destination()
            .required(),
        OptionSpec::secret(
            "access_token",
            "Admin API token of an app that is installed in the shop (`shpat_…`).",
        ),
        OptionSpec::new(
            "api_version",
            OptionKind::Text,
            "Version of the API, a quarter such as `2026-04`.",
        )
        .default("2026-04"),
        OptionSpec::new(
            "base_url",
            OptionKind::Url,
            "Root of the shop in place of `https://<shop>.myshopify.com`.",
        )
        .identity()
        .destination(),
    ],
    kit_options: lakeflow_http::OPTIONS,
    table_options: &[
        OptionSpec::new(
            "include_inactive_locations",
            OptionKind::Bool,
            "Whether to read the inventory of deactivated locations too.",
        )
        .identity()
        .default("false")
        .tables(&["inventory_levels"]),
        OptionSpec::new(
            "limit",
            OptionKind::Integer { min: 1, max: 250 },
            "Records per page; orders per page for `refunds` and `fulfillments`.",
        )
        .default("250"),
        OptionSpec::new(
            "lookback_seconds",
            OptionKind::Integer { min: 0, max: 31_536_000 },
            "How far before the last cursor each run looks for records that became visible late.",
        )
        .default("300"),
    ],
    build: |context| Ok(Arc::new(Shopify { client: api::client(context)? })),
};

struct Shopify {
    client: Client,
}

#[derive(Deserialize)]
struct Location {
    id: u64,
    active: bool,
}

#[async_trait]
impl Connector for Shopify {
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

    async fn lowest_split(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        TABLES.get(&read.table)?.lowest_split(&self.client, read).await
    }

    /// Locations, for inventory levels.
    fn parts(&self, read: ReadRequest) -> PartStream {
        let all = read.options.flag("include_inactive_locations");

        TABLES.parts("locations", &self.client, &read, move |location: Location| {
            (all || location.active).then(|| Part::new(location.id.to_string()))
        })
    }
}

#[cfg(test)]
mod tests;
