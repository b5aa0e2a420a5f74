//! What is peculiar to Mailchimp, through the engine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "common/played.rs"]
mod played;
mod service;

use lakeflow_connectors::mailchimp::SOURCE;
use lakeflow_core::{ErrorKind, Instant};
use lakeflow_simulator::Simulator;
use played::Played;
use serde_json::{Value, json};
use service::{Answer, Ask, Reader, Service};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Records by path, which tests change while they are read.
#[derive(Clone, Default)]
struct Account(Arc<Mutex<BTreeMap<String, Vec<Value>>>>);

impl Account {
    fn put(&self, path: &str, record: Value) {
        let mut account = self.0.lock().unwrap();
        let records = account.entry(path.to_owned()).or_default();
        records.retain(|r| r["id"] != record["id"]);
        records.push(record);
    }

    /// A page of `path`, whose bounds apply to `field` and are both exclusive.
    fn page(&self, ask: &Ask, key: &str, field: &str) -> Answer {
        let account = self.0.lock().unwrap();
        let Some(records) = account.get(&ask.path) else { return Answer::status(404) };
        let at = |r: &Value| Instant::parse(r[field].as_str().unwrap());
        let (since, before) =
            (ask.time(&format!("since_{field}")), ask.time(&format!("before_{field}")));
        let mut found: Vec<Value> = records
            .iter()
            .filter(|r| since.is_none_or(|since| at(r) > Some(since)))
            .filter(|r| before.is_none_or(|before| at(r) < Some(before)))
            .filter(|r| {
                (ask.parameter("status") == Some("archived")) == (r["status"] == "archived")
            })
            .cloned()
            .collect();
        if ask.parameter("sort_field") == Some(field) {
            found.sort_by_key(at);
        }
        let total = found.len();
        let (offset, count) = (ask.number("offset").unwrap_or(0), ask.number("count").unwrap());
        let rows: Vec<Value> = found.into_iter().skip(offset).take(count).collect();

        Answer::json(&json!({ key: rows, "total_items": total }))
    }

    fn answer(&self, ask: &Ask) -> Answer {
        match ask.path.as_str() {
            "/campaigns" => self.page(ask, "campaigns", "create_time"),
            "/reports" => self.page(ask, "reports", "send_time"),
            "/lists" => self.page(ask, "lists", "date_created"),
            path if path.ends_with("/members") => self.page(ask, "members", "last_changed"),
            path => {
                let id = path.trim_start_matches("/lists/");
                let account = self.0.lock().unwrap();
                let found = account["/lists"].iter().any(|list| list["id"] == id);
                if found { Answer::json(&json!({ "id": id })) } else { Answer::status(404) }
            }
        }
    }
}

async fn serving(account: &Account) -> Service {
    let account = account.clone();
    Service::start(move |ask| account.answer(ask)).await
}

fn reader(service: &Service, table: &str) -> Reader {
    Reader::new(
        &SOURCE,
        &[("api_key", "canary-us21"), ("base_url", &service.url), ("tableName", table)],
    )
}

fn report(id: &str, send_time: &str) -> Value {
    json!({"id": id, "send_time": send_time})
}

#[tokio::test]
async fn rows_on_the_edges_of_windows_arrive_without_lookback() {
    let account = Account::default();
    for (id, at) in [
        ("a", "2031-02-26T10:00:00+00:00"),
        ("b", "2031-02-27T09:59:59+00:00"),
        ("c", "2031-02-27T10:00:00+00:00"),
        ("d", "2031-02-27T10:00:01+00:00"),
        ("e", "2031-03-01T11:59:59+00:00"),
    ] {
        account.put("/reports", report(id, at));
    }
    let service = serving(&account).await;
    let mut reader = reader(&service, "reports").option("lookback_seconds", "0");

    assert_eq!(reader.drain(&["id"]).await, ["a", "b", "c", "d", "e"]);
    let log = service.take_log();
    assert_eq!(
        log[..2],
        [
            "/reports before_send_time=2031-03-01T12:00:01+00:00 count=1000 \
             fields=reports.send_time,total_items",
            "/reports before_send_time=2031-02-27T10:00:00+00:00 count=1000 \
             exclude_fields=reports._links,_links since_send_time=2031-02-26T09:59:59+00:00",
        ]
    );

    account.put("/reports", report("f", "2031-03-01T12:00:00+00:00"));
    reader.now("2031-03-01T12:00:00Z");
    assert_eq!(reader.drain(&["id"]).await, ["f"]);
    assert_eq!(reader.drain(&["id"]).await, [""; 0]);
}

