//! A configuration with one redis source, a store and a key, and the program run on it.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support::{chupacabra, run, scratch, shell};

/// A source `cache` and a store `here` in a temporary directory.
pub(crate) struct Site {
    pub(crate) dir: tempfile::TempDir,
}

impl Site {
    /// `source` is the body of the `redis:` mapping in flow style, without braces.
    pub(crate) fn new(source: &str) -> Self {
        let site = Self { dir: scratch() };
        run(Command::new("age-keygen").arg("-o").arg(site.key()));
        site.configure(source);
        site
    }

    /// A source on a loopback port.
    pub(crate) fn at(port: u16, more: &str) -> Self {
        Self::new(&format!("host: 127.0.0.1, port: {port}{more}"))
    }

    /// Writes the configuration again.
    pub(crate) fn configure(&self, source: &str) {
        let recipient = run(Command::new("age-keygen").arg("-y").arg(self.key())).stdout;
        let yaml = format!(
            "encryption: {{ recipients: [{}], identity: {{ file: {} }} }}\n\
             stores: {{ here: {{ local: {{ path: {} }} }} }}\n\
             sources: {{ cache: {{ redis: {{ {source} }} }} }}\n",
            String::from_utf8(recipient).unwrap().trim(),
            self.key().display(),
            self.dir.path().join("store").display(),
        );
        std::fs::write(self.dir.path().join("chupacabra.yaml"), yaml).unwrap();
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.txt")
    }

    /// The program with these arguments.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = chupacabra();
        command.arg("--config").arg(self.dir.path().join("chupacabra.yaml")).args(args);
        command
    }

    /// Runs the program and fails the test unless it exits with 0.
    pub(crate) fn good(&self, args: &[&str]) -> String {
        let output = run(&mut self.command(args));
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    /// Runs the program, fails the test unless it fails, and returns everything it said.
    pub(crate) fn bad(&self, args: &[&str]) -> String {
        let output: Output = self.command(args).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{args:?} should fail: {said}");
        said
    }

    /// The newest package.
    pub(crate) fn package(&self) -> PathBuf {
        let mut packages: Vec<PathBuf> = std::fs::read_dir(self.dir.path().join("store/cache"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(".tar.gz.age"))
            .collect();
        packages.sort();
        packages.pop().expect("a package")
    }

    /// Whether anything is recorded.
    pub(crate) fn has_record(&self) -> bool {
        let store = std::fs::read_dir(self.dir.path().join("store/cache")).into_iter().flatten();
        store.flatten().any(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
    }

    /// The newest record.
    pub(crate) fn record(&self) -> serde_json::Value {
        let path = self.package().display().to_string().replace(".tar.gz.age", ".json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The RDB file in the newest package, taken out with stock tools alone.
    pub(crate) fn rdb(&self) -> PathBuf {
        let rdb = self.dir.path().join("out.rdb");
        shell(&format!(
            "age -d -i {} {} | tar xzO > {}",
            self.key().display(),
            self.package().display(),
            rdb.display()
        ));
        rdb
    }

    /// The line that the newest package's index has of an object, taken out with stock tools alone.
    pub(crate) fn indexed(&self, object: &str) -> String {
        let index = self.package().display().to_string().replace(".tar.gz.age", ".index.age");
        let lines = shell(&format!("age -d -i {} {index} | gzip -dc", self.key().display()));
        let lines = String::from_utf8(lines).unwrap();
        let line = lines
            .lines()
            .find(|line| line.contains(&format!("\"{object}\"")) && line.contains("fingerprint"));
        line.unwrap_or_else(|| panic!("no {object} in {lines}")).to_owned()
    }
}
