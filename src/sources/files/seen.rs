//! Which names of a directory were listed already.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many names are remembered, over all open directories: 32 MiB.
const MOST: usize = 4 << 20;

/// How many of them are kept apart until they are sorted in.
const FRESH: usize = 32 << 10;

/// The room for names, shared by all open directories.
#[derive(Debug)]
pub(super) struct Room {
    taken: AtomicUsize,
    most: usize,
    /// Keyed at random: nobody can make up two names that are taken for one.
    hasher: RandomState,
}

impl Room {
    /// Room for `most` names.
    pub(super) fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most, hasher: RandomState::new() }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new(MOST)
    }
}

/// The names of one directory, as hashes of 64 bits.
#[derive(Debug)]
pub(super) struct Seen {
    room: Arc<Room>,
    sorted: Vec<u64>,
    fresh: BTreeSet<u64>,
    full: bool,
}

impl Seen {
    /// None yet.
    pub(super) fn new(room: &Arc<Room>) -> Self {
        Self { room: Arc::clone(room), sorted: Vec::new(), fresh: BTreeSet::new(), full: false }
    }

    /// Whether there was a name that could not be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Remembers a name. Says whether it is new, as far as that is known.
    pub(super) fn insert(&mut self, name: &[u8]) -> bool {
        let hash = self.room.hasher.hash_one(name);
        if self.sorted.binary_search(&hash).is_ok() || self.fresh.contains(&hash) {
            return false;
        }
        if self.room.taken.fetch_add(1, Ordering::Relaxed) >= self.room.most {
            self.room.taken.fetch_sub(1, Ordering::Relaxed);
            self.full = true;
            return true;
        }
        self.fresh.insert(hash);
        if self.fresh.len() == FRESH {
            self.sort_in();
        }
        true
    }

    /// Merges from the end, in place.
    fn sort_in(&mut self) {
        let mut from = self.sorted.len();
        let mut to = from + self.fresh.len();
        self.sorted.reserve_exact(self.fresh.len());
        self.sorted.resize(to, 0);
        while let Some(hash) = self.fresh.pop_last() {
            while from > 0 && self.sorted[from - 1] > hash {
                (from, to) = (from - 1, to - 1);
                self.sorted[to] = self.sorted[from];
            }
            to -= 1;
            self.sorted[to] = hash;
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.sorted.len() + self.fresh.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_new_once_however_many_there_are() {
        let room = Arc::default();
        let mut seen = Seen::new(&room);
        let names = || (0..200_000_u32).map(u32::to_le_bytes);
        assert!(names().all(|name| seen.insert(&name)));
        assert!(names().all(|name| !seen.insert(&name)));
        assert!(
            seen.sorted.is_sorted() && seen.sorted.len() + seen.fresh.len() == 200_000 && !seen.is_full()
        );
        drop(seen);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_not_remembered_is_told() {
        let room = Arc::new(Room::new(2));
        let (mut one, mut other) = (Seen::new(&room), Seen::new(&room));
        assert!(one.insert(b"a") && other.insert(b"a") && !other.is_full());
        assert!(one.insert(b"b") && one.is_full());
        assert!(!one.insert(b"a"), "what was remembered still is");
        drop(other);
        assert!(Seen::new(&room).insert(b"c"));
    }
}
