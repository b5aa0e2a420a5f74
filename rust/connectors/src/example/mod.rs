//! The example source: a small REST service that the simulator serves.
//!
//! It shows every ingestion type and both ways to read incrementally, and discovers the schemas of
//! its visible tables.

mod api;
mod discovery;

use api::Api;
use async_trait::async_trait;
use discovery::Discovered;
use lakeflow_core::{
    Connector, Cursor, CursorKind, Error, Ingestion, OptionKind, OptionSpec, Order, PageStream,
    Progress, ReadRequest, Result, Settings, Source, SplitBy, Step, TableSpec,
};
use std::sync::Arc;
use std::time::Duration;

/// The source `example`.
pub static SOURCE: Source = Source {
    name: "example",
    connection_options: &[
        OptionSpec::new("username", OptionKind::Text, "User name; any that is not blank.")
            .required(),
        OptionSpec::secret("password", "Password; any that is not blank."),
        OptionSpec::new("base_url", OptionKind::Url, "Root of the service.")
            .identity()
            .destination()
            .required(),
    ],
    kit_options: lakeflow_http::OPTIONS,
    table_options: &[
        OptionSpec::new("category", OptionKind::Text, "Only products of this category.")
            .identity()
            .tables(&["products"]),
        OptionSpec::new("user_id", OptionKind::Text, "Only orders of this user.")
            .identity()
            .tables(&["orders"]),
        OptionSpec::new("status", OptionKind::Text, "Only orders with this status.")
            .identity()
            .tables(&["orders"]),
        OptionSpec::new(
            "limit",
            OptionKind::Integer { min: 1, max: 50 },
            "Records per page of `events`.",
        )
        .default("50")
        .tables(&["events"]),
        OptionSpec::new(
            "window_seconds",
            OptionKind::Integer { min: 1, max: 31_536_000 },
            "Length of the first time window of `metrics`; later ones adapt.",
        )
        .default("3600")
        .tables(&["metrics"]),
    ],
    build: |context| Ok(Arc::new(Example { api: Api::new(context)? })),
};

/// Tables that the service does not list.
const HIDDEN: &[&str] = &["metrics"];

struct Example {
    api: Api,
}

#[async_trait]
impl Connector for Example {
    async fn list_tables(&self) -> Result<Vec<String>> {
        let mut tables = self.api.tables().await?;
        tables.extend(HIDDEN.iter().map(|t| (*t).to_owned()));

        Ok(tables)
    }

    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec> {
        if HIDDEN.contains(&table) {
            let window = options.integer("window_seconds").unwrap_or(3600).unsigned_abs();
            let rows = Progress::Windows {
                order: Order::instants("updated_at", Step::MICROSECOND),
                window: Duration::from_secs(window),
                sorted: true,
            };
            return Ok(TableSpec::new(discovery::metrics(), Ingestion::Cdc, &["metric_id"], rows));
        }
        let known = self.list_tables().await?;
        if !known.iter().any(|t| t == table) {
            return Err(Error::table_not_found(table, &known));
        }
        let Discovered { schema, key, cursor } = self.api.discover(table).await?;
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        let ascending = |cursor: &str| Progress::Ascending {
            order: Order::instants(cursor, Step::MICROSECOND),
            restart_pages: 1,
        };
        let ingestion = match (table, &cursor) {
            ("events", _) => Ingestion::Append,
            ("orders", _) => Ingestion::CdcWithDeletes,
            (_, Some(_)) => Ingestion::Cdc,
            (_, None) => Ingestion::Snapshot,
        };
        let rows = cursor.as_deref().map_or(Progress::Snapshot, ascending);
        let mut spec = TableSpec::new(schema, ingestion, &key, rows);
        // Events never change, nor does the time of one.
        spec.split_by =
            spec.cursor.clone().filter(|_| ingestion == Ingestion::Append).map(|field| SplitBy {
                field,
                kind: CursorKind::Instant,
                step: Step::MICROSECOND,
                nullable: false,
            });
        if ingestion == Ingestion::CdcWithDeletes {
            spec.deletes = cursor.as_deref().map(ascending);
        }

        Ok(spec)
    }

    /// Pages sorted by cursor, or by key for a table without one.
    fn read_table(&self, read: ReadRequest) -> PageStream {
        self.api.records(&read).unwrap_or_else(PageStream::error)
    }

    /// Pages of tombstones: key and time of deletion, everything else null.
    fn read_table_deletes(&self, read: ReadRequest) -> PageStream {
        self.api.deleted_records(&read).unwrap_or_else(PageStream::error)
    }

    async fn oldest(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        let field = if read.table == "events" { "created_at" } else { "updated_at" };
        let text = self.api.first_cursor(&read.table, field).await?;
        text.map(|text| Cursor::parse(CursorKind::Instant, &text)).transpose()
    }
}
