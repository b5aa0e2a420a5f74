//! Mailchimp, Marketing API 3.0.
//!
//! # Source
//! Mailchimp's Marketing API reference: "List campaigns" (sorted by `create_time`), "List campaign
//! reports" (no sort order), "Get lists info" (sorted by `date_created`), "List members info"
//! (sorted by `last_changed`; statuses, `archived` among them); "API fundamentals": data centres,
//! `count` up to 1000, at most 10 simultaneous connections, problem details (RFC 7807).

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
use serde_json::Value;
use std::sync::Arc;
use tables::{AUDIENCE, AUDIENCES, SEND_TIMES, TABLES};

/// The source `mailchimp`.
pub static SOURCE: Source = Source {
    name: "mailchimp",
    connection_options: &[
        OptionSpec::secret("api_key", "API key; it normally ends in its data centre, `-us21`."),
        OptionSpec::new(
            "server_prefix",
            OptionKind::Text,
            "Data centre such as `us21`, for a key that does not end in it.",
        )
        .destination(),
        OptionSpec::new(
            "base_url",
            OptionKind::Url,
            "Root of the API in place of `https://<data centre>.api.mailchimp.com/3.0`.",
        )
        .identity()
        .destination(),
    ],
    kit_options: lakeflow_http::OPTIONS,
    table_options: &[
        OptionSpec::new("list_id", OptionKind::Text, "Only members of this audience.")
            .identity()
            .tables(&["members"]),
        OptionSpec::new(
            "refresh_days",
            OptionKind::Integer { min: 0, max: 36_500 },
            "How many days before the last cursor each run looks for figures that have changed.",
        )
        .default("0")
        .tables(&["campaigns", "reports"]),
        OptionSpec::new(
            "window_seconds",
            OptionKind::Integer { min: 1, max: 31_536_000 },
            "Length of the first time window; later ones adapt.",
        )
        .default("86400")
        .tables(&["reports"]),
        OptionSpec::new(
            "lookback_seconds",
            OptionKind::Integer { min: 0, max: 31_536_000 },
            "How far before the last cursor each run looks for records that became visible late.",
        )
        .default("1")
        .tables(&["campaigns", "reports", "members"]),
        OptionSpec::new("count", OptionKind::Integer { min: 1, max: 1000 }, "Records per page.")
            .default("1000"),
    ],
    build: |context| Ok(Arc::new(Mailchimp { client: api::client(context)? })),
};

struct Mailchimp {
    client: Client,
}

#[derive(Deserialize)]
struct Audience {
    id: String,
}

impl Audience {
    /// Its members are listed without those that are archived, and those are listed by themselves.
    fn parts(self) -> [Part; 2] {
        let part = |key: String, status: Option<&str>| {
            let columns = [("list_id", Some(self.id.as_str())), ("status", status)];
            let columns = columns.into_iter().filter_map(|(name, value)| {
                Some((name.to_owned(), Value::from(value?).to_string().into()))
            });
            Part { columns: columns.collect(), ..Part::new(key) }
        };

        [part(self.id.clone(), None), part(format!("{}/archived", self.id), Some("archived"))]
    }
}

#[async_trait]
impl Connector for Mailchimp {
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

    async fn oldest(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        let table = if read.table == "reports" { SEND_TIMES } else { read.table.as_str() };

        TABLES.get(table)?.oldest(&self.client, read).await
    }

    /// Audiences, for members.
    fn parts(&self, read: ReadRequest) -> PartStream {
        let list = if read.options.get("list_id").is_some() { AUDIENCE } else { AUDIENCES };

        TABLES.parts(list, &self.client, &read, Audience::parts)
    }
}

#[cfg(test)]
mod tests;
