//! State blobs: what an offset cannot hold, stored beside the slices and named by content hash.

use crate::parts::{Place, Places};
use crate::seen::Seen;
use bytes::Bytes;
use lakeflow_core::{Comparable, Error, Instant, Position, Result, canonical_json};
use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8; 4] = b"LFS1";
/// Begins the two blobs of a change feed.
const PAIR: &[u8; 4] = b"LFS2";

/// Rows that may come again and what is known of parents, as bytes for the slice store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateBlob {
    /// Content hash, 32 hexadecimal digits; the offset names the blob by it.
    pub hash: String,
    /// Content.
    pub bytes: Bytes,
}

/// What is remembered beside an offset.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Rows delivered by the feed.
    pub(crate) seen: Seen,
    /// Rows of an append table, delivered below the records of the feed. They have no order value.
    pub(crate) below: Seen,
    /// What is known of listed parents.
    pub(crate) places: Places,
}

impl Memory {
    /// Whether it holds what cursor and ties of an offset cannot say.
    pub(crate) fn outlives_cursor(&self) -> bool {
        self.seen.has_unordered() || self.below.has_unordered() || !self.places.is_empty()
    }
}

/// Writes the rows seen: per order value its kind, the value, how many rows, their hashes; then key
/// and version of each row without one; then each row below; then per parent its hash, whether it is
/// done, and its place with the version of that.
pub(crate) fn encode(memory: &Memory) -> StateBlob {
    let mut out = MAGIC.to_vec();
    for (order, ids) in memory.seen.iter() {
        match order {
            Comparable::Instant(i) => put_number(&mut out, b'i', i.nanos()),
            Comparable::Date(d) => put_number(&mut out, b'd', i128::from(*d)),
            Comparable::Integer(n) => put_number(&mut out, b'n', *n),
            Comparable::Text(text) => {
                out.push(b't');
                put_text(&mut out, text);
            }
        }
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        out.extend_from_slice(&(ids.len() as u64).to_le_bytes());
        for id in ids {
            out.extend_from_slice(&id.to_le_bytes());
        }
    }
    for (key, id) in memory.seen.unordered() {
        out.push(b'u');
        out.extend_from_slice(&key.to_le_bytes());
        out.extend_from_slice(&id.to_le_bytes());
    }
    for (id, _) in memory.below.unordered() {
        out.push(b'b');
        out.extend_from_slice(&id.to_le_bytes());
    }
    for (id, Place { done, at }) in memory.places.iter() {
        out.push(b'p');
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&u64::from(*done).to_le_bytes());
        let (version, at) = match at {
            Some((version, at)) => (u64::from(*version), canonical_json(&at.to_value())),
            None => (0, String::new()),
        };
        out.extend_from_slice(&version.to_le_bytes());
        put_text(&mut out, &at);
    }

    blob(out)
}

fn blob(content: Vec<u8>) -> StateBlob {
    StateBlob { hash: hash(&content), bytes: content.into() }
}

fn hash(content: &[u8]) -> String {
    format!("{:032x}", xxh3_128(content))
}

/// The blobs of the rows and of the deletes as one: the length of the first, then both.
pub(crate) fn join(rows: Option<StateBlob>, deletes: Option<StateBlob>) -> Option<StateBlob> {
    if rows.is_none() && deletes.is_none() {
        return None;
    }
    let content = |blob: Option<StateBlob>| blob.map(|blob| blob.bytes).unwrap_or_default();
    let (rows, deletes) = (content(rows), content(deletes));
    let length = (rows.len() as u64).to_le_bytes();

    Some(blob([PAIR, &length[..], &rows[..], &deletes[..]].concat()))
}

/// Takes apart what [`join`] made.
///
/// # Errors
/// As [`decode`].
pub(crate) fn split(
    content: &Bytes,
    expected: &str,
) -> Result<(Option<StateBlob>, Option<StateBlob>)> {
    let part =
        |part: Bytes| (!part.is_empty()).then(|| StateBlob { hash: hash(&part), bytes: part });
    let parts = || {
        let mut rest = content.strip_prefix(PAIR)?;
        let length = usize::try_from(number(&mut rest)?).ok()?;
        let (rows, deletes) = rest.split_at_checked(length)?;

        Some((part(content.slice_ref(rows)), part(content.slice_ref(deletes))))
    };
    match parts() {
        Some(parts) if hash(content) == expected => Ok(parts),
        _ => Err(damaged(expected)),
    }
}

fn damaged(expected: &str) -> Error {
    Error::offset_invalid(format!(
        "the stored state {expected} is damaged; delete its file to read the lookback span again"
    ))
}

