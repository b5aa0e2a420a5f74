//! What one task reads of stored slices, as bytes that a host can send.

use super::file::Chunk;
use super::{StoredSlice, unusable};
use crate::mapping::Mapping;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use lakeflow_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// Bytes of the batches of one task, at least and at most; a batch is never cut.
const MIN_BYTES: u64 = 8 << 20;
const MAX_BYTES: u64 = 64 << 20;

/// Batches of a slice: the chunk with the schema, then those of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    chunks: Chunks,
    /// The chunks themselves, where the file cannot be seen by the task.
    carried: Option<Bytes>,
}

/// Chunks of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Chunks {
    path: PathBuf,
    chunks: Vec<Chunk>,
}

impl Part {
    /// Runs of batches of `slices`, in order, for about `tasks` tasks.
    pub(crate) fn plan(slices: &[StoredSlice], tasks: usize) -> Vec<Self> {
        let total: u64 = slices.iter().map(|slice| slice.footer.bytes).sum();
        let target = (total / (tasks.max(1) as u64)).clamp(MIN_BYTES, MAX_BYTES);
        let mut parts = Vec::new();
        for slice in slices {
            let [schema, batches @ ..] = &*slice.footer.chunks else { continue };
            let (mut run, mut bytes) = (vec![*schema], 0);
            let mut end = |run: Vec<Chunk>| {
                let chunks = Chunks { path: slice.path.clone(), chunks: run };
                parts.push(Self { chunks, carried: None });
            };
            for batch in batches {
                let length = batch.1 as u64;
                if bytes > 0 && bytes + length > target {
                    end(std::mem::replace(&mut run, vec![*schema]));
                    bytes = 0;
                }
                run.push(*batch);
                bytes += length;
            }
            if run.len() > 1 {
                end(run);
            }
        }

        parts
    }

    /// The same with its batches in it.
    ///
    /// # Errors
    /// Those of reading the file.
    pub(crate) fn carrying(self) -> Result<Self> {
        let mut source = Source::of(self)?;
        let (mut data, mut chunks) = (Vec::new(), Vec::new());
        while let Some((chunk, bytes)) = source.next()? {
            chunks.push(Chunk::of(&bytes, data.len() as u64, chunk.2));
            data.extend_from_slice(&bytes);
        }
        let chunks = Chunks { path: PathBuf::new(), chunks };

        Ok(Self { chunks, carried: Some(data.into()) })
    }

    /// The length of a JSON header (4 bytes, big-endian), the header, and the batches if it has them.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for a path that is no Unicode.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let header = serde_json::to_vec(&(&self.chunks, self.carried.is_some()))
            .map_err(|e| Error::internal("a part of a slice cannot be written").source(e))?;
        let length = u32::try_from(header.len())
            .map_err(|e| Error::internal("a part of a slice has too many batches").source(e))?;

        Ok([&length.to_be_bytes(), &*header, self.carried.as_deref().unwrap_or_default()].concat())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for anything else: only this crate writes parts.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self> {
        let read = || {
            let (length, _) = bytes.split_first_chunk::<4>()?;
            let end = 4 + usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let header = bytes.get(4..end)?;
            let (chunks, carries): (Chunks, bool) = serde_json::from_slice(header).ok()?;

            Some(Self { chunks, carried: carries.then(|| bytes.slice(end..)) })
        };

        read().ok_or_else(|| Error::internal("a part of a slice is malformed"))
    }
}

/// Reads the batches of a part, in a schema.
pub struct StoredBatches {
    source: Source,
    decoder: StreamDecoder,
    mapping: Mapping,
}

impl StoredBatches {
    /// Opens the file if the part does not carry its batches.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`] if there is no such file here.
    pub fn open(part: Part, mapping: Mapping) -> Result<Self> {
        Ok(Self { source: Source::of(part)?, decoder: StreamDecoder::new(), mapping })
    }

    /// The mapping to the schema of every batch.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The next batch, or `None` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::DataInvalid`] if the bytes are not those that were written.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while let Some((_, bytes)) = self.source.next()? {
            let decoded = self.decoder.decode(&mut Buffer::from(bytes));
            let damaged = |e| Error::new(ErrorKind::DataInvalid, "a slice is damaged").source(e);
            if let Some(batch) = decoded.map_err(damaged)? {
                return self.mapping.apply(&batch).map(Some);
            }
        }

        Ok(None)
    }
}

/// Where chunks come from.
struct Source {
    chunks: std::vec::IntoIter<Chunk>,
    path: PathBuf,
    bytes: Held,
}

enum Held {
    Here(Bytes),
    InFile(File),
}

impl Source {
    fn of(part: Part) -> Result<Self> {
        let Part { chunks: Chunks { path, chunks }, carried } = part;
        let bytes = match carried {
            Some(bytes) => Held::Here(bytes),
            None => Held::InFile(File::open(&path).map_err(|e| {
                unusable("tasks must see the same folder: cannot open a slice", &path, e)
            })?),
        };

        Ok(Self { chunks: chunks.into_iter(), path, bytes })
    }

    fn next(&mut self) -> Result<Option<(Chunk, Bytes)>> {
        let Some(chunk) = self.chunks.next() else { return Ok(None) };
        let Chunk(offset, length, ..) = chunk;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = match &mut self.bytes {
            Held::Here(all) => {
                let held = start.checked_add(length).filter(|end| *end <= all.len());
                held.map(|end| all.slice(start..end)).unwrap_or_default()
            }
            Held::InFile(file) => {
                let mut bytes = vec![0; length];
                file.seek(SeekFrom::Start(offset))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(|e| unusable("cannot read a slice", &self.path, e))?;
                bytes.into()
            }
        };
        if !chunk.is(&bytes) {
            return Err(Error::new(
                ErrorKind::DataInvalid,
                format!(
                    "slice {} is damaged: bytes {offset} to {} do not have the checksum that was \
                     stored with them; restore the file, or remove it and set option \
                     'failOnDataLoss' to false to read its batch again",
                    self.path.display(),
                    offset + length as u64
                ),
            ));
        }

        Ok(Some((chunk, bytes)))
    }
}
