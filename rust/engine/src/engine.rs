//! The way in: options to tables, tables to readers.

use crate::batch::{BatchReader, TRUNCATED};
use crate::changes;
use crate::contents::Contents;
use crate::description::TableDescription;
use crate::operations::{self, Asked, READ_TABLE};
use crate::options::{FRAMEWORK_OPTIONS, PLATFORM_OPTIONS, VIRTUAL_OPTIONS};
use crate::split;
use crate::stream::TableStream;
use crate::table::Table;
use crate::virtual_tables::{About, Virtual};
use lakeflow_core::{
    Clock, Column, Connector, Context, DataType, Error, Feed, Metrics, Options, Progress, Result,
    Settings, Source, TableSpec,
};
use std::sync::Arc;

/// The sources of this process and the clock they are read by. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    sources: Arc<[&'static Source]>,
    clock: Arc<dyn Clock>,
    share: f64,
}

impl Engine {
    /// An engine over these sources.
    pub fn new(sources: Vec<&'static Source>, clock: Arc<dyn Clock>) -> Self {
        Self { sources: sources.into(), clock, share: 1.0 }
    }

    /// This engine, whose readers leave the rest of what a credential may send to readers in other
    /// processes; `share` is above 0 and up to 1.
    #[must_use]
    pub fn sharing(self, share: f64) -> Self {
        Self { share, ..self }
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
        let (table, _) = self.asked_for(options).await?;
        table.decoder(None)?;

        Ok(TableDescription::of(&table))
    }

    /// As [`describe`](Self::describe), where options that the table requires may be missing: they
    /// come with the read.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    pub async fn outline(&self, options: &Options) -> Result<TableDescription> {
        let source = self.source(options)?;
        let settings = self.settings(source, options)?.incomplete();
        let table = self.table_of(source, options, settings).await?;
        table.decoder(None)?;

