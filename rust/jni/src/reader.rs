//! A read that runs as a task and hands over chunks.

use crate::handles::READERS;
use crate::request::{Open, Wanted};
use crate::{entry, panics, runtime};
use bytes::Bytes;
use futures::FutureExt;
use lakeflow_arrow::IpcWriter;
use lakeflow_core::{Error, ErrorKind, MetricsSnapshot, Options, Result};
use lakeflow_engine::{
    BatchReader, Engine, Filter, Slice, SliceEnd, SliceRequest, Split, TableStream,
};
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::AbortHandle;

/// Chunks that are ready before Java asks for them.
const CHUNKS_AHEAD: usize = 2;

/// What [`Reader::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A chunk, never empty.
    Chunk(Bytes),
    /// Nothing within the time given.
    NotYet,
    /// All chunks were delivered.
    End,
}

/// A read under way.
pub(crate) struct Reader {
    chunks: tokio::sync::Mutex<Receiver<Result<Bytes>>>,
    state: Arc<Mutex<State>>,
    task: AbortHandle,
}

/// What the task leaves behind besides chunks.
#[derive(Default)]
struct State {
    ended: bool,
    stream: Option<TableStream>,
    slice: Option<SliceEnd>,
    metrics: MetricsSnapshot,
}

/// What the task does.
enum Job {
    Describe(Options),
    Outline(Options),
    Contents(Options, Vec<String>),
    Plan(Options, Wanted, usize),
    Batch(Options, Wanted, Split),
    Stream(Options),
    Leap(TableStream, String, bool),
    Splits(TableStream, String, String, usize),
    Slice(Box<Slice>),
}

impl Reader {
    /// Starts a read; `blob` is the state of a slice's start, empty for none. Fails only where the
    /// request itself is wrong: what the read meets comes with [`next`](Self::next).
    pub(crate) fn open(open: Open, blob: Bytes) -> Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let job = match open {
            Open::Describe { options, outline: false } => Job::Describe(options.into_options()),
            Open::Describe { options, outline: true } => Job::Outline(options.into_options()),
            Open::Contents { options, namespace } => {
                Job::Contents(options.into_options(), namespace)
            }
            Open::Plan { options, wanted, slots } => {
                Job::Plan(options.into_options(), wanted, slots)
            }
            Open::Batch { options, wanted, split } => {
                let split = split.as_ref().map(Split::from_json).transpose()?;
                Job::Batch(options.into_options(), wanted, split.unwrap_or_default())
            }
            Open::Stream { options } => Job::Stream(options.into_options()),
            Open::Leap { stream, start, single_drain } => {
                Job::Leap(READERS.get(stream)?.stream()?, start, single_drain)
            }
            Open::Splits { stream, start, end, slots } => {
                Job::Splits(READERS.get(stream)?.stream()?, start, end, slots)
            }
            Open::Slice { stream, id, start, limit, single_drain, upto } => {
                let stream = READERS.get(stream)?.stream()?;
                lock(&state).stream = Some(stream.clone());
                let blob = (!blob.is_empty()).then_some(blob);
                let request = SliceRequest { id, start, state: blob, limit, single_drain };
                Job::Slice(Box::new(match upto {
                    Some(end) => stream.slice_again(request, end),
                    None => stream.slice(request),
                }))
            }
        };
        let (send, receive) = mpsc::channel(CHUNKS_AHEAD);
        let task = runtime::runtime()?.spawn(run(job, send, Arc::clone(&state)));

        Ok(Self { chunks: tokio::sync::Mutex::new(receive), state, task: task.abort_handle() })
    }

    /// Waits at most `wait` for the next chunk.
    ///
    /// # Errors
    /// What the read met, once; [`ErrorKind::Cancelled`] after that or if it was closed.
    pub(crate) fn next(&self, wait: Duration) -> Result<Next> {
        let received = runtime::runtime()?.block_on(async {
            let receive = async { self.chunks.lock().await.recv().await };
            tokio::time::timeout(wait, receive).await
        });
        match received {
            Err(_) => Ok(Next::NotYet),
            Ok(Some(chunk)) => chunk.map(Next::Chunk),
            Ok(None) if lock(&self.state).ended => Ok(Next::End),
            Ok(None) => Err(Error::new(ErrorKind::Cancelled, "the read was closed or has failed")),
        }
    }

    /// Ends the task; a call that waits for it gets [`ErrorKind::Cancelled`].
    pub(crate) fn cancel(&self) {
        self.task.abort();
    }

    /// The stream that was opened, or that the slice belongs to.
    pub(crate) fn stream(&self) -> Result<TableStream> {
        lock(&self.state)
            .stream
            .clone()
            .ok_or_else(|| Error::internal("the handle is no stream, or not open yet"))
    }

    /// Gives out how the slice ended; works once.
    pub(crate) fn take_slice_end(&self) -> Result<SliceEnd> {
        lock(&self.state)
            .slice
            .take()
            .ok_or_else(|| Error::internal("the handle is no slice, or has not ended"))
    }

    /// Counters up to the last chunk.
    pub(crate) fn metrics(&self) -> MetricsSnapshot {
        let state = lock(&self.state);
        state.stream.as_ref().map_or(state.metrics, TableStream::metrics)
    }
}

