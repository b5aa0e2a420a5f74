//! Records of any number from a template and a seed.

use crate::table::at_path;
use crate::template::{OrderedMap, Template};
use crate::value::{Mix, TimeFormat, Value, name_hash};
use base64::Engine as _;
use bytes::Bytes;
use lakeflow_core::{Error, Instant, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

const NANOS: i128 = 1_000_000_000;

/// `corpus.yaml`: what the records of a source look like.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CorpusSpec {
    /// Objects that occur inside records (people, labels), rendered once.
    pools: OrderedMap<Recipe>,
    collections: OrderedMap<Recipe>,
}

/// How the records of a collection or pool are made.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Recipe {
    rows: Option<RowCounts>,
    /// Instead of `rows`: records that belong to those of another collection.
    from: Option<FromSpec>,
    /// Records given by hand: one map of named values each, before those of `values`; `rows` is
    /// then not needed.
    each: Vec<OrderedMap<Template>>,
    /// So many records in a row share their index and values, except `${member}`, from 0.
    group: Option<u64>,
    values: OrderedMap<Make>,
    record: Template,
}

/// Records that come with those of another collection, whose fields are `${of.field}`; made when
/// first asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FromSpec {
    pub(crate) collection: String,
    /// Only with records where this field is not null, false, zero or empty.
    pub(crate) when: Option<String>,
    /// How many come with one record, each number as likely; absent: one.
    #[serde(default)]
    times: Vec<u64>,
    /// How many come with the first record of the default scope.
    first: Option<u64>,
}

impl FromSpec {
    /// Whether each record that fits has exactly one.
    pub(crate) fn is_one_each(&self) -> bool {
        self.times.is_empty()
    }

    pub(crate) fn fits(&self, record: &serde_json::Value) -> bool {
        let nothing = |value: &serde_json::Value| match value {
            serde_json::Value::Null => true,
            serde_json::Value::Bool(value) => !value,
            serde_json::Value::Number(number) => number.as_f64() == Some(0.0),
            serde_json::Value::String(text) => text.is_empty(),
            serde_json::Value::Array(items) => items.is_empty(),
            serde_json::Value::Object(_) => false,
        };
        self.when.as_ref().is_none_or(|field| !nothing(at_path(record, field)))
    }

