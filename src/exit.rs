//! Exit codes: documented, stable, and the only thing a CronJob sees.

use std::process::{ExitCode, Termination};

/// How the process ends. Anything that is not listed here is a failure (1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for was done and proved.
    Good = 0,
    /// Something unexpected went wrong.
    Unexpected = 1,
    /// The command line or the configuration is wrong; nothing was run.
    Usage = 2,
    /// Some source failed or is incomplete; the others have their backup.
    Partial = 3,
    /// Every source failed.
    Failed = 4,
    /// A verification or a drill found a difference.
    Mismatch = 5,
    /// The newest good backup is older than allowed.
    Stale = 6,
    /// Interrupted from the keyboard (SIGINT); uploads were aborted.
    Interrupted = 130,
    /// Told to stop (SIGTERM); uploads were aborted.
    Terminated = 143,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
