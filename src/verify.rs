//! Verify: re-reads packages and compares them with their records.
//!
//! Without a key the objects are read and their size and SHA-256 compared with the record: what the store has is what
//! was sent. With a key everything is opened too, and every member compared with the index.

use std::io::Read;
use std::sync::Arc;

use serde::Serialize;

use crate::catalog::key::{Note, Part};
use crate::catalog::{Found, Key, note};
use crate::clock::Timestamp;
use crate::package::age::Identity;
use crate::package::index::Entry;
use crate::package::member::Header;
use crate::package::{self, Package, Selection, VisitError, Visitor};
use crate::report::chain;
use crate::stores::{Named, ObjectName, Reason};

/// The outcome for one package in one store.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The package.
    pub key: Key,
    /// The store.
    pub store: String,
    /// How deep it was looked into.
    pub depth: Depth,
    /// How it ended.
    pub outcome: Outcome,
    /// What is wrong, cause by cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<String>,
    /// Bytes of the package.
    pub bytes: u64,
    /// Members compared with the index; 0 without a key.
    pub members: u64,
    /// Why what was found is not noted in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_noted: Option<String>,
}

/// How deep a package was looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Nothing: what the objects are compared with cannot be read.
    Nothing,
    /// The objects' bytes, without a key.
    Bytes,
    /// Every member, with a key.
    Members,
}

/// How a verification ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything is as recorded.
    Sound,
    /// The package is not what was recorded.
    Mismatch,
    /// It could not be found out.
    Unknown,
    /// It was removed while it was read, record and all, as retention does.
    Removed,
}

/// Verifies one package. With no identities only the bytes are compared.
///
/// What was found is noted beside the package: a sound one as verified, any other as damaged, so that retention does
/// not count on it and a restore prefers another. Bytes alone do not make up for what a key has found.
pub async fn verify(named: &Named, found: &Found, identities: &[Identity], now: Timestamp) -> Verified {
    let record = &found.record;
    let depth = if identities.is_empty() { Depth::Bytes } else { Depth::Members };
    let package = Package::new(Arc::clone(&named.store), record.clone(), identities.to_vec());
    let compared = match depth {
        Depth::Nothing | Depth::Bytes => package.verify_objects().await.map(|()| 0),
        Depth::Members => package.read(Selection::All, Count::default()).await.map(|count| count.members),
    };
    let mut verified = Verified {
        key: record.key.clone(),
        store: named.name.clone(),
        depth,
        outcome: Outcome::Sound,
        error: Vec::new(),
        bytes: record.package.size,
        members: 0,
        not_noted: None,
    };
    match compared {
        Ok(members) => verified.members = members,
        Err(error) => {
            verified.outcome = judged(named, &record.key, &error).await;
            verified.error = chain(&error);
        }
    }
    let note = match verified.outcome {
        Outcome::Sound if found.damaged.is_some() && depth == Depth::Bytes => {
            verified.not_noted =
                Some("it was found damaged before: verify it with the private key".to_owned());
            return verified;
        }
        Outcome::Sound => Note::Verified,
        Outcome::Mismatch => Note::Damaged,
        Outcome::Unknown | Outcome::Removed => return verified,
    };
    let left = note::leave(&named.store, &record.key, note, now, &verified.error.join(": ")).await;
    verified.not_noted = left.err().map(|error| error.to_string());
    verified
}

impl Verified {
    /// A package whose record is there and cannot be read: nobody can say whether it is sound.
    pub fn unreadable(store: &str, key: &Key, why: &str) -> Self {
        Self {
            key: key.clone(),
            store: store.to_owned(),
            depth: Depth::Nothing,
            outcome: Outcome::Unknown,
            error: vec![format!("its record cannot be read: {why}")],
            bytes: 0,
            members: 0,
            not_noted: None,
        }
    }
}

/// What an error says of a package. Objects that are gone are damage only as long as their record is there: retention
/// removes it before them.
async fn judged(named: &Named, key: &Key, error: &package::Error) -> Outcome {
    if !error.is_mismatch() {
        return Outcome::Unknown;
    }
    let Ok(record) = ObjectName::new(key.object(&Part::Record)) else { return Outcome::Mismatch };
    match named.store.open(&record, None).await {
        Err(error) if error.reason == Reason::NotFound => Outcome::Removed,
        _ => Outcome::Mismatch,
    }
}

#[derive(Default)]
struct Count {
    members: u64,
}

impl Visitor for Count {
    fn member(&mut self, _: &Entry, _: Header, _: &mut dyn Read) -> Result<(), VisitError> {
        self.members += 1;
        Ok(())
    }
}
