//! Tokens that expire, are rejected, replaced and shared.

use super::server::{Server, Step, json, reply};
use super::{NOW, context, facts};
use crate::{Auth, Client, OAuth, Request};
use futures::future::join_all;
use lakeflow_core::{Context, ErrorKind, Instant, ManualClock, Result, Retry, Secret};
use serde_json::json as value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;
use url::form_urlencoded;

/// What the service knows of its tokens.
#[derive(Default)]
struct Tokens {
    /// Number of the access token and refresh token that are good.
    good: u64,
    /// Forms that were sent to the token endpoint.
    asked: Vec<BTreeMap<String, String>>,
    /// A refresh token was sent that had been replaced.
    reused: bool,
    /// No access token is good before the next renewal.
    expired: bool,
    /// No access token is good.
    locked: bool,
}

/// A service with `/token`, which replaces `refresh-<n>` each time, and resources that need
/// `access-<n>`; numbers begin at 0.
async fn service(tokens: &Arc<Mutex<Tokens>>) -> Server {
    let tokens = tokens.clone();
    Server::start(move |_, request| {
        let mut tokens = tokens.lock().unwrap();
        if request.starts_with("POST /token ") {
            let body = request.split_once("\r\n\r\n").unwrap().1;
            let form: BTreeMap<String, String> =
                form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            let refresh = form.get("refresh_token").cloned();
            tokens.asked.push(form);
            if refresh.is_some_and(|r| r != format!("refresh-{}", tokens.good)) {
                tokens.reused = true;
                return reply(400, &[], r#"{"error": "invalid_grant"}"#);
            }
            tokens.good += 1;
            tokens.expired = false;
            let (access, refresh) =
                (format!("access-{}", tokens.good), format!("refresh-{}", tokens.good));
            let answer = value!({
                "access_token": access, "refresh_token": refresh, "token_type": "bearer",
                "expires_in": 3600,
            });
            return json(&answer.to_string());
        }
        let wanted = format!("authorization: Bearer access-{}\r\n", tokens.good);
        if tokens.locked || tokens.expired || !request.contains(&wanted) {
            return reply(401, &[], r#"{"message": "bad token"}"#);
        }
        json("[1]")
    })
    .await
}

fn refreshing(url: &str) -> OAuth {
    OAuth::refresh_token(&format!("{url}/token"), "app", Secret::new("refresh-0"))
        .client_secret(Secret::new("app-secret"))
}

fn client_of(context: &Context, url: &str, auth: impl Into<Auth>) -> Client {
    Client::builder(context, url).unwrap().auth(auth).build().unwrap()
}

fn clocked() -> (Context, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Instant::from_parts(NOW, 0)));
    (Context { clock: clock.clone(), ..context(&[]) }, clock)
}

async fn get(client: &Client) -> Result<u16> {
    client.send(Request::get("x")).await.map(|response| response.status)
}

