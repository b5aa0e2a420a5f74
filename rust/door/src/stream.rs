//! A stream on the driver: slices are stored before their end is told, and served from there.

use crate::mapping::differences;
use crate::progress;
use crate::reads;
use crate::runtime;
use crate::store::{Part, SliceOwner, SliceStore, StoredSlice, StreamOffset, unusable};
use crate::task::{Task, answer};
use bytes::Bytes;
use lakeflow_core::{Clock, Error, Options, Result, SystemClock, TableSchema};
use lakeflow_engine::{Engine, SliceEnd, SliceRequest, Split, TableStream};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use tempfile::TempDir;
use tokio::task::AbortHandle;

/// How names of folders begin in which streams without a lasting store keep their slices.
const FOLDER_PREFIX: &str = "lakeflow-slices-";

/// The file in such a folder that is locked as long as the stream lives.
const LOCK: &str = "lock";

/// What goes on beside a stream until it is dropped: reading ahead, and telling how far it is.
pub struct Background(AbortHandle);

impl Background {
    /// Begins.
    ///
    /// # Errors
    /// Those of [`runtime`](runtime::runtime).
    pub fn of(stream: &TableStream, options: &Options) -> Result<Self> {
        let (stream, file) = (stream.clone(), progress::file(options));
        let task = runtime::runtime()?.spawn(async move {
            let metrics = stream.live_metrics();
            tokio::join!(stream.read_ahead(), progress::tell(&metrics, file.as_deref()))
        });

        Ok(Self(task.abort_handle()))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A stream whose slices lie in a store: the given one, which outlives the process, or one of its
/// own, which does not.
///
/// Calls may come from any thread, one at a time.
pub struct StoredStream {
    stream: TableStream,
    _background: Background,
    /// `<source>.<table>`.
    name: String,
    /// Columns of what is stored, in Spark's JSON form.
    schema_json: String,
    /// Columns that are wanted of it.
    wanted: TableSchema,
    lasting: bool,
    fail_on_data_loss: bool,
    state: Mutex<State>,
    /// Removed with the stream.
    own_folder: Mutex<Option<OwnFolder>>,
}

/// A folder for the slices of one stream of this process.
struct OwnFolder {
    folder: TempDir,
    _lock: File,
}

struct State {
    store: SliceStore,
    /// Slices that were read again, by the text of the offset at which their batch ends.
    replacements: HashMap<String, Option<StoredSlice>>,
}

/// Where a slice ends.
enum To {
    Limit { rows: Option<u64>, single_drain: bool },
    Again(String),
}

impl StoredStream {
    /// Opens a stream of which rows are wanted in the schema `wanted`, else in the table's.
    ///
    /// # Errors
    /// Those of [`Engine::stream`](lakeflow_engine::Engine::stream), and
    /// [`ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid) for a store that cannot be used.
    pub fn open<E: From<Error>>(
        engine: &Engine,
        options: Options,
        store: Option<&Path>,
        wanted: Option<TableSchema>,
        check: &dyn Fn() -> Result<(), E>,
    ) -> Result<Self, E> {
        let flag = options.get("failOnDataLoss").map(str::trim);
        let fail_on_data_loss = flag.is_none_or(|flag| !flag.eq_ignore_ascii_case("false"));
        let engine = engine.clone();
        let opening = async move {
            let (table, stream) =
                (engine.describe(&options).await?, engine.stream(&options).await?);
            Ok((table, Background::of(&stream, &options)?, stream))
        };
        let (table, background, stream) = answer(opening, check)?;
        let folder = match store {
            Some(_) => None,
            None => Some(OwnFolder::new()?),
        };
        let location = store.or(folder.as_ref().map(OwnFolder::path)).unwrap_or(Path::new(""));
        let store = SliceStore::open(location, &SliceOwner::of(table.source(), table.table()))?;

        Ok(Self {
            _background: background,
            stream,
            name: format!("{}.{}", table.source(), table.table()),
            schema_json: table.schema().to_spark_json().to_string(),
            wanted: wanted.unwrap_or_else(|| table.schema().clone()),
            lasting: folder.is_none(),
            fail_on_data_loss,
            state: Mutex::new(State { store, replacements: HashMap::new() }),
            own_folder: Mutex::new(folder),
        })
    }

    /// Records of a slice unless the caller wants another number.
    pub fn default_limit(&self) -> u64 {
        self.stream.default_limit()
    }

    /// Reads the next slice from `start`, of at most so many `rows` or all there is, into the store.
    ///
    /// The host calls this only when the batch that ends at `start` is committed.
    ///
    /// # Errors
    /// What the source meets; what the store cannot do; what `check` fails with.
    pub fn latest<E: From<Error>>(
        &self,
        start: &str,
        rows: Option<u64>,
        single_drain: bool,
        check: &dyn Fn() -> Result<(), E>,
    ) -> Result<SliceEnd, E> {
        let start = StreamOffset::parse(start)?;
        let mut state = self.state();
        state.store.drop_before(&start, SystemClock.now())?;
        // One batch of everything cannot be read in two ways.
        if rows.is_some()
            && let Some(offset) = self.leap(&start.text, single_drain, check)?
        {
            let metrics = self.stream.metrics();
            let (rows, state, lag_ms, warnings) = (0, None, None, Vec::new());
            return Ok(SliceEnd { offset, rows, state, lag_ms, warnings, metrics });
        }
        let to = To::Limit { rows, single_drain };
        let (_, end) = self.read(&mut state.store, &start, to, check)?;

        Ok(end)
    }

    /// What each task is to read of the batch from `start` to `end` by itself, if so many run at once;
    /// `None`: its rows are stored.
    ///
    /// # Errors
    /// [`OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid) for offsets of another stream.
    pub fn splits<E: From<Error>>(
        &self,
        start: &str,
        end: &str,
        slots: usize,
        check: &dyn Fn() -> Result<(), E>,
    ) -> Result<Option<Vec<Split>>, E> {
        self.stream.check_range(start, end)?;
        if !StreamOffset::parse(end)?.by_split {
            return Ok(None);
        }
        let (stream, start, end) = (self.stream.clone(), start.to_owned(), end.to_owned());

        answer(async move { stream.splits(&start, &end, slots).await }, check).map(Some)
    }

    /// The end of the next batch if tasks are to read it.
    fn leap<E: From<Error>>(
        &self,
        start: &str,
        single_drain: bool,
        check: &dyn Fn() -> Result<(), E>,
    ) -> Result<Option<String>, E> {
        let (stream, start) = (self.stream.clone(), start.to_owned());

        answer(async move { stream.leap(&start, single_drain).await }, check)
    }

    /// What about `tasks` tasks are to read of the batch from `start` to `end`; empty for none.
    ///
    /// # Errors
    /// [`OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid) for offsets of another stream, and
    /// for a slice that is missing where that is not allowed.
    pub fn parts<E: From<Error>>(
        &self,
        start: &str,
        end: &str,
        tasks: usize,
        check: &dyn Fn() -> Result<(), E>,
    ) -> Result<Vec<Part>, E> {
        self.stream.check_range(start, end)?;
        let (start, end) = (StreamOffset::parse(start)?, StreamOffset::parse(end)?);
        let mut state = self.state();
        let slices = match state.store.chain(&start, &end)? {
            Some(chain) => chain,
            None => self.again(&mut state, &start, &end, check)?.into_iter().collect(),
        };
        for slice in &slices {
            self.require_readable(slice)?;
        }
        let parts = Part::plan(&slices, tasks);
        if self.lasting {
            return Ok(parts);
        }

        Ok(parts.into_iter().map(Part::carrying).collect::<Result<_>>()?)
    }

    /// Removes the rows of a stream without a lasting store, which must not be used any more.
    pub fn close(&self) {
        *lock(&self.own_folder) = None;
    }

    /// Drops what was committed up to `end`.
    ///
    /// # Errors
    /// [`OffsetInvalid`](lakeflow_core::ErrorKind::OffsetInvalid) if `end` is no offset.
    pub fn commit(&self, end: &str) -> Result<()> {
        let mut state = self.state();
        state.replacements.clear();
        state.store.drop_slices(&StreamOffset::parse(end)?)
    }

    /// The slice of a batch whose own is not there; `None` if it has no rows.
    fn again<E: From<Error>>(
        &self,
        state: &mut State,
        start: &StreamOffset,
        end: &StreamOffset,
        check: &dyn Fn() -> Result<(), E>,
    ) -> Result<Option<StoredSlice>, E> {
        if self.lasting && self.fail_on_data_loss {
            return Err(Error::offset_invalid(format!(
                "a slice of {} that the checkpoint names is not in the slice store; restore it, \
                 start with a new checkpoint, or set option 'failOnDataLoss' to false to read again \
                 from the start of the batch, which may repeat rows",
                self.name
            ))
            .into());
        }
        if let Some(replacement) = state.replacements.get(&end.text) {
            return Ok(replacement.clone());
        }
        let to = To::Again(end.text.clone());
        let (replacement, _) = self.read(&mut state.store, start, to, check)?;
        state.replacements.insert(end.text.clone(), replacement.clone());

        Ok(replacement)
    }

    /// Reads a slice; once this returns, rows and state are in the store.
    fn read<E: From<Error>>(
        &self,
        store: &mut SliceStore,
        start: &StreamOffset,
        to: To,
        check: &dyn Fn() -> Result<(), E>,
    ) -> Result<(Option<StoredSlice>, SliceEnd), E> {
        let id = fresh_id()?;
        let state = store.read_state(start)?.map(Bytes::from);
        let (limit, single_drain) = match to {
            To::Limit { rows, single_drain } => (rows, single_drain),
            To::Again(_) => (None, false),
        };
        let request =
            SliceRequest { id: id.clone(), start: start.text.clone(), state, limit, single_drain };
        let slice = match to {
            To::Limit { .. } => self.stream.slice(request),
            To::Again(end) => self.stream.slice_again(request, end),
        };
        let end = Arc::new(Mutex::new(None));
        let told = end.clone();
        let chunks = Task::spawn(|items| async move {
            let ended = reads::slice(slice, &items, |chunk, rows| (chunk, rows)).await?;
            *lock(&told) = Some(ended);
            Ok(())
        })?;
        let (schema, _) =
            chunks.wait(check)?.ok_or_else(|| Error::internal("a slice has no schema"))?;
        let mut file = None;
        while let Some((chunk, rows)) = chunks.wait(check)? {
            let writer = match &mut file {
                Some(writer) => writer,
                None => {
                    let mut writer = store.write(&id, &start.text, &self.schema_json)?;
                    writer.write(&schema, 0)?;
                    file.insert(writer)
                }
            };
            writer.write(&chunk, rows)?;
        }
        let end = lock(&end).take().ok_or_else(|| Error::internal("a slice did not end"))?;
        // A place that the service gave must not be lost although nothing has changed there yet; its
        // file is the link from the offset that is logged to the one before.
        if file.is_none() && end.offset != start.text {
            let mut writer = store.write(&id, &start.text, &self.schema_json)?;
            writer.write(&schema, 0)?;
            file = Some(writer);
        }
        let stored = file.is_some();
        let rows = file.map_or(Ok(0), |file| file.complete())?;
        check_end(&id, start, &end, rows)?;
        if let Some(state) = &end.state {
            store.write_state(&state.hash, &state.bytes)?;
        }
        if !stored {
            return Ok((None, end));
        }
        let slice = store.slice(&StreamOffset::of_slice(id))?;

        match slice {
            Some(slice) => Ok((Some(slice), end)),
            None => Err(Error::config(format!(
                "a slice of {} is not there after it was written; correct option 'sliceStore'",
                self.name
            ))
            .into()),
        }
    }

    fn require_readable(&self, slice: &StoredSlice) -> Result<()> {
        let stored = serde_json::from_str(slice.schema_json())
            .map_err(|e| Error::internal("a slice has no schema that can be read").source(e))?;
        let differences = differences(&TableSchema::from_spark_json(&stored)?, &self.wanted);
        if differences.is_empty() {
            return Ok(());
        }

        Err(Error::new(
            lakeflow_core::ErrorKind::DataInvalid,
            format!(
                "rows of {} were stored with another schema: {}; restore the schema for one run, or \
                 start with a new checkpoint",
                self.name,
                differences.join("; ")
            ),
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Rows at an unchanged offset would come again for ever.
fn check_end(id: &str, start: &StreamOffset, end: &SliceEnd, rows: u64) -> Result<()> {
    let moved = end.offset != start.text;
    let named = StreamOffset::parse(&end.offset)?.slice;
    if rows == end.rows && (moved || rows == 0) && (!moved || named.as_deref() == Some(id)) {
        return Ok(());
    }

    Err(Error::internal(format!(
        "slice {id} has {rows} rows, its end says {}, and its offset {}",
        end.rows,
        if moved { "names another slice" } else { "did not move" }
    )))
}

impl OwnFolder {
    /// A new one. Those of processes that were killed go now.
    fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        for other in std::fs::read_dir(&parent).into_iter().flatten().flatten() {
            if other.file_name().to_string_lossy().starts_with(FOLDER_PREFIX) {
                remove_if_left(&other.path());
            }
        }
        let failed = |e| unusable("cannot make a temporary folder", &parent, e);
        let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir_in(&parent);
        let folder = folder.map_err(failed)?;
        // Under its name it is locked already: until then nobody takes the folder for a left one.
        let begun = folder.path().join("unlocked");
        let lock = File::create(&begun).map_err(failed)?;
        lock.lock().map_err(failed)?;
        std::fs::rename(begun, folder.path().join(LOCK)).map_err(failed)?;

        Ok(Self { folder, _lock: lock })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes a folder whose stream lives no more, wherever that ran: process ids say nothing of
/// containers that share the parent.
fn remove_if_left(folder: &Path) {
    let lock = OpenOptions::new().write(true).open(folder.join(LOCK));
    if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
        // Somebody else's stays.
        let _ = std::fs::remove_dir_all(folder);
    }
}

fn fresh_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::internal("the system gives no random numbers").source(e))?;

    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_once_its_stream_lives_no_more() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = parent.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let (live, left, begun) = (folder("live"), folder("left"), folder("begun"));
        let lock = File::create(live.join(LOCK)).unwrap();
        lock.lock().unwrap();
        File::create(left.join(LOCK)).unwrap();
        for path in [&live, &left, &begun] {
            remove_if_left(path);
        }

        assert_eq!([live.exists(), left.exists(), begun.exists()], [true, false, true]);
        drop(lock);
        remove_if_left(&live);
        assert!(!live.exists());
    }
}
