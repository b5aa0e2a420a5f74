//! Random histories for every kind of progress that `model.rs` lacks: records and parents that
//! change, appear late or are deleted while they are read, crashes at any slice, random sizes. What
//! the source holds in the end must stand at the destination in its last version.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use common::{Play, Random};
use lakeflow_core::{Clock, Instant};
use lakeflow_testkit::kinds::State;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

#[derive(Clone, Debug)]
struct History {
    seed: u64,
    table: &'static str,
    per_page: u64,
    cap: u64,
    lookback: u64,
    per_request: u64,
    concurrent: u64,
}

const START: i64 = 10_000;

/// One change of what the service holds, visible up to `lookback` seconds after it happened.
fn churn(state: &mut State, random: &mut Random, now: i64, history: &History, number: usize) {
    let (lookback, append) = (history.lookback, history.table.starts_with("append"));
    let at = now - random.seconds(lookback + 1);
    let touched = match random.below(8) {
        0 => {
            let id = random.pick(state.rows.keys().cloned());
            let parent = id.as_ref().map(|id| state.rows[id].parent.clone());
            id.inspect(|id| state.remove(id));
            parent
        }
        1 if state.parents.len() < 12 => {
            state.upsert_parent(&format!("q{number:04}"), at, 0);
            None
        }
        2 if state.parents.len() > 2 => {
            let id = random.pick(state.parents.keys().cloned()).unwrap();
            let below = state.rows.iter().filter(|(_, row)| row.parent == id);
            let below: Vec<String> = below.map(|(id, _)| id.clone()).collect();
            below.iter().for_each(|row| state.remove(row));
            state.parents.remove(&id);
            None
        }
        3..=5 if !state.rows.is_empty() && !append => {
            let id = random.pick(state.rows.keys().cloned()).unwrap();
            let row = state.rows[&id].clone();
            state.upsert(&id, &row.parent, at.max(row.at), row.n + 1);
            Some(row.parent)
        }
        _ => {
            let parent = random.pick(state.parents.keys().cloned()).unwrap();
            let id = format!("{}x{}", random.below(9), state.now());
            state.upsert(&id, &parent, at, 0);
            Some(parent)
        }
    };
    // A change below a parent shows in the parent.
    if let Some((id, parent)) =
        touched.and_then(|id| Some((id.clone(), state.parents.get(&id)?.clone())))
    {
        state.upsert_parent(&id, at.max(parent.at), parent.n + 1);
    }
}

/// Versions at the destination, and what the source holds.
async fn play(history: &History) -> (BTreeMap<String, i64>, BTreeMap<String, i64>) {
    let History { seed, table, per_page, cap, lookback, per_request, concurrent } = history;
    let mut random = Random(seed | 1);
    let per_request = if *table == "below_token" { &1 } else { per_request };
    let append = table.starts_with("append");
    let play = Play::kinds(&format!("model_{history:?}"), table)
        .option("per_page", &per_page.to_string())
        .option("max_records_per_batch", &cap.to_string())
        .option("lookback_seconds", &lookback.to_string())
        .option("per_request", &per_request.to_string())
        .option("maxConcurrentRequests", &concurrent.to_string())
        .second(START + 30);
    play.service.edit(|state| {
        for p in 0..=random.below(6) {
            state.upsert_parent(&format!("p{p}"), START + random.seconds(30), 0);
        }
        for n in 0..random.below(40) {
            let parent = random.pick(state.parents.keys().cloned()).unwrap();
            state.upsert(&format!("r{n:03}"), &parent, START + random.seconds(30), 0);
        }
    });
    let clock = play.clock();
    let hook_clock = clock.clone();
    let state = Mutex::new((Random(seed.rotate_left(17) | 1), 250u32));
    let churned = history.clone();
    play.service.before_request(move |number, rows| {
        let mut state = state.lock().unwrap();
        let (random, left) = &mut *state;
        if *left == 0 {
            return;
        }
        *left -= 1;
        let mut now = hook_clock.now().seconds();
        if random.below(3) == 0 {
            now += random.seconds(3);
            hook_clock.set(Instant::from_parts(now, 0));
        }
        for _ in 0..random.below(3) {
            churn(rows, random, now, &churned, number);
        }
    });
    let mut streams = VecDeque::from([(play, false)]);
    if *table == "token" {
        // Deletes are followed from before the first listing of rows.
        let mut deletes = streams[0].0.sibling().option("isDeleteFlow", "true");
        deletes.slice().await;
        streams.push_back((deletes, true));
    }
    let mut destination = BTreeMap::new();
    let mut deleted = Vec::new();
    let mut quiet = 0;
    let at_rest = 40 * streams.len();
    for _ in 0..10_000 {
        let (mut play, deletes) = streams.pop_front().unwrap();
        let before = play.start();
        let got = play.slice_rows().await;
        if random.below(5) == 0 {
            // The process died before the slice was logged.
            streams.push_back((play.start_at(&before), deletes));
            continue;
        }
        quiet = if got.is_empty() { quiet + 1 } else { 0 };
        for (id, n) in got {
            if deletes {
                deleted.push(id);
                continue;
            }
            let earlier = destination.get(&id).copied();
            assert!(earlier.is_none() || !append, "{history:?}: {id} arrived twice");
            destination.insert(id, earlier.map_or(n, |earlier| n.max(earlier)));
        }
        if random.below(7) == 0 {
            play = play.restart();
        }
        streams.push_back((play, deletes));
        if quiet > 0 {
            clock.set(clock.now().plus_nanos(1_000_000_000));
        }
        if quiet > at_rest {
            break;
        }
    }
    assert!(quiet > at_rest, "{history:?}: the streams never came to rest");
    deleted.iter().for_each(|id| {
        destination.remove(id);
    });
    let source: BTreeMap<String, i64> = streams[0].0.service.edit(|state| {
        let below_parents = table.starts_with("below") || table.ends_with("children");
        let rows = state.rows.iter();
        let rows =
            rows.filter(|(_, row)| !below_parents || state.parents.contains_key(&row.parent));
        rows.map(|(id, row)| (id.clone(), row.n)).collect()
    });
    if *table == "token" {
        assert_eq!(destination, source, "{history:?}");
    }

    (destination, source)
}

fn check(history: &History) {
    let (destination, source) = futures::executor::block_on(play(history));
    let differs: Vec<_> = source.iter().filter(|(id, n)| destination.get(*id) != Some(n)).collect();
    let there: Vec<_> = differs.iter().map(|(id, _)| destination.get(*id)).collect();
    assert!(
        differs.is_empty(),
        "{history:?}: lost or old at the destination: {differs:?}, there: {there:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn destination_equals_source_after_any_history(
        seed in any::<u64>(),
        table in proptest::sample::select(vec![
            "descending", "places", "first_by_place", "token", "children", "below_rows",
            "below_windows", "below_places", "below_descending", "below_token", "ordered_token",
            "append_places", "append_descending", "append_children",
        ]),
        per_page in 1u64..6,
        cap in 1u64..15,
        lookback in 0u64..4,
        per_request in 1u64..4,
        concurrent in 1u64..5,
    ) {
        check(&History { seed, table, per_page, cap, lookback, per_request, concurrent });
    }
}
