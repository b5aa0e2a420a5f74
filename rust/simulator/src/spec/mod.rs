//! `endpoints.yaml`: what a source's API accepts and answers.

mod list;
mod pattern;

pub(crate) use list::{
    BatchRead, BatchSpec, BodyFieldsSpec, ChildrenSpec, EmbedSpec, FilterSpec, Invalid, ListSpec,
    Op, Oversize, PagingSpec, SearchSpec, SelectSpec, ShapeSpec, Style, Unit,
};
pub(crate) use pattern::Pattern;

use crate::fault::Fault;
use crate::template::{OrderedMap, Template};
use crate::value::{Compare, TimeFormat, Value};
use lakeflow_core::{Error, Result};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
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
    /// One limit or a list of them; each request uses every limit that its path fits.
    #[serde(default, deserialize_with = "one_or_many")]
    pub(crate) rate_limit: Vec<RateLimitSpec>,
    /// More requests than this at a time are refused where limits are enforced.
    pub(crate) max_concurrent: Option<ConcurrencySpec>,
    /// Longer paths with their query are refused.
    pub(crate) max_url: Option<MaxUrlSpec>,
    /// Other names of values in paths: `issue` for `issues`.
    #[serde(default)]
    pub(crate) aliases: OrderedMap<String>,
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

