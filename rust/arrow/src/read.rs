//! JSON text straight into columns.

use crate::fail::{Fail, Step};
use crate::keys::{KeyTable, Place, START, Target};
use crate::node::{Body, Field, Full, Node, StructBody};
use crate::parse::{Parser, Text, Token};
use crate::time::Zone;
use crate::{scalar, variant};
use std::collections::HashSet;

/// What a read is done with, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Bad values become null where that is allowed.
    pub(crate) lenient: bool,
    /// What is left out is noted down with its text.
    pub(crate) rescue: bool,
    /// Errors show values.
    pub(crate) excerpts: bool,
    /// Zone of timestamps without one.
    pub(crate) zone: Zone,
    /// What was left out of the row that is being read.
    pub(crate) notes: Vec<Note>,
    /// Keys that came again in one object.
    pub(crate) duplicates: u64,
    /// Characters replaced by U+FFFD.
    pub(crate) replaced: u64,
    /// Whether an unknown key was met.
    pub(crate) unknown: bool,
}

/// A value that was left out.
#[derive(Debug)]
pub(crate) struct Note {
    /// Whether it was a bad value, and not an unknown field.
    pub(crate) nulled: bool,
    /// Steps to it, innermost first.
    pub(crate) path: Vec<Step>,
    /// Its JSON text, if that is wanted.
    pub(crate) raw: Vec<u8>,
}

type Read = Result<(), Fail>;

impl From<Full> for Fail {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl Reading {
    fn note(&mut self, nulled: bool, path: Vec<Step>, raw: &[u8]) {
        let raw = if self.rescue { raw.to_vec() } else { Vec::new() };
        self.notes.push(Note { nulled, path, raw });
    }

    /// Puts a step in front of the paths noted since there were `before` notes.
    #[inline(always)]
    pub(crate) fn below(&mut self, before: usize, step: impl Fn() -> Step) {
        if self.notes.len() > before {
            self.prefix(before, step);
        }
    }

    #[cold]
    fn prefix(&mut self, before: usize, step: impl Fn() -> Step) {
        for note in self.notes.iter_mut().skip(before) {
            note.path.push(step());
        }
    }
}

impl Node {
    /// Reads one value; afterwards the node is longer by one, or the value is refused.
    #[inline]
    pub(crate) fn read(&mut self, p: &mut Parser<'_>, cx: &mut Reading) -> Read {
        let (start, len, notes) = (p.pos, self.len(), cx.notes.len());
        match self.read_value(p, cx) {
            Ok(()) => Ok(()),
            Err(fail) => self.refuse(fail, start, len, notes, p, cx),
        }
    }

    /// Nulls a bad value if that is allowed, or passes the error on.
    #[cold]
    fn refuse(
        &mut self,
        mut fail: Fail,
        start: usize,
        len: usize,
        notes: usize,
        p: &mut Parser<'_>,
        cx: &mut Reading,
    ) -> Read {
        let Fail::Value(misfit) = &mut fail else { return Err(fail) };
        misfit.fatal |= self.strict || !cx.lenient;
        if misfit.fatal || !self.nullable {
            return Err(fail);
        }
        self.truncate(len);
        cx.notes.truncate(notes);
        p.pos = start;
        let raw = p.skip()?;
        self.push_null();
        cx.note(true, Vec::new(), raw);

        Ok(())
    }

    /// Adds a null for a value that is null or blank.
    #[inline]
    pub(crate) fn null(&mut self) -> Read {
        if !self.nullable {
            return Err(Fail::absent(&self.type_name(), false));
        }
        self.push_null();

        Ok(())
    }

    /// Adds a null for a field that is not there.
    #[inline]
    fn missing(&mut self) -> Read {
        if !self.nullable {
            let mut fail = Fail::absent(&self.type_name(), true);
            if let Fail::Value(misfit) = &mut fail {
                misfit.fatal = self.strict;
            }
            return Err(fail);
        }
        self.push_null();

        Ok(())
    }

