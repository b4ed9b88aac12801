//! Entries that the target does not take.
//!
//! A name that its file system cannot hold, an owner that may not be set, a directory in the way: whoever restores wants
//! everything else all the same, and to be told of each. What ends one entry and would end the next as well, as a full
//! disk, is not for here.

use std::collections::HashSet;

use rustix::io::Errno;

use crate::sources::files::Error;

/// So many are told. With more it is no exception any more, and everything else ends the same.
const MOST: usize = 1_000;

/// What says something of one entry only.
const OF_ONE: [Errno; 14] = [
    Errno::PERM,
    Errno::ACCESS,
    Errno::INVAL,
    Errno::ILSEQ,
    Errno::NAMETOOLONG,
    Errno::NOTSUP,
    Errno::MLINK,
    Errno::FBIG,
    Errno::OVERFLOW,
    Errno::BUSY,
    Errno::TXTBSY,
    Errno::ISDIR,
    Errno::NOTDIR,
    // The first name of a hard link, or a directory, that was refused itself.
    Errno::NOENT,
];

/// The entries that could not be restored.
#[derive(Debug, Default)]
pub(super) struct Refused {
    paths: HashSet<Vec<u8>>,
    first: Option<Error>,
}

impl Refused {
    /// Tells of an entry, and fails with what ended it if that is not of this entry alone.
    pub(super) fn note(&mut self, path: &[u8], error: Error) -> Result<(), Error> {
        if !is_of_one(&error) {
            return Err(error);
        }
        let told = crate::report::chain(&error).join(": ");
        tracing::error!(error = told, "not restored");
        self.paths.insert(path.to_vec());
        self.first.get_or_insert(error);
        if self.paths.len() < MOST {
            return Ok(());
        }
        self.verdict(", what comes after them was not tried").map_or(Ok(()), Err)
    }

    pub(super) fn contains(&self, path: &[u8]) -> bool {
        self.paths.contains(path)
    }

    /// What all of them mean for the restore. `None` if there are none.
    pub(super) fn verdict(&mut self, given_up: &'static str) -> Option<Error> {
        let first = self.first.take()?;
        Some(match self.paths.len() {
            1 => first,
            count => Error::Several { count, given_up, first: Box::new(first) },
        })
    }
}

fn is_of_one(error: &Error) -> bool {
    match error {
        Error::InTheWay(_) | Error::OnTheWay(_) => true,
        Error::Write { cause, .. } => {
            OF_ONE.iter().any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()))
        }
        _ => false,
    }
}
