//! A service in memory with a table for each kind of progress that the source
//! [`list`](crate::list) lacks: newest first, by places, by tokens, with values that pages state,
//! below parents, and below parents that change.
//!
//! Tests register a service under a name and read it through the source `kinds` with option
//! `service`.

use crate::kinds_tables::{TABLES, spec};
use async_trait::async_trait;
use futures::stream;
use lakeflow_core::{
    Connector, Context, Cursor, CursorKind, Error, ErrorKind, Feed, Instant, JsonScalar, Latest,
    OptionKind, OptionSpec, Page, PageStream, Part, PartKey, PartStream, Position, ReadRequest,
    Records, Result, Resume, Rows, Settings, Source, TableSpec,
};
use serde_json::{Value, json};
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
    changes: Vec<(String, String, bool)>,
    /// Places before this one are forgotten.
    pub forgotten: i64,
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
        for part in &ask.parts {
            if state.gone.contains(part) || !state.parents.contains_key(part) {
                return Err(Error::new(ErrorKind::ParentGone, format!("no parent '{part}'")));
            }
        }
        let answer = match ask.way {
            Way::Numbered { newest_first, by_time } => {
                Ok(ask.numbered(&state, walked, newest_first, by_time))
            }
            Way::Keyset => Ok(ask.keyset(&state, walked)),
            Way::Export => Ok(ask.export(&state, walked)),
            Way::Token => ask.token(&state, walked),
        };
        let (page, next, ids) = answer?;
        let below = if ask.parts.is_empty() { String::new() } else { ask.parts.join("+") + " " };
        let from = ask.shown(walked);
        lock(&self.log).push(format!("{below}{from} -> {}", ids.join(" ")));

        Ok((page, next))
    }
}

/// How a read is answered.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Pages by number of a sorted list.
    Numbered {
        /// Instead of oldest or lowest first.
        newest_first: bool,
        /// By time and not by id.
        by_time: bool,
    },
    /// By id, after the last id.
    Keyset,
    /// By time, inclusive; pages state where they end.
    Export,
    /// A listing, then changes after a place.
    Token,
}

/// How far a read has come.
#[derive(Clone, Default)]
struct Walked {
    page: usize,
    /// Last id of a listing.
    id: Option<String>,
    /// Place in the changes, or time of an export.
    number: Option<i64>,
}

struct Ask {
    way: Way,
    feed: Feed,
    after: Option<i64>,
    upto: Option<i64>,
    parts: Vec<String>,
    of_parents: bool,
    with_parent: bool,
    per_page: usize,
}

type Answer = (Page, Option<Walked>, Vec<String>);

impl Ask {
    fn shown(&self, walked: &Walked) -> String {
        let number = walked.number.map(|n| n.to_string());
        let place = walked.id.clone().or(number);
        match self.way {
            Way::Numbered { .. } => format!("({},{})", show(self.after), walked.page + 1),
            _ => format!("({})", place.unwrap_or_else(|| "–".to_owned())),
        }
    }

    fn wants(&self, row: &Row) -> bool {
        (self.parts.is_empty() || self.parts.contains(&row.parent))
            && self.after.is_none_or(|after| row.at > after)
            && self.upto.is_none_or(|upto| row.at <= upto)
    }

