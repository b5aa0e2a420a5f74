//! Prints how fast issues of the shape that GitHub serves become Arrow batches and IPC chunks.
//!
//! Where Linux tells it, time is that spent on the processor, so that a busy machine does not count.
//!
//! Run with `cargo run --release -p lakeflow-arrow --example throughput [seconds]`.

use lakeflow_arrow::{CoercionOptions, Decoder, IpcWriter, scan_rows};
use lakeflow_core::{Column, DataType, FieldPath, Records, Result, TableSchema};
use std::fmt::Write;
use std::time::Instant;

/// Rows of a page, as GitHub allows at most.
const PAGE: usize = 100;

fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(3.0);
    let page = Records::array(issues(PAGE).into())
        .with("repository_owner", "\"apache\"")
        .with("repository_name", "\"spark\"");
    let bytes = match &page.rows {
        lakeflow_core::Rows::Array(array) => array.len(),
        _ => 0,
    };
    println!("{PAGE} issues, {bytes} bytes a page");

    let taps = [FieldPath::field("id"), FieldPath::field("updated_at")];
    measure("scan", bytes, seconds, || {
        scan_rows(&page.rows, &taps)?;
        Ok(())
    })?;

    let scan = scan_rows(&page.rows, &taps)?;
    let selection: Vec<usize> = (0..scan.len()).collect();
    let mut decoder = Decoder::new("issues", &schema(), &taps, CoercionOptions::default())?;
    measure("decode", bytes, seconds, || {
        decoder.append(&page, &scan, &selection, 0)?;
        if decoder.bytes() > 8 << 20 {
            decoder.finish()?;
        }
        Ok(())
    })?;

    let mut decoder = Decoder::new("issues", &schema(), &taps, CoercionOptions::default())?;
    let mut writer = IpcWriter::new(&decoder.schema())?;
    measure("scan + decode + IPC", bytes, seconds, || {
        let scan = scan_rows(&page.rows, &taps)?;
        decoder.append(&page, &scan, &selection, 0)?;
        if decoder.bytes() > 8 << 20 {
            writer.batch_chunk(&decoder.finish()?)?;
        }
        Ok(())
    })
}

fn measure(
    what: &str,
    bytes: usize,
    seconds: f64,
    mut run: impl FnMut() -> Result<()>,
) -> Result<()> {
    let (start, busy, mut count) = (Instant::now(), busy_seconds(), 0u32);
    while start.elapsed().as_secs_f64() < seconds {
        for _ in 0..10 {
            run()?;
        }
        count += 10;
    }
    let spent = match (busy, busy_seconds()) {
        (Some(before), Some(after)) => after - before,
        _ => start.elapsed().as_secs_f64(),
    };
    let rate = bytes as f64 * f64::from(count) / spent;
    println!("{what:>20}: {:.0} MB/s", rate / 1e6);

    Ok(())
}

/// Seconds that this thread has spent on a processor.
fn busy_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: u64 = text.split_ascii_whitespace().next()?.parse().ok()?;

    Some(nanos as f64 / 1e9)
}

fn schema() -> TableSchema {
    use DataType::{Boolean, Long, String};
    let columns = |fields: &[(&str, DataType)]| -> Vec<Column> {
        fields.iter().map(|(name, data_type)| Column::new(*name, data_type.clone())).collect()
    };
    let list = |element| DataType::Array { element: Box::new(element), contains_null: true };
    let texts =
        DataType::Map { key: Box::new(String), value: Box::new(String), value_contains_null: true };
    let user = DataType::Struct(columns(&[
        ("login", String),
        ("id", Long),
        ("node_id", String),
        ("type", String),
        ("site_admin", Boolean),
    ]));
    let label = DataType::Struct(columns(&[
        ("id", Long),
        ("node_id", String),
        ("name", String),
        ("color", String),
        ("description", String),
        ("default", Boolean),
    ]));
    let milestone = DataType::Struct(columns(&[
        ("id", Long),
        ("number", Long),
        ("title", String),
        ("description", String),
        ("state", String),
        ("created_at", String),
        ("updated_at", String),
        ("due_on", String),
    ]));

    let mut all = columns(&[
        ("node_id", String),
        ("title", String),
        ("body", String),
        ("state", String),
        ("locked", Boolean),
        ("comments", Long),
        ("created_at", String),
        ("updated_at", String),
        ("closed_at", String),
        ("author_association", String),
        ("url", String),
        ("html_url", String),
        ("labels_url", String),
        ("comments_url", String),
        ("events_url", String),
        ("timeline_url", String),
        ("state_reason", String),
        ("user", user.clone()),
        ("assignee", user.clone()),
        ("assignees", list(user)),
        ("labels", list(label)),
        ("milestone", milestone),
        ("pull_request", texts.clone()),
        ("reactions", texts),
    ]);
    all.push(Column::new("id", Long).required());
    all.push(Column::new("number", Long).required());
    all.push(Column::new("repository_owner", String).required());
    all.push(Column::new("repository_name", String).required());

    TableSchema::new(all)
}

