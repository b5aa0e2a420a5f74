//! A service in memory with a table for each kind of progress that the source
//! [`list`](crate::list) lacks: newest first, by places, by tokens, with values that pages state,
//! below parents, and below parents that change.
//!
//! Tests register a service under a name and read it through the source `kinds` with option
//! `service`.

use crate::kinds_answers::{Ask, Walked, Way};
use crate::kinds_tables::{TABLES, spec};
use async_trait::async_trait;
use futures::stream;
use lakeflow_core::{
    Connector, Context, Cursor, CursorKind, Error, ErrorKind, Feed, Instant, JsonScalar, Latest,
    OptionKind, OptionSpec, Page, PageStream, Part, PartKey, PartStream, Position, ReadRequest,
    Result, Settings, Source, TableSpec,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

/// The source `kinds`.
pub static KINDS: Source = Source {
    name: "kinds",
    connection_options: &[OptionSpec::new(
        "service",
        OptionKind::Text,
        "Name of a registered service.",
    )
    .required()],
    kit_options: &[],
    table_options: &[
        OptionSpec::new("per_page", OptionKind::Integer { min: 1, max: 1000 }, "Page size.")
            .default("100"),
        OptionSpec::new("lookback_seconds", OptionKind::Integer { min: 0, max: 9999 }, "Lookback.")
            .default("0"),
        OptionSpec::new("settle_seconds", OptionKind::Integer { min: 0, max: 3600 }, "Settle.")
            .default("0"),
        OptionSpec::new("per_request", OptionKind::Integer { min: 1, max: 50 }, "Parents at once.")
            .default("1"),
        OptionSpec::new("position_version", OptionKind::Integer { min: 1, max: 9 }, "Version.")
            .default("1"),
    ],
    build,
};

static SERVICES: LazyLock<Mutex<BTreeMap<String, Arc<KindsService>>>> =
    LazyLock::new(Mutex::default);

/// A record: seconds since the epoch of its last change, and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Id of the record it lies below.
    pub parent: String,
    /// Last change.
    pub at: i64,
    /// Version.
    pub n: i64,
}

/// What the service holds.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Records by id.
    pub rows: BTreeMap<String, Row>,
    /// Parents by id.
    pub parents: BTreeMap<String, Row>,
    /// Parents that are listed but answer that they are gone.
    pub gone: BTreeSet<String>,
    /// Every change: id, parent, whether it was a delete.
    pub(crate) changes: Vec<(String, String, bool)>,
    /// Places before this one are forgotten.
    pub forgotten: i64,
    /// Requests for a further page of a listing that are answered by: the place is gone.
    pub expired: u32,
    /// What the export states as its end where it has no rows.
    pub export_end: Option<i64>,
}

impl State {
    /// Adds or changes a record.
    pub fn upsert(&mut self, id: &str, parent: &str, at: i64, n: i64) {
        self.changes.push((id.to_owned(), parent.to_owned(), false));
        self.rows.insert(id.to_owned(), Row { parent: parent.to_owned(), at, n });
    }

    /// Removes a record.
    pub fn remove(&mut self, id: &str) {
        if let Some(row) = self.rows.remove(id) {
            self.changes.push((id.to_owned(), row.parent, true));
        }
    }

    /// Adds or changes a parent.
    pub fn upsert_parent(&mut self, id: &str, at: i64, n: i64) {
        self.parents.insert(id.to_owned(), Row { parent: String::new(), at, n });
    }

    /// Number of changes so far: the place of now.
    pub fn now(&self) -> i64 {
        i64::try_from(self.changes.len()).unwrap_or(i64::MAX)
    }
}

type Hook = Box<dyn Fn(usize, &mut State) + Send + Sync>;

/// Records, and what was asked of them.
#[derive(Default)]
pub struct KindsService {
    state: Mutex<State>,
    log: Mutex<Vec<String>>,
    requests: Mutex<usize>,
    hook: Mutex<Option<Hook>>,
    /// Requests being answered, and the most there were at once.
    in_flight: Mutex<(usize, usize)>,
}

/// A request under way; ended when it is dropped.
struct InFlight<'a>(&'a KindsService);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(&self.0.in_flight).0 -= 1;
    }
}

impl KindsService {
    /// Registers an empty service under `name`.
    pub fn register(name: &str) -> Arc<Self> {
        let service = Arc::new(Self::default());
        lock(&SERVICES).insert(name.to_owned(), service.clone());
        service
    }

    /// Looks at the records, or changes them.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut lock(&self.state))
    }

    /// Calls `hook(number of the request, state)` before each request is answered.
    pub fn before_request(&self, hook: impl Fn(usize, &mut State) + Send + Sync + 'static) {
        *lock(&self.hook) = Some(Box::new(hook));
    }

    /// Requests since the last call, each as `what asked for -> ids`.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.log))
    }

    /// The most requests there were at once since the last call.
    pub fn take_most_in_flight(&self) -> usize {
        std::mem::take(&mut lock(&self.in_flight).1)
    }

    fn begin_request(&self) -> InFlight<'_> {
        let mut in_flight = lock(&self.in_flight);
        in_flight.0 += 1;
        in_flight.1 = in_flight.1.max(in_flight.0);
        InFlight(self)
    }

    /// The page that a read asks for, and from where it goes on.
    fn answer(&self, ask: &Ask, walked: &Walked) -> Result<(Page, Option<Walked>)> {
        let mut state = lock(&self.state);
        let number = {
            let mut requests = lock(&self.requests);
            *requests += 1;
            *requests
        };
        if let Some(hook) = &*lock(&self.hook) {
            hook(number, &mut state);
        }
        if walked.id.is_some() && state.expired > 0 {
            state.expired -= 1;
            return Err(Error::new(ErrorKind::PositionExpired, "the place is gone"));
        }
        for part in &ask.parts {
            if state.gone.contains(part) || !state.parents.contains_key(part) {
                return Err(Error::new(ErrorKind::ParentGone, format!("no parent '{part}'")));
            }
        }
        let (page, next, ids) = ask.answer(&state, walked)?;
        let below = if ask.parts.is_empty() { String::new() } else { ask.parts.join("+") + " " };
        let from = ask.shown(walked);
        lock(&self.log).push(format!("{below}{from} -> {}", ids.join(" ")));

        Ok((page, next))
    }
}

