//! Change feeds: upserts and deletes of a table as one stream.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use common::{Play, Random, at};
use lakeflow_core::{Clock, ErrorKind, Instant, ManualClock, Offset, Options};
use lakeflow_engine::SliceRequest;
use lakeflow_testkit::list::{is_deleted, remove, upsert};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A row of a change feed: type, id, version of the record, slice, seconds since 10:00:00.
type Change = (String, String, Option<i64>, i64, Option<i64>);

/// Options, and how they are refused.
type Refused<'a> = (&'a [(&'a str, &'a str)], ErrorKind, &'a str);

fn changes(batches: &[RecordBatch]) -> Vec<Change> {
    let start = Instant::parse(&at("10:00:00")).unwrap().seconds();
    let mut changes = Vec::new();
    for batch in batches {
        let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let long =
            |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
        let (kinds, ids) = (text("_change_type"), text("id"));
        let (n, slices) = (long("n"), long("_commit_version"));
        let times = batch.column_by_name("_commit_timestamp").unwrap();
        let times = times.as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            changes.push((
                kinds.value(row).to_owned(),
                ids.value(row).to_owned(),
                n.is_valid(row).then(|| n.value(row)),
                slices.value(row),
                times.is_valid(row).then(|| times.value(row) / 1_000_000 - start),
            ));
        }
    }
    changes
}

fn feed(name: &str, table: &str) -> Play {
    Play::new(name, table).option("readChangeFeed", "true").now("11:00:00")
}

