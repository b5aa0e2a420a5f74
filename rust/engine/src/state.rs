//! State blobs: what an offset cannot hold, stored beside the slices and named by content hash.

use crate::parts::{Place, Places};
use crate::seen::Seen;
use bytes::Bytes;
use lakeflow_core::{Comparable, Error, Instant, Position, Result, canonical_json};
use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8; 4] = b"LFS1";

/// Rows that may come again and what is known of parents, as bytes for the slice store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateBlob {
    /// Content hash, 32 hexadecimal digits; the offset names the blob by it.
    pub hash: String,
    /// Content.
    pub bytes: Bytes,
}

/// Writes the rows of `seen`: per order value its kind, the value, how many rows, their hashes;
/// then per parent of `places` its hash, whether it is done, and its place with the version of that.
pub(crate) fn encode(seen: &Seen, places: &Places) -> StateBlob {
    let mut out = MAGIC.to_vec();
    for (order, ids) in seen.iter() {
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
    for (id, Place { done, at }) in places.iter() {
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

    StateBlob { hash: format!("{:032x}", xxh3_128(&out)), bytes: out.into() }
}

fn put_number(out: &mut Vec<u8>, kind: u8, value: i128) {
    out.push(kind);
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Reads a blob into `seen` and `places`.
///
/// # Errors
/// [`ErrorKind::OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid) if the content does not
/// have the hash `expected` or is cut.
pub(crate) fn decode(
    bytes: &[u8],
    expected: &str,
    seen: &mut Seen,
    places: &mut Places,
) -> Result<()> {
    let damaged = || {
        Error::offset_invalid(format!(
            "the stored state {expected} is damaged; delete its file to read the lookback span again"
        ))
    };
    if format!("{:032x}", xxh3_128(bytes)) != expected {
        return Err(damaged());
    }
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    while let Some(kind) = take(&mut rest, 1) {
        let order = match kind {
            b"p" => {
                let (id, place) = place(&mut rest).ok_or_else(damaged)?;
                places.insert(id, place);
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
            seen.insert(Some(order.clone()), number(&mut rest).ok_or_else(damaged)?);
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

    fn sample() -> Seen {
        let mut seen = Seen::default();
        seen.insert(Some(Comparable::Instant(Instant::from_parts(5, 7))), 1);
        seen.insert(Some(Comparable::Instant(Instant::from_parts(5, 7))), u64::MAX);
        seen.insert(Some(Comparable::Text("é".into())), 2);
        seen
    }

    fn places() -> Places {
        let mut places = Places::default();
        places.insert(3, Place { done: true, at: None });
        let at = Position::default().with("token", lakeflow_core::JsonScalar::Text("é".into()));
        places.insert(4, Place { done: false, at: Some((2, at)) });
        places
    }

    #[test]
    fn round_trip_keeps_rows_places_and_hash() {
        let blob = encode(&sample(), &places());
        let (mut seen, mut read) = (Seen::default(), Places::default());
        decode(&blob.bytes, &blob.hash, &mut seen, &mut read).unwrap();

        assert_eq!(encode(&seen, &read), blob);
        assert_eq!(read, places());
    }

    #[test]
    fn damaged_content_is_refused() {
        let blob = encode(&sample(), &places());
        for len in 0..blob.bytes.len() {
            let cut = &blob.bytes[..len];
            let (mut seen, mut places) = (Seen::default(), Places::default());
            assert!(decode(cut, &blob.hash, &mut seen, &mut places).is_err());
            let hash = format!("{:032x}", xxh3_128(cut));
            let _ = decode(cut, &hash, &mut seen, &mut places);
        }
    }
}
