//! Open directories and their listings.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

/// About how many names one listing brings. A directory with more is read on when its turn comes.
pub(super) const BATCH: usize = 512;

/// An open directory below the root, or the root itself. Everything in it is reached through its descriptor, so that
/// no path is ever too long and nothing that is renamed meanwhile leads elsewhere.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: Vec<u8>,
    open: Arc<AtomicUsize>,
}

impl Folder {
    /// Wraps an open directory; `open` counts how many there are.
    pub(super) fn new(fd: OwnedFd, path: Vec<u8>, open: &Arc<AtomicUsize>) -> Arc<Self> {
        open.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { fd, path, open: Arc::clone(open) })
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

    /// Reads the next names, sorted among themselves. Says whether there may be more.
    pub(super) fn list(&self) -> Result<(Vec<Name>, bool), Errno> {
        let mut buffer = vec![MaybeUninit::<u8>::uninit(); 32 << 10];
        let mut entries = RawDir::new(&self.fd, &mut buffer);
        let mut names = Vec::new();
        let mut more = false;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(Name { bytes: name.into(), hint: entry.file_type() });
            }
            // Stopping anywhere else would lose the names that are in the buffer.
            if entries.is_buffer_empty() && names.len() >= BATCH {
                more = true;
                break;
            }
        }
        names.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
        Ok((names, more))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
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
}
