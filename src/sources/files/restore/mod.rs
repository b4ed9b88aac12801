//! Writing a tree back, and comparing it with what the package says.
//!
//! Never writes outside the target directory, never through a symbolic link, never over a member already written. With
//! `replace` it writes over what the package names and removes nothing else. What cannot be restored fails it, but keeps
//! nothing else from being restored and compared.

mod choose;
mod closed;
mod compare;
mod folder;
mod metadata;
mod places;
mod pool;
mod refused;
mod visitor;

use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::globs::Globs;
use super::{Error, shown};
use crate::package::Package;
use crate::sources::{Request, Restored};
use choose::{Chosen, Listing};
use closed::Closed;
use folder::Open;
use places::Mark;
use refused::Refused;
use visitor::Writing;

/// How the target is opened. It may be a symbolic link: whoever restores has named it.
const TARGET: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What a restore was told, and what it learns on the way. Shared by all threads.
#[derive(Debug)]
struct Shared {
    target: PathBuf,
    replace: bool,
    /// Whether owners are set: we are root, and were not told to leave them.
    owners: bool,
    devices: bool,
    /// What is wanted, if that is not everything.
    only: Option<Globs>,
    chosen: Option<Arc<Chosen>>,
    /// Directories that were made for what comes before them in the archive, until they come themselves.
    made_early: Mutex<HashSet<Mark>>,
    failure: Mutex<Option<Error>>,
    refused: Mutex<Refused>,
    stop: CancellationToken,
    /// What could not be put back, by reason: how often, and the first path.
    unrestorable: Mutex<BTreeMap<String, (u64, String)>>,
    /// Directories that were there before and are someone else's, or only lead to what is wanted, by path: their
    /// metadata stays theirs.
    left_alone: Mutex<HashSet<Vec<u8>>>,
    /// Whether there is an ACL that could not be put back: then a group may have less than the mode says.
    acls_lost: AtomicBool,
    /// Directories that get their modes at the end.
    closed: Closed,
    bytes: AtomicU64,
}

impl Shared {
    fn full(&self, path: &[u8]) -> String {
        format!("{}/{}", self.target.display().to_string().trim_end_matches('/'), shown(path))
    }

    fn error(&self, action: &'static str, path: &[u8], cause: rustix::io::Errno) -> Error {
        Error::Write { action, path: self.full(path), cause: cause.into() }
    }

    /// Keeps the first failure.
    fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Notes that an entry could not be restored, or fails with what ended it if the others would end the same.
    fn refuse(&self, path: &[u8], error: Error) -> Result<(), Error> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).note(path, error)
    }

    fn is_refused(&self, path: &[u8]) -> bool {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    /// Fails if there is anything that could not be restored.
    fn all_restored(&self) -> Result<(), Error> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).verdict("").map_or(Ok(()), Err)
    }

    /// The failure of any thread so far, or the wish to stop.
    fn check(&self) -> Result<(), Error> {
        if self.stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn cannot(&self, what: String, path: &[u8]) {
        let mut all = self.unrestorable.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(what).or_insert_with(|| (0, self.full(path))).0 += 1;
    }

    /// Notes a directory of someone else's.
    fn leave_alone(&self, path: &[u8]) {
        self.cannot("mode and times of a directory of another owner".to_owned(), path);
        self.spare(path);
    }

    /// Notes a directory whose metadata is not to be compared.
    fn spare(&self, path: &[u8]) {
        self.left_alone.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_vec());
    }

    /// Whether a directory is there only for what is wanted below it.
    fn only_leads(&self, path: &[u8]) -> bool {
        self.only.as_ref().is_some_and(|only| path == b"." || !only.covers(path, true))
    }

    fn is_left_alone(&self, path: &[u8]) -> bool {
        self.left_alone.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    fn notes(&self) -> Vec<String> {
        let all = self.unrestorable.lock().unwrap_or_else(PoisonError::into_inner);
        let note = |(what, (count, first)): (&String, &(u64, String))| {
            format!("{what} could not be restored: {count} entries, the first `{first}`")
        };
        all.iter().map(note).collect()
    }
}

#[cfg(test)]
impl Shared {
    /// A restore into `target` by someone who is not root, for tests.
    fn of(target: &Path) -> Self {
        Self {
            target: target.to_owned(),
            replace: false,
            owners: false,
            devices: true,
            only: None,
            chosen: None,
            made_early: Mutex::default(),
            failure: Mutex::default(),
            refused: Mutex::default(),
            stop: CancellationToken::new(),
            unrestorable: Mutex::default(),
            left_alone: Mutex::default(),
            acls_lost: AtomicBool::new(false),
            closed: Closed::default(),
            bytes: AtomicU64::new(0),
        }
    }
}

