//! A table on a simulator of its own, read through the engine as a door reads it.

use crate::entry::{Change, Count, Entry, TableCase};
use crate::rows::{Row, rows_of};
use bytes::Bytes;
use lakeflow_core::{
    Clock, Connector, Context, Error, ErrorKind, Instant, ManualClock, Metrics, Offset, Options,
    Result, Settings,
};
use lakeflow_engine::{
    BatchReader, Comparison, Engine, FRAMEWORK_OPTIONS, Filter, PLATFORM_OPTIONS, SliceRequest,
    TableStream,
};
use lakeflow_simulator::{Grow, OAuth, Simulator};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A read or drain of more rows than this does not end.
const MAX_ROWS: usize = 20_000;

/// Slices of one drain.
const MAX_SLICES: usize = 5_000;

/// Requests that a simulator takes before its limit slows anybody down: what its clock, which
/// stands still, would never give back.
const UNLIMITED: u64 = 1_000_000;

/// Time at the start of every check.
pub const START: i64 = 1_930_000_000;

/// Moves the clock far enough that no second is shown twice.
pub const HOUR: i64 = 3_600;

/// A running simulator and the engine that reads one table of it; both live by one clock.
pub struct Bench {
    pub entry: Entry,
    pub case: TableCase,
    /// Of this bench, in its credentials: a simulator may get the port of an earlier one, and what
    /// the kit knows of address and credential must not go over to it.
    number: usize,
    pub simulator: Simulator,
    pub clock: Arc<ManualClock>,
    pub engine: Engine,
}

/// What a drain gave.
#[derive(Debug, Default)]
pub struct Drained {
    pub rows: Vec<Row>,
    /// Offset at each slice's end, with the number of rows up to there.
    pub offsets: Vec<(String, usize)>,
}

/// A stream with its checkpoint: the last offset and the blobs that it may name.
#[derive(Clone)]
pub struct Stream {
    engine: Engine,
    options: Options,
    stream: Option<TableStream>,
    pub offset: String,
    blobs: HashMap<String, Bytes>,
    slices: u64,
    single_drain: bool,
}

impl Bench {
    /// Starts the simulator. Half of the records that can change were changed in one moment, so
    /// that equal cursors lie across pages and slices.
    pub async fn start(entry: Entry, case: TableCase) -> Result<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let canary = |option: &str| canary(option, number);
        let clock = Arc::new(ManualClock::new(Instant::from_parts(START, 0)));
        let mut builder = Simulator::builder().clock(clock.clone()).source(entry.spec);
        builder = builder.rate_limit(entry.spec, UNLIMITED);
        for (collection, rows) in entry.corpus {
            builder = builder.rows(entry.spec, collection, *rows);
        }
        if let [secret] = entry.secrets {
            builder = builder.credential(entry.spec, &canary(secret));
        }
        if entry.renews_tokens {
            let oauth = OAuth {
                client_secret: canary("client_secret"),
                refresh_token: canary("refresh_token"),
                ..OAuth::default()
            };
            builder = builder.oauth_with(entry.spec, oauth);
        }
        let simulator = builder.start().await?;
        let engine = Engine::new(vec![entry.source], clock.clone());
        let bench = Self { entry, case, number, simulator, clock, engine };
        if let Change::Touch(key) = case.change {
            bench.later(HOUR);
            let records = bench.simulator.records(entry.spec, case.collection)?;
            for record in records.iter().step_by(2) {
                bench.touch(&record[key])?;
            }
        }
        bench.later(HOUR);

