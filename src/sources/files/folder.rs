//! Open directories and their listings.
//!
//! A directory is listed in parts while what it holds is handed over, so it may change meanwhile. A name that is there
//! all the time is always listed, but a file that is renamed may be passed by under both names. So the directory's
//! times are compared before and after, and if they moved, it is listed again for the names that are new. That takes
//! moments and is repeated: a file is missed only if it is renamed during each of [`PASSES`] listings, the later ones
//! right one after another. No name is listed twice. A directory in which files always come and go is no failure.
//!
//! What is moved from one directory into another that was listed before is not found: only a snapshot shows a whole tree
//! at one time.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{self, AtFlags, FileType, RawDir, SeekFrom};
use rustix::io::Errno;

use super::seen::{Room, Seen};
use super::stamp::{Stamp, look, stamp};

/// How often a directory is listed that changes meanwhile.
const PASSES: u32 = 4;

/// What all open directories share.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// How many there are.
    pub(super) open: AtomicUsize,
    /// Room for the names of those that are listed in parts.
    pub(super) room: Arc<Room>,
}

/// About how many names one listing brings. A directory with more is read on when its turn comes.
pub(super) const BATCH: usize = 512;

/// An open directory below the root, or the root itself. Everything in it is reached through its descriptor, so that
/// no path is ever too long and nothing that is renamed meanwhile leads elsewhere.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: Vec<u8>,
    folders: Arc<Folders>,
    progress: Mutex<Progress>,
}

/// How far a directory has been listed.
#[derive(Debug)]
struct Progress {
    /// The directory as it was before this listing of it began; `None`: it is about to begin.
    before: Option<Stamp>,
    passes: u32,
    /// Whether this is the first part.
    first: bool,
    seen: Seen,
}

/// A part of a listing.
#[derive(Debug)]
pub(super) struct Part {
    /// Names, sorted among themselves.
    pub(super) names: Vec<Name>,
    /// Whether there may be more.
    pub(super) more: bool,
    /// Whether the directory changed, and had too many names to remember which were listed: some may be missing, or
    /// listed twice.
    pub(super) unsettled: bool,
}

impl Folder {
    /// Wraps an open directory that was as `before` says when it was opened.
    pub(super) fn new(fd: OwnedFd, path: Vec<u8>, before: Stamp, folders: &Arc<Folders>) -> Arc<Self> {
        folders.open.fetch_add(1, Ordering::Relaxed);
        let progress =
            Progress { before: Some(before), passes: 1, first: true, seen: Seen::new(&folders.room) };
        Arc::new(Self { fd, path, folders: Arc::clone(folders), progress: Mutex::new(progress) })
    }

    /// The descriptor.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The path below the root; empty for the root.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The path of an entry of this directory.
    pub(super) fn below(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(self.path.len() + 1 + name.len());
        path.extend_from_slice(&self.path);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }

