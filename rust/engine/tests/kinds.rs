//! Newest first, by places, by tokens, and up to what the service says is the latest.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use common::Play;
use lakeflow_core::{ErrorKind, Offset, Pass};
use lakeflow_testkit::kinds::{KindsService, time};

type Kinds = Play<KindsService>;

/// `rows` records, one a second from second 100 on; the clock stands at second 1000.
fn filled(name: &str, table: &str, rows: u32) -> Kinds {
    let play = Play::kinds(name, table);
    play.service.edit(|state| {
        for n in 0..rows {
            state.upsert(&format!("r{n:03}"), "", 100 + i64::from(n), 0);
        }
    });
    play.second(1_000)
}

fn ids(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("r{n:03}")).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

fn offset(play: &Kinds) -> Offset {
    Offset::from_text(&play.start()).unwrap().unwrap()
}

#[tokio::test]
async fn newest_first_stops_at_the_first_page_that_reaches_the_cursor() {
    let mut play = filled("newest_first", "descending", 10).option("per_page", "5");
    assert_eq!(sorted(play.drain_ids().await), ids(0..10));
    // Two pages, read twice to be sure that none was hidden.
    assert_eq!(play.log().len(), 4);
    assert_eq!(offset(&play).cursor.unwrap(), time(109));

    play.service.edit(|state| state.upsert("r003", "", 500, 1));
    let mut play = play.restart().second(1_100);
    assert_eq!(play.drain_ids().await, ["r003"]);
    assert_eq!(play.log(), ["(–,1) -> r003 r009 r008 r007 r006"]);
    assert_eq!(play.slice().await.ids, "");
}

#[tokio::test]
async fn newest_first_leaves_what_changes_meanwhile_to_the_next_drain() {
    let mut play = filled("meanwhile", "descending", 10).option("per_page", "3");
    play.service.before_request(|number, state| {
        if number == 2 {
            state.upsert("r001", "", 1_005, 1);
        }
    });
    let first = sorted(play.drain_ids().await);
    assert!(!first.contains(&"r001".to_owned()), "{first:?}");
    assert_eq!(first.len(), 9);
    let mut play = play.restart().second(1_100);
    assert_eq!(play.drain_ids().await, ["r001"]);
}

#[tokio::test]
async fn newest_first_loses_no_record_when_another_is_deleted_meanwhile() {
    let mut play = filled("deleted_meanwhile", "descending", 9).option("per_page", "3");
    play.service.before_request(|number, state| {
        if number == 2 {
            state.remove("r008");
        }
    });
    assert_eq!(sorted(play.drain_ids().await), ids(0..9));
}

#[tokio::test]
async fn a_first_read_by_place_goes_on_there_after_a_crash_with_its_own_bound() {
    for table in ["first_by_place", "places"] {
        let mut play = filled(&format!("first_{table}"), table, 9)
            .option("per_page", "3")
            .option("max_records_per_batch", "3");
        assert_eq!(play.slice().await.ids, "r000 r001 r002");
        let pass = offset(&play).pass.unwrap();
        let at = pass.at.clone().unwrap();
        assert_eq!(at.text("id"), Some("r002"));
        assert_eq!(
            Pass { at: None, ..pass },
            Pass {
                upto: Some(time(1_000)),
                largest: Some(time(102)),
                version: 1,
                ..Pass::default()
            }
        );
        assert_eq!(offset(&play).cursor, None);
        play.log();

        // Both change after the bound: one was read already, the other not.
        play.service.edit(|state| {
            state.upsert("r001", "", 1_050, 1);
            state.upsert("r005", "", 1_050, 1);
        });
        let mut play = play.restart().second(1_100);
        assert_eq!(play.slice().await.ids, "r003 r004 r006 r007 r008", "{table}");
        assert_eq!(play.log()[0], "(r002) -> r003 r004 r005");
        assert_eq!(offset(&play).pass, None);
        assert_eq!(offset(&play).cursor.unwrap(), time(1_000));
        assert_eq!(sorted(play.drain_ids().await), ["r001", "r005"], "{table}");
        assert_eq!(offset(&play).cursor.unwrap(), time(1_050));
    }
}

#[tokio::test]
async fn the_last_rows_of_a_pass_end_it_so_that_an_idle_table_keeps_no_place() {
    let mut play = filled("pass_end", "first_by_place", 6).option("per_page", "3");
    assert_eq!(play.drain_ids().await, ids(0..6));
    assert_eq!(offset(&play).pass, None);
    play.log();

    let mut play = play.restart().second(1_100);
    assert_eq!(play.slice().await.ids, "");
    assert_eq!(play.log().len(), 1);
}

