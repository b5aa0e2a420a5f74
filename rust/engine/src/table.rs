//! A table with everything a read needs: connector, declaration, options, identity.

use crate::changes;
use crate::page::ScannedPage;
use lakeflow_arrow::{CoercionOptions, Decoder, OnError, Zone, hash_bytes};
use lakeflow_core::{
    Clock, Connector, Context, Cursor, CursorKind, Error, Feed, FieldPath, Ingestion, Instant,
    Metrics, Offset, Order, PageStream, Part, Position, Progress, Pushdown, ReadRequest, Result,
    Settings, TableSpec,
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
    /// Places whose raw text is wanted of every row: the key's, then the order value's, then what
    /// its children need.
    pub(crate) taps: Vec<FieldPath>,
    /// The column of each tap that is a whole column.
    pub(crate) tap_columns: Vec<Option<String>>,
    /// Index into `taps` of the order value.
    pub(crate) order_tap: Option<usize>,
    /// Index into `taps` of the value that the table is split by, where that is not the order's.
    pub(crate) split_tap: Option<usize>,
    /// Options that choose rows, name to value.
    pub(crate) scope: BTreeMap<String, String>,
    /// Where its parents come from, if they are the changed records of another table.
    pub(crate) child_of: Option<ChildOf>,
    /// Its deletes, where both are read as one feed.
    pub(crate) deletes: Option<Arc<Table>>,
    /// Whether no row past the end of a drain may come with it.
    pub(crate) exact: bool,
}

/// The table whose changed records are parents, and the taps of what their children need.
#[derive(Clone)]
pub(crate) struct ChildOf {
    pub(crate) feed: Arc<Table>,
    pub(crate) key_tap: usize,
    /// Column of the children, and the tap of its value.
    pub(crate) column_taps: Vec<(String, usize)>,
}

impl Table {
    pub(crate) fn new(
        source: &'static str,
        name: &str,
        feed: Feed,
        spec: TableSpec,
        connector: Arc<dyn Connector>,
        context: &Context,
    ) -> Result<Self> {
        let Context { settings, clock, metrics, .. } = context.clone();
        spec.schema.validate().map_err(|e| e.table(name))?;
        if feed == Feed::Deletes && spec.deletes.is_none() {
            let changes = settings.flag(changes::OPTION);
            return Err(Error::unsupported(format!(
                "the table has no delete feed: its ingestion type is {}; leave option '{}' out",
                spec.ingestion.name(),
                if changes { changes::OPTION } else { "isDeleteFlow" }
            ))
            .table(name));
        }
        check_allowed_changes(&settings, name)?;
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
            tap_columns: Vec::new(),
            order_tap: None,
            split_tap: None,
            scope,
            child_of: None,
            deletes: None,
            exact: false,
        };
        for key in table.spec.key.clone() {
            table.tap(&key);
        }
        if let Some(field) = table.order().and_then(|o| o.field.clone()) {
            table.order_tap = Some(table.tap(&field));
        }
        let order = table.order().and_then(|o| o.field.as_ref());
        if let Some(by) = table.spec.split_by.clone().filter(|by| Some(&by.field) != order) {
            table.split_tap = Some(table.tap(&by.field));
        }

