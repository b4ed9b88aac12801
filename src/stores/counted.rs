//! A store whose downloads are counted, for whoever shows how far a restore or a verification is.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::{Download, Error, Finding, Intent, Listed, Named, ObjectName, Store, Upload};
use crate::clock::Timestamp;
use crate::progress::Progress;

/// Counts the bytes that are read from the store within; changes nothing.
pub struct Counted {
    store: Arc<dyn Store>,
    progress: Arc<Progress>,
}

impl Counted {
    /// The same store under the same name, counted.
    pub fn named(named: &Named, progress: &Arc<Progress>) -> Named {
        let counted = Self { store: Arc::clone(&named.store), progress: Arc::clone(progress) };
        Named { name: named.name.clone(), store: Arc::new(counted) }
    }
}

#[async_trait]
impl Store for Counted {
    async fn create(&self, name: &ObjectName, intent: &Intent) -> Result<Box<dyn Upload>, Error> {
        self.store.create(name, intent).await
    }

    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, Error> {
        let progress = Arc::clone(&self.progress);
        let download = self.store.open(name, range).await?;
        Ok(download
            .inspect(move |chunk| progress.packed(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64)))
            .boxed())
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