    /// How many come with the record at `index` among those that fit.
    pub(crate) fn count(&self, mix: &mut Mix, index: u64) -> u64 {
        match self.first {
            Some(first) if index == 0 => first,
            _ => mix.pick(&self.times).copied().unwrap_or(1),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RowCounts {
    Number(u64),
    ByScope(OrderedMap<u64>),
}

/// How one named value is made.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Make {
    /// `start + index * step + scope index * per_scope`, where the index counts from 0 to
    /// `modulo - 1` again and again if that is set; as text of at least `width` digits if set.
    Sequence {
        #[serde(default)]
        start: i64,
        #[serde(default = "one")]
        step: i64,
        #[serde(default)]
        per_scope: i64,
        modulo: Option<u64>,
        width: Option<usize>,
    },
    /// One of these, each as likely.
    Choice(Vec<Template>),
    /// A whole number in `min..=max`.
    Integer { min: i64, max: i64 },
    /// A number in `min..=max` with so many digits after the point; as text if so asked.
    Decimal {
        min: i64,
        max: i64,
        digits: u32,
        #[serde(default)]
        text: bool,
    },
    /// A point in time.
    Time(TimeMake),
    /// A point in time between two others, both included.
    Between { from: String, to: String },
    /// A time, written with the offset that another value holds, as `-07:00`.
    Zoned { time: String, zone: String },
    /// A time as whole seconds since 1970.
    Epoch(String),
    /// A text of digits as a number.
    Number(String),
    /// So many hexadecimal digits.
    Hex(u64),
    /// The record of a pool whose field has this value.
    Find { pool: String, field: String, value: Template },
    /// A random UUID, version 4.
    Uuid {},
    /// `min..=max` words.
    Words { of: Vec<String>, min: u64, max: u64 },
    /// A record of this pool.
    Pick(String),
    /// The record of this pool that stands where the own record stands; from the first again
    /// after the last.
    Item(String),
    /// A list of up to `max` different records of this pool.
    Sample { pool: String, max: u64 },
    /// The first item of a list, null of an empty one.
    First(String),
    /// `then` if the value named `value` reads `is`, else `otherwise`, else null.
    If { value: String, is: String, then: Box<Make>, otherwise: Option<Box<Make>> },
    /// Null at this rate.
    Nullable { rate: f64, of: Box<Make> },
    /// Base64 of a text.
    Base64(Template),
    /// A template of its own.
    Template(Template),
}

/// `start` or `start_offset_seconds` (from start-up) plus `index * step_seconds`; or `after`
/// another time by `min_seconds..=max_seconds`. At the rate `ties` a row repeats the row before.
/// With `millis` it falls anywhere within its second.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TimeMake {
    start: Option<String>,
    start_offset_seconds: Option<i64>,
    step_seconds: i64,
    after: Option<String>,
    min_seconds: u64,
    max_seconds: u64,
    ties: f64,
    millis: bool,
}

/// The record that another one comes from, as `${of.field}`.
const OF: &str = "of";

const EPOCH: &str = "1970-01-01T00:00:00Z";

fn one() -> i64 {
    1
}

/// Makes records; the same seed, start-up time and index give the same bytes.
#[derive(Debug)]
pub(crate) struct Corpus {
    spec: CorpusSpec,
    seed: u64,
    started: Instant,
    time_format: TimeFormat,
    pools: BTreeMap<String, Vec<Bytes>>,
}

/// The row a value is made for.
struct Row<'a> {
    corpus: &'a Corpus,
    recipe: &'a Recipe,
    name: &'a str,
    scope: &'a str,
    scope_index: i64,
    index: u64,
    member: u64,
    given: Option<&'a OrderedMap<Template>>,
    of: Option<&'a serde_json::Value>,
}

impl Corpus {
    /// Reads `corpus.yaml` and renders its pools.
    ///
    /// # Errors
    /// `ConfigInvalid` if it is malformed or names what does not exist.
    pub(crate) fn parse(
        yaml: &str,
        seed: u64,
        started: Instant,
        time_format: TimeFormat,
    ) -> Result<Self> {
        let spec: CorpusSpec = serde_saphyr::from_str(yaml)
            .map_err(|e| Error::config("corpus.yaml is malformed").source(e))?;
        let started = started.floor(NANOS);
        let mut corpus = Self { spec, seed, started, time_format, pools: BTreeMap::new() };
        corpus.check()?;
        for at in 0..corpus.spec.pools.0.len() {
            let Some((name, recipe)) = corpus.spec.pools.0.get(at) else { continue };
            let rows =
                (0..recipe.count("")).map(|i| corpus.record(recipe, name, "", i, None).into());
            let rows = rows.collect();
            let name = name.clone();
            corpus.pools.insert(name, rows);
        }

        Ok(corpus)
    }

    /// The scopes of a collection, in the order of the file; one empty scope if it has none.
    pub(crate) fn scopes(&self, collection: &str) -> Vec<String> {
        match self.spec.collections.get(collection).and_then(|recipe| recipe.rows.as_ref()) {
            Some(RowCounts::ByScope(scopes)) => scopes.iter().map(|(s, _)| s.to_owned()).collect(),
            _ => vec![String::new()],
        }
    }

    /// How many records the file asks for.
    pub(crate) fn count(&self, collection: &str, scope: &str) -> u64 {
        self.spec.collections.get(collection).map_or(0, |recipe| recipe.count(scope))
    }

