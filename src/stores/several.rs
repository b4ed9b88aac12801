//! One stream into several stores at once.
//!
//! Every chunk goes to all stores before the next is taken, so the slowest store sets the pace and no more than one
//! chunk waits here. A store that fails drops out, its upload is aborted, and the others go on: one store's failure
//! never costs another store its backup. What the failure means for the run is the caller's to say.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::{Error, Intent, ObjectName, Store, Stored, Upload};

/// A store and the name that the configuration gives it.
#[derive(Clone)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The store.
    pub store: Arc<dyn Store>,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}

/// An object on its way into several stores.
#[derive(Default)]
pub struct Several {
    legs: Vec<Leg>,
}

struct Leg {
    store: String,
    state: State,
}

enum State {
    Open(Box<dyn Upload>),
    Failed(Error),
}

/// Every store has failed; the stores' own errors are with [`Several::finish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no store takes the package any more")]
pub struct NoneLeft;

impl Several {
    /// Begins the object in every store.
    pub async fn create(stores: &[Named], object: &ObjectName, intent: &Intent) -> Self {
        let create = |named: &Named| {
            let Named { name, store } = named.clone();
            async move {
                let state = match store.create(object, intent).await {
                    Ok(upload) => State::Open(upload),
                    Err(error) => State::Failed(error),
                };
                Leg { store: name, state }
            }
        };
        Self { legs: join_all(stores.iter().map(create)).await }
    }

    /// Hands the next bytes to every store that is left, and waits until all have taken them.
    pub async fn write(&mut self, bytes: &Bytes) -> Result<(), NoneLeft> {
        join_all(self.legs.iter_mut().map(|leg| leg.write(bytes.clone()))).await;
        if self.is_any_open() { Ok(()) } else { Err(NoneLeft) }
    }

    /// Whether any store still takes the object.
    pub fn is_any_open(&self) -> bool {
        self.legs.iter().any(|leg| matches!(leg.state, State::Open(_)))
    }

    /// The stores that have failed so far.
    pub fn failed(&self) -> Vec<&str> {
        let failed = self.legs.iter().filter(|leg| matches!(leg.state, State::Failed(_)));
        failed.map(|leg| leg.store.as_str()).collect()
    }

    /// Gives up the uploads to these stores: another part of the same package failed there.
    pub async fn drop_stores(&mut self, stores: &[String], why: &str) {
        for leg in self.legs.iter_mut().filter(|leg| stores.contains(&leg.store)) {
            let error = Error::new(super::Reason::Stopped, why);
            leg.fail(error).await;
        }
    }

    /// Finishes the object in every store that is left. One result for every store, in the order given.
    pub async fn finish(self) -> Vec<(String, Result<Stored, Error>)> {
        join_all(self.legs.into_iter().map(Leg::finish)).await
    }

    /// Gives up everywhere. One result for every store: its error if it had failed before, or if aborting failed.
    pub async fn abort(self) -> Vec<(String, Option<Error>)> {
        join_all(self.legs.into_iter().map(Leg::abort)).await
    }
}

impl Leg {
    async fn write(&mut self, bytes: Bytes) {
        if let State::Open(upload) = &mut self.state
            && let Err(error) = upload.write(bytes).await
        {
            self.fail(error).await;
        }
    }

    /// Aborts the upload and keeps the error that made it necessary.
    async fn fail(&mut self, error: Error) {
        if let State::Open(upload) = std::mem::replace(&mut self.state, State::Failed(error))
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(store = %self.store, %error, "cannot abort the upload; a later prune sweeps it");
        }
    }

    async fn finish(self) -> (String, Result<Stored, Error>) {
        let finished = match self.state {
            State::Open(upload) => upload.finish().await,
            State::Failed(error) => Err(error),
        };
        (self.store, finished)
    }

    async fn abort(self) -> (String, Option<Error>) {
        let error = match self.state {
            State::Open(upload) => upload.abort().await.err(),
            State::Failed(error) => Some(error),
        };
        (self.store, error)
    }
}
