//! Reading a response's body: one buffer, a cap, gzip.

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use reqwest::header::CONTENT_ENCODING;
use std::fmt;
use std::io::{self, Write};

/// Largest response body that is taken, decompressed.
pub const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;

/// Largest buffer that is reserved because a header announces a body of that size.
const MAX_RESERVE: usize = 16 * 1024 * 1024;

/// Compressed bytes that are decoded at a time; one byte expands to about a thousand at most.
const SLICE: usize = 16 * 1024;

/// A body may be this many times larger than its compressed form...
const MAX_RATIO: usize = 200;

/// ...unless it is smaller than this: short repetitive answers compress better.
const RATIO_FREE: usize = 16 * 1024 * 1024;

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The connection failed or the body ended early.
    Transport(reqwest::Error),
    /// Larger than the cap.
    TooLarge(usize),
    /// Expands beyond reason.
    Bomb,
    /// Not what `Content-Encoding` says.
    Corrupt(io::Error),
    /// `Content-Encoding` that was not asked for.
    Encoding(String),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(_) => {
                f.write_str("the connection broke before the answer was complete")
            }
            Self::TooLarge(cap) => write!(f, "the response is larger than {cap} bytes"),
            Self::Bomb => write!(f, "the response expands to more than {MAX_RATIO} times its size"),
            Self::Corrupt(_) => f.write_str("the compressed response cannot be read"),
            Self::Encoding(name) => write!(f, "unexpected content encoding '{name}'"),
        }
    }
}

/// Reads the whole body, at most `cap` bytes; `received` is told of bytes as they arrive.
pub(crate) async fn collect(
    response: &mut reqwest::Response,
    cap: usize,
    received: impl Fn(u64),
) -> Result<Bytes, BodyError> {
    let announced = response.content_length().and_then(|n| usize::try_from(n).ok());
    let mut sink = Sink::of(response, announced)?;
    if matches!(sink, Sink::Plain(_)) && announced.is_some_and(|n| n > cap) {
        return Err(BodyError::TooLarge(cap));
    }
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Transport)? {
        received(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if matches!(&sink, Sink::Plain(v) if v.is_empty()) && announced == Some(chunk.len()) {
            return Ok(chunk);
        }
        sink.write(&chunk, cap)?;
    }

    sink.finish(cap)
}

/// Reads the start of a body, about `most` bytes, or what can be had of it.
pub(crate) async fn start(
    response: &mut reqwest::Response,
    most: usize,
    received: impl Fn(u64),
) -> Vec<u8> {
    let Ok(mut sink) = Sink::of(response, Some(most)) else { return Vec::new() };
    while let Ok(Some(chunk)) = response.chunk().await {
        received(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        let chunk = chunk.get(..most).unwrap_or(&chunk);
        if sink.write(chunk, MAX_BODY_BYTES).is_err() || sink.size() >= most {
            break;
        }
    }
    let mut start = sink.into_written();
    start.truncate(most);

    start
}

enum Sink {
    Plain(Vec<u8>),
    /// The decoder and the bytes that went into it.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>, usize),
}

impl Sink {
    fn of(response: &reqwest::Response, announced: Option<usize>) -> Result<Self, BodyError> {
        let size = announced.unwrap_or_default();
        let encoding = response.headers().get(CONTENT_ENCODING);
        let encoding = encoding.map(|v| String::from_utf8_lossy(v.as_bytes()).to_lowercase());
        match encoding.as_deref().map(str::trim) {
            None | Some("" | "identity") => {
                Ok(Self::Plain(Vec::with_capacity(size.min(MAX_RESERVE))))
            }
            Some("gzip" | "x-gzip") => {
                let reserve = size.saturating_mul(4).min(MAX_RESERVE);
                Ok(Self::Gzip(Box::new(MultiGzDecoder::new(Vec::with_capacity(reserve))), 0))
            }
            Some(other) => Err(BodyError::Encoding(other.to_owned())),
        }
    }

    /// Bytes written so far.
    fn size(&self) -> usize {
        match self {
            Self::Plain(out) => out.len(),
            Self::Gzip(decoder, _) => decoder.get_ref().len(),
        }
    }

    /// What was written, whole or not.
    fn into_written(self) -> Vec<u8> {
        match self {
            Self::Plain(out) => out,
            Self::Gzip(mut decoder, _) => {
                let _ = decoder.flush();
                std::mem::take(decoder.get_mut())
            }
        }
    }

    fn write(&mut self, chunk: &[u8], cap: usize) -> Result<(), BodyError> {
        match self {
            Self::Plain(out) => {
                if out.len().saturating_add(chunk.len()) > cap {
                    return Err(BodyError::TooLarge(cap));
                }
                out.extend_from_slice(chunk);
            }
            Self::Gzip(decoder, compressed) => {
                for slice in chunk.chunks(SLICE) {
                    decoder.write_all(slice).map_err(BodyError::Corrupt)?;
                    *compressed += slice.len();
                    let size = decoder.get_ref().len();
                    if size > cap {
                        return Err(BodyError::TooLarge(cap));
                    }
                    if size > RATIO_FREE && size / MAX_RATIO > *compressed {
                        return Err(BodyError::Bomb);
                    }
                }
            }
        }

        Ok(())
    }

    fn finish(self, cap: usize) -> Result<Bytes, BodyError> {
        match self {
            Self::Plain(out) => Ok(out.into()),
            Self::Gzip(_, 0) => Ok(Bytes::new()),
            Self::Gzip(decoder, _) => {
                let out = decoder.finish().map_err(BodyError::Corrupt)?;
                // The decoder keeps its last piece back until here.
                if out.len() > cap { Err(BodyError::TooLarge(cap)) } else { Ok(out.into()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(chunks: &[&[u8]], cap: usize) -> Result<Bytes, String> {
        let mut sink = Sink::Gzip(Box::new(MultiGzDecoder::new(Vec::new())), 0);
        for chunk in chunks {
            sink.write(chunk, cap).map_err(|e| e.to_string())?;
        }
        sink.finish(cap).map_err(|e| e.to_string())
    }

    #[test]
    fn gzip_is_decoded_wherever_it_is_cut() {
        let data: Vec<u8> = (0..50_000_u32).flat_map(|i| i.to_string().into_bytes()).collect();
        let packed = gzip(&data);
        for size in [1, 7, 1000, packed.len()] {
            let chunks: Vec<_> = packed.chunks(size).collect();
            assert_eq!(decode(&chunks, MAX_BODY_BYTES).unwrap(), data, "chunks of {size}");
        }
        let two = [packed.clone(), packed.clone()].concat();
        assert_eq!(decode(&[&two], MAX_BODY_BYTES).unwrap().len(), 2 * data.len());
        assert_eq!(decode(&[], MAX_BODY_BYTES).unwrap(), Bytes::new());
    }

    #[test]
    fn bad_gzip_is_refused() {
        let packed = gzip(&vec![b'x'; 1000]);
        let bomb = gzip(&vec![b' '; 40 * 1024 * 1024]);
        let corrupt = "the compressed response cannot be read";
        let cases: [(&[u8], usize, &str); 4] = [
            (&packed[..packed.len() - 1], 1000, corrupt),
            (b"{\"plain\": true}", 1000, corrupt),
            (&packed, 999, "the response is larger than 999 bytes"),
            (&bomb, MAX_BODY_BYTES, "the response expands to more than 200 times its size"),
        ];
        for (body, cap, expected) in cases {
            assert_eq!(decode(&[body], cap).unwrap_err(), expected);
        }
    }
}
