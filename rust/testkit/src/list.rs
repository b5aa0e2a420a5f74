//! A service in memory that lists records page by page: sorted by their order value, or by id for
//! the table that is read in one pass.
//!
//! It behaves as paged REST lists do: a page number is a slice of the list as it is at that moment,
//! so a record that changes moves to the end and all others move up. Tests register a service under
//! a name and read it through the source `list` with option `service`.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use lakeflow_core::{
    Clock, Column, Connector, Context, Cursor, CursorKind, DataType, Error, Feed, FieldPath,
    Ingestion, Instant, OptionKind, OptionSpec, Order, Page, PageStream, Progress, ReadRequest,
    Records, Result, Settings, Source, SplitBy, Step, TableSchema, TableSpec, Until, Within,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

/// The source `list`.
pub static LIST: Source = Source {
    name: "list",
    connection_options: &[
        OptionSpec::new("service", OptionKind::Text, "Name of a registered service.").required(),
        OptionSpec::new("host", OptionKind::Text, "Stands for a host.").identity(),
    ],
    kit_options: &[],
    table_options: &[
        OptionSpec::new("repo", OptionKind::Text, "Chooses rows.").identity(),
        OptionSpec::new("per_page", OptionKind::Integer { min: 1, max: 1000 }, "Page size.")
            .default("100"),
        OptionSpec::new(
            "lookback_seconds",
            OptionKind::Integer { min: 0, max: i64::MAX },
            "Lookback.",
        )
        .default("0"),
        OptionSpec::new("settle_seconds", OptionKind::Integer { min: 0, max: 3600 }, "Settle.")
            .default("0"),
        OptionSpec::new(
            "window_seconds",
            OptionKind::Integer { min: 1, max: i64::MAX },
            "First window of the window tables.",
        )
        .default("3600"),
    ],
    build,
};

static SERVICES: LazyLock<Mutex<BTreeMap<String, Arc<ListService>>>> =
    LazyLock::new(Mutex::default);

type Hook = Box<dyn Fn(usize, &mut Vec<Value>) + Send + Sync>;

/// Records and what was asked of them.
pub struct ListService {
    rows: Mutex<Vec<Value>>,
    log: Mutex<Vec<String>>,
    requests: AtomicUsize,
    hook: Mutex<Option<Hook>>,
    clock: Mutex<Option<Arc<dyn Clock>>>,
    flaw: Option<Flaw>,
}

/// What a service does that no service should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Sends everything, whatever it is asked for.
    IgnoresBounds,
    /// Names a next page after each page; those after the list's end are empty.
    NamesEmptyPages,
    /// Sends the first page whatever page it is asked for, and names a next one.
    RepeatsFirstPage,
}

impl ListService {
    /// Registers an empty service under `name`.
    pub fn register(name: &str) -> Arc<Self> {
        Self::put(name, None)
    }

    /// Registers an empty service that does what no service should.
    pub fn register_with(name: &str, flaw: Flaw) -> Arc<Self> {
        Self::put(name, Some(flaw))
    }

    fn put(name: &str, flaw: Option<Flaw>) -> Arc<Self> {
        let service = Arc::new(Self {
            rows: Mutex::default(),
            log: Mutex::default(),
            requests: AtomicUsize::new(0),
            hook: Mutex::default(),
            clock: Mutex::default(),
            flaw,
        });
        lock(&SERVICES).insert(name.to_owned(), service.clone());
        service
    }

    /// Adds a record `{"id", "at", "n"}`, or changes the one with that id.
    pub fn upsert(&self, id: &str, at: Option<&str>, n: i64) {
        upsert(&mut lock(&self.rows), id, at, n);
    }

    /// Removes a record; the deletes keep its id and time.
    pub fn remove(&self, id: &str, at: &str) {
        remove(&mut lock(&self.rows), id, at);
    }

    /// Adds or changes a record that was created at `created`, which only table `created` shows.
    pub fn create(&self, id: &str, created: Option<&str>, at: &str, n: i64) {
        let row = json!({"id": id, "at": at, "n": n, "created": created});
        put(&mut lock(&self.rows), id, row);
    }

    /// Records in no particular order.
    pub fn rows(&self) -> Vec<Value> {
        lock(&self.rows).iter().filter(|row| !is_deleted(row)).cloned().collect()
    }

    /// Calls `hook(number of the request, records)` before each request is answered.
    pub fn before_request(&self, hook: impl Fn(usize, &mut Vec<Value>) + Send + Sync + 'static) {
        *lock(&self.hook) = Some(Box::new(hook));
    }

    /// Answers carry this clock's time as the service's own.
    pub fn serve_date(&self, clock: Arc<dyn Clock>) {
        *lock(&self.clock) = Some(clock);
    }