fn put_number(out: &mut Vec<u8>, kind: u8, value: i128) {
    out.push(kind);
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Reads a blob into `memory`.
///
/// # Errors
/// [`ErrorKind::OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid) if the content does not
/// have the hash `expected` or is cut.
pub(crate) fn decode(bytes: &[u8], expected: &str, memory: &mut Memory) -> Result<()> {
    let damaged = || damaged(expected);
    if hash(bytes) != expected {
        return Err(damaged());
    }
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    while let Some(kind) = take(&mut rest, 1) {
        let order = match kind {
            b"p" => {
                let (id, place) = place(&mut rest).ok_or_else(damaged)?;
                memory.places.insert(id, place);
                continue;
            }
            b"u" => {
                let version = number(&mut rest).zip(number(&mut rest));
                let (key, id) = version.ok_or_else(damaged)?;
                memory.seen.insert_version(key, id);
                continue;
            }
            b"b" => {
                let id = number(&mut rest).ok_or_else(damaged)?;
                memory.below.insert_version(id, id);
                continue;
            }
            b"t" => Comparable::Text(text(&mut rest).ok_or_else(damaged)?.into()),
            kind => {
                let bytes = take(&mut rest, 16).and_then(|b| b.try_into().ok());
                let value = i128::from_le_bytes(bytes.ok_or_else(damaged)?);
                match kind {
                    b"i" => Comparable::Instant(Instant::from_nanos(value)),
                    b"d" => Comparable::Date(i32::try_from(value).map_err(|_| damaged())?),
                    b"n" => Comparable::Integer(value),
                    _ => return Err(damaged()),
                }
            }
        };
        for _ in 0..number(&mut rest).ok_or_else(damaged)? {
            memory.seen.insert(order.clone(), number(&mut rest).ok_or_else(damaged)?);
        }
    }

    Ok(())
}

fn place(rest: &mut &[u8]) -> Option<(u64, Place)> {
    let (id, done, version) = (number(rest)?, number(rest)? == 1, number(rest)?);
    let at = text(rest)?;
    let at = match version {
        0 => None,
        _ => {
            let at = Position::from_value(&serde_json::from_str(at).ok()?)?;
            Some((u32::try_from(version).ok()?, at))
        }
    };

    Some((id, Place { done, at }))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    match usize::try_from(number(rest)?).ok()? {
        0 => Some(""),
        len => std::str::from_utf8(take(rest, len)?).ok(),
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len).filter(|(head, _)| !head.is_empty())?;
    *rest = tail;
    Some(head)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take(rest, 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Memory {
        let mut memory = Memory::default();
        memory.seen.insert(Comparable::Instant(Instant::from_parts(5, 7)), 1);
        memory.seen.insert(Comparable::Instant(Instant::from_parts(5, 7)), u64::MAX);
        memory.seen.insert(Comparable::Text("é".into()), 2);
        memory.seen.insert_version(7, 8);
        memory.below.insert_version(9, 9);
        memory.places.insert(3, Place { done: true, at: None });
        let at = Position::default().with("token", lakeflow_core::JsonScalar::Text("é".into()));
        memory.places.insert(4, Place { done: false, at: Some((2, at)) });
        memory
    }

    #[test]
    fn round_trip_keeps_rows_places_and_hash() {
        let blob = encode(&sample());
        let mut read = Memory::default();
        decode(&blob.bytes, &blob.hash, &mut read).unwrap();

        assert_eq!(encode(&read), blob);
        assert_eq!(read.places, sample().places);
        assert_eq!(read.seen.unordered().collect::<Vec<_>>(), [(7, 8)]);
        assert_eq!(read.below.unordered().collect::<Vec<_>>(), [(9, 9)]);
    }

    #[test]
    fn a_pair_of_blobs_is_taken_apart_as_it_was_joined_and_refused_if_it_is_cut() {
        let (some, other) = (|| Some(encode(&sample())), || Some(encode(&Memory::default())));
        assert_eq!(join(None, None), None);
        for (rows, deletes) in [(some(), other()), (some(), None), (None, some())] {
            let pair = join(rows.clone(), deletes.clone()).unwrap();
            assert_eq!(split(&pair.bytes, &pair.hash).unwrap(), (rows, deletes));
            for len in 0..pair.bytes.len() {
                assert!(split(&pair.bytes.slice(..len), &pair.hash).is_err());
            }
        }
    }

    #[test]
    fn damaged_content_is_refused() {
        let blob = encode(&sample());
        for len in 0..blob.bytes.len() {
            let cut = &blob.bytes[..len];
            let mut memory = Memory::default();
            assert!(decode(cut, &blob.hash, &mut memory).is_err());
            let hash = hash(cut);
            let _ = decode(cut, &hash, &mut memory);
        }
    }
}
