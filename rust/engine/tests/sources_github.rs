//! What is peculiar to GitHub, through the engine against the simulator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use lakeflow_core::{Clock, ErrorKind, Instant, ManualClock, Offset, Options, Result};
use lakeflow_engine::{Engine, SliceRequest, TableStream};
use lakeflow_simulator::{Fault, FaultKind, Grow, Simulator};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// A service with `records` of one collection, and a stream's checkpoint.
struct GitHub {
    simulator: Simulator,
    engine: Engine,
    clock: Arc<ManualClock>,
    blobs: HashMap<String, Bytes>,
    start: String,
}

impl GitHub {
    async fn with(collection: &str, records: Vec<Value>) -> Self {
        let now = Instant::parse("2031-04-01T00:00:00Z").unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let simulator = Simulator::builder()
            .clock(clock.clone())
            .source("github")
            .records("github", collection, records)
            .start()
            .await
            .unwrap();
        let engine = Engine::new(lakeflow_connectors::SOURCES.to_vec(), clock.clone());

        Self { simulator, engine, clock, blobs: HashMap::new(), start: "{}".into() }
    }

    /// Options of a table of repository `o/r`.
    fn options(&self, table: &str, more: &[(&str, &str)]) -> Options {
        let base_url = self.simulator.base_url("github");
        let mut options: Options = [
            ("sourceName", "github"),
            ("token", "canary-token"),
            ("base_url", base_url.as_str()),
            ("tableName", table),
        ]
        .into_iter()
        .collect();
        for (name, value) in [("owner", "o"), ("repo", "r")].iter().chain(more) {
            options.set(*name, *value);
        }
        options
    }

    /// Values of `column` in all rows of a batch read.
    async fn batch(&self, options: &Options, column: &str) -> Result<Vec<String>> {
        let mut reader = self.engine.batch(options, None).await?;
        let mut values = Vec::new();
        while let Some(batch) = reader.next().await? {
            values.extend(texts(&batch, column));
        }
        Ok(values)
    }

    /// Values of `column` in the rows of each slice of one drain.
    async fn drain(&mut self, options: &Options, column: &str) -> Vec<Vec<String>> {
        let stream = self.engine.stream(options).await.unwrap();
        let mut slices = Vec::new();
        loop {
            let values = self.slice(&stream, column).await;
            if values.is_empty() {
                return slices;
            }
            slices.push(values);
        }
    }

    /// As [`drain`](Self::drain), each slice in a new process.
    async fn drain_with_restarts(&mut self, options: &Options, column: &str) -> Vec<Vec<String>> {
        let mut slices = Vec::new();
        loop {
            let stream = self.engine.stream(options).await.unwrap();
            let values = self.slice(&stream, column).await;
            if values.is_empty() {
                return slices;
            }
            slices.push(values);
        }
    }

    /// Values of `column` in the rows of the next slice.
    async fn slice(&mut self, stream: &TableStream, column: &str) -> Vec<String> {
        let state = Offset::from_text(&self.start).unwrap().and_then(|o| o.state);
        let mut slice = stream.slice(SliceRequest {
            id: format!("slice{}", self.blobs.len()),
            start: self.start.clone(),
            state: state.and_then(|hash| self.blobs.get(&hash).cloned()),
            limit: Some(stream.default_limit()),
            single_drain: true,
        });
        let mut values = Vec::new();
        while let Some(batch) = slice.next().await.unwrap() {
            values.extend(texts(&batch, column));
        }
        let end = slice.end().unwrap();
        if let Some(blob) = end.state {
            self.blobs.insert(blob.hash, blob.bytes);
        }
        self.start = end.offset;

        values
    }

