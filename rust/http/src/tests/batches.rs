//! Details of many ids.

use super::server::{Server, json, reply};
use super::{client, facts};
use crate::{Chunks, Request, Response, details, envelope, wide_details};
use bytes::Bytes;
use lakeflow_core::{ErrorKind, Result, Retry};
use serde_json::{Value, json as value};

const TWO: Chunks = Chunks { ids: 2, at_once: 3 };

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn by_id(response: &Response) -> Result<Vec<(String, Bytes)>> {
    let rows = envelope::elements(&envelope::array(&response.body)?)?;
    rows.into_iter().map(|row| Ok((envelope::object(&row)?.text("id")?.unwrap(), row))).collect()
}

/// Rows for the ids of a request `?ids=a,b&names=x,y`, in the opposite order, except "gone".
fn answer(head: &str) -> String {
    let target = head.split(' ').nth(1).unwrap().replace("%2C", ",");
    let query = target.split_once('?').unwrap().1;
    let get = |name: &str| {
        let found = query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().split(',').filter(|v| !v.is_empty())
    };
    let rows = get("ids").filter(|id| *id != "gone").map(|id| {
        let fields = get("names").map(|name| (name.to_owned(), format!("{id}.{name}").into()));
        value!({"id": id, "p": fields.collect::<serde_json::Map<String, Value>>()})
    });
    let mut rows: Vec<Value> = rows.collect();
    rows.reverse();

    Value::from(rows).to_string()
}

#[tokio::test(start_paused = true)]
async fn details_come_in_the_order_of_the_ids_and_missing_ones_are_told() {
    let server = Server::start(|n, head| match n {
        1 => reply(503, &[], ""),
        _ => json(&answer(head)),
    })
    .await;
    let asked = ids(&["c", "a", "gone", "b", "a", "d"]);
    let request = |ids: &[String]| Ok(Request::get("x").query("ids", ids.join(",")));
    let found = details(&client(&server.url), &asked, TWO, request, by_id).await.unwrap();

    let row = |id: &str| Some(Bytes::from(format!(r#"{{"id":"{id}","p":{{}}}}"#)));
    assert_eq!(found, [row("c"), row("a"), None, row("b"), row("a"), row("d")]);
    assert_eq!(server.heads().len(), 4, "three chunks, one of them twice");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_requested_for_no_ids() {
    let server = Server::scripted(vec![json("[]")]).await;
    let request = |_: &[String]| Ok(Request::get("x"));
    let found = details(&client(&server.url), &[], TWO, request, by_id).await.unwrap();

    assert_eq!((found.len(), server.heads().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn ids_that_were_not_asked_for_and_chunks_of_none_are_refused() {
    let server = Server::scripted(vec![json(r#"[{"id": "other"}]"#)]).await;
    let request = |_: &[String]| Ok(Request::get("x"));
    let error = details(&client(&server.url), &ids(&["a"]), TWO, request, by_id).await;
    let message = "the answer holds id 'other', which was not asked for (request: GET /x)";
    let expected = (ErrorKind::BadResponse, Retry::Never, message.to_owned());
    assert_eq!(facts(&error.unwrap_err()), expected);

    for chunks in [Chunks { ids: 0, ..TWO }, Chunks { at_once: 0, ..TWO }] {
        let error = details(&client(&server.url), &ids(&["a"]), chunks, request, by_id).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Internal);
    }
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn wide_records_are_joined_from_chunks_of_names() {
    let server = Server::start(|n, head| match head.contains("names=w") {
        // b goes away before its last piece is asked for.
        true => json(&answer(&head.replace("b", "gone"))),
        false => json(&answer(head)).into_iter().take(n + 1).collect(),
    })
    .await;
    let request = |ids: &[String], names: &[String]| {
        Ok(Request::get("x").query("ids", ids.join(",")).query("names", names.join(",")))
    };
    let client = client(&server.url);
    let names = ids(&["u", "v", "w"]);
    let asked = ids(&["a", "b"]);
    let found = wide_details(&client, &asked, TWO, &names, 2, request, by_id).await.unwrap();

    let a = r#"{"id":"a","p":{"u":"a.u","v":"a.v","w":"a.w"}}"#;
    assert_eq!(found, [Some(Bytes::from(a)), None]);
    assert_eq!(server.targets(), ["/x?ids=a%2Cb&names=u%2Cv", "/x?ids=a%2Cb&names=w"]);

    let found = wide_details(&client, &asked, TWO, &[], 2, request, by_id).await.unwrap();
    assert!(found.iter().all(Option::is_some));
}
