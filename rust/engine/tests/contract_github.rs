//! The cases of github.issues, played on a list service in memory; offsets compared as text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use common::{Play, at};

/// An offset's text as [`Play::text`] writes it; `slice`: which of the process's slices ends there.
fn offset(seq: u64, cursor: &str, ties: usize, slice: u64) -> String {
    format!(
        "{{\"cursor\": \"{}\", \"feed\": \"rows\", \"seq\": {seq}, \"slice\": \"slice{slice}\", \
         \"source\": \"list\", \"state\": true, \"table\": \"rows\", \"ties\": {ties}, \"v\": 1}}",
        at(cursor)
    )
}

fn issues(name: &str) -> Play {
    let play = Play::new(name, "rows");
    play.service.upsert("a", Some(&at("10:00:00")), 0);
    for id in ["b", "c", "d", "e"] {
        play.service.upsert(id, Some(&at("10:00:05")), 0);
    }
    play.service.upsert("f", Some(&at("10:01:00")), 0);
    play.option("per_page", "2")
        .option("max_records_per_batch", "2")
        .option("lookback_seconds", "60")
}

#[tokio::test]
async fn cases_1_to_4_cap_ties_group_and_end() {
    let mut play = issues("cases_1_to_4").now("10:10:00");

    let first = play.slice().await;
    assert_eq!(play.log(), ["(–,1) -> a b"]);
    assert_eq!(first.ids, "a b");
    assert_eq!(play.text(&first), offset(1, "10:00:05", 1, 1));

    let second = play.slice().await;
    assert_eq!(play.log(), ["(10:00:05,1) -> b c", "(10:00:05,2) -> d e"]);
    assert_eq!(second.ids, "c d e");
    assert_eq!(play.text(&second), offset(2, "10:00:05", 4, 2));

    let third = play.slice().await;
    assert_eq!(
        play.log(),
        [
            "(10:00:05,3) -> f",
            "(10:00:05,1) -> b c",
            "(10:00:05,2) -> d e",
            "(10:00:05,3) -> f",
            "(10:00:06,1) -> f",
        ]
    );
    assert_eq!(third.ids, "f");
    assert_eq!(play.text(&third), offset(3, "10:01:00", 1, 3));

    let end = play.slice().await;
    assert!(play.log().is_empty());
    assert_eq!((end.ids.as_str(), end.offset), ("", third.offset));
}

#[tokio::test]
async fn cases_5_to_8_quiet_late_edited_growing() {
    let mut play = issues("cases_5_to_8").now("10:10:00");
    let o3 = play.drain().await;
    play.log();
    let mut play = play.restart().option("per_page", "100").now("10:20:00");

    let quiet = play.slice().await;
    assert_eq!(play.log(), ["(10:00:00,1) -> a b c d e f"]);
    assert_eq!((quiet.ids.as_str(), &quiet.offset), ("", &o3));

    play.service.upsert("g", Some(&at("10:00:30")), 0);
    let mut play = play.now("10:25:00");
    let late = play.slice().await;
    assert_eq!(play.log(), ["(10:00:00,1) -> a b c d e g f"]);
    assert_eq!(late.ids, "g");
    assert_eq!(play.text(&late), offset(4, "10:01:00", 1, 6));

    assert_eq!(play.slice().await.offset, late.offset);
    play.service.upsert("f", Some(&at("10:01:00")), 1);
    let mut play = play.now("10:30:00");
    let edited = play.slice().await;
    assert_eq!(edited.ids, "f");
    assert_eq!(play.text(&edited), offset(5, "10:01:00", 2, 8));

    assert_eq!(play.slice().await.offset, edited.offset);
    play.log();
    play.service.upsert("h", Some(&at("10:39:59")), 0);
    play.service.upsert("i", Some(&at("10:40:01")), 0);
    let mut play = play.now("10:40:00");
    let growing = play.slice().await;
    assert_eq!(growing.ids, "h i");
    // The cursor stays within `until`, so that the next lookback reaches what shows late; `i` is
    // remembered beside it.
    assert_eq!(play.text(&growing), offset(6, "10:40:00", 0, 10));
    play.log();
    assert_eq!(play.slice().await.offset, growing.offset);
    assert!(play.log().is_empty());
}

#[tokio::test]
async fn case_9_a_slice_not_logged_is_read_again_under_another_id() {
    let mut play = issues("case_9").now("10:10:00");
    let o1 = play.slice().await;
    let o2 = play.slice().await;
    let mut play = play.restart_at(&o1).now("10:10:30");
    play.log();

    let again = play.slice().await;
    assert_eq!(again.ids, o2.ids);
    assert_ne!(again.offset, o2.offset);
    assert_eq!(play.without_id(&again), play.without_id(&o2));
}

