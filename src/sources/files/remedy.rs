//! What to do about an error of a files source, and what it means for the exit code.

use std::io;

use rustix::io::Errno;

use super::Error;
use crate::sources::Verdict;

impl Error {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::Root { .. } => "check `path`, and that the volume is mounted",
                Self::Access { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                    "run as root or with CAP_DAC_READ_SEARCH, or leave it out with `exclude`"
                }
                Self::Write { cause, .. } => write_help(cause),
                Self::InTheWay(_) => {
                    "move it away, and restore again: `--replace` removes nothing that the package does not name"
                }
                Self::OnTheWay(_) => {
                    "move it away, restore elsewhere, or have `--only` name it too: `--replace` removes nothing else"
                }
                Self::Access { .. } => {
                    "see whether the file system is in order, or leave it out with `exclude`"
                }
                Self::Changing(_) => {
                    "back up a snapshot, leave the file out with `exclude`, or set `changing_files: accept`"
                }
                Self::Leased(_) => {
                    "see who has it open (`/proc/locks`; Samba and NFS servers lease files to their clients), or back up a snapshot"
                }
                Self::IncludesNothing { .. } => {
                    "globs begin below `path`: correct it, or take it out if what it names may be absent"
                }
                Self::HardLinks { .. } => "raise `hard_link_memory`",
                Self::NoTarget => "say where to with `--into DIRECTORY`",
                Self::NotEmpty(_) => "give an empty or a new directory with `--into`, or say `--replace`",
                Self::Switch(_) => "the switches are `no-owner` and `no-devices`",
                Self::Only(_) => {
                    "`*` matches within a name, `**` across directories, `?` one byte, `{a,b}` either"
                }
                Self::NothingMatches(_) => "`chupacabra show` lists what is in the package",
                Self::Refused { .. } => "give a directory that no one else writes to",
                Self::Differs { .. } => "restore again, into an empty directory that no one else writes to",
                Self::Several { first, .. } => return first.help(),
                Self::Package(error) => return error.help(),
                Self::Closed(_) | Self::Stopped | Self::Thread => return None,
            }
            .to_owned(),
        )
    }

    /// What it means for the exit code.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotEmpty(_)
            | Self::NoTarget
            | Self::Switch(_)
            | Self::Only(_)
            | Self::NothingMatches(_) => Verdict::Refused,
            Self::Differs { .. } => Verdict::Differs,
            Self::Package(error) if error.is_mismatch() => Verdict::Differs,
            _ => Verdict::Failed,
        }
    }
}

/// What to do when the target does not take something.
fn write_help(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied if cause.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
            "owners and devices are for root with its capabilities, on a file system that lets root set them (NFS: `no_root_squash`); `--no-owner` leaves owners as they are here, `--switch no-devices` leaves devices out"
        }
        io::ErrorKind::PermissionDenied => {
            "restore as a user who may read and write there, with `--no-owner` if that is root without CAP_DAC_OVERRIDE"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room, and restore again into an empty directory"
        }
        _ => "see whether the target's file system is in order, and restore again into an empty directory",
    }
}
