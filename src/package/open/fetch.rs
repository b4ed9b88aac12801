//! From the store's async download to a blocking reader.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::package::Error;
use crate::package::digest::{ObjectDigest, ObjectHasher};
use crate::stores::{self, ObjectName, Reason, Store};

/// The pieces of a download that may wait.
const WAITING: usize = 4;

enum Piece {
    Data(Bytes),
    End,
    Failed(stores::Error),
}

/// Reads an object, whole or a range, on a thread that may block.
pub(super) struct Fetch {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    hasher: Option<ObjectHasher>,
    outcome: Outcome,
    ended: bool,
}

/// What a whole download turned out to be, once it has been read to its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome(Arc<Mutex<Option<ObjectDigest>>>);

impl Outcome {
    /// Compares size and digest of what was read with the record.
    pub(super) fn check(&self, what: &'static str, recorded: &ObjectDigest) -> Result<(), Error> {
        match self.digest().as_ref() {
            None => Err(Error::Damaged(format!("the {what} object has bytes behind its end"))),
            Some(actual) if actual == recorded => Ok(()),
            Some(actual) => Err(Error::not_as_recorded(what, recorded, actual)),
        }
    }
}

impl Outcome {
    /// Size and digest, if the object has been read to its end.
    pub(super) fn digest(&self) -> Option<ObjectDigest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Fetch {
    /// Begins a download. It ends when the reader is dropped or `stop` is cancelled.
    pub(super) fn start(
        runtime: &Handle,
        store: Arc<dyn Store>,
        name: ObjectName,
        range: Option<Range<u64>>,
        stop: CancellationToken,
    ) -> Self {
        let (send, pieces) = mpsc::channel(WAITING);
        let hasher = range.is_none().then(ObjectHasher::default);
        runtime.spawn(async move {
            let download = forward(&*store, &name, range, &send);
            let last = tokio::select! {
                result = download => result.map_or_else(Piece::Failed, |()| Piece::End),
                () = stop.cancelled() => Piece::Failed(stores::Error::new(Reason::Stopped, "the run was told to stop")),
                () = send.closed() => return,
            };
            // The reader is gone when nobody wants the rest.
            let _ = send.send(last).await;
        });
        Self { pieces, current: Bytes::new(), hasher, outcome: Outcome::default(), ended: false }
    }

    /// What will be known when the object has been read to its end.
    pub(super) fn outcome(&self) -> Outcome {
        self.outcome.clone()
    }
}

async fn forward(
    store: &dyn Store,
    name: &ObjectName,
    range: Option<Range<u64>>,
    send: &mpsc::Sender<Piece>,
) -> Result<(), stores::Error> {
    let mut download = store.open(name, range).await?;
    while let Some(bytes) = download.next().await {
        if send.send(Piece::Data(bytes?)).await.is_err() {
            break;
        }
    }
    Ok(())
}

impl Read for Fetch {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(bytes)) => {
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(&bytes);
                    }
                    self.current = bytes;
                }
                Some(Piece::End) => {
                    self.ended = true;
                    let digest = self.hasher.take().map(ObjectHasher::finish);
                    *self.outcome.0.lock().unwrap_or_else(PoisonError::into_inner) = digest;
                }
                Some(Piece::Failed(error)) => return Err(io::Error::other(error)),
                None => {
                    let error = stores::Error::new(Reason::Stopped, "the download stopped");
                    return Err(io::Error::other(error));
                }
            }
        }
        let count = self.current.len().min(out.len());
        self.current.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}
