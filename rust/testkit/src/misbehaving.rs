//! Sources that do what no service should: for the tests of what surrounds them.

use async_trait::async_trait;
use futures::stream;
use lakeflow_core::{
    Column, Connector, Context, CursorKind, DataType, Error, FieldPath, Ingestion, OptionKind,
    OptionSpec, Order, Page, PageStream, Progress, ReadRequest, Records, Result, Settings, Source,
    Step, TableSchema, TableSpec, Until,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Rows of a page of [`ENDLESS`].
const PAGE_ROWS: i64 = 500;

/// Panics when its table is read.
pub static PANICKING: Source = source("panicking", build_panicking);

/// Never answers.
pub static BLOCKING: Source = source("blocking", build_blocking);

/// Yields pages for ever, or as many as option `pages` says; `name` has text outside the basic
/// plane and the character NUL.
pub static ENDLESS: Source = source("endless", build_endless);

static OPTIONS: &[OptionSpec] = &[OptionSpec::new(
    "pages",
    OptionKind::Integer { min: 0, max: i64::MAX },
    "Pages after which a read ends.",
)];

const fn source(name: &'static str, build: fn(&Context) -> Result<Arc<dyn Connector>>) -> Source {
    Source { name, connection_options: &[], kit_options: &[], table_options: OPTIONS, build }
}

fn build_panicking(_: &Context) -> Result<Arc<dyn Connector>> {
    Ok(Arc::new(Misbehaving(Way::Panics)))
}

fn build_blocking(_: &Context) -> Result<Arc<dyn Connector>> {
    Ok(Arc::new(Misbehaving(Way::Blocks)))
}

fn build_endless(_: &Context) -> Result<Arc<dyn Connector>> {
    Ok(Arc::new(Misbehaving(Way::NeverEnds)))
}

#[derive(Clone, Copy)]
enum Way {
    Panics,
    Blocks,
    NeverEnds,
}

struct Misbehaving(Way);

#[async_trait]
impl Connector for Misbehaving {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(vec!["items".to_owned()])
    }

    async fn table(&self, table: &str, _: &Settings) -> Result<TableSpec> {
        if table != "items" {
            return Err(Error::table_not_found(table, &["items"]));
        }
        let schema = TableSchema::new(vec![
            Column::new("id", DataType::Long).required(),
            Column::new("name", DataType::String),
        ]);
        let order = Order {
            field: Some(FieldPath::field("id")),
            kind: CursorKind::Integer,
            step: Step::One,
            until: Until::Pass,
            lookback: Duration::ZERO,
        };
        let rows = Progress::Ascending { order, restart_pages: u32::MAX };

        Ok(TableSpec::new(schema, Ingestion::Append, &["id"], rows))
    }

    #[allow(clippy::panic, reason = "the purpose of this source")]
    fn read_table(&self, read: ReadRequest) -> PageStream {
        match self.0 {
            Way::Panics => PageStream::new(stream::once(async { panic!("panicking on purpose") })),
            Way::Blocks => PageStream::new(stream::pending()),
            Way::NeverEnds => {
                let after = read.after.as_ref().and_then(|c| c.raw().parse::<i64>().ok());
                let first = after.map_or(0, |after| after + 1);
                let pages = read.options.integer("pages");
                PageStream::new(stream::unfold(0, move |page| async move {
                    let more = pages.is_none_or(|pages| page < pages);
                    more.then(|| (rows(first + page * PAGE_ROWS), page + 1))
                }))
            }
        }
    }
}

fn rows(first: i64) -> Result<Page> {
    let rows: Vec<_> = (first..first + PAGE_ROWS)
        .map(|id| json!({"id": id, "name": format!("é😀\0{id}")}))
        .collect();
    let array = serde_json::to_vec(&rows).map_err(|e| Error::internal(e.to_string()))?;

    Ok(Page::of(Records::array(array.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn rows_of_a_page_are_numbered_from_its_first() {
        let page = rows(500).unwrap();
        let lakeflow_core::Rows::Array(array) = page.upserts.rows else { panic!() };
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&array).unwrap();
        assert_eq!(rows.len(), 500);
        assert_eq!(rows[0], json!({"id": 500, "name": "é😀\u{0}500"}));
    }

    #[test]
    fn other_tables_are_unknown() {
        let connector = Misbehaving(Way::Blocks);
        let options = Settings::resolve(&lakeflow_core::Options::new(), [], &[]).unwrap();
        let error = connector.table("x", &options).now_or_never().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "unknown table 'x'; the source has: items");
    }
}
