//! What doors do with an engine, as futures for a [`Task`](crate::Task).

use crate::request::{Place, Wanted};
use crate::runtime;
use crate::task::Items;
use bytes::Bytes;
use lakeflow_arrow::IpcWriter;
use lakeflow_core::{MetricsSnapshot, Options, Result};
use lakeflow_engine::{
    BatchReader, Configured, Engine, Filter, Slice, SliceEnd, Split, TableDescription,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The options to read with, references and connections followed; `configured` names those that
/// come from the configuration of `place`.
///
/// # Errors
/// Those of [`Engine::resolve`].
pub fn resolve(
    options: &Options,
    configured: &[String],
    place: Place,
) -> Result<BTreeMap<String, String>> {
    let configured = match place {
        Place::Session => Configured::Session(configured),
        Place::Catalog => Configured::Catalog(configured),
    };
    let variables = |name: &str| std::env::var(name).ok();
    let resolved = runtime::engine().resolve(options, configured, &variables)?;

    Ok(resolved.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The table's description; with `outline`, options that it requires may be missing.
///
/// # Errors
/// Those of [`Engine::describe`].
pub async fn describe(
    engine: &Engine,
    options: &Options,
    outline: bool,
) -> Result<TableDescription> {
    match outline {
        true => engine.outline(options).await,
        false => engine.describe(options).await,
    }
}

/// `{"splits", "metrics"}`: in which a batch is to be read by `slots` tasks at once, and what it cost
/// to know.
///
/// # Errors
/// What the source meets.
pub async fn plan(
    engine: &Engine,
    options: &Options,
    wanted: Wanted,
    slots: usize,
) -> Result<Value> {
    let reader = batch(engine, options, wanted, &Split::default()).await?;
    let splits = as_json(&reader.plan(slots).await?);

    Ok(json!({"splits": splits, "metrics": metrics(reader.metrics())}))
}

/// Splits as hosts send them to tasks.
pub fn as_json(splits: &[Split]) -> Vec<Value> {
    splits.iter().map(Split::to_json).collect()
}

/// A reader of what is wanted within one of a plan's splits.
///
/// # Errors
/// Those of [`Engine::batch`].
pub async fn batch(
    engine: &Engine,
    options: &Options,
    wanted: Wanted,
    split: &Split,
) -> Result<BatchReader> {
    let Wanted { columns, limit, filters } = wanted;
    let filters: Vec<_> = filters.into_iter().map(Filter::from).collect();
    let engine = engine.clone().sharing(split.share());
    let reader = engine.batch(options, columns).await?.filter(&filters);
    let reader = match limit {
        Some(rows) => reader.limit(rows),
        None => reader,
    };

    reader.split(split)
}

/// Reads a slice as IPC chunks: the schema, then one record batch each; `item` takes a chunk and its
/// rows.
///
/// # Errors
/// What the source meets.
pub async fn slice<T>(
    mut slice: Slice,
    items: &Items<T>,
    item: impl Fn(Bytes, u64) -> T,
) -> Result<SliceEnd> {
    let mut ipc = IpcWriter::new(&*slice.schema().await?)?;
    items.send(item(ipc.schema_chunk(), 0)).await?;
    while let Some(batch) = slice.next().await? {
        let chunk = ipc.batch_chunk(&batch)?;
        items.send(item(chunk, batch.num_rows() as u64)).await?;
    }

    slice.end()
}

/// Counters, name to value.
pub fn metrics(snapshot: MetricsSnapshot) -> Value {
    let pairs = snapshot.pairs().into_iter();
    Value::Object(
        pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>(),
    )
}
