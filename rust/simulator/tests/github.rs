//! The `github` description: pages, filters, orders, refusals and writes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{Reply, TOKEN, at, frozen, get, send};
use lakeflow_simulator::Simulator;
use serde_json::{Value, json};

/// Issues with ids as numbers; `updated_at` minutes after ten o'clock.
fn issue(number: u64, minute: u64, state: &str, comments: u64) -> Value {
    json!({
        "id": 1000 + number,
        "number": number,
        "state": state,
        "comments": comments,
        "created_at": format!("2024-01-01T09:{number:02}:00Z"),
        "updated_at": format!("2024-01-01T10:{minute:02}:00Z"),
    })
}

async fn five() -> Simulator {
    let issues = vec![
        issue(1, 50, "open", 3),
        issue(2, 10, "closed", 9),
        issue(3, 30, "open", 3),
        issue(4, 30, "closed", 0),
        issue(5, 20, "open", 7),
    ];
    frozen().0.source("github").records("github", "issues", issues).start().await.unwrap()
}

async fn list(simulator: &Simulator, query: &str) -> Reply {
    get(&format!("{}/repos/o/r/issues?{query}", simulator.base_url("github")), TOKEN).await
}

#[tokio::test]
async fn filters_and_orders_give_the_documented_lists() {
    let simulator = five().await;
    let cases: &[(&str, &[u64])] = &[
        ("", &[5, 3, 1]),
        ("state=all", &[5, 4, 3, 2, 1]),
        ("state=closed", &[4, 2]),
        ("state=all&direction=asc", &[1, 2, 3, 4, 5]),
        ("state=all&sort=updated&direction=asc", &[2, 5, 3, 4, 1]),
        ("state=all&sort=updated", &[1, 4, 3, 5, 2]),
        ("state=all&sort=comments&direction=asc", &[4, 1, 3, 5, 2]),
        ("state=all&sort=updated&direction=asc&since=2024-01-01T10:30:00Z", &[3, 4, 1]),
        ("state=all&sort=updated&direction=asc&since=2024-01-01T10%3A30%3A01Z", &[1]),
        ("state=all&sort=updated&direction=asc&since=2024-01-01T12:30:00%2B02:00", &[3, 4, 1]),
        ("state=all&sort=created&direction=asc&since=2024-01-01T10:30:00Z", &[1, 3, 4]),
        ("state=closed&sort=updated&direction=asc&since=2024-01-01T10:30:00Z", &[4]),
        ("state=all&since=2030-01-01T00:00:00Z", &[]),
        ("state=all&page=0&per_page=junk", &[5, 4, 3, 2, 1]),
        ("state=all&per_page=2&page=3", &[1]),
        ("state=all&per_page=2&page=4", &[]),
        ("state=all&unknown=x", &[5, 4, 3, 2, 1]),
    ];
    for (query, expected) in cases {
        let reply = list(&simulator, query).await;
        let numbers: Vec<Value> = expected.iter().map(|n| json!(n)).collect();
        assert_eq!((reply.status, reply.column("number")), (200, numbers), "{query}");
    }
}

#[tokio::test]
async fn links_follow_the_recorded_order_and_carry_every_parameter_encoded() {
    let simulator = five().await;
    let base = simulator.base_url("github");
    let link = |page: u64, rel: &str| {
        format!(
            "<{base}/repositories/1296269/issues?state=all&since=2024-01-01T10%3A00%3A00Z&per_page=2&page={page}>; rel=\"{rel}\""
        )
    };
    let cases: [(&str, Option<Vec<String>>); 5] = [
        ("", Some(vec![link(2, "next"), link(3, "last")])),
        ("&page=1", Some(vec![link(2, "next"), link(3, "last")])),
        (
            "&page=2",
            Some(vec![link(1, "prev"), link(3, "next"), link(3, "last"), link(1, "first")]),
        ),
        ("&page=3", Some(vec![link(2, "prev"), link(1, "first")])),
        ("&page=9", Some(vec![link(3, "prev"), link(3, "last"), link(1, "first")])),
    ];
    for (page, expected) in cases {
        let query = format!("state=all&since=2024-01-01T10:00:00Z&per_page=2{page}");
        let reply = list(&simulator, &query).await;
        assert_eq!(reply.header("link"), expected.map(|l| l.join(", ")).as_deref(), "{page}");
    }
    assert_eq!(list(&simulator, "state=all&per_page=5").await.header("link"), None);

    let first = list(&simulator, "state=all&sort=updated&direction=asc&per_page=2").await;
    let second = get(&first.link("next").unwrap(), TOKEN).await;
    let third = get(&second.link("next").unwrap(), TOKEN).await;
    assert_eq!(second.column("number"), [json!(3), json!(4)]);
    assert_eq!(third.column("number"), [json!(1)]);
    assert_eq!(third.link("next"), None);
}

