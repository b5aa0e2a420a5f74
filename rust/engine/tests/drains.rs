//! Where drains end, what they ask for, and tables that advance in other ways.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use common::{Play, at, common_ids};
use lakeflow_core::{ErrorKind, Instant, ManualClock};
use lakeflow_testkit::list::{Flaw, ListService};
use std::sync::Arc;

fn filled(name: &str, table: &str, rows: u32) -> Play {
    let play = Play::new(name, table);
    for n in 0..rows {
        let time = at(&format!("10:{:02}:{:02}", n / 60, n % 60));
        play.service.upsert(&format!("r{n:03}"), Some(&time), 0);
    }
    play
}

fn expected(rows: u32) -> Vec<String> {
    (0..rows).map(|n| format!("r{n:03}")).collect()
}

#[tokio::test]
async fn a_drain_of_n_rows_in_s_slices_asks_within_the_bound() {
    for (rows, per_page, cap) in
        [(100, 10, 10), (100, 10, 35), (99, 10, 1000), (1, 2, 1), (40, 2, 3)]
    {
        let mut play = filled("bound", "rows", rows)
            .option("per_page", &per_page.to_string())
            .option("max_records_per_batch", &cap.to_string());
        let (mut slices, mut ids) = (0, Vec::new());
        loop {
            let slice = play.slice().await;
            if slice.ids.is_empty() {
                break;
            }
            slices += 1;
            ids.extend(slice.ids.split(' ').map(str::to_owned));
        }
        let asked = play.log().len() as u32;
        let page = per_page.min(cap);
        assert_eq!(ids, expected(rows));
        assert!(
            asked <= rows.div_ceil((page - 1).max(1)) + 2 * slices + 2,
            "{asked} requests for {rows} rows in {slices} slices of {per_page}"
        );
    }
}

#[tokio::test]
async fn a_source_that_keeps_growing_ends_the_drain_at_until() {
    let mut play = filled("growing", "rows", 10)
        .option("per_page", "5")
        .option("max_records_per_batch", "5")
        .now("10:00:30");
    play.single_drain = true;
    let clock = play.clock();
    play.service.before_request(move |number, rows| {
        let now =
            Instant::parse(&at("10:00:30")).unwrap().plus_nanos(number as i128 * 1_000_000_000);
        clock.set(now);
        lakeflow_testkit::list::upsert(
            rows,
            &format!("new{number:03}"),
            Some(&now.to_rfc3339(0)),
            0,
        );
    });

    let first = play.drain_ids().await;
    assert!(first.len() < 30, "{first:?}");
    assert_eq!(first[..10], expected(10));
    play.log();
    assert_eq!(play.slice().await.ids, "", "one drain only");
    assert!(play.log().is_empty());
}

#[tokio::test]
async fn idle_intervals_deliver_nothing_and_cost_one_request_each() {
    let mut play = filled("idle", "rows", 20).option("lookback_seconds", "300").now("11:00:00");
    play.drain().await;
    play.log();
    for interval in 1..=3 {
        play = play.now(&format!("11:00:{interval:02}"));
        assert_eq!(play.slice().await.ids, "");
        assert_eq!(play.log().len(), 1, "interval {interval}");
    }
}

#[tokio::test]
async fn rows_younger_than_settle_wait_and_cost_no_request_once_caught_up() {
    let mut play = filled("settle", "rows", 3).option("settle_seconds", "60").now("10:01:30");
    assert_eq!(play.drain_ids().await, expected(3));
    play.log();
    let mut play = play.now("10:00:30").restart();

    assert_eq!(play.slice().await.ids, "");
    assert!(play.log().is_empty(), "the cursor lies past until");
}

#[tokio::test]
async fn the_services_clock_ends_the_drain_where_it_is_behind_ours() {
    let mut play = filled("behind", "rows", 30).option("per_page", "10").now("12:00:00");
    let theirs = ManualClock::new(Instant::parse(&at("10:00:05")).unwrap());
    play.service.serve_date(Arc::new(theirs));

    assert_eq!(play.drain_ids().await, expected(10), "the page past until comes whole");
}

