//! Sources: what is backed up.
//!
//! A closed set: one folder each with the same file names (`config`, `probe`, `dump`, `restore`) and one arm here. A
//! source turns data into members and members back into data; it knows nothing of gzip, age, stores or retention.

pub mod files;
pub mod mariadb;
pub mod mongodb;
pub mod postgres;
pub mod redis;
pub mod silence;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::config::units::Span;
use crate::package::Package;
use crate::package::outlet::Outlet;
use crate::stores::Finding;

/// A source as the plan has it.
#[derive(Debug, Clone)]
pub enum Source {
    /// A directory tree.
    Files(files::Files),
    /// A Redis or Valkey server.
    Redis(redis::Redis),
    /// A MariaDB server.
    MariaDb(mariadb::MariaDb),
    /// A MongoDB deployment.
    MongoDb(mongodb::MongoDb),
    /// A PostgreSQL server.
    Postgres(postgres::Postgres),
}

/// What a source says of itself before it is dumped.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What it is and which version, for example `PostgreSQL 15.18`.
    pub product: String,
    /// How many bytes the dump may have before compression, if it can be known cheaply.
    pub estimate: Option<u64>,
    /// What a person should know: limits, missing rights, what works.
    pub findings: Vec<Finding>,
}

/// What a dump says of itself when it is complete.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How the dump hangs together in time.
    pub consistency: Consistency,
    /// What is missing from the dump although the source has it. Not empty: the outcome is *partial*.
    pub missing: Vec<Missing>,
    /// What was accepted by configuration and should be known: files that changed while they were read, for one.
    pub notes: Vec<String>,
    /// Counts by the source's own words, for the record: `files`, `directories`, `sockets_skipped`, `tables`.
    pub counts: BTreeMap<String, u64>,
}

/// How a dump hangs together in time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// What is promised.
    pub kind: ConsistencyKind,
    /// The source's own coordinates of that point: LSN, GTID, cluster time, replication offset.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub coordinates: BTreeMap<String, String>,
}

/// What a dump promises about time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyKind {
    /// Everything is as it was at one instant.
    Snapshot,
    /// Each object is sound, but they were read one after the other.
    #[default]
    Fuzzy,
}

/// Something that the source has and the dump lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Why it is missing.
    pub why: String,
}

/// How to restore: what the command line says.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Where to: a directory, a URL. `None`: the source's own place.
    pub into: Option<String>,
    /// Only what matches one of these globs (paths of files, names of tables …). Empty: everything.
    pub only: Vec<String>,
    /// Whether a target that is not empty may be replaced.
    pub replace: bool,
    /// Say what would be done and do nothing.
    pub dry_run: bool,
    /// Further switches of one kind of source, by name: `no-owner`, `no-acl`, `swap`, `via=replication`. A source
    /// refuses those that it does not know.
    pub switches: Vec<String>,
}

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Counts by the source's own words.
    pub counts: BTreeMap<String, u64>,
    /// Content bytes written.
    pub bytes: u64,
    /// What was compared at the end, in words: `20,000 files by digest`, `14 tables by fingerprint`.
    pub compared: String,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Why a source could not be dumped or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The files source failed.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// The redis source failed.
    #[error(transparent)]
    Redis(#[from] redis::Error),
    /// The MariaDB source failed.
    #[error(transparent)]
    MariaDb(#[from] mariadb::Error),
    /// The MongoDB source failed.
    #[error(transparent)]
    MongoDb(#[from] mongodb::Error),
    /// The PostgreSQL source failed.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// Nothing came from the source for longer than it may be silent.
    #[error("nothing has come from the source for {waited}: {latest}")]
    Silent {
        /// How long.
        waited: Span,
        /// What was heard of last.
        latest: String,
    },
}

impl Error {
    /// Whether the source only ended because the package had: then the package's error is the one to tell.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Files(error) => error.is_closed(),
            Self::Redis(error) => error.is_closed(),
            Self::MariaDb(error) => error.is_closed(),
            Self::MongoDb(error) => error.is_closed(),
            Self::Postgres(error) => error.is_closed(),
            Self::Silent { .. } => false,
        }
    }

    /// Whether it may pass by itself, so that a dump from the beginning is worth another attempt.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Redis(error) => error.may_pass(),
            Self::Postgres(error) => error.may_pass(),
            Self::MariaDb(error) => error.may_pass(),
            _ => false,
        }
    }

    /// What the user can do about it, if the source knows.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Files(error) => error.help(),
            Self::Redis(error) => error.help(),
            Self::MariaDb(error) => error.help(),
            Self::MongoDb(error) => error.help(),
            Self::Postgres(error) => error.help(),
            Self::Silent { .. } => Some(
                "see whether its file server, disk or database still answers; where it is only slow, raise the \
                 source's `stall_timeout`"
                    .to_owned(),
            ),
        }
    }

    /// What it means for the exit code.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Files(error) => error.verdict(),
            Self::Redis(error) => error.verdict(),
            Self::MariaDb(error) => error.verdict(),
            Self::MongoDb(error) => error.verdict(),
            Self::Postgres(error) => error.verdict(),
            Self::Silent { .. } => Verdict::Failed,
        }
    }
}

