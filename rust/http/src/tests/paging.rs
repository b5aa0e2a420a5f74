//! Lists, page by page.

use super::server::{Script, Server, Step, json, reply};
use super::{NOW, client, facts};
use crate::paginate::{LinkHeader, PageNumber, Parsed, pages};
use crate::{Client, Request, Response, envelope};
use lakeflow_core::{Error, ErrorKind, Instant, Page, PageStream, Records, Result, Retry, Rows};

/// What matters of a page: its rows and whether it is the last.
pub(super) fn shown(page: &Page) -> (String, bool) {
    let Rows::Array(rows) = &page.upserts.rows else { panic!("{page:?}") };
    (String::from_utf8(rows.to_vec()).unwrap(), page.last)
}

/// All pages, and the error that ended them.
pub(super) async fn drain(mut stream: PageStream) -> (Vec<(String, bool)>, Option<Error>) {
    let mut seen = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(page)) => seen.push(shown(&page)),
            Ok(None) => return (seen, None),
            Err(error) => {
                assert!(stream.next().await.unwrap().is_none(), "goes on after an error");
                return (seen, Some(error));
            }
        }
    }
}

pub(super) fn page(rows: &str, last: bool) -> (String, bool) {
    (rows.to_owned(), last)
}

fn linked(client: Client, first: Request) -> PageStream {
    pages(client, first, LinkHeader::new(), |response| {
        Ok(Page::of(Records::array(envelope::array(&response.body)?)).into())
    })
}

fn numbered(client: Client, first: Request) -> PageStream {
    pages(client, first, PageNumber::new("page"), |response: &Response| -> Result<_> {
        let envelope = envelope::object(&response.body)?;
        let page = Page::of(Records::array(envelope.array("records")?));
        Ok(Parsed::from(page).next(envelope.integer("next_page")?))
    })
}

fn link(body: &str, next: &str) -> Script {
    let link = format!("Link: <{next}>; rel=\"next\", </first>; rel=\"first\"");
    reply(200, &[&link, "Date: Wed, 01 Jan 2031 00:00:00 GMT"], body)
}

#[tokio::test(start_paused = true)]
async fn links_are_followed_as_they_are_until_there_is_none() {
    let scripts = vec![link("[1]", "/r/42?page=2&q=a%20b"), link("[]", "?page=3"), json("[3]")];
    let server = Server::scripted(scripts).await;
    let first = Request::get("list").query("q", "a b").header("x-a", "1");
    let (seen, error) = drain(linked(client(&server.url), first)).await;

    assert_eq!(seen, [page("[1]", false), page("[]", false), page("[3]", true)]);
    assert!(error.is_none());
    assert_eq!(server.targets(), ["/list?q=a+b", "/r/42?page=2&q=a%20b", "/r/42?page=3"]);
    assert!(server.heads().iter().all(|h| h.contains("x-a: 1")));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_requested_before_it_is_polled_for() {
    let server = Server::scripted(vec![link("[1]", "/2"), link("[2]", "/3")]).await;
    let mut stream = linked(client(&server.url), Request::get("1"));
    tokio::task::yield_now().await;
    assert_eq!(server.heads().len(), 0);

    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first.server_date, Some(Instant::from_parts(NOW, 0)));
    assert_eq!(server.heads().len(), 1);
    stream.next().await.unwrap().unwrap();
    assert_eq!(server.targets(), ["/1", "/2"]);
}

