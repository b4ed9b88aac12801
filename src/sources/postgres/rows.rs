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

/// How many bytes show that more are to come than a moment is worth.
const MANY: u64 = 256 << 10;

/// The rows that a `COPY … TO STDOUT` yields, in the server's order.
pub(super) struct Rows<'s> {
    stream: BoxStream<'s, Result<Bytes, sqlx::Error>>,
    bytes: u64,
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
        Ok(Self { stream, bytes: 0, alone })
    }

    /// The next row with its end of line, or `None` when the server has confirmed that there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let patient = self.alone && self.bytes > MANY;
        let row = poll_fn(|context| {
            let row = self.stream.poll_next_unpin(context);
            if patient && row.is_pending() {
                gather();
            }
            row
        });
        let Some(row) = row.await.transpose()? else { return Ok(None) };
        if row.last() != Some(&b'\n') {
            return Err(Error::Answer("a row without an end"));
        }
        self.bytes += row.len() as u64;
        Ok(Some(row))
    }
}

/// Connections at work, each on a thread of its own. What still runs when this is dropped is stopped.
pub(super) struct Threads<T> {
    tasks: JoinSet<Result<T, Error>>,
    stop: CancellationToken,
    _stopping: DropGuard,
}

impl<T: Send + 'static> Threads<T> {
    pub(super) fn new() -> Self {
        let stop = CancellationToken::new();
        Self { tasks: JoinSet::new(), stop: stop.clone(), _stopping: stop.drop_guard() }
    }

    pub(super) fn spawn(&mut self, work: impl Future<Output = Result<T, Error>> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
            runtime.block_on(stop.run_until_cancelled(work)).unwrap_or(Err(Error::Stopped))
        });
    }

    /// What the next of them to end has done.
    pub(super) async fn join_next(&mut self) -> Option<Result<T, Error>> {
        Some(self.tasks.join_next().await?.unwrap_or(Err(Error::Stopped)))
    }
}
