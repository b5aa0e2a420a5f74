//! Offsets: where a feed was left. Made, compared and stored by the engine only.

use crate::{Cursor, Error, JsonScalar, Result, canonical_json};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Version of the form written here.
pub const OFFSET_VERSION: u64 = 1;

/// Longest text of an offset, in bytes; what does not fit belongs into a state blob.
const MAX_BYTES: usize = 64 * 1024;

/// Rows of a table, its deletes, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feed {
    /// Upserts.
    Rows,
    /// Deletes.
    Deletes,
    /// Upserts and deletes. A connector is asked for rows without those that its delete feed has,
    /// and for that feed.
    Changes,
}

impl Feed {
    /// `rows`, `deletes` or `changes`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Deletes => "deletes",
            Self::Changes => "changes",
        }
    }
}

/// Identity of a parent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartKey(pub String);

/// A connector's own place: sorted strings, integers, booleans. No host, clock, secret or learnt
/// fact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(BTreeMap<String, JsonScalar>);

impl Position {
    /// Adds or replaces a value.
    pub fn with(mut self, name: impl Into<String>, value: JsonScalar) -> Self {
        self.0.insert(name.into(), value);
        self
    }

    /// The text called `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(JsonScalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The integer called `name`.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(JsonScalar::Int(n)) => Some(*n),
            _ => None,
        }
    }

    /// The place as a JSON object.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.iter().map(|(k, v)| (k.clone(), v.to_value())).collect())
    }

    /// Reads what [`to_value`](Self::to_value) gave; `None` for anything else.
    pub fn from_value(value: &Value) -> Option<Self> {
        let scalars = value.as_object()?.iter();
        let scalars = scalars.map(|(k, v)| Some((k.clone(), JsonScalar::from_value(v)?)));

        Some(Self(scalars.collect::<Option<_>>()?))
    }
}

/// A pass under way: its own upper bound, and the place reached. A feed that keeps the service's
/// place has one between passes too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Bound that the pass began with, as text.
    pub upto: Option<String>,
    /// Largest order value within the bound that was seen, as text.
    pub largest: Option<String>,
    /// The connector's place.
    pub at: Option<Position>,
    /// The table's `position_version` when `at` was made; 0 without a place.
    pub version: u32,
    /// When `at` was learnt, RFC 3339, where places age.
    pub since: Option<String>,
    /// Parents being read, one key a line.
    pub part: Option<PartKey>,
    /// Order value reached below `part`, as text.
    pub reached: Option<String>,
}

/// Where the deletes of a change feed were left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletesPlace {
    /// As of [`Offset::cursor`].
    pub cursor: Option<String>,
    /// As of [`Offset::ties`].
    pub ties: Vec<u64>,
    /// As of [`Offset::pass`].
    pub pass: Option<Pass>,
}

/// Where a feed was left.
///
/// Its text is canonical: sorted keys, the spacing of Python's `json.dumps`, parts that are empty
/// left out. `{}` is the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Source id.
    pub source: String,
    /// Table name.
    pub table: String,
    /// Rows, deletes, or both.
    pub feed: Feed,
    /// The options that choose rows, name to value: another repository's offset is refused.
    pub scope: BTreeMap<String, String>,
    /// Grows with every slice that has rows.
    pub seq: u64,
    /// Order value reached, as the service wrote it.
    pub cursor: Option<String>,
    /// Hashes of the rows delivered at exactly `cursor`, sorted.
    pub ties: Vec<u64>,
    /// A pass under way.
    pub pass: Option<Pass>,
    /// The place of the deletes in a change feed, whose other places are those of the rows.
    pub deletes: Option<DeletesPlace>,
    /// Planned by ranges, not sliced: a replay plans again.
    pub by_split: bool,
    /// Content hash of the state blob: rows seen, places by part.
    pub state: Option<String>,
    /// Id of the slice that ends here.
    pub slice: Option<String>,
    /// Salt of the hashes in `ties` and in the state blob, chosen once per checkpoint.
    pub salt: Option<u64>,
}

