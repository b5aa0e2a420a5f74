//! Credentials are shown nowhere and sent to nobody else.

use crate::bench::Bench;
use crate::check::Outcome;
use crate::faults::status;
use crate::tap::Tap;
use lakeflow_core::{Error, Metrics, OptionRole, Result};
use lakeflow_simulator::{Fault, FaultKind};
use std::fmt::Write;

/// Reads the table in every way and through every kind of failure, even one whose text repeats the
/// credential, and searches all that comes out.
pub async fn secrets_are_never_shown(bench: Bench) -> Result<Outcome> {
    let mut problems: Vec<String> = undeclared(&bench);
    let mut shown = format!("{:?}\n{}\n", bench.options(&[]), bench.describe().await?);
    for (name, _) in Metrics::default().snapshot().pairs() {
        let _ = writeln!(shown, "{name}");
    }
    if bench.streamable().await? {
        for (offset, _) in bench.stream(&[("max_records_per_batch", "7")]).drain().await?.offsets {
            let _ = writeln!(shown, "{offset}");
        }
    }
    let tap = Tap::open().await;
    for kind in failures(&bench, &tap) {
        bench.simulator.fault(Fault::new(kind));
        let quick = [("maxRetries", "0"), ("maxWaitSeconds", "0")];
        if let Err(error) = bench.read_as_meant(&quick).await {
            show(&error, &mut shown);
        }
        bench.simulator.clear_faults();
    }
    let wrong = [(bench.entry.address, "canary://nowhere")];
    if let Err(error) = bench.read_as_meant(&wrong).await {
        show(&error, &mut shown);
    }
    let (_, sent) = tap.received().await;
    for secret in bench.entry.secrets {
        for spelling in spellings(&bench.canary(secret)) {
            if let Some(line) = shown.lines().find(|line| line.contains(&spelling)) {
                problems.push(format!("'{secret}' is shown: {line}"));
            }
            if sent.contains(&spelling) {
                problems.push(format!("'{secret}' was sent to another host"));
            }
        }
    }

    Ok(problems.into())
}

/// Required credentials that the suite does not give.
fn undeclared(bench: &Bench) -> Vec<String> {
    let required = bench.entry.source.connection_options.iter();
    let required = required.filter(|o| o.role == OptionRole::Secret && o.required);
    required
        .filter(|option| !bench.entry.secrets.contains(&option.name))
        .map(|option| format!("entries.rs does not list the credential '{}'", option.name))
        .collect()
}

/// Answers that fail a read; some of them repeat the credential.
fn failures(bench: &Bench, tap: &Tap) -> Vec<FaultKind> {
    let all: Vec<String> = bench.entry.secrets.iter().map(|secret| bench.canary(secret)).collect();
    let echo = format!("{{\"message\": \"no such credential: {}\"}}", all.join(" "));
    let long = [("retry-after", "7200")];
    vec![
        status(400, &[], &echo),
        status(401, &[], &echo),
        status(403, &[], &echo),
        status(404, &[], &echo),
        status(429, &long, &echo),
        status(500, &[], &echo),
        status(200, &[], &echo),
        status(302, &[("location", &format!("{}/?key={}", tap.url, all.join("&")))], &echo),
        FaultKind::Html200,
        FaultKind::TruncatedBody { keep: 10 },
        FaultKind::ForeignLink { origin: tap.url.clone() },
        FaultKind::RepeatLink,
    ]
}

/// All that an error can print.
fn show(error: &Error, out: &mut String) {
    let _ = write!(out, "{error}\n{error:?}\n{error:#?}\n");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let _ = write!(out, "{error}\n{error:?}\n");
        cause = error.source();
    }
}

/// A text as it is, and as part of a base64 text in each of the three positions.
pub fn spellings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    for skip in 0..3 {
        let whole = text.len() - skip;
        all.push(base64(&text.as_bytes()[skip..skip + whole / 3 * 3]));
    }

    all
}

/// Base64 of a number of bytes that three divides.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |group: &[u8]| {
        let n = group.iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[n >> shift & 63]))
    };

    bytes.chunks_exact(3).flat_map(digits).collect()
}

#[test]
fn secrets_are_recognised_inside_base64() {
    // "u:canary-x", "ab:canary-x" and ":canary-x" as curl encodes them.
    let encoded = ["dTpjYW5hcnkteA==", "YWI6Y2FuYXJ5LXg=", "OmNhbmFyeS14"];
    let spellings = spellings("canary-x");
    for text in encoded {
        assert!(spellings.iter().any(|spelling| text.contains(spelling)), "{text} {spellings:?}");
    }
}
