//! Stores: where packages live.
//!
//! A store keeps named objects. It knows nothing of packages, records or retention. What it promises is written once,
//! on [`Store`] and [`Upload`], and checked by one contract suite (`tests/contract`) over every kind of store.

pub mod counted;
pub mod error;
pub mod google_drive;
pub mod limit;
pub mod local;
pub(crate) mod proxy;
mod requests;
mod resumed;
pub mod retry;
pub mod s3;
pub mod tee;
mod trust;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Timestamp};

pub use error::{Error, Reason};
pub use tee::Named;

/// The name of an object inside a store: `/`-separated, relative, without empty, `.` or `..` segments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// Checks and wraps a name.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let sound =
            |segment: &str| !matches!(segment, "" | "." | "..") && !segment.contains(['\0', '\n', '\\']);
        if name.len() <= 900 && name.split('/').all(sound) {
            Ok(Self(name))
        } else {
            Err(Error::new(Reason::Rejected, format!("`{name}` cannot be an object's name")))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an upload is for, as far as the store can make use of it.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// How large the object may become, in bytes, if anyone knows. A store that must fix a part size at the start
    /// plans by it; an object that grows beyond what the plan allows fails clearly.
    pub size_estimate: Option<u64>,
    /// How large the object of the same kind before this one was, in bytes. A store that cannot hold even that much in
    /// one object refuses before anything is sent.
    pub predecessor: Option<u64>,
    /// Until when the store should refuse to delete the object, where it can (object lock).
    pub retain_until: Option<Timestamp>,
    /// Cancelled when nobody wants the object any more: a finish that is under way ends soon, with
    /// [`Reason::Stopped`], and the upload is given up.
    pub stop: CancellationToken,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: ObjectName,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written, by the store's clock.
    pub modified: Timestamp,
}

/// What a store says of an object that it has finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The size in bytes, as the store reports it after the upload.
    pub size: u64,
    /// How the stored bytes were compared with the sent ones.
    pub proof: Proof,
}

/// How it is known that a store holds the bytes that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The bytes were read back from the store and compared.
    ReadBack,
    /// The store computed a checksum over the whole object, and it equals ours.
    Checksum,
    /// Every part was checked by the store on arrival, and the size of the whole is right.
    PartChecksums,
}

/// The bytes of a download, in order.
pub type Download = BoxStream<'static, Result<Bytes, Error>>;

/// A place that keeps objects.
#[async_trait]
pub trait Store: Send + Sync {
    /// Begins an object. Nothing of it is visible under its name until [`Upload::finish`] has returned.
    ///
    /// An existing object of that name is never overwritten: creating or finishing fails with [`Reason::Exists`].
    async fn create(&self, name: &ObjectName, intent: &Intent) -> Result<Box<dyn Upload>, Error>;

    /// Reads an object, whole or a range of it. Fails with [`Reason::NotFound`] if there is none.
    ///
    /// The stream yields exactly the range's bytes, or an error: an early end is never silent. A range must lie within
    /// the object.
    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, Error>;

    /// All finished objects whose name begins with `prefix`, in the order of their names.
    ///
    /// A page that cannot be had fails the listing: what is not listed is taken for absent. Where nothing has been stored
    /// yet, the place itself may be missing: [`Reason::NotFound`].
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error>;

    /// Removes an object. Removing what is not there is no error.
    async fn delete(&self, name: &ObjectName) -> Result<(), Error>;

    /// Protects an object from deletion as if it had been uploaded `now`, if the store is told to protect objects
    /// (object lock). Protection never shrinks. Prune calls it for what it keeps.
    async fn extend(&self, _name: &ObjectName, _now: Timestamp) -> Result<(), Error> {
        Ok(())
    }

    /// Removes what interrupted uploads left below `prefix`, if it is older than `before`. Returns what was removed.
    async fn sweep(&self, _prefix: &str, _before: Timestamp, _dry_run: bool) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// Examines the store and says what works, what does not, and what to do about it. Leaves nothing behind.
    async fn check(&self) -> Vec<Finding>;
}

/// An object in the making.
#[async_trait]
pub trait Upload: Send {
    /// Takes the next bytes, waiting while the store is behind.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error>;

    /// Makes the object visible, whole, and compares what the store has with what was sent.
    ///
    /// After an error the object may or may not be there; without a record it does not count, and a sweep removes it.
    async fn finish(self: Box<Self>) -> Result<Stored, Error>;

    /// Gives the upload up and removes what was sent.
    async fn abort(self: Box<Self>) -> Result<(), Error>;
}

/// One result of [`Store::check`] or of a source's probe.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was examined, for example `write`, `list`, `clock`.
    pub topic: String,
    /// What was found.
    pub what: String,
    /// What to do about it; empty if there is nothing to do.
    pub help: String,
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Works.
    Good,
    /// Works, with a limit that one should know.
    Notice,
    /// A backup or restore would fail.
    Bad,
}

/// The kinds of stores, with their settings as meant.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A directory.
    Local(local::Plan),
    /// A bucket.
    S3(Box<s3::Plan>),
    /// A folder in Google Drive.
    GoogleDrive(Box<google_drive::Plan>),
}

impl Kind {
    /// The kind as the configuration writes it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::S3(_) => "s3",
            Self::GoogleDrive(_) => "google_drive",
        }
    }

    /// Makes the store ready for use. Asks the network for nothing.
    pub async fn connect(&self) -> Result<Arc<dyn Store>, Error> {
        match self {
            Self::Local(plan) => Ok(Arc::new(local::Local::new(plan))),
            Self::S3(plan) => Ok(Arc::new(Box::pin(s3::S3::connect(plan, Clock::system())).await?)),
            Self::GoogleDrive(plan) => {
                Ok(Arc::new(Box::pin(google_drive::GoogleDrive::connect(plan, Clock::system())).await?))
            }
        }
    }
}
