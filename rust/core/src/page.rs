//! Pages of raw records, and the ranges they are asked for.

use crate::{Cursor, Error, Feed, Instant, PartKey, Position, Result, Settings};
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use std::sync::Arc;

/// One JSON value as text.
pub type RawJson = Bytes;

/// Raw rows: JSON objects as the service wrote them.
#[derive(Clone, Debug, Default)]
pub enum Rows {
    /// None.
    #[default]
    None,
    /// A JSON array of objects, usually a slice of a response's body.
    Array(Bytes),
    /// One JSON object each.
    Each(Vec<Bytes>),
}

/// Raw rows and the columns that the connector adds to them.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The rows.
    pub rows: Rows,
    /// Columns with one value for all rows: column name and JSON value.
    pub constant: Vec<(String, RawJson)>,
    /// Columns with a value for each row, in the order of the rows.
    pub per_row: Vec<(String, Vec<RawJson>)>,
}

impl Records {
    /// The objects of a JSON array, without added columns.
    pub fn array(array: Bytes) -> Self {
        Self { rows: Rows::Array(array), ..Self::default() }
    }

    /// Adds a column with one value, `value` being JSON text.
    pub fn with(mut self, column: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.constant.push((column.into(), value.into()));
        self
    }

    /// Adds columns with one value, but for those that are there already.
    pub fn add_columns(&mut self, columns: &[(String, RawJson)]) {
        for (name, value) in columns {
            let constant = self.constant.iter().any(|(n, _)| n == name);
            if !constant && !self.per_row.iter().any(|(n, _)| n == name) {
                self.constant.push((name.clone(), value.clone()));
            }
        }
    }
}

/// Whether a read may stop after a page, and where it goes on then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Not a safe point.
    No,
    /// From this order value, inclusive: rows at it may come again. `None`: the largest so far.
    From(Option<Cursor>),
    /// Everything up to this value was sent, even if that was nothing.
    UpTo(Cursor),
    /// From the connector's own exact place.
    At(Position),
}

/// One page of a feed.
#[derive(Clone, Debug)]
pub struct Page {
    /// Rows as they are now.
    pub upserts: Records,
    /// Rows that are gone: key and cursor filled, the rest may be null.
    pub deletes: Records,
    /// Whether a read may stop here.
    pub resume: Resume,
    /// Whether the connector knows that no page follows in this read.
    pub last: bool,
    /// The service's clock when it answered, from the `Date` header.
    pub server_date: Option<Instant>,
}

impl Page {
    /// A page of upserts after which a read may stop at the largest order value so far.
    pub fn of(upserts: Records) -> Self {
        Self {
            upserts,
            deletes: Records::default(),
            resume: Resume::From(None),
            last: false,
            server_date: None,
        }
    }
}

/// A parent of a table that is read under parents.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its identity.
    pub key: PartKey,
    /// Columns it gives to its rows.
    pub columns: Vec<(String, RawJson)>,
}

impl Part {
    /// A parent that gives its rows no columns.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: PartKey(key.into()), columns: Vec::new() }
    }
}

/// What a reader asks the service to do for it.
#[derive(Clone, Debug, Default)]
pub struct Pushdown {
    /// Columns that are wanted; `None`: all.
    pub columns: Option<Vec<String>>,
    /// Rows that are enough.
    pub limit: Option<u64>,
    /// Columns of [`TableSpec::filters`](crate::TableSpec::filters) and the one value of each that
    /// is wanted.
    pub filters: Vec<(String, String)>,
}

/// What a read wants of the field that its table is split by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// Values between these, both included; `None`: open.
    Range {
        /// Lowest value.
        from: Option<Cursor>,
        /// Highest value.
        upto: Option<Cursor>,
    },
    /// Records that lack the field.
    Null,
}

/// One range `(after, upto]` of one table; lookback is already in `after`. `None`: open.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// Table name.
    pub table: String,
    /// Checked options.
    pub options: Arc<Settings>,
    /// Rows or deletes.
    pub feed: Feed,
    /// Exclusive lower bound.
    pub after: Option<Cursor>,
    /// Inclusive upper bound.
    pub upto: Option<Cursor>,
    /// Of the records in that range those that lie within this; `None`: all.
    pub within: Option<Within>,
    /// The connector's own place to go on from.
    pub at: Option<Position>,
    /// Parents to read under.
    pub parts: Vec<Part>,
    /// Rows per page that make sense: the smaller of the service's page size and the cap.
    pub page_rows: Option<u64>,
    /// What the reader wants less of.
    pub pushed: Pushdown,
}

/// Pages of one range; the end means that all of it was sent.
///
/// Nothing is requested before the first page is asked for, nor, unless the list is read whole,
/// beyond the page asked for.
pub struct PageStream(BoxStream<'static, Result<Page>>);

impl PageStream {
    /// Pages of a stream.
    pub fn new(pages: impl Stream<Item = Result<Page>> + Send + 'static) -> Self {
        Self(pages.boxed())
    }

    /// One error.
    pub fn error(error: Error) -> Self {
        Self::new(stream::once(async { Err(error) }))
    }

    /// The answer of a connector that lacks `what`.
    pub fn unsupported(what: &str, read: &ReadRequest) -> Self {
        Self::error(
            Error::unsupported(format!("the table has no {what}")).table(read.table.as_str()),
        )
    }

    /// Pages that are known only after something else was asked for; that happens when the first
    /// page is.
    pub fn later(pages: impl Future<Output = Result<Self>> + Send + 'static) -> Self {
        Self(stream::once(pages).map_ok(|Self(pages)| pages).try_flatten().boxed())
    }

    /// The same pages, each changed by `change`.
    pub fn map(self, mut change: impl FnMut(Page) -> Page + Send + 'static) -> Self {
        Self(self.0.map(move |page| page.map(&mut change)).boxed())
    }

    /// The next page, or `None` at the end.
    ///
    /// # Errors
    /// Whatever the connector met; the stream has ended then.
    pub async fn next(&mut self) -> Result<Option<Page>> {
        self.0.next().await.transpose()
    }
}