#[tokio::test]
async fn a_resumed_backlog_remembers_the_lookback_span_only() {
    let mut play = filled("resumed", "rows", 600)
        .option("per_page", "20")
        .option("max_records_per_batch", "50")
        .option("lookback_seconds", "10");
    play.slice().await;
    let mut play = play.restart();
    play.drain().await;

    // Eleven values of one row each: kind, value, count and hash are 33 bytes.
    assert_eq!(play.state_bytes(), 4 + 11 * 33);
}

#[tokio::test]
async fn start_timestamp_is_inclusive() {
    let mut play = filled("start", "rows", 10).option("start_date", "2031-03-01T10:00:04Z");

    assert_eq!(play.drain_ids().await, expected(10)[4..]);
}

#[tokio::test]
async fn append_rows_with_ties_at_every_page_edge_arrive_once() {
    for table in ["events", "keyed"] {
        let mut play =
            Play::new(table, table).option("per_page", "2").option("max_records_per_batch", "3");
        for n in 0..12 {
            play.service.upsert(&format!("e{n:02}"), Some(&at(&format!("10:00:0{}", n / 4))), 0);
        }
        let mut ids = Vec::new();
        loop {
            let slice = play.slice().await;
            if slice.ids.is_empty() {
                break;
            }
            ids.extend(slice.ids.split(' ').map(str::to_owned));
            play = play.restart();
        }
        let expected: Vec<String> = (0..12).map(|n| format!("e{n:02}")).collect();
        assert_eq!(ids, expected, "{table}");
    }
}

#[tokio::test]
async fn append_without_an_order_value_is_refused_in_a_stream_and_read_in_a_batch() {
    let mut play = Play::new("null_order", "events");
    play.service.upsert("x", None, 0);

    let error = play.try_slice().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataInvalid);
    let mut batch = play.engine.batch(play.options(), None).await.unwrap();
    assert_eq!(common_ids(&batch.next().await.unwrap().unwrap()), ["x"]);
}

#[tokio::test]
async fn records_without_an_order_value_come_once_and_again_when_they_change() {
    for rows in [0, 3] {
        let mut play = filled(&format!("null_{rows}"), "pass", rows).now("11:00:00");
        play.service.upsert("x", None, 0);
        assert_eq!(play.drain_ids().await.len(), rows as usize + 1);
        // Back to what it was is a change, too.
        for n in [1, 0] {
            play = play.restart();
            assert!(play.drain_ids().await.is_empty());
            play.service.upsert("x", None, n);
            assert_eq!(play.drain_ids().await, ["x"]);
        }
        play.service.upsert("x", Some(&at("10:30:00")), 0);
        assert_eq!(play.drain_ids().await, ["x"]);
        play.service.upsert("x", None, 0);
        assert_eq!(play.drain_ids().await, ["x"]);
        let mut play = play.restart();
        assert!(play.drain_ids().await.is_empty());
    }
}

#[tokio::test]
async fn a_sorted_list_that_begins_with_records_without_a_value_hides_none() {
    for per_page in ["1", "2", "3"] {
        let mut play =
            filled(&format!("null_first_{per_page}"), "rows", 4).option("per_page", per_page);
        for n in 0..4 {
            play.service.upsert(&format!("null{n}"), None, 0);
        }
        play.service.before_request(|number, rows| {
            if number == 2 {
                lakeflow_testkit::list::upsert(rows, "null0", Some(&at("10:05:00")), 1);
            }
        });
        let mut ids = play.drain_ids().await;
        ids.sort();
        ids.dedup();
        let mut all: Vec<_> = (0..4).map(|n| format!("null{n}")).collect();
        all.extend(expected(4));
        assert_eq!(ids, all, "{per_page}");
        let mut play = play.restart();
        assert!(play.drain_ids().await.is_empty(), "{per_page}");
    }
    let mut play = Play::new("null_only", "rows");
    play.service.upsert("x", None, 0);
    assert_eq!(play.drain_ids().await, ["x"]);
    let mut play = play.restart();
    assert!(play.drain_ids().await.is_empty());
}

