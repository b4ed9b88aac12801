//! Signs of life of a source, so that one that is dead can be told from one that is slow.
//!
//! Whatever a source hands over is a sign, and every piece of a member that is read while it is packed. A source that
//! may work for long without handing anything over gives further ones. As long as the package waits for the
//! stores and not for the source, nothing counts as silence.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pulse of one dump. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    beats: AtomicU64,
    /// Whether the package has nothing left to do but wait for the source.
    awaited: AtomicBool,
    latest: Mutex<Latest>,
}

/// What was heard of last. The buffers are used again for each member.
#[derive(Debug, Default)]
struct Latest {
    /// The member that was handed over last; empty: none was.
    member: Vec<u8>,
    /// The path that is being read, if the source says so; empty: it does not.
    reading: Vec<u8>,
}

impl Pulse {
    /// Gives a sign of life.
    pub fn beat(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes what is about to be read, in case that never ends.
    pub fn reading(&self, parts: &[&[u8]]) {
        fill(&mut self.lock().reading, parts);
    }

    /// Notes the member that the package has begun to take.
    pub(super) fn member(&self, path: &[u8]) {
        fill(&mut self.lock().member, &[path]);
    }

    /// Waits for the source. Only meanwhile it can be silent.
    pub(crate) fn wait<T>(&self, for_source: impl FnOnce() -> T) -> T {
        self.0.awaited.store(true, Ordering::Relaxed);
        let came = for_source();
        self.beat();
        self.0.awaited.store(false, Ordering::Relaxed);
        came
    }

    /// The number of signs so far, while the source is waited for. The same number at two moments: it may be silent.
    pub fn awaited(&self) -> Option<u64> {
        self.0.awaited.load(Ordering::Relaxed).then(|| self.0.beats.load(Ordering::Relaxed))
    }

    /// What was heard of last, in words.
    pub fn latest(&self) -> String {
        let Latest { member, reading } = &*self.lock();
        match (reading.as_slice(), member.as_slice()) {
            ([], []) => "it has handed nothing over".to_owned(),
            ([], member) => format!("the last member was `{}`", super::error::printable(member)),
            (reading, _) => format!("`{}` was being read", super::error::printable(reading)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        // A path that is half copied only misleads, and only who panicked meanwhile.
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fill(buffer: &mut Vec<u8>, parts: &[&[u8]]) {
    buffer.clear();
    for part in parts {
        buffer.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_awaited_can_be_silent() {
        let pulse = Pulse::default();
        assert_eq!(pulse.awaited(), None);
        let (before, after) = pulse.wait(|| {
            let before = pulse.awaited();
            pulse.beat();
            (before, pulse.awaited())
        });
        assert!(before.is_some() && after > before);
        assert_eq!(pulse.awaited(), None);
    }

    #[test]
    fn what_is_read_is_told_before_what_was_handed_over() {
        let pulse = Pulse::default();
        assert_eq!(pulse.latest(), "it has handed nothing over");
        pulse.member(b"shop/orders.1.sql");
        assert_eq!(pulse.latest(), "the last member was `shop/orders.1.sql`");
        pulse.reading(&[b"a", b"/", b"b\n"]);
        assert_eq!(pulse.latest(), "`a/b\\n` was being read");
    }
}
