//! Finds the rows of a page, and the raw values of a few of their fields, in one pass.

use crate::parse::{Parser, Syntax};
use bytes::Bytes;
use lakeflow_core::{Error, ErrorKind, FieldPath, Result, Rows};
use std::borrow::Cow;
use std::ops::Range;
use xxhash_rust::xxh3::Xxh3;

/// Rows of a page: byte ranges and tapped raw values, found without building anything.
#[derive(Clone, Debug, Default)]
pub struct RowScan {
    rows: Vec<Row>,
    taps: Vec<Option<Range<usize>>>,
    taps_per_row: usize,
}

#[derive(Clone, Debug)]
struct Row(Bytes);

impl RowScan {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The JSON object of row `row`; empty if there is no such row.
    pub fn raw(&self, row: usize) -> &[u8] {
        self.rows.get(row).map(|r| &*r.0).unwrap_or_default()
    }

    /// Raw JSON text of the value at the `tap`th path; `None` if it is absent or null.
    ///
    /// Of several fields of one name the last counts.
    pub fn tap(&self, row: usize, tap: usize) -> Option<&[u8]> {
        if tap >= self.taps_per_row {
            return None;
        }
        let range = self.taps.get(row * self.taps_per_row + tap)?.clone()?;
        self.raw(row).get(range)
    }
}

/// Finds the rows of `rows` and in each of them the values at `taps`, which are places in the raw
/// record (see [`TableSchema::place_of`](lakeflow_core::TableSchema::place_of)).
///
/// # Errors
/// [`ErrorKind::BadResponse`], naming record and byte, if a row is not a JSON object, is malformed
/// or cut short, is nested deeper than 128 levels, or if the array is not one.
pub fn scan_rows(rows: &Rows, taps: &[FieldPath]) -> Result<RowScan> {
    let taps: Vec<Vec<&str>> = taps.iter().map(|t| t.segments().collect()).collect();
    let mut scan = RowScan { taps_per_row: taps.len(), ..RowScan::default() };
    match rows {
        Rows::None => {}
        Rows::Array(array) => scan_array(array, &taps, &mut scan)?,
        Rows::Each(each) => {
            for (record, row) in each.iter().enumerate() {
                let mut p = Parser::new(row);
                let found = begin_object(&mut p)
                    .and_then(|()| scan_object(&mut p, &taps, 0, &mut scan.taps))
                    .and_then(|()| p.end());
                found.map_err(|e| malformed(e, Some((record, 0))))?;
                scan.rows.push(Row(row.clone()));
            }
        }
    }

    Ok(scan)
}

/// One text of several byte strings, told apart: `["a", "bc"]` differs from `["ab", "c"]`.
pub fn hash_bytes(parts: &[&[u8]]) -> u64 {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }

    hash.digest()
}

/// The text of a raw JSON scalar: a string unescaped, anything else as written.
///
/// # Errors
/// [`ErrorKind::DataInvalid`] if `raw` is a list, an object or no JSON.
pub fn json_text(raw: &[u8]) -> Result<Cow<'_, str>> {
    let mut p = Parser::new(raw);
    p.blanks();
    let start = p.pos;
    let token = p.token();
    let literal = p.since(start);
    match (token, p.end()) {
        (Ok(crate::parse::Token::Text(text)), Ok(())) => Ok(text.cooked().0),
        (Ok(crate::parse::Token::Nested) | Err(_), _) | (_, Err(_)) => {
            Err(Error::new(ErrorKind::DataInvalid, "expected a string, a number or a boolean"))
        }
        _ => Ok(String::from_utf8_lossy(literal)),
    }
}

fn scan_array(array: &Bytes, taps: &[Vec<&str>], scan: &mut RowScan) -> Result<()> {
    let mut p = Parser::new(array);
    p.eat_all(b"\xef\xbb\xbf");
    p.blanks();
    if !p.eat(b'[') {
        return Err(malformed(p.error("expected an array of records"), None));
    }
    p.blanks();
    let mut more = !p.eat(b']');
    while more {
        let record = scan.rows.len();
        let start = p.pos;
        let found = begin_object(&mut p)
            .and_then(|()| scan_object(&mut p, taps, start, &mut scan.taps))
            .map_err(|e| malformed(e, Some((record, start))));
        found?;
        scan.rows.push(Row(array.slice(start..p.pos)));
        more = p.more(b']').map_err(|e| malformed(e, Some((record, start))))?;
    }

    p.end().map_err(|e| malformed(e, None))
}

fn begin_object(p: &mut Parser<'_>) -> Result<(), Syntax> {
    p.blanks();
    if p.eat(b'{') { Ok(()) } else { Err(p.error("expected an object")) }
}

/// Scans an object after its brace and adds one range for each tap, counted from `start`.
fn scan_object(
    p: &mut Parser<'_>,
    taps: &[Vec<&str>],
    start: usize,
    out: &mut Vec<Option<Range<usize>>>,
) -> Result<(), Syntax> {
    let first = out.len();
    out.resize(first + taps.len(), None);
    p.blanks();
    if p.eat(b'}') {
        return Ok(());
    }
    loop {
        let key = p.key()?;
        let value = p.pos;
        p.skip()?;
        if key.is_plain() {
            for (tap, slot) in taps.iter().zip(out.iter_mut().skip(first)) {
                if tap.first().is_some_and(|t| t.as_bytes() == key.raw) {
                    *slot = inside(&p.at(value), tap.get(1..).unwrap_or_default(), start);
                }
            }
        } else {
            let name = key.cooked().0;
            for (tap, slot) in taps.iter().zip(out.iter_mut().skip(first)) {
                if tap.first().is_some_and(|t| *t == name) {
                    *slot = inside(&p.at(value), tap.get(1..).unwrap_or_default(), start);
                }
            }
        }
        if !p.more(b'}')? {
            return Ok(());
        }
    }
}