#[tokio::test]
async fn an_old_account_costs_few_requests_where_nothing_happened() {
    let account = Account::default();
    account.put("/reports", report("old", "2011-03-01T10:00:00+00:00"));
    account.put("/reports", report("new", "2031-02-28T10:00:00+00:00"));
    let service = serving(&account).await;

    assert_eq!(reader(&service, "reports").batch(&["id"]).await.unwrap(), ["old", "new"]);
    let requests = service.take_log().len();
    assert!(requests < 30, "{requests} requests for 7,300 days");
}

#[tokio::test]
async fn an_empty_account_is_an_empty_table() {
    for (table, path) in [("campaigns", "/campaigns"), ("reports", "/reports"), ("lists", "/lists")]
    {
        let account = Account::default();
        account.0.lock().unwrap().insert(path.to_owned(), Vec::new());
        let service = serving(&account).await;

        assert_eq!(reader(&service, table).drain(&["id"]).await, [""; 0], "{table}");
    }
}

#[tokio::test]
async fn figures_of_reports_are_refreshed_for_as_many_days_as_wished() {
    let report =
        |id: &str, at: &str, emails: u64| json!({"id": id, "send_time": at, "emails_sent": emails});
    let account = Account::default();
    account.put("/reports", report("old", "2031-01-01T10:00:00+00:00", 1));
    account.put("/reports", report("b", "2031-02-28T10:00:00+00:00", 2));
    account.put("/reports", report("a", "2031-02-20T10:00:00+00:00", 3));
    let service = serving(&account).await;
    let mut reader = reader(&service, "reports").option("refresh_days", "30");

    let columns = ["id", "emails_sent"];
    assert_eq!(reader.drain(&columns).await, ["old 1", "b 2", "a 3"]);
    let times = "/reports before_send_time=2031-03-01T12:00:01+00:00 count=1000 \
                 fields=reports.send_time,total_items";
    assert_eq!(service.take_log()[0], times);

    account.put("/reports", report("a", "2031-02-20T10:00:00+00:00", 30));
    account.put("/reports", report("old", "2031-01-01T10:00:00+00:00", 10));
    account.put("/reports", report("new", "2031-03-01T11:00:00+00:00", 4));
    assert_eq!(reader.drain(&columns).await, ["a 30", "new 4"]);
    assert_eq!(reader.drain(&columns).await, [""; 0]);
}

#[tokio::test]
async fn a_blank_time_is_none() {
    let answer = |_: &Ask| {
        let reports = json!([
            {"id": "unsent", "send_time": ""},
            {"id": "sent", "send_time": "2031-02-28T10:00:00+00:00"},
        ]);
        Answer::json(&json!({"reports": reports, "total_items": 2}))
    };
    let service = Service::start(answer).await;

    let rows = reader(&service, "reports").drain(&["id", "send_time"]).await;
    assert_eq!(rows, ["unsent ", "sent 2031-02-28T10:00:00+00:00"]);
}

#[tokio::test]
async fn lists_whose_figures_changed_come_again_by_one_request() {
    let list = |id: &str, at: &str, members: u64| json!({"id": id, "date_created": at, "stats": {"member_count": members}, "list_rating": members});
    let account = Account::default();
    account.put("/lists", list("a", "2015-03-01T10:00:00+00:00", 1));
    account.put("/lists", list("b", "2031-02-01T10:00:00+00:00", 2));
    let service = serving(&account).await;
    let mut reader = reader(&service, "lists");

    let columns = ["id", "list_rating"];
    assert_eq!(reader.drain(&columns).await, ["a 1", "b 2"]);
    account.put("/lists", list("a", "2015-03-01T10:00:00+00:00", 5));
    service.take_log();
    assert_eq!(reader.drain(&columns).await, ["a 5"]);
    let request = "/lists count=1000 exclude_fields=lists._links,_links,constraints sort_dir=ASC \
                   sort_field=date_created";
    assert_eq!(service.take_log(), [request]);
    assert_eq!(reader.drain(&columns).await, [""; 0]);
}

