//! Decoding as a whole: places, added columns, bad values, counts, errors, chunks.
#![allow(clippy::unwrap_used, reason = "a test")]

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakeflow_arrow::{CoercionOptions, Decoder, IpcWriter, OnError, arrow_schema, scan_rows};
use lakeflow_core::{
    Column, DataType, ErrorKind, FieldPath, RawJson, Records, Result, Rows, TableSchema,
};
use std::collections::BTreeMap;

fn column(name: &str, data_type: DataType) -> Column {
    Column::new(name, data_type)
}

fn list(element: DataType) -> DataType {
    DataType::Array { element: Box::new(element), contains_null: true }
}

fn map(value: DataType) -> DataType {
    DataType::Map {
        key: Box::new(DataType::String),
        value: Box::new(value),
        value_contains_null: true,
    }
}

fn lenient() -> CoercionOptions {
    CoercionOptions {
        on_error: OnError::Null,
        rescued_column: Some("_rescued".into()),
        ..CoercionOptions::default()
    }
}

fn decode_all(decoder: &mut Decoder, records: &Records) -> Result<RecordBatch> {
    let scan = scan_rows(&records.rows, &[])?;
    let selection: Vec<usize> = (0..scan.len()).collect();
    decoder.append(records, &scan, &selection, 0)?;

    decoder.finish()
}

fn decode(columns: Vec<Column>, json: &str, options: CoercionOptions) -> Result<RecordBatch> {
    let mut decoder = Decoder::new("t", &TableSchema::new(columns), &[], options)?;
    decode_all(&mut decoder, &Records::array(json.to_owned().into()))
}

/// Rows as text: values in the order of the columns.
fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("null");
    let columns: Vec<_> =
        batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();

    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(" | "))
        .collect()
}

#[test]
fn columns_take_their_values_from_where_they_say() {
    let columns = vec![
        column("sha", DataType::String),
        column("date", DataType::String).from(FieldPath::pointer("/commit/author/date")),
        column("name", DataType::String).from(FieldPath::pointer("/commit/author/name")),
        column("author", DataType::Struct(vec![column("date", DataType::String)]))
            .from(FieldPath::pointer("/commit/author")),
        column("raw", DataType::String).from(FieldPath::field("sha")),
        column(
            "user",
            DataType::Struct(vec![
                column("id", DataType::Long).from(FieldPath::pointer("/account/id")),
            ]),
        ),
    ];
    let json = r#"[
        {"sha":"a","commit":{"author":{"date":"d","name":"n"}},"user":{"account":{"id":1}}},
        {"commit":{"author":null},"sha":null,"user":{"account":[]}},
        {"commit":{},"user":{}},
        {"commit":{"author":{"date":"old","name":"old"}},"commit":{"author":{"date":"new"}}}
    ]"#;

    assert_eq!(
        rows(&decode(columns.clone(), json, CoercionOptions::default()).unwrap()),
        [
            "a | d | n | {date: d} | a | {id: 1}",
            "null | null | null | null | null | {id: null}",
            "null | null | null | null | null | {id: null}",
            "null | new | null | {date: new} | null | null",
        ]
    );
    let error =
        decode(columns, r#"[{"commit":{"author":7}}]"#, CoercionOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read 7 as struct (table: t, column: author, record: 0)");
}

