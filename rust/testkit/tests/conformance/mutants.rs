//! Connectors that are wrong on purpose: each must fail the check that is meant for its defect.
//!
//! They are the source `example`, or `kit` for its links, with one thing spoilt. What else fails with
//! a defect is listed too, so that a check that begins to fail for no reason is noticed.

use crate::bench::START;
use crate::check::{CHECKS, Check, Group, Outcome, run_all};
use crate::entries::{EXAMPLE, KIT_WITH_KEY};
use crate::entry::Entry;
use async_trait::async_trait;
use futures::stream;
use lakeflow_connectors::example;
use lakeflow_core::{
    Connector, Context, Cursor, CursorKind, Error, FilterBy, Ingestion, Instant, OptionKind,
    OptionSpec, Order, Page, PageStream, Progress, ReadRequest, Records, Result, Rows, Settings,
    Source, Step, TableSpec, Until,
};
use lakeflow_testkit::kit::KIT;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Checks that no connector can fail, because the engine upholds what they check, or whose wrong
/// answer lies outside the connector. Tests beside them feed them wrong values.
const TESTED_BESIDE: &[&str] = &[
    "required_columns_are_filled",
    "no_row_is_blank",
    "projection_changes_no_value",
    "offsets_are_canonical",
];

macro_rules! mutants {
    ($($name:ident on $table:literal: fails $($check:ident),+;)+) => {
        $(#[tokio::test]
        async fn $name() {
            fails(stringify!($name), $table, &[$(stringify!($check)),+]).await;
        })+

        #[test]
        fn every_check_has_a_connector_that_fails_it() {
            let failed: BTreeSet<&str> = [$($(stringify!($check)),+),+].into_iter().collect();
            let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
            let beside: BTreeSet<&str> = TESTED_BESIDE.iter().copied().collect();
            assert_eq!(&failed | &beside, all);
        }
    };
}

// The first check is the one that is meant for the defect.
mutants! {
    lists_in_another_order on "users": fails discovery_is_stable;
    takes_any_table on "users": fails unknown_tables_are_refused;
    names_no_cursor on "users": fails metadata_is_consistent;
    loses_the_last_page on "products": fails every_record_is_read;
    repeats_a_key on "products": fails keys_are_unique;
    empties_a_column on "users": fails every_column_is_filled;
    ignores_a_filter on "users": fails filters_leave_out_what_does_not_match;
    loses_ties on "users": fails
        slices_give_the_whole, every_record_is_read, a_change_comes_once, churn_loses_nothing,
        a_growing_source_is_drained, splits_give_the_whole;
    loses_a_row_of_small_slices on "users": fails slices_give_the_whole;
    loses_a_row_after_a_restart on "users": fails every_offset_resumes;
    asks_too_often on "users": fails a_quiet_drain_is_cheap;
    streams_a_snapshot on "products": fails
        snapshots_are_not_streamed, a_growing_source_is_drained;
    forgets_changes on "users": fails a_change_comes_once;
    forgets_deletes on "orders": fails deletes_come;
    follows_links_over_moving_lists on "users": fails churn_loses_nothing;
    never_ends on "users": fails a_growing_source_is_drained, splits_give_the_whole;
    never_retries on "users": fails
        too_many_requests, server_error, gateway_error, reset_in_the_body, short_body,
        truncated_json, web_page, false_gzip, black_hole;
    ends_on_errors on "products": fails
        expired_token, repeated_token, cycling_tokens, foreign_redirect, lasting_server_error,
        lasting_rate_limit;
    goes_where_it_must_not on "shelves": fails foreign_link, foreign_redirect;
    shows_the_password on "users": fails secrets_are_never_shown;
}

