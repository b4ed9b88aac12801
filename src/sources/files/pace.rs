//! Whether reading ahead is worth it, judged by how long entries take.
//!
//! Where a call is a round trip, many threads wait at once; where the answer is in memory already, handing an entry to
//! another thread and back costs more than reading it. So the walk reads entries itself until that turns out slow.

use std::time::Duration;

/// How many entries are looked back on.
const RECENT: usize = 32;

/// How many entries are enough to change the way.
const ENOUGH: usize = 8;

/// When half of the entries take longer than this, threads read ahead.
const SLOW: Duration = Duration::from_micros(150);

/// When half of the entries take less than this, the walk reads by itself again.
const QUICK: Duration = Duration::from_micros(60);

/// How long the last entries took. The median counts: a thread that had to wait for a processor says little.
#[derive(Debug)]
pub(super) struct Pace {
    recent: [Duration; RECENT],
    seen: usize,
    ahead: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { recent: [Duration::ZERO; RECENT], seen: 0, ahead: false }
    }

    /// Whether threads are to read ahead.
    pub(super) fn ahead(&self) -> bool {
        self.ahead
    }

    /// Notes how long an entry took.
    pub(super) fn took(&mut self, time: Duration) {
        self.recent[self.seen % RECENT] = time;
        self.seen += 1;
        if self.seen < ENOUGH || !self.seen.is_multiple_of(ENOUGH) {
            return;
        }
        let mut sorted = self.recent;
        let sorted = &mut sorted[..self.seen.min(RECENT)];
        sorted.sort_unstable();
        let median = sorted[sorted.len() / 2];
        let ahead = if self.ahead { median >= QUICK } else { median > SLOW };
        if ahead != self.ahead {
            (self.ahead, self.seen) = (ahead, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pace: &mut Pace, times: &[(usize, u64)]) -> bool {
        for (count, micros) in times {
            for _ in 0..*count {
                pace.took(Duration::from_micros(*micros));
            }
        }
        pace.ahead()
    }

    #[test]
    fn slow_entries_are_read_ahead_and_quick_ones_are_not() {
        let mut pace = Pace::new();
        assert!(!after(&mut pace, &[(100, 20)]));
        assert!(after(&mut pace, &[(32, 5_000)]));
        assert!(after(&mut pace, &[(64, 100)]), "between the bounds nothing changes");
        assert!(!after(&mut pace, &[(32, 20)]));
    }

    #[test]
    fn eight_entries_are_enough_to_begin_with() {
        let mut pace = Pace::new();
        assert!(!after(&mut pace, &[(7, 5_000)]));
        assert!(after(&mut pace, &[(1, 5_000)]));
    }

    #[test]
    fn a_few_that_waited_for_a_processor_change_nothing() {
        let mut pace = Pace::new();
        for _ in 0..100 {
            assert!(!after(&mut pace, &[(5, 20), (1, 9_000)]));
        }
    }
}
