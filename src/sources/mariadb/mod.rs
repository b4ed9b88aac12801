//! The MariaDB source: a native dump over the wire, as plain SQL that the stock `mariadb` client restores.
//!
//! `FORMAT.md` beside this file says what the members are, in which order they stand, and which bytes make a row of
//! a fingerprint. The source never decodes what a table holds: values pass from the text protocol to SQL literals as
//! bytes.

mod catalog;
pub mod config;
mod connect;
mod data;
mod dump;
mod fingerprint;
mod generated;
mod globs;
mod history;
mod names;
mod privileges;
mod probe;
mod ranges;
mod remedy;
mod restore;
mod schema;
mod script;
mod select;
mod snapshot;
mod sql;
mod tally;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Facts, Request, Restored, Summary};
use crate::package::Package;
use crate::package::outlet::{Closed, Outlet};

pub use config::{Config, Plan, Tls};
pub use restore::Error as RestoreError;

/// A MariaDB server to back up.
#[derive(Debug, Clone)]
pub struct MariaDb {
    /// `None`: only for restoring to a server that the request names.
    plan: Option<Box<Plan>>,
}

/// Why a server could not be dumped or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package stopped taking members.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// A source without a configuration was asked for data.
    #[error("the source is not configured")]
    Unconfigured,
    /// A restore failed.
    #[error(transparent)]
    Restore(#[from] restore::Error),
    /// The run was told to stop.
    #[error("stopped")]
    Stopped,
    /// No connection to the server.
    #[error("cannot connect to {server}: {why}")]
    Connect {
        /// Host and port, or the socket.
        server: String,
        /// What the server or the driver said.
        why: String,
    },
    /// A statement failed.
    #[error("{doing}: {why}")]
    Statement {
        /// What the statement was for.
        doing: String,
        /// What the server or the driver said.
        why: String,
        /// The server's error number, if it was the server that refused.
        code: Option<u16>,
    },
    /// The server is not one that this source can dump faithfully.
    #[error("{product} is not supported: {why}")]
    Unsupported {
        /// The server's version string.
        product: String,
        /// What is missing.
        why: String,
    },
    /// The user may not see everything.
    #[error("the user {user} lacks {missing}")]
    Privileges {
        /// The user as the server knows it.
        user: String,
        /// What is lacking and what the dump would lose by it.
        missing: String,
    },
    /// The server has something that this source does not know how to dump.
    #[error("{name} is a {class}, which this version cannot dump")]
    UnknownClass {
        /// The object.
        name: String,
        /// Its class or type in the server's words.
        class: String,
    },
    /// A table that cannot be opened on the server itself.
    #[error("the table {name} cannot be read: {why}")]
    BrokenTable {
        /// The table.
        name: String,
        /// What the server says of it.
        why: String,
    },
    /// Globs of databases that match none.
    #[error("no database matches {globs}")]
    NoDatabase {
        /// The globs as written.
        globs: String,
    },
    /// Globs of tables that match none.
    #[error("no table matches {globs}")]
    NoTable {
        /// The globs as written.
        globs: String,
    },
    /// The definitions changed under the dump too often.
    #[error("definitions changed during the dump {attempts} times, last: {last}")]
    Changing {
        /// How often the snapshot was taken anew.
        attempts: u32,
        /// The last error.
        last: String,
    },
    /// The emitted objects are not those that the server has.
    #[error("the dump has {emitted} {class} and the server has {expected}")]
    Incomplete {
        /// The class: `tables`, `views` …
        class: &'static str,
        /// How many the server has.
        expected: u64,
        /// How many were emitted.
        emitted: u64,
    },
}

/// Server errors that mean: what was listed is not there any more, because somebody changed definitions.
const VANISHED: [u16; 6] = [
    1049, // ER_BAD_DB_ERROR
    1146, // ER_NO_SUCH_TABLE: a view's, too
    1305, // ER_SP_DOES_NOT_EXIST
    1347, // ER_WRONG_OBJECT: a table has taken a view's place
    1360, // ER_TRG_DOES_NOT_EXIST
    1539, // ER_EVENT_DOES_NOT_EXIST
];

impl Error {
    /// Whether it may pass by itself, and all is worth another attempt from the beginning: tables are kept as they are
    /// while a dump lasts, other definitions are not.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Statement { code: Some(code), .. } => VANISHED.contains(code),
            Self::Incomplete { .. } => true,
            _ => false,
        }
    }

    /// Whether the source only ended because the package had.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl MariaDb {
    /// A source for this plan.
    pub fn new(plan: Plan) -> Self {
        Self { plan: Some(Box::new(plan)) }
    }

    /// A source that only restores, to the server that the request names.
    pub fn unconfigured() -> Self {
        Self { plan: None }
    }

    /// How long a statement waits for somebody else's lock.
    pub fn lock_timeout(&self) -> Option<Duration> {
        self.plan.as_deref().map(|plan| plan.lock_timeout)
    }

    fn plan(&self) -> Result<&Plan, Error> {
        self.plan.as_deref().ok_or(Error::Unconfigured)
    }

    /// Looks whether the server can be reached and dumped faithfully.
    pub async fn probe(&self) -> Result<Facts, Error> {
        probe::probe(self.plan()?).await
    }

    /// Puts a package back, and compares what the target then has with what the dump had.
    pub async fn restore(
        &self,
        package: &Package,
        request: &Request,
        stop: &CancellationToken,
    ) -> Result<Restored, Error> {
        Ok(restore::restore(self.plan.as_deref(), package, request, stop).await?)
    }

    /// Hands over the databases at one instant.
    pub async fn dump(&self, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
        tokio::select! {
            done = Box::pin(dump::dump(self.plan()?, outlet)) => done,
            () = stop.cancelled() => Err(Error::Stopped),
        }
    }
}
