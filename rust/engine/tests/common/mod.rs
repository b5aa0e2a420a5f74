//! Plays a list service through the engine, slice by slice, as a door does.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test binary uses a part")]

use bytes::Bytes;
use lakeflow_core::{Instant, ManualClock, MetricsSnapshot, Offset, Options, Result, Source};
use lakeflow_engine::{Engine, SliceRequest, TableStream};
use lakeflow_testkit::kinds::{KINDS, KindsService};
use lakeflow_testkit::list::{LIST, ListService};
use std::collections::HashMap;
use std::sync::Arc;

/// `HH:MM:SS` on the day of all cases.
pub fn at(time: &str) -> String {
    format!("2031-03-01T{time}Z")
}

/// A small generator, so that a failing case is reproduced by its seed alone.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n.max(1)
    }

    pub fn seconds(&mut self, n: u64) -> i64 {
        i64::try_from(self.below(n)).unwrap()
    }

    pub fn pick<T: Clone>(&mut self, of: impl Iterator<Item = T>) -> Option<T> {
        let all: Vec<T> = of.collect();
        all.get(usize::try_from(self.below(all.len() as u64)).unwrap()).cloned()
    }
}

/// What a slice gave.
#[derive(Clone, Debug)]
pub struct Got {
    /// Ids of its rows, in order, separated by blanks.
    pub ids: String,
    /// Its end offset.
    pub offset: String,
    pub warnings: Vec<String>,
}

/// A stream over a service in memory, with the blobs that a slice store would hold.
pub struct Play<S = ListService> {
    pub service: Arc<S>,
    pub engine: Engine,
    options: Options,
    clock: Arc<ManualClock>,
    /// Slices asked for, to name them by.
    slices: u64,
    stream: Option<TableStream>,
    start: String,
    blobs: HashMap<String, Bytes>,
    /// Column `n` of the last slice's rows.
    versions: Vec<i64>,
    /// The last slice.
    pub batches: Vec<arrow::array::RecordBatch>,
    pub single_drain: bool,
    /// Slices that moved the offset without rows.
    pub empty_moves: u64,
}

impl Play {
    pub fn new(name: &str, table: &str) -> Self {
        Self::over(&LIST, ListService::register(name), name, table)
    }

    pub fn log(&self) -> Vec<String> {
        self.service.take_log()
    }
}

impl Play<KindsService> {
    pub fn kinds(name: &str, table: &str) -> Self {
        Self::over(&KINDS, KindsService::register(name), name, table)
    }

    pub fn log(&self) -> Vec<String> {
        self.service.take_log()
    }
}

impl<S> Play<S> {
    fn over(source: &'static Source, service: Arc<S>, name: &str, table: &str) -> Self {
        let clock = Arc::new(ManualClock::new(Instant::parse(&at("12:00:00")).unwrap()));
        let engine = Engine::new(vec![source], clock.clone());
        let options = [("sourceName", source.name), ("tableName", table), ("service", name)];

        Self {
            service,
            engine,
            options: options.into_iter().collect(),
            clock,
            slices: 0,
            stream: None,
            start: "{}".into(),
            blobs: HashMap::new(),
            versions: Vec::new(),
            batches: Vec::new(),
            single_drain: false,
            empty_moves: 0,
        }
    }

    /// Another stream of the same service, with a checkpoint of its own.
    pub fn sibling(&self) -> Self {
        Self {
            service: self.service.clone(),
            engine: self.engine.clone(),
            options: self.options.clone(),
            clock: self.clock.clone(),
            slices: 0,
            stream: None,
            start: "{}".into(),
            blobs: HashMap::new(),
            versions: Vec::new(),
            batches: Vec::new(),
            single_drain: self.single_drain,
            empty_moves: 0,
        }
    }

    /// Sets an option; the stream is opened anew.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.set(name, value);
        self.stream = None;
        self
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    pub fn now(self, time: &str) -> Self {
        self.clock.set(Instant::parse(&at(time)).unwrap());
        self
    }

    pub fn clock(&self) -> Arc<ManualClock> {
        self.clock.clone()
    }

    /// A new process on the same checkpoint.
    pub fn restart(mut self) -> Self {
        self.stream = None;
        self
    }

    /// A new process on a checkpoint whose last logged offset is that of `got`.
    pub fn restart_at(mut self, got: &Got) -> Self {
        self.start.clone_from(&got.offset);
        self.restart()
    }

    /// A new process that finds `offset` in its checkpoint.
    pub fn start_at(mut self, offset: &str) -> Self {
        self.start = offset.to_owned();
        self.restart()
    }

    pub fn start(&self) -> String {
        self.start.clone()
    }

