//! Lists by address, token, offset and value.

use super::paging::{drain, page};
use super::server::{Server, json};
use super::{CANARY, client, facts};
use crate::paginate::{
    CursorToken, Keyset, Next, NextUrl, Offset, OnePage, Paginator, Parsed, Search, pages,
    pages_then,
};
use crate::{Client, Request, Response, envelope};
use lakeflow_core::{Error, ErrorKind, Page, PageStream, Records, Result, Retry, Rows};
use serde_json::{Value, json as value};

fn rows(response: &Response, next: impl Fn(&envelope::Envelope) -> Result<Next>) -> Result<Parsed> {
    let body = envelope::object(&response.body)?;
    let page = Page::of(Records::array(body.array("rows")?));
    Ok(Parsed::from(page).next(next(&body)?))
}

fn by_token(client: Client, first: Request, paginator: CursorToken) -> PageStream {
    pages(client, first, paginator, |r| rows(r, |body| Ok(Next::token(body.text("after")?))))
}

fn by_url(client: Client, first: Request) -> PageStream {
    pages(client, first, NextUrl::new(), |r| rows(r, |body| Ok(Next::url(body.text("next")?))))
}

fn by_offset(client: Client, first: Request) -> PageStream {
    pages(client, first, Offset::new("offset", "count"), |r| {
        rows(r, |body| Ok(Next::total(body.integer("total")?)))
    })
}

/// The number in a query parameter of the request line.
fn asked(head: &str, name: &str) -> Option<u64> {
    let query = head.split(' ').nth(1)?.split_once('?')?.1;
    let pair = |p: &'_ str| p.split_once('=').filter(|(n, _)| *n == name)?.1.parse().ok();
    query.split('&').find_map(pair)
}

fn bad(error: Option<Error>) -> String {
    let (kind, retry, text) = facts(&error.unwrap());
    assert_eq!((kind, retry), (ErrorKind::BadResponse, Retry::Never));
    text
}

