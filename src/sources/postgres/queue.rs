//! Which connection reads what. None of them waits for a lock on a table.
//!
//! Whoever wants a table for himself waits for the holder of the snapshot, and everybody who comes later waits behind
//! him. A connection that did would wait for the end of the dump, and the dump for that connection; the server sees no
//! circle in it, because the holder of the snapshot waits for nothing. So a connection locks a table only if that is
//! possible at once. What it cannot lock is left to one that has the lock already: another one that read a part of the
//! table before, or in the end the holder.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Error;
use super::session::{Session, code};
use super::shares::{Job, Progress, Shares};

/// What is waited for an index, which cannot be locked without waiting.
const AT_ONCE: Duration = Duration::from_millis(500);

/// What is still to be read.
pub(super) struct Queue {
    waiting: Shares,
    /// What somebody could not lock.
    refused: Vec<Job>,
}

/// The tables that one connection has locked, until its transaction ends.
#[derive(Debug, Default)]
pub(super) struct Locked(BTreeSet<(String, String)>);

impl Queue {
    /// All that is to be read.
    pub(super) fn new(waiting: Shares) -> Self {
        Self { waiting, refused: Vec::new() }
    }

    /// The next job for a connection with these locks.
    pub(super) fn next(&mut self, locked: &Locked) -> Option<Job> {
        self.waiting.next().or_else(|| {
            let at = self.refused.iter().position(|(progress, _)| locked.has(progress))?;
            Some(self.refused.remove(at))
        })
    }

    /// Gives a job back that needs a lock which somebody else stands in the way of.
    pub(super) fn refuse(&mut self, job: Job) {
        self.refused.push(job);
    }

    /// What is left when every connection has ended.
    pub(super) fn refused(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.refused)
    }
}

impl Locked {
    /// Whether a table is locked already.
    fn has(&self, progress: &Progress) -> bool {
        let table = &progress.table;
        self.0.contains(&(table.schema.clone(), table.name.clone()))
    }

    /// Locks a table within the session's transaction, if it is not yet, and if that is possible at once.
    pub(super) async fn lock(&mut self, session: &mut Session, progress: &Progress) -> Result<bool, Error> {
        if self.has(progress) {
            return Ok(true);
        }
        let table = &progress.table;
        let sql = format!(
            "SAVEPOINT unlocked; SET lock_timeout = {}; {} SET lock_timeout = {}; RELEASE SAVEPOINT unlocked",
            AT_ONCE.as_millis(),
            table.lock(),
            session.lock_timeout.as_millis()
        );
        match session.execute(&sql).await {
            Ok(()) => {
                self.0.insert((table.schema.clone(), table.name.clone()));
                Ok(true)
            }
            Err(error) if code(&error).as_deref() == Some("55P03") => {
                session.execute("ROLLBACK TO SAVEPOINT unlocked; RELEASE SAVEPOINT unlocked").await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
