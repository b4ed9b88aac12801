//! A tree, a key pair and a configuration in a temporary directory, and the program run on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use chupacabra::catalog::Scan;
use chupacabra::stores::Store;
use chupacabra::stores::local::{Local, Plan};

use super::{chupacabra, run};

/// A source `web` (a tree), a store `here` (a directory) and a key, all in one temporary directory.
pub struct Site {
    dir: tempfile::TempDir,
    /// The public key that packages are sealed for.
    pub recipient: String,
}

impl Site {
    /// Makes the key with the stock `age-keygen`, and a configuration; `files` are further keys of the source.
    pub fn new(files: &str) -> Self {
        Self::with_store(files, None)
    }

    /// As [`new`](Self::new), with the store in a directory of the caller's.
    pub fn with_store(files: &str, store: Option<&Path>) -> Self {
        let dir = super::scratch();
        let key = dir.path().join("key.txt");
        run(Command::new("age-keygen").arg("-o").arg(&key));
        let recipient = run(Command::new("age-keygen").arg("-y").arg(&key)).stdout;
        let recipient = String::from_utf8(recipient).unwrap().trim().to_owned();
        let site = Self { dir, recipient };
        std::fs::create_dir(site.tree()).unwrap();
        let store = store.map_or(site.store(), Path::to_path_buf);
        let yaml = format!(
            "encryption: {{ recipients: [{}], identity: {{ file: {} }} }}\n\
             stores: {{ here: {{ local: {{ path: {} }} }} }}\n\
             sources: {{ web: {{ files: {{ path: {}{files} }} }} }}\n",
            site.recipient,
            key.display(),
            store.display(),
            site.tree().display(),
        );
        std::fs::write(site.config(), yaml).unwrap();
        site
    }

    /// The temporary directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The tree that is backed up.
    pub fn tree(&self) -> PathBuf {
        self.dir().join("tree")
    }

    /// The directory of the store.
    pub fn store(&self) -> PathBuf {
        self.dir().join("store")
    }

    /// The private key.
    pub fn key(&self) -> PathBuf {
        self.dir().join("key.txt")
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.dir().join("chupacabra.yaml")
    }

    /// The program with this configuration and these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = chupacabra();
        command.arg("--config").arg(self.config()).args(args);
        command
    }

    /// Runs the program to its end.
    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs the program and fails the test unless it exits with 0.
    pub fn good(&self, args: &[&str]) -> String {
        String::from_utf8(run(&mut self.command(args)).stdout).unwrap()
    }

    /// The store as the library sees it.
    pub fn open_store(&self) -> Arc<dyn Store> {
        Arc::new(Local::new(&Plan { path: self.store() }))
    }

    /// What the store has.
    pub fn scan(&self) -> Scan {
        tokio::runtime::Runtime::new().unwrap().block_on(Scan::of(&self.open_store(), None)).unwrap()
    }

    /// The newest package's file.
    pub fn newest_package(&self) -> PathBuf {
        let scan = self.scan();
        self.store().join(scan.packages.last().expect("a package").record.key.to_string())
    }

    /// Temporary files in the store.
    pub fn leftovers(&self) -> usize {
        let files = std::fs::read_dir(self.store().join("web")).into_iter().flatten().flatten();
        files.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).count()
    }
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