    /// Size of the blob that the last offset names, in bytes.
    pub fn state_bytes(&self) -> usize {
        let offset = Offset::from_text(&self.start).unwrap().unwrap();
        self.blobs[&offset.state.unwrap()].len()
    }

    pub fn forget_state(mut self) -> Self {
        self.blobs.clear();
        self
    }

    /// The clock stands at this second since the epoch.
    pub fn second(self, second: i64) -> Self {
        self.clock.set(Instant::from_parts(second, 0));
        self
    }

    /// Counters of the stream.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.stream.as_ref().unwrap().metrics()
    }

    /// Ids of all rows of a batch read.
    pub async fn batch_ids(&self) -> Vec<String> {
        let mut reader = self.engine.batch(&self.options, None).await.unwrap();
        let mut ids = Vec::new();
        while let Some(batch) = reader.next().await.unwrap() {
            ids.extend(common_ids(&batch));
        }
        ids
    }

    /// The stream, opened if it is not.
    pub async fn stream(&mut self) -> Result<TableStream> {
        if self.stream.is_none() {
            self.stream = Some(self.engine.stream(&self.options).await?);
        }

        Ok(self.stream.clone().unwrap())
    }

    pub async fn slice(&mut self) -> Got {
        self.try_slice().await.unwrap()
    }

    pub async fn try_slice(&mut self) -> Result<Got> {
        let stream = self.stream().await?;
        let state = Offset::from_text(&self.start)?.and_then(|o| o.state);
        self.slices += 1;
        let mut slice = stream.slice(SliceRequest {
            id: format!("slice{}", self.slices),
            start: self.start.clone(),
            state: state.and_then(|hash| self.blobs.get(&hash).cloned()),
            limit: Some(stream.default_limit()),
            single_drain: self.single_drain,
        });
        let mut ids: Vec<String> = Vec::new();
        self.versions.clear();
        self.batches.clear();
        while let Some(batch) = slice.next().await? {
            ids.extend(common_ids(&batch));
            self.versions.extend(versions(&batch));
            self.batches.push(batch);
        }
        let end = slice.end()?;
        assert_eq!(end.rows as usize, ids.len());
        let moved = end.offset != self.start;
        assert!(moved || ids.is_empty(), "rows at an unchanged offset");
        self.empty_moves += u64::from(moved && ids.is_empty());
        if let Some(blob) = end.state {
            self.blobs.insert(blob.hash, blob.bytes);
        }
        self.start.clone_from(&end.offset);

        Ok(Got { ids: ids.join(" "), offset: end.offset, warnings: end.warnings })
    }

    /// Id and version of each row of the next slice.
    pub async fn slice_rows(&mut self) -> Vec<(String, i64)> {
        let got = self.slice().await;
        let ids = got.ids.split(' ').filter(|id| !id.is_empty()).map(str::to_owned);

        ids.zip(self.versions.clone()).collect()
    }

    /// Slices until one is empty; the offset reached.
    pub async fn drain(&mut self) -> String {
        loop {
            let got = self.slice().await;
            if got.ids.is_empty() {
                return got.offset;
            }
        }
    }

    /// Ids of all rows of one drain.
    pub async fn drain_ids(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let got = self.slice().await;
            if got.ids.is_empty() {
                return all;
            }
            all.extend(got.ids.split(' ').map(str::to_owned));
        }
    }

    /// The offset's text, hashes by what they stand for: how many ties, whether there is a state.
    pub fn text(&self, got: &Got) -> String {
        let mut json: serde_json::Value = serde_json::from_str(&got.offset).unwrap();
        let ties = json["ties"].as_array().map_or(0, Vec::len);
        json["ties"] = ties.into();
        json["state"] = json["state"].is_string().into();
        json.as_object_mut().unwrap().remove("salt");
        lakeflow_core::canonical_json(&json)
    }

    /// The offset's text but for the slice's id.
    pub fn without_id(&self, got: &Got) -> String {
        let mut offset = Offset::from_text(&got.offset).unwrap().unwrap();
        offset.slice = None;
        offset.to_text().unwrap()
    }
}

/// Values of the first column.
pub fn common_ids(batch: &arrow::array::RecordBatch) -> Vec<String> {
    use arrow::array::{Array, StringArray};
    let ids = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap();
    (0..ids.len()).map(|i| ids.value(i).to_owned()).collect()
}

fn versions(batch: &arrow::array::RecordBatch) -> Vec<i64> {
    use arrow::array::{Array, Int64Array};
    let n = batch.column(2).as_any().downcast_ref::<Int64Array>().unwrap();
    (0..n.len()).map(|i| n.value(i)).collect()
}