        Ok(table)
    }

    /// The table, whose feed is that of changes, with its deletes.
    pub(crate) fn with_deletes(mut self, mut deletes: Table) -> Self {
        (self.exact, deletes.exact) = (true, true);
        self.deletes = Some(Arc::new(deletes));

        self
    }

    /// The offset before all rows.
    pub(crate) fn beginning(&self) -> Offset {
        let scope = self.scope.clone();

        Offset { scope, ..Offset::beginning(self.source, &*self.name, self.feed) }
    }

    /// Takes the records of `feed` for parents.
    pub(crate) fn below(
        mut self,
        mut feed: Table,
        key: &FieldPath,
        columns: &[(String, FieldPath)],
    ) -> Self {
        let key_tap = feed.tap(key);
        let column_taps = columns.iter().map(|(name, path)| (name.clone(), feed.tap(path)));
        let column_taps = column_taps.collect();
        self.child_of = Some(ChildOf { feed: Arc::new(feed), key_tap, column_taps });

        self
    }

    /// Wants the value at `field` of every row; its number among the taps.
    pub(crate) fn tap(&mut self, field: &FieldPath) -> usize {
        let mut segments = field.segments();
        let column = segments.next().filter(|_| segments.next().is_none());
        self.tap_columns.push(column.map(str::to_owned));
        self.taps.push(self.spec.schema.place_of(field));

        self.taps.len() - 1
    }

    /// How the chosen feed advances.
    pub(crate) fn progress(&self) -> &Progress {
        match self.feed {
            Feed::Rows | Feed::Changes => &self.spec.rows,
            Feed::Deletes => self.spec.deletes.as_ref().unwrap_or(&Progress::Snapshot),
        }
    }

    pub(crate) fn order(&self) -> Option<&Order> {
        self.progress().order()
    }

    /// Whether a read without a lower bound walks another list, by places.
    pub(crate) fn first_by_place(&self) -> bool {
        self.spec.first_by_place && self.feed != Feed::Deletes
    }

    /// Lists that are read at once.
    pub(crate) fn max_concurrent(&self) -> usize {
        let max = self.settings.integer("maxConcurrentRequests");
        max.and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1)
    }

    /// A stored place of the connector, brought up to date.
    ///
    /// # Errors
    /// [`ErrorKind::OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid) for one of a later
    /// version, or one that the connector cannot bring up to date.
    pub(crate) fn place(&self, version: u32, at: Position) -> Result<Position> {
        let known = self.spec.position_version;
        match version.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(at),
            std::cmp::Ordering::Less => self.connector.upgrade(&self.name, version, at),
            std::cmp::Ordering::Greater => Err(Error::offset_invalid(format!(
                "the checkpoint holds a place of version {version}, this version of the library \
                 knows {known}; use the version that wrote it, or a new checkpoint"
            ))
            .table(self.name.as_str())),
        }
    }

    /// Whether the service is expected to send no row below the lower bound.
    pub(crate) fn filters_by_order(&self) -> bool {
        matches!(self.progress(), Progress::Ascending { .. } | Progress::Windows { .. })
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

    /// A request for all that lies at a place and below parents.
    pub(crate) fn request(&self, at: Option<Position>, parts: Vec<Part>) -> ReadRequest {
        let cap =
            self.settings.integer("max_records_per_batch").and_then(|n| u64::try_from(n).ok());
        ReadRequest {
            table: self.name.clone(),
            options: self.settings.clone(),
            feed: self.feed,
            after: None,
            upto: None,
            within: None,
            at,
            parts,
            page_rows: cap,
            pushed: Pushdown::default(),
        }
    }

    /// Pages of the chosen feed.
    pub(crate) fn read(&self, request: ReadRequest) -> PageStream {
        match self.feed {
            Feed::Rows | Feed::Changes => self.connector.read_table(request),
            Feed::Deletes => self.connector.read_table_deletes(request),
        }
    }

    /// Whether rows have no key and are told apart by how often they occur.
    pub(crate) fn counts_occurrences(&self) -> bool {
        self.spec.ingestion == Ingestion::Append && self.spec.key.is_empty()
    }

    /// By what a delivered row is known again.
    pub(crate) fn row_id(&self, page: &ScannedPage, row: usize, salt: u64) -> u64 {
        let keys = self.spec.key.len();
        if self.spec.ingestion == Ingestion::Append && keys > 0 {
            return hash_taps(page, row, salt, keys);
        }
        if self.spec.volatile {
            return hash_taps(page, row, salt, self.order_tap.map_or(keys, |tap| tap + 1));
        }
        let salt = salt.to_le_bytes();
        let mut parts: Vec<&[u8]> = vec![&salt, page.scan.raw(row)];
        parts.extend(page.records.constant.iter().map(|(_, value)| &**value));
        let per_row = page.records.per_row.iter();
        parts.extend(per_row.filter_map(|(_, values)| values.get(row).map(|v| &**v)));

        hash_bytes(&parts)
    }

    /// Which record a row is a version of; without a key, the row itself.
    pub(crate) fn key_id(&self, page: &ScannedPage, row: usize, salt: u64) -> u64 {
        match self.spec.key.len() {
            0 => self.row_id(page, row, salt),
            keys => hash_taps(page, row, salt, keys),
        }
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
            if self.deletes.is_some() {
                return Err(Error::offset_invalid(
                    "the checkpoint is of the Python connectors and says nothing of deletes; use a \
                     new checkpoint",
                )
                .table(self.name.as_str()));
            }
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

/// Checks that `allowChangedOptions` names options that choose rows of `table`.
fn check_allowed_changes(settings: &Settings, table: &str) -> Result<()> {
    let known: Vec<_> = settings.choosing(table).map(|spec| spec.name).collect();
    let is_known = |name: &String| known.iter().any(|known| known.eq_ignore_ascii_case(name));
    match settings.list("allowChangedOptions").iter().find(|name| !is_known(name)) {
        Some(name) => Err(Error::config(format!(
            "option 'allowChangedOptions' must list options that choose rows ({}), got \"{name}\"",
            known.join(", ")
        ))
        .table(table)),
        None => Ok(()),
    }
}

/// A whole number where instants are expected is a number of seconds since 1970.
fn legacy_instant(cursor: String) -> String {
    match cursor.parse() {
        Ok(seconds) => Instant::from_parts(seconds, 0).to_rfc3339(0),
        Err(_) => cursor,
    }
}

fn hash_taps(page: &ScannedPage, row: usize, salt: u64, taps: usize) -> u64 {
    let salt = salt.to_le_bytes();
    let mut parts: Vec<&[u8]> = vec![&salt];
    parts.extend((0..taps).map(|tap| page.tap(row, tap).unwrap_or(b"null")));

    hash_bytes(&parts)
}

/// An option's value as an offset shows it.
fn shown(value: String) -> String {
    if value.len() <= MAX_SCOPE_VALUE {
        value
    } else {
        format!("#{:016x}", hash_bytes(&[value.as_bytes()]))
    }
}
