//! The one runtime of the process, and the engine that runs on it.

use lakeflow_core::{Error, Result, Source, SystemClock};
use lakeflow_engine::Engine;
use once_cell::sync::OnceCell;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// Work is waiting for the network; decoding of two reads at a time is what remains.
const WORKERS: usize = 2;

/// Name of the runtime's threads.
pub(crate) const WORKER_NAME: &str = "lakeflow-worker";

static RUNTIME: OnceCell<Home> = OnceCell::new();
static ENGINE: OnceCell<Engine> = OnceCell::new();

/// The runtime and the process that has its threads.
struct Home {
    runtime: Runtime,
    process: u32,
}

/// The runtime, built on first use. A failure to build it is not remembered.
///
/// # Errors
/// [`ErrorKind::Unsupported`](lakeflow_core::ErrorKind::Unsupported) in a process that was forked
/// from one with a runtime: the threads have stayed there.
pub fn runtime() -> Result<&'static Runtime> {
    let home = RUNTIME.get_or_try_init(|| {
        crate::panics::record_locations();
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name(WORKER_NAME)
            .enable_all()
            .build()
            .map_err(|e| Error::internal("cannot start the runtime").source(e))?;

        Ok::<_, Error>(Home { runtime, process: std::process::id() })
    })?;
    if home.process != std::process::id() {
        return Err(Error::unsupported(
            "this process was forked from one that had read already; start processes with method \
             'spawn', or fork before the first read",
        ));
    }

    Ok(&home.runtime)
}

/// The engine over every source of this build.
pub fn engine() -> Engine {
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
