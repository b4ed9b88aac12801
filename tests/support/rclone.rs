//! `rclone serve s3`: an S3 server with gaps, and the way to any of rclone's remotes.

use std::path::Path;
use std::time::Duration;

use super::server::{Server, free_port};

/// The key it takes.
pub const ACCESS_KEY: &str = "AKRCLONE";
/// Its secret.
pub const SECRET_KEY: &str = "SKRCLONE12345";

/// Serves a directory with these buckets, which are directories of its own. (It would not see later ones for minutes.)
pub fn serve_s3(dir: &Path, buckets: &[String]) -> Server {
    let port = free_port();
    let data = dir.join("data");
    for bucket in buckets {
        std::fs::create_dir_all(data.join(bucket)).unwrap();
    }
    let (address, key) = (format!("127.0.0.1:{port}"), format!("{ACCESS_KEY},{SECRET_KEY}"));
    let (data, config) = (data.display().to_string(), dir.join("rclone.conf").display().to_string());
    let args = ["serve", "s3", "--addr", &address, "--auth-key", &key, "--config", &config, &data];
    let log = dir.join("rclone.log");
    let rclone = super::tool("rclone");
    let server = Server::start(port, &log, rclone.to_str().unwrap(), &args, &[]);
    server.wait_for_port(&log, Duration::from_secs(30));
    server
}
