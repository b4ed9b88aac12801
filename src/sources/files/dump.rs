//! Handing a tree over to the package.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::entry::{Found, Reader, TRIES};
use super::folder::Folder;
use super::globs::Matched;
use super::large::LargeFile;
use super::links::Links;
use super::names::Names;
use super::opening::{Opened, lease_wait};
use super::stamp::Inode;
use super::walk::{Walk, open_limits};
use super::{Error, Plan};
use crate::config::units::ByteSize;
use crate::package::budget::Lease;
use crate::package::member::{Content, Header, Kind};
use crate::package::outlet::Outlet;
use crate::sources::files::config::ChangingFiles;
use crate::sources::{Consistency, Summary};

/// Up to this size files are read ahead, if the memory allows.
const SMALL: usize = 256 << 10;

/// What is set aside for a file before its size is known.
const RESERVED: usize = 32 << 10;

/// Before what a file was deleted that was never read.
const READ: &str = "it was read";

/// How many files are named in the record before the rest is only counted.
const NAMED: u64 = 1_000;

pub(super) async fn dump(plan: &Plan, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
    let (plan, stop) = (plan.clone(), stop.clone());
    tokio::task::spawn_blocking(move || run(plan, outlet, stop)).await.map_err(|_| Error::Thread)?
}

fn run(plan: Plan, outlet: Outlet, stop: CancellationToken) -> Result<Summary, Error> {
    let mut dump = Dump::begin(plan, outlet, stop)?;
    while let Some(found) = dump.walk.next()? {
        dump.found(found)?;
    }
    dump.finish()
}

struct Dump {
    reader: Arc<Reader>,
    walk: Walk,
    outlet: Outlet,
    stop: CancellationToken,
    links: Links,
    /// The root's own header, handed over last: whoever extracts writes into it until then.
    root: Option<Header>,
    /// Directories that are wanted only if something below them is.
    parents: Vec<Header>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    notes: Vec<String>,
    noted: u64,
}

impl Tally {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn note(&mut self, note: String) {
        self.noted += 1;
        if self.noted <= NAMED {
            self.notes.push(note);
        }
    }
}

impl Dump {
    fn begin(plan: Plan, outlet: Outlet, stop: CancellationToken) -> Result<Self, Error> {
        let root = |cause: Errno| Error::Root { path: plan.path.display().to_string(), cause: cause.into() };
        // The root itself may be a symbolic link: the person who configured it has named it.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::open(&plan.path, flags, Mode::empty()).map_err(root)?;
        let device = fs::fstat(&fd).map_err(root)?.st_dev;
        let (most_folders, slots) = open_limits();
        let total = outlet.budget().total();
        let reader = Arc::new(Reader {
            small: (total / 16).clamp(1, SMALL),
            reserved: (total / 1024).clamp(1, RESERVED),
            grown: 0.into(),
            most_grown: total / 4,
            matched: Matched::new(&plan.include),
            names: Names::read(),
            device,
            slots,
            open_files: Arc::default(),
            folders: Arc::default(),
            lease_wait: lease_wait(),
            stop: stop.clone(),
            touches_atime: false.into(),
            plan,
        });
        let found = reader.opened_directory(fd, Vec::new())?;
        let walk = Walk::new(
            Arc::clone(&reader),
            found,
            (outlet.budget().clone(), outlet.pulse().clone()),
            most_folders,
            stop.clone(),
        );
        let links = Links::new(reader.plan.hard_link_memory);
        let (parents, tally) = (Vec::new(), Tally::default());
        Ok(Self { reader, walk, outlet, stop, links, root: None, parents, tally })
    }

    fn found(&mut self, found: Found) -> Result<(), Error> {
        if self.stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        match found {
            Found::Directory { header, .. } if header.path == b"." => {
                self.root = Some(header);
                Ok(())
            }
            Found::Directory { header, wanted: false, .. } => {
                self.leave_parents(&header.path);
                self.parents.push(header);
                Ok(())
            }
            Found::Directory { header, .. } => self.empty("directories", header),
            Found::Special { header, inode } => self.special(header, &inode),
            Found::Small { header, inode, content, hash, lease, tries, changed } => {
                if tries > 1 {
                    self.tally.count("changed_retried");
                }
                if changed {
                    self.changed(&header.path)?;
                }
                self.file(header, &inode, Content::Hashed(content, hash), lease).map(drop)
            }
            Found::Large { folder, name, opened } => self.large(&folder, &name, *opened),
            Found::Socket => {
                self.tally.count("sockets_skipped");
                Ok(())
            }
            Found::Excluded => {
                self.tally.count("excluded");
                Ok(())
            }
            Found::Vanished(path) => self.vanished(&path, READ),
            Found::More(_) => Ok(()),
        }
    }

    /// A file that is accepted although it changed whenever it was read, or the failure that it is otherwise.
    fn changed(&mut self, path: &[u8]) -> Result<(), Error> {
        let path = self.reader.full(path);
        match self.reader.plan.changing_files {
            ChangingFiles::Fail => Err(Error::Changing(path)),
            ChangingFiles::Accept => {
                self.tally.count("changed_accepted");
                self.tally.note(format!("`{path}` changed whenever it was read"));
                Ok(())
            }
        }
    }

    fn vanished(&mut self, path: &[u8], before: &str) -> Result<(), Error> {
        match self.reader.plan.changing_files {
            ChangingFiles::Fail => Err(self.reader.error("open", path, Errno::NOENT)),
            ChangingFiles::Accept => {
                self.tally.count("vanished");
                let path = self.reader.full(path);
                self.tally.note(format!("`{path}` was deleted before {before}"));
                Ok(())
            }
        }
    }

