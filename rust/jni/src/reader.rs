//! A read that runs as a task and hands over chunks.

use crate::handles::READERS;
use crate::request::Open;
use bytes::Bytes;
use lakeflow_arrow::IpcWriter;
use lakeflow_core::{Error, MetricsSnapshot, Options, Result};
use lakeflow_door::{
    Background, Items, Next, Task, Wanted, as_json, batch, describe, plan, runtime, slice,
};
use lakeflow_engine::{Slice, SliceEnd, SliceRequest, Split, TableStream};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A read under way.
pub(crate) struct Reader {
    chunks: Task<Bytes>,
    state: Arc<Mutex<State>>,
}

/// What the task leaves behind besides chunks.
#[derive(Default)]
struct State {
    stream: Option<TableStream>,
    background: Option<Background>,
    slice: Option<SliceEnd>,
    metrics: MetricsSnapshot,
}

/// What the task does.
enum Job {
    Describe(Options, bool),
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
            Open::Describe { options, outline } => Job::Describe(options.into_options(), outline),
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
        let left = Arc::clone(&state);
        let chunks = Task::spawn(|items| async move { work(job, &items, &left).await })?;

        Ok(Self { chunks, state })
    }

    /// Waits at most `wait` for the next chunk.
    ///
    /// # Errors
    /// Those of [`Task::next`].
    pub(crate) fn next(&self, wait: Duration) -> Result<Next<Bytes>> {
        self.chunks.next(wait)
    }

    /// Ends the task; a call that waits for it gets
    /// [`Cancelled`](lakeflow_core::ErrorKind::Cancelled).
    pub(crate) fn cancel(&self) {
        self.chunks.cancel();
        lock(&self.state).background = None;
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

async fn work(job: Job, chunks: &Items<Bytes>, state: &Mutex<State>) -> Result<()> {
    let engine = runtime::engine();
    match job {
        Job::Describe(options, outline) => {
            send_json(chunks, &describe(&engine, &options, outline).await?.to_json()).await
        }
        Job::Contents(options, namespace) => {
            send_json(chunks, &engine.contents(&options, &namespace).await?.to_json()).await
        }
        Job::Plan(options, wanted, slots) => {
            send_json(chunks, &plan(&engine, &options, wanted, slots).await?).await
        }
        Job::Batch(options, wanted, split) => {
            let mut reader = batch(&engine, &options, wanted, &split).await?;
            let mut ipc = IpcWriter::new(&reader.schema())?;
            chunks.send(ipc.schema_chunk()).await?;
            while let Some(batch) = reader.next().await? {
                let chunk = ipc.batch_chunk(&batch)?;
                lock(state).metrics = reader.metrics();
                chunks.send(chunk).await?;
            }
            lock(state).metrics = reader.metrics();

            Ok(())
        }
        Job::Stream(options) => {
            let stream = engine.stream(&options).await?;
            let mut state = lock(state);
            state.background = Some(Background::of(&stream, &options)?);
            state.stream = Some(stream);

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
        Job::Slice(opened) => {
            let end = slice(*opened, chunks, |chunk, _| chunk).await?;
            lock(state).slice = Some(end);

            Ok(())
        }
    }
}

async fn send_json(chunks: &Items<Bytes>, json: &Value) -> Result<()> {
    chunks.send(Bytes::from(json.to_string())).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
