//! The PostgreSQL source: a server's databases as plain SQL, read over its own protocol.
//!
//! The dump is what `psql` reads: roles, then each database with its definitions, its rows as `COPY`, and what is
//! built on rows. It is taken in one snapshot per database, shared by several connections. Nothing in here calls a
//! client program, and nothing parses SQL: the server prints its own catalog as statements ([`catalog`]).

mod alive;
mod catalog;
pub mod config;
mod connect;
mod data;
mod dump;
mod fingerprint;
mod globals;
mod item;
mod large_objects;
mod member;
mod order;
mod paths;
mod patterns;
mod probe;
mod queue;
mod remedy;
mod restore;
mod rows;
mod script;
mod select;
mod session;
mod shares;
mod snapshot;

use tokio_util::sync::CancellationToken;

use super::{Facts, Request, Restored, Summary};
use crate::package::Package;
use crate::package::outlet::{Closed, Outlet};

pub use config::{Config, Plan};

/// A PostgreSQL server to back up.
#[derive(Debug, Clone)]
pub struct Postgres {
    plan: Plan,
}

/// Why a server could not be dumped or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package stopped taking members.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// No connection.
    #[error("cannot connect to {target}")]
    Connect {
        /// Host, port, database and user.
        target: String,
        /// What the driver or the server said.
        source: sqlx::Error,
    },
    /// The server refused a statement, or the connection broke.
    #[error(transparent)]
    Server(sqlx::Error),
    /// The same, while something known was being read or written.
    #[error("{what}")]
    At {
        /// What it was: `table shop.public.orders`.
        what: String,
        /// What happened.
        source: Box<Error>,
    },
    /// The server answered something that cannot be.
    #[error("unexpected answer from the server: {0}")]
    Answer(&'static str),
    /// A name cannot be sent to the server.
    #[error("`{name}` in a SQL_ASCII database is not valid UTF-8 and cannot be named to the server")]
    Unsendable {
        /// The statement's beginning, its bytes read as Latin-1.
        name: String,
    },
    /// Objects that need each other in a way that no order satisfies.
    #[error("objects need each other in a circle that cannot be opened: {}", .0.join(", "))]
    Circle(Vec<String>),
    /// Objects of a kind that is not dumped.
    #[error("objects that this program does not know how to dump: {}", .0.join(", "))]
    Unknown(Vec<String>),
    /// A pattern or name in the configuration that matches nothing.
    #[error("`{key}`: `{pattern}` matches nothing {place}")]
    NoMatch {
        /// The key.
        key: &'static str,
        /// The pattern.
        pattern: String,
        /// Where nothing was found.
        place: String,
    },
    /// Something in between does not keep a session.
    #[error(
        "the server is reached through a pooler that does not keep sessions; connect to the server itself, or set `pool_mode = session`"
    )]
    Pooled,
    /// A standby ended the dump, because it could not both keep the snapshot and follow the primary.
    #[error(
        "the standby cancelled the dump: what it replays from the primary conflicts with what is being read"
    )]
    Conflict(#[source] sqlx::Error),
    /// A connection that answers no more.
    #[error("the server has not answered a question for {} seconds", .0.as_secs())]
    Silent(std::time::Duration),
    /// A connection that the server does not know any more, although nothing was heard of its end.
    #[error("a connection that reads rows was cut: the server does not know it any more")]
    Cut,
    /// The server could not say how to create something that the snapshot has.
    #[error("{0} was dropped or changed while its definition was read")]
    Vanished(String),
    /// The tables changed faster than they could be locked.
    #[error("tables were created, dropped or kept locked each time the dump tried to lock them all")]
    Unsettled,
    /// The server is told to pass over rows that it cannot read.
    #[error("`{0}` is on: the server would leave damaged pages out without an error")]
    Careless(String),
    /// A right is missing.
    #[error("{what} needs {right}")]
    Right {
        /// For what.
        what: String,
        /// Which one.
        right: &'static str,
    },
    /// A thread that reads rows cannot be set up.
    #[error("rows cannot be read: {0}")]
    Runtime(#[source] std::io::Error),
    /// The run was told to stop.
    #[error("stopped")]
    Stopped,
    /// A request that makes no sense for this source.
    #[error("{0}")]
    Request(String),
    /// Tables of which the package has only the rows.
    #[error("the package has the rows of {0}, but not the definitions")]
    RowsAlone(String),
    /// What is to be replaced is needed by something that is not.
    #[error("{0} cannot be replaced, because other objects need it: {1}")]
    InTheWay(String, String),
    /// The target has something already.
    #[error("{0} is not empty")]
    NotEmpty(String),
    /// A package that is not as this source writes them.
    #[error("member `{member}`: {why}")]
    Member {
        /// Its path.
        member: String,
        /// What is wrong.
        why: String,
    },
    /// The package could not be read.
    #[error(transparent)]
    Package(#[from] crate::package::Error),
    /// What was restored is not what was dumped.
    #[error("restored content differs from what was dumped: {}", .0.join("; "))]
    Differs(Vec<String>),
    /// Materialized views whose owners may not fill them. Everything else is restored and compared.
    #[error("everything is restored and compared, but materialized views are empty, as the server refuses to fill them: {}", .0.join("; "))]
    Unfilled(Vec<String>),
}

impl Error {
    /// Whether the source only ended because the package had.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::At { source, .. } => source.is_closed(),
            _ => false,
        }
    }

    /// Whether it may pass by itself, and all is worth another attempt from the beginning.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Vanished(_) => true,
            Self::At { source, .. } => source.may_pass(),
            _ => false,
        }
    }

    /// The same error, with what was being done.
    fn at(self, what: impl Into<String>) -> Self {
        match self {
            Self::Closed(_) | Self::Stopped => self,
            source => Self::At { what: what.into(), source: Box::new(source) },
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // A transaction that only reads is never in the way of another one, except on a standby.
        match error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() {
            Some("40001") => Self::Conflict(error),
            _ => Self::Server(error),
        }
    }
}

impl Postgres {
    /// A source for this plan.
    pub fn new(plan: Plan) -> Self {
        Self { plan }
    }

    /// A source that only restores into a server that the request names.
    pub fn unconfigured() -> Self {
        Self { plan: Plan::unconfigured() }
    }

    /// How long a statement waits for somebody else's lock.
    pub fn lock_timeout(&self) -> std::time::Duration {
        self.plan.lock_timeout
    }

    /// Looks whether the server can be reached and everything be read.
    pub async fn probe(&self) -> Result<Facts, Error> {
        probe::probe(&self.plan).await
    }

    /// Hands over the server.
    pub async fn dump(&self, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Error::Stopped),
            summary = dump::dump(&self.plan, &outlet) => summary,
        }
    }

    /// Puts a server, a database or a table back.
    pub async fn restore(
        &self,
        package: &Package,
        request: &Request,
        stop: &CancellationToken,
    ) -> Result<Restored, Error> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Error::Stopped),
            restored = restore::restore(&self.plan, package, request) => restored,
        }
    }
}
