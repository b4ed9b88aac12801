//! Reading one entry: what it is, its metadata, and its content if that is small.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::config::ChangingFiles;
use super::folder::{Folder, Folders, Listing, Name, Part};
use super::globs::Matched;
use super::names::Names;
use super::opening::{FLAGS, Opened, Regular};
use super::stamp::{Inode, Stamp, stamp, time};
use super::xattrs::{self, Place};
use super::{Error, Plan, shown};
use crate::package::budget::Lease;
use crate::package::member::{Header, Kind};

/// How often a file that changes is read.
pub(super) const TRIES: u32 = 3;

/// What became of an entry.
#[derive(Debug)]
pub(super) enum Found {
    /// A directory; without a listing it is not entered. `wanted`: it is in the archive even if nothing below it is.
    Directory { header: Header, listing: Option<Listing>, wanted: bool },
    /// More names of a directory.
    More(Listing),
    /// A file whose content is here. `changed`: it was different every time, and that is accepted.
    Small {
        header: Header,
        inode: Inode,
        content: Bytes,
        hash: blake3::Hash,
        lease: Option<Lease>,
        tries: u32,
        changed: bool,
    },
    /// A file to be read while it is packed.
    Large { folder: Arc<Folder>, name: Box<[u8]>, opened: Box<Opened> },
    /// Something without content: a link, a FIFO, a device.
    Special { header: Header, inode: Inode },
    /// A socket.
    Socket,
    /// Taken out by `include` or `exclude` once its kind was known.
    Excluded,
    /// It was listed, but is gone.
    Vanished(Vec<u8>),
}

/// What all reading threads share.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) plan: Plan,
    /// Which globs of `include` have matched something.
    pub(super) matched: Matched,
    pub(super) names: Names,
    /// The device of the root.
    pub(super) device: u64,
    /// Files up to this size are read ahead.
    pub(super) small: usize,
    /// The memory that every reading starts with. Few files need more.
    pub(super) reserved: usize,
    /// What is taken beyond that, and how much that may be in all.
    pub(super) grown: AtomicUsize,
    pub(super) most_grown: usize,
    /// How many large files may wait open.
    pub(super) slots: usize,
    pub(super) open_files: Arc<AtomicUsize>,
    pub(super) folders: Arc<Folders>,
    /// How long a lease of another process is waited for.
    pub(super) lease_wait: Duration,
    pub(super) stop: CancellationToken,
    /// Set once the system has refused `O_NOATIME`: it allows that to the owner only.
    pub(super) touches_atime: AtomicBool,
}

impl Reader {
    /// The error for a path below the root.
    pub(super) fn error(&self, action: &'static str, path: &[u8], cause: Errno) -> Error {
        Error::Access { action, path: self.full(path), cause: cause.into() }
    }

    /// The full path as messages show it.
    pub(super) fn full(&self, path: &[u8]) -> String {
        format!("{}/{}", self.plan.path.display().to_string().trim_end_matches('/'), shown(path))
    }

    /// Reads the entry `name` of `folder`. `lease` covers the content of a small file.
    pub(super) fn entry(
        &self,
        folder: &Arc<Folder>,
        name: &Name,
        mut lease: Option<Lease>,
    ) -> Result<Found, Error> {
        let path = folder.below(&name.bytes);
        let mut kind = name.hint;
        let mut absent = false;
        // An entry may turn into something else between its listing and its opening; then it is looked at anew.
        for _ in 0..TRIES {
            if kind == FileType::Unknown {
                match fs::statat(folder.fd(), &*name.bytes, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => kind = FileType::from_raw_mode(stat.st_mode),
                    Err(Errno::NOENT) => return Ok(Found::Vanished(path)),
                    Err(error) => return Err(self.error("examine", &path, error)),
                }
            }
            if name.hint == FileType::Unknown && self.unwanted(&path, kind == FileType::Directory) {
                return Ok(Found::Excluded);
            }
            let found = match kind {
                FileType::Directory => self.directory(folder, &name.bytes, &path),
                FileType::RegularFile => self.file(folder, &name.bytes, &path, &mut lease),
                FileType::Socket => return Ok(Found::Socket),
                _ => self.special(folder, &name.bytes, &path),
            };
            match found? {
                Some(Found::Vanished(_)) if folder.has(&name.bytes) => absent = true,
                Some(found) => return Ok(found),
                None => absent = false,
            }
            kind = FileType::Unknown;
        }
        Err(if absent { self.error("open", &path, Errno::NOENT) } else { Error::Changing(self.full(&path)) })
    }

    /// Whether a directory that could not be listed was removed.
    fn is_removed(&self, folder: &Folder) -> bool {
        let unlinked = fs::fstat(folder.fd()).is_ok_and(|stat| stat.st_nlink == 0);
        unlinked
            || fs::lstat(self.plan.path.join(OsStr::from_bytes(folder.path()))).err() == Some(Errno::NOENT)
    }