    #[inline]
    fn read_value(&mut self, p: &mut Parser<'_>, cx: &mut Reading) -> Read {
        if p.peek() == b'n' {
            p.token()?;
            return self.null();
        }
        match &self.body {
            Body::Struct(_) => self.read_struct(p, cx),
            Body::List { .. } => self.read_list(p, cx),
            Body::Map { .. } => self.read_map(p, cx),
            Body::Variant { .. } => {
                let raw = p.skip()?;
                let Body::Variant { value, metadata } = &mut self.body else { return Ok(()) };
                cx.replaced += variant::append(raw, value, metadata, cx.excerpts)?;
                self.nulls.append_non_null();
                Ok(())
            }
            Body::Null => {
                p.skip()?;
                self.nulls.append_null();
                Ok(())
            }
            _ => scalar::read(self, p, cx),
        }
    }

    /// The error of a value that cannot be read as this type.
    #[cold]
    pub(crate) fn misfit(&self, raw: &[u8], reason: &str, cx: &Reading) -> Fail {
        Fail::value(raw, &self.type_name(), reason, cx.excerpts)
    }

    fn read_struct(&mut self, p: &mut Parser<'_>, cx: &mut Reading) -> Read {
        let len = self.len();
        if !p.eat(b'{') {
            // Some services write an empty object as an empty list.
            return if is_empty_list(p)? {
                self.null()
            } else {
                let raw = p.skip()?;
                Err(self.misfit(raw, "", cx))
            };
        }
        let Body::Struct(body) = &mut self.body else { return Ok(()) };
        let StructBody { fields, keys } = &mut **body;
        read_object(fields, keys, len, p, cx)?;
        finish_object(fields, len)?;
        self.nulls.append_non_null();

        Ok(())
    }

    fn read_list(&mut self, p: &mut Parser<'_>, cx: &mut Reading) -> Read {
        if !p.eat(b'[') {
            let raw = p.skip()?;
            return Err(self.misfit(raw, "", cx));
        }
        let Body::List { offsets, child } = &mut self.body else { return Ok(()) };
        let first = child.len();
        p.blanks();
        let mut more = !p.eat(b']');
        while more {
            let notes = cx.notes.len();
            let step = |len: usize| Step::Index(len - first);
            let index = child.len();
            child.read(p, cx).map_err(|fail| fail.below(step(index)))?;
            cx.below(notes, || step(index));
            more = p.more(b']')?;
        }
        offsets.push(child.len())?;
        self.nulls.append_non_null();

        Ok(())
    }

    fn read_map(&mut self, p: &mut Parser<'_>, cx: &mut Reading) -> Read {
        let start = p.pos;
        let mut entries: Vec<Entry<'_>> = Vec::new();
        if p.eat(b'{') {
            p.blanks();
            let mut more = !p.eat(b'}');
            while more {
                let key_at = p.pos;
                let key = p.key()?;
                entries.push(Entry { key, key_at, value_at: p.pos });
                p.skip()?;
                more = p.more(b'}')?;
            }
        } else if !is_empty_list(p)? {
            let raw = p.skip()?;
            return Err(self.misfit(raw, "", cx));
        }
        cx.duplicates += keep_last(&mut entries);

        let Body::Map { offsets, key, value } = &mut self.body else { return Ok(()) };
        let mut seen = HashSet::new();
        for Entry { key_at, value_at, key: name } in entries {
            let notes = cx.notes.len();
            let mut at = p.at(key_at);
            let step = || Step::Key(name.cooked().0.into_owned());
            key.read_value(&mut at, cx).map_err(|fail| fail.below(step()))?;
            let last = key.len().saturating_sub(1);
            if let Some(bytes) = key.key_bytes(last)
                && !seen.insert(bytes)
            {
                return Err(Fail::value(
                    p.since(start),
                    "map",
                    "two keys are the same",
                    cx.excerpts,
                ));
            }
            value.read(&mut p.at(value_at), cx).map_err(|fail| fail.below(step()))?;
            cx.below(notes, step);
        }
        offsets.push(key.len())?;
        self.nulls.append_non_null();

        Ok(())
    }
}

/// Passes over `[]` if it is next.
fn is_empty_list(p: &mut Parser<'_>) -> Result<bool, Fail> {
    let start = p.pos;
    if p.eat(b'[') {
        p.blanks();
        if p.eat(b']') {
            return Ok(true);
        }
    }
    p.pos = start;

    Ok(false)
}

/// A key of a map and where its value begins.
struct Entry<'a> {
    key: Text<'a>,
    key_at: usize,
    value_at: usize,
}