    /// Whether there is an entry of this name, although opening it says that there is none: a mount whose server is away,
    /// or a file of which another client keeps the name until it closes it. What is there was not deleted.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).err() != Some(Errno::NOENT)
    }

    /// Reads the next names.
    pub(super) fn list(&self) -> Result<Part, Errno> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = Vec::new();
        loop {
            let before = match progress.before {
                Some(before) => before,
                None => stamp(&self.fd)?,
            };
            progress.before = Some(before);
            let ended = self.read(&mut progress, &mut names)?;
            let moved = ended && self.stamp_at_the_end()? != before;
            // Most directories end with their first part: what they hold need not be remembered.
            if std::mem::take(&mut progress.first) && (moved || !ended) {
                names.retain(|name| progress.seen.insert(&name.bytes));
            }
            let unsettled = moved && progress.seen.is_full();
            if moved && !unsettled && progress.passes < PASSES {
                progress.passes += 1;
                progress.before = None;
                fs::seek(&self.fd, SeekFrom::Start(0))?;
                continue;
            }
            names.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
            return Ok(Part { names, more: !ended, unsettled });
        }
    }

    /// Reads names that are new until there are enough, or to the end. Says whether this is the end.
    fn read(&self, progress: &mut Progress, names: &mut Vec<Name>) -> Result<bool, Errno> {
        let mut buffer = vec![MaybeUninit::<u8>::uninit(); 32 << 10];
        let mut entries = RawDir::new(&self.fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." && (progress.first || progress.seen.insert(name)) {
                names.push(Name { bytes: name.into(), hint: entry.file_type() });
            }
            // Stopping anywhere else would lose the names that are in the buffer.
            if entries.is_buffer_empty() && names.len() >= BATCH {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The directory as it is now. One that was removed ends early, as if it had no more names.
    fn stamp_at_the_end(&self) -> Result<Stamp, Errno> {
        let (stamp, links) = look(&self.fd)?;
        if links == 0 { Err(Errno::NOENT) } else { Ok(stamp) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.folders.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An entry of a directory as a listing shows it.
#[derive(Debug)]
pub(super) struct Name {
    /// The name.
    pub(super) bytes: Box<[u8]>,
    /// What it was when it was listed. Some file systems do not say.
    pub(super) hint: FileType,
}

/// What one step of listing a directory brought.
#[derive(Debug)]
pub(super) struct Listing {
    /// The directory.
    pub(super) folder: Arc<Folder>,
    /// The names that are wanted.
    pub(super) names: Vec<Name>,
    /// Whether the directory must be read on after these.
    pub(super) more: bool,
    /// How many names `include` and `exclude` took out.
    pub(super) excluded: u64,
    /// As in [`Part`]; only if that is accepted.
    pub(super) unsettled: bool,
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use super::*;

    fn directory(files: usize) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..files {
            std::fs::write(dir.path().join(format!("old-{number}")), "").unwrap();
        }
        dir
    }

    fn open(dir: &Path, most: usize) -> Arc<Folder> {
        let folders = Folders { room: Arc::new(Room::new(most)), ..Folders::default() };
        let fd = OwnedFd::from(std::fs::File::open(dir).unwrap());
        let before = stamp(&fd).unwrap();
        Folder::new(fd, Vec::new(), before, &Arc::new(folders))
    }

    fn texts(part: &Part) -> Vec<String> {
        part.names.iter().map(|name| String::from_utf8(name.bytes.to_vec()).unwrap()).collect()
    }

    /// Lists to the end, with something that happens after the first part. Says whether it is settled.
    fn listed(folder: &Folder, meanwhile: impl FnOnce(&[String])) -> (Vec<String>, bool) {
        let mut part = folder.list().unwrap();
        let mut names = texts(&part);
        meanwhile(&names);
        while part.more {
            part = folder.list().unwrap();
            names.extend(texts(&part));
        }
        (names, !part.unsettled)
    }

    /// Renames whatever has not been listed.
    fn rename_the_rest(dir: &Path, files: usize, listed: &[String]) {
        let listed: BTreeSet<&String> = listed.iter().collect();
        for number in 0..files {
            let old = format!("old-{number}");
            if !listed.contains(&old) {
                std::fs::rename(dir.join(old), dir.join(format!("new-{number}"))).unwrap();
            }
        }
    }

    #[test]
    fn files_that_are_renamed_between_two_parts_are_listed_once() {
        let dir = directory(5_000);
        let (names, settled) = listed(&open(dir.path(), 10_000), |first| {
            assert!((BATCH..4_000).contains(&first.len()), "not in parts: {}", first.len());
            rename_the_rest(dir.path(), 5_000, first);
        });
        assert!(settled);
        let mut inodes = BTreeMap::new();
        for name in &names {
            // The file system may have read old names ahead: they are listed and gone, which fails by name.
            if let Ok(stat) = std::fs::symlink_metadata(dir.path().join(name)) {
                assert_eq!(inodes.insert(stat.ino(), name), None, "{name} twice");
            }
        }
        assert_eq!(inodes.len(), 5_000);
    }

    #[test]
    fn names_that_are_made_again_are_listed_once() {
        let dir = directory(5_000);
        let (names, settled) = listed(&open(dir.path(), 10_000), |first| {
            for name in first {
                std::fs::remove_file(dir.path().join(name)).unwrap();
                std::fs::write(dir.path().join(name), "").unwrap();
            }
        });
        assert!(settled);
        assert_eq!(names.len(), 5_000);
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>().len(), 5_000);
    }

    #[test]
    fn too_many_names_to_remember_are_no_loss_unless_the_directory_changes() {
        let dir = directory(5_000);
        let (names, settled) = listed(&open(dir.path(), 100), |_| ());
        assert!(settled && names.len() == 5_000);
        let (_, settled) = listed(&open(dir.path(), 100), |first| rename_the_rest(dir.path(), 5_000, first));
        assert!(!settled);
    }

    #[test]
    fn a_directory_that_never_rests_is_listed_with_everything_that_stays_in_it() {
        let dir = directory(3_000);
        let (stop, path) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), dir.path().join("restless"));
        let stopped = Arc::clone(&stop);
        let restless = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::fs::write(&path, "").unwrap();
                std::fs::remove_file(&path).unwrap();
            }
        });
        for _ in 0..20 {
            let (names, settled) = listed(&open(dir.path(), 10_000), |_| ());
            let steady = names.iter().filter(|name| name.starts_with("old-")).collect::<BTreeSet<_>>();
            assert!(settled && steady.len() == 3_000 && names.len() <= 3_001);
        }
        stop.store(true, Ordering::Relaxed);
        restless.join().unwrap();
    }
}
