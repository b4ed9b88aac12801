//! What is noted of a file before it is read, to see afterwards whether it is still the same.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Stat, StatxFlags, fstat, statx};
use rustix::io::Errno;

use crate::package::member::Time;

/// What tells that a file is still as it was: a write moves at least one of these, but for one that falls into the same
/// tick of the volume's clock as the look before it. Through a shared mapping only the first write to a page since it was
/// last written back does, and one long `write` may do so only once, at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamp {
    pub(super) size: u64,
    pub(super) modified: Time,
    pub(super) changed: Time,
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
            changed: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// As above, without the time that also a new link or another owner moves.
    pub(super) fn same_content(&self, other: &Self) -> bool {
        self.size == other.size && self.modified == other.modified
    }
}

/// What tells one file from another.
#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) device: u64,
    pub(super) number: u64,
    pub(super) links: u64,
    pub(super) stamp: Stamp,
}

impl Inode {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, number: stat.st_ino, links: stat.st_nlink, stamp: Stamp::of(stat) }
    }
}

/// The stamp of an open file as it is now, and how many names the file has.
///
/// The file server is asked: what a client of NFS, SMB or FUSE remembers may be older than a change that somebody else
/// has made, by a minute, and then half an old file and half a new one would pass for sound.
pub(super) fn look(fd: &OwnedFd) -> Result<(Stamp, u64), Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    match statx(fd, c"", flags, StatxFlags::BASIC_STATS) {
        // Systems that do not know the call, and containers that do not allow it.
        Err(Errno::NOSYS | Errno::PERM) => fstat(fd).map(|stat| (Stamp::of(&stat), stat.st_nlink)),
        Err(error) => Err(error),
        Ok(stat) => {
            let time = |time: rustix::fs::StatxTimestamp| Time { seconds: time.tv_sec, nanos: time.tv_nsec };
            let (modified, changed) = (time(stat.stx_mtime), time(stat.stx_ctime));
            Ok((Stamp { size: stat.stx_size, modified, changed }, stat.stx_nlink.into()))
        }
    }
}

/// The stamp of an open file as it is now.
pub(super) fn stamp(fd: &OwnedFd) -> Result<Stamp, Errno> {
    look(fd).map(|(stamp, _)| stamp)
}

/// A time as archives have it.
pub(super) fn time(seconds: i64, nanos: u64) -> Time {
    Time { seconds, nanos: u32::try_from(nanos).unwrap_or(0) }
}
