//! The `hubspot` description: lists, searches, batches, associations, properties, limits.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{NOW, Reply, frozen, get, send};
use lakeflow_simulator::{Fault, FaultKind, Simulator};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KEY: &str = "authorization: Bearer pat-na1-x\r\ncontent-type: application/json\r\n";

const TYPES: [&str; 10] = [
    "contacts",
    "companies",
    "deals",
    "tickets",
    "calls",
    "emails",
    "meetings",
    "tasks",
    "notes",
    "p7000001_vehicles",
];

async fn start() -> Simulator {
    frozen().0.source("hubspot").start().await.unwrap()
}

async fn ask(simulator: &Simulator, path: &str) -> Reply {
    get(&format!("{}{path}", simulator.base_url("hubspot")), KEY).await
}

async fn post(simulator: &Simulator, path: &str, body: &Value) -> Reply {
    let url = format!("{}{path}", simulator.base_url("hubspot"));
    send("POST", &url, KEY, &body.to_string()).await
}

fn ids(reply: &Reply) -> Vec<String> {
    let json = reply.json();
    let rows = json["results"].as_array().unwrap().clone();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn deal(id: u64, minute: u64, stage: &str) -> Value {
    let at = format!("2024-01-01T10:{minute:02}:00.123Z");
    json!({
        "id": id.to_string(),
        "properties": {
            "createdate": at, "hs_lastmodifieddate": at, "hs_object_id": id.to_string(),
            "dealstage": stage, "amount": "",
        },
        "createdAt": at, "updatedAt": at, "archived": false,
    })
}

/// Deals 1 to 6, two of them changed in the same millisecond.
async fn six() -> Simulator {
    let minutes = [30, 10, 20, 20, 50, 40];
    let deals = minutes.iter().zip(1..).map(|(minute, id)| deal(id, *minute, "open")).collect();
    frozen().0.source("hubspot").records("hubspot", "deals", deals).start().await.unwrap()
}

#[tokio::test]
async fn lists_of_every_type_have_three_pages_of_a_hundred() {
    let simulator = start().await;
    for kind in TYPES {
        for archived in ["false", "true"] {
            let path = format!("/crm/v3/objects/{kind}?limit=100&archived={archived}");
            let mut url = format!("{}{path}", simulator.base_url("hubspot"));
            let first = get(&url, KEY).await;
            if archived == "true" && ["calls", "meetings"].contains(&kind) {
                assert_eq!(first.status, 400, "{kind}");
                continue;
            }
            let (mut seen, mut pages) = (Vec::new(), 0);
            loop {
                let reply = get(&url, KEY).await;
                for row in reply.json()["results"].as_array().unwrap() {
                    assert_eq!(row["archived"].to_string(), archived);
                    assert_eq!(row["archivedAt"].is_string(), archived == "true");
                }
                seen.extend(ids(&reply));
                pages += 1;
                match reply.json()["paging"]["next"]["link"].as_str() {
                    Some(link) => url = link.to_owned(),
                    None => break,
                }
            }
            assert!(reply_pages(kind, archived) <= pages, "{kind} {archived}: {pages}");
            let distinct: BTreeSet<&String> = seen.iter().collect();
            assert_eq!(distinct.len(), seen.len());
        }
    }
}

/// The custom object is small; the rest has at least three pages, archived or not.
fn reply_pages(kind: &str, archived: &str) -> usize {
    if kind.starts_with('p') && archived == "true" { 1 } else { 3 }
}

#[tokio::test]
async fn properties_are_chosen_and_unset_ones_are_null() {
    let simulator = six().await;
    let row = async |query: &str| {
        ask(&simulator, &format!("/crm/v3/objects/deals?limit=1{query}")).await.json()["results"][0]
            .clone()
    };
    let at = "2024-01-01T10:30:00.123Z";
    assert_eq!(
        row("&properties=amount,dealname,nonsense").await,
        json!({
            "id": "1",
            "properties": {"createdate": at, "hs_lastmodifieddate": at, "hs_object_id": "1", "amount": "", "dealname": null},
            "createdAt": at, "updatedAt": at, "archived": false,
        })
    );
    assert_eq!(
        row("").await["properties"],
        json!({
            "createdate": at, "hs_lastmodifieddate": at, "hs_object_id": "1", "dealstage": "open",
            "amount": "", "closedate": null, "dealname": null, "pipeline": null,
        }),
        "the default properties of deals"
    );
    for refused in ["/deals?limit=101", "/deals?after=abc", "/deals?archived=maybe", "/boats"] {
        let reply = ask(&simulator, &format!("/crm/v3/objects{refused}")).await;
        assert_eq!(
            (reply.status, reply.json()["status"].clone()),
            (400, json!("error")),
            "{refused}"
        );
    }
    for same in ["deal", "0-3"] {
        assert_eq!(
            ids(&ask(&simulator, &format!("/crm/v3/objects/{same}?limit=2")).await),
            ["1", "2"]
        );
    }
}

#[tokio::test]
async fn searches_filter_sort_and_page_by_offset() {
    let simulator = six().await;
    let group = |filters: Value| json!({"filters": filters});
    let changed = |operator: &str, value: &str| json!({"propertyName": "hs_lastmodifieddate", "operator": operator, "value": value});
    let id = |operator: &str, value: &str| json!({"propertyName": "hs_object_id", "operator": operator, "value": value});
    // 10:20:00.123 of 2024-01-01 in milliseconds.
    let twenty = "1704104400123";
    let between = json!({"propertyName": "hs_lastmodifieddate", "operator": "BETWEEN", "value": twenty, "highValue": "2024-01-01T10:30:00.123Z"});
    let either =
        json!({"propertyName": "hs_object_id", "operator": "IN", "values": ["6", "2", "9"]});
    let cases: [(Value, &[&str]); 8] = [
        (json!([]), &["2", "3", "4", "1", "6", "5"]),
        (json!([group(json!([changed("GTE", twenty)]))]), &["3", "4", "1", "6", "5"]),
        (json!([group(json!([changed("GT", twenty)]))]), &["1", "6", "5"]),
        (json!([group(json!([changed("LT", twenty)]))]), &["2"]),
        (json!([group(json!([between]))]), &["3", "4", "1"]),
        (json!([group(json!([changed("EQ", twenty), id("GT", "3")]))]), &["4"]),
        (
            json!([
                group(json!([changed("GT", twenty), id("LTE", "5")])),
                group(json!([changed("EQ", twenty)]))
            ]),
            &["3", "4", "1", "5"],
        ),
        (json!([group(json!([either]))]), &["2", "6"]),
    ];
    let sorts = json!([{"propertyName": "hs_lastmodifieddate", "direction": "ASCENDING"}]);
    for (groups, expected) in cases {
        let body = json!({"filterGroups": groups, "sorts": sorts, "limit": 200});
        let reply = post(&simulator, "/crm/v3/objects/deals/search", &body).await;
        assert_eq!(ids(&reply), *expected, "{groups}");
        assert_eq!(reply.json()["total"], json!(expected.len()));
        assert_eq!(reply.json().get("paging"), None);
    }
    let body = json!({"sorts": sorts, "limit": 4, "properties": ["amount"], "after": "0"});
    let first = post(&simulator, "/crm/v3/objects/deals/search", &body).await.json();
    assert_eq!(first["paging"], json!({"next": {"after": "4"}}));
    assert_eq!(first["results"][0].get("associations"), None);
    let body = json!({"sorts": sorts, "limit": 4, "after": "4"});
    let second = post(&simulator, "/crm/v3/objects/deals/search", &body).await;
    assert_eq!(ids(&second), ["6", "5"]);
}

#[tokio::test]
async fn searches_beyond_the_limits_are_refused() {
    let simulator = six().await;
    let filter = json!({"propertyName": "hs_object_id", "operator": "GT", "value": "1"});
    let filters = |n: usize| json!({"filters": vec![filter.clone(); n]});
    let sort = json!({"propertyName": "hs_object_id"});
    let long: Vec<String> = (0..300).map(|n| format!("property_{n:03}")).collect();
    let refused = [
        json!({"limit": 201}),
        json!({"after": "9900", "limit": 101}),
        json!({"after": "x"}),
        json!({"filterGroups": [filters(7)]}),
        json!({"filterGroups": vec![filters(1); 6]}),
        json!({"filterGroups": vec![filters(5); 4]}),
        json!({"sorts": [sort, sort]}),
        json!({"properties": long}),
        json!({"filterGroups": [{"filters": [{"propertyName": "hs_object_id", "operator": "LIKE", "value": "1"}]}]}),
        json!({"filterGroups": [{"filters": [{"propertyName": "hs_object_id", "operator": "GT"}]}]}),
        json!("no object"),
    ];
    for body in refused {
        let reply = post(&simulator, "/crm/v3/objects/deals/search", &body).await;
        assert_eq!(
            (reply.status, reply.json()["category"].clone()),
            (400, json!("VALIDATION_ERROR")),
            "{body}"
        );
    }
    let last = json!({"after": "9900", "limit": 100});
    assert_eq!(post(&simulator, "/crm/v3/objects/deals/search", &last).await.status, 200);
    let unknown = json!({"filterGroups": [{"filters": [{"propertyName": "amount", "operator": "GT", "value": "1"}]}]});
    assert_eq!(post(&simulator, "/crm/v3/objects/deals/search", &unknown).await.status, 501);
}

#[tokio::test]
async fn a_change_reaches_the_search_after_the_index_delay() {
    let (builder, clock) = frozen();
    let deals = vec![deal(1, 10, "open"), deal(2, 20, "open")];
    let simulator = builder
        .source("hubspot")
        .records("hubspot", "deals", deals)
        .default_faults(true)
        .start()
        .await
        .unwrap();
    simulator.with_world(|world| world.touch("hubspot", "deals", 1)).unwrap();
    let found = async || ids(&post(&simulator, "/crm/v3/objects/deals/search", &json!({})).await);
    assert_eq!(found().await, ["2"]);
    assert_eq!(ids(&ask(&simulator, "/crm/v3/objects/deals").await), ["1", "2"]);
    clock.set(common::at(NOW).plus_nanos(10_000_000_000));
    assert_eq!(found().await, ["1", "2"]);
    let touched = simulator.records("hubspot", "deals").unwrap()[0].clone();
    let now = "2031-03-01T10:00:00.000Z";
    assert_eq!(
        (&touched["updatedAt"], &touched["properties"]["hs_lastmodifieddate"]),
        (&json!(now), &json!(now))
    );
}

#[tokio::test]
async fn batches_read_what_is_there_and_tell_what_is_not() {
    let simulator = six().await;
    simulator.patch("hubspot", "deals", 4, &json!({"archived": true, "archivedAt": NOW})).unwrap();
    let read = async |query: &str, ids: &[&str]| {
        let inputs: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        let body = json!({"inputs": inputs, "properties": ["amount"]});
        post(&simulator, &format!("/crm/v3/objects/deals/batch/read{query}"), &body).await
    };
    let whole = read("", &["2", "1"]).await;
    assert_eq!((whole.status, ids(&whole)), (200, vec!["2".to_owned(), "1".to_owned()]));
    assert_eq!(whole.json()["results"][0]["properties"]["amount"], "");
    let partial = read("", &["2", "4", "77"]).await;
    assert_eq!((partial.status, ids(&partial)), (207, vec!["2".to_owned()]));
    assert_eq!(partial.json()["errors"][0]["context"]["ids"], json!(["4", "77"]));
    assert_eq!(ids(&read("?archived=true", &["4"]).await), ["4"]);
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(read("", &many).await.status, 400);
}

#[tokio::test]
async fn associations_agree_in_lists_batches_and_both_directions() {
    let simulator = start().await;
    let hub = "2100001";
    let mut found = BTreeSet::new();
    let mut input = json!({"id": hub});
    let mut pages = 0;
    loop {
        let body = json!({"inputs": [input]});
        let reply =
            post(&simulator, "/crm/v4/associations/companies/contacts/batch/read", &body).await;
        assert_eq!(reply.status, 200);
        let result = reply.json()["results"][0].clone();
        assert_eq!(result["from"], json!({"id": hub}));
        for to in result["to"].as_array().unwrap() {
            assert_eq!(to["associationTypes"][0]["typeId"], 2);
            found.insert(to["toObjectId"].as_u64().unwrap().to_string());
        }
        pages += 1;
        match result["paging"]["next"]["after"].as_str() {
            Some(after) => input = json!({"id": hub, "after": after}),
            None => break,
        }
    }
    assert!(pages >= 3, "{pages}");

    let row =
        ask(&simulator, &format!("/crm/v3/objects/companies/{hub}?associations=contacts,deals"))
            .await
            .json();
    let inside = &row["associations"]["contacts"];
    assert_eq!(inside["results"].as_array().unwrap().len(), 100);
    assert_eq!(inside["results"][0]["type"], "company_to_contact");
    assert!(inside["paging"]["next"]["after"].is_string());
    let listed = ask(&simulator, &format!("/crm/v4/objects/companies/{hub}/associations/contacts"))
        .await
        .json();
    assert_eq!(listed["results"].as_array().unwrap().len(), found.len().min(500));

    let mut live = 0;
    for contact in found.iter().take(20) {
        let path = format!("/crm/v3/objects/contacts/{contact}?associations=companies");
        let reply = ask(&simulator, &path).await;
        if reply.status == 404 {
            continue; // Archived.
        }
        let back = reply.json()["associations"]["companies"]["results"].clone();
        let expected = json!({"id": hub, "type": "contact_to_company"});
        assert!(back.as_array().unwrap().contains(&expected), "{back}");
        live += 1;
    }
    assert!(live > 5);
    let body = json!({"inputs": [{"id": hub}, {"id": "404"}]});
    let partial =
        post(&simulator, "/crm/v4/associations/companies/contacts/batch/read", &body).await;
    assert_eq!(
        (partial.status, partial.json()["errors"][0]["context"]["fromObjectId"].clone()),
        (207, json!(["404"]))
    );
}

#[tokio::test]
async fn properties_describe_every_value_and_overflow_a_url() {
    let simulator = start().await;
    for kind in TYPES {
        let v3 = ask(&simulator, &format!("/crm/v3/properties/{kind}")).await.json();
        let v2 = ask(&simulator, &format!("/properties/v2/{kind}/properties")).await.json();
        let names = |list: &Value| -> BTreeSet<String> {
            list.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().into()).collect()
        };
        let known = names(&v3["results"]);
        assert_eq!(known, names(&v2), "{kind}");
        let records = simulator.records("hubspot", kind).unwrap();
        let mut filled = BTreeSet::new();
        for record in &records {
            for (name, value) in record["properties"].as_object().unwrap() {
                assert!(value.is_string(), "{kind} {name}");
                filled.insert(name.clone());
            }
        }
        assert_eq!(filled, known, "{kind}");
    }
    let contacts = ask(&simulator, "/crm/v3/properties/contacts").await.json();
    let names: Vec<&str> =
        contacts["results"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
    assert!(names.len() > 200);
    let path = format!("/crm/v3/objects/contacts?properties={}", names.join(","));
    assert_eq!(ask(&simulator, &path).await.status, 414);
    let body = json!({"inputs": [{"id": "1100001"}], "properties": names});
    let reply = post(&simulator, "/crm/v3/objects/contacts/batch/read", &body).await;
    assert!(reply.status == 200 || reply.status == 207);
    let schemas = ask(&simulator, "/crm/v3/schemas").await.json();
    let custom = schemas["results"][0]["objectTypeId"].as_str().unwrap().to_owned();
    assert_eq!(ask(&simulator, &format!("/crm/v3/objects/{custom}?limit=3")).await.status, 200);
    assert_eq!(ask(&simulator, "/crm/v3/objects/vehicles").await.status, 400);
}

#[tokio::test]
async fn search_and_the_rest_have_limits_of_their_own() {
    let (builder, clock) = frozen();
    let simulator = builder.source("hubspot").enforce_rate_limits("hubspot").start().await.unwrap();
    let search = async || post(&simulator, "/crm/v3/objects/deals/search", &json!({})).await;
    for _ in 0..5 {
        assert_eq!(search().await.status, 200);
    }
    let refused = search().await;
    assert_eq!((refused.status, refused.json()["policyName"].clone()), (429, json!("SECONDLY")));
    assert_eq!(refused.header("x-hubspot-ratelimit-remaining"), None);
    clock.set(common::at(NOW).plus_nanos(1_000_000_000));
    assert_eq!(search().await.status, 200);
    let list = async || ask(&simulator, "/crm/v3/objects/deals?limit=1").await;
    for remaining in (0..100).rev() {
        let reply = list().await;
        let shown = remaining.to_string();
        assert_eq!(reply.header("x-hubspot-ratelimit-remaining"), Some(shown.as_str()));
    }
    let refused = list().await;
    assert_eq!(
        (refused.status, refused.json()["policyName"].clone()),
        (429, json!("TEN_SECONDLY_ROLLING"))
    );
}

#[tokio::test]
async fn tokens_repeat_and_run_in_circles_on_demand() {
    let simulator = six().await;
    let after = |reply: &Reply| {
        let json = reply.json();
        json["paging"]["next"]["after"].as_str().map(str::to_owned)
    };
    let page = async |after: &str| {
        let mut url = url::form_urlencoded::Serializer::new(String::new());
        url.append_pair("limit", "2");
        if !after.is_empty() {
            url.append_pair("after", after);
        }
        ask(&simulator, &format!("/crm/v3/objects/deals?{}", url.finish())).await
    };
    simulator.fault(Fault::new(FaultKind::RestartLink).every(2));
    let first = page("").await;
    let second = page(&after(&first).unwrap()).await;
    assert_eq!(
        (ids(&first), ids(&second)),
        (vec!["1".into(), "2".into()], vec!["3".into(), "4".into()])
    );
    assert_eq!(ids(&page(&after(&second).unwrap()).await), ["1", "2"]);
    simulator.clear_faults();
    simulator.fault(Fault::new(FaultKind::RepeatLink));
    let token = after(&first).unwrap();
    let again = page(&token).await;
    assert_eq!(after(&again), Some(token));

    let body = json!({"limit": 2, "after": "2"});
    let search = post(&simulator, "/crm/v3/objects/deals/search", &body);
    assert_eq!(search.await.json()["paging"]["next"]["after"], "2");
}