/// Entries that are compared one with another; more of them are looked up.
const FEW: usize = 16;

/// Of entries with one key, keeps the last; returns how many were dropped.
fn keep_last(entries: &mut Vec<Entry<'_>>) -> u64 {
    let before = entries.len();
    if before <= FEW {
        let repeated = |(at, entry): (usize, &Entry<'_>)| {
            entries.iter().skip(at + 1).any(|later| entry.key.same(&later.key))
        };
        let mut drop: Vec<bool> = Vec::new();
        if entries.iter().enumerate().any(repeated) {
            drop = entries.iter().enumerate().map(repeated).rev().collect();
        }
        entries.retain(|_| !drop.pop().unwrap_or(false));
    } else {
        let mut seen = HashSet::with_capacity(before);
        let mut keep: Vec<bool> =
            entries.iter().rev().map(|entry| seen.insert(entry.key.cooked().0)).collect();
        entries.retain(|_| keep.pop().unwrap_or(true));
    }

    (before - entries.len()) as u64
}

/// Reads the fields of an object after its brace, up to and with the closing one.
///
/// `len` is the length of the fields before this object; a field that is longer has its value.
pub(crate) fn read_object(
    fields: &mut [Field],
    keys: &mut KeyTable,
    len: usize,
    p: &mut Parser<'_>,
    cx: &mut Reading,
) -> Read {
    p.blanks();
    if p.eat(b'}') {
        return Ok(());
    }
    let mut key = START;
    loop {
        let key_at = p.pos;
        key = keys.read(p, key)?;
        let (value_at, notes) = (p.pos, cx.notes.len());
        let read = match keys.target(key) {
            Some(Target::Field(number)) => match fields.get_mut(*number) {
                Some(field) => read_field(field, len, p, cx),
                None => Ok(()),
            },
            Some(Target::Place(place)) => read_place(place, fields, len, key_at, p, cx),
            Some(Target::Ignored) => p.skip().map(|_| ()).map_err(Fail::from),
            Some(Target::Unknown) | None => {
                let raw = p.skip()?;
                cx.unknown = true;
                if cx.rescue {
                    cx.note(false, vec![name_at(p, key_at)], raw);
                }
                keys.count(key);
                Ok(())
            }
        };
        if let Err(fail) = read {
            p.pos = value_at;
            if !matches!(fail, Fail::Value(_)) || !comes_again(p, key_at)? {
                return Err(fail);
            }
            // Only the last of several values counts, and with it whether it is bad.
            let one;
            let touched = match keys.target(key) {
                Some(Target::Field(number)) => {
                    one = [*number];
                    &one[..]
                }
                Some(Target::Place(place)) => &place.all[..],
                _ => &[],
            };
            for number in touched {
                if let Some(field) = fields.get_mut(*number).filter(|f| !f.fixed) {
                    field.node.truncate(len);
                }
            }
            cx.notes.truncate(notes);
            cx.duplicates += 1;
            p.skip()?;
        }
        if !p.more(b'}')? {
            return Ok(());
        }
    }
}

/// Whether the key at `key_at` is found once more in the rest of its object, after the value at `p`.
#[cold]
fn comes_again(p: &Parser<'_>, key_at: usize) -> Result<bool, Fail> {
    let name = p.at(key_at).text()?;
    let mut rest = p.clone();
    rest.skip()?;
    while rest.more(b'}')? {
        if rest.key()?.same(&name) {
            return Ok(true);
        }
        rest.skip()?;
    }

    Ok(false)
}

