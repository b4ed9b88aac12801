//! Opening entries for reading.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::entry::Reader;
use super::folder::Folder;
use super::stamp::Inode;
use super::xattrs::{self, Place};
use super::{Error, sparse};
use crate::gather::gather;
use crate::package::member::{Header, Kind};

/// How everything is opened: never waiting, never through a symbolic link.
pub(super) const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// A file that is open for reading.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) header: Header,
    pub(super) inode: Inode,
    /// The descriptor, unless too many are open: then the file is opened once more when its turn comes.
    pub(super) fd: Option<Slot>,
}

/// What opening a name as a regular file gave.
pub(super) enum Regular {
    Open(OwnedFd, Box<(Header, Inode)>),
    Gone,
    Other,
}

/// An open file among a bounded number.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) fd: OwnedFd,
    open: Arc<AtomicUsize>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reader {
    /// Opens an entry for reading, without moving its access time where that is allowed.
    ///
    /// A file on which another process has a lease is opened once that process has given it back. The system asks it to
    /// at the first try, and takes the lease away when `lease-break-time` is over.
    pub(super) fn open(&self, folder: &Folder, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let began = Instant::now();
        loop {
            match self.open_now(folder, name, flags) {
                Err(Errno::AGAIN) if began.elapsed() < self.lease_wait && !self.stop.is_cancelled() => {
                    gather();
                }
                opened => return opened,
            }
        }
    }

    fn open_now(&self, folder: &Folder, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        if !self.touches_atime.load(Ordering::Relaxed) {
            match fs::openat(folder.fd(), name, FLAGS | OFlags::NOATIME | flags, Mode::empty()) {
                Err(Errno::PERM) => self.touches_atime.store(true, Ordering::Relaxed),
                opened => return opened,
            }
        }
        fs::openat(folder.fd(), name, FLAGS | flags, Mode::empty())
    }

    /// Opens a regular file and reads its metadata.
    pub(super) fn open_file(&self, folder: &Folder, name: &[u8], path: &[u8]) -> Result<Regular, Error> {
        let fd = match self.open(folder, name, OFlags::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Regular::Gone),
            Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Ok(Regular::Other),
            Err(Errno::AGAIN) if self.stop.is_cancelled() => return Err(Error::Stopped),
            Err(Errno::AGAIN) => return Err(Error::Leased(self.full(path))),
            Err(error) => return Err(self.error("open", path, error)),
        };
        let stat = fs::fstat(&fd).map_err(|error| self.error("examine", path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Regular::Other);
        }
        let xattrs = xattrs::read(Place::Open(fd.as_fd()));
        let xattrs = xattrs.map_err(|error| self.error("read the attributes of", path, error))?;
        let mut header = self.header(path.to_vec(), Kind::File, &stat, xattrs);
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
        if allocated < header.size {
            let segments = sparse::segments(fd.as_fd(), header.size);
            header.sparse = segments.map_err(|error| self.error("find the holes of", path, error))?;
        }
        Ok(Regular::Open(fd, Box::new((header, Inode::of(&stat)))))
    }

    /// Opens a large file for its turn. `None`: it is gone.
    pub(super) fn reopen(&self, folder: &Folder, name: &[u8]) -> Result<Option<Opened>, Error> {
        let path = folder.below(name);
        let (fd, found) = match self.open_file(folder, name, &path)? {
            Regular::Open(fd, found) => (fd, found),
            Regular::Gone if folder.has(name) => {
                return Err(self.error("open", &path, Errno::NOENT));
            }
            Regular::Gone => return Ok(None),
            Regular::Other => return Err(Error::Changing(self.full(&path))),
        };
        let (header, inode) = *found;
        self.open_files.fetch_add(1, Ordering::Relaxed);
        let fd = Some(Slot { fd, open: Arc::clone(&self.open_files) });
        Ok(Some(Opened { header, inode, fd }))
    }

    pub(super) fn slot(&self, fd: OwnedFd) -> Option<Slot> {
        if self.open_files.fetch_add(1, Ordering::Relaxed) < self.slots {
            return Some(Slot { fd, open: Arc::clone(&self.open_files) });
        }
        self.open_files.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

/// How long the system waits for a lease to be given back, and a little more.
pub(super) fn lease_wait() -> Duration {
    let seconds = std::fs::read_to_string("/proc/sys/fs/lease-break-time");
    let seconds = seconds.ok().and_then(|seconds| seconds.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(45_u64).saturating_add(5))
}
