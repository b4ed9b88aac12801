//! The report: the outcome of every job of a run. The one input of the exit code and of everything that tells people.

use serde::Serialize;

use crate::catalog::{Key, Record, SourceName};
use crate::clock::Timestamp;
use crate::config::Require;
use crate::exit::Exit;

/// The outcome of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// When the run began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// One job for each source.
    pub jobs: Vec<Job>,
    /// What went wrong with the run as a whole, although its jobs were done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// The signal that ended the run before its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
}

/// A signal that told the run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// The outcome of one source.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// The source.
    pub source: SourceName,
    /// Its kind.
    pub kind: &'static str,
    /// The key of its package, whether or not any store has it.
    pub key: Key,
    /// How it ended.
    pub status: Status,
    /// What each store has.
    pub stores: Vec<StoreOutcome>,
    /// The record, if any store has the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// Why it failed, cause by cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<String>,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Complete, in every store that is required.
    Good,
    /// Complete, but far smaller than the one before: a person should look.
    Suspicious,
    /// Something is missing from it, or a required store does not have it.
    Partial,
    /// No store has a package of this run.
    Failed,
}

/// What one store has of a job.
#[derive(Debug, Clone, Serialize)]
pub struct StoreOutcome {
    /// The store's name.
    pub store: String,
    /// Whether it has the package, recorded.
    pub committed: bool,
    /// Whether what is missing from the package was accepted before, so that retention takes it for good.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
    /// Why it has not, cause by cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<String>,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Packages removed by retention after this backup.
    pub pruned: u64,
    /// Why retention could not be enforced although the backup is good.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prune_error: Vec<String>,
}

impl Report {
    /// The exit code that says all this.
    pub fn exit(&self) -> Exit {
        match self.stopped {
            Some(Stopped::Interrupted) => return Exit::Interrupted,
            Some(Stopped::Terminated) => return Exit::Terminated,
            None => {}
        }
        let failed = |job: &&Job| job.status == Status::Failed;
        let sound = |job: &Job| {
            job.status == Status::Good && job.stores.iter().all(|store| store.prune_error.is_empty())
        };
        if self.jobs.iter().all(sound) {
            if self.problems.is_empty() { Exit::Good } else { Exit::Partial }
        } else if self.jobs.iter().filter(failed).count() == self.jobs.len() {
            Exit::Failed
        } else {
            Exit::Partial
        }
    }
}

impl Job {
    /// Judges the job by what its stores have.
    pub fn judge(record: Option<&Record>, stores: &[StoreOutcome], require: Require) -> Status {
        let Some(record) = record.filter(|_| stores.iter().any(|store| store.committed)) else {
            return Status::Failed;
        };
        let enough = require == Require::Any || stores.iter().all(|store| store.committed);
        match (enough, record.outcome, &record.suspicious) {
            (false, ..) | (_, crate::catalog::record::Outcome::Partial, _) => Status::Partial,
            (_, _, Some(_)) => Status::Suspicious,
            _ => Status::Good,
        }
    }
}

/// An error and its causes, outermost first, each once.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !causes.last().is_some_and(|last| last.ends_with(&text)) {
            causes.push(text);
        }
        next = error.source();
    }
    causes
}
