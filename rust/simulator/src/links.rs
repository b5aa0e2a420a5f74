//! Records that belong together: made from each other, and kept in step.

use crate::corpus::FromSpec;
use crate::fields::Fields;
use crate::spec::LinkSpec;
use crate::table::{Slot, at_path, unique_text};
use crate::template::{OrderedMap, Template};
use crate::value::Value;
use crate::world::{Place, SourceState, json_of, not_an_object};
use bytes::Bytes;
use lakeflow_core::{Error, Instant, Result};
use serde_json::Value as Json;

/// Why a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// By a user, at this time: what it belongs to moves to this time too.
    Edit,
    /// It is as given, with the times it has.
    Given,
}

/// Records of the origin that are made, at most, until one brings the wanted record with it.
const MAX_TRIES: usize = 10_000;

impl SourceState {
    /// Makes the records of a collection that come from those of another, once.
    ///
    /// They are made when first asked for: most runs read few collections, and records with whole
    /// other records inside them are large.
    pub(crate) fn ensure(&mut self, collection: &str) -> Result<()> {
        let corpus = self.corpus.clone();
        let Some(from) = corpus.origin(collection) else { return Ok(()) };
        if self.derived.contains_key(collection) {
            return Ok(());
        }
        self.ensure(&from.collection)?;
        self.derived.insert(collection.to_owned(), 0);
        let mut fitting = 0;
        // `first` counts in the scope that a test sees unless it names another.
        let default = self.default_place(&from.collection)?;
        let mut places = self.places(&from.collection)?;
        places.sort_by_key(|place| *place != default);
        for place in places {
            let origins: Vec<Bytes> =
                self.tables.get(&place).map(|t| t.all().cloned().collect()).unwrap_or_default();
            for json in origins {
                let origin = parse(&json);
                if !from.fits(&origin) {
                    continue;
                }
                let times = from.count(&mut corpus.mix(collection, fitting), fitting);
                fitting += 1;
                for _ in 0..times {
                    let (place, record) = self.derive(collection, &place.1, &origin)?;
                    let most = self.most.get(&place).copied();
                    let table = self.table(&place)?;
                    if most.is_some_and(|most| table.len() as u64 >= most) {
                        break;
                    }
                    table.upsert(record, None)?;
                }
            }
        }

        Ok(())
    }

    /// How many collections stand before this one in the line it comes from.
    pub(crate) fn generation(&self, name: &str) -> usize {
        let collection = name.rsplit_once('/').map_or(name, |(_, collection)| collection);
        self.corpus.origin(collection).map_or(0, |from| 1 + self.generation(&from.collection))
    }

    /// Adds or replaces a record, and changes what belongs to it.
    ///
    /// `at` is when it changed; none: before all requests.
    pub(crate) fn write(
        &mut self,
        place: &Place,
        json: Bytes,
        at: Option<Instant>,
        cause: Cause,
    ) -> Result<Slot> {
        let slot = self.table(place)?.upsert(json.clone(), at)?;
        let spec = self.spec.collection(&place.0)?.clone();
        if !spec.links.is_empty() {
            let record = parse(&json);
            for link in &spec.links {
                self.follow(place, link, &record, at, cause)?;
            }
        }

        Ok(slot)
    }

    /// Takes a record away, and what cannot be without it; false if there is none.
    pub(crate) fn remove(&mut self, place: &Place, slot: Slot) -> Result<bool> {
        let table = self.table(place)?;
        let Some(json) = table.json(slot).cloned() else { return Ok(false) };
        table.remove(slot);
        let record = parse(&json);
        let spec = self.spec.clone();
        for link in &spec.collection(&place.0)?.links {
            let Some((other, slot)) = self.linked(link, &record) else { continue };
            if !link.copy.is_empty() {
                self.remove(&other, slot)?;
            }
        }
        for (name, child) in spec.collections.iter() {
            let links = child.links.iter().filter(|link| link.to == place.0);
            for link in links.filter(|link| link.copy.is_empty()) {
                self.remove_children(name, link, &record)?;
            }
        }

        Ok(true)
    }