    fn list<'a>(&self, state: &'a State) -> Vec<(&'a String, &'a Row)> {
        let rows = if self.of_parents { &state.parents } else { &state.rows };
        rows.iter().filter(|(_, row)| self.wants(row)).collect()
    }

    fn page(&self, rows: &[(&String, &Row)], resume: Resume, last: bool) -> Page {
        let each = rows.iter().map(|(id, row)| {
            let mut object = json!({"id": id, "at": time(row.at), "n": row.n, "order": row.at});
            if self.with_parent {
                object["parent"] = Value::from(row.parent.as_str());
            }
            object.to_string().into()
        });
        let records = Records { rows: Rows::Each(each.collect()), ..Records::default() };
        let (upserts, deletes) = match self.feed {
            Feed::Rows => (records, Records::default()),
            Feed::Deletes => (Records::default(), records),
        };

        Page { upserts, deletes, resume, last, server_date: None }
    }

    fn numbered(
        &self,
        state: &State,
        walked: &Walked,
        newest_first: bool,
        by_time: bool,
    ) -> Answer {
        let mut list = self.list(state);
        if by_time {
            list.sort_by_key(|(id, row)| (row.at, *id));
        }
        if newest_first {
            list.reverse();
        }
        let start = walked.page * self.per_page;
        let rows: Vec<_> = list.iter().skip(start).take(self.per_page).copied().collect();
        let last = start + self.per_page >= list.len();
        let next = Walked { page: walked.page + 1, ..Walked::default() };

        (self.page(&rows, Resume::From(None), last), (!last).then_some(next), ids(&rows))
    }

    fn keyset(&self, state: &State, walked: &Walked) -> Answer {
        let mut list = self.list(state);
        list.retain(|(id, _)| walked.id.as_ref().is_none_or(|after| *id > after));
        let rows: Vec<_> = list.iter().take(self.per_page).copied().collect();
        let last = rows.len() == list.len();
        let id = rows.last().map(|(id, _)| (*id).clone()).or_else(|| walked.id.clone());
        let at = Position::default().with("id", JsonScalar::Text(id.clone().unwrap_or_default()));
        let next = Walked { id, ..Walked::default() };

        (self.page(&rows, Resume::At(at), last), (!last).then_some(next), ids(&rows))
    }

    fn export(&self, state: &State, walked: &Walked) -> Answer {
        let start = walked.number.unwrap_or(0);
        let mut list = self.list(state);
        list.retain(|(_, row)| row.at >= start);
        list.sort_by_key(|(id, row)| (row.at, *id));
        list.truncate(self.per_page);
        let end = list.last().map_or(state.export_end.unwrap_or(start), |(_, row)| row.at);
        let last = list.len() < self.per_page;
        let stated = Cursor::parse(CursorKind::EpochSeconds, &end.to_string()).ok();
        let next = Walked { number: Some(end), ..Walked::default() };

        (self.page(&list, Resume::From(stated), last), (!last).then_some(next), ids(&list))
    }

    fn token(&self, state: &State, walked: &Walked) -> Result<Answer> {
        let now = state.now();
        if walked.number.is_some_and(|number| number < state.forgotten) {
            return Err(Error::new(ErrorKind::PositionExpired, "the place is forgotten"));
        }
        let Some(seq) = walked.number.filter(|_| walked.id.is_none()) else {
            let (mut page, mut next, ids) = self.keyset(state, walked);
            let seq = walked.number.unwrap_or(now);
            let mut at = Position::default().with("seq", JsonScalar::Int(seq));
            if let Some(next) = &mut next {
                next.number = Some(seq);
                at = at.with("id", JsonScalar::Text(next.id.clone().unwrap_or_default()));
            }
            page.resume = Resume::At(at);
            return Ok((page, next, ids));
        };
        let from = usize::try_from(seq).unwrap_or(usize::MAX);
        let changes: Vec<_> = state.changes.iter().skip(from).take(self.per_page).collect();
        let reached = seq + i64::try_from(changes.len()).unwrap_or(0);
        let gone = Row { parent: String::new(), at: 0, n: -1 };
        let rows: Vec<_> = changes
            .into_iter()
            .filter(|(_, parent, _)| self.parts.is_empty() || self.parts.contains(parent))
            .filter(|(id, _, deleted)| match self.feed {
                Feed::Rows => !*deleted && state.rows.contains_key(id),
                Feed::Deletes => *deleted,
            })
            .map(|(id, _, _)| (id, state.rows.get(id).unwrap_or(&gone)))
            .collect();
        let at = Position::default().with("seq", JsonScalar::Int(reached));
        let next = Walked { number: Some(reached), ..Walked::default() };
        let last = reached >= now;

        Ok((self.page(&rows, Resume::At(at), last), (!last).then_some(next), ids(&rows)))
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
            "descending" | "below_descending" => {
                Way::Numbered { newest_first: true, by_time: true }
            }
            "places" | "below_places" => Way::Keyset,
            "first_by_place" if after.is_none() => Way::Keyset,
            "token" | "below_token" => Way::Token,
            "export" | "stated_export" => Way::Export,
            "below_rows" | "first_by_place" | "parents" => {
                Way::Numbered { newest_first: false, by_time: true }
            }
            _ => Way::Numbered { newest_first: false, by_time: false },
        };
        let unbounded = matches!(way, Way::Keyset | Way::Export | Way::Token)
            || matches!(way, Way::Numbered { newest_first: true, .. });
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
            feed: read.feed,
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
            yield_once().await;
            let (page, next) = service.answer(&ask, &walked)?;
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
        if read.feed == Feed::Rows {
            return Err(Error::unsupported("the feed begins with a listing"));
        }
        let now = self.0.edit(|state| state.now());

        Ok(Latest::At(Position::default().with("seq", JsonScalar::Int(now))))
    }

    fn parts(&self, _read: ReadRequest) -> PartStream {
        let parents: Vec<String> = self.0.edit(|state| state.parents.keys().cloned().collect());
        let part = |key: String| {
            let columns = vec![("parent".to_owned(), Value::from(&*key).to_string().into())];
            Ok(Part { key: PartKey(key), columns, order: None, weight: 1 })
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

fn ids(rows: &[(&String, &Row)]) -> Vec<String> {
    rows.iter().map(|(id, _)| (*id).clone()).collect()
}

fn show(after: Option<i64>) -> String {
    after.map_or("–".to_owned(), |after| time(after + 1)[11..19].to_owned())
}

/// RFC 3339 of a time of the service.
pub fn time(seconds: i64) -> String {
    Instant::from_parts(seconds, 0).to_rfc3339(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