/// Restores to where the request says, or to the `configured` directory.
pub(super) async fn restore(
    package: &Package,
    request: &Request,
    configured: Option<&PathBuf>,
    stop: &CancellationToken,
) -> Result<Restored, Error> {
    let target = request.into.as_ref().map(PathBuf::from).or_else(|| configured.cloned());
    let target = target.ok_or(Error::NoTarget)?;
    let known = ["no-owner", "no-devices"];
    if let Some(unknown) = request.switches.iter().find(|switch| !known.contains(&switch.as_str())) {
        return Err(Error::Switch(unknown.clone()));
    }
    let has = |switch: &str| request.switches.iter().any(|given| given == switch);
    refuse_if_filled(&target, request.replace)?;
    let only = Globs::new(&request.only)?;
    let only = (!only.is_empty()).then_some(only);
    let chosen = match &only {
        None => None,
        Some(only) => Some(Arc::new(choose::choose(package, only.clone()).await?)),
    };
    if request.dry_run {
        return Listing::of(package, chosen, &target, request.replace).await;
    }
    let shared = Arc::new(Shared {
        target: target.clone(),
        replace: request.replace,
        owners: rustix::process::geteuid().is_root() && !has("no-owner"),
        devices: !has("no-devices"),
        only,
        chosen: chosen.clone(),
        made_early: Mutex::default(),
        failure: Mutex::default(),
        refused: Mutex::default(),
        stop: stop.clone(),
        unrestorable: Mutex::default(),
        left_alone: Mutex::default(),
        acls_lost: AtomicBool::new(false),
        closed: Closed::default(),
        bytes: AtomicU64::new(0),
    });
    let root = open_target(&target, &shared)?;
    // Opened before anything is written: it is told of what goes wrong from here on.
    let disk = fs::open(&target, TARGET, Mode::empty()).map_err(|error| shared.error("open", b"", error))?;
    let writing = Writing::new(Arc::clone(&shared), root)?;
    let read = package.read(choose::selection(chosen.as_ref()), writing).await;
    // A writer's failure is the cause when the reading was given up for it.
    shared.check()?;
    let writing = read?;
    let written =
        tokio::task::spawn_blocking(move || writing.finish()).await.map_err(|_| Error::Thread)??;
    let flushing = Arc::clone(&shared);
    tokio::task::spawn_blocking(move || flush(&flushing, &disk)).await.map_err(|_| Error::Thread)??;
    let counts = written.counts();
    let compared = compare::compare(package, Arc::clone(&shared), chosen, written).await;
    let closed = shared.closed.close(&shared);
    let compared = compared?;
    closed?;
    shared.all_restored()?;
    Ok(Restored { counts, bytes: shared.bytes.load(Ordering::Relaxed), compared, notes: shared.notes() })
}

/// Has everything reach the disk or the file server. What is lost on the way there, on a volume that promises more than
/// it has or over a quota that is counted elsewhere, is told only now: until then even reading it again finds it.
fn flush(shared: &Shared, disk: &OwnedFd) -> Result<(), Error> {
    match fs::syncfs(disk) {
        // Sandboxes that do not know the call.
        Err(Errno::NOSYS) => Ok(()),
        flushed => flushed.map_err(|error| shared.error("write back what was restored into", b"", error)),
    }
}

/// Refuses a target with anything in it, unless it may be replaced. A target that is not there is fine, and so is a new
/// file system.
fn refuse_if_filled(target: &Path, replace: bool) -> Result<(), Error> {
    let fail = |cause| Error::Root { path: target.display().to_string(), cause };
    match std::fs::read_dir(target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(fail(error)),
        Ok(_) if replace => Ok(()),
        Ok(entries) => {
            for entry in entries {
                if !is_lost_and_found(&entry.map_err(fail)?) {
                    return Err(Error::NotEmpty(target.display().to_string()));
                }
            }
            Ok(())
        }
    }
}

/// Whether this is the directory that a new file system of the ext family has in its root, with nothing in it, as far as
/// we may look.
fn is_lost_and_found(entry: &std::fs::DirEntry) -> bool {
    entry.file_name() == "lost+found"
        && entry.file_type().is_ok_and(|kind| kind.is_dir())
        && match std::fs::read_dir(entry.path()) {
            Ok(mut found) => found.next().is_none(),
            Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
        }
}

fn open_target(target: &Path, shared: &Arc<Shared>) -> Result<Arc<Open>, Error> {
    let fail = |cause| Error::Root { path: target.display().to_string(), cause };
    let found = target.exists();
    std::fs::create_dir_all(target).map_err(fail)?;
    let fd = fs::open(target, TARGET, Mode::empty()).map_err(|error| fail(error.into()))?;
    if !(found && shared.only.is_some()) {
        metadata::clear_acls(&fd);
    }
    Ok(Open::new(fd, Vec::new(), found, shared))
}
