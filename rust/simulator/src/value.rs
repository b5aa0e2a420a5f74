//! Values of templates, and the keys by which records are found and ordered.

use bytes::Bytes;
use lakeflow_core::Instant;
use serde::Deserialize;
use std::sync::Arc;

/// A value that a template is filled with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Arc<str>),
    /// JSON as it stands.
    Json(Bytes),
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// From a parsed JSON value.
    pub(crate) fn from_json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::String(text) => Self::text(text),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Json(number.to_string().into()),
            },
            other => Self::Json(other.to_string().into()),
        }
    }

    /// Appends JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Text(text) => write_json_text(text, out),
            Self::Json(json) => out.extend_from_slice(json),
            Self::Bool(_) | Self::Integer(_) | Self::Float(_) => {
                let mut text = String::new();
                self.push_text(&mut text);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// Appends plain text: nothing for null, JSON for objects and lists.
    pub(crate) fn push_text(&self, out: &mut String) {
        match self {
            Self::Null => {}
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(value) => out.push_str(&value.to_string()),
            Self::Float(value) => match serde_json::Number::from_f64(*value) {
                Some(number) => out.push_str(&number.to_string()),
                None => out.push_str("null"),
            },
            Self::Text(text) => out.push_str(text),
            Self::Json(json) => out.push_str(&String::from_utf8_lossy(json)),
        }
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn write_json_text(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

/// How a field compares in filters and orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compare {
    /// As points in time, whatever their spelling.
    Instant,
    /// As whole numbers.
    Integer,
    /// As text, by code points.
    Text,
}

/// What a record is filtered and ordered by; null comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Null,
    Number(i128),
    Text(Box<str>),
}

impl Key {
    /// Reads a parameter; `None` if it is not of the kind.
    pub(crate) fn of_text(compare: Compare, text: &str) -> Option<Self> {
        match compare {
            Compare::Instant => Instant::parse(text).map(|at| Self::Number(at.nanos())),
            Compare::Integer => text.trim().parse().ok().map(Self::Number),
            Compare::Text => Some(Self::Text(text.into())),
        }
    }

    /// Reads a field; what is absent or not of the kind is null.
    pub(crate) fn of_json(compare: Compare, value: &serde_json::Value) -> Self {
        match (compare, value) {
            (_, serde_json::Value::Null) => Self::Null,
            (Compare::Integer, serde_json::Value::Number(number)) => {
                number.as_i128().map_or(Self::Null, Self::Number)
            }
            (_, serde_json::Value::String(text)) => {
                Self::of_text(compare, text).unwrap_or(Self::Null)
            }
            (Compare::Text, other) => Self::Text(other.to_string().into()),
            _ => Self::Null,
        }
    }
}

/// How a source writes points in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimeFormat {
    /// `2031-03-01T10:00:00Z`, whole seconds.
    #[default]
    Zulu,
    /// `2031-03-01T10:00:00.000Z`, always three fraction digits.
    Millis,
    /// `2031-03-01T10:00:00+00:00`, with six fraction digits unless they are zero.
    Offset,
}

impl TimeFormat {
    /// `at` as text.
    pub(crate) fn write(self, at: Instant) -> String {
        match self {
            Self::Zulu => at.to_rfc3339(0),
            Self::Millis => at.to_rfc3339(3),
            Self::Offset => {
                let micros = at.nanos().rem_euclid(1_000_000_000) / 1_000;
                let text = at.to_rfc3339(if micros == 0 { 0 } else { 6 });
                format!("{}+00:00", text.trim_end_matches('Z'))
            }
        }
    }
}

/// Deterministic numbers from a seed: splitmix64, so that a corpus never depends on the version
/// of a crate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix(u64);

impl Mix {
    /// Numbers that depend on every one of `parts`.
    pub(crate) fn new(parts: &[u64]) -> Self {
        let mut mix = Self(0x9e37_79b9_7f4a_7c15);
        for part in parts {
            mix.0 ^= *part;
            mix.0 = mix.next();
        }

        mix
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.next()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// True at this rate, 0.0 to 1.0.
    pub(crate) fn chance(&mut self, rate: f64) -> bool {
        const SCALE: u64 = 1 << 53;
        rate > 0.0 && ((self.next() >> 11) as f64) < rate * SCALE as f64
    }

    /// One of `items`.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len() as u64);
        items.get(usize::try_from(index).unwrap_or(0))
    }
}

/// A number for a name, for [`Mix::new`] (FNV-1a).
pub(crate) fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_source_does() {
        let cases = [
            (TimeFormat::Zulu, 1_500_000_000, "2031-03-01T10:00:01Z"),
            (TimeFormat::Millis, 1_500_000_000, "2031-03-01T10:00:01.500Z"),
            (TimeFormat::Offset, 0, "2031-03-01T10:00:00+00:00"),
            (TimeFormat::Offset, 1_500_000_000, "2031-03-01T10:00:01.500000+00:00"),
        ];
        let start = Instant::parse("2031-03-01T10:00:00Z").unwrap();
        for (format, nanos, expected) in cases {
            assert_eq!(format.write(start.plus_nanos(nanos)), expected);
        }
    }

    #[test]
    fn mixed_numbers_depend_on_every_part_and_on_nothing_else() {
        let first = Mix::new(&[1, 2]).next();
        assert_eq!(first, Mix::new(&[1, 2]).next());
        assert_ne!(first, Mix::new(&[2, 1]).next());
        let mut mix = Mix::new(&[9]);
        let hits = (0..10_000).filter(|_| mix.chance(0.03)).count();
        assert!((200..400).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| mix.below(7) < 7));
    }
}
