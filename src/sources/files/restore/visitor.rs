//! Members becoming entries of the target.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::choose::Bits;
use super::folder::Open;
use super::places::{Mark, Place, mark};
use super::pool::{Job, Pool};
use super::{Error, Shared, metadata};
use crate::package::Visitor;
use crate::package::budget::Budget;
use crate::package::index::Entry;
use crate::package::member::{Header, Kind};
use crate::package::open::VisitError;
use crate::sources::files::shown;

/// Up to this size a file is read into memory and written by another thread.
const SMALL: u64 = 256 << 10;

/// The memory of files that wait to be written.
const MEMORY: usize = 8 << 20;

/// Takes the members of a package and writes them.
pub(super) struct Writing {
    shared: Arc<Shared>,
    /// The directories from the root to where the last member went, with their names.
    stack: Vec<(Vec<u8>, Arc<Open>)>,
    root: Arc<Open>,
    pool: Pool,
    budget: Budget,
    written: Written,
    /// The last directory that could not be made: what is in it has no place.
    no_place: Option<Vec<u8>>,
    /// Devices that were left out: what is linked to them has nothing to be linked to.
    no_devices: HashSet<Mark>,
    buffer: Vec<u8>,
}

/// What has been written.
#[derive(Debug, Default)]
pub(super) struct Written {
    counts: BTreeMap<&'static str, u64>,
    /// Which members, in archive order, are files whose digests were compared when they were written: sparse ones,
    /// because the index cannot say where their holes are, and those that their owner may not read.
    pub(super) compared: Bits,
    /// Which members were left out: superseded ones, devices if told so, and links to what is in their place already.
    pub(super) skipped: Bits,
}

impl Written {
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect()
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}

impl Writing {
    pub(super) fn new(shared: Arc<Shared>, root: Arc<Open>) -> Result<Self, Error> {
        let pool = Pool::new(&shared)?;
        let written = Written::default();
        let budget = Budget::new(MEMORY);
        let (stack, no_place, no_devices) = (Vec::new(), None, HashSet::new());
        let buffer = vec![0; 256 << 10];
        Ok(Self { shared, stack, root, pool, budget, written, no_place, no_devices, buffer })
    }

    /// Waits for what is still being written and finishes the directories.
    pub(super) fn finish(self) -> Result<Written, Error> {
        let Self { shared, mut stack, root, pool, written, .. } = self;
        pool.settle();
        drop(pool);
        while stack.pop().is_some() {}
        drop(root);
        shared.check()?;
        Ok(written)
    }

    fn take(&mut self, entry: &Entry, mut header: Header, content: &mut dyn Read) -> Result<(), Error> {
        self.shared.check()?;
        let place = self.place(&mut header);
        let no_device = place != Place::Filled && self.is_unwanted_device(&header);
        let skipped =
            entry.superseded || no_device || place == Place::Filled || self.has_no_place(&header.path);
        self.written.skipped.push(skipped);
        self.written.compared.push(compared_at_once(&header));
        if skipped {
            if no_device {
                self.written.count("devices_skipped");
            }
            return Ok(());
        }
        if header.path == b"." {
            if header.kind != Kind::Directory {
                return Err(Error::Refused { path: ".".to_owned(), why: "the root must be a directory" });
            }
            self.root.describe(header);
            self.written.count("directories");
            return Ok(());
        }
        let (path, directory) = (header.path.clone(), header.kind == Kind::Directory);
        let put = self.put(entry, header, content, place == Place::Early);
        if directory && put.is_err() {
            self.no_place = Some(path.clone());
        }
        put.or_else(|error| self.shared.refuse(&path, error))
    }

    /// Moves a member to its place.
    fn place(&self, header: &mut Header) -> Place {
        let Some(chosen) = &self.shared.chosen else { return Place::Own };
        let link = match &mut header.kind {
            Kind::HardLink(first) => Some(first),
            _ => None,
        };
        chosen.places.settle(&mut header.path, link)
    }

    /// Whether this is a device, or a further name of one, and devices are to be left out.
    fn is_unwanted_device(&mut self, header: &Header) -> bool {
        match &header.kind {
            _ if self.shared.devices => false,
            Kind::CharDevice(..) | Kind::BlockDevice(..) => {
                self.no_devices.insert(mark(&header.path));
                true
            }
            Kind::HardLink(first) => self.no_devices.contains(&mark(first)),
            _ => false,
        }
    }

    /// Whether a path is in a directory that could not be made.
    fn has_no_place(&self, path: &[u8]) -> bool {
        let rest = self.no_place.as_ref().and_then(|directory| path.strip_prefix(&**directory));
        rest.is_some_and(|rest| rest.first() == Some(&b'/'))
    }

