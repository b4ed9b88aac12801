//! What all test rings share: temporary directories, servers that end with the test run, stock tools.
#![allow(dead_code, unreachable_pub, reason = "each ring uses its own part")]
#![allow(
    clippy::large_enum_variant,
    clippy::type_complexity,
    clippy::while_let_loop,
    clippy::single_match_else,
    clippy::needless_pass_by_value,
    clippy::manual_is_multiple_of,
    clippy::struct_excessive_bools,
    reason = "test code, read once from top to bottom"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod armed;
pub mod backups;
pub mod drive;
pub mod fault_proxy;
pub mod faulty_store;
pub mod http_proxy;
pub mod hurried;
pub mod mariadb;
pub mod memory_store;
pub mod mongodb;
pub mod package;
pub mod postgres;
pub mod proxy;
pub mod rclone;
pub mod redis;
pub mod schedules;
pub mod seaweedfs;
pub mod server;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The program under test.
pub fn chupacabra() -> Command {
    Command::new(env!("CARGO_BIN_EXE_chupacabra"))
}

/// A temporary directory that unprivileged servers may enter.
pub fn scratch() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::Builder::new().prefix("chupacabra-").tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Runs a command to its end and fails the test with everything it said unless it exits with 0.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs a line of shell with `pipefail` and returns what it printed; fails the test unless it exits with 0.
pub fn shell(line: &str) -> Vec<u8> {
    run(Command::new("bash").args(["-euo", "pipefail", "-c", line])).stdout
}

/// A stock tool that the test command installs. Missing tools fail the test: nothing is skipped in silence.
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed; ./tests/run installs what the tests need"))
}
