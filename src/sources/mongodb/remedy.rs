//! What to do about an error of a MongoDB source, and what it means for the exit code.

use super::Error;
use crate::sources::Verdict;

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
                Self::Mongos => "back up each shard's replica set, with the balancer stopped",
                Self::NoMatch(_) | Self::Glob(_) => "correct the pattern; names are `DATABASE.COLLECTION`",
                Self::OplogTooSmall { .. } => "enlarge the oplog: `replSetResizeOplog`",
                Self::SteppedDown { .. } | Self::CursorLost { .. } | Self::Unrepeatable { .. } => {
                    "run the backup again"
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
            Self::NotEmpty(_) | Self::Switch(_) | Self::Glob(_) => Verdict::Refused,
            Self::Differs { .. } => Verdict::Differs,
            Self::Package(error) if error.is_mismatch() => Verdict::Differs,
            _ => Verdict::Failed,
        }
    }
}
