//! Faults of the network and of the service.

use super::server::{Script, Server, Step, bytes, json, reply};
use super::{NOW, builder, client, context, counted, facts};
use crate::{ErrorReply, Request, Verdict, Wait};
use flate2::Compression;
use flate2::write::GzEncoder;
use lakeflow_core::{ErrorKind, Instant, MetricsSnapshot, Retry};
use std::io::Write;
use std::time::Duration;
use tokio::time;

const OK: &str = r#"{"ok": true}"#;

/// Sends one GET; returns the outcome and the seconds it took, on the paused clock.
async fn get(
    options: &[(&str, &str)],
    url: &str,
) -> (Result<String, (ErrorKind, Retry, String)>, f64, MetricsSnapshot) {
    let context = context(options);
    let client = builder(&context, url).build().unwrap();
    let start = time::Instant::now();
    let outcome = client.send(Request::get("x")).await;
    let seconds = start.elapsed().as_secs_f64();
    let outcome = match &outcome {
        Ok(response) => Ok(String::from_utf8(response.body.to_vec()).unwrap()),
        Err(error) => Err(facts(error)),
    };

    (outcome, seconds, counted(&context))
}

fn ok() -> Result<String, (ErrorKind, Retry, String)> {
    Ok(OK.to_owned())
}

