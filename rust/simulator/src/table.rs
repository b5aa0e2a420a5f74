//! Records of one collection and scope, with sorted indexes that follow every change.

use crate::spec::CollectionSpec;
use crate::template::OrderedMap;
use crate::value::Key;
use bytes::Bytes;
use lakeflow_core::{Error, Instant, Result};
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
    /// When it was written; none: before the server started.
    changed: Option<Instant>,
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

/// A condition on an indexed field. Null lies below every value and fulfils no upper bound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) field: usize,
    pub(crate) test: Test,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    After(Key),
    AtOrAfter(Key),
    Before(Key),
    AtOrBefore(Key),
    Among(Vec<Key>),
    NotAmong(Vec<Key>),
}

impl Condition {
    fn holds(&self, key: &Key) -> bool {
        match &self.test {
            Test::After(bound) => key > bound,
            Test::AtOrAfter(bound) => key >= bound,
            Test::Before(bound) => key < bound && *key != Key::Null,
            Test::AtOrBefore(bound) => key <= bound && *key != Key::Null,
            Test::Among(keys) => keys.contains(key),
            Test::NotAmong(keys) => !keys.contains(key),
        }
    }
}

/// Which records a list holds, and in which order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) view: ViewKey,
    /// All of these hold.
    pub(crate) all: Vec<Condition>,
    /// Every condition of one of these holds; empty: no such demand.
    pub(crate) any: Vec<Vec<Condition>>,
    pub(crate) descending: bool,
    /// Only records that did not change after this time.
    pub(crate) unchanged_since: Option<Instant>,
}

/// Where in a list a page begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    /// After so many records.
    Offset(usize),
    /// After the place of a record, whether it is still there or not.
    After(Key, Slot),
    /// The page that ends before that place.
    Before(Key, Slot),
}

