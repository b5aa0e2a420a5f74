//! Parents: rows of one table under which another is read.

use super::table::Tables;
use crate::Client;
use futures::{FutureExt, TryFutureExt, stream};
use lakeflow_core::{Error, Page, Part, PartStream, ReadRequest, Result, Rows};
use serde::de::DeserializeOwned;

impl Tables {
    /// The rows of table `list` as parents for `read`, sorted by key.
    ///
    /// `part` makes parents of a row: none of one that is left out, several of one whose children
    /// are listed in several ways.
    pub fn parts<R, P>(
        &self,
        list: &str,
        client: &Client,
        read: &ReadRequest,
        part: impl Fn(R) -> P + Send + 'static,
    ) -> PartStream
    where
        R: DeserializeOwned,
        P: IntoIterator<Item = Part>,
    {
        let read = whole(read);
        let pages = self.get(list).map(|table| table.pages(client, &read));
        let collected = async move {
            let mut pages = pages?;
            let mut parts = Vec::new();
            while let Some(page) = pages.next().await? {
                parts.extend(rows(&page)?.into_iter().flat_map(&part));
            }
            parts.sort_by(|a, b| a.key.cmp(&b.key));
            // A list that moves while it is read may show a row twice.
            parts.dedup_by(|a, b| a.key == b.key);

            Ok(parts)
        };
        let parts = collected.map_ok(|parts| stream::iter(parts.into_iter().map(Ok)));

        PartStream::new(parts.boxed().try_flatten_stream())
    }
}

/// A request for all of a list, whatever range and parents `read` has.
pub(super) fn whole(read: &ReadRequest) -> ReadRequest {
    ReadRequest {
        after: None,
        upto: None,
        within: None,
        at: None,
        parts: Vec::new(),
        page_rows: None,
        ..read.clone()
    }
}

/// The rows of a page.
///
/// # Errors
/// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if they have another form.
pub(super) fn rows<R: DeserializeOwned>(page: &Page) -> Result<Vec<R>> {
    let rows = match &page.upserts.rows {
        Rows::None => Ok(Vec::new()),
        Rows::Array(array) => serde_json::from_slice(array),
        Rows::Each(rows) => rows.iter().map(|row| serde_json::from_slice(row)).collect(),
    };

    rows.map_err(|e| Error::bad_response("a list has not the documented form").source(e))
}
