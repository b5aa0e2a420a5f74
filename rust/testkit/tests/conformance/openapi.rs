//! GitHub's own description of its API against what the connector asks and understands, and against
//! what the simulator answers.
//!
//! # Source
//! npm package `@octokit/openapi`, file `generated/api.github.com.json`, which `bin/setup` fetches;
//! `LAKEFLOW_OPENAPI` names it.

use crate::bench::Bench;
use crate::description::Description;
use crate::entries::GITHUB;
use crate::entry::TableCase;
use crate::server::Server;
use lakeflow_core::Secret;
use lakeflow_http::{Auth, Client, Request};
use lakeflow_simulator::LoggedRequest;
use serde_json::Value;
use std::collections::BTreeMap;

/// Requests of a full read, of a drain after a change, and of one in small slices, by path.
async fn requests(case: TableCase) -> (Bench, Vec<LoggedRequest>) {
    let bench = Bench::start(GITHUB, case).await.unwrap();
    bench.read(&[], None).await.unwrap();
    if bench.streamable().await.unwrap() {
        let mut stream = bench.stream(&[("max_records_per_batch", "3")]);
        stream.drain().await.unwrap();
        bench.later(3600);
        bench.change().unwrap();
        bench.later(3600);
        stream.restart().drain().await.unwrap();
    }
    let requests = bench.simulator.requests();

    (bench, requests)
}

/// Links that the service hands out name a repository, organization or user by number; no operation
/// describes these.
fn is_a_followed_link(request: &LoggedRequest) -> bool {
    ["/repositories/", "/organizations/"].iter().any(|root| request.path.starts_with(root))
}

#[tokio::test]
async fn each_request_of_github_is_one_that_the_description_knows() {
    let description = Description::read();
    for case in GITHUB.tables {
        let (_, requests) = requests(*case).await;
        let asked: Vec<_> = requests.iter().filter(|r| !is_a_followed_link(r)).collect();
        assert!(!asked.is_empty(), "{}", case.name);
        for request in asked {
            let problems = description.problems_of(request);
            assert!(problems.is_empty(), "{} {request:?}: {problems:?}", case.name);
        }
    }
}

#[tokio::test]
async fn headers_of_github_are_those_that_the_documentation_asks_for() {
    let server = Server::start(|path| {
        Some(if path == "/user" { r#"{"id": 1, "login": "o"}"# } else { "[]" }.to_owned())
    })
    .await;
    for case in GITHUB.tables {
        let bench = Bench::start(GITHUB, *case).await.unwrap();
        bench.read(&[("base_url", &server.url)], None).await.unwrap();
        let head = server.take_heads().into_iter().next().unwrap().to_lowercase();
        for line in [
            "accept: application/vnd.github+json",
            "authorization: bearer ",
            "user-agent: lakeflow-connect/",
            "x-github-api-version: 2022-11-28",
        ] {
            assert!(head.contains(line), "{}: {line} in {head}", case.name);
        }
    }
}

#[tokio::test]
async fn example_responses_of_the_description_become_rows() {
    let description = Description::read();
    let answers = description.clone();
    let server = Server::start(move |path| answers.example(path).map(|e| e.to_string())).await;
    for case in GITHUB.tables {
        let bench = Bench::start(GITHUB, *case).await.unwrap();
        let rows = bench.read(&[("base_url", &server.url)], None).await.unwrap();
        assert!(!rows.is_empty(), "{}", case.name);
        let paths: Vec<String> = server
            .take_heads()
            .iter()
            .filter_map(|h| h.split([' ', '?']).nth(1))
            .map(str::to_owned)
            .collect();
        let last = paths.last().and_then(|path| description.example(path)).unwrap();
        let records = last.as_array().map_or(1, Vec::len);
        assert!(rows.len() >= records, "{}: {} rows of {last}", case.name, rows.len());
    }
}

#[tokio::test]
async fn recorded_answers_of_github_become_rows() {
    let description = Description::read();
    let recorded = recorded();
    let mut covered = Vec::new();
    for case in GITHUB.tables {
        let (bench, requests) = requests(*case).await;
        let Some(list) = requests.iter().rfind(|r| !is_a_followed_link(r)) else { continue };
        let template = description.template(&list.path).unwrap();
        let fitting = |(path, _): &&(String, Value)| description.template(path) == Some(template);
        for (path, body) in recorded.iter().filter(fitting) {
            let (own, text) = (path.clone(), body.to_string());
            let server = Server::start(move |path| (path == own).then(|| text.clone())).await;
            let names = template.split('/').zip(path.split('/'));
            let mut options: Vec<(&str, &str)> = names
                .filter_map(|(name, value)| {
                    let name = name.strip_prefix('{')?.strip_suffix('}')?;
                    GITHUB.source.options().any(|o| o.is_called(name)).then_some((name, value))
                })
                .collect();
            options.push(("base_url", &server.url));
            let rows = bench.read(&options, None).await.unwrap();
            assert_eq!(rows.len(), body.as_array().map_or(1, Vec::len), "{} {path}", case.name);
            covered.push(case.name);
        }
    }
    println!("recorded: {}", covered.join(" "));
    assert!(covered.contains(&"issues"), "{covered:?}");
}

/// Paths and bodies of what was answered with 200, from the npm package `@octokit/fixtures`.
fn recorded() -> Vec<(String, Value)> {
    let folder = std::env::var("LAKEFLOW_FIXTURES")
        .expect("LAKEFLOW_FIXTURES names the unpacked @octokit/fixtures; run bin/setup");
    let scenarios = std::path::Path::new(&folder).join("scenarios/api.github.com");
    let mut all = Vec::new();
    for scenario in std::fs::read_dir(scenarios).unwrap() {
        let file = scenario.unwrap().path().join("normalized-fixture.json");
        let exchanges: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let listed = exchanges.into_iter().filter(|e| {
            e["status"] == 200
                && e["method"].as_str().is_some_and(|m| m.eq_ignore_ascii_case("get"))
        });
        all.extend(listed.map(|e| {
            let path = e["path"].as_str().unwrap_or_default();
            (path.split('?').next().unwrap_or_default().to_owned(), e["response"].clone())
        }));
    }

    all
}

#[tokio::test]
async fn answers_of_the_simulator_are_those_of_the_description() {
    let description = Description::read();
    for case in GITHUB.tables {
        let (bench, requests) = requests(*case).await;
        let by_path: BTreeMap<_, _> = requests
            .iter()
            .filter(|r| r.status == 200 && !is_a_followed_link(r))
            .map(|r| (&r.path, r))
            .collect();
        let mut seen = 0;
        for request in by_path.into_values().take(20) {
            let body = again(&bench, request).await;
            seen += body.as_array().map_or(1, Vec::len);
            let problems = description.invalid(&request.path, &body);
            assert!(problems.is_empty(), "{} {}: {problems:?}", case.name, request.path);
        }
        assert!(seen > 0, "{}", case.name);
    }
}

/// The simulator's answer to a request that the connector sent before.
async fn again(bench: &Bench, request: &LoggedRequest) -> Value {
    let context = bench.context().unwrap();
    let client = Client::builder(&context, &bench.simulator.base_url("github")).unwrap();
    let client = client.auth(Auth::Bearer(Secret::new(bench.canary("token")))).build().unwrap();
    let path = request.path.trim_start_matches('/');
    let request = request.query.iter().fold(Request::get(path), |r, (n, v)| r.query(n, v));
    let body = client.send(request).await.unwrap().body;

    serde_json::from_slice(&body).unwrap()
}