    /// The JSON of record `index`, which may belong to another; `None` if the file has no such
    /// collection.
    pub(crate) fn generate(
        &self,
        collection: &str,
        scope: &str,
        index: u64,
        of: Option<&serde_json::Value>,
    ) -> Option<Bytes> {
        let recipe = self.spec.collections.get(collection)?;
        Some(self.record(recipe, collection, scope, index, of).into())
    }

    /// Where the records of a collection come from, if from those of another.
    pub(crate) fn origin(&self, collection: &str) -> Option<&FromSpec> {
        self.spec.collections.get(collection)?.from.as_ref()
    }

    /// The collections whose records come from those of this one.
    pub(crate) fn offspring(&self, collection: &str) -> impl Iterator<Item = &str> {
        let from =
            move |recipe: &Recipe| recipe.from.as_ref().is_some_and(|f| f.collection == collection);
        self.spec.collections.iter().filter(move |(_, recipe)| from(recipe)).map(|(name, _)| name)
    }

    /// Numbers for choices about record `index` of a collection.
    pub(crate) fn mix(&self, collection: &str, index: u64) -> Mix {
        Mix::new(&[self.seed, name_hash(collection), index])
    }

    /// The record of `pool` whose field `field` reads `value`.
    pub(crate) fn lookup(
        &self,
        pool: &str,
        field: &str,
        value: &serde_json::Value,
    ) -> Option<Bytes> {
        self.pools.get(pool)?.iter().find_map(|bytes| {
            let record: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            (record.get(field)? == value).then(|| bytes.clone())
        })
    }

    fn record(
        &self,
        recipe: &Recipe,
        name: &str,
        scope: &str,
        index: u64,
        of: Option<&serde_json::Value>,
    ) -> Vec<u8> {
        let scope_index = match &recipe.rows {
            Some(RowCounts::ByScope(scopes)) => scopes.position(scope).unwrap_or(scopes.0.len()),
            _ => 0,
        };
        let group = recipe.group.unwrap_or(1).max(1);
        let row = Row {
            corpus: self,
            recipe,
            name,
            scope,
            scope_index: i64::try_from(scope_index).unwrap_or(0),
            index: index / group,
            member: index % group,
            given: usize::try_from(index).ok().and_then(|index| recipe.each.get(index)),
            of,
        };
        let index = row.index;
        let mut made: Vec<(&str, Value)> = Vec::with_capacity(recipe.values.0.len());
        for (name, make) in recipe.values.iter() {
            if row.given.is_some_and(|given| given.get(name).is_some()) {
                continue;
            }
            let mut mix = row.mix(name, index);
            let value = row.make(make, &mut mix, &|name: &str| row.value(&made, name));
            made.push((name, value));
        }

        let mut out = Vec::with_capacity(3_072);
        recipe.record.write(&|name: &str| row.value(&made, name), &mut out);
        out
    }

    /// Every name in a template or a generator must be known before it is used.
    fn check(&self) -> Result<()> {
        for (name, recipe) in self.spec.pools.iter().chain(self.spec.collections.iter()) {
            let mut known = vec!["scope".to_owned(), "index".to_owned(), "member".to_owned()];
            if let Some(from) = &recipe.from {
                known.push(OF.to_owned());
                if self.spec.collections.get(&from.collection).is_none() {
                    let origin = &from.collection;
                    return Err(Error::config(format!(
                        "corpus of '{name}' is from unknown '{origin}'"
                    )));
                }
            }
            for given in &recipe.each {
                known.extend(given.iter().map(|(name, _)| name.to_owned()));
            }
            let complain = |missing: &str| {
                Err(Error::config(format!("corpus of '{name}' uses unknown name '{missing}'")))
            };
            for (value, make) in recipe.values.iter() {
                if let Some(missing) = make.unknown(&known, &self.spec.pools) {
                    return complain(&missing);
                }
                known.push(value.to_owned());
            }
            if let Some(missing) = recipe.record.names().into_iter().find(|n| !knows(&known, n)) {
                return complain(missing);
            }
        }

        Ok(())
    }
}

