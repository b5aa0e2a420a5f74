//! What a check is, and how a group of them is run over the tables of a source.

use crate::bench::Bench;
use crate::entry::{Entry, TableCase};
use crate::exemptions::Exemptions;
use crate::{changes, discovery, drains, faults, reads, secrets};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use lakeflow_core::Result;
use std::collections::BTreeMap;
use std::time::Duration;

/// A check that takes longer than this waits for something that does not come.
const PATIENCE: Duration = Duration::from_secs(120);

/// Checks that run at the same time: most of them wait for pauses and answers.
const AT_ONCE: usize = 24;

/// Checks that one test function runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Discovery,
    Reads,
    Drains,
    Changes,
    Faults,
    Secrets,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The table does not have what is checked.
    Spared,
    /// Each problem in one line; none: the check holds.
    Found(Vec<String>),
}

/// A rule that every table must keep, run on a simulator of its own.
pub struct Check {
    pub name: &'static str,
    pub group: Group,
    pub run: fn(Bench) -> BoxFuture<'static, Result<Outcome>>,
}

macro_rules! checks {
    ($($group:ident: $module:ident { $($name:ident),+ $(,)? })+) => {
        /// Every check.
        pub static CHECKS: &[Check] = &[$($(Check {
            name: stringify!($name),
            group: Group::$group,
            run: |bench| Box::pin($module::$name(bench)),
        }),+),+];
    };
}

checks! {
    Discovery: discovery {
        discovery_is_stable,
        unknown_tables_are_refused,
        metadata_is_consistent,
    }
    Reads: reads {
        every_record_is_read,
        keys_are_unique,
        required_columns_are_filled,
        every_column_is_filled,
        no_row_is_blank,
        projection_changes_no_value,
        filters_leave_out_what_does_not_match,
        splits_give_the_whole,
    }
    Drains: drains {
        slices_give_the_whole,
        offsets_are_canonical,
        every_offset_resumes,
        a_quiet_drain_is_cheap,
        snapshots_are_not_streamed,
    }
    Changes: changes {
        a_change_comes_once,
        deletes_come,
        churn_loses_nothing,
        a_growing_source_is_drained,
    }
    Faults: faults {
        too_many_requests,
        server_error,
        gateway_error,
        expired_token,
        reset_in_the_body,
        short_body,
        truncated_json,
        web_page,
        false_gzip,
        black_hole,
        repeated_token,
        cycling_tokens,
        foreign_link,
        foreign_redirect,
        lasting_server_error,
        lasting_rate_limit,
    }
    Secrets: secrets {
        secrets_are_never_shown,
    }
}

impl From<Vec<String>> for Outcome {
    fn from(problems: Vec<String>) -> Self {
        Self::Found(problems)
    }
}

/// Runs checks on tables, in their order.
pub async fn run_all(
    entry: Entry,
    pairs: Vec<(&'static Check, TableCase)>,
) -> Vec<(&'static Check, TableCase, Outcome)> {
    let run = |(check, case)| async move { (check, case, run(check, entry, case).await) };

    stream::iter(pairs).map(run).buffered(AT_ONCE).collect().await
}

/// Runs one check on one table; an error of the read is a problem too.
async fn run(check: &Check, entry: Entry, case: TableCase) -> Outcome {
    let checked = async { (check.run)(Bench::start(entry, case).await?).await };
    match tokio::time::timeout(PATIENCE, checked).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => vec![format!("{error:?}")].into(),
        Err(_) => vec!["no end in sight".to_owned()].into(),
    }
}

/// Runs a group of checks over every table of a source.
///
/// # Panics
/// If a check finds a problem that no exemption covers, or an exemption covers none.
pub async fn hold(entry: &Entry, group: Group) {
    let exemptions = Exemptions::read();
    let mut report = Report::default();
    let mut failures = Vec::new();
    let checks = CHECKS.iter().filter(|check| check.group == group);
    let pairs = checks.flat_map(|check| entry.tables.iter().map(move |case| (check, *case)));
    for (check, case, outcome) in run_all(*entry, pairs.collect()).await {
        let (mark, left) = match outcome {
            Outcome::Spared => ("-", Vec::new()),
            Outcome::Found(problems) if problems.is_empty() => ("ok", problems),
            Outcome::Found(problems) => {
                let left = exemptions.left(entry.source.name, case.name, check.name, problems);
                (if left.is_empty() { "exempt" } else { "FAILS" }, left)
            }
        };
        report.put(case.name, check.name, mark);
        let named = |problem| format!("{}.{}: {problem}", case.name, check.name);
        failures.extend(left.into_iter().map(named));
    }
    let run = |name: &str| CHECKS.iter().any(|check| check.group == group && check.name == name);
    failures.extend(exemptions.unused(entry.source.name, run));
    let text = report.text(entry.source.name);
    println!("{text}");

    assert!(failures.is_empty(), "{text}\n{}", failures.join("\n"));
}

/// Table by check.
#[derive(Default)]
struct Report(BTreeMap<&'static str, Vec<(&'static str, &'static str)>>);

impl Report {
    fn put(&mut self, table: &'static str, check: &'static str, mark: &'static str) {
        self.0.entry(check).or_default().push((table, mark));
    }

    fn text(&self, source: &str) -> String {
        let line = |(check, marks): (&&str, &Vec<(&str, &str)>)| {
            let marks: Vec<_> =
                marks.iter().map(|(table, mark)| format!("{table}={mark}")).collect();
            format!("{source:8} {check:30} {}", marks.join(" "))
        };

        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
