//! Records of one collection and scope, with sorted indexes that follow every change.

use crate::spec::CollectionSpec;
use crate::value::Key;
use bytes::Bytes;
use lakeflow_core::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Bounds on memory: more combinations of filters than this and the indexes start anew.
const MAX_VIEWS: usize = 64;

/// Position of a record; never reused, so equal order values stay in the order of arrival.
pub(crate) type Slot = u32;

#[derive(Debug)]
struct Row {
    json: Bytes,
    /// One per indexed field of the collection, in its order.
    keys: Box<[Key]>,
}

/// Which records a list walks, and by what they are ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ViewKey {
    /// Indexed field to sort by; none: order of arrival.
    pub(crate) sort: Option<usize>,
    /// Indexed fields that must have exactly this value.
    pub(crate) equal: Vec<(usize, Key)>,
}

/// A lower or upper limit of an indexed field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) field: usize,
    pub(crate) lower: bool,
    pub(crate) inclusive: bool,
    pub(crate) key: Key,
}

impl Bound {
    fn holds(&self, key: &Key) -> bool {
        match (self.lower, self.inclusive) {
            (true, true) => *key >= self.key,
            (true, false) => *key > self.key,
            (false, true) => *key <= self.key && *key != Key::Null,
            (false, false) => *key < self.key && *key != Key::Null,
        }
    }
}

/// The records of one page, and how many there are on all pages.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) slots: Vec<Slot>,
    pub(crate) total: usize,
}

#[derive(Debug)]
pub(crate) struct Table {
    spec: Arc<CollectionSpec>,
    rows: Vec<Option<Row>>,
    live: usize,
    /// One map per unique field of the collection, in its order: value as JSON text to slot.
    unique: Vec<HashMap<String, Slot>>,
    views: HashMap<ViewKey, Vec<Slot>>,
    /// Grows by one with every change.
    pub(crate) version: u64,
    /// Index of the next record that the corpus generator makes for this table.
    pub(crate) next_index: u64,
}

impl Table {
    pub(crate) fn new(spec: Arc<CollectionSpec>) -> Self {
        let unique = vec![HashMap::new(); spec.unique.len()];
        Self {
            spec,
            rows: Vec::new(),
            live: 0,
            unique,
            views: HashMap::new(),
            version: 0,
            next_index: 0,
        }
    }

    /// The unique fields; the first is the key.
    pub(crate) fn spec_unique(&self) -> &[String] {
        &self.spec.unique
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// The record in `slot`.
    pub(crate) fn json(&self, slot: Slot) -> Option<&Bytes> {
        self.row(slot).map(|row| &row.json)
    }

    /// Every record, in order of arrival.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Bytes> {
        self.rows.iter().flatten().map(|row| &row.json)
    }

    /// The slot whose unique field reads `value`, written as JSON without quotes.
    pub(crate) fn find(&self, field: &str, value: &str) -> Option<Slot> {
        let at = self.spec.unique.iter().position(|unique| unique == field)?;
        self.unique.get(at)?.get(value).copied()
    }

    /// Adds the record, or replaces the one with the same key (the first unique field).
    ///
    /// # Errors
    /// `DataInvalid` if it is not an object or lacks its key.
    pub(crate) fn upsert(&mut self, json: Bytes) -> Result<Slot> {
        let record = self.known_fields(&json)?;
        let unique = self.unique_values(&record);
        let slot = match (self.spec.unique.first(), unique.first()) {
            (Some(field), Some(None)) => {
                return Err(Error::new(
                    lakeflow_core::ErrorKind::DataInvalid,
                    format!("a record lacks its key '{field}'"),
                ));
            }
            (Some(field), Some(Some(value))) => self.find(field, value),
            _ => None,
        };
        let slot = match slot {
            Some(slot) => {
                self.take(slot);
                slot
            }
            None => {
                self.rows.push(None);
                Slot::try_from(self.rows.len() - 1)
                    .map_err(|_| Error::internal("a table holds at most 2^32 records"))?
            }
        };

        for (map, value) in self.unique.iter_mut().zip(unique) {
            if let Some(value) = value {
                map.insert(value, slot);
            }
        }
        let keys = self
            .spec
            .fields
            .iter()
            .map(|(field, compare)| Key::of_json(*compare, at_path(&record, field)))
            .collect();
        if let Some(place) = self.rows.get_mut(slot as usize) {
            *place = Some(Row { json, keys });
        }
        self.live += 1;
        self.place_in_views(slot);
        self.version += 1;

        Ok(slot)
    }

