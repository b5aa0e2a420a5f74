//! Random histories: a list that changes while it is read, random crashes, random sizes. The
//! destination must end up as the source is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
use common::{Play, Random, at};
use lakeflow_core::Instant;
use lakeflow_testkit::list::upsert;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug)]
struct History {
    seed: u64,
    table: &'static str,
    per_page: u64,
    cap: u64,
    lookback: u64,
    window: u64,
}

/// Rows committed at the destination, in order: id and version.
async fn play(history: &History) -> (Vec<(String, i64)>, BTreeMap<String, i64>) {
    let History { seed, table, per_page, cap, lookback, window } = history;
    let mut random = Random(seed | 1);
    let name = format!("model_{table}_{seed}_{per_page}_{cap}_{lookback}_{window}");
    let mut play = Play::new(&name, table)
        .option("per_page", &per_page.to_string())
        .option("max_records_per_batch", &cap.to_string())
        .option("lookback_seconds", &lookback.to_string())
        .option("window_seconds", &window.to_string());
    let start = Instant::parse(&at("10:00:00")).unwrap();
    // Rows without an order value come first in a sorted list, and only if there is no bound.
    let nulls = matches!(*table, "rows" | "pass");
    let rows = random.below(40);
    for n in 0..rows {
        let time = start.plus_nanos(i128::from(random.below(30)) * 1_000_000_000).to_rfc3339(0);
        let valued = !nulls || random.below(5) > 0;
        play.service.upsert(&format!("r{n:03}"), valued.then_some(&*time), 0);
    }
    let clock = play.clock();
    clock.set(start.plus_nanos(30_000_000_000));
    let no_bounds = *table == "pass";
    let updates = matches!(*table, "rows" | "windows" | "sorted_windows" | "pass");
    let churn = std::sync::Mutex::new((Random(seed.rotate_left(17) | 1), 300u32));
    let hook_clock = clock.clone();
    play.service.before_request(move |number, rows| {
        use lakeflow_core::Clock;
        let mut churn = churn.lock().unwrap();
        if churn.1 == 0 {
            return;
        }
        churn.1 -= 1;
        let random = &mut churn.0;
        if random.below(3) == 0 {
            hook_clock
                .set(hook_clock.now().plus_nanos(i128::from(random.below(3)) * 1_000_000_000));
        }
        let now = hook_clock.now().to_rfc3339(0);
        for _ in 0..random.below(3) {
            if updates && !rows.is_empty() && random.below(2) == 0 {
                let row = random.below(rows.len() as u64) as usize;
                let id = rows[row]["id"].as_str().unwrap().to_owned();
                let n = rows[row]["n"].as_i64().unwrap();
                let valued = !no_bounds || random.below(5) > 0;
                upsert(rows, &id, valued.then_some(&*now), n + 1);
            } else {
                upsert(rows, &format!("n{number:04}x{}", rows.len()), Some(&now), 0);
            }
        }
    });
    let mut committed = Vec::new();
    let mut quiet = 0;
    for _ in 0..5_000 {
        let before = play.start();
        let got = play.slice_rows().await;
        if random.below(5) == 0 {
            // The process died before the slice was logged.
            play = play.start_at(&before);
            continue;
        }
        quiet = if got.is_empty() { quiet + 1 } else { 0 };
        committed.extend(got);
        if random.below(7) == 0 {
            play = play.restart();
        }
        if quiet > 0 {
            let now = lakeflow_core::Clock::now(&*clock);
            clock.set(now.plus_nanos(1_000_000_000));
        }
        if quiet > 40 {
            break;
        }
    }
    let source = play.service.rows();
    let source =
        source.iter().map(|r| (r["id"].as_str().unwrap().to_owned(), r["n"].as_i64().unwrap()));

    (committed, source.collect())
}

fn check(history: &History) {
    let (committed, source) = futures::executor::block_on(play(history));
    let mut destination = BTreeMap::new();
    for (id, n) in &committed {
        let version = destination.entry(id.clone()).or_insert(*n);
        *version = (*version).max(*n);
    }
    let differs = source.iter().filter(|(id, n)| destination.get(*id) != Some(n));
    let differs: Vec<_> = differs.collect();
    assert!(differs.is_empty(), "{history:?}: lost or old at the destination: {differs:?}");
    if matches!(history.table, "events" | "keyed") {
        assert_eq!(committed.len(), source.len(), "append rows arrive once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn destination_equals_source_after_any_history(
        seed in any::<u64>(),
        table in proptest::sample::select(vec![
            "rows", "events", "keyed", "windows", "sorted_windows", "pass",
        ]),
        per_page in 1u64..6,
        cap in 1u64..15,
        lookback in 0u64..4,
        window in 1u64..20,
    ) {
        check(&History { seed, table, per_page, cap, lookback, window });
    }
}
