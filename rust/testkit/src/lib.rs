//! Sources and checks for tests: never shipped.
#![forbid(unsafe_code)]

pub mod coercion;
pub mod journal;
pub mod kinds;
mod kinds_answers;
mod kinds_tables;
pub mod kit;
pub mod list;
pub mod misbehaving;
pub mod rows;
pub mod tree;

use lakeflow_core::Source;

/// Sources that test builds add to those of the registry.
pub static SOURCES: &[&Source] = &[
    &coercion::COERCION,
    &journal::JOURNAL,
    &misbehaving::PANICKING,
    &misbehaving::BLOCKING,
    &misbehaving::ENDLESS,
    &tree::TREE,
];