    fn special(&mut self, header: Header, inode: &Inode) -> Result<(), Error> {
        let what = match header.kind {
            Kind::Symlink(_) => "symlinks",
            Kind::Fifo => "fifos",
            _ => "devices",
        };
        match self.link(&header, inode)? {
            Some(link) => self.empty("hard_links", link),
            None => self.empty(what, header),
        }
    }

    /// Hands a file over, or the link to its first name. Says whether the content was handed over.
    fn file(
        &mut self,
        header: Header,
        inode: &Inode,
        content: Content,
        lease: Option<Lease>,
    ) -> Result<bool, Error> {
        if let Some(link) = self.link(&header, inode)? {
            self.empty("hard_links", link)?;
            return Ok(false);
        }
        self.tally.count("files");
        self.hand_over(header, content, lease)?;
        Ok(true)
    }

    /// The header of a hard link, if this file is in the archive already.
    fn link(&mut self, header: &Header, inode: &Inode) -> Result<Option<Header>, Error> {
        let full = |_| Error::HardLinks {
            limit: ByteSize(self.reader.plan.hard_link_memory as u64),
            path: self.reader.full(&header.path),
        };
        let first = self.links.first_name(inode, &header.path).map_err(full)?;
        Ok(first.map(|first| Header {
            kind: Kind::HardLink(first),
            size: 0,
            sparse: None,
            // They belong to the file, which the first name has brought.
            xattrs: Vec::new(),
            ..header.clone()
        }))
    }

    /// Hands over a file that is read while it is packed, again if it changed meanwhile.
    ///
    /// A name may lead to another file whenever it is opened. So later names are linked to what was open when the
    /// content was taken, and only if that content counts.
    fn large(&mut self, folder: &Folder, name: &[u8], opened: Opened) -> Result<(), Error> {
        let path = opened.header.path.clone();
        let mut next = Some(opened);
        let mut attempt = 1;
        while attempt <= TRIES {
            let opened = match next.take() {
                Some(opened) => Some(opened),
                None => self.reader.reopen(folder, name)?,
            };
            let Some(Opened { header, inode, fd }) = opened else {
                let read = if attempt > 1 {
                    "it could be read again; what was read of it is superseded"
                } else {
                    READ
                };
                return self.vanished(&path, read);
            };
            if let Some(link) = self.link(&header, &inode)? {
                return self.empty("hard_links", link);
            }
            let Some(slot) = fd else {
                // Found while too many files were open: what the name leads to now is what counts.
                self.links.forget(&inode);
                continue;
            };
            let segments = header.sparse.clone().unwrap_or_else(|| vec![(0, header.size)]);
            let accept = attempt == TRIES && self.reader.plan.changing_files == ChangingFiles::Accept;
            let full = self.reader.full(&path);
            let file = LargeFile::new(slot, full, inode.stamp, segments, accept, self.walk.events());
            self.hand_over(header, Content::Reader(Box::new(file)), None)?;
            if !self.walk.settled(&path)? {
                self.tally.count("files");
                return Ok(());
            }
            if attempt < TRIES {
                self.links.forget(&inode);
                self.tally.count("changed_retried");
            }
            attempt += 1;
        }
        self.tally.count("files");
        self.changed(&path)
    }

    fn empty(&mut self, what: &'static str, header: Header) -> Result<(), Error> {
        self.tally.count(what);
        self.hand_over(header, Content::Bytes(bytes::Bytes::new()), None)
    }

    fn hand_over(&mut self, header: Header, content: Content, lease: Option<Lease>) -> Result<(), Error> {
        self.leave_parents(&header.path);
        for parent in std::mem::take(&mut self.parents) {
            self.tally.count("directories");
            self.outlet.leased_blocking(parent, Content::Bytes(bytes::Bytes::new()), None)?;
        }
        Ok(self.outlet.leased_blocking(header, content, lease)?)
    }

    /// Forgets the directories of `parents` that `path` is not in.
    fn leave_parents(&mut self, path: &[u8]) {
        let within = |parent: &Header| {
            path.strip_prefix(&*parent.path).is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        while self.parents.last().is_some_and(|parent| !within(parent)) {
            self.parents.pop();
        }
    }

    fn finish(mut self) -> Result<Summary, Error> {
        let Reader { plan, matched, .. } = &*self.reader;
        if let Some(glob) = matched.without_match(&plan.include) {
            return Err(Error::IncludesNothing {
                glob: glob.to_owned(),
                path: plan.path.display().to_string(),
            });
        }
        self.parents.clear();
        if let Some(root) = self.root.take() {
            self.empty("directories", root)?;
        }
        for directory in &self.walk.unsettled {
            let path = self.reader.full(directory);
            self.tally.note(format!("`{path}` changed while it was listed: new names in it may be missing"));
        }
        let Tally { counts, mut notes, noted } = self.tally;
        if noted > NAMED {
            notes.push(format!("… and {} more files that changed or vanished", noted - NAMED));
        }
        let mut counts: BTreeMap<String, u64> =
            counts.into_iter().map(|(what, n)| (what.to_owned(), n)).collect();
        if self.walk.excluded > 0 {
            *counts.entry("excluded".to_owned()).or_default() += self.walk.excluded;
        }
        Ok(Summary { consistency: Consistency::default(), missing: Vec::new(), notes, counts })
    }
}

#[cfg(test)]
mod tests;