#[tokio::test]
async fn places_of_older_versions_are_brought_up_to_date_and_newer_ones_refused() {
    let mut play = filled("versions", "places", 6)
        .option("per_page", "3")
        .option("max_records_per_batch", "3");
    play.slice().await;
    let mut play = play.option("position_version", "2");
    assert_eq!(play.slice().await.ids, "r003 r004 r005");

    let mut play = filled("versions_newer", "places", 6)
        .option("position_version", "2")
        .option("per_page", "3")
        .option("max_records_per_batch", "3");
    play.slice().await;
    let mut play = play.option("position_version", "1");
    let error = play.try_slice().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OffsetInvalid);
    assert!(error.message().contains("version 2"), "{error}");
}

#[tokio::test]
async fn a_feed_of_tokens_lists_first_and_goes_on_from_its_place() {
    let mut play = filled("token", "token", 5).option("per_page", "2");
    play = play.option("max_records_per_batch", "2");
    assert_eq!(play.slice().await.ids, "r000 r001");
    play.service.edit(|state| {
        state.upsert("r000", "", 200, 1);
        state.upsert("r009", "", 200, 0);
        state.upsert("r009", "", 201, 1);
    });
    let mut play = play.restart();
    // The second page of changes has r009 twice: its last entry counts.
    assert_eq!(play.drain_ids().await, ["r002", "r003", "r004", "r009"]);
    assert_eq!(offset(&play).pass.unwrap().at.unwrap().integer("seq"), Some(5));
    let mut play = play.restart();
    assert_eq!(play.drain_ids().await, ["r000", "r009", "r009"]);
    assert_eq!(offset(&play).pass.unwrap().at.unwrap().integer("seq"), Some(8));
    play.log();
    let mut play = play.restart();
    assert_eq!(play.slice().await.ids, "");
    assert_eq!(play.log(), ["(8) -> "]);
    assert_eq!(play.empty_moves, 0);
}

#[tokio::test]
async fn the_baseline_of_a_delete_feed_is_kept_by_one_empty_slice() {
    let mut play = filled("baseline", "token", 3).option("isDeleteFlow", "true");
    let first = play.slice().await;
    assert_eq!(first.ids, "");
    assert_eq!(offset(&play).pass.unwrap().at.unwrap().integer("seq"), Some(3));
    assert_eq!(play.slice().await.offset, first.offset);

    play.service.edit(|state| state.remove("r001"));
    let mut play = play.restart();
    assert_eq!(play.drain_ids().await, ["r001"]);
    assert_eq!(play.empty_moves, 1);
}

#[tokio::test]
async fn a_place_that_grows_old_is_replaced_by_an_empty_slice() {
    let mut play = filled("old", "token", 3);
    let first = play.drain().await;
    let mut play = play.restart().second(1_000 + 1_700);
    assert_eq!(play.slice().await.offset, first);
    let mut play = play.restart().second(1_000 + 1_900);
    assert_ne!(play.slice().await.offset, first);
    let second = play.start();
    assert_eq!(play.slice().await.offset, second);
    assert_eq!(play.empty_moves, 1);
}

#[tokio::test]
async fn a_forgotten_place_fails_unless_loss_is_accepted() {
    let mut play = filled("forgotten", "token", 3);
    play.drain().await;
    play.service.edit(|state| {
        state.upsert("r001", "", 300, 1);
        state.forgotten = 4;
    });
    let mut play = play.restart();
    let error = play.try_slice().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PositionExpired);
    assert!(error.message().contains("failOnDataLoss=false"), "{error}");

    let mut play = play.option("failOnDataLoss", "false");
    let got = play.slice().await;
    assert_eq!(got.ids, "r000 r001 r002");
    assert_eq!(got.warnings.len(), 1, "{:?}", got.warnings);
}

#[tokio::test]
async fn upserts_and_deletes_of_one_page_go_each_to_its_own_feed() {
    let mut rows = filled("mixed", "token", 4);
    let mut deletes = rows.sibling().option("isDeleteFlow", "true");
    assert_eq!(deletes.slice().await.ids, "");
    assert_eq!(rows.drain_ids().await, ids(0..4));
    rows.log();

    rows.service.edit(|state| {
        state.upsert("r001", "", 200, 1);
        state.remove("r002");
        state.upsert("r009", "", 200, 0);
        state.remove("r000");
    });
    for (play, feed) in [(rows, ["r001", "r009"]), (deletes, ["r002", "r000"])] {
        let mut play = play.restart();
        assert_eq!(play.drain_ids().await, feed);
        assert_eq!(play.log(), ["(4) -> r001 r009 r002 r000"]);
        assert_eq!(offset(&play).pass.unwrap().at.unwrap().integer("seq"), Some(8));
    }
}