impl Recipe {
    fn count(&self, scope: &str) -> u64 {
        match &self.rows {
            Some(RowCounts::Number(rows)) => *rows,
            Some(RowCounts::ByScope(scopes)) => scopes.get(scope).copied().unwrap_or(0),
            None => self.each.len() as u64,
        }
    }
}

impl Make {
    /// The first name this generator needs that is not in `known` or a pool.
    fn unknown(&self, known: &[String], pools: &OrderedMap<Recipe>) -> Option<String> {
        let name = |used: &str| (!knows(known, used)).then(|| used.to_owned());
        let pool = |used: &str| pools.get(used).is_none().then(|| used.to_owned());
        match self {
            Self::Choice(items) => items.iter().flat_map(Template::names).find_map(name),
            Self::Base64(template) | Self::Template(template) => {
                template.names().into_iter().find_map(name)
            }
            Self::Time(time) => time.after.as_deref().and_then(name),
            Self::Between { from, to } => name(from).or_else(|| name(to)),
            Self::Zoned { time, zone } => name(time).or_else(|| name(zone)),
            Self::Find { pool: used, value, .. } => {
                pool(used).or_else(|| value.names().into_iter().find_map(name))
            }
            Self::Pick(used) | Self::Item(used) | Self::Sample { pool: used, .. } => pool(used),
            Self::First(used) | Self::Epoch(used) | Self::Number(used) => name(used),
            Self::If { value, then, otherwise, .. } => name(value)
                .or_else(|| then.unknown(known, pools))
                .or_else(|| otherwise.as_ref().and_then(|make| make.unknown(known, pools))),
            Self::Nullable { of, .. } => of.unknown(known, pools),
            Self::Sequence { .. }
            | Self::Integer { .. }
            | Self::Decimal { .. }
            | Self::Uuid {}
            | Self::Hex(_)
            | Self::Words { .. } => None,
        }
    }
}