impl Offset {
    /// The canonical text.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if it exceeds 64 KB.
    pub fn to_text(&self) -> Result<String> {
        let mut map = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        put("v", Some(Value::from(OFFSET_VERSION)));
        put("source", Some(Value::from(self.source.as_str())));
        put("table", Some(Value::from(self.table.as_str())));
        put("feed", Some(Value::from(self.feed.name())));
        put("scope", (!self.scope.is_empty()).then(|| text_map(&self.scope)));
        put("seq", Some(Value::from(self.seq)));
        put("cursor", self.cursor.as_deref().map(Value::from));
        put("ties", ties_value(&self.ties));
        put("pass", self.pass.as_ref().map(pass_value));
        put("deletes", self.deletes.as_ref().map(deletes_value));
        put("by_split", self.by_split.then_some(Value::Bool(true)));
        put("state", self.state.as_deref().map(Value::from));
        put("slice", self.slice.as_deref().map(Value::from));
        put("salt", self.salt.map(|s| Value::from(format!("{s:016x}"))));
        let text = canonical_json(&Value::Object(map));
        if text.len() > MAX_BYTES {
            return Err(Error::internal(format!("an offset of {} bytes", text.len())));
        }

        Ok(text)
    }

    /// Reads the canonical text, or any JSON of the same content.
    ///
    /// `{}` gives `None`. The most common form of the Python connectors, `{"cursor": "…"}`, is read
    /// too, as [`from_text_or_legacy`](Self::from_text_or_legacy) does.
    ///
    /// # Errors
    /// [`ErrorKind::OffsetInvalid`](crate::ErrorKind::OffsetInvalid) for anything else.
    pub fn from_text(text: &str) -> Result<Option<Self>> {
        Self::from_text_or_legacy(text, &["cursor"])
    }

    /// As [`from_text`](Self::from_text), or the form of the Python connectors (version 0): an
    /// object without `v` whose members are all among `members`. Its cursor is the first of
    /// `members` that it has, a text or a whole number; `source` and `table` are empty.
    ///
    /// # Errors
    /// As [`from_text`](Self::from_text).
    pub fn from_text_or_legacy(text: &str, members: &[&str]) -> Result<Option<Self>> {
        let invalid = |what: &str| {
            Error::offset_invalid(format!(
                "{what}: '{}'; use a new checkpoint",
                text.chars().take(80).collect::<String>()
            ))
        };
        let value: Value =
            serde_json::from_str(text).map_err(|e| invalid("the offset is no JSON").source(e))?;
        let Value::Object(mut map) = value else {
            return Err(invalid("the offset is no JSON object"));
        };
        if map.is_empty() {
            return Ok(None);
        }
        let string = |value: Option<Value>| match value {
            Some(Value::String(s)) => Ok(Some(s)),
            None => Ok(None),
            Some(_) => Err(invalid("the offset has a field of the wrong type")),
        };
        if !map.contains_key("v") {
            let known = map.keys().all(|key| members.contains(&key.as_str()));
            let cursor = members.iter().find_map(|member| map.get(*member));
            let mut offset = Self::beginning("", "", Feed::Rows);
            offset.cursor = match cursor.filter(|_| known) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
                _ => return Err(invalid("the offset is of an unknown form")),
            };
            return Ok(Some(offset));
        }
        let version = map.remove("v").and_then(|v| v.as_u64());
        if version != Some(OFFSET_VERSION) {
            return Err(invalid("the offset was written by another version of this library"));
        }
        let feed = match string(map.remove("feed"))?.as_deref() {
            Some("rows") => Feed::Rows,
            Some("deletes") => Feed::Deletes,
            Some("changes") => Feed::Changes,
            _ => return Err(invalid("the offset names no feed")),
        };
        let source = string(map.remove("source"))?.ok_or_else(|| invalid("no source"))?;
        let table = string(map.remove("table"))?.ok_or_else(|| invalid("no table"))?;
        let mut offset = Self::beginning(source, table, feed);
        offset.seq = map.remove("seq").and_then(|v| v.as_u64()).ok_or_else(|| invalid("no seq"))?;
        offset.cursor = string(map.remove("cursor"))?;
        offset.state = string(map.remove("state"))?;
        offset.slice = string(map.remove("slice"))?;
        offset.salt = match string(map.remove("salt"))? {
            Some(salt) => Some(
                u64::from_str_radix(&salt, 16).map_err(|_| invalid("the offset has a bad salt"))?,
            ),
            None => None,
        };
        offset.by_split = map.remove("by_split").is_some_and(|v| v == Value::Bool(true));
        if let Some(Value::Object(scope)) = map.remove("scope") {
            for (name, value) in scope {
                let value = string(Some(value))?.unwrap_or_default();
                offset.scope.insert(name, value);
            }
        }
        offset.ties = ties_from(map.remove("ties")).ok_or_else(|| invalid("a bad tie"))?;
        if let Some(pass) = map.remove("pass") {
            offset.pass = Some(pass_from(&pass).ok_or_else(|| invalid("a bad pass"))?);
        }
        if let Some(deletes) = map.remove("deletes") {
            let place = deletes_from(deletes).ok_or_else(|| invalid("a bad place of deletes"))?;
            offset.deletes = Some(place);
        }
        if let Some(key) = map.keys().next() {
            return Err(invalid(&format!("the offset has an unknown field '{key}'")));
        }

