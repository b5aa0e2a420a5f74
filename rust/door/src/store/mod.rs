//! The slices of one stream, and the states that its offsets name, in a folder of a file system.
//!
//! ```text
//! owner.json          who the folder belongs to
//! slices/<id>.arrow   rows up to the offset that carries the id, see [`file`]
//! state/<hash>        what the offset that names the hash needs besides
//! ```
//!
//! Files are written once under their final name. Those of a stream that was cut off, named by no
//! logged offset, stay for a day: another driver may be about to log them. The Java door keeps the
//! same files by the same rules (`lakeflow.connect.store`), so either serves what the other wrote.

mod file;
mod part;

pub use part::{Part, StoredBatches};

use file::Footer;
use lakeflow_core::{Error, ErrorKind, Instant, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

pub(crate) use file::SliceWriter;

/// What tells the stream of a store from others where the door cannot: it does not know its
/// checkpoint.
const ANY_STREAM: &str = "any";

/// Age at which files that no offset names are removed.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Time between two looks for such files.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// An offset: canonical JSON text made by the engine, compared as text.
#[derive(Clone, Debug)]
pub(crate) struct StreamOffset {
    /// The text.
    pub(crate) text: String,
    /// Id of the slice that ends here.
    pub(crate) slice: Option<String>,
    /// Name of the state that belongs to it.
    pub(crate) state: Option<String>,
    /// Whether tasks read what ends here, so that nothing of it is stored.
    pub(crate) by_split: bool,
}

impl StreamOffset {
    /// Reads the text, the engine's own or an older one of a checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::OffsetInvalid`] if it is no JSON object.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let json: Option<Value> = serde_json::from_str(text).ok().filter(Value::is_object);
        let json = json.ok_or_else(|| Error::offset_invalid("the offset is no JSON object"))?;
        let member = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);

        let by_split = json.get("by_split").and_then(Value::as_bool).unwrap_or(false);

        Ok(Self { text: text.to_owned(), slice: member("slice"), state: member("state"), by_split })
    }
}

impl StreamOffset {
    /// One that says no more than which slice ends there.
    pub(crate) fn of_slice(id: String) -> Self {
        Self { text: String::new(), slice: Some(id), state: None, by_split: false }
    }
}

impl PartialEq for StreamOffset {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Whose a store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SliceOwner {
    /// Id of the source.
    pub(crate) source: String,
    /// Name of the table.
    pub(crate) table: String,
    stream: String,
}

impl SliceOwner {
    /// A stream of `table`, whichever.
    pub(crate) fn of(source: &str, table: &str) -> Self {
        Self { source: source.to_owned(), table: table.to_owned(), stream: ANY_STREAM.to_owned() }
    }
}

impl fmt::Display for SliceOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stream.as_str() {
            ANY_STREAM => write!(f, "a stream of {}.{}", self.source, self.table),
            stream => write!(f, "stream {stream} of {}.{}", self.source, self.table),
        }
    }
}

/// A slice that is there.
#[derive(Clone, Debug)]
pub(crate) struct StoredSlice {
    path: PathBuf,
    footer: Footer,
}

impl StoredSlice {
    /// Its columns, in Spark's JSON form.
    pub(crate) fn schema_json(&self) -> &str {
        &self.footer.schema
    }
}

/// The store of one stream.
pub(crate) struct SliceStore {
    slices: PathBuf,
    states: PathBuf,
    stale_states: HashSet<String>,
    last_sweep: Option<Instant>,
}

impl SliceStore {
    /// Opens the store at `location` for `owner`, which marks it on first use.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`] if the folder belongs to another table or cannot be used.
    pub(crate) fn open(location: &Path, owner: &SliceOwner) -> Result<Self> {
        let store = Self {
            slices: location.join("slices"),
            states: location.join("state"),
            stale_states: HashSet::new(),
            last_sweep: None,
        };
        for folder in [location, &store.slices, &store.states] {
            create_folder(folder).map_err(|e| unusable("cannot make a folder", folder, e))?;
        }
        claim(location, owner)?;

        Ok(store)
    }

