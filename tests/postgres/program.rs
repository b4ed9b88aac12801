//! The program itself, from its configuration to the store.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::faults::ROWS;
use crate::support::postgres::shared;
use crate::support::{chupacabra, run, scratch, tool};

/// A configuration with one PostgreSQL source and one store, in a temporary directory.
pub(crate) struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    /// The keys of the source, as YAML has them in braces.
    pub(crate) fn new(source: &str) -> Self {
        let site = Self { dir: scratch() };
        let key = site.dir.path().join("key.txt");
        run(Command::new(tool("age-keygen")).arg("-o").arg(&key));
        let recipient = run(Command::new(tool("age-keygen")).arg("-y").arg(&key)).stdout;
        std::fs::create_dir(site.store()).unwrap();
        let yaml = format!(
            "encryption: {{ recipients: [{}] }}\nstores: {{ here: {{ local: {{ path: {} }} }} }}\nsources: {{ db: {{ postgres: {{ {source} }} }} }}\n",
            String::from_utf8(recipient).unwrap().trim(),
            site.store().display()
        );
        std::fs::write(site.dir.path().join("chupacabra.yaml"), yaml).unwrap();
        site
    }

    /// The directory of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Runs a backup to its end.
    pub(crate) fn backup(&self) -> Output {
        let mut command = chupacabra();
        command.args(["backup", "--config"]).arg(self.dir.path().join("chupacabra.yaml"));
        command.env("CHUPACABRA_LOG_FORMAT", "human").stdin(Stdio::null()).output().unwrap()
    }

    /// Every file in the store that belongs to a package, temporary ones too.
    pub(crate) fn stored(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.store().join("db")).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_store_that_is_full_has_no_backup() {
    assert!(rustix::process::geteuid().is_root(), "mounting a small tmpfs needs root");
    let cluster = shared();
    cluster.database("too_much", ROWS);
    let site =
        Site::new(&format!("host: 127.0.0.1, port: {}, database: too_much, globals: false", cluster.port));
    let store = site.store();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&store));
    let mounted = Mounted(&store);
    let output = site.backup();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(site.stored(), Vec::<String>::new());
    drop(mounted);
    // With room the same configuration makes one.
    let output = site.backup();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(site.stored().len(), 3, "{:?}", site.stored());
}
