//! How much a micro-batch takes, when a stream looks at the service, how far it lags behind, and
//! which ranges it refuses.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use arrow::array::Array;
use common::{Play, at};
use lakeflow_core::{ErrorKind, Offset};
use lakeflow_engine::SliceRequest;

/// `rows` records of one second each, from 10:00:00 on.
fn filled(name: &str, rows: u32) -> Play {
    let play = Play::new(name, "rows").option("per_page", "10");
    for n in 0..rows {
        let time = at(&format!("10:{:02}:{:02}", n / 60, n % 60));
        play.service.upsert(&format!("r{n:03}"), Some(&time), 0);
    }
    play
}

async fn sizes(mut play: Play) -> Vec<usize> {
    let mut sizes = Vec::new();
    loop {
        let ids = play.slice().await.ids;
        if ids.is_empty() {
            return sizes;
        }
        sizes.push(ids.split(' ').count());
    }
}

#[tokio::test]
async fn a_slice_ends_at_the_first_safe_point_at_or_after_either_limit() {
    let whole = sizes(filled("limits", 40)).await;
    assert_eq!(whole, [40]);
    let pages = sizes(filled("limits", 40).option("maxBytesPerTrigger", "1")).await;
    assert!(pages.len() > 3 && pages.iter().all(|&rows| rows <= 10), "{pages:?}");
    let by_rows = sizes(filled("limits", 40).option("max_records_per_batch", "25")).await;
    assert!(by_rows.iter().all(|&rows| rows < 25 + 10), "{by_rows:?}");
    let both = filled("limits", 40)
        .option("max_records_per_batch", "25")
        .option("maxBytesPerTrigger", "1g");
    assert_eq!(sizes(both).await, by_rows, "the limit that is met first counts");
}

#[tokio::test]
async fn bytes_are_those_of_the_arrow_batches() {
    let play = filled("bytes", 40);
    let mut reader = play.engine.batch(play.options(), None).await.unwrap();
    let batch = reader.next().await.unwrap().unwrap();
    let bytes = batch.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap());
    let row = bytes.sum::<usize>() / batch.num_rows();
    let limit = 18 * row;

    let sizes = sizes(filled("bytes", 40).option("maxBytesPerTrigger", &limit.to_string())).await;

    assert_eq!(sizes.iter().sum::<usize>(), 40);
    assert!((18..30).contains(&sizes[0]), "{sizes:?} of {row} bytes a row");
}

#[tokio::test]
async fn without_a_limit_a_slice_has_all_there_is() {
    let play = filled("once", 40).option("maxBytesPerTrigger", "1");
    let stream = play.engine.stream(play.options()).await.unwrap();
    let mut slice = stream.slice(request("{}", None));
    while slice.next().await.unwrap().is_some() {}

    assert_eq!(slice.end().unwrap().rows, 40);
}

#[tokio::test]
async fn a_stream_that_has_caught_up_looks_again_after_the_interval_only() {
    let mut play = filled("poll", 20).option("minPollInterval", "30s").now("11:00:00");
    play.drain().await;
    play.log();
    play.service.upsert("new", Some(&at("11:00:01")), 0);
    for time in ["11:00:00", "11:00:10", "11:00:29"] {
        play = play.now(time);
        assert_eq!(play.slice().await.ids, "");
        assert_eq!(play.log(), [""; 0], "{time}");
    }
    play = play.now("11:00:30");

    assert_eq!(play.slice().await.ids, "new");
    assert!(!play.log().is_empty());
}

#[tokio::test]
async fn the_interval_delays_no_backlog_no_restart_and_no_single_drain() {
    let mut play = filled("backlog", 30)
        .option("minPollInterval", "1 hour")
        .option("max_records_per_batch", "10")
        .now("11:00:00");
    assert_eq!(play.drain_ids().await.len(), 30, "slices of one drain follow at once");
    play.service.upsert("new", Some(&at("10:59:00")), 0);
    assert_eq!(play.slice().await.ids, "");
    let mut play = play.restart();
    assert_eq!(play.slice().await.ids, "new");

    play.drain().await;
    play.service.upsert("newer", Some(&at("10:59:30")), 0);
    play.single_drain = true;
    assert_eq!(play.slice().await.ids, "newer");
}

#[tokio::test]
async fn a_clock_that_is_set_back_delays_nothing() {
    let mut play = filled("set_back", 3).option("minPollInterval", "30s").now("11:00:00");
    play.drain().await;
    play.log();
    play = play.now("10:30:00");
    assert_eq!(play.slice().await.ids, "");
    assert_eq!(play.log().len(), 1);
}

#[tokio::test]
async fn lag_is_until_less_the_cursor_and_nothing_once_the_drain_has_ended() {
    let play = filled("lag", 30).now("11:00:00");
    let stream = play.engine.stream(play.options()).await.unwrap();
    let mut start = "{}".to_owned();
    let mut lags = Vec::new();
    loop {
        let mut slice = stream.slice(request(&start, Some(10)));
        while slice.next().await.unwrap().is_some() {}
        let end = slice.end().unwrap();
        let cursor = Offset::from_text(&end.offset).unwrap().unwrap().cursor.unwrap();
        lags.push((cursor, end.lag_ms));
        if end.rows == 0 {
            break;
        }
        start = end.offset;
    }

    let first = (at("10:00:09"), Some((3600 - 9) * 1000));
    assert_eq!(lags.first(), Some(&first));
    assert_eq!(lags.last(), Some(&(at("10:00:29"), Some(0))));
}

#[tokio::test]
async fn a_batch_that_ends_before_its_start_is_refused_with_both_places() {
    let mut play = filled("direction", 20).option("max_records_per_batch", "10");
    let first = play.slice().await.offset;
    let second = play.slice().await.offset;
    let stream = play.engine.stream(play.options()).await.unwrap();
    for (start, end) in [("{}", &*first), (&*first, &*second), ("{}", "{}"), (&*first, &*first)] {
        stream.check_range(start, end).unwrap();
    }

    let error = stream.check_range(&second, &first).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::OffsetInvalid);
    assert_eq!(
        error.to_string(),
        format!(
            "the batch ends at slice 1 (cursor '{}'), which does not come after its start at slice \
             2 (cursor '{}'): the checkpoint's log of offsets was mixed from two runs; restore all \
             of it, or use a new checkpoint (table: rows)",
            cursor(&first),
            cursor(&second)
        )
    );
    let error = stream.check_range(&first, "{}").unwrap_err();
    assert!(error.message().starts_with("the batch ends at the beginning, which"), "{error}");
}

#[tokio::test]
async fn a_lost_batch_is_read_again_up_to_its_end() {
    let mut play = filled("again", 40).option("max_records_per_batch", "10");
    let first = play.slice().await;
    play.drain().await;
    let stream = play.engine.stream(play.options()).await.unwrap();
    let mut slice = stream.slice_again(request("{}", None), first.offset.clone());
    let mut ids = Vec::new();
    while let Some(batch) = slice.next().await.unwrap() {
        ids.extend(common::common_ids(&batch));
    }

    let lost: Vec<_> = first.ids.split(' ').collect();
    assert_eq!(ids[..lost.len()], lost);
    assert!(ids.len() < lost.len() + 10, "one page more at most: {ids:?}");
}

fn request(start: &str, limit: Option<u64>) -> SliceRequest {
    SliceRequest {
        id: "slice".into(),
        start: start.into(),
        state: None,
        limit,
        single_drain: false,
    }
}

fn cursor(offset: &str) -> String {
    Offset::from_text(offset).unwrap().unwrap().cursor.unwrap()
}