    /// Path and query of the requests so far, without the path of the root.
    fn requests(&self) -> Vec<String> {
        let requests = self.simulator.requests();
        self.simulator.clear_requests();
        let shown = |r: &lakeflow_simulator::LoggedRequest| {
            let query: Vec<_> = r.query.iter().map(|(n, v)| format!("{n}={v}")).collect();
            format!("{}?{}", r.path.trim_start_matches("/github"), query.join("&"))
        };
        requests.iter().map(shown).collect()
    }
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap();
    (0..batch.num_rows()).map(|row| array_value_to_string(column, row).unwrap()).collect()
}

/// A commit of `o/r` that was committed in March 2031.
fn commit(sha: &str, committed: &str) -> Value {
    json!({
        "sha": sha,
        "url": format!("https://api.github.com/repos/o/r/commits/{sha}"),
        "commit": {
            "message": format!("change {sha}"),
            "author": {"name": "Mira", "email": "m@example.com", "date": "2030-01-01T00:00:00Z"},
            "committer": {"name": "GitHub", "email": "", "date": committed},
        },
        "author": {},
        "committer": null,
    })
}

/// Commits that lie on the edges of windows of a week.
fn commits() -> Vec<Value> {
    vec![
        commit("a", "2031-03-01T10:00:00Z"),
        commit("b", "2031-03-08T09:59:59Z"),
        commit("c", "2031-03-08T10:00:00Z"),
        commit("d", "2031-03-08T10:00:01Z"),
        commit("e", "2031-03-22T10:00:01Z"),
    ]
}

const NONE: [Vec<String>; 0] = [];

fn sorted(slices: Vec<Vec<String>>) -> Vec<String> {
    let mut values: Vec<_> = slices.into_iter().flatten().collect();
    values.sort();
    values
}

#[tokio::test]
async fn commits_on_the_edges_of_windows_come_once() {
    let mut github = GitHub::with("commits", commits()).await;
    let options = github.options("commits", &[("max_records_per_batch", "1")]);

    let slices = github.drain(&options, "sha").await;
    assert_eq!(slices, [vec!["b", "a"], vec!["d", "c"], vec!["e"]]);
    assert_eq!(github.drain(&options, "sha").await, NONE);
}

#[tokio::test]
async fn commits_that_a_merge_brings_in_late_are_found_by_the_lookback() {
    let mut github = GitHub::with("commits", commits()).await;
    let options = github.options("commits", &[]);
    assert_eq!(sorted(github.drain(&options, "sha").await), ["a", "b", "c", "d", "e"]);

    github.simulator.upsert("github", "commits", &commit("f", "2031-03-05T00:00:00Z")).unwrap();
    assert_eq!(sorted(github.drain(&options, "sha").await), ["f"]);

    let five_minutes = github.options("commits", &[("lookback_seconds", "300")]);
    github.simulator.upsert("github", "commits", &commit("g", "2031-03-05T00:00:00Z")).unwrap();
    assert_eq!(sorted(github.drain(&five_minutes, "sha").await), Vec::<String>::new());
}

#[tokio::test]
async fn windows_without_commits_are_not_read_again() {
    let mut github = GitHub::with("commits", commits()).await;
    let options = github.options("commits", &[("lookback_seconds", "0")]);
    github.drain(&options, "sha").await;
    let offset = Offset::from_text(&github.start).unwrap().unwrap();
    assert_eq!(offset.cursor.as_deref(), Some("2031-04-01T00:00:00Z"));

    github.requests();
    github.drain(&options, "sha").await;
    assert_eq!(github.requests().len(), 1);
}

#[tokio::test]
async fn the_oldest_commit_is_looked_for_on_the_last_page() {
    let mut github = GitHub::with("commits", commits()).await;
    let options = github.options("commits", &[("per_page", "2")]);
    assert_eq!(sorted(github.drain(&options, "sha").await), ["a", "b", "c", "d", "e"]);

    let requests = github.requests();
    assert_eq!(requests[0], "/repos/o/r/commits?per_page=2");
    assert_eq!(
        requests[1],
        "/repositories/1296269/commits?per_page=2&page=3&until=2031-04-01T00:00:00Z"
    );
    assert_eq!(
        requests[2],
        "/repos/o/r/commits?since=2031-03-01T10:00:00Z&until=2031-03-08T09:59:59Z&per_page=2"
    );
}

