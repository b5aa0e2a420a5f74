//! A page as the engine sees it: rows found, order values read, nothing built yet.

use crate::table::Table;
use lakeflow_arrow::{RowScan, hash_bytes, json_text, scan_rows};
use lakeflow_core::{
    Comparable, Cursor, CursorKind, Error, ErrorKind, Feed, Instant, Order, Page, Records, Result,
    Resume, canonical_json,
};

/// A page whose rows are located and whose order values are known.
pub(crate) struct ScannedPage {
    /// Rows or deletes.
    pub(crate) feed: Feed,
    pub(crate) records: Records,
    pub(crate) scan: RowScan,
    /// Taps whose value is a column that the connector or the engine adds.
    added: Vec<Option<Added>>,
    /// Order value of each row; `None` where it is null or blank, or the feed has no order.
    pub(crate) order: Vec<Option<Comparable>>,
    /// Largest order value of the page, as the service wrote it.
    pub(crate) max: Option<Cursor>,
    pub(crate) min: Option<Comparable>,
    pub(crate) resume: Resume,
    pub(crate) last: bool,
    pub(crate) server_date: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Added {
    Constant(usize),
    PerRow(usize),
}

impl ScannedPage {
    pub(crate) fn scan(table: &Table, page: Page, first_record: u64) -> Result<Self> {
        let records = match table.feed {
            Feed::Rows | Feed::Changes => page.upserts,
            Feed::Deletes => page.deletes,
        };
        let scan =
            scan_rows(&records.rows, &table.taps).map_err(|e| e.table(table.name.as_str()))?;
        let mut scanned = Self {
            feed: table.feed,
            order: vec![None; scan.len()],
            added: table.tap_columns.iter().map(|column| added(&records, column)).collect(),
            records,
            scan,
            max: None,
            min: None,
            resume: page.resume,
            last: page.last,
            server_date: page.server_date,
        };
        match (table.order(), table.order_tap) {
            (Some(order), Some(tap)) => scanned.read_order(table, order, tap, first_record)?,
            (Some(_), None) => scanned.take_stated_order(),
            (None, _) => {}
        }

        Ok(scanned)
    }

    fn read_order(&mut self, table: &Table, order: &Order, tap: usize, first: u64) -> Result<()> {
        for row in 0..self.scan.len() {
            let Some(raw) = self.tap(row, tap) else { continue };
            // Services write so what has not happened yet.
            if raw == b"\"\"" && order.kind != CursorKind::Text {
                continue;
            }
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

    /// Rows that lack the order value have the one that their page states.
    fn take_stated_order(&mut self) {
        let (Resume::From(Some(value)) | Resume::UpTo(value)) = &self.resume else { return };
        self.order.fill(Some(value.comparable().clone()));
        self.min = Some(value.comparable().clone());
        self.max = Some(value.clone());
    }

    pub(crate) fn len(&self) -> usize {
        self.scan.len()
    }

    /// Tells pages apart, roughly: by number of rows, first and last row, and the place stated.
    pub(crate) fn digest(&self) -> u64 {
        let rows = self.len();
        let place = match &self.resume {
            Resume::No | Resume::From(None) => String::new(),
            Resume::From(Some(value)) | Resume::UpTo(value) => value.raw().to_owned(),
            Resume::At(at) => canonical_json(&at.to_value()),
        };
        let first = self.scan.raw(0);
        let last = self.scan.raw(rows.saturating_sub(1));

        hash_bytes(&[&rows.to_le_bytes(), first, last, place.as_bytes()])
    }

    /// Whether all rows have one and the same order value.
    pub(crate) fn single_valued(&self) -> bool {
        self.max.as_ref().map(Cursor::comparable) == self.min.as_ref()
    }

    /// Raw JSON of a tapped value, added columns included; `None` if it is absent or null.
    pub(crate) fn tap(&self, row: usize, tap: usize) -> Option<&[u8]> {
        let raw: &[u8] = match self.added.get(tap).copied().flatten() {
            None => return self.scan.tap(row, tap),
            Some(Added::Constant(i)) => &self.records.constant.get(i)?.1,
            Some(Added::PerRow(i)) => self.records.per_row.get(i)?.1.get(row)?,
        };

        (raw != b"null").then_some(raw)
    }
}

fn added(records: &Records, column: &Option<String>) -> Option<Added> {
    let column = column.as_ref()?;
    let constant = records.constant.iter().position(|(name, _)| name == column);
    let per_row = || records.per_row.iter().position(|(name, _)| name == column);

    constant.map(Added::Constant).or_else(|| per_row().map(Added::PerRow))
}
