//! What to do about an error of a PostgreSQL source, and what it means for the exit code.

use super::Error;
use crate::sources::Verdict;

impl Error {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::Connect { .. } => "check host, port, user, password and `tls`, and network policies",
                Self::NoMatch { .. } => "correct the pattern; the names are case-sensitive",
                Self::Pooled => "connect to the server itself, or to a pool in session mode",
                Self::Right { .. } => "grant it to the backup's user, or leave the object out with `exclude`",
                Self::Unknown(_) => {
                    "exclude them if they can be lost, or use a newer version of this program"
                }
                Self::Conflict(_) => {
                    "turn `hot_standby_feedback` on or raise `max_standby_streaming_delay` at the standby, or back up the primary"
                }
                Self::Silent(_) | Self::Cut => {
                    "look for what ends quiet connections between here and the server: a firewall, NAT, a proxy"
                }
                Self::Unsettled | Self::Vanished(_) => "run the backup when no migration is running",
                Self::Careless(_) => {
                    "turn it off for this user and database; what is damaged then shows as an error, and can be left out with `exclude`"
                }
                Self::NotEmpty(_) => "give an empty database with `--into`, or say `--replace`",
                Self::RowsAlone(_) => {
                    "load the rows into tables that are there: `age -d -i key.txt PACKAGE | tar xzO --wildcards 'db/DATABASE/2-data/SCHEMA.TABLE.*' | psql -d DATABASE`; or leave these tables out with `--only`"
                }
                Self::InTheWay(..) => {
                    "restore the other tables with it (`--only` more than once), or drop what needs it first"
                }
                Self::Differs(_) => "see whether something else writes to the target, and restore again",
                Self::Unfilled(_) => {
                    "grant the views' owners what they lack, or change the owners, and run `REFRESH MATERIALIZED VIEW`"
                }
                Self::At { source, .. } => return source.help(),
                Self::Package(error) => return error.help(),
                _ => return None,
            }
            .to_owned(),
        )
    }

    /// What it means for the exit code.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotEmpty(_) | Self::Request(_) | Self::RowsAlone(_) | Self::InTheWay(..) => {
                Verdict::Refused
            }
            Self::Differs(_) => Verdict::Differs,
            Self::Package(error) if error.is_mismatch() => Verdict::Differs,
            Self::At { source, .. } => source.verdict(),
            _ => Verdict::Failed,
        }
    }
}
