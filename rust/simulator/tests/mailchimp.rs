//! The `mailchimp` description: pages, bounds, partial answers and refusals.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{BASIC, Reply, frozen, get};
use lakeflow_simulator::{Builder, Fault, FaultKind, Simulator};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The list that most members are in.
const HATS: &str = "/lists/aa11bb22cc/members";

async fn start() -> Simulator {
    frozen().0.source("mailchimp").start().await.unwrap()
}

async fn fetch(simulator: &Simulator, path: &str) -> Reply {
    get(&format!("{}/3.0{path}", simulator.base_url("mailchimp")), BASIC).await
}

fn key(path: &str) -> &str {
    path.split('?').next().unwrap().rsplit('/').next().unwrap()
}

fn rows(reply: &Reply, path: &str) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{path}");
    reply.json()[key(path)].as_array().unwrap().clone()
}

/// Every row, the number of pages, and the total that the last page told.
async fn walk(simulator: &Simulator, path: &str, count: usize) -> (Vec<Value>, usize, u64) {
    let separator = if path.contains('?') { '&' } else { '?' };
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let page = format!("{path}{separator}count={count}&offset={}", all.len());
        let reply = fetch(simulator, &page).await;
        let found = rows(&reply, path);
        let last = found.len() < count;
        all.extend(found);
        pages += 1;
        if last {
            return (all, pages, reply.json()["total_items"].as_u64().unwrap());
        }
    }
}

