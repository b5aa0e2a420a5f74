//! The records of every source, and direct changes to them.

use crate::answer::{Answer, of_reply};
use crate::churn::Movement;
use crate::clock::SimulatorClock;
use crate::corpus::Corpus;
use crate::fields::Fields;
use crate::links::Cause;
use crate::oauth::{OAuth, TokenServer};
use crate::rate::Rates;
use crate::spec::{CollectionSpec, EMBEDDED, SourceSpec};
use crate::table::{Slot, Table, at_path, unique_text};
use crate::value::Value;
use bytes::Bytes;
use lakeflow_core::{Clock, Error, ErrorKind, Instant, Result};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::sync::Arc;

/// The records of every source: what a hook may read and change while a request waits.
///
/// A collection is named `issues`, or with its scope before it, `acme/widgets/issues`. Without a
/// scope, reads see every scope and new records go where their own fields say.
pub struct World {
    pub(crate) sources: BTreeMap<String, SourceState>,
    pub(crate) clock: Arc<SimulatorClock>,
    pub(crate) movements: Vec<Movement>,
}

/// Collection and scope.
pub(crate) type Place = (String, String);

pub(crate) struct SourceState {
    pub(crate) spec: Arc<SourceSpec>,
    pub(crate) corpus: Arc<Corpus>,
    pub(crate) tables: BTreeMap<Place, Table>,
    /// Collections whose records come from those of others and were made, with the next index.
    pub(crate) derived: BTreeMap<String, u64>,
    /// How many of those records a place has at the start, at most.
    pub(crate) most: BTreeMap<Place, u64>,
    /// The passwords, keys and tokens that are accepted; none: any that is not blank, unless
    /// tokens must be issued.
    pub(crate) credentials: BTreeSet<String>,
    pub(crate) oauth: Option<TokenServer>,
    pub(crate) rates: Rates,
    pub(crate) pages: Option<PageCache>,
    /// Requests that are not answered yet.
    pub(crate) in_flight: usize,
    enforce_rate_limits: bool,
    /// Collections that are switched off.
    pub(crate) off: BTreeSet<String>,
}

/// Rendered pages by path and query, valid for one state of the source.
#[derive(Default)]
pub(crate) struct PageCache {
    pub(crate) version: u64,
    pub(crate) pages: HashMap<String, crate::answer::Answer>,
}

/// What a source starts with.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceSetup {
    pub(crate) name: String,
    /// Own `endpoints.yaml` and `corpus.yaml`, instead of embedded ones.
    pub(crate) files: Option<(String, String)>,
    /// Number of generated records by collection name, over the corpus file's own.
    pub(crate) rows: Vec<(String, u64)>,
    /// Records instead of generated ones.
    pub(crate) records: Vec<(String, Vec<Json>)>,
    pub(crate) credentials: BTreeSet<String>,
    pub(crate) oauth: Option<OAuth>,
    pub(crate) rate_limit: Option<u64>,
    pub(crate) enforce_rate_limits: bool,
    pub(crate) off: BTreeSet<String>,
    pub(crate) cache_bodies: bool,
}

impl World {
    pub(crate) fn new(clock: Arc<SimulatorClock>) -> Self {
        Self { sources: BTreeMap::new(), clock, movements: Vec::new() }
    }

    /// Reads a source's description and fills its collections.
    pub(crate) fn add_source(&mut self, setup: &SourceSetup, seed: u64) -> Result<()> {
        let named = |e: Error| e.context("source", setup.name.clone());
        let state = SourceState::new(setup, seed, &*self.clock).map_err(named)?;
        self.sources.insert(setup.name.clone(), state);
        for collection in &setup.off {
            self.switch_off(&setup.name, collection).map_err(named)?;
        }
        for (collection, rows) in &setup.rows {
            self.regenerate(&setup.name, collection, *rows).map_err(named)?;
        }
        // What others come from is first.
        let state = self.source(&setup.name)?;
        let mut given: Vec<_> = setup.records.iter().collect();
        given.sort_by_key(|(name, _)| state.generation(name));
        for (collection, records) in given {
            self.replace_at(&setup.name, collection, records, None).map_err(named)?;
        }

        Ok(())
    }

