//! The configuration of a Redis or Valkey source.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};
use crate::config::units::Span;

const CONNECTIONS: usize = 4;
const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A Redis or Valkey source as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server's name or address. Exactly one of `host`, `socket` and `sentinel`.
    pub host: Option<String>,
    /// The server's port. Default: 6379.
    pub port: Option<u16>,
    /// The server's Unix socket.
    pub socket: Option<PathBuf>,
    /// Sentinels that know where the server is.
    pub sentinel: Option<Sentinel>,
    /// The ACL user. Needs `+psync +replconf +ping +info` for `mode: psync`; for `mode: scan` `~* +ping +info +select
    /// +dbsize +scan +multi +exec +dump +pexpiretime +memory|usage +function|dump`, for a replica of a cluster
    /// `+readonly` too, before Redis 7.0 `+time`, and from 7.2 `+client|no-touch`, without which every key that is read
    /// counts as used. Default: the server's default user.
    pub username: Option<String>,
    /// The user's password. Without one, a `username` logs in with an empty password: for users with `nopass`.
    pub password: Option<SecretRef>,
    /// Encrypt the connection. Give `{}` for the usual authorities.
    pub tls: Option<Tls>,
    /// How the data is read. Default: `psync`.
    #[serde(default)]
    pub mode: Mode,
    /// What to do where replicas are forbidden. Default: `fail`.
    #[serde(default)]
    pub fallback: Fallback,
    /// The server is one master (or replica) of a cluster, and this source has only its slots. Default: false.
    #[serde(default)]
    pub cluster_node: bool,
    /// Save ACL users (with the hashes of their passwords) inside the RDB file. Default: false.
    #[serde(default)]
    pub include_acl: bool,
    /// Save the server's settings, without passwords, inside the RDB file. Default: false.
    #[serde(default)]
    pub include_config: bool,
    /// How many connections restore at once. Default: 4.
    pub connections: Option<usize>,
    /// How long the server may be silent. Default: 60s.
    pub timeout: Option<Span>,
    /// How long to wait for a connection. Default: 10s.
    pub connect_timeout: Option<Span>,
}

/// Sentinels that know where the server is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sentinel {
    /// Their addresses, as `host` or `host:port`. Default port: 26379.
    pub nodes: Vec<String>,
    /// The master's name.
    pub master: String,
    /// Which server to read from. Default: `replica`.
    #[serde(default)]
    pub prefer: Prefer,
    /// The user at the sentinels.
    pub username: Option<String>,
    /// The password at the sentinels.
    pub password: Option<SecretRef>,
}

/// Which server of a group to read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// A replica that is in step with its master; the master if there is none.
    #[default]
    Replica,
    /// The master.
    Master,
}

/// Encryption of the connection.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A PEM file with the authorities that the server's certificate is checked against. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// A PEM file with a certificate of our own, if the server wants one.
    pub cert_file: Option<PathBuf>,
    /// A PEM file with the key of `cert_file`.
    pub key_file: Option<PathBuf>,
}

/// How the data is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As a replica reads it: everything as it was at one instant.
    #[default]
    Psync,
    /// Key by key, one after the other: not point-in-time. For managed services that forbid replicas.
    Scan,
}

/// What to do where replicas are forbidden.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// Fail.
    #[default]
    Fail,
    /// Read key by key; the record says that it is not point-in-time.
    Scan,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Address {
    /// Reads `host`, `host:port`, `[::1]:port` or `::1`.
    pub(super) fn parse(text: &str, port: u16) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (host, tail) = rest.split_once(']')?;
            let port = if tail.is_empty() { port } else { tail.strip_prefix(':')?.parse().ok()? };
            return Some(Self::Tcp(host.to_owned(), port));
        }
        match text.rsplit_once(':') {
            Some((host, tail)) if !host.contains(':') => Some(Self::Tcp(host.to_owned(), tail.parse().ok()?)),
            _ if text.is_empty() => None,
            _ => Some(Self::Tcp(text.to_owned(), port)),
        }
    }
}

