//! The configuration: as written ([`Config`]), and as meant ([`Plan`]).
//!
//! Everything below this module gets a plan. Nothing below it reads the environment or fills in defaults.

pub mod context;
mod document;
mod encryption;
mod kinds;
pub mod load;
pub mod plan;
mod schema;
pub mod secret;
mod shape;
pub(crate) mod suggest;
pub mod units;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{notify, retention, sources, stores};
pub use document::Place;
pub use load::{Error, Located, find, load};
pub use plan::Plan;
pub use schema::schema;

/// Every key with its default and what it means, as a configuration that can be edited.
pub const REFERENCE: &str = include_str!("reference.yaml");

/// The configuration file as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For whom packages are encrypted.
    pub encryption: Encryption,
    /// How packages are written.
    #[serde(default)]
    pub package: Package,
    /// Where packages go, by name.
    pub stores: BTreeMap<String, Store>,
    /// What is backed up, by name. The name becomes part of the packages' keys.
    pub sources: BTreeMap<String, Source>,
    /// How long packages are kept, unless a source or a store says otherwise.
    #[serde(default)]
    pub retention: retention::Config,
    /// Who is told how runs go, by name.
    #[serde(default)]
    pub notifications: BTreeMap<String, notify::Config>,
}

/// For whom packages are encrypted, and with what they are opened.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// Public keys: `age1…`, `ssh-ed25519 …`, `ssh-rsa …`. Several: any one of them opens a package.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// A file with one public key on each line.
    pub recipients_file: Option<PathBuf>,
    /// A passphrase instead of keys, for trying things out: whoever can back up can then also read.
    pub passphrase: Option<secret::SecretRef>,
    /// The private key, needed only by `restore`, `verify` and `show`. Leave it out where backups are made.
    pub identity: Option<secret::SecretRef>,
}

/// How packages are written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// 1 (fastest) to 12 (smallest). Default: 1.
    pub compression_level: Option<u8>,
    /// Compression threads. Default: the processors that the container may use, 8 at most.
    pub threads: Option<usize>,
    /// Memory for data on its way, in all sources that run at once. Default: 32MiB.
    pub memory: Option<units::ByteSize>,
}

/// One store. Exactly one of the kinds is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// A directory, for example on a mounted volume.
    pub local: Option<stores::local::Config>,
    /// A bucket at Amazon S3 or at any service that speaks its protocol.
    pub s3: Option<stores::s3::Config>,
    /// A folder in Google Drive.
    pub google_drive: Option<stores::google_drive::Config>,
    /// How fast packages go into and out of this store.
    pub limits: Option<stores::limit::Config>,
    /// How long packages are kept in this store, instead of the general `retention`.
    pub retention: Option<retention::Config>,
}

/// One source. Exactly one of the kinds is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A directory tree.
    pub files: Option<sources::files::Config>,
    /// A Redis or Valkey server.
    pub redis: Option<sources::redis::Config>,
    /// A MariaDB server.
    pub mariadb: Option<sources::mariadb::Config>,
    /// A MongoDB replica set or standalone server.
    pub mongodb: Option<sources::mongodb::Config>,
    /// A PostgreSQL server.
    pub postgres: Option<sources::postgres::Config>,
    /// The names of the stores that its packages go to. Default: all.
    pub stores: Option<Vec<String>>,
    /// Whether a run is good only if all stores have the package, or if any has. Default: `all`.
    #[serde(default)]
    pub require: Require,
    /// Fail the source's backup when nothing has come from it for so long. Default: 1h.
    pub stall_timeout: Option<units::Span>,
    /// How long this source's packages are kept, instead of the general `retention`.
    pub retention: Option<retention::Config>,
}

/// What one store's failure means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// The run of this source has failed.
    #[default]
    All,
    /// The run of this source is good if another store has the package; the report names the one that has not.
    Any,
}

#[cfg(test)]
mod tests;
