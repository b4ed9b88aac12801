//! Which members are wanted, and what a dry run says of them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;
use super::places::{Place, Places};
use crate::package::index::{Entry, EntryKind, Line};
use crate::package::{Package, Selection};
use crate::sources::Restored;
use crate::sources::files::globs::{Globs, Matched};
use crate::sources::files::shown;

/// One bit per member, in archive order.
#[derive(Debug, Default, Clone)]
pub(super) struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    pub(super) fn push(&mut self, bit: bool) {
        if self.length.is_multiple_of(64) {
            self.words.push(0);
        }
        self.length += 1;
        if bit {
            self.set(self.length - 1);
        }
    }

    pub(super) fn get(&self, at: usize) -> bool {
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn set(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }
}

/// What is restored of a package, if that is not everything.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) members: Bits,
    pub(super) places: Places,
}

/// What one pass over the index finds.
#[derive(Debug, Default)]
struct Pass {
    only: Globs,
    chosen: Bits,
    /// The directories around the present entry, by path and number.
    around: Vec<(Vec<u8>, usize)>,
    /// Which globs have matched a path.
    matched: Matched,
    /// First names of hard links that are wanted: their content has to come along, to the place of a link.
    places: Places,
}

impl Pass {
    fn take(&mut self, entry: &Entry) {
        let directory = entry.kind == EntryKind::Directory;
        self.matched.note_all(&self.only, &entry.path, directory);
        let covered = self.only.covers(&entry.path, directory);
        let place = if covered { Some(&*entry.path) } else { self.places.instead_of(&entry.path) };
        let place = place.map(<[u8]>::to_vec);
        let number = self.chosen.length;
        // The root's own metadata always comes along.
        self.chosen.push(place.is_some() || entry.path == b".");
        let within =
            |path: &[u8]| entry.path.strip_prefix(path).is_some_and(|rest| rest.first() == Some(&b'/'));
        while self.around.last().is_some_and(|(path, _)| !within(path)) {
            self.around.pop();
        }
        if place.is_some() && !covered && !entry.superseded {
            self.places.fill(&entry.path);
        }
        if covered {
            for (_, number) in &self.around {
                self.chosen.set(*number);
            }
        }
        if let Some(place) = place
            && entry.kind == EntryKind::HardLink
            && !self.only.covers(&entry.link, false)
        {
            self.places.put(&entry.link, &place);
        }
        if directory {
            self.around.push((entry.path.clone(), number));
        }
    }
}

/// Finds the members that match, with the directories that lead to them and the content of hard links.
///
/// Each glob must match something: a typing error in one of them must not restore half of what was asked for.
pub(super) async fn choose(package: &Package, only: Globs) -> Result<Chosen, Error> {
    let mut places = Places::default();
    loop {
        let before = places.len();
        let matched = Matched::new(&only);
        let pass = Arc::new(Mutex::new(Pass { only: only.clone(), matched, places, ..Pass::default() }));
        let taking = Arc::clone(&pass);
        let visit = move |line| {
            if let Line::Entry(entry) = line {
                taking.lock().unwrap_or_else(PoisonError::into_inner).take(&entry);
            }
            Ok(())
        };
        package.index(visit).await?;
        let done = std::mem::take(&mut *pass.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(glob) = done.matched.without_match(&only) {
            return Err(Error::NothingMatches(glob.to_owned()));
        }
        // First names stand before their links, so those just learned of need another pass.
        if done.places.len() == before {
            places = done.places;
            places.keep_filled();
            return Ok(Chosen { members: done.chosen, places });
        }
        places = done.places;
    }
}

/// The selection of the chosen members.
pub(super) fn selection(chosen: Option<&Arc<Chosen>>) -> Selection {
    let Some(chosen) = chosen.map(Arc::clone) else { return Selection::All };
    let mut number = 0;
    Selection::Where(Box::new(move |_| {
        number += 1;
        chosen.members.get(number - 1)
    }))
}

/// How many paths a dry run names.
const NAMED: u64 = 1_000;

/// What a dry run says.
#[derive(Debug, Default)]
pub(super) struct Listing {
    number: usize,
    listed: u64,
    restored: Restored,
}

impl Listing {
    /// Lists what would be written.
    pub(super) async fn of(
        package: &Package,
        chosen: Option<Arc<Chosen>>,
        target: &Path,
        replace: bool,
    ) -> Result<Restored, Error> {
        let listing = Arc::new(Mutex::new(Self::default()));
        let taking = Arc::clone(&listing);
        let visit = move |line| {
            if let Line::Entry(entry) = line {
                taking.lock().unwrap_or_else(PoisonError::into_inner).take(entry, chosen.as_deref());
            }
            Ok(())
        };
        package.index(visit).await?;
        let Self { listed, mut restored, .. } =
            std::mem::take(&mut *listing.lock().unwrap_or_else(PoisonError::into_inner));
        if listed > NAMED {
            restored.notes.push(format!("… and {} more", listed - NAMED));
        }
        if replace {
            let target = target.display();
            restored
                .notes
                .push(format!("`{target}` would be written over; what the package does not name stays"));
        }
        restored.compared.push_str("nothing: this was a dry run");
        Ok(restored)
    }

    fn take(&mut self, mut entry: Entry, chosen: Option<&Chosen>) {
        let wanted = chosen.is_none_or(|chosen| chosen.members.get(self.number)) && !entry.superseded;
        self.number += 1;
        if !wanted || chosen.is_some_and(|chosen| chosen.places.of(&mut entry) == Place::Filled) {
            return;
        }
        self.listed += 1;
        self.restored.bytes += entry.size;
        *self.restored.counts.entry(plural(entry.kind).to_owned()).or_default() += 1;
        if self.listed <= NAMED {
            self.restored.notes.push(format!("would write `{}`", shown(&entry.path)));
        }
    }
}

fn plural(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "files",
        EntryKind::Directory => "directories",
        EntryKind::Symlink => "symlinks",
        EntryKind::HardLink => "hard_links",
        EntryKind::Fifo => "fifos",
        EntryKind::CharDevice | EntryKind::BlockDevice => "devices",
    }
}
