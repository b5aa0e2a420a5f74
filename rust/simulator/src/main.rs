//! `lakeflow-simulator`: fake APIs, or recorded ones, on a local port.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand, ValueEnum};
use lakeflow_core::{Error, Result};
use lakeflow_simulator::{Origin, Recorder, Replay, Simulator};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Fake or recorded APIs on 127.0.0.1; prints one line of JSON when ready")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves sources from their descriptions, each below /<source>.
    Serve {
        /// Port; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// Source to serve; may be repeated.
        #[arg(long = "source", required = true)]
        sources: Vec<String>,
        /// Number of records, as github/issues=1000 or github/acme/widgets/issues=1000.
        #[arg(long = "rows", value_parser = rows)]
        rows: Vec<Rows>,
        /// Seed of the generated records.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Whether the sources fail now and then as their descriptions say.
        #[arg(long, value_enum, default_value_t = Faults::Off)]
        faults: Faults,
        /// Enforce a request limit per window, as github=5000.
        #[arg(long = "rate-limit", value_parser = limit)]
        rate_limits: Vec<(String, u64)>,
        /// Source whose documented limits are all enforced; may be repeated.
        #[arg(long = "enforce-rate-limits")]
        enforced: Vec<String>,
        /// Source that issues its tokens at /<source>/oauth/token; may be repeated.
        #[arg(long = "oauth")]
        oauth: Vec<String>,
        /// Keep rendered pages in memory.
        #[arg(long)]
        cache_bodies: bool,
        /// End when standard input closes.
        #[arg(long)]
        until_stdin_closes: bool,
    },
    /// Forwards to a real host and stores the exchanges, without secrets, for `replay`.
    Record {
        /// Port; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// The file to write.
        #[arg(long)]
        to: PathBuf,
        /// The host, as https://api.example.com.
        #[arg(long)]
        upstream: String,
        /// End when standard input closes.
        #[arg(long)]
        until_stdin_closes: bool,
    },
    /// Serves a recording at the root of the URL.
    Replay {
        /// Port; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// The recording, a JSON list of exchanges.
        #[arg(long)]
        recording: PathBuf,
        /// Leave the recorded origin in headers and bodies.
        #[arg(long)]
        keep_origin: bool,
        /// End when standard input closes.
        #[arg(long)]
        until_stdin_closes: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Faults {
    Off,
    Default,
}

/// Source, collection (with its scope, if any) and number.
#[derive(Clone)]
struct Rows {
    source: String,
    collection: String,
    rows: u64,
}

fn rows(text: &str) -> std::result::Result<Rows, String> {
    let malformed = || format!("'{text}' is not 'source/collection=number'");
    let (name, rows) = text.rsplit_once('=').ok_or_else(malformed)?;
    let (source, collection) = name.split_once('/').ok_or_else(malformed)?;
    let rows = rows.parse().map_err(|_| malformed())?;

    Ok(Rows { source: source.to_owned(), collection: collection.to_owned(), rows })
}

fn limit(text: &str) -> std::result::Result<(String, u64), String> {
    let malformed = || format!("'{text}' is not 'source=number'");
    let (source, number) = text.split_once('=').ok_or_else(malformed)?;

    Ok((source.to_owned(), number.parse().map_err(|_| malformed())?))
}

fn main() -> ExitCode {
    match start(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lakeflow-simulator: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::internal("cannot start a runtime").source(e))?;

    runtime.block_on(run(command))
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve {
            port,
            sources,
            rows,
            seed,
            faults,
            rate_limits,
            enforced,
            oauth,
            cache_bodies,
            until_stdin_closes,
        } => {
            let mut builder = Simulator::builder()
                .port(port)
                .seed(seed)
                .cache_bodies(cache_bodies)
                .default_faults(matches!(faults, Faults::Default));
            for source in &sources {
                builder = builder.source(source);
            }
            for Rows { source, collection, rows } in &rows {
                builder = builder.rows(source, collection, *rows);
            }
            for (source, limit) in &rate_limits {
                builder = builder.rate_limit(source, *limit);
            }
            for source in &enforced {
                builder = builder.enforce_rate_limits(source);
            }
            for source in &oauth {
                builder = builder.oauth(source);
            }
            let simulator = builder.start().await?;
            let base_urls: serde_json::Map<String, serde_json::Value> = sources
                .iter()
                .map(|source| (source.clone(), simulator.base_url(source).into()))
                .collect();
            announce(&serde_json::json!({ "url": simulator.url(), "base_urls": base_urls }))?;
            wait(simulator.run(), until_stdin_closes).await;
        }
        Command::Record { port, to, upstream, until_stdin_closes } => {
            let recorder = Recorder::start_on(port, &upstream, &to).await?;
            announce(&serde_json::json!({ "url": recorder.url() }))?;
            wait(recorder.run(), until_stdin_closes).await;
        }
        Command::Replay { port, recording, keep_origin, until_stdin_closes } => {
            let origin = if keep_origin { Origin::Kept } else { Origin::Rewritten };
            let replay = Replay::start_on(port, &recording, origin).await?;
            announce(&serde_json::json!({ "url": replay.url() }))?;
            wait(replay.run(), until_stdin_closes).await;
        }
    }

    Ok(())
}

fn announce(line: &serde_json::Value) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|e| Error::internal("cannot write to standard output").source(e))
}

async fn wait(server: impl Future<Output = ()>, until_stdin_closes: bool) {
    if !until_stdin_closes {
        return server.await;
    }
    let (closed, stdin) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while matches!(std::io::stdin().read(&mut buffer), Ok(read) if read > 0) {}
        // The receiver is gone only if the server has ended before.
        let _ = closed.send(());
    });
    tokio::select! {
        () = server => {}
        _ = stdin => {}
    }
}
