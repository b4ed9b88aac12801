//! Where members go.
//!
//! A name of a file with several may be wanted without the first, which has the content. The content then goes under the
//! first name that is wanted, and the others are linked to that: nothing is written under a name that nobody asked for.

use std::collections::HashMap;

use crate::package::index::{Entry, EntryKind};

/// A path, in as many bytes as tell it from every other one.
pub(super) type Mark = [u8; 16];

pub(super) fn mark(path: &[u8]) -> Mark {
    let mut mark = Mark::default();
    mark.copy_from_slice(&blake3::hash(path).as_bytes()[..16]);
    mark
}

/// Which first names are not wanted, and the wanted name in the place of each.
///
/// Holds one path for each file whose first name is left out, and nothing for all others.
#[derive(Debug, Default, Clone)]
pub(super) struct Places(HashMap<Mark, Instead>);

#[derive(Debug, Clone)]
struct Instead {
    path: Box<[u8]>,
    /// Whether the package has the first name at all.
    filled: bool,
}

impl Places {
    /// The wanted name in the place of `path`; `None`: it stays where it is.
    pub(super) fn instead_of(&self, path: &[u8]) -> Option<&[u8]> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&mark(path)).map(|instead| &*instead.path)
    }

    /// Puts `place` in the place of `path`, unless it has one.
    pub(super) fn put(&mut self, path: &[u8], place: &[u8]) {
        self.0.entry(mark(path)).or_insert_with(|| Instead { path: place.into(), filled: false });
    }

    /// Notes that the package has a member of this path.
    pub(super) fn fill(&mut self, path: &[u8]) {
        if let Some(instead) = self.0.get_mut(&mark(path)) {
            instead.filled = true;
        }
    }

    /// Forgets first names that the package does not have: a link to one must fail, and not pass for done.
    pub(super) fn keep_filled(&mut self) {
        self.0.retain(|_, instead| instead.filled);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// As [`Self::settle`], for an entry of the index.
    pub(super) fn of(&self, entry: &mut Entry) -> Place {
        let link = (entry.kind == EntryKind::HardLink).then_some(&mut entry.link);
        self.settle(&mut entry.path, link)
    }

    /// Moves a member's path, and what it is a hard link to, to their places. Says what that makes of it.
    pub(super) fn settle(&self, path: &mut Vec<u8>, link: Option<&mut Vec<u8>>) -> Place {
        let place = self.instead_of(path).map(<[u8]>::to_vec);
        let moved = place.is_some();
        if let Some(place) = place {
            *path = place;
        }
        if let Some(link) = link
            && let Some(first) = self.instead_of(link)
        {
            if first == *path {
                return Place::Filled;
            }
            *link = first.to_vec();
        }
        if moved { Place::Early } else { Place::Own }
    }
}

/// What the place of a member is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its own path.
    Own,
    /// Another one, which comes later in the archive, as may the directories on its way.
    Early,
    /// A name that has the content already.
    Filled,
}