/// The next slice as `+id@second` and `-id@second`.
async fn slice(play: &mut Play) -> String {
    play.slice().await;
    let shown = changes(&play.batches).into_iter().map(|(kind, id, _, _, time)| {
        format!("{}{id}@{}", if kind == "delete" { '-' } else { '+' }, time.unwrap())
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_slice_has_both_in_the_order_of_time_deletes_after_upserts_of_one_instant() {
    let mut play = feed("both", "changing");
    for (id, time) in [("a", "10:00:05"), ("b", "10:00:01"), ("c", "10:00:03")] {
        play.service.upsert(id, Some(&at(time)), 7);
    }
    play.service.remove("x", &at("10:00:03"));
    play.service.remove("y", &at("10:00:02"));

    play.slice().await;

    let row = |kind: &str, id: &str, n, time| (kind.into(), id.into(), n, 1, Some(time));
    assert_eq!(
        changes(&play.batches),
        [
            row("update_postimage", "b", Some(7), 1),
            row("delete", "y", None, 2),
            row("update_postimage", "c", Some(7), 3),
            row("delete", "x", None, 3),
            row("update_postimage", "a", Some(7), 5),
        ]
    );
    let schema = play.batches[0].schema();
    let fields: Vec<_> = schema.fields().iter().map(|f| (&**f.name(), f.is_nullable())).collect();
    assert_eq!(
        fields,
        [
            ("id", false),
            ("at", true),
            ("n", true),
            ("_change_type", false),
            ("_commit_version", false),
            ("_commit_timestamp", true),
        ]
    );
}

#[tokio::test]
async fn the_offset_holds_both_places_and_a_restart_goes_on_from_them() {
    let mut play = feed("places", "changing");
    play.service.upsert("a", Some(&at("10:00:01")), 0);
    play.service.remove("x", &at("10:00:02"));
    let got = play.slice().await;
    let mut offset: serde_json::Value = serde_json::from_str(&got.offset).unwrap();
    for hash in ["salt", "ties"] {
        offset.as_object_mut().unwrap().remove(hash).unwrap();
    }
    offset["deletes"].as_object_mut().unwrap().remove("ties").unwrap();
    assert_eq!(
        offset,
        serde_json::json!({
            "v": 1, "source": "list", "table": "changing", "feed": "changes", "seq": 1,
            "cursor": at("10:00:01"), "deletes": {"cursor": at("10:00:02")}, "slice": "slice1",
        })
    );
    assert_eq!(slice(&mut play).await, "");
    play.service.upsert("b", Some(&at("10:00:03")), 0);
    play.service.remove("a", &at("10:00:04"));
    let mut play = play.restart();

    assert_eq!(slice(&mut play).await, "+b@3 -a@4");
    assert_eq!(slice(&mut play).await, "");
    play.log();
    assert_eq!(slice(&mut play.restart()).await, "");
}

#[tokio::test]
async fn the_state_of_both_feeds_outlives_a_restart() {
    let mut play = feed("state", "changing").option("lookback_seconds", "60");
    for n in 0..10 {
        play.service.upsert(&format!("r{n}"), Some(&at(&format!("10:00:0{n}"))), 0);
        play.service.remove(&format!("x{n}"), &at(&format!("10:00:0{n}")));
    }
    play.drain().await;
    assert!(play.state_bytes() > 10 * 8);
    let mut play = play.restart();
    play.service.upsert("late", Some(&at("10:00:05")), 0);

    assert_eq!(slice(&mut play).await, "+late@5", "the others are known");
    assert_eq!(slice(&mut play).await, "");

    let mut play = play.forget_state().restart();
    let got = play.slice().await;
    assert_eq!(got.ids.split(' ').count(), 10, "rows of the lookback but for the cursor's own");
    assert_eq!(got.warnings.len(), 1, "{:?}", got.warnings);
}

#[tokio::test]
async fn deletes_come_first_and_slices_end_at_the_cap_in_both_feeds() {
    let mut play =
        feed("cap", "changing").option("per_page", "5").option("max_records_per_batch", "5");
    for n in 0..12 {
        play.service.upsert(&format!("r{n:02}"), Some(&at(&format!("10:00:{n:02}"))), 0);
        play.service.remove(&format!("x{n:02}"), &at(&format!("10:00:{n:02}")));
    }
    let mut slices = Vec::new();
    loop {
        let got = slice(&mut play).await;
        if got.is_empty() {
            break;
        }
        slices.push(got);
        play = play.restart();
    }

    let ids = |sign: &str| {
        let all = slices.iter().flat_map(|slice| slice.split(' '));
        all.filter(|change| change.starts_with(sign)).count()
    };
    assert_eq!((ids("+"), ids("-")), (12, 12), "{slices:?}");
    assert!(slices.iter().all(|slice| slice.split(' ').count() < 5 + 5), "{slices:?}");
    let kinds: String =
        slices.iter().flat_map(|slice| slice.chars()).filter(|c| "+-".contains(*c)).collect();
    assert!(kinds.trim_start_matches('-').trim_end_matches('+').len() <= 2 * 5, "{kinds}");
}

#[tokio::test]
async fn neither_feed_is_read_beyond_the_end_of_the_drain() {
    for table in ["changing", "archiving"] {
        let mut play = feed(&format!("until_{table}"), table).now("10:00:10");
        let theirs = ManualClock::new(Instant::parse(&at("10:00:05")).unwrap());
        play.service.serve_date(Arc::new(theirs));
        for time in ["10:00:04", "10:00:06", "10:00:12"] {
            play.service.upsert(&format!("r{}", &time[6..]), Some(&at(time)), 0);
            play.service.remove(&format!("x{}", &time[6..]), &at(time));
        }
        assert_eq!(slice(&mut play).await, "+r04@4 -x04@4", "{table}");
        assert_eq!(slice(&mut play).await, "", "{table}");

        play.service
            .serve_date(Arc::new(ManualClock::new(Instant::parse(&at("10:00:30")).unwrap())));
        let mut play = play.now("10:00:20");
        assert_eq!(slice(&mut play).await, "+r06@6 -x06@6 +r12@12 -x12@12", "{table}");
    }
}

#[tokio::test]
async fn a_delete_feed_that_begins_now_begins_before_the_first_read_of_rows() {
    let mut play = Play::kinds("baseline", "with_deletes").option("readChangeFeed", "true");
    play.service.edit(|state| {
        for id in ["a", "b", "c"] {
            state.upsert(id, "", 1_000, 0);
        }
    });
    play.service.before_request(|number, state| {
        if number == 1 {
            state.remove("b");
        }
    });
    let mut seen = Vec::new();
    for _ in 0..4 {
        play.slice().await;
        seen.extend(changes(&play.batches).into_iter().map(|(kind, id, ..)| (kind, id)));
        play = play.restart();
    }

    let change = |kind: &str, id: &str| (kind.to_owned(), id.to_owned());
    let (rows, deletes): (Vec<_>, Vec<_>) =
        seen.into_iter().partition(|(kind, _)| kind == "update_postimage");
    assert_eq!(rows, [change("update_postimage", "a"), change("update_postimage", "c")]);
    assert_eq!(deletes, [change("delete", "b")]);
}

#[tokio::test]
async fn a_slice_ends_after_64_mib_even_without_a_limit() {
    let mut play = feed("bytes", "changing").option("per_page", "10");
    for n in 0..80 {
        let id = format!("{n:02}{}", "x".repeat(1 << 20));
        play.service.upsert(&id, Some(&at(&format!("10:{:02}:{:02}", n / 60, n % 60))), n);
    }
    let stream = play.stream().await.unwrap();
    let mut slice = stream.slice(SliceRequest {
        id: "s".into(),
        start: "{}".into(),
        state: None,
        limit: None,
        single_drain: false,
    });
    let mut versions = Vec::new();
    while let Some(batch) = slice.next().await.unwrap() {
        assert!(batch.num_rows() <= 8, "{}", batch.num_rows());
        versions.extend(changes(&[batch]).into_iter().map(|(_, _, n, ..)| n.unwrap()));
    }
    let end = slice.end().unwrap();

    assert!((64..64 + 10).contains(&end.rows), "{}", end.rows);
    assert_eq!(versions, (0..versions.len() as i64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lost_batch_is_read_again_in_the_feeds_that_it_had() {
    let mut play =
        feed("again", "changing").option("per_page", "5").option("max_records_per_batch", "5");
    for n in 0..8 {
        play.service.upsert(&format!("r{n}"), Some(&at(&format!("10:00:0{n}"))), 0);
        play.service.remove(&format!("x{n}"), &at(&format!("10:00:0{n}")));
    }
    let got = play.slice().await;
    let first = changes(&play.batches);
    assert!(first.iter().all(|(kind, ..)| kind == "delete"), "{first:?}");
    let stream = play.stream().await.unwrap();
    let request = SliceRequest {
        id: "again".into(),
        start: "{}".into(),
        state: None,
        limit: None,
        single_drain: false,
    };
    let mut slice = stream.slice_again(request, got.offset);
    let mut again = Vec::new();
    while let Some(batch) = slice.next().await.unwrap() {
        again.extend(changes(&[batch]));
    }

    assert_eq!(again, first);
}

#[tokio::test]
async fn the_next_slice_is_read_ahead_as_of_any_stream() {
    let mut play =
        feed("ahead", "changing").option("per_page", "10").option("max_records_per_batch", "10");
    for n in 0..50 {
        play.service.upsert(&format!("r{n:02}"), Some(&at(&format!("10:00:{n:02}"))), 0);
    }
    let stream = play.stream().await.unwrap();
    let task = tokio::spawn(async move { stream.read_ahead().await });
    let mut ids = play.slice().await.ids;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    play.log();
    ids = format!("{ids} {}", play.slice().await.ids);
    assert_eq!(play.log(), [""; 0]);
    for id in play.drain_ids().await {
        ids = format!("{ids} {id}");
    }
    task.abort();

    assert_eq!(ids, (0..50).map(|n| format!("r{n:02}")).collect::<Vec<_>>().join(" "));
}

fn options(play: &Play, more: &[(&str, &str)]) -> Options {
    let mut options = play.options().clone();
    more.iter().for_each(|(name, value)| options.set(*name, *value));
    options
}

#[tokio::test]
async fn what_cannot_be_read_as_changes_is_refused_with_the_remedy() {
    let play = feed("refused", "changing");
    let cases: &[Refused] = &[
        (
            &[("tableName", "rows")],
            ErrorKind::Unsupported,
            "the table has no delete feed: its ingestion type is cdc; leave option \
             'readChangeFeed' out (table: rows)",
        ),
        (
            &[("tableName", "all")],
            ErrorKind::Unsupported,
            "the table has no delete feed: its ingestion type is snapshot; leave option \
             'readChangeFeed' out (table: all)",
        ),
        (
            &[("isDeleteFlow", "TRUE")],
            ErrorKind::ConfigInvalid,
            "options 'readChangeFeed' and 'isDeleteFlow' exclude each other: the changes have the \
             deletes; leave one of them out (table: changing)",
        ),
        (
            &[("rescuedDataColumn", "_Change_type")],
            ErrorKind::ConfigInvalid,
            "option 'readChangeFeed' adds column '_change_type', which the table has already; leave \
             the option out, or call the column of option 'rescuedDataColumn' otherwise (table: \
             changing)",
        ),
        (
            &[("readChangeFeed", "yes")],
            ErrorKind::ConfigInvalid,
            "option 'readChangeFeed' must be true or false, got \"yes\"",
        ),
        (
            &[("readChangeFeed", "false"), ("isDeleteFlow", "1")],
            ErrorKind::ConfigInvalid,
            "option 'isDeleteFlow' must be true or false, got \"1\"",
        ),
    ];
    for (more, kind, message) in cases {
        let error = play.engine.describe(&options(&play, more)).await.unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), (*kind, *message));
    }
    let error = play.engine.batch(play.options(), None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "option 'readChangeFeed' is for streams; a batch reads the rows without it, and the deletes \
         with isDeleteFlow=true (table: changing)"
    );
}

#[tokio::test]
async fn a_checkpoint_of_another_feed_is_refused_either_way() {
    let filled = |name: &str| {
        let play = Play::new(name, "changing").now("11:00:00");
        play.service.upsert("a", Some(&at("10:00:01")), 0);
        play.service.remove("x", &at("10:00:02"));
        play
    };
    let feeds =
        [("rows", None), ("deletes", Some("isDeleteFlow")), ("changes", Some("readChangeFeed"))];
    let of = |play: Play, option: Option<&str>| match option {
        Some(option) => play.option(option, "true"),
        None => play,
    };
    for (stored, by) in feeds {
        let mut play = of(filled(&format!("stored_{stored}")), by);
        let offset = play.drain().await;
        for (now, option) in feeds.into_iter().filter(|(now, _)| *now != stored) {
            let mut other = of(filled(&format!("other_{stored}_{now}")), option).start_at(&offset);
            let error = other.try_slice().await.unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the checkpoint was written for feed '{stored}', this read has '{now}'; use a \
                     new checkpoint (table: changing)"
                )
            );
        }
    }
    let python = r#"{"cursor": "2031-03-01T10:00:00Z"}"#;
    let error = feed("python", "changing").start_at(python).try_slice().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OffsetInvalid);
    let offset = Offset::from_text(python).unwrap();
    assert!(offset.is_some_and(|offset| offset.deletes.is_none()));
}

/// One change of a random record; one that was deleted comes back at a later instant only.
fn churn(random: &mut Random, rows: &mut Vec<serde_json::Value>, now: Instant) {
    let id = format!("r{}", random.below(12));
    let now = now.to_rfc3339(0);
    let live = rows.iter().find(|row| row["id"] == *id && !is_deleted(row));
    let n = live.and_then(|row| row["n"].as_i64());
    let gone = rows.iter().filter(|row| row["id"] == *id && is_deleted(row));
    let gone = gone.filter_map(|row| row["at"].as_str()).max();
    match n {
        Some(_) if random.below(3) == 0 => remove(rows, &id, &now),
        Some(n) => upsert(rows, &id, Some(&now), n + 1),
        None if gone.is_some_and(|gone| *gone >= *now) => {}
        None => upsert(rows, &id, Some(&now), i64::try_from(random.below(1_000)).unwrap() * 1_000),
    }
}

#[derive(Debug)]
struct History {
    seed: u64,
    table: &'static str,
    per_page: u64,
    cap: u64,
    lookback: u64,
}

/// The destination after all slices, and the source.
async fn play(history: &History) -> (BTreeMap<String, i64>, BTreeMap<String, i64>) {
    let History { seed, table, per_page, cap, lookback } = history;
    let mut random = Random(seed | 1);
    let mut play = feed(&format!("model_{table}_{seed}_{per_page}_{cap}_{lookback}"), table)
        .option("per_page", &per_page.to_string())
        .option("max_records_per_batch", &cap.to_string())
        .option("lookback_seconds", &lookback.to_string())
        .option("window_seconds", "7")
        .now("10:00:00");
    let clock = play.clock();
    let step = |clock: &ManualClock, seconds: u64| {
        clock.set(clock.now().plus_nanos(i128::from(seconds) * 1_000_000_000));
    };
    play.service.before_request({
        let (clock, hook) = (clock.clone(), Mutex::new((Random(seed.rotate_left(23) | 1), 200u32)));
        move |_, rows| {
            let (random, left) = &mut *hook.lock().unwrap();
            for _ in 0..random.below(4).min(u64::from(*left)) {
                *left -= 1;
                churn(random, rows, clock.now());
                step(&clock, random.below(3));
            }
        }
    });
    let mut destination = BTreeMap::new();
    let mut quiet = 0;
    while quiet < 30 {
        let before = play.start();
        play.slice().await;
        let got = changes(&play.batches);
        let order: Vec<_> = got.iter().map(|(kind, _, _, _, at)| (*at, kind == "delete")).collect();
        assert!(order.is_sorted(), "{history:?}: {got:?}");
        if random.below(5) == 0 {
            // The process died before the slice was logged.
            play = play.start_at(&before);
            continue;
        }
        quiet = if got.is_empty() { quiet + 1 } else { 0 };
        for (kind, id, n, ..) in got {
            match &*kind {
                "delete" => destination.remove(&id),
                _ => destination.insert(id, n.unwrap()),
            };
        }
        if random.below(4) == 0 {
            play = play.restart();
        }
        step(&clock, u64::from(quiet > 0));
    }
    let source = play.service.rows();
    let source =
        source.iter().map(|r| (r["id"].as_str().unwrap().to_owned(), r["n"].as_i64().unwrap()));

    (destination, source.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn batches_applied_in_order_give_the_source(
        seed in any::<u64>(),
        table in proptest::sample::select(vec!["changing", "archiving"]),
        per_page in 1u64..6,
        cap in 1u64..12,
        lookback in 0u64..4,
    ) {
        let history = History { seed, table, per_page, cap, lookback };
        let (destination, source) = futures::executor::block_on(play(&history));
        prop_assert_eq!(destination, source, "{:?}", history);
    }
}
