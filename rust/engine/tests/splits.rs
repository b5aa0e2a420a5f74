//! Batch reads in splits: what is planned, and that all splits together are one whole read.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::{Play, common_ids};
use lakeflow_core::Options;
use lakeflow_engine::{Comparison, Engine, Filter, Split};
use lakeflow_testkit::list::{Flaw, ListService, upsert};
use lakeflow_testkit::rows::rows_of;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Hours of February 2031 and on, so that whole days are 24 apart.
fn hour(hours: i64) -> String {
    let day = lakeflow_core::Instant::parse("2031-02-20").unwrap();
    day.plus_nanos(i128::from(hours) * 3_600_000_000_000).to_rfc3339(0)
}

fn split(from: Option<&str>, upto: Option<&str>) -> Value {
    json!({"from": from, "upto": upto, "null": false, "until": "2031-03-01T12:00:00Z"})
}

const WHOLE: &str = r#"{"from":null,"upto":null,"null":false,"until":null}"#;

fn whole() -> Vec<Value> {
    vec![serde_json::from_str(WHOLE).unwrap()]
}

/// The splits for so many tasks at once, which share what the credential may send.
async fn plan(play: &Play, slots: usize) -> Vec<Value> {
    let reader = play.engine.batch(play.options(), None).await.unwrap();

    let splits = reader.plan(slots).await.unwrap();
    let at_once = splits.len().min(slots);
    let bounds = |split: &Split| {
        let mut json = split.to_json();
        assert_eq!(json.as_object_mut().unwrap().remove("at_once"), Some(at_once.into()));
        json
    };

    splits.iter().map(bounds).collect()
}

