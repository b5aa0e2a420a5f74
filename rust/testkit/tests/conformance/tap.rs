//! A foreign host that takes whatever is sent to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Another origin than the simulator's, on this machine; keeps what it received.
pub struct Tap {
    pub url: String,
    address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
    /// Where the connections came from.
    connections: watch::Receiver<Vec<SocketAddr>>,
    server: JoinHandle<()>,
}

impl Tap {
    pub async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (sender, connections) = watch::channel(Vec::new());
        let bytes = received.clone();
        let server = tokio::spawn(async move {
            while let Ok((socket, from)) = listener.accept().await {
                sender.send_modify(|known| known.push(from));
                tokio::spawn(keep(socket, bytes.clone()));
            }
        });

        Self { url: format!("http://{address}"), address, received, connections, server }
    }

    /// What was sent here: connections, and the bytes of all of them.
    ///
    /// Connections are accepted in their order: once one of its own is, all earlier ones are.
    pub async fn received(&self) -> (usize, String) {
        let own = TcpStream::connect(self.address).await.unwrap();
        let own = own.local_addr().unwrap();
        let mut connections = self.connections.clone();
        let earlier = connections.wait_for(|known| known.contains(&own)).await.unwrap();
        let count = earlier.iter().position(|from| *from == own).unwrap();
        let bytes = self.received.lock().unwrap();

        (count, String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn keep(mut socket: TcpStream, bytes: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = vec![0; 4096];
    while let Ok(n @ 1..) = socket.read(&mut chunk).await {
        bytes.lock().unwrap().extend_from_slice(&chunk[..n]);
    }
}
