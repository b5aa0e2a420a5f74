//! Records that belong together, by a description of its own: orders with lines and a receipt each.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod common;

use common::{BASIC, NOW, frozen, get};
use lakeflow_simulator::Simulator;
use serde_json::{Value, json};

const ENDPOINTS: &str = "
auth: {scheme: basic, missing: {status: 401}, rejected: {status: 401}}
errors:
  not_found: {status: 404}
  invalid_parameter: {status: 400}
  invalid_body: {status: 400}
collections:
  orders:
    unique: [id, receipt]
    fields: {id: integer, shop: text, paid: text}
    touch: {stamp: [changed], stamp_new: [changed]}
    links: [{to: receipts, by: receipt, field: id, copy: [changed]}]
  receipts:
    unique: [id]
    fields: {id: text, changed: instant}
    touch: {stamp: [changed]}
    links:
      - to: orders
        by: id
        field: receipt
        copy: [changed]
        create: {id: \"${record.number}\", receipt: \"${record.id}\", changed: \"${record.changed}\"}
  lines:
    unique: [id]
    fields: {id: integer}
    scope: {field: order, prefix: '', default: '0'}
    touch: {stamp_new: [made]}
    links:
      - {to: orders, by: order, field: id, raise: {changed: made}}
routes:
  - on: GET /orders
    answer:
      list: &orders
        collection: orders
        filters: [{field: shop, op: equal, default: a}, {param: paid, field: paid, op: equal, default: any, any: any, cases: {yes: {paid: true}, no: {paid: false}}}]
        shape: {hide: [lines]}
        empty: {status: 409, body: {error: no orders}}
        sort: {param: sort, default: id, fields: {id: id, last: id}, reversed: [last]}
        paging: {page_param: page, invalid: error, size: 9, max_size: 9}
        body: {records: \"${rows}\"}
  - on: GET /guarded/{word}
    guards: [{value: \"${word}\", is: open, refusal: {status: 403, body: {error: \"'${word}' is shut\"}}}]
    answer: {list: *orders}
  - on: GET /orders/{order}/lines
    parent: {collection: orders, field: id, value: \"${order}\"}
    scope: \"${parent.id}\"
    answer:
      list:
        collection: lines
        sort: {default: id}
        paging: {page_param: page, invalid: error, size: 9, max_size: 9}
        body: {records: \"${rows}\"}
";

const CORPUS: &str = "
collections:
  orders:
    rows: 4
    each: [{shop: b}]
    values:
      id: {sequence: {start: 1}}
      shop: {choice: [a]}
      code: {sequence: {width: 2}}
      paid: {if: {value: id, is: '3', then: {choice: [cash]}}}
      changed: {time: {start: '2024-01-01T00:00:00Z', step_seconds: 60}}
    record: {id: '${id}', shop: '${shop}', receipt: 'r${code}', paid: '${paid}', changed: '${changed}', lines: []}
  receipts:
    from: {collection: orders, when: receipt}
    values:
      code: {hex: 8}
    record: {id: '${of.receipt}', number: '${of.id}', changed: '${of.changed}', code: '${code}'}
  lines:
    from: {collection: orders, times: [1, 2], first: 3}
    values:
      id: {sequence: {start: 10}}
      first: {template: '2023-12-31T00:00:00Z'}
      last: {template: '${of.changed}'}
      made: {between: {from: first, to: last}}
    record: {id: '${id}', order: '${of.id}', made: '${made}'}
";

async fn start() -> Simulator {
    frozen().0.spec("shop", ENDPOINTS, CORPUS).start().await.unwrap()
}

fn find(simulator: &Simulator, collection: &str, key: &Value) -> Option<Value> {
    let records = simulator.records("shop", collection).unwrap();
    records.into_iter().find(|record| record["id"] == *key)
}

fn changed(simulator: &Simulator, number: u64) -> [Value; 2] {
    let order = find(simulator, "orders", &json!(number)).unwrap();
    let receipt = find(simulator, "receipts", &order["receipt"]).unwrap();
    [order["changed"].clone(), receipt["changed"].clone()]
}

#[tokio::test]
async fn records_come_from_others_and_agree_with_them() {
    let simulator = start().await;
    let orders = simulator.records("shop", "orders").unwrap();
    let receipts = simulator.records("shop", "receipts").unwrap();
    let of = |field: &str| orders.iter().map(|order| order[field].clone()).collect::<Vec<_>>();
    let own = |field: &str| receipts.iter().map(|own| own[field].clone()).collect::<Vec<_>>();
    assert_eq!((own("id"), own("changed")), (of("receipt"), of("changed")));
    assert!(receipts.iter().all(|own| own["code"].as_str().unwrap().len() == 8));

    let lines = simulator.records("shop", "1/lines").unwrap();
    assert_eq!(lines.len(), 3);
    for line in simulator.records("shop", "lines").unwrap() {
        let order = find(&simulator, "orders", &line["order"]).unwrap();
        let made = line["made"].as_str().unwrap();
        assert!(("2023-12-31T00:00:00Z"..=order["changed"].as_str().unwrap()).contains(&made));
    }
}

#[tokio::test]
async fn a_change_of_one_reaches_the_others() {
    let simulator = start().await;
    simulator.with_world(|world| world.touch("shop", "receipts", "r01")).unwrap();
    assert_eq!(changed(&simulator, 2), [NOW, NOW]);
    simulator.patch("shop", "orders", 3, &json!({"changed": "2024-05-05T00:00:00Z"})).unwrap();
    assert_eq!(changed(&simulator, 3), ["2024-05-05T00:00:00Z"; 2]);

    let line = |made: &str| json!({"id": 99, "order": 1, "made": made});
    let later = "2024-06-06T00:00:00Z";
    simulator.upsert("shop", "lines", &line(later)).unwrap();
    assert_eq!(changed(&simulator, 1), [later; 2]);
    simulator.upsert("shop", "lines", &line("2020-01-01T00:00:00Z")).unwrap();
    assert_eq!(changed(&simulator, 1), [later; 2]);
    simulator.with_world(|world| world.touch("shop", "lines", 99)).unwrap();
    assert_eq!(changed(&simulator, 1), [NOW, NOW]);
}

#[tokio::test]
async fn new_records_bring_what_belongs_to_them_and_removed_ones_take_it_along() {
    let simulator = start().await;
    let ids = |collection: &str| {
        let records = simulator.records("shop", collection).unwrap();
        records.iter().map(|record| record["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("receipts"), ["r00", "r01", "r02", "r03"]);
    simulator.with_world(|world| world.grow("shop", "receipts", 1)).unwrap();
    assert_eq!((ids("receipts").len(), ids("orders").len()), (5, 5));
    assert_eq!(changed(&simulator, 5), [NOW, NOW]);

    let receipt = json!({"id": "own", "number": 70, "changed": "2025-01-01T00:00:00Z"});
    simulator.upsert("shop", "receipts", &receipt).unwrap();
    assert_eq!(changed(&simulator, 70), ["2025-01-01T00:00:00Z"; 2]);

    let lines = ids("lines").len();
    simulator.with_world(|world| world.grow("shop", "lines", 2)).unwrap();
    assert_eq!(ids("lines").len(), lines + 2);

    assert!(simulator.remove("shop", "receipts", "r00").unwrap());
    assert_eq!(find(&simulator, "orders", &json!(1)), None);
    assert_eq!(simulator.records("shop", "1/lines").unwrap(), [json!(null); 0]);

    let order = json!({"id": 8, "receipt": "r08", "changed": "2025-01-01T00:00:00Z"});
    simulator.with_world(|world| world.replace("shop", "orders", &[order])).unwrap();
    assert_eq!((ids("receipts"), ids("lines").len()), (vec![json!("r08")], 3));
    let receipt = json!({"id": "r09", "number": 9, "changed": "2025-01-01T00:00:00Z"});
    simulator.with_world(|world| world.replace("shop", "receipts", &[receipt])).unwrap();
    assert_eq!(ids("orders"), [9]);
}

#[tokio::test]
async fn lists_choose_hide_and_refuse_as_described() {
    let simulator = start().await;
    let base = simulator.base_url("shop");
    let cases = [
        ("orders", 200, json!([2, 3, 4])),
        ("orders?sort=last", 200, json!([4, 3, 2])),
        ("orders?paid=yes", 200, json!([3])),
        ("orders?paid=no", 200, json!([2, 4])),
        ("orders?paid=any", 200, json!([2, 3, 4])),
        ("guarded/open", 200, json!([2, 3, 4])),
        ("orders/1/lines", 200, json!([10, 11, 12])),
    ];
    for (path, status, ids) in cases {
        let reply = get(&format!("{base}/{path}"), BASIC).await;
        assert_eq!((reply.status, json!(reply.column("id"))), (status, ids), "{path}");
        let shown = path.contains("lines") || reply.column("lines").iter().all(Value::is_null);
        assert!(shown, "{path}");
    }
    let reply = get(&format!("{base}/guarded/x"), BASIC).await;
    assert_eq!((reply.status, reply.json()), (403, json!({"error": "'x' is shut"})));
    simulator.with_world(|world| world.replace("shop", "orders", &[])).unwrap();
    let reply = get(&format!("{base}/orders"), BASIC).await;
    assert_eq!((reply.status, reply.json()), (409, json!({"error": "no orders"})));
}

#[tokio::test]
async fn one_record_each_has_no_number_of_its_own_and_many_have_a_most() {
    let builder = || frozen().0.spec("shop", ENDPOINTS, CORPUS);
    let error = builder().rows("shop", "receipts", 5).start().await.err().unwrap();
    assert_eq!(
        error.message(),
        "each record of 'orders' has one of 'receipts': give its number of rows"
    );
    for (most, lines) in [(2, 2), (5, 3)] {
        let simulator = builder().rows("shop", "1/lines", most).start().await.unwrap();
        assert_eq!(simulator.records("shop", "1/lines").unwrap().len(), lines, "{most}");
    }
}
