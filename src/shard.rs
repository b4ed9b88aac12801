//! Shards: which of N runs backs which source up.
//!
//! Every shard computes the whole assignment by itself, so all of them must compute the same one although they run at
//! different times and write new packages meanwhile. It is therefore a pure function of the sources' names, the number
//! of shards, and sizes as of one common time before any of them began.
//!
//! Rendezvous hashing with bounded load: each source has a ranking of the shards of its own and goes to the first that
//! still has room (a quarter above the average). When a source is added, few others move: on average less than one,
//! because only what was at the bound is pushed on. When nothing is at the bound, none does.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::catalog::key::{Note, Part};
use crate::catalog::scan::{self, read_record};
use crate::catalog::{Key, SourceName};
use crate::clock::Timestamp;
use crate::retention::Policy;
use crate::stores::{self, Named, Reason};

/// The most shards that make sense, and that `--shard` accepts.
const MOST: u32 = 1_000;

/// Packages smaller than this cost about the same: the connection, the probe, the uploads' beginning and end.
const LEAST_WEIGHT: u64 = 1 << 20;

/// One of several runs that share the sources. Counted from 0, as the completion index of an Indexed Job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

/// A text that is not a shard or not a Job's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not of the form `I/N`.
    #[error("`{0}` is not a shard: write I/N, for example 0/3, 1/3 or 2/3")]
    Form(String),
    /// The index is not below the number.
    #[error("there is no shard {index} of {of}: they are counted from 0 to {}", of - 1)]
    Range {
        /// The index as given.
        index: u32,
        /// The number of shards.
        of: u32,
    },
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let form = || Error::Form(text.to_owned());
        let (index, of) = text.split_once('/').ok_or_else(form)?;
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (index, of) = (number(index).ok_or_else(form)?, number(of).ok_or_else(form)?);
        if of == 0 || of > MOST {
            return Err(form());
        }
        if index < of { Ok(Self { index, of }) } else { Err(Error::Range { index, of }) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl Shard {
    /// The sources of this shard, in their order.
    pub fn of(self, sources: &[SourceName], sizes: &BTreeMap<SourceName, u64>) -> Vec<SourceName> {
        let assigned = assign(sources, sizes, self.of);
        sources.iter().filter(|name| assigned.get(name) == Some(&self.index)).cloned().collect()
    }
}

/// Assigns every source to exactly one of the shards `0..of`.
///
/// `sizes` are those of the last packages; a source without one weighs as much as the median of the others. Sizes
/// count in powers of two, so that everyday growth moves nothing. No shard gets more than a quarter above the average,
/// or than the average and one source, whichever is more.
pub fn assign(
    sources: &[SourceName],
    sizes: &BTreeMap<SourceName, u64>,
    of: u32,
) -> BTreeMap<SourceName, u32> {
    let of = of.max(1);
    let weights = weights(sources, sizes);
    let total: u128 = weights.values().map(|weight| u128::from(*weight)).sum();
    // A quarter above the average, rounded up.
    let bound = (total * 5).div_ceil(u128::from(of) * 4);
    let mut loads = vec![0u128; of as usize];
    let mut assigned = BTreeMap::new();
    // Large ones first: they are the hardest to place. Among equals a fixed random order, so that a name's first
    // letter decides nothing.
    let mut order: Vec<_> = weights.into_iter().collect();
    order.sort_by_key(|(name, weight)| (std::cmp::Reverse(*weight), score(name, u64::MAX), (*name).clone()));
    for (name, weight) in order {
        let weight = u128::from(weight);
        let mut ranking: Vec<u32> = (0..of).collect();
        ranking.sort_by_key(|shard| std::cmp::Reverse((score(name, u64::from(*shard)), *shard)));
        let roomy = ranking.iter().copied().find(|shard| loads[*shard as usize] + weight <= bound);
        let emptiest = || ranking.iter().copied().min_by_key(|shard| loads[*shard as usize]).unwrap_or(0);
        let shard = roomy.unwrap_or_else(emptiest);
        loads[shard as usize] += weight;
        assigned.insert(name.clone(), shard);
    }
    assigned
}

fn weights<'a>(
    sources: &'a [SourceName],
    sizes: &BTreeMap<SourceName, u64>,
) -> BTreeMap<&'a SourceName, u64> {
    let weight = |size: u64| size.clamp(LEAST_WEIGHT, 1 << 62).next_power_of_two();
    let mut known: Vec<u64> =
        sources.iter().filter_map(|name| sizes.get(name)).map(|size| weight(*size)).collect();
    known.sort_unstable();
    let median = known.get(known.len() / 2).copied().unwrap_or(LEAST_WEIGHT);
    sources.iter().map(|name| (name, sizes.get(name).map_or(median, |size| weight(*size)))).collect()
}

