//! The next slice of a drain is read while the last one is worked on: the same rows, by the same
//! requests, only earlier.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use common::{Play, at};
use lakeflow_core::{ErrorKind, Offset};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::{JoinHandle, yield_now};

/// `rows` records of one second each, in pages of 10 and slices of 20.
fn filled(name: &str, rows: u32) -> Play {
    let play = Play::new(name, "rows")
        .option("per_page", "10")
        .option("max_records_per_batch", "20")
        .now("11:00:00");
    for n in 0..rows {
        let time = at(&format!("10:{:02}:{:02}", n / 60, n % 60));
        play.service.upsert(&format!("r{n:03}"), Some(&time), 0);
    }
    play
}

/// What a door does beside its slices; the service in memory never waits.
async fn reading_ahead(play: &mut Play) -> JoinHandle<()> {
    let stream = play.stream().await.unwrap();
    tokio::spawn(async move { stream.read_ahead().await })
}

/// Lets the task come to rest.
async fn rest() {
    for _ in 0..10 {
        yield_now().await;
    }
}

/// The drains of a stream: what each call gave, and what it had asked for by then.
async fn drained(mut play: Play, ahead: bool) -> (Vec<String>, Vec<String>) {
    let task = reading_ahead(&mut play).await;
    if !ahead {
        task.abort();
    }
    let (mut slices, mut requests) = (Vec::new(), Vec::new());
    for interval in 0..3 {
        play = play.now(&format!("11:00:0{interval}"));
        play.service.upsert(&format!("new{interval}"), Some(&at("10:59:00")), 0);
        loop {
            let got = play.slice().await;
            rest().await;
            requests.extend(play.log());
            let end = play.without_id(&got);
            slices.push(format!("{} {}", got.ids, without_salt(&end)));
            if got.ids.is_empty() {
                break;
            }
        }
    }
    task.abort();

    (slices, requests)
}

fn without_salt(offset: &str) -> String {
    let mut offset = Offset::from_text(offset).unwrap().unwrap();
    (offset.salt, offset.state) = (None, None);
    offset.ties.iter_mut().for_each(|tie| *tie = 0);
    offset.to_text().unwrap()
}

#[tokio::test]
async fn slices_offsets_and_requests_are_those_of_a_stream_that_does_not_read_ahead() {
    let plain = drained(filled("plain", 100), false).await;
    let ahead = drained(filled("ahead", 100), true).await;

    assert!(plain.0.len() > 8, "{plain:?}");
    assert_eq!(ahead, plain);
}

#[tokio::test]
async fn the_next_slice_is_read_before_it_is_asked_for_and_no_further() {
    let mut play = filled("earlier", 100);
    let _task = reading_ahead(&mut play).await;
    play.slice().await;
    let first = play.log().len();
    rest().await;
    let second = play.log();
    rest().await;
    assert!(!second.is_empty() && second.len() <= first + 1, "{second:?}");
    assert_eq!(play.log(), [""; 0], "one slice ahead at most");

    play.slice().await;

    assert_eq!(play.log(), [""; 0], "the slice was there");
}

#[tokio::test]
async fn a_stream_that_has_caught_up_asks_nothing_until_it_is_asked() {
    let mut play = filled("caught_up", 50);
    let _task = reading_ahead(&mut play).await;
    play.drain().await;
    play.log();
    play.service.upsert("new", Some(&at("10:59:00")), 0);
    rest().await;
    assert_eq!(play.log(), [""; 0]);

    assert_eq!(play.slice().await.ids, "new");
}

#[tokio::test]
async fn switched_off_it_reads_nothing_and_the_task_ends() {
    let mut play = filled("off", 100).option("prefetch", "false");
    let task = reading_ahead(&mut play).await;
    play.slice().await;
    play.log();

    task.await.unwrap();

    assert_eq!(play.log(), [""; 0]);
}

#[tokio::test]
async fn a_slice_of_another_start_or_limit_is_read_anew() {
    for other in ["start", "limit"] {
        let mut play = filled(&format!("another_{other}"), 100);
        let _task = reading_ahead(&mut play).await;
        let first = play.slice().await;
        rest().await;
        play.log();
        let stream = play.stream().await.unwrap();
        let wanted = if other == "start" { ("{}", 20) } else { (&*first.offset, 40) };
        let mut slice = stream.slice(lakeflow_engine::SliceRequest {
            id: "other".into(),
            start: wanted.0.into(),
            state: None,
            limit: Some(wanted.1),
            single_drain: false,
        });
        let mut ids = Vec::new();
        while let Some(batch) = slice.next().await.unwrap() {
            ids.extend(common::common_ids(&batch));
        }

        let first = first.ids.split(' ').count();
        let from = if other == "start" { 0 } else { first };
        assert_eq!(ids[0], format!("r{from:03}"), "{other}");
        assert!(ids.len() >= wanted.1 as usize && !play.log().is_empty(), "{other}: {ids:?}");
    }
}

#[tokio::test]
async fn an_error_comes_with_the_next_slice_once() {
    let mut play = filled("error", 100);
    let _task = reading_ahead(&mut play).await;
    let mut ids = play.slice().await.ids;
    play.log();
    let first = AtomicBool::new(true);
    play.service.before_request(move |_, rows| {
        let first = first.swap(false, Ordering::Relaxed);
        let n: serde_json::Value = if first { "many".into() } else { 0.into() };
        rows.iter_mut().for_each(|row| row["n"] = n.clone());
    });
    rest().await;
    assert_eq!(play.log().len(), 1);

    let error = play.try_slice().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataInvalid);
    assert_eq!(play.log(), [""; 0], "met before");
    loop {
        let more = play.slice().await.ids;
        if more.is_empty() {
            break;
        }
        ids = format!("{ids} {more}");
    }
    let all: Vec<_> = (0..100).map(|n| format!("r{n:03}")).collect();
    assert_eq!(ids, all.join(" "));
}

#[tokio::test]
async fn a_task_that_ends_leaves_a_stream_that_reads_on() {
    for rests in [true, false] {
        let mut play = filled(&format!("cancelled_{rests}"), 100);
        let task = reading_ahead(&mut play).await;
        let mut ids = vec![play.slice().await.ids];
        if rests {
            rest().await;
        }
        task.abort();
        rest().await;
        ids.extend(play.drain_ids().await);

        let all: Vec<_> = (0..100).map(|n| format!("r{n:03}")).collect();
        assert_eq!(ids.join(" "), all.join(" "));
    }
}

#[tokio::test]
async fn what_is_ready_is_bounded_and_the_rest_is_read_when_asked_for() {
    let mut play = Play::new("bounded", "rows")
        .option("per_page", "1000")
        .option("max_records_per_batch", "12000")
        .option("maxPrefetchBytes", "1")
        .now("11:00:00");
    play.service.before_request(|number, rows| {
        if number == 1 {
            let time = |n: u32| at(&format!("10:{:02}:{:02}", n / 600, n / 10 % 60));
            let row = |n| serde_json::json!({"id": format!("r{n:05}"), "at": time(n), "n": n});
            rows.extend((0..30_000).map(row));
        }
    });
    let _task = reading_ahead(&mut play).await;
    let first = play.slice().await.ids.split(' ').count();
    play.log();
    rest().await;
    let pages = play.log().len();

    let second = play.slice().await.ids.split(' ').count();

    assert!(first >= 12_000 && second >= 12_000, "{first} {second}");
    assert!((10..12).contains(&pages), "{pages}: one batch, and the pages that it is made of");
    assert!(!play.log().is_empty(), "its other pages");
}
