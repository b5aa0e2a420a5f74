//! A page as the engine sees it: rows found, order values read, nothing built yet.

use crate::table::Table;
use lakeflow_arrow::{RowScan, json_text, scan_rows};
use lakeflow_core::{
    Comparable, Cursor, Error, ErrorKind, Feed, Instant, Order, Page, Records, Result, Resume,
};

/// A page whose rows are located and whose order values are known.
pub(crate) struct ScannedPage {
    pub(crate) records: Records,
    pub(crate) scan: RowScan,
    /// Order value of each row; `None` where it is null or the feed has no order.
    pub(crate) order: Vec<Option<Comparable>>,
    /// Largest order value of the page, as the service wrote it.
    pub(crate) max: Option<Cursor>,
    pub(crate) min: Option<Comparable>,
    pub(crate) resume: Resume,
    pub(crate) last: bool,
    pub(crate) server_date: Option<Instant>,
}

impl ScannedPage {
    pub(crate) fn scan(table: &Table, page: Page, first_record: u64) -> Result<Self> {
        let records = match table.feed {
            Feed::Rows => page.upserts,
            Feed::Deletes => page.deletes,
        };
        let scan =
            scan_rows(&records.rows, &table.taps).map_err(|e| e.table(table.name.as_str()))?;
        let mut scanned = Self {
            order: vec![None; scan.len()],
            records,
            scan,
            max: None,
            min: None,
            resume: page.resume,
            last: page.last,
            server_date: page.server_date,
        };
        if let (Some(order), Some(tap)) = (table.order(), table.order_tap) {
            scanned.read_order(table, order, tap, first_record)?;
        }

        Ok(scanned)
    }

    fn read_order(&mut self, table: &Table, order: &Order, tap: usize, first: u64) -> Result<()> {
        for row in 0..self.scan.len() {
            let Some(raw) = self.scan.tap(row, tap) else { continue };
            let value =
                json_text(raw).and_then(|text| Cursor::parse(order.kind, &text)).map_err(|e| {
                    let column = order.field.as_ref().map(ToString::to_string);
                    Error::new(
                        ErrorKind::DataInvalid,
                        format!("cannot order records: {}", e.message()),
                    )
                    .table(table.name.as_str())
                    .context("column", column.unwrap_or_default())
                    .context("record", (first + row as u64).to_string())
                })?;
            if self.min.as_ref().is_none_or(|min| value.comparable() < min) {
                self.min = Some(value.comparable().clone());
            }
            if let Some(slot) = self.order.get_mut(row) {
                *slot = Some(value.comparable().clone());
            }
            if self.max.as_ref().is_none_or(|max| value > *max) {
                self.max = Some(value);
            }
        }

        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.scan.len()
    }

    /// Whether all rows have one and the same order value.
    pub(crate) fn single_valued(&self) -> bool {
        self.max.as_ref().map(Cursor::comparable) == self.min.as_ref()
    }
}
