//! What can go wrong on the way: the same rows in the end, or an error of the right kind.

use crate::bench::Bench;
use crate::check::Outcome;
use crate::rows::{Row, differences};
use crate::tap::Tap;
use lakeflow_core::{ErrorKind, Result};
use lakeflow_simulator::{Fault, FaultKind, LoggedRequest};
use std::collections::BTreeMap;

/// Requests of a read at which a fault is tried, most; the first and the middle one of each route.
const MAX_PLACES: usize = 6;

/// A pause that the service asks for, in seconds: short, so that the suite is fast.
const PAUSE: &str = "0.01";

/// What a read must do with a fault.
enum Expect {
    /// Give the same rows.
    Recovery,
    /// Fail so.
    Failure(&'static [ErrorKind]),
    /// Either: walks that never follow a link do not see a wrong one.
    Any(&'static [ErrorKind]),
    /// Fail with an error that names the way in a circle, or give the same rows if the walk does
    /// not follow it.
    Circle(Option<&'static str>),
}

/// Which requests the fault strikes: one, all of its path, all, or every second one.
enum Times {
    Once,
    Always,
    Everywhere,
    EverySecond,
}

pub async fn too_many_requests(bench: Bench) -> Result<Outcome> {
    once(bench, status(429, &[("retry-after", PAUSE)], "{}"), Expect::Recovery).await
}

pub async fn server_error(bench: Bench) -> Result<Outcome> {
    once(bench, status(500, &[("retry-after", PAUSE)], "{\"error\": \"no\"}"), Expect::Recovery)
        .await
}

pub async fn gateway_error(bench: Bench) -> Result<Outcome> {
    let headers = [("retry-after", PAUSE), ("content-type", "text/html")];
    once(bench, status(502, &headers, "<html>Bad Gateway</html>"), Expect::Recovery).await
}

/// Renewed where there is something to renew it by; else an error that says so.
pub async fn expired_token(bench: Bench) -> Result<Outcome> {
    let expect = if bench.entry.renews_tokens {
        Expect::Recovery
    } else {
        Expect::Failure(&[ErrorKind::AuthFailed])
    };
    once(bench, status(401, &[], "{}"), expect).await
}

pub async fn reset_in_the_body(bench: Bench) -> Result<Outcome> {
    once(bench, FaultKind::ResetMidBody { after: 40 }, Expect::Recovery).await
}

pub async fn short_body(bench: Bench) -> Result<Outcome> {
    once(bench, FaultKind::ShortBody { after: 40 }, Expect::Recovery).await
}

pub async fn truncated_json(bench: Bench) -> Result<Outcome> {
    once(bench, FaultKind::TruncatedBody { keep: 20 }, Expect::Recovery).await
}

pub async fn web_page(bench: Bench) -> Result<Outcome> {
    once(bench, FaultKind::Html200, Expect::Recovery).await
}

pub async fn false_gzip(bench: Bench) -> Result<Outcome> {
    once(bench, FaultKind::FalseGzip, Expect::Recovery).await
}

pub async fn black_hole(bench: Bench) -> Result<Outcome> {
    let options = [("requestTimeoutSeconds", "1")];
    strike(bench, FaultKind::BlackHole, Times::Once, &options, Expect::Recovery).await
}

pub async fn repeated_token(bench: Bench) -> Result<Outcome> {
    let expect = Expect::Circle(bench.case.follows);
    strike(bench, FaultKind::RepeatLink, Times::Everywhere, &[], expect).await
}

/// Every second page leads back to the first.
pub async fn cycling_tokens(bench: Bench) -> Result<Outcome> {
    let expect = Expect::Circle(bench.case.follows);
    strike(bench, FaultKind::RestartLink, Times::EverySecond, &[], expect).await
}

/// Nothing reaches the other host.
pub async fn foreign_link(bench: Bench) -> Result<Outcome> {
    let tap = Tap::open().await;
    let fault = FaultKind::ForeignLink { origin: tap.url.clone() };
    let expect = Expect::Any(&[ErrorKind::BadResponse]);
    let outcome = strike(bench, fault, Times::Everywhere, &[], expect).await?;

    Ok(unheard(&tap, outcome).await)
}

/// Nothing reaches the other host.
pub async fn foreign_redirect(bench: Bench) -> Result<Outcome> {
    let tap = Tap::open().await;
    let fault = status(302, &[("location", &tap.url)], "{}");
    let outcome = once(bench, fault, Expect::Failure(&[ErrorKind::BadResponse])).await?;

    Ok(unheard(&tap, outcome).await)
}

pub async fn lasting_server_error(bench: Bench) -> Result<Outcome> {
    let fault = status(503, &[("retry-after", PAUSE)], "{}");
    let expect = Expect::Failure(&[ErrorKind::SourceUnavailable]);
    strike(bench, fault, Times::Always, &[("maxRetries", "2")], expect).await
}

pub async fn lasting_rate_limit(bench: Bench) -> Result<Outcome> {
    let fault = status(429, &[("retry-after", "7200")], "{}");
    let expect = Expect::Failure(&[ErrorKind::RateLimited]);
    strike(bench, fault, Times::Always, &[("maxWaitSeconds", "1")], expect).await
}

impl Expect {
    /// What is wrong with the end of a read that should have given the rows of `whole`.
    fn problems(&self, what: &str, whole: &[Row], got: Result<Vec<Row>>) -> Vec<String> {
        match (self, got) {
            (Self::Failure(kinds), Ok(rows)) => {
                vec![format!("{what}: {} rows, {kinds:?} was due", rows.len())]
            }
            (Self::Circle(Some(marker)), Ok(rows)) => {
                vec![format!("{what}: {} rows, an error with {marker} was due", rows.len())]
            }
            (_, Ok(rows)) => differences(what, whole, &rows),
            (Self::Recovery, Err(error)) => vec![format!("{what}: {error:?}")],
            (Self::Failure(kinds) | Self::Any(kinds), Err(error)) => {
                let due = kinds.contains(&error.kind());
                if due { Vec::new() } else { vec![format!("{what}: {kinds:?} was due: {error:?}")] }
            }
            (Self::Circle(marker), Err(error)) => {
                let named = error.message().strip_prefix("the list does not ");
                let named = named.is_some_and(|rest| rest.contains(marker.unwrap_or_default()));
                let due = error.kind() == ErrorKind::BadResponse && named;
                if due {
                    Vec::new()
                } else {
                    vec![format!("{what}: {marker:?} was due: {error:?}")]
                }
            }
        }
    }
}

impl Times {
    /// Places at which such a fault is worth trying in a read of so many requests.
    fn most(&self, requests: usize) -> usize {
        match self {
            Self::Once | Self::Always => MAX_PLACES,
            Self::Everywhere => 1,
            Self::EverySecond => (requests / 2).min(1),
        }
    }
}

/// A status with headers and body.
pub fn status(code: u16, headers: &[(&str, &str)], body: &str) -> FaultKind {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    FaultKind::Status { code, headers, body: Some(body.to_owned()) }
}

async fn once(bench: Bench, kind: FaultKind, expect: Expect) -> Result<Outcome> {
    strike(bench, kind, Times::Once, &[], expect).await
}

/// Reads the table with the fault at one request after the other.
async fn strike(
    bench: Bench,
    kind: FaultKind,
    times: Times,
    options: &[(&str, &str)],
    expect: Expect,
) -> Result<Outcome> {
    // Tokens that are renewed are fetched here, so that later reads begin with the first page.
    if bench.entry.renews_tokens {
        bench.read_as_meant(&[]).await?;
    }
    bench.simulator.clear_requests();
    let whole = bench.read_as_meant(&[]).await?;
    let requests = bench.simulator.requests();
    let mut problems = Vec::new();
    for nth in places(&requests).into_iter().take(times.most(requests.len())) {
        let source = bench.entry.spec;
        let path = requests.get(nth - 1).map_or("", |request| &request.path);
        let fault = Fault::new(kind.clone());
        bench.simulator.fault(match times {
            Times::Once => fault.on(format!("/{source}/*")).nth(u64::try_from(nth).unwrap_or(1)),
            Times::Always => fault.on(format!("/{source}{path}")),
            Times::Everywhere => fault.on(format!("/{source}/*")),
            Times::EverySecond => fault.on(format!("/{source}/*")).every(2),
        });
        let got = bench.read_as_meant(options).await;
        if bench.simulator.fault_hits() == [0] {
            problems.push(format!("request {nth}: the fault never struck"));
        }
        bench.simulator.clear_faults();
        let what = format!("fault at request {nth}");
        problems.extend(expect.problems(&what, &whole, got));
    }

    Ok(problems.into())
}

/// Numbers of the requests at which a fault is tried, from 1.
fn places(requests: &[LoggedRequest]) -> Vec<usize> {
    let mut routes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, request) in (1..).zip(requests) {
        routes.entry(route(request)).or_default().push(number);
    }
    let of_route =
        |numbers: &Vec<usize>| [numbers.first().copied(), numbers.get(numbers.len() / 2).copied()];
    let mut places: Vec<usize> = routes.values().flat_map(of_route).flatten().collect();
    places.sort_unstable();
    places.dedup();
    let step = places.len().div_ceil(MAX_PLACES).max(1);

    places.into_iter().step_by(step).collect()
}

/// Method and path, with ids as `*`.
fn route(request: &LoggedRequest) -> String {
    let name = |part: &str| {
        let id = part.bytes().any(|b| b.is_ascii_digit())
            && part != "v2"
            && part != "v3"
            && part != "v4";
        if id { "*".to_owned() } else { part.to_owned() }
    };
    let path: Vec<String> = request.path.split('/').map(name).collect();

    format!("{} {}", request.method, path.join("/"))
}

async fn unheard(tap: &Tap, outcome: Outcome) -> Outcome {
    match (tap.received().await, outcome) {
        ((0, _), outcome) => outcome,
        ((connections, _), Outcome::Found(mut problems)) => {
            problems.push(format!("{connections} connections to the other host"));
            Outcome::Found(problems)
        }
        (_, outcome) => outcome,
    }
}

#[test]
fn each_route_is_tried_at_its_first_and_middle_request() {
    let request = |path: &str| LoggedRequest {
        method: "GET".into(),
        path: path.into(),
        ..LoggedRequest::default()
    };
    let list: Vec<_> = ["/tables", "/a/1/b", "/a/2/b", "/a/3/b", "/a/4/b"].map(request).into();
    assert_eq!(places(&list), [1, 2, 4]);
    assert_eq!(places(&[]), [0; 0]);
}