#[tokio::test(start_paused = true)]
async fn failing_page_is_repeated_and_no_page_comes_twice() {
    let cut =
        vec![Step::Send(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n[2".to_vec()), Step::Reset];
    let scripts = vec![
        link("[1]", "/2"),
        reply(500, &[], ""),
        cut,
        link("[2", "/3"),
        link("[2]", "/3"),
        json("[3]"),
    ];
    let server = Server::scripted(scripts).await;
    let (seen, error) = drain(linked(client(&server.url), Request::get("1"))).await;

    assert_eq!(seen, [page("[1]", false), page("[2]", false), page("[3]", true)]);
    assert!(error.is_none());
    assert_eq!(server.targets(), ["/1", "/2", "/2", "/2", "/2", "/3"]);
}

#[tokio::test(start_paused = true)]
async fn links_that_lead_away_or_around_end_with_an_error() {
    let around = |shown: &str| format!("the list does not end: GET {shown} comes again");
    let cases = [
        ("/1?page=1", 1, around("/1?page=1")),
        ("http://127.0.0.1:1/x", 1, "refused a link with relation 'next' to another origin: http://127.0.0.1:1".into()),
        ("https://api.github.com@evil.example/", 1, "refused a link with relation 'next' to another origin: https://evil.example with a user name".into()),
        ("http://[", 1, "the link with relation 'next' cannot be read".into()),
    ];
    for (next, requests, message) in cases {
        let server = Server::start(move |_, _| link("[1]", next)).await;
        let first = Request::get("1").query("page", 1);
        let (seen, error) = drain(linked(client(&server.url), first)).await;

        let (kind, retry, text) = facts(&error.unwrap());
        assert_eq!((kind, retry), (ErrorKind::BadResponse, Retry::Never));
        assert!(text.starts_with(&message) && text.contains("request: GET /1"), "{text}");
        assert_eq!((seen.len(), server.heads().len()), (requests - 1, requests));
    }
}

#[tokio::test(start_paused = true)]
async fn cycles_of_links_end_with_an_error_that_names_the_link() {
    for length in [1, 2, 5, 50] {
        let server = Server::start(move |n, _| link("[1]", &format!("/p?n={}", n % length))).await;
        let (seen, error) = drain(linked(client(&server.url), Request::get("start"))).await;

        let message = format!(
            "the list does not end: GET /p?n=0 comes again (request: GET /p?n={})",
            length - 1
        );
        assert_eq!(facts(&error.unwrap()), (ErrorKind::BadResponse, Retry::Never, message));
        assert_eq!((seen.len(), server.heads().len()), (length, length + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_link_header_is_an_error_and_not_the_end() {
    let server = Server::scripted(vec![reply(200, &["Link: <oops"], "[1]")]).await;
    let (seen, error) = drain(linked(client(&server.url), Request::get("1"))).await;

    let message = "the Link header cannot be read (request: GET /1)".to_owned();
    assert_eq!(facts(&error.unwrap()), (ErrorKind::BadResponse, Retry::Never, message));
    assert_eq!(seen, []);
}

#[tokio::test(start_paused = true)]
async fn page_numbers_are_followed_until_null() {
    let scripts = vec![
        json(r#"{"records": [1], "next_page": 2}"#),
        json(r#"{"next_page": 3, "records": []}"#),
        json(r#"{"records": [3], "next_page": null}"#),
    ];
    let server = Server::scripted(scripts).await;
    let first = Request::get("list").query("per_page", 1).query("page", 1);
    let (seen, error) = drain(numbered(client(&server.url), first)).await;

    assert_eq!(seen, [page("[1]", false), page("[]", false), page("[3]", true)]);
    assert!(error.is_none());
    assert_eq!(
        server.targets(),
        ["/list?per_page=1&page=1", "/list?per_page=1&page=2", "/list?per_page=1&page=3"]
    );
}

#[tokio::test(start_paused = true)]
async fn page_numbers_that_do_not_grow_end_with_an_error() {
    for (first, next) in [(1, 1), (3, 2), (2, 0)] {
        let body = format!(r#"{{"records": [1], "next_page": {next}}}"#);
        let server = Server::start(move |_, _| json(&body)).await;
        let request = Request::get("x").query("page", first);
        let (seen, error) = drain(numbered(client(&server.url), request)).await;

        let message = format!(
            "the list does not end: page {next} comes after page {first} (request: GET /x?page={first})"
        );
        assert_eq!(facts(&error.unwrap()), (ErrorKind::BadResponse, Retry::Never, message));
        assert_eq!(seen, []);
    }
}

#[tokio::test(start_paused = true)]
async fn body_that_is_no_json_is_asked_for_again_and_a_wrong_one_is_not() {
    let good = json(r#"{"records": [1]}"#);
    let server = Server::scripted(vec![json(r#"{"records": [1}"#), good]).await;
    let (seen, error) = drain(numbered(client(&server.url), Request::get("x"))).await;
    assert_eq!((seen, error.is_none()), (vec![page("[1]", true)], true));

    let cases = [
        (r#"{"data": [1]}"#, "the response has no array 'records' (request: GET /x)"),
        (
            r#"{"records": [1], "next_page": "canary"}"#,
            "field 'next_page' is not a whole number from 0 (request: GET /x)",
        ),
    ];
    for (body, message) in cases {
        let server = Server::scripted(vec![json(body)]).await;
        let (seen, error) = drain(numbered(client(&server.url), Request::get("x"))).await;

        let facts = facts(&error.unwrap());
        assert_eq!(facts, (ErrorKind::BadResponse, Retry::Never, message.to_owned()));
        assert_eq!((seen.len(), server.heads().len()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn connector_that_says_nothing_of_the_next_page_is_an_internal_error() {
    let server = Server::scripted(vec![json("[1]")]).await;
    let stream = pages(client(&server.url), Request::get("x"), PageNumber::new("page"), |r| {
        Ok(Page::of(Records::array(envelope::array(&r.body)?)).into())
    });
    let (seen, error) = drain(stream).await;

    let message = "the connector says nothing of the next page (request: GET /x)".to_owned();
    assert_eq!(facts(&error.unwrap()), (ErrorKind::Internal, Retry::Never, message));
    assert_eq!(seen, []);
}
