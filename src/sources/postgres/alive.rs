//! Whether the connections of a dump are still there, asked while rows are read.
//!
//! The connection that holds the snapshot and the locks has nothing to say for as long as the rows take. Asking it now
//! and then keeps whatever stands in between from forgetting it, and notices when that has happened: a connection
//! that was cut without a word would otherwise be waited for without end. The connections that read rows are waited
//! for by their own reads; here the server is asked whether it still has them.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::Error;
use super::session::Session;

/// How often the holder of the snapshot is asked.
const EVERY: Duration = Duration::from_secs(15);
/// How long it may take to answer: longer than a busy server or one that is moved between machines stands still.
const PATIENCE: Duration = Duration::from_mins(1);

/// The server's processes that read rows at present.
#[derive(Debug, Clone, Default)]
pub(super) struct Readers(Arc<Mutex<BTreeSet<i32>>>);

/// One process of [`Readers`], until it is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    readers: Readers,
    pid: i32,
}

impl Readers {
    /// Counts a connection among those that read.
    pub(super) async fn enter(&self, session: &mut Session) -> Result<Reader, Error> {
        let pid = session.value("SELECT pg_backend_pid()::text").await?;
        let pid = pid.parse().map_err(|_| Error::Answer("a process that is no number"))?;
        self.with(|pids| pids.insert(pid));
        Ok(Reader { readers: self.clone(), pid })
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeSet<i32>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.with(|pids| pids.remove(&self.pid));
    }
}

/// Does the work, and asks the holder of the snapshot meanwhile. Fails when it does not answer, or when the server has
/// not known one of the readers for two questions in a row although it still waits for rows.
pub(super) async fn holding<T>(
    holder: &mut Session,
    readers: &Readers,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = pin!(work);
    let mut suspected = BTreeSet::new();
    loop {
        tokio::select! {
            biased;
            done = &mut work => return match done {
                Ok(done) => Ok(done),
                Err(error) => Err(reason(holder, error).await),
            },
            _ = ticks.tick() => {}
        }
        // Readers go on meanwhile, each in a task of its own. The question is never given up halfway, because its
        // answer would be taken for that of the next one.
        let gone = timeout(PATIENCE, gone(holder, readers)).await.map_err(|_| Error::Silent(PATIENCE))??;
        if gone.iter().any(|pid| suspected.contains(pid)) {
            return Err(Error::Cut);
        }
        suspected = gone;
    }
}

/// Why the work failed: a standby that ends the snapshot's holder may leave the readers with nothing but a loss.
async fn reason(holder: &mut Session, error: Error) -> Error {
    if error.is_closed() || error.may_pass() {
        return error;
    }
    match timeout(PATIENCE, holder.value("SELECT 1")).await {
        Ok(Err(conflict)) if conflict.may_pass() => conflict,
        _ => error,
    }
}

/// The readers that the server does not know.
async fn gone(holder: &mut Session, readers: &Readers) -> Result<BTreeSet<i32>, Error> {
    let before = readers.with(|pids| pids.clone());
    let list: Vec<String> = before.iter().chain([&0]).map(ToString::to_string).collect();
    // Within a transaction the server shows its processes as they were when it was asked first.
    holder.execute("SELECT pg_stat_clear_snapshot()").await?;
    let rows =
        holder.rows(&format!("SELECT pid FROM pg_stat_activity WHERE pid IN ({})", list.join(", "))).await?;
    let known = rows.iter().map(|row| row.number(0)).collect::<Result<BTreeSet<i32>, Error>>()?;
    let now = readers.with(|pids| pids.clone());
    Ok(before.intersection(&now).filter(|pid| !known.contains(pid)).copied().collect())
}
