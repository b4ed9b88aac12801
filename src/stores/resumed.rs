//! Downloads that go on where they were cut: one place for every store that reads ranges over a network.
//!
//! How a range is asked for, and whether an answer is that range of the same object, is the store's to say. What
//! follows is here: every byte is counted, an early end is never the end, what may pass by itself is waited for, and
//! the rest is asked for from the byte where it stopped.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::retry::{Pulse, Waits, watch};
use super::{Download, Error, Reason};

/// What is done, for errors.
pub(super) const DOING: &str = "read the object";

/// The bytes of one answer; its errors are those of the connection.
pub(super) type Answer = BoxStream<'static, Result<Bytes, Box<dyn std::error::Error + Send + Sync>>>;

/// An object whose ranges can be asked for.
#[async_trait]
pub(super) trait Ranges: Send + Sync {
    /// Asks once for a range, and makes sure that the answer is that range of the object as it was before.
    async fn ask(&self, range: &Range<u64>) -> Result<Answer, Error>;
}

/// A download in progress.
struct Reading<R> {
    object: R,
    /// What is still to come.
    rest: Range<u64>,
    answer: Option<Answer>,
    waits: Waits,
    patience: Duration,
}

/// The bytes of `range`, of which `first` is the answer that has begun. Between two pieces `patience` may pass.
pub(super) fn resumed(
    object: impl Ranges + 'static,
    range: Range<u64>,
    first: Answer,
    waits: Waits,
    patience: Duration,
) -> Download {
    let reading = Reading { object, rest: range, answer: Some(first), waits, patience };
    let pieces = stream::try_unfold(reading, |mut reading| async move {
        let bytes = reading.next().await?;
        Ok(bytes.map(|bytes| (bytes, reading)))
    });
    pieces.boxed()
}

impl<R: Ranges> Reading<R> {
    /// The next bytes, or `None` after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while !self.rest.is_empty() {
            match self.step().await {
                Ok(bytes) => {
                    self.rest.start += bytes.len() as u64;
                    if self.rest.start > self.rest.end {
                        return Err(Error::new(Reason::Corrupt, "the service sent more than was asked for"));
                    }
                    if !bytes.is_empty() {
                        self.waits.reset();
                        return Ok(Some(bytes));
                    }
                }
                Err(error) => {
                    self.answer = None;
                    self.waits.wait_after(DOING, error).await?;
                }
            }
        }
        Ok(None)
    }

    /// Reads once, from the answer that is open or from a new one at the byte where the last ended.
    async fn step(&mut self) -> Result<Bytes, Error> {
        let answer = if let Some(answer) = &mut self.answer {
            answer
        } else {
            let answer = self.object.ask(&self.rest).await?;
            self.answer.insert(answer)
        };
        let read = async { Ok(answer.next().await) };
        match watch(&Pulse::default(), self.patience, DOING, read).await? {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(error)) => {
                let message = format!("cannot {DOING}: the connection broke at byte {}", self.rest.start);
                Err(Error { source: Some(error), ..Error::new(Reason::Transient(None), message) })
            }
            None => {
                let message =
                    format!("cannot {DOING}: it ended at byte {} of {}", self.rest.start, self.rest.end);
                Err(Error::new(Reason::Transient(None), message))
            }
        }
    }
}
