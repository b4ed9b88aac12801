//! The Google Drive store: a folder in somebody's drive or in a shared drive.
//!
//! A name is no identity in Drive: any number of files may have the same one. The identity is the id, taken before the
//! upload, so that a request that is repeated meets its own file instead of making a second one. Listings lag behind
//! (they are not read-after-write), so nothing is taken for absent that this process knows the id of, and no answer
//! that was lost is guessed: the file itself is asked for. The address of an upload session is a secret.

mod check;
mod client;
pub mod config;
mod credentials;
mod download;
mod error;
mod file;
mod folder;
mod list;
pub mod login;
mod pace;
mod session;
mod token;
mod transmit;
mod upload;

use std::ops::Range;

use async_trait::async_trait;

use self::client::Client;
use self::upload::DriveUpload;
use super::retry::Retry;
use super::{Download, Error, Finding, Intent, Listed, ObjectName, Store, Upload};
use crate::clock::{Clock, Timestamp};

pub use config::{Config, Plan};

/// A folder in Google Drive.
#[derive(Debug, Clone)]
pub struct GoogleDrive {
    client: Client,
    clock: Clock,
}

impl GoogleDrive {
    /// Prepares the connection. Nothing is asked of the network yet.
    pub async fn connect(plan: &Plan, clock: Clock) -> Result<Self, Error> {
        Ok(Self { client: Client::connect(plan).await?, clock })
    }

    /// The same store with another idea of how often to try again, and how long to wait.
    #[must_use]
    pub fn retrying(self, retry: Retry) -> Self {
        Self { client: self.client.retrying(retry), ..self }
    }
}

#[async_trait]
impl Store for GoogleDrive {
    async fn create(&self, name: &ObjectName, intent: &Intent) -> Result<Box<dyn Upload>, Error> {
        self.client.refuse_capped()?;
        Ok(Box::new(DriveUpload::new(self.client.clone(), name.clone(), intent.stop.clone())))
    }

    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, Error> {
        download::open(&self.client, name, range).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        list::list(&self.client, prefix).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        list::delete(&self.client, name).await
    }

    async fn sweep(&self, prefix: &str, before: Timestamp, dry_run: bool) -> Result<Vec<String>, Error> {
        list::sweep(&self.client, prefix, before, dry_run).await
    }

    async fn check(&self) -> Vec<Finding> {
        check::check(self).await
    }
}
