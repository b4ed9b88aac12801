//! Parts of tests that run as a user without rights: root may read and write everything.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{run, scratch, shell, tool};

/// The user and group.
pub const NOBODY: u32 = 65_534;

/// Runs one of this program's ignored tests as nobody, with `variables`; it must pass. Returns what it printed.
///
/// `None` without root, which is needed to become nobody and to own what nobody may not touch.
pub fn as_nobody(test: &str, variables: &[(&str, &str)]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        println!("not root: `{test}` is not covered by this run");
        return None;
    }
    let dir = scratch();
    let mut command = nobody(&std::env::current_exe().unwrap(), dir.path());
    command.args([test, "--exact", "--ignored", "--nocapture"]).current_dir(dir.path());
    let output = run(command.envs(variables.iter().copied()));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("1 passed"), "no such test: {printed}");
    Some(printed)
}

/// A program, run as nobody; a copy of it in `dir`, because it may lie where nobody cannot go.
pub fn nobody(program: &Path, dir: &Path) -> Command {
    let copy = dir.join("program");
    std::fs::copy(program, &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(tool("setpriv"));
    command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]).arg("--clear-groups").arg(copy);
    command
}

/// Makes a directory that belongs to nobody.
pub fn nobodys(path: &Path) {
    shell(&format!("mkdir '{0}' && chown {NOBODY}:{NOBODY} '{0}'", path.display()));
}
