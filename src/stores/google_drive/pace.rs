//! The pace of requests: no more than so many in a minute, over all uploads and downloads of a store together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::stores::retry;

/// How many seconds' worth of requests may come at once after a pause.
const BURST_SECONDS: u64 = 2;

/// A token bucket for requests.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When the last request that was let through is paid for.
    paid: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(requests_per_minute: u32) -> Self {
        let interval = Duration::from_mins(1) / requests_per_minute.max(1);
        Self { interval, paid: Mutex::new(Instant::now()) }
    }

    /// Waits until one more request may be made.
    pub(super) async fn pass(&self) {
        let wait = self.wait(Instant::now());
        if !wait.is_zero() {
            retry::pause(wait).await;
        }
    }

    /// How long a request must wait that comes at `now`.
    fn wait(&self, now: Instant) -> Duration {
        // A moment cannot be left half changed, so a panic elsewhere does not spoil it.
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(Duration::from_secs(BURST_SECONDS)).unwrap_or(now);
        *paid = (*paid).max(earliest) + self.interval;
        paid.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let pace = Pace::new(60);
        let now = Instant::now() + Duration::from_secs(10);
        let waits: Vec<u64> = (0..5).map(|_| pace.wait(now).as_secs()).collect();
        assert_eq!(waits, [0, 0, 1, 2, 3]);
        assert_eq!(pace.wait(now + Duration::from_mins(1)), Duration::ZERO);
    }
}