    /// Whether `include` and `exclude` leave this path out.
    fn unwanted(&self, path: &[u8], directory: bool) -> bool {
        if self.plan.exclude.matches(path, directory) {
            return true;
        }
        self.matched.note(&self.plan.include, path, directory);
        !self.plan.leads_to(path, directory)
    }

    fn included(&self, path: &[u8], directory: bool) -> bool {
        self.plan.include.is_empty() || self.plan.include.covers(path, directory)
    }

    fn directory(&self, folder: &Folder, name: &[u8], path: &[u8]) -> Result<Option<Found>, Error> {
        let fd = match self.open(folder, name, OFlags::DIRECTORY) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Some(Found::Vanished(path.to_vec()))),
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(self.error("open", path, error)),
        };
        self.opened_directory(fd, path.to_vec()).map(Some)
    }

    /// Reads an open directory's metadata and first names.
    pub(super) fn opened_directory(&self, fd: OwnedFd, path: Vec<u8>) -> Result<Found, Error> {
        let stat = fs::fstat(&fd).map_err(|error| self.error("examine", &path, error))?;
        let xattrs = xattrs::read(Place::Open(fd.as_fd()));
        let xattrs = xattrs.map_err(|error| self.error("read the attributes of", &path, error))?;
        let shown_path = if path.is_empty() { b".".to_vec() } else { path.clone() };
        let header = self.header(shown_path, Kind::Directory, &stat, xattrs);
        let wanted = path.is_empty() || self.included(&path, true);
        if self.plan.one_file_system && stat.st_dev != self.device {
            return Ok(Found::Directory { header, listing: None, wanted });
        }
        let cache = self.plan.exclude_caches && self.is_cache(&fd, &path)?;
        let folder = Folder::new(fd, path, Stamp::of(&stat), &self.folders);
        if cache {
            let names = vec![Name { bytes: (*b"CACHEDIR.TAG").into(), hint: FileType::Unknown }];
            let listing = Listing { folder, names, more: false, excluded: 0, unsettled: false };
            return Ok(Found::Directory { header, listing: Some(listing), wanted });
        }
        Ok(match self.list(&folder)? {
            Some(listing) => Found::Directory { header, listing: Some(listing), wanted },
            None => Found::Vanished(folder.path().to_vec()),
        })
    }

    /// Reads the next names of a directory. `None`: it was removed meanwhile, and that is accepted.
    pub(super) fn list(&self, folder: &Arc<Folder>) -> Result<Option<Listing>, Error> {
        let accepted = self.plan.changing_files == ChangingFiles::Accept && !folder.path().is_empty();
        let Part { mut names, more, unsettled } = match folder.list() {
            Err(Errno::NOENT) if accepted && self.is_removed(folder) => return Ok(None),
            part => part.map_err(|error| self.error("list", folder.path(), error))?,
        };
        if unsettled && self.plan.changing_files == ChangingFiles::Fail {
            return Err(Error::Changing(self.full(folder.path())));
        }
        let before = names.len();
        if !(self.plan.include.is_empty() && self.plan.exclude.is_empty()) {
            names.retain(|name| {
                let directory = name.hint == FileType::Directory;
                name.hint == FileType::Unknown || !self.unwanted(&folder.below(&name.bytes), directory)
            });
        }
        let excluded = (before - names.len()) as u64;
        Ok(Some(Listing { folder: Arc::clone(folder), names, more, excluded, unsettled }))
    }

    /// Whether a directory holds a `CACHEDIR.TAG` with the signature that <https://bford.info/cachedir/> fixes.
    fn is_cache(&self, fd: &OwnedFd, path: &[u8]) -> Result<bool, Error> {
        const SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";
        let fail = |error| self.error("look for a cache tag in", path, error);
        let tag = match fs::openat(fd, "CACHEDIR.TAG", FLAGS, Mode::empty()) {
            Ok(tag) => tag,
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(false),
            Err(error) => return Err(fail(error)),
        };
        if FileType::from_raw_mode(fs::fstat(&tag).map_err(fail)?.st_mode) != FileType::RegularFile {
            return Ok(false);
        }
        let mut start = Vec::with_capacity(SIGNATURE.len());
        read_full(&tag, &mut start).map_err(fail)?;
        Ok(start == SIGNATURE)
    }

    fn file(
        &self,
        folder: &Arc<Folder>,
        name: &[u8],
        path: &[u8],
        lease: &mut Option<Lease>,
    ) -> Result<Option<Found>, Error> {
        let mut tries = 0;
        loop {
            let (fd, header, inode) = match self.open_file(folder, name, path)? {
                Regular::Open(fd, found) => (fd, found.0, found.1),
                Regular::Gone => return Ok(Some(Found::Vanished(path.to_vec()))),
                Regular::Other => return Ok(None),
            };
            tries += 1;
            let size = usize::try_from(header.size).unwrap_or(usize::MAX);
            if size > self.small || header.sparse.is_some() {
                let opened = Box::new(Opened { header, inode, fd: self.slot(fd) });
                return Ok(Some(Found::Large { folder: Arc::clone(folder), name: name.into(), opened }));
            }
            if !self.lease(size, lease) {
                let opened = Box::new(Opened { header, inode, fd: self.slot(fd) });
                return Ok(Some(Found::Large { folder: Arc::clone(folder), name: name.into(), opened }));
            }
            let mut content = Vec::with_capacity(size);
            read_full(&fd, &mut content).map_err(|error| self.error("read", path, error))?;
            if size == 0 {
                // Some file systems do not say how large a file is: what is there all the same is not to be lost.
                content = self.beyond(&fd).map_err(|error| self.error("read", path, error))?;
            }
            let after = stamp(&fd).map_err(|error| self.error("examine", path, error))?;
            let sound = content.len() == size && after == inode.stamp;
            // What was taken for the size that was expected is given back as far as it is not held.
            let again = !sound && tries < TRIES;
            let kept = if again { 0 } else { content.len().saturating_sub(self.reserved) };
            self.grown.fetch_sub(size.saturating_sub(self.reserved) - kept, Ordering::Relaxed);
            if let Some(lease) = lease {
                lease.shrink(if again { self.reserved } else { content.len() });
            }
            if !again {
                let header = Header { size: content.len() as u64, ..header };
                let hash = blake3::hash(&content);
                let lease = lease.take();
                let content = Bytes::from(content);
                return Ok(Some(Found::Small {
                    header,
                    inode,
                    content,
                    hash,
                    lease,
                    tries,
                    changed: !sound,
                }));
            }
        }
    }

    /// What an empty file holds nevertheless, up to what every reading may take.
    fn beyond(&self, fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
        let mut content = Vec::with_capacity(1);
        read_full(fd, &mut content)?;
        if !content.is_empty() {
            // From the start: what the kernel makes up as it is read may come in one piece only.
            fs::seek(fd, SeekFrom::Start(0))?;
            let mut whole = Vec::with_capacity(self.reserved);
            read_full(fd, &mut whole)?;
            if !whole.is_empty() {
                content = whole;
            }
        }
        Ok(content)
    }

    /// Makes the lease cover a file's size. A file for which there is no memory now is read when its turn comes.
    fn lease(&self, size: usize, lease: &mut Option<Lease>) -> bool {
        let Some(lease) = lease else { return false };
        let extra = size.saturating_sub(self.reserved);
        if extra == 0 {
            return true;
        }
        if self.grown.fetch_add(extra, Ordering::Relaxed) + extra <= self.most_grown && lease.grow(size) {
            return true;
        }
        self.grown.fetch_sub(extra, Ordering::Relaxed);
        false
    }

    fn special(&self, folder: &Folder, name: &[u8], path: &[u8]) -> Result<Option<Found>, Error> {
        let stat = match fs::statat(folder.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Some(Found::Vanished(path.to_vec()))),
            Err(error) => return Err(self.error("examine", path, error)),
        };
        let (major, minor) = (fs::major(stat.st_rdev), fs::minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => match fs::readlinkat(folder.fd(), name, Vec::new()) {
                Ok(target) => Kind::Symlink(target.into_bytes()),
                Err(Errno::NOENT) => return Ok(Some(Found::Vanished(path.to_vec()))),
                Err(Errno::INVAL) => return Ok(None),
                Err(error) => return Err(self.error("read the link", path, error)),
            },
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::CharDevice(major, minor),
            FileType::BlockDevice => Kind::BlockDevice(major, minor),
            _ => return Ok(None),
        };
        let xattrs = match xattrs::read(Place::Entry(folder.fd(), name)) {
            Ok(xattrs) => xattrs,
            Err(Errno::NOENT) => return Ok(Some(Found::Vanished(path.to_vec()))),
            Err(error) => return Err(self.error("read the attributes of", path, error)),
        };
        // Later names of a file with several are linked to this one: what was read by name must have been that file.
        if stat.st_nlink > 1 {
            let again = fs::statat(folder.fd(), name, AtFlags::SYMLINK_NOFOLLOW);
            if !again.is_ok_and(|again| (again.st_dev, again.st_ino) == (stat.st_dev, stat.st_ino)) {
                return Ok(None);
            }
        }
        let mut header = self.header(path.to_vec(), kind, &stat, xattrs);
        header.size = 0;
        Ok(Some(Found::Special { header, inode: Inode::of(&stat) }))
    }

    pub(super) fn header(&self, path: Vec<u8>, kind: Kind, stat: &Stat, xattrs: xattrs::Xattrs) -> Header {
        Header {
            path,
            size: if kind == Kind::File { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 },
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid.into(),
            gid: stat.st_gid.into(),
            user: self.names.user(stat.st_uid),
            group: self.names.group(stat.st_gid),
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            xattrs,
            sparse: None,
            object: String::new(),
        }
    }
}

/// Fills what is free in `content`, or less if the file ends before.
fn read_full(fd: &OwnedFd, content: &mut Vec<u8>) -> Result<(), Errno> {
    while content.len() < content.capacity() {
        match rustix::io::read(fd, spare_capacity(content)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
