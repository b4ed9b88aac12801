//! Walking a tree in archive order while many threads read ahead.
//!
//! The order is depth first, a directory before what is in it. Every entry has a position in that order before it is
//! read: its directory's position with its own number in the listing appended. So results that arrive in any order are
//! handed on in the right one, and what is next to be read is simply the first position that waits.
//!
//! Threads read ahead only where that helps ([`Pace`]); elsewhere the walk reads the first position by itself.
//!
//! What is ahead has bounds: names ([`AHEAD`]), open directories, and three quarters of the package's memory. The first position
//! of all is never held back by any of them, so the walk always goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::FileType;
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::entry::{Found, Reader};
use super::folder::{BATCH, Folder, Listing, Name};
use super::pace::Pace;
use crate::package::budget::{Budget, Lease};
use crate::package::outlet::Closed;
use crate::package::pulse::Pulse;

/// About how many names are known ahead of the archive.
const AHEAD: usize = 16 << 10;

/// How often a waiting walk looks whether it was told to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// A place in archive order.
type Position = Vec<u32>;

/// What reaches the walk from other threads.
#[derive(Debug)]
pub(super) enum Event {
    /// A task is done, and took this long.
    Done(Position, Result<Box<Found>, Error>, Duration),
    /// A large file has been packed.
    Settled {
        /// Whether it changed meanwhile.
        changed: bool,
    },
    /// A large file could not be read to its end.
    LargeFailed(Errno),
    /// The package gave a large file up.
    LargeDropped,
}

#[derive(Debug)]
enum Task {
    Entry(Arc<Folder>, Name),
    More(Arc<Folder>),
}

impl Task {
    /// The path in parts.
    fn path(&self) -> [&[u8]; 3] {
        match self {
            Self::Entry(folder, name) if folder.path().is_empty() => [&name.bytes, b"", b""],
            Self::Entry(folder, name) => [folder.path(), b"/", &name.bytes],
            Self::More(folder) => [folder.path(), b"/", b""],
        }
    }
}

struct Job {
    position: Position,
    task: Task,
    lease: Option<Lease>,
}

enum Node {
    Waiting(Task),
    Running { memory: usize, names: usize, path: Vec<u8> },
    Done { found: Box<Found>, memory: usize },
}

/// The walk over a tree.
pub(super) struct Walk {
    reader: Arc<Reader>,
    budget: Budget,
    pulse: Pulse,
    stop: CancellationToken,
    nodes: BTreeMap<Position, Node>,
    waiting: BTreeSet<Position>,
    running: usize,
    /// Names that running listings may bring.
    expected: usize,
    /// Memory of what is running or done.
    held: usize,
    most_folders: usize,
    pace: Pace,
    /// The threads' queue, once there are any.
    jobs: Option<Sender<Job>>,
    events: Receiver<Event>,
    event_sender: Sender<Event>,
    /// What the listings left out.
    pub(super) excluded: u64,
    /// Directories that changed while they were listed, as far as that is accepted.
    pub(super) unsettled: Vec<Vec<u8>>,
}

impl Walk {
    /// Begins a walk. `root` is what was found at the root.
    pub(super) fn new(
        reader: Arc<Reader>,
        root: Found,
        (budget, pulse): (Budget, Pulse),
        most_folders: usize,
        stop: CancellationToken,
    ) -> Self {
        let (event_sender, events) = channel();
        let mut walk = Self {
            reader,
            budget,
            pulse,
            stop,
            nodes: BTreeMap::new(),
            waiting: BTreeSet::new(),
            running: 0,
            expected: 0,
            held: 0,
            most_folders,
            pace: Pace::new(),
            jobs: None,
            events,
            event_sender,
            excluded: 0,
            unsettled: Vec::new(),
        };
        walk.arrived(Vec::new(), Box::new(root), 0);
        walk
    }

    /// The threads' queue; starts them when it is first asked for.
    fn jobs(&mut self) -> Result<Sender<Job>, Error> {
        if let Some(jobs) = &self.jobs {
            return Ok(jobs.clone());
        }
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..self.reader.plan.read_ahead {
            let (reader, queue) = (Arc::clone(&self.reader), Arc::clone(&queue));
            let events = self.event_sender.clone();
            let thread = std::thread::Builder::new().name(format!("files-{number}")).stack_size(256 << 10);
            // Detached: after a failure nobody waits for a read that hangs in a file system that is gone.
            thread.spawn(move || work(&reader, &queue, &events)).map_err(|_| Error::Thread)?;
        }
        Ok(self.jobs.insert(jobs).clone())
    }

