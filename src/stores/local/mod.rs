//! The local store: a directory, for example on a mounted volume.
//!
//! An object is written to a hidden temporary file beside its final name, flushed to the medium, read back, renamed
//! without overwriting, and the directory is flushed. It never keeps anything but objects in its directory, and never
//! touches files that it did not write.

pub mod config;
mod download;
mod read_back;
mod upload;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use super::{Download, Error, Finding, Intent, Listed, ObjectName, Reason, Severity, Store, Upload};
use crate::catalog::key::SourceName;
use crate::clock::Timestamp;

pub use config::{Config, Plan};

/// How the name of a temporary file ends. It begins with a dot.
const PART: &str = ".part";

/// A directory that keeps objects.
#[derive(Debug, Clone)]
pub struct Local {
    root: PathBuf,
    answers: Answers,
}

impl Local {
    /// A store in this directory.
    pub fn new(plan: &Plan) -> Self {
        Self { root: plan.path.clone(), answers: Answers::default() }
    }

    fn path(&self, name: &ObjectName) -> PathBuf {
        self.root.join(name.as_str())
    }
}

#[async_trait]
impl Store for Local {
    async fn create(&self, name: &ObjectName, _: &Intent) -> Result<Box<dyn Upload>, Error> {
        let (root, path, answers) = (self.root.clone(), self.path(name), self.answers.clone());
        let created = move || upload::LocalUpload::create(&root, &path, answers);
        self.answers.blocking(created).await.map(|upload| Box::new(upload) as _)
    }

    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, Error> {
        let (path, answers) = (self.path(name), self.answers.clone());
        self.answers.blocking(move || download::open(&path, range, answers)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        self.answers
            .blocking(move || {
                let mut found = Vec::new();
                walk(&root, &prefix, &mut |name, meta| {
                    if !name.rsplit('/').next().is_some_and(is_part) {
                        let listed = |name| Listed { name, size: meta.len(), modified: modified(&meta) };
                        found.extend(ObjectName::new(name).ok().map(listed));
                    }
                })?;
                found.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(found)
            })
            .await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        let path = self.path(name);
        self.answers
            .blocking(move || match fs::remove_file(&path) {
                Ok(()) => sync_parent(&path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(told(&path, "remove", error)),
            })
            .await
    }

    async fn sweep(&self, prefix: &str, before: Timestamp, dry_run: bool) -> Result<Vec<String>, Error> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        self.answers
            .blocking(move || {
                let mut stale = Vec::new();
                walk(&root, &prefix, &mut |name, meta| {
                    let part = name.rsplit('/').next().is_some_and(upload::is_temporary);
                    if part && modified(&meta) < before {
                        stale.push(name);
                    }
                })?;
                for name in stale.iter().filter(|_| !dry_run) {
                    let path = root.join(name);
                    fs::remove_file(&path).map_err(|error| told(&path, "remove", error))?;
                }
                Ok(stale)
            })
            .await
    }

    async fn check(&self) -> Vec<Finding> {
        let root = self.root.clone();
        match self.answers.blocking(move || check(&root)).await {
            Ok(findings) => findings,
            Err(error) => {
                let help = error.help.clone().unwrap_or_default();
                vec![Finding {
                    severity: Severity::Bad,
                    topic: "write".into(),
                    what: error.to_string(),
                    help,
                }]
            }
        }
    }
}

/// How long one step of file work may take: longer than a file server's restart.
const PATIENCE: Duration = Duration::from_mins(10);

/// How long, while the directory is gone. Each step of each source would wait ten minutes for a file server that does not
/// come back, and take the other stores' time.
const WHILE_GONE: Duration = Duration::from_secs(30);

/// Whether the directory answered when it was last asked.
#[derive(Debug, Clone)]
struct Answers {
    gone: Arc<AtomicBool>,
    while_gone: Duration,
}

impl Default for Answers {
    fn default() -> Self {
        Self { gone: Arc::default(), while_gone: WHILE_GONE }
    }
}

impl Answers {
    /// Runs a step of file work away from the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.within(PATIENCE, work).await
    }