/// Part of the promise that versions agree: never change it.
fn score(name: &SourceName, shard: u64) -> u64 {
    xxh3_64_with_seed(name.as_str().as_bytes(), shard)
}

/// What a listing shows of a package.
#[derive(Default)]
struct Seen {
    size: Option<u64>,
    recorded: bool,
    accepted: Option<Timestamp>,
}

/// The size of each source's newest recorded package made before `as_of`, in the first of its stores that is given.
///
/// Packages made since are not looked at, nor what became known since: the other shards may be making both. A package
/// that they may have dropped meanwhile only counts if it is good: the newest good ones stay. A store that cannot be
/// listed is an error: without all sizes there are none that the other shards would share.
pub async fn sizes(
    sources: &[(SourceName, Named, Policy)],
    as_of: Timestamp,
) -> Result<BTreeMap<SourceName, u64>, stores::Error> {
    let mut sizes = BTreeMap::new();
    for (name, named, policy) in sources {
        let mut packages: BTreeMap<Key, Seen> = BTreeMap::new();
        let listed = match named.store.list(&format!("{name}/")).await {
            // Nothing has been backed up there: the first backup makes the store's folder.
            Err(error) if error.reason == Reason::NotFound => Vec::new(),
            listed => listed?,
        };
        for listed in listed {
            match Key::parse_object(listed.name.as_str()) {
                Some((key, Part::Package)) => packages.entry(key).or_default().size = Some(listed.size),
                Some((key, Part::Record)) => packages.entry(key).or_default().recorded = true,
                Some((key, Part::Note(Note::Accepted, at))) if at < as_of => {
                    packages.entry(key).or_default().accepted = Some(at);
                }
                _ => {}
            }
        }
        let before = packages.into_iter().rev().filter(|(key, _)| key.source() == name && key.at() < as_of);
        for (key, seen) in before.filter(|(_, seen)| seen.recorded) {
            let Some(size) = seen.size else { continue };
            if stays(policy, &key, as_of) || seen.accepted.is_some() || is_good(named, &key).await? {
                sizes.insert(name.clone(), size);
                break;
            }
        }
    }
    Ok(sizes)
}

/// Whether no shard drops a package, good or not, as long as the run takes.
fn stays(policy: &Policy, key: &Key, as_of: Timestamp) -> bool {
    // By the time that unfinished uploads are swept, no run is going on any more.
    let run = policy.orphans_after;
    let age = as_of.duration_since(key.at()).unsigned_abs();
    !policy.automatic || age.saturating_add(run) <= policy.keep_within
}

/// Whether a package's record, which stands as it was written, says that it is good. One that cannot be read or is gone
/// is not.
async fn is_good(named: &Named, key: &Key) -> Result<bool, stores::Error> {
    match read_record(&named.store, key).await {
        Ok(record) => Ok(record.is_good()),
        Err(scan::Error::Store(error)) if error.reason != Reason::NotFound => Err(error),
        Err(_) => Ok(false),
    }
}

/// The time for which a CronJob made a Job, from the Job's name: such names end in the minutes since 1970.
///
/// `None` for Jobs made by hand: they have no common time to go by.
pub fn scheduled(job: &str) -> Option<Timestamp> {
    let (_, minutes) = job.rsplit_once('-')?;
    let minutes = minutes.parse::<i64>().ok().filter(|_| minutes.bytes().all(|b| b.is_ascii_digit()))?;
    // From 2020 to 2100: anything else is a number of another meaning.
    let plausible = (26_297_280..68_374_080).contains(&minutes);
    plausible.then(|| Timestamp::from_second(minutes * 60).ok()).flatten()
}

#[cfg(test)]
mod tests;