#[tokio::test]
async fn case_11_restart_inside_a_group_reads_the_lookback_span() {
    let mut play = issues("case_11").now("10:10:00");
    play.slice().await;
    let o2 = play.slice().await;
    let o3 = play.slice().await;
    let mut play = play.restart_at(&o2).now("10:12:00");
    play.log();

    let third = play.slice().await;
    assert_eq!(play.log()[0], "(09:59:05,1) -> a b");
    assert_eq!(third.ids, "f");
    assert_eq!(play.without_id(&third), play.without_id(&o3));
}

#[tokio::test]
async fn case_12_missing_state_repeats_the_span_but_not_the_ties() {
    let mut play = issues("case_12").now("10:10:00");
    play.slice().await;
    let o2 = play.slice().await;
    let mut play = play.restart_at(&o2).now("10:12:00").forget_state();

    let third = play.slice().await;
    assert_eq!(third.ids, "a f");
    assert_eq!(play.text(&third), offset(3, "10:01:00", 1, 3));
    assert_eq!(third.warnings.len(), 1, "{:?}", third.warnings);
}

#[tokio::test]
async fn case_13_a_row_moved_while_the_list_is_walked_pushes_none_out_of_sight() {
    let mut play = Play::new("case_13", "rows").option("per_page", "2");
    for (id, second) in [("j", 1), ("k", 2), ("l", 3), ("m", 4)] {
        play.service.upsert(id, Some(&at(&format!("10:00:0{second}"))), 0);
    }
    let moved = at("10:00:50");
    play.service.before_request(move |number, rows| {
        if number == 2 {
            lakeflow_testkit::list::upsert(rows, "j", Some(&moved), 1);
        }
    });
    play = play.option("max_records_per_batch", "2").now("10:01:00");

    let ids: Vec<String> = [play.slice().await, play.slice().await, play.slice().await]
        .into_iter()
        .map(|s| s.ids)
        .collect();
    assert_eq!(ids.join(" ").trim(), "j k l m j");
}

#[tokio::test]
async fn case_14_rows_within_the_lookback_are_masked_and_not_counted() {
    let mut play = Play::new("case_14", "rows")
        .option("lookback_seconds", "300")
        .option("max_records_per_batch", "1000")
        .now("10:05:00");
    for n in 0..3_100 {
        let second = n * 180 / 3_100;
        let time = at(&format!("10:{:02}:{:02}", second / 60, second % 60));
        play.service.upsert(&format!("i{n:04}"), Some(&time), 0);
    }
    let mut rows = 0;
    let mut slices = 0;
    let end = loop {
        let slice = play.slice().await;
        if slice.ids.is_empty() {
            break slice;
        }
        rows += slice.ids.split(' ').count();
        slices += 1;
    };
    assert_eq!(rows, 3_100);
    assert!((3..=4).contains(&slices), "{slices} slices");

    let mut play = play.restart().now("10:06:00");
    let quiet = play.slice().await;
    assert_eq!((quiet.ids.as_str(), quiet.offset), ("", end.offset));
}

#[tokio::test]
async fn case_15_another_repository_is_refused_by_name() {
    let mut play = issues("case_15").option("repo", "widgets").now("10:10:00");
    play.slice().await;
    let mut play = play.restart().option("repo", "gears");
    play.log();

    let error = play.try_slice().await.unwrap_err();
    assert_eq!(error.kind(), lakeflow_core::ErrorKind::OffsetInvalid);
    assert!(error.message().contains("option 'repo': 'widgets' there, 'gears' here"), "{error}");
    assert!(play.log().is_empty());

    let mut play = play.option("allowChangedOptions", "repo");
    assert_eq!(play.try_slice().await.unwrap().ids, "c d e");
}

#[tokio::test]
async fn case_16_an_empty_list_gives_no_offset() {
    let mut play = Play::new("case_16", "rows").now("10:10:00");

    let end = play.slice().await;
    assert_eq!(play.log(), ["(–,1) -> "]);
    assert_eq!((end.ids.as_str(), end.offset.as_str()), ("", "{}"));
}

#[tokio::test]
async fn two_thousand_ties_all_arrive_at_a_cap_of_500() {
    let mut play = Play::new("ties", "rows").option("max_records_per_batch", "500").now("10:10:00");
    for n in 0..2_000 {
        play.service.upsert(&format!("i{n:04}"), Some(&at("10:00:00")), 0);
    }
    let mut slices = Vec::new();
    loop {
        let slice = play.slice().await;
        if slice.ids.is_empty() {
            break;
        }
        slices.push(slice.ids.split(' ').count());
        play = play.restart().now("10:10:00");
    }
    assert_eq!(slices, [500, 500, 500, 500]);
}
