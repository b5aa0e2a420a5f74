//! Raw JSON rows become Arrow batches by a declared schema; the only place where values are coerced.
//!
//! [`scan_rows`] finds the rows of a page and the raw values by which the engine tells them apart;
//! a [`Decoder`] writes the rows it is told to straight into columns; an [`IpcWriter`] turns the
//! batches into the chunks of an IPC stream.
#![forbid(unsafe_code)]

mod decoder;
mod fail;
mod ipc;
mod keys;
mod node;
mod number;
mod parse;
mod read;
mod scalar;
mod scan;
mod schema;
mod time;
mod variant;

pub use decoder::{CoercionOptions, CoercionReport, Decoder, OnError};
pub use ipc::IpcWriter;
pub use scan::{RowScan, hash_bytes, json_text, scan_rows};
pub use schema::arrow_schema;
pub use time::Zone;
