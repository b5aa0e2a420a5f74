//! Virtual tables and operations: what a source says of itself, read as a table.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lakeflow_core::{ErrorKind, Options, Result, SystemClock};
use lakeflow_engine::Engine;
use lakeflow_testkit::rows::rows_of;
use serde_json::{Value, json};
use std::sync::Arc;

fn engine() -> Engine {
    let mut sources = lakeflow_connectors::SOURCES.to_vec();
    sources.extend_from_slice(lakeflow_testkit::SOURCES);
    Engine::new(sources, Arc::new(SystemClock))
}

fn options(pairs: &[(&str, &str)]) -> Options {
    pairs.iter().copied().collect()
}

fn tree(pairs: &[(&str, &str)]) -> Options {
    let mut options = options(&[("sourceName", "tree"), ("key", "right")]);
    for (name, value) in pairs {
        options.set(*name, *value);
    }
    options
}

/// A source without namespaces; nothing here sends it a request.
fn flat(pairs: &[(&str, &str)]) -> Options {
    let mut options =
        options(&[("sourceName", "github"), ("token", "t"), ("owner", "o"), ("repo", "r")]);
    for (name, value) in pairs {
        options.set(*name, *value);
    }
    options
}

/// All rows; every scalar is text.
async fn read(options: &Options) -> Result<Vec<Value>> {
    let mut reader = engine().batch(options, None).await?;
    let mut rows = Vec::new();
    while let Some(batch) = reader.next().await? {
        rows.extend(rows_of(&batch)?);
    }

    Ok(rows)
}

async fn message(options: &Options) -> String {
    read(options).await.unwrap_err().to_string()
}

