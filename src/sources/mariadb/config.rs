//! The configuration of a MariaDB source.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::globs::Globs;
use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};
use crate::config::units::Span;

/// A MariaDB source as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server's name or address. Either this or `socket`.
    pub host: Option<String>,
    /// The server's port. Default: 3306.
    pub port: Option<u16>,
    /// The server's Unix socket.
    pub socket: Option<PathBuf>,
    /// The user. Needs SELECT, SHOW VIEW, TRIGGER, EVENT, SHOW CREATE ROUTINE (or SELECT on mysql.*), LOCK TABLES
    /// and RELOAD.
    pub user: String,
    /// The user's password.
    pub password: Option<SecretRef>,
    /// Whether the connection is encrypted. Default: `disabled` over a socket and on loopback, else `verify_identity`.
    pub tls: Option<Tls>,
    /// A PEM file with the authorities that the server's certificate is checked against. Default: the usual ones.
    pub ca: Option<PathBuf>,
    /// Globs of databases. Default: all but the server's own.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Globs of tables to dump, as `database.table`. Default: all.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Globs of tables to leave out, as `database.table`.
    #[serde(default)]
    pub exclude_tables: Vec<String>,
    /// Leave the rows out. Default: false.
    #[serde(default)]
    pub schema_only: bool,
    /// Dump users, roles, grants, servers, plugins and loadable functions too. Default: false.
    #[serde(default)]
    pub system: bool,
    /// Dump the history of system-versioned tables. Default: true.
    pub history: Option<bool>,
    /// How many connections read at once. Default: 4.
    pub connections: Option<usize>,
    /// How long to wait for a lock. Default: 60s.
    pub lock_timeout: Option<Span>,
    /// How long to wait for the server to answer. Default: 10s.
    pub connect_timeout: Option<Span>,
    /// What to do with tables of engines without transactions. Default: `lock`.
    #[serde(default)]
    pub non_transactional: NonTransactional,
    /// Dump although the user may not see everything; what is missing is named in the record. Default: false.
    #[serde(default)]
    pub allow_missing_privileges: bool,
}

/// Whether a connection is encrypted, and how far the server is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Not encrypted.
    Disabled,
    /// Encrypted; the server is not checked.
    Required,
    /// Encrypted; the certificate must come from a known authority.
    VerifyCa,
    /// Encrypted; the certificate must come from a known authority and carry the host's name.
    VerifyIdentity,
}

/// What to do with tables of engines without transactions (`MyISAM`, Aria, MEMORY, CSV, ARCHIVE).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NonTransactional {
    /// Keep the read lock until their rows have been read: consistent, and writers wait that long.
    #[default]
    Lock,
    /// Read them after the lock is gone, and say in the record that they may be newer than the rest.
    Report,
}

/// A MariaDB source as meant.
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own in the configuration")]
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) socket: Option<PathBuf>,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) tls: Tls,
    pub(super) ca: Option<PathBuf>,
    pub(super) database_globs: Globs,
    pub(super) table_globs: Globs,
    pub(super) exclude_globs: Globs,
    pub(super) schema_only: bool,
    pub(super) system: bool,
    pub(super) history: bool,
    pub(super) connections: usize,
    pub(super) lock_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) non_transactional: NonTransactional,
    pub(super) allow_missing_privileges: bool,
}

impl Plan {
    /// The server for messages.
    pub(super) fn server(&self) -> String {
        match &self.socket {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Takes over from the configured server what a URL does not say: the user if it names none, and the password if
    /// it gives none.
    pub(super) fn inherit(&mut self, own: &Self, user: bool, password_given: bool) {
        if user {
            self.user.clone_from(&own.user);
        }
        if !password_given {
            self.password.clone_from(&own.password);
        }
        self.connections = own.connections;
        self.lock_timeout = own.lock_timeout;
        self.connect_timeout = own.connect_timeout;
    }

    /// Whether a table is meant.
    pub(super) fn wants_table(&self, database: &str, table: &str) -> bool {
        let name = format!("{database}.{table}");
        (self.table_globs.is_empty() || self.table_globs.matches(&name)) && !self.exclude_globs.matches(&name)
    }
}

impl Config {
    /// Fills defaults in and refuses what cannot be meant.
    pub fn plan(self, context: &mut Context) -> Option<Plan> {
        let password = context.secret("password", self.password.as_ref());
        let help = "`*`, `?`, `[a-z]` and `{a,b}` are known; write a table as `database.table`";
        let database_globs = context.check("databases", Globs::new(&self.databases), help);
        let table_globs = context.check("tables", Globs::new(&self.tables), help);
        let exclude_globs = context.check("exclude_tables", Globs::new(&self.exclude_tables), help);
        for (key, globs) in [("tables", &self.tables), ("exclude_tables", &self.exclude_tables)] {
            for glob in globs.iter().filter(|glob| !glob.contains('.')) {
                context.problem(key, format!("`{glob}` names no database"), "write `database.table`");
            }
        }
        if self.host.is_some() == self.socket.is_some() {
            context.problem("host", "a server needs exactly one of `host` and `socket`", "give one of them");
            return None;
        }
        if self.connections == Some(0) {
            context.problem("connections", "0 connections cannot read", "write 1 or more");
            return None;
        }
        if self.password.is_some() && password.is_none() {
            return None;
        }
        let host = self.host.unwrap_or_else(|| "localhost".to_owned());
        let local = self.socket.is_some() || ["localhost", "127.0.0.1", "::1"].contains(&host.as_str());
        let default_tls = if local { Tls::Disabled } else { Tls::VerifyIdentity };
        Some(Plan {
            host,
            port: self.port.unwrap_or(3306),
            socket: self.socket,
            user: self.user,
            password,
            tls: self.tls.unwrap_or(default_tls),
            ca: self.ca,
            database_globs: database_globs?,
            table_globs: table_globs?,
            exclude_globs: exclude_globs?,
            schema_only: self.schema_only,
            system: self.system,
            history: self.history.unwrap_or(true),
            connections: self.connections.unwrap_or(4),
            lock_timeout: self.lock_timeout.map_or(Duration::from_mins(1), |span| span.0),
            connect_timeout: self.connect_timeout.map_or(Duration::from_secs(10), |span| span.0),
            non_transactional: self.non_transactional,
            allow_missing_privileges: self.allow_missing_privileges,
        })
    }
}
