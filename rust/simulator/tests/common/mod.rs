//! A client on a bare socket: it sees what a real client's libraries would hide.
#![allow(dead_code, reason = "each test file uses its part")]

use lakeflow_core::{Instant, ManualClock};
use lakeflow_simulator::{Builder, Simulator};
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const TOKEN: &str = "authorization: Bearer t0k3n\r\nuser-agent: test\r\n";
pub(crate) const BASIC: &str = "authorization: Basic dTpw\r\n";
pub(crate) const NOW: &str = "2031-03-01T10:00:00Z";

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// How the body ended, if not in order.
    pub(crate) broken: Option<io::ErrorKind>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The values of `field` of every record, of a list or an envelope.
    pub(crate) fn column(&self, field: &str) -> Vec<Value> {
        let json = self.json();
        let rows = json.as_array().or_else(|| json["records"].as_array()).unwrap().clone();
        rows.into_iter().map(|row| row[field].clone()).collect()
    }

    /// The URL of a link relation.
    pub(crate) fn link(&self, rel: &str) -> Option<String> {
        let wanted = format!("; rel=\"{rel}\"");
        self.header("link")?
            .split(", ")
            .find_map(|link| link.strip_suffix(&wanted))
            .map(|url| url.trim_matches(['<', '>']).to_owned())
    }
}

pub(crate) fn at(text: &str) -> Instant {
    Instant::parse(text).unwrap()
}

/// A builder whose clock stands at [`NOW`], and that clock.
pub(crate) fn frozen() -> (Builder, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(at(NOW)));
    (Simulator::builder().clock(clock.clone()), clock)
}

pub(crate) async fn open(url: &str) -> (TcpStream, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    (TcpStream::connect(host).await.unwrap(), format!("/{path}"))
}

pub(crate) async fn send(method: &str, url: &str, headers: &str, body: &str) -> Reply {
    let (mut stream, path) = open(url).await;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    read(&mut stream).await
}

pub(crate) async fn get(url: &str, headers: &str) -> Reply {
    send("GET", url, headers, "").await
}

async fn read(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let mut broken = None;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer));
        match read.await.unwrap() {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(e) => {
                broken = Some(e.kind());
                break;
            }
        }
    }
    let head_end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a response head");
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let body = bytes[head_end + 4..].to_vec();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut reply = Reply { status, headers, body, broken };
    let announced: usize = reply.header("content-length").map_or(0, |l| l.parse().unwrap());
    if reply.broken.is_none() && reply.body.len() < announced {
        reply.broken = Some(io::ErrorKind::UnexpectedEof);
    }
    reply
}