/// Runs the checks on a table of the spoilt source; exactly those of `expected` must fail.
///
/// Those of faults wait for pauses, and run only where one of them is expected to fail.
async fn fails(defect: &'static str, table: &str, expected: &[&str]) {
    let retries = if defect == "never_retries" { "0" } else { "5" };
    let options = vec![("username", "u"), ("defect", defect), ("maxRetries", retries)];
    let has_table = |entry: &&Entry| entry.tables.iter().any(|case| case.name == table);
    let whole = [EXAMPLE, KIT_WITH_KEY].iter().find(has_table).copied().unwrap();
    let entry = Entry { source: *SOURCE, options: options.leak(), ..whole };
    let case = entry.tables.iter().find(|case| case.name == table).unwrap();
    let mut failed = BTreeSet::new();
    let mut problems = Vec::new();
    let is_fault = |check: &&Check| check.group == Group::Faults;
    let with_faults = CHECKS.iter().filter(is_fault).any(|check| expected.contains(&check.name));
    let checks = CHECKS.iter().filter(|check| with_faults || !is_fault(check));
    let pairs = checks.map(|check| (check, *case)).collect();
    for (check, _, outcome) in run_all(entry, pairs).await {
        if let Outcome::Found(found) = outcome
            && !found.is_empty()
        {
            failed.insert(check.name);
            problems.extend(found.into_iter().map(|p| format!("{}: {p}", check.name)));
        }
    }

    assert_eq!(failed, expected.iter().copied().collect(), "{}", problems.join("\n"));
}

static SOURCE: LazyLock<&'static Source> = LazyLock::new(|| {
    let mut options = example::SOURCE.connection_options.to_vec();
    options.extend(KIT.connection_options.iter().filter(|option| option.name == "key").cloned());
    options.push(OptionSpec::new("defect", OptionKind::Text, "What is spoilt."));
    options.iter_mut().for_each(|option| option.required = false);
    let source = Source {
        name: "mutant",
        connection_options: options.leak(),
        kit_options: example::SOURCE.kit_options,
        table_options: example::SOURCE.table_options,
        build,
    };
    Box::leak(Box::new(source))
});

fn build(context: &Context) -> Result<Arc<dyn Connector>> {
    Ok(Arc::new(Mutant {
        defect: context.settings.text("defect")?.to_owned(),
        password: context.settings.get("password").unwrap_or_default().to_owned(),
        inner: match context.settings.get("key") {
            Some(_) => (KIT.build)(context)?,
            None => (example::SOURCE.build)(context)?,
        },
        reads: AtomicUsize::new(0),
    }))
}

struct Mutant {
    defect: String,
    password: String,
    inner: Arc<dyn Connector>,
    reads: AtomicUsize,
}

#[async_trait]
impl Connector for Mutant {
    async fn list_tables(&self) -> Result<Vec<String>> {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let mut tables = self.inner.list_tables().await?;
        if self.defect == "lists_in_another_order" {
            tables.rotate_left(CALLS.fetch_add(1, Ordering::Relaxed) % 2);
        }

        Ok(tables)
    }

    async fn table(&self, table: &str, options: &Settings) -> Result<TableSpec> {
        let found = self.inner.table(table, options).await;
        let mut spec = match (self.defect.as_str(), found) {
            ("takes_any_table", Err(_)) => self.inner.table("users", options).await?,
            (_, found) => found?,
        };
        match (self.defect.as_str(), &mut spec.rows) {
            ("names_no_cursor", _) => spec.cursor = None,
            ("ignores_a_filter", _) => {
                spec.filters = vec![FilterBy { column: "status".into(), values: &["active"] }];
            }
            ("follows_links_over_moving_lists", Progress::Ascending { restart_pages, .. }) => {
                *restart_pages = u32::MAX;
            }
            ("never_ends", Progress::Ascending { order, .. }) => order.until = Until::Pass,
            ("streams_a_snapshot", rows) if spec.ingestion == Ingestion::Snapshot => {
                *rows = Progress::OnePass { order: by_id() };
            }
            _ => {}
        }

        Ok(spec)
    }

