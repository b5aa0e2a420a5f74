//! Pages that are asked for before they are needed.

use super::paging::{drain, page};
use super::server::{Script, Server, Step, json, reply};
use super::{client, facts};
use crate::paginate::{CursorToken, LinkHeader, Next, Offset, Parsed, pages_ahead};
use crate::{Client, Request, envelope};
use lakeflow_core::{ErrorKind, Page, PageStream, Records};
use std::time::Duration;
use tokio::time::sleep;

/// The number in a query parameter of the request line, or 1.
fn number(head: &str, name: &str) -> u64 {
    let target = head.split(' ').nth(1).unwrap();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pair = query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));

    pair.map_or(1, |value| value.parse().unwrap())
}

/// Page `n` of a list that says now how long it is.
fn linked(n: u64, last: u64) -> Script {
    let link = |rel: &str, page: u64| format!("<?q=a&page={page}>; rel=\"{rel}\"");
    let header = format!("Link: {}, {}", link("next", n + 1), link("last", last));
    let headers: &[&str] = if n < last { &[&header] } else { &[] };

    reply(200, headers, format!("[{n}]"))
}

fn by_link(client: &Client) -> PageStream {
    let first = Request::get("list").query("q", "a");
    pages_ahead(client.clone(), first, LinkHeader::new(), 4, |response| {
        Ok(Page::of(Records::array(envelope::array(&response.body)?)).into())
    })
}

fn numbers(pages: std::ops::RangeInclusive<u64>, last: bool) -> Vec<(String, bool)> {
    pages.clone().map(|n| page(&format!("[{n}]"), last && n == *pages.end())).collect()
}

fn without_first_byte(script: Script) -> Script {
    let rest = |step| match step {
        Step::Send(bytes) => Step::Send(bytes[1..].to_vec()),
        step => step,
    };

    script.into_iter().map(rest).collect()
}

