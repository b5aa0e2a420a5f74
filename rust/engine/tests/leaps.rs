//! Streams that tasks read as long as they are far behind.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::{Play, common_ids};
use lakeflow_core::{Instant, Options};
use lakeflow_engine::{Engine, Split};
use serde_json::{Value, json};

/// A time so many hours before the clock of the tests, which shows 12:00.
fn ago(hours: i64) -> String {
    let now = Instant::parse("2031-03-01T12:00:00Z").unwrap();
    now.plus_nanos(i128::from(hours) * -3_600_000_000_000).to_rfc3339(0)
}

/// Forty records, one an hour, up to an hour ago.
fn play(name: &str) -> Play {
    play_of(name, "sorted_windows")
}

fn play_of(name: &str, table: &str) -> Play {
    let play = Play::new(name, table).option("lookback_seconds", "3600");
    for n in 0..40 {
        play.service.upsert(&format!("r{n:02}"), Some(&ago(40 - n)), n);
    }

    play.option("streamReads", "executors")
}

async fn ids(engine: &Engine, options: &Options, splits: &[Split]) -> Vec<String> {
    let mut ids = Vec::new();
    for split in splits {
        let mut reader = engine.batch(options, None).await.unwrap().split(split).unwrap();
        while let Some(batch) = reader.next().await.unwrap() {
            ids.extend(common_ids(&batch));
        }
    }

    ids
}

#[tokio::test]
async fn a_stream_that_is_far_behind_is_read_by_tasks_and_the_rest_by_slices() {
    let play = play("behind");
    let stream = play.engine.stream(play.options()).await.unwrap();

    // It ends with a window, an hour before now: that may still change.
    let end = stream.leap("{}", false).await.unwrap().unwrap();
    let mut offset: Value = serde_json::from_str(&end).unwrap();
    offset.as_object_mut().unwrap().remove("salt");
    assert_eq!(
        offset,
        json!({
            "by_split": true, "cursor": "2031-03-01T10:59:59Z", "feed": "rows",
            "seq": 1, "source": "list", "table": "sorted_windows", "v": 1,
        })
    );
    let splits = stream.splits("{}", &end, 2).await.unwrap();
    assert_eq!(splits.len(), 6);
    assert_eq!(stream.splits("{}", &end, 2).await.unwrap(), splits);
    assert_eq!(
        splits[5].to_json(),
        json!({
            "from": "2031-03-01T04:30:00Z", "upto": "2031-03-01T10:59:59Z", "null": false,
            "until": "2031-03-01T10:59:59Z", "at_once": 2,
        })
    );
    let read = ids(&play.engine, play.options(), &splits).await;
    assert_eq!(read, (0..39).map(|n| format!("r{n:02}")).collect::<Vec<_>>());

    // What may have shown late meanwhile comes again, once.
    assert_eq!(stream.leap(&end, false).await.unwrap(), None);
    let mut play = play.start_at(&end);
    assert_eq!(play.drain_ids().await, ["r38", "r39"]);
    assert!(!play.start().contains("by_split"), "{}", play.start());
}

#[tokio::test]
async fn a_later_batch_of_tasks_begins_after_the_first() {
    let play = play("later").option("start_timestamp", &ago(30));
    let stream = play.engine.stream(play.options()).await.unwrap();
    let first = stream.leap("{}", false).await.unwrap().unwrap();
    let play = play.now("23:00:00");
    play.service.upsert("late", Some("2031-03-01T13:00:00Z"), 1);

    let second = stream.leap(&first, false).await.unwrap().unwrap();

    let splits = stream.splits(&first, &second, 1).await.unwrap();
    assert_eq!(splits[0].to_json()["from"], "2031-03-01T11:00:00Z");
    assert_eq!(ids(&play.engine, play.options(), &splits).await, ["r39", "late"]);
    assert_eq!(serde_json::from_str::<Value>(&second).unwrap()["seq"], 2);
    stream.check_range(&first, &second).unwrap();
    stream.check_range(&second, &first).unwrap_err();
}

