//! `rclone serve s3` keeps the contract: no conditions, no versions, no MD5 for objects in parts, parts in order.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use chupacabra::stores::s3::{Config, Provider};
use tempfile::TempDir;

use crate::buckets::{PART, config, secret, store};
use crate::contract::{Subject, store_contract};
use crate::support::rclone::{ACCESS_KEY, SECRET_KEY, serve_s3};
use crate::support::server::Server;

fn rclone() -> &'static (TempDir, Server) {
    static SERVER: OnceLock<(TempDir, Server)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let dir = crate::support::scratch();
        let buckets: Vec<String> = (0..40).map(|n| format!("rclone-{n}")).collect();
        let server = serve_s3(dir.path(), &buckets);
        (dir, server)
    })
}

async fn subject() -> Subject {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (_, server) = rclone();
    let bucket = format!("rclone-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let config = Config {
        provider: Provider::Rclone,
        access_key_id: Some(secret("access", ACCESS_KEY)),
        secret_access_key: Some(secret("secret", SECRET_KEY)),
        ..config(&format!("http://127.0.0.1:{}", server.port), &bucket)
    };
    Subject { store: Arc::new(store(config).await), boundary: PART, page: 1_000, keep: Box::new(()) }
}

store_contract!(subject);