async fn refusal(play: &Play) -> String {
    match play.engine.describe(play.options()).await {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

/// All rows, read in these splits, as texts and sorted.
async fn rows(engine: &Engine, options: &Options, splits: &[Split]) -> Vec<String> {
    let mut rows = Vec::new();
    for split in splits {
        let split = Split::from_json(&split.to_json()).unwrap();
        let reader = engine.batch(options, None).await.unwrap();
        let mut reader = reader.split(&split).unwrap();
        while let Some(batch) = reader.next().await.unwrap() {
            rows.extend(rows_of(&batch).unwrap().iter().map(Value::to_string));
        }
    }
    rows.sort();

    rows
}

#[tokio::test]
async fn splits_of_the_order_touch_share_no_value_and_end_where_the_plan_says() {
    let play = Play::new("order", "keyed");
    for n in 0..40 {
        play.service.upsert(&format!("r{n:02}"), Some(&hour(n * 5 + 12)), n);
    }

    // Less than ten days are no more than nine splits of a day.
    let splits = plan(&play, 2).await;
    assert_eq!(
        splits,
        [
            split(None, Some("2031-02-21T23:59:59Z")),
            split(Some("2031-02-22T00:00:00Z"), Some("2031-02-23T11:59:59Z")),
            split(Some("2031-02-23T12:00:00Z"), Some("2031-02-24T23:59:59Z")),
            split(Some("2031-02-25T00:00:00Z"), Some("2031-02-26T11:59:59Z")),
            split(Some("2031-02-26T12:00:00Z"), Some("2031-02-27T23:59:59Z")),
            split(Some("2031-02-28T00:00:00Z"), None),
        ]
    );
    assert_eq!(plan(&play, 4).await.len(), 9);
    assert_eq!(plan(&play, 1).await, whole());
    assert_eq!(play.log(), Vec::<String>::new());
}

#[tokio::test]
async fn splits_of_another_field_ask_for_it_and_one_for_records_without_it() {
    let play = Play::new("field", "created").option("per_page", "2").option("numPartitions", "2");
    play.service.create("a", Some(&hour(0)), &hour(100), 1);
    play.service.create("b", Some(&hour(200)), &hour(101), 1);
    play.service.create("c", None, &hour(102), 1);
    play.service.create("d", Some(&hour(201)), &hour(103), 1);

    let splits = plan(&play, 8).await;
    assert_eq!(
        splits,
        [
            split(None, Some("2031-02-24T17:59:59Z")),
            split(Some("2031-02-24T18:00:00Z"), Some("2031-03-01T12:00:00Z")),
            json!({"from": null, "upto": null, "null": true, "until": "2031-03-01T12:00:00Z"}),
        ]
    );
    let parsed = |split: &Value| {
        let mut split = split.clone();
        split["at_once"] = 3.into();
        Split::from_json(&split).unwrap()
    };
    let splits: Vec<_> = splits.iter().map(parsed).collect();
    let ids = rows(&play.engine, play.options(), &splits).await.len();
    assert_eq!(ids, 4);
    assert_eq!(
        play.log(),
        ["[–..17:59:59](–,1) -> a", "[18:00:00..12:00:00](–,1) -> b d", "[null](–,1) -> c"]
    );
}

#[tokio::test]
async fn a_table_on_one_page_is_not_split_by_another_field() {
    let play = Play::new("one-page", "created");
    play.service.create("a", Some(&hour(0)), &hour(100), 1);

    assert_eq!(plan(&play, 8).await, whole());
}

#[tokio::test]
async fn an_order_that_moves_is_split_on_request_only() {
    for table in ["rows", "windows", "sorted_windows"] {
        let play = Play::new(&format!("moving-{table}"), table);
        play.service.upsert("a", Some(&hour(0)), 1);
        play.service.upsert("b", Some(&hour(200)), 1);
        assert_eq!(plan(&play, 8).await, whole(), "{table}");

        let play = play.option("numPartitions", "2");
        let lowest = (table != "rows").then_some("2031-02-20T00:00:00Z");
        assert_eq!(
            plan(&play, 8).await,
            [
                split(lowest, Some("2031-02-24T17:59:59Z")),
                split(Some("2031-02-24T18:00:00Z"), None),
            ],
            "{table}"
        );
    }
}

#[tokio::test]
async fn no_split_is_narrower_than_a_step_or_empty() {
    let play = Play::new("narrow", "rows").option("numPartitions", "10000");
    assert_eq!(plan(&play, 1).await, whole(), "an empty table");

    play.service.upsert("a", Some("2031-03-01T11:59:58Z"), 1);
    assert_eq!(
        plan(&play, 1).await,
        [
            split(None, Some("2031-03-01T11:59:58Z")),
            split(Some("2031-03-01T11:59:59Z"), Some("2031-03-01T11:59:59Z")),
            split(Some("2031-03-01T12:00:00Z"), None),
        ]
    );
    play.service.upsert("a", Some("2031-03-01T12:00:07Z"), 1);
    assert_eq!(plan(&play, 1).await, whole(), "it begins after the end");
}

#[tokio::test]
async fn one_partition_and_limited_reads_are_not_split_and_cost_no_request() {
    let play = Play::new("limited", "keyed");
    play.service.upsert("a", Some(&hour(0)), 1);
    let limited = play.engine.batch(play.options(), None).await.unwrap().limit(5);
    let planned = limited.plan(8).await.unwrap();
    assert_eq!(planned, [Split::default()]);

    let one = play.option("numPartitions", "1");
    assert_eq!(plan(&one, 8).await, whole());
}

#[tokio::test]
async fn bounds_of_the_reader_and_of_the_user_narrow_the_plan() {
    let play = Play::new("bounds", "keyed").option("start_timestamp", &hour(24));
    play.service.upsert("a", Some(&hour(0)), 1);
    let filter =
        |comparison, value: &str| Filter { column: "at".into(), comparison, value: value.into() };
    let filters = [
        filter(Comparison::AtLeast, "2031-02-25T12:00:00Z"),
        filter(Comparison::AtMost, "2031-02-27T12:00:00Z"),
    ];
    let reader = play.engine.batch(play.options(), None).await.unwrap().filter(&filters);
    let splits: Vec<_> =
        reader.plan(2).await.unwrap().iter().map(|split| split.to_json()["from"].clone()).collect();

    // Texts are compared by days, with a day to spare on either side.
    assert_eq!(splits.len(), 5, "{splits:?}");
    assert_eq!(splits[0], Value::Null);
    assert!(splits[1].as_str().unwrap() > "2031-02-24", "{splits:?}");
    assert!(splits[4].as_str().unwrap() < "2031-03-01", "{splits:?}");
}

#[tokio::test]
async fn tables_that_cannot_be_split_refuse_a_number_of_partitions() {
    let cases = [
        ("all", "it has no order by which parts of it could be asked for"),
        ("pass", "the service cannot give a part of it"),
    ];
    for (table, why) in cases {
        let play = Play::new(&format!("refuses-{table}"), table).option("numPartitions", "2");
        assert_eq!(
            refusal(&play).await,
            format!(
                "option 'numPartitions' does not apply to table '{table}': {why}; leave it out \
                 (table: {table})"
            )
        );
        assert_eq!(refusal(&play.option("numPartitions", "1")).await, "");
    }
    let kinds = [
        ("descending", "the service cannot give a part of it"),
        ("first_by_place", "it is read by places of the service"),
        ("stated_export", "the service cannot give a part of it"),
        ("below_rows", "its records lie below others, which every task would have to list"),
        ("children", "its records lie below others, which every task would have to list"),
    ];
    for (table, why) in kinds {
        let play = Play::kinds(&format!("refuses-{table}"), table).option("numPartitions", "2");
        let error = play.engine.describe(play.options()).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let deletes = Play::kinds("refuses-deletes", "token")
        .option("numPartitions", "2")
        .option("isDeleteFlow", "true");
    let error = deletes.engine.describe(deletes.options()).await.unwrap_err().to_string();
    assert!(error.contains("deletes are read by one task"), "{error}");

    for value in ["0", "10001", "many"] {
        let play = Play::new("refuses", "rows").option("numPartitions", value);
        let expected = format!(
            "option 'numPartitions' must be a whole number from 1 to 10000, got \"{value}\""
        );
        assert_eq!(refusal(&play).await, expected);
    }
}

#[tokio::test]
async fn records_outside_a_split_are_left_out_where_the_service_ignores_its_bounds() {
    let name = "ignores";
    let play = Play::new(name, "created").option("per_page", "3").option("numPartitions", "4");
    let service = ListService::register_with(name, Flaw::IgnoresBounds);
    for n in 0..20 {
        let created = (n % 4 > 0).then(|| hour(n * 10));
        service.create(&format!("r{n:02}"), created.as_deref(), &hour(200), n);
    }
    let reader = play.engine.batch(play.options(), None).await.unwrap();
    let splits = reader.plan(1).await.unwrap();
    assert_eq!(splits.len(), 5);

    let whole = rows(&play.engine, play.options(), &[Split::default()]).await;
    assert_eq!(whole.len(), 20);
    assert_eq!(rows(&play.engine, play.options(), &splits).await, whole);
}

#[tokio::test]
async fn records_that_change_while_splits_are_read_are_in_one_of_them() {
    let play =
        Play::new("changing", "created").option("per_page", "3").option("numPartitions", "5");
    for n in 0..30 {
        play.service.create(&format!("r{n:02}"), Some(&hour(n * 7)), &hour(n * 7), 0);
    }
    let reader = play.engine.batch(play.options(), None).await.unwrap();
    let splits = reader.plan(1).await.unwrap();
    play.service.before_request(|number, rows| {
        for n in [number * 11 % 30, number * 17 % 30] {
            // Some before the read was planned, some after.
            let at = format!("2031-03-01T{}:{:02}:00Z", 11 + n % 2, number % 60);
            upsert(rows, &format!("r{n:02}"), Some(&at), number as i64);
        }
    });
    let mut ids = Vec::new();
    for split in &splits {
        let reader = play.engine.batch(play.options(), None).await.unwrap();
        let mut reader = reader.split(split).unwrap();
        while let Some(batch) = reader.next().await.unwrap() {
            ids.extend(common_ids(&batch));
        }
    }
    ids.sort();
    ids.dedup();

    assert_eq!(ids, (0..30).map(|n| format!("r{n:02}")).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 32 } else { 200 }))]

    /// Few hours, so that many values are equal and lie on bounds; some records have none.
    #[test]
    fn splits_together_are_one_whole_read(
        records in prop::collection::vec((prop::option::weighted(0.9, 0..40i64), 0..40i64), 0..60),
        table in prop::sample::select(
            vec!["created", "keyed", "events", "rows", "windows", "sorted_windows"]
        ),
        partitions in 2..90usize,
        per_page in 1..20usize,
    ) {
        let play = Play::new("any", table)
            .option("per_page", &per_page.to_string())
            .option("window_seconds", "86400")
            .option("numPartitions", &partitions.to_string());
        for (n, (value, other)) in records.iter().enumerate() {
            let (value, other) = (value.map(|v| hour(180 + v)), hour(180 + other));
            let id = format!("r{n:02}");
            match table {
                "created" => play.service.create(&id, value.as_deref(), &other, 1),
                _ => play.service.upsert(&id, value.as_deref(), 1),
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let whole = rows(&play.engine, play.options(), &[Split::default()]).await;
            let reader = play.engine.batch(play.options(), None).await.unwrap();
            let splits = reader.plan(1).await.unwrap();
            let split = rows(&play.engine, play.options(), &splits).await;
            prop_assert!(splits.len() <= partitions + 1);
            prop_assert_eq!(whole, split, "{:?}", splits);
            Ok(())
        })?;
    }
}