/// The records of one page, and how many there are on all pages.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) slots: Vec<Slot>,
    pub(crate) total: usize,
    /// Whether records follow in the direction of the walk.
    pub(crate) more: bool,
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

    /// The slot of every record, in order of arrival.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        (0..).zip(&self.rows).filter(|(_, row)| row.is_some()).map(|(slot, _)| slot)
    }

    /// The slot whose unique field reads `value`, written as JSON without quotes.
    pub(crate) fn find(&self, field: &str, value: &str) -> Option<Slot> {
        let at = self.spec.unique.iter().position(|unique| unique == field)?;
        self.unique.get(at)?.get(value).copied()
    }

    /// Adds the record, or replaces the one with the same key (the first unique field), as changed
    /// at `changed`; none: since ever.
    ///
    /// # Errors
    /// `DataInvalid` if it is not an object or lacks its key.
    pub(crate) fn upsert(&mut self, json: Bytes, changed: Option<Instant>) -> Result<Slot> {
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
            *place = Some(Row { json, changed, keys });
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

    /// At most `limit` records of the list that `query` describes, from `start` on.
    pub(crate) fn query(&mut self, query: &Query, start: &Start, limit: usize) -> Found {
        self.ensure_view(&query.view);
        let Some(slots) = self.views.get(&query.view) else { return Found::default() };
        let sort = query.view.sort;
        let (ranges, others): (Vec<&Condition>, Vec<&Condition>) =
            query.all.iter().partition(|condition| {
                Some(condition.field) == sort
                    && !matches!(condition.test, Test::Among(_) | Test::NotAmong(_))
            });
        let range = self.range(slots, &ranges);
        let plain = others.is_empty() && query.any.is_empty() && query.unchanged_since.is_none();
        let holds = |slot: &Slot| {
            plain
                || (others.iter().all(|c| c.holds(self.key(*slot, c.field)))
                    && (query.any.is_empty()
                        || query
                            .any
                            .iter()
                            .any(|group| group.iter().all(|c| c.holds(self.key(*slot, c.field)))))
                    && query.unchanged_since.is_none_or(|since| {
                        self.row(*slot).and_then(|row| row.changed).is_none_or(|at| at <= since)
                    }))
        };
        let kept: Vec<Slot>;
        let list: &[Slot] = if plain {
            range
        } else {
            kept = range.iter().copied().filter(holds).collect();
            &kept
        };
        let place = |key: &Key, at: Slot, inclusive: bool| {
            list.partition_point(|slot| {
                let order = (self.order(*slot, &query.view), (key, at));
                if inclusive { order.0 <= order.1 } else { order.0 < order.1 }
            })
        };
        let (backward, rest) = match (start, query.descending) {
            (Start::Offset(offset), false) => (false, list.get(*offset..)),
            (Start::Offset(offset), true) => {
                (true, list.len().checked_sub(*offset).and_then(|end| list.get(..end)))
            }
            (Start::After(key, at), false) => (false, list.get(place(key, *at, true)..)),
            (Start::After(key, at), true) => (true, list.get(..place(key, *at, false))),
            (Start::Before(key, at), false) => (true, list.get(..place(key, *at, false))),
            (Start::Before(key, at), true) => (false, list.get(place(key, *at, true)..)),
        };
        let rest = rest.unwrap_or_default();
        let mut chosen: Vec<Slot> = if backward {
            rest.iter().rev().take(limit).copied().collect()
        } else {
            rest.iter().take(limit).copied().collect()
        };
        if matches!(start, Start::Before(..)) {
            chosen.reverse();
        }

        Found { more: rest.len() > chosen.len(), slots: chosen, total: list.len() }
    }

    /// The place of a record in the order of `view`, for [`Start`].
    pub(crate) fn place(&self, slot: Slot, view: &ViewKey) -> (Key, Slot) {
        let (key, slot) = self.order(slot, view);
        (key.clone(), slot)
    }

    /// The part of a sorted list that fulfils conditions on its sort field.
    fn range<'a>(&self, slots: &'a [Slot], ranges: &[&Condition]) -> &'a [Slot] {
        let (mut low, mut high) = (0, slots.len());
        for condition in ranges {
            let key = |slot: &Slot| self.key(*slot, condition.field);
            if matches!(condition.test, Test::After(_) | Test::AtOrAfter(_)) {
                low = low.max(slots.partition_point(|slot| !condition.holds(key(slot))));
            } else {
                low = low.max(slots.partition_point(|slot| *key(slot) == Key::Null));
                let ahead = |slot: &Slot| *key(slot) == Key::Null || condition.holds(key(slot));
                high = high.min(slots.partition_point(ahead));
            }
        }

        slots.get(low..high.max(low)).unwrap_or_default()
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

/// Whether the fields of a record, as text, are these.
pub(crate) fn reads_as(json: &[u8], only: &OrderedMap<String>) -> bool {
    let record: Json = serde_json::from_slice(json).unwrap_or_default();
    only.iter().all(|(field, value)| {
        unique_text(at_path(&record, field)).is_some_and(|text| text == *value)
    })
}