    /// Switches a collection off: its reads are answered as for an account without the feature.
    ///
    /// # Errors
    /// `ConfigInvalid` for an unknown source or collection.
    pub fn switch_off(&mut self, source: &str, collection: &str) -> Result<()> {
        let state = self.source_mut(source)?;
        state.spec.collection(collection)?;
        state.off.insert(collection.to_owned());
        Ok(())
    }

    /// Switches a collection on again.
    ///
    /// # Errors
    /// As [`switch_off`](Self::switch_off).
    pub fn switch_on(&mut self, source: &str, collection: &str) -> Result<()> {
        let state = self.source_mut(source)?;
        state.spec.collection(collection)?;
        state.off.remove(collection);
        Ok(())
    }

    /// Lets every access token that the source has issued expire.
    ///
    /// # Errors
    /// `ConfigInvalid` for an unknown source or one that issues no tokens.
    pub fn expire_tokens(&mut self, source: &str) -> Result<()> {
        let now = self.clock.now();
        let state = self.source_mut(source)?;
        let none = || Error::config(format!("source '{source}' was not set up with OAuth"));
        state.oauth.as_mut().ok_or_else(none)?.expire(now);
        Ok(())
    }

    /// Adds the record, or replaces the one with the same key; its fields stay as given.
    ///
    /// # Errors
    /// `ConfigInvalid` for an unknown source or collection; `DataInvalid` for a record that is no
    /// object or lacks its key.
    pub fn upsert(&mut self, source: &str, collection: &str, record: &Json) -> Result<()> {
        let now = self.clock.now();
        self.upsert_at(source, collection, record, Some(now))
    }

    fn upsert_at(
        &mut self,
        source: &str,
        collection: &str,
        record: &Json,
        changed: Option<Instant>,
    ) -> Result<()> {
        let state = self.state_of(source, collection)?;
        let place = state.place_of(collection, record)?;
        state.write(&place, record.to_string().into(), changed, Cause::Given).map(|_| ())
    }

    /// Takes a record away without a trace; false if there is none with this key.
    ///
    /// # Errors
    /// `ConfigInvalid` for an unknown source or collection.
    pub fn remove(&mut self, source: &str, collection: &str, key: impl Display) -> Result<bool> {
        let state = self.state_of(source, collection)?;
        match state.locate(collection, &key.to_string())? {
            Some((place, slot)) => state.remove(&place, slot),
            None => Ok(false),
        }
    }

    /// Sets the fields of `fields` in a record; the others stay as they are. `"a.b"` sets field `b`
    /// of the object in `a`.
    ///
    /// # Errors
    /// `ConfigInvalid` for an unknown source or collection; `DataInvalid` if there is no such
    /// record.
    pub fn patch(
        &mut self,
        source: &str,
        collection: &str,
        key: impl Display,
        fields: &Json,
    ) -> Result<()> {
        let key = key.to_string();
        let now = self.clock.now();
        let state = self.state_of(source, collection)?;
        let (place, slot) = state.locate(collection, &key)?.ok_or_else(|| {
            let message = format!("no record '{key}' in '{source}/{collection}'");
            Error::new(ErrorKind::DataInvalid, message)
        })?;
        let changes = fields.as_object().ok_or_else(not_an_object)?;
        let table = state.table(&place)?;
        let mut record = table.json(slot).and_then(|json| Fields::parse(json)).unwrap_or_default();
        for (field, value) in changes {
            record.set_at(field, value.to_string());
        }
        state.write(&place, record.render(), Some(now), Cause::Given).map(|_| ())
    }

    /// Every record of a collection, by scope and then in order of arrival.
    ///
    /// # Errors
    /// `ConfigInvalid` for an unknown source or collection.
    pub fn records(&mut self, source: &str, collection: &str) -> Result<Vec<Json>> {
        let parse = |json: &Bytes| serde_json::from_slice(json).unwrap_or_default();
        Ok(self.raw_records(source, collection)?.iter().map(parse).collect())
    }

