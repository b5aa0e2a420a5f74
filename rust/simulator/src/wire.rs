//! Connections and bodies: where answers become bytes, whole, slow or broken.

use bytes::Bytes;
use futures::Stream;
use futures::stream;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lakeflow_core::{Error, ErrorKind, Result};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

type Frames = Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>;

/// A response body: at once, or in pieces over time.
pub(crate) type Body = Either<Full<Bytes>, StreamBody<Frames>>;

/// Tells a connection that it shall end with a TCP reset.
#[derive(Clone, Default)]
pub(crate) struct ResetSwitch(Arc<AtomicBool>);

/// How a body is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Delivery {
    Whole,
    Drip {
        bytes_per_second: u64,
    },
    /// So many bytes, then the connection ends.
    Cut {
        after: usize,
        reset: bool,
    },
}

/// What follows the first bytes of a cut body must not overtake them in the buffers of the server.
const FLUSH: Duration = Duration::from_millis(20);
const DRIP_TICKS_PER_SECOND: u64 = 20;

pub(crate) fn body(bytes: Bytes, delivery: &Delivery, switch: &ResetSwitch) -> Body {
    match *delivery {
        Delivery::Whole => Either::Left(Full::new(bytes)),
        Delivery::Drip { bytes_per_second } => Either::Right(drip(bytes, bytes_per_second)),
        Delivery::Cut { after, reset } => {
            Either::Right(cut(bytes.slice(..after.min(bytes.len())), reset, switch.clone()))
        }
    }
}

fn drip(bytes: Bytes, bytes_per_second: u64) -> StreamBody<Frames> {
    let rate = bytes_per_second.max(1);
    let ticks = rate.min(DRIP_TICKS_PER_SECOND);
    let piece = usize::try_from(rate / ticks).unwrap_or(usize::MAX).max(1);
    let pause = Duration::from_millis(1_000 / ticks);
    let frames = stream::unfold((bytes, true), move |(mut rest, first)| async move {
        if rest.is_empty() {
            return None;
        }
        if !first {
            tokio::time::sleep(pause).await;
        }
        let next = rest.split_to(piece.min(rest.len()));
        Some((Ok(Frame::data(next)), (rest, false)))
    });

    StreamBody::new(Box::pin(frames))
}

fn cut(kept: Bytes, reset: bool, switch: ResetSwitch) -> StreamBody<Frames> {
    let frames = stream::unfold(Some(kept), move |kept| {
        let switch = switch.clone();
        async move {
            match kept {
                Some(kept) if !kept.is_empty() => Some((Ok(Frame::data(kept)), Some(Bytes::new()))),
                Some(_) => {
                    tokio::time::sleep(FLUSH).await;
                    switch.0.store(reset, Ordering::SeqCst);
                    Some((Err(io::Error::other("cut on purpose")), None))
                }
                None => None,
            }
        }
    });

    StreamBody::new(Box::pin(frames))
}

/// A TCP stream that can be made to end with a reset.
struct Connection {
    stream: TcpStream,
    switch: ResetSwitch,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.switch.0.load(Ordering::SeqCst) {
            // Best effort: without it the peer sees an early end instead of a reset.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.switch.0.load(Ordering::SeqCst) {
            // A shutdown would send the orderly end that the reset stands in for.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A bound port on loopback.
pub(crate) struct Listener {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Listener {
    /// Binds `127.0.0.1:port`; 0 takes a free one.
    pub(crate) async fn bind(port: u16) -> Result<Self> {
        let unavailable = |e: io::Error| {
            Error::new(ErrorKind::ConfigInvalid, format!("cannot listen on 127.0.0.1:{port}"))
                .source(e)
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;

        Ok(Self { listener, address })
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until the handle is aborted, which ends every connection.
    pub(crate) fn serve<H, F>(self, handler: H) -> JoinHandle<()>
    where
        H: Fn(hyper::Request<hyper::body::Incoming>, ResetSwitch) -> F
            + Clone
            + Send
            + Sync
            + 'static,
        F: Future<Output = hyper::Response<Body>> + Send + 'static,
    {
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = self.listener.accept().await else { continue };
                while connections.try_join_next().is_some() {}
                // Only a hint: a page goes out in few writes either way.
                let _ = stream.set_nodelay(true);
                let switch = ResetSwitch::default();
                let handler = handler.clone();
                let io = TokioIo::new(Connection { stream, switch: switch.clone() });
                let service = service_fn(move |request| {
                    let answer = handler(request, switch.clone());
                    async move { Ok::<_, std::convert::Infallible>(answer.await) }
                });
                connections.spawn(async move {
                    // A client that goes away is its own affair.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .max_buf_size(512 * 1024)
                        .serve_connection(io, service)
                        .await;
                });
            }
        })
    }
}
