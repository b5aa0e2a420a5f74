//! Finds parts of a JSON body without copying or interpreting them.
//!
//! ```
//! use bytes::Bytes;
//! use lakeflow_http::envelope;
//!
//! let body = Bytes::from_static(br#"{"records": [{"id": 1}], "next_page": 2}"#);
//! let envelope = envelope::object(&body)?;
//! assert_eq!(envelope.array("records")?, &br#"[{"id": 1}]"#[..]);
//! assert_eq!(envelope.integer("next_page")?, Some(2));
//! assert_eq!(envelope.integer("total")?, None);
//! # Ok::<(), lakeflow_core::Error>(())
//! ```

use bytes::Bytes;
use lakeflow_core::{Error, Result, Retry};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// Deepest nesting of arrays and objects in a response.
pub const MAX_DEPTH: usize = 128;

/// The fields of a JSON object, each a slice of the body it came in.
#[derive(Clone)]
pub struct Envelope(Vec<(String, Bytes)>);

/// Finds the top-level fields of the JSON object `body`, which is checked to be well-formed.
///
/// # Errors
/// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if `body` is not one JSON
/// object; to be repeated if it is not JSON at all.
pub fn object(body: &Bytes) -> Result<Envelope> {
    let body = without_mark(body);
    let Fields(fields) = serde_json::from_slice(&body).map_err(|error| {
        let retry = if error.is_data() { Retry::Never } else { Retry::Backoff };
        // What the parser says may quote a value.
        let place = format!("line {}, column {}", error.line(), error.column());
        Error::bad_response("the response is not a JSON object").retry(retry).context("at", place)
    })?;
    let raw = |(name, value): (String, &RawValue)| (name, body.slice_ref(value.get().as_bytes()));

    Ok(Envelope(fields.into_iter().map(raw).collect()))
}

/// `body` as the JSON array that it is, without blanks around it.
///
/// Only its ends are looked at: whoever reads the rows finds out about the rest.
///
/// # Errors
/// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if it is no array.
pub fn array(body: &Bytes) -> Result<Bytes> {
    let body = without_mark(body);
    let text = body.trim_ascii();
    match (text.first(), text.last()) {
        (Some(b'['), Some(b']')) if text.len() > 1 => Ok(body.slice_ref(text)),
        _ => Err(Error::bad_response("the response is no JSON array")),
    }
}

/// How many elements the JSON array `array` has.
///
/// # Errors
/// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if it is no JSON array.
pub fn count(array: &Bytes) -> Result<usize> {
    serde_json::from_slice::<Vec<IgnoredAny>>(array).map(|e| e.len()).map_err(no_array)
}

/// The elements of the JSON array `array`, each a slice of it.
///
/// # Errors
/// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if it is no JSON array.
pub fn elements(array: &Bytes) -> Result<Vec<Bytes>> {
    let elements: Vec<&RawValue> = serde_json::from_slice(array).map_err(no_array)?;

    Ok(elements.into_iter().map(|e| array.slice_ref(e.get().as_bytes())).collect())
}

/// One object of the fields of several: objects under one name are merged in turn, of other values
/// the first counts.
///
/// # Errors
/// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if one is no JSON object.
pub fn merged(objects: &[Bytes]) -> Result<Bytes> {
    if let [only] = objects {
        return Ok(only.clone());
    }
    let mut fields: Vec<(String, Vec<Bytes>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for body in objects {
        for (name, value) in object(body)?.0 {
            let place = *places.entry(name.clone()).or_insert(fields.len());
            match fields.get_mut(place) {
                Some((_, values)) => values.push(value),
                None => fields.push((name, vec![value])),
            }
        }
    }
    let mut out = b"{".to_vec();
    for (i, (name, values)) in fields.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(Value::from(name).to_string().as_bytes());
        out.push(b':');
        let nested = values.iter().all(|value| value.starts_with(b"{"));
        let value = match values.first() {
            Some(first) if !nested => first.clone(),
            _ => merged(&values)?,
        };
        out.extend_from_slice(&value);
    }
    out.push(b'}');

    Ok(out.into())
}

fn no_array(error: serde_json::Error) -> Error {
    let retry = if error.is_data() { Retry::Never } else { Retry::Backoff };

    Error::bad_response("the rows are no JSON array").retry(retry)
}