/// Lets requests that were sent arrive.
async fn settle() {
    sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn pages_come_in_order_whatever_the_order_of_the_answers() {
    let server = Server::start(move |_, head| {
        let n = number(head, "page");
        // The earlier of those at once are the slower.
        let pause = Duration::from_millis(4 - n % 4);
        [vec![Step::Drip(b"H".to_vec(), pause)], without_first_byte(linked(n, 9))].concat()
    })
    .await;
    let (seen, error) = drain(by_link(&client(&server.url))).await;

    assert_eq!((seen, error.is_none()), (numbers(1..=9, true), true));
    assert_eq!(server.heads().len(), 9);
}

#[tokio::test(start_paused = true)]
async fn so_many_pages_wait_for_a_reader_that_does_not_come_and_no_more() {
    let server = Server::start(|_, head| linked(number(head, "page"), 100)).await;
    let client = client(&server.url);
    let mut stream = by_link(&client);
    settle().await;
    assert_eq!(server.heads().len(), 0, "nothing before the first page is asked for");
    for read in 1..=3 {
        stream.next().await.unwrap().unwrap();
        settle().await;
        assert_eq!(server.heads().len(), read + 4);
    }
    drop(stream);
    settle().await;
    assert_eq!(server.heads().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_error_hides_no_page_before_it() {
    let server = Server::start(|_, head| match number(head, "page") {
        4 => reply(404, &[], ""),
        n => linked(n, 9),
    })
    .await;
    let (seen, error) = drain(by_link(&client(&server.url))).await;

    assert_eq!(seen, numbers(1..=3, false));
    let (kind, _, text) = facts(&error.unwrap());
    assert_eq!(kind, ErrorKind::BadResponse);
    assert!(text.contains("page=4"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_error_beyond_the_end_is_none() {
    // The first page says nine, the third is the last, and there is nothing behind it.
    let server = Server::start(|_, head| match number(head, "page") {
        n @ (1 | 2) => linked(n, 9),
        3 => linked(3, 3),
        _ => reply(404, &[], ""),
    })
    .await;
    let (seen, error) = drain(by_link(&client(&server.url))).await;

    assert_eq!((seen, error.is_none()), (numbers(1..=3, true), true));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_grows_is_read_to_its_new_end() {
    let server = Server::start(|_, head| match number(head, "page") {
        n @ 1..3 => linked(n, 3),
        n => linked(n, 7),
    })
    .await;
    let (seen, error) = drain(by_link(&client(&server.url))).await;

    assert_eq!((seen, error.is_none()), (numbers(1..=7, true), true));
    assert_eq!(server.heads().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn links_that_do_not_continue_as_they_began_are_followed_one_by_one() {
    // Every second page is left out.
    let server = Server::start(|_, head| {
        let n = number(head, "page");
        let link = format!("Link: <?page={}>; rel=next, <?page=9>; rel=last", n + 2);
        let headers: &[&str] = if n < 9 { &[&link] } else { &[] };
        reply(200, headers, format!("[{n}]"))
    })
    .await;
    let (seen, error) = drain(by_link(&client(&server.url))).await;

    let rows: Vec<_> = [1, 3, 5, 7, 9].map(|n| page(&format!("[{n}]"), n == 9)).into();
    assert_eq!((seen, error.is_none()), (rows, true));
    // Behind page 3, pages 4, 5 and 6 were foreseen once.
    assert!(server.heads().len() <= 5 + 3, "{:?}", server.targets());
}

#[tokio::test(start_paused = true)]
async fn offsets_are_foreseen_by_the_total() {
    // 11 rows; the page at 6 is smaller than asked for, which moves those behind it.
    for short in [false, true] {
        let server = Server::start(move |_, head| {
            let from = if head.contains("offset=") { number(head, "offset") } else { 0 };
            let count = if short && from == 6 { 1 } else { 2 };
            let rows: Vec<u64> = (from..11.min(from + count)).collect();
            json(&format!(r#"{{"rows": {rows:?}, "total": 11}}"#))
        })
        .await;
        let first = Request::get("x").query("count", 2);
        let offset = Offset::new("offset", "count");
        let stream = pages_ahead(client(&server.url), first, offset, 4, |response| {
            let body = envelope::object(&response.body)?;
            let page = Page::of(Records::array(body.array("rows")?));
            Ok(Parsed::from(page).next(Next::total(body.integer("total")?)))
        });
        let (seen, error) = drain(stream).await;

        let rows: Vec<String> = seen.into_iter().map(|(rows, _)| rows).collect();
        let expected = match short {
            false => vec!["[0, 1]", "[2, 3]", "[4, 5]", "[6, 7]", "[8, 9]", "[10]"],
            true => vec!["[0, 1]", "[2, 3]", "[4, 5]", "[6]", "[7, 8]", "[9, 10]"],
        };
        assert_eq!(
            (rows, error.is_none()),
            (expected.into_iter().map(str::to_owned).collect(), true)
        );
        assert_eq!(server.heads().len(), if short { 8 } else { 6 }, "{:?}", server.targets());
    }
}

#[tokio::test(start_paused = true)]
async fn the_page_of_a_known_token_is_asked_for_while_another_is_read() {
    let server = Server::start(|n, _| {
        let next = if n < 4 { format!(r#", "after": "t{n}""#) } else { String::new() };
        json(&format!(r#"{{"rows": [{n}]{next}}}"#))
    })
    .await;
    let token = CursorToken::query("after");
    let first = Request::get("x");
    let mut stream = pages_ahead(client(&server.url), first, token, 4, |response| {
        let body = envelope::object(&response.body)?;
        let page = Page::of(Records::array(body.array("rows")?));
        Ok(Parsed::from(page).next(Next::token(body.text("after")?)))
    });
    for requests in [2, 3, 4, 5, 5] {
        stream.next().await.unwrap().unwrap();
        settle().await;
        assert_eq!(server.heads().len(), requests);
    }
    assert!(stream.next().await.unwrap().is_none());
}
