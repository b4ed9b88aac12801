//! What was written against what the index says: every entry is looked at, every file read again.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::choose::Chosen;
use super::visitor::Written;
use super::{Error, Shared};
use crate::package::Package;
use crate::package::index::{Entry, EntryKind, Line};
use crate::package::member::Time;
use crate::sources::files::shown;

/// Entries that one thread takes at once: neighbours, so that it keeps their directory open.
const BATCH: usize = 64;

/// An entry, and whether its content was compared already.
type Item = (Entry, bool);

/// What the comparison has found so far.
#[derive(Debug, Default)]
struct Verdict {
    entries: u64,
    digests: u64,
    differing: u64,
    first: String,
}

/// Compares the target with the index, and says in words what was compared.
pub(super) async fn compare(
    package: &Package,
    shared: Arc<Shared>,
    chosen: Option<Arc<Chosen>>,
    written: Written,
) -> Result<String, Error> {
    let verdict = Arc::new(Mutex::new(Verdict::default()));
    let (batches, queue) = sync_channel(16);
    let threads = start(&shared, queue, &verdict)?;
    let mut feeder = Feed {
        batches,
        batch: Vec::new(),
        shared: Arc::clone(&shared),
        chosen,
        written,
        number: 0,
        visited: 0,
    };
    let fed = package.index(move |line| {
        let result = match line {
            Line::Entry(entry) => feeder.take(entry),
            Line::Object(_) => Ok(()),
        };
        result.map_err(Into::into)
    });
    // The closure, and the last batch with it, goes out of scope here: the threads end when they are through.
    let fed = fed.await;
    let join = move || threads.into_iter().all(|thread| thread.join().is_ok());
    let sound = tokio::task::spawn_blocking(join).await.unwrap_or(false);
    shared.check()?;
    fed?;
    let Verdict { entries, digests, differing, first } =
        std::mem::take(&mut *verdict.lock().unwrap_or_else(PoisonError::into_inner));
    match differing {
        _ if !sound => Err(Error::Thread),
        0 => Ok(format!(
            "{entries} entries by kind, mode, owner, time and size, {digests} files of them by digest"
        )),
        count => Err(Error::Differs { count, first }),
    }
}

/// Hands entries of the index to the threads.
struct Feed {
    batches: SyncSender<Vec<Item>>,
    batch: Vec<Item>,
    shared: Arc<Shared>,
    chosen: Option<Arc<Chosen>>,
    written: Written,
    /// The entry's number in the index, and among those that were restored.
    number: usize,
    visited: usize,
}

impl Feed {
    fn take(&mut self, mut entry: Entry) -> Result<(), Error> {
        let number = self.number;
        self.number += 1;
        if self.chosen.as_ref().is_some_and(|chosen| !chosen.members.get(number)) {
            return Ok(());
        }
        if let Some(chosen) = &self.chosen {
            chosen.places.of(&mut entry);
        }
        let visited = self.visited;
        self.visited += 1;
        // A link to a name whose metadata could not be set has that name's.
        let refused = self.shared.is_refused(&entry.path)
            || entry.kind == EntryKind::HardLink && self.shared.is_refused(&entry.link);
        if refused || self.written.skipped.get(visited) {
            return Ok(());
        }
        self.batch.push((entry, self.written.compared.get(visited)));
        if self.batch.len() == BATCH {
            self.shared.check()?;
            return self.batches.send(std::mem::take(&mut self.batch)).map_err(|_| Error::Thread);
        }
        Ok(())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // If the threads are gone, joining them tells.
        let _ = self.batches.send(std::mem::take(&mut self.batch));
    }
}

fn start(
    shared: &Arc<Shared>,
    queue: Receiver<Vec<Item>>,
    verdict: &Arc<Mutex<Verdict>>,
) -> Result<Vec<JoinHandle<()>>, Error> {
    let queue = Arc::new(Mutex::new(queue));
    let count = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let threads = (0..count).map(|number| {
        let (shared, queue, verdict) = (Arc::clone(shared), Arc::clone(&queue), Arc::clone(verdict));
        let thread = std::thread::Builder::new().name(format!("compare-{number}"));
        thread.spawn(move || work(&shared, &queue, &verdict)).map_err(|_| Error::Thread)
    });
    threads.collect()
}

