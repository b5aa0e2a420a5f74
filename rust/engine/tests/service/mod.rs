//! A small service for what is peculiar to one source, and its tables as a door reads them.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test binary uses a part")]

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use lakeflow_core::{Instant, ManualClock, Offset, Options, Result, Source};
use lakeflow_engine::{Engine, SliceRequest};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request: path, query and header fields, names of the latter in lower case.
pub struct Ask {
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: HashMap<String, String>,
}

impl Ask {
    /// Reads the head of a request.
    fn of(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let target = lines.next().unwrap().split(' ').nth(1).unwrap();
        let url = reqwest::Url::parse("http://h").unwrap().join(target).unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_lowercase(), value.to_owned()))
        };

        Self {
            path: url.path().to_owned(),
            query: url.query_pairs().into_owned().collect(),
            headers: lines.filter_map(header).collect(),
        }
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// An instant in the query.
    pub fn time(&self, name: &str) -> Option<Instant> {
        self.parameter(name).map(|text| Instant::parse(text).unwrap())
    }

    /// A number in the query.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.parameter(name).map(|text| text.parse().unwrap())
    }

    /// Path and decoded query, parameters by name.
    pub fn shown(&self) -> String {
        let query: String = self.query.iter().map(|(n, v)| format!(" {n}={v}")).collect();
        format!("{}{query}", self.path)
    }
}

/// A response with a JSON body.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(body: &serde_json::Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_string() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "{}".into() }
    }
}

/// A running service; stops with the runtime.
pub struct Service {
    pub url: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Answers every request as `answer` says.
    pub async fn start(answer: impl Fn(&Ask) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (log, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let seen = log.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), seen.clone()));
            }
        });

        Self { url, log }
    }

    /// The requests since the last call, as [`Ask::shown`].
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

async fn serve<F>(mut stream: TcpStream, answer: Arc<F>, log: Arc<Mutex<Vec<String>>>)
where
    F: Fn(&Ask) -> Answer,
{
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let ask = Ask::of(std::str::from_utf8(&head).unwrap());
        log.lock().unwrap().push(ask.shown());
        let Answer { status, headers, body } = answer(&ask);
        let mut reply = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            reply.push_str(&format!("{name}: {value}\r\n"));
        }
        reply.push_str(&format!("\r\n{body}"));
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A table of a source, read by a stream with its checkpoint.
pub struct Reader {
    options: Options,
    engine: Engine,
    clock: Arc<ManualClock>,
    start: String,
    blobs: HashMap<String, Bytes>,
}

impl Reader {
    /// Reads a table of `source` with `options` at noon of 2031-03-01.
    pub fn new(source: &'static Source, options: &[(&str, &str)]) -> Self {
        let clock = Arc::new(ManualClock::new(Instant::parse("2031-03-01T12:00:00Z").unwrap()));
        let engine = Engine::new(vec![source], clock.clone());
        let options = [("sourceName", source.name)].iter().chain(options).copied().collect();

        Self { options, engine, clock, start: "{}".into(), blobs: HashMap::new() }
    }

    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.set(name, value);
        self
    }

    pub fn start_at(mut self, offset: &str) -> Self {
        self.start = offset.to_owned();
        self
    }

    pub fn now(&self, time: &str) {
        self.clock.set(Instant::parse(time).unwrap());
    }

    /// The offset reached.
    pub fn offset(&self) -> Offset {
        Offset::from_text(&self.start).unwrap().unwrap()
    }

    /// Values of `columns` in all rows of a batch read, separated by blanks.
    pub async fn batch(&self, columns: &[&str]) -> Result<Vec<String>> {
        let mut reader = self.engine.batch(&self.options, None).await?;
        let mut rows = Vec::new();
        while let Some(batch) = reader.next().await? {
            rows.extend(texts(&batch, columns));
        }

        Ok(rows)
    }

    /// The same of one drain, by a new process.
    pub async fn drain(&mut self, columns: &[&str]) -> Vec<String> {
        let stream = self.engine.stream(&self.options).await.unwrap();
        let mut rows = Vec::new();
        loop {
            let state = match self.start.as_str() {
                start if start.contains("\"v\"") => self.offset().state,
                _ => None,
            };
            let mut slice = stream.slice(SliceRequest {
                id: format!("slice{}", rows.len()),
                start: self.start.clone(),
                state: state.and_then(|hash| self.blobs.get(&hash).cloned()),
                limit: Some(stream.default_limit()),
                single_drain: true,
            });
            let before = rows.len();
            while let Some(batch) = slice.next().await.unwrap() {
                rows.extend(texts(&batch, columns));
            }
            let end = slice.end().unwrap();
            if let Some(blob) = end.state {
                self.blobs.insert(blob.hash, blob.bytes);
            }
            self.start = end.offset;
            if rows.len() == before {
                return rows;
            }
        }
    }
}

fn texts(batch: &RecordBatch, columns: &[&str]) -> Vec<String> {
    let text = |row: usize, name: &str| {
        array_value_to_string(batch.column_by_name(name).unwrap(), row).unwrap()
    };
    let row = |row| columns.iter().map(|c| text(row, c)).collect::<Vec<_>>().join(" ");

    (0..batch.num_rows()).map(row).collect()
}