    fn read_table(&self, mut read: ReadRequest) -> PageStream {
        let first_of_process = self.reads.fetch_add(1, Ordering::Relaxed) == 0;
        let goes_on = read.after.is_some();
        let rows_wanted = read.page_rows;
        match self.defect.as_str() {
            "loses_ties" => read.after = read.after.map(|a| a.moved(Step::MICROSECOND, 1)),
            "streams_a_snapshot" => read.after = None,
            _ => {}
        }
        let inner = self.inner.clone();
        let extra = if self.defect == "asks_too_often" { 10 } else { 0 };
        let again = read.clone();
        let pages = after_requests(inner.clone(), again, extra, self.inner.read_table(read));
        match self.defect.as_str() {
            "loses_the_last_page" => altered(pages, |page, rows| {
                if page.last {
                    rows.clear();
                }
            }),
            "repeats_a_key" => altered(pages, |_, rows| {
                if let [first, second, ..] = rows.as_mut_slice() {
                    second["product_id"] = first["product_id"].clone();
                }
            }),
            "empties_a_column" => altered(pages, |_, rows| {
                rows.iter_mut().for_each(|row| row["status"] = Value::Null);
            }),
            "loses_a_row_of_small_slices" if rows_wanted == Some(3) && goes_on => {
                altered(pages, |_, rows| drop(rows.pop()))
            }
            "loses_a_row_after_a_restart"
                if rows_wanted == Some(5) && goes_on && first_of_process =>
            {
                altered(pages, |_, rows| drop(rows.pop()))
            }
            "forgets_changes" => altered(pages, |_, rows| rows.retain(|row| !is_late(row))),
            "ends_on_errors" => rescued(pages, |_| None),
            "goes_where_it_must_not" => rescued(pages, |error| {
                if let Some((_, host)) = error.to_string().split_once("another origin: http://") {
                    let end = |c: char| !c.is_ascii_digit() && c != '.' && c != ':';
                    let host = host.split(end).next().unwrap();
                    std::net::TcpStream::connect(host).unwrap();
                }
                Some(error)
            }),
            "shows_the_password" => {
                let password = self.password.clone();
                rescued(pages, move |e| {
                    Some(Error::new(e.kind(), format!("no login with {password}")))
                })
            }
            _ => pages,
        }
    }

    fn read_table_deletes(&self, read: ReadRequest) -> PageStream {
        let pages = self.inner.read_table_deletes(read);
        if self.defect != "forgets_deletes" {
            return pages;
        }
        altered(pages, |page, _| page.deletes = Records::default())
    }

    async fn oldest(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        self.inner.oldest(read).await
    }

    async fn lowest_split(&self, read: &ReadRequest) -> Result<Option<Cursor>> {
        self.inner.lowest_split(read).await
    }
}

fn by_id() -> Order {
    Order {
        field: Some(lakeflow_core::FieldPath::field("product_id")),
        kind: CursorKind::Text,
        step: Step::None,
        until: Until::Pass,
        lookback: Duration::ZERO,
    }
}

/// Whether a row changed later than three hours after the start of a check, less ten minutes.
fn is_late(row: &Value) -> bool {
    let at = row["updated_at"].as_str().and_then(Instant::parse);
    at.is_some_and(|at| at >= Instant::from_parts(START + 3 * 3600 - 600, 0))
}

/// `pages` after as many reads for nothing.
fn after_requests(
    inner: Arc<dyn Connector>,
    read: ReadRequest,
    extra: usize,
    pages: PageStream,
) -> PageStream {
    PageStream::new(stream::try_unfold((pages, extra), move |(mut pages, extra)| {
        let (inner, read) = (inner.clone(), read.clone());
        async move {
            for _ in 0..extra {
                inner.read_table(read.clone()).next().await?;
            }
            Ok(pages.next().await?.map(|page| (page, (pages, 0))))
        }
    }))
}

/// The pages with other rows.
fn altered(
    pages: PageStream,
    change: impl FnMut(&mut Page, &mut Vec<Value>) + Send + 'static,
) -> PageStream {
    PageStream::new(stream::try_unfold((pages, change), |(mut pages, mut change)| async move {
        let Some(mut page) = pages.next().await? else { return Ok(None) };
        let mut rows: Vec<Value> = match &page.upserts.rows {
            Rows::Array(array) => serde_json::from_slice(array).unwrap(),
            _ => Vec::new(),
        };
        change(&mut page, &mut rows);
        page.upserts.rows = Rows::Array(serde_json::to_vec(&rows).unwrap().into());
        Ok(Some((page, (pages, change))))
    }))
}

/// The pages with another error, or an end in its place.
fn rescued(
    pages: PageStream,
    change: impl Fn(Error) -> Option<Error> + Send + 'static,
) -> PageStream {
    PageStream::new(stream::try_unfold((pages, change), |(mut pages, change)| async move {
        match pages.next().await {
            Ok(page) => Ok(page.map(|page| (page, (pages, change)))),
            Err(error) => change(error).map_or(Ok(None), Err),
        }
    }))
}