/// Range of the value at `path` below the well-formed value at `p`.
fn inside(p: &Parser<'_>, path: &[&str], start: usize) -> Option<Range<usize>> {
    let mut p = p.clone();
    let Some((name, rest)) = path.split_first() else {
        let from = p.pos;
        let raw = p.skip().ok()?;
        return (raw != b"null").then_some(from - start..p.pos - start);
    };
    if !p.eat(b'{') {
        return None;
    }
    p.blanks();
    if p.eat(b'}') {
        return None;
    }
    let mut found = None;
    loop {
        let key = p.key().ok()?;
        if key.cooked().0 == *name {
            found = inside(&p, rest, start);
        }
        p.skip().ok()?;
        if !p.more(b'}').ok()? {
            return found;
        }
    }
}

/// The typed error of malformed rows; `record` is its number in the page and where it begins.
fn malformed(error: Syntax, record: Option<(usize, usize)>) -> Error {
    let at = error.at - record.map_or(0, |(_, start)| start.min(error.at));
    let message = format!("malformed JSON: {} at byte {at}", error.what);
    match record {
        Some((record, _)) => Error::bad_response(format!("{message} of a record"))
            .context("record", record.to_string()),
        None => Error::bad_response(format!("{message} of the records")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(pointers: &[&str]) -> Vec<FieldPath> {
        pointers.iter().map(|p| FieldPath::pointer(p)).collect()
    }

    #[test]
    fn taps_give_raw_values_and_the_last_duplicate_wins() {
        let body = br#" [ {"id": 1, "a": {"b": "x"}, "n": null},
            {"id":2,"id":3,"\u0061":{"b":1,"b":{"c":[1, 2]}},"a2":0}, {} ] "#;
        let scan =
            scan_rows(&Rows::Array(Bytes::from_static(body)), &paths(&["/id", "/a/b", "/n"]))
                .unwrap();

        let taps: Vec<Vec<Option<&str>>> = (0..scan.len())
            .map(|r| {
                (0..4).map(|t| scan.tap(r, t).map(|v| std::str::from_utf8(v).unwrap())).collect()
            })
            .collect();
        assert_eq!(
            taps,
            vec![
                vec![Some("1"), Some("\"x\""), None, None],
                vec![Some("3"), Some("{\"c\":[1, 2]}"), None, None],
                vec![None, None, None, None],
            ]
        );
        assert_eq!(scan.raw(2), b"{}");
        assert_eq!(scan.raw(3), b"");
    }

    #[test]
    fn a_later_duplicate_without_the_field_unsets_the_tap() {
        let body = Bytes::from_static(br#"[{"a":{"b":1},"a":{"c":2}}]"#);
        let scan = scan_rows(&Rows::Array(body), &paths(&["/a/b"])).unwrap();

        assert_eq!(scan.tap(0, 0), None);
    }

    #[test]
    fn rows_given_one_by_one_are_scanned_alike() {
        let rows = vec![Bytes::from_static(b" {\"id\":7} "), Bytes::from_static(b"{}")];
        let scan = scan_rows(&Rows::Each(rows), &paths(&["/id"])).unwrap();

        assert_eq!((scan.len(), scan.tap(0, 0), scan.tap(1, 0)), (2, Some(&b"7"[..]), None));
        assert!(scan_rows(&Rows::None, &[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_array_of_objects_is_a_bad_response() {
        for (body, message) in [
            ("{}", "malformed JSON: expected an array of records at byte 0 of the records"),
            ("", "malformed JSON: the text ends too early at byte 0 of the records"),
            ("[{}, 5]", "malformed JSON: expected an object at byte 0 of a record (record: 1)"),
            ("[{},null]", "malformed JSON: expected an object at byte 0 of a record (record: 1)"),
            ("[{}] x", "malformed JSON: text after the value at byte 5 of the records"),
            (
                r#"[{},{"a":tru}]"#,
                "malformed JSON: expected a value at byte 5 of a record (record: 1)",
            ),
            (
                r#"[{},{"a":1"#,
                "malformed JSON: the text ends too early at byte 6 of a record (record: 1)",
            ),
        ] {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let error = scan_rows(&Rows::Array(body), &[]).unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::BadResponse, message)
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_utf_16_is_refused() {
        let marked = Bytes::from_static(b"\xef\xbb\xbf[{}]");
        assert_eq!(scan_rows(&Rows::Array(marked), &[]).unwrap().len(), 1);

        let utf16 = Bytes::from_static(b"\xff\xfe[\0]\0");
        assert!(scan_rows(&Rows::Array(utf16), &[]).is_err());
    }

    #[test]
    fn hash_tells_parts_apart() {
        assert_ne!(hash_bytes(&[b"a", b"bc"]), hash_bytes(&[b"ab", b"c"]));
        assert_ne!(hash_bytes(&[b""]), hash_bytes(&[]));
        assert_eq!(hash_bytes(&[b"a", b"bc"]), hash_bytes(&[b"a", b"bc"]));
    }

    #[test]
    fn json_text_unescapes_strings_and_keeps_literals() {
        for (raw, text) in [
            (r#""a\u00e9""#, Some("a\u{e9}")),
            (" 1.50 ", Some("1.50")),
            ("true", Some("true")),
            ("null", Some("null")),
            ("[1]", None),
            ("1 2", None),
            ("x", None),
        ] {
            assert_eq!(json_text(raw.as_bytes()).ok().as_deref(), text, "{raw}");
        }
    }
}