        Ok(Some(offset))
    }

    /// The place before the first row.
    pub fn beginning(source: impl Into<String>, table: impl Into<String>, feed: Feed) -> Self {
        Self {
            source: source.into(),
            table: table.into(),
            feed,
            scope: BTreeMap::new(),
            seq: 0,
            cursor: None,
            ties: Vec::new(),
            pass: None,
            deletes: None,
            by_split: false,
            state: None,
            slice: None,
            salt: None,
        }
    }

    /// Puts a cursor in, keeping the old text if the value is the same in another spelling.
    pub fn advance(&mut self, old: Option<&Cursor>, new: &Cursor) {
        self.cursor = match old {
            Some(old) if old == new => Some(old.raw().to_owned()),
            _ => Some(new.raw().to_owned()),
        };
    }
}

fn text_map(map: &BTreeMap<String, String>) -> Value {
    Value::Object(map.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect())
}

fn ties_value(ties: &[u64]) -> Option<Value> {
    let texts = || ties.iter().map(|tie| Value::from(format!("{tie:016x}"))).collect();

    (!ties.is_empty()).then(|| Value::Array(texts()))
}

fn ties_from(value: Option<Value>) -> Option<Vec<u64>> {
    let Some(value) = value else { return Some(Vec::new()) };
    let hash = |tie: &Value| u64::from_str_radix(tie.as_str()?, 16).ok();

    value.as_array()?.iter().map(hash).collect()
}

fn deletes_value(place: &DeletesPlace) -> Value {
    let DeletesPlace { cursor, ties, pass } = place;
    let fields = [
        ("cursor", cursor.as_deref().map(Value::from)),
        ("ties", ties_value(ties)),
        ("pass", pass.as_ref().map(pass_value)),
    ];

    Value::Object(fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect())
}

fn deletes_from(value: Value) -> Option<DeletesPlace> {
    let Value::Object(mut map) = value else { return None };
    let place = DeletesPlace {
        cursor: match map.remove("cursor") {
            Some(cursor) => Some(cursor.as_str()?.to_owned()),
            None => None,
        },
        ties: ties_from(map.remove("ties"))?,
        pass: match map.remove("pass") {
            Some(pass) => Some(pass_from(&pass)?),
            None => None,
        },
    };

    map.is_empty().then_some(place)
}

fn pass_value(pass: &Pass) -> Value {
    let Pass { upto, largest, at, version, since, part, reached } = pass;
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let fields = [
        ("upto", text(upto)),
        ("largest", text(largest)),
        ("at", at.as_ref().map(Position::to_value)),
        ("version", (*version > 0).then(|| Value::from(*version))),
        ("since", text(since)),
        ("part", part.as_ref().map(|PartKey(part)| Value::from(part.as_str()))),
        ("reached", text(reached)),
    ];

    Value::Object(fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect())
}

