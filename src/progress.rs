//! How far a run is, for whoever shows it: counted where the bytes pass, read by the terminal's progress bar.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters of the job that runs at present. Cheap to update, never waited for.
#[derive(Debug, Default)]
pub struct Progress {
    job: Mutex<JobLine>,
    members: AtomicU64,
    content: AtomicU64,
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
        for counter in [&self.members, &self.content, &self.packed] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Says what the same job does next.
    pub fn doing(&self, doing: &'static str) {
        self.job().doing = doing;
    }

    /// Counts one member and its content.
    pub fn member(&self, content: u64) {
        self.members.fetch_add(1, Ordering::Relaxed);
        self.content.fetch_add(content, Ordering::Relaxed);
    }

    /// Counts content of a member that is still being read.
    pub fn content(&self, bytes: u64) {
        self.content.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of the package.
    pub fn packed(&self, bytes: u64) {
        self.packed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            job: self.job().clone(),
            members: self.members.load(Ordering::Relaxed),
            content: self.content.load(Ordering::Relaxed),
            packed: self.packed.load(Ordering::Relaxed),
        }
    }

    fn job(&self) -> std::sync::MutexGuard<'_, JobLine> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
