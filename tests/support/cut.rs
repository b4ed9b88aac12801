//! A TCP proxy that can be cut: what passes through it ends as if the network had gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A running proxy on loopback.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    cut: CancellationToken,
    passed: Arc<AtomicU64>,
}

impl Proxy {
    /// Forwards to a port on loopback; cuts every connection once this many bytes have come from there.
    pub async fn start(to: u16, limit: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, passed) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let (end, count) = (cut.clone(), passed.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if end.is_cancelled() {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                tokio::spawn(forward(client, server, end.clone(), count.clone(), limit));
            }
        });
        Self { port, cut, passed }
    }

    /// Cuts every connection now.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// The bytes that have come from the other side.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }
}

async fn forward(
    mut client: TcpStream,
    mut server: TcpStream,
    cut: CancellationToken,
    passed: Arc<AtomicU64>,
    limit: u64,
) {
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            () = cut.cancelled() => return,
            read = client.read(&mut up) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => if server.write_all(&up[..count]).await.is_err() { return },
            },
            read = server.read(&mut down) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    if passed.fetch_add(count as u64, Ordering::SeqCst) + count as u64 > limit {
                        cut.cancel();
                        return;
                    }
                    if client.write_all(&down[..count]).await.is_err() { return }
                }
            },
        }
    }
}
