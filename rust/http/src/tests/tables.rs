//! Tables as rows of data, against a server.

use super::server::{Script, Server, json};
use super::{client, facts};
use crate::rest::{Bound, By, Paging, Spelling, Split, Table, Tables};
use lakeflow_core::{
    Column, DataType, ErrorKind, Feed, Options, Part, Pushdown, ReadRequest, Settings, Step,
    TableSchema,
};
use serde::Deserialize;
use std::sync::Arc;

fn schema() -> TableSchema {
    TableSchema::new(vec![Column::new("id", DataType::Long), Column::new("at", DataType::String)])
}

const BY: By = By::instants("at", Step::SECOND);
const LIST: Table = Table::new("list", "/list", schema)
    .page_size("count", 2)
    .rows("rows")
    .paging(Paging::Offset { parameter: "offset", total: "total" });
const TABLES: Tables =
    Tables(&[LIST, bounded("sorted").sorted_windows(BY), bounded("unsorted").windows(BY)]);

const fn bounded(name: &'static str) -> Table {
    Table::new(name, "/list", schema)
        .page_size("count", 2)
        .rows("rows")
        .paging(Paging::Offset { parameter: "offset", total: "total" })
        .since("after", Bound::Exclusive, Spelling::EpochSeconds)
        .until("before", Bound::Exclusive, Spelling::EpochSeconds)
}

fn read() -> ReadRequest {
    ReadRequest {
        table: "children".to_owned(),
        options: Arc::new(Settings::resolve(&Options::new(), [], &[]).unwrap()),
        feed: Feed::Rows,
        after: None,
        upto: None,
        within: None,
        at: None,
        parts: vec![Part::new("other")],
        page_rows: Some(1),
        pushed: Pushdown::default(),
    }
}

/// Three rows on two pages.
fn three_rows(_: usize, head: &str) -> Script {
    let rows = [
        r#"{"id": 30, "at": "2031-03-01T12:00:00+02:00", "on": true}"#,
        r#"{"id": 4, "at": "", "on": false}"#,
        r#"{"id": 5, "at": "2031-03-01T09:59:00Z", "on": true}"#,
    ];
    let wanted = if head.contains("offset=2") { &rows[2..] } else { &rows[..2] };

    json(&format!(r#"{{"rows": [{}], "total": 3}}"#, wanted.join(",")))
}

#[derive(Deserialize)]
struct Row {
    id: u64,
    on: bool,
}

#[tokio::test]
async fn rows_of_all_pages_become_parents_in_the_order_of_their_keys() {
    let server = Server::start(three_rows).await;
    let part = |row: Row| row.on.then(|| Part::new(row.id.to_string()));
    let mut parts = TABLES.parts("list", &client(&server.url), &read(), part);
    let mut keys = Vec::new();
    while let Some(part) = parts.next().await.unwrap() {
        keys.push(part.key.0);
    }

    assert_eq!(keys, ["30", "5"]);
    assert_eq!(server.targets(), ["/list?count=2", "/list?count=2&offset=2"]);
}

#[tokio::test]
async fn a_row_may_stand_for_several_parents_and_a_strange_one_for_none() {
    let server = Server::start(three_rows).await;
    let two = |row: Row| [Part::new(format!("{}b", row.id)), Part::new(format!("{}a", row.id))];
    let mut parts = TABLES.parts("list", &client(&server.url), &read(), two);
    assert_eq!(parts.next().await.unwrap().unwrap().key.0, "30a");

    let other = |_: Vec<u64>| None::<Part>;
    let mut parts = TABLES.parts("list", &client(&server.url), &read(), other);
    let (kind, _, text) = facts(&parts.next().await.err().unwrap());
    assert_eq!((kind, &*text), (ErrorKind::BadResponse, "a list has not the documented form"));
}

#[tokio::test]
async fn the_oldest_value_is_the_first_of_a_sorted_list_and_the_least_of_another() {
    let cases = [
        ("sorted", "2031-03-01T12:00:00+02:00", vec!["/list?count=1"]),
        ("unsorted", "2031-03-01T09:59:00Z", vec!["/list?count=2", "/list?count=2&offset=2"]),
    ];
    for (name, expected, requests) in cases {
        let server = Server::start(three_rows).await;
        let table = TABLES.get(name).unwrap();
        let oldest = table.oldest(&client(&server.url), &read()).await.unwrap();

        assert_eq!(oldest.unwrap().raw(), expected);
        assert_eq!(server.targets(), requests);
    }
}

#[tokio::test]
async fn the_lowest_value_of_a_split_is_that_of_the_first_page() {
    const SPLIT: Split = Split::instants(
        "at",
        Step::SECOND,
        ("from", "to"),
        Bound::Inclusive,
        Spelling::EpochSeconds,
        ("sort", "at"),
    );
    let server = Server::start(three_rows).await;
    let table = bounded("sorted").sorted_windows(BY).split_by(SPLIT);
    let lowest = table.lowest_split(&client(&server.url), &read()).await.unwrap();
    assert_eq!(lowest.unwrap().raw(), "2031-03-01T12:00:00+02:00");
    assert_eq!(server.targets(), ["/list?count=2&sort=at"]);

    let one_page = Server::start(|_, _| json(r#"{"rows": [], "total": 0}"#)).await;
    let lowest = table.lowest_split(&client(&one_page.url), &read()).await.unwrap();
    assert_eq!(lowest, None);
}

#[tokio::test]
async fn an_empty_list_has_no_oldest_value() {
    for name in ["sorted", "unsorted", "list"] {
        let server = Server::start(|_, _| json(r#"{"rows": [], "total": 0}"#)).await;
        let table = TABLES.get(name).unwrap();
        assert_eq!(table.oldest(&client(&server.url), &read()).await.unwrap(), None, "{name}");
    }
}
