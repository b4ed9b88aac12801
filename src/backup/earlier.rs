//! What a new package is compared with: the last good one of its source in each store.

use std::collections::{BTreeMap, BTreeSet};

use super::Run;
use crate::catalog::{Found, Record, Scan, SourceName};
use crate::config::plan::SourcePlan;
use crate::stores::{self, Named, Reason};

/// What the stores said when a job began.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// The last good package, by store.
    good: BTreeMap<String, Found>,
    /// The stores that could not tell.
    unseen: BTreeSet<String>,
}

impl Earlier {
    /// Asks all stores of a source.
    pub(super) async fn look(run: &Run<'_>, name: &SourceName, source: &SourcePlan) -> Self {
        let mut earlier = Self::default();
        for (store, _) in &source.stores {
            let Some(named) = run.stores.get(store) else { continue };
            match run.unless_stopped(async { Ok(last_good(named, name).await) }).await {
                Ok(Ok(good)) => earlier.good.extend(good.map(|found| (store.clone(), found))),
                Ok(Err(error)) => {
                    tracing::info!(source = %name, store, %error, "cannot compare with the package before");
                    earlier.unseen.insert(store.clone());
                }
                Err(_) => break,
            }
        }
        earlier
    }

    /// The newest of all stores.
    pub(super) fn newest(&self) -> Option<&Found> {
        self.good.values().max_by_key(|found| found.record.finished)
    }

    /// The package before a new one in a store, and what is suspicious about the new one after it.
    ///
    /// A store that could not tell is asked again. What cannot be compared is suspicious: taken for good, a package of a
    /// source that came up empty would be the measure of all that follow.
    pub(super) async fn compare(&self, named: &Named, record: &Record) -> (Option<Found>, Option<String>) {
        let good = if self.unseen.contains(&named.name) {
            last_good(named, record.key.source()).await
        } else {
            Ok(self.good.get(&named.name).cloned())
        };
        match good {
            Ok(before) => {
                let suspicious = before.as_ref().and_then(|before| record.suspicion_after(&before.record));
                (before, suspicious)
            }
            Err(error) => (None, Some(format!("it could not be compared with the package before: {error}"))),
        }
    }
}

/// The last good package of a source in a store. None with a key that may only write: a sound choice, and then there is
/// nothing to compare with.
async fn last_good(named: &Named, name: &SourceName) -> Result<Option<Found>, stores::Error> {
    match Scan::of(&named.store, Some(name)).await {
        Ok(scan) => Ok(scan.of_source(name).rfind(|found| found.is_good()).cloned()),
        Err(error) if error.reason == Reason::Denied => {
            tracing::info!(source = %name, store = named.name, %error, "the store may not be read: nothing to compare with");
            Ok(None)
        }
        // The first backup makes the store's folder.
        Err(error) if error.reason == Reason::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