/// Sentinels as meant.
#[derive(Debug, Clone)]
pub(super) struct SentinelPlan {
    pub(super) nodes: Vec<Address>,
    pub(super) master: String,
    pub(super) prefer: Prefer,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
}

/// A Redis or Valkey source as meant.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the server is; with sentinels only known once they were asked.
    pub(super) address: Option<Address>,
    pub(super) sentinel: Option<SentinelPlan>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) tls: Option<Tls>,
    pub(super) mode: Mode,
    pub(super) fallback: Fallback,
    pub(super) cluster_node: bool,
    pub(super) include_acl: bool,
    pub(super) include_config: bool,
    pub(super) connections: usize,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
}

impl Plan {
    /// A plan without a server: for restores that name theirs.
    pub(super) fn unconfigured() -> Self {
        Self {
            address: None,
            sentinel: None,
            username: None,
            password: None,
            tls: None,
            mode: Mode::Psync,
            fallback: Fallback::Fail,
            cluster_node: false,
            include_acl: false,
            include_config: false,
            connections: CONNECTIONS,
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }
}

impl Config {
    /// Fills defaults in and refuses what cannot be meant.
    pub fn plan(self, context: &mut Context) -> Option<Plan> {
        let places = [self.host.is_some(), self.socket.is_some(), self.sentinel.is_some()];
        if places.iter().filter(|given| **given).count() != 1 {
            let what = "a server needs exactly one of `host`, `socket` and `sentinel`";
            context.problem("host", what, "give one of them");
            return None;
        }
        if self.connections == Some(0) {
            context.problem("connections", "0 connections cannot restore", "write 1 or more");
            return None;
        }
        if self.tls.as_ref().is_some_and(|tls| tls.cert_file.is_some() != tls.key_file.is_some()) {
            context.problem("tls", "`cert_file` and `key_file` go together", "give both or neither");
            return None;
        }
        if self.mode == Mode::Scan && self.fallback == Fallback::Scan {
            context.problem("fallback", "`mode: scan` already reads key by key", "leave `fallback` out");
            return None;
        }
        let password = match &self.password {
            Some(reference) => Some(context.secret("password", Some(reference))?),
            None => None,
        };
        let sentinel = match self.sentinel {
            Some(sentinel) => Some(context.at("sentinel", |context| sentinel.plan(context))?),
            None => None,
        };
        let port = self.port.unwrap_or(6379);
        let tcp = self.host.map(|host| Address::Tcp(host, port));
        Some(Plan {
            address: tcp.or(self.socket.map(Address::Unix)),
            sentinel,
            username: self.username,
            password,
            tls: self.tls,
            mode: self.mode,
            fallback: self.fallback,
            cluster_node: self.cluster_node,
            include_acl: self.include_acl,
            include_config: self.include_config,
            connections: self.connections.unwrap_or(CONNECTIONS),
            timeout: self.timeout.map_or(TIMEOUT, |span| span.0),
            connect_timeout: self.connect_timeout.map_or(CONNECT_TIMEOUT, |span| span.0),
        })
    }
}

impl Sentinel {
    fn plan(self, context: &mut Context) -> Option<SentinelPlan> {
        if self.nodes.is_empty() {
            context.problem("nodes", "there is no sentinel to ask", "give at least one address");
            return None;
        }
        let mut nodes = Vec::new();
        for node in &self.nodes {
            let Some(address) = Address::parse(node, 26379) else {
                context.problem(
                    "nodes",
                    format!("`{node}` is not an address"),
                    "write `host` or `host:port`",
                );
                return None;
            };
            nodes.push(address);
        }
        let password = match &self.password {
            Some(reference) => Some(context.secret("password", Some(reference))?),
            None => None,
        };
        Some(SentinelPlan {
            nodes,
            master: self.master,
            prefer: self.prefer,
            username: self.username,
            password,
        })
    }
}
