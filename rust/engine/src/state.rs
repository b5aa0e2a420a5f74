//! State blobs: what an offset cannot hold, stored beside the slices and named by content hash.

use crate::seen::Seen;
use bytes::Bytes;
use lakeflow_core::{Comparable, Error, Instant, Result};
use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8; 4] = b"LFS1";

/// Rows seen in the lookback span, as bytes for the slice store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateBlob {
    /// Content hash, 32 hexadecimal digits; the offset names the blob by it.
    pub hash: String,
    /// Content.
    pub bytes: Bytes,
}

/// Writes the rows of `seen`: per order value its kind, the value, how many rows, their hashes.
pub(crate) fn encode(seen: &Seen) -> StateBlob {
    let mut out = MAGIC.to_vec();
    for (order, ids) in seen.iter() {
        match order {
            Comparable::Instant(i) => put_number(&mut out, b'i', i.nanos()),
            Comparable::Date(d) => put_number(&mut out, b'd', i128::from(*d)),
            Comparable::Integer(n) => put_number(&mut out, b'n', *n),
            Comparable::Text(text) => {
                out.push(b't');
                out.extend_from_slice(&(text.len() as u64).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        out.extend_from_slice(&(ids.len() as u64).to_le_bytes());
        for id in ids {
            out.extend_from_slice(&id.to_le_bytes());
        }
    }

    StateBlob { hash: format!("{:032x}", xxh3_128(&out)), bytes: out.into() }
}

fn put_number(out: &mut Vec<u8>, kind: u8, value: i128) {
    out.push(kind);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Reads a blob into `seen`.
///
/// # Errors
/// [`ErrorKind::OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid) if the content does not
/// have the hash `expected` or is cut.
pub(crate) fn decode(bytes: &[u8], expected: &str, seen: &mut Seen) -> Result<()> {
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
            b"t" => {
                let len = number(&mut rest).ok_or_else(damaged)?;
                let text = usize::try_from(len).ok().and_then(|len| take(&mut rest, len));
                let text = text.and_then(|t| std::str::from_utf8(t).ok()).ok_or_else(damaged)?;
                Comparable::Text(text.into())
            }
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

    #[test]
    fn round_trip_keeps_rows_and_hash() {
        let blob = encode(&sample());
        let mut read = Seen::default();
        decode(&blob.bytes, &blob.hash, &mut read).unwrap();

        assert_eq!(encode(&read), blob);
    }

    #[test]
    fn damaged_content_is_refused() {
        let blob = encode(&sample());
        for len in 0..blob.bytes.len() {
            assert!(decode(&blob.bytes[..len], &blob.hash, &mut Seen::default()).is_err());
        }
    }
}
