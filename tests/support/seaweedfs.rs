//! SeaweedFS: the S3 server that most tests run against.

use std::path::Path;
use std::time::Duration;

use super::server::{Server, free_port, wait_until};

/// The key that may do everything.
pub const ACCESS_KEY: &str = "AKTEST";
/// Its secret.
pub const SECRET_KEY: &str = "SKTEST12345";

/// A running SeaweedFS.
pub struct SeaweedFs {
    /// Its process.
    pub server: Server,
    ports: [u16; 5],
}

impl SeaweedFs {
    /// Starts a server that keeps its data in `dir`. `extra` are further arguments of `weed mini`.
    pub fn start(dir: &Path, extra: &[&str]) -> Self {
        // Every service also listens on its port plus 10000.
        let ports = std::array::from_fn(|_| free_port());
        Self::start_on(dir, ports, extra)
    }

    /// Starts it again on the same data and ports, after it was killed.
    pub fn start_again(dir: &Path, ports: [u16; 5]) -> Self {
        Self::start_on(dir, ports, &[])
    }

    /// The ports it listens on.
    pub fn ports(&self) -> [u16; 5] {
        self.ports
    }

    fn start_on(dir: &Path, ports: [u16; 5], extra: &[&str]) -> Self {
        let [s3, master, volume, filer, admin] = ports;
        let data = dir.join("data");
        std::fs::create_dir_all(&data).unwrap();
        let mut args = vec![
            "mini".to_owned(),
            format!("-dir={}", data.display()),
            "-ip=127.0.0.1".to_owned(),
            "-ip.bind=127.0.0.1".to_owned(),
            format!("-s3.port={s3}"),
            format!("-master.port={master}"),
            format!("-volume.port={volume}"),
            format!("-filer.port={filer}"),
            format!("-admin.port={admin}"),
        ];
        let fixed = [
            "-admin.ui=false",
            "-webdav=false",
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
        ];
        // Every bucket takes volumes of its own; by default they run out after some hundred buckets.
        if !extra.iter().any(|arg| arg.starts_with("-volume.max=")) {
            args.push("-volume.max=20000".to_owned());
        }
        args.extend(fixed.iter().chain(extra).map(|arg| (*arg).to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let log = dir.join("weed.log");
        let weed = super::tool("weed");
        // The pid, so that a test can kill it the hard way.
        let pid = dir.join("weed.pid").display().to_string();
        let exec = ["-c", "echo $$ > \"$0\"; exec \"$@\"", &pid, weed.to_str().unwrap()];
        let args: Vec<&str> = exec.into_iter().chain(args).collect();
        let home = dir.display().to_string();
        let envs =
            [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY), ("HOME", &home)];
        let server = Server::start(s3, &log, "bash", &args, &envs);
        server.wait_for_port(&log, Duration::from_secs(30));
        let running = Self { server, ports };
        running.wait_until_ready(&log);
        running
    }

    /// The address of its S3 service.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// Kills it as the kernel would: nothing is flushed, nobody is told.
    pub fn kill(self, dir: &Path) {
        let pid = std::fs::read_to_string(dir.join("weed.pid")).unwrap();
        super::run(std::process::Command::new("kill").args(["-KILL", pid.trim()]));
        drop(self.server);
    }

    /// The S3 port answers before the volumes are registered; until then writes fail.
    fn wait_until_ready(&self, log: &Path) {
        let assign = format!("http://127.0.0.1:{}/dir/assign", self.ports[1]);
        let ready = || {
            let answer = std::process::Command::new("curl").args(["-sf", "-m", "2", &assign]).output();
            answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains("\"fid\""))
        };
        let why = || std::fs::read_to_string(log).unwrap_or_default();
        wait_until(Duration::from_secs(30), ready, why);
    }
}
