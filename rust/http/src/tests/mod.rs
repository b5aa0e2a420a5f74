//! The kit against a server that misbehaves on request.

mod ahead;
mod batches;
mod faults;
mod limits;
mod lint;
mod lists;
mod oauth;
mod paging;
mod security;
mod server;
mod shares;
mod tables;
mod tls;

use crate::{Auth, Client, ClientBuilder, OPTIONS};
use lakeflow_core::{
    Context, ErrorKind, Instant, ManualClock, Metrics, MetricsSnapshot, OptionSpec, Options, Retry,
    Secret, Settings,
};
use std::sync::Arc;

/// Appears in no error text, `Debug` output or request to another host.
const CANARY: &str = "canary/4711+Q==";

static TOKEN: &[OptionSpec] = &[OptionSpec::secret("token", "Token.")];

/// 2031-01-01T00:00:00Z, the time of every test's clock.
const NOW: i64 = 1_924_992_000;

fn context(options: &[(&str, &str)]) -> Context {
    let options: Options = [("token", CANARY)].iter().chain(options).copied().collect();
    let settings = Settings::resolve(&options, TOKEN.iter().chain(OPTIONS), &[]).unwrap();
    Context {
        settings: Arc::new(settings),
        clock: Arc::new(ManualClock::new(Instant::from_parts(NOW, 0))),
        metrics: Arc::new(Metrics::default()),
        share: 1.0,
    }
}

fn builder(context: &Context, base_url: &str) -> ClientBuilder {
    Client::builder(context, base_url).unwrap().auth(Auth::Bearer(Secret::new(CANARY)))
}

fn client(base_url: &str) -> Client {
    builder(&context(&[]), base_url).build().unwrap()
}

/// What matters of an error: kind, retry class, text.
fn facts(error: &lakeflow_core::Error) -> (ErrorKind, Retry, String) {
    assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    (error.kind(), error.retry_class(), error.to_string())
}

fn counted(context: &Context) -> MetricsSnapshot {
    context.metrics.snapshot()
}