fn work(shared: &Shared, queue: &Mutex<Receiver<Vec<Item>>>, verdict: &Mutex<Verdict>) {
    let mut comparer = Comparer { shared, stack: Vec::new(), buffer: vec![0; 128 << 10] };
    loop {
        let batch = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = batch else { return };
        let mut found = Verdict::default();
        for (entry, compared) in batch {
            found.entries += 1;
            found.digests += u64::from(entry.kind == EntryKind::File);
            if let Err(difference) = comparer.entry(&entry, compared) {
                found.differing += 1;
                if found.first.is_empty() {
                    found.first = format!("`{}` {difference}", shared.full(&entry.path));
                }
            }
        }
        let mut all = verdict.lock().unwrap_or_else(PoisonError::into_inner);
        all.entries += found.entries;
        all.digests += found.digests;
        all.differing += found.differing;
        if all.first.is_empty() {
            all.first = found.first;
        }
    }
}

struct Comparer<'a> {
    shared: &'a Shared,
    /// The directories from the target on, with their names. The first is the target.
    stack: Vec<(Vec<u8>, OwnedFd)>,
    buffer: Vec<u8>,
}

impl Comparer<'_> {
    /// Compares an entry, or says how it differs.
    fn entry(&mut self, entry: &Entry, compared: bool) -> Result<(), String> {
        let unreadable = |error: Errno| format!("cannot be read again: {error}");
        if entry.path == b"." {
            let target = self.folder(&[]).map_err(unreadable)?;
            let stat = fs::fstat(target).map_err(unreadable)?;
            return self.metadata(entry, &stat);
        }
        let names: Vec<&[u8]> = entry.path.split(|byte| *byte == b'/').collect();
        let Some((name, parents)) = names.split_last() else { return Err("has no name".to_owned()) };
        let folder = self.folder(parents).map_err(unreadable)?;
        // What was compared already may be closed to its owner by now.
        if entry.kind == EntryKind::File && !compared {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let fd = fs::openat(folder, *name, flags, Mode::empty()).map_err(unreadable)?;
            let stat = fs::fstat(&fd).map_err(unreadable)?;
            self.metadata(entry, &stat)?;
            let digest = self.digest(&fd).map_err(unreadable)?;
            return if entry.digest == Some(digest) {
                Ok(())
            } else {
                Err("differs in its content".to_owned())
            };
        }
        let stat = fs::statat(folder, *name, AtFlags::SYMLINK_NOFOLLOW).map_err(unreadable)?;
        match entry.kind {
            EntryKind::Symlink => {
                let target = fs::readlinkat(folder, *name, Vec::new()).map_err(unreadable)?;
                if target.as_bytes() != entry.link {
                    return Err("points elsewhere".to_owned());
                }
            }
            EntryKind::HardLink => {
                let names: Vec<&[u8]> = entry.link.split(|byte| *byte == b'/').collect();
                let Some((name, parents)) = names.split_last() else {
                    return Err("has no target".to_owned());
                };
                let folder = self.folder(parents).map_err(unreadable)?;
                let first = fs::statat(folder, *name, AtFlags::SYMLINK_NOFOLLOW).map_err(unreadable)?;
                if (first.st_dev, first.st_ino) != (stat.st_dev, stat.st_ino) {
                    return Err(format!("is no hard link to `{}`", shown(&entry.link)));
                }
                // Owner and mode may have been changed between the looks at the two names. A link whose time is
                // another one was made to another file's content.
                return if holds(entry.mtime, &stat) { Ok(()) } else { Err("has another time".to_owned()) };
            }
            _ => {}
        }
        self.metadata(entry, &stat)
    }

    /// Opens a directory below the target, name by name, keeping those that the next entry needs too.
    fn folder(&mut self, names: &[&[u8]]) -> Result<&OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if self.stack.is_empty() {
            let target = fs::open(&self.shared.target, flags, Mode::empty())?;
            self.stack.push((Vec::new(), target));
        }
        let same =
            self.stack[1..].iter().zip(names).take_while(|((name, _), wanted)| name == *wanted).count();
        self.stack.truncate(same + 1);
        for name in &names[same..] {
            let fd = fs::openat(
                &self.stack[self.stack.len() - 1].1,
                *name,
                flags | OFlags::NOFOLLOW,
                Mode::empty(),
            )?;
            self.stack.push((name.to_vec(), fd));
        }
        self.stack.last().map(|(_, fd)| fd).ok_or(Errno::NOENT)
    }

    fn metadata(&self, entry: &Entry, stat: &Stat) -> Result<(), String> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Directory,
            FileType::Symlink => EntryKind::Symlink,
            FileType::Fifo => EntryKind::Fifo,
            FileType::CharacterDevice => EntryKind::CharDevice,
            FileType::BlockDevice => EntryKind::BlockDevice,
            _ => return Err("is of another kind".to_owned()),
        };
        if kind != entry.kind {
            return Err("is of another kind".to_owned());
        }
        if kind == EntryKind::File && u64::try_from(stat.st_size) != Ok(entry.size) {
            return Err(format!("has {} bytes instead of {}", stat.st_size, entry.size));
        }
        if kind == EntryKind::Directory && self.shared.is_left_alone(&entry.path) {
            return Ok(());
        }
        // Without their owner, set-uid and set-gid bits were left away.
        let mut bits = if self.shared.owners { 0o7777 } else { 0o1777 };
        let path = if entry.path == b"." { b"" } else { &*entry.path };
        if kind == EntryKind::Directory && self.shared.closed.contains(path) {
            bits &= !0o700;
        }
        let lost = self.shared.acls_lost.load(Ordering::Relaxed);
        if lost && stat.st_mode & !entry.mode & 0o070 == 0 {
            bits &= !0o070;
        }
        if kind != EntryKind::Symlink && (stat.st_mode ^ entry.mode) & bits != 0 {
            return Err(format!("has mode {:o} instead of {:o}", stat.st_mode & 0o7777, entry.mode));
        }
        if self.shared.owners && (u64::from(stat.st_uid), u64::from(stat.st_gid)) != (entry.uid, entry.gid) {
            return Err("has another owner".to_owned());
        }
        if holds(entry.mtime, stat) { Ok(()) } else { Err("has another time".to_owned()) }
    }

    fn digest(&mut self, fd: &OwnedFd) -> Result<[u8; 32], Errno> {
        let mut hasher = blake3::Hasher::new();
        loop {
            match rustix::io::read(fd, &mut self.buffer[..]) {
                Ok(0) => return Ok(*hasher.finalize().as_bytes()),
                Ok(got) => _ = hasher.update(&self.buffer[..got]),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a file's time is the wanted one, as finely as its file system counts.
fn holds(wanted: Time, stat: &Stat) -> bool {
    let steps = [1, 100, 1_000, 1_000_000, 1_000_000_000];
    let nanos = u64::from(wanted.nanos);
    stat.st_mtime == wanted.seconds && steps.iter().any(|step| stat.st_mtime_nsec == nanos - nanos % step)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn entry(dir: &std::path::Path, kind: EntryKind, path: &str) -> Entry {
        let stat = fs::lstat(dir.join(path)).unwrap();
        let content = std::fs::read(dir.join(path)).unwrap_or_default();
        Entry {
            path: path.into(),
            kind,
            offset: 0,
            length: 0,
            size: content.len() as u64,
            digest: (kind == EntryKind::File).then(|| *blake3::hash(&content).as_bytes()),
            object: String::new(),
            superseded: false,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid.into(),
            gid: stat.st_gid.into(),
            mtime: Time { seconds: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).unwrap() },
            link: Vec::new(),
        }
    }

    #[test]
    fn every_difference_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d/file"), "content").unwrap();
        std::fs::hard_link(dir.path().join("d/file"), dir.path().join("hard")).unwrap();
        std::os::unix::fs::symlink("target", dir.path().join("soft")).unwrap();
        let shared = Shared::of(dir.path());
        let differs = |entry: &Entry| {
            let mut comparer = Comparer { shared: &shared, stack: Vec::new(), buffer: vec![0; 64] };
            comparer.entry(entry, false).err().unwrap_or_default()
        };
        let file = entry(dir.path(), EntryKind::File, "d/file");
        let hard = Entry { link: b"d/file".to_vec(), ..entry(dir.path(), EntryKind::HardLink, "hard") };
        let soft = Entry { link: b"target".to_vec(), ..entry(dir.path(), EntryKind::Symlink, "soft") };
        let folder = entry(dir.path(), EntryKind::Directory, "d");
        for same in [&file, &hard, &soft, &folder] {
            assert_eq!(differs(same), "");
        }
        let digest = Some([7; 32]);
        assert!(differs(&Entry { digest, ..file.clone() }).contains("content"));
        assert!(differs(&Entry { size: 6, ..file.clone() }).contains("bytes"));
        assert!(differs(&Entry { mode: file.mode ^ 1, ..file.clone() }).contains("mode"));
        let mtime = Time { seconds: file.mtime.seconds - 1, ..file.mtime };
        assert!(differs(&Entry { mtime, ..file.clone() }).contains("time"));
        assert!(differs(&Entry { path: b"d/gone".to_vec(), ..file.clone() }).contains("cannot be read"));
        assert!(differs(&Entry { kind: EntryKind::Fifo, ..file.clone() }).contains("kind"));
        assert!(differs(&Entry { link: b"soft".to_vec(), ..hard.clone() }).contains("hard link"));
        assert!(differs(&Entry { mtime, ..hard }).contains("time"));
        assert!(differs(&Entry { link: b"else".to_vec(), ..soft }).contains("elsewhere"));
        std::fs::set_permissions(dir.path().join("d"), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(differs(&Entry { mode: 0o755, ..folder }).contains("mode"));
    }
}