        Ok(bench)
    }

    /// Moves the clock on.
    pub fn later(&self, seconds: i64) {
        self.clock.set(self.clock.now().plus_nanos(i128::from(seconds) * 1_000_000_000));
    }

    /// Lets a second pass with every request, so that what moves during a walk is newer than what
    /// was listed.
    pub fn tick(&self) {
        let clock = self.clock.clone();
        self.simulator.on_request(move |_, _| {
            clock.set(clock.now().plus_nanos(1_000_000_000));
        });
    }

    /// Options of the table, those of `more` over them.
    pub fn options(&self, more: &[(&str, &str)]) -> Options {
        let address = self.simulator.base_url(self.entry.spec) + self.entry.below;
        let mut options: Options = [
            ("sourceName", self.entry.source.name),
            ("tableName", self.case.name),
            (self.entry.address, address.as_str()),
        ]
        .into_iter()
        .collect();
        for secret in self.entry.secrets {
            options.set(*secret, self.canary(secret));
        }
        for (name, value) in self.entry.options.iter().chain(self.case.options).chain(more) {
            options.set(*name, *value);
        }

        options
    }

    /// The credential that this bench gives for an option.
    pub fn canary(&self, option: &str) -> String {
        canary(option, self.number)
    }

    /// The connector itself.
    pub fn connector(&self) -> Result<Arc<dyn Connector>> {
        (self.entry.source.build)(&self.context()?)
    }

    /// What the connector is built from.
    pub fn context(&self) -> Result<Context> {
        let specs = FRAMEWORK_OPTIONS.iter().chain(self.entry.source.options());
        let settings = Settings::resolve(&self.options(&[]), specs, PLATFORM_OPTIONS)?;

        Ok(Context {
            settings: Arc::new(settings),
            clock: self.clock.clone(),
            metrics: Arc::new(Metrics::default()),
            share: 1.0,
        })
    }

    /// Schema and metadata as a door gets them.
    pub async fn describe(&self) -> Result<serde_json::Value> {
        self.describe_with(&[]).await
    }

    async fn describe_with(&self, more: &[(&str, &str)]) -> Result<serde_json::Value> {
        Ok(self.engine.describe(&self.options(more)).await?.to_json())
    }

    /// The rows that a read gives which wants only those with this value.
    pub async fn read_where(&self, column: &str, value: &str) -> Result<Vec<Row>> {
        let filter = Filter {
            column: column.to_owned(),
            comparison: Comparison::Equal,
            value: value.to_owned(),
        };

        collect(self.engine.batch(&self.options(&[]), None).await?.filter(&[filter])).await
    }

    /// The whole table, or `columns` of it.
    pub async fn read(
        &self,
        more: &[(&str, &str)],
        columns: Option<&[String]>,
    ) -> Result<Vec<Row>> {
        let columns = columns.map(<[String]>::to_vec);
        collect(self.engine.batch(&self.options(more), columns).await?).await
    }

    /// The whole table in so many splits, and how many there are; `None` if it cannot be split, or
    /// its beginning is not known.
    pub async fn read_in_splits(&self, number: &str) -> Result<Option<(Vec<Row>, usize)>> {
        let more = [("numPartitions", number)];
        let plan = async { self.engine.batch(&self.options(&more), None).await?.plan(1).await };
        let splits = match plan.await {
            Err(error) if error.kind() == ErrorKind::ConfigInvalid => return Ok(None),
            splits => splits?,
        };
        let mut rows = Vec::new();
        for split in &splits {
            let reader = self.engine.batch(&self.options(&more), None).await?;
            rows.extend(collect(reader.split(split)?).await?);
        }

        Ok(Some((rows, splits.len())))
    }

    /// A stream of the rows, from the beginning.
    pub fn stream(&self, more: &[(&str, &str)]) -> Stream {
        Stream {
            engine: self.engine.clone(),
            options: self.options(more),
            stream: None,
            offset: "{}".into(),
            blobs: HashMap::new(),
            slices: 0,
            single_drain: false,
        }
    }

    /// A stream of the deletes, from the beginning.
    pub fn deletes(&self) -> Stream {
        self.stream(&[("isDeleteFlow", "true")])
    }

    /// All rows: by a drain, or by a batch read where the table cannot be streamed.
    pub async fn read_as_meant(&self, more: &[(&str, &str)]) -> Result<Vec<Row>> {
        if self.describe_with(more).await?["streamable"] == true {
            Ok(self.stream(more).drain().await?.rows)
        } else {
            self.read(more, None).await
        }
    }

    pub async fn streamable(&self) -> Result<bool> {
        Ok(self.describe().await?["streamable"] == true)
    }

    /// How many records the table must give now.
    pub fn expected(&self) -> Result<usize> {
        let records = || self.simulator.records(self.entry.spec, self.case.collection);
        let now = self.clock.now();

        Ok(match self.case.count {
            Count::All => records()?.len(),
            Count::Until(field) => {
                let past = |r: &serde_json::Value| {
                    r[field].as_str().and_then(Instant::parse).is_some_and(|at| at <= now)
                };
                records()?.iter().filter(|r| past(r)).count()
            }
            Count::Where(accepts) => records()?.iter().filter(|r| accepts(r)).count(),
            Count::By(count) => count(&self.simulator),
        })
    }

    /// Changes three records, or lets three arrive.
    pub fn change(&self) -> Result<()> {
        match self.case.change {
            Change::Touch(key) => {
                let records = self.simulator.records(self.entry.spec, self.case.collection)?;
                records.iter().rev().take(3).try_for_each(|record| self.touch(&record[key]))
            }
            Change::Grow => self
                .simulator
                .with_world(|world| world.grow(self.entry.spec, self.case.collection, 3)),
            Change::By(change) => {
                change(&self.simulator, self.clock.now());
                Ok(())
            }
        }
    }

    /// Lets a page and one row more arrive with every list request.
    pub fn grow(&self) {
        self.simulator.grow(Grow {
            source: self.entry.spec.into(),
            collection: self.case.collection.into(),
            every_requests: 1,
            rows: self.case.page + 1,
        });
    }

    fn touch(&self, key: &serde_json::Value) -> Result<()> {
        let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        self.simulator.with_world(|world| world.touch(self.entry.spec, self.case.collection, key))
    }
}

