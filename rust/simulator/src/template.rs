//! Ordered JSON templates from YAML: `${name}` stands for a value.

use crate::value::{Value, write_json_text};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON value whose texts may hold `${name}`; objects keep the order of the file.
///
/// A text that is exactly one placeholder takes the value's own type; elsewhere the value is
/// written as text. Keys may hold placeholders too. A key that ends in `?` is left out when its value is null or an empty object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Template {
    Fixed(Value),
    Text(Vec<Part>),
    List(Vec<Template>),
    Map(Vec<Field>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Literal(String),
    Name(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    key: Template,
    omit_null: bool,
    value: Template,
}

/// Where placeholders get their values from.
pub(crate) trait Names {
    /// The value of `name`; unknown names are null.
    fn value(&self, name: &str) -> Value;
}

impl<F: Fn(&str) -> Value> Names for F {
    fn value(&self, name: &str) -> Value {
        self(name)
    }
}

impl Default for Template {
    fn default() -> Self {
        Self::Fixed(Value::Null)
    }
}

impl Template {
    /// Splits a text at its placeholders.
    pub(crate) fn text(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else { break };
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            parts.push(Part::Name(name.to_owned()));
            rest = tail;
        }
        if parts.is_empty() {
            return Self::Fixed(Value::text(text));
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }

        Self::Text(parts)
    }

    /// Every name that occurs.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Text(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Name(name) => Some(name.as_str()),
                    Part::Literal(_) => None,
                })
                .collect(),
            Self::List(items) => items.iter().flat_map(Self::names).collect(),
            Self::Map(fields) => fields
                .iter()
                .flat_map(|field| field.key.names().into_iter().chain(field.value.names()))
                .collect(),
        }
    }

    /// The value of this template; texts stay texts, lists and objects become JSON.
    pub(crate) fn value(&self, names: &dyn Names) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(parts) => match parts.as_slice() {
                [Part::Name(name)] => names.value(name),
                parts => {
                    let mut text = String::new();
                    for part in parts {
                        match part {
                            Part::Literal(literal) => text.push_str(literal),
                            Part::Name(name) => names.value(name).push_text(&mut text),
                        }
                    }
                    Value::text(&text)
                }
            },
            Self::List(_) | Self::Map(_) => {
                let mut json = Vec::new();
                self.write(names, &mut json);
                Value::Json(json.into())
            }
        }
    }

    /// Appends JSON.
    pub(crate) fn write(&self, names: &dyn Names, out: &mut Vec<u8>) {
        match self {
            Self::Fixed(value) => value.write(out),
            Self::Text(_) => self.value(names).write(out),
            Self::List(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write(names, out);
                }
                out.push(b']');
            }
            Self::Map(fields) => {
                out.push(b'{');
                let mut first = true;
                for field in fields {
                    let start = out.len();
                    if !first {
                        out.push(b',');
                    }
                    write_json_text(&field.key.render_text(names), out);
                    out.push(b':');
                    let value_start = out.len();
                    field.value.write(names, out);
                    if field.omit_null && matches!(out.get(value_start..), Some(b"null" | b"{}")) {
                        out.truncate(start);
                    } else {
                        first = false;
                    }
                }
                out.push(b'}');
            }
        }
    }

    /// JSON bytes.
    pub(crate) fn render(&self, names: &dyn Names) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(names, &mut out);
        out
    }

    /// Text, for paths and header values.
    pub(crate) fn render_text(&self, names: &dyn Names) -> String {
        let mut text = String::new();
        self.value(names).push_text(&mut text);
        text
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TemplateVisitor)
    }
}

struct TemplateVisitor;

impl<'de> Visitor<'de> for TemplateVisitor {
    type Value = Template;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Template, E> {
        Ok(Template::Fixed(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Template, E> {
        Ok(Template::Fixed(Value::Integer(value)))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Template, E> {
        i64::try_from(value)
            .map(|value| Template::Fixed(Value::Integer(value)))
            .map_err(|_| E::custom("an integer beyond 64 bits"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Template, E> {
        Ok(Template::Fixed(Value::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Template, E> {
        Ok(Template::text(value))
    }

    fn visit_unit<E>(self) -> Result<Template, E> {
        Ok(Template::Fixed(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Template, E> {
        Ok(Template::Fixed(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Template, D::Error> {
        Template::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Template, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }

        Ok(Template::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Template, A::Error> {
        let mut fields = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Template>()? {
            let (key, omit_null) = match key.strip_suffix('?') {
                Some(key) => (key, true),
                None => (key.as_str(), false),
            };
            fields.push(Field { key: Template::text(key), omit_null, value });
        }

        Ok(Template::Map(fields))
    }
}

/// A map that keeps the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrderedMap<T>(pub(crate) Vec<(String, T)>);

impl<T> Default for OrderedMap<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> OrderedMap<T> {
    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|(k, _)| k == key)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrderedMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = OrderedMap<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }

                Ok(OrderedMap(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str) -> Value {
        match name {
            "n" => Value::Integer(7),
            "who" => Value::text("a \"b\""),
            "obj" => Value::Json(br#"{"x":1}"#.as_slice().into()),
            _ => Value::Null,
        }
    }

    #[test]
    fn placeholders_take_the_values_type_alone_and_are_text_inside_a_text() {
        let yaml = "z: ${n}\na: 'id-${n}-${who}'\nnone: ${nil}\ngone?: ${nil}\nkept?: ${n}\nlist: [1, '${obj}', 2.5, true, null, plain]\n";
        let template: Template = serde_saphyr::from_str(yaml).unwrap();
        assert_eq!(
            String::from_utf8(template.render(&names)).unwrap(),
            r#"{"z":7,"a":"id-7-a \"b\"","none":null,"kept":7,"list":[1,{"x":1},2.5,true,null,"plain"]}"#
        );
        assert_eq!(template.names(), ["n", "n", "who", "nil", "nil", "n", "obj"]);
        assert_eq!(Template::text("/r/${n}/i").render_text(&names), "/r/7/i");
    }
}
