//! What happens after and during a drain: changes, deletes, lists that move, sources that grow.

use crate::bench::{Bench, HOUR};
use crate::check::Outcome;
use crate::reads::key;
use crate::rows::{Row, differences, key_of, minus};
use lakeflow_core::{Clock, Result};
use lakeflow_simulator::Churn;
use std::collections::{BTreeMap, BTreeSet};

/// The next drain gives what changed since the last one, all of it and nothing else.
pub async fn a_change_comes_once(bench: Bench) -> Result<Outcome> {
    if !bench.streamable().await? {
        return Ok(Outcome::Spared);
    }
    let before = bench.read(&[], None).await?;
    let mut stream = bench.stream(&[]);
    stream.drain().await?;
    bench.later(HOUR);
    bench.change()?;
    bench.later(HOUR);
    let after = bench.read(&[], None).await?;
    let changed = minus(&after, &before);
    let mut got = stream.drain().await?.rows;
    if bench.case.repeats {
        let again = minus(&got, &changed);
        let unknown = minus(&again, &after);
        got = minus(&got, &minus(&again, &unknown));
    }
    let mut problems = differences("after a change", &changed, &got);
    if changed.is_empty() {
        problems.push("a change in the simulator changes no row".to_owned());
    }
    let last = stream.drain().await?.rows;
    problems.extend(differences("the drain after it", &[], &last));

    Ok(problems.into())
}

/// A deleted record's key comes through the delete feed, once; its row comes no more, or says that
/// it is deleted.
pub async fn deletes_come(bench: Bench) -> Result<Outcome> {
    let Some(delete) = bench.case.delete else { return Ok(Outcome::Spared) };
    let key = key(&bench.describe().await?);
    let keys =
        |rows: &[Row]| rows.iter().filter_map(|row| key_of(row, &key)).collect::<BTreeSet<_>>();
    let mut deletes = bench.deletes();
    let earlier = keys(&deletes.drain().await?.rows);
    let before = live(&bench, &keys).await?;
    bench.later(HOUR);
    delete(&bench.simulator, bench.clock.now());
    bench.later(HOUR);
    let after = live(&bench, &keys).await?;
    let gone: BTreeSet<_> = before.difference(&after).cloned().collect();
    let got = deletes.drain().await?.rows;
    let mut problems = Vec::new();
    if gone.is_empty() || !earlier.is_disjoint(&after) {
        problems.push(format!("gone {gone:?}, deleted before {earlier:?}"));
    }
    if keys(&got) != gone || got.len() != gone.len() {
        problems.push(format!("gone {gone:?}, but the delete feed gives {got:?}"));
    }
    let again = deletes.restart().drain().await?.rows;
    problems.extend(differences("deletes again", &[], &again));

    Ok(problems.into())
}

async fn live(
    bench: &Bench,
    keys: &impl Fn(&[Row]) -> BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let mut rows = bench.read(&[], None).await?;
    rows.retain(|row| !(bench.case.is_deleted)(row));

    Ok(keys(&rows))
}

/// Rows that change while they are listed hide no other row: what was delivered, the last change
/// of each key, is what the service has in the end.
pub async fn churn_loses_nothing(bench: Bench) -> Result<Outcome> {
    let key = key(&bench.describe().await?);
    if key.is_empty() || !bench.streamable().await? {
        return Ok(Outcome::Spared);
    }
    bench.tick();
    bench.simulator.churn(Churn {
        source: bench.entry.spec.into(),
        collection: bench.case.collection.into(),
        every_requests: 1,
        rows: 2,
        page_edges: true,
        seed: 7,
    });
    let mut stream = bench.stream(&[]);
    let mut delivered = stream.drain().await?.rows;
    bench.simulator.clear_movements();
    bench.later(HOUR);
    delivered.extend(stream.drain().await?.rows);
    let latest: BTreeMap<_, _> =
        delivered.into_iter().map(|row| (key_of(&row, &key), row)).collect();
    let now = bench.read(&[], None).await?;

    Ok(differences("after churn", &now, &latest.into_values().collect::<Vec<_>>()).into())
}

/// A drain ends although every request finds a page of new rows, and the next one gives the rest.
pub async fn a_growing_source_is_drained(bench: Bench) -> Result<Outcome> {
    if !bench.streamable().await? {
        return Ok(Outcome::Spared);
    }
    bench.tick();
    bench.grow();
    let key = key(&bench.describe().await?);
    let mut stream = bench.stream(&[]).single_drain();
    let mut delivered = stream.drain().await?.rows;
    bench.simulator.clear_movements();
    bench.later(HOUR);
    let mut rest = stream.restart();
    delivered.extend(rest.drain().await?.rows);
    let now = bench.read(&[], None).await?;
    if !key.is_empty() {
        let latest: BTreeMap<_, _> =
            delivered.into_iter().map(|row| (key_of(&row, &key), row)).collect();
        delivered = latest.into_values().collect();
    }

    Ok(differences("after growth", &now, &delivered).into())
}