impl Row<'_> {
    fn mix(&self, value: &str, index: u64) -> Mix {
        Mix::new(&[
            self.corpus.seed,
            name_hash(self.name),
            name_hash(self.scope),
            index,
            name_hash(value),
        ])
    }

    fn value(&self, made: &[(&str, Value)], name: &str) -> Value {
        if let Some((_, value)) = made.iter().find(|(known, _)| *known == name) {
            return value.clone();
        }
        if let Some(template) = self.given.and_then(|given| given.get(name)) {
            return template.value(&|_: &str| Value::Null);
        }
        match (name, name.split_once('.'), self.of) {
            ("scope", ..) => Value::text(self.scope),
            ("index", ..) => integer(self.index),
            ("member", ..) => integer(self.member),
            (_, Some((OF, path)), Some(of)) => Value::from_json(at_path(of, path)),
            (_, Some((object, path)), _) => part(&self.value(made, object), path),
            _ => Value::Null,
        }
    }

    fn make(&self, make: &Make, mix: &mut Mix, names: &dyn Fn(&str) -> Value) -> Value {
        match make {
            Make::Sequence { start, step, per_scope, modulo, width } => {
                let index = modulo.map_or(self.index, |modulo| self.index % modulo.max(1));
                let index = i64::try_from(index).unwrap_or(i64::MAX);
                let number = start
                    .saturating_add(index.saturating_mul(*step))
                    .saturating_add(self.scope_index.saturating_mul(*per_scope));
                match width {
                    Some(width) => Value::text(&format!("{number:0width$}")),
                    None => Value::Integer(number),
                }
            }
            Make::Choice(items) => {
                mix.pick(items).map_or(Value::Null, |item| item.value(&|n: &str| names(n)))
            }
            Make::Integer { min, max } => Value::Integer(between(mix, *min, *max)),
            Make::Decimal { min, max, digits, text } => {
                let scale = 10_i64.saturating_pow(*digits);
                let number =
                    between(mix, min.saturating_mul(scale), max.saturating_mul(scale)) as f64;
                let number = number / scale as f64;
                match usize::try_from(*digits) {
                    Ok(digits) if *text => Value::text(&format!("{number:.digits$}")),
                    _ => Value::Float(number),
                }
            }
            Make::Time(time) => match self.time(time, self.index, 0) {
                Some(at) => Value::text(&self.corpus.time_format.write(at)),
                None => Value::Null,
            },
            Make::Between { from, to } => self.between(&names(from), &names(to), mix),
            Make::Zoned { time, zone } => zoned(&text_of(&names(time)), &text_of(&names(zone))),
            Make::Epoch(name) => Instant::parse(&text_of(&names(name)))
                .map_or(Value::Null, |at| Value::Integer(at.seconds())),
            Make::Number(name) => text_of(&names(name)).parse().map_or(Value::Null, Value::Integer),
            Make::Hex(digits) => {
                let digit = |_| char::from_digit(u32::try_from(mix.below(16)).unwrap_or(0), 16);
                Value::text(&(0..*digits).filter_map(digit).collect::<String>())
            }
            Make::Find { pool, field, value } => {
                let wanted = serde_json::Value::from(value.render_text(&|name: &str| names(name)));
                self.corpus.lookup(pool, field, &wanted).map_or(Value::Null, Value::Json)
            }
            Make::Uuid {} => {
                let (high, low) = (mix.next(), mix.next());
                let high = (high & !0xf000) | 0x4000;
                let low = (low & !(0b11 << 62)) | (0b10 << 62);
                Value::text(&format!(
                    "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                    high >> 32,
                    (high >> 16) & 0xffff,
                    high & 0xffff,
                    low >> 48,
                    low & 0xffff_ffff_ffff
                ))
            }
            Make::Words { of, min, max } => {
                let count = min + mix.below(max.saturating_sub(*min) + 1);
                let words: Vec<&str> =
                    (0..count).filter_map(|_| mix.pick(of)).map(String::as_str).collect();
                Value::text(&words.join(" "))
            }
            Make::Pick(pool) => self
                .corpus
                .pools
                .get(pool)
                .and_then(|rows| mix.pick(rows))
                .map_or(Value::Null, |json| Value::Json(json.clone())),
            Make::Item(pool) => {
                let rows = self.corpus.pools.get(pool).map(Vec::as_slice).unwrap_or_default();
                let index = usize::try_from(self.index).unwrap_or(0);
                let json = rows.get(index.checked_rem(rows.len()).unwrap_or(0));
                json.map_or(Value::Null, |json| Value::Json(json.clone()))
            }
            Make::Sample { pool, max } => self.sample(pool, *max, mix),
            Make::First(name) => first_item(&names(name)),
            Make::If { value, is, then, otherwise } => {
                if text_of(&names(value)) == *is {
                    self.make(then, mix, names)
                } else {
                    otherwise.as_ref().map_or(Value::Null, |make| self.make(make, mix, names))
                }
            }
            Make::Nullable { rate, of } => {
                if mix.chance(*rate) {
                    Value::Null
                } else {
                    self.make(of, mix, names)
                }
            }
            Make::Base64(template) => {
                let text = template.render_text(&|name: &str| names(name));
                Value::text(&base64::engine::general_purpose::STANDARD.encode(text))
            }
            Make::Template(template) => template.value(&|name: &str| names(name)),
        }
    }

    fn sample(&self, pool: &str, max: u64, mix: &mut Mix) -> Value {
        let rows = self.corpus.pools.get(pool).map(Vec::as_slice).unwrap_or_default();
        let mut chosen: Vec<&Bytes> = Vec::new();
        for _ in 0..mix.below(max + 1) {
            if let Some(row) = mix.pick(rows)
                && !chosen.contains(&row)
            {
                chosen.push(row);
            }
        }
        let mut json = vec![b'['];
        for (i, row) in chosen.into_iter().enumerate() {
            if i > 0 {
                json.push(b',');
            }
            json.extend_from_slice(row);
        }
        json.push(b']');
        Value::Json(json.into())
    }

    /// Null unless both are times.
    fn between(&self, from: &Value, to: &Value, mix: &mut Mix) -> Value {
        let instant = |value: &Value| Instant::parse(&text_of(value));
        let (Some(from), Some(to)) = (instant(from), instant(to)) else { return Value::Null };
        let seconds = u64::try_from(to.seconds().saturating_sub(from.seconds())).unwrap_or(0);
        let at = from.plus_nanos(i128::from(mix.below(seconds.saturating_add(1))) * NANOS);
        Value::text(&self.corpus.time_format.write(at))
    }

    /// The point in time of row `index`; `depth` guards against a time that is after itself.
    fn time(&self, make: &TimeMake, index: u64, depth: u32) -> Option<Instant> {
        if depth > 8 {
            return None;
        }
        let mut index = index;
        while index > 0 && make.ties > 0.0 && self.mix("ties", index).chance(make.ties) {
            index -= 1;
        }
        let within = i128::from(self.mix("millis", index).below(1_000)) * 1_000_000;
        let within = if make.millis { within } else { 0 };
        let Some(base) = &make.after else {
            let start = match (&make.start, make.start_offset_seconds) {
                (Some(start), _) => Instant::parse(start)?,
                (None, offset) => {
                    self.corpus.started.plus_nanos(i128::from(offset.unwrap_or(0)) * NANOS)
                }
            };
            let seconds = i128::from(index) * i128::from(make.step_seconds);
            return Some(start.plus_nanos(seconds * NANOS + within));
        };
        let base = match self.recipe.values.get(base)? {
            Make::Time(base) => self.time(base, index, depth + 1)?,
            _ => return None,
        };
        let span = make.max_seconds.saturating_sub(make.min_seconds) + 1;
        let seconds = make.min_seconds + self.mix("after", index).below(span);
        Some(base.plus_nanos(i128::from(seconds) * NANOS + within))
    }
}

