//! Why a MongoDB deployment could not be dumped or restored, and which of the driver's errors means what.

use mongodb::error::{Error as DriverError, ErrorKind};

use super::{archive, extended_json};
use crate::package;
use crate::package::digest::Fingerprint;
use crate::package::outlet::Closed;

/// Why a MongoDB deployment could not be dumped or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package stopped taking members.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The run was told to stop.
    #[error("told to stop")]
    Stopped,
    /// The URL cannot be used. Never repeats the URL: it may hold a password.
    #[error("the connection string cannot be used: {0}")]
    Url(String),
    /// No member could be reached.
    #[error("no server could be reached: {0}")]
    Unreachable(String),
    /// The server is a member of another replica set.
    #[error("the connection string says replica set `{wanted}`, the server says {found}")]
    ReplicaSet {
        /// The name in the URL.
        wanted: String,
        /// What the server says of itself.
        found: String,
    },
    /// The server does not accept the credentials.
    #[error("the server refused the credentials: {0}")]
    Authentication(String),
    /// The user may not do something that is needed.
    #[error("the user may not {what}: grant it {roles} on the database `admin`")]
    Unprivileged {
        /// What was attempted.
        what: String,
        /// The built-in roles that allow all that is needed, in words.
        roles: &'static str,
    },
    /// The server is a `mongos`.
    #[error("this is a mongos: a sharded cluster has no single oplog, and so no consistent dump this way")]
    Mongos,
    /// The server is a config server.
    #[error(
        "this is a config server of a sharded cluster: what it has is of use only together with the shards, and they \
         have no oplog in common"
    )]
    ConfigServer,
    /// The server is a shard.
    #[error(
        "this is the shard `{0}` of a sharded cluster: a dump of it would lack the cluster's metadata, and be of another \
         moment than those of the other shards"
    )]
    Shard(String),
    /// The target is a part of a sharded cluster.
    #[error(
        "the target is {0} of a sharded cluster: what is restored there goes past the cluster's metadata, or stands on one \
         shard alone, and an oplog cannot be replayed"
    )]
    ShardedTarget(String),
    /// A pattern of the configuration matches nothing.
    #[error("the pattern `{0}` matches no collection")]
    NoMatch(String),
    /// The server has a system collection that is not known to be safe to leave out.
    #[error("`{0}` is a system collection of an unknown kind: exclude it if it can be lost")]
    UnknownSystemCollection(String),
    /// A server said something that is not as documented.
    #[error("{what}: the reply is not as documented: {why}")]
    Reply {
        /// What was asked.
        what: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The server ended a cursor.
    #[error("{what}: the server ended the cursor ({code}): {why}")]
    CursorLost {
        /// What was being read.
        what: String,
        /// The server's code.
        code: i32,
        /// The server's words.
        why: String,
    },
    /// The connection broke.
    #[error("{what}: the connection broke: {why}")]
    Disconnected {
        /// What was being done.
        what: String,
        /// The driver's words.
        why: String,
    },
    /// Nothing came for a long time.
    #[error("{what}: nothing came for {seconds} seconds")]
    Stalled {
        /// What was being read.
        what: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The member is not what it was when the dump began.
    #[error(
        "{member} stepped down while it was read ({was} before, {is} now): what it wrote last may be rolled back"
    )]
    SteppedDown {
        /// The member.
        member: String,
        /// Its role when the dump began.
        was: String,
        /// Its role now.
        is: String,
    },
    /// The oplog is too small for the time that the dump took.
    #[error(
        "the oplog no longer reaches back to {start}, where this dump began: enlarge it (replSetResizeOplog) or dump \
         when less is written"
    )]
    OplogTooSmall {
        /// The begin of the slice that is needed.
        start: String,
    },
    /// The slice of the oplog is not whole.
    #[error("the oplog's slice is not whole: {0}")]
    OplogGap(String),
    /// Something happened during the dump that a replay cannot repeat.
    #[error("{what} during the dump, which replaying the oplog cannot repeat: run the backup again")]
    Unrepeatable {
        /// What happened.
        what: String,
    },
    /// A collection of a server without an oplog is not what it was when it was listed.
    #[error(
        "`{0}` was dropped, renamed or made anew before it was read to its end, and a standalone server has no oplog that \
         would tell what became of it"
    )]
    Gone(String),
    /// The archive is damaged or of another kind.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// Metadata is damaged.
    #[error("the metadata of {namespace}: {source}")]
    Metadata {
        /// Whose metadata.
        namespace: String,
        /// What is wrong.
        source: extended_json::Error,
    },
    /// The package could not be read.
    #[error(transparent)]
    Package(#[from] package::Error),
    /// The package has no prelude.
    #[error("this package is not of a MongoDB source: it has no prelude")]
    NoPrelude,
    /// A namespace of the prelude has no line in the index.
    #[error("the index lacks `{0}`, which the prelude has")]
    NoObject(String),
    /// A switch that this source does not know.
    #[error("the switch `{0}` is unknown: a MongoDB source knows `rename=OLD:NEW`, for databases")]
    Switch(String),
    /// Two collections would be restored under one name.
    #[error(
        "`{one}` and `{other}` would both be restored as `{to}`: rename one of the databases to another name"
    )]
    SameName {
        /// One of the collections.
        one: String,
        /// The other.
        other: String,
        /// The name in the target.
        to: String,
    },
    /// `--only` is not a glob.
    #[error("{0}")]
    Glob(String),
    /// The archive is of a newer server than the target.
    #[error("the archive is of MongoDB {archive}, the target is {server}: restore into {archive} or newer")]
    NewerServer {
        /// The version in the prelude.
        archive: String,
        /// The target's version.
        server: String,
    },
    /// Nothing says where to restore to.
    #[error("nothing says where to restore to: name a connection string (--into mongodb://…)")]
    NoTarget,
    /// The target is not empty.
    #[error("the target is not empty, it has `{0}`: choose an empty one, or replace it (--replace)")]
    NotEmpty(String),
    /// What was restored is not what was dumped.
    #[error("`{name}` was restored as {found}, the dump had {expected}")]
    Differs {
        /// The object.
        name: String,
        /// As the index has it.
        expected: Fingerprint,
        /// As the target has it.
        found: Fingerprint,
    },
    /// Indexes, views or options that take effect at the end were refused.
    #[error("everything is restored but what the target refused: {0}")]
    TargetRefused(String),
    /// The oplog has something that cannot be replayed.
    #[error("the oplog cannot be replayed: {0}")]
    Replay(String),
    /// A user or role is not in the target as it was dumped.
    #[error("the user or role `{0}` was not merged")]
    NotMerged(String),
    /// Another answer of a server.
    #[error("{what}: {why}")]
    Server {
        /// What was being done.
        what: String,
        /// The server's words.
        why: String,
    },
}