    /// Requests since the last call, each as `(since,page) -> ids`, or `(since..upto,page) -> ids`
    /// where there is an upper bound, after `[from..upto]` of the creation where that is bounded; `–`
    /// for no bound.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.log))
    }

    fn lowest(&self, field: &str) -> Result<Option<Cursor>> {
        let rows = lock(&self.rows);
        let lowest =
            rows.iter().filter(|row| !is_deleted(row)).filter_map(|row| row[field].as_str()).min();

        lowest.map(|lowest| Cursor::parse(CursorKind::Instant, lowest)).transpose()
    }

    fn answer(&self, ask: &Ask, page: usize) -> Result<Page> {
        let mut rows = lock(&self.rows);
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(hook) = &*lock(&self.hook) {
            hook(number, &mut rows);
        }
        let mut list: Vec<(Option<Instant>, Value)> = rows
            .iter()
            .filter(|row| is_deleted(row) == ask.deletes)
            .map(|row| (row["at"].as_str().and_then(Instant::parse), row.clone()))
            .filter(|(at, row)| {
                let ignores = self.flaw == Some(Flaw::IgnoresBounds);
                ignores || (ask.wants(*at) && ask.wants_created(row))
            })
            .collect();
        list.sort_by_key(|(at, row)| {
            let at = at.filter(|_| !ask.by_id);
            (at, row["id"].as_str().unwrap_or_default().to_owned())
        });
        let repeats = self.flaw == Some(Flaw::RepeatsFirstPage);
        let start = if repeats { 0 } else { (page - 1) * ask.per_page };
        let rows: Vec<&Value> =
            list.iter().skip(start).take(ask.per_page).map(|(_, r)| r).collect();
        let ids: Vec<&str> = rows.iter().filter_map(|r| r["id"].as_str()).collect();
        let time = |at: Instant| at.to_rfc3339(0)[11..19].to_owned();
        let since = ask.since.map_or("–".to_owned(), time);
        let upto = ask.upto.map_or(String::new(), |upto| format!("..{}", time(upto)));
        let of = if ask.deletes { "deletes " } else { "" }.to_owned() + &ask.shown_within();
        lock(&self.log).push(format!("{of}({since}{upto},{page}) -> {}", ids.join(" ")));
        let body = serde_json::to_vec(&rows).map_err(|e| Error::internal("json").source(e))?;
        let mut answer = Page::of(Records::array(Bytes::from(body)));
        if ask.deletes {
            std::mem::swap(&mut answer.upserts, &mut answer.deletes);
        }
        let endless = matches!(self.flaw, Some(Flaw::NamesEmptyPages | Flaw::RepeatsFirstPage));
        answer.last = !endless && start + ask.per_page >= list.len();
        answer.server_date = lock(&self.clock).as_ref().map(|c| c.now());

        Ok(answer)
    }
}

/// Adds or changes a record in a list, for hooks.
pub fn upsert(rows: &mut Vec<Value>, id: &str, at: Option<&str>, n: i64) {
    put(rows, id, json!({"id": id, "at": at, "n": n}));
}

fn put(rows: &mut Vec<Value>, id: &str, mut row: Value) {
    match rows.iter_mut().find(|r| r["id"] == id && !is_deleted(r)) {
        Some(old) => {
            if let Some(created) = old.get("created") {
                row["created"] = created.clone();
            }
            *old = row;
        }
        None => rows.push(row),
    }
}

/// Replaces a record by its tombstone, for hooks.
pub fn remove(rows: &mut Vec<Value>, id: &str, at: &str) {
    rows.retain(|row| row["id"] != id || is_deleted(row));
    rows.push(json!({"id": id, "at": at, "deleted": true}));
}

/// Whether a record is a tombstone.
pub fn is_deleted(row: &Value) -> bool {
    row["deleted"] == true
}

struct Ask {
    since: Option<Instant>,
    upto: Option<Instant>,
    within: Option<Within>,
    per_page: usize,
    by_id: bool,
    deletes: bool,
}

impl Ask {
    fn wants_created(&self, row: &Value) -> bool {
        let created = row["created"].as_str().and_then(Instant::parse);
        let bound = |bound: &Option<Cursor>| bound.as_ref().and_then(Cursor::instant);
        match &self.within {
            None => true,
            Some(Within::Null) => created.is_none(),
            Some(Within::Range { from, upto }) => created.is_some_and(|created| {
                bound(from).is_none_or(|from| created >= from)
                    && bound(upto).is_none_or(|upto| created <= upto)
            }),
        }
    }

    fn shown_within(&self) -> String {
        let time = |bound: &Option<Cursor>| {
            bound.as_ref().map_or("–".to_owned(), |bound| bound.raw()[11..19].to_owned())
        };
        match &self.within {
            None => String::new(),
            Some(Within::Null) => "[null]".to_owned(),
            Some(Within::Range { from, upto }) => format!("[{}..{}]", time(from), time(upto)),
        }
    }

    fn wants(&self, at: Option<Instant>) -> bool {
        let Some(at) = at else {
            return self.since.is_none() && self.upto.is_none();
        };
        self.since.is_none_or(|since| at >= since) && self.upto.is_none_or(|upto| at <= upto)
    }
}

struct ListConnector(Arc<ListService>);

