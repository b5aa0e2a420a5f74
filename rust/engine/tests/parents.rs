//! Tables below parents: listed ones, and ones that change.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use common::Play;
use lakeflow_core::Offset;
use lakeflow_testkit::kinds::{KindsService, time};

type Kinds = Play<KindsService>;

const BELOW: [&str; 5] =
    ["below_rows", "below_windows", "below_places", "below_descending", "below_token"];

/// Parents p0.. with `rows` records each, one a second from second 100 on; the clock at 1000.
fn filled(name: &str, table: &str, parents: u32, rows: u32) -> Kinds {
    let play = Play::kinds(&format!("{name}_{table}"), table);
    play.service.edit(|state| {
        for p in 0..parents {
            state.upsert_parent(&format!("p{p}"), 100 + i64::from(p), 0);
            for n in 0..rows {
                state.upsert(&format!("p{p}r{n}"), &format!("p{p}"), 100 + i64::from(n), 0);
            }
        }
    });
    play.second(1_000)
}

fn ids(parents: u32, rows: u32) -> Vec<String> {
    (0..parents).flat_map(|p| (0..rows).map(move |n| format!("p{p}r{n}"))).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[tokio::test]
async fn rows_come_in_the_order_of_the_parents_whatever_is_read_at_once() {
    for table in BELOW {
        for concurrent in ["1", "4", "64"] {
            let name = format!("order_{concurrent}");
            let mut play = filled(&name, table, 7, 3)
                .option("maxConcurrentRequests", concurrent)
                .option("per_page", "2");
            let got = play.drain_ids().await;
            let parents: Vec<&str> = got.iter().map(|id| &id[..2]).collect();
            assert!(parents.is_sorted(), "{table}: {got:?}");
            assert_eq!(sorted(got), ids(7, 3), "{table}");

            let mut play = play.restart().second(1_100);
            assert!(play.drain_ids().await.is_empty(), "{table}");
            play.service.edit(|state| state.upsert("p5r1", "p5", 1_150, 1));
            let mut play = play.second(1_200);
            assert_eq!(play.drain_ids().await, ["p5r1"], "{table}");
        }
    }
    let play = filled("order", "below_all", 7, 3);
    assert_eq!(play.batch_ids().await, ids(7, 3));
}

#[tokio::test]
async fn after_a_crash_parents_that_were_read_are_not_read_again() {
    for table in ["below_rows", "below_windows", "below_places", "below_token"] {
        let mut play = filled("crash", table, 6, 2)
            .option("maxConcurrentRequests", "1")
            .option("max_records_per_batch", "4");
        let mut got = play.slice().await.ids;
        play.log();
        // The second parent's change comes after the bound of the pass.
        play.service.edit(|state| state.upsert("p0r0", "p0", 1_050, 1));
        let mut play = play.restart().second(1_100);
        let rest = play.slice().await.ids;
        let asked = play.log();
        if table != "below_token" {
            assert!(asked.iter().all(|a| !a.starts_with("p0 ")), "{table}: {asked:?}");
        }
        got = format!("{got} {rest} {}", play.drain_ids().await.join(" "));
        let got: Vec<String> = got.split(' ').map(str::to_owned).collect();
        let mut expected = ids(6, 2);
        expected.push("p0r0".to_owned());
        assert_eq!(sorted(got), sorted(expected), "{table}");
        let offset = Offset::from_text(&play.start()).unwrap().unwrap();
        assert!(play.start().len() < 500, "{}", play.start());
        if table != "below_token" {
            assert_eq!(
                offset.cursor.unwrap(),
                time(if table == "below_windows" { 1_100 } else { 1_050 })
            );
            assert_eq!(offset.pass, None);
        }
    }
}

#[tokio::test]
async fn a_parent_that_was_not_known_is_read_from_its_start() {
    for table in BELOW {
        let mut play = filled("new_parent", table, 2, 2);
        assert_eq!(sorted(play.drain_ids().await), ids(2, 2), "{table}");
        play.service.edit(|state| {
            state.upsert_parent("p2", 50, 0);
            state.upsert("p2r0", "p2", 10, 0);
        });
        let mut play = play.restart().second(1_100);
        assert_eq!(play.drain_ids().await, ["p2r0"], "{table}");
    }
}

#[tokio::test]
async fn parents_that_are_gone_are_left_out_and_counted() {
    for (table, per_request) in [("below_rows", "1"), ("below_places", "2"), ("below_windows", "3")]
    {
        let mut play = filled("gone", table, 5, 2).option("per_request", per_request);
        play.service.edit(|state| state.gone.extend(["p1".to_owned(), "p4".to_owned()]));
        let mut warnings = Vec::new();
        let mut got = Vec::new();
        loop {
            let slice = play.slice().await;
            warnings.extend(slice.warnings);
            if slice.ids.is_empty() {
                break;
            }
            got.extend(slice.ids.split(' ').map(str::to_owned));
        }
        let expected: Vec<String> = ids(5, 2)
            .into_iter()
            .filter(|id| !id.starts_with("p1") && !id.starts_with("p4"))
            .collect();
        assert_eq!(sorted(got), expected, "{table}");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(play.metrics().parents_gone, 2);

        // Once they are back they are read from their start.
        play.service.edit(|state| state.gone.clear());
        let mut play = play.restart().second(1_100);
        assert_eq!(sorted(play.drain_ids().await), ["p1r0", "p1r1", "p4r0", "p4r1"], "{table}");
    }
}

#[tokio::test]
async fn parents_of_one_request_are_asked_for_together() {
    let mut play = filled("together", "below_places", 5, 1).option("per_request", "2");
    assert_eq!(sorted(play.drain_ids().await), ids(5, 1));
    let mut log = play.log();
    log.sort();
    assert_eq!(log, ["p0+p1 (–) -> p0r0 p1r0", "p2+p3 (–) -> p2r0 p3r0", "p4 (–) -> p4r0"]);
}

#[tokio::test]
async fn children_are_read_below_each_parent_that_changed() {
    let mut play = filled("children", "children", 4, 3)
        .option("per_page", "2")
        .option("max_records_per_batch", "5");
    assert_eq!(play.drain_ids().await, ids(4, 3));
    play.log();

    play.service.edit(|state| {
        state.upsert("p2r1", "p2", 5, 1);
        state.upsert_parent("p2", 1_050, 1);
    });
    let mut play = play.restart().second(1_100);
    assert_eq!(play.drain_ids().await, ["p2r0", "p2r1", "p2r2"]);
    assert!(play.drain_ids().await.is_empty());
}

#[tokio::test]
async fn append_rows_below_a_parent_that_changes_arrive_once() {
    let mut play = filled("append", "append_children", 4, 3)
        .option("per_page", "2")
        .option("max_records_per_batch", "5");
    assert_eq!(play.drain_ids().await, ids(4, 3));
    for round in 0..3 {
        let new = format!("p2new{round}");
        play.service.edit(|state| {
            state.upsert(&new, "p2", 5, 0);
            state.upsert_parent("p2", 1_050 + round, 1);
        });
        play = play.restart().second(1_100 + round);
        assert_eq!(play.drain_ids().await, [new]);
        assert!(play.drain_ids().await.is_empty());
    }
}

#[tokio::test]
async fn append_rows_below_a_parent_need_what_was_delivered_or_consent() {
    let mut play = filled("append_lost", "append_children", 1, 2);
    play.drain().await;
    play.service.edit(|state| state.upsert_parent("p0", 1_050, 1));
    let mut play = play.forget_state().restart().second(1_100);
    let error = play.try_slice().await.unwrap_err();
    assert_eq!(error.kind(), lakeflow_core::ErrorKind::OffsetInvalid);
    assert!(error.message().contains("failOnDataLoss=false"), "{error}");

    let mut play = play.option("failOnDataLoss", "false");
    assert_eq!(play.drain_ids().await, ids(1, 2));
}

#[tokio::test]
async fn as_many_lists_as_allowed_are_read_at_once_and_rows_and_offsets_stay_the_same() {
    for table in BELOW.into_iter().chain(["children", "append_children"]) {
        let mut alone = None;
        // Of changed records the children of one page are read at once.
        let per_page = if table.ends_with("children") { "100" } else { "2" };
        for limit in [1, 2, 4, 64] {
            let mut play = filled(&format!("at_once_{limit}"), table, 7, 3)
                .option("maxConcurrentRequests", &limit.to_string())
                .option("max_records_per_batch", "4")
                .option("per_page", per_page);
            let mut start = Offset::beginning("kinds", table, lakeflow_core::Feed::Rows);
            start.salt = Some(1);
            play = play.start_at(&start.to_text().unwrap());
            let mut slices = Vec::new();
            while !slices.last().is_some_and(|(ids, _): &(String, String)| ids.is_empty()) {
                let slice = play.slice().await;
                slices.push((slice.ids, slice.offset));
            }
            assert_eq!(play.service.take_most_in_flight(), limit.min(7), "{table}");
            assert_eq!(&slices, alone.get_or_insert_with(|| slices.clone()), "{table} {limit}");
        }
    }
}

#[tokio::test]
async fn a_parent_that_changes_while_its_children_are_read_comes_again() {
    let play = filled("children_meanwhile", "children", 2, 4).option("per_page", "2");
    play.service.before_request(|number, state| {
        // The second page of the first parent's children.
        if number == 3 {
            state.upsert("p0r0", "p0", 5, 1);
            state.upsert_parent("p0", 1_050, 1);
        }
    });
    let mut play = play.option("maxConcurrentRequests", "1");
    assert_eq!(sorted(play.drain_ids().await), ids(2, 4));
    let mut play = play.restart().second(1_100);
    assert_eq!(play.drain_ids().await, ["p0r0", "p0r1", "p0r2", "p0r3"]);
}