#[tokio::test]
async fn metadata_of_listed_tables_comes_in_their_order_with_options_of_each() {
    let rows = read(&flat(&[
        ("tableName", "_community_table_metadata"),
        ("tableNameList", r#"["issues", "commits", "issues"]"#),
        ("tableConfigs", r#"{"issues": {"per_page": 5}, "other": 7}"#),
    ]))
    .await
    .unwrap();

    let issues = json!({
        "tableName": "issues", "primary_keys": ["id"], "cursor_field": "updated_at",
        "ingestion_type": "cdc",
    });
    assert_eq!(rows.len(), 3);
    assert_eq!((&rows[0], &rows[2]), (&issues, &issues));
    assert_eq!(rows[1]["ingestion_type"], "append");
}

#[tokio::test]
async fn a_table_that_cannot_be_described_is_a_row_of_nulls_and_its_error_if_asked_for() {
    let bad = [
        ("tableName", "_community_table_metadata"),
        ("tableNameList", r#"["nowhere", "issues"]"#),
        ("tableConfigs", r#"{"issues": {"per_page": "many"}}"#),
    ];
    let rows = read(&flat(&bad)).await.unwrap();
    let nulls = |name: &str| {
        json!({
            "tableName": name, "primary_keys": null, "cursor_field": null, "ingestion_type": null,
        })
    };
    assert_eq!(rows, [nulls("nowhere"), nulls("issues")]);

    let mut with_errors = flat(&bad);
    with_errors.set("withErrors", "TRUE");
    let rows = read(&with_errors).await.unwrap();
    let errors: Vec<_> = rows.iter().map(|row| row["_error"].as_str().unwrap()).collect();
    assert!(errors[0].starts_with("unknown table 'nowhere'; the source has: "), "{errors:?}");
    assert!(errors[1].contains("option 'per_page' must be"), "{errors:?}");
}

#[tokio::test]
async fn a_cursor_that_is_a_point_in_time_is_told_if_asked_for() {
    let asked = [
        ("tableName", "_community_table_metadata"),
        ("tableNameList", r#"["issues", "branches"]"#),
        ("tableConfigs", r#"{"issues": {}, "branches": {}}"#),
        ("withCursorKinds", "true"),
    ];
    let rows = read(&flat(&asked)).await.unwrap();
    let kinds: Vec<_> = rows.iter().map(|row| row["_cursor_kind"].as_str()).collect();

    assert_eq!(kinds, [Some("instant"), None]);
}

#[tokio::test]
async fn namespaces_are_the_sorted_children_of_a_prefix() {
    let named =
        |prefix: &str| tree(&[("tableName", "_community_namespaces"), ("namespacePrefix", prefix)]);
    let all = tree(&[("tableName", "_community_namespaces")]);
    assert_eq!(read(&all).await.unwrap(), [json!({"namespace": ["acme"]})]);
    assert_eq!(
        read(&named(r#"["acme"]"#)).await.unwrap(),
        [json!({"namespace": ["acme", "billing"]}), json!({"namespace": ["acme", "support"]})]
    );
    assert_eq!(read(&named(r#"["nowhere"]"#)).await.unwrap(), Vec::<Value>::new());
    let flat = flat(&[("tableName", "_community_namespaces"), ("namespacePrefix", "no JSON")]);
    assert_eq!(read(&flat).await.unwrap(), Vec::<Value>::new());
}

#[tokio::test]
async fn tables_are_listed_by_namespace_where_there_are_namespaces() {
    let named =
        |namespace: &str| tree(&[("tableName", "_community_tables"), ("namespace", namespace)]);
    let row = |namespace: Value, table: &str| json!({"namespace": namespace, "tableName": table});
    assert_eq!(read(&named("[]")).await.unwrap(), [row(json!([]), "root")]);
    let billing = json!(["acme", "billing"]);
    assert_eq!(
        read(&named(r#"["acme","billing"]"#)).await.unwrap(),
        [row(billing.clone(), "invoices"), row(billing, "taxes")]
    );
    assert_eq!(read(&named(r#"["x"]"#)).await.unwrap(), Vec::<Value>::new());
    let none = message(&tree(&[("tableName", "_community_tables")])).await;
    assert!(none.contains("option 'namespace' is required") && none.contains("[] for the root"));

    let all = read(&flat(&[("tableName", "_community_tables")])).await.unwrap();
    assert_eq!(all.len(), 12);
    assert_eq!(all[..2], ["assignees", "branches"].map(|name| row(json!([]), name)));
    let given = message(&flat(&[("tableName", "_community_tables"), ("namespace", "[]")])).await;
    assert!(given.contains("has no namespaces; leave option 'namespace' out"), "{given}");
}

#[tokio::test]
async fn values_that_are_no_json_lists_or_objects_are_named() {
    let cases = [
        ("_community_table_metadata", "tableNameList", "t1,t2", "list of strings"),
        ("_community_table_metadata", "tableNameList", "\"a\"", "list of strings"),
        ("_community_table_metadata", "tableNameList", "[1]", "list of strings"),
        ("_community_table_metadata", "tableConfigs", "[]", "object"),
        ("_community_namespaces", "namespacePrefix", "{}", "list of strings"),
        ("_community_tables", "namespace", "acme", "list of strings"),
    ];
    for (table, option, value, expected) in cases {
        let message = message(&tree(&[("tableName", table), (option, value)])).await;
        let expected = format!("option '{option}' must be a JSON {expected}, got \"{value}\"");
        assert!(message.contains(&expected), "{message}");
    }
}

#[tokio::test]
async fn virtual_tables_have_exact_schemas_and_are_no_streams() {
    let described = async |table: &str| {
        let options = tree(&[("tableName", table)]);
        engine().describe(&options).await.unwrap().to_json()["schema"]["fields"].clone()
    };
    let field = |name: &str, kind: Value, nullable: bool| json!({"name": name, "type": kind, "nullable": nullable, "metadata": {}});
    let list = || json!({"type": "array", "elementType": "string", "containsNull": true});
    assert_eq!(
        described("_community_table_metadata").await,
        json!([
            field("tableName", json!("string"), false),
            field("primary_keys", list(), true),
            field("cursor_field", json!("string"), true),
            field("ingestion_type", json!("string"), true),
        ])
    );
    assert_eq!(
        described("_community_namespaces").await,
        json!([field("namespace", list(), false)])
    );
    assert_eq!(
        described("_community_tables").await,
        json!([field("namespace", list(), false), field("tableName", json!("string"), false)])
    );

    for options in [
        tree(&[("tableName", "_community_tables"), ("namespace", "[]")]),
        tree(&[("operation", "list_objects")]),
    ] {
        let error = engine().stream(&options).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("cannot be streamed"), "{error}");
    }
}

#[tokio::test]
async fn contents_are_those_of_one_namespace() {
    let below = async |options: &Options, namespace: &[&str]| {
        let namespace: Vec<_> = namespace.iter().map(|name| (*name).to_owned()).collect();
        engine().contents(options, &namespace).await.unwrap().to_json()
    };
    let tree = tree(&[]);
    assert_eq!(below(&tree, &[]).await, json!({"namespaces": [["acme"]], "tables": ["root"]}));
    assert_eq!(
        below(&tree, &["acme"]).await,
        json!({"namespaces": [["acme", "billing"], ["acme", "support"]], "tables": ["plans"]})
    );
    assert_eq!(
        below(&tree, &["acme", "billing"]).await,
        json!({"namespaces": [], "tables": ["invoices", "taxes"]})
    );
    assert_eq!(below(&tree, &["x"]).await, json!({"namespaces": [], "tables": []}));

    let flat = options(&[("sourceName", "github"), ("token", "t")]);
    let root = below(&flat, &[]).await;
    assert_eq!(root["namespaces"], Value::Null);
    assert_eq!(root["tables"].as_array().unwrap().len(), 12);
    assert_eq!(below(&flat, &["x"]).await, json!({"namespaces": null, "tables": []}));
    let none = options(&[("sourceName", "github")]);
    let error = engine().contents(&none, &[]).await.unwrap_err().to_string();
    assert!(error.contains("option 'token' is required"), "{error}");
}

#[tokio::test]
async fn an_outline_needs_no_options_of_the_table_and_says_the_same() {
    let known = options(&[("sourceName", "github"), ("token", "t"), ("tableName", "issues")]);
    let error = engine().describe(&known).await.unwrap_err().to_string();
    assert!(error.contains("option 'owner' is required"), "{error}");

    let outline = engine().outline(&known).await.unwrap();
    let whole = engine().describe(&flat(&[("tableName", "issues")])).await.unwrap();
    assert_eq!(outline.to_json(), whole.to_json());
    assert_eq!(
        outline.comment(),
        "Table issues of github: ingestion type cdc, primary key id, cursor updated_at."
    );
    let plans = engine().outline(&tree(&[("tableName", "_community_namespaces")])).await.unwrap();
    assert_eq!(
        plans.comment(),
        "Table _community_namespaces of tree: ingestion type snapshot, no primary key, no cursor."
    );
}

#[tokio::test]
async fn reserved_names_are_refused_before_the_connector_is_built() {
    let error = message(&options(&[("sourceName", "tree"), ("tableName", "_community_x")])).await;
    assert_eq!(
        error,
        "unknown table '_community_x': names that begin with _community_ are reserved for \
         _community_table_metadata, _community_namespaces, _community_tables"
    );
    let upper = message(&tree(&[("tableName", "_COMMUNITY_TABLES")])).await;
    assert!(upper.contains("unknown table '_COMMUNITY_TABLES'; the source has"), "{upper}");
    let option = message(&tree(&[("tableName", "root"), ("namespace", "[]")])).await;
    assert!(option.contains("unknown option 'namespace'"), "{option}");
}

fn ok() -> Value {
    json!({"status": "ok", "code": null, "message": null})
}

fn failed(code: &str, message: &str) -> Value {
    json!({"status": "error", "code": code, "message": message})
}

#[tokio::test]
async fn objects_are_listed_by_path_and_pattern() {
    let object = |kind: &str, path: &str| {
        let name = path.rsplit('.').next();
        json!({"name": name, "type": kind, "full_path": path, "_meta": ok()})
    };
    let list = async |more: &[(&str, &str)]| {
        let mut options = tree(&[("operation", "list_objects")]);
        for (name, value) in more {
            options.set(*name, *value);
        }
        read(&options).await.unwrap()
    };
    assert_eq!(list(&[]).await, [object("namespace", "acme"), object("table", "root")]);
    assert_eq!(
        list(&[("path", "acme.billing"), ("search", "^inv|ax")]).await,
        [object("table", "acme.billing.taxes"), object("table", "acme.billing.invoices")]
    );
    let wrong = list(&[("search", "(")]).await;
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0]["name"], Value::Null);
    assert_eq!(wrong[0]["_meta"]["code"], "bad_request");
    let text = wrong[0]["_meta"]["message"].as_str().unwrap();
    assert!(text.starts_with("option 'search' must be a regular expression, got \"(\""), "{text}");
    let long = list(&[("search", &"a".repeat(1_001))]).await;
    assert_eq!(long[0]["_meta"]["code"], "bad_request");
    let slow = list(&[("search", "(a*)*{1000}{1000}")]).await;
    assert_eq!(slow[0]["_meta"]["code"], "bad_request");
}

#[tokio::test]
async fn metadata_of_an_object_comes_as_keys_and_values() {
    let asked = |more: &[(&str, &str)]| {
        let mut options = flat(&[("operation", "get_object_metadata")]);
        for (name, value) in more {
            options.set(*name, *value);
        }
        options
    };
    let row = |key: &str, value: &str| json!({"key": key, "value": value, "_meta": ok()});
    assert_eq!(
        read(&asked(&[("name", "issues")])).await.unwrap(),
        [
            row("primary_key", r#"["id"]"#),
            row("cursor_column", "updated_at"),
            row("ingestion_type", "cdc"),
        ]
    );
    assert_eq!(
        read(&asked(&[("name", "issues"), ("metadataKey", "CURSOR_column")])).await.unwrap(),
        [row("cursor_column", "updated_at")]
    );
    let missing = read(&asked(&[])).await.unwrap();
    let text = "option 'name' is required: Table to describe.";
    assert_eq!(
        missing,
        [json!({"key": null, "value": null, "_meta": failed("bad_request", text)})]
    );
    let unknown = read(&asked(&[("name", "x")])).await.unwrap();
    assert_eq!(unknown[0]["_meta"]["code"], "not_found");
}

#[tokio::test]
async fn a_connection_is_valid_if_the_service_gives_a_record() {
    let mut options = tree(&[("operation", "validate_connection")]);
    assert_eq!(read(&options).await.unwrap(), [json!({"_meta": ok()})]);
    options.set("key", "wrong");
    let text = "the service rejected option 'key' (table: root)";
    let rejected = [json!({"_meta": failed("connection_failed", text)})];
    assert_eq!(read(&options).await.unwrap(), rejected);

    let incomplete = self::options(&[("sourceName", "tree"), ("operation", "validate_connection")]);
    let answer = read(&incomplete).await.unwrap();
    assert_eq!(answer[0]["_meta"]["code"], "connection_failed");
    let text = answer[0]["_meta"]["message"].as_str().unwrap();
    assert!(text.contains("option 'key' is required"), "{text}");
}

#[tokio::test]
async fn operations_are_listed_even_if_the_connector_cannot_be_built() {
    let names = async |options: &Options| {
        let rows = read(options).await.unwrap();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let built_in = [
        "list_objects",
        "read_table",
        "get_object_metadata",
        "validate_connection",
        "list_operations",
    ];
    let without = options(&[("sourceName", "tree"), ("operation", "list_operations")]);
    assert_eq!(names(&without).await, built_in);
    let with = tree(&[("operation", "list_operations")]);
    assert_eq!(names(&with).await[5..], ["tree.height"]);

    let rows = read(&with).await.unwrap();
    let kinds: Vec<_> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["metadata", "data", "metadata", "metadata", "metadata", "metadata"]);
    assert_eq!(rows[1]["result_schema_json"], Value::Null);
    let parameters = rows[5]["parameters_json"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(parameters).unwrap(),
        json!([{
            "name": "unit", "type": "string", "description": "Unit.", "required": true,
            "default": null, "enum": ["levels", "steps"],
        }])
    );
}

#[tokio::test]
async fn operations_of_the_source_get_checked_parameters() {
    let asked = |unit: &str| tree(&[("operation", "tree.height"), ("unit", unit)]);
    let row = json!({"unit": "levels", "height": "3", "_meta": ok()});
    assert_eq!(read(&asked("LEVELS")).await.unwrap(), [row]);
    let wrong = read(&asked("miles")).await.unwrap();
    let text = "option 'unit' must be one of levels, steps, got \"miles\"";
    assert_eq!(
        wrong,
        [json!({"unit": null, "height": null, "_meta": failed("bad_request", text)})]
    );
    let unknown = read(&tree(&[("operation", "preview_table")])).await.unwrap();
    assert_eq!(unknown[0]["_meta"]["code"], "unsupported");
    let text = unknown[0]["_meta"]["message"].as_str().unwrap();
    assert!(text.contains("there are: list_objects, read_table"), "{text}");
}

#[tokio::test]
async fn rows_of_a_table_are_cut_at_the_limit_and_say_so() {
    let asked =
        |limit: &str| tree(&[("operation", "read_table"), ("tableName", "root"), ("limit", limit)]);
    for (limit, rows, truncated) in [("3", 3, true), ("2499", 2_499, true), ("2500", 2_500, false)]
    {
        let got = read(&asked(limit)).await.unwrap();
        assert_eq!(got.len(), rows, "limit {limit}");
        assert_eq!(got[0], json!({"n": "1", "_truncated": truncated.to_string()}));
        assert!(got.iter().all(|row| row["_truncated"] == got[0]["_truncated"]), "limit {limit}");
    }
    let unset = read(&tree(&[("operation", "read_table"), ("tableName", "root")])).await.unwrap();
    assert_eq!(unset.len(), 1_000);

    let none = message(&tree(&[("operation", "read_table")])).await;
    assert!(none.contains("option 'tableName' is required"), "{none}");
    let unknown = message(&tree(&[("operation", "read_table"), ("tableName", "x")])).await;
    assert!(unknown.starts_with("unknown table 'x'"), "{unknown}");
}
