//! The form of a slice file.
//!
//! ```text
//! magic (8 bytes)
//! Arrow IPC chunks: the schema, then one record batch each; uncompressed, no end marker
//! footer: JSON {"v", "start", "schema", "rows", "bytes", "chunks"}, where chunks are
//!     [offset, length, rows, CRC-32C] and bytes is where the footer begins
//! length of the footer (4 bytes, big-endian)
//! CRC-32C of the footer (4 bytes, big-endian)
//! magic (8 bytes)
//! ```
//!
//! A file is written once and is there only if it ends in a valid footer.

use super::{delete, settle, unusable};
use crc32c::crc32c;
use lakeflow_core::Result;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"LFSLICE1";
const VERSION: u32 = 1;
const TRAILER: u64 = 4 + 4 + 8;

/// A piece of the file: first byte, bytes, rows (0 for the schema), CRC-32C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunk(pub(crate) u64, pub(crate) usize, pub(crate) u64, pub(crate) u32);

impl Chunk {
    /// The chunk of these bytes where `offset` is their first.
    pub(crate) fn of(bytes: &[u8], offset: u64, rows: u64) -> Self {
        Self(offset, bytes.len(), rows, crc32c(bytes))
    }

    /// Whether `bytes` are those that were written.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.1 && crc32c(bytes) == self.3
    }
}

/// What the end of a file says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footer {
    v: u32,
    /// Text of the offset that the slice begins at.
    pub(crate) start: String,
    /// Columns of its rows, in Spark's JSON form.
    pub(crate) schema: String,
    pub(crate) rows: u64,
    /// Length of the file up to the footer.
    pub(crate) bytes: u64,
    /// The chunk of the schema, then those with one record batch each.
    pub(crate) chunks: Vec<Chunk>,
}

/// The footer of the file at `path`; `None` if there is no complete file.
pub(super) fn footer(path: &Path) -> io::Result<Option<Footer>> {
    match File::open(path).and_then(|mut file| read_footer(&mut file)) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
            Ok(None)
        }
        read => read,
    }
}

fn read_footer(file: &mut File) -> io::Result<Option<Footer>> {
    let length = file.metadata()?.len();
    let Some(end) = length.checked_sub(TRAILER) else { return Ok(None) };
    file.seek(SeekFrom::Start(end))?;
    let (mut size, mut checksum, mut magic) = ([0; 4], [0; 4], [0; 8]);
    file.read_exact(&mut size)?;
    file.read_exact(&mut checksum)?;
    file.read_exact(&mut magic)?;
    let size = u64::from(u32::from_be_bytes(size));
    let start = end.checked_sub(size).filter(|start| *start >= MAGIC.len() as u64);
    let Some(start) = start.filter(|_| magic == *MAGIC) else { return Ok(None) };
    file.seek(SeekFrom::Start(start))?;
    let mut footer = Vec::new();
    file.take(size).read_to_end(&mut footer)?;
    if crc32c(&footer) != u32::from_be_bytes(checksum) {
        return Ok(None);
    }
    let footer: Option<Footer> = serde_json::from_slice(&footer).ok();

    Ok(footer.filter(|f| f.v == VERSION && f.bytes == start && !f.chunks.is_empty()))
}

/// Writes one slice file, chunk by chunk; removes it if it is dropped before it is complete.
pub(crate) struct SliceWriter {
    path: PathBuf,
    file: BufWriter<File>,
    footer: Footer,
    complete: bool,
}

impl SliceWriter {
    pub(super) fn begin(path: PathBuf, file: File, start: &str, schema: &str) -> Result<Self> {
        let footer = Footer {
            v: VERSION,
            start: start.to_owned(),
            schema: schema.to_owned(),
            rows: 0,
            bytes: 0,
            chunks: Vec::new(),
        };
        let mut writer = Self { path, file: BufWriter::new(file), footer, complete: false };
        writer.put(MAGIC)?;

        Ok(writer)
    }

    /// Writes a chunk with this many rows; the first one is the schema.
    pub(crate) fn write(&mut self, chunk: &[u8], rows: u64) -> Result<()> {
        self.footer.chunks.push(Chunk::of(chunk, self.footer.bytes, rows));
        self.footer.rows += rows;
        self.put(chunk)
    }

    /// Writes the footer and closes the file: from now on the slice exists. Gives its rows.
    pub(crate) fn complete(mut self) -> Result<u64> {
        let json = serde_json::to_vec(&self.footer)
            .map_err(|e| unusable("cannot write a slice", &self.path, e.into()))?;
        self.put(&json)?;
        // Footers are far smaller: they hold a few numbers for each 8 MiB.
        let size = u32::try_from(json.len()).unwrap_or(u32::MAX);
        self.put(&size.to_be_bytes())?;
        self.put(&crc32c(&json).to_be_bytes())?;
        self.put(MAGIC)?;
        self.file
            .flush()
            .and_then(|()| settle(self.file.get_ref()))
            .map_err(|e| unusable("cannot write a slice", &self.path, e))?;
        self.complete = true;

        Ok(self.footer.rows)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.footer.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|e| unusable("cannot write a slice", &self.path, e))
    }
}

impl Drop for SliceWriter {
    fn drop(&mut self) {
        if !self.complete {
            delete(&self.path);
        }
    }
}
