//! How far a run is, for whoever shows it: counted where the bytes pass, read by the terminal's progress bar.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::package::seal::Counters;

/// Counters of the job that runs at present. Cheap to update, never waited for.
#[derive(Debug, Default)]
pub struct Progress {
    job: Mutex<JobLine>,
    framed: Mutex<Arc<Counters>>,
    packed: AtomicU64,
}

/// What runs at present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobLine {
    /// The source's name.
    pub source: String,
    /// What is being done: `dumping`, `finishing`, `pruning`, `restoring`, `verifying`.
    pub doing: &'static str,
    /// How many bytes of content are expected, if that is known.
    pub estimate: Option<u64>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What runs at present.
    pub job: JobLine,
    /// Members so far.
    pub members: u64,
    /// Bytes of content so far.
    pub content: u64,
    /// Bytes sent to, or read from, the stores so far.
    pub packed: u64,
}

impl Progress {
    /// Begins a job: the counters start at zero.
    pub fn begin(&self, source: &str, doing: &'static str, estimate: Option<u64>) {
        *self.job() = JobLine { source: source.to_owned(), doing, estimate };
        self.watch(Arc::default());
        self.packed.store(0, Ordering::Relaxed);
    }

    /// Says what the same job does next.
    pub fn doing(&self, doing: &'static str) {
        self.job().doing = doing;
    }

    /// Shows the counters of this package from now on.
    pub fn watch(&self, framed: Arc<Counters>) {
        *self.framed.lock().unwrap_or_else(PoisonError::into_inner) = framed;
    }

    /// Counts bytes of the package.
    pub fn packed(&self, bytes: u64) {
        self.packed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let framed = Arc::clone(&self.framed.lock().unwrap_or_else(PoisonError::into_inner));
        Snapshot {
            job: self.job().clone(),
            members: framed.members.load(Ordering::Relaxed),
            content: framed.content.load(Ordering::Relaxed),
            packed: self.packed.load(Ordering::Relaxed),
        }
    }

    fn job(&self) -> std::sync::MutexGuard<'_, JobLine> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