#[tokio::test]
async fn commits_that_are_pushed_meanwhile_hide_no_older_ones() {
    let github = GitHub::with("commits", commits()).await;
    let options = github.options("commits", &[("per_page", "2")]);
    github.simulator.grow(Grow {
        source: "github".into(),
        collection: "o/r/commits".into(),
        every_requests: 1,
        rows: 3,
    });
    let clock = github.clock.clone();
    github.simulator.on_request(move |_, _| clock.set(clock.now().plus_nanos(1_000_000_000)));
    let shas = github.batch(&options, "sha").await.unwrap();

    let old = ["a", "b", "c", "d", "e"];
    assert!(old.iter().all(|sha| shas.iter().any(|s| s == sha)), "{shas:?}");
}

#[tokio::test]
async fn a_repository_without_commits_is_an_empty_table() {
    let mut github = GitHub::with("commits", Vec::new()).await;
    for more in [&[][..], &[("start_date", "2031-03-01")]] {
        let options = github.options("commits", more);
        assert_eq!(github.batch(&options, "sha").await.unwrap(), Vec::<String>::new());
        assert_eq!(github.drain(&options, "sha").await, NONE);
    }
}

#[tokio::test]
async fn start_date_may_be_a_day() {
    let mut github = GitHub::with("commits", commits()).await;
    let options = github.options("commits", &[("start_date", "2031-03-08")]);

    assert_eq!(sorted(github.drain(&options, "sha").await), ["b", "c", "d", "e"]);
    assert!(github.requests()[0].contains("since=2031-03-08T00:00:00Z"));
}

#[tokio::test]
async fn commits_are_flat() {
    let github = GitHub::with("commits", vec![commit("a", "2031-03-01T10:00:00Z")]).await;
    let options = github.options("commits", &[]);
    let columns = [
        ("repository_owner", "o"),
        ("repository_name", "r"),
        ("commit_message", "change a"),
        ("commit_author_name", "Mira"),
        ("commit_author_email", "m@example.com"),
        ("commit_author_date", "2030-01-01T00:00:00Z"),
        ("commit_committer_name", "GitHub"),
        ("commit_committer_email", ""),
        ("commit_committer_date", "2031-03-01T10:00:00Z"),
        ("author", "{login: , id: , node_id: , type: , site_admin: }"),
        ("committer", ""),
    ];
    for (column, value) in columns {
        assert_eq!(github.batch(&options, column).await.unwrap(), [value], "{column}");
    }
}

/// A pull request of `o/r` that was opened on a day of January and changed on one of March 2031.
fn pull(number: u64, updated: u64) -> Value {
    json!({
        "id": 1000 + number,
        "number": number,
        "url": format!("https://api.github.com/repos/o/r/pulls/{number}"),
        "issue_url": format!("https://api.github.com/repos/o/r/issues/{number}"),
        "state": if number == 2 { "closed" } else { "open" },
        "created_at": format!("2031-01-{number:02}T00:00:00Z"),
        "updated_at": format!("2031-03-{updated:02}T00:00:00Z"),
        "base": {"ref": "main"},
        "head": {"ref": "change"},
    })
}

fn review(id: u64, number: u64, submitted: &str) -> Value {
    json!({
        "id": id,
        "pull_request_url": format!("https://api.github.com/repos/o/r/pulls/{number}"),
        "state": "APPROVED",
        "submitted_at": submitted,
    })
}

fn pulls() -> Vec<Value> {
    [(1, 9), (2, 3), (3, 9), (4, 1), (5, 5)].map(|(number, day)| pull(number, day)).to_vec()
}