    /// Writes an entry in its place.
    fn put(
        &mut self,
        entry: &Entry,
        header: Header,
        content: &mut dyn Read,
        early: bool,
    ) -> Result<(), Error> {
        let place = if early { self.early_parent(&header) } else { self.parent(&header.path) };
        let (parent, name) = place?;
        self.written.count(match header.kind {
            Kind::File => "files",
            Kind::Directory => "directories",
            Kind::Symlink(_) => "symlinks",
            Kind::HardLink(_) => "hard_links",
            Kind::Fifo => "fifos",
            Kind::CharDevice(..) | Kind::BlockDevice(..) => "devices",
        });
        match &header.kind {
            Kind::File => {
                self.file(entry, parent, header, content)?;
                if early {
                    // Before its directory's own member comes: what is written later would move that one's time.
                    self.pool.settle();
                }
                Ok(())
            }
            Kind::Directory => {
                let open = parent.make(&name, &header.path)?;
                open.describe(header);
                self.stack.push((name, open));
                Ok(())
            }
            Kind::HardLink(first) => self.link(&parent, &name, &header, first),
            _ => self.special(&parent, &name, &header),
        }
    }

    /// The directory that a path is in, opened name by name from the root, and its last name.
    fn parent(&mut self, path: &[u8]) -> Result<(Arc<Open>, Vec<u8>), Error> {
        let names = safe_names(path)?;
        let Some((last, parents)) = names.split_last() else {
            return Err(Error::Refused { path: shown(path), why: "it has no name" });
        };
        let same = self.stack.iter().zip(parents).take_while(|((name, _), wanted)| name == *wanted).count();
        self.stack.truncate(same);
        for at in same..parents.len() {
            let folder = self.stack.last().map_or(&self.root, |(_, open)| open);
            let path = parents[..=at].join(&b'/');
            // A directory that no member has described: only in archives that this program did not write.
            let open = match folder.enter(parents[at], &path) {
                Err(Error::Write { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                    folder.make(parents[at], &path)?
                }
                entered => entered?,
            };
            self.stack.push((parents[at].to_vec(), open));
        }
        let folder = self.stack.last().map_or(&self.root, |(_, open)| open);
        Ok((Arc::clone(folder), last.to_vec()))
    }

    /// The directory of a member whose place comes later in the archive. The directories that are being filled stay open:
    /// they get their own metadata when they are left.
    fn early_parent(&self, header: &Header) -> Result<(Arc<Open>, Vec<u8>), Error> {
        let names = safe_names(&header.path)?;
        let Some((last, parents)) = names.split_last().filter(|_| header.kind != Kind::Directory) else {
            return Err(Error::Refused { path: shown(&header.path), why: "a hard link to a directory" });
        };
        let mut folder = Arc::clone(&self.root);
        for at in 0..parents.len() {
            folder = folder.make_early(parents[at], &parents[..=at].join(&b'/'))?;
        }
        Ok((folder, last.to_vec()))
    }

    fn file(
        &mut self,
        entry: &Entry,
        folder: Arc<Open>,
        header: Header,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        let stored = header.stored();
        if stored <= SMALL && header.sparse.is_none() {
            let size = usize::try_from(stored).unwrap_or(usize::MAX);
            // The names and the job itself cost something too.
            let lease = self.budget.take_blocking(size + 512);
            let mut bytes = Vec::with_capacity(size);
            content.take(stored).read_to_end(&mut bytes).map_err(|error| unread(&header, error))?;
            if bytes.len() != size {
                return Err(unread(&header, io::ErrorKind::UnexpectedEof.into()));
            }
            let expected = expected(entry, &header);
            return self.pool.write(Job { folder, header, content: bytes, expected, lease });
        }
        let fd = create(&folder, &header)?;
        let segments = header.sparse.clone().unwrap_or_else(|| vec![(0, header.size)]);
        for (offset, length) in &segments {
            self.segment(&fd, &header, *offset, *length, content)?;
        }
        let failed = |error| self.shared.error("write", &header.path, error);
        if header.sparse.is_some() {
            fs::ftruncate(&fd, header.size).map_err(failed)?;
        }
        if let Some(expected) = expected(entry, &header) {
            read_back(&fd, &header, &segments, expected, &mut self.buffer, &self.shared)?;
        }
        self.shared.bytes.fetch_add(stored, Ordering::Relaxed);
        metadata::apply(fd.as_fd(), &header, &self.shared)
            .map_err(|error| self.shared.error("set the metadata of", &header.path, error))
    }

    fn segment(
        &mut self,
        fd: &OwnedFd,
        header: &Header,
        mut offset: u64,
        mut length: u64,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        while length > 0 {
            self.shared.check()?;
            let wanted = self.buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            let got = match content.read(&mut self.buffer[..wanted]) {
                Ok(0) => return Err(unread(header, io::ErrorKind::UnexpectedEof.into())),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unread(header, error)),
            };
            write_at(fd, &self.buffer[..got], offset)
                .map_err(|error| self.shared.error("write", &header.path, error))?;
            offset += got as u64;
            length -= got as u64;
        }
        Ok(())
    }