/// Reads without a buffer between, so that numbers and texts stay what the file says.
fn one_or_many<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<RateLimitSpec>, D::Error> {
    struct OneOrMany;
    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<RateLimitSpec>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a limit or a list of limits")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            RateLimitSpec::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }
    deserializer.deserialize_any(OneOrMany)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthSpec {
    pub(crate) scheme: Scheme,
    /// Words before a token, any case.
    #[serde(default)]
    pub(crate) prefixes: Vec<String>,
    /// The form of user names, in which `*` stands for any text that is not empty.
    #[serde(default = "any_user")]
    pub(crate) user: String,
    /// The header of a key.
    #[serde(default)]
    pub(crate) header: String,
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
    /// Any non-blank key in a header of its own.
    Header,
}

fn any_user() -> String {
    "*".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConcurrencySpec {
    pub(crate) requests: usize,
    pub(crate) exceeded: Reply,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaxUrlSpec {
    pub(crate) bytes: usize,
    pub(crate) refused: Reply,
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitSpec {
    #[serde(default)]
    pub(crate) kind: RateKind,
    /// Requests per window, or the size of the bucket.
    pub(crate) limit: u64,
    /// Length of a window.
    #[serde(default)]
    pub(crate) window_seconds: i64,
    /// How fast a bucket empties.
    #[serde(default)]
    pub(crate) leak_per_second: u64,
    /// Paths that count, in which `*` stands for any text.
    #[serde(default = "any_path")]
    pub(crate) on: Vec<String>,
    /// Paths that do not count although they fit.
    #[serde(default)]
    pub(crate) except: Vec<String>,
    /// `${limit}`, `${remaining}`, `${used}`, `${reset_epoch}`, `${reset_seconds}`.
    #[serde(default)]
    pub(crate) headers: OrderedMap<Template>,
    /// The same and `${retry_after}`, in whole seconds.
    pub(crate) exceeded: Reply,
}

fn any_path() -> Vec<String> {
    vec!["*".to_owned()]
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RateKind {
    /// Windows that follow each other; the first begins with the first request.
    #[default]
    Fixed,
    /// The last so many seconds, at any time.
    Rolling,
    /// A bucket that each request fills by one and time empties.
    LeakyBucket,
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
    /// The answer while a test has switched the collection off; absent: `errors.not_found`.
    pub(crate) off: Option<Reply>,
    /// What else changes with a record.
    pub(crate) links: Vec<LinkSpec>,
}

/// A record belongs to that record of `to` whose unique `field` has the value of its own `by`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkSpec {
    pub(crate) to: String,
    pub(crate) by: String,
    pub(crate) field: String,
    /// Fields that the other record takes over: both describe one thing, and go together.
    #[serde(default)]
    pub(crate) copy: Vec<String>,
    /// Time fields of the other record, raised to the time in the own field named here.
    #[serde(default)]
    pub(crate) raise: OrderedMap<String>,
    /// Fields of a new record of `to` if there is none, over the corpus: `${record.field}`.
    pub(crate) create: Option<OrderedMap<Template>>,
}

/// A record's scope is the text of `field` after `prefix`, else `default`; without a field it is
/// only known from where the record was put.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeSpec {
    #[serde(default)]
    pub(crate) field: String,
    #[serde(default)]
    pub(crate) prefix: String,
    pub(crate) default: String,
    /// How many path segments of the text count; absent: all.
    pub(crate) segments: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TouchSpec {
    /// Fields set to the present time; dots lead into objects.
    pub(crate) stamp: Vec<String>,
    /// Fields set to the present time in whole seconds since 1970.
    pub(crate) stamp_epoch: Vec<String>,
    /// Field that grows by one.
    pub(crate) increment: Option<String>,
    /// Fields of a new record that are set to the present time; `field?` only where it has a text.
    pub(crate) stamp_new: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// `GET /a/{name}/b`; `{name:x|y}` takes only these, `{name}.json` what
    /// ends so. The first route that fits is taken.
    #[serde(rename = "on")]
    pub(crate) pattern: Pattern,
    /// Query parameters a request must have to fit, with this value or, if null, with any.
    #[serde(default, rename = "with")]
    pub(crate) query: OrderedMap<Option<String>>,
    /// The record a path lies below; if it is missing, the answer is `not_found`.
    pub(crate) parent: Option<ParentSpec>,
    /// Scope of the collection, with path parameters and `${parent.field}`.
    #[serde(default)]
    pub(crate) scope: Template,
    /// What must hold before the route answers.
    #[serde(default)]
    pub(crate) guards: Vec<GuardSpec>,
    pub(crate) answer: Action,
}

/// `value`, written as text, must be `is`, and must not be `is_not`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardSpec {
    pub(crate) value: Template,
    pub(crate) is: Option<String>,
    pub(crate) is_not: Option<String>,
    pub(crate) refusal: Reply,
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
    List(Box<ListSpec>),
    Search(Box<SearchSpec>),
    Batch(Box<BatchSpec>),
    Get(Box<GetSpec>),
    Create(CreateSpec),
    Update(UpdateSpec),
    Delete(DeleteSpec),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PickSpec {
    pub(crate) collection: String,
    pub(crate) field: String,
    pub(crate) value: Template,
}

/// One record; with a body, `${record}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetSpec {
    pub(crate) collection: Template,
    pub(crate) field: String,
    pub(crate) value: Template,
    /// Conditions on fields, as text: other records are not found.
    #[serde(default)]
    pub(crate) only: OrderedMap<String>,
    #[serde(default)]
    pub(crate) shape: ShapeSpec,
    pub(crate) body: Option<Template>,
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

impl SourceSpec {
    /// Reads `endpoints.yaml` and checks that what it refers to exists.
    ///
    /// # Errors
    /// `ConfigInvalid` naming the route or field.
    pub(crate) fn parse(yaml: &str) -> Result<Self> {
        let spec: Self = serde_saphyr::from_str(yaml)
            .map_err(|e| Error::config("endpoints.yaml is malformed").source(e))?;
        for (_, collection) in spec.collections.iter() {
            let mut links = collection.links.iter();
            links.try_for_each(|link| spec.check_unique(&link.to, &link.field))?;
        }
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
                let filtered = list.filters.iter().map(|filter| filter.field.as_str());
                let sorted = list.sort.fields.iter().map(|(_, field)| field.as_str());
                let default = list.sort.fields.0.is_empty().then_some(list.sort.default.as_str());
                let fields: Vec<&str> = filtered.chain(sorted).chain(default).collect();
                self.check_fields(route, &list.collection, &fields)?;
                self.check_shape(route, &list.shape)
            }
            Action::Search(search) => {
                let mut fields: Vec<&str> = search.only.iter().map(|(field, _)| field).collect();
                fields.push(&search.order);
                self.check_fields(route, &search.collection, &fields)?;
                self.check_shape(route, &search.shape)
            }
            Action::Batch(batch) => match &batch.read {
                BatchRead::Records { collection, field, shape, .. } => {
                    for collection in self.collections_of(route, collection) {
                        self.check_unique(&collection, field)?;
                    }
                    self.check_shape(route, shape)
                }
                BatchRead::Children(children) => self.check_children(children),
            },
            Action::Get(get) => {
                for collection in self.collections_of(route, &get.collection) {
                    self.check_unique(&collection, &get.field)?;
                }
                self.check_shape(route, &get.shape)
            }
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

    /// The collections that a template may name: `${type}` stands for each listed value of the
    /// path parameter.
    fn collections_of(&self, route: &Route, collection: &Template) -> Vec<String> {
        match collection.names().as_slice() {
            [] => vec![collection.render_text(&|_: &str| Value::Null)],
            [name, ..] => {
                let values = route.pattern.alternatives(name).iter();
                values.map(|value| collection.render_text(&|_: &str| Value::text(value))).collect()
            }
        }
    }

    fn check_fields(&self, route: &Route, collection: &Template, fields: &[&str]) -> Result<()> {
        for collection in self.collections_of(route, collection) {
            fields.iter().try_for_each(|field| self.check_indexed(&collection, field))?;
        }

        Ok(())
    }

    fn check_indexed(&self, collection: &str, field: &str) -> Result<()> {
        match self.collection(collection)?.fields.get(field) {
            Some(_) => Ok(()),
            None => Err(Error::config(format!("field '{field}' of '{collection}' is not indexed"))),
        }
    }

    fn check_shape(&self, route: &Route, shape: &ShapeSpec) -> Result<()> {
        if let Some(known) = shape.select.as_ref().and_then(|select| select.known.as_ref()) {
            for collection in self.collections_of(route, &known.collection) {
                self.check_unique(&collection, &known.field)?;
            }
        }
        shape.embed.iter().try_for_each(|embed| self.check_children(&embed.children))
    }

    fn check_children(&self, children: &ChildrenSpec) -> Result<()> {
        self.check_indexed(&children.collection, &children.field)
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
    fn every_embedded_description_is_consistent() {
        assert!(EMBEDDED.len() >= 2);
        for (name, endpoints, _) in EMBEDDED {
            SourceSpec::parse(endpoints).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        }
    }
}
