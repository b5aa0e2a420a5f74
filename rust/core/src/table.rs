//! What the engine must know of a table.

use crate::{CursorKind, FieldPath, Step, TableSchema};
use std::time::Duration;

/// How the destination takes a table in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingestion {
    /// The whole table at each run; vanished keys are deleted.
    Snapshot,
    /// Upserts by key, ordered by cursor.
    Cdc,
    /// Upserts and, from a feed of their own, deletes.
    CdcWithDeletes,
    /// Plain inserts.
    Append,
}

impl Ingestion {
    /// The name users see: `snapshot`, `cdc`, `cdc_with_deletes` or `append`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Cdc => "cdc",
            Self::CdcWithDeletes => "cdc_with_deletes",
            Self::Append => "append",
        }
    }
}

/// Where a drain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Our clock, or the service's where that is behind ours, less `settle`.
    Clock {
        /// How long the service may take to show a change.
        settle: Duration,
    },
    /// What [`Connector::latest`](crate::Connector::latest) says.
    Latest,
    /// The end of one pass.
    Pass,
}

/// The value a feed is ordered and filtered by; not always the public cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its column path; `None` if rows lack it and pages state it.
    pub field: Option<FieldPath>,
    /// How values compare.
    pub kind: CursorKind,
    /// Smallest difference the service can filter by.
    pub step: Step,
    /// Where a drain ends.
    pub until: Until,
    /// How far back a drain looks for rows that became visible late.
    pub lookback: Duration,
}

impl Order {
    /// Instants in column `field`, read up to the clock.
    pub fn instants(field: &str, step: Step) -> Self {
        Self {
            field: Some(FieldPath::field(field)),
            kind: CursorKind::Instant,
            step,
            until: Until::Clock { settle: Duration::ZERO },
            lookback: Duration::ZERO,
        }
    }

    /// Values that rows lack: every page states the value up to which it reaches.
    pub fn stated(kind: CursorKind, step: Step) -> Self {
        Self {
            field: None,
            kind,
            step,
            until: Until::Clock { settle: Duration::ZERO },
            lookback: Duration::ZERO,
        }
    }

    /// Ends drains this long before the clock, because the service shows changes late.
    pub fn settle(mut self, settle: Duration) -> Self {
        self.until = Until::Clock { settle };
        self
    }

    /// Looks this far back at the start of each drain.
    pub fn lookback(mut self, lookback: Duration) -> Self {
        self.lookback = lookback;
        self
    }
}

/// How a read advances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No order: the whole table, in batch reads only.
    Snapshot,
    /// Sorted by `order`; after `restart_pages` pages the engine reads again from the value
    /// reached, so that a list that moves hides no row.
    Ascending {
        /// Order of the list.
        order: Order,
        /// Pages after which to read again from the value reached; 1 for page numbers.
        restart_pages: u32,
    },
    /// Newest first: the engine stops at the first page reaching the lower bound.
    Descending {
        /// Order of the list.
        order: Order,
    },
    /// Both bounds are given. `sorted`: pages inside a window are read as
    /// [`Ascending`](Self::Ascending) reads them; else a window of several pages is read until a
    /// reading brings nothing new.
    Windows {
        /// What the bounds apply to.
        order: Order,
        /// First length of a window.
        window: Duration,
        /// Whether the service sorts by `order`, ascending, inside a window.
        sorted: bool,
    },
    /// Whole walk; rows outside the range are left out. Safe points: the end, and any `At`.
    OnePass {
        /// What the range applies to.
        order: Order,
    },
    /// The children of each record that `feed` delivers are read whole, as far as `feed` has come:
    /// its progress, cursor and lookback are those of this table.
    Children {
        /// Another table of the connector, which users need not see.
        feed: String,
        /// Path of the parent's identity in records of `feed`.
        key: FieldPath,
        /// Columns that a parent gives to its children: name, and path in records of `feed`.
        columns: Vec<(String, FieldPath)>,
    },
    /// The service keeps the place (delta link, history id).
    Token {
        /// Order of the rows, if they have one.
        order: Option<Order>,
        /// How long the service remembers a place.
        life: Duration,
    },
}

impl Progress {
    /// The order, where there is one.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Self::Snapshot | Self::Children { .. } => None,
            Self::Ascending { order, .. }
            | Self::Descending { order }
            | Self::Windows { order, .. }
            | Self::OnePass { order } => Some(order),
            Self::Token { order, .. } => order.as_ref(),
        }
    }
}

/// A text column by whose value the service can filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterBy {
    /// Its name.
    pub column: String,
    /// Values for which the service sends exactly the records that hold them.
    pub values: &'static [&'static str],
}

/// A field that never changes, by whose values a batch read is split over tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitBy {
    /// Its column path. Where it is that of the order, ranges of the order are read; else requests
    /// say what is wanted of it, as [`Within`](crate::Within).
    pub field: FieldPath,
    /// How values compare.
    pub kind: CursorKind,
    /// Smallest difference the service can filter by.
    pub step: Step,
    /// Whether records may lack it; a request can then ask for those alone.
    pub nullable: bool,
}

/// How a table is read under the parents that [`Connector::parts`](crate::Connector::parts) lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parents {
    /// Parents that one request takes.
    pub per_request: usize,
}

/// A table: schema, keys, cursor and how a read advances.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Columns.
    pub schema: TableSchema,
    /// How the destination takes it in.
    pub ingestion: Ingestion,
    /// Column paths of the primary key; may be empty for `append`.
    pub key: Vec<FieldPath>,
    /// Column path that orders changes at the destination.
    pub cursor: Option<FieldPath>,
    /// How rows are read.
    pub rows: Progress,
    /// How deletes are read, if the table has a feed of them.
    pub deletes: Option<Progress>,
    /// Columns by which batch reads may ask for some of the rows only.
    pub filters: Vec<FilterBy>,
    /// By what batch reads of its rows are split, if they can be.
    pub split_by: Option<SplitBy>,
    /// Set if it is read under parents; `rows` then holds below each of them.
    pub parents: Option<Parents>,
    /// Whether the first read, which has no lower bound, walks another list than later reads and
    /// goes on by the [`Resume::At`](crate::Resume::At) of its pages.
    pub first_by_place: bool,
    /// Fields differ at every call: rows are told apart by key and order value only.
    pub volatile: bool,
    /// Version of the connector's [`Position`](crate::Position)s.
    pub position_version: u32,
    /// Members that the Python connector's offsets may have; the first one there is the cursor.
    pub legacy_cursor: &'static [&'static str],
}

impl TableSpec {
    /// A table without deletes, parents or positions, whose reads are not split.
    pub fn new(schema: TableSchema, ingestion: Ingestion, key: &[&str], rows: Progress) -> Self {
        Self {
            cursor: rows.order().and_then(|o| o.field.clone()),
            schema,
            ingestion,
            key: key.iter().map(|k| FieldPath::field(*k)).collect(),
            rows,
            deletes: None,
            filters: Vec::new(),
            split_by: None,
            parents: None,
            first_by_place: false,
            volatile: false,
            position_version: 1,
            legacy_cursor: &["cursor"],
        }
    }
}
