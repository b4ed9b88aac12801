//! What an error of a Redis source means for the exit code.

use super::Error;
use crate::sources::Verdict;

impl Error {
    /// What it means for the exit code.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Occupied { .. } | Self::Request(_) | Self::NoSuchKey(_) => Verdict::Refused,
            Self::Differs(_) | Self::Evicted { .. } | Self::Replaced(_) => Verdict::Differs,
            _ => Verdict::Failed,
        }
    }
}
