//! Writing a package: members in, package and index out.

mod framing;
mod output;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use super::budget::Budget;
use super::digest::ObjectDigest;
use super::index::Note;
use super::outlet::{Outlet, Parcel};
use super::pipe::PipeWriter;
use super::{Error, age, gzip, index};

pub(super) use output::HashedPipe;

/// How packages are written. Comes from the configuration; nothing in here depends on the data.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Compression level, 1 to 12.
    pub level: u8,
    /// Compression threads.
    pub threads: usize,
    /// Bytes that members may hold in memory while they wait.
    pub memory: usize,
    /// For whom packages are encrypted. Not empty.
    pub recipients: Vec<super::age::Recipient>,
}

/// A package being written.
///
/// Dropping it instead of calling [`finish`](Self::finish) gives the package up: outlets close and both pipes break.
#[derive(Debug)]
pub struct Sealing {
    parcels: mpsc::Sender<Parcel>,
    abandoned: Arc<AtomicBool>,
    counters: Arc<Counters>,
    failure: Failure,
    threads: Option<Threads>,
}

/// What has been framed so far, for whoever shows it.
#[derive(Debug, Default)]
pub struct Counters {
    /// Members.
    pub members: AtomicU64,
    /// Bytes of content.
    pub content: AtomicU64,
}

#[derive(Debug)]
struct Threads {
    framing: JoinHandle<Option<Totals>>,
    output: JoinHandle<Option<(ObjectDigest, PipeWriter)>>,
    index: JoinHandle<Option<(ObjectDigest, PipeWriter)>>,
}

/// Counts of what went into a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Members.
    pub members: u64,
    /// Objects with a fingerprint.
    pub objects: u64,
    /// Content bytes of all members (holes not counted).
    pub content_bytes: u64,
    /// Bytes of the tar stream.
    pub tar_bytes: u64,
}

/// A package whose every byte has been handed to the uploads. Not yet a backup.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Size and digest of the package object.
    pub package: ObjectDigest,
    /// Size and digest of the index object.
    pub index: ObjectDigest,
    /// What is in it.
    pub totals: Totals,
}

/// The error that ended a package: the first that is a cause and not a consequence.
#[derive(Debug, Clone, Default)]
struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    /// Keeps what a thread returned if it is a result, and notes it if it is the cause of the end.
    fn settle<T>(&self, result: Result<T, Error>) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|first| matches!(first, Error::Abandoned)) {
            *first = Some(error);
        }
        None
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The members that may wait between a source and the framing thread; their content is bounded by the budget.
const WAITING_MEMBERS: usize = 256;
/// The lines that may wait for the index.
const WAITING_NOTES: usize = 1_024;

/// Begins a package. `key` is the package's key, which the index repeats so that it fits no other package.
///
/// Package and index are written at the same time: both pipes must be read, or both wait.
pub fn seal(
    settings: &Settings,
    key: &str,
    package: PipeWriter,
    index: PipeWriter,
) -> Result<(Outlet, Sealing), Error> {
    let package = age::seal(&settings.recipients, HashedPipe::new(package))?;
    let index_sink = age::seal(&settings.recipients, HashedPipe::new(index))?;
    let (packer, compressed) = gzip::pack(settings.level, settings.threads).map_err(Error::Thread)?;
    let (outlet, arriving) = Outlet::new(Budget::new(settings.memory), WAITING_MEMBERS);
    let parcels = outlet.parcels();
    let (notes, told) = sync_channel::<Note>(WAITING_NOTES);
    let (failure, abandoned) = (Failure::default(), Arc::new(AtomicBool::new(false)));

    let counters = Arc::new(Counters::default());
    let framing = {
        let (failure, notes, abandoned) = (failure.clone(), notes.clone(), abandoned.clone());
        let framing =
            framing::Framing::new(packer, notes, abandoned, counters.clone(), outlet.pulse().clone());
        spawn("framing", move || failure.settle(framing.run(arriving)))?
    };
    let output = {
        let failure = failure.clone();
        spawn("sealing", move || failure.settle(output::run(compressed, package, &notes)))?
    };
    let index = {
        let (failure, key, level) = (failure.clone(), key.to_owned(), settings.level);
        spawn("index", move || failure.settle(index::write(level, &key, &told, index_sink)))?
    };
    let threads = Some(Threads { framing, output, index });
    Ok((outlet, Sealing { parcels, abandoned, counters, failure, threads }))
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    thread::Builder::new().name(name.into()).spawn(run).map_err(Error::Thread)
}

impl Sealing {
    /// The counters, which go on counting while members are framed.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Ends the package: waits until every member handed over has been written, then finishes package and index.
    ///
    /// To be called only after the dump has said that it is complete, and on a thread that may block. Dropping a
    /// `Sealing` instead breaks both pipes.
    pub fn finish(mut self) -> Result<Packed, Error> {
        // A closed queue means that a thread has failed; it has noted why.
        let _ = self.parcels.blocking_send(Parcel::End);
        let Some(threads) = self.threads.take() else { return Err(Error::Abandoned) };
        let (framing, output, index) = (threads.framing.join(), threads.output.join(), threads.index.join());
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        match (framing, output, index) {
            (Ok(Some(totals)), Ok(Some((package, package_pipe))), Ok(Some((index, index_pipe)))) => {
                // Only now that both are sound does either get an end.
                index_pipe.finish().and_then(|()| package_pipe.finish()).map_err(Error::Write)?;
                Ok(Packed { package, index, totals })
            }
            _ => Err(Error::Abandoned),
        }
    }
}

impl Drop for Sealing {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        // Wakes the framing thread. If the queue is full it is awake, and looks before each member.
        let _ = self.parcels.try_send(Parcel::End);
    }
}