/// Whether `name`, or the object it is a part of, is among `known`.
fn knows(known: &[String], name: &str) -> bool {
    let object = name.split_once('.').map_or(name, |(object, _)| object);
    known.iter().any(|known| known == name || known == object)
}

/// The value at a dotted path of an object.
fn part(object: &Value, path: &str) -> Value {
    let Value::Json(json) = object else { return Value::Null };
    let object: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
    Value::from_json(at_path(&object, path))
}

fn text_of(value: &Value) -> String {
    let mut text = String::new();
    value.push_text(&mut text);
    text
}

/// Null unless both texts are what they should be.
fn zoned(time: &str, zone: &str) -> Value {
    // A time of day in the zone is one in UTC, moved by the offset.
    let offset = || {
        let (utc, there) = (Instant::parse(EPOCH)?, EPOCH.replace('Z', zone));
        Some(utc.nanos() - Instant::parse(&there)?.nanos())
    };
    match (Instant::parse(time), offset()) {
        (Some(at), Some(offset)) => {
            let local = at.plus_nanos(offset).to_rfc3339(0);
            Value::text(&format!("{}{zone}", local.trim_end_matches('Z')))
        }
        _ => Value::Null,
    }
}

fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn between(mix: &mut Mix, min: i64, max: i64) -> i64 {
    let span = u64::try_from(max.saturating_sub(min)).unwrap_or(0).saturating_add(1);
    min.saturating_add(i64::try_from(mix.below(span)).unwrap_or(0))
}