fn pass_from(value: &Value) -> Option<Pass> {
    let map = value.as_object()?;
    let text = |name| map.get(name).and_then(Value::as_str).map(str::to_owned);
    let version = map.get("version").map_or(Some(0), Value::as_u64)?;

    Some(Pass {
        upto: text("upto"),
        largest: text("largest"),
        at: match map.get("at") {
            Some(at) => Some(Position::from_value(at)?),
            None => None,
        },
        version: u32::try_from(version).ok()?,
        since: text("since"),
        part: text("part").map(PartKey),
        reached: text("reached"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    fn sample() -> Offset {
        let mut offset = Offset::beginning("github", "issues", Feed::Rows);
        offset.scope.insert("repo".into(), "widgets".into());
        offset.seq = 2;
        offset.cursor = Some("2031-03-01T10:00:05Z".into());
        offset.ties = vec![7, 255];
        offset.slice = Some("abc".into());
        offset.salt = Some(1);
        offset
    }

    #[test]
    fn text_is_canonical() {
        assert_eq!(
            sample().to_text().unwrap(),
            concat!(
                r#"{"cursor": "2031-03-01T10:00:05Z", "feed": "rows", "#,
                r#""salt": "0000000000000001", "scope": {"repo": "widgets"}, "seq": 2, "#,
                r#""slice": "abc", "source": "github", "#,
                r#""table": "issues", "ties": ["0000000000000007", "00000000000000ff"], "v": 1}"#
            )
        );
    }

    #[test]
    fn beginning_and_the_python_form_are_read() {
        assert_eq!(Offset::from_text("{}").unwrap(), None);
        let members = &["resume_after", "start_time"];
        let cases = [
            (r#"{"start_time": "2031-03-01T10:00:00Z"}"#, Some("2031-03-01T10:00:00Z")),
            (r#"{"start_time": 5}"#, Some("5")),
            (r#"{"start_time": 5, "resume_after": 7}"#, Some("7")),
            (r#"{"start_time": 5.5}"#, None),
            (r#"{"start_time": 5, "done": true}"#, None),
            (r#"{"cursor": "x"}"#, None),
        ];
        for (text, cursor) in cases {
            let old = Offset::from_text_or_legacy(text, members).ok().flatten();
            let expected = cursor.map(|cursor| Offset {
                cursor: Some(cursor.to_owned()),
                ..Offset::beginning("", "", Feed::Rows)
            });
            assert_eq!(old, expected, "{text}");
        }
    }

    #[test]
    fn foreign_forms_are_refused() {
        for text in
            ["", "[]", "null", r#"{"c": 1}"#, r#"{"cursor": 5.5}"#, r#"{"v": 2}"#, r#"{"v": 1}"#]
        {
            let error = Offset::from_text(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OffsetInvalid, "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(
            table in ".{0,8}", seq in any::<u64>(), cursor in proptest::option::of(".{0,20}"),
            ties in proptest::collection::vec(any::<u64>(), 0..5), n in any::<i64>(),
            scope in proptest::collection::btree_map("[a-z]{1,5}", ".{0,9}", 0..3),
        ) {
            let mut offset = Offset::beginning("s", table, Feed::Deletes);
            (offset.seq, offset.cursor, offset.ties, offset.scope) = (seq, cursor, ties, scope);
            offset.pass = Some(Pass {
                upto: Some("x".into()),
                at: Some(Position::default().with("n", JsonScalar::Int(n))),
                part: Some(PartKey("é".into())),
                version: 1,
                largest: Some("w".into()),
                since: None,
                reached: Some("v".into()),
            });
            offset.feed = Feed::Changes;
            offset.deletes = Some(DeletesPlace {
                cursor: offset.cursor.clone(),
                ties: offset.ties.clone(),
                pass: offset.pass.clone(),
            });
            let text = offset.to_text().unwrap();
            prop_assert!(text.is_ascii());
            prop_assert_eq!(Offset::from_text(&text).unwrap(), Some(offset));
        }
    }
}
