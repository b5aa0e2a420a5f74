//! A stream whose slices lie in a store, over a service in memory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use arrow::array::AsArray;
use bytes::Bytes;
use lakeflow_core::{ErrorKind, Instant, ManualClock, Options, Result, TableSchema};
use lakeflow_door::{Mapping, Part, StoredBatches, StoredStream};
use lakeflow_engine::Engine;
use lakeflow_testkit::list::{LIST, ListService};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// A service of twelve rows, of which pages hold three: the first slice of six and more has seven.
struct Play {
    service: Arc<ListService>,
    engine: Engine,
    options: Options,
}

impl Play {
    fn new(name: &str) -> Self {
        let service = ListService::register(name);
        for n in 0..12 {
            let at = format!("2031-03-01T10:00:{n:02}Z");
            service.upsert(&format!("r{n:02}"), Some(&at), n);
        }
        let now = Instant::parse("2031-03-01T12:00:00Z").unwrap();
        let options = [
            ("sourceName", "list"),
            ("tableName", "rows"),
            ("service", name),
            ("per_page", "3"),
            ("prefetch", "false"),
        ];

        Self {
            service,
            engine: Engine::new(vec![&LIST], Arc::new(ManualClock::new(now))),
            options: options.into_iter().collect(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.options.set(name, value);
        self
    }

    fn open(&self, store: Option<&Path>, wanted: Option<TableSchema>) -> Result<StoredStream> {
        StoredStream::open(&self.engine, self.options.clone(), store, wanted, &go_on)
    }
}

fn go_on() -> Result<()> {
    Ok(())
}

fn latest(stream: &StoredStream, start: &str) -> String {
    stream.latest(start, Some(6), true, &go_on).unwrap().offset
}

fn wanted() -> TableSchema {
    let column = |name: &str, kind: &str| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
    let fields = json!([column("id", "string"), column("n", "long")]);

    TableSchema::from_spark_json(&json!({"type": "struct", "fields": fields})).unwrap()
}

/// Ids of a batch's rows, as tasks read them from what they are sent.
fn rows(stream: &StoredStream, start: &str, end: &str) -> Vec<String> {
    let parts = stream.parts(start, end, 2, &go_on).unwrap();
    let mut ids = Vec::new();
    for part in parts {
        let sent = Part::from_bytes(&Bytes::from(part.to_bytes().unwrap())).unwrap();
        assert_eq!(sent, part);
        let mut batches = StoredBatches::open(sent, Mapping::to(&wanted()).unwrap()).unwrap();
        while let Some(batch) = batches.next_batch().unwrap() {
            ids.extend(batch.column(0).as_string::<i32>().iter().map(|id| id.unwrap().to_owned()));
        }
    }
    ids
}

fn ids(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("r{n:02}")).collect()
}

#[test]
fn a_store_that_lasts_serves_a_logged_batch_to_the_next_process() {
    let play = Play::new("door-lasting");
    let folder = tempfile::tempdir().unwrap();
    let stream = play.open(Some(folder.path()), None).unwrap();
    let first = latest(&stream, "{}");
    let second = latest(&stream, &first);
    drop(stream);
    play.service.take_log();

    let stream = play.open(Some(folder.path()), None).unwrap();
    assert_eq!(rows(&stream, &first, &second), ids(7..12));
    assert_eq!(play.service.take_log(), Vec::<String>::new());
    assert_eq!(rows(&stream, &second, &second), Vec::<String>::new());
    stream.commit(&second).unwrap();
    assert_eq!(latest(&stream, &second), second);
    assert_eq!(std::fs::read_dir(folder.path().join("slices")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(folder.path().join("state")).unwrap().count(), 0);
}

#[test]
fn a_slice_that_is_gone_from_a_store_ends_the_stream_unless_that_is_allowed() {
    let play = Play::new("door-gone");
    let folder = tempfile::tempdir().unwrap();
    let first = latest(&play.open(Some(folder.path()), None).unwrap(), "{}");
    for slice in std::fs::read_dir(folder.path().join("slices")).unwrap() {
        std::fs::remove_file(slice.unwrap().path()).unwrap();
    }

    let stream = play.open(Some(folder.path()), None).unwrap();
    let error = stream.parts("{}", &first, 2, &go_on).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OffsetInvalid);
    assert_eq!(
        error.to_string(),
        "a slice of list.rows that the checkpoint names is not in the slice store; restore it, start \
         with a new checkpoint, or set option 'failOnDataLoss' to false to read again from the start \
         of the batch, which may repeat rows"
    );

    let stream = play.with("failOnDataLoss", "false").open(Some(folder.path()), None).unwrap();
    assert_eq!(rows(&stream, "{}", &first), ids(0..9));
}

#[test]
fn a_slice_that_is_damaged_says_how_to_go_on() {
    let play = Play::new("door-damaged");
    let folder = tempfile::tempdir().unwrap();
    let stream = play.open(Some(folder.path()), None).unwrap();
    let first = latest(&stream, "{}");
    let slice = std::fs::read_dir(folder.path().join("slices")).unwrap().next().unwrap();
    let path = slice.unwrap().path();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let part = stream.parts("{}", &first, 1, &go_on).unwrap().remove(0);
    let mut batches = StoredBatches::open(part, Mapping::to(&wanted()).unwrap()).unwrap();
    let error = std::iter::from_fn(|| batches.next_batch().transpose()).find_map(Result::err);
    let error = error.unwrap().to_string();
    let remedy = "restore the file, or remove it and set option 'failOnDataLoss' to false to read \
                  its batch again";
    assert!(error.starts_with("slice ") && error.ends_with(remedy), "{error}");
}

#[test]
fn without_a_store_rows_travel_with_the_tasks_and_a_new_process_reads_them_again() {
    let play = Play::new("door-carried");
    let stream = play.open(None, None).unwrap();
    let first = latest(&stream, "{}");
    play.service.take_log();
    assert_eq!(rows(&stream, "{}", &first), ids(0..7));
    assert_eq!(play.service.take_log(), Vec::<String>::new());
    drop(stream);

    // It ends with the page that holds the end of the batch, so with rows that will come again.
    play.service.upsert("new", Some("2031-03-01T11:00:00Z"), 0);
    let stream = play.open(None, None).unwrap();
    assert_eq!(rows(&stream, "{}", &first), ids(0..9));
    let asked = play.service.take_log();
    assert_eq!(rows(&stream, "{}", &first), ids(0..9));
    assert!(!asked.is_empty() && play.service.take_log().is_empty(), "{asked:?}");
    let second = latest(&stream, &first);
    assert_eq!(rows(&stream, &first, &second), [ids(7..12), vec!["new".to_owned()]].concat());
}

#[test]
fn rows_that_were_stored_otherwise_are_refused_where_they_do_not_fit() {
    let play = Play::new("door-schema");
    let folder = tempfile::tempdir().unwrap();
    let first = latest(&play.open(Some(folder.path()), None).unwrap(), "{}");
    let mut other = wanted();
    other.columns[1].data_type = lakeflow_core::DataType::Boolean;

    let stream = play.open(Some(folder.path()), Some(other)).unwrap();
    let error = stream.parts("{}", &first, 2, &go_on).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataInvalid);
    assert_eq!(
        error.to_string(),
        "rows of list.rows were stored with another schema: column 'n' is bigint and is wanted as \
         boolean; restore the schema for one run, or start with a new checkpoint"
    );
}

#[test]
fn an_offset_of_another_stream_is_refused() {
    let play = Play::new("door-foreign");
    let first = latest(&play.open(None, None).unwrap(), "{}");
    let stream = play.with("repo", "other").open(None, None).unwrap();

    let error = stream.parts("{}", &first, 2, &go_on).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OffsetInvalid);
}
