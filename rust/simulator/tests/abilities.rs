//! What a description can say beyond the embedded sources: keys, tokens, pages, fields, children.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{Reply, at, frozen, get, send};
use lakeflow_simulator::{Builder, Fault, FaultKind, Simulator};
use serde_json::{Value, json};

const ENDPOINTS: &str = r#"
auth:
  scheme: header
  header: x-shop-key
  missing: {status: 401, body: {error: missing}}
  rejected: {status: 401, body: {error: rejected}}
rate_limit:
  kind: leaky_bucket
  limit: 4
  leak_per_second: 2
  headers: {x-calls: "${used}/${limit}"}
  exceeded: {status: 429, headers: {retry-after: "${retry_after}.0"}, body: {error: slow down}}
errors:
  not_found: {status: 404, body: {error: nothing}}
  invalid_parameter: {status: 400, body: {error: "${parameter}=${value}"}}
  invalid_body: {status: 400, body: {error: body}}
collections:
  orders:
    unique: [id]
    fields: {id: integer, status: text, changed: instant}
  lines:
    unique: [id]
    fields: {order: integer}
routes:
  - on: GET /orders
    answer:
      list:
        collection: orders
        filters:
          - {param: status, field: status, op: equal, default: open, any: any}
          - {param: ids, field: id, op: among, max: 3}
          - {param: since, field: changed, op: at_or_after}
        sort: {default: id}
        paging: {style: cursor, page_param: page_info, size_param: limit, size: 2, max_size: 9, beside_token: [fields], link_path: /orders}
        shape: {select: {param: fields}, embed: [{into: lines, children: {collection: lines, field: order, value: "${row.id}", max: 9}}]}
        body: {orders: "${rows}"}
  - on: GET /offset
    answer:
      list:
        collection: orders
        sort: {default: id, descending: true}
        paging: {style: offset, page_param: offset, size_param: count, size: 2, max_size: 9}
        shape: {body_fields: {include: fields, exclude: exclude_fields}}
        body: {orders: "${rows}", next: "${next_offset}", total: "${total}"}
  - on: GET /orders/{id}/lines
    parent: {collection: orders, field: id, value: "${id}"}
    answer:
      list:
        collection: lines
        filters: [{field: order, op: equal, default: "${id}"}]
        sort: {default: order}
        paging: {page_param: page, size: 9, max_size: 9}
        body: {lines: "${rows}"}
"#;
const CORPUS: &str = "collections: {orders: {rows: 0, record: {}}, lines: {rows: 0, record: {}}}";
const KEY: &str = "x-shop-key: k-123456\r\n";

fn order(id: u64, status: &str) -> Value {
    json!({"id": id, "status": status, "note": "n", "changed": format!("2024-01-0{id}T00:00:00Z")})
}

fn shop() -> Builder {
    let orders = (1..=6).map(|id| order(id, if id == 4 { "closed" } else { "open" })).collect();
    let lines = vec![json!({"id": 1, "order": 2}), json!({"id": 2, "order": 2})];
    frozen()
        .0
        .spec("shop", ENDPOINTS, CORPUS)
        .records("shop", "orders", orders)
        .records("shop", "lines", lines)
}

async fn ask(simulator: &Simulator, path: &str) -> Reply {
    get(&format!("{}{path}", simulator.base_url("shop")), KEY).await
}