#[tokio::test]
async fn every_page_size_walks_all_rows_once() {
    let simulator =
        frozen().0.source("github").rows("github", "issues", 205).start().await.unwrap();
    for per_page in [1, 41, 99, 100, 101, 205] {
        let mut url = format!(
            "{}/repos/o/r/issues?state=all&sort=updated&direction=asc&per_page={per_page}",
            simulator.base_url("github")
        );
        let (mut keys, mut pages) = (Vec::new(), 0);
        loop {
            let reply = get(&url, TOKEN).await;
            let ids = reply.column("id");
            let times = reply.column("updated_at");
            keys.extend(times.into_iter().zip(ids).map(|(t, i)| (t.to_string(), i.to_string())));
            pages += 1;
            match reply.link("next") {
                Some(next) => url = next,
                None => break,
            }
        }
        assert_eq!(pages, 205_usize.div_ceil(per_page.min(100)), "{per_page}");
        assert!(keys.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 205, "{per_page}");
    }
}

#[tokio::test]
async fn refusals_have_the_documented_bodies() {
    let simulator = frozen().0.source("github").credential("github", "good").start().await.unwrap();
    let base = simulator.base_url("github");
    let docs = "https://docs.github.com/rest";
    let unauthorized =
        |message: &str| json!({"message": message, "documentation_url": docs, "status": "401"});
    let ua = "user-agent: t\r\n";
    let cases = [
        (String::new(), 403, None),
        (ua.to_owned(), 401, Some(unauthorized("Requires authentication"))),
        (format!("{ua}authorization: Bearer  \r\n"), 401, Some(unauthorized("Bad credentials"))),
        (format!("{ua}authorization: Bearer bad\r\n"), 401, Some(unauthorized("Bad credentials"))),
        (
            format!("{ua}authorization: Basic dTpw\r\n"),
            401,
            Some(unauthorized("Requires authentication")),
        ),
        (format!("{ua}authorization: token good\r\n"), 200, None),
        (format!("{ua}Authorization: bearer good\r\n"), 200, None),
    ];
    for (headers, status, body) in cases {
        let reply = get(&format!("{base}/repos/o/r/issues"), &headers).await;
        assert_eq!(reply.status, status, "{headers:?}");
        if let Some(body) = body {
            assert_eq!(reply.json(), body, "{headers:?}");
        }
    }

    let good = format!("{ua}authorization: Bearer good\r\n");
    let not_found = json!({"message": "Not Found", "documentation_url": docs, "status": "404"});
    let paths =
        ["/repos/o/nope/issues", "/repositories/1/issues", "/nope", "/repos/o/r/issues/9999"];
    for path in paths {
        let reply = get(&format!("{base}{path}"), &good).await;
        assert_eq!((reply.status, reply.json()), (404, not_found.clone()), "{path}");
    }
    for (parameter, value) in [("state", "x"), ("sort", "x"), ("direction", "x"), ("since", "x")] {
        let reply = get(&format!("{base}/repos/o/r/issues?{parameter}={value}"), &good).await;
        let errors = json!([{"resource": "Issue", "field": parameter, "code": "invalid"}]);
        assert_eq!((reply.status, reply.json()["errors"].clone()), (422, errors), "{parameter}");
    }
    let reply = get(&format!("{base}/repos/o/r/issues?labels=bug"), &good).await;
    assert_eq!(reply.status, 501);
}

