//! A table with everything a read needs: connector, declaration, options, identity.

use lakeflow_arrow::{CoercionOptions, Decoder, OnError, Zone, hash_bytes};
use lakeflow_core::{
    Clock, Connector, Cursor, CursorKind, Error, Feed, FieldPath, Ingestion, Instant, Metrics,
    Offset, Order, PageStream, Progress, Pushdown, ReadRequest, Result, Settings, TableSpec,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest option value that an offset shows; longer ones are held as a digest.
const MAX_SCOPE_VALUE: usize = 100;

pub(crate) struct Table {
    pub(crate) source: &'static str,
    pub(crate) name: String,
    pub(crate) feed: Feed,
    pub(crate) spec: TableSpec,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    /// Places whose raw text is wanted of every row: the key's, then the order value's.
    pub(crate) taps: Vec<FieldPath>,
    /// Index into `taps` of the order value.
    pub(crate) order_tap: Option<usize>,
    /// Options that choose rows, name to value.
    pub(crate) scope: BTreeMap<String, String>,
}

impl Table {
    #[allow(clippy::too_many_arguments, reason = "called once, from the engine")]
    pub(crate) fn new(
        source: &'static str,
        name: &str,
        feed: Feed,
        spec: TableSpec,
        connector: Arc<dyn Connector>,
        settings: Arc<Settings>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        spec.schema.validate().map_err(|e| e.table(name))?;
        if feed == Feed::Deletes && spec.deletes.is_none() {
            return Err(Error::unsupported(format!(
                "the table has no delete feed: its ingestion type is {}; leave option \
                 'isDeleteFlow' out",
                spec.ingestion.name()
            ))
            .table(name));
        }
        let scope = settings.identity(name).into_iter().map(|(n, v)| (n, shown(v))).collect();
        let mut table = Self {
            source,
            name: name.to_owned(),
            feed,
            spec,
            connector,
            settings,
            clock,
            metrics,
            taps: Vec::new(),
            order_tap: None,
            scope,
        };
        table.taps = table.spec.key.iter().map(|k| table.spec.schema.place_of(k)).collect();
        let order_place = table.order().and_then(|o| o.field.as_ref());
        if let Some(place) = order_place.map(|f| table.spec.schema.place_of(f)) {
            table.order_tap = Some(table.taps.len());
            table.taps.push(place);
        }

        Ok(table)
    }

    /// How the chosen feed advances.
    pub(crate) fn progress(&self) -> &Progress {
        match self.feed {
            Feed::Rows => &self.spec.rows,
            Feed::Deletes => self.spec.deletes.as_ref().unwrap_or(&Progress::Snapshot),
        }
    }

    pub(crate) fn order(&self) -> Option<&Order> {
        self.progress().order()
    }

    /// Columns whose bad values always fail: the key's and the cursor.
    fn strict(&self) -> Vec<FieldPath> {
        self.spec.key.iter().chain(&self.spec.cursor).cloned().collect()
    }

    /// A decoder of `columns`, or of all.
    pub(crate) fn decoder(&self, columns: Option<&[String]>) -> Result<Decoder> {
        let rescued = self.settings.get("rescuedDataColumn");
        if let Some(name) = rescued.filter(|name| self.spec.schema.column(name).is_some()) {
            return Err(Error::config(format!(
                "option 'rescuedDataColumn' must name a column that the table lacks, got \"{name}\""
            ))
            .table(self.name.as_str()));
        }
        let wanted = |name: &String| Some(name.as_str()) != rescued;
        let (schema, rescued) = match columns {
            None => (self.spec.schema.clone(), rescued),
            Some(columns) => {
                let names: Vec<_> = columns.iter().filter(|c| wanted(c)).collect();
                let keep = columns.iter().any(|c| !wanted(c));
                (self.spec.schema.project(&names)?, rescued.filter(|_| keep))
            }
        };
        let options = CoercionOptions {
            on_error: match self.settings.get("onCoercionError") {
                Some("null") => OnError::Null,
                _ => OnError::Fail,
            },
            rescued_column: rescued.map(str::to_owned),
            timestamp_zone: Zone::parse(self.settings.text("timestampZone")?)
                .map_err(|e| Error::config(format!("option 'timestampZone': {}", e.message())))?,
            excerpts: self.settings.flag("errorExcerpts"),
        };

        let mut decoder = Decoder::new(&self.name, &schema, &self.strict(), options)?;
        decoder.ignore(&self.spec.schema);

        Ok(decoder)
    }

    /// A request for `(after, upto]`.
    pub(crate) fn request(&self, after: Option<Cursor>, upto: Option<Cursor>) -> ReadRequest {
        let cap =
            self.settings.integer("max_records_per_batch").and_then(|n| u64::try_from(n).ok());
        ReadRequest {
            table: self.name.clone(),
            options: self.settings.clone(),
            feed: self.feed,
            after,
            upto,
            at: None,
            parts: Vec::new(),
            page_rows: cap,
            pushed: Pushdown::default(),
        }
    }

    /// Pages of `(after, upto]` of the chosen feed.
    pub(crate) fn read(&self, after: Option<Cursor>, upto: Option<Cursor>) -> PageStream {
        let request = self.request(after, upto);
        match self.feed {
            Feed::Rows => self.connector.read_table(request),
            Feed::Deletes => self.connector.read_table_deletes(request),
        }
    }

    /// Whether rows have no key and are told apart by how often they occur.
    pub(crate) fn counts_occurrences(&self) -> bool {
        self.spec.ingestion == Ingestion::Append && self.spec.key.is_empty()
    }

    /// By what a delivered row is known again.
    pub(crate) fn row_id(&self, page: &crate::page::ScannedPage, row: usize, salt: u64) -> u64 {
        let salt = salt.to_le_bytes();
        let tap = |i: usize| page.scan.tap(row, i).unwrap_or(b"null");
        let keys = self.spec.key.len();
        if self.spec.ingestion == Ingestion::Append && keys > 0 {
            let mut parts: Vec<&[u8]> = vec![&salt];
            parts.extend((0..keys).map(tap));
            return hash_bytes(&parts);
        }
        if self.spec.volatile {
            let mut parts: Vec<&[u8]> = vec![&salt];
            parts.extend((0..self.taps.len()).map(tap));
            return hash_bytes(&parts);
        }

        hash_bytes(&[&salt, page.scan.raw(row)])
    }

    /// Reads a stored offset and checks that it belongs to this feed; `None` is the beginning.
    ///
    /// # Errors
    /// [`ErrorKind::OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid), naming what differs.
    pub(crate) fn accept(&self, text: &str, warnings: &mut Vec<String>) -> Result<Option<Offset>> {
        let members = self.spec.legacy_cursor;
        let Some(mut offset) = Offset::from_text_or_legacy(text, members)? else { return Ok(None) };
        let differs = |what: &str, stored: &str, now: &str| {
            Error::offset_invalid(format!(
                "the checkpoint was written for {what} '{stored}', this read has '{now}'; use a new \
                 checkpoint"
            ))
            .table(self.name.as_str())
        };
        if offset.source.is_empty() {
            warnings.push(format!(
                "the offset {text} is of the Python connectors: that it belongs to this table of \
                 this source cannot be checked"
            ));
            offset.source = self.source.to_owned();
            offset.table.clone_from(&self.name);
            offset.feed = self.feed;
            offset.scope.clone_from(&self.scope);
            if self.order().is_some_and(|order| order.kind == CursorKind::Instant) {
                offset.cursor = offset.cursor.map(legacy_instant);
            }
            return Ok(Some(offset));
        }
        if offset.source != self.source {
            return Err(differs("source", &offset.source, self.source));
        }
        if offset.table != self.name {
            return Err(differs("table", &offset.table, &self.name));
        }
        if offset.feed != self.feed {
            return Err(differs("feed", offset.feed.name(), self.feed.name()));
        }
        let allowed = self.settings.list("allowChangedOptions");
        let names: std::collections::BTreeSet<_> =
            offset.scope.keys().chain(self.scope.keys()).cloned().collect();
        for name in names {
            let (stored, now) = (offset.scope.get(&name), self.scope.get(&name));
            if stored == now {
                continue;
            }
            let text = |v: Option<&String>| v.map_or("not set".to_owned(), |v| format!("'{v}'"));
            let change = format!("option '{name}': {} there, {} here", text(stored), text(now));
            if !allowed.iter().any(|a| a.eq_ignore_ascii_case(&name)) {
                return Err(Error::offset_invalid(format!(
                    "the checkpoint was written with another {change}; use a new checkpoint, or \
                     allowChangedOptions={name} to go on from its cursor"
                ))
                .table(self.name.as_str()));
            }
            warnings.push(format!("going on from the checkpoint's cursor with another {change}"));
        }
        offset.scope.clone_from(&self.scope);

        Ok(Some(offset))
    }

    /// The bound below which nothing is read where there is no offset, inclusive.
    pub(crate) fn start_option(&self, order: &Order) -> Result<Option<Cursor>> {
        let Some(text) = self.settings.get("start_timestamp") else { return Ok(None) };
        let start = Instant::parse(text).and_then(|i| Cursor::of_time(order.kind, i, order.step));

        start.map(Some).ok_or_else(|| {
            Error::config(
                "option 'start_timestamp' does not apply: the table is not ordered by time",
            )
            .table(self.name.as_str())
        })
    }
}

/// A whole number where instants are expected is a number of seconds since 1970.
fn legacy_instant(cursor: String) -> String {
    match cursor.parse() {
        Ok(seconds) => Instant::from_parts(seconds, 0).to_rfc3339(0),
        Err(_) => cursor,
    }
}

/// An option's value as an offset shows it.
fn shown(value: String) -> String {
    if value.len() <= MAX_SCOPE_VALUE {
        value
    } else {
        format!("#{:016x}", hash_bytes(&[value.as_bytes()]))
    }
}