impl Stream {
    /// One drain only, as AvailableNow does it.
    pub fn single_drain(mut self) -> Self {
        self.single_drain = true;
        self
    }

    /// A new process on the same checkpoint.
    pub fn restart(mut self) -> Self {
        self.stream = None;
        self
    }

    /// A new process that finds `offset` in the checkpoint.
    pub fn restart_at(mut self, offset: &str) -> Self {
        self.offset = offset.to_owned();
        self.restart()
    }

    /// Slices until one moves nothing.
    ///
    /// Fails on a slice that has rows and no new offset. An offset may move without rows once, to
    /// keep the place from which changes are read.
    pub async fn drain(&mut self) -> Result<Drained> {
        let mut drained = Drained::default();
        let mut rowless = 0;
        for _ in 0..MAX_SLICES {
            let before = self.offset.clone();
            let rows = self.slice().await?;
            match (rows.is_empty(), before == self.offset) {
                (true, true) => return Ok(drained),
                (false, true) => return Err(violated("a slice has rows and no new offset")),
                (true, false) => rowless += 1,
                (false, false) => {}
            }
            if rowless > 1 {
                return Err(violated("the offset keeps moving without rows"));
            }
            drained.rows.extend(rows);
            ends(drained.rows.len())?;
            drained.offsets.push((self.offset.clone(), drained.rows.len()));
        }

        Err(violated("the drain does not end"))
    }

    async fn slice(&mut self) -> Result<Vec<Row>> {
        let stream = match &self.stream {
            Some(stream) => stream.clone(),
            None => self.engine.stream(&self.options).await?,
        };
        self.stream = Some(stream.clone());
        self.slices += 1;
        let state = Offset::from_text(&self.offset)?.and_then(|offset| offset.state);
        let mut slice = stream.slice(SliceRequest {
            id: format!("slice{}", self.slices),
            start: self.offset.clone(),
            state: state.and_then(|hash| self.blobs.get(&hash).cloned()),
            limit: Some(stream.default_limit()),
            single_drain: self.single_drain,
        });
        let mut rows = Vec::new();
        while let Some(batch) = slice.next().await? {
            rows.extend(rows_of(&batch)?);
            ends(rows.len())?;
        }
        let end = slice.end()?;
        if let Some(blob) = end.state {
            self.blobs.insert(blob.hash, blob.bytes);
        }
        self.offset = end.offset;

        Ok(rows)
    }
}

fn canary(option: &str, number: usize) -> String {
    format!("canary-{option}-{number}-7f3a91c4")
}

fn ends(rows: usize) -> Result<()> {
    if rows > MAX_ROWS { Err(violated("the read does not end")) } else { Ok(()) }
}

/// A rule that the engine or the connector broke.
fn violated(what: &str) -> Error {
    Error::internal(what)
}

async fn collect(mut reader: BatchReader) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    while let Some(batch) = reader.next().await? {
        rows.extend(rows_of(&batch)?);
        ends(rows.len())?;
    }

    Ok(rows)
}