#[test]
fn a_scalar_where_columns_lie_deeper_nulls_each_of_them() {
    let columns = vec![
        column("date", DataType::String).from(FieldPath::pointer("/commit/date")),
        column("name", DataType::String).from(FieldPath::pointer("/commit/name")),
    ];
    let batch = decode(columns, r#"[{"commit":7}]"#, lenient()).unwrap();

    assert_eq!(rows(&batch), [r#"null | null | {"date":7,"name":7}"#]);
}

#[test]
fn added_columns_win_over_fields_and_are_coerced() {
    let columns = vec![
        column("id", DataType::Long),
        column("repo", DataType::String),
        column("n", DataType::Long),
    ];
    let each = |values: &[&'static str]| -> Vec<RawJson> {
        values.iter().map(|v| RawJson::from_static(v.as_bytes())).collect()
    };
    let records = Records {
        rows: Rows::Array(r#"[{"id":1,"repo":"no","n":0},{"n":0,"id":2},{"id":3}]"#.into()),
        constant: vec![("repo".into(), "\"yes\"".into()), ("pruned".into(), "1".into())],
        per_row: vec![("n".into(), each(&["\"10\"", "20", "30"]))],
    };
    let schema = TableSchema::new(columns);
    let mut decoder = Decoder::new("t", &schema, &[], CoercionOptions::default()).unwrap();
    let scan = scan_rows(&records.rows, &[]).unwrap();
    decoder.append(&records, &scan, &[0, 2], 0).unwrap();
    assert_eq!(rows(&decoder.finish().unwrap()), ["1 | yes | 10", "3 | yes | 30"]);

    let bad = Records::array("[{}]".into()).with("n", "\"x\"");
    assert_eq!(
        decode_all(&mut decoder, &bad).unwrap_err().to_string(),
        "cannot read \"x\" as bigint (table: t, column: n, record: 0)"
    );
    let malformed = Records::array("[{}]".into()).with("n", "tru");
    assert_eq!(decode_all(&mut decoder, &malformed).unwrap_err().kind(), ErrorKind::BadResponse);
    let few = Records {
        rows: Rows::Array("[{},{}]".into()),
        per_row: vec![("n".into(), each(&["1"]))],
        ..Records::default()
    };
    assert_eq!(
        decode_all(&mut decoder, &few).unwrap_err().to_string(),
        "added column 'n' has 1 values for 2 rows (table: t)"
    );
    // The next page adds nothing: its own fields count again.
    let plain = Records::array(r#"[{"id":4,"repo":"own","n":5}]"#.into());
    assert_eq!(rows(&decode_all(&mut decoder, &plain).unwrap()), ["4 | own | 5"]);
}

#[test]
fn the_smallest_value_that_may_be_null_becomes_null() {
    let strict_name = DataType::Struct(vec![
        column("name", DataType::String).required(),
        column("size", DataType::Long),
    ]);
    let columns = vec![
        column("id", DataType::Long).required(),
        column("labels", list(strict_name.clone())),
        column("m", map(DataType::Long)),
        column(
            "whole",
            DataType::Array { element: Box::new(DataType::Long), contains_null: false },
        ),
    ];
    let json = r#"[
        {"id":1,"labels":[{"name":"a","size":"x"},{"size":1},5,null],"m":{"k":"x","l":1}},
        {"id":2,"whole":[1,"x"],"labels":"none"},
        {"id":3,"whole":[1,null,2]}
    ]"#;

    assert_eq!(
        rows(&decode(columns.clone(), json, lenient()).unwrap()),
        [
            "1 | [{name: a, size: null}, null, null, null] | {k: null, l: 1} | null | \
             {\"labels[0].size\":\"x\",\"labels[1]\":{\"size\":1},\"labels[2]\":5,\"m[\\\"k\\\"]\":\"x\"}",
            "2 | null | null | null | {\"labels\":\"none\",\"whole\":[1,\"x\"]}",
            "3 | null | null | null | {\"whole\":[1,null,2]}",
        ]
    );
    for (json, message) in [
        (
            r#"[{"id":1},{"id":null}]"#,
            "null where bigint may not be null (table: t, column: id, record: 1)",
        ),
        (
            r#"[{"id":1},{}]"#,
            "missing where bigint may not be null (table: t, column: id, record: 1)",
        ),
        (r#"[{"id":"x"}]"#, "cannot read \"x\" as bigint (table: t, column: id, record: 0)"),
    ] {
        assert_eq!(decode(columns.clone(), json, lenient()).unwrap_err().to_string(), message);
    }
}

#[test]
fn strict_columns_and_what_is_around_them_never_become_null() {
    let schema = TableSchema::new(vec![
        column(
            "user",
            DataType::Struct(vec![column("id", DataType::Long), column("age", DataType::Int)]),
        ),
        column("at", DataType::Date),
    ]);
    let strict = [FieldPath::pointer("/user/id"), FieldPath::field("at")];
    let decode = |json: &str| {
        let mut decoder = Decoder::new("t", &schema, &strict, lenient())?;
        decode_all(&mut decoder, &Records::array(json.to_owned().into()))
    };

    assert_eq!(
        rows(&decode(r#"[{"user":{"id":1,"age":"x"},"at":null},{"user":null}]"#).unwrap()),
        ["{id: 1, age: null} | null | {\"user.age\":\"x\"}", "null | null | null"]
    );
    for (json, column) in [
        (r#"[{"user":{"id":"x"}}]"#, "user.id"),
        (r#"[{"user":"x"}]"#, "user"),
        (r#"[{"at":"x"}]"#, "at"),
    ] {
        let error = decode(json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataInvalid);
        assert_eq!(
            error.context_pairs(),
            [("table", "t".into()), ("column", column.into()), ("record", "0".to_owned())]
        );
    }
}

#[test]
fn of_several_values_only_the_last_one_must_fit() {
    let columns = vec![
        column("id", DataType::Long).required(),
        column("l", list(DataType::Long)),
        column("x", DataType::Long).from(FieldPath::pointer("/o/x")),
    ];
    let json = r#"[{"id":"bad","l":[1,"x"],"o":{"x":[]},"id":null,"i\u0064":1,"o":{},"l":[2]}]"#;
    for (options, expected) in
        [(CoercionOptions::default(), "1 | [2] | null"), (lenient(), "1 | [2] | null | null")]
    {
        let schema = TableSchema::new(columns.clone());
        let mut decoder = Decoder::new("t", &schema, &[], options).unwrap();
        let batch = decode_all(&mut decoder, &Records::array(json.to_owned().into())).unwrap();
        assert_eq!(rows(&batch), [expected]);
        assert_eq!((decoder.report().nulled, decoder.report().duplicate_keys), (0, 4));
    }
    let error = decode(columns, r#"[{"id":1,"id":"bad"}]"#, CoercionOptions::default());
    assert_eq!(
        error.unwrap_err().to_string(),
        "cannot read \"bad\" as bigint (table: t, column: id, record: 0)"
    );
}

#[test]
fn unknown_fields_are_counted_by_path_and_rescued() {
    let columns = vec![
        column("id", DataType::Long),
        column("user", DataType::Struct(vec![column("id", DataType::Long)])),
        column("labels", list(DataType::Struct(vec![column("name", DataType::String)]))),
        column("date", DataType::String).from(FieldPath::pointer("/commit/date")),
    ];
    let json = r#"[
        {"id":1,"ID":2,"user":{"id":1,"url":"u"},"labels":[{"name":"a","color":"c"},{"color":"d"}]},
        {"id":3,"a.b":[1, {"x":null}],"commit":{"date":"d","sha":"s"}},
        {"id":4}
    ]"#;
    let mut decoder = Decoder::new("t", &TableSchema::new(columns), &[], lenient()).unwrap();
    let batch = decode_all(&mut decoder, &Records::array(json.to_owned().into())).unwrap();

    let rescued = batch.column(4).as_string::<i32>();
    assert_eq!(
        rescued.iter().collect::<Vec<_>>(),
        [
            Some(r#"{"ID":2,"labels[0].color":"c","labels[1].color":"d","user.url":"u"}"#),
            Some(r#"{"`a.b`":[1,{"x":null}],"commit.sha":"s"}"#),
            None,
        ]
    );
    let names =
        [("ID", 1), ("`a.b`", 1), ("commit.sha", 1), ("labels[].color", 2), ("user.url", 1)];
    let report = decoder.report();
    assert_eq!(
        (report.unknown_fields, report.unknown_names.clone(), report.nulled),
        (6, names.map(|(n, count)| (n.to_owned(), count)).into(), 0)
    );
}

#[test]
fn fields_of_columns_that_are_not_read_are_not_unknown() {
    let full = TableSchema::new(vec![
        column("id", DataType::Long),
        column("title", DataType::String),
        column("commit", DataType::String),
        column("date", DataType::String).from(FieldPath::pointer("/commit/date")),
    ]);
    let schema = full.project(&["id", "date"]).unwrap();
    let mut decoder = Decoder::new("t", &schema, &[], lenient()).unwrap();
    decoder.ignore(&full);
    let json = r#"[{"id":1,"title":"x","commit":{"date":"d","sha":"s"},"new":1}]"#;
    let batch = decode_all(&mut decoder, &Records::array(json.to_owned().into())).unwrap();

    assert_eq!(rows(&batch), [r#"1 | d | {"new":1}"#]);
    assert_eq!(decoder.report().unknown_names, BTreeMap::from([("new".to_owned(), 1)]));
}

#[test]
fn endlessly_many_unknown_names_are_bounded() {
    let mut json = String::from("[");
    for n in 0..3000 {
        json.push_str(&format!("{{\"id\":{n},\"f{n}\":1}},"));
    }
    json.push_str("{}]");
    let schema = TableSchema::new(vec![column("id", DataType::Long)]);
    let mut decoder = Decoder::new("t", &schema, &[], CoercionOptions::default()).unwrap();
    decode_all(&mut decoder, &Records::array(json.into())).unwrap();

    assert_eq!(decoder.report().unknown_fields, 3000);
    assert_eq!(decoder.report().unknown_names.len(), 100);
}

#[test]
fn after_an_error_the_rows_before_it_are_still_there() {
    let columns = vec![column("id", DataType::Long), column("l", list(DataType::Long))];
    let schema = TableSchema::new(columns);
    let records = Records::array(r#"[{"id":1,"l":[1]},{"id":2,"l":[1,2,"x"]},{"id":3}]"#.into());
    let scan = scan_rows(&records.rows, &[]).unwrap();
    let mut decoder = Decoder::new("t", &schema, &[], CoercionOptions::default()).unwrap();
    let error = decoder.append(&records, &scan, &[0, 1, 2], 4710).unwrap_err();

    assert_eq!(
        error.to_string(),
        "cannot read \"x\" as bigint (table: t, column: l[2], record: 4711)"
    );
    decoder.append(&records, &scan, &[2], 4710).unwrap();
    assert_eq!(decoder.rows(), 2);
    assert_eq!(rows(&decoder.finish().unwrap()), ["1 | [1]", "3 | null"]);
    assert_eq!((decoder.rows(), decoder.finish().unwrap().num_rows()), (0, 0));
}

#[test]
fn errors_can_leave_data_out() {
    let columns = vec![column("m", map(DataType::Long))];
    let options = CoercionOptions { excerpts: false, ..CoercionOptions::default() };
    let error = decode(columns, r#"[{"m":{"secret":"hidden"}}]"#, options).unwrap_err();

    assert_eq!(
        error.to_string(),
        "cannot read a value as bigint (table: t, column: m[..], record: 0)"
    );
}

#[test]
fn fields_may_come_in_any_order_and_any_number() {
    let names: Vec<String> = (0..50).map(|n| format!("c{n}")).collect();
    let columns: Vec<Column> = names.iter().map(|n| column(n, DataType::Long)).collect();
    let mut json = String::from("[");
    for row in 0..200 {
        let mut fields: Vec<String> = (0..50)
            .filter(|c| (row + c) % 7 != 0)
            .map(|c| format!("\"c{c}\": {}", row * 100 + c))
            .collect();
        fields.rotate_left(row % 43);
        if row % 3 == 0 {
            fields.reverse();
        }
        json.push_str(&format!("{}{{{}}}", if row > 0 { "," } else { "" }, fields.join(" , ")));
    }
    json.push(']');
    let batch = decode(columns, &json, CoercionOptions::default()).unwrap();

    for c in 0..50usize {
        let values = batch.column(c).as_primitive::<arrow::datatypes::Int64Type>();
        for row in 0..200usize {
            let expected = ((row + c) % 7 != 0).then_some((row * 100 + c) as i64);
            assert_eq!(values.is_valid(row).then(|| values.value(row)), expected, "{row} {c}");
        }
    }
}

#[test]
fn five_thousand_columns_are_read() {
    let names: Vec<String> = (0..5000).map(|n| format!("c{n}")).collect();
    let columns: Vec<Column> = names.iter().map(|n| column(n, DataType::String)).collect();
    let json = format!(
        "[{{}},{{{}}}]",
        names.iter().map(|n| format!("\"{n}\":\"{n}\"")).collect::<Vec<_>>().join(",")
    );
    let batch = decode(columns, &json, CoercionOptions::default()).unwrap();

    assert_eq!(
        batch.column(4999).as_string::<i32>().iter().collect::<Vec<_>>(),
        [None, Some("c4999"),]
    );
}

#[test]
fn large_strings_invalid_utf_8_and_deep_nesting() {
    let columns = || vec![column("s", DataType::String), column("v", DataType::Variant)];
    let large = "\u{e9}x\\n".repeat(2_500_000);
    let batch =
        decode(columns(), &format!("[{{\"s\":\"{large}\"}}]"), CoercionOptions::default()).unwrap();
    assert_eq!(batch.column(0).as_string::<i32>().value(0).len(), 10_000_000);

    let broken = Records::array(b"[{\"s\":\"a\xffb\"}]".to_vec().into());
    let schema = TableSchema::new(columns());
    let mut decoder = Decoder::new("t", &schema, &[], CoercionOptions::default()).unwrap();
    let batch = decode_all(&mut decoder, &broken).unwrap();
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "a\u{fffd}b");
    assert_eq!(decoder.report().replaced_characters, 1);

    let nested = |n: usize| format!("[{{\"v\":{}{}}}]", "[".repeat(n), "]".repeat(n));
    assert!(decode(columns(), &nested(128), CoercionOptions::default()).is_ok());
    let error = decode(columns(), &nested(1000), CoercionOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse);
    assert_eq!(
        error.message(),
        "malformed JSON: nested deeper than 128 levels at byte 133 of a record"
    );
}

#[test]
fn formats_and_units_apply_inside_lists() {
    let mut days = column("days", list(DataType::Date));
    days.format = Some("%d.%m.%Y".into());
    let batch =
        decode(vec![days], r#"[{"days":["15.01.2024",""]}]"#, CoercionOptions::default()).unwrap();

    assert_eq!(rows(&batch), ["[2024-01-15, null]"]);
}

#[test]
fn a_schema_that_nobody_may_declare_is_refused() {
    let twice = vec![column("a", DataType::Long), column("a", DataType::Long)];
    assert_eq!(
        decode(twice, "[]", CoercionOptions::default()).unwrap_err().to_string(),
        "column 'a' is declared twice (table: t)"
    );
    let taken = decode(vec![column("_rescued", DataType::Long)], "[]", lenient()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::ConfigInvalid);
}

#[test]
fn chunks_in_a_row_are_an_ipc_stream() {
    let columns = vec![
        column("id", DataType::Long).required(),
        column(
            "u",
            DataType::Struct(vec![column("x", DataType::Decimal { precision: 10, scale: 2 })]),
        ),
        column("l", list(map(DataType::Timestamp))),
        column("v", DataType::Variant),
        column("n", DataType::Void),
    ];
    let schema = TableSchema::new(columns.clone());
    let mut decoder = Decoder::new("t", &schema, &[], CoercionOptions::default()).unwrap();
    let mut writer = IpcWriter::new(&decoder.schema()).unwrap();
    let mut stream = writer.schema_chunk().to_vec();
    let mut batches = Vec::new();
    for json in [
        r#"[{"id":1,"u":{"x":1.5},"l":[{"a":0}],"v":{"k":[1]},"n":1},{"id":2,"v":"t"}]"#,
        "[]",
        r#"[{"id":3,"l":[]}]"#,
    ] {
        let batch = decode_all(&mut decoder, &Records::array(json.to_owned().into())).unwrap();
        stream.extend_from_slice(&writer.batch_chunk(&batch).unwrap());
        batches.push(batch);
    }
    stream.extend_from_slice(&IpcWriter::end_chunk());

    let reader = arrow_ipc::reader::StreamReader::try_new(stream.as_slice(), None).unwrap();
    assert_eq!(*reader.schema(), arrow_schema(&schema).unwrap());
    assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), batches);
}
