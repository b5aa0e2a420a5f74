//! Where a table begins.

use super::parents::{rows, whole};
use super::table::{Reading, Table};
use crate::Client;
use lakeflow_core::{Cursor, FieldPath, Page, ReadRequest, Result};
use serde_json::Value;

impl Table {
    /// The lowest order value, that of the first row if the service sorts, else of all rows up to
    /// the end of `read`, so that a list to which new ones come has an end; `None`: there is none.
    ///
    /// # Errors
    /// Those of the requests; [`ErrorKind::DataInvalid`](lakeflow_core::ErrorKind::DataInvalid) for
    /// a value of another kind.
    pub async fn oldest(&self, client: &Client, read: &ReadRequest) -> Result<Option<Cursor>> {
        let sorted =
            matches!(self.reading, Reading::Ascending { .. } | Reading::Windows { sorted: true });
        let first = ReadRequest {
            parts: read.parts.clone(),
            page_rows: sorted.then_some(1),
            upto: read.upto.clone().filter(|_| !sorted),
            ..whole(read)
        };
        let mut pages = self.pages(client, &first);
        let mut oldest: Option<Cursor> = None;
        while let Some(page) = pages.next().await? {
            for value in self.order_values(&page, read)? {
                if oldest.as_ref().is_none_or(|oldest| value < *oldest) {
                    oldest = Some(value);
                }
            }
            if sorted && oldest.is_some() {
                break;
            }
        }

        Ok(oldest)
    }

    /// Order values of the rows that have one.
    fn order_values(&self, page: &Page, read: &ReadRequest) -> Result<Vec<Cursor>> {
        let order = self.by.map(|by| by.order(&read.options));
        let Some((kind, Some(field))) = order.map(|order| (order.kind, order.field)) else {
            return Ok(Vec::new());
        };
        let place = (self.schema)().place_of(&field);
        let rows: Vec<Value> = rows(page)?;
        let texts = rows.iter().filter_map(|row| text_at(row, &place));

        texts.filter(|text| !text.is_empty()).map(|text| Cursor::parse(kind, &text)).collect()
    }
}

/// The text or number at `place`.
pub(super) fn text_at(row: &Value, place: &FieldPath) -> Option<String> {
    match place.segments().try_fold(row, |value, name| value.get(name))? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