    /// Runs a step of file work away from the async threads.
    ///
    /// A file server that is gone keeps whoever asks it waiting until it comes back, and no signal ends that. So a step
    /// that takes too long is given up, its thread left behind: the other stores of a run must get their packages.
    async fn within<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let gone = self.gone.load(Ordering::Relaxed);
        let patience = if gone { patience.min(self.while_gone) } else { patience };
        let lost = |error| Error::new(Reason::Rejected, "a file operation was lost").because(error);
        let done = tokio::time::timeout(patience, spawn_blocking(work)).await;
        self.gone.store(done.is_err(), Ordering::Relaxed);
        match done {
            Ok(done) => done.map_err(lost)?,
            Err(_) => Err(Error::new(
                Reason::Transient(None),
                format!("the directory has not answered for {patience:.0?}"),
            )
            .help("see whether the file server is there, and the disk in order")),
        }
    }
}

/// An I/O error in the words of a store.
fn told(path: &Path, doing: &str, error: io::Error) -> Error {
    use io::ErrorKind as Kind;
    let (reason, help) = match error.kind() {
        Kind::NotFound => (Reason::NotFound, None),
        Kind::AlreadyExists => (Reason::Exists, None),
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            (Reason::Denied, Some("let the user that runs chupacabra write to this directory"))
        }
        Kind::StorageFull | Kind::QuotaExceeded => {
            (Reason::Full, Some("free some space, or shorten the retention"))
        }
        _ => (Reason::Rejected, None),
    };
    let told = Error::new(reason, format!("cannot {doing} `{}`", path.display())).because(error);
    match help {
        Some(help) => told.help(help),
        None => told,
    }
}

/// Calls `visit` with the relative name of every regular file whose name begins with `prefix`.
///
/// Only directories that may hold such a file are looked at. One that cannot be read fails the walk: what is not listed
/// is taken for absent. Not so what others keep in the root under a name that no source can have, as `lost+found`,
/// `.snapshots` and `.Trash-0`: no key begins with it. A source's directory may be a link to another disk.
fn walk(root: &Path, prefix: &str, visit: &mut dyn FnMut(String, fs::Metadata)) -> Result<(), Error> {
    let mut pending = vec![(root.to_path_buf(), String::new())];
    while let Some((dir, parent)) = pending.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && dir == root => return Ok(()),
            Err(_) if is_foreign(&parent) => continue,
            other => other.map_err(|error| told(&dir, "list", error))?,
        };
        for entry in entries {
            let entry = match entry {
                Err(_) if is_foreign(&parent) => break,
                other => other.map_err(|error| told(&dir, "list", error))?,
            };
            let Ok(file) = entry.file_name().into_string() else { continue };
            let name = format!("{parent}{file}");
            let below = format!("{name}/");
            let leads_there = below.starts_with(prefix) || prefix.starts_with(&below);
            if !leads_there && !name.starts_with(prefix) {
                continue;
            }
            let meta = match examine(&entry, parent.is_empty() && leads_there) {
                // Another run removed it meanwhile.
                Ok(None) => continue,
                Err(_) if is_foreign(&below) => continue,
                Ok(Some(meta)) => meta,
                Err(error) => return Err(told(&entry.path(), "examine", error)),
            };
            if meta.is_dir() && leads_there {
                pending.push((entry.path(), below));
            } else if meta.is_file() && name.starts_with(prefix) {
                visit(name, meta);
            }
        }
    }
    Ok(())
}

/// What an entry is; `None` if it is gone. With `follow` a link counts as the directory that it leads to: where that is
/// gone, a disk is not there.
fn examine(entry: &fs::DirEntry, follow: bool) -> io::Result<Option<fs::Metadata>> {
    let meta = match entry.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        meta => meta?,
    };
    if !(follow && meta.is_symlink()) {
        return Ok(Some(meta));
    }
    fs::metadata(entry.path()).map(|there| Some(if there.is_dir() { there } else { meta }))
}

/// Whether a path leads into something in the root that is not a source's directory.
fn is_foreign(path: &str) -> bool {
    path.split_once('/').is_some_and(|(top, _)| top.parse::<SourceName>().is_err())
}

fn is_part(file: &str) -> bool {
    file.starts_with('.') && file.ends_with(PART)
}

fn modified(meta: &fs::Metadata) -> Timestamp {
    meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Flushes the directory that holds `path`, so that a name in it survives a crash, wherever directories can be flushed:
/// shared folders of virtual machines have no such call.
fn sync_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(path);
    match fs::File::open(parent).and_then(|dir| dir.sync_all()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        synced => synced.map_err(|error| told(parent, "flush", error)),
    }
}

