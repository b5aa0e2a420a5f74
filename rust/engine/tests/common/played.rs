//! Plays a source of the registry against its simulator.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test binary uses a part")]

use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use lakeflow_core::{Error, Offset, Options, Result, SystemClock};
use lakeflow_engine::{Engine, SliceRequest};
use lakeflow_simulator::{Fault, FaultKind, Simulator};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Values of the wanted columns, as text.
pub type Row = Vec<String>;

/// A source with its simulator.
pub struct Played {
    pub simulator: Simulator,
    engine: Engine,
    options: Options,
    source: &'static str,
}

impl Played {
    pub fn new(source: &'static str, simulator: Simulator, options: &[(&str, &str)]) -> Self {
        let engine = Engine::new(lakeflow_connectors::SOURCES.to_vec(), Arc::new(SystemClock));
        let mut all: Options = options.iter().copied().collect();
        all.set("sourceName", source);
        all.set("base_url", simulator.base_url(source));

        Self { simulator, engine, options: all, source }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn options(&self, table: &str, more: &[(&str, &str)]) -> Options {
        let mut options = self.options.clone();
        options.set("tableName", table);
        for (name, value) in more {
            options.set(*name, *value);
        }
        options
    }

    /// Records of a collection.
    pub fn records(&self, collection: &str) -> Vec<Value> {
        self.simulator.records(self.source, collection).unwrap()
    }

    /// The whole table, the wanted columns of it.
    pub async fn batch(&self, options: &Options, columns: &[&str]) -> Result<Vec<Row>> {
        let wanted = columns.iter().map(|c| (*c).to_owned()).collect();
        let mut reader = self.engine.batch(options, Some(wanted)).await?;
        let mut rows = Vec::new();
        while let Some(batch) = reader.next().await? {
            rows.extend(rows_of(&batch, columns));
        }

        Ok(rows)
    }

    pub async fn error(&self, options: &Options) -> Error {
        self.batch(options, &["id"]).await.unwrap_err()
    }

    /// Slices of about `limit` rows from `start` until one is empty, each by a new process if
    /// `restarts`: the rows and the offset reached.
    pub async fn drain(
        &self,
        options: &Options,
        columns: &[&str],
        (start, limit, restarts): (&str, u64, bool),
    ) -> (Vec<Row>, String) {
        let mut stream = self.engine.stream(options).await.unwrap();
        let (mut rows, mut start, mut slices) = (Vec::new(), start.to_owned(), 0);
        let mut blobs: HashMap<String, Bytes> = HashMap::new();
        loop {
            slices += 1;
            let state = Offset::from_text(&start).ok().flatten().and_then(|offset| offset.state);
            let mut slice = stream.slice(SliceRequest {
                id: format!("slice{slices}"),
                start: start.clone(),
                state: state.and_then(|hash| blobs.get(&hash).cloned()),
                limit: Some(limit),
                single_drain: false,
            });
            while let Some(batch) = slice.next().await.unwrap() {
                rows.extend(rows_of(&batch, columns));
            }
            let end = slice.end().unwrap();
            blobs.extend(end.state.map(|blob| (blob.hash, blob.bytes)));
            if end.rows == 0 {
                return (rows, end.offset);
            }
            start = end.offset;
            if restarts {
                stream = self.engine.stream(options).await.unwrap();
            }
        }
    }

    /// Path and query of each request since the last call.
    pub fn asked(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let asked = self.simulator.requests();
        self.simulator.clear_requests();

        asked.iter().map(|r| (r.path.clone(), r.query.iter().cloned().collect())).collect()
    }
}

fn rows_of(batch: &arrow::array::RecordBatch, columns: &[&str]) -> Vec<Row> {
    let column = |name: &&str| batch.column_by_name(name).unwrap();
    let cell =
        |row: usize| move |name: &&str| array_value_to_string(column(name).as_ref(), row).unwrap();

    (0..batch.num_rows()).map(|row| columns.iter().map(cell(row)).collect()).collect()
}

pub fn status(code: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    Fault::new(FaultKind::Status {
        code,
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        body: Some(body.to_owned()),
    })
}
