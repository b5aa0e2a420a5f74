//! Properties held against oracles: the standard library, `chrono` and `serde_json`.
//!
//! `PROPTEST_CASES` sets how many cases of each are tried.
#![allow(clippy::unwrap_used, reason = "a test")]

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use lakeflow_arrow::{
    CoercionOptions, Decoder, IpcWriter, OnError, hash_bytes, json_text, scan_rows,
};
use lakeflow_core::{Column, DataType, FieldPath, Records, Result, Rows, TableSchema};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn decode(columns: Vec<Column>, array: &[u8], options: CoercionOptions) -> Result<RecordBatch> {
    let records = Records::array(array.to_vec().into());
    let scan = scan_rows(&records.rows, &[])?;
    let mut decoder = Decoder::new("t", &TableSchema::new(columns), &[], options)?;
    let selection: Vec<usize> = (0..scan.len()).collect();
    decoder.append(&records, &scan, &selection, 0)?;

    decoder.finish()
}

/// Decodes one value.
fn one(data_type: DataType, raw: &str) -> Result<RecordBatch> {
    let column = Column::new("v", data_type);
    decode(vec![column], format!("[{{\"v\":{raw}}}]").as_bytes(), CoercionOptions::default())
}

/// Any JSON value, about as deep as services go.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["", "1", "2024-01-15", "true", "2024-01-15T10:30:00Z", "QUI="])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((field_name(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn field_name() -> impl Strategy<Value = String> {
    prop_oneof![9 => "[a-f]", 1 => ".{0,4}"]
}

/// Any type that a table may declare.
fn any_type() -> impl Strategy<Value = DataType> {
    let leaf = prop::sample::select(vec![
        DataType::String,
        DataType::Varchar(3),
        DataType::Byte,
        DataType::Short,
        DataType::Int,
        DataType::Long,
        DataType::Float,
        DataType::Double,
        DataType::Decimal { precision: 12, scale: 3 },
        DataType::Boolean,
        DataType::Date,
        DataType::Timestamp,
        DataType::TimestampNtz,
        DataType::Binary,
        DataType::Variant,
        DataType::Void,
    ]);
    leaf.prop_recursive(3, 24, 5, |inner| {
        let keys = vec![DataType::String, DataType::Long, DataType::Double, DataType::Boolean];
        prop_oneof![
            (inner.clone(), any::<bool>()).prop_map(|(element, contains_null)| {
                DataType::Array { element: Box::new(element), contains_null }
            }),
            (prop::sample::select(keys), inner.clone(), any::<bool>()).prop_map(
                |(key, value, value_contains_null)| DataType::Map {
                    key: Box::new(key),
                    value: Box::new(value),
                    value_contains_null,
                }
            ),
            columns_of(inner).prop_map(DataType::Struct),
        ]
    })
}