    /// Takes the record away; false if there is none.
    pub(crate) fn remove(&mut self, slot: Slot) -> bool {
        let taken = self.take(slot);
        if taken {
            self.version += 1;
        }

        taken
    }

    /// Removes every record.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.live = 0;
        self.unique.iter_mut().for_each(HashMap::clear);
        self.views.clear();
        self.version += 1;
    }

    /// Records number `offset..offset + limit` of the list that `view` and `bounds` describe.
    pub(crate) fn query(
        &mut self,
        view: &ViewKey,
        bounds: &[Bound],
        descending: bool,
        offset: usize,
        limit: usize,
    ) -> Found {
        self.ensure_view(view);
        let Some(slots) = self.views.get(view) else { return Found::default() };
        let (range_bounds, others): (Vec<&Bound>, Vec<&Bound>) =
            bounds.iter().partition(|bound| Some(bound.field) == view.sort);
        let mut low = 0;
        let mut high = slots.len();
        for bound in range_bounds {
            let key = |slot: &Slot| self.key(*slot, bound.field);
            if bound.lower {
                low = low.max(slots.partition_point(|slot| !bound.holds(key(slot))));
            } else {
                let nulls = slots.partition_point(|slot| *key(slot) == Key::Null);
                low = low.max(nulls);
                let ahead =
                    slots.partition_point(|slot| *key(slot) == Key::Null || bound.holds(key(slot)));
                high = high.min(ahead);
            }
        }
        let range = slots.get(low..high.max(low)).unwrap_or_default();
        if others.is_empty() {
            let chosen = if descending {
                range.iter().rev().skip(offset).take(limit).copied().collect()
            } else {
                range.iter().skip(offset).take(limit).copied().collect()
            };
            return Found { slots: chosen, total: range.len() };
        }

        let holds =
            |slot: &&Slot| others.iter().all(|bound| bound.holds(self.key(**slot, bound.field)));
        let kept: Vec<Slot> = if descending {
            range.iter().rev().filter(holds).copied().collect()
        } else {
            range.iter().filter(holds).copied().collect()
        };
        Found { slots: kept.iter().skip(offset).take(limit).copied().collect(), total: kept.len() }
    }

    fn row(&self, slot: Slot) -> Option<&Row> {
        self.rows.get(slot as usize)?.as_ref()
    }

    fn key(&self, slot: Slot, field: usize) -> &Key {
        self.row(slot).and_then(|row| row.keys.get(field)).unwrap_or(&Key::Null)
    }

    /// The fields by which records are found, filtered and ordered; the others are only checked
    /// to be JSON, since a corpus has many records and few such fields.
    fn known_fields(&self, json: &[u8]) -> Result<Json> {
        let invalid = |e| {
            Error::new(lakeflow_core::ErrorKind::DataInvalid, "a record is not a JSON object")
                .source(e)
        };
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let record = KnownFields(&self.spec).deserialize(&mut deserializer).map_err(invalid)?;
        deserializer.end().map_err(invalid)?;

        Ok(record)
    }

    fn unique_values(&self, record: &Json) -> Vec<Option<String>> {
        self.spec.unique.iter().map(|field| unique_text(at_path(record, field))).collect()
    }

    /// Takes a record out of rows, unique maps and views.
    fn take(&mut self, slot: Slot) -> bool {
        let Some(row) = self.row(slot) else { return false };
        let record: Json = serde_json::from_slice(&row.json).unwrap_or_default();
        for (map, value) in self
            .unique
            .iter_mut()
            .zip(self.spec.unique.iter().map(|field| unique_text(at_path(&record, field))))
        {
            if let Some(value) = value
                && map.get(&value) == Some(&slot)
            {
                map.remove(&value);
            }
        }
        let mut views = std::mem::take(&mut self.views);
        for (view, slots) in &mut views {
            if self.belongs(slot, view)
                && let Ok(at) = self.position(slots, slot, view)
            {
                slots.remove(at);
            }
        }
        self.views = views;
        if let Some(place) = self.rows.get_mut(slot as usize) {
            *place = None;
        }
        self.live -= 1;

        true
    }

    fn place_in_views(&mut self, slot: Slot) {
        let mut views = std::mem::take(&mut self.views);
        for (view, slots) in &mut views {
            if self.belongs(slot, view)
                && let Err(at) = self.position(slots, slot, view)
            {
                slots.insert(at, slot);
            }
        }
        self.views = views;
    }

    fn belongs(&self, slot: Slot, view: &ViewKey) -> bool {
        view.equal.iter().all(|(field, key)| self.key(slot, *field) == key)
    }

    fn order<'a>(&'a self, slot: Slot, view: &ViewKey) -> (&'a Key, Slot) {
        (view.sort.map_or(&Key::Null, |field| self.key(slot, field)), slot)
    }

    fn position(&self, slots: &[Slot], slot: Slot, view: &ViewKey) -> Result<usize, usize> {
        let wanted = self.order(slot, view);
        slots.binary_search_by(|other| self.order(*other, view).cmp(&wanted))
    }

    fn ensure_view(&mut self, view: &ViewKey) {
        if self.views.contains_key(view) {
            return;
        }
        if self.views.len() >= MAX_VIEWS {
            self.views.clear();
        }
        let mut slots: Vec<Slot> = (0..self.rows.len())
            .filter_map(|slot| Slot::try_from(slot).ok())
            .filter(|slot| self.row(*slot).is_some() && self.belongs(*slot, view))
            .collect();
        slots.sort_by(|a, b| self.order(*a, view).cmp(&self.order(*b, view)));
        self.views.insert(view.clone(), slots);
    }
}