#[tokio::test]
async fn every_answer_shows_the_injected_time_and_the_rate_limit() {
    let (builder, clock) = frozen();
    let simulator = builder.source("github").start().await.unwrap();
    let reply = list(&simulator, "per_page=1").await;
    let reset = at("2031-03-01T11:00:00Z").seconds().to_string();
    for (name, value) in [
        ("date", "Sat, 01 Mar 2031 10:00:00 GMT"),
        ("content-type", "application/json; charset=utf-8"),
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "4999"),
        ("x-ratelimit-used", "1"),
        ("x-ratelimit-reset", reset.as_str()),
        ("x-ratelimit-resource", "core"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    clock.set(at("2031-03-01T10:00:05Z"));
    let reply = list(&simulator, "per_page=1").await;
    assert_eq!(reply.header("date"), Some("Sat, 01 Mar 2031 10:00:05 GMT"));
}

#[tokio::test]
async fn an_enforced_rate_limit_counts_down_refuses_and_resets() {
    let (builder, clock) = frozen();
    let simulator = builder.source("github").rate_limit("github", 2).start().await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let reply = list(&simulator, "per_page=1").await;
        seen.push((reply.status, reply.header("x-ratelimit-remaining").unwrap().to_owned()));
    }
    assert_eq!(seen, [(200, "1".into()), (200, "0".into()), (403, "0".into())]);
    clock.set(at("2031-03-01T11:00:00Z"));
    assert_eq!(list(&simulator, "per_page=1").await.status, 200);
}

#[tokio::test]
async fn an_etag_holds_until_the_source_changes() {
    let simulator = five().await;
    let url = format!("{}/repos/o/r/issues?state=all", simulator.base_url("github"));
    let etag = get(&url, TOKEN).await.header("etag").unwrap().to_owned();
    let headers = format!("{TOKEN}if-none-match: {etag}\r\n");
    let reply = get(&url, &headers).await;
    assert_eq!((reply.status, reply.body.len()), (304, 0));
    simulator.patch("github", "issues", 1001, &json!({"comments": 4})).unwrap();
    assert_eq!(get(&url, &headers).await.status, 200);
}

