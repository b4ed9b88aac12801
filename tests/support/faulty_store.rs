//! A store that fails at one chosen call, around a store that works.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use chupacabra::clock::Timestamp;
use chupacabra::stores::{
    Download, Error, Finding, Intent, Listed, ObjectName, Reason, Store, Stored, Upload,
};

/// Counts every call that writes, and fails the one with the chosen number.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    counts: Arc<Counts>,
}

/// What was called.
#[derive(Default)]
pub struct Counts {
    fail_at: usize,
    calls: AtomicUsize,
    begun: AtomicUsize,
    aborted: AtomicUsize,
    finished: AtomicUsize,
}

impl FaultyStore {
    /// Fails the call with this number, counted from 0 over `create`, `write` and `finish`.
    pub fn new(inner: Arc<dyn Store>, fail_at: usize) -> Self {
        Self { inner, counts: Arc::new(Counts { fail_at, ..Counts::default() }) }
    }

    /// The counters, which outlive the store.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }
}

impl Counts {
    /// Whether the chosen call was reached.
    pub fn has_failed(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.fail_at
    }

    /// Uploads begun that were neither finished nor aborted.
    pub fn left_open(&self) -> usize {
        let load = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        load(&self.begun) - load(&self.aborted) - load(&self.finished)
    }

    fn call(&self, what: &str) -> Result<(), Error> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if call == self.fail_at {
            return Err(Error::new(Reason::Rejected, format!("injected at call {call}: {what}")));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn create(&self, name: &ObjectName, intent: &Intent) -> Result<Box<dyn Upload>, Error> {
        self.counts.call("create")?;
        let inner = self.inner.create(name, intent).await?;
        self.counts.begun.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(FaultyUpload { inner, counts: self.counts() }))
    }

    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, Error> {
        self.inner.open(name, range).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.delete(name).await
    }

    async fn sweep(&self, prefix: &str, before: Timestamp, dry_run: bool) -> Result<Vec<String>, Error> {
        self.inner.sweep(prefix, before, dry_run).await
    }

    async fn check(&self) -> Vec<Finding> {
        self.inner.check().await
    }
}

struct FaultyUpload {
    inner: Box<dyn Upload>,
    counts: Arc<Counts>,
}

#[async_trait]
impl Upload for FaultyUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.counts.call("write")?;
        self.inner.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<Stored, Error> {
        // A failed finish consumes the upload, as a store's own would.
        self.counts.finished.fetch_add(1, Ordering::SeqCst);
        self.counts.call("finish")?;
        self.inner.finish().await
    }

    async fn abort(self: Box<Self>) -> Result<(), Error> {
        self.counts.aborted.fetch_add(1, Ordering::SeqCst);
        self.inner.abort().await
    }
}
