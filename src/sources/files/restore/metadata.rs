//! Owners, attributes, modes and times.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::Shared;
use crate::package::member::{Header, Kind, Time};
use crate::sources::files::xattrs::proc_path;

/// Puts the metadata of an open file or directory in place.
///
/// The order matters: a change of owner clears set-uid bits and capabilities, and whatever comes later must not move
/// the time.
pub(super) fn apply(fd: BorrowedFd<'_>, header: &Header, shared: &Shared) -> Result<(), Errno> {
    if let Some((uid, gid)) = owner(header, shared) {
        fs::fchown(fd, Some(uid), Some(gid))?;
    }
    if shared.only.is_some() {
        // The directory may have been there before, with ACLs that it hands down.
        clear_acls(fd);
    }
    for (name, value) in &header.xattrs {
        tolerate(name, header, shared, fs::fsetxattr(fd, &**name, value, XattrFlags::empty()))?;
    }
    fs::fchmod(fd, mode(header, shared, || fs::fstat(fd))?)?;
    fs::futimens(fd, &times(header.mtime))
}

/// As [`apply`], for entries that must not be opened: links, FIFOs, devices.
pub(super) fn apply_at(
    folder: BorrowedFd<'_>,
    name: &[u8],
    header: &Header,
    shared: &Shared,
) -> Result<(), Errno> {
    if let Some((uid, gid)) = owner(header, shared) {
        fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if !header.xattrs.is_empty() {
        let path = proc_path(folder, name);
        for (attribute, value) in &header.xattrs {
            let set = fs::lsetxattr(&*path, &**attribute, value, XattrFlags::empty());
            tolerate(attribute, header, shared, set)?;
        }
    }
    if !matches!(header.kind, Kind::Symlink(_)) {
        chmod_at(folder, name, header, shared)?;
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

/// Sets the mode of a FIFO or a device, and of nothing else that somebody has put in its place meanwhile: by name the
/// system would follow a symbolic link to whatever it leads to.
fn chmod_at(folder: BorrowedFd<'_>, name: &[u8], header: &Header, shared: &Shared) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = fs::openat(folder, name, flags, Mode::empty())?;
    let stat = fs::fstat(&fd)?;
    let made = match header.kind {
        Kind::CharDevice(..) => FileType::CharacterDevice,
        Kind::BlockDevice(..) => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    if FileType::from_raw_mode(stat.st_mode) != made {
        return Err(Errno::LOOP);
    }
    fs::chmod(format!("/proc/self/fd/{}", fd.as_raw_fd()), mode(header, shared, || Ok(stat))?)
}

/// Set-uid and set-gid bits are for the recorded owner only: another one must not inherit them. `stat` is what was
/// written: in a directory with a set-gid bit it belongs to the directory's group.
fn mode(header: &Header, shared: &Shared, stat: impl FnOnce() -> Result<Stat, Errno>) -> Result<Mode, Errno> {
    let mut mode = header.mode;
    if mode & 0o6000 != 0 {
        let stat = stat()?;
        if (u64::from(stat.st_uid), u64::from(stat.st_gid)) != (header.uid, header.gid) {
            shared.cannot("set-uid and set-gid bits without their owner".to_owned(), &header.path);
            mode &= 0o1777;
        }
    }
    Ok(Mode::from_raw_mode(mode))
}

/// An attribute that the file system cannot hold or that needs more rights is noted; any other failure is one.
///
/// What is too large for a file's attributes is told as a full disk by ext4, and in other words by others. A disk that is
/// full in truth does not take the next file's content either.
fn tolerate(name: &[u8], header: &Header, shared: &Shared, set: Result<(), Errno>) -> Result<(), Errno> {
    match set {
        Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::NOSPC | Errno::TOOBIG | Errno::RANGE) => {
            shared.cannot(format!("the attribute `{}`", crate::sources::files::shown(name)), &header.path);
            Ok(())
        }
        set => set,
    }
}

/// Removes ACLs: from a directory that was there before, so that nothing written into it inherits them, and from what has
/// inherited them.
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_mode_of_what_a_link_in_place_of_a_fifo_leads_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let precious = dir.path().join("precious");
        std::fs::write(&precious, "").unwrap();
        std::fs::set_permissions(&precious, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("precious", dir.path().join("swapped")).unwrap();
        fs::mknodat(fs::CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        let folder = std::fs::File::open(dir.path()).unwrap();
        let shared = Shared::of(dir.path());
        let header = Header {
            path: b"swapped".to_vec(),
            kind: Kind::Fifo,
            size: 0,
            mode: 0o666,
            uid: 0,
            gid: 0,
            user: Vec::new(),
            group: Vec::new(),
            mtime: Time::default(),
            xattrs: Vec::new(),
            sparse: None,
            object: String::new(),
        };
        assert_eq!(apply_at(folder.as_fd(), b"swapped", &header, &shared), Err(Errno::LOOP));
        assert_eq!(mode(&precious), 0o600);
        apply_at(folder.as_fd(), b"fifo", &header, &shared).unwrap();
        assert_eq!(mode(&fifo), 0o666);
    }
}