fn form(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn client_credentials_are_sent_in_the_body_or_as_basic() {
    let secret = || Secret::new("s e/cret");
    let in_body = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", "id"),
        ("client_secret", "s e/cret"),
        ("scope", "a b"),
    ]);
    let by_header = form(&[("grant_type", "client_credentials"), ("scope", "a b")]);
    for (basic, expected) in [(false, in_body), (true, by_header)] {
        let tokens = Arc::new(Mutex::new(Tokens::default()));
        let server = service(&tokens).await;
        let oauth = OAuth::client_credentials(&format!("{}/token", server.url), "id", secret());
        let oauth = oauth.parameter("scope", "a b");
        let oauth = if basic { oauth.basic() } else { oauth };
        let client = client_of(&context(&[]), &server.url, oauth);
        assert_eq!((get(&client).await.unwrap(), get(&client).await.unwrap()), (200, 200));

        assert_eq!(tokens.lock().unwrap().asked, [expected]);
        assert_eq!(server.targets(), ["/token", "/x", "/x"]);
        let head = server.heads().remove(0);
        // base64 of "id:s+e%2Fcret"
        let line = "authorization: Basic aWQ6cytlJTJGY3JldA==";
        assert_eq!(head.contains(line), basic, "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn token_is_renewed_a_little_before_it_expires() {
    let tokens = Arc::new(Mutex::new(Tokens::default()));
    let server = service(&tokens).await;
    let (context, clock) = clocked();
    let client = client_of(&context, &server.url, refreshing(&server.url));
    for (seconds, renewals) in [(0, 1), (3539, 1), (3540, 2), (3541, 2), (10_000, 3)] {
        clock.set(Instant::from_parts(NOW + seconds, 0));
        get(&client).await.unwrap();
        assert_eq!(tokens.lock().unwrap().asked.len(), renewals, "after {seconds} s");
    }
    assert!(!server.heads().iter().any(|h| h.contains("x-retry")));
    assert!(!tokens.lock().unwrap().reused);
}

#[tokio::test(start_paused = true)]
async fn rejected_token_is_renewed_once_and_the_request_repeated_once() {
    let tokens = Arc::new(Mutex::new(Tokens::default()));
    let server = service(&tokens).await;
    let context = context(&[]);
    let client = client_of(&context, &server.url, refreshing(&server.url));
    get(&client).await.unwrap();
    // The service forgets the access token, not the refresh token.
    tokens.lock().unwrap().locked = true;
    let error = get(&client).await.unwrap_err();

    let message = "the service rejects an access token that was just renewed: check option \
                   'refresh_token' and its rights (status: 401, response: {\"message\": \"bad \
                   token\"}, request: GET /x)";
    assert_eq!(facts(&error), (ErrorKind::AuthFailed, Retry::Never, message.to_owned()));
    assert_eq!(server.targets(), ["/token", "/x", "/x", "/token", "/x"]);
    tokens.lock().unwrap().locked = false;
    assert_eq!(get(&client).await.unwrap(), 200);
    assert_eq!(server.targets().len(), 6);
    assert_eq!(context.metrics.snapshot().retries, 0);
}

#[tokio::test(start_paused = true)]
async fn replaced_refresh_tokens_are_never_sent_again_by_64_requests_at_once() {
    let tokens = Arc::new(Mutex::new(Tokens::default()));
    let server = service(&tokens).await;
    // Two clients of one credential, the second built when the token is long replaced.
    let first = client_of(&context(&[]), &server.url, refreshing(&server.url));
    get(&first).await.unwrap();
    let second = client_of(&context(&[]), &server.url, refreshing(&server.url));
    let rounds = 20;
    for round in 1..=rounds {
        tokens.lock().unwrap().expired = true;
        let clients = [&first, &second];
        let outcomes = join_all((0..64).map(|i| get(clients[i % 2]))).await;

        let failed = outcomes.into_iter().filter_map(Result::err).next();
        assert!(failed.is_none(), "{failed:?}");
        let tokens = tokens.lock().unwrap();
        assert_eq!((tokens.good, tokens.reused), (round + 1, false));
    }
    let asked: Vec<_> =
        tokens.lock().unwrap().asked.iter().map(|f| f["refresh_token"].clone()).collect();
    let expected: Vec<_> = (0..=rounds).map(|n| format!("refresh-{n}")).collect();
    assert_eq!(asked, expected);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_renewals_send_each_refresh_token_once() {
    let tokens = Arc::new(Mutex::new(Tokens::default()));
    let server = service(&tokens).await;
    let (context, clock) = clocked();
    let client = client_of(&context, &server.url, refreshing(&server.url));
    for hour in 0..1000 {
        clock.set(Instant::from_parts(NOW + hour * 3600, 0));
        get(&client).await.unwrap();
    }
    let tokens = tokens.lock().unwrap();
    assert_eq!((tokens.asked.len(), tokens.good, tokens.reused), (1000, 1000, false));
}

#[tokio::test(start_paused = true)]
async fn given_access_token_is_used_as_it_is_until_it_is_rejected() {
    let tokens = Arc::new(Mutex::new(Tokens::default()));
    let server = service(&tokens).await;
    let oauth = refreshing(&server.url).starting_with(Some(Secret::new("access-0")));
    let client = client_of(&context(&[]), &server.url, oauth);
    get(&client).await.unwrap();
    assert_eq!(server.targets(), ["/x"]);

    tokens.lock().unwrap().expired = true;
    get(&client).await.unwrap();
    assert_eq!(server.targets(), ["/x", "/x", "/token", "/x"]);

    // The option still holds the old token, which is not taken again.
    let oauth = refreshing(&server.url).starting_with(Some(Secret::new("access-0")));
    get(&client_of(&context(&[]), &server.url, oauth)).await.unwrap();
    assert_eq!(server.targets().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn access_token_with_nothing_to_renew_it_by_is_named_when_it_is_rejected() {
    let server = Server::scripted(vec![json("[1]"), reply(401, &[], "canary-token")]).await;
    let oauth = OAuth::access_token(Secret::new("canary-token"));
    let client = client_of(&context(&[]), &server.url, oauth);
    get(&client).await.unwrap();
    let error = get(&client).await.unwrap_err();

    let message = "the service rejected option 'access_token', and no option is given to renew \
                   it by: give a new one (request: GET /x)";
    assert_eq!(facts(&error), (ErrorKind::AuthFailed, Retry::Never, message.to_owned()));
    assert!(server.heads().iter().all(|h| h.contains("authorization: Bearer canary-token")));
}

#[tokio::test(start_paused = true)]
async fn refusals_of_the_token_service_are_clear_errors_without_tokens() {
    use ErrorKind::*;
    let refused = "the token service refused option 'refresh_token'";
    let clients = "the token service refused options 'client_id' and 'client_secret'";
    let cases = [
        (
            400,
            r#"{"error": "invalid_grant", "error_description": "refresh-0\nis used"}"#,
            AuthFailed,
            format!(
                "{refused}, which is expired, revoked or replaced: authorise again \
                 (invalid_grant: *** is used)"
            ),
        ),
        (401, r#"{"error": "invalid_client"}"#, AuthFailed, format!("{clients} (invalid_client)")),
        (
            400,
            r#"{"error": "unauthorized_client"}"#,
            AuthFailed,
            format!("{clients} (unauthorized_client)"),
        ),
        (
            400,
            r#"{"error": "invalid_scope"}"#,
            PermissionDenied,
            "the token service does not grant the scope that is asked for (invalid_scope)".into(),
        ),
        (200, r#"{"error": "invalid_code"}"#, AuthFailed, format!("{refused} (invalid_code)")),
        (400, "canary-body", AuthFailed, refused.into()),
        (
            200,
            r#"{"access_token": ["canary"]}"#,
            BadResponse,
            "the answer of the token service cannot be read".into(),
        ),
        (
            200,
            r#"{"id_token": "canary"}"#,
            BadResponse,
            "the answer of the token service has no access token".into(),
        ),
        (403, "canary", PermissionDenied, "the service answered 403 Forbidden".into()),
    ];
    for (status, body, kind, message) in cases {
        let server = Server::scripted(vec![reply(status, &[], body)]).await;
        let client = client_of(&context(&[]), &server.url, refreshing(&server.url));
        let error = get(&client).await.unwrap_err();

        let (got, _, text) = facts(&error);
        assert!(text.starts_with(&message), "{text}");
        assert_eq!(got, kind, "{text}");
        assert!(text.contains("request: POST /token"), "{text}");
        let shown = format!("{error:?}");
        assert!(!shown.contains("refresh-0") && !shown.contains("app-secret"), "{shown}");
        assert_eq!(server.heads().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn token_service_that_fails_for_a_moment_is_asked_again() {
    let answer = r#"{"access_token": "a", "expires_in": "20"}"#;
    let scripts = vec![
        reply(503, &[], ""),
        reply(200, &["Content-Type: text/html"], "<html>canary"),
        reply(429, &["Retry-After: 5"], ""),
        json(answer),
        json("[1]"),
    ];
    let server = Server::scripted(scripts).await;
    let client = client_of(&context(&[]), &server.url, refreshing(&server.url));

    assert_eq!(get(&client).await.unwrap(), 200);
    assert_eq!(server.targets(), ["/token", "/token", "/token", "/token", "/x"]);
}

#[tokio::test(start_paused = true)]
async fn failed_renewal_is_not_repeated_by_each_request_that_waited_for_it() {
    let answer = reply(400, &[], r#"{"error": "invalid_grant"}"#);
    let slow = vec![Step::Drip(
        match &answer[0] {
            Step::Send(bytes) => bytes.clone(),
            other => panic!("{other:?}"),
        },
        Duration::from_millis(1),
    )];
    let server = Server::scripted(vec![slow]).await;
    let client = client_of(&context(&[]), &server.url, refreshing(&server.url));
    let outcomes = join_all((0..64).map(|_| get(&client))).await;

    assert!(outcomes.iter().all(|o| o.as_ref().unwrap_err().kind() == ErrorKind::AuthFailed));
    assert_eq!(server.targets(), ["/token"]);
}

#[tokio::test(start_paused = true)]
async fn reader_that_goes_away_does_not_lose_the_new_refresh_token() {
    let answer = |n: u64| {
        let body = format!(r#"{{"access_token": "a{n}", "refresh_token": "refresh-{n}"}}"#);
        super::server::bytes(200, &[], body.as_bytes(), body.len())
    };
    let slow = vec![Step::Drip(answer(1), Duration::from_millis(10))];
    let server = Server::scripted(vec![slow, json("[1]")]).await;
    let client = client_of(&context(&[]), &server.url, refreshing(&server.url));

    assert!(timeout(Duration::from_millis(50), get(&client)).await.is_err());
    assert_eq!(get(&client).await.unwrap(), 200);
    assert_eq!(server.targets(), ["/token", "/x"]);
    assert!(server.heads()[1].contains("authorization: Bearer a1"));
}

#[tokio::test(start_paused = true)]
async fn token_service_may_have_an_origin_of_its_own_which_gets_no_token() {
    let tokens = Server::scripted(vec![json(r#"{"access_token": "abcd"}"#)]).await;
    let server = Server::scripted(vec![json("[1]"), reply(400, &[], "no: abcd")]).await;
    let oauth = refreshing(&tokens.url).prefix("Token ");
    let client = client_of(&context(&[]), &server.url, oauth);
    get(&client).await.unwrap();

    assert_eq!((tokens.targets().len(), server.targets().len()), (1, 1));
    assert!(!tokens.heads()[0].contains("authorization"));
    assert!(server.heads()[0].contains("authorization: Token abcd"));
    // A token that was learned is a secret like one that was given.
    let error = get(&client).await.unwrap_err();
    assert_eq!(
        facts(&error).2,
        "the service answered 400 Bad Request (status: 400, response: no: ***, request: GET /x)"
    );
}

#[test]
fn unsafe_addresses_of_token_services_are_refused_when_the_client_is_built() {
    let context = context(&[]);
    let cases = [
        ("http://login.example/token", "must start with https://, as host 'login.example'"),
        ("https://169.254.169.254/token", "must not be the link-local or metadata address"),
        ("login", "must be an absolute address"),
    ];
    for (url, why) in cases {
        let oauth = OAuth::client_credentials(url, "id", Secret::new("secret"));
        let builder = Client::builder(&context, "https://api.example").unwrap().auth(oauth);
        let (kind, _, text) = facts(&builder.build().unwrap_err());
        assert_eq!(kind, ErrorKind::ConfigInvalid);
        assert!(text.starts_with(&format!("the address of the token service {why}")), "{text}");
    }
}
