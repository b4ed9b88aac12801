//! Owners, attributes, modes and times.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::Shared;
use crate::package::member::{Header, Kind, Time};
use crate::sources::files::xattrs::proc_path;

/// The attribute that holds a file's ACL.
const ACCESS_ACL: &[u8] = b"system.posix_acl_access";

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
    let set = |name: &[u8], value: &[u8]| fs::fsetxattr(fd, name, value, XattrFlags::empty());
    let rights = attributes(header, shared, set)?;
    fs::fchmod(fd, mode(rights, header, shared, || fs::fstat(fd))?)?;
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
    let path = proc_path(folder, name);
    let set = |name: &[u8], value: &[u8]| fs::lsetxattr(&*path, name, value, XattrFlags::empty());
    let rights = attributes(header, shared, set)?;
    if !matches!(header.kind, Kind::Symlink(_)) {
        chmod_at(folder, name, rights, header, shared)?;
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
fn chmod_at(
    folder: BorrowedFd<'_>,
    name: &[u8],
    rights: u32,
    header: &Header,
    shared: &Shared,
) -> Result<(), Errno> {
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
    fs::chmod(format!("/proc/self/fd/{}", fd.as_raw_fd()), mode(rights, header, shared, || Ok(stat))?)
}

/// Set-uid and set-gid bits are for the recorded owner only: another one must not inherit them. `stat` is what was
/// written: in a directory with a set-gid bit it belongs to the directory's group.
fn mode(
    mut mode: u32,
    header: &Header,
    shared: &Shared,
    stat: impl FnOnce() -> Result<Stat, Errno>,
) -> Result<Mode, Errno> {
    if mode & 0o6000 != 0 {
        let stat = stat()?;
        if (u64::from(stat.st_uid), u64::from(stat.st_gid)) != (header.uid, header.gid) {
            shared.cannot("set-uid and set-gid bits without their owner".to_owned(), &header.path);
            mode &= 0o1777;
        }
    }
    Ok(Mode::from_raw_mode(mode))
}

/// Puts extended attributes in place, and says which mode is right with them.
///
/// Beside an ACL the group's part of a mode is the mask: the most that anyone but owner and others may do. Where the ACL
/// cannot be put back, the group gets what the ACL gives it, and no more.
fn attributes(
    header: &Header,
    shared: &Shared,
    set: impl Fn(&[u8], &[u8]) -> Result<(), Errno>,
) -> Result<u32, Errno> {
    let mut mode = header.mode;
    for (name, value) in &header.xattrs {
        let put = tolerate(name, header, shared, set(name, value))?;
        if !put && name == ACCESS_ACL {
            mode &= !0o070 | group_of(value) << 3;
            shared.acls_lost.store(true, Ordering::Relaxed);
        }
    }
    Ok(mode)
}

/// What the owning group may do by an ACL (`linux/posix_acl_xattr.h`): a version of four bytes, then entries of tag,
/// rights and id. Nothing, if it does not say.
fn group_of(acl: &[u8]) -> u32 {
    const GROUP_OBJ: [u8; 2] = [4, 0];
    let mut entries = acl.get(4..).unwrap_or_default().chunks_exact(8);
    entries.find(|entry| entry[..2] == GROUP_OBJ).map_or(0, |entry| u32::from(entry[2] & 7))
}

/// An attribute that the file system cannot hold or that needs more rights is noted; any other failure is one. Says
/// whether it is in place.
///
/// What is too large for a file's attributes is told as a full disk by ext4, and in other words by others. A disk that is
/// full in truth does not take the next file's content either. What names a user whom the namespace of a container does not
/// have, as an ACL may, is told as invalid.
fn tolerate(name: &[u8], header: &Header, shared: &Shared, set: Result<(), Errno>) -> Result<bool, Errno> {
    match set {
        Err(
            Errno::NOTSUP
            | Errno::PERM
            | Errno::ACCESS
            | Errno::INVAL
            | Errno::NOSPC
            | Errno::TOOBIG
            | Errno::RANGE,
        ) => {
            shared.cannot(format!("the attribute `{}`", crate::sources::files::shown(name)), &header.path);
            Ok(false)
        }
        set => set.map(|()| true),
    }
}

/// Removes ACLs: from a directory that was there before, so that nothing written into it inherits them, and from what has
/// inherited them.
pub(super) fn clear_acls(fd: impl AsFd) {
    for name in [&b"system.posix_acl_default"[..], ACCESS_ACL] {
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