    /// The next entry in archive order, or `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Found>, Error> {
        loop {
            // A large tree of which little is wanted may hand nothing over for long.
            self.pulse.beat();
            while let Ok(event) = self.events.try_recv() {
                self.take(event)?;
            }
            if self.pace.ahead() {
                self.submit()?;
            }
            match self.nodes.first_key_value() {
                None => return Ok(None),
                Some((_, Node::Done { .. })) => return self.first_done().map(Some),
                Some((_, Node::Waiting(_))) => {
                    if let Some(found) = self.read_first()? {
                        return Ok(Some(found));
                    }
                }
                Some((_, Node::Running { .. })) => {
                    let event = self.wait()?;
                    self.take(event)?;
                }
            }
        }
    }

    fn first_done(&mut self) -> Result<Found, Error> {
        let Some((_, Node::Done { found, memory })) = self.nodes.pop_first() else {
            return Err(Error::Thread);
        };
        self.held -= memory;
        self.forget_growth(&found);
        Ok(*found)
    }

    /// What a small file took beyond what every reading starts with is from here on only its lease's.
    fn forget_growth(&self, found: &Found) {
        if let Found::Small { content, .. } = found {
            let extra = content.len().saturating_sub(self.reader.reserved);
            self.reader.grown.fetch_sub(extra, Ordering::Relaxed);
        }
    }

    /// Reads the first position here and now. `None` if it was only a further part of a listing.
    fn read_first(&mut self) -> Result<Option<Found>, Error> {
        let Some((position, Node::Waiting(task))) = self.nodes.pop_first() else { return Err(Error::Thread) };
        self.waiting.remove(&position);
        let (_, memory) = wants(&self.reader, &task);
        let lease = (memory > 0).then(|| self.budget.take_blocking(memory));
        let counts = matches!(&task, Task::Entry(_, name) if name.hint == FileType::RegularFile);
        self.pulse.reading(&task.path());
        let began = Instant::now();
        let found = read(&self.reader, task, lease)?;
        if counts {
            self.pace.took(began.elapsed());
        }
        if let Found::Small { .. } | Found::Large { .. } | Found::Special { .. } = found {
            self.forget_growth(&found);
            return Ok(Some(found));
        }
        self.arrived(position, Box::new(found), 0);
        Ok(None)
    }

    /// Where the reader of a large file reports to.
    pub(super) fn events(&self) -> Sender<Event> {
        self.event_sender.clone()
    }

    /// Waits until the large file just handed over has been packed. Says whether it changed.
    pub(super) fn settled(&mut self, path: &[u8]) -> Result<bool, Error> {
        loop {
            match self.wait()? {
                Event::Settled { changed } => return Ok(changed),
                Event::LargeFailed(cause) => return Err(self.reader.error("read", path, cause)),
                Event::LargeDropped => return Err(Error::Closed(Closed)),
                done @ Event::Done(..) => {
                    self.take(done)?;
                    if self.pace.ahead() {
                        self.submit()?;
                    }
                }
            }
        }
    }

    fn wait(&self) -> Result<Event, Error> {
        loop {
            if self.stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            match self.events.recv_timeout(GLANCE) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Timeout) => self.note_first(),
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Thread),
            }
        }
    }

    /// Notes what everything waits for, should it never come.
    fn note_first(&self) {
        if let Some((_, Node::Running { path, .. })) = self.nodes.first_key_value() {
            self.pulse.reading(&[path]);
        }
    }

    fn take(&mut self, event: Event) -> Result<(), Error> {
        let Event::Done(position, found, time) = event else { return Ok(()) };
        let found = found?;
        if matches!(*found, Found::Small { .. } | Found::Large { .. }) {
            self.pace.took(time);
        }
        self.running -= 1;
        if let Some(Node::Running { memory, names, .. }) = self.nodes.remove(&position) {
            self.held -= memory;
            self.expected -= names;
        }
        let memory = memory_of(&found);
        self.arrived(position, found, memory);
        Ok(())
    }

    /// Puts what was found in its place, and what it lists behind it.
    fn arrived(&mut self, position: Position, mut found: Box<Found>, memory: usize) {
        let (parent, first, listing) = match &mut *found {
            Found::More(listing) => {
                let (parent, first) = position.split_at(position.len() - 1);
                (parent.to_vec(), first[0], Some(take_listing(listing)))
            }
            Found::Directory { listing, .. } => (position.clone(), 0, listing.take()),
            _ => (Position::new(), 0, None),
        };
        if let Some(listing) = listing {
            self.expand(&parent, first, listing);
        }
        if !matches!(*found, Found::More(_)) {
            self.held += memory;
            self.nodes.insert(position, Node::Done { found, memory });
        }
    }

    fn expand(&mut self, parent: &[u32], first: u32, listing: Listing) {
        self.excluded += listing.excluded;
        if listing.unsettled {
            self.unsettled.push(listing.folder.path().to_vec());
        }
        let folder = listing.folder;
        let more = listing.more.then(|| Task::More(Arc::clone(&folder)));
        let entries = listing.names.into_iter().map(|name| Task::Entry(Arc::clone(&folder), name));
        for (number, task) in (first..).zip(entries.chain(more)) {
            let mut position = Position::with_capacity(parent.len() + 1);
            position.extend_from_slice(parent);
            position.push(number);
            self.waiting.insert(position.clone());
            self.nodes.insert(position, Node::Waiting(task));
        }
    }

    /// Gives the threads what may be read now.
    fn submit(&mut self) -> Result<(), Error> {
        while let Some(position) = self.waiting.first() {
            let head = self.nodes.first_key_value().is_some_and(|(first, _)| first == position);
            let Some(Node::Waiting(task)) = self.nodes.get(position) else { return Err(Error::Thread) };
            let (names, memory) = wants(&self.reader, task);
            if !head && !self.room(names, memory) {
                return Ok(());
            }
            let lease = match memory {
                0 => None,
                // What is ahead holds at most three quarters of the budget; the rest is with the package, which gives it back.
                _ if head => Some(self.budget.take_blocking(memory)),
                _ => match self.budget.try_take(memory) {
                    Some(lease) => Some(lease),
                    None => return Ok(()),
                },
            };
            let Some(position) = self.waiting.pop_first() else { return Ok(()) };
            let running = Node::Running { memory, names, path: task.path().concat() };
            let Some(Node::Waiting(task)) = self.nodes.insert(position.clone(), running) else {
                return Err(Error::Thread);
            };
            self.running += 1;
            self.held += memory;
            self.expected += names;
            self.jobs()?.send(Job { position, task, lease }).map_err(|_| Error::Thread)?;
        }
        Ok(())
    }

    fn room(&self, names: usize, memory: usize) -> bool {
        let folders = self.reader.folders.open.load(Ordering::Relaxed);
        // Enough to do for every thread, also while this one waits for a processor.
        self.running < 16 * self.reader.plan.read_ahead
            && self.held + memory <= self.budget.total() / 2
            && (names == 0
                || self.nodes.len() + self.expected + names <= AHEAD && folders < self.most_folders)
    }
}

