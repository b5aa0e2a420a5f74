//! Credentials go to the configured origin only and show up nowhere.

use super::server::{Script, Server, Step, json, reply};
use super::{CANARY, builder, client, context, facts};
use crate::{Auth, Client, Request};
use lakeflow_core::{ErrorKind, Retry, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn redirect(status: u16, location: &str) -> Script {
    reply(status, &[&format!("Location: {location}")], "")
}

#[tokio::test(start_paused = true)]
async fn redirects_within_the_origin_are_followed_with_credentials() {
    for status in [301, 302, 303, 307, 308] {
        let scripts = vec![redirect(status, "/b?c=1#d"), redirect(status, "e"), json("{}")];
        let server = Server::scripted(scripts).await;
        let response = client(&server.url).send(Request::get("a/x")).await.unwrap();

        assert_eq!(response.url.as_str(), format!("{}/e", server.url));
        assert_eq!(server.targets(), ["/a/x", "/b?c=1", "/e"]);
        assert!(server.heads().iter().all(|h| h.contains(CANARY)));
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_keep_or_drop_the_body_as_their_status_says() {
    let cases = [(303, "GET /b "), (302, "GET /b "), (307, "POST /b "), (308, "POST /b ")];
    for (status, expected) in cases {
        let server = Server::scripted(vec![redirect(status, "/b"), json("{}")]).await;
        let request = Request::post("a").body("text/plain", "body").idempotent();
        client(&server.url).send(request).await.unwrap();

        let second = server.heads().remove(1);
        assert!(second.starts_with(expected), "{status} {second}");
        assert_eq!(second.ends_with("body"), expected.starts_with("POST"), "{status} {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_to_another_origin_are_refused() {
    let thief = Server::scripted(vec![json("{}")]).await;
    let port = thief.url.rsplit(':').next().unwrap().to_owned();
    let cases = [
        (thief.url.clone(), thief.url.clone()),
        (format!("//127.0.0.1:{port}/x"), thief.url.clone()),
        (format!("http://localhost:{port}/"), format!("http://localhost:{port}")),
        ("http://169.254.169.254/latest".into(), "http://169.254.169.254".into()),
        ("file:///etc/passwd".into(), "file://".into()),
    ];
    for (location, shown) in cases {
        let server = Server::scripted(vec![redirect(302, &location)]).await;
        let error = client(&server.url).send(Request::get("a")).await.unwrap_err();

        let message = format!(
            "refused a redirect to another origin: {shown}, the configured one is {} \
             (request: GET /a)",
            server.url
        );
        assert_eq!(facts(&error), (ErrorKind::BadResponse, Retry::Never, message));
        assert_eq!(server.heads().len(), 1);
    }
    assert_eq!(thief.heads(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn redirect_with_user_name_is_refused() {
    let server = Server::start(|_, head| {
        let host = head.lines().find_map(|l| l.strip_prefix("host: ")).unwrap();
        redirect(302, &format!("http://{host}@evil.example/"))
    })
    .await;
    let error = client(&server.url).send(Request::get("a")).await.unwrap_err().to_string();
    let expected = "refused a redirect to another origin: http://evil.example with a user name";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test(start_paused = true)]
async fn redirect_loops_and_long_chains_end() {
    let server = Server::start(|_, head| {
        redirect(302, if head.starts_with("GET /a ") { "/b?token=canary" } else { "/a" })
    })
    .await;
    let error = client(&server.url).send(Request::get("a")).await.unwrap_err();
    let message = "the service redirects in a circle (redirect: GET /a, request: GET /a)";
    assert_eq!(facts(&error), (ErrorKind::BadResponse, Retry::Never, message.into()));
    assert_eq!(server.heads().len(), 2);

    let server = Server::start(|n, _| redirect(302, &format!("/{n}"))).await;
    let error = client(&server.url).send(Request::get("a")).await.unwrap_err();
    let message = "the service redirects more than 5 times (request: GET /a)";
    assert_eq!(facts(&error), (ErrorKind::BadResponse, Retry::Never, message.into()));
    assert_eq!(server.heads().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn absolute_targets_need_the_same_origin() {
    let server = Server::scripted(vec![json("{}")]).await;
    let client = client(&server.url);

    client.send(Request::get(format!("{}/x?y=1", server.url))).await.unwrap();
    let error = client.send(Request::get("http://127.0.0.1:1/x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse);
    assert_eq!(server.targets(), ["/x?y=1"]);
}

#[tokio::test(start_paused = true)]
async fn secrets_show_up_nowhere() {
    let echo = |text: &'static str| -> Script { reply(400, &[], text) };
    let bodies = [
        r#"{"message": "bad token canary/4711+Q=="}"#,
        "canary%2F4711%2BQ%3D%3D",
        // base64 of "me:canary/4711+Q=="
        "bWU6Y2FuYXJ5LzQ3MTErUT09",
    ];
    let auths = [
        Auth::Bearer(Secret::new(CANARY)),
        Auth::Basic { username: "me".into(), password: Secret::new(CANARY) },
    ];
    for auth in auths {
        for body in bodies {
            let server = Server::scripted(vec![echo(body), vec![Step::Close]]).await;
            let context = context(&[("maxRetries", "0")]);
            let builder = builder(&context, &server.url).auth(auth.clone());
            assert_eq!(format!("{builder:?}"), format!("ClientBuilder({})", server.url));
            let client = builder.build().unwrap();
            let request = Request::get(format!("p/{CANARY}")).query("api_key", CANARY);
            let shown = [format!("{client:?} {auth:?} {request:?}")];
            for _ in 0..2 {
                let error = client.send(request.clone()).await.unwrap_err();
                facts(&error);
                let text = format!("{error:?} {error}");
                let is_basic = matches!(auth, Auth::Basic { .. });
                assert!(!is_basic || !text.contains("bWU6Y2Fu"), "{text}");
                assert!(text.contains("request: GET /p/***?api_key=***"), "{text}");
            }
            assert!(!shown.concat().contains("4711+Q"), "{shown:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn responses_show_no_body() {
    let server = Server::scripted(vec![json(r#"{"a": "canary"}"#)]).await;
    let response = client(&server.url).send(Request::get("x")).await.unwrap();
    assert_eq!(format!("{response:?}"), "Response(200, 15 bytes, GET /x)");
    let error = response.json::<Vec<u64>>().unwrap_err();
    assert_eq!(facts(&error).2, "the response has not the expected shape (request: GET /x)");
    let error = response.bad_response(format!("got {CANARY}"));
    assert_eq!(facts(&error).2, "got *** (request: GET /x)");
}

#[tokio::test]
async fn name_of_this_machine_is_resolved_and_checked() {
    let server = Server::scripted(vec![json("{}")]).await;
    let url = server.url.replace("127.0.0.1", "localhost");
    let context = context(&[("maxRetries", "0")]);

    let response = builder(&context, &url).build().unwrap().send(Request::get("x")).await;
    assert_eq!(response.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn server_without_tls_is_named_and_not_retried() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 X\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 1000]).await;
        stream
    });
    let error = client(&url).send(Request::get("x")).await.unwrap_err();

    let (kind, retry, message) = facts(&error);
    assert_eq!((kind, retry), (ErrorKind::SourceUnavailable, Retry::Never));
    assert!(message.starts_with(&format!("no secure connection to {url}: ")), "{message}");
    server.await.unwrap();
}

#[test]
fn unsafe_base_addresses_are_refused_when_the_client_is_built() {
    let context = context(&[]);
    for url in ["http://api.example", "https://169.254.169.254", "https://u:canary@api.example"] {
        let error = Client::builder(&context, url).unwrap_err();
        assert_eq!(facts(&error).0, ErrorKind::ConfigInvalid);
    }
}

#[test]
fn unsendable_headers_are_refused_when_the_client_is_built() {
    let context = context(&[]);
    let builder = builder(&context, "https://api.example").header("x-a", "canary\n");
    let error = builder.build().unwrap_err();
    assert_eq!(facts(&error).2, "the value of header 'x-a' cannot be sent");
}