struct KnownFields<'a>(&'a CollectionSpec);

impl<'de> DeserializeSeed<'de> for KnownFields<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KnownFields<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut known = serde_json::Map::new();
        let head = |path: &str, key: &str| path.split('.').next() == Some(key);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let wanted = self.0.unique.iter().any(|path| head(path, &key))
                || self.0.fields.iter().any(|(path, _)| head(path, &key));
            if wanted {
                known.insert(key.into_owned(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }

        Ok(Json::Object(known))
    }
}

/// The value at a dotted path; null where there is none.
pub(crate) fn at_path<'a>(record: &'a Json, path: &str) -> &'a Json {
    path.split('.').try_fold(record, |value, part| value.get(part)).unwrap_or(&Json::Null)
}

fn unique_text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table() -> Table {
        let spec = "
unique: [id]
fields: {at: instant, state: text, n: integer}
";
        Table::new(Arc::new(serde_saphyr::from_str(spec).unwrap()))
    }

    fn put(table: &mut Table, id: u32, at: &str, state: &str, n: i64) -> Slot {
        let record = json!({"id": id, "at": at, "state": state, "n": n});
        table.upsert(record.to_string().into()).unwrap()
    }

    fn filled() -> Table {
        let mut table = table();
        put(&mut table, 1, "2024-01-03T00:00:00Z", "open", 5);
        put(&mut table, 2, "2024-01-01T00:00:00Z", "open", 4);
        put(&mut table, 3, "2024-01-02T00:00:00Z", "closed", 3);
        put(&mut table, 4, "2024-01-02T00:00:00+00:00", "open", 2);
        put(&mut table, 5, "", "open", 1);
        table
    }

    fn bound(field: usize, lower: bool, inclusive: bool, text: &str) -> Bound {
        let key = Key::of_text(crate::value::Compare::Instant, text).unwrap();
        Bound { field, lower, inclusive, key }
    }

    const ANY: Vec<(usize, Key)> = Vec::new();

    #[test]
    fn queries_sort_bound_and_filter() {
        let by_time = ViewKey { sort: Some(0), equal: ANY };
        let open = ViewKey { sort: Some(0), equal: vec![(1, Key::Text("open".into()))] };
        let by_n = ViewKey { sort: Some(2), equal: ANY };
        let arrival = ViewKey::default();
        let second = "2024-01-02T00:00:00Z";
        let cases = [
            (&by_time, vec![], false, 0, 9, vec![4, 1, 2, 3, 0], 5),
            (&by_time, vec![], true, 0, 9, vec![0, 3, 2, 1, 4], 5),
            (&by_time, vec![], false, 1, 2, vec![1, 2], 5),
            (&by_time, vec![], false, 5, 2, vec![], 5),
            (&by_time, vec![bound(0, true, true, second)], false, 0, 9, vec![2, 3, 0], 3),
            (&by_time, vec![bound(0, true, false, second)], false, 0, 9, vec![0], 1),
            (&by_time, vec![bound(0, false, true, second)], false, 0, 9, vec![1, 2, 3], 3),
            (&by_time, vec![bound(0, false, false, second)], false, 0, 9, vec![1], 1),
            (&open, vec![bound(0, true, true, second)], false, 0, 9, vec![3, 0], 2),
            (&by_n, vec![bound(0, true, true, second)], false, 0, 2, vec![3, 2], 3),
            (&by_n, vec![bound(0, true, true, second)], true, 0, 9, vec![0, 2, 3], 3),
            (&arrival, vec![], false, 0, 9, vec![0, 1, 2, 3, 4], 5),
        ];
        let mut table = filled();
        for (view, bounds, descending, offset, limit, slots, total) in cases {
            assert_eq!(
                table.query(view, &bounds, descending, offset, limit),
                Found { slots, total },
                "{view:?} {bounds:?} {descending}"
            );
        }
    }

    #[test]
    fn indexes_follow_changes_as_if_built_anew() {
        let views = [
            ViewKey { sort: Some(0), equal: ANY },
            ViewKey { sort: Some(2), equal: vec![(1, Key::Text("open".into()))] },
            ViewKey::default(),
        ];
        let mut mix = crate::value::Mix::new(&[7]);
        let mut kept = table();
        for step in 0..600 {
            let id = u32::try_from(mix.below(40)).unwrap();
            let at = format!("2024-01-{:02}T00:00:00Z", 1 + mix.below(9));
            let state = if mix.chance(0.5) { "open" } else { "closed" };
            if mix.chance(0.2) {
                if let Some(slot) = kept.find("id", &id.to_string()) {
                    assert!(kept.remove(slot));
                    assert_eq!(kept.find("id", &id.to_string()), None);
                }
            } else {
                put(&mut kept, id, &at, state, i64::try_from(mix.below(5)).unwrap());
            }
            for view in &views {
                let incremental = kept.query(view, &[], false, 0, 99);
                let mut views_before = std::mem::take(&mut kept.views);
                let anew = kept.query(view, &[], false, 0, 99);
                std::mem::swap(&mut kept.views, &mut views_before);
                assert_eq!(incremental, anew, "step {step}");
                assert!(anew.total <= kept.len());
            }
        }
    }

    #[test]
    fn records_without_a_key_are_refused() {
        let mut table = table();
        let error = table.upsert("{\"at\":null}".into()).unwrap_err();
        assert_eq!(error.message(), "a record lacks its key 'id'");
        assert_eq!(table.len(), 0);
    }
}