#[tokio::test]
async fn members_of_every_audience_come_with_those_that_are_archived() {
    let member = |id: &str, status: &str, at: &str| {
        json!({"id": id, "status": status, "last_changed": at, "merge_fields": {"FNAME": "Ida"},
               "interests": {}})
    };
    let account = Account::default();
    for (list, created) in
        [("l2", "2030-01-02T00:00:00+00:00"), ("l1", "2030-01-01T00:00:00+00:00")]
    {
        account.put("/lists", json!({"id": list, "date_created": created}));
    }
    account.put("/lists/l1/members", member("m", "subscribed", "2031-02-20T10:00:00+00:00"));
    account.put("/lists/l1/members", member("n", "archived", "2031-02-21T10:00:00+00:00"));
    account.put("/lists/l2/members", member("m", "cleaned", "2031-02-22T10:00:00+00:00"));
    let service = serving(&account).await;
    let mut all = reader(&service, "members");

    let columns = ["list_id", "id", "status", "merge_fields"];
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    let first = [
        r#"l1 m subscribed {"FNAME":"Ida"}"#,
        r#"l1 n archived {"FNAME":"Ida"}"#,
        r#"l2 m cleaned {"FNAME":"Ida"}"#,
    ];
    assert_eq!(sorted(all.drain(&columns).await), first);

    all.now("2031-03-01T13:00:00Z");
    account.put("/lists/l1/members", member("m", "archived", "2031-03-01T12:30:00+00:00"));
    assert_eq!(all.drain(&columns[..3]).await, ["l1 m archived"]);
    assert_eq!(all.drain(&columns[..3]).await, [""; 0]);

    let one = reader(&service, "members").option("list_id", "l2");
    assert_eq!(one.batch(&columns[..3]).await.unwrap(), ["l2 m cleaned"]);
    let none = reader(&service, "members").option("list_id", "l3");
    let error = none.batch(&columns).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    assert!(error.to_string().contains("option 'list_id'"), "{error}");
}

#[tokio::test]
async fn a_first_read_of_a_sorted_list_costs_a_request_for_each_page() {
    let simulator = Simulator::builder().source("mailchimp").start().await.unwrap();
    let played = Played::new("mailchimp", simulator, &[("api_key", "canary-us21")]);
    let base_url = played.simulator.base_url("mailchimp") + "/3.0";
    let mut counts = Vec::new();
    for table in ["campaigns", "members"] {
        let options = played.options(table, &[("base_url", &base_url)]);
        played.batch(&options, &["id"]).await.unwrap();
        counts.push((table, played.asked().len()));
    }

    // 3,700 campaigns; members of twelve audiences, with and without the archived, one of which has
    // three pages.
    assert_eq!(counts, [("campaigns", 4), ("members", 27)]);
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let cases = [
        (401, ErrorKind::AuthFailed, "option 'api_key'"),
        (403, ErrorKind::PermissionDenied, "another data centre"),
        (429, ErrorKind::RateLimited, "more than 10 requests at once"),
        (500, ErrorKind::SourceUnavailable, "500"),
    ];
    for (status, kind, part) in cases {
        let service = Service::start(move |ask| {
            assert!(ask.headers["authorization"].starts_with("Basic "));
            Answer::status(status)
        })
        .await;
        let reader = reader(&service, "lists").option("maxRetries", "0");
        let error = reader.batch(&["id"]).await.unwrap_err();
        let text = format!("{error:?}");

        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(part) && !text.contains("canary"), "{text}");
    }
}
