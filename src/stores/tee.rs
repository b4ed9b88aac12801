//! One stream into several stores at once.
//!
//! Every chunk goes to all stores before the next is taken, so the slowest store sets the pace and no more than one
//! chunk waits here. A store that fails drops out, its upload is aborted, and the others go on: one store's failure
//! never costs another store its backup. What the failure means for the run is the caller's to say.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::task::JoinSet;

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
pub struct Tee {
    legs: Vec<Leg>,
}

struct Leg {
    store: String,
    state: State,
    /// Upload that is being given up. A store that has failed may take minutes to say so again: nobody waits for it
    /// before the end.
    aborting: JoinSet<()>,
}

enum State {
    Open(Box<dyn Upload>),
    Failed(Error),
}

/// Every store has failed; the stores' own errors are with [`Tee::finish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no store takes the package any more")]
pub struct NoneLeft;

impl Tee {
    /// Begins the object in every store.
    pub async fn create(stores: &[Named], object: &ObjectName, intent: &Intent) -> Self {
        let create = |named: &Named| {
            let Named { name, store } = named.clone();
            async move {
                let state = match store.create(object, intent).await {
                    Ok(upload) => State::Open(upload),
                    Err(error) => State::Failed(error),
                };
                Leg { store: name, state, aborting: JoinSet::new() }
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
    pub fn drop_stores(&mut self, stores: &[String], why: &str) {
        for leg in self.legs.iter_mut().filter(|leg| stores.contains(&leg.store)) {
            let error = Error::new(super::Reason::Stopped, why);
            leg.fail(error);
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
            self.fail(error);
        }
    }

    /// Has the upload aborted, and keeps the first error that made it necessary.
    fn fail(&mut self, error: Error) {
        let upload = match std::mem::replace(&mut self.state, State::Failed(error)) {
            State::Open(upload) => upload,
            // What it failed for first is why.
            failed @ State::Failed(_) => {
                self.state = failed;
                return;
            }
        };
        let store = self.store.clone();
        self.aborting.spawn(async move {
            if let Err(error) = upload.abort().await {
                tracing::warn!(%store, %error, "cannot abort the upload; a later prune sweeps it");
            }
        });
    }

    async fn finish(mut self) -> (String, Result<Stored, Error>) {
        while self.aborting.join_next().await.is_some() {}
        let finished = match self.state {
            State::Open(upload) => upload.finish().await,
            State::Failed(error) => Err(error),
        };
        (self.store, finished)
    }

    async fn abort(mut self) -> (String, Option<Error>) {
        while self.aborting.join_next().await.is_some() {}
        let error = match self.state {
            State::Open(upload) => upload.abort().await.err(),
            State::Failed(error) => Some(error),
        };
        (self.store, error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;

    use super::*;
    use crate::stores::{Proof, Reason};

    /// Takes so many bytes; beyond that it fails, and its abort never ends.
    struct Limited(usize);

    #[async_trait]
    impl Upload for Limited {
        async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
            match self.0.checked_sub(bytes.len()) {
                Some(left) => self.0 = left,
                None => return Err(Error::new(Reason::Full, "full")),
            }
            Ok(())
        }

        async fn finish(self: Box<Self>) -> Result<Stored, Error> {
            Ok(Stored { size: 0, proof: Proof::Checksum })
        }

        async fn abort(self: Box<Self>) -> Result<(), Error> {
            std::future::pending().await
        }
    }

    fn leg(store: &str, limit: usize) -> Leg {
        let state = State::Open(Box::new(Limited(limit)));
        Leg { store: store.to_owned(), state, aborting: JoinSet::new() }
    }

    #[tokio::test]
    async fn the_first_error_of_a_store_is_kept() {
        let mut tee = Tee { legs: vec![leg("small", 10), leg("large", 1_000)] };
        tee.write(&Bytes::from_static(&[0; 100])).await.unwrap();
        tee.drop_stores(&["small".to_owned(), "large".to_owned()], "another part failed");
        let reasons: Vec<Option<Reason>> = tee
            .legs
            .iter()
            .map(|leg| match &leg.state {
                State::Failed(error) => Some(error.reason),
                State::Open(_) => None,
            })
            .collect();
        assert_eq!(reasons, [Some(Reason::Full), Some(Reason::Stopped)]);
    }

    #[tokio::test]
    async fn a_store_that_cannot_even_abort_holds_up_nobody_before_the_end() {
        let mut tee = Tee { legs: vec![leg("small", 10), leg("large", 1_000)] };
        let writing = async {
            for _ in 0..10 {
                tee.write(&Bytes::from_static(&[0; 100])).await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), writing).await.expect("the other store goes on");
        assert_eq!(tee.failed(), ["small"]);
        // At the end it is waited for: the program does not leave an upload behind that it could have ended.
        let ending = tokio::time::timeout(Duration::from_millis(200), tee.finish());
        assert!(ending.await.is_err(), "the abort was not waited for");
    }
}
