//! Letting work gather, so that a thread wakes once for much instead of often for little.
//!
//! To wake a thread costs its waker a system call and, on another processor, an interrupt. Where a hundred thousand
//! small files pass, or a server sends 16 KiB at a time, that is more than the work itself.

use std::time::Duration;

/// How long. Every queue and buffer in front of a caller holds more than arrives meanwhile.
const MOMENT: Duration = Duration::from_millis(1);

/// Sleeps for a moment. For threads that may block and have found little to do: while they sleep, whoever brings more
/// need not wake them.
#[allow(
    clippy::disallowed_methods,
    reason = "nothing is waited for: what is there after a moment is looked at"
)]
pub(crate) fn gather() {
    std::thread::sleep(MOMENT);
}