/// Refuses JSON that is nested so deep that whoever reads it would run out of stack.
///
/// # Errors
/// `BadResponse`, naming the limit.
pub(crate) fn check_depth(body: &[u8]) -> Result<()> {
    let mut depth = 0_usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_text(&mut bytes),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Error::bad_response(format!(
                "the response is nested deeper than {MAX_DEPTH} levels"
            )));
        }
    }

    Ok(())
}

/// Goes past the end of a JSON text.
fn skip_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

impl Envelope {
    /// The raw value of a field; the last one if the name comes twice.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().rfind(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// An array that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if it is not.
    pub fn array(&self, name: &str) -> Result<Bytes> {
        let array = self.get(name).filter(|raw| raw.starts_with(b"[")).cloned();
        array.ok_or_else(|| Error::bad_response(format!("the response has no array '{name}'")))
    }

    /// An object that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if it is not.
    pub fn object(&self, name: &str) -> Result<Self> {
        let raw = self.get(name).filter(|raw| raw.starts_with(b"{"));
        let missing = || Error::bad_response(format!("the response has no object '{name}'"));
        object(raw.ok_or_else(missing)?)
    }

    /// A whole number; `None` if the field is absent or null.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if it is another value.
    pub fn integer(&self, name: &str) -> Result<Option<u64>> {
        self.value(name, "a whole number from 0")
    }

    /// A text; `None` if the field is absent or null.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if it is another value.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        self.value(name, "text")
    }

    fn value<T: DeserializeOwned>(&self, name: &str, expected: &str) -> Result<Option<T>> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        // What the parser says may quote the value, which may be as long as the body.
        serde_json::from_slice(raw)
            .map_err(|_| Error::bad_response(format!("field '{name}' is not {expected}")))
    }
}

/// Names only.
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// `body` without a byte order mark.
fn without_mark(body: &Bytes) -> Bytes {
    match body.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => body.slice_ref(rest),
        None => body.clone(),
    }
}

