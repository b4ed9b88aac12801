//! The files source: a directory tree, as faithfully as tar can say it.
//!
//! It never follows a symbolic link below its root, never opens a device or FIFO, and never leaves a file out in
//! silence: what cannot be read fails the job by name.

pub mod config;
mod dump;
mod entry;
mod folder;
pub(crate) mod globs;
mod large;
mod links;
mod names;
mod opening;
mod pace;
mod probe;
mod remedy;
mod restore;
mod seen;
mod sparse;
mod stamp;
mod walk;
mod xattrs;

use std::io;

use tokio_util::sync::CancellationToken;

use super::{Facts, Request, Restored, Summary};
use crate::config::units::ByteSize;
use crate::package::outlet::{Closed, Outlet};
use crate::package::{self, Package};

pub use config::{Config, Plan};
pub use globs::Globs;

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
    /// The run was told to stop.
    #[error("told to stop")]
    Stopped,
    /// The directory to back up is not there, or is none.
    #[error("cannot open the directory `{path}`")]
    Root {
        /// Its path.
        path: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Something below the directory could not be read.
    #[error("cannot {action} `{path}`")]
    Access {
        /// What was tried: `open`, `list`, `read` …
        action: &'static str,
        /// The full path.
        path: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Something could not be written into the target.
    #[error("cannot {action} `{path}`")]
    Write {
        /// What was tried: `create`, `write`, `set the metadata of` …
        action: &'static str,
        /// The full path.
        path: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A directory with something in it, or on it, stands where the package has something else.
    #[error("`{0}` is a directory that is not empty or a mount point, and something else in the package")]
    InTheWay(String),
    /// A file or a link stands where a directory leads to what is wanted, and was not asked for itself.
    #[error("`{0}` is no directory, but only leads to what is to be restored")]
    OnTheWay(String),
    /// More than one entry could not be restored; all have been told, and the others are in place.
    #[error("{count} entries could not be restored{given_up}; the first")]
    Several {
        /// How many.
        count: usize,
        /// Said where what came after them was not tried any more.
        given_up: &'static str,
        /// Why the first could not.
        #[source]
        first: Box<Error>,
    },
    /// A file was different every time it was read.
    #[error("`{0}` changed whenever it was read")]
    Changing(String),
    /// Another process kept a lease on a file, or a file server's client a delegation.
    #[error("`{0}` is leased to another process, which did not give it back")]
    Leased(String),
    /// A glob of `include` matches no path that is not left out: a typing error, or what it names is gone.
    #[error("the glob `{glob}` of `include` matches nothing below `{path}`")]
    IncludesNothing {
        /// The glob as written.
        glob: String,
        /// The directory.
        path: String,
    },
    /// There are more hard links outstanding than the table may hold.
    #[error("the table of hard links is full ({limit}) at `{path}`")]
    HardLinks {
        /// The table's size.
        limit: ByteSize,
        /// The file that did not fit.
        path: String,
    },
    /// A thread could not be started, or ended before its work was done.
    #[error("a thread that reads or writes files is gone")]
    Thread,
    /// Nobody said where to restore to.
    #[error("no directory to restore into was given")]
    NoTarget,
    /// There is something in the directory to restore into.
    #[error("`{0}` is not empty")]
    NotEmpty(String),
    /// A member of the package would be written outside the target directory, or over another member.
    #[error("`{path}` is refused: {why}")]
    Refused {
        /// The member's path.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// A switch that this source does not know.
    #[error("a files source has no switch `{0}`")]
    Switch(String),
    /// A glob of `--only` cannot be read.
    #[error(transparent)]
    Only(#[from] globset::Error),
    /// No path of the package matches this glob of `--only`.
    #[error("no path in the package matches `{0}`")]
    NothingMatches(String),
    /// What was written is not what the package has.
    #[error("{count} entries differ from the package, the first: {first}")]
    Differs {
        /// How many.
        count: u64,
        /// The first of them, and in what.
        first: String,
    },
    /// The package could not be read.
    #[error(transparent)]
    Package(Box<package::Error>),
}

impl From<package::Error> for Error {
    /// A visitor's own failure comes back as itself.
    fn from(error: package::Error) -> Self {
        match error {
            package::Error::Visit(cause) => match cause.downcast::<Self>() {
                Ok(own) => *own,
                Err(cause) => Self::Package(Box::new(package::Error::Visit(cause))),
            },
            error => Self::Package(Box::new(error)),
        }
    }
}

impl Error {
    /// Whether the source only ended because the package had.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

/// A path as messages show it: UTF-8 as it is, every other byte as `\xNN`.
fn shown(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for sign in chunk.valid().chars() {
            if sign.is_control() { text.extend(sign.escape_default()) } else { text.push(sign) }
        }
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}

impl Files {
    /// A source for this plan.
    pub fn new(plan: Plan) -> Self {
        Self { plan }
    }

    /// A source that only restores, to where the request says.
    pub fn unconfigured() -> Self {
        Self { plan: Plan::default() }
    }

    /// Looks whether the directory is there and readable.
    pub async fn probe(&self) -> Result<Facts, Error> {
        probe::probe(&self.plan).await
    }

    /// Hands over the tree.
    pub async fn dump(&self, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
        dump::dump(&self.plan, outlet, stop).await
    }

    /// Puts a tree back and compares it with the index.
    pub async fn restore(
        &self,
        package: &Package,
        request: &Request,
        stop: &CancellationToken,
    ) -> Result<Restored, Error> {
        let own = &self.plan.path;
        restore::restore(package, request, (!own.as_os_str().is_empty()).then_some(own), stop).await
    }
}
