//! The contract between connectors, engine and doors.
//!
//! A [`Connector`] declares each table as data ([`TableSpec`]) and yields [`Page`]s of raw records
//! for a range; the engine alone makes [`Offset`]s. Nothing here speaks HTTP, owns a runtime or
//! knows Java.
#![forbid(unsafe_code)]

mod clock;
mod connector;
mod cursor;
mod error;
mod json;
mod metrics;
mod offset;
mod options;
mod page;
mod schema;
mod secret;
mod source;
mod table;

pub use clock::{Clock, ManualClock, SystemClock};
pub use connector::{Connector, Latest, Namespaces, Operation, Operations, PartStream, Partitions};
pub use cursor::{Comparable, Cursor, CursorKind, Instant, Step};
pub use error::{Error, ErrorKind, Result, Retry};
pub use json::{JsonScalar, canonical_json};
pub use metrics::{Metrics, MetricsSnapshot};
pub use offset::{DeletesPlace, Feed, OFFSET_VERSION, Offset, PartKey, Pass, Position};
pub use options::{OptionKind, OptionRole, OptionSpec, Options, Reach, Settings};
pub use page::{
    Page, PageStream, Part, Pushdown, RawJson, ReadRequest, Records, Resume, Rows, Within,
};
pub use schema::{Column, DataType, Encoding, EpochUnit, FieldPath, TableSchema};
pub use secret::Secret;
pub use source::{Context, Source};
pub use table::{FilterBy, Ingestion, Order, Parents, Progress, SplitBy, TableSpec, Until};