impl Error {
    /// Whether the source only ended because the package had.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// What a driver's error means, `what` being what was attempted. Codes from mongo's `error_codes.yml`.
    #[allow(clippy::needless_pass_by_value, reason = "reads better in `map_err`")]
    pub(super) fn driver(what: impl Into<String>, error: DriverError) -> Self {
        let what = what.into();
        match *error.kind {
            // Unauthorized: the built-in role for reading everything that a dump needs.
            ErrorKind::Command(ref command) if command.code == 13 => {
                Self::Unprivileged { what, roles: "the role `backup`" }
            }
            // AuthenticationFailed.
            ErrorKind::Command(ref command) if command.code == 18 => {
                Self::Authentication(command.message.clone())
            }
            // CursorNotFound, QueryPlanKilled (its collection is gone), CursorKilled, Interrupted,
            // InterruptedDueToReplStateChange, InterruptedAtShutdown, CappedPositionLost.
            ErrorKind::Command(ref command)
                if [43, 175, 237, 11601, 11602, 11600, 136].contains(&command.code) =>
            {
                Self::CursorLost { what, code: command.code, why: command.message.clone() }
            }
            ErrorKind::Command(ref command) => {
                let why = format!("{} ({}): {}", command.code_name, command.code, command.message);
                Self::Server { what, why }
            }
            ErrorKind::Authentication { ref message, .. } => Self::Authentication(message.clone()),
            ErrorKind::ServerSelection { ref message, .. } => Self::Unreachable(members(message)),
            ErrorKind::DnsResolve { ref message, .. } => Self::Unreachable(message.clone()),
            ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => {
                Self::Disconnected { what, why: error.kind.to_string() }
            }
            _ => Self::Server { what, why: error.kind.to_string() },
        }
    }

    /// The error as one of a restore. That needs more roles: `restore` lets documents be inserted, but neither changed
    /// nor read back. And what is no source is no target for reasons of its own.
    pub(super) fn restoring(self) -> Self {
        match self {
            Self::Unprivileged { what, .. } => {
                Self::Unprivileged { what, roles: "the roles `restore`, `backup` and `readWriteAnyDatabase`" }
            }
            Self::Mongos => Self::ShardedTarget("a mongos".into()),
            Self::ConfigServer => Self::ShardedTarget("a config server".into()),
            Self::Shard(name) => Self::ShardedTarget(format!("the shard `{name}`")),
            other => other,
        }
    }

    /// A reply that lacks what is documented.
    pub(super) fn reply(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Reply { what: what.into(), why: why.to_string() }
    }
}

/// Each member with what was wrong with it, out of the driver's description of the whole topology, whose labels come in
/// another order every time.
fn members(message: &str) -> String {
    let told = message.split("{ Address: ").skip(1).filter_map(|member| {
        let (address, rest) = member.split_once(", ")?;
        let (_, cause) = rest.split_once("Error: Kind: ")?;
        let (cause, _) = cause.split_once(", labels: ")?;
        Some(format!("{address}: {cause}"))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { message.to_owned() } else { told.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::members;

    #[test]
    fn a_topology_is_told_by_its_members() {
        let refused =
            "Error: Kind: I/O error: Connection refused (os error 111), labels: {\"B\", \"A\"}, source: None";
        let topology = format!(
            "Server selection timeout: No available servers. Topology: {{ Type: Unknown, Servers: [ {{ Address: a:1, Type: \
             Unknown, {refused} }}, {{ Address: b:2, Type: Unknown, {refused} }} ] }}"
        );
        let one = "I/O error: Connection refused (os error 111)";
        assert_eq!(members(&topology), format!("a:1: {one}; b:2: {one}"));
        assert_eq!(members("Server selection timeout"), "Server selection timeout");
    }
}
