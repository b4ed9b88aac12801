//! Restore: chooses a recorded package and gives it to its source.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::catalog::scan::Presence;
use crate::catalog::{Found, Key, Scan, SourceName};
use crate::clock::Timestamp;
use crate::package::Package;
use crate::package::age::Identity;
use crate::sources::{self, Request, Restored, Source};
use crate::stores::{self, Named};

/// Which package to take.
#[derive(Debug, Clone)]
pub struct Choice {
    /// This one.
    pub key: Option<Key>,
    /// The newest one made at this time or before.
    pub at: Option<Timestamp>,
    /// The present time: what is dated later was made while a clock was wrong, and is nobody's newest.
    pub now: Timestamp,
}

/// Why nothing could be restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No store has a package that fits.
    #[error("{}", no_package(.wanted, .known))]
    NoPackage {
        /// What was asked for.
        wanted: String,
        /// The sources that have packages.
        known: Vec<SourceName>,
    },
    /// A store could not be read, and the others have no package that fits.
    #[error("the store `{store}` could not be read")]
    Store {
        /// The store.
        store: String,
        /// What it said.
        source: stores::Error,
    },
    /// The package's objects are not as the record says.
    #[error(
        "{key} in `{store}` is not whole: its package or index is missing or has another size than recorded"
    )]
    NotWhole {
        /// The package.
        key: Key,
        /// The store.
        store: String,
    },
    /// The package's record is there and cannot be read.
    #[error("the record of {key} in `{store}` cannot be read: {why}")]
    Unreadable {
        /// The package.
        key: Key,
        /// The store.
        store: String,
        /// What is wrong with it.
        why: String,
    },
    /// The record names a kind of source that this version does not know.
    #[error("{key} is of kind `{kind}`, which this version does not know")]
    UnknownKind {
        /// The package.
        key: Key,
        /// The kind.
        kind: String,
    },
    /// The source could not restore it.
    #[error(transparent)]
    Source(#[from] sources::Error),
}

fn no_package(wanted: &str, known: &[SourceName]) -> String {
    if known.is_empty() {
        return format!("no store has {wanted}, or any package at all");
    }
    let known: Vec<&str> = known.iter().map(SourceName::as_str).collect();
    format!("no store has {wanted}; there are packages of: {}", known.join(", "))
}

/// A package that was chosen, and the store to take it from.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The store.
    pub named: Named,
    /// The package, as it was found in that store.
    pub found: Found,
}

/// Finds the package: the given key, or the newest that is whole and not younger than asked.
///
/// Looks in all the given stores and takes the first that has it. One that was found damaged, or that is dated in the
/// future, is taken only if no other fits. A store that cannot be read is an error only if no other has a package that
/// fits. That a newer one is passed over is told: whoever restores believes to get the newest.
pub async fn choose(stores: &[Named], source: &SourceName, choice: &Choice) -> Result<Chosen, Error> {
    let (mut best, mut unread): (Option<Chosen>, _) = (None, None);
    let mut passed: Option<Passed> = None;
    for named in stores {
        let scan = match Scan::of(&named.store, Some(source)).await {
            Ok(scan) => scan,
            Err(error) => {
                tracing::warn!(store = %named.name, %error, "store cannot be read");
                unread.get_or_insert(Error::Store { store: named.name.clone(), source: error });
                continue;
            }
        };
        for one in choice.unusable(&named.name, &scan) {
            if passed.as_ref().is_none_or(|known| known.rank() < one.rank()) {
                passed = Some(one);
            }
        }
        let fits = |found: &&Found| choice.fits(&found.record.key) && found.presence == Presence::Whole;
        let Some(found) = scan.packages.iter().filter(fits).max_by_key(|found| choice.rank(found)) else {
            continue;
        };
        if best.as_ref().is_none_or(|best| choice.rank(&best.found) < choice.rank(found)) {
            best = Some(Chosen { named: named.clone(), found: found.clone() });
        }
    }
    match (best, passed, unread) {
        (Some(chosen), passed, _) => {
            choice.warn(&chosen);
            if let Some(passed) = passed {
                passed.warn(&chosen.found.record.key);
            }
            Ok(chosen)
        }
        (None, Some(Passed { why: Why::Unusable(error), .. }), _) | (None, _, Some(error)) => Err(error),
        (None, _, None) => Err(none_fits(stores, source, choice).await),
    }
}

/// A package that fits and that is taken only if there is no other, or not at all.
struct Passed {
    key: Key,
    /// Whether it is dated in the future: then it is nobody's newest.
    ahead: bool,
    why: Why,
}

enum Why {
    Damaged { store: String },
    Unusable(Error),
}

impl Passed {
    /// The greater, the rather it would have been taken.
    fn rank(&self) -> (bool, &Key) {
        (!self.ahead, &self.key)
    }

