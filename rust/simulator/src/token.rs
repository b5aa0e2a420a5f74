//! Opaque tokens of lists: a place in the order, signed, so that a made-up one is noticed.

use crate::table::{Slot, Start};
use crate::value::{Key, name_hash};
use base64::Engine as _;
use serde::{Deserialize, Serialize};

/// Padding, `+` and `/` on purpose: a client must encode a token before it sends it back.
const ENCODING: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Token {
    place: Place,
    /// The parameters that the token keeps for the client.
    pub(crate) query: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
enum Place {
    First,
    After(StoredKey, Slot),
    Before(StoredKey, Slot),
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
enum StoredKey {
    Null,
    /// JSON numbers do not reach this far.
    Number(String),
    Text(String),
}

impl Token {
    pub(crate) fn new(start: &Start, query: Vec<(String, String)>) -> Self {
        let place = match start {
            Start::Offset(_) => Place::First,
            Start::After(key, slot) => Place::After(store(key), *slot),
            Start::Before(key, slot) => Place::Before(store(key), *slot),
        };
        Self { place, query }
    }

    /// The page it leads to; `None` if it was made up.
    pub(crate) fn start(&self) -> Option<Start> {
        Some(match &self.place {
            Place::First => Start::Offset(0),
            Place::After(key, slot) => Start::After(load(key)?, *slot),
            Place::Before(key, slot) => Start::Before(load(key)?, *slot),
        })
    }

    /// The text of the token; it is worth something only at `path`.
    pub(crate) fn seal(&self, path: &str) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        ENCODING.encode(format!("{:016x}{json}", signature(path, &json)))
    }

    /// Reads what [`seal`](Self::seal) wrote for the same path.
    pub(crate) fn open(text: &str, path: &str) -> Option<Self> {
        let decoded = String::from_utf8(ENCODING.decode(text).ok()?).ok()?;
        let (signed, json) = decoded.split_at_checked(16)?;
        let genuine = u64::from_str_radix(signed, 16).ok()? == signature(path, json);
        if genuine { serde_json::from_str(json).ok() } else { None }
    }
}

fn signature(path: &str, json: &str) -> u64 {
    name_hash(&format!("{path} {json}"))
}

fn store(key: &Key) -> StoredKey {
    match key {
        Key::Null => StoredKey::Null,
        Key::Number(number) => StoredKey::Number(number.to_string()),
        Key::Text(text) => StoredKey::Text(text.to_string()),
    }
}

fn load(key: &StoredKey) -> Option<Key> {
    Some(match key {
        StoredKey::Null => Key::Null,
        StoredKey::Number(number) => Key::Number(number.parse().ok()?),
        StoredKey::Text(text) => Key::Text(text.as_str().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_way_and_made_up_ones_do_not() {
        let query = vec![("status".to_owned(), "any".to_owned())];
        let starts = [
            Start::Offset(0),
            Start::After(Key::Number(i128::MAX), 7),
            Start::After(Key::Null, 0),
            Start::Before(Key::Text("é\"".into()), 3),
        ];
        for start in starts {
            let token = Token::new(&start, query.clone());
            let text = token.seal("/a");
            assert_eq!(Token::open(&text, "/a"), Some(token.clone()));
            assert_eq!(token.start(), Some(start));
            assert_eq!(Token::open(&text, "/b"), None);
        }
        for text in ["", "x", "NTI1", &ENCODING.encode("0000000000000000{}"), "é"] {
            assert_eq!(Token::open(text, "/a"), None, "{text}");
        }
    }
}