        Ok(TableDescription::of(&table))
    }

    /// Tables and namespaces directly below `namespace`, which is empty for the root.
    ///
    /// # Errors
    /// [`ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid) for a bad option, and what the
    /// source's own discovery meets.
    pub async fn contents(&self, options: &Options, namespace: &[String]) -> Result<Contents> {
        let source = self.source(options)?;
        let settings = self.settings(source, options)?;
        settings.require(None)?;
        let connector = (source.build)(&self.context(Arc::new(settings)))?;

        Contents::of(&*connector, namespace).await
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
        let (table, cap) = self.asked_for(options).await?;
        let reader = BatchReader::new(table, columns.as_deref())?;

        Ok(match cap {
            Some(rows) => reader.capped(rows),
            None => reader,
        })
    }

    /// A stream of the table's changes.
    ///
    /// # Errors
    /// As [`describe`](Self::describe); and
    /// [`Unsupported`](lakeflow_core::ErrorKind::Unsupported) for a snapshot table.
    pub async fn stream(&self, options: &Options) -> Result<TableStream> {
        if let Some(operation) = operation(options) {
            return Err(Error::unsupported(format!(
                "operation '{operation}' answers a question and cannot be streamed; use spark.read"
            )));
        }
        let table = Arc::new(self.table(self.source(options)?, options).await?);
        split::check_stream(&table)?;
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

    /// What `options` ask for: a table or the answer of an operation; and the most rows to give.
    async fn asked_for(&self, options: &Options) -> Result<(Arc<Table>, Option<u64>)> {
        let source = self.source(options)?;
        match operation(options) {
            None => Ok((Arc::new(self.table(source, options).await?), None)),
            Some(READ_TABLE) => {
                let (parameters, mut options) = operations::split(READ_TABLE, options)?;
                options.set("tableName", parameters.text("tableName")?);
                let mut table = self.table(source, &options).await?;
                table.spec.schema.columns.push(Column::new(TRUNCATED, DataType::Boolean));
                let cap = parameters.integer("limit").and_then(|n| u64::try_from(n).ok());

                Ok((Arc::new(table), cap))
            }
            Some(name) => {
                let asked = Asked::new(self, source, name, options);
                let spec = asked.spec();
                let settings = asked.settings_or_default()?;
                let context = self.context(settings);

                Ok((Arc::new(self.build(source, name, spec, Arc::new(asked), &context)?), None))
            }
        }
    }

    /// The table that `options` name.
    pub(crate) async fn table(&self, source: &'static Source, options: &Options) -> Result<Table> {
        self.table_of(source, options, self.settings(source, options)?).await
    }

    async fn table_of(
        &self,
        source: &'static Source,
        options: &Options,
        settings: Settings,
    ) -> Result<Table> {
        let context = self.context(Arc::new(settings));
        let settings = &context.settings;
        let name = settings.get("tableName").ok_or_else(|| {
            Error::config("option 'tableName' is required: the table of the source to read")
        })?;
        settings.require(None)?;
        let mut connector = (source.build)(&context)?;
        let about = Virtual::called(name)?;
        if let Some(table) = about {
            connector = Arc::new(About { table, source, connector, options: options.clone() });
        }
        let spec = connector.table(name, settings).await.map_err(|e| e.table(name))?;
        if about.is_none() {
            settings.require(Some(name))?;
        }
        let table = self.build(source, name, spec, connector.clone(), &context)?;
        let Progress::Children { feed, key, columns } = table.progress().clone() else {
            split::check(&table)?;
            return Ok(table);
        };
        let parents = connector.table(&feed, settings).await.map_err(|e| e.table(&*feed))?;
        let parents = Table::new(source.name, &feed, Feed::Rows, parents, connector, &context)?;
        if matches!(parents.progress(), Progress::Children { .. }) {
            return Err(Error::internal("children of children cannot be read").table(name));
        }

        let table = table.below(parents, &key, &columns);
        split::check(&table)?;

        Ok(table)
    }

    /// Options of the table that they name, checked.
    fn settings(&self, source: &'static Source, options: &Options) -> Result<Settings> {
        let name = options.get("tableName").map(str::trim).unwrap_or_default();
        let own = Virtual::called(name)?.map_or(&[][..], |_| VIRTUAL_OPTIONS);
        let specs = FRAMEWORK_OPTIONS.iter().chain(source.options()).chain(own);

        Settings::resolve(options, specs, PLATFORM_OPTIONS)
    }

    fn build(
        &self,
        source: &'static Source,
        name: &str,
        spec: TableSpec,
        connector: Arc<dyn Connector>,
        context: &Context,
    ) -> Result<Table> {
        let settings = &context.settings;
        let new =
            |feed, spec| Table::new(source.name, name, feed, spec, connector.clone(), context);
        match (settings.flag(changes::OPTION), settings.flag("isDeleteFlow")) {
            (false, false) => new(Feed::Rows, spec),
            (false, true) => new(Feed::Deletes, spec),
            (true, false) => {
                let spec = changes::prepare(spec, name, settings)?;
                let deletes = new(Feed::Deletes, spec.clone())?;
                Ok(new(Feed::Changes, spec)?.with_deletes(deletes))
            }
            (true, true) => Err(Error::config(format!(
                "options '{}' and 'isDeleteFlow' exclude each other: the changes have the deletes; \
                 leave one of them out",
                changes::OPTION
            ))
            .table(name)),
        }
    }

    pub(crate) fn context(&self, settings: Arc<Settings>) -> Context {
        Context {
            settings,
            clock: self.clock.clone(),
            metrics: Arc::new(Metrics::default()),
            share: self.share,
        }
    }

    pub(crate) fn source(&self, options: &Options) -> Result<&'static Source> {
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

/// The operation that is asked for in the place of a table.
fn operation(options: &Options) -> Option<&str> {
    options.get("operation").map(str::trim).filter(|name| !name.is_empty())
}

/// 64 bits from the operating system, which seeds each `RandomState`.
pub(crate) fn random_bits() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8)
}
