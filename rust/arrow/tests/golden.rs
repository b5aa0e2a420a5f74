//! The golden table of coercion, case by case.
#![allow(clippy::unwrap_used, reason = "a test")]

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakeflow_arrow::{CoercionOptions, CoercionReport, Decoder, OnError, Zone, scan_rows};
use lakeflow_core::{Column, ErrorKind, FieldPath, Records, Result, Rows, TableSchema};
use lakeflow_testkit::coercion::{Case, Expected, load};
use parquet_variant::Variant;
use parquet_variant_json::VariantToJson;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/coercion/cases.json");

fn decode(
    case: &Case,
    column: &Column,
    options: CoercionOptions,
) -> Result<(RecordBatch, CoercionReport)> {
    let row = format!("{{\"value\": {}}}", case.input);
    let records = Records { rows: Rows::Each(vec![row.into()]), ..Records::default() };
    let scan = scan_rows(&records.rows, &[])?;
    let schema = TableSchema::new(vec![column.clone()]);
    let zone = case.zone.as_deref().map_or(Ok(Zone::UTC), Zone::parse)?;
    let options = CoercionOptions { timestamp_zone: zone, ..options };
    let mut decoder = Decoder::new("cases", &schema, &[], options)?;
    decoder.append(&records, &scan, &[0], 17)?;

    Ok((decoder.finish()?, decoder.report().clone()))
}

/// The only value of the first column, as Arrow displays it, or a variant as JSON.
fn shown(batch: &RecordBatch) -> Option<String> {
    let array = batch.column(0);
    if array.logical_null_count() > 0 {
        return None;
    }
    if let Some(children) = array.as_struct_opt()
        && let Some(metadata) = children.column_by_name("metadata")
    {
        let value = children.column(0).as_binary::<i32>().value(0);
        let variant = Variant::try_new(metadata.as_binary::<i32>().value(0), value).unwrap();
        return Some(variant.to_json_string().unwrap());
    }
    let options = FormatOptions::new().with_null("null");
    let display =
        |array: &dyn Array| ArrayFormatter::try_new(array, &options).unwrap().value(0).to_string();
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(instants) if instants.timezone().is_some() => {
            Some(format!("{}Z", display(&instants.clone().with_timezone_opt(None::<&str>))))
        }
        _ => Some(display(array)),
    }
}

#[test]
fn every_row_of_the_specification_has_a_case() {
    let rows: Vec<u32> = load(CASES).unwrap().iter().map(|c| c.row).filter(|r| *r < 1000).collect();

    assert_eq!(rows, (1..=181).collect::<Vec<_>>());
}

#[test]
fn every_case_gives_what_it_must() {
    let mut wrong = Vec::new();
    for case in load(CASES).unwrap() {
        let outcome = match &case.column {
            Err(error) => Expected::Refused(error.to_string()),
            Ok(column) => match decode(&case, column, CoercionOptions::default()) {
                Ok((batch, report)) => {
                    let counts = (report.unknown_names, report.duplicate_keys);
                    if counts != (case.unknown.clone(), case.duplicates)
                        || report.replaced_characters != case.replaced
                    {
                        wrong.push(format!("{} {}: counted {counts:?}", case.row, case.name));
                    }
                    Expected::Value(shown(&batch))
                }
                Err(error) => {
                    let pairs = error.context_pairs();
                    let column = pairs.iter().find(|(k, _)| *k == "column").map(|(_, v)| v.clone());
                    let message = error.message().to_owned();
                    if error.kind() != ErrorKind::DataInvalid || pairs.len() != 3 {
                        wrong.push(format!("{} {}: {error:?}", case.row, case.name));
                    }
                    Expected::Error { message, column: column.unwrap_or_default() }
                }
            },
        };
        if outcome != case.expected {
            wrong.push(format!(
                "{} {} {}: expected {:?}, got {outcome:?}",
                case.row, case.name, case.input, case.expected
            ));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_bad_value_becomes_null_and_is_rescued_where_null_is_allowed() {
    let mut wrong = Vec::new();
    for case in load(CASES).unwrap() {
        let (Ok(column), Expected::Error { .. }) = (&case.column, &case.expected) else { continue };
        if !column.nullable {
            continue;
        }
        let options = CoercionOptions {
            on_error: OnError::Null,
            rescued_column: Some("_rescued".into()),
            ..CoercionOptions::default()
        };
        let (batch, report) = decode(&case, column, options).unwrap();
        let rescued = batch.column(1).as_string::<i32>();
        if report.nulled != 1 || rescued.is_null(0) {
            wrong.push(format!("{} {}: {report:?} {rescued:?}", case.row, case.name));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_bad_value_in_a_strict_column_fails_whatever_the_options_say() {
    for case in load(CASES).unwrap() {
        let (Ok(column), Expected::Error { message, .. }) = (&case.column, &case.expected) else {
            continue;
        };
        let row = format!("{{\"value\": {}}}", case.input);
        let records = Records { rows: Rows::Each(vec![row.into()]), ..Records::default() };
        let scan = scan_rows(&records.rows, &[]).unwrap();
        let schema = TableSchema::new(vec![column.clone()]);
        let options = CoercionOptions { on_error: OnError::Null, ..CoercionOptions::default() };
        let strict = [FieldPath::field("value")];
        let mut decoder = Decoder::new("cases", &schema, &strict, options).unwrap();
        let error = decoder.append(&records, &scan, &[0], 0).unwrap_err();

        assert_eq!(error.message(), message);
    }
}
