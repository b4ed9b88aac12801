//! Servers on loopback that live as long as the test process and not a moment longer.
//!
//! Each server runs under a small shell that waits for its standard input to close. That input is a pipe held by the
//! test process: when the process ends, however it ends, the shell ends the server by its pid.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub struct Server {
    supervisor: Child,
    /// The loopback port it was given.
    pub port: u16,
}

const SUPERVISE: &str = r#"
"$@" </dev/null &
pid=$!
trap 'kill -KILL $pid 2>/dev/null' EXIT
( read -r _ ; kill -TERM $pid 2>/dev/null; for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 $pid 2>/dev/null || exit 0; sleep 0.2; done; kill -KILL $pid 2>/dev/null ) <&0 &
wait $pid
"#;

impl Server {
    /// Starts `program` with `args`, its output in `log`.
    pub fn start(port: u16, log: &Path, program: &str, args: &[&str], envs: &[(&str, &str)]) -> Self {
        let output = File::create(log).unwrap();
        let supervisor = Command::new("bash")
            .args(["-c", SUPERVISE, "supervise", program])
            .args(args)
            .envs(envs.iter().copied())
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}"));
        Self { supervisor, port }
    }

    /// Waits until the port accepts connections; fails the test with the log if it does not in time.
    pub fn wait_for_port(&self, log: &Path, limit: Duration) {
        let port = self.port;
        wait_until(
            limit,
            || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(),
            || {
                format!(
                    "nothing listens on port {port}\n{}",
                    std::fs::read_to_string(log).unwrap_or_default()
                )
            },
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// Polls `ready` until it says yes; fails the test with `why` after `limit`.
pub fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool, why: impl Fn() -> String) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {}", why());
        #[allow(clippy::disallowed_methods, reason = "polling another process; there is nothing to wait on")]
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A loopback port that was free a moment ago, and its companion with it: the port 10000 above, where a node of a Redis
/// cluster talks to others and every service of SeaweedFS listens too. Both lie below the range from which the system
/// takes the local ports of connections (32768 and up), and no companion is anybody's port.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 100).unwrap() * 100;
    for _ in 0..1_000 {
        let port = 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000) % 10_000;
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
    panic!("no free port from {}", 10_000 + first);
}

/// The arguments that run a program as an unprivileged user when the tests run as root (database servers insist).
pub fn unprivileged<'a>(program: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    let mut line = Vec::new();
    if rustix::process::geteuid().is_root() {
        line.extend(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]);
    }
    line.push(program);
    line.extend(args);
    line
}