    fn link(&mut self, folder: &Open, name: &[u8], header: &Header, first: &[u8]) -> Result<(), Error> {
        // The first name may still be on its way through the pool.
        self.pool.settle();
        self.shared.check()?;
        let names = safe_names(first)?;
        let Some((last, parents)) = names.split_last() else {
            return Err(Error::Refused { path: shown(&header.path), why: "it links to the root" });
        };
        let mut from = Arc::clone(&self.root);
        for at in 0..parents.len() {
            from = from.enter(parents[at], &parents[..=at].join(&b'/'))?;
        }
        let link = |to: std::os::fd::BorrowedFd<'_>| fs::linkat(from.fd(), *last, to, name, AtFlags::empty());
        folder.create(name, &header.path, link)
    }

    fn special(&mut self, folder: &Open, name: &[u8], header: &Header) -> Result<(), Error> {
        folder.create(name, &header.path, |at| match &header.kind {
            Kind::Symlink(target) => fs::symlinkat(&**target, at, name),
            Kind::CharDevice(major, minor) => fs::mknodat(
                at,
                name,
                FileType::CharacterDevice,
                Mode::RUSR | Mode::WUSR,
                fs::makedev(*major, *minor),
            ),
            Kind::BlockDevice(major, minor) => fs::mknodat(
                at,
                name,
                FileType::BlockDevice,
                Mode::RUSR | Mode::WUSR,
                fs::makedev(*major, *minor),
            ),
            _ => fs::mknodat(at, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0),
        })?;
        metadata::apply_at(folder.fd(), name, header, &self.shared)
            .map_err(|error| self.shared.error("set the metadata of", &header.path, error))
    }
}

impl Visitor for Writing {
    fn member(&mut self, entry: &Entry, header: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        self.take(entry, header, content).map_err(Into::into)
    }
}

/// The names of a path that stays below the root. The package's reader has refused others already; this is the place
/// that would do the harm.
fn safe_names(path: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    if names.iter().any(|name| name.is_empty() || *name == b"." || *name == b".." || name.contains(&0)) {
        return Err(Error::Refused { path: shown(path), why: "it leaves the target directory" });
    }
    Ok(names)
}

fn unread(header: &Header, cause: io::Error) -> Error {
    Error::Access { action: "read from the package", path: shown(&header.path), cause }
}

fn create(folder: &Open, header: &Header) -> Result<OwnedFd, Error> {
    let name = header.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    folder.create(name, &header.path, |at| fs::openat(at, name, flags, Mode::RUSR | Mode::WUSR))
}

/// Whether a file's digest is compared when it is written, not in the end.
fn compared_at_once(header: &Header) -> bool {
    header.kind == Kind::File && (header.sparse.is_some() || header.mode & 0o400 == 0)
}

/// The digest to compare at once. A file of which the index has none differs from anything.
fn expected(entry: &Entry, header: &Header) -> Option<[u8; 32]> {
    compared_at_once(header).then(|| entry.digest.unwrap_or_default())
}

/// Reads the data of a file back and compares it.
fn read_back(
    fd: &OwnedFd,
    header: &Header,
    segments: &[(u64, u64)],
    expected: [u8; 32],
    buffer: &mut [u8],
    shared: &Shared,
) -> Result<(), Error> {
    let mut hasher = blake3::Hasher::new();
    for (start, length) in segments {
        let (mut offset, end) = (*start, start + length);
        while offset < end {
            let wanted = buffer.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
            match rustix::io::pread(fd, &mut buffer[..wanted], offset) {
                Ok(0) => break,
                Ok(got) => {
                    hasher.update(&buffer[..got]);
                    offset += got as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(shared.error("read back", &header.path, error)),
            }
        }
    }
    if *hasher.finalize().as_bytes() == expected {
        return Ok(());
    }
    Err(Error::Differs { count: 1, first: format!("`{}` in its content", shown(&header.path)) })
}

/// Writes a small file whole.
pub(super) fn write_file(
    folder: &Open,
    header: &Header,
    content: &[u8],
    expected: Option<[u8; 32]>,
    shared: &Shared,
) -> Result<(), Error> {
    let fd = create(folder, header)?;
    write_at(&fd, content, 0).map_err(|error| shared.error("write", &header.path, error))?;
    shared.bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
    if let Some(expected) = expected {
        let mut buffer = vec![0; content.len()];
        read_back(&fd, header, &[(0, header.size)], expected, &mut buffer, shared)?;
    }
    metadata::apply(fd.as_fd(), header, shared)
        .map_err(|error| shared.error("set the metadata of", &header.path, error))
}

fn write_at(fd: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(fd, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
