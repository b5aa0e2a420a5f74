//! A foreign host that takes whatever is sent to it.

use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Another origin than the simulator's, on this machine; keeps what it received.
pub struct Tap {
    pub url: String,
    received: Arc<Mutex<Vec<u8>>>,
    connections: Arc<Mutex<usize>>,
    server: JoinHandle<()>,
}

impl Tap {
    pub async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let (bytes, count) = (received.clone(), connections.clone());
        let server = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                let mut chunk = vec![0; 4096];
                while let Ok(n @ 1..) = socket.read(&mut chunk).await {
                    bytes.lock().unwrap().extend_from_slice(&chunk[..n]);
                }
            }
        });

        Self { url, received, connections, server }
    }

    /// What was sent here: connections, and the bytes of all of them.
    pub fn received(&self) -> (usize, String) {
        let bytes = self.received.lock().unwrap();
        (*self.connections.lock().unwrap(), String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.server.abort();
    }
}
