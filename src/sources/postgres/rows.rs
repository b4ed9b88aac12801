//! Rows on their way from the server, read by COPY on connections with a thread each.
//!
//! A server sends 8 KiB at a time. Where something waits at the socket it is woken for each of them, which costs both
//! sides more than the sending. So a connection that reads many rows has a thread and a runtime of its own, and when
//! nothing has come yet that thread sleeps for a moment instead of waiting.

use std::future::{Future, poll_fn};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Error;
use super::session::Session;
use crate::gather::gather;
use crate::package::digest::Fingerprint;

/// How many bytes show that more are to come than a moment is worth.
const MANY: u64 = 256 << 10;

/// The rows that a `COPY … TO STDOUT` yields, in the server's order.
pub(super) struct Rows<'s> {
    stream: BoxStream<'s, Result<Bytes, sqlx::Error>>,
    fingerprint: Fingerprint,
    /// Whether nothing else is done on this thread.
    alone: bool,
}

impl<'s> Rows<'s> {
    /// Sends the statement. After an error, here or later, and unless all rows have been taken, the session must not
    /// be used again.
    pub(super) async fn begin(session: &'s mut Session, statement: &str) -> Result<Self, Error> {
        let statement = session.sendable(statement)?;
        let alone = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        let stream = session.connection().copy_out_raw(&statement).await?;
        Ok(Self { stream, fingerprint: Fingerprint::default(), alone })
    }

    /// The next row with its end of line, or `None` when the server has confirmed that there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let patient = self.alone && self.fingerprint.bytes > MANY;
        let row = poll_fn(|context| {
            let row = self.stream.poll_next_unpin(context);
            if patient && row.is_pending() {
                gather();
            }
            row
        });
        let Some(row) = row.await.transpose()? else { return Ok(None) };
        self.fingerprint.add(row.strip_suffix(b"\n").ok_or(Error::Answer("a row without an end"))?);
        Ok(Some(row))
    }

    /// Of the rows taken so far, without their ends of line.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Work that goes on at once, on a thread with a runtime of its own each. What still runs when this is dropped is given
/// up where it next waits, and its connection with it.
pub(super) struct Threads<T> {
    tasks: JoinSet<Result<T, Error>>,
    stop: CancellationToken,
    _stopping: DropGuard,
}

impl<T: Send + 'static> Threads<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        let stop = CancellationToken::new();
        Self { tasks: JoinSet::new(), stop: stop.clone(), _stopping: stop.drop_guard() }
    }

    /// Begins with one more.
    pub(super) fn spawn(&mut self, work: impl Future<Output = Result<T, Error>> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
            runtime.block_on(stop.run_until_cancelled(work)).unwrap_or(Err(Error::Stopped))
        });
    }

    /// What the next of them to end has done, or `None` after the last.
    pub(super) async fn join_next(&mut self) -> Option<Result<T, Error>> {
        Some(self.tasks.join_next().await?.unwrap_or(Err(Error::Stopped)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_is_given_up() {
        let mut threads = Threads::new();
        let (held, mut dropped) = oneshot::channel::<()>();
        threads.spawn(async move {
            let _held = held;
            std::future::pending().await
        });
        threads.spawn(async { Ok(1) });
        assert_eq!(threads.join_next().await.unwrap().unwrap(), 1);
        assert!(timeout(Duration::from_millis(50), &mut dropped).await.is_err(), "given up too early");
        drop(threads);
        assert!(timeout(Duration::from_secs(10), dropped).await.unwrap().is_err());
    }
}