    /// Replaces every record of a collection (of the scope, if named).
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert).
    pub fn replace(&mut self, source: &str, collection: &str, records: &[Json]) -> Result<()> {
        let now = self.clock.now();
        self.replace_at(source, collection, records, Some(now))
    }

    fn replace_at(
        &mut self,
        source: &str,
        collection: &str,
        records: &[Json],
        changed: Option<Instant>,
    ) -> Result<()> {
        self.state_of(source, collection)?.reset(collection)?;
        records.iter().try_for_each(|record| self.upsert_at(source, collection, record, changed))
    }

    /// Sets a record's time stamps to now and counts its counter up, as an edit by a user would.
    ///
    /// # Errors
    /// As [`patch`](Self::patch).
    pub fn touch(&mut self, source: &str, collection: &str, key: impl Display) -> Result<()> {
        let now = self.clock.now();
        let state = self.state_of(source, collection)?;
        match state.locate(collection, &key.to_string())? {
            Some((place, slot)) => state.touch(&place, slot, now),
            None => {
                let message = format!("no record '{key}' in '{source}/{collection}'");
                Err(Error::new(ErrorKind::DataInvalid, message))
            }
        }
    }

    /// Enforces these limits and no others, each as `rate_limit` of a description says it.
    ///
    /// # Errors
    /// `ConfigInvalid` for an unknown source or a malformed limit.
    pub fn set_rate_limits(&mut self, source: &str, limits: Json) -> Result<()> {
        let limits = serde_json::from_value(limits)
            .map_err(|e| Error::config("the limits are not well-formed").source(e))?;
        self.source_mut(source)?.rates = Rates::new(limits, None, true);
        Ok(())
    }

    /// Adds generated records, stamped with the present time.
    ///
    /// # Errors
    /// `ConfigInvalid` for an unknown source or collection.
    pub fn grow(&mut self, source: &str, collection: &str, rows: u64) -> Result<()> {
        let now = self.clock.now();
        let state = self.state_of(source, collection)?;
        let place = state.default_place(collection)?;
        (0..rows).try_for_each(|_| state.grow(&place, now))
    }

    pub(crate) fn raw_records(&mut self, source: &str, collection: &str) -> Result<Vec<Bytes>> {
        let state = self.state_of(source, collection)?;
        let mut records = Vec::new();
        for place in state.places(collection)? {
            if let Some(table) = state.tables.get(&place) {
                records.extend(table.all().cloned());
            }
        }

        Ok(records)
    }

    /// The source, with the records of `collection` in place.
    fn state_of(&mut self, source: &str, collection: &str) -> Result<&mut SourceState> {
        let state = self.source_mut(source)?;
        state.ensure(collection.rsplit_once('/').map_or(collection, |(_, name)| name))?;
        Ok(state)
    }

    pub(crate) fn source(&self, source: &str) -> Result<&SourceState> {
        self.sources.get(source).ok_or_else(|| self.unknown_source(source))
    }

    pub(crate) fn source_mut(&mut self, source: &str) -> Result<&mut SourceState> {
        if !self.sources.contains_key(source) {
            return Err(self.unknown_source(source));
        }
        self.sources.get_mut(source).ok_or_else(|| Error::internal("a source vanished"))
    }

    fn unknown_source(&self, source: &str) -> Error {
        let known: Vec<&str> = self.sources.keys().map(String::as_str).collect();
        Error::config(format!("source '{source}' is not served, these are: {}", known.join(", ")))
    }

    fn regenerate(&mut self, source: &str, collection: &str, rows: u64) -> Result<()> {
        let state = self.source_mut(source)?;
        let place = state.default_place(collection)?;
        match state.corpus.origin(&place.0) {
            Some(from) if from.is_one_each() => Err(Error::config(format!(
                "each record of '{}' has one of '{collection}': give its number of rows",
                from.collection
            ))),
            Some(_) => {
                state.most.insert(place, rows);
                Ok(())
            }
            None => state.fill(&place, rows),
        }
    }
}