fn texts(rows: &[Value], field: &str) -> Vec<String> {
    rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn tables_have_three_pages_of_a_thousand_and_each_key_once() {
    let simulator = start().await;
    for path in ["/campaigns", "/reports", HATS] {
        let (all, pages, total) = walk(&simulator, path, 1_000).await;
        let ids: BTreeSet<String> = texts(&all, "id").into_iter().collect();
        assert_eq!((ids.len(), u64::try_from(all.len()).unwrap()), (all.len(), total), "{path}");
        assert!(pages >= 3, "{path}: {pages}");
    }
    let lists =
        frozen().0.source("mailchimp").rows("mailchimp", "lists", 2_100).start().await.unwrap();
    assert_eq!(walk(&lists, "/lists", 1_000).await.1, 3);
}

#[tokio::test]
async fn some_audiences_are_small_one_is_empty_and_people_are_in_several() {
    let simulator = start().await;
    let (lists, _, _) = walk(&simulator, "/lists", 1_000).await;
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    for list in &lists {
        let path = format!("/lists/{}/members", list["id"].as_str().unwrap());
        let (members, _, _) = walk(&simulator, &path, 1_000).await;
        assert!(members.iter().all(|member| member["list_id"] == list["id"]));
        sizes.push(members.len());
        ids.extend(texts(&members, "id"));
    }
    assert!(lists.len() >= 10 && sizes[0] > 2_000 && sizes[1] == 0, "{sizes:?}");
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert!(distinct.len() < ids.len());
}

#[tokio::test]
async fn bounds_of_times_are_exclusive_and_orders_as_asked_for() {
    let simulator = start().await;
    let cases = [
        (HATS, "last_changed", "sort_field=last_changed&sort_dir=ASC"),
        ("/campaigns", "create_time", "sort_field=create_time&sort_dir=ASC"),
        ("/reports", "send_time", ""),
        ("/lists", "date_created", "sort_field=date_created&sort_dir=ASC"),
    ];
    for (path, field, sort) in cases {
        let (all, _, _) = walk(&simulator, &format!("{path}?{sort}"), 1_000).await;
        let mut times = texts(&all, field);
        if sort.is_empty() {
            times.reverse();
        }
        assert!(times.is_sorted(), "{path}");
        let distinct: BTreeSet<&String> = times.iter().collect();
        assert!(distinct.len() < times.len(), "{path} has no ties");
        let (low, high) = (&times[times.len() / 4], &times[times.len() / 2]);
        let bounds = format!("since_{field}={low}&before_{field}={high}").replace('+', "%2B");
        let (found, _, total) = walk(&simulator, &format!("{path}?{sort}&{bounds}"), 1_000).await;
        let within = times.iter().filter(|time| *time > low && *time < high).count();
        assert_eq!((found.len(), total), (within, within as u64), "{path}");
    }
    let (newest, _, _) =
        walk(&simulator, &format!("{HATS}?sort_field=last_changed&sort_dir=DESC"), 1_000).await;
    assert!(texts(&newest, "last_changed").iter().rev().is_sorted());
}

#[tokio::test]
async fn archived_members_are_listed_only_when_asked_for() {
    let simulator = start().await;
    let statuses = |rows: &[Value]| texts(rows, "status").into_iter().collect::<BTreeSet<_>>();
    let (usual, _, _) = walk(&simulator, HATS, 1_000).await;
    let expected = ["cleaned", "pending", "subscribed", "transactional", "unsubscribed"];
    assert_eq!(statuses(&usual).iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let (archived, _, _) = walk(&simulator, &format!("{HATS}?status=archived"), 1_000).await;
    assert_eq!(statuses(&archived).len(), 1);
    let stored = simulator.records("mailchimp", "aa11bb22cc/members").unwrap();
    assert_eq!(stored.len(), usual.len() + archived.len());
}

#[tokio::test]
async fn what_has_not_happened_yet_is_an_empty_text() {
    let simulator = start().await;
    let (campaigns, _, _) = walk(&simulator, "/campaigns", 1_000).await;
    let (reports, _, _) = walk(&simulator, "/reports", 1_000).await;
    let unsent = campaigns.iter().filter(|campaign| campaign["send_time"] == "").count();
    let sent = campaigns.iter().filter(|campaign| campaign["status"] == "sent");
    let sent: BTreeSet<&str> = sent.map(|campaign| campaign["id"].as_str().unwrap()).collect();
    let reported: BTreeSet<&str> = reports.iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert!(unsent > 100);
    assert_eq!(reported, sent);
    assert!(reports.iter().any(|report| report["opens"]["last_open"] == ""));
}

#[tokio::test]
async fn envelopes_have_totals_links_and_constraints() {
    let simulator = start().await;
    let reply = fetch(&simulator, "/lists?count=1").await.json();
    assert_eq!(
        reply["constraints"],
        json!({"may_create": true, "max_instances": 5000, "current_total_instances": 12})
    );
    assert_eq!(reply["_links"][0]["rel"], "self");
    assert_eq!(fetch(&simulator, HATS).await.json()["list_id"], "aa11bb22cc");
    assert_eq!(rows(&fetch(&simulator, "/campaigns").await, "/campaigns").len(), 10);
    assert_eq!(
        fetch(&simulator, "/ping").await.json(),
        json!({"health_status": "Everything's Chimpy!"})
    );
    let list = fetch(&simulator, "/lists/aa11bb22cc").await.json();
    assert_eq!(list["name"], "Freddie's Favorite Hats");
}

#[tokio::test]
async fn fields_of_the_answer_are_chosen_or_left_out_by_path() {
    let simulator = start().await;
    let chosen = fetch(&simulator, "/lists?count=1&fields=lists.id,lists.stats.member_count").await;
    let row = &chosen.json()["lists"][0];
    assert_eq!(
        chosen.json(),
        json!({"lists": [{"id": row["id"], "stats": {"member_count": row["stats"]["member_count"]}}]})
    );
    let full = fetch(&simulator, &format!("{HATS}?count=1")).await.json();
    let lean = format!("{HATS}?count=1&exclude_fields=members._links,_links");
    let lean = fetch(&simulator, &lean).await.json();
    let mut expected = full.clone();
    expected.as_object_mut().unwrap().remove("_links");
    expected["members"][0].as_object_mut().unwrap().remove("_links");
    assert_eq!(lean, expected);
    assert_ne!(lean, full);
}

#[tokio::test]
async fn refusals_are_problem_details() {
    let simulator =
        frozen().0.source("mailchimp").credential("mailchimp", "p").start().await.unwrap();
    let cases = [
        ("/lists?count=1001", 400, "Invalid Resource"),
        ("/lists?count=x", 400, "Invalid Resource"),
        ("/lists?sort_field=x", 400, "Invalid Resource"),
        ("/campaigns?since_create_time=x", 400, "Invalid Resource"),
        ("/lists/aa11bb22cc/members?status=x", 400, "Invalid Resource"),
        ("/lists/nope/members", 404, "Resource Not Found"),
        ("/nope", 404, "Resource Not Found"),
    ];
    let refusal = |reply: &Reply| {
        let problem = reply.header("content-type").unwrap().starts_with("application/problem+json");
        let body = reply.json();
        assert!(problem && body["detail"].is_string() && body["instance"].is_string());
        (reply.status, body["status"].clone(), body["title"].clone())
    };
    for (path, status, title) in cases {
        let reply = fetch(&simulator, path).await;
        assert_eq!(refusal(&reply), (status, json!(status), json!(title)), "{path}");
    }
    let url = format!("{}/3.0/lists", simulator.base_url("mailchimp"));
    // Base64 of "x:wrong" and of "anystring:p".
    for (headers, title) in
        [("", "API Key Missing"), ("authorization: Basic eDp3cm9uZw==\r\n", "API Key Invalid")]
    {
        assert_eq!(refusal(&get(&url, headers).await), (401, json!(401), json!(title)));
    }
    assert_eq!(get(&url, "authorization: Basic YW55c3RyaW5nOnA=\r\n").await.status, 200);
    assert_eq!(fetch(&simulator, &format!("{HATS}?vip_only=true")).await.status, 501);
}

/// Ten requests that are never answered, and the status of one more; then of one after the ten
/// clients are gone.
async fn beside_ten(builder: Builder) -> [u16; 2] {
    let simulator = builder.source("mailchimp").start().await.unwrap();
    simulator.fault(Fault::new(FaultKind::BlackHole).on("/mailchimp/3.0/ping"));
    let url = format!("{}/3.0/ping", simulator.base_url("mailchimp"));
    let ping = |url: String| async move { get(&url, BASIC).await.status };
    let waiting: Vec<_> = (0..10).map(|_| tokio::spawn(ping(url.clone()))).collect();
    while simulator.requests().len() < 10 {
        tokio::task::yield_now().await;
    }
    let crowded = fetch(&simulator, "/lists?count=1").await.status;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    let mut after = fetch(&simulator, "/lists?count=1").await.status;
    while after == 429 {
        after = fetch(&simulator, "/lists?count=1").await.status;
    }
    [crowded, after]
}

#[tokio::test]
async fn an_eleventh_connection_at_a_time_is_refused_where_limits_are_enforced() {
    assert_eq!(beside_ten(frozen().0).await, [200, 200]);
    assert_eq!(beside_ten(frozen().0.enforce_rate_limits("mailchimp")).await, [429, 200]);
}

#[tokio::test]
async fn members_change_where_they_are_and_leave_with_their_list() {
    let simulator = start().await;
    let member = json!({
        "id": "b642b4217b34b1e8d3bd915fc65c4452",
        "list_id": "dd33ee44ff",
        "status": "subscribed",
        "last_changed": "2030-01-01T00:00:00+00:00",
    });
    simulator.upsert("mailchimp", "members", &member).unwrap();
    let (found, _, _) = walk(&simulator, "/lists/dd33ee44ff/members", 10).await;
    assert_eq!(found, [member]);
    assert!(simulator.remove("mailchimp", "lists", "dd33ee44ff").unwrap());
    assert_eq!(fetch(&simulator, "/lists/dd33ee44ff/members").await.status, 404);
    assert_eq!(simulator.records("mailchimp", "dd33ee44ff/members").unwrap(), [json!(null); 0]);
}
