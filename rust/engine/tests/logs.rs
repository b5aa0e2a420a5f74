//! What is logged while the sources are read, failures included, shows no credential.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs, reason = "tests")]

#[path = "../../testkit/tests/conformance/bench.rs"]
mod bench;
#[path = "../../testkit/tests/conformance/entries.rs"]
mod entries;
#[path = "../../testkit/tests/conformance/entry.rs"]
mod entry;
#[path = "../../testkit/tests/conformance/rows.rs"]
mod rows;

use bench::Bench;
use lakeflow_simulator::{Fault, FaultKind};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps every event and span as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Log {
    fn line(&self, target: &str, record: impl FnOnce(&mut Line<'_>)) {
        let mut text = self.0.lock().unwrap();
        text.push_str(target);
        record(&mut Line(&mut text));
        text.push('\n');
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.line(span.metadata().name(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.line("record", |line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.line(event.metadata().target(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn no_log_line_shows_a_credential() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    for entry in entries::ENTRIES {
        for case in entry.tables {
            let bench = Bench::start(**entry, *case).await.unwrap();
            let secrets: Vec<String> = entry.secrets.iter().map(|s| bench.canary(s)).collect();
            let echo = format!("{{\"message\": \"unknown: {}\"}}", secrets.join(" "));
            for kind in [
                FaultKind::Status { code: 500, headers: Default::default(), body: Some(echo) },
                FaultKind::ResetMidBody { after: 20 },
                FaultKind::TruncatedBody { keep: 10 },
            ] {
                bench.simulator.fault(Fault::new(kind).times(1));
            }
            bench.read_as_meant(&[]).await.unwrap();

            let text = std::mem::take(&mut *log.0.lock().unwrap());
            assert!(text.contains("a request failed and is repeated"), "{text}");
            for secret in secrets {
                assert!(!text.contains(&secret), "{}.{}: {text}", entry.source.name, case.name);
            }
        }
    }
}