#[tokio::test]
async fn slices_after_tasks_bring_an_appended_record_once_however_late_it_shows() {
    let play = play_of("append", "event_windows").option("max_records_per_batch", "1");
    let stream = play.engine.stream(play.options()).await.unwrap();
    let end = stream.leap("{}", false).await.unwrap().unwrap();
    let splits = stream.splits("{}", &end, 2).await.unwrap();
    assert_eq!(ids(&play.engine, play.options(), &splits).await.len(), 39);

    let mut play = play.start_at(&end);
    assert_eq!(play.drain_ids().await, ["r39"]);
    play.service.upsert("late", Some("2031-03-01T11:30:00Z"), 1);
    assert_eq!(play.drain_ids().await, ["late"]);

    // Only slices know which late records have come, so slices catch up.
    let play = play.now("23:00:00");
    play.service.upsert("later", Some("2031-03-01T11:40:00Z"), 1);
    let mut play = play.restart();
    let start = play.start();
    assert_eq!(play.stream().await.unwrap().leap(&start, false).await.unwrap(), None);
    assert_eq!(play.drain_ids().await, ["later"]);
}

#[tokio::test]
async fn tasks_that_go_on_from_a_slice_look_back_as_a_slice_does() {
    let mut play = play("back").option("streamReads", "driver");
    play.drain().await;
    let play = play.option("streamReads", "executors").now("23:00:00");
    play.service.upsert("late", Some("2031-03-01T11:30:00Z"), 1);
    play.service.upsert("new", Some("2031-03-01T13:00:00Z"), 1);
    let stream = play.engine.stream(play.options()).await.unwrap();

    let end = stream.leap(&play.start(), false).await.unwrap().unwrap();

    let splits = stream.splits(&play.start(), &end, 1).await.unwrap();
    assert_eq!(splits[0].to_json()["from"], "2031-03-01T11:00:00Z");
    let read = ids(&play.engine, play.options(), &splits).await;
    assert_eq!(read, ["r39", "late", "new"]);
}

#[tokio::test]
async fn tasks_of_a_run_that_ends_by_itself_read_no_further_than_it_began() {
    let mut play = play("run").option("start_timestamp", &ago(30));
    play.single_drain = true;
    let stream = play.stream().await.unwrap();
    let end = stream.leap("{}", true).await.unwrap().unwrap();

    let play = play.now("23:00:00");
    assert_eq!(stream.leap(&end, true).await.unwrap(), None);
    assert!(stream.leap(&end, false).await.unwrap().is_some());
    let next = play.engine.stream(play.options()).await.unwrap();
    assert!(next.leap(&end, true).await.unwrap().is_some(), "the next run goes on");
}

#[tokio::test]
async fn a_stream_that_waits_asks_for_nothing() {
    let mut play = Play::new("waits", "sorted_windows")
        .option("streamReads", "executors")
        .option("minPollInterval", "30s");
    assert_eq!(play.slice().await.ids, "");
    play.log();

    let stream = play.stream().await.unwrap();
    assert_eq!(stream.leap("{}", false).await.unwrap(), None);
    assert_eq!(play.log(), [""; 0]);
}

#[tokio::test]
async fn a_stream_is_sliced_unless_tasks_are_to_read_it_and_it_is_behind() {
    let driver = play("driver").option("streamReads", "driver");
    let stream = driver.engine.stream(driver.options()).await.unwrap();
    assert_eq!(stream.leap("{}", false).await.unwrap(), None);

    let near = play("near").option("start_timestamp", &ago(8));
    let stream = near.engine.stream(near.options()).await.unwrap();
    assert_eq!(stream.leap("{}", false).await.unwrap(), None);

    let empty = Play::new("empty", "windows").option("streamReads", "executors");
    let stream = empty.engine.stream(empty.options()).await.unwrap();
    assert_eq!(stream.leap("{}", false).await.unwrap(), None);

    let deletes = Play::kinds("deletes", "token")
        .option("streamReads", "executors")
        .option("isDeleteFlow", "true");
    let stream = deletes.engine.stream(deletes.options()).await.unwrap();
    assert_eq!(stream.leap("{}", false).await.unwrap(), None);
}

#[tokio::test]
async fn tables_without_windows_say_so_before_the_stream_starts() {
    for table in ["rows", "pass"] {
        let play = Play::new("none", table).option("streamReads", "executors");
        let error = play.engine.stream(play.options()).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "option 'streamReads' cannot be executors for table '{table}': it is not read in \
                 windows of time; leave it out (table: {table})"
            )
        );
    }
    let play = Play::new("wrong", "windows").option("streamReads", "nobody");
    let error = play.engine.stream(play.options()).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "option 'streamReads' must be one of driver, executors, got \"nobody\""
    );
}
