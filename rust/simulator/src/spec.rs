//! `endpoints.yaml`: what a source's API accepts and answers.

use crate::fault::Fault;
use crate::template::{OrderedMap, Template};
use crate::value::{Compare, TimeFormat};
use lakeflow_core::{Error, Result};
use serde::Deserialize;
use std::sync::Arc;

/// The embedded sources: name, `endpoints.yaml`, `corpus.yaml`.
pub(crate) const EMBEDDED: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/specs.rs"));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceSpec {
    pub(crate) auth: AuthSpec,
    #[serde(default)]
    pub(crate) required_headers: OrderedMap<Reply>,
    #[serde(default)]
    pub(crate) time_format: TimeFormat,
    /// Headers of every answer; values may hold `${now_epoch}`.
    #[serde(default)]
    pub(crate) headers: OrderedMap<Template>,
    pub(crate) rate_limit: Option<RateLimitSpec>,
    /// Whether lists carry an `ETag` and answer `If-None-Match`.
    #[serde(default)]
    pub(crate) etag: bool,
    pub(crate) errors: ErrorsSpec,
    #[serde(deserialize_with = "shared")]
    pub(crate) collections: OrderedMap<Arc<CollectionSpec>>,
    pub(crate) routes: Vec<Route>,
    /// Faults that the API itself has; off unless asked for.
    #[serde(default)]
    pub(crate) default_faults: Vec<Fault>,
}

