//! What tests of connectors share.

use lakeflow_core::{Context, Instant, ManualClock, Metrics, Options, Settings, Source};
use std::sync::Arc;

/// What `source` is built from with these options.
pub(crate) fn context(source: &Source, options: &[(&str, &str)]) -> Context {
    let options: Options = options.iter().copied().collect();

    Context {
        settings: Arc::new(Settings::resolve(&options, source.options(), &[]).unwrap()),
        clock: Arc::new(ManualClock::new(Instant::from_parts(0, 0))),
        metrics: Arc::new(Metrics::default()),
        share: 1.0,
    }
}