/// Adds nulls for the fields that an object lacked.
pub(crate) fn finish_object(fields: &mut [Field], len: usize) -> Read {
    for field in fields.iter_mut().filter(|f| f.node.len() == len) {
        field.node.missing().map_err(|fail| fail.below(Step::Field(field.name.to_string())))?;
    }

    Ok(())
}

#[inline]
fn read_field(field: &mut Field, len: usize, p: &mut Parser<'_>, cx: &mut Reading) -> Read {
    if field.node.len() != len && !again(field, len, cx) {
        p.skip()?;
        return Ok(());
    }
    let notes = cx.notes.len();
    match field.node.read(p, cx) {
        Ok(()) => {
            cx.below(notes, || Step::Field(field.name.to_string()));
            Ok(())
        }
        Err(fail) => Err(fail.below(Step::Field(field.name.to_string()))),
    }
}

/// A field came again: its former value is dropped, unless the connector gave it.
#[cold]
fn again(field: &mut Field, len: usize, cx: &mut Reading) -> bool {
    if field.fixed {
        return false;
    }
    field.node.truncate(len);
    cx.notes.retain(|note| {
        !(note.nulled && matches!(note.path.last(), Some(Step::Field(n)) if **n == *field.name))
    });
    cx.duplicates += 1;

    true
}

/// The name of the key at `key_at`.
fn name_at(p: &Parser<'_>, key_at: usize) -> Step {
    let name = p.at(key_at).text().map(|t| t.cooked().0.into_owned());
    Step::Field(name.unwrap_or_default())
}

/// Reads a value that several fields, or fields deeper down, take theirs from.
fn read_place(
    place: &mut Place,
    fields: &mut [Field],
    len: usize,
    key_at: usize,
    p: &mut Parser<'_>,
    cx: &mut Reading,
) -> Read {
    let start = p.pos;
    let raw = p.skip()?;
    let mut repeated = false;
    for number in &place.all {
        if let Some(field) = fields.get_mut(*number)
            && field.node.len() != len
        {
            let duplicates = cx.duplicates;
            repeated |= again(field, len, cx);
            cx.duplicates = duplicates;
        }
    }
    cx.duplicates += u64::from(repeated);

    for number in &place.here {
        if let Some(field) = fields.get_mut(*number) {
            read_field(field, len, &mut p.at(start), cx)?;
        }
    }
    let Some(inside) = &mut place.inside else { return Ok(()) };
    let mut at = p.at(start);
    let notes = cx.notes.len();
    if at.eat(b'{') {
        read_object(fields, inside, len, &mut at, cx)?;
        for note in cx.notes.iter_mut().skip(notes).filter(|n| !n.nulled) {
            note.path.push(name_at(p, key_at));
        }
        return Ok(());
    }
    if raw == b"null" || is_empty_list(&mut at)? {
        return Ok(());
    }
    for number in place.all.iter().filter(|n| !place.here.contains(n)) {
        let Some(field) = fields.get_mut(*number) else { continue };
        if field.fixed {
            continue;
        }
        let step = Step::Field(field.name.to_string());
        let fail = Fail::value(raw, "struct", "", cx.excerpts);
        let mut at = p.at(start);
        let notes = cx.notes.len();
        let refused = field.node.refuse(fail, start, len, notes, &mut at, cx);
        refused.map_err(|fail| fail.below(step.clone()))?;
        cx.below(notes, || step.clone());
    }

    Ok(())
}

/// The token at `p`, with the text of lists and objects passed over.
#[inline]
pub(crate) fn token<'a>(p: &mut Parser<'a>) -> Result<(Token<'a>, &'a [u8]), Fail> {
    let start = p.pos;
    let token = p.token()?;
    if let Token::Nested = token {
        p.skip()?;
    }

    Ok((token, p.since(start)))
}