/// Names, escapes undone, and raw values of an object.
struct Fields<'de>(Vec<(String, &'de RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }

                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakeflow_core::ErrorKind;

    fn read(body: &str) -> Result<Envelope> {
        object(&Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn fields_are_found_raw_wherever_they_are() {
        let cases = [
            (
                r#"{"records": [ {"a": 1e400} ], "next": null}"#,
                [Some(r#"[ {"a": 1e400} ]"#), Some("null")],
            ),
            (r#" {"x": {"records": 1}, "next" : "é" } "#, [None, Some("\"é\"")]),
            (r#"{"\u0072ecords": []}"#, [Some("[]"), None]),
            (r#"{"next": 1, "next": 2}"#, [None, Some("2")]),
            ("\u{feff}{}", [None, None]),
        ];
        for (body, expected) in cases {
            let envelope = read(body).unwrap();
            let text = |name| envelope.get(name).map(|b| std::str::from_utf8(b).unwrap());
            assert_eq!([text("records"), text("next")], expected, "{body}");
        }
    }

    #[test]
    fn found_values_share_the_body() {
        let body = Bytes::from_static(br#"{"records": [1]}"#);
        let records = object(&body).unwrap().array("records").unwrap();
        assert_eq!(records.as_ptr(), body[12..].as_ptr());
    }

    #[test]
    fn other_bodies_are_refused_and_broken_ones_repeated() {
        let cases = [
            ("[1]", Retry::Never),
            ("\"canary\"", Retry::Never),
            ("{\"a\": [1,", Retry::Backoff),
            ("{} {}", Retry::Backoff),
            ("", Retry::Backoff),
            ("oops", Retry::Backoff),
        ];
        for (body, retry) in cases {
            let error = read(body).unwrap_err();
            let facts = (error.kind(), error.retry_class(), error.message());
            let expected = (ErrorKind::BadResponse, retry, "the response is not a JSON object");
            assert_eq!(facts, expected, "{body}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }

    #[test]
    fn arrays_are_told_from_other_bodies() {
        let of = |b: &str| array(&Bytes::copy_from_slice(b.as_bytes())).ok();
        assert_eq!(of(" [1, 2]\n").as_deref(), Some(&b"[1, 2]"[..]));
        assert_eq!(of("\u{feff}[]").as_deref(), Some(&b"[]"[..]));
        for bad in ["", "[", "]", "{}", "[1", "null"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn elements_are_counted_and_cut_out_unchanged() {
        let body = Bytes::from_static(br#"[ {"a": [1, 2]}, 1e400 ,"x]", null]"#);
        let elements = elements(&body).unwrap();

        assert_eq!(elements, [&br#"{"a": [1, 2]}"#[..], b"1e400", br#""x]""#, b"null"]);
        assert_eq!(elements[0].as_ptr(), body[2..].as_ptr());
        assert_eq!(count(&body).unwrap(), 4);
        for (bad, retry) in [("{}", Retry::Never), ("[1", Retry::Backoff)] {
            let error = count(&Bytes::from(bad)).unwrap_err();
            let facts = (error.message(), error.retry_class());
            assert_eq!(facts, ("the rows are no JSON array", retry), "{bad}");
        }
    }

    #[test]
    fn merged_objects_have_the_fields_of_all() {
        let cases: [(&[&str], &str); 5] = [
            (&[], "{}"),
            (&[r#"{ "a": 1 }"#], r#"{ "a": 1 }"#),
            (
                &[
                    r#"{"id": 1, "p": {"a": 1e400}, "at": "x"}"#,
                    r#"{"id": 1, "p": {"b": [2]}, "at": "y", "\u0061\"": {}}"#,
                ],
                r#"{"id":1,"p":{"a":1e400,"b":[2]},"at":"x","a\"":{}}"#,
            ),
            (&[r#"{"a": {"b": 1}}"#, r#"{"a": null}"#], r#"{"a":{"b": 1}}"#),
            (&[r#"{"a": 1, "a": 2}"#, "{}"], r#"{"a":1}"#),
        ];
        for (objects, expected) in cases {
            let objects: Vec<_> = objects.iter().map(|o| Bytes::from(o.to_string())).collect();
            assert_eq!(merged(&objects).unwrap(), expected);
        }
        assert!(merged(&[Bytes::from("{}"), Bytes::from("[]")]).is_err());
    }

    #[test]
    fn nesting_has_a_limit_and_brackets_in_texts_do_not_count() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let text = format!(r#"{{"a": "\"{}\\"}}"#, "{".repeat(1000));
        let wide = format!("[{}]", "[{}],".repeat(1000));
        for shallow in [nested(MAX_DEPTH), text, wide] {
            assert!(check_depth(shallow.as_bytes()).is_ok(), "{shallow}");
        }
        for deep in [nested(MAX_DEPTH + 1), "{\"a\":".repeat(100_000)] {
            let message = check_depth(deep.as_bytes()).unwrap_err().to_string();
            assert_eq!(message, "the response is nested deeper than 128 levels");
        }
    }

    #[test]
    fn values_have_their_type_or_are_refused_and_null_is_absence() {
        let envelope = read(r#"{"n": 7, "t": "é", "z": null, "o": {"a": [1]}}"#).unwrap();
        let message = |e: Error| e.to_string();

        assert_eq!(envelope.integer("n").unwrap(), Some(7));
        assert_eq!(envelope.integer("z").unwrap(), None);
        assert_eq!(envelope.integer("none").unwrap(), None);
        let error = envelope.integer("t").map_err(message);
        assert_eq!(error, Err("field 't' is not a whole number from 0".into()));
        assert_eq!(envelope.text("t").unwrap().as_deref(), Some("é"));
        assert_eq!(envelope.text("n").map_err(message), Err("field 'n' is not text".into()));
        assert_eq!(envelope.object("o").unwrap().array("a").unwrap(), &b"[1]"[..]);
        for name in ["n", "z", "none"] {
            let error = envelope.array(name).map_err(message);
            assert_eq!(error, Err(format!("the response has no array '{name}'")));
            let error = envelope.object(name).map(|_| ()).map_err(message);
            assert_eq!(error, Err(format!("the response has no object '{name}'")));
        }
        assert_eq!(format!("{envelope:?}"), r#"{"n", "t", "z", "o"}"#);
    }
}