impl SourceState {
    fn new(setup: &SourceSetup, seed: u64, clock: &dyn Clock) -> Result<Self> {
        let (endpoints, corpus) = match &setup.files {
            Some((endpoints, corpus)) => (endpoints.as_str(), corpus.as_str()),
            None => embedded(&setup.name)?,
        };
        let spec = Arc::new(SourceSpec::parse(endpoints)?);
        let corpus = Corpus::parse(corpus, seed, clock.now(), spec.time_format)?;
        let mut state = Self {
            spec: spec.clone(),
            corpus: Arc::new(corpus),
            tables: BTreeMap::new(),
            derived: BTreeMap::new(),
            most: BTreeMap::new(),
            credentials: setup.credentials.clone(),
            oauth: setup.oauth.clone().map(|oauth| TokenServer::new(oauth, seed)),
            rates: Rates::new(spec.rate_limit.clone(), setup.rate_limit, setup.enforce_rate_limits),
            pages: setup.cache_bodies.then(PageCache::default),
            in_flight: 0,
            enforce_rate_limits: setup.enforce_rate_limits,
            off: BTreeSet::new(),
        };
        let own = |collection: &str| state.corpus.origin(collection).is_none();
        let own: Vec<&str> =
            spec.collections.iter().map(|(name, _)| name).filter(|c| own(c)).collect();
        for collection in own {
            for scope in state.corpus.scopes(collection) {
                let place = (collection.to_owned(), scope);
                let overridden = |named: &String| {
                    *named == collection || *named == format!("{}/{collection}", place.1)
                };
                let by_rows = setup.rows.iter().any(|(named, _)| {
                    overridden(named) && state.default_place(named).ok().as_ref() == Some(&place)
                });
                let by_records = setup.records.iter().any(|(named, _)| overridden(named));
                let rows = state.corpus.count(&place.0, &place.1);
                state.fill(&place, if by_rows || by_records { 0 } else { rows })?;
            }
        }

        Ok(state)
    }

    /// The refusal of the newest request if too many are answered at a time.
    pub(crate) fn crowded(&self) -> Option<Answer> {
        let max = self.spec.max_concurrent.as_ref().filter(|_| self.enforce_rate_limits)?;
        (self.in_flight > max.requests).then(|| of_reply(&max.exceeded, &|_: &str| Value::Null))
    }

    /// The sum of every table's changes.
    pub(crate) fn version(&self) -> u64 {
        self.tables.values().map(|table| table.version).sum()
    }

    /// The table of a known collection, made on first use.
    pub(crate) fn table(&mut self, place: &Place) -> Result<&mut Table> {
        self.ensure(&place.0)?;
        let spec = self.spec.collection(&place.0)?.clone();
        Ok(self.tables.entry(place.clone()).or_insert_with(|| Table::new(spec)))
    }

    pub(crate) fn touch(&mut self, place: &Place, slot: Slot, now: Instant) -> Result<()> {
        let spec = self.spec.collection(&place.0)?.clone();
        let stamp = Value::text(&self.spec.time_format.write(now));
        let table = self.table(place)?;
        let Some(mut record) = table.json(slot).and_then(|json| Fields::parse(json)) else {
            return Ok(());
        };
        for field in &spec.touch.stamp {
            record.set_at(field, json_of(&stamp));
        }
        for field in &spec.touch.stamp_epoch {
            record.set_at(field, now.seconds().to_string());
        }
        if let Some(field) = &spec.touch.increment {
            let count = record.get(field).and_then(|value| value.as_i64()).unwrap_or(0);
            record.set(field, (count + 1).to_string());
        }
        let changed = record.render();
        self.write(place, changed, Some(now), Cause::Edit).map(|_| ())
    }

    pub(crate) fn grow(&mut self, place: &Place, now: Instant) -> Result<()> {
        let spec = self.spec.collection(&place.0)?.clone();
        let stamp = Value::text(&self.spec.time_format.write(now));
        let corpus = self.corpus.clone();
        let (place, mut record) = match corpus.origin(&place.0) {
            Some(from) if from.is_one_each() => return self.grow_until_one_more(place, from, now),
            Some(_) => self.next_child(place)?,
            None => (place.clone(), self.next_record(place)?),
        };
        for field in &spec.touch.stamp_new {
            let where_set = field.strip_suffix('?');
            let is_set = |field| record.get(field).is_some_and(|v| v.as_str() > Some(""));
            if where_set.is_none_or(is_set) {
                record.set_at(where_set.unwrap_or(field), json_of(&stamp));
            }
        }
        for field in &spec.touch.stamp_epoch {
            record.set_at(field, now.seconds().to_string());
        }
        self.write(&place, record.render(), Some(now), Cause::Edit).map(|_| ())
    }

    /// The next record of the corpus whose key is free.
    pub(crate) fn next_record(&mut self, place: &Place) -> Result<Fields> {
        let corpus = self.corpus.clone();
        let table = self.table(place)?;
        loop {
            let index = table.next_index;
            table.next_index += 1;
            let json = corpus.generate(&place.0, &place.1, index, None).ok_or_else(|| {
                Error::config(format!("corpus.yaml has no collection '{}'", place.0))
            })?;
            let record: Json = serde_json::from_slice(&json).unwrap_or_default();
            let taken = table.spec_unique().iter().any(|field| {
                let value = at_path(&record, field);
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                table.find(field, &text).is_some()
            });
            if !taken {
                return Fields::parse(&json).ok_or_else(not_an_object);
            }
        }
    }

