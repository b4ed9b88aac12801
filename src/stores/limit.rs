//! Bandwidth limits: a store that takes and gives no more than so many bytes in a second.
//!
//! One limit holds for all uploads of a store together, and one for all downloads. A store may collect what it has
//! taken and send it in larger pieces, several at once: the limit holds for the average over a few seconds.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Download, Error, Finding, Intent, Listed, ObjectName, Store, Stored, Upload, retry};
use crate::clock::Timestamp;
use crate::config::context::Context;
use crate::config::units::Rate;

/// Limits as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How fast packages go into the store at most, for example `10MiB/s`. Default: as fast as it can.
    pub upload: Option<Rate>,
    /// How fast they come out of it at most.
    pub download: Option<Rate>,
}

/// Limits as meant, in bytes per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Into the store.
    pub upload: Option<u64>,
    /// Out of the store.
    pub download: Option<u64>,
}

impl Config {
    /// Refuses a limit at which nothing would ever arrive.
    pub fn plan(self, context: &mut Context) -> Limits {
        for (key, rate) in [("upload", self.upload), ("download", self.download)] {
            if rate.is_some_and(|rate| rate.0 < 1024) {
                let what = format!("{} is slower than any backup can wait", rate.unwrap_or(Rate(0)));
                context.problem(key, what, "write 1KiB/s or more, for example `10MiB/s`");
            }
        }
        Limits { upload: self.upload.map(|rate| rate.0), download: self.download.map(|rate| rate.0) }
    }
}

/// Wraps a store so that it keeps its limits; a store without limits stays as it is.
pub fn limited(store: Arc<dyn Store>, limits: Limits) -> Arc<dyn Store> {
    if limits == Limits::default() {
        return store;
    }
    Arc::new(Limited { store, up: limits.upload.map(Bucket::new), down: limits.download.map(Bucket::new) })
}

/// A store with limits.
struct Limited {
    store: Arc<dyn Store>,
    up: Option<Bucket>,
    down: Option<Bucket>,
}

/// A token bucket: bytes may pass when the time that all bytes before them take has gone by.
#[derive(Debug, Clone)]
struct Bucket {
    rate: u64,
    /// When the last byte that has passed is paid for.
    paid: Arc<Mutex<Instant>>,
}

/// How much may pass at once after a pause.
const BURST: Duration = Duration::from_millis(250);

impl Bucket {
    fn new(rate: u64) -> Self {
        Self { rate, paid: Arc::new(Mutex::new(Instant::now())) }
    }

    /// The most bytes that pass in one piece.
    fn piece(&self) -> usize {
        usize::try_from(self.rate / 4).unwrap_or(usize::MAX).max(1)
    }

    /// Waits until `size` more bytes may pass.
    async fn pass(&self, size: usize) {
        let wait = self.wait(size, Instant::now());
        if !wait.is_zero() {
            retry::pause(wait).await;
        }
    }

    /// How long `size` bytes must wait that come at `now`.
    fn wait(&self, size: usize, now: Instant) -> Duration {
        #[allow(clippy::cast_precision_loss, reason = "a fraction of a second, rounded")]
        let cost = Duration::from_secs_f64(size as f64 / self.rate as f64);
        // A moment cannot be left half changed, so a panic elsewhere does not spoil it.
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        *paid = (*paid).max(earliest) + cost;
        paid.saturating_duration_since(now)
    }
}

#[async_trait]
impl Store for Limited {
    async fn create(&self, name: &ObjectName, intent: &Intent) -> Result<Box<dyn Upload>, Error> {
        let upload = self.store.create(name, intent).await?;
        Ok(match &self.up {
            Some(bucket) => Box::new(LimitedUpload { upload, bucket: bucket.clone() }),
            None => upload,
        })
    }

    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, Error> {
        let download = self.store.open(name, range).await?;
        let Some(bucket) = self.down.clone() else { return Ok(download) };
        let paced = stream::unfold((download, bucket), |(mut download, bucket)| async move {
            let next = download.next().await?;
            if let Ok(bytes) = &next {
                bucket.pass(bytes.len()).await;
            }
            Some((next, (download, bucket)))
        });
        Ok(paced.boxed())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.store.list(prefix).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.store.delete(name).await
    }

    async fn extend(&self, name: &ObjectName, now: Timestamp) -> Result<(), Error> {
        self.store.extend(name, now).await
    }

    async fn sweep(&self, prefix: &str, before: Timestamp, dry_run: bool) -> Result<Vec<String>, Error> {
        self.store.sweep(prefix, before, dry_run).await
    }

    async fn check(&self) -> Vec<Finding> {
        self.store.check().await
    }
}

struct LimitedUpload {
    upload: Box<dyn Upload>,
    bucket: Bucket,
}

#[async_trait]
impl Upload for LimitedUpload {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(self.bucket.piece()));
            self.bucket.pass(piece.len()).await;
            self.upload.write(piece).await?;
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Stored, Error> {
        self.upload.finish().await
    }

    async fn abort(self: Box<Self>) -> Result<(), Error> {
        self.upload.abort().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_wait_for_those_before_them() {
        let bucket = Bucket::new(1_000);
        let start = Instant::now() + Duration::from_secs(100);
        // The burst is free after a pause, then every byte has its price.
        assert_eq!(bucket.wait(250, start), Duration::ZERO);
        assert_eq!(bucket.wait(500, start), Duration::from_millis(500));
        assert_eq!(bucket.wait(500, start), Duration::from_secs(1));
        assert_eq!(bucket.wait(0, start + Duration::from_millis(400)), Duration::from_millis(600));
        // A long pause saves up no more than one burst.
        assert_eq!(bucket.wait(1_250, start + Duration::from_hours(1)), Duration::from_secs(1));
    }

    #[test]
    fn several_uploads_share_one_limit() {
        let bucket = Bucket::new(1_000);
        let start = Instant::now() + Duration::from_secs(100);
        assert_eq!(bucket.clone().wait(1_250, start), Duration::from_secs(1));
        assert_eq!(bucket.clone().wait(1_000, start), Duration::from_secs(2));
    }
}