/// What a failed restore means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was tried and did not work.
    Failed,
    /// It cannot be done as it was asked for; nothing was changed.
    Refused,
    /// What was restored is not what was dumped, or the package is damaged.
    Differs,
}

impl Source {
    /// The kind as the configuration writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
            Self::Redis(_) => "redis",
            Self::MariaDb(_) => "mariadb",
            Self::MongoDb(_) => "mongodb",
            Self::Postgres(_) => "postgres",
        }
    }

    /// How long it may wait for somebody else's lock, where there are locks. Meanwhile nothing comes from it.
    pub fn lock_timeout(&self) -> Option<Duration> {
        match self {
            Self::Files(_) | Self::Redis(_) | Self::MongoDb(_) => None,
            Self::MariaDb(mariadb) => mariadb.lock_timeout(),
            Self::Postgres(postgres) => Some(postgres.lock_timeout()),
        }
    }

    /// A source of the given kind that only restores: for packages whose source the configuration does not have.
    pub fn unconfigured(kind: &str) -> Option<Self> {
        match kind {
            "files" => Some(Self::Files(files::Files::unconfigured())),
            "redis" => Some(Self::Redis(redis::Redis::unconfigured())),
            "mariadb" => Some(Self::MariaDb(mariadb::MariaDb::unconfigured())),
            "mongodb" => Some(Self::MongoDb(mongodb::MongoDb::unconfigured())),
            "postgres" => Some(Self::Postgres(postgres::Postgres::unconfigured())),
            _ => None,
        }
    }

    /// Looks at the source: can it be reached, is everything there that a faithful dump needs?
    ///
    /// Fails for whatever would make the dump fail, before anything is uploaded.
    pub async fn probe(&self) -> Result<Facts, Error> {
        match self {
            Self::Files(files) => Ok(files.probe().await?),
            Self::Redis(redis) => Ok(redis.probe().await?),
            Self::MariaDb(mariadb) => Ok(mariadb.probe().await?),
            Self::MongoDb(mongodb) => Ok(mongodb.probe().await?),
            Self::Postgres(postgres) => Ok(postgres.probe().await?),
        }
    }

    /// Hands the source's data over, at one consistent point where the source can.
    ///
    /// Returns only when every member has been handed over. Any byte that could not be read is an error, unless the
    /// configuration accepts it; then it is named in the summary. Ends soon after `stop` is cancelled.
    pub async fn dump(&self, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
        match self {
            Self::Files(files) => Ok(files.dump(outlet, stop).await?),
            Self::Redis(redis) => Ok(redis.dump(outlet, stop).await?),
            Self::MariaDb(mariadb) => Ok(mariadb.dump(outlet, stop).await?),
            Self::MongoDb(mongodb) => Ok(mongodb.dump(outlet, stop).await?),
            Self::Postgres(postgres) => Ok(postgres.dump(outlet, stop).await?),
        }
    }

    /// Puts a package's data back, and compares it with what the index says at the end.
    ///
    /// Refuses a target that is not empty unless the request says to replace it.
    pub async fn restore(
        &self,
        package: &Package,
        request: &Request,
        stop: &CancellationToken,
    ) -> Result<Restored, Error> {
        match self {
            Self::Files(files) => Ok(files.restore(package, request, stop).await?),
            Self::Redis(redis) => Ok(redis.restore(package, request, stop).await?),
            Self::MariaDb(mariadb) => Ok(mariadb.restore(package, request, stop).await?),
            Self::MongoDb(mongodb) => Ok(mongodb.restore(package, request, stop).await?),
            Self::Postgres(postgres) => Ok(postgres.restore(package, request, stop).await?),
        }
    }
}