struct Kinds(Arc<KindsService>);

fn build(context: &Context) -> Result<Arc<dyn Connector>> {
    let name = context.settings.text("service")?;
    let service = lock(&SERVICES).get(name).cloned();

    Ok(Arc::new(Kinds(service.ok_or_else(|| Error::config(format!("no service '{name}'")))?)))
}

#[async_trait]
impl Connector for Kinds {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(TABLES.iter().map(|t| (*t).to_owned()).collect())
    }

    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec> {
        spec(table, options)
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        let service = self.0.clone();
        let seconds = |cursor: &Option<Cursor>| {
            let cursor = cursor.as_ref()?;
            cursor.instant().map(Instant::seconds).or_else(|| cursor.raw().parse().ok())
        };
        let after = seconds(&read.after);
        let way = match &*read.table {
            "with_deletes" if read.feed == Feed::Deletes => Way::Token,
            "descending" | "append_descending" | "below_descending" => {
                Way::Numbered { newest_first: true, by_time: true }
            }
            "places" | "append_places" | "below_places" => Way::Keyset,
            "first_by_place" if after.is_none() => Way::Keyset,
            "token" | "ordered_token" | "below_token" => Way::Token,
            "export" | "stated_export" => Way::Export,
            "below_rows" | "first_by_place" | "parents" | "with_deletes" => {
                Way::Numbered { newest_first: false, by_time: true }
            }
            _ => Way::Numbered { newest_first: false, by_time: false },
        };
        let unbounded = match way {
            Way::Keyset | Way::Export => true,
            Way::Token => read.table != "ordered_token",
            Way::Numbered { newest_first, .. } => newest_first,
        };
        let at = read.at.as_ref();
        let mut walked = Walked {
            page: 0,
            id: at.and_then(|at| at.text("id")).map(str::to_owned),
            number: at.and_then(|at| at.integer("seq")),
        };
        if matches!(way, Way::Export) {
            walked.number = after.map(|after| after + 1);
        }
        let per_page = read.options.integer("per_page").unwrap_or(100);
        let several = read.options.integer("per_request").unwrap_or(1) > 1;
        let ask = Ask {
            way,
            after: after.filter(|_| !unbounded),
            upto: seconds(&read.upto).filter(|_| !unbounded),
            parts: read.parts.iter().map(|part| part.key.0.clone()).collect(),
            of_parents: read.table == "parents",
            with_parent: several || read.parts.is_empty(),
            per_page: usize::try_from(per_page).unwrap_or(1),
        };
        let start = (service, ask, Some(walked));
        PageStream::new(stream::try_unfold(start, |(service, ask, walked)| async move {
            let Some(walked) = walked else { return Ok(None) };
            let in_flight = service.begin_request();
            yield_once().await;
            let answer = service.answer(&ask, &walked);
            drop(in_flight);
            let (page, next) = answer?;
            Ok(Some((page, (service, ask, next))))
        }))
    }

    fn read_table_deletes(&self, read: ReadRequest) -> PageStream {
        self.read_table(read)
    }

    async fn oldest(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        let parts: Vec<&str> = read.parts.iter().map(|part| &*part.key.0).collect();
        let below = |row: &&Row| parts.is_empty() || parts.contains(&&*row.parent);
        let oldest = self.0.edit(|state| state.rows.values().filter(below).map(|r| r.at).min());

        oldest.map(|at| Cursor::parse(CursorKind::Instant, &time(at))).transpose()
    }

    async fn latest(&self, read: &ReadRequest) -> Result<Latest> {
        if read.table == "latest" {
            let latest = self.0.edit(|state| state.rows.values().map(|row| row.at).max());
            let latest = time(latest.unwrap_or(0));
            return Cursor::parse(CursorKind::Instant, &latest).map(Latest::Value);
        }
        if read.feed != Feed::Deletes {
            return Err(Error::unsupported("the feed begins with a listing"));
        }
        let now = self.0.edit(|state| state.now());

        Ok(Latest::At(Position::default().with("seq", JsonScalar::Int(now))))
    }

    fn parts(&self, _read: ReadRequest) -> PartStream {
        let parents: Vec<String> = self.0.edit(|state| state.parents.keys().cloned().collect());
        let part = |key: String| {
            let columns = vec![("parent".to_owned(), Value::from(&*key).to_string().into())];
            Ok(Part { key: PartKey(key), columns })
        };

        PartStream::new(stream::iter(parents.into_iter().map(part)))
    }

    fn upgrade(&self, table: &str, from: u32, at: Position) -> Result<Position> {
        match from {
            1 => Ok(at),
            _ => Err(Error::offset_invalid("a place of an unknown version").table(table)),
        }
    }
}

/// Lets other reads go first, as a request over a network would.
async fn yield_once() {
    let mut yielded = false;
    futures::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// RFC 3339 of a time of the service.
pub fn time(seconds: i64) -> String {
    Instant::from_parts(seconds, 0).to_rfc3339(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