fn check(root: &Path) -> Result<Vec<Finding>, Error> {
    upload::make_root(root)?;
    let probe = root.join(format!(".check-{:016x}{PART}", rand::random::<u64>()));
    let good = |topic: &str, what: String| Finding {
        severity: Severity::Good,
        topic: topic.into(),
        what,
        help: String::new(),
    };
    fs::write(&probe, b"chupacabra").map_err(|error| told(&probe, "write", error))?;
    let read = fs::read(&probe);
    fs::remove_file(&probe).map_err(|error| told(&probe, "remove", error))?;
    if read.map_err(|error| told(&probe, "read", error))? != b"chupacabra" {
        return Err(Error::new(Reason::Corrupt, format!("`{}` reads back differently", probe.display())));
    }
    let mut findings = vec![good("write", format!("`{}` can be written, read and deleted", root.display()))];
    // What a later listing would stumble over is better said now.
    walk(root, "", &mut |_, _| ())?;
    let space = rustix::fs::statvfs(root).map_err(|error| told(root, "examine", error.into()))?;
    let free = crate::config::units::ByteSize(space.f_bavail.saturating_mul(space.f_frsize));
    findings.push(good("space", format!("{free} free")));
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn store() -> (tempfile::TempDir, Local) {
        let dir = tempfile::tempdir().unwrap();
        let store = Local::new(&Plan { path: dir.path().join("store") });
        (dir, store)
    }

    fn name(text: &str) -> ObjectName {
        ObjectName::new(text).unwrap()
    }

    #[tokio::test]
    async fn leftovers_are_not_listed_and_are_swept_by_age() {
        let (_dir, store) = store();
        let mut upload = store.create(&name("a/b"), &Intent::default()).await.unwrap();
        upload.write(Bytes::from_static(b"half")).await.unwrap();
        std::mem::forget(upload);
        assert_eq!(store.list("").await.unwrap(), []);
        let long_ago = Timestamp::from_second(1_000_000_000).unwrap();
        assert!(store.sweep("", long_ago, false).await.unwrap().is_empty());
        let later = Timestamp::from_second(4_000_000_000).unwrap();
        assert_eq!(store.sweep("", later, true).await.unwrap().len(), 1);
        assert_eq!(store.sweep("", later, false).await.unwrap().len(), 1);
        assert!(store.sweep("", later, false).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_directory_that_does_not_answer_is_given_up() {
        let (answer, answered) = std::sync::mpsc::channel();
        let work = move || Ok(answered.recv().is_ok());
        let (patience, answers) = (Duration::from_millis(50), Answers::default());
        let error = answers.within(patience, work).await.unwrap_err();
        assert!(error.is_transient() && error.message.contains("has not answered for 50ms"), "{error}");
        answer.send(()).unwrap_or_default();
        assert!(answers.within(Duration::from_mins(1), || Ok(true)).await.unwrap());
    }

    #[tokio::test]
    async fn a_directory_that_is_gone_is_not_waited_for_long_again() {
        let answers = Answers { while_gone: Duration::from_millis(20), ..Answers::default() };
        for (patience, waited) in [(Duration::from_millis(50), "50ms"), (PATIENCE, "20ms")] {
            let (answer, answered) = std::sync::mpsc::channel::<()>();
            let error = answers.within(patience, move || Ok(answered.recv().is_ok())).await.unwrap_err();
            assert!(error.message.ends_with(waited), "{error}");
            drop(answer);
        }
        // One answer, and it is waited for as before.
        let slow = || {
            std::thread::park_timeout(Duration::from_millis(200));
            Ok(())
        };
        while answers.within(PATIENCE, || Ok(())).await.is_err() {}
        answers.within(PATIENCE, slow).await.unwrap();
    }

    #[tokio::test]
    async fn a_missing_parent_is_not_made_up() {
        let dir = tempfile::tempdir().unwrap();
        let store = Local::new(&Plan { path: dir.path().join("not-mounted/store") });
        let error = store.create(&name("a/b"), &Intent::default()).await.err().unwrap();
        assert_eq!(error.reason, Reason::NotFound);
        assert!(error.help.unwrap().contains("mounted"));
        let findings = store.check().await;
        assert_eq!(findings[0].severity, Severity::Bad);
    }
}
