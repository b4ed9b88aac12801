//! MariaDB servers, and what is asked of them from outside with the stock clients.

pub mod dumped;
pub mod facts;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::support::server::{Server, free_port, unprivileged, wait_until};
use crate::support::{run, scratch};

/// A running MariaDB server with its own data directory, socket and port.
pub struct MariaDb {
    dir: tempfile::TempDir,
    program: String,
    /// The directory of its version's tools; empty: whatever PATH has.
    tools: PathBuf,
    server: Option<Server>,
    /// Its port on loopback.
    pub port: u16,
}

impl MariaDb {
    /// Starts an empty server with further options. `root` on loopback and over the socket has no password.
    pub fn start(options: &[&str]) -> Self {
        Self::start_from(program(), PathBuf::new(), template(), options)
    }

    /// Starts an empty server of the system's version, whatever PATH says.
    pub fn start_of_the_system(options: &[&str]) -> Self {
        static TEMPLATE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
        let template = &TEMPLATE.get_or_init(|| installed("/usr/bin/mariadb-install-db")).1;
        Self::start_from(SYSTEM.to_owned(), PathBuf::from("/usr/bin"), template, options)
    }

    fn start_from(program: String, tools: PathBuf, template: &Path, options: &[&str]) -> Self {
        let dir = scratch();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").args(["-R", "nobody:nogroup"]).arg(dir.path()));
        }
        run(Command::new("cp").args(["-a"]).arg(template).arg(dir.path().join("data")));
        let mut this = Self { dir, program, tools, server: None, port: free_port() };
        this.launch(options);
        this
    }

    /// Starts the server's process on the data directory that it has.
    pub fn launch(&mut self, options: &[&str]) {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut args = vec![
            "--no-defaults".to_owned(),
            format!("--datadir={}", path("data")),
            // Servers that share one delete each other's temporary tables when they start.
            format!("--tmpdir={}", path("tmp")),
            format!("--socket={}", path("s")),
            format!("--pid-file={}", path("pid")),
            format!("--port={}", self.port),
            "--bind-address=127.0.0.1".to_owned(),
            "--innodb-buffer-pool-size=64M".to_owned(),
            "--innodb-log-file-size=32M".to_owned(),
            "--innodb-flush-log-at-trx-commit=0".to_owned(),
            "--max-allowed-packet=1G".to_owned(),
            "--skip-name-resolve".to_owned(),
            "--log-bin=binlog".to_owned(),
            "--server-id=1".to_owned(),
        ];
        args.extend(options.iter().map(|option| (*option).to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let line = unprivileged(&self.program, &args);
        let log = self.dir.path().join("log");
        self.server = Some(Server::start(self.port, &log, line[0], &line[1..], &[]));
        wait_until(
            Duration::from_mins(1),
            || self.client(&[]).args(["-e", "SELECT 1"]).output().unwrap().status.success(),
            || std::fs::read_to_string(&log).unwrap_or_default(),
        );
    }

    /// Stops the server.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// The stock client, as root over the socket. Comments, charset and packet size are the client's defaults.
    pub fn client(&self, options: &[&str]) -> Command {
        self.tool("mariadb", options)
    }

    /// A stock tool as root over the socket.
    pub fn tool(&self, name: &str, options: &[&str]) -> Command {
        let mut command = Command::new(self.tools.join(name));
        command.arg("--no-defaults").arg("--socket").arg(self.dir.path().join("s")).arg("--user=root");
        command.args(options);
        command
    }

    /// Runs SQL with the stock client and returns what it prints, without column names, in UTF-8.
    pub fn sql(&self, sql: &str) -> String {
        let mut command = self.client(&[
            "--max-allowed-packet=1G",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            "--comments",
            "--binary-mode",
        ]);
        let output = feed(&mut command, sql.as_bytes());
        String::from_utf8_lossy(&output).into_owned()
    }

    /// As [`sql`](Self::sql), with the complaint in place of the output if it fails.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let options = [
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            "--comments",
            "--binary-mode",
        ];
        match fed(&mut self.client(&options), sql.as_bytes()) {
            (true, out, _) => Ok(String::from_utf8_lossy(&out).into_owned()),
            (false, _, err) => Err(String::from_utf8_lossy(&err).into_owned()),
        }
    }

    /// Where the server keeps its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Runs a command with this input; fails the test with everything it said unless it exits with 0.
pub fn feed(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let (status, out, err) = fed(command, input);
    assert!(status, "{command:?}: {}", String::from_utf8_lossy(&err));
    out
}

/// Runs a command with this input: whether it exited with 0, what it printed, what it complained.
pub fn fed(command: &mut Command, input: &[u8]) -> (bool, Vec<u8>, Vec<u8>) {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let output = command.stdin(Stdio::from(file)).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    (output.status.success(), output.stdout, output.stderr)
}

/// The system's server.
const SYSTEM: &str = "/usr/sbin/mariadbd";

/// The server of the first directory in PATH that has one: whoever is not root may lack the system's.
fn program() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("mariadbd")).find(|file| file.is_file());
    found.map_or_else(|| SYSTEM.to_owned(), |file| file.display().to_string())
}

/// A data directory made once and copied for each server.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    &TEMPLATE.get_or_init(|| installed("mariadb-install-db")).1
}

/// A data directory made by this installer.
fn installed(installer: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = scratch();
    if rustix::process::geteuid().is_root() {
        run(Command::new("chown").arg("nobody:nogroup").arg(dir.path()));
    }
    let data = dir.path().join("data");
    let datadir = format!("--datadir={}", data.display());
    let args = [
        "--no-defaults",
        &datadir,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--innodb-log-file-size=32M",
    ];
    let line = unprivileged(installer, &args);
    run(Command::new(line[0]).args(&line[1..]).current_dir(dir.path()));
    (dir, data)
}