    /// Begins the slice `id`, which starts at `start` and has the columns of `schema_json`.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`] if the file cannot be made.
    pub(crate) fn write(&self, id: &str, start: &str, schema_json: &str) -> Result<SliceWriter> {
        let path = self.slice_path(id)?;
        let file = create(&path).map_err(|e| unusable("cannot make a file", &path, e))?;

        SliceWriter::begin(path, file, start, schema_json)
    }

    /// The slice that ends at `end`; `None` if it is not there whole.
    ///
    /// # Errors
    /// [`ErrorKind::OffsetInvalid`] if the offset names no file of a store;
    /// [`ErrorKind::ConfigInvalid`] if the file cannot be read.
    pub(crate) fn slice(&self, end: &StreamOffset) -> Result<Option<StoredSlice>> {
        let Some(id) = &end.slice else { return Ok(None) };
        let path = self.slice_path(id)?;
        let footer = file::footer(&path).map_err(|e| unusable("cannot read a slice", &path, e))?;

        Ok(footer.map(|footer| StoredSlice { path, footer }))
    }

    /// The slices from `start` to `end`, oldest first; `None` if one of them is missing.
    ///
    /// # Errors
    /// Those of [`slice`](Self::slice).
    pub(crate) fn chain(
        &self,
        start: &StreamOffset,
        end: &StreamOffset,
    ) -> Result<Option<Vec<StoredSlice>>> {
        let (chain, reached) = self.walk_back(end, |at| at == start)?;

        Ok((reached == *start).then(|| chain.into()))
    }

    /// Keeps `state` under `hash`.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`] if it cannot be written.
    pub(crate) fn write_state(&mut self, hash: &str, state: &[u8]) -> Result<()> {
        let path = self.state_path(hash)?;
        self.stale_states.remove(hash);
        match fs::metadata(&path) {
            Ok(found) if found.len() == state.len() as u64 => return Ok(()),
            // A writer was cut off; the name tells the content, so writing it again is safe.
            Ok(_) => delete(&path),
            Err(_) => {}
        }

        create(&path)
            .and_then(|mut file| file.write_all(state).and_then(|()| settle(&file)))
            .map_err(|e| unusable("cannot write a state", &path, e))
    }

    /// The state that `offset` names; `None` if it names none or it is gone.
    ///
    /// # Errors
    /// [`ErrorKind::OffsetInvalid`] if the offset names no file of a store;
    /// [`ErrorKind::ConfigInvalid`] if the file cannot be read.
    pub(crate) fn read_state(&self, offset: &StreamOffset) -> Result<Option<Vec<u8>>> {
        let Some(hash) = &offset.state else { return Ok(None) };
        let path = self.state_path(hash)?;

        read(&path).map_err(|e| unusable("cannot read a state", &path, e))
    }

    /// Drops every slice up to `end`, oldest first, whether or not that was asked before.
    ///
    /// # Errors
    /// Those of [`slice`](Self::slice).
    pub(crate) fn drop_slices(&mut self, end: &StreamOffset) -> Result<()> {
        let (chain, _) = self.walk_back(end, |_| false)?;
        // Were the newest to go first and the rest not at all, nothing would lead to the rest.
        for slice in chain {
            delete(&slice.path);
            if let Some(state) = StreamOffset::parse(&slice.footer.start)?.state {
                self.stale_states.insert(state);
            }
        }

        Ok(())
    }

    /// Drops all that a stream which stands at `start`, with no batch pending, does not need:
    /// slices and states before it, and from time to time what is left of streams that were cut off.
    ///
    /// # Errors
    /// Those of [`slice`](Self::slice).
    pub(crate) fn drop_before(&mut self, start: &StreamOffset, now: Instant) -> Result<()> {
        self.drop_slices(start)?;
        for state in std::mem::take(&mut self.stale_states) {
            if Some(&state) != start.state.as_ref() {
                delete(&self.state_path(&state)?);
            }
        }
        let swept = self.last_sweep.map(|last| now.nanos() - last.nanos());
        if swept.is_none_or(|since| since >= nanos(SWEEP_INTERVAL)) {
            self.last_sweep = Some(now);
            sweep(&self.slices, None, now);
            sweep(&self.states, start.state.as_deref(), now);
        }

        Ok(())
    }

