//! Which field a key means: guessed from the order of the record before, looked up otherwise.

use crate::parse::{Parser, Syntax};
use lakeflow_core::Column;
use std::collections::{BTreeMap, HashMap};

/// Unknown names that are remembered for each kind of object.
const MAX_UNKNOWN: usize = 1000;

/// The keys of one kind of object.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    entries: Vec<Entry>,
    index: HashMap<Box<str>, usize>,
    unknown: usize,
    /// How often keys beyond those remembered came since it was last asked.
    others: u64,
    /// Whether all that is not known is known elsewhere, and not wanted here.
    closed: bool,
    /// The key that came first in the object before.
    first: usize,
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    /// `"name":` as most services write it.
    pattern: Box<[u8]>,
    target: Target,
    /// The key that came after this one in the object before.
    next: usize,
    /// How often an unknown key came since it was last asked.
    seen: u64,
}

/// What a key is for.
#[derive(Debug)]
pub(crate) enum Target {
    /// Nothing the schema knows.
    Unknown,
    /// Known, and not wanted.
    Ignored,
    /// One field.
    Field(usize),
    /// Several fields, or fields whose values lie deeper.
    Place(Box<Place>),
}

/// A place in the object that fields take their values from.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Fields that take the value itself.
    pub(crate) here: Vec<usize>,
    /// What lies inside of it.
    pub(crate) inside: Option<KeyTable>,
    /// All fields that take something from it.
    pub(crate) all: Vec<usize>,
}

/// A key that was met; [`KeyTable::target`] says what it is for.
pub(crate) type Key = usize;

/// Before the first key.
pub(crate) const START: Key = usize::MAX;
/// An unknown key that is not remembered.
const OTHER: Key = usize::MAX - 1;

/// Places while the table is built.
#[derive(Default)]
struct Draft<'a> {
    here: Vec<usize>,
    inside: BTreeMap<&'a str, Draft<'a>>,
}

impl KeyTable {
    pub(crate) fn new(columns: &[Column]) -> Self {
        let mut root = Draft::default();
        for (number, column) in columns.iter().enumerate() {
            let mut draft = &mut root;
            match &column.from {
                Some(path) => {
                    for segment in path.segments() {
                        draft = draft.inside.entry(segment).or_default();
                    }
                }
                None => draft = draft.inside.entry(&column.name).or_default(),
            }
            draft.here.push(number);
        }

        Self::build(root.inside)
    }

    fn build(drafts: BTreeMap<&str, Draft<'_>>) -> Self {
        let mut table = Self { first: OTHER, ..Self::default() };
        for (name, draft) in drafts {
            let target = match (draft.here.as_slice(), draft.inside.is_empty()) {
                ([one], true) => Target::Field(*one),
                _ => {
                    let all = draft.all();
                    let inside = (!draft.inside.is_empty()).then(|| Self::build(draft.inside));
                    Target::Place(Box::new(Place { here: draft.here, inside, all }))
                }
            };
            table.add(name, target);
        }

        table
    }

    fn add(&mut self, name: &str, target: Target) -> Key {
        let key = self.entries.len();
        let mut pattern = serde_json::Value::from(name).to_string().into_bytes();
        pattern.push(b':');
        self.entries.push(Entry {
            name: name.into(),
            pattern: pattern.into(),
            target,
            next: OTHER,
            seen: 0,
        });
        self.index.insert(name.into(), key);
        key
    }

    /// Passes over the value at this place without counting it, unless it is wanted.
    pub(crate) fn ignore(&mut self, path: &[&str]) {
        let Some((name, rest)) = path.split_first() else { return };
        let key = match self.index.get(*name) {
            Some(key) => *key,
            None => self.add(name, Target::Ignored),
        };
        if let Some(Target::Place(place)) = self.target(key)
            && let Some(inside) = &mut place.inside
        {
            inside.closed |= rest.is_empty();
            inside.ignore(rest);
        }
    }

    /// Reads a key and its colon; `before` is the key before it in the same object.
    #[inline]
    pub(crate) fn read(&mut self, p: &mut Parser<'_>, before: Key) -> Result<Key, Syntax> {
        let guess = match self.entries.get(before) {
            Some(entry) => entry.next,
            None => self.first,
        };
        if let Some(entry) = self.entries.get(guess)
            && p.eat_all(&entry.pattern)
        {
            p.blanks();
            return Ok(guess);
        }

        self.look_up(p, before)
    }

    #[inline(never)]
    fn look_up(&mut self, p: &mut Parser<'_>, before: Key) -> Result<Key, Syntax> {
        let (name, _) = p.key()?.cooked();
        let key = match self.index.get(&*name) {
            Some(key) => *key,
            None if self.unknown < MAX_UNKNOWN => {
                self.unknown += 1;
                self.add(&name, if self.closed { Target::Ignored } else { Target::Unknown })
            }
            None => OTHER,
        };
        match self.entries.get_mut(before) {
            Some(entry) => entry.next = key,
            None if before == START => self.first = key,
            None => {}
        }

        Ok(key)
    }

    /// What a key is for; `None` for an unknown one that is not remembered.
    #[inline(always)]
    pub(crate) fn target(&mut self, key: Key) -> Option<&mut Target> {
        self.entries.get_mut(key).map(|e| &mut e.target)
    }

    /// Counts an unknown key.
    #[inline]
    pub(crate) fn count(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.seen += 1;
        } else {
            self.others += 1;
        }
    }

    /// Calls `with` for each unknown key that came since this was last called, and for the tables
    /// of places inside.
    pub(crate) fn drain_unknown(&mut self, prefix: &str, with: &mut impl FnMut(String, u64)) {
        if self.others > 0 {
            with(format!("{prefix}*"), std::mem::take(&mut self.others));
        }
        for entry in &mut self.entries {
            let name = &entry.name;
            let path = || format!("{prefix}{}", crate::fail::quoted(name));
            if entry.seen > 0 {
                with(path(), std::mem::take(&mut entry.seen));
            }
            if let Target::Place(place) = &mut entry.target
                && let Some(inside) = &mut place.inside
            {
                inside.drain_unknown(&format!("{}.", path()), with);
            }
        }
    }
}

impl Draft<'_> {
    fn all(&self) -> Vec<usize> {
        let mut all = self.here.clone();
        for draft in self.inside.values() {
            all.extend(draft.all());
        }
        all
    }
}
