//! The configuration of a PostgreSQL source.

use std::path::PathBuf;

use globset::{Glob, GlobMatcher};
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;

use super::connect;
use super::select::{Pattern, Selector};
use crate::config::context::Context;
use crate::config::secret::SecretRef;
use crate::config::units::Span;

/// A PostgreSQL source as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The whole connection as a URL, `postgres://user:password@host:port/database?sslmode=verify-full`. A secret,
    /// because a password may stand in it. The other keys override its parts; a socket in it excludes a `host` that is none.
    pub url: Option<SecretRef>,
    /// The server's name or address, or the directory of its Unix socket. Default: localhost.
    pub host: Option<String>,
    /// The port. Default: 5432.
    pub port: Option<u16>,
    /// The role to connect as. Default: postgres.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretRef>,
    /// A file of passwords as libpq reads it (`host:port:database:user:password`).
    pub passfile: Option<PathBuf>,
    /// Back up this database only. Excludes `databases`.
    pub database: Option<String>,
    /// Globs of databases to back up. Default: all that accept connections, without `template1`.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Encryption of the connection.
    #[serde(default)]
    pub tls: Tls,
    /// Globs of schemas (`sales`) and tables (`sales.orders_*`) to back up. Default: all, as with `*`. Any other pattern
    /// leaves out what belongs to no schema: large objects, extensions with the rows of their tables, casts, event
    /// triggers, publications, foreign servers.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs of schemas and tables to leave out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Globs of tables whose definition is backed up, but not their rows.
    #[serde(default)]
    pub schema_only: Vec<String>,
    /// Globs of tables whose rows are backed up, but not their definition.
    #[serde(default)]
    pub data_only: Vec<String>,
    /// Back up roles, tablespaces and settings of the whole server. Default: true.
    pub globals: Option<bool>,
    /// Back up the roles' password hashes, which only superusers can read. Default: true.
    pub role_passwords: Option<bool>,
    /// How many connections read rows at once. Default: 2.
    pub jobs: Option<usize>,
    /// How long to wait for a table that somebody else has locked. Default: 5m.
    pub lock_timeout: Option<Span>,
}

/// Encryption of the connection, with libpq's words.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// `disable`, `prefer` (default), `require`, `verify-ca` or `verify-full`. With `ca_file`, `require` verifies the
    /// authority as `verify-ca` does, as libpq documents.
    pub mode: Option<TlsMode>,
    /// The authorities to trust, PEM. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate, PEM.
    pub cert_file: Option<PathBuf>,
    /// The client's private key, PEM.
    pub key_file: Option<PathBuf>,
}

/// When the connection is encrypted, and what is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the server can.
    Prefer,
    /// Always; the server's certificate is not checked.
    Require,
    /// Always; the certificate must come from a trusted authority.
    VerifyCa,
    /// Always; the certificate must also name the host.
    VerifyFull,
}

/// A PostgreSQL source as meant.
#[derive(Clone)]
pub struct Plan {
    /// Whether a configuration says which server; the driver's own defaults are nobody's choice.
    pub(super) configured: bool,
    pub(super) options: PgConnectOptions,
    pub(super) databases: Databases,
    pub(super) selector: Selector,
    pub(super) schema_only: Vec<Pattern>,
    pub(super) data_only: Vec<Pattern>,
    pub(super) globals: bool,
    pub(super) role_passwords: bool,
    pub(super) jobs: usize,
    pub(super) lock_timeout: std::time::Duration,
}

impl std::fmt::Debug for Plan {
    // The driver's options print the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("target", &connect::target(&self.options))
            .field("databases", &self.databases)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// A plan with no server: whatever uses it must be told one.
    pub(super) fn unconfigured() -> Self {
        Self {
            configured: false,
            options: PgConnectOptions::new_without_pgpass(),
            databases: Databases::Matching(Vec::new()),
            selector: Selector::default(),
            schema_only: Vec::new(),
            data_only: Vec::new(),
            globals: true,
            role_passwords: true,
            jobs: 2,
            lock_timeout: std::time::Duration::from_mins(5),
        }
    }
}

/// Which databases of the server.
#[derive(Debug, Clone)]
pub(super) enum Databases {
    /// The one that the connection names.
    One(String),
    /// Those that match; all if empty.
    Matching(Vec<(String, GlobMatcher)>),
}

const PATTERN: &str = "write a glob such as `sales`, `sales.orders_*` or `*.audit`";

impl Config {
    /// Fills defaults in and refuses what cannot be meant.
    pub fn plan(self, context: &mut Context) -> Option<Plan> {
        let options = connect::options(&self, context);
        let mut patterns = |key: &str, list: &[String]| {
            let parsed: Vec<Option<Pattern>> =
                list.iter().map(|text| context.check(key, Pattern::parse(text), PATTERN)).collect();
            parsed.into_iter().collect::<Option<Vec<_>>>()
        };
        let include = patterns("include", &self.include);
        let exclude = patterns("exclude", &self.exclude);
        let schema_only = patterns("schema_only", &self.schema_only);
        let data_only = patterns("data_only", &self.data_only);
        if self.database.is_some() && !self.databases.is_empty() {
            context.problem("databases", "both `database` and `databases` are given", "keep one of them");
        }
        if self.jobs == Some(0) {
            context.problem("jobs", "0 connections read nothing", "write 1 or more, or leave the key out");
        }
        let globs: Option<Vec<(String, GlobMatcher)>> = self
            .databases
            .iter()
            .map(|text| {
                let glob = context.check("databases", Glob::new(text), "write a glob such as `shop_*`")?;
                Some((text.clone(), glob.compile_matcher()))
            })
            .collect();
        let databases = match self.database {
            Some(name) => Databases::One(name),
            None => Databases::Matching(globs?),
        };
        Some(Plan {
            configured: true,
            options: options?,
            databases,
            selector: Selector::new(include?, exclude?),
            schema_only: schema_only?,
            data_only: data_only?,
            globals: self.globals.unwrap_or(true),
            role_passwords: self.role_passwords.unwrap_or(true),
            jobs: self.jobs.unwrap_or(2).max(1),
            lock_timeout: self.lock_timeout.map_or(std::time::Duration::from_mins(5), |span| span.0),
        })
    }
}