fn build(context: &Context) -> Result<Arc<dyn Connector>> {
    let name = context.settings.text("service")?;
    let service = lock(&SERVICES).get(name).cloned();
    let service = service.ok_or_else(|| Error::config(format!("no service '{name}'")))?;

    Ok(Arc::new(ListConnector(service)))
}

/// `rows`: cdc by id; `events`: append without a key; `keyed`: append by id; `windows` and
/// `sorted_windows`: cdc by windows; `event_windows`: append by windows; `pass`: cdc in one pass; `all`: a snapshot; `changing`: cdc with
/// deletes by id, `archiving`: by windows, with deletes in one pass; `created`: as `rows`,
/// split by the creation.
const TABLES: &[&str] = &[
    "rows",
    "events",
    "keyed",
    "windows",
    "sorted_windows",
    "event_windows",
    "pass",
    "all",
    "changing",
    "archiving",
    "created",
];

#[async_trait]
impl Connector for ListConnector {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(TABLES.iter().map(|t| (*t).to_owned()).collect())
    }

    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec> {
        let seconds = |name| Duration::from_secs(options.integer(name).unwrap_or(0).unsigned_abs());
        let order = Order {
            field: Some(FieldPath::field("at")),
            kind: CursorKind::Instant,
            step: Step::SECOND,
            until: Until::Clock { settle: seconds("settle_seconds") },
            lookback: seconds("lookback_seconds"),
        };
        let window = seconds("window_seconds");
        let windows = |order, sorted| Progress::Windows { order, window, sorted };
        let ascending = |order| Progress::Ascending { order, restart_pages: 1 };
        let (ingestion, key, progress): (_, &[&str], _) = match table {
            "rows" | "created" => (Ingestion::Cdc, &["id"], ascending(order)),
            "events" => (Ingestion::Append, &[], ascending(order)),
            "keyed" => (Ingestion::Append, &["id"], ascending(order)),
            "windows" => (Ingestion::Cdc, &["id"], windows(order, false)),
            "sorted_windows" => (Ingestion::Cdc, &["id"], windows(order, true)),
            "event_windows" => (Ingestion::Append, &["id"], windows(order, true)),
            "pass" => (Ingestion::Cdc, &["id"], Progress::OnePass { order }),
            "all" => (Ingestion::Snapshot, &["id"], Progress::Snapshot),
            "changing" => (Ingestion::CdcWithDeletes, &["id"], ascending(order)),
            "archiving" => (Ingestion::CdcWithDeletes, &["id"], windows(order, false)),
            _ => return Err(Error::table_not_found(table, TABLES)),
        };
        let mut columns = vec![
            Column::new("id", DataType::String).required(),
            Column::new("at", DataType::String),
            Column::new("n", DataType::Long),
        ];
        let created = table == "created";
        if created {
            columns.push(Column::new("created", DataType::String));
        }
        let mut spec = TableSpec::new(TableSchema::new(columns), ingestion, key, progress);
        let splits = created || ingestion == Ingestion::Append;
        spec.split_by = splits.then(|| SplitBy {
            field: FieldPath::field(if created { "created" } else { "at" }),
            kind: CursorKind::Instant,
            step: Step::SECOND,
            nullable: created,
        });
        let order = Order { lookback: Duration::ZERO, ..Order::instants("at", Step::SECOND) };
        spec.deletes = match table {
            "changing" => Some(ascending(order)),
            "archiving" => Some(Progress::OnePass { order }),
            _ => None,
        };

        Ok(spec)
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        let instant = |c: &Option<Cursor>| c.as_ref().and_then(|c| c.instant());
        let deletes = read.feed == Feed::Deletes;
        let by_id = read.table == "pass" || (read.table == "archiving" && deletes);
        let windows = read.table.ends_with("windows") || read.table == "archiving";
        let ask = Ask {
            since: instant(&read.after).filter(|_| !by_id).map(|i| i.plus_nanos(1_000_000_000)),
            upto: instant(&read.upto).filter(|_| windows && !deletes),
            within: read.within,
            per_page: usize::try_from(read.options.integer("per_page").unwrap_or(100)).unwrap_or(1),
            by_id,
            deletes,
        };
        let service = self.0.clone();
        PageStream::new(stream::try_unfold((service, ask, 1), |(service, ask, page)| async move {
            if page == 0 {
                return Ok(None);
            }
            let answer = service.answer(&ask, page)?;
            let next = if answer.last { 0 } else { page + 1 };
            Ok(Some((answer, (service, ask, next))))
        }))
    }

    fn read_table_deletes(&self, read: ReadRequest) -> PageStream {
        self.read_table(read)
    }

    async fn oldest(&self, _read: &ReadRequest) -> Result<Option<Cursor>> {
        self.0.lowest("at")
    }

    async fn lowest_split(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        let one_page = read.options.integer("per_page").unwrap_or(100).unsigned_abs();
        if lock(&self.0.rows).len() as u64 <= one_page {
            return Ok(None);
        }

        self.0.lowest("created")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