#[tokio::test]
async fn pull_requests_are_read_by_creation_first_and_by_change_later() {
    let mut github = GitHub::with("pulls", pulls()).await;
    let options = github.options("pull_requests", &[("max_records_per_batch", "2")]);
    let walked = github.drain_with_restarts(&options, "number").await;
    assert_eq!(walked, [vec!["1", "2"], vec!["3", "4"], vec!["5"]]);
    let requests = github.requests();
    assert_eq!(requests[0], "/repos/o/r/pulls?state=all&sort=created&direction=asc&per_page=2");
    let placed = "/repos/o/r/pulls?state=all&sort=created&direction=asc&page=3&per_page=2";
    assert!(requests.iter().any(|r| r == placed), "{requests:?}");

    let options = github.options("pull_requests", &[]);
    assert_eq!(github.drain(&options, "number").await, NONE);
    let newest = "/repos/o/r/pulls?state=all&sort=updated&direction=desc&per_page=100";
    assert_eq!(github.requests(), [newest]);

    github.simulator.upsert("github", "pulls", &pull(4, 20)).unwrap();
    assert_eq!(github.drain(&options, "number").await, [["4"]]);
}

#[tokio::test]
async fn pull_requests_of_a_state_are_never_read_by_place() {
    let mut github = GitHub::with("pulls", pulls()).await;
    let options = github.options("pull_requests", &[("state", "open")]);

    assert_eq!(sorted(github.drain(&options, "number").await), ["1", "3", "4", "5"]);
    assert!(github.requests().iter().all(|r| r.contains("state=open&sort=updated")));
}

#[tokio::test]
async fn reviews_are_those_of_pull_requests_that_changed() {
    let mut github = GitHub::with("reviews", Vec::new()).await;
    let records = github.simulator.records("github", "o/r/pulls").unwrap();
    for record in &records {
        github.simulator.remove("github", "pulls", &record["id"]).unwrap();
    }
    for pull in pulls() {
        github.simulator.upsert("github", "pulls", &pull).unwrap();
    }
    for (id, number) in [(1, 1), (2, 1), (3, 4)] {
        let review = review(id, number, &format!("2031-03-{:02}T00:00:00Z", 10 + id));
        github.simulator.upsert("github", "reviews", &review).unwrap();
    }
    let options = github.options("reviews", &[("max_records_per_batch", "1")]);
    assert_eq!(sorted(github.drain_with_restarts(&options, "id").await), ["1", "2", "3"]);
    github.requests();
    assert_eq!(github.drain(&options, "id").await, NONE);

    let late = review(4, 5, "2031-03-20T00:00:00Z");
    github.simulator.upsert("github", "reviews", &late).unwrap();
    assert_eq!(github.drain(&options, "pull_number").await, [["5"]]);
    let read: Vec<_> = github.requests().into_iter().filter(|r| r.contains("reviews")).collect();
    assert_eq!(read.last().unwrap(), "/repos/o/r/pulls/5/reviews?per_page=1");

    let one = github.options("reviews", &[("pull_number", "1")]);
    github.start = "{}".to_owned();
    assert_eq!(sorted(github.drain(&one, "id").await), ["1", "2"]);
    assert_eq!(github.drain(&one, "id").await, NONE);
}

#[tokio::test]
async fn repositories_are_those_of_an_organization_or_of_a_user() {
    let repo = |name: &str, owner: &str, visibility: &str| {
        json!({
            "id": name.len(), "name": name, "full_name": format!("{owner}/{name}"),
            "owner": {"login": owner}, "visibility": visibility,
            "created_at": "2030-01-01T00:00:00Z",
        })
    };
    let repos = vec![
        repo("r", "acme", "public"),
        repo("se", "acme", "private"),
        repo("own", "octocat", "public"),
        repo("mine", "octocat", "private"),
    ];
    let github = GitHub::with("repos", repos).await;
    let options = |more: &[(&str, &str)]| {
        let mut options = github.options("repositories", &[("owner", ""), ("repo", "")]);
        for (name, value) in more {
            options.set(*name, *value);
        }
        options
    };
    let names = async |more: &[(&str, &str)]| {
        let mut names = github.batch(&options(more), "repository_name").await.unwrap();
        names.sort();
        names
    };

    assert_eq!(names(&[("org", "acme")]).await, ["r", "se"]);
    assert_eq!(names(&[("owner", "acme")]).await, ["r"]);
    assert_eq!(names(&[("owner", "Octocat")]).await, ["mine", "own"]);
    assert_eq!(
        github.requests(),
        [
            "/orgs/acme/repos?sort=created&direction=asc&per_page=100",
            "/user?",
            "/users/acme/repos?sort=created&direction=asc&per_page=100",
            "/user?",
            "/user/repos?affiliation=owner&sort=created&direction=asc&per_page=100",
        ]
    );
    for more in [&[][..], &[("org", "acme"), ("owner", "acme")]] {
        let error = github.batch(&options(more), "id").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "exactly one of options 'owner' (a user) and 'org' (an organization) must say whose \
             repositories to read (table: repositories)"
        );
    }
}