fn pack(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(start_paused = true)]
async fn answer_arrives_whole_with_date_headers_and_counts() {
    let headers = ["Date: Wed, 01 Jan 2031 00:00:05 GMT", "X-Thing: a"];
    let server = Server::scripted(vec![reply(200, &headers, OK)]).await;
    let context = context(&[]);
    let client = builder(&context, &server.url).header("x-version", "7").build().unwrap();

    let request = Request::get("/repos?a=1").query("q", "a b&c=d/ü").header("x-one", 2);
    let response = client.send(request).await.unwrap();

    assert_eq!(response.status, 200);
    assert_eq!(&response.body[..], OK.as_bytes());
    assert_eq!(response.date, Some(Instant::from_parts(NOW + 5, 0)));
    assert_eq!((response.header("x-thing"), response.header("none")), (Some("a"), None));
    assert_eq!(server.targets(), ["/repos?a=1&q=a+b%26c%3Dd%2F%C3%BC"]);
    let head = server.heads().concat();
    for line in [
        "accept: application/json",
        "accept-encoding: gzip",
        "authorization: Bearer canary/4711+Q==",
        "user-agent: lakeflow-connect/",
        "x-version: 7",
        "x-one: 2",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert_eq!(
        counted(&context),
        MetricsSnapshot { requests: 1, bytes: OK.len() as u64, ..Default::default() }
    );
}

#[tokio::test(start_paused = true)]
async fn refused_connection_is_retried_and_then_exhausted() {
    let port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("http://127.0.0.1:{port}");
    let (outcome, seconds, counted) = get(&[("maxRetries", "2")], &url).await;

    let message = format!("no connection to {url} (request: GET /x, attempts: 3)");
    assert_eq!(outcome, Err((ErrorKind::SourceUnavailable, Retry::Exhausted, message)));
    assert_eq!((counted.requests, counted.retries), (3, 2));
    assert!(seconds <= 1.5, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn broken_answers_are_retried() {
    let truncated = || vec![Step::Send(bytes(200, &[], b"{\"ok\": tr", OK.len())), Step::Close];
    let cases: Vec<(&str, Script)> = vec![
        ("reset before the answer", vec![Step::Reset]),
        ("closed before the answer", vec![Step::Close]),
        ("reset in the body", vec![Step::Send(bytes(200, &[], b"{\"ok\"", OK.len())), Step::Reset]),
        ("body shorter than announced", truncated()),
        ("JSON cut off", json("{\"ok\": tr")),
        ("array cut off", json("[{\"ok\": true}")),
        ("web page", reply(200, &["Content-Type: text/html; charset=utf-8"], " <!doctype html>")),
        ("no gzip", reply(200, &["Content-Encoding: gzip"], OK)),
        ("garbage", vec![Step::Send(b"SSH-2.0-x\r\n\r\n".to_vec()), Step::Close]),
        ("500", reply(500, &[], "")),
        ("502", reply(502, &[], "")),
        ("503", reply(503, &[], "")),
        ("504", reply(504, &[], "")),
        ("524", reply(524, &[], "")),
        ("408", reply(408, &[], "")),
    ];
    for (name, script) in cases {
        let server = Server::scripted(vec![script.clone(), script, json(OK)]).await;
        let (outcome, _, counted) = get(&[], &server.url).await;

        assert_eq!(outcome, ok(), "{name}");
        assert_eq!((counted.requests, counted.retries), (3, 2), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn answer_that_breaks_off_at_any_byte_is_repeated_and_never_seen_in_part() {
    let body = r#"[{"id": 1}, {"id": 2}]"#;
    let plain = bytes(200, &["Content-Type: application/json"], body.as_bytes(), body.len());
    let packed = pack(body);
    let packed = bytes(200, &["Content-Encoding: gzip"], &packed, packed.len());
    for (whole, end) in [(plain, Step::Reset), (packed, Step::Close)] {
        let length = whole.len();
        let server = Server::start(move |n, _| match n % 2 {
            0 => vec![Step::Send(whole[..n / 2].to_vec()), end.clone()],
            _ => vec![Step::Send(whole.clone())],
        })
        .await;
        let client = client(&server.url);
        for cut in 0..length {
            let response = client.send(Request::get("x")).await.unwrap();
            assert_eq!(response.body, body, "cut at {cut}");
        }
        assert_eq!(server.heads().len(), 2 * length);
    }
}

#[tokio::test(start_paused = true)]
async fn exhausted_retries_tell_status_and_body() {
    let server = Server::scripted(vec![reply(503, &[], "down\nfor canary/4711+Q== work")]).await;
    let (outcome, seconds, counted) = get(&[], &server.url).await;

    let message = "the service answered 503 Service Unavailable (status: 503, \
                   response: down for *** work, request: GET /x, attempts: 6)";
    let expected = (ErrorKind::SourceUnavailable, Retry::Exhausted, message.to_owned());
    assert_eq!(outcome, Err(expected));
    assert_eq!((counted.requests, counted.retries, counted.throttled_ms), (6, 5, 0));
    assert!(seconds <= 15.5, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn persistent_web_page_is_an_unexpected_content_type() {
    let page = reply(200, &["Content-Type: text/html; charset=utf-8"], "<html>login</html>");
    let server = Server::scripted(vec![page]).await;
    let (outcome, ..) = get(&[("maxRetries", "1")], &server.url).await;

    let message = "unexpected content type: text/html where JSON was expected \
                   (response: <html>login</html>, request: GET /x, attempts: 2)";
    let expected = (ErrorKind::BadResponse, Retry::Exhausted, message.to_owned());
    assert_eq!(outcome, Err(expected));
}

#[tokio::test(start_paused = true)]
async fn mislabelled_json_and_wanted_web_pages_are_taken() {
    let html = ["Content-Type: text/html"];
    let server = Server::scripted(vec![reply(200, &html, OK), reply(200, &html, "<p>")]).await;
    let client = client(&server.url);

    assert_eq!(&client.send(Request::get("x")).await.unwrap().body[..], OK.as_bytes());
    let page = client.send(Request::get("x").any_format()).await.unwrap();
    assert_eq!(&page.body[..], b"<p>");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_deadline_of_an_attempt() {
    let server = Server::scripted(vec![vec![Step::Hang]]).await;
    let (outcome, seconds, _) = get(&[("maxRetries", "1")], &server.url).await;

    let message = "no complete answer within 20 s (option 'requestTimeoutSeconds') \
                   (request: GET /x, attempts: 2)";
    let expected = (ErrorKind::SourceUnavailable, Retry::Exhausted, message.to_owned());
    assert_eq!(outcome, Err(expected));
    assert!((40.0..41.0).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn drip_slower_than_the_deadline_does_not_keep_it_alive() {
    let drip = vec![Step::Drip(bytes(200, &[], OK.as_bytes(), OK.len()), Duration::from_secs(1))];
    let server = Server::scripted(vec![drip, json(OK)]).await;
    let (outcome, seconds, counted) = get(&[], &server.url).await;

    assert_eq!((outcome, counted.requests), (ok(), 2));
    assert!((20.0..21.0).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn total_deadline_ends_all_attempts() {
    let server = Server::scripted(vec![vec![Step::Hang]]).await;
    let options = [("totalTimeoutSeconds", "50"), ("maxRetries", "100")];
    let (outcome, seconds, _) = get(&options, &server.url).await;

    let (kind, retry, message) = outcome.unwrap_err();
    assert_eq!((kind, retry), (ErrorKind::SourceUnavailable, Retry::Exhausted));
    assert!(message.starts_with("no complete answer within"), "{message}");
    assert!((40.0..=50.01).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for() {
    let cases: [(&[&str], f64, f64); 7] = [
        (&["Retry-After: 7"], 7.0, 7.0),
        (&["Retry-After: Wed, 01 Jan 2031 00:01:00 GMT"], 60.0, 60.0),
        // The service's clock decides where it shows it.
        (
            &["Retry-After: Wed, 01 Jan 2031 00:01:00 GMT", "Date: Wed, 01 Jan 2031 00:00:50 GMT"],
            10.0,
            10.0,
        ),
        // Of a limit that is not known only a request a second is risked.
        (&["Retry-After: Tue, 31 Dec 2030 23:00:00 GMT"], 0.25, 1.0),
        (&["Retry-After: 0"], 0.25, 1.0),
        (&["Retry-After: 900"], 900.0, 900.0),
        // A 429 that does not say until when sets requests a second apart.
        (&["Retry-After: soon"], 0.0, 1.0),
    ];
    for (headers, least, most) in cases {
        for status in [429, 503] {
            let server = Server::scripted(vec![reply(status, headers, ""), json(OK)]).await;
            let (outcome, seconds, counted) = get(&[], &server.url).await;

            assert_eq!((outcome, counted.retries), (ok(), 1), "{headers:?}");
            let slack = least - 0.01..=most + 0.1;
            assert!(slack.contains(&seconds), "{status} {headers:?}: {seconds}");
            if least >= 1.0 {
                let throttled = counted.throttled_ms as f64 / 1000.0;
                assert!(slack.contains(&throttled), "{status} {headers:?}: {throttled}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn asked_pauses_do_not_count_towards_the_total_deadline() {
    let busy = reply(429, &["Retry-After: 800"], "");
    let server = Server::scripted(vec![busy.clone(), busy, json(OK)]).await;
    let options = [("totalTimeoutSeconds", "1"), ("maxWaitSeconds", "2000")];
    let (outcome, seconds, _) = get(&options, &server.url).await;

    assert_eq!(outcome, ok());
    assert!((1600.0..1601.0).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn too_long_a_pause_is_an_error_that_says_when_the_limit_resets() {
    let cases = [
        (429, "3600", ErrorKind::RateLimited, "3600 s, until 2031-01-01T01:00:00Z"),
        (503, "901", ErrorKind::SourceUnavailable, "901 s, until 2031-01-01T00:15:01Z"),
        (429, "99999999999999999999999", ErrorKind::RateLimited, "18446744073709551615 s"),
    ];
    for (status, value, kind, pause) in cases {
        let header = format!("Retry-After: {value}");
        let server = Server::scripted(vec![reply(status, &[&header], "slow down")]).await;
        let (outcome, seconds, counted) = get(&[], &server.url).await;

        let (got, retry, message) = outcome.unwrap_err();
        assert_eq!((got, counted.requests), (kind, 1));
        assert!(matches!(retry, Retry::After(p) if p > Duration::from_secs(900)), "{retry:?}");
        let expected = format!(
            "the service asks for a pause of {pause}; option 'maxWaitSeconds' allows 900 \
             (status: {status}, response: slow down, request: GET /x)"
        );
        assert_eq!(message, expected);
        assert!(seconds < 1.0, "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_that_do_not_pass_are_not_retried() {
    let cases = [
        (400, ErrorKind::BadResponse, "400 Bad Request"),
        (401, ErrorKind::AuthFailed, "401 Unauthorized"),
        (403, ErrorKind::PermissionDenied, "403 Forbidden"),
        (404, ErrorKind::BadResponse, "404 Not Found"),
        (501, ErrorKind::SourceUnavailable, "501 Not Implemented"),
    ];
    for (status, kind, text) in cases {
        let server = Server::scripted(vec![reply(status, &[], "why: canary/4711+Q==")]).await;
        let (outcome, _, counted) = get(&[], &server.url).await;

        let message = format!(
            "the service answered {text} (status: {status}, response: why: ***, request: GET /x)"
        );
        assert_eq!(outcome, Err((kind, Retry::Never, message)));
        assert_eq!(counted.requests, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn services_say_themselves_what_an_error_means() {
    fn verdict(reply: &ErrorReply<'_>) -> Verdict {
        match (reply.status, reply.number("x-ratelimit-remaining")) {
            (403, Some(0)) => {
                let reset = reply.number("x-ratelimit-reset").unwrap_or_default();
                Verdict::new(ErrorKind::RateLimited)
                    .wait(Wait::Until(Instant::from_parts(reset, 0)))
            }
            (404, _) if reply.text().contains("gone") => ErrorKind::ParentGone.into(),
            (410, _) => Verdict::new(ErrorKind::Unsupported).message(reply.path),
            _ => Verdict::of_status(reply.status),
        }
    }
    let reset = format!("x-ratelimit-reset: {}", NOW + 30);
    let limited = reply(403, &["x-ratelimit-remaining: 0", &reset], "");
    let server = Server::scripted(vec![limited, reply(404, &[], "gone"), reply(410, &[], "")]);
    let server = server.await;
    let client = builder(&context(&[]), &server.url).errors(verdict).build().unwrap();

    let start = time::Instant::now();
    let error = client.send(Request::get("x")).await.unwrap_err();
    assert_eq!((error.kind(), server.heads().len()), (ErrorKind::ParentGone, 2));
    assert_eq!(start.elapsed().as_secs(), 30);
    let error = client.send(Request::get("x")).await.unwrap_err();
    assert_eq!(error.to_string(), "/x (status: 410, request: GET /x)");
}

#[tokio::test(start_paused = true)]
async fn accepted_status_is_an_answer() {
    let server = Server::scripted(vec![reply(409, &[], "empty")]).await;
    let response = client(&server.url).send(Request::get("x").accept(409)).await.unwrap();

    assert_eq!((response.status, &response.body[..]), (409, &b"empty"[..]));
}

#[tokio::test(start_paused = true)]
async fn only_idempotent_requests_are_retried() {
    let server = Server::scripted(vec![reply(500, &[], ""), json(OK)]).await;
    let client = client(&server.url);
    let post = || Request::post("x").body("application/json", "{}");

    let error = client.send(post()).await.unwrap_err();
    assert_eq!((error.retry_class(), server.heads().len()), (Retry::Exhausted, 1));

    let server = Server::scripted(vec![reply(500, &[], ""), json(OK)]).await;
    let client = super::client(&server.url);
    assert_eq!(client.send(post().idempotent()).await.unwrap().status, 200);
    assert!(server.heads().iter().all(|h| h.starts_with("POST /x ") && h.ends_with("{}")));
    assert_eq!(server.heads().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn pause_of_one_request_holds_back_all_clones() {
    let server = Server::start(|n, _| match n {
        0 => reply(429, &["Retry-After: 100"], ""),
        _ => json(OK),
    })
    .await;
    let client = client(&server.url);
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(Request::get("a")).await }
    });
    time::sleep(Duration::from_secs(1)).await;

    let start = time::Instant::now();
    client.send(Request::get("b")).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 99);
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn dropped_requests_leave_nothing_behind() {
    let server = Server::scripted(vec![reply(429, &["Retry-After: 600"], "")]).await;
    let client = client(&server.url);
    let limit = Duration::from_secs(5);

    assert!(time::timeout(limit, client.send(Request::get("x"))).await.is_err());
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn gzip_is_decoded_and_counted_as_received() {
    let body = format!("[{}1]", "1234567890,".repeat(24_000));
    let packed = pack(&body);
    let script = reply(200, &["Content-Encoding: gzip"], &packed);
    let error = reply(404, &["Content-Encoding: gzip"], &packed);
    let server = Server::scripted(vec![script, error]).await;
    let context = context(&[]);
    let client = builder(&context, &server.url).build().unwrap();

    let response = client.send(Request::get("x")).await.unwrap();
    assert_eq!(response.body, body);
    assert_eq!(counted(&context).bytes, packed.len() as u64);
    let error = client.send(Request::get("x")).await.unwrap_err().to_string();
    assert!(error.contains("response: [1234567890,1234567890,"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn unknown_encodings_and_huge_or_deep_bodies_are_refused_at_once() {
    let huge = bytes(200, &[], b"", crate::MAX_BODY_BYTES + 1);
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let cases = [
        (json(&deep), "the response is nested deeper than 128 levels"),
        (reply(200, &["Content-Encoding: br"], "x"), "unexpected content encoding 'br'"),
        (vec![Step::Send(huge), Step::Hang], "the response is larger than 268435456 bytes"),
    ];
    for (script, message) in cases {
        let server = Server::scripted(vec![script]).await;
        let (outcome, _, counted) = get(&[], &server.url).await;

        let message = format!("{message} (request: GET /x)");
        assert_eq!(outcome, Err((ErrorKind::BadResponse, Retry::Never, message)));
        assert_eq!(counted.requests, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn large_bodies_and_chunked_ones_arrive_whole() {
    let body = format!("[{}1]", "1234567890,".repeat(100_000));
    let chunked: Vec<u8> = body
        .as_bytes()
        .chunks(10_000)
        .flat_map(|c| [format!("{:x}\r\n", c.len()).as_bytes(), c, b"\r\n"].concat())
        .collect();
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = [&head[..], &chunked, b"0\r\n\r\n"].concat();
    let cut = vec![Step::Send([&head[..], &chunked].concat()), Step::Close];
    let server = Server::scripted(vec![reply(200, &[], &body), cut, vec![Step::Send(whole)]]).await;
    let client = client(&server.url);

    for _ in 0..2 {
        assert_eq!(client.send(Request::get("x")).await.unwrap().body, body);
    }
    assert_eq!(server.heads().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn connection_is_kept_for_the_next_request() {
    let server = Server::scripted(vec![json(OK)]).await;
    let client = client(&server.url);
    let mut requests = 0;
    for _ in 0..3 {
        client.clone().send(Request::get("x")).await.unwrap();
        requests += 1;
    }
    assert_eq!(server.heads().len(), requests);
    assert_eq!(server.connections(), 1);
}