/// A JSON array of `count` issues.
fn issues(count: usize) -> String {
    let mut out = String::from("[");
    for n in 0..count {
        if n > 0 {
            out.push(',');
        }
        issue(&mut out, n);
    }
    out.push(']');

    out
}

fn issue(out: &mut String, n: usize) {
    let api = format!("https://api.github.com/repos/apache/spark/issues/{n}");
    let body = "The job fails with `IllegalStateException` after the upgrade.\\r\\n\\r\\n\
                Steps to reproduce: start a stream, kill the driver, start it again \u{2014} done. ";
    let _ = write!(
        out,
        r#"{{"url":"{api}","repository_url":"https://api.github.com/repos/apache/spark","labels_url":"{api}/labels{{/name}}","comments_url":"{api}/comments","events_url":"{api}/events","html_url":"https://github.com/apache/spark/issues/{n}","id":{id},"node_id":"I_kwDOAA{n:06}","number":{n},"title":"Stream {n} repeats rows after a restart","user":{user},"labels":[{{"id":{id},"node_id":"MDU6TGFiZWw{n}","url":"{api}/labels/bug","name":"bug","color":"d73a4a","default":true,"description":"Something is not working"}}],"state":"open","locked":false,"assignee":{assignee},"assignees":[{user}],"milestone":null,"comments":{comments},"created_at":"2024-01-15T10:30:00Z","updated_at":"2024-02-16T11:31:{second:02}Z","closed_at":null,"author_association":"CONTRIBUTOR","active_lock_reason":null,"body":"{text}","closed_by":null,"reactions":{{"url":"{api}/reactions","total_count":3,"+1":2,"-1":0,"laugh":0,"hooray":0,"confused":0,"heart":1,"rocket":0,"eyes":0}},"timeline_url":"{api}/timeline","performed_via_github_app":null,"state_reason":null{pull}}}"#,
        id = 2_000_000_000 + n,
        user = user(n),
        assignee = if n.is_multiple_of(3) { user(n + 1) } else { "null".into() },
        comments = n % 17,
        second = n % 60,
        text = body.repeat(1 + n % 12),
        pull = if n.is_multiple_of(2) {
            format!(
                r#","draft":false,"pull_request":{{"url":"{api}","html_url":"{api}","diff_url":"{api}.diff","patch_url":"{api}.patch","merged_at":null}}"#
            )
        } else {
            String::new()
        },
    );
}

fn user(n: usize) -> String {
    let api = format!("https://api.github.com/users/octocat{n}");
    format!(
        r#"{{"login":"octocat{n}","id":{n},"node_id":"MDQ6VXNlcj{n}","avatar_url":"https://avatars.githubusercontent.com/u/{n}?v=4","gravatar_id":"","url":"{api}","html_url":"https://github.com/octocat{n}","followers_url":"{api}/followers","following_url":"{api}/following{{/other_user}}","gists_url":"{api}/gists{{/gist_id}}","starred_url":"{api}/starred{{/owner}}{{/repo}}","subscriptions_url":"{api}/subscriptions","organizations_url":"{api}/orgs","repos_url":"{api}/repos","events_url":"{api}/events{{/privacy}}","received_events_url":"{api}/received_events","type":"User","site_admin":false}}"#
    )
}
