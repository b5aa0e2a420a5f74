//! The one trait that a connector implements.

use crate::{
    Cursor, Error, ErrorKind, OptionSpec, Page, PageStream, Part, Position, ReadRequest, Result,
    Settings, TableSchema, TableSpec,
};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, Stream, StreamExt};

/// The end of a feed at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Latest {
    /// Highest order value.
    Value(Cursor),
    /// Place from which changes are read.
    At(Position),
}

/// Parents of a table, in a stable order.
pub struct PartStream(BoxStream<'static, Result<Part>>);

impl PartStream {
    /// Parents of a stream.
    pub fn new(parts: impl Stream<Item = Result<Part>> + Send + 'static) -> Self {
        Self(parts.boxed())
    }

    /// The answer of a table that is not read under parents.
    pub fn none(read: &ReadRequest) -> Self {
        let error = Error::unsupported("the table is not read under parents");
        let error = error.table(read.table.as_str());
        Self::new(stream::once(async { Err(error) }))
    }

    /// The next parent, or `None` at the end.
    ///
    /// # Errors
    /// Whatever the connector met; the stream has ended then.
    pub async fn next(&mut self) -> Result<Option<Part>> {
        self.0.next().await.transpose()
    }
}

/// Plans a batch read better than windows or bins of parents can.
pub trait Partitions: Send + Sync {}

/// Tables in a tree of namespaces: paths of names, `[]` for the root.
#[async_trait]
pub trait Namespaces: Send + Sync {
    /// Namespaces directly below `prefix`, as whole paths, in any order.
    async fn children(&self, prefix: &[String]) -> Result<Vec<Vec<String>>>;

    /// Tables directly in `namespace`, in any order; none where there is no such namespace.
    async fn tables(&self, namespace: &[String]) -> Result<Vec<String>>;
}

/// A question about a source that an agent may ask.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Name as callers give it; one of a source's own begins with the source's name and a dot.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Parameters, checked as options are.
    pub parameters: &'static [OptionSpec],
    /// Columns of the answer; `None`: they are those of the table that is read.
    pub schema: Option<fn() -> TableSchema>,
}

/// Operations that a source adds to the built-in ones, or puts in the place of one.
#[async_trait]
pub trait Operations: Send + Sync {
    /// What there is.
    fn declared(&self) -> &'static [Operation];

    /// Answers one of them with records of its schema.
    async fn run(&self, operation: &str, parameters: &Settings) -> Result<Vec<serde_json::Value>>;
}

/// A source: tables declared as data, and pages of raw records for a range.
///
/// It makes no offsets, reads no clock, counts no rows and loops over no parents.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Names of all tables, hidden ones included.
    async fn list_tables(&self) -> Result<Vec<String>>;

    /// What the engine must know of `table`; schema and metadata are views of it.
    ///
    /// # Errors
    /// [`ErrorKind::TableNotFound`] for an unknown table, before any request where names are fixed.
    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec>;

    /// Pages of one range of rows; the end of the stream means that all of it was sent. For
    /// [`Feed::Changes`](crate::Feed::Changes) without rows that say that a record was deleted.
    fn read_table(&self, read: ReadRequest) -> PageStream;

    /// Pages of one range of deletes.
    fn read_table_deletes(&self, read: ReadRequest) -> PageStream {
        PageStream::unsupported("delete feed", &read)
    }

    /// Lowest order value, inclusive; `None`: the table is empty.
    async fn oldest(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        Err(Error::config("option 'start_timestamp' is required: the oldest record is not known")
            .table(read.table.as_str()))
    }

    /// Lowest value of the field that the table is split by, where that is not the order; `None`: it
    /// is not worth splitting, since one page holds all of it.
    async fn lowest_split(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        Err(Error::internal("the table says by what to split it, and not where that begins")
            .table(read.table.as_str()))
    }

    /// End of the feed now, for tables whose drains end there; or the place from which a token feed
    /// is read, asked for before its first read. A token feed without one begins with a listing.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the table has none.
    async fn latest(&self, read: &ReadRequest) -> Result<Latest> {
        Err(Error::unsupported("the table states no latest value").table(read.table.as_str()))
    }

    /// Parents, in a stable order. Parents that are read by their own changes are declared instead,
    /// as [`Progress::Children`](crate::Progress::Children).
    fn parts(&self, read: ReadRequest) -> PartStream {
        PartStream::none(&read)
    }

    /// Brings a place of an older `position_version` up to date.
    ///
    /// # Errors
    /// [`ErrorKind::OffsetInvalid`] if it cannot.
    fn upgrade(&self, table: &str, from: u32, _at: Position) -> Result<Position> {
        Err(Error::offset_invalid(format!("a place of version {from} cannot be continued"))
            .table(table))
    }

    /// A better plan for batch reads.
    fn partitions(&self) -> Option<&dyn Partitions> {
        None
    }

    /// Namespaces.
    fn namespaces(&self) -> Option<&dyn Namespaces> {
        None
    }

    /// Operations for agents.
    fn operations(&self) -> Option<&dyn Operations> {
        None
    }
}

impl Error {
    /// [`ErrorKind::TableNotFound`] with the list of known tables.
    pub fn table_not_found<S: AsRef<str>>(table: &str, known: &[S]) -> Self {
        let mut names: Vec<_> = known.iter().map(AsRef::as_ref).collect();
        names.sort_unstable();
        let table: String = table.chars().take(80).collect();
        Self::new(
            ErrorKind::TableNotFound,
            format!("unknown table '{table}'; the source has: {}", names.join(", ")),
        )
    }
}

/// A stream of pages that was collected before, for tests and small tables.
impl From<Vec<Page>> for PageStream {
    fn from(pages: Vec<Page>) -> Self {
        Self::new(stream::iter(pages.into_iter().map(Ok)))
    }
}
