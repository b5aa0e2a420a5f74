//! The tables of the source [`kinds`](crate::kinds), one for each kind of progress.

use lakeflow_core::{
    Column, CursorKind, DataType, Error, FieldPath, Ingestion, Order, Parents, Progress, Result,
    Settings, Step, TableSchema, TableSpec, Until,
};
use std::time::Duration;

/// Half of it is when a place is renewed.
const LIFE: Duration = Duration::from_secs(3_600);

/// Names of all tables.
pub(crate) const TABLES: &[&str] = &[
    "descending",
    "places",
    "first_by_place",
    "export",
    "stated_export",
    "latest",
    "token",
    "with_deletes",
    "ordered_token",
    "append_places",
    "append_descending",
    "parents",
    "children",
    "append_children",
    "below_rows",
    "below_windows",
    "below_places",
    "below_descending",
    "below_token",
    "below_all",
];

/// The declaration of `table`.
pub(crate) fn spec(table: &str, options: &Settings) -> Result<TableSpec> {
    let seconds = |name| Duration::from_secs(options.integer(name).unwrap_or(0).unsigned_abs());
    let (settle, lookback) = (seconds("settle_seconds"), seconds("lookback_seconds"));
    let order = Order::instants("at", Step::SECOND).settle(settle).lookback(lookback);
    let export = Order {
        field: Some(FieldPath::field("order")),
        ..Order::stated(CursorKind::EpochSeconds, Step::SECOND).settle(settle).lookback(lookback)
    };
    let ascending = |order| Progress::Ascending { order, restart_pages: 1 };
    let windows =
        |order| Progress::Windows { order, window: Duration::from_secs(10), sorted: false };
    let token = |order| Progress::Token { order, life: LIFE };
    let rows = match table {
        "descending" | "append_descending" | "below_descending" => Progress::Descending { order },
        "places" | "append_places" | "below_places" => Progress::OnePass { order },
        "first_by_place" | "below_rows" | "parents" | "with_deletes" => ascending(order),
        "export" => ascending(export),
        "stated_export" => ascending(Order { field: None, ..export }),
        "latest" => windows(Order { until: Until::Latest, ..order }),
        "below_windows" => windows(order),
        "token" | "below_token" => token(None),
        "ordered_token" => token(Some(order)),
        "below_all" => Progress::Snapshot,
        "children" | "append_children" => Progress::Children {
            feed: "parents".to_owned(),
            key: FieldPath::field("id"),
            columns: vec![("parent".to_owned(), FieldPath::field("id"))],
        },
        _ => return Err(Error::table_not_found(table, TABLES)),
    };
    let below = table.starts_with("below_");
    let below_others = below || table.ends_with("children");
    let key: &[&str] = if below_others { &["parent", "id"] } else { &["id"] };
    let ingestion = match table {
        "below_all" => Ingestion::Snapshot,
        "token" | "with_deletes" => Ingestion::CdcWithDeletes,
        _ if table.starts_with("append_") => Ingestion::Append,
        _ => Ingestion::Cdc,
    };
    let schema = TableSchema::new(vec![
        Column::new("id", DataType::String).required(),
        Column::new("at", DataType::String),
        Column::new("n", DataType::Long),
        Column::new("order", DataType::Long),
        Column::new("parent", DataType::String),
    ]);
    let mut spec = TableSpec::new(schema, ingestion, key, rows);
    spec.first_by_place = table == "first_by_place";
    spec.deletes = (ingestion == Ingestion::CdcWithDeletes).then(|| token(None));
    let per_request = options.integer("per_request").unwrap_or(1);
    let per_request = usize::try_from(per_request).unwrap_or(1);
    spec.parents = below.then_some(Parents { per_request });
    spec.position_version =
        u32::try_from(options.integer("position_version").unwrap_or(1)).unwrap_or(1);

    Ok(spec)
}
