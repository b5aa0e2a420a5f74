//! Method and path of a route.

use crate::template::OrderedMap;
use lakeflow_core::{Error, Result};
use serde::Deserialize;

/// Method and path of a route.
#[derive(Debug)]
pub(crate) struct Pattern {
    method: String,
    segments: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    /// Text before `suffix`.
    Name {
        name: String,
        only: Vec<String>,
        suffix: String,
    },
}

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::config(format!("route '{text}' is not 'METHOD /path'"));
        let (method, path) = text.split_once(' ').ok_or_else(malformed)?;
        let path = path.strip_prefix('/').ok_or_else(malformed)?;
        let segments = path
            .split('/')
            .map(|segment| match segment.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                Some((inner, suffix)) => {
                    let (name, only) = inner.split_once(':').unwrap_or((inner, ""));
                    let only = only.split('|').filter(|o| !o.is_empty()).map(str::to_owned);
                    let (name, suffix) = (name.to_owned(), suffix.to_owned());
                    Segment::Name { name, only: only.collect(), suffix }
                }
                None => Segment::Literal(segment.to_owned()),
            })
            .collect();

        Ok(Self { method: method.to_owned(), segments })
    }

    /// The values that a path parameter takes, if they are listed.
    pub(crate) fn alternatives(&self, parameter: &str) -> &[String] {
        self.segments
            .iter()
            .find_map(|segment| match segment {
                Segment::Name { name, only, .. } if name == parameter => Some(only.as_slice()),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The path parameters, if method and decoded path segments fit; `aliases` are other names of
    /// their values.
    pub(crate) fn fit(
        &self,
        method: &str,
        path: &[String],
        aliases: &OrderedMap<String>,
    ) -> Option<Vec<(String, String)>> {
        if self.method != method || self.segments.len() != path.len() {
            return None;
        }
        let mut found = Vec::new();
        for (segment, text) in self.segments.iter().zip(path) {
            match segment {
                Segment::Literal(literal) if literal == text => {}
                Segment::Literal(_) => return None,
                Segment::Name { name, only, suffix } => {
                    let text = text.strip_suffix(suffix.as_str())?;
                    let value = aliases.get(text).map_or(text, String::as_str);
                    if !only.is_empty() && !only.iter().any(|known| known == value) {
                        return None;
                    }
                    found.push((name.clone(), value.to_owned()));
                }
            }
        }

        Some(found)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_by_method_literals_and_alternatives() {
        let pattern = Pattern::parse("GET /repos/{owner}/{kind:a|b}").unwrap();
        let path = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let aliases = OrderedMap(vec![("0-2".to_owned(), "b".to_owned())]);
        let found = vec![("owner".to_owned(), "o".to_owned()), ("kind".into(), "b".into())];
        for fitting in ["repos/o/b", "repos/o/0-2"] {
            assert_eq!(pattern.fit("GET", &path(fitting), &aliases), Some(found.clone()));
        }
        for (method, other) in [("POST", "repos/o/b"), ("GET", "repos/o/c"), ("GET", "repos/o")] {
            assert_eq!(pattern.fit(method, &path(other), &aliases), None);
        }
        let suffixed = Pattern::parse("GET /orders/{id}.json").unwrap();
        let found = vec![("id".to_owned(), "7".to_owned())];
        assert_eq!(suffixed.fit("GET", &path("orders/7.json"), &aliases), Some(found));
        assert_eq!(suffixed.fit("GET", &path("orders/7"), &aliases), None);
        assert_eq!(pattern.alternatives("kind"), ["a", "b"]);
        assert_eq!(pattern.alternatives("owner"), [""; 0]);
    }
}
