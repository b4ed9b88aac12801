//! What to do about an error of a MariaDB source, and what it means for the exit code.

use super::{Error, restore};
use crate::sources::Verdict;

impl Error {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::Connect { .. } => "check host, port, user, password and `tls`, and network policies",
                Self::Unconfigured => "say where to with `--into mysql://USER@HOST:PORT`",
                Self::Privileges { .. } => "grant them to the backup's user, or accept what will be missing",
                Self::UnknownClass { .. } => {
                    "exclude it if it can be lost, or use a newer version of this program"
                }
                Self::BrokenTable { .. } => "repair the table on the server, or leave it out with `exclude`",
                Self::NoDatabase { .. } => "correct the globs; system databases are never matched",
                Self::NoTable { .. } => "correct the globs; a table is written as `database.table`",
                Self::Changing { .. } => "run the backup when no migration is running",
                Self::Restore(error) => return of_restore(error),
                _ => return None,
            }
            .to_owned(),
        )
    }

    /// What it means for the exit code.
    pub fn verdict(&self) -> Verdict {
        use restore::Error as Restore;
        match self {
            Self::Restore(
                Restore::NotEmpty(_)
                | Restore::Target { .. }
                | Restore::Only(_)
                | Restore::Nothing(_)
                | Restore::Switch(_)
                | Restore::OneName { .. },
            ) => Verdict::Refused,
            Self::Restore(Restore::Mismatch(_) | Restore::Redefined(_)) => Verdict::Differs,
            Self::Restore(Restore::Package(error)) if error.is_mismatch() => Verdict::Differs,
            Self::Restore(Restore::Source(error)) => error.verdict(),
            _ => Verdict::Failed,
        }
    }
}

fn of_restore(error: &restore::Error) -> Option<String> {
    let help = match error {
        restore::Error::Source(error) => return error.help(),
        restore::Error::Package(error) => return error.help(),
        restore::Error::Nothing(_) | restore::Error::Only(_) => {
            "`chupacabra show` lists what is in the package"
        }
        restore::Error::NotEmpty(_) => "give an empty server or another database name, or say `--replace`",
        restore::Error::Unmade(_) => {
            "make what they name and then them, or leave such views out of backups with `exclude_tables`; \
             whoever administers a role, or has all rights, gives what this user may not"
        }
        restore::Error::Redefined(_) => {
            "make them by hand as the package has them, `age -d -i KEY PACKAGE | tar xzO db/DATABASE` shows it"
        }
        restore::Error::Mismatch(_) => "see whether something else writes to the target, and restore again",
        _ => return None,
    };
    Some(help.to_owned())
}