    /// The slices that lead to `end`, oldest first, and the offset before them: one at which
    /// `enough` holds, or of which no slice is there.
    fn walk_back(
        &self,
        end: &StreamOffset,
        enough: impl Fn(&StreamOffset) -> bool,
    ) -> Result<(VecDeque<StoredSlice>, StreamOffset)> {
        let (mut chain, mut seen, mut at) = (VecDeque::new(), HashSet::new(), end.clone());
        while !enough(&at) && seen.insert(at.text.clone()) {
            let Some(slice) = self.slice(&at)? else { break };
            at = StreamOffset::parse(&slice.footer.start)?;
            chain.push_front(slice);
        }

        Ok((chain, at))
    }

    fn slice_path(&self, id: &str) -> Result<PathBuf> {
        Ok(self.slices.join(format!("{}.arrow", checked(id)?)))
    }

    fn state_path(&self, hash: &str) -> Result<PathBuf> {
        Ok(self.states.join(checked(hash)?))
    }
}

fn claim(folder: &Path, owner: &SliceOwner) -> Result<()> {
    let path = folder.join("owner.json");
    let failed = |e| unusable("cannot mark the folder", &path, e);
    if mark(&path, owner).map_err(failed)? {
        return Ok(());
    }
    let found = || -> io::Result<Option<SliceOwner>> {
        Ok(read(&path)?.and_then(|json| serde_json::from_slice(&json).ok()))
    };
    let mut other = found().map_err(failed)?;
    if other.is_none() {
        // The driver that marked the store was cut off while it wrote.
        delete(&path);
        mark(&path, owner).map_err(failed)?;
        other = found().map_err(failed)?;
    }
    match other {
        Some(other) if other.source == owner.source && other.table == owner.table => Ok(()),
        other => Err(Error::config(format!(
            "the slice store {} belongs to {}, this is {owner}; use a new checkpoint and another \
             folder in option 'sliceStore'",
            folder.display(),
            other.map_or_else(|| "nobody".to_owned(), |other| other.to_string()),
        ))),
    }
}

fn mark(path: &Path, owner: &SliceOwner) -> io::Result<bool> {
    match create(path) {
        Ok(mut file) => {
            file.write_all(&serde_json::to_vec(owner)?)?;
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

fn sweep(folder: &Path, kept: Option<&str>, now: Instant) {
    // A folder that cannot be listed is no reason to end a stream.
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, about) = (file.file_name(), file.metadata());
        let modified = about.ok().filter(fs::Metadata::is_file).and_then(|m| m.modified().ok());
        let modified = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let old = modified.is_some_and(|at| now.nanos() - nanos(at) > nanos(ORPHAN_AGE));
        if old && kept.is_none_or(|kept| name != *kept) && !is_checksum(&file.path()) {
            delete(&file.path());
        }
    }
}

/// Whether Hadoop made the file beside another one, with which it goes.
fn is_checksum(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Removes a file, and the checksums that Hadoop keeps beside it on a local disk.
fn delete(path: &Path) {
    // What cannot be removed now is an orphan, which goes later.
    let _ = fs::remove_file(path);
    if let Some(name) = path.file_name() {
        let _ = fs::remove_file(path.with_file_name(format!(".{}.crc", name.to_string_lossy())));
    }
}

/// The content of a small file; `None` if it is not there.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);

    options.open(path)
}

/// Waits until the file system has a file whole: some tell only then that they could not keep it.
fn settle(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(e) if matches!(e.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) => {
            Ok(())
        }
        settled => settled,
    }
}

fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);

    builder.create(path)
}

fn checked(name: &str) -> Result<&str> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=128).contains(&name.len()) && name.chars().all(known) {
        return Ok(name);
    }

    Err(Error::offset_invalid(format!(
        "the offset names a file that cannot be one of the slice store ({} bytes)",
        name.len()
    )))
}

fn nanos(span: Duration) -> i128 {
    i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)
}

/// A folder that cannot be used as a store.
pub(crate) fn unusable(what: &str, path: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::ConfigInvalid,
        format!(
            "the slice store cannot be used: {what}: {error}; correct option 'sliceStore', or TMPDIR \
             where that is not given"
        ),
    )
    .context("file", path.display().to_string())
    .source(error)
}

#[cfg(test)]
mod tests;