    fn fill(&mut self, place: &Place, rows: u64) -> Result<()> {
        let corpus = self.corpus.clone();
        let table = self.table(place)?;
        table.clear();
        for index in 0..rows {
            if let Some(json) = corpus.generate(&place.0, &place.1, index, None) {
                table.upsert(json, None)?;
            }
        }
        table.next_index = rows;

        Ok(())
    }

    /// Splits `acme/widgets/issues` into collection and scope.
    fn split(&self, name: &str) -> Result<(Arc<CollectionSpec>, String, Option<String>)> {
        let (scope, collection) = match name.rsplit_once('/') {
            Some((scope, collection)) => (Some(scope.to_owned()), collection),
            None => (None, name),
        };
        let spec = self.spec.collection(collection)?.clone();
        if scope.is_some() && spec.scope.is_none() {
            return Err(Error::config(format!("collection '{collection}' has no scopes")));
        }

        Ok((spec, collection.to_owned(), scope))
    }

    /// The scope that was named, or the collection's default.
    pub(crate) fn default_place(&self, name: &str) -> Result<Place> {
        let (spec, collection, scope) = self.split(name)?;
        let default = || spec.scope.as_ref().map(|s| s.default.clone()).unwrap_or_default();
        Ok((collection, scope.unwrap_or_else(default)))
    }

    /// The place a record belongs to.
    pub(crate) fn place_of(&self, name: &str, record: &Json) -> Result<Place> {
        let (spec, collection, scope) = self.split(name)?;
        if let Some(scope) = scope {
            return Ok((collection, scope));
        }
        let own = spec.scope.as_ref().map(|scope| {
            let text = unique_text(at_path(record, &scope.field)).unwrap_or_default();
            let text = text.strip_prefix(&scope.prefix).unwrap_or_default();
            let segments: Vec<&str> =
                text.split('/').take(scope.segments.unwrap_or(usize::MAX)).collect();
            if text.is_empty() { scope.default.clone() } else { segments.join("/") }
        });
        Ok((collection, own.unwrap_or_default()))
    }

    /// Every place that a name covers.
    pub(crate) fn places(&self, name: &str) -> Result<Vec<Place>> {
        let (_, collection, scope) = self.split(name)?;
        if let Some(scope) = scope {
            return Ok(vec![(collection, scope)]);
        }
        Ok(self.tables.keys().filter(|(known, _)| *known == collection).cloned().collect())
    }

    /// The record whose unique field reads `value`, in whatever scope.
    pub(crate) fn find(&self, collection: &str, field: &str, value: &str) -> Option<(Place, Slot)> {
        let first = (collection.to_owned(), String::new());
        let tables = self.tables.range(first..).take_while(|(place, _)| place.0 == collection);
        let mut found = tables.filter_map(|(place, table)| {
            table.find(field, value).map(|slot| (place.clone(), slot))
        });
        found.next()
    }

    fn locate(&self, name: &str, key: &str) -> Result<Option<(Place, Slot)>> {
        for place in self.places(name)? {
            if let Some(table) = self.tables.get(&place)
                && let Some(field) = table.spec_unique().first()
                && let Some(slot) = table.find(field, key)
            {
                return Ok(Some((place, slot)));
            }
        }

        Ok(None)
    }
}

pub(crate) fn json_of(value: &Value) -> Vec<u8> {
    let mut json = Vec::new();
    value.write(&mut json);
    json
}

pub(crate) fn not_an_object() -> Error {
    Error::new(ErrorKind::DataInvalid, "a record is not an object")
}

fn embedded(source: &str) -> Result<(&'static str, &'static str)> {
    EMBEDDED
        .iter()
        .find(|(name, _, _)| *name == source)
        .map(|(_, endpoints, corpus)| (*endpoints, *corpus))
        .ok_or_else(|| {
            let known: Vec<&str> = EMBEDDED.iter().map(|(name, _, _)| *name).collect();
            Error::config(format!("unknown source '{source}', known: {}", known.join(", ")))
        })
}