/// How many names a task may bring, and the memory that it starts with.
fn wants(reader: &Reader, task: &Task) -> (usize, usize) {
    let (lists, reads) = match task {
        Task::More(_) => (true, false),
        Task::Entry(_, name) => match name.hint {
            FileType::Directory => (true, false),
            FileType::RegularFile => (false, true),
            FileType::Unknown => (true, true),
            _ => (false, false),
        },
    };
    (if lists { BATCH } else { 0 }, if reads { reader.reserved } else { 0 })
}

fn read(reader: &Reader, task: Task, lease: Option<Lease>) -> Result<Found, Error> {
    match task {
        Task::Entry(folder, name) => reader.entry(&folder, &name, lease),
        Task::More(folder) => {
            let listing = reader.list(&folder)?;
            Ok(listing.map_or_else(|| Found::Vanished(folder.path().to_vec()), Found::More))
        }
    }
}

/// Leaves an empty listing behind.
fn take_listing(listing: &mut Listing) -> Listing {
    let folder = Arc::clone(&listing.folder);
    let empty = Listing { folder, names: Vec::new(), more: false, excluded: 0, unsettled: false };
    std::mem::replace(listing, empty)
}

/// The memory that a result holds until it is handed over.
fn memory_of(found: &Found) -> usize {
    let (header, content) = match found {
        Found::Small { header, content, .. } => (header, content.len()),
        Found::Large { opened, .. } => (&opened.header, 0),
        Found::Directory { header, .. } | Found::Special { header, .. } => (header, 0),
        _ => return 0,
    };
    let attributes: usize = header.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
    content
        + attributes
        + header.path.len()
        + header.sparse.as_ref().map_or(0, |segments| segments.len() * 16)
}

/// Does jobs until there are no more.
fn work(reader: &Reader, queue: &Mutex<Receiver<Job>>, events: &Sender<Event>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { position, task, lease }) = job else { return };
        let began = Instant::now();
        let read = || read(reader, task, lease);
        // The walk waits for every position: a thread that dies must not leave it waiting for ever.
        let found = catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(Error::Thread)).map(Box::new);
        if events.send(Event::Done(position, found, began.elapsed())).is_err() {
            return;
        }
    }
}

/// The number of directories and of large files that may be open ahead, from the limit of open files.
pub(super) fn open_limits() -> (usize, usize) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
    let limit = usize::try_from(limit).unwrap_or(1 << 20);
    ((limit / 4).min(192), (limit / 16).min(64))
}
