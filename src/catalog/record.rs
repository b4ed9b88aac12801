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