#[tokio::test]
async fn a_service_that_names_next_pages_for_ever_is_an_error_that_names_the_place() {
    for flaw in [Flaw::NamesEmptyPages, Flaw::RepeatsFirstPage] {
        for table in ["rows", "events", "windows", "sorted_windows", "pass", "all"] {
            let name = format!("endless_{flaw:?}_{table}");
            let service = ListService::register_with(&name, flaw);
            for second in 0..5 {
                service.upsert(&format!("r{second}"), Some(&at(&format!("10:00:0{second}"))), 0);
            }
            let mut play = Play::new("endless", table).option("service", &name);
            let error = match table {
                "all" => {
                    let mut batch = play.engine.batch(play.options(), None).await.unwrap();
                    batch.next().await.unwrap_err()
                }
                _ => play.try_slice().await.unwrap_err(),
            };
            let place = match table {
                "rows" | "events" | "sorted_windows" => "after '2031-03-01T10:00:04Z'",
                "pass" if flaw == Flaw::RepeatsFirstPage => "after '2031-03-01T10:00:04Z'",
                _ => "after its beginning",
            };
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{flaw:?} {table}");
            assert!(error.message().contains("has no end"), "{flaw:?} {table}: {error}");
            assert!(error.message().contains(place), "{flaw:?} {table}: {error}");
            assert!(service.take_log().len() < 1_100, "{flaw:?} {table}");
        }
    }
}

#[tokio::test]
async fn a_group_that_is_walked_again_is_asked_for_by_its_own_value_alone() {
    let mut play = Play::new("group_bounds", "sorted_windows")
        .option("per_page", "2")
        .option("window_seconds", "60")
        .now("10:00:30");
    for (id, time) in [("a", "10:00:00"), ("b", "10:00:05"), ("c", "10:00:05"), ("d", "10:00:05")] {
        play.service.upsert(id, Some(&at(time)), 0);
    }
    assert_eq!(play.drain_ids().await, ["a", "b", "c", "d"]);
    assert_eq!(
        play.log(),
        [
            "(10:00:00..10:00:30,1) -> a b",
            "(10:00:05..10:00:30,1) -> b c",
            "(10:00:05..10:00:30,2) -> d",
            "(10:00:05..10:00:05,1) -> b c",
            "(10:00:05..10:00:05,2) -> d",
            "(10:00:06..10:00:30,1) -> ",
        ]
    );
}

#[tokio::test]
async fn windows_deliver_every_row_once_and_leave_the_future_alone() {
    for table in ["windows", "sorted_windows"] {
        let mut play = filled(table, table, 120)
            .option("per_page", "7")
            .option("window_seconds", "10")
            .option("max_records_per_batch", "20")
            .now("10:01:29");
        assert_eq!(play.drain_ids().await, expected(90), "{table}");

        let mut play = play.now("10:05:00").restart();
        assert_eq!(play.drain_ids().await, expected(120)[90..], "{table}");
        let mut play = play.now("10:06:00").restart();
        assert!(play.drain_ids().await.is_empty(), "{table}");
    }
}

#[tokio::test]
async fn windows_lose_no_row_when_one_leaves_its_window_meanwhile() {
    for table in ["windows", "sorted_windows"] {
        let mut play = filled(&format!("{table}_moving"), table, 20)
            .option("per_page", "5")
            .option("window_seconds", "60")
            .now("10:01:00");
        play.service.before_request(|number, rows| {
            if number == 2 {
                lakeflow_testkit::list::upsert(rows, "r000", Some(&at("10:03:00")), 1);
            }
        });
        let mut ids = play.drain_ids().await;
        let mut play = play.now("10:05:00").restart();
        ids.extend(play.drain_ids().await);
        ids.sort();
        ids.dedup();
        assert_eq!(ids, expected(20), "{table}");
    }
}

#[tokio::test]
async fn one_window_full_of_ties_is_sliced_and_makes_progress() {
    let mut play = Play::new("tied_window", "sorted_windows")
        .option("per_page", "5")
        .option("max_records_per_batch", "10");
    for n in 0..40 {
        play.service.upsert(&format!("r{n:03}"), Some(&at("10:00:00")), 0);
    }
    let first = play.slice().await;
    assert_eq!(first.ids.split(' ').count(), 10);
    let rest = play.restart().drain_ids().await;
    assert_eq!(rest, expected(40)[10..]);
}

#[tokio::test]
async fn an_empty_table_of_windows_is_no_error() {
    assert_eq!(Play::new("empty_windows", "windows").slice().await.offset, "{}");
}