    /// Takes every record of the places that `name` covers away; what comes from them is made
    /// anew from what takes their place.
    pub(crate) fn reset(&mut self, name: &str) -> Result<()> {
        let spec = self.spec.clone();
        let corpus = self.corpus.clone();
        for place in self.places(name)? {
            let collection = spec.collection(&place.0)?;
            let twins = collection.links.iter().filter(|link| {
                !link.copy.is_empty() && !corpus.offspring(&place.0).any(|child| child == link.to)
            });
            let gone: Vec<Bytes> = self.table(&place)?.all().cloned().collect();
            self.table(&place)?.clear();
            for link in twins {
                for json in &gone {
                    if let Some((other, slot)) = self.linked(link, &parse(json)) {
                        self.table(&other)?.remove(slot);
                    }
                }
            }
            self.forget_offspring(&place.0);
        }

        Ok(())
    }

    /// The next record of a collection that comes from another, with a record of the choice of
    /// the corpus.
    pub(crate) fn next_child(&mut self, place: &Place) -> Result<(Place, Fields)> {
        let corpus = self.corpus.clone();
        let unfit = || Error::config(format!("no record of '{}' can have one more", place.0));
        let from = corpus.origin(&place.0).ok_or_else(unfit)?;
        let mut origins = Vec::new();
        for origin in self.places(&from.collection)? {
            let Some(table) = self.tables.get(&origin) else { continue };
            let within = place.1 == origin.1 || place.1.starts_with(&format!("{}/", origin.1));
            if within || origin.1.is_empty() {
                let fitting = table.all().filter(|json| from.fits(&parse(json)));
                origins.extend(fitting.map(|json| (origin.1.clone(), json.clone())));
            }
        }
        let index = self.derived.get(&place.0).copied().unwrap_or(0);
        let (scope, origin) =
            corpus.mix(&place.0, index).pick(&origins).cloned().ok_or_else(unfit)?;
        let (place, record) = self.derive(&place.0, &scope, &parse(&origin))?;

        Ok((place, Fields::parse(&record).ok_or_else(not_an_object)?))
    }

    /// Adds records to the collection that `place` comes from until one more is in `place`.
    pub(crate) fn grow_until_one_more(
        &mut self,
        place: &Place,
        from: &FromSpec,
        now: Instant,
    ) -> Result<()> {
        let before = self.table(place)?.len();
        let origin = (from.collection.clone(), place.1.clone());
        for _ in 0..MAX_TRIES {
            self.grow(&origin, now)?;
            if self.table(place)?.len() > before {
                return Ok(());
            }
        }

        Err(Error::config(format!("new records of '{}' bring none of '{}'", origin.0, place.0)))
    }

    /// One record that comes from `origin`, and where it belongs.
    fn derive(&mut self, collection: &str, scope: &str, origin: &Json) -> Result<(Place, Bytes)> {
        let next = self.derived.entry(collection.to_owned()).or_default();
        let index = *next;
        *next += 1;
        let json = self.corpus.generate(collection, scope, index, Some(origin));
        let json = json.ok_or_else(|| Error::internal("a collection without a recipe"))?;
        let told =
            self.spec.collection(collection)?.scope.as_ref().is_some_and(|s| s.field.is_empty());
        let place = match told {
            true => (collection.to_owned(), scope.to_owned()),
            false => self.place_of(collection, &parse(&json))?,
        };

        Ok((place, json))
    }

