//! The least that a reader of GitHub issues must do: fetch pages, one after the other, and make
//! Arrow of them. `bin/bench` compares reading through Spark with it.
//!
//! Usage: `bare_loop <file with one URL per line> <token>`. Prints one line of JSON: `rows`,
//! `bytes` of the bodies, Arrow `batches`, and `seconds` from the first request to the last batch.

use lakeflow_arrow::{CoercionOptions, Decoder, scan_rows};
use lakeflow_core::{
    Context, Error, Metrics, Options, Records, Result, Settings, SystemClock, TableSchema,
};
use std::sync::Arc;
use std::time::Instant;

/// Rows or Arrow bytes after which a batch is finished: what the engine does.
const BATCH_ROWS: usize = 10_000;
const BATCH_BYTES: usize = 8 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(token)) = (arguments.next(), arguments.next()) else {
        return Err(Error::config("usage: bare_loop <file with one URL per line> <token>"));
    };
    let text = std::fs::read_to_string(&file)
        .map_err(|e| Error::config(format!("cannot read {file}")).source(e))?;
    let urls: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let schema = issues(&token).await?;
    let mut decoder = Decoder::new("issues", &schema, &[], CoercionOptions::default())?;
    let client = client()?;

    let began = Instant::now();
    let (mut rows, mut bytes, mut batches) = (0, 0, 0);
    for url in urls {
        let reply = client.get(url).bearer_auth(&token).send().await;
        let body = reply.and_then(reqwest::Response::error_for_status).map_err(unreachable)?;
        let body = body.bytes().await.map_err(unreachable)?;
        bytes += body.len();
        let records =
            Records::array(body).with("repository_owner", "\"o\"").with("repository_name", "\"r\"");
        let scan = scan_rows(&records.rows, &[])?;
        let all: Vec<usize> = (0..scan.len()).collect();
        decoder.append(&records, &scan, &all, rows)?;
        rows += scan.len() as u64;
        if decoder.rows() >= BATCH_ROWS || decoder.bytes() >= BATCH_BYTES {
            std::hint::black_box(decoder.finish()?);
            batches += 1;
        }
    }
    if decoder.rows() > 0 {
        std::hint::black_box(decoder.finish()?);
        batches += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({
            "rows": rows, "bytes": bytes, "batches": batches, "seconds": seconds
        })
    );

    Ok(())
}

/// The schema that the connector declares.
async fn issues(token: &str) -> Result<TableSchema> {
    let source = lakeflow_connectors::SOURCES.iter().find(|source| source.name == "github");
    let source = source.ok_or_else(|| Error::config("there is no source 'github'"))?;
    let options: Options = [("token", token), ("owner", "o"), ("repo", "r")].into_iter().collect();
    let settings = Arc::new(Settings::resolve(&options, source.options(), &[])?);
    let metrics = Arc::new(Metrics::default());
    let clock = Arc::new(SystemClock);
    let connector =
        (source.build)(&Context { settings: settings.clone(), clock, metrics, share: 1.0 })?;

    Ok(connector.table("issues", &settings).await?.schema)
}

/// A client without limits, retries or redaction: that is the point of this program.
fn client() -> Result<reqwest::Client> {
    // Built without a provider of its own; fails only if the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // GitHub refuses clients without a name.
    let builder = reqwest::Client::builder().user_agent("lakeflow-bare-loop").no_proxy();

    builder.tls_certs_only([]).build().map_err(unreachable)
}

fn unreachable(error: reqwest::Error) -> Error {
    Error::bad_response("the server cannot be read").source(error)
}
