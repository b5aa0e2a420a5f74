//! A raw TCP server on loopback: it sends exactly the bytes of a script, or breaks off.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// One thing the server does after it has read a request.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends bytes one at a time with a pause before each.
    Drip(Vec<u8>, Duration),
    /// Resets the connection.
    Reset,
    /// Closes the connection.
    Close,
    /// Says nothing more.
    Hang,
}

pub(super) type Script = Vec<Step>;

/// A running server; stops with the runtime.
pub(super) struct Server {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers request number `n` (from 0), head and body, with `script(n, request)`.
    pub(super) async fn start(
        script: impl Fn(usize, &str) -> Script + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (seen, count, script) = (requests.clone(), connections.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Relaxed);
                tokio::spawn(serve(stream, script.clone(), seen.clone()));
            }
        });

        Self { url, requests, connections }
    }

    /// Answers with these scripts in turn, and then always with the last.
    pub(super) async fn scripted(scripts: Vec<Script>) -> Self {
        Self::start(move |n, _| scripts[n.min(scripts.len() - 1)].clone()).await
    }

    /// Connections accepted so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Heads of the requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Request lines so far, without method and version.
    pub(super) fn targets(&self) -> Vec<String> {
        let target = |head: &String| head.split(' ').nth(1).unwrap().to_owned();
        self.heads().iter().map(target).collect()
    }
}

async fn serve<F>(mut stream: TcpStream, script: Arc<F>, seen: Arc<Mutex<Vec<String>>>)
where
    F: Fn(usize, &str) -> Script,
{
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |l| l.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        let request = head + &String::from_utf8(body).unwrap();
        let n = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        for step in script(n, &request) {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Drip(bytes, pause) => {
                    for byte in bytes {
                        sleep(pause).await;
                        if stream.write_all(&[byte]).await.is_err() {
                            return;
                        }
                    }
                }
                Step::Reset => {
                    stream.set_zero_linger().unwrap();
                    return;
                }
                Step::Close => return,
                Step::Hang => std::future::pending().await,
            }
        }
    }
}

/// A response with `Content-Length`; `headers` are lines without their ends.
pub(super) fn reply(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Script {
    vec![Step::Send(bytes(status, headers, body.as_ref(), body.as_ref().len()))]
}

/// A JSON response.
pub(super) fn json(body: &str) -> Script {
    reply(200, &["Content-Type: application/json"], body)
}

/// The bytes of a response that announces `length` bytes.
pub(super) fn bytes(status: u16, headers: &[&str], body: &[u8], length: usize) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n");
    for header in headers {
        out.push_str(header);
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    [out.as_bytes(), body].concat()
}
