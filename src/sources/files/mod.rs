//! The files source: a directory tree, as faithfully as tar can say it.

pub mod config;
mod dump;
mod probe;
mod restore;

use tokio_util::sync::CancellationToken;

use super::{Facts, Request, Restored, Summary};
use crate::package::Package;
use crate::package::outlet::{Closed, Outlet};

pub use config::{Config, Plan};

/// A directory tree to back up.
#[derive(Debug, Clone)]
pub struct Files {
    plan: Plan,
}

/// Why a tree could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package stopped taking members.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl Error {
    /// Whether the source only ended because the package had.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl Files {
    /// A source for this plan.
    pub fn new(plan: Plan) -> Self {
        Self { plan }
    }

    /// A source that only restores.
    pub fn unconfigured() -> Self {
        Self { plan: Plan { path: std::path::PathBuf::new() } }
    }

    /// Looks whether the directory is there and readable.
    pub async fn probe(&self) -> Result<Facts, Error> {
        probe::probe(&self.plan).await
    }

    /// Hands over the tree.
    pub async fn dump(&self, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
        dump::dump(&self.plan, outlet, stop).await
    }

    /// Puts a tree back.
    pub async fn restore(
        &self,
        package: &Package,
        request: &Request,
        stop: &CancellationToken,
    ) -> Result<Restored, Error> {
        restore::restore(package, request, stop).await
    }
}
