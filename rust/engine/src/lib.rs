//! What the framework owns, so that a connector cannot get it wrong: offsets, drains, slices,
//! lookback, what was delivered before, and batch reads in bounded memory.
//!
//! The engine's unit is the *drain*: it pins how far it reads (`until`), applies lookback once,
//! yields slices, and ends with the call that returns its start offset.
#![forbid(unsafe_code)]

mod ahead;
mod ascending;
mod batch;
mod changes;
mod children;
mod connections;
mod contents;
mod credentials;
mod descending;
mod description;
mod drain;
mod emit;
mod engine;
mod feed;
mod filter;
mod list;
mod one_pass;
mod operations;
mod options;
mod page;
mod parts;
mod pass;
mod references;
mod rows;
mod seen;
mod split;
mod state;
mod stream;
mod table;
mod token;
mod virtual_tables;
mod walk;
mod windows;

pub use batch::BatchReader;
pub use contents::Contents;
pub use credentials::{Configured, Variables};
pub use description::TableDescription;
pub use engine::Engine;
pub use filter::{Comparison, Filter};
pub use options::{FRAMEWORK_OPTIONS, PLATFORM_OPTIONS, VIRTUAL_OPTIONS};
pub use split::Split;
pub use state::StateBlob;
pub use stream::{Slice, SliceEnd, SliceRequest, TableStream};