#[tokio::test]
async fn a_new_issue_is_complete_and_stamped() {
    let (builder, _) = frozen();
    let simulator = builder.source("github").rows("github", "issues", 3).start().await.unwrap();
    let base = format!("{}/repos/o/r/issues", simulator.base_url("github"));
    let body = json!({"title": "New \"one\"", "labels": ["bug", "nope"], "id": 1, "body": null});
    let reply = send("POST", &base, TOKEN, &body.to_string()).await;
    let made = reply.json();
    assert_eq!(reply.status, 201);
    for (field, value) in [
        ("number", json!(4)),
        ("title", json!("New \"one\"")),
        ("body", json!(null)),
        ("state", json!("open")),
        ("comments", json!(0)),
        ("created_at", json!(common::NOW)),
        ("updated_at", json!(common::NOW)),
        ("closed_at", json!(null)),
        ("url", json!("https://api.github.com/repos/o/r/issues/4")),
        ("repository_url", json!("https://api.github.com/repos/o/r")),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    assert_eq!(made["labels"][0]["name"], "bug");
    assert_eq!(made["labels"].as_array().unwrap().len(), 1);
    assert!(made["id"].as_u64().unwrap() > 1_000_000_000);
    assert_eq!(get(&format!("{base}/4"), TOKEN).await.json(), made);

    let newest = list(&simulator, "state=all&sort=updated&per_page=1").await;
    assert_eq!(newest.json()[0], made);

    for (body, status) in [("[]", 400), ("no json", 400), ("{}", 422)] {
        assert_eq!(send("POST", &base, TOKEN, body).await.status, status, "{body}");
    }
    let elsewhere = format!("{}/repos/o/nope/issues", simulator.base_url("github"));
    assert_eq!(send("POST", &elsewhere, TOKEN, r#"{"title":"x"}"#).await.status, 404);
}

#[tokio::test]
async fn an_update_changes_its_fields_and_moves_the_issue_in_the_order() {
    let simulator = five().await;
    let url = format!("{}/repos/o/r/issues/2", simulator.base_url("github"));
    let patch = json!({"title": "T", "state": "open", "number": 77});
    let reply = send("PATCH", &url, TOKEN, &patch.to_string()).await;
    assert_eq!(reply.status, 200);
    let mut expected = issue(2, 10, "open", 9);
    let updates = json!({"title": "T", "updated_at": common::NOW, "closed_at": null, "closed_by": null, "state_reason": "reopened"});
    for (field, value) in updates.as_object().unwrap() {
        expected[field] = value.clone();
    }
    assert_eq!(reply.json(), expected);
    assert_eq!(get(&url, TOKEN).await.json(), expected);

    let since = list(&simulator, "sort=updated&direction=asc&since=2031-01-01T00:00:00Z").await;
    assert_eq!(since.column("number"), [json!(2)]);

    let closed = send("PATCH", &url, TOKEN, r#"{"state":"closed"}"#).await.json();
    assert_eq!(
        (&closed["closed_at"], &closed["state_reason"]),
        (&json!(common::NOW), &json!("completed"))
    );
    send("PATCH", &url, TOKEN, r#"{"state":"open"}"#).await;
    let reason = r#"{"state":"closed","state_reason":"not_planned"}"#;
    assert_eq!(send("PATCH", &url, TOKEN, reason).await.json()["state_reason"], "not_planned");
    assert_eq!(send("PATCH", &format!("{url}99"), TOKEN, "{}").await.status, 404);
}

#[tokio::test]
async fn repositories_are_apart() {
    let (builder, _) = frozen();
    let simulator = builder
        .source("github")
        .rows("github", "acme/widgets/issues", 12)
        .records("github", "acme/gears/issues", vec![issue(1, 0, "open", 0)])
        .start()
        .await
        .unwrap();
    let base = simulator.base_url("github");
    for (repository, rows) in
        [("o/r", 100), ("acme/widgets", 12), ("acme/gears", 1), ("acme/empty", 0)]
    {
        let reply =
            get(&format!("{base}/repos/{repository}/issues?state=all&per_page=100"), TOKEN).await;
        assert_eq!(reply.column("id").len(), rows, "{repository}");
        let collection = format!("{repository}/issues");
        let stored = simulator.records("github", &collection).unwrap().len();
        assert_eq!(stored, if rows == 100 { 900 } else { rows }, "{repository}");
    }
    let repository = get(&format!("{base}/repos/acme/widgets"), TOKEN).await.json();
    assert_eq!(
        (&repository["full_name"], &repository["id"]),
        (&json!("acme/widgets"), &json!(1296270))
    );
    assert_eq!(get(&format!("{base}/repositories/1296270"), TOKEN).await.json(), repository);
}

#[tokio::test]
async fn default_records_have_the_documented_shape_and_size() {
    let simulator =
        frozen().0.source("github").rows("github", "issues", 2000).start().await.unwrap();
    let records = simulator.records("github", "issues").unwrap();
    let issues: Vec<&Value> = records
        .iter()
        .filter(|r| r["repository_url"] == "https://api.github.com/repos/o/r")
        .collect();
    assert_eq!(issues.len(), 2000);
    let bytes: usize = issues.iter().map(|issue| issue.to_string().len()).sum();
    assert!((2_300..3_000).contains(&(bytes / 2000)), "{} bytes per record", bytes / 2000);

    let share = |test: &dyn Fn(&Value) -> bool| issues.iter().filter(|issue| test(issue)).count();
    let pulls = share(&|issue| issue["pull_request"].is_object());
    assert!((300..700).contains(&pulls), "{pulls}");
    assert_eq!(share(&|i| i.get("pull_request").is_some() && i["draft"].is_boolean()), pulls);
    assert_eq!(share(&|i| (i["state"] == "closed") != i["closed_at"].is_string()), 0);
    assert_eq!(share(&|i| i["updated_at"].as_str() < i["created_at"].as_str()), 0);
    for field in ["body", "milestone", "assignee", "active_lock_reason", "closed_by"] {
        let null = share(&|issue| issue[field].is_null());
        assert!(null > 0 && null < 2000, "{field}: {null}");
    }
    assert_eq!(issues[0]["user"].as_object().unwrap().len(), 18);
    let mut times: Vec<&str> = issues.iter().map(|i| i["updated_at"].as_str().unwrap()).collect();
    times.sort_unstable();
    assert!(times.windows(2).any(|pair| pair[0] == pair[1]), "some changes share their second");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes() {
    let body = async |seed: u64| {
        let simulator = frozen().0.seed(seed).source("github").start().await.unwrap();
        list(&simulator, "state=all&per_page=100").await.body
    };
    assert_eq!(body(1).await, body(1).await);
    assert_ne!(body(1).await, body(2).await);
}

/// Every row of every page, and the number of pages.
async fn walk(simulator: &Simulator, path: &str) -> (Vec<Value>, usize) {
    let mut next = Some(format!("{}{path}", simulator.base_url("github")));
    let (mut rows, mut pages) = (Vec::new(), 0);
    while let Some(url) = next {
        let reply = get(&url, TOKEN).await;
        assert_eq!(reply.status, 200, "{url}");
        rows.extend(reply.json().as_array().unwrap().clone());
        next = reply.link("next");
        pages += 1;
    }
    (rows, pages)
}

async fn fetch(simulator: &Simulator, path: &str) -> Reply {
    get(&format!("{}{path}", simulator.base_url("github")), TOKEN).await
}

async fn default_corpus() -> Simulator {
    frozen().0.source("github").start().await.unwrap()
}

fn texts(rows: &[Value], pointer: &str) -> Vec<String> {
    let text = |row: &Value| row.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    rows.iter().filter_map(text).collect()
}

#[tokio::test]
async fn every_list_has_three_pages_and_each_key_once() {
    let simulator = default_corpus().await;
    let pull = simulator.records("github", "o/r/pulls").unwrap()[0]["number"].clone();
    let cases = [
        ("/repos/o/r/issues?state=all".to_owned(), "/id"),
        ("/repos/o/r/pulls?state=all".to_owned(), "/id"),
        (format!("/repos/o/r/pulls/{pull}/reviews?"), "/id"),
        ("/repos/o/r/issues/comments?".to_owned(), "/id"),
        ("/repos/o/r/commits?".to_owned(), "/sha"),
        ("/repos/o/r/branches?".to_owned(), "/name"),
        ("/repos/o/r/assignees?".to_owned(), "/id"),
        ("/repos/o/r/collaborators?".to_owned(), "/id"),
        ("/orgs/acme/repos?".to_owned(), "/id"),
        ("/users/octocat/repos?".to_owned(), "/id"),
        ("/user/repos?".to_owned(), "/id"),
        ("/user/orgs?".to_owned(), "/id"),
        ("/user/teams?".to_owned(), "/id"),
    ];
    for (path, key) in cases {
        let (rows, pages) = walk(&simulator, &format!("{path}&per_page=100")).await;
        assert!(pages >= 3, "{path}: {pages}");
        let mut keys: Vec<String> =
            rows.iter().map(|row| row.pointer(key).unwrap().to_string()).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), rows.len(), "{path}");
    }
}

#[tokio::test]
async fn default_orders_are_the_documented_ones() {
    let simulator = default_corpus().await;
    let cases = [
        ("/repos/o/r/pulls?state=all", "/created_at", true),
        ("/repos/o/r/pulls?state=all&sort=updated", "/updated_at", false),
        ("/repos/o/r/pulls?state=all&sort=updated&direction=desc", "/updated_at", true),
        ("/repos/o/r/issues/comments?sort=updated", "/updated_at", false),
        ("/repos/o/r/issues/comments?sort=updated&direction=desc", "/updated_at", true),
        ("/repos/o/r/commits?", "/commit/committer/date", true),
        ("/repos/o/r/branches?", "/name", false),
        ("/orgs/acme/repos?", "/created_at", true),
        ("/orgs/acme/repos?sort=full_name", "/full_name", false),
        ("/user/repos?", "/full_name", false),
        ("/user/repos?sort=updated", "/updated_at", true),
    ];
    for (path, field, descending) in cases {
        let (rows, _) = walk(&simulator, &format!("{path}&per_page=100")).await;
        let mut values = texts(&rows, field);
        if descending {
            values.reverse();
        }
        assert!(values.len() > 200 && values.is_sorted(), "{path}");
        let unique: std::collections::BTreeSet<&String> = values.iter().collect();
        let moving = field.ends_with("updated_at") || field.ends_with("date");
        assert!(!moving || unique.len() < values.len(), "{path} has no ties");
    }
}

#[tokio::test]
async fn filters_of_the_other_lists_bound_and_select() {
    let simulator = default_corpus().await;
    let (commits, _) = walk(&simulator, "/repos/o/r/commits?per_page=100").await;
    let dates = texts(&commits, "/commit/committer/date");
    let (newest, oldest) = (&dates[100], &dates[200]);
    let within = |date: &&String| (oldest..=newest).contains(date);
    let path = format!("/repos/o/r/commits?per_page=100&since={oldest}&until={newest}");
    let (found, _) = walk(&simulator, &path).await;
    let expected: Vec<&String> = dates.iter().filter(within).collect();
    assert_eq!(texts(&found, "/commit/committer/date").iter().collect::<Vec<_>>(), expected);

    let (comments, _) =
        walk(&simulator, "/repos/o/r/issues/comments?sort=updated&per_page=100").await;
    let since = texts(&comments, "/updated_at")[300].clone();
    let path = format!("/repos/o/r/issues/comments?sort=updated&per_page=100&since={since}");
    let (found, _) = walk(&simulator, &path).await;
    let later = comments.iter().filter(|c| c["updated_at"].as_str() >= Some(since.as_str()));
    assert_eq!(found, later.cloned().collect::<Vec<_>>());

    // Pull requests have no `since`.
    let (all, _) = walk(&simulator, "/repos/o/r/pulls?state=all&per_page=100").await;
    let ignored = "/repos/o/r/pulls?state=all&per_page=100&since=2030-01-01T00:00:00Z";
    assert_eq!(walk(&simulator, ignored).await.0, all);
    let (open, _) = walk(&simulator, "/repos/o/r/pulls?per_page=100").await;
    assert!(!open.is_empty() && open.iter().all(|pull| pull["state"] == "open"));

    let (public, _) = walk(&simulator, "/users/octocat/repos?per_page=100").await;
    let (own, _) = walk(&simulator, "/user/repos?per_page=100").await;
    let (owned, _) = walk(&simulator, "/user/repos?affiliation=owner&per_page=100").await;
    assert!(own.len() > owned.len() && owned.iter().all(|r| r["owner"]["login"] == "octocat"));
    let of_octocat = own.iter().filter(|repo| repo["owner"]["login"] == "octocat");
    let visible = of_octocat.filter(|repo| repo["private"] == json!(false));
    assert_eq!(public, visible.cloned().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_pull_request_agrees_with_its_issue_and_shows_more_alone() {
    let simulator = default_corpus().await;
    let (pulls, _) = walk(&simulator, "/repos/o/r/pulls?state=all&per_page=100").await;
    let (issues, _) = walk(&simulator, "/repos/o/r/issues?state=all&per_page=100").await;
    let of_pulls: Vec<&Value> = issues.iter().filter(|i| i.get("pull_request").is_some()).collect();
    assert_eq!(pulls.len(), of_pulls.len());
    let shared =
        ["number", "title", "state", "user", "labels", "created_at", "updated_at", "closed_at"];
    for (pull, issue) in pulls.iter().zip(of_pulls) {
        for field in shared {
            assert_eq!(pull[field], issue[field], "{field} of {}", pull["number"]);
        }
        assert_eq!(pull["merged_at"], issue["pull_request"]["merged_at"]);
        assert_eq!(pull["url"], issue["pull_request"]["url"]);
        assert_ne!(pull["id"], issue["id"]);
    }

    let alone = fetch(&simulator, &format!("/repos/o/r/pulls/{}", pulls[0]["number"])).await.json();
    for field in ["merged", "mergeable", "commits", "additions", "changed_files", "comments"] {
        assert!(pulls[0].get(field).is_none() && alone.get(field).is_some(), "{field}");
    }
    assert_eq!(fetch(&simulator, "/repos/o/r/pulls/999999").await.status, 404);
    assert_eq!(fetch(&simulator, "/repos/o/r/pulls/999999/reviews").await.status, 404);
}

#[tokio::test]
async fn reviews_and_comments_move_what_they_are_about() {
    let (builder, clock) = frozen();
    let simulator = builder.source("github").start().await.unwrap();
    let updated = |number: &Value| {
        ["pulls", "issues"].map(|collection| {
            let records = simulator.records("github", &format!("o/r/{collection}")).unwrap();
            let record = records.into_iter().find(|record| record["number"] == *number).unwrap();
            record["updated_at"].as_str().unwrap().to_owned()
        })
    };
    let pull = simulator.records("github", "o/r/pulls").unwrap()[7].clone();
    let number = &pull["number"];

    let review = json!({
        "id": 77,
        "pull_request_url": pull["url"],
        "submitted_at": "2030-06-01T00:00:00Z",
        "state": "APPROVED",
    });
    simulator.upsert("github", "reviews", &review).unwrap();
    assert_eq!(updated(number), ["2030-06-01T00:00:00Z"; 2]);
    let path = format!("/repos/o/r/pulls/{number}/reviews");
    assert!(fetch(&simulator, &path).await.column("id").contains(&json!(77)));

    let comment = json!({
        "id": 78,
        "url": "https://api.github.com/repos/o/r/issues/comments/78",
        "issue_url": pull["issue_url"],
        "updated_at": "2030-07-01T00:00:00Z",
    });
    simulator.upsert("github", "comments", &comment).unwrap();
    assert_eq!(updated(number), ["2030-07-01T00:00:00Z"; 2]);

    simulator.with_world(|world| world.touch("github", "reviews", 77)).unwrap();
    assert_eq!(updated(number), [common::NOW; 2]);
    clock.set(at("2031-03-01T10:05:00Z"));
    simulator.with_world(|world| world.touch("github", "pulls", &pull["id"])).unwrap();
    assert_eq!(updated(number), ["2031-03-01T10:05:00Z"; 2]);
    let url = format!("{}/repos/o/r/issues/{number}", simulator.base_url("github"));
    clock.set(at("2031-03-01T10:06:00Z"));
    send("PATCH", &url, TOKEN, r#"{"title":"T"}"#).await;
    assert_eq!(updated(number), ["2031-03-01T10:06:00Z"; 2]);

    simulator.with_world(|world| world.grow("github", "pulls", 1)).unwrap();
    let newest = simulator.records("github", "o/r/pulls").unwrap().pop().unwrap();
    assert_eq!(updated(&newest["number"]), ["2031-03-01T10:06:00Z"; 2]);
    let mut own = pull.clone();
    for (field, value) in [("id", json!(5)), ("number", json!(90_000)), ("title", json!("own"))] {
        own[field] = value;
    }
    own["url"] = json!("https://api.github.com/repos/o/r/pulls/90000");
    own["issue_url"] = json!("https://api.github.com/repos/o/r/issues/90000");
    simulator.upsert("github", "pulls", &own).unwrap();
    let issue = fetch(&simulator, "/repos/o/r/issues/90000").await.json();
    assert_eq!((&issue["title"], &issue["pull_request"]["url"]), (&json!("own"), &own["url"]));

    assert!(simulator.remove("github", "pulls", &pull["id"]).unwrap());
    for path in [format!("/repos/o/r/pulls/{number}"), format!("/repos/o/r/issues/{number}"), path]
    {
        assert_eq!(fetch(&simulator, &path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn states_of_a_repository_give_their_refusals() {
    let simulator = default_corpus().await;
    let cases = [
        ("/repos/acme/empty/commits", 409, "Git Repository is empty."),
        ("/repos/acme/handbook/issues", 410, "Issues are disabled for this repo"),
        (
            "/repos/acme/gears/collaborators",
            403,
            "Must have push access to view repository collaborators.",
        ),
        ("/orgs/nope/repos", 404, "Not Found"),
        ("/users/nope/repos", 404, "Not Found"),
        ("/orgs/acme/teams/nope", 404, "Not Found"),
    ];
    for (path, status, message) in cases {
        let reply = fetch(&simulator, path).await;
        assert_eq!(
            (reply.status, reply.json()["message"].clone()),
            (status, json!(message)),
            "{path}"
        );
    }
    let permissions = json!({"permissions": {"admin": false, "push": false, "pull": true}});
    simulator.patch("github", "repos", "o/r", &permissions).unwrap();
    assert_eq!(fetch(&simulator, "/repos/o/r/collaborators").await.status, 403);
}

#[tokio::test]
async fn links_of_every_list_lead_to_routes_that_exist() {
    let simulator = default_corpus().await;
    for (path, link) in [
        ("/repos/o/r/pulls", "/repositories/1296269/pulls"),
        ("/repos/o/r/commits", "/repositories/1296269/commits"),
        ("/orgs/acme/repos", "/organizations/9920/repos"),
        ("/users/octocat/repos", "/user/1/repos"),
        ("/user/orgs", "/user/orgs"),
    ] {
        let reply = fetch(&simulator, &format!("{path}?per_page=3")).await;
        let next = reply.link("next").unwrap();
        let expected = format!("{}{link}?per_page=3&page=2", simulator.base_url("github"));
        assert_eq!(next, expected);
        let last = get(&reply.link("last").unwrap(), TOKEN).await;
        assert!(last.status == 200 && !last.json().as_array().unwrap().is_empty(), "{path}");
    }
    let (teams, _) = walk(&simulator, "/user/teams?per_page=100").await;
    let team = &teams[5];
    let path = format!(
        "/orgs/{}/teams/{}",
        team["organization"]["login"].as_str().unwrap(),
        team["slug"].as_str().unwrap()
    );
    assert_eq!(fetch(&simulator, &path).await.json(), *team);
    assert_eq!(fetch(&simulator, "/user").await.json()["login"], "octocat");
}
