//! The cases of an export by time, played on a service in memory; offsets compared as text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use common::{Got, Play};
use lakeflow_core::{ErrorKind, Offset};
use lakeflow_testkit::kinds::KindsService;

type Export = Play<KindsService>;

/// The order value is a field of the rows, or only stated by the pages.
const TABLES: [&str; 2] = ["export", "stated_export"];

fn export(table: &str, case: &str) -> Export {
    let play = Play::kinds(&format!("{case}_{table}"), table);
    play.service.edit(|state| {
        for (id, at) in [("t1", 100), ("t2", 101), ("t3", 101), ("t4", 105)] {
            state.upsert(id, "", at, 0);
        }
    });
    play.option("settle_seconds", "60").option("max_records_per_batch", "2").second(1_000)
}

/// What distinguishes an offset: `seq`, cursor, number of ties.
fn place(got: &Got) -> (u64, String, usize) {
    let offset = Offset::from_text(&got.offset).unwrap().unwrap();
    (offset.seq, offset.cursor.unwrap(), offset.ties.len())
}

fn at(seq: u64, cursor: &str, ties: usize) -> (u64, String, usize) {
    (seq, cursor.to_owned(), ties)
}

/// A stream that has come to Z2.
async fn z2(table: &str, case: &str) -> (Export, Got) {
    let mut play = export(table, case).option("per_page", "2");
    play.slice().await;
    let mut play = play.option("per_page", "4");
    let got = play.slice().await;
    play.slice().await;
    play.log();
    (play, got)
}

#[tokio::test]
async fn cases_1_to_5_cap_boundary_end_quiet_too_young() {
    for table in TABLES {
        let mut play = export(table, "cases_1_to_5").option("per_page", "2");
        let z1 = play.slice().await;
        assert_eq!(play.log(), ["(–) -> t1 t2"]);
        assert_eq!(z1.ids, "t1 t2");
        // Which rows lie at a stated value only is not known: all of the page may come again.
        assert_eq!(place(&z1), at(1, "101", if table == "export" { 1 } else { 2 }));

        let mut play = play.option("per_page", "4");
        let z2 = play.slice().await;
        assert_eq!(play.log(), ["(101) -> t2 t3 t4"]);
        assert_eq!(z2.ids, "t3 t4");
        assert_eq!(place(&z2), at(2, "105", if table == "export" { 1 } else { 3 }));

        let end = play.slice().await;
        assert_eq!((end.ids.as_str(), &end.offset), ("", &z2.offset));
        assert!(play.log().is_empty());

        let mut play = play.restart().second(2_000);
        assert_eq!(play.slice().await.offset, z2.offset);
        assert_eq!(play.log(), ["(105) -> t4"]);

        let mut play = play.restart().second(150);
        assert_eq!(play.slice().await.offset, z2.offset);
        assert!(play.log().is_empty());
    }
}

#[tokio::test]
async fn cases_6_and_7_a_place_that_moves_without_rows_is_kept_in_memory_only() {
    for table in TABLES {
        for lost in [false, true] {
            let (play, z2) = z2(table, &format!("cases_6_and_7_{lost}")).await;
            let mut play = play.second(2_000);
            play.service.edit(|state| {
                state.rows.retain(|id, _| id == "t1");
                state.export_end = Some(1_900);
            });
            let idle = play.slice().await;
            assert_eq!(play.log(), ["(105) -> "]);
            assert_eq!((idle.ids.as_str(), &idle.offset), ("", &z2.offset));

            play.service.edit(|state| state.upsert("t5", "", 1_950, 0));
            let mut play = if lost { play.restart() } else { play }.second(3_000);
            let z3 = play.slice().await;
            assert_eq!(z3.ids, "t5");
            assert_eq!(play.log(), [if lost { "(105) -> t5" } else { "(1900) -> t5" }]);
            assert_eq!(place(&z3), at(3, "1950", 1));
        }
    }
}

#[tokio::test]
async fn cases_8_to_11_background_growing_deleted_and_more_ties_than_a_page() {
    for table in TABLES {
        let (play, _) = z2(table, "cases_8_to_11").await;
        play.service.edit(|state| state.upsert("t5", "", 1_950, 0));
        let mut play = play.second(3_000);
        play.slice().await;
        play.slice().await;
        play.log();

        play.service.edit(|state| state.upsert("t1", "", 1_960, 0));
        let z4 = play.slice().await;
        assert_eq!(play.log(), ["(1950) -> t5 t1"]);
        assert_eq!(z4.ids, "t1");
        play.slice().await;
        play.log();

        play.service.edit(|state| {
            state.upsert("t6", "", 2_938, 0);
            state.upsert("t7", "", 2_945, 0);
        });
        let mut play = play.option("per_page", "3");
        let z5 = play.slice().await;
        assert_eq!(play.log(), ["(1960) -> t1 t6 t7"]);
        assert_eq!(z5.ids, "t6 t7");
        assert_eq!(play.slice().await.offset, z5.offset, "past until");
        assert!(play.log().is_empty());

        play.service.edit(|state| state.upsert("t4", "", 2_950, -1));
        let mut play = play.second(4_000);
        let z6 = play.slice().await;
        assert_eq!(play.log(), ["(2945) -> t7 t4"]);
        assert_eq!(z6.ids, "t4");
        assert_eq!(play.slice().await.offset, z6.offset);
        play.log();

        play.service.edit(|state| {
            for id in ["u1", "u2", "u3", "u4", "u5"] {
                state.upsert(id, "", 3_000, 0);
            }
        });
        let mut play = play.option("per_page", "2");
        let z7 = play.slice().await;
        assert_eq!(play.log(), ["(2950) -> t4 u1", "(3000) -> u1 u2"]);
        assert_eq!(z7.ids, "u1 u2");
        let ties = if table == "export" { 2 } else { 3 };
        assert_eq!(place(&z7), at(place(&z6).0 + 1, "3000", ties));
        let error = play.try_slice().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadResponse);
        assert!(error.message().contains("'3000'"), "{error}");
    }
}

/// The door serves a slice that it has stored; one that it has not is read again.
#[tokio::test]
async fn case_13_a_slice_that_was_lost_in_a_crash_is_the_same_when_it_is_read_again() {
    for table in TABLES {
        let mut play = export(table, "case_13").option("per_page", "2");
        let z1 = play.slice().await;
        let mut play = play.option("per_page", "4");
        let z2 = play.slice().await;
        let mut play = play.restart_at(&z1);
        let again = play.slice().await;
        assert_eq!(again.ids, z2.ids);
        assert_eq!(play.without_id(&again), play.without_id(&z2));
    }
}

#[tokio::test]
async fn case_14_a_row_older_than_the_end_is_found_within_the_lookback_only() {
    for (lookback, found) in [("0", ""), ("3000", "late")] {
        for table in TABLES {
            let (play, _) = z2(table, &format!("case_14_{lookback}")).await;
            let mut play = play.option("lookback_seconds", lookback).option("per_page", "100");
            play.service.edit(|state| state.upsert("t6", "", 2_950, 0));
            let mut play2 = play.second(4_000);
            play2.drain().await;
            play2.service.edit(|state| state.upsert("late", "", 2_900, 0));
            play = play2.restart().second(5_000);
            assert_eq!(play.drain_ids().await.join(" "), found, "{table}");
        }
    }
}
