//! Open directories of the target.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::places::mark;
use super::{Error, Shared, metadata};
use crate::package::member::Header;

/// A directory that is being filled.
///
/// Its own metadata is put in place when the last one who writes into it has let go: files that are written into a
/// directory change its time, and a read-only one would refuse them.
#[derive(Debug)]
pub(super) struct Open {
    fd: OwnedFd,
    path: Vec<u8>,
    header: Mutex<Option<Header>>,
    /// Whether it was there before: then it may belong to someone else.
    found: bool,
    shared: Arc<Shared>,
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Open {
    pub(super) fn new(fd: OwnedFd, path: Vec<u8>, found: bool, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { fd, path, header: Mutex::default(), found, shared: Arc::clone(shared) })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The directory's metadata, to be put in place at the end. A directory that was there before, and only leads to
    /// what is wanted, keeps its own: it may be anybody's, `/tmp` for one.
    pub(super) fn describe(&self, header: Header) {
        if self.found && self.shared.only_leads(&header.path) {
            return self.shared.spare(&header.path);
        }
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = Some(header);
    }

    /// Opens a directory in this one; it must be one, and no link to one.
    pub(super) fn enter(&self, name: &[u8], path: &[u8]) -> Result<Arc<Self>, Error> {
        self.open(name, path, true)
    }

    fn open(&self, name: &[u8], path: &[u8], found: bool) -> Result<Arc<Self>, Error> {
        match fs::openat(&self.fd, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Self::new(fd, path.to_vec(), found, &self.shared)),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let why = "a directory on its way is none, or a symbolic link";
                Err(Error::Refused { path: crate::sources::files::shown(path), why })
            }
            Err(error) => Err(self.shared.error("open", path, error)),
        }
    }

    /// Makes a directory in this one, or takes the one that is there.
    pub(super) fn make(&self, name: &[u8], path: &[u8]) -> Result<Arc<Self>, Error> {
        let make = || fs::mkdirat(&self.fd, name, Mode::RWXU);
        let failed = |error| self.shared.error("make the directory", path, error);
        match make() {
            Ok(()) => {
                let open = self.open(name, path, false)?;
                if self.shared.only.is_some() {
                    metadata::clear_acls(&open.fd);
                }
                return Ok(open);
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error)),
        }
        let early = self.shared.made_early.lock().unwrap_or_else(PoisonError::into_inner).remove(&mark(path));
        match self.open(name, path, !early) {
            Ok(open) => {
                if self.shared.replace && !self.shared.only_leads(path) {
                    metadata::clear_acls(&open.fd);
                }
                Ok(open)
            }
            // Somebody's file, or a link to somewhere: it was not asked for, and does not go for what is below it.
            Err(Error::Refused { .. }) if self.shared.replace && self.shared.only_leads(path) => {
                Err(Error::OnTheWay(self.shared.full(path)))
            }
            Err(Error::Refused { .. }) if self.shared.replace => {
                fs::unlinkat(&self.fd, name, AtFlags::empty()).map_err(failed)?;
                make().map_err(failed)?;
                self.open(name, path, false)
            }
            Err(error) => Err(error),
        }
    }

    /// As [`Self::make`], for what comes before the directory's own member, if it has one: that one finds a directory that
    /// was not there before the restore.
    pub(super) fn make_early(&self, name: &[u8], path: &[u8]) -> Result<Arc<Self>, Error> {
        let open = self.make(name, path)?;
        if !open.found {
            self.shared.made_early.lock().unwrap_or_else(PoisonError::into_inner).insert(mark(path));
        }
        Ok(open)
    }

    /// Runs `create` so that what it creates is new: what is in its place is removed if that was asked for.
    pub(super) fn create<T>(
        &self,
        name: &[u8],
        path: &[u8],
        mut create: impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, Error> {
        match create(self.fd()) {
            Err(Errno::EXIST) if self.shared.replace => {
                self.remove(name, path)?;
                create(self.fd()).map_err(|error| self.shared.error("create", path, error))
            }
            Err(Errno::EXIST) => {
                let why = "there is an entry of this name already";
                Err(Error::Refused { path: crate::sources::files::shown(path), why })
            }
            created => created.map_err(|error| self.shared.error("create", path, error)),
        }
    }

    /// Removes an entry, never following a link. A directory goes only if it is empty: what is in it may be a whole
    /// volume that is mounted there, and the package does not name it.
    fn remove(&self, name: &[u8], path: &[u8]) -> Result<(), Error> {
        let mut removed = fs::unlinkat(&self.fd, name, AtFlags::empty());
        if removed == Err(Errno::ISDIR) {
            removed = fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR);
            if let Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) = removed {
                return Err(Error::InTheWay(self.shared.full(path)));
            }
        }
        removed.map_err(|error| self.shared.error("remove", path, error))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let header = self.header.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut header) = header else { return };
        self.shared.closed.leave_open(&self.path, &mut header);
        match metadata::apply(self.fd.as_fd(), &header, &self.shared) {
            Ok(()) => {}
            // Whoever may write into another one's directory still cannot change the directory itself.
            Err(Errno::PERM) if self.found && !self.shared.owners => self.shared.leave_alone(&header.path),
            Err(error) => {
                let error = self.shared.error("set the metadata of", &self.path, error);
                if let Err(error) = self.shared.refuse(&header.path, error) {
                    self.shared.fail(error);
                }
            }
        }
    }
}
