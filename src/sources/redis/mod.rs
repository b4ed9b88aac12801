//! The redis source: Redis and Valkey servers, as an RDB file taken over the wire.
//!
//! A dump plays the part of a replica for one snapshot ([`psync`]), or reads key by key where replicas are forbidden
//! ([`scan`]). Either way the stream is walked from begin to end while it passes ([`rdb`]): its checksum, its end and
//! the length of every value are checked, and every key goes into a fingerprint. The dump's members, concatenated, are
//! the RDB file: `tar xzO > dump.rdb`.
//!
//! A restore cuts the values out of the RDB stream and hands them to a running server one by one, or plays the part
//! of its master once. This module never writes to the source and never changes its settings.

pub mod config;
mod connect;
mod dump;
mod error;
mod extras;
mod fingerprint;
mod probe;
mod psync;
pub mod rdb;
mod remedy;
mod restore;
mod scan;
mod slices;

use tokio_util::sync::CancellationToken;

use super::{Facts, Request, Restored, Summary};
use crate::package::Package;
use crate::package::outlet::Outlet;

pub use config::{Config, Plan};
pub use error::Error;

/// A server to back up.
#[derive(Debug, Clone)]
pub struct Redis {
    plan: Plan,
}

impl Redis {
    /// A source for this plan.
    pub fn new(plan: Plan) -> Self {
        Self { plan }
    }

    /// A source that only restores, into the server that the request names.
    pub fn unconfigured() -> Self {
        Self { plan: Plan::unconfigured() }
    }

    /// Looks whether the server can be dumped.
    pub async fn probe(&self) -> Result<Facts, Error> {
        probe::probe(&self.plan).await
    }

    /// Hands over the RDB file.
    pub async fn dump(&self, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
        dump::dump(&self.plan, outlet, stop).await
    }

    /// Puts a dump back into a running server, and compares.
    pub async fn restore(
        &self,
        package: &Package,
        request: &Request,
        stop: &CancellationToken,
    ) -> Result<Restored, Error> {
        restore::restore(&self.plan, package, request, stop).await
    }
}