fn first_item(list: &Value) -> Value {
    let Value::Json(json) = list else { return Value::Null };
    let items: Vec<&serde_json::value::RawValue> = serde_json::from_slice(json).unwrap_or_default();
    items
        .first()
        .map_or(Value::Null, |item| Value::Json(Bytes::copy_from_slice(item.get().as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
pools:
  people:
    rows: 3
    values: {n: {sequence: {start: 1}}}
    record: {login: 'p${n}'}
collections:
  things:
    rows: {a: 3, b: 2}
    values:
      id: {sequence: {start: 10, per_scope: 1000}}
      made: {time: {start: '2024-01-01T00:00:00Z', step_seconds: 30}}
      changed: {time: {after: made, min_seconds: 60, max_seconds: 60}}
      state: {choice: [open, closed]}
      closed: {if: {value: state, is: closed, then: {template: '${changed}'}}}
      people: {sample: {pool: people, max: 2}}
      boss: {first: people}
    record: {id: '${id}', scope: '${scope}', made: '${made}', changed: '${changed}', state: '${state}', closed: '${closed}', people: '${people}', boss: '${boss}'}
";

    fn corpus(seed: u64) -> Corpus {
        Corpus::parse(YAML, seed, Instant::from_parts(0, 0), TimeFormat::Zulu).unwrap()
    }

    fn json(corpus: &Corpus, scope: &str, index: u64) -> serde_json::Value {
        serde_json::from_slice(&corpus.generate("things", scope, index, None).unwrap()).unwrap()
    }

    #[test]
    fn records_depend_on_seed_scope_and_index_only() {
        let bytes = |seed| {
            (0..50).map(|i| corpus(seed).generate("things", "a", i, None)).collect::<Vec<_>>()
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
        assert_eq!(corpus(1).scopes("things"), ["a", "b"]);
        assert_eq!(corpus(1).count("things", "b"), 2);

        let record = json(&corpus(1), "b", 2);
        assert_eq!(record["id"], 1012);
        assert_eq!(record["scope"], "b");
        assert_eq!(record["made"], "2024-01-01T00:01:00Z");
        assert_eq!(record["changed"], "2024-01-01T00:02:00Z");
    }

    #[test]
    fn dependent_values_agree_with_what_they_depend_on() {
        let corpus = corpus(5);
        let mut states = std::collections::BTreeSet::new();
        for i in 0..50 {
            let record = json(&corpus, "a", i);
            let closed = record["state"] == "closed";
            assert_eq!(record["closed"].is_string(), closed);
            assert_eq!(record["boss"], record["people"].get(0).cloned().unwrap_or_default());
            states.insert(closed);
        }
        assert_eq!(states.len(), 2);
    }

    #[test]
    fn times_have_offsets_and_parts_and_amounts_are_texts() {
        let yaml = "
collections:
  x:
    rows: 1
    values:
      at: {time: {start: '2024-01-01T00:30:00Z'}}
      west: {choice: ['-07:00']}
      east: {choice: ['+05:30']}
      object: {template: {deep: {n: 7}}}
      none: {template: '${object.deep.m}'}
      west_at: {zoned: {time: at, zone: west}}
      east_at: {zoned: {time: at, zone: east}}
      no_time: {zoned: {time: none, zone: east}}
      amount: {decimal: {min: 7, max: 7, digits: 2, text: true}}
    record: {west: '${west_at}', east: '${east_at}', no_time: '${no_time}', part: '${object.deep.n}', none: '${none}', amount: '${amount}'}
";
        let corpus = Corpus::parse(yaml, 1, Instant::from_parts(0, 0), TimeFormat::Zulu).unwrap();
        let record: serde_json::Value =
            serde_json::from_slice(&corpus.generate("x", "", 0, None).unwrap()).unwrap();
        assert_eq!(
            record,
            serde_json::json!({
                "west": "2023-12-31T17:30:00-07:00",
                "east": "2024-01-01T06:00:00+05:30",
                "no_time": null,
                "part": 7,
                "none": null,
                "amount": "7.00",
            })
        );
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let yaml = "collections: {x: {rows: 1, record: {a: '${nope}'}}}";
        let error = Corpus::parse(yaml, 1, Instant::from_parts(0, 0), TimeFormat::Zulu);
        assert_eq!(error.unwrap_err().message(), "corpus of 'x' uses unknown name 'nope'");
    }
}
