//! Owners, attributes, modes and times.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{self, AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::Shared;
use crate::package::member::{Header, Kind, Time};
use crate::sources::files::xattrs::proc_path;

/// Puts the metadata of an open file or directory in place.
///
/// The order matters: a change of owner clears set-uid bits and capabilities, and whatever comes later must not move
/// the time.
pub(super) fn apply(fd: BorrowedFd<'_>, header: &Header, shared: &Shared) -> Result<(), Errno> {
    let owned = match owner(header, shared) {
        Some((uid, gid)) => fs::fchown(fd, Some(uid), Some(gid)).map(|()| true)?,
        None => false,
    };
    for (name, value) in &header.xattrs {
        tolerate(name, header, shared, fs::fsetxattr(fd, &**name, value, XattrFlags::empty()))?;
    }
    fs::fchmod(fd, Mode::from_raw_mode(mode(header, owned, shared)))?;
    fs::futimens(fd, &times(header.mtime))
}

/// As [`apply`], for entries that must not be opened: links, FIFOs, devices.
pub(super) fn apply_at(
    folder: BorrowedFd<'_>,
    name: &[u8],
    header: &Header,
    shared: &Shared,
) -> Result<(), Errno> {
    let owned = match owner(header, shared) {
        Some((uid, gid)) => {
            fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map(|()| true)?
        }
        None => false,
    };
    if !header.xattrs.is_empty() {
        let path = proc_path(folder, name);
        for (attribute, value) in &header.xattrs {
            let set = fs::lsetxattr(&*path, &**attribute, value, XattrFlags::empty());
            tolerate(attribute, header, shared, set)?;
        }
    }
    if !matches!(header.kind, Kind::Symlink(_)) {
        fs::chmodat(folder, name, Mode::from_raw_mode(mode(header, owned, shared)), AtFlags::empty())?;
    }
    fs::utimensat(folder, name, &times(header.mtime), AtFlags::SYMLINK_NOFOLLOW)
}

/// The owner to set, or `None` if that is not possible; then it is noted, unless it is us anyway.
fn owner(header: &Header, shared: &Shared) -> Option<(Uid, Gid)> {
    let (uid, gid) = (u32::try_from(header.uid).ok()?, u32::try_from(header.gid).ok()?);
    if shared.owners {
        return Some((Uid::from_raw(uid), Gid::from_raw(gid)));
    }
    if uid != rustix::process::geteuid().as_raw() || gid != rustix::process::getegid().as_raw() {
        shared.cannot("owner and group".to_owned(), &header.path);
    }
    None
}

/// Set-uid and set-gid bits are for the recorded owner only: another one must not inherit them.
fn mode(header: &Header, owned: bool, shared: &Shared) -> u32 {
    let ours = u64::from(rustix::process::geteuid().as_raw()) == header.uid
        && u64::from(rustix::process::getegid().as_raw()) == header.gid;
    if owned || ours || header.mode & 0o6000 == 0 {
        return header.mode;
    }
    shared.cannot("set-uid and set-gid bits without their owner".to_owned(), &header.path);
    header.mode & 0o1777
}

/// An attribute that the file system cannot hold or that needs more rights is noted; any other failure is one.
fn tolerate(name: &[u8], header: &Header, shared: &Shared, set: Result<(), Errno>) -> Result<(), Errno> {
    match set {
        Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {
            shared.cannot(format!("the attribute `{}`", crate::sources::files::shown(name)), &header.path);
            Ok(())
        }
        set => set,
    }
}

/// Removes inherited ACLs from a directory that was there before, so that nothing written into it inherits them.
pub(super) fn clear_acls(fd: impl AsFd) {
    for name in ["system.posix_acl_default", "system.posix_acl_access"] {
        // Mostly there is none, and some file systems know no ACLs.
        let _ = fs::fremovexattr(&fd, name);
    }
}

fn times(mtime: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() },
    }
}
