//! Reading a store: which packages it has, and what else lies there.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::SignedDuration;

use super::key::{Note, Part};
use super::record::{self, Record};
use super::{Key, SourceName};
use crate::clock::Timestamp;
use crate::retention::Candidate;
use crate::stores::{self, Listed, ObjectName, Reason, Store};

/// How many records are fetched at once.
const AT_ONCE: usize = 8;

/// The largest record that is read, in bytes. A record is a few KiB; names of missing things may add to it.
const LARGEST_RECORD: u64 = 16 << 20;

/// What a store has, judged by a listing and the records found in it.
#[derive(Debug, Default)]
pub struct Scan {
    /// The recorded packages, oldest first within a source.
    pub packages: Vec<Found>,
    /// Packages whose record is there but cannot be read, with the reason. Neither listed as good nor ever deleted.
    pub unreadable: Vec<(Key, String)>,
    /// What has no record.
    pub orphans: Vec<Listed>,
    /// Objects whose names have another shape: somebody else's, never touched.
    pub ignored: u64,
}

/// A recorded package.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its record.
    pub record: Record,
    /// Whether the objects are as the record says, as far as a listing shows.
    pub presence: Presence,
    /// When its record was written, by the store's clock.
    pub modified: Timestamp,
    /// When it was last verified and found as recorded.
    pub verified: Option<Timestamp>,
    /// When it was last found not to be what was recorded, if no later look found it sound.
    pub damaged: Option<Timestamp>,
    /// When a person accepted what is suspicious about it or missing from it.
    pub accepted: Option<Timestamp>,
}

/// What a listing says of a package's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Package and index are there, in the recorded sizes.
    Whole,
    /// Package or index is missing.
    Missing,
    /// Package or index has another size than recorded.
    WrongSize,
}

impl Found {
    /// Whether its objects are there and nobody has found them to be others than recorded.
    pub fn is_sound(&self) -> bool {
        self.presence == Presence::Whole && self.damaged.is_none()
    }

    /// Whether it can be relied on: sound, and complete and not suspicious unless a person has accepted it.
    pub fn is_good(&self) -> bool {
        self.is_sound() && (self.record.is_good() || self.accepted.is_some())
    }

    /// Whether it is dated later than it can have been made: after the present time, or long after its record was
    /// written by the store's clock. Some clock was or is wrong, and its age says nothing.
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        let at = self.record.key.at();
        at.duration_since(now) > CLOCKS_DIFFER || at.duration_since(self.modified) > STORES_DIFFER
    }

    /// As retention sees it.
    pub fn candidate(&self, now: Timestamp) -> Candidate {
        Candidate {
            key: self.record.key.clone(),
            good: self.is_good(),
            verified: self.verified.is_some(),
            ahead: self.is_ahead(now),
        }
    }
}

#[derive(Default)]
struct Group {
    parts: BTreeMap<Part, Listed>,
}

/// How far the clocks of machines may disagree before a package counts as dated in the future.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);
/// How far a store's clock may be behind.
const STORES_DIFFER: SignedDuration = SignedDuration::from_hours(1);

impl Scan {
    /// Reads the whole store, or what belongs to one source.
    ///
    /// Fails if the listing or a record cannot be had: what is not seen must not be taken for absent.
    pub async fn of(store: &Arc<dyn Store>, source: Option<&SourceName>) -> Result<Self, stores::Error> {
        let prefix = source.map(|source| format!("{source}/")).unwrap_or_default();
        let mut scan = Self::default();
        let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
        for listed in store.list(&prefix).await? {
            match Key::parse_object(listed.name.as_str()) {
                Some((key, part)) => {
                    groups.entry(key).or_default().parts.insert(part, listed);
                }
                None => scan.ignored += 1,
            }
        }
        let (recorded, orphaned): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(_, group)| group.parts.contains_key(&Part::Record));
        scan.orphans = orphaned.into_iter().flat_map(|(_, group)| group.parts.into_values()).collect();
        let mut read = stream::iter(recorded)
            .map(|(key, group)| async move {
                let record = read_record(store, &key).await;
                (key, group, record)
            })
            .buffered(AT_ONCE);
        while let Some((key, group, record)) = read.next().await {
            match record {
                Ok(record) => scan.packages.push(group.found(record)),
                Err(Error::Unreadable(why)) => scan.unreadable.push((key, why)),
                // It was removed between the listing and now, by a prune elsewhere.
                Err(Error::Store(error)) if error.reason == Reason::NotFound => {}
                Err(Error::Store(error)) => return Err(error),
            }
        }
        Ok(scan)
    }

    /// The packages of one source, oldest first.
    pub fn of_source<'a>(&'a self, source: &'a SourceName) -> impl DoubleEndedIterator<Item = &'a Found> {
        self.packages.iter().filter(move |found| found.record.key.source() == source)
    }
}

impl Group {
    fn found(self, record: Record) -> Found {
        let size = |part| self.parts.get(part).map(|listed| listed.size);
        let presence = match (size(&Part::Package), size(&Part::Index)) {
            (Some(package), Some(index)) if package == record.package.size && index == record.index.size => {
                Presence::Whole
            }
            (Some(_), Some(_)) => Presence::WrongSize,
            _ => Presence::Missing,
        };
        let last = |wanted| {
            let at = self.parts.keys().filter_map(|part| match part {
                Part::Note(note, at) if *note == wanted => Some(*at),
                _ => None,
            });
            at.max()
        };
        let (verified, damaged) = (last(Note::Verified), last(Note::Damaged));
        let damaged = damaged.filter(|damaged| verified.is_none_or(|verified| verified <= *damaged));
        let verified = verified.filter(|_| damaged.is_none());
        let modified = self.parts.get(&Part::Record).map_or(record.finished, |listed| listed.modified);
        Found { record, presence, modified, verified, damaged, accepted: last(Note::Accepted) }
    }
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is there, but it is not a record that this program understands.
    #[error("{0}")]
    Unreadable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] stores::Error),
}

/// Reads the record of one package.
pub async fn read_record(store: &Arc<dyn Store>, key: &Key) -> Result<Record, Error> {
    let name = ObjectName::new(key.object(&Part::Record))?;
    let mut download = store.open(&name, None).await?;
    let mut json = Vec::new();
    while let Some(chunk) = download.try_next().await? {
        json.extend_from_slice(&chunk);
        if json.len() as u64 > LARGEST_RECORD {
            return Err(Error::Unreadable(format!("longer than {LARGEST_RECORD} bytes")));
        }
    }
    let record = record::parse(&json).map_err(|error| Error::Unreadable(error.to_string()))?;
    if record.key != *key {
        return Err(Error::Unreadable(format!("it is the record of `{}`", record.key)));
    }
    Ok(record)
}
