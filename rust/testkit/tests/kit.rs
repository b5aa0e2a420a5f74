//! The connector kit as connectors use it: every part has a user, budgets hold, tokens are renewed.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use lakeflow_core::{Clock, ErrorKind, Instant, Options, Result};
use lakeflow_engine::Engine;
use lakeflow_simulator::{OAuth, Simulator};
use lakeflow_testkit::kit::KIT;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The time of the runtime, which is paused: what waits for seconds takes none.
#[derive(Debug)]
struct Runtime(tokio::time::Instant);

impl Clock for Runtime {
    fn now(&self) -> Instant {
        let since = i128::try_from(self.0.elapsed().as_nanos()).unwrap();
        Instant::from_parts(1_930_000_000, 0).plus_nanos(since)
    }
}

struct Bench {
    simulator: Simulator,
    engine: Engine,
}

impl Bench {
    async fn start(enforced: bool) -> Self {
        let clock = Arc::new(Runtime(tokio::time::Instant::now()));
        let mut builder = Simulator::builder().clock(clock.clone()).source("kit");
        builder = builder.oauth_with("kit", OAuth::default()).credential("kit", "given");
        if enforced {
            builder = builder.enforce_rate_limits("kit");
        }
        let engine = Engine::new(vec![&KIT], clock);

        Self { simulator: builder.start().await.unwrap(), engine }
    }

    /// The number of rows of a table.
    async fn rows(&self, table: &str, login: &[(&str, &str)]) -> Result<usize> {
        let address = self.simulator.base_url("kit");
        let mut options: Options =
            [("sourceName", "kit"), ("tableName", table), ("base_url", &address)]
                .into_iter()
                .collect();
        login.iter().for_each(|(name, value)| options.set(*name, *value));
        let mut reader = self.engine.batch(&options, None).await?;
        let mut rows = 0;
        while let Some(batch) = reader.next().await? {
            rows += batch.num_rows();
        }

        Ok(rows)
    }

    fn refused(&self) -> usize {
        self.simulator.requests().iter().filter(|request| request.status == 429).count()
    }
}

const REFRESH: [(&str, &str); 3] = [
    ("client_id", "client-1"),
    ("client_secret", "client-secret-1"),
    ("refresh_token", "refresh-token-1"),
];

#[tokio::test(start_paused = true)]
async fn budgets_and_buckets_that_a_service_enforces_are_kept() {
    let bench = Bench::start(true).await;
    let start = tokio::time::Instant::now();
    for _ in 0..12 {
        assert_eq!(bench.rows("units", &[("key", "given")]).await.unwrap(), 47);
    }
    for _ in 0..40 {
        assert_eq!(bench.rows("orders", &[("key", "given")]).await.unwrap(), 60);
    }

    assert_eq!(bench.refused(), 0);
    let searches = bench.simulator.requests().iter().filter(|r| r.method == "POST").count();
    assert!(searches > 200 && start.elapsed().as_secs() >= 1, "{searches} {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn tokens_that_expire_are_renewed_and_a_given_one_is_reported() {
    let bench = Bench::start(false).await;
    for login in [&REFRESH[..], &REFRESH[..2]] {
        for _ in 0..3 {
            assert_eq!(bench.rows("units", login).await.unwrap(), 47);
            bench.simulator.expire_tokens("kit").unwrap();
        }
    }
    assert_eq!(bench.rows("units", &[("access_token", "given")]).await.unwrap(), 47);
    let error = bench.rows("units", &[("access_token", "expired")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed);
    let error = bench.rows("units", &[]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::ConfigInvalid,
            "one of options 'key', 'access_token', 'client_secret' is needed"
        )
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of all files below `folder`.
fn text(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| match path.is_dir() {
        true => text(&path),
        false => fs::read_to_string(&path).unwrap_or_default(),
    };

    entries.map(of).collect()
}

/// Parts of the kit, and how a connector that is written as rows says that it uses them.
const PARTS: &[(&str, &str)] = &[
    ("LinkHeader", "Paging::Link"),
    ("NextUrl", "Paging::Url"),
    ("CursorToken", "CursorToken::"),
    ("CursorToken", "Paging::Token"),
    ("PageNumber", "Paging::Number"),
    ("Offset", "Paging::Offset"),
    ("Keyset", "Keyset::new"),
    ("Search", "Search::Tie"),
    ("pages_ahead", ".snapshot("),
    ("Auth", "Basic {"),
    ("Auth", "Auth::Bearer"),
    ("Auth", "Auth::Header {"),
    ("Auth", "Auth::header("),
    ("OAuth", "OAuth::client_credentials"),
    ("OAuth", "OAuth::refresh_token"),
    ("OAuth", "OAuth::access_token"),
    ("OAuth", ".starting_with("),
    ("Budget", "Budget::new"),
    ("Budget", ".cost("),
    ("Allowance", "Allowance::Bucket"),
    ("Client", ".at_once("),
    ("details", "details("),
    ("wide_details", "wide_details("),
    ("pages_then", "pages_then("),
];

#[test]
fn every_part_of_the_kit_has_a_user() {
    let users = ["connectors/src", "testkit/src/kit"].map(|f| text(&root().join("rust").join(f)));
    let unused: Vec<_> =
        PARTS.iter().filter(|(_, sign)| !users.iter().any(|text| text.contains(sign))).collect();
    assert_eq!(unused, Vec::<&(&str, &str)>::new());

    let paginate = fs::read_to_string(root().join("rust/http/src/paginate/mod.rs")).unwrap();
    let exported =
        paginate.lines().filter_map(|line| line.strip_prefix("pub use ")?.strip_suffix(';'));
    let names = exported.flat_map(|path| path.split("::").last().unwrap_or_default().split(','));
    let names: Vec<&str> = names.map(|name| name.trim_matches(['{', '}', ' '])).collect();
    assert!(names.len() > 7, "{names:?}");
    let known: BTreeSet<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    let missing: Vec<_> = names.into_iter().filter(|name| !known.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "paginators that PARTS does not name");
}

#[test]
fn tests_that_the_page_of_the_kit_names_exist() {
    let page = fs::read_to_string(root().join("docs/kit.md")).unwrap();
    let folders = ["rust/http/src", "rust/engine/tests", "rust/testkit/tests"];
    let tests: String = folders.iter().map(|folder| text(&root().join(folder))).collect();
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(3));
    let named = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let is_test = |name: &&str| {
        name.contains('_') && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let names: Vec<&str> = named.filter(is_test).collect();
    assert!(names.len() > 20, "{names:?}");
    let missing: Vec<_> =
        names.into_iter().filter(|name| !tests.contains(&format!("fn {name}("))).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
