//! A TCP proxy on loopback that breaks connections when told.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A proxy before a loopback port.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    passed: Arc<AtomicU64>,
}

impl Proxy {
    /// Passes everything on, until `limit` bytes have come from the server over all connections; then it cuts all.
    pub async fn start(target: u16, limit: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&passed);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, target, limit, Arc::clone(&counted)));
            }
        });
        Self { port, passed }
    }

    /// The bytes that came from the server.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

async fn relay(client: TcpStream, target: u16, limit: u64, passed: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let down = async move {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(n) = from_server.read(&mut buffer).await {
            let total = passed.fetch_add(n as u64, Ordering::Relaxed) + n as u64;
            if n == 0 || total > limit || to_client.write_all(&buffer[..n]).await.is_err() {
                break;
            }
        }
    };
    // Whichever ends first drops both halves of both connections.
    tokio::select! { () = up => {}, () = down => {} }
}