async fn run(job: Job, chunks: Sender<Result<Bytes>>, state: Arc<Mutex<State>>) {
    let opens_stream = matches!(job, Job::Stream(_));
    let work = AssertUnwindSafe(work(job, &chunks, &state)).catch_unwind().await;
    match work.unwrap_or_else(|payload| Err(panics::error(payload))) {
        Ok(()) => lock(&state).ended = true,
        // Without a receiver nobody is left to tell.
        Err(error) => drop(chunks.send(Err(error)).await),
    }
    drop(chunks);
    let stream = lock(&state).stream.clone().filter(|_| opens_stream);
    if let Some(stream) = stream {
        stream.read_ahead().await;
    }
}

async fn work(job: Job, chunks: &Sender<Result<Bytes>>, state: &Mutex<State>) -> Result<()> {
    let engine = runtime::engine();
    match job {
        Job::Describe(options) => {
            send_json(chunks, &engine.describe(&options).await?.to_json()).await
        }
        Job::Outline(options) => {
            send_json(chunks, &engine.outline(&options).await?.to_json()).await
        }
        Job::Contents(options, namespace) => {
            send_json(chunks, &engine.contents(&options, &namespace).await?.to_json()).await
        }
        Job::Plan(options, wanted, slots) => {
            let reader = batch(&engine, &options, wanted).await?;
            let splits = as_json(&reader.plan(slots).await?);
            let plan = json!({"splits": splits, "metrics": entry::metrics(reader.metrics())});
            send_json(chunks, &plan).await
        }
        Job::Batch(options, wanted, split) => {
            let engine = engine.sharing(split.share());
            let mut reader = batch(&engine, &options, wanted).await?.split(&split)?;
            let mut ipc = IpcWriter::new(&reader.schema())?;
            send(chunks, ipc.schema_chunk()).await?;
            while let Some(batch) = reader.next().await? {
                let chunk = ipc.batch_chunk(&batch)?;
                lock(state).metrics = reader.metrics();
                send(chunks, chunk).await?;
            }
            lock(state).metrics = reader.metrics();

            Ok(())
        }
        Job::Stream(options) => {
            let stream = engine.stream(&options).await?;
            lock(state).stream = Some(stream);

            Ok(())
        }
        Job::Leap(stream, start, single_drain) => {
            let offset = stream.leap(&start, single_drain).await?;
            send_json(chunks, &json!({"offset": offset})).await
        }
        Job::Splits(stream, start, end, slots) => {
            let splits = as_json(&stream.splits(&start, &end, slots).await?);
            send_json(chunks, &json!({"splits": splits})).await
        }
        Job::Slice(mut slice) => {
            let mut ipc = IpcWriter::new(&*slice.schema().await?)?;
            send(chunks, ipc.schema_chunk()).await?;
            while let Some(batch) = slice.next().await? {
                send(chunks, ipc.batch_chunk(&batch)?).await?;
            }
            lock(state).slice = Some(slice.end()?);

            Ok(())
        }
    }
}

async fn batch(engine: &Engine, options: &Options, wanted: Wanted) -> Result<BatchReader> {
    let Wanted { columns, limit, filters } = wanted;
    let filters: Vec<_> = filters.into_iter().map(Filter::from).collect();
    let reader = engine.batch(options, columns).await?.filter(&filters);

    Ok(match limit {
        Some(rows) => reader.limit(rows),
        None => reader,
    })
}

fn as_json(splits: &[Split]) -> Vec<Value> {
    splits.iter().map(Split::to_json).collect()
}

async fn send_json(chunks: &Sender<Result<Bytes>>, json: &Value) -> Result<()> {
    send(chunks, Bytes::from(json.to_string())).await
}

async fn send(chunks: &Sender<Result<Bytes>>, chunk: Bytes) -> Result<()> {
    let closed = |_| Error::new(ErrorKind::Cancelled, "the read was closed");
    chunks.send(Ok(chunk)).await.map_err(closed)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
