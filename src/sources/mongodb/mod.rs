//! The MongoDB source: a replica set or a standalone server, as one `mongodump` archive.
//!
//! BSON passes as bytes, from the server's reply into the [archive] and from there into `insert`; metadata passes as
//! canonical extended JSON of the raw documents, and as BSON where that would change it. Nothing is decoded into a type
//! that could change it.
//!
//! On a replica set the dump is consistent at one point: the archive carries the slice of the oplog that was written
//! while the collections were read, and a restore replays it. A standalone server has no oplog: its dump is fuzzy.
//!
//! Reads at one cluster time (`readConcern: snapshot`) are not used, although a short dump could do without an oplog's
//! slice then: they end after `minSnapshotHistoryWindowInSeconds` (five minutes unless an administrator has raised it),
//! cannot read capped collections at all, and fail for a collection that is dropped or made anew meanwhile. The slice
//! has none of these limits and leads to the same: one point in time.
//!
//! Never dumps `local` and `config`, which belong to the deployment, nor a sharded cluster or a part of one.

pub mod archive;
mod collection;
pub mod config;
mod connect;
mod dump;
mod element;
mod error;
pub mod extended_json;
mod fingerprint;
mod listing;
mod metadata;
mod oplog;
mod probe;
mod remedy;
mod restore;
mod scan;
mod selection;
mod split;

use tokio_util::sync::CancellationToken;

use super::{Facts, Request, Restored, Summary};
use crate::package::Package;
use crate::package::outlet::Outlet;

pub use config::{Config, Plan};
pub use error::Error;

/// A MongoDB deployment to back up.
#[derive(Debug, Clone)]
pub struct MongoDb {
    plan: Plan,
}

impl MongoDb {
    /// A source for this plan.
    pub fn new(plan: Plan) -> Self {
        Self { plan }
    }

    /// A source that only restores, into what a request names.
    pub fn unconfigured() -> Self {
        Self { plan: Plan::default() }
    }

    /// Looks whether the deployment can be reached and everything may be read that a dump needs.
    pub async fn probe(&self) -> Result<Facts, Error> {
        probe::probe(&self.plan).await
    }

    /// Hands over the archive.
    pub async fn dump(&self, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
        tokio::select! {
            summary = dump::dump(&self.plan, outlet) => summary,
            () = stop.cancelled() => Err(Error::Stopped),
        }
    }

    /// Puts an archive back.
    pub async fn restore(
        &self,
        package: &Package,
        request: &Request,
        stop: &CancellationToken,
    ) -> Result<Restored, Error> {
        tokio::select! {
            restored = restore::restore(&self.plan, package, request) => restored.map_err(Error::restoring),
            () = stop.cancelled() => Err(Error::Stopped),
        }
    }
}
