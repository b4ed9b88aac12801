//! Prune: retention applied to a store. The record goes first, the data after, so that nothing half removed counts.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::catalog::key::Part;
use crate::catalog::{Key, Scan, SourceName};
use crate::clock::Timestamp;
use crate::retention::{Candidate, Decision, Policy, decide};
use crate::stores::{self, Listed, Named, ObjectName, Reason};

/// What prune would do with one source's packages in one store.
#[derive(Debug, Clone, Serialize)]
pub struct Intended {
    /// The store.
    pub store: String,
    /// The source.
    pub source: SourceName,
    /// Every recorded package with its reason, newest first.
    pub decisions: Vec<Decision>,
    /// Objects without a record that are old enough to go.
    pub orphans: Vec<String>,
    /// Objects without a record that a running backup may still own.
    pub young_orphans: u64,
    /// Leftovers of interrupted uploads that are old enough to go.
    pub leftovers: Vec<String>,
    /// Packages whose record cannot be read, with the reason. They are kept.
    pub unreadable: Vec<(Key, String)>,
    /// When leftovers must be older than this.
    #[serde(skip)]
    leftovers_before: Timestamp,
    /// When it was decided: what is kept is protected from then on, where the store protects.
    #[serde(skip)]
    now: Timestamp,
}

/// What prune did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pruned {
    /// Packages removed.
    pub packages: u64,
    /// Objects without a record removed.
    pub orphans: u64,
    /// Leftovers of interrupted uploads removed.
    pub leftovers: u64,
    /// Packages that the store does not let go yet (object lock), with its words. No error.
    pub locked: Vec<(Key, String)>,
}

/// Looks at one source's packages in one store and decides. Changes nothing.
pub async fn intend(
    named: &Named,
    source: &SourceName,
    policy: &Policy,
    now: Timestamp,
) -> Result<Intended, stores::Error> {
    let scan = Scan::of(&named.store, Some(source)).await?;
    // What cannot be read may be anything: it stays, and as the newest it holds the others.
    let unreadable = |key: &Key| Candidate { key: key.clone(), good: false, verified: false, ahead: false };
    let candidates: Vec<_> = scan
        .packages
        .iter()
        .map(|found| found.candidate(now))
        .chain(scan.unreadable.iter().map(|(key, _)| unreadable(key)))
        .collect();
    let mut decisions = decide(policy, &candidates, now);
    decisions.retain(|decision| !scan.unreadable.iter().any(|(key, _)| *key == decision.key));
    let old = |at: Timestamp| now.duration_since(at) > signed(policy.orphans_after);
    let made = |name: &ObjectName| Key::parse_object(name.as_str()).map_or(now, |(key, _)| key.at());
    let (orphans, young): (Vec<_>, Vec<_>) =
        scan.orphans.into_iter().partition(|orphan| old(orphan.modified) && old(made(&orphan.name)));
    recorded_nowhere(named, &orphans).await?;
    let leftovers_before = now.checked_sub(signed(policy.orphans_after)).unwrap_or(Timestamp::MIN);
    let leftovers = named.store.sweep(&format!("{source}/"), leftovers_before, true).await?;
    Ok(Intended {
        store: named.name.clone(),
        source: source.clone(),
        decisions,
        orphans: orphans.into_iter().map(|orphan| orphan.name.to_string()).collect(),
        young_orphans: young.len() as u64,
        leftovers,
        unreadable: scan.unreadable,
        leftovers_before,
        now,
    })
}

/// Makes sure that what is to be swept has no record: a listing that left a record out would have a sound package
/// deleted. Fails if one is there, because then the listing is no ground for any decision.
async fn recorded_nowhere(named: &Named, orphans: &[Listed]) -> Result<(), stores::Error> {
    let key = |orphan: &Listed| Key::parse_object(orphan.name.as_str()).map(|(key, _)| key);
    for key in orphans.iter().filter_map(key).collect::<BTreeSet<Key>>() {
        let record = ObjectName::new(key.object(&Part::Record))?;
        match named.store.open(&record, None).await {
            Err(error) if error.reason == Reason::NotFound => {}
            Err(error) => return Err(error),
            Ok(_) => {
                let what = format!("the store lists `{key}` without its record, which is there");
                return Err(stores::Error::new(Reason::Corrupt, what).help(
                    "nothing was removed; run `chupacabra prune` again once the store lists everything",
                ));
            }
        }
    }
    Ok(())
}

impl Intended {
    /// Does it. The first error ends it, and what is left is done by the next prune; but one object that cannot be protected
    /// is no reason to let the others' protection run out: that error is told at the end.
    pub async fn execute(&self, named: &Named) -> Result<Pruned, stores::Error> {
        let mut pruned = Pruned::default();
        for decision in self.decisions.iter().filter(|decision| !decision.keep) {
            match remove(named, &decision.key).await {
                Ok(()) => pruned.packages += 1,
                Err(error) if error.reason == Reason::Locked => {
                    pruned.locked.push((decision.key.clone(), error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        let mut unprotected = None;
        for decision in self.decisions.iter().filter(|decision| decision.keep) {
            for part in [Part::Record, Part::Index, Part::Package] {
                match named.store.extend(&ObjectName::new(decision.key.object(&part))?, self.now).await {
                    Err(error) if error.is_transient() => return Err(error),
                    extended => unprotected = unprotected.or(extended.err()),
                }
            }
        }
        for orphan in &self.orphans {
            match named.store.delete(&ObjectName::new(orphan.as_str())?).await {
                Err(error) if error.reason != Reason::Locked => return Err(error),
                deleted => pruned.orphans += u64::from(deleted.is_ok()),
            }
        }
        let swept = named.store.sweep(&format!("{}/", self.source), self.leftovers_before, false).await?;
        pruned.leftovers = swept.len() as u64;
        unprotected.map_or(Ok(pruned), Err)
    }
}

/// Removes a package: record, notes, index, package.
async fn remove(named: &Named, key: &Key) -> Result<(), stores::Error> {
    named.store.delete(&ObjectName::new(key.object(&Part::Record))?).await?;
    let stem = key.object(&Part::Record).trim_end_matches("json").to_owned();
    for listed in named.store.list(&stem).await? {
        if let Some((_, Part::Note(..))) = Key::parse_object(listed.name.as_str()) {
            named.store.delete(&listed.name).await?;
        }
    }
    for part in [Part::Index, Part::Package] {
        named.store.delete(&ObjectName::new(key.object(&part))?).await?;
    }
    Ok(())
}

fn signed(span: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(span).unwrap_or(jiff::SignedDuration::MAX)
}