    /// Says that `taken` is taken although this one is newer.
    fn warn(&self, taken: &Key) {
        if self.ahead || self.key <= *taken {
            return;
        }
        let why = match &self.why {
            Why::Damaged { store } => format!("it was found damaged in `{store}`"),
            Why::Unusable(error) => error.to_string(),
        };
        tracing::warn!(%taken, newer = %self.key, why, "a newer package is passed over");
    }
}

impl Choice {
    /// Whether it is one of those that were asked for.
    fn fits(&self, key: &Key) -> bool {
        self.key.as_ref().is_none_or(|wanted| wanted == key) && self.at.is_none_or(|at| key.at() <= at)
    }

    /// What fits in one store and is not to be relied on.
    fn unusable(&self, store: &str, scan: &Scan) -> Vec<Passed> {
        let store = || store.to_owned();
        let of = |found: &Found| {
            let key = found.record.key.clone();
            let why = if found.presence == Presence::Whole {
                Why::Damaged { store: store() }
            } else {
                Why::Unusable(Error::NotWhole { key: key.clone(), store: store() })
            };
            Passed { key, ahead: found.is_ahead(self.now), why }
        };
        let unreadable = |(key, why): &(Key, String)| {
            let why = Why::Unusable(Error::Unreadable { key: key.clone(), store: store(), why: why.clone() });
            Passed { key: key.clone(), ahead: key.at() > self.now, why }
        };
        let found = scan.packages.iter().filter(|found| !found.is_sound()).map(of);
        let all = found.chain(scan.unreadable.iter().map(unreadable));
        all.filter(|passed| self.fits(&passed.key)).collect()
    }

    /// The greater, the rather it is taken.
    fn rank<'a>(&self, found: &'a Found) -> (bool, &'a Key) {
        (found.damaged.is_none() && !found.is_ahead(self.now), &found.record.key)
    }

    /// Says what is wrong with a package that is taken all the same.
    fn warn(&self, Chosen { named, found }: &Chosen) {
        let record = &found.record;
        let (key, store) = (&record.key, &named.name);
        if let Some(at) = found.damaged {
            tracing::warn!(%key, %store, %at, "this package was found damaged");
        }
        if found.is_ahead(self.now) {
            tracing::warn!(%key, %store, "this package is dated in the future: a clock was or is wrong");
        }
        if let Some(why) = record.suspicious.as_ref().filter(|_| found.accepted.is_none()) {
            tracing::warn!(%key, %store, %why, "this package is suspicious; an earlier one may hold more (`--at`, `--package`)");
        }
        if let (Some(first), None) = (record.missing.first(), found.accepted) {
            let missing = record.missing.len();
            tracing::warn!(%key, %store, missing, first = %first.name, "this package is incomplete");
        }
    }
}

async fn none_fits(stores: &[Named], source: &SourceName, choice: &Choice) -> Error {
    let mut known = BTreeSet::new();
    for named in stores {
        if let Ok(scan) = Scan::of(&named.store, None).await {
            known.extend(scan.packages.into_iter().map(|found| found.record.key.source().clone()));
        }
    }
    let wanted = match (&choice.key, choice.at) {
        (Some(key), _) => format!("the package `{key}`"),
        (None, Some(at)) => format!("a package of `{source}` made at {at} or before"),
        (None, None) => format!("a package of `{source}`"),
    };
    Error::NoPackage { wanted, known: known.into_iter().collect() }
}

/// Restores a chosen package through its source.
///
/// `configured` is the source as the plan has it, if it has one of that name; a package can be restored without.
pub async fn restore(
    chosen: &Chosen,
    configured: Option<&Source>,
    identities: Vec<Identity>,
    request: &Request,
    stop: &CancellationToken,
) -> Result<Restored, Error> {
    let record = &chosen.found.record;
    let unknown = || Error::UnknownKind { key: record.key.clone(), kind: record.kind.clone() };
    let source = match configured.filter(|source| source.kind() == record.kind) {
        Some(source) => source.clone(),
        None => Source::unconfigured(&record.kind).ok_or_else(unknown)?,
    };
    let package = Package::new(Arc::clone(&chosen.named.store), record.clone(), identities);
    let (name, key, store) = (record.key.source(), &record.key, &chosen.named.name);
    tracing::info!(source = %name, %key, store, dry_run = request.dry_run, "restore begins");
    let began = Instant::now();
    let restored = source.restore(&package, request, stop).await?;
    tracing::info!(
        source = %name, %key, store, action = "restore", status = "good", seconds = began.elapsed().as_secs_f64(),
        bytes = restored.bytes, notes = restored.notes.join("; "), "restore ended"
    );
    Ok(restored)
}
