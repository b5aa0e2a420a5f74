//! The one runtime of the process, and the engine that runs on it.

use lakeflow_core::{Error, Result, Source, SystemClock};
use lakeflow_engine::Engine;
use once_cell::sync::OnceCell;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// Work is waiting for the network; decoding of two reads at a time is what remains.
const WORKERS: usize = 2;

static RUNTIME: OnceCell<Runtime> = OnceCell::new();
static ENGINE: OnceCell<Engine> = OnceCell::new();

/// The runtime, built on first use. A failure to build it is not remembered.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    RUNTIME.get_or_try_init(|| {
        crate::panics::record_locations();
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("lakeflow-worker")
            .enable_all()
            .build()
            .map_err(|e| Error::internal("cannot start the runtime").source(e))
    })
}

/// The engine over every source of this build.
pub(crate) fn engine() -> Engine {
    let new = || Engine::new(sources(), Arc::new(SystemClock));
    ENGINE.get_or_init(new).clone()
}

fn sources() -> Vec<&'static Source> {
    #[allow(unused_mut, reason = "test builds add to it")]
    let mut sources = lakeflow_connectors::SOURCES.to_vec();
    #[cfg(feature = "testing")]
    sources.extend_from_slice(lakeflow_testkit::SOURCES);
    sources
}