#[tokio::test]
async fn one_pass_takes_the_smaller_of_largest_and_until() {
    let mut play = filled("pass", "pass", 10).option("per_page", "3").now("10:00:06");
    play.service.before_request(|number, rows| {
        if number == 3 {
            lakeflow_testkit::list::upsert(rows, "r001", Some(&at("10:00:08")), 1);
        }
    });
    let mut ids = play.drain_ids().await;
    let mut play = play.now("10:01:00").restart();
    ids.extend(play.drain_ids().await);
    ids.sort();
    ids.dedup();

    assert_eq!(ids, expected(10));
}

#[tokio::test]
async fn snapshots_are_read_in_batches_and_refused_as_streams() {
    let play = filled("snapshot", "all", 250);
    let mut reader = play.engine.batch(play.options(), Some(vec!["id".into()])).await.unwrap();
    let batch = reader.next().await.unwrap().unwrap();
    assert_eq!((common_ids(&batch), batch.num_columns()), (expected(250), 1));
    assert!(reader.next().await.unwrap().is_none());

    let error = play.engine.stream(play.options()).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("spark.read"), "{error}");
}

#[tokio::test]
async fn a_batch_read_stops_at_the_first_page_past_until() {
    let play = filled("batch", "rows", 100).option("per_page", "10").now("10:00:15");
    let mut reader = play.engine.batch(play.options(), None).await.unwrap();
    let mut ids = Vec::new();
    while let Some(batch) = reader.next().await.unwrap() {
        ids.extend(common_ids(&batch));
    }
    assert_eq!(ids, expected(19));
}

#[tokio::test]
async fn a_service_that_ignores_the_bound_is_read_once_with_a_warning() {
    let service = ListService::register_with("ignoring", Flaw::IgnoresBounds);
    let mut play =
        Play::new("ignoring_options", "rows").option("service", "ignoring").now("10:10:00");
    for n in 0..6 {
        service.upsert(&format!("r{n:03}"), Some(&at("10:00:00")), 0);
    }
    assert_eq!(play.drain_ids().await, expected(6));
    service.upsert("r006", Some(&at("10:00:05")), 0);
    let mut play = play.now("10:20:00").restart();
    assert_eq!(play.drain_ids().await, ["r006"]);
}

#[tokio::test]
async fn foreign_offsets_are_refused() {
    let mut play = filled("foreign", "rows", 3).option("host", "a");
    let end = play.drain().await;
    let cases = [
        (end.replace("\"table\": \"rows\"", "\"table\": \"events\""), "table 'events'"),
        (end.replace("\"source\": \"list\"", "\"source\": \"github\""), "source 'github'"),
        (end.replace("\"feed\": \"rows\"", "\"feed\": \"deletes\""), "feed 'deletes'"),
        (end.replace("\"host\": \"a\"", "\"host\": \"b\""), "option 'host'"),
        (end.replace("2031-03-01T10:00:02Z", "yesterday"), "'yesterday' is not"),
    ];
    for (offset, part) in cases {
        play = play.start_at(&offset);
        let error = play.try_slice().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OffsetInvalid, "{error}");
        assert!(error.message().contains(part), "{error}");
    }
}

#[tokio::test]
async fn an_offset_of_the_python_connectors_is_continued_with_a_warning() {
    for offset in [r#"{"cursor": "2031-03-01T10:00:07Z"}"#, r#"{"cursor": 1930125607}"#] {
        let mut play = filled("python", "rows", 10).start_at(offset);

        let slice = play.slice().await;
        assert_eq!(slice.ids, "r007 r008 r009", "{offset}");
        assert_eq!(slice.warnings.len(), 1);
    }
}

#[tokio::test]
async fn option_mistakes_are_found_before_any_request() {
    let play = filled("options", "rows", 1);
    let error = |name: &str, value: &str| {
        let mut options = play.options().clone();
        options.set(name, value);
        let engine = play.engine.clone();
        async move { engine.describe(&options).await.map(|_| ()).unwrap_err() }
    };

    assert!(error("tableName", "nope").await.message().contains("unknown table 'nope'"));
    assert!(error("sourceName", "nope").await.message().contains("known sources: list"));
    assert!(error("per_pages", "1").await.message().contains("did you mean 'per_page'"));
    assert!(error("per_page", "0").await.message().contains("from 1 to 1000"));
    assert!(error("isDeleteFlow", "true").await.message().contains("no delete feed"));
    assert!(error("rescuedDataColumn", "id").await.message().contains("rescuedDataColumn"));
    assert!(play.log().is_empty());
}