fn shared<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<OrderedMap<Arc<CollectionSpec>>, D::Error> {
    let map = OrderedMap::<CollectionSpec>::deserialize(deserializer)?;
    Ok(OrderedMap(map.0.into_iter().map(|(name, spec)| (name, Arc::new(spec))).collect()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthSpec {
    pub(crate) scheme: Scheme,
    /// Words before a token, any case.
    #[serde(default)]
    pub(crate) prefixes: Vec<String>,
    pub(crate) missing: Reply,
    pub(crate) rejected: Reply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scheme {
    /// Any pair of non-blank user name and password.
    Basic,
    /// Any non-blank token after one of the prefixes.
    Token,
}

/// A status and a JSON body.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: OrderedMap<Template>,
    #[serde(default)]
    pub(crate) body: Template,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorsSpec {
    /// An unknown route or record; `${path}`.
    pub(crate) not_found: Reply,
    /// A value a parameter does not take; `${parameter}`, `${value}`.
    pub(crate) invalid_parameter: Reply,
    /// A parameter the route does not know; absent: such parameters are ignored.
    pub(crate) unknown_parameter: Option<Reply>,
    /// A body that is no JSON object.
    pub(crate) invalid_body: Reply,
    /// A body without a required field; `${field}`.
    pub(crate) missing_field: Option<Reply>,
}

/// Numbers that appear in headers always and refuse requests only when a test asks for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitSpec {
    pub(crate) limit: u64,
    pub(crate) window_seconds: i64,
    /// `${limit}`, `${remaining}`, `${used}`, `${reset_epoch}`.
    pub(crate) headers: OrderedMap<Template>,
    pub(crate) exceeded: Reply,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CollectionSpec {
    /// Fields whose values occur once per scope; the first is the key.
    pub(crate) unique: Vec<String>,
    /// Fields to filter and sort by, and how they compare.
    pub(crate) fields: OrderedMap<Compare>,
    /// Which part of the API a record belongs to.
    pub(crate) scope: Option<ScopeSpec>,
    /// What changes when a test touches a record.
    pub(crate) touch: TouchSpec,
}

/// A record's scope is the text of `field` after `prefix`, else `default`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeSpec {
    pub(crate) field: String,
    pub(crate) prefix: String,
    pub(crate) default: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TouchSpec {
    /// Fields set to the present time.
    pub(crate) stamp: Vec<String>,
    /// Field that grows by one.
    pub(crate) increment: Option<String>,
    /// Fields of a new record that are set to the present time.
    pub(crate) stamp_new: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// `GET /a/{name}/b`; `{name:x|y}` takes only these. The first route that fits is taken.
    #[serde(rename = "on")]
    pub(crate) pattern: Pattern,
    /// The record a path lies below; if it is missing, the answer is `not_found`.
    pub(crate) parent: Option<ParentSpec>,
    /// Scope of the collection, with path parameters and `${parent.field}`.
    #[serde(default)]
    pub(crate) scope: Template,
    pub(crate) answer: Action,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParentSpec {
    pub(crate) collection: String,
    pub(crate) field: String,
    pub(crate) value: Template,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Respond(Reply),
    List(ListSpec),
    Get(PickSpec),
    Create(CreateSpec),
    Update(UpdateSpec),
    Delete(DeleteSpec),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListSpec {
    pub(crate) collection: String,
    #[serde(default)]
    pub(crate) filters: Vec<FilterSpec>,
    pub(crate) sort: SortSpec,
    pub(crate) paging: PagingSpec,
    /// Parameters that the real API knows and this description does not: answered with 501, so
    /// that nobody takes an ignored filter for a working one.
    #[serde(default)]
    pub(crate) unsupported: Vec<String>,
    /// `${rows}`, `${next_page}`, `${total}`.
    pub(crate) body: Template,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterSpec {
    pub(crate) param: String,
    pub(crate) field: String,
    pub(crate) op: Op,
    pub(crate) default: Option<String>,
    /// The value that filters nothing.
    pub(crate) any: Option<String>,
    /// The values it takes besides `any`; empty: every one that compares.
    #[serde(default)]
    pub(crate) allowed: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    Equal,
    After,
    AtOrAfter,
    Before,
    AtOrBefore,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SortSpec {
    /// Query parameter; absent: the order is fixed.
    pub(crate) param: Option<String>,
    pub(crate) direction_param: Option<String>,
    /// Name used when the parameter is absent.
    pub(crate) default: String,
    #[serde(default)]
    pub(crate) descending: bool,
    /// Value of the parameter to indexed field; empty: `default` is the field.
    #[serde(default)]
    pub(crate) fields: OrderedMap<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PagingSpec {
    pub(crate) page_param: String,
    /// What a page number below 1 or no number gets.
    pub(crate) invalid: Invalid,
    pub(crate) size_param: Option<String>,
    pub(crate) size: usize,
    pub(crate) max_size: usize,
    /// Path of `Link` header URLs; absent: no such header.
    pub(crate) link_path: Option<Template>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Invalid {
    Error,
    Default,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PickSpec {
    pub(crate) collection: String,
    pub(crate) field: String,
    pub(crate) value: Template,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSpec {
    pub(crate) collection: String,
    pub(crate) status: u16,
    /// Take the fields that the body lacks from the next record of the corpus.
    #[serde(default)]
    pub(crate) complete: bool,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    /// Fields taken from the body; empty: all.
    #[serde(default)]
    pub(crate) accept: Vec<String>,
    /// Ids in the body that stand for records of a pool.
    #[serde(default)]
    pub(crate) resolve: OrderedMap<ResolveSpec>,
    /// Fields of the new record, whatever the body says; `${now}`.
    #[serde(default)]
    pub(crate) set: OrderedMap<Template>,
    /// `${record}`.
    pub(crate) body: Template,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateSpec {
    pub(crate) find: PickSpec,
    #[serde(default)]
    pub(crate) accept: Vec<String>,
    #[serde(default)]
    pub(crate) resolve: OrderedMap<ResolveSpec>,
    #[serde(default)]
    pub(crate) set: OrderedMap<Template>,
    /// What else changes when a field changes to a value.
    #[serde(default)]
    pub(crate) when: Vec<WhenSpec>,
    pub(crate) body: Template,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhenSpec {
    pub(crate) field: String,
    pub(crate) becomes: String,
    pub(crate) set: OrderedMap<Template>,
}

/// The values of a body field, or the items of its list, are looked up in a pool; unknown ones
/// are dropped.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveSpec {
    pub(crate) pool: String,
    pub(crate) by: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteSpec {
    pub(crate) find: PickSpec,
    pub(crate) status: u16,
    pub(crate) tombstone: Option<TombstoneSpec>,
    pub(crate) body: Template,
}

/// A record of the deletion: the fields to keep, those set, the others null.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TombstoneSpec {
    pub(crate) collection: String,
    pub(crate) keep: Vec<String>,
    pub(crate) set: OrderedMap<Template>,
}

/// Method and path of a route.
#[derive(Debug)]
pub(crate) struct Pattern {
    method: String,
    segments: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Name { name: String, only: Vec<String> },
}

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::config(format!("route '{text}' is not 'METHOD /path'"));
        let (method, path) = text.split_once(' ').ok_or_else(malformed)?;
        let path = path.strip_prefix('/').ok_or_else(malformed)?;
        let segments = path
            .split('/')
            .map(|segment| {
                match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
                    Some(inner) => {
                        let (name, only) = inner.split_once(':').unwrap_or((inner, ""));
                        let only = only.split('|').filter(|o| !o.is_empty()).map(str::to_owned);
                        Segment::Name { name: name.to_owned(), only: only.collect() }
                    }
                    None => Segment::Literal(segment.to_owned()),
                }
            })
            .collect();

        Ok(Self { method: method.to_owned(), segments })
    }

    /// The path parameters, if method and decoded path segments fit.
    pub(crate) fn fit(&self, method: &str, path: &[String]) -> Option<Vec<(String, String)>> {
        if self.method != method || self.segments.len() != path.len() {
            return None;
        }
        let mut found = Vec::new();
        for (segment, text) in self.segments.iter().zip(path) {
            match segment {
                Segment::Literal(literal) if literal == text => {}
                Segment::Name { name, only } if only.is_empty() || only.contains(text) => {
                    found.push((name.clone(), text.clone()));
                }
                _ => return None,
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

impl SourceSpec {
    /// Reads `endpoints.yaml` and checks that what it refers to exists.
    ///
    /// # Errors
    /// `ConfigInvalid` naming the route or field.
    pub(crate) fn parse(yaml: &str) -> Result<Self> {
        let spec: Self = serde_saphyr::from_str(yaml)
            .map_err(|e| Error::config("endpoints.yaml is malformed").source(e))?;
        for route in &spec.routes {
            spec.check(route).map_err(|e| e.context("route", format!("{:?}", route.pattern)))?;
        }

        Ok(spec)
    }

    pub(crate) fn collection(&self, name: &str) -> Result<&Arc<CollectionSpec>> {
        self.collections.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.collections.iter().map(|(name, _)| name).collect();
            Error::config(format!("unknown collection '{name}', known: {}", known.join(", ")))
        })
    }

    fn check(&self, route: &Route) -> Result<()> {
        if let Some(parent) = &route.parent {
            self.check_unique(&parent.collection, &parent.field)?;
        }
        match &route.answer {
            Action::Respond(_) => Ok(()),
            Action::List(list) => {
                let collection = self.collection(&list.collection)?;
                let indexed = |field: &str| match collection.fields.get(field) {
                    Some(_) => Ok(()),
                    None => Err(Error::config(format!("field '{field}' is not indexed"))),
                };
                list.filters.iter().try_for_each(|filter| indexed(&filter.field))?;
                list.sort.fields.iter().try_for_each(|(_, field)| indexed(field))?;
                if list.sort.fields.0.is_empty() { indexed(&list.sort.default) } else { Ok(()) }
            }
            Action::Get(pick) => self.check_unique(&pick.collection, &pick.field),
            Action::Create(create) => self.collection(&create.collection).map(|_| ()),
            Action::Update(update) => {
                self.check_unique(&update.find.collection, &update.find.field)
            }
            Action::Delete(delete) => {
                if let Some(tombstone) = &delete.tombstone {
                    self.collection(&tombstone.collection)?;
                }
                self.check_unique(&delete.find.collection, &delete.find.field)
            }
        }
    }

    fn check_unique(&self, collection: &str, field: &str) -> Result<()> {
        if self.collection(collection)?.unique.iter().any(|unique| unique == field) {
            return Ok(());
        }
        Err(Error::config(format!("field '{field}' of '{collection}' is not unique")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_by_method_literals_and_alternatives() {
        let pattern = Pattern::parse("GET /repos/{owner}/{kind:a|b}").unwrap();
        let path = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let found = vec![("owner".to_owned(), "o".to_owned()), ("kind".into(), "b".into())];
        assert_eq!(pattern.fit("GET", &path("repos/o/b")), Some(found));
        for (method, other) in [("POST", "repos/o/b"), ("GET", "repos/o/c"), ("GET", "repos/o")] {
            assert_eq!(pattern.fit(method, &path(other)), None);
        }
    }

    #[test]
    fn every_embedded_description_is_consistent() {
        assert!(EMBEDDED.len() >= 2);
        for (name, endpoints, _) in EMBEDDED {
            SourceSpec::parse(endpoints).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        }
    }
}
