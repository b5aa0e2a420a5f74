//! The way in: options to tables, tables to readers.

use crate::batch::BatchReader;
use crate::description::TableDescription;
use crate::options::{FRAMEWORK_OPTIONS, PLATFORM_OPTIONS};
use crate::stream::TableStream;
use crate::table::Table;
use lakeflow_core::{
    Clock, Context, Error, Feed, Metrics, Options, Progress, Result, Settings, Source,
};
use std::sync::Arc;

/// The sources of this process and the clock they are read by. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    sources: Arc<[&'static Source]>,
    clock: Arc<dyn Clock>,
}

impl Engine {
    /// An engine over these sources.
    pub fn new(sources: Vec<&'static Source>, clock: Arc<dyn Clock>) -> Self {
        Self { sources: sources.into(), clock }
    }

    /// Ids of the sources, sorted.
    pub fn source_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.sources.iter().map(|s| s.name).collect();
        names.sort_unstable();
        names
    }

    /// Schema and metadata of the table that `options` name.
    ///
    /// # Errors
    /// [`ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid) for a bad option,
    /// [`TableNotFound`](lakeflow_core::ErrorKind::TableNotFound) for an unknown table; and what
    /// the source's own discovery meets.
    pub async fn describe(&self, options: &Options) -> Result<TableDescription> {
        let table = self.table(options).await?;
        table.decoder(None)?;

        Ok(TableDescription::of(&table))
    }

    /// A reader of the whole table, of `columns` only if given.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    pub async fn batch(
        &self,
        options: &Options,
        columns: Option<Vec<String>>,
    ) -> Result<BatchReader> {
        let table = self.table(options).await?;

        BatchReader::new(table, columns.as_deref())
    }

    /// A stream of the table's changes.
    ///
    /// # Errors
    /// As [`describe`](Self::describe); and
    /// [`Unsupported`](lakeflow_core::ErrorKind::Unsupported) for a snapshot table.
    pub async fn stream(&self, options: &Options) -> Result<TableStream> {
        let table = self.table(options).await?;
        let lead = table.child_of.as_ref().map_or(&table, |below| &below.feed);
        if matches!(lead.progress(), Progress::Snapshot) {
            return Err(Error::unsupported(format!(
                "table '{0}' is a snapshot and cannot be streamed; read it with \
                 spark.read.format(\"lakeflow_connect\").option(\"tableName\", \"{0}\")",
                table.name
            ))
            .table(table.name.as_str()));
        }

        Ok(TableStream::new(table))
    }

    async fn table(&self, options: &Options) -> Result<Arc<Table>> {
        let source = self.source(options)?;
        let specs = FRAMEWORK_OPTIONS.iter().chain(source.options());
        let settings = Arc::new(Settings::resolve(options, specs, PLATFORM_OPTIONS)?);
        let name = settings.get("tableName").ok_or_else(|| {
            Error::config("option 'tableName' is required: the table of the source to read")
        })?;
        let context = Context {
            settings: settings.clone(),
            clock: self.clock.clone(),
            metrics: Arc::new(Metrics::default()),
        };
        settings.require(None)?;
        let connector = (source.build)(&context)?;
        let spec = connector.table(name, &settings).await.map_err(|e| e.table(name))?;
        settings.require(Some(name))?;
        let feed = if settings.flag("isDeleteFlow") { Feed::Deletes } else { Feed::Rows };
        let build = |name: &str, feed, spec| {
            let (clock, metrics) = (context.clock.clone(), context.metrics.clone());
            let connector = connector.clone();
            Table::new(source.name, name, feed, spec, connector, settings.clone(), clock, metrics)
        };
        let table = build(name, feed, spec)?;
        let Progress::Children { feed, key, columns } = table.progress().clone() else {
            return Ok(Arc::new(table));
        };
        let parents = connector.table(&feed, &settings).await.map_err(|e| e.table(&*feed))?;
        let parents = build(&feed, Feed::Rows, parents)?;
        if matches!(parents.progress(), Progress::Children { .. }) {
            return Err(Error::internal("children of children cannot be read").table(name));
        }

        Ok(Arc::new(table.below(parents, &key, &columns)))
    }

    fn source(&self, options: &Options) -> Result<&'static Source> {
        let known = || self.source_names().join(", ");
        let Some(name) = options.get("sourceName").map(str::trim).filter(|n| !n.is_empty()) else {
            return Err(Error::config(format!(
                "option 'sourceName' is required; known sources: {}",
                known()
            )));
        };

        self.sources.iter().find(|s| s.name.eq_ignore_ascii_case(name)).copied().ok_or_else(|| {
            let name: String = name.chars().take(80).collect();
            Error::config(format!("unknown source '{name}'; known sources: {}", known()))
        })
    }
}

/// 64 bits from the operating system, which seeds each `RandomState`.
pub(crate) fn random_bits() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8)
}
