//! What hosts ask for, as JSON.

use lakeflow_core::{Error, Options, Result};
use lakeflow_engine::{Comparison, Filter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a batch read wants of its table; the default is everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Columns, in order; `null`: all.
    pub columns: Option<Vec<String>>,
    /// Rows that are enough; `null`: all.
    pub limit: Option<u64>,
    /// Filters that the caller checks again.
    pub filters: Vec<Condition>,
}

/// A column compared with a value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    column: String,
    comparison: Compared,
    value: String,
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Compared {
    AtLeast,
    AtMost,
    Equal,
}

impl From<Condition> for Filter {
    fn from(condition: Condition) -> Self {
        let comparison = match condition.comparison {
            Compared::AtLeast => Comparison::AtLeast,
            Compared::AtMost => Comparison::AtMost,
            Compared::Equal => Comparison::Equal,
        };

        Self { column: condition.column, comparison, value: condition.value }
    }
}

/// A configuration that others can see.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The session's.
    Session,
    /// A catalog's.
    Catalog,
}

/// Options as the user gave them; names keep their case, `Debug` shows no values.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct OptionMap(BTreeMap<String, String>);

impl OptionMap {
    /// The engine's form.
    pub fn into_options(self) -> Options {
        self.0.into_iter().collect()
    }
}

impl std::fmt::Debug for OptionMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads a request.
///
/// # Errors
/// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal): only this project's own classes
/// write requests. The text is left out, it may hold secrets.
pub fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|e| {
        Error::internal("the request is malformed")
            .context("line", e.line().to_string())
            .context("column", e.column().to_string())
    })
}
