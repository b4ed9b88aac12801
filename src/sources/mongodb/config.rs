//! The configuration of a MongoDB source.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::selection::Selection;
use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};
use crate::config::units::{ByteSize, Span};

/// A MongoDB source as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The connection string, `mongodb://…` or `mongodb+srv://…`, with user and password. TLS, `replicaSet`,
    /// `authMechanism=MONGODB-X509` and the rest as the MongoDB manual has them.
    pub url: SecretRef,
    /// Globs of the databases to back up; empty or absent: all but `local` and `config`.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Globs of `database.collection` to back up; empty or absent: all.
    #[serde(default)]
    pub collections: Vec<String>,
    /// Globs of `database.collection` to leave out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Whether users and roles are backed up. Default: if all databases are.
    pub users_and_roles: Option<bool>,
    /// Which member of a replica set is read. Default: `primary`.
    #[serde(default)]
    pub read_from: ReadFrom,
    /// How far a secondary may be behind to be read, at least 90s. Default: 90s.
    pub max_staleness: Option<Span>,
    /// A PEM file with the certificate authorities to trust, instead of `tlsCAFile` in the connection string.
    pub ca_file: Option<PathBuf>,
    /// How many collections, or ranges of one, are read at once. Default: 4.
    pub parallel: Option<usize>,
    /// Collections larger than this are read in several ranges of `_id` when they would be the last to end.
    /// Default: 256MiB.
    pub split_above: Option<ByteSize>,
}

/// Which member of a replica set is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// The primary.
    #[default]
    Primary,
    /// A secondary if there is one that is not too far behind, else the primary.
    Secondary,
}

/// A MongoDB source as meant.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The connection string.
    pub url: Secret,
    /// What is backed up.
    pub selection: Selection,
    /// Whether users and roles are.
    pub users_and_roles: bool,
    /// Which member is read.
    pub read_from: ReadFrom,
    /// How far a secondary may be behind.
    pub max_staleness: Duration,
    /// The certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// How many ranges are read at once.
    pub parallel: usize,
    /// From which size on a collection may be read in ranges.
    pub split_above: u64,
}

/// What the MongoDB drivers' specification of server selection demands.
const LEAST_STALENESS: Duration = Duration::from_secs(90);

impl Config {
    /// Fills defaults in and refuses what cannot be meant.
    pub fn plan(self, context: &mut Context) -> Option<Plan> {
        let url = context.secret("url", Some(&self.url))?;
        if !url.expose().starts_with("mongodb://") && !url.expose().starts_with("mongodb+srv://") {
            context.problem(
                "url",
                "does not begin with `mongodb://` or `mongodb+srv://`",
                "write a connection string as the MongoDB manual has it",
            );
            return None;
        }
        let help = "write a glob, for example `shop*` or `shop.orders`";
        let selection = Selection::new(&self.databases, &self.collections, &self.exclude);
        let selection = context.check("databases", selection, help)?;
        let max_staleness = self.max_staleness.map_or(LEAST_STALENESS, |span| span.0);
        if max_staleness < LEAST_STALENESS {
            context.problem("max_staleness", "is less than 90s", "write 90s or more: the drivers demand it");
        }
        let parallel = self.parallel.unwrap_or(4);
        if !(1..=64).contains(&parallel) {
            context.problem("parallel", "is not between 1 and 64", "leave it out for 4");
        }
        Some(Plan {
            url,
            users_and_roles: self.users_and_roles.unwrap_or_else(|| selection.is_all()),
            selection,
            read_from: self.read_from,
            max_staleness,
            ca_file: self.ca_file,
            parallel,
            split_above: self.split_above.map_or(256 << 20, |size| size.0),
        })
    }
}