#[tokio::test]
async fn a_token_that_may_not_ask_who_it_is_sees_public_repositories() {
    let github = GitHub::with("repos", Vec::new()).await;
    let refusal = FaultKind::Status { code: 403, headers: [].into(), body: None };
    github.simulator.fault(Fault::new(refusal).times(1));
    let options = github.options("repositories", &[("owner", "octocat"), ("repo", "")]);

    assert_eq!(github.batch(&options, "id").await.unwrap(), Vec::<String>::new());
    assert!(github.requests()[1].starts_with("/users/octocat/repos?"));
}

#[tokio::test]
async fn options_of_the_path_are_asked_for_before_any_request() {
    let github = GitHub::with("repos", Vec::new()).await;
    let options = github.options("branches", &[("owner", " ")]);
    let error = github.batch(&options, "name").await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "option 'owner' is required: the path /repos/{owner}/{repo}/branches needs it (table: \
         branches)"
    );
    assert_eq!(github.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_refusal_says_what_the_token_lacks() {
    let github = GitHub::with("orgs", Vec::new()).await;
    let cases: [(&[(&str, &str)], &str); 4] = [
        (
            &[("x-accepted-oauth-scopes", "read:org, repo")],
            "the token of option 'token' may not read this: it needs one of the scopes read:org, \
             repo",
        ),
        (
            &[("x-accepted-oauth-scopes", ""), ("x-accepted-github-permissions", "metadata=read")],
            "the token of option 'token' may not read this: it needs the permission metadata=read",
        ),
        (
            &[("x-github-sso", "required; url=https://github.com/orgs/o/sso?x=canary")],
            "authorize the token of option 'token' for the organization's single sign-on",
        ),
        (
            &[],
            "the token of option 'token' may not read this: it needs more rights, for \
             collaborators write access",
        ),
    ];
    for (headers, expected) in cases {
        github.simulator.clear_faults();
        github.simulator.fault(Fault::new(FaultKind::Status {
            code: 403,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: None,
        }));
        let error = github.batch(&github.options("organizations", &[]), "id").await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::PermissionDenied, expected));
    }
}

#[tokio::test]
async fn every_record_of_a_list_is_a_row() {
    let github = GitHub::with("issues", Vec::new()).await;
    let cases = [
        ("comments", "o/r/comments", "id"),
        ("commits", "o/r/commits", "sha"),
        ("assignees", "o/r/assignees", "id"),
        ("branches", "o/r/branches", "name"),
        ("collaborators", "o/r/collaborators", "id"),
        ("organizations", "orgs", "id"),
        ("teams", "teams", "id"),
        ("users", "users", "id"),
    ];
    for (table, collection, key) in cases {
        let records = github.simulator.records("github", collection).unwrap();
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let mut expected: Vec<_> = records.iter().map(|record| text(&record[key])).collect();
        let mut rows = github.batch(&github.options(table, &[]), key).await.unwrap();
        expected.sort();
        rows.sort();
        assert_eq!(rows, expected, "{table}");
    }
}
