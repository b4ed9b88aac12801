//! Threads that write small files while the package is read on.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::folder::Open;
use super::visitor::write_file;
use super::{Error, Shared};
use crate::package::budget::Lease;
use crate::package::member::Header;

/// Writing is mostly waiting for the file system; more than the processors help on slow ones.
const THREADS: usize = 8;

/// Files that may wait. Each holds its directory open.
const WAITING: usize = 128;

/// A small file to be written.
pub(super) struct Job {
    pub(super) folder: Arc<Open>,
    pub(super) header: Header,
    pub(super) content: Vec<u8>,
    /// The digest, if it is to be compared now.
    pub(super) expected: Option<[u8; 32]>,
    pub(super) lease: Lease,
}

/// The threads, and how many files they have not written yet.
pub(super) struct Pool {
    jobs: Option<SyncSender<Job>>,
    pending: Arc<(Mutex<usize>, Condvar)>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn new(shared: &Arc<Shared>) -> Result<Self, Error> {
        let (jobs, queue) = sync_channel(WAITING);
        let (queue, pending) = (Arc::new(Mutex::new(queue)), Arc::new((Mutex::new(0), Condvar::new())));
        let threads = (0..THREADS).map(|number| {
            let (shared, queue, pending) = (Arc::clone(shared), Arc::clone(&queue), Arc::clone(&pending));
            let thread = std::thread::Builder::new().name(format!("write-{number}")).stack_size(256 << 10);
            thread.spawn(move || work(&shared, &queue, &pending)).map_err(|_| Error::Thread)
        });
        let threads = threads.collect::<Result<_, _>>()?;
        Ok(Self { jobs: Some(jobs), pending, threads })
    }

    /// Hands a file over, waiting while too many are ahead.
    pub(super) fn write(&self, job: Job) -> Result<(), Error> {
        *self.pending.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.jobs.as_ref().ok_or(Error::Thread)?.send(job).map_err(|_| Error::Thread)
    }

    /// Waits until every file handed over has been written.
    pub(super) fn settle(&self) {
        let mut pending = self.pending.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *pending > 0 {
            pending = self.pending.1.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A panic shows as the failure that its guard has left.
            let _ = thread.join();
        }
    }
}

/// Counts a file as done, also if the thread panics: nobody must wait for it for ever.
struct Done<'a>(&'a (Mutex<usize>, Condvar), &'a Shared);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.1.fail(Error::Thread);
        }
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.1.notify_all();
    }
}

fn work(shared: &Shared, queue: &Mutex<Receiver<Job>>, pending: &(Mutex<usize>, Condvar)) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { folder, header, content, expected, lease }) = job else { return };
        let _done = Done(pending, shared);
        let written = write_file(&folder, &header, &content, expected, shared);
        if let Err(error) = written.or_else(|error| shared.refuse(&header.path, error)) {
            shared.fail(error);
        }
        // Before it counts as done, so that who waits finds the directory finished.
        drop((folder, content, lease));
    }
}
