//! Directories that their own owner may not list or enter.
//!
//! Whoever restores without root's rights owns what is written, so such a directory would shut them out: of hard links
//! into it, and of the comparison. It stays open to its owner until all that is done. Root may be root in name only, in a
//! container without its capabilities or on a file server that squashes it, so nobody is an exception.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

use super::{Error, Shared};
use crate::package::member::Header;

/// What the owner of a directory needs: to list it and to enter it.
const OPEN: u32 = 0o500;

/// Directories that are still open, by path, with the mode that they get at the end.
#[derive(Debug, Default)]
pub(super) struct Closed(Mutex<BTreeMap<Vec<u8>, u32>>);

impl Closed {
    /// Leaves a directory open for now, if its mode would shut us out.
    pub(super) fn leave_open(&self, path: &[u8], header: &mut Header) {
        if header.mode & OPEN != OPEN {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_vec(), header.mode);
            header.mode |= 0o700;
        }
    }

    /// Whether a directory is still open although its mode says otherwise.
    pub(super) fn contains(&self, path: &[u8]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(path)
    }

    /// Gives all of them their modes, what is in a directory before the directory.
    pub(super) fn close(&self, shared: &Shared) -> Result<(), Error> {
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((path, mode)) = closed.pop_last() {
            let close = || -> Result<(), Errno> {
                let fd = open(shared, &path)?;
                let others = fs::fstat(&fd)?.st_mode & 0o7077;
                fs::fchmod(&fd, Mode::from_raw_mode(others | mode & 0o700))
            };
            close().map_err(|error| shared.error("set the mode of", &path, error))?;
        }
        Ok(())
    }
}

/// Opens a directory below the target name by name, through no symbolic link.
fn open(shared: &Shared, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut fd = fs::open(&shared.target, flags, Mode::empty())?;
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        fd = fs::openat(&fd, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(fd)
}