    fn follow(
        &mut self,
        place: &Place,
        link: &LinkSpec,
        record: &Json,
        at: Option<Instant>,
        cause: Cause,
    ) -> Result<()> {
        let value = unique_text(at_path(record, &link.by));
        let made = self.corpus.origin(&link.to).is_none() || self.derived.contains_key(&link.to);
        if value.is_none() || !made {
            return Ok(());
        }
        if let Some((other, slot)) = self.linked(link, record) {
            let format = self.spec.time_format;
            return self.change(&other, slot, at, |fields| {
                for field in &link.copy {
                    put(fields, field, at_path(record, field));
                }
                for (field, own) in link.raise.iter() {
                    let own = at_path(record, own).clone();
                    let known = fields.get(field).as_ref().and_then(instant);
                    if instant(&own) > known {
                        put(fields, field, &own);
                    }
                    let edited = at.filter(|_| cause == Cause::Edit);
                    if let Some(at) = edited.filter(|at| Some(*at) > instant(&own).max(known)) {
                        put(fields, field, &Json::from(format.write(at)));
                    }
                }
            });
        }
        let corpus = self.corpus.clone();
        if let Some(from) = corpus.origin(&link.to).filter(|from| from.collection == place.0) {
            if from.is_one_each() && from.fits(record) {
                let (place, json) = self.derive(&link.to, &place.1, record)?;
                self.table(&place)?.upsert(json, at)?;
            }
            return Ok(());
        }
        match &link.create {
            Some(fields) => {
                let made = self.create_linked(&link.to, &place.1, fields, record)?;
                let place = (link.to.clone(), place.1.clone());
                self.table(&place)?.upsert(made, at).map(|_| ())
            }
            None => Ok(()),
        }
    }

    fn create_linked(
        &mut self,
        collection: &str,
        scope: &str,
        fields: &OrderedMap<Template>,
        record: &Json,
    ) -> Result<Bytes> {
        let place = (collection.to_owned(), scope.to_owned());
        let mut made = self.next_record(&place)?;
        let names = |name: &str| match name.strip_prefix("record.") {
            Some(field) => Value::from_json(at_path(record, field)),
            None => Value::Null,
        };
        for (field, value) in fields.iter() {
            made.set(field, json_of(&value.value(&names)));
        }

        Ok(made.render())
    }

    /// The record that a link leads to.
    fn linked(&self, link: &LinkSpec, record: &Json) -> Option<(Place, Slot)> {
        self.find(&link.to, &link.field, &unique_text(at_path(record, &link.by))?)
    }

    /// Writes a record anew if `edit` changes it; so links that lead in a circle come to rest.
    fn change(
        &mut self,
        place: &Place,
        slot: Slot,
        at: Option<Instant>,
        edit: impl FnOnce(&mut Fields),
    ) -> Result<()> {
        let Some(json) = self.table(place)?.json(slot).cloned() else { return Ok(()) };
        let mut fields = Fields::parse(&json).ok_or_else(not_an_object)?;
        let before = fields.render();
        edit(&mut fields);
        let after = fields.render();
        if after == before {
            return Ok(());
        }
        self.write(place, after, at, Cause::Given).map(|_| ())
    }

    fn remove_children(&mut self, child: &str, link: &LinkSpec, record: &Json) -> Result<()> {
        let value = at_path(record, &link.field).clone();
        for place in self.places(child)? {
            let table = self.table(&place)?;
            let belongs = |json: &Bytes| at_path(&parse(json), &link.by) == &value;
            let slots: Vec<Slot> =
                table.slots().filter(|slot| table.json(*slot).is_some_and(belongs)).collect();
            for slot in slots {
                self.remove(&place, slot)?;
            }
        }

        Ok(())
    }

    fn forget_offspring(&mut self, collection: &str) {
        let corpus = self.corpus.clone();
        for child in corpus.offspring(collection) {
            self.derived.remove(child);
            let tables = self.tables.iter_mut().filter(|(place, _)| place.0 == child);
            tables.for_each(|(_, table)| table.clear());
            self.forget_offspring(child);
        }
    }
}

/// Sets the field unless it has this value; what is equal stays as it was written.
fn put(fields: &mut Fields, field: &str, value: &Json) {
    if fields.get(field).unwrap_or_default() != *value {
        fields.set(field, value.to_string());
    }
}

fn instant(value: &Json) -> Option<Instant> {
    value.as_str().and_then(Instant::parse)
}

fn parse(json: &[u8]) -> Json {
    serde_json::from_slice(json).unwrap_or_default()
}
