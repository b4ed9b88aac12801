//! What to do about an error of a MongoDB source, and what it means for the exit code.

use super::Error;
use crate::sources::Verdict;

/// What is left for a sharded cluster.
const SHARDED: &str = "back up the whole cluster by other means: snapshots of the volumes of every shard and of the \
                       config servers, or `mongodump` through a mongos, each with the balancer stopped and writes locked";

impl Error {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::Url(_) => "correct the connection string: `mongodb://HOST:PORT/?replicaSet=NAME`",
                Self::Unreachable(_) | Self::Disconnected { .. } => {
                    "check hosts, ports and `tls`, network policies, and the servers' logs"
                }
                Self::ReplicaSet { .. } => "write the name that the server says into the connection string",
                Self::Authentication(_) => "check user, password and `authSource`",
                Self::Mongos | Self::ConfigServer => SHARDED,
                Self::Shard(_) => {
                    return Some(format!(
                        "{SHARDED}; if it is a shard no more, delete `shardIdentity` from its `admin.system.version`"
                    ));
                }
                Self::ShardedTarget(_) => {
                    "restore into a replica set or a standalone server; `mongodump` and `mongorestore` through a mongos \
                     bring it from there into the cluster; of a server that is a shard no more delete `shardIdentity` \
                     from its `admin.system.version`"
                }
                Self::NoMatch(_) | Self::Glob(_) => "correct the pattern; names are `DATABASE.COLLECTION`",
                Self::OplogTooSmall { .. } => "enlarge the oplog: `replSetResizeOplog`",
                Self::SteppedDown { .. } | Self::CursorLost { .. } | Self::Unrepeatable { .. } => {
                    "run the backup again"
                }
                Self::Gone(_) => {
                    "run the backup again; a replica set of one member has an oplog, and dumps that do not fail for this"
                }
                Self::TargetRefused(_) => {
                    "create by hand what is named; where an index cannot have documents, change these first: a standalone \
                     server's dump can have documents of different moments"
                }
                Self::Differs { .. } => "see whether something else writes to the target, and restore again",
                Self::Package(error) => return error.help(),
                _ => return None,
            }
            .to_owned(),
        )
    }

    /// What it means for the exit code.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotEmpty(_)
            | Self::ShardedTarget(_)
            | Self::SameName { .. }
            | Self::Switch(_)
            | Self::Glob(_) => Verdict::Refused,
            Self::Differs { .. } => Verdict::Differs,
            Self::Package(error) if error.is_mismatch() => Verdict::Differs,
            _ => Verdict::Failed,
        }
    }
}
