//! What can go wrong with a Redis or Valkey server, and what to do about it.

use std::net::IpAddr;
use std::time::Duration;

use super::rdb;
use crate::package::outlet::Closed;

/// Why a server could not be dumped or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package stopped taking members.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The run was told to stop.
    #[error("stopped")]
    Stopped,
    /// The server cannot be reached.
    #[error("cannot connect to {server}: {source}")]
    Unreachable {
        /// The server.
        server: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// TLS could not be set up.
    #[error("TLS with {server}: {what}")]
    Tls {
        /// The server.
        server: String,
        /// What is wrong.
        what: String,
    },
    /// The connection ended.
    #[error("the connection to {server} ended while {doing}{why}")]
    Ended {
        /// The server.
        server: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said, if it said anything.
        why: String,
    },
    /// The snapshot ended before its end.
    #[error("the snapshot of {server} broke off after {bytes} bytes")]
    BrokeOff {
        /// The server.
        server: String,
        /// How much had arrived.
        bytes: u64,
    },
    /// Nothing arrived for too long.
    #[error("{server} sent nothing for {} s while {doing}", waited.as_secs())]
    Silent {
        /// The server.
        server: String,
        /// What was being done.
        doing: &'static str,
        /// How long that was.
        waited: Duration,
    },
    /// The target was to connect to us, and somebody else did.
    #[error(
        "{server} did not connect to us within {} s from its address {target}, and {seen} did, who was sent away",
        waited.as_secs()
    )]
    Stranger {
        /// The target.
        server: String,
        /// Who connected.
        seen: IpAddr,
        /// The target's address.
        target: IpAddr,
        /// How long was waited.
        waited: Duration,
    },
    /// The server wants a password and none is configured.
    #[error("{0} wants a password")]
    PasswordWanted(String),
    /// The server refuses the password or the user.
    #[error("{0} refuses the user name or password")]
    PasswordWrong(String),
    /// The server is in protected mode.
    #[error("{0} is in protected mode and takes connections from its own machine only")]
    Protected(String),
    /// The user may not run a command.
    #[error("user `{user}` of {server} may not run `{command}`")]
    NotAllowed {
        /// The server.
        server: String,
        /// The user.
        user: String,
        /// The command.
        command: String,
    },
    /// The server does not know PSYNC or refuses it.
    #[error("{server} does not let replicas in: {said}")]
    NoReplicas {
        /// The server.
        server: String,
        /// What it said.
        said: String,
    },
    /// The server is a replica that has lost its master.
    #[error("{0} is a replica without a link to its master, its data may be old")]
    MasterLinkDown(String),
    /// Another process answers than the one that was read from or written to.
    #[error(
        "{0} is another process than before: the server was started again, or the address leads to another one, where \
         what was read, or restored and compared, may not be"
    )]
    Replaced(String),
    /// The server answered with an error.
    #[error("{server} answered `{command}` with: {said}")]
    Answer {
        /// The server.
        server: String,
        /// The command.
        command: String,
        /// What it said.
        said: String,
    },
    /// The server is a node of a cluster, and the configuration does not say so.
    #[error("{0} is a node of a cluster: it has only a part of the keys")]
    ClusterNode(String),
    /// The configuration says that it is a node of a cluster, and it is not.
    #[error("{0} is not a node of a cluster")]
    NotClusterNode(String),
    /// No sentinel knows the master.
    #[error("no sentinel knows where `{master}` is: {said}")]
    Sentinel {
        /// The master's name.
        master: String,
        /// What the last one said.
        said: String,
    },
    /// What the server sent is no sound RDB stream.
    #[error("the snapshot is not sound: {0}")]
    Rdb(#[from] rdb::Error),
    /// The package could not be read.
    #[error(transparent)]
    Package(#[from] crate::package::Error),
    /// The restore was asked for in a way that cannot be meant.
    #[error("{0}")]
    Request(String),
    /// Keys or libraries are there already.
    #[error("{server} already has {found}, for example {example}")]
    Occupied {
        /// The server.
        server: String,
        /// How many, in words.
        found: String,
        /// One of them, in words.
        example: String,
    },
    /// The target cannot read what the source wrote.
    #[error("the package holds {from} (RDB version {version}), which {target} does not read")]
    TooNew {
        /// The source's product.
        from: String,
        /// The RDB version of the package.
        version: u32,
        /// The target's product.
        target: String,
    },
    /// The target lacks a module.
    #[error("key `{key}` is a value of the module type `{module}`, which {server} does not have")]
    ModuleMissing {
        /// The target.
        server: String,
        /// The module's type.
        module: String,
        /// The key.
        key: String,
    },
    /// The target lacks a module whose data outside of the keyspace it would end over.
    #[error("the package has data of the module type `{module}`, which {server} does not have")]
    ModuleAbsent {
        /// The target.
        server: String,
        /// The module's type.
        module: String,
    },
    /// No key is as asked for.
    #[error("no key in the package matches {0}")]
    NoSuchKey(String),
    /// The target takes no argument as long as a value.
    #[error("key `{key}` has {bytes} bytes, and {server} takes {longest} at most (`proto-max-bulk-len`)")]
    TooLong {
        /// The target.
        server: String,
        /// The key.
        key: String,
        /// How long its value is.
        bytes: u64,
        /// The longest argument that the target takes.
        longest: u64,
    },
    /// A module keeps data outside of the keyspace.
    #[error("the module type `{0}` keeps data outside of the keyspace, which cannot be restored key by key")]
    ModuleData(String),
    /// The target threw keys away while they were restored.
    #[error("{server} evicted {keys} keys during the restore: what was compared before may be gone")]
    Evicted {
        /// The target.
        server: String,
        /// How many.
        keys: u64,
    },
    /// The target was told to follow us, and could not be told to stop.
    #[error("{before}{server} may still follow us, who are gone, and then takes no writes: {said}")]
    NotLetGo {
        /// What had gone wrong before, ending in `; and `; empty if nothing had.
        before: String,
        /// The target.
        server: String,
        /// Why it was not let go.
        said: String,
    },
    /// What the target has is not what the package holds.
    #[error("{0}")]
    Differs(String),
}

impl Error {
    /// Whether the source only ended because the package had.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Whether it may pass by itself, so that a dump from the beginning is worth another attempt.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Replaced(_))
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { .. } => "check host, port and network policies; `tls` must fit the server".into(),
            Self::Tls { .. } => "check `tls.ca_file`, and that the server's certificate is for this `host`".into(),
            Self::Ended { server, .. } => format!("the log of {server} may have the reason"),
            Self::BrokeOff { server, .. } => format!(
                "the log of {server} has the reason: a failed fork or disk (\"Background transfer error\"), a \
                 restart, or `client-output-buffer-limit replica` (\"overcoming of output buffer limits\"), which \
                 can be raised for the time of the backup"
            ),
            Self::Silent { .. } => "raise `timeout`, or look at the server's log".into(),
            Self::Stranger { seen, .. } => format!(
                "if {seen} is the target, which connects from another address than the one that leads to it: \
                 `--switch listen=HOST:PORT` with an address of ours that the target reaches, or `0.0.0.0:PORT`; then \
                 whoever connects is taken for the target"
            ),
            Self::PasswordWanted(_) => "give `password`, and `username` if the server has ACL users".into(),
            Self::PasswordWrong(_) => "check `username` and `password`".into(),
            Self::Protected(_) => {
                "give the server a password (`requirepass` or ACL users), or bind it to the interface that the \
                 backup uses and set `protected-mode no`"
                    .into()
            }
            Self::NotAllowed { user, command, .. } if is_replica_command(command) => format!(
                "on the server: `ACL SETUSER {user} +psync +replconf +ping +info`, then `ACL SAVE`; or set `mode: scan`"
            ),
            Self::NotAllowed { user, command, .. } if command == "info" => {
                format!("on the server: `ACL SETUSER {user} +info`, then `ACL SAVE`")
            }
            Self::NotAllowed { user, command, .. } => {
                format!("on the server: `ACL SETUSER {user} ~* +{}`, then `ACL SAVE`", acl_name(command))
            }
            Self::NoReplicas { .. } => {
                "managed services forbid PSYNC: set `mode: scan` (not point-in-time), or `fallback: scan`".into()
            }
            Self::MasterLinkDown(_) => "wait until the link is up, or back up the master".into(),
            Self::Replaced(_) => {
                "name one server, not an address that several share, and do it again: a restore with `--replace`".into()
            }
            Self::ClusterNode(_) => {
                "make one source of each master of the cluster, each with `cluster_node: true`".into()
            }
            Self::NotClusterNode(_) => "leave `cluster_node` out".into(),
            Self::Sentinel { .. } => "check `sentinel.nodes` and `sentinel.master`".into(),
            Self::Occupied { .. } => "restore with `--replace`, or into an empty server or database".into(),
            Self::TooNew { version, .. } => format!("restore into a server that reads RDB version {version}"),
            Self::ModuleMissing { .. } => {
                "load the module on the target, or restore the rest with `--only`".into()
            }
            Self::ModuleAbsent { .. } => "load the module on the target".into(),
            Self::NoSuchKey(_) => {
                "`*`, `?`, `{}` and `[]` are special in `--only`: to mean one of them, write it in brackets, as `[{]`".into()
            }
            Self::TooLong { .. } => {
                "raise `proto-max-bulk-len` (and `client-query-buffer-limit`) on the target, or restore with \
                 `via=replication`"
                    .into()
            }
            Self::Evicted { .. } => {
                "give the target more `maxmemory`, or `maxmemory-policy noeviction`, and restore again with `--replace`"
                    .into()
            }
            Self::Answer { said, .. } if is_another_nodes(said) => {
                "the key's slot is another node's: restore into a node that has the slots which the record names \
                 (`cluster_slots`), or into a server that is none of a cluster"
                    .into()
            }
            Self::NotLetGo { .. } => "on the target: `REPLICAOF NO ONE`; then restore again".into(),
            Self::ModuleData(_) => "restore with `via=replication`, into a server with that module".into(),
            _ => return None,
        })
    }
}

/// Whether a node of a cluster refuses a key because it has not its slot.
fn is_another_nodes(said: &str) -> bool {
    ["MOVED ", "ASK ", "CLUSTERDOWN "].iter().any(|word| said.starts_with(word))
}

fn is_replica_command(command: &str) -> bool {
    matches!(command, "psync" | "replconf")
}

/// A command's name as ACL rules write it: `config|get`.
fn acl_name(command: &str) -> String {
    command.to_lowercase().replace(' ', "|")
}
