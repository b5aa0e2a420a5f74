//! How a source is found and built.

use crate::{Clock, Connector, Metrics, OptionSpec, Result, Settings};
use std::sync::Arc;

/// What a connector is built from.
#[derive(Clone)]
pub struct Context {
    /// Checked options, of the connection and of the framework.
    pub settings: Arc<Settings>,
    /// The current time.
    pub clock: Arc<dyn Clock>,
    /// Counters that the read reports.
    pub metrics: Arc<Metrics>,
    /// Part of what the credential may send that is for this reader, above 0 and up to 1; the rest
    /// is for readers in other processes.
    pub share: f64,
}

/// A source as the registry knows it.
pub struct Source {
    /// Id: option `sourceName`, folder, simulator spec and page in `docs/`.
    pub name: &'static str,
    /// Options of the connection: credentials and hosts.
    pub connection_options: &'static [OptionSpec],
    /// Options of the kit that it talks through (timeouts, retries); empty without one.
    pub kit_options: &'static [OptionSpec],
    /// Options of its tables: what to read and how.
    pub table_options: &'static [OptionSpec],
    /// Builds the connector; does no input or output.
    pub build: fn(&Context) -> Result<Arc<dyn Connector>>,
}

impl Source {
    /// Every option that it understands, framework options excepted.
    pub fn options(&self) -> impl Iterator<Item = &'static OptionSpec> {
        self.connection_options.iter().chain(self.table_options).chain(self.kit_options)
    }
}
