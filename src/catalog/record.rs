//! The record: the small plaintext JSON written last, whose existence makes a package a backup.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Key;
use crate::clock::Timestamp;
use crate::package::digest::ObjectDigest;
use crate::package::seal::Totals;
use crate::sources::{Consistency, Missing};
use crate::stores::Proof;

/// The version of the record's shape. A reader refuses a newer one.
pub const VERSION: u32 = 1;

/// What is known of a package without any key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this shape: [`VERSION`].
    pub version: u32,
    /// The package's key.
    pub key: Key,
    /// The kind of the source: `files`, `postgres` …
    pub kind: String,
    /// What was dumped and which version, for example `PostgreSQL 15.18`.
    pub product: String,
    /// When the dump was complete.
    pub finished: Timestamp,
    /// Whether everything is in it.
    pub outcome: Outcome,
    /// The package object.
    pub package: ObjectDigest,
    /// The index object.
    pub index: ObjectDigest,
    /// How it was made sure that this store holds these bytes.
    pub proof: Proof,
    /// Counts of members, objects and bytes.
    pub totals: Totals,
    /// Counts by the source's own words.
    pub counts: BTreeMap<String, u64>,
    /// How the dump hangs together in time.
    pub consistency: Consistency,
    /// What is missing, if the outcome is partial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// What was accepted by configuration and should be known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why a person should look at it although nothing failed: it has far less in it than the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspicious: Option<String>,
    /// Whose keys open it: the public recipients, as age writes them.
    pub recipients: Vec<String>,
    /// The version of the program that wrote it.
    pub agent: String,
}

/// Whether everything is in a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything that the source has.
    Complete,
    /// Something is missing, by the user's own leave; the record names it.
    Partial,
}

/// A text that is not a record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The JSON is damaged or has another shape.
    #[error("not a record: {0}")]
    Shape(#[from] serde_json::Error),
    /// A newer program wrote it.
    #[error("written by a newer version ({0}): use that version to read it")]
    Newer(u32),
}

/// Reads a record; the version is looked at first, so that a newer shape is named as such.
pub fn parse(json: &[u8]) -> Result<Record, Error> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(json)?;
    if version > VERSION {
        return Err(Error::Newer(version));
    }
    Ok(serde_json::from_slice(json)?)
}

/// Below this share of the package before it, in percent, a package is suspicious.
const SUSPICIOUS_PERCENT: u64 = 10;

/// What sources call the rows that they count. The keys of a Redis server are not among them: a cache may be emptied.
const ROWS: [&str; 2] = ["rows", "documents"];
/// Fewer rows come and go.
const LEAST_ROWS: u64 = 100;

impl Record {
    /// Whether it can be relied on: complete and not suspicious.
    pub fn is_good(&self) -> bool {
        self.outcome == Outcome::Complete && self.suspicious.is_none()
    }

    /// Says what is suspicious about this package after the last good one: a fall to a tenth or less of the bytes, files,
    /// tables or rows is more often a mount that is not there, or a server that came up empty, than a clean-up.
    pub fn suspicion_after(&self, previous: &Self) -> Option<String> {
        let fell = |what: &str, before: u64, now: u64, floor: u64| {
            let far = before >= floor && now.saturating_mul(100) <= before.saturating_mul(SUSPICIOUS_PERCENT);
            far.then(|| format!("{now} {what} after {before} in {}", previous.key))
        };
        let count = |record: &Self, what: &str| record.counts.get(what).copied().unwrap_or_default();
        // A database may be small: a server that came up empty shows by its tables and rows.
        let rows =
            || ROWS.iter().find_map(|what| fell(what, count(previous, what), count(self, what), LEAST_ROWS));
        fell("bytes of content", previous.totals.content_bytes, self.totals.content_bytes, 1 << 20)
            .or_else(|| fell("members", previous.totals.members, self.totals.members, 100))
            .or_else(|| fell("objects", previous.totals.objects, self.totals.objects, 10))
            .or_else(rows)
    }

    /// Whether everything that this package lacks was lacking from the other one too, by name.
    pub fn lacks_no_more_than(&self, other: &Self) -> bool {
        self.missing.iter().all(|one| other.missing.iter().any(|known| known.name == one.name))
    }

    /// The record as it is stored: JSON for people too.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a database: bytes, objects, and rows by one of their names.
    fn record(bytes: u64, objects: u64, rows: (&str, u64)) -> Record {
        let digest = || ObjectDigest { size: 1, sha256: String::new() };
        Record {
            version: VERSION,
            key: Key::new("shop".parse().unwrap(), "2026-11-21T18:30:00Z".parse().unwrap()),
            kind: "postgres".to_owned(),
            product: "PostgreSQL 15.18".to_owned(),
            finished: "2026-11-21T18:31:00Z".parse().unwrap(),
            outcome: Outcome::Complete,
            package: digest(),
            index: digest(),
            proof: Proof::ReadBack,
            totals: Totals { members: 20, objects, content_bytes: bytes, tar_bytes: bytes },
            counts: [(rows.0.to_owned(), rows.1)].into(),
            consistency: Consistency::default(),
            missing: Vec::new(),
            notes: Vec::new(),
            suspicious: None,
            recipients: Vec::new(),
            agent: String::new(),
        }
    }

    #[test]
    fn a_small_database_that_came_up_empty_is_suspicious() {
        let before = record(500_000, 40, ("rows", 4_000));
        let after = |bytes, objects, rows| record(bytes, objects, ("rows", rows)).suspicion_after(&before);
        assert!(after(50_000, 0, 0).unwrap().contains("0 objects after 40"));
        assert!(after(400_000, 40, 12).unwrap().contains("12 rows after 4000"));
        assert_eq!(after(450_000, 39, 3_900), None, "it shrinks as databases do");
        assert_eq!(after(60_000, 5, 401), None, "more than a tenth is left");
        let documents = record(1_000, 1, ("documents", 100));
        assert!(record(1_000, 1, ("documents", 0)).suspicion_after(&documents).is_some());
        // So few come and go, and what a cache holds does.
        let few = record(1_000, 9, ("rows", 99));
        assert_eq!(record(0, 0, ("rows", 0)).suspicion_after(&few), None);
        let cache = record(1_000, 1, ("keys", 9_000));
        assert_eq!(record(0, 1, ("keys", 0)).suspicion_after(&cache), None);
    }
}