/// Columns `a` to `f`, some of which may not be null or lie somewhere else.
fn columns_of(types: impl Strategy<Value = DataType>) -> impl Strategy<Value = Vec<Column>> {
    let column = (types, prop::bool::weighted(0.9), prop::option::weighted(0.2, "/[a-f](/[a-f])?"));
    prop::collection::vec(column, 1..6).prop_map(|columns| {
        columns
            .into_iter()
            .zip(["a", "b", "c", "d", "e", "f"])
            .map(|((data_type, nullable, from), name)| {
                let mut column = Column::new(name, data_type);
                column.nullable = nullable;
                column.from = from.map(|path| FieldPath::pointer(&path));
                column
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn integers_are_what_the_standard_library_reads(value in any::<i128>(), shift in 0u32..128) {
        let value = value >> shift;
        let expected = i64::try_from(value).ok();
        for raw in [
            format!("{value}"), format!("\" {value} \""), format!("{value}.000"),
            format!("\"{value}0e-1\""), format!("\"{value}0E-0001\""),
        ] {
            let read = one(DataType::Long, &raw).ok();
            let read = read.map(|b| b.column(0).as_primitive::<Int64Type>().value(0));
            prop_assert_eq!(read, expected, "{}", raw);
        }
        let read = one(DataType::Int, &value.to_string()).ok();
        let read = read.map(|b| b.column(0).as_primitive::<Int32Type>().value(0));
        prop_assert_eq!(read, i32::try_from(value).ok());
    }

    #[test]
    fn a_fraction_is_never_lost(value in any::<i64>(), fraction in "[0-9]{0,20}[1-9]0{0,3}") {
        let raw = format!("{value}.{fraction}");
        prop_assert!(one(DataType::Long, &raw).is_err());
    }

    #[test]
    fn decimals_are_rounded_half_up(
        digits in -1_000_000_000_000_000i64..1_000_000_000_000_000, exp in -20i32..8, scale in 0u8..6,
    ) {
        let raw = format!("{digits}e{exp}");
        let shift = exp + i32::from(scale);
        let power = 10i128.pow(shift.unsigned_abs());
        let exact = i128::from(digits);
        let expected = if shift >= 0 {
            exact * power
        } else {
            (exact.abs() * 2 + power) / (power * 2) * exact.signum()
        };
        let expected = (expected.abs() < 10i128.pow(18)).then_some(expected);
        let read = one(DataType::Decimal { precision: 18, scale }, &raw).ok();
        let read = read.map(|b| b.column(0).as_primitive::<Decimal128Type>().value(0));
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn floats_are_the_nearest_ones(bits in any::<u64>(), text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?(e-?[0-9]{1,2})?") {
        let value = f64::from_bits(bits);
        if value.is_finite() {
            for raw in [value.to_string(), format!("{value:e}")] {
                let read = one(DataType::Double, &raw).unwrap();
                let read = read.column(0).as_primitive::<Float64Type>().value(0);
                prop_assert_eq!(read.to_bits(), bits);
            }
        }
        let expected: f64 = text.parse().unwrap();
        let read = one(DataType::Double, &text).ok();
        let read = read.map(|b| b.column(0).as_primitive::<Float64Type>().value(0).to_bits());
        prop_assert_eq!(read, expected.is_finite().then_some(expected.to_bits()));

        let expected: f32 = text.parse().unwrap();
        let read = one(DataType::Float, &text).ok();
        let read = read.map(|b| b.column(0).as_primitive::<Float32Type>().value(0).to_bits());
        prop_assert_eq!(read, expected.is_finite().then_some(expected.to_bits()));
    }

    #[test]
    fn text_comes_out_as_it_went_in(text in "(\\PC|[\\x00-\\x1f\"\\\\]){0,80}") {
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        for raw in [serde_json::to_string(&text).unwrap(), format!("\"{escaped}\"")] {
            let read = one(DataType::String, &raw).unwrap();
            prop_assert_eq!(read.column(0).as_string::<i32>().value(0), &text);
            prop_assert_eq!(json_text(raw.as_bytes()).unwrap(), text.as_str());
        }
    }

    #[test]
    fn instants_are_those_of_chrono(
        micros in -62_135_510_400_000_000i64..253_402_214_400_000_000, offset in -1080i32..=1080,
    ) {
        let zone = chrono::FixedOffset::east_opt(offset * 60).unwrap();
        let instant = chrono::DateTime::from_timestamp_micros(micros).unwrap();
        let local = instant.with_timezone(&zone);
        for text in [
            instant.format("%FT%T%.6fZ").to_string(),
            local.format("%FT%T%.9f%:z").to_string(),
            local.format("%F %T,%6f %z").to_string(),
            local.format("%m/%d/%Y %T%.6f%z").to_string(),
        ] {
            let read = one(DataType::Timestamp, &format!("\"{text}\"")).unwrap();
            let read = read.column(0).as_primitive::<TimestampMicrosecondType>().value(0);
            prop_assert_eq!(read, micros, "{}", text);
        }
    }

    #[test]
    fn compact_text_is_the_value_itself(value in any_json()) {
        let raw = serde_json::to_string_pretty(&json!([value])).unwrap();
        let read = one(DataType::String, &raw).unwrap();
        let text = read.column(0).as_string::<i32>().value(0);
        prop_assert_eq!(text, json!([value]).to_string());
    }

    #[test]
    fn any_schema_and_any_rows_give_a_batch_or_an_error(
        columns in columns_of(any_type()), rows in prop::collection::vec(any_json(), 0..6),
        fields in prop::collection::vec((field_name(), any_json()), 0..6), lenient in any::<bool>(),
    ) {
        let object: Value = Value::Object(fields.into_iter().collect());
        let rows: Vec<&Value> = rows.iter().filter(|r| r.is_object()).chain([&object]).collect();
        let options = CoercionOptions {
            on_error: if lenient { OnError::Null } else { OnError::Fail },
            rescued_column: lenient.then(|| "_rescued".to_owned()),
            ..CoercionOptions::default()
        };
        let json = serde_json::to_vec(&rows).unwrap();
        if let Ok(batch) = decode(columns, &json, options) {
            prop_assert_eq!(batch.num_rows(), rows.len());
            for column in batch.columns() {
                column.to_data().validate_full().unwrap();
            }
            let mut writer = IpcWriter::new(&batch.schema()).unwrap();
            writer.batch_chunk(&batch).unwrap();
            if lenient {
                let rescued = batch.column(batch.num_columns() - 1).as_string::<i32>();
                for text in rescued.iter().flatten() {
                    prop_assert!(serde_json::from_str::<Value>(text).unwrap().is_object());
                }
            }
        }
    }

    #[test]
    fn rows_that_are_cut_short_are_never_rows(
        columns in columns_of(any_type()), rows in prop::collection::vec(any_json(), 1..4),
    ) {
        let rows: Vec<Value> = rows.into_iter().map(|r| json!({"a": r, "b": 1})).collect();
        let array = serde_json::to_vec(&rows).unwrap();
        let row = serde_json::to_vec(&rows[0]).unwrap();
        let options = || CoercionOptions { on_error: OnError::Null, ..CoercionOptions::default() };
        for end in 0..array.len() {
            prop_assert!(scan_rows(&Rows::Array(array[..end].to_vec().into()), &[]).is_err());
        }
        // The decoder is not fooled either, if an added column is cut.
        for end in 0..row.len() {
            prop_assert!(scan_rows(&Rows::Each(vec![row[..end].to_vec().into()]), &[]).is_err());
            let records = Records::array("[{}]".into()).with("a", row[..end].to_vec());
            let scan = scan_rows(&records.rows, &[]).unwrap();
            let schema = TableSchema::new(columns.clone());
            let mut decoder = Decoder::new("t", &schema, &[], options()).unwrap();
            prop_assert!(decoder.append(&records, &scan, &[0], 0).is_err());
            prop_assert_eq!(decoder.rows(), 0);
        }
    }

    #[test]
    fn what_is_json_is_what_serde_json_accepts(
        value in any_json(), at in any::<prop::sample::Index>(), byte in "[\\x00-\\x7f]", kind in 0..3,
    ) {
        let mut text = json!([{"k": value}]).to_string();
        while !text.is_ascii() {
            text = text.chars().filter(char::is_ascii).collect();
        }
        let at = at.index(text.len());
        match kind {
            0 => text.replace_range(at..=at, &byte),
            1 => text.insert_str(at, &byte),
            _ => text.replace_range(at..=at, ""),
        }
        prop_assume!(!text.contains("NaN") && !text.contains("Infinity"));
        let accepted = serde_json::from_str::<Vec<&RawValue>>(&text)
            .is_ok_and(|rows| rows.iter().all(|r| r.get().starts_with('{')));
        prop_assert_eq!(scan_rows(&Rows::Array(text.clone().into()), &[]).is_ok(), accepted, "{}", text);
    }

    #[test]
    fn arbitrary_bytes_are_no_danger(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = scan_rows(&Rows::Array(bytes.clone().into()), &[FieldPath::field("a")]);
        let _ = scan_rows(&Rows::Each(vec![bytes.clone().into()]), &[]);
        let _ = json_text(&bytes);
        let records = Records::array("[{}]".into()).with("v", bytes.clone());
        let scan = scan_rows(&records.rows, &[]).unwrap();
        for data_type in [DataType::String, DataType::Variant, DataType::Long] {
            let schema = TableSchema::new(vec![Column::new("v", data_type)]);
            let mut decoder = Decoder::new("t", &schema, &[], CoercionOptions::default()).unwrap();
            let _ = decoder.append(&records, &scan, &[0], 0);
        }
        let mut text = b"[{\"v\":\"".to_vec();
        text.extend(bytes.iter().filter(|b| **b >= 0x20 && !matches!(b, b'"' | b'\\')));
        text.extend_from_slice(b"\"}]");
        let column = Column::new("v", DataType::String);
        let batch = decode(vec![column], &text, CoercionOptions::default()).unwrap();
        let expected = String::from_utf8_lossy(&text[7..text.len() - 3]).into_owned();
        prop_assert_eq!(batch.column(0).as_string::<i32>().value(0), expected);
    }

    #[test]
    fn taps_are_what_serde_json_finds(value in any_json(), other in any_json()) {
        let row = json!({"z": other, "a": {"b": value, "c": other}});
        let records = Rows::Each(vec![row.to_string().into()]);
        let taps = [FieldPath::pointer("/a/b"), FieldPath::pointer("/a/c/a"), FieldPath::field("q")];
        let scan = scan_rows(&records, &taps).unwrap();
        for (tap, pointer) in ["/a/b", "/a/c/a", "/q"].into_iter().enumerate() {
            let expected = row.pointer(pointer).filter(|v| !v.is_null()).map(Value::to_string);
            // A list is no object: its elements have numbers and not names.
            let tapped = scan.tap(0, tap).map(|raw| String::from_utf8(raw.to_vec()).unwrap());
            prop_assert_eq!(tapped, expected);
        }
    }

    #[test]
    fn hashes_differ_where_parts_do(a in prop::collection::vec("[ab]{0,3}", 0..4), b in prop::collection::vec("[ab]{0,3}", 0..4)) {
        let bytes = |parts: &[String]| {
            hash_bytes(&parts.iter().map(String::as_bytes).collect::<Vec<_>>())
        };
        prop_assert_eq!(bytes(&a) == bytes(&b), a == b);
    }
}
