//! Drains in slices: the same rows whatever the slices and wherever a new process goes on.

use crate::bench::{Bench, Drained};
use crate::check::Outcome;
use crate::rows::differences;
use lakeflow_core::{ErrorKind, Offset, Result};

/// Limit of the drain whose offsets are resumed from.
const RESUMED_LIMIT: &str = "5";

/// Offsets of a drain that are resumed from.
const RESUMED_OFFSETS: usize = 8;

/// Longest offset, in bytes.
const MAX_OFFSET_BYTES: usize = 64 * 1024;

/// Drains with every small limit, and with those about a page, give what a batch read gives.
pub async fn slices_give_the_whole(bench: Bench) -> Result<Outcome> {
    if !bench.streamable().await? {
        return Ok(Outcome::Spared);
    }
    let whole = bench.read(&[], None).await?;
    let page = bench.case.page;
    let mut problems = Vec::new();
    if whole.len() != bench.expected()? {
        problems.push(format!(
            "the batch read gives {} rows of {}",
            whole.len(),
            bench.expected()?
        ));
    }
    for limit in (1..=7).chain([page - 1, page, page + 1, 1_000_000]) {
        let limit = limit.max(1).to_string();
        let drained = bench.stream(&[("max_records_per_batch", &limit)]).drain().await?;
        problems.extend(differences(&format!("limit {limit}"), &whole, &drained.rows));
    }

    Ok(problems.into())
}

/// Offsets are short and have one text only.
pub async fn offsets_are_canonical(bench: Bench) -> Result<Outcome> {
    if !bench.streamable().await? {
        return Ok(Outcome::Spared);
    }
    let mut problems = Vec::new();
    for (offset, _) in sliced(&bench).await?.offsets {
        problems.extend(offset_problem(&offset));
    }

    Ok(problems.into())
}

fn offset_problem(text: &str) -> Option<String> {
    if text.len() > MAX_OFFSET_BYTES {
        return Some(format!("an offset of {} bytes", text.len()));
    }
    match Offset::from_text(text).and_then(|offset| offset.map(|o| o.to_text()).transpose()) {
        Ok(Some(again)) if again == text => None,
        Ok(again) => Some(format!("{text} is read as {again:?}")),
        Err(error) => Some(format!("{text}: {error:?}")),
    }
}

/// A new process that goes on from an offset gives the rows that come after it.
pub async fn every_offset_resumes(bench: Bench) -> Result<Outcome> {
    if !bench.streamable().await? {
        return Ok(Outcome::Spared);
    }
    let mut stream = bench.stream(&[("max_records_per_batch", RESUMED_LIMIT)]);
    let whole = stream.drain().await?;
    let mut problems = Vec::new();
    let step = whole.offsets.len().div_ceil(RESUMED_OFFSETS).max(1);
    for (offset, before) in whole.offsets.iter().step_by(step) {
        let rest = stream.clone().restart_at(offset).drain().await?;
        let what = format!("after {before} rows");
        problems.extend(differences(&what, &whole.rows[*before..], &rest.rows));
    }

    Ok(problems.into())
}

/// A new process that finds nothing new gives no row and asks for little.
pub async fn a_quiet_drain_is_cheap(bench: Bench) -> Result<Outcome> {
    if !bench.streamable().await? {
        return Ok(Outcome::Spared);
    }
    let mut stream = bench.stream(&[]);
    stream.drain().await?;
    bench.simulator.clear_requests();
    bench.engine.stream(&bench.options(&[])).await?;
    let discovery = bench.simulator.requests().len();
    bench.simulator.clear_requests();
    let again = stream.restart().drain().await?;
    let asked = bench.simulator.requests();
    let mut problems = Vec::new();
    if let Some(row) = again.rows.first() {
        problems.push(format!("{} rows come again, first {row}", again.rows.len()));
    }
    let most = discovery + usize::try_from(bench.case.quiet_requests).unwrap_or(usize::MAX);
    if asked.len() > most {
        let paths: Vec<_> = asked.iter().map(|r| format!("{}?{:?}", r.path, r.query)).collect();
        problems.push(format!("{} requests, at most {most}: {}", asked.len(), paths.join(" ")));
    }

    Ok(problems.into())
}

/// A stream of a snapshot table is refused with the batch read as the remedy.
pub async fn snapshots_are_not_streamed(bench: Bench) -> Result<Outcome> {
    let description = bench.describe().await?;
    let snapshot = description["ingestion_type"] == "snapshot";
    let refused = bench.engine.stream(&bench.options(&[])).await.err();
    Ok(match refused {
        None if snapshot => vec!["a snapshot table can be streamed".to_owned()].into(),
        None => Outcome::Spared,
        Some(e)
            if snapshot && e.kind() == ErrorKind::Unsupported && e.message().contains("read") =>
        {
            Vec::new().into()
        }
        Some(e) => vec![format!("{e:?}")].into(),
    })
}

async fn sliced(bench: &Bench) -> Result<Drained> {
    bench.stream(&[("max_records_per_batch", RESUMED_LIMIT)]).drain().await
}

#[test]
fn offsets_in_another_spelling_and_long_ones_are_found() {
    let canonical = Offset::beginning("s", "t", lakeflow_core::Feed::Rows).to_text().unwrap();
    assert_eq!(offset_problem(&canonical), None);
    assert!(offset_problem(&canonical.replace(", ", ",")).unwrap().contains("is read as"));
    let long = canonical.replace("\"s\"", &format!("\"{}\"", "s".repeat(MAX_OFFSET_BYTES)));
    assert_eq!(offset_problem(&long), Some(format!("an offset of {} bytes", long.len())));
}