fn ids(reply: &Reply) -> Vec<u64> {
    let json = reply.json();
    json["orders"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn tokens_keep_the_filters_and_allow_few_parameters_beside_them() {
    let simulator = shop().start().await.unwrap();
    let first = ask(&simulator, "/orders?status=any&since=2024-01-02T00:00:00Z").await;
    assert_eq!((ids(&first), first.link("previous")), (vec![2, 3], None));
    let next = first.link("next").unwrap();
    assert!(!next.contains("status") && !next.contains("since"), "{next}");
    let second = get(&next, KEY).await;
    assert_eq!(ids(&second), [4, 5]);
    assert_eq!(ids(&get(&second.link("previous").unwrap(), KEY).await), [2, 3]);
    let last = get(&second.link("next").unwrap(), KEY).await;
    assert_eq!((ids(&last), last.link("next")), (vec![6], None));

    let narrow = get(&format!("{next}&limit=1&fields=id"), KEY).await;
    assert_eq!(narrow.json(), json!({"orders": [{"id": 4}]}));
    let refused = get(&format!("{next}&status=any"), KEY).await;
    assert_eq!((refused.status, refused.json()), (400, json!({"error": "status=any"})));
    assert_eq!(ask(&simulator, "/orders?page_info=abc").await.status, 400);
}

#[tokio::test]
async fn fields_are_chosen_and_children_embedded_and_listed() {
    let simulator = shop().start().await.unwrap();
    let cases = [
        (
            "/orders?ids=2&fields=id,lines",
            json!({"orders": [{"id": 2, "lines": [{"id": 1, "order": 2}, {"id": 2, "order": 2}]}]}),
        ),
        ("/orders?ids=1&fields=lines", json!({"orders": [{"lines": []}]})),
        ("/orders/2/lines", json!({"lines": [{"id": 1, "order": 2}, {"id": 2, "order": 2}]})),
        ("/orders/1/lines", json!({"lines": []})),
        ("/orders/77/lines", json!({"error": "nothing"})),
        ("/orders?ids=1,2,3,4", json!({"error": "ids=1,2,3,4"})),
        ("/offset?fields=orders.id,total", json!({"orders": [{"id": 6}, {"id": 5}], "total": 6})),
        ("/offset?offset=4&exclude_fields=orders", json!({"next": null, "total": 6})),
        (
            "/offset?offset=3&count=1&fields=orders.id,next",
            json!({"orders": [{"id": 3}], "next": 4}),
        ),
        ("/offset?offset=x", json!({"error": "offset=x"})),
    ];
    for (path, expected) in cases {
        assert_eq!(ask(&simulator, path).await.json(), expected, "{path}");
    }
}

#[tokio::test]
async fn keys_in_a_header_are_checked_and_several_can_be_accepted() {
    let simulator =
        shop().credential("shop", "k-123456").credential("shop", "other-1").start().await.unwrap();
    let url = format!("{}/offset", simulator.base_url("shop"));
    let cases = [
        ("", 401, "missing"),
        ("authorization: Bearer k-123456\r\n", 401, "missing"),
        ("x-shop-key: wrong\r\n", 401, "rejected"),
        (KEY, 200, ""),
        ("x-shop-key: other-1\r\n", 200, ""),
    ];
    for (headers, status, error) in cases {
        let reply = get(&url, headers).await;
        let told = reply.json()["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!((reply.status, told.as_str()), (status, error), "{headers}");
    }
}

#[tokio::test]
async fn a_bucket_fills_leaks_and_tells_so() {
    let simulator = shop().enforce_rate_limits("shop").start().await.unwrap();
    for used in 1..=4 {
        let reply = ask(&simulator, "/offset").await;
        assert_eq!(reply.header("x-calls"), Some(format!("{used}/4").as_str()));
    }
    let refused = ask(&simulator, "/offset").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1.0")));
    let clock = format!("{}/_simulator/clock", simulator.url());
    send("POST", &clock, "", r#"{"advance_seconds": 1}"#).await;
    let reply = ask(&simulator, "/offset").await;
    assert_eq!((reply.status, reply.header("x-calls")), (200, Some("3/4")));
}

#[tokio::test]
async fn pages_can_lie_about_what_follows_in_every_style() {
    let simulator = shop().start().await.unwrap();
    simulator.fault(Fault::new(FaultKind::RestartLink).on("/shop/offset").every(2));
    simulator.fault(
        Fault::new(FaultKind::ForeignLink { origin: "http://127.0.0.2:1".into() })
            .on("/shop/orders"),
    );
    let next = async |path: &str| ask(&simulator, path).await.json()["next"].clone();
    assert_eq!(next("/offset?count=2").await, 2);
    assert_eq!(next("/offset?count=2&offset=2").await, 0);
    let link = ask(&simulator, "/orders").await.link("next").unwrap();
    assert!(link.starts_with("http://127.0.0.2:1/orders?"), "{link}");
    simulator.clear_faults();
    simulator.fault(Fault::new(FaultKind::RepeatLink));
    assert_eq!(next("/offset?count=2&offset=4").await, 4);
}

#[tokio::test]
async fn what_was_written_lately_is_hidden_while_a_fault_says_so() {
    let (builder, clock) = frozen();
    let simulator = builder
        .spec("shop", ENDPOINTS, CORPUS)
        .records("shop", "orders", vec![order(1, "open")])
        .start()
        .await
        .unwrap();
    simulator.fault(Fault::new(FaultKind::HideChanged { seconds: 30 }));
    simulator.upsert("shop", "orders", &order(2, "open")).unwrap();
    assert_eq!(ids(&ask(&simulator, "/orders").await), [1]);
    clock.set(at(common::NOW).plus_nanos(29_000_000_000));
    assert_eq!(ids(&ask(&simulator, "/orders").await), [1]);
    clock.set(at(common::NOW).plus_nanos(30_000_000_000));
    assert_eq!(ids(&ask(&simulator, "/orders").await), [1, 2]);
}

/// Asks the token endpoint of the source.
async fn token(simulator: &Simulator, form: &str) -> Reply {
    let url = format!("{}/oauth/token", simulator.base_url("shop"));
    send("POST", &url, "content-type: application/x-www-form-urlencoded\r\n", form).await
}

const CLIENT: &str = "client_id=client-1&client_secret=client-secret-1";

#[tokio::test]
async fn issued_tokens_open_the_source_until_they_expire() {
    let (builder, clock) = frozen();
    let simulator = builder.spec("shop", ENDPOINTS, CORPUS).oauth("shop").start().await.unwrap();
    let url = format!("{}/offset", simulator.base_url("shop"));
    let with = async |token: &str| {
        get(&url, &format!("authorization: Bearer {token}\r\n{KEY}")).await.status
    };
    assert_eq!(with("made-up").await, 401);
    let reply = token(&simulator, &format!("grant_type=client_credentials&{CLIENT}")).await;
    let issued = reply.json();
    let access = issued["access_token"].as_str().unwrap();
    assert_eq!(issued, json!({"access_token": access, "token_type": "bearer", "expires_in": 3600}));
    assert_eq!(with(access).await, 200);
    clock.set(at(common::NOW).plus_nanos(3_599_000_000_000));
    assert_eq!(with(access).await, 200);
    clock.set(at(common::NOW).plus_nanos(3_600_000_000_000));
    assert_eq!(with(access).await, 401);

    let again = token(&simulator, &format!("grant_type=client_credentials&{CLIENT}")).await.json();
    let access = again["access_token"].as_str().unwrap();
    assert_eq!(with(access).await, 200);
    let admin = format!("{}/_simulator/expire-tokens", simulator.url());
    assert_eq!(send("POST", &admin, "", r#"{"source": "shop"}"#).await.status, 200);
    assert_eq!(with(access).await, 401);
    assert_eq!(send("POST", &admin, "", r#"{"source": "nope"}"#).await.status, 400);

    let refused = [
        ("grant_type=client_credentials&client_id=client-1&client_secret=x", 401, "invalid_client"),
        (&*format!("grant_type=password&{CLIENT}"), 400, "unsupported_grant_type"),
        (&*format!("grant_type=refresh_token&refresh_token=x&{CLIENT}"), 400, "invalid_grant"),
    ];
    for (form, status, error) in refused {
        let reply = token(&simulator, form).await;
        assert_eq!((reply.status, reply.json()["error"].clone()), (status, json!(error)), "{form}");
    }
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_second_use_revokes_the_family() {
    let simulator = shop().oauth("shop").start().await.unwrap();
    let url = format!("{}/offset", simulator.base_url("shop"));
    let with =
        async |token: &str| get(&url, &format!("authorization: Bearer {token}\r\n")).await.status;
    let refresh = async |old: &str| {
        let form = format!("grant_type=refresh_token&refresh_token={old}&{CLIENT}");
        let reply = token(&simulator, &form).await;
        let json = reply.json();
        let text = |field: &str| json[field].as_str().unwrap_or_default().to_owned();
        (reply.status, text("access_token"), text("refresh_token"))
    };
    let (_, first, second_refresh) = refresh("refresh-token-1").await;
    let (_, second, third_refresh) = refresh(&second_refresh).await;
    assert_ne!(second_refresh, third_refresh);
    assert_eq!((with(&first).await, with(&second).await), (200, 200));
    assert_eq!(refresh("refresh-token-1").await.0, 400);
    assert_eq!((with(&first).await, with(&second).await), (401, 401));
    assert_eq!(refresh(&third_refresh).await.0, 400);
    let logged = simulator.requests();
    let refreshes = logged.iter().filter(|r| r.path == "/oauth/token").count();
    assert_eq!(refreshes, 4);
}
