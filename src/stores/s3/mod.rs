//! The S3 store: a bucket at Amazon or at any service that speaks the same protocol.
//!
//! It never relies on conditional writes, on a provider's `ETags` or on a request's answer alone: names are unique, what
//! was written is looked at, and an answer that was lost is resolved by looking. Bodies are sent with their length,
//! their SHA-256 in the signature and their MD5, which every service understands.
#![doc = include_str!("PROVIDERS.md")]

mod check;
mod checksum;
mod client;
pub mod config;
mod credentials;
mod download;
mod endpoint;
mod error;
mod list;
mod lock;
mod object;
mod parts;
mod provider;
#[cfg(test)]
mod tests;
mod transmit;
mod upload;

use std::ops::Range;

use async_trait::async_trait;

use self::client::Client;
use self::object::Identity;
use self::upload::{S3Upload, Target};
use super::retry::Retry;
use super::{Download, Error, Finding, Intent, Listed, ObjectName, Store, Upload};
use crate::clock::{Clock, Timestamp};

pub use config::{Config, Plan};
pub use provider::Provider;

/// A bucket, or the part of one below a prefix.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    clock: Clock,
}

impl S3 {
    /// Prepares the connection. Nothing is asked of the bucket yet.
    pub async fn connect(plan: &Plan, clock: Clock) -> Result<Self, Error> {
        Ok(Self { client: Client::connect(plan, clock).await?, clock })
    }

    /// The same store with another idea of how often to try again, and how long to wait.
    #[must_use]
    pub fn retrying(self, retry: Retry) -> Self {
        Self { client: self.client.retrying(retry), ..self }
    }
}

#[async_trait]
impl Store for S3 {
    async fn create(&self, name: &ObjectName, intent: &Intent) -> Result<Box<dyn Upload>, Error> {
        let parts = self.client.plan.parts.plan(intent.size_estimate, intent.predecessor)?;
        let lock = self.client.plan.lock.as_ref();
        let target = Target {
            key: self.client.key(name),
            name: name.clone(),
            identity: Identity::new(),
            retain_until: lock
                .map(|lock| intent.retain_until.unwrap_or(self.clock.now() + lock.retain_for.0)),
        };
        Ok(Box::new(S3Upload::new(self.client.clone(), target, parts, intent.stop.clone())))
    }

    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, Error> {
        download::open(&self.client, self.client.key(name), range).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        list::list(&self.client, prefix).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        list::delete(&self.client, name).await
    }

    async fn extend(&self, name: &ObjectName, now: Timestamp) -> Result<(), Error> {
        match &self.client.plan.lock {
            Some(lock) => lock::extend(&self.client, name, now + lock.retain_for.0).await,
            None => Ok(()),
        }
    }

    async fn sweep(&self, prefix: &str, before: Timestamp, dry_run: bool) -> Result<Vec<String>, Error> {
        list::sweep(&self.client, prefix, before, dry_run).await
    }

    async fn check(&self) -> Vec<Finding> {
        check::check(self).await
    }
}