#[tokio::test(start_paused = true)]
async fn addresses_in_the_body_are_followed_until_there_is_none() {
    for end in [r#""next": null"#, r#""next": """#, r#""more": false"#] {
        let scripts = vec![
            json(r#"{"rows": [1], "next": "/b?page=2&q=a%20b"}"#),
            json(r#"{"rows": [], "next": "?page=3"}"#),
            json(&format!(r#"{{"rows": [3], {end}}}"#)),
        ];
        let server = Server::scripted(scripts).await;
        let first = Request::get("a").query("q", "a b");
        let (seen, error) = drain(by_url(client(&server.url), first)).await;

        assert_eq!(seen, [page("[1]", false), page("[]", false), page("[3]", true)]);
        assert!(error.is_none());
        assert_eq!(server.targets(), ["/a?q=a+b", "/b?page=2&q=a%20b", "/b?page=3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn addresses_that_lead_away_or_around_end_with_an_error() {
    let cases = [
        ("/a?b=1", "the list does not end: GET /a?b=1 comes again (request: GET /a?b=1)"),
        ("http://[", "the next address cannot be read (request: GET /a?b=1)"),
        ("http://127.0.0.1:1/x", "refused a next address to another origin: http://127.0.0.1:1"),
        (
            "https://127.0.0.1@evil.example/",
            "refused a next address to another origin: https://evil.example with a user name",
        ),
        ("http://169.254.169.254/", "refused a next address to another origin: http://169.254"),
    ];
    for (next, message) in cases {
        let body = format!(r#"{{"rows": [1], "next": "{next}"}}"#);
        let server = Server::start(move |_, _| json(&body)).await;
        let first = Request::get("a").query("b", 1);
        let (seen, error) = drain(by_url(client(&server.url), first)).await;

        let text = bad(error);
        assert!(text.starts_with(message), "{text}");
        assert_eq!((seen.len(), server.heads().len()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_go_into_the_query_until_there_is_none() {
    let scripts = vec![
        json(r#"{"rows": [1], "after": "a b&c"}"#),
        json(r#"{"rows": [], "after": "d"}"#),
        json(r#"{"rows": [3], "after": ""}"#),
    ];
    let server = Server::scripted(scripts).await;
    let first = Request::get("x").query("limit", 1);
    let stream = by_token(client(&server.url), first, CursorToken::query("page[after]"));
    let (seen, error) = drain(stream).await;

    assert_eq!(seen, [page("[1]", false), page("[]", false), page("[3]", true)]);
    assert!(error.is_none());
    assert_eq!(
        server.targets(),
        ["/x?limit=1", "/x?limit=1&page%5Bafter%5D=a+b%26c", "/x?limit=1&page%5Bafter%5D=d"]
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_go_into_the_body_of_a_search_which_is_repeated_after_a_failure() {
    let scripts = vec![
        json(r#"{"rows": [1], "after": "200"}"#),
        super::server::reply(502, &[], ""),
        json(r#"{"rows": [2]}"#),
    ];
    let server = Server::scripted(scripts).await;
    let first = Request::post("search").json(&value!({"limit": 1, "sorts": ["a"]})).idempotent();
    let (seen, error) =
        drain(by_token(client(&server.url), first, CursorToken::body("after"))).await;

    assert_eq!(seen, [page("[1]", false), page("[2]", true)]);
    assert!(error.is_none());
    let bodies: Vec<Value> = server
        .heads()
        .iter()
        .map(|h| serde_json::from_str(h.split_once("\r\n\r\n").unwrap().1).unwrap())
        .collect();
    let second = value!({"limit": 1, "sorts": ["a"], "after": "200"});
    assert_eq!(bodies, [value!({"limit": 1, "sorts": ["a"]}), second.clone(), second]);
    assert!(server.heads().iter().all(|h| h.contains("content-type: application/json")));
}

#[tokio::test(start_paused = true)]
async fn cycles_of_tokens_end_with_an_error_that_names_the_token() {
    for length in [1, 2, 3, 50] {
        let server = Server::start(move |n, _| {
            json(&format!(r#"{{"rows": [1], "after": "t{}"}}"#, n % length))
        })
        .await;
        let stream = by_token(client(&server.url), Request::get("x"), CursorToken::query("after"));
        let (seen, error) = drain(stream).await;

        let message = format!(
            "the list does not end: token 't0' comes again (request: GET /x?after=t{})",
            length - 1
        );
        assert_eq!(bad(error), message);
        assert_eq!((seen.len(), server.heads().len()), (length, length + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn token_of_the_first_request_must_not_come_again_either() {
    let server = Server::scripted(vec![json(r#"{"rows": [1], "after": "t"}"#)]).await;
    let stream = by_token(
        client(&server.url),
        Request::get("x").query("after", "t"),
        CursorToken::query("after"),
    );
    assert!(bad(drain(stream).await.1).starts_with("the list does not end: token 't' comes"));
    assert_eq!(server.heads().len(), 1);

    let body = json(r#"{"rows": [1], "after": "7"}"#);
    let server = Server::scripted(vec![body]).await;
    let first = Request::post("x").json(&value!({"after": 7}));
    let stream = by_token(client(&server.url), first, CursorToken::body("after"));
    assert!(bad(drain(stream).await.1).starts_with("the list does not end: token '7' comes"));
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_in_errors_are_scrubbed_and_then_cut() {
    let token = format!("{}{CANARY}{}", "a".repeat(70), "b".repeat(100));
    let body = format!(r#"{{"rows": [], "after": "{token}"}}"#);
    let server = Server::scripted(vec![json(&body)]).await;
    let stream = by_token(client(&server.url), Request::get("x"), CursorToken::query("after"));

    let text = bad(drain(stream).await.1);
    let shown = format!("token '{}***{}…' comes again", "a".repeat(70), "b".repeat(7));
    assert!(text.contains(&shown), "{text}");
}

/// Rows of the service, page size asked for, largest page it gives, and the total it tells.
type Offsets = (u64, u64, u64, Option<u64>);

#[tokio::test(start_paused = true)]
async fn offsets_end_with_a_short_page_or_at_the_total() {
    let cases: [(Offsets, &[u64]); 9] = [
        ((5, 2, 2, None), &[0, 2, 4]),
        ((4, 2, 2, None), &[0, 2, 4]),
        ((0, 2, 2, None), &[0]),
        ((4, 2, 2, Some(4)), &[0, 2]),
        ((5, 2, 2, Some(5)), &[0, 2, 4]),
        // A total below the rows seen is not believed.
        ((5, 2, 2, Some(0)), &[0, 2, 4]),
        ((4, 2, 2, Some(3)), &[0, 2, 4]),
        // Pages smaller than asked for are no end before the total.
        ((5, 10, 2, Some(5)), &[0, 2, 4]),
        // Nor are empty ones.
        ((2, 2, 2, Some(6)), &[0, 2, 4]),
    ];
    for ((rows, count, largest, total), offsets) in cases {
        let server = Server::start(move |_, head| {
            let offset = asked(head, "offset").unwrap_or_default();
            let end = rows.min(offset + largest.min(count));
            let rows: Vec<u64> = (offset.min(end)..end).collect();
            json(&value!({"rows": rows, "total": total}).to_string())
        })
        .await;
        let first = Request::get("x").query("count", count);
        let (seen, error) = drain(by_offset(client(&server.url), first)).await;

        assert!(error.is_none());
        assert!(seen.last().unwrap().1);
        let ids: Vec<u64> =
            seen.iter().flat_map(|(r, _)| serde_json::from_str::<Vec<u64>>(r).unwrap()).collect();
        let all: Vec<u64> = (0..rows).collect();
        assert_eq!(ids, all);
        let heads = server.heads();
        let got: Vec<u64> = heads.iter().map(|h| asked(h, "offset").unwrap_or(0)).collect();
        assert_eq!(got, offsets, "{rows} rows, {count} of {largest}, total {total:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_count_what_the_service_sent_and_not_what_was_kept() {
    let server = Server::scripted(vec![json("[1, 2]"), json("[3]")]).await;
    let first = Request::get("x").query("count", 2).query("offset", 10);
    let stream = pages(client(&server.url), first, Offset::new("offset", "count"), |response| {
        let kept = Records { rows: Rows::Each(Vec::new()), ..Records::default() };
        let sent = envelope::count(&envelope::array(&response.body)?)?;
        Ok(Parsed::from(Page::of(kept)).rows(sent.try_into().unwrap()))
    });
    let count =
        futures::stream::unfold(stream, |mut s| async { Some((s.next().await.unwrap()?, s)) });
    assert_eq!(futures::StreamExt::count(count).await, 2);
    assert_eq!(server.targets(), ["/x?count=2&offset=10", "/x?count=2&offset=12"]);
}

#[tokio::test(start_paused = true)]
async fn lists_that_cannot_end_are_refused_before_the_first_request() {
    let server = Server::scripted(vec![json("{}")]).await;
    let offset = "a list by offset needs whole numbers in parameters 'offset' and 'count', the \
                  latter from 1";
    let search = |_: &Search| Ok(Request::get("x"));
    let keyset = |most| Keyset::new(OnePage, most, "/v", "/id", search);
    let cases: Vec<(Request, Box<dyn Paginator>, &str)> = vec![
        (Request::get("x"), Box::new(Offset::new("offset", "count")), offset),
        (Request::get("x").query("count", 0), Box::new(Offset::new("offset", "count")), offset),
        (
            Request::get("x").query("count", 5).query("offset", "a"),
            Box::new(Offset::new("offset", "count")),
            offset,
        ),
        (
            Request::get("x").query("a", 5),
            Box::new(Offset::new("a", "a")),
            "a list by offset needs two parameters",
        ),
        (
            Request::get("x"),
            Box::new(CursorToken::query("")),
            "the place of the page token has no name",
        ),
        (
            Request::post("x").body("text/plain", "a"),
            Box::new(CursorToken::body("after")),
            "the body of the request is no JSON object",
        ),
        (Request::get("x"), Box::new(keyset(0)), "a search that gives no rows never ends"),
    ];
    for (first, paginator, message) in cases {
        let stream = pages(client(&server.url), first, paginator, |_| panic!("parsed"));
        let (_, error) = drain(stream).await;

        let expected = (ErrorKind::Internal, Retry::Never, message.to_owned());
        assert_eq!(facts(&error.unwrap()), expected);
    }
    assert_eq!(server.heads().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn pages_are_enriched_by_further_requests_in_order() {
    let scripts = vec![
        json(r#"{"rows": [1], "after": "a"}"#),
        json(r#"{"more": [10]}"#),
        json(r#"{"rows": [2]}"#),
        json(r#"{"more": [20]}"#),
    ];
    let server = Server::scripted(scripts).await;
    let client = client(&server.url);
    let then = {
        let client = client.clone();
        move |page: Page| {
            let client = client.clone();
            async move {
                let more = client.send(Request::get("more")).await?;
                let rows = envelope::object(&more.body)?.array("more")?;
                Ok(Page { upserts: Records::array(rows), ..page })
            }
        }
    };
    let parse = |r: &Response| rows(r, |body| Ok(Next::token(body.text("after")?)));
    let stream = pages_then(client, Request::get("x"), CursorToken::query("after"), parse, then);
    let (seen, error) = drain(stream).await;

    assert_eq!(seen, [page("[10]", false), page("[20]", true)]);
    assert!(error.is_none());
    assert_eq!(server.targets(), ["/x", "/more", "/x?after=a", "/more"]);
}

/// A service whose searches are sorted by one field and give `most` rows each, in pages of
/// `limit`; `rows` are pairs of value and id. Requests: `?sort=v|id&from=&above=&equal=&after=`.
async fn search_service(
    rows: Vec<(u64, u64)>,
    most: usize,
    limit: usize,
    says_end: bool,
) -> Server {
    Server::start(move |_, head| {
        let get = |name| asked(head, name);
        let mut found: Vec<(u64, u64)> = rows
            .iter()
            .filter(|(v, _)| get("from").is_none_or(|from| *v >= from))
            .filter(|(v, _)| get("above").is_none_or(|above| *v > above))
            .filter(|(v, _)| get("equal").is_none_or(|equal| *v == equal))
            .filter(|(_, id)| get("after").is_none_or(|after| *id > after))
            .copied()
            .collect();
        // Ids are sorted where ids are asked for, else they are in no order.
        found.sort_by_key(|(v, id)| match head.contains("sort=id") {
            true => (0, *id),
            false => (*v, id.wrapping_mul(7) % 11),
        });
        let place = usize::try_from(get("page").unwrap_or(0)).unwrap();
        if place >= most {
            return super::server::reply(400, &[], "too far");
        }
        let end = found.len().min(place + limit);
        let page: Vec<_> = found.get(place..end).unwrap_or_default().to_vec();
        let rows: Vec<_> = page.iter().map(|(v, id)| value!({"p": {"v": v}, "id": id})).collect();
        let last = end >= found.len() || (says_end && end >= most);
        let after = if last { Value::Null } else { end.to_string().into() };
        json(&value!({"rows": rows, "after": after}).to_string())
    })
    .await
}

fn searched(search: &Search) -> Result<Request> {
    Ok(match search {
        Search::From(value) => Request::get("s").query("sort", "v").query("from", value),
        Search::Above(value) => Request::get("s").query("sort", "v").query("above", value),
        Search::Tie { value, after: None } => {
            Request::get("s").query("sort", "id").query("equal", value)
        }
        Search::Tie { value, after: Some(id) } => {
            Request::get("s").query("sort", "id").query("equal", value).query("after", id)
        }
    })
}

/// Ids in the order they came, and the number of requests.
async fn search_all(server: &Server, most: u64) -> (Vec<u64>, Option<Error>) {
    let paginator = Keyset::new(CursorToken::query("page"), most, "/p/v", "/id", searched);
    let stream = pages(client(&server.url), Request::get("s").query("sort", "v"), paginator, |r| {
        rows(r, |body| Ok(Next::token(body.text("after")?)))
    });
    let (seen, error) = drain(stream).await;
    let rows = seen.iter().flat_map(|(r, _)| serde_json::from_str::<Vec<Value>>(r).unwrap());

    (rows.map(|r| r["id"].as_u64().unwrap()).collect(), error)
}

#[tokio::test(start_paused = true)]
async fn search_that_is_cut_off_goes_on_from_its_last_value() {
    let alone: Vec<_> = (0..57).map(|id| (id, id)).collect();
    let groups: Vec<_> = (0..57).map(|id| (id / 7, id)).collect();
    let flat: Vec<_> = (0..57).map(|id| (3, id)).collect();
    let mixed: Vec<_> = (0..57).map(|id| (if id < 40 { id / 30 } else { id }, id)).collect();
    for (name, rows) in [("alone", alone), ("groups", groups), ("flat", flat), ("mixed", mixed)] {
        for (most, limit) in [(10, 5), (10, 3), (10, 10), (57, 10), (58, 10), (11, 4)] {
            for says_end in [false, true] {
                let server = search_service(rows.clone(), most, limit, says_end).await;
                let (mut ids, error) = search_all(&server, most.try_into().unwrap()).await;

                assert!(error.is_none(), "{name} {most} {limit}: {error:?}");
                ids.sort_unstable();
                ids.dedup();
                let all: Vec<u64> = (0..57).collect();
                assert_eq!(ids, all, "{name}, {limit} of {most}, says end: {says_end}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn search_that_does_not_move_on_ends_with_an_error() {
    // It ignores every bound.
    let body = r#"{"rows": [{"p": {"v": 1}, "id": 1}, {"p": {"v": 2}, "id": 2}], "after": "x"}"#;
    let server = Server::scripted(vec![json(body)]).await;
    let (_, error) = search_all(&server, 2).await;
    let text = bad(error);
    let expected = "the list does not end: a search by token 'from 2' comes again";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(server.heads().len(), 2);

    let body = r#"{"rows": [{"p": {}, "id": 1}], "after": "x"}"#;
    let server = Server::scripted(vec![json(body)]).await;
    let (_, error) = search_all(&server, 2).await;
    let expected = "a row has no text or number at '/p/v', by which the list is read \
                    (request: GET /s?sort=v)";
    assert_eq!(bad(error), expected);
}
