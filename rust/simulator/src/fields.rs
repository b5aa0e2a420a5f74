//! Changes to a record that leave everything else as it was written.

use crate::template::OrderedMap;
use crate::value::write_json_text;
use bytes::Bytes;

/// The fields of a JSON object in their order, for changes that leave the others as they are.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, Bytes)>);

impl Fields {
    /// `None` if `json` is not an object.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let map: OrderedMap<Box<serde_json::value::RawValue>> =
            serde_json::from_slice(json).ok()?;
        let own = |value: Box<serde_json::value::RawValue>| Bytes::from(value.get().to_owned());
        Some(Self(map.0.into_iter().map(|(key, value)| (key, own(value))).collect()))
    }

    pub(crate) fn get(&self, key: &str) -> Option<serde_json::Value> {
        let (_, value) = self.0.iter().find(|(k, _)| k == key)?;
        serde_json::from_slice(value).ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps only the fields of these names.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(key, _)| keep(key));
    }

    /// The fields of the object in a field; none if it is no object.
    pub(crate) fn object(&self, key: &str) -> Self {
        let value = self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value);
        value.and_then(|json| Self::parse(json)).unwrap_or_default()
    }

    /// As [`set`](Self::set), where dots lead into objects that are there.
    pub(crate) fn set_at(&mut self, path: &str, json: impl Into<Bytes>) {
        match path.split_once('.') {
            Some((head, rest)) if self.get(head).is_some_and(|value| value.is_object()) => {
                let mut inner = self.object(head);
                inner.set_at(rest, json);
                self.set(head, inner.render());
            }
            _ => self.set(path, json),
        }
    }

    /// Replaces the field in its place, or adds it at the end.
    pub(crate) fn set(&mut self, key: &str, json: impl Into<Bytes>) {
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some((_, value)) => *value = json.into(),
            None => self.0.push((key.to_owned(), json.into())),
        }
    }

    /// Makes every field null that is not in `keep`.
    pub(crate) fn blank(&mut self, keep: &[String]) {
        for (key, value) in &mut self.0 {
            if !keep.contains(key) {
                *value = Bytes::from_static(b"null");
            }
        }
    }

    pub(crate) fn render(&self) -> Bytes {
        let mut out = vec![b'{'];
        for (i, (key, value)) in self.0.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_json_text(key, &mut out);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b'}');
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_change_in_place_and_keep_their_order() {
        let mut fields = Fields::parse(br#"{"z":1,"a":{"x":[1, 2]},"m":null}"#).unwrap();
        fields.set("a", "2");
        fields.set("new", "\"n\"");
        assert_eq!(fields.render(), r#"{"z":1,"a":2,"m":null,"new":"n"}"#);
        fields.set("m", "{\"x\":1}");
        fields.set_at("m.x", "2");
        fields.set_at("m.y", "3");
        fields.set_at("a.b", "4");
        assert_eq!(fields.render(), r#"{"z":1,"a":2,"m":{"x":2,"y":3},"new":"n","a.b":4}"#);
        fields.retain(|key| key != "a.b");
        fields.blank(&["z".into()]);
        assert_eq!(fields.render(), r#"{"z":1,"a":null,"m":null,"new":null}"#);
    }
}