/// As JSON text without quotes; none for null.
pub(crate) fn unique_text(value: &Json) -> Option<String> {
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
        table.upsert(record.to_string().into(), None).unwrap()
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

    fn at(text: &str) -> Key {
        Key::of_text(crate::value::Compare::Instant, text).unwrap()
    }

    fn query(sort: usize, descending: bool) -> Query {
        Query { view: by(sort), descending, ..Query::default() }
    }

    fn by(sort: usize) -> ViewKey {
        ViewKey { sort: Some(sort), equal: ANY }
    }

    const ANY: Vec<(usize, Key)> = Vec::new();

    #[test]
    fn queries_sort_bound_and_filter() {
        let second = || at("2024-01-02T00:00:00Z");
        let text = |state: &str| Key::Text(state.into());
        let on = |field, test| Condition { field, test };
        let with = |query: Query, test| Query { all: vec![on(0, test)], ..query };
        let open = ViewKey { sort: Some(0), equal: vec![(1, text("open"))] };
        let open = Query { view: open, ..Query::default() };
        let any = vec![
            vec![on(1, Test::Among(vec![text("closed")]))],
            vec![on(2, Test::Before(Key::Number(2)))],
        ];
        let among = Test::Among(vec![Key::Null, second()]);
        let cases = [
            (query(0, false), 0, 9, vec![4, 1, 2, 3, 0], 5),
            (query(0, true), 0, 9, vec![0, 3, 2, 1, 4], 5),
            (query(0, false), 1, 2, vec![1, 2], 5),
            (query(0, true), 1, 2, vec![3, 2], 5),
            (query(0, false), 5, 2, vec![], 5),
            (query(0, true), 9, 2, vec![], 5),
            (with(query(0, false), Test::AtOrAfter(second())), 0, 9, vec![2, 3, 0], 3),
            (with(query(0, false), Test::After(second())), 0, 9, vec![0], 1),
            (with(query(0, false), Test::AtOrBefore(second())), 0, 9, vec![1, 2, 3], 3),
            (with(query(0, false), Test::Before(second())), 0, 9, vec![1], 1),
            (with(query(0, false), among.clone()), 0, 9, vec![4, 2, 3], 3),
            (with(query(0, false), Test::NotAmong(vec![second()])), 0, 9, vec![4, 1, 0], 3),
            (with(open, Test::AtOrAfter(second())), 0, 9, vec![3, 0], 2),
            (with(query(2, false), Test::AtOrAfter(second())), 0, 2, vec![3, 2], 3),
            (with(query(2, true), Test::AtOrAfter(second())), 0, 9, vec![0, 2, 3], 3),
            (Query { any, ..query(0, false) }, 0, 9, vec![4, 2], 2),
            (Query::default(), 0, 9, vec![0, 1, 2, 3, 4], 5),
        ];
        let mut table = filled();
        for (query, offset, limit, slots, total) in cases {
            let more = total > offset + slots.len();
            assert_eq!(
                table.query(&query, &Start::Offset(offset), limit),
                Found { slots, total, more },
                "{query:?}"
            );
        }
    }

    #[test]
    fn a_place_in_the_list_outlives_its_record() {
        let mut table = filled();
        let (key, slot) = table.place(2, &by(0));
        let after = Start::After(key.clone(), slot);
        let before = Start::Before(key, slot);
        for _ in 0..2 {
            let cases = [
                (false, &after, 9, vec![3, 0], false),
                (false, &after, 1, vec![3], true),
                (true, &after, 9, vec![1, 4], false),
                (false, &before, 1, vec![1], true),
                (false, &before, 9, vec![4, 1], false),
                (true, &before, 9, vec![0, 3], false),
            ];
            for (descending, start, limit, slots, more) in cases {
                let total = table.len();
                let found = table.query(&query(0, descending), start, limit);
                assert_eq!(found, Found { slots, total, more }, "{start:?} {descending}");
            }
            table.remove(2);
        }
    }

    #[test]
    fn what_changed_lately_can_be_hidden() {
        let mut table = filled();
        let record = json!({"id": 3, "at": "2024-01-09T00:00:00Z"}).to_string();
        table.upsert(record.into(), Some(Instant::from_parts(100, 0))).unwrap();
        for (since, slots) in [(100, vec![4, 1, 3, 0, 2]), (99, vec![4, 1, 3, 0])] {
            let unchanged_since = Some(Instant::from_parts(since, 0));
            let query = Query { unchanged_since, ..query(0, false) };
            assert_eq!(table.query(&query, &Start::Offset(0), 9).slots, slots);
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
                let query = Query { view: view.clone(), ..Query::default() };
                let incremental = kept.query(&query, &Start::Offset(0), 99);
                let mut views_before = std::mem::take(&mut kept.views);
                let anew = kept.query(&query, &Start::Offset(0), 99);
                std::mem::swap(&mut kept.views, &mut views_before);
                assert_eq!(incremental, anew, "step {step}");
                assert!(anew.total <= kept.len());
            }
        }
    }

    #[test]
    fn records_without_a_key_are_refused() {
        let mut table = table();
        let error = table.upsert("{\"at\":null}".into(), None).unwrap_err();
        assert_eq!(error.message(), "a record lacks its key 'id'");
        assert_eq!(table.len(), 0);
    }
}