#[tokio::test]
async fn a_page_of_deletes_alone_moves_the_place_of_the_rows_in_memory() {
    let mut play = filled("deletes_alone", "token", 2);
    play.drain().await;
    play.log();
    play.service.edit(|state| state.remove("r000"));
    assert_eq!(play.slice().await.ids, "");
    assert_eq!(play.slice().await.ids, "");
    assert_eq!(play.log(), ["(2) -> r000", "(3) -> "]);
    assert_eq!(play.empty_moves, 0);
}

#[tokio::test]
async fn an_ordered_feed_of_tokens_ends_its_drain_at_the_page_past_until() {
    let mut play = filled("ordered", "ordered_token", 10).option("per_page", "3").second(105);
    assert_eq!(play.drain_ids().await, ids(0..9));
    assert_eq!(offset(&play).cursor.unwrap(), time(108));
    let mut play = play.restart().second(1_000);
    assert_eq!(play.drain_ids().await, ids(9..10));
    assert_eq!(offset(&play).cursor.unwrap(), time(109));
    assert_eq!(offset(&play).pass.unwrap().at.unwrap().integer("seq"), Some(10));
}

#[tokio::test]
async fn a_forgotten_place_of_an_ordered_feed_is_replaced_by_its_cursor() {
    let mut play = filled("ordered_forgotten", "ordered_token", 5);
    play.drain().await;
    play.service.edit(|state| {
        state.upsert("r001", "", 300, 1);
        state.forgotten = 6;
    });
    let mut play = play.restart();
    assert_eq!(play.drain_ids().await, ["r001", "r004"]);
    assert_eq!(offset(&play).cursor.unwrap(), time(300));
}

#[tokio::test]
async fn a_pass_whose_place_is_gone_begins_again_and_delivers_the_rest() {
    for table in ["places", "first_by_place", "append_places"] {
        for stopped in [true, false] {
            let play = filled(&format!("gone_{table}_{stopped}"), table, 9).option("per_page", "3");
            let mut play = match stopped {
                true => play.option("max_records_per_batch", "3"),
                false => play,
            };
            let mut got = Vec::new();
            if stopped {
                got.push(play.slice().await.ids);
                play.service.edit(|state| state.expired = 1);
                play = play.restart();
            } else {
                play.service.before_request(|number, state| {
                    if number == 3 {
                        state.expired = 1;
                    }
                });
            }
            let mut warnings = Vec::new();
            loop {
                let slice = play.slice().await;
                warnings.extend(slice.warnings);
                if slice.ids.is_empty() {
                    break;
                }
                got.push(slice.ids);
            }
            let mut got: Vec<_> = got.iter().flat_map(|ids| ids.split(' ')).collect();
            got.sort_unstable();
            if !table.starts_with("append") {
                // What can no longer come is forgotten; that it may come twice is told.
                got.dedup();
            }
            assert_eq!(got, ids(0..9), "{table} {stopped}");
            assert_eq!(warnings.len(), 1, "{table} {stopped}: {warnings:?}");
            assert_eq!(offset(&play).pass, None);
        }
    }
}

#[tokio::test]
async fn a_service_that_forgets_every_place_is_an_error() {
    for table in ["places", "first_by_place"] {
        let mut play = filled(&format!("forgetful_{table}"), table, 9).option("per_page", "3");
        play.service.edit(|state| state.expired = u32::MAX);
        let error = play.try_slice().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PositionExpired, "{table}");
        assert_eq!(play.log().len(), 4, "the first page of four walks");
    }
}

#[tokio::test]
async fn append_rows_of_passes_arrive_once_whatever_moves_and_crashes() {
    for table in ["append_places", "append_descending"] {
        let mut play = filled(table, table, 9)
            .option("per_page", "3")
            .option("lookback_seconds", "5")
            .option("max_records_per_batch", "3");
        let state = play.service.clone();
        state.before_request(|number, state| {
            if number <= 4 {
                state.upsert(&format!("a{number}"), "", 108, 0);
            }
        });
        let mut got = Vec::new();
        for now in [1_000, 1_001, 1_100] {
            play = play.restart().second(now);
            got.extend(play.drain_ids().await);
        }
        let mut expected = ids(0..9);
        expected.extend((1..=4).map(|n| format!("a{n}")));
        assert_eq!(sorted(got), sorted(expected), "{table}");
    }
}

#[tokio::test]
async fn a_drain_ends_at_what_the_service_says_is_the_latest() {
    let mut play = filled("latest", "latest", 10).second(105);
    assert_eq!(play.drain_ids().await, ids(0..10));
    assert_eq!(offset(&play).cursor.unwrap(), time(109));
}

#[tokio::test]
async fn batch_reads_deliver_everything_of_every_kind() {
    for table in ["descending", "places", "first_by_place", "token", "latest", "export"] {
        let play = filled(&format!("batch_{table}"), table, 25).option("per_page", "4");
        assert_eq!(sorted(play.batch_ids().await), ids(0..25), "{table}");
    }
}
