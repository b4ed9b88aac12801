//! What is counted and hashed of a dump's keys.
//!
//! A row of a keyspace's fingerprint is one key: length of the name (8 bytes, little endian), name, absolute expiry in
//! milliseconds (8 bytes, -1: none), the kind's number, then bytes, elements and hash of its [`Content`]. The rows'
//! bytes count names and elements as clients read them, so that they do not depend on the layout.
//!
//! [`Content`]: super::rdb::Content

use std::collections::BTreeMap;

use super::rdb::types::Kind;
use super::rdb::{Item, Key};
use crate::package::digest::Fingerprint;
use crate::package::member::Object;

/// The object that all libraries of functions make together.
pub(super) const LIBRARIES: &str = "functions";

/// What one database holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Keyspace {
    pub(super) fingerprint: Fingerprint,
    pub(super) kinds: BTreeMap<Kind, u64>,
    /// Keys that expire.
    pub(super) expiring: u64,
    /// Hashes with fields that expire.
    pub(super) fields_expiring: u64,
}

/// What a whole dump holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) databases: BTreeMap<u64, Keyspace>,
    /// Libraries of functions.
    pub(super) functions: Fingerprint,
    /// Metadata of the file: `redis-ver`, `used-mem` …
    pub(super) aux: BTreeMap<String, String>,
    /// Whether the file had a checksum.
    pub(super) checked: bool,
}

impl Keyspace {
    /// Takes one key.
    pub(super) fn add(&mut self, key: &Key) {
        self.fingerprint.merge(one(key));
        *self.kinds.entry(key.content.kind).or_default() += 1;
        self.expiring += u64::from(key.expires.is_some());
        self.fields_expiring += u64::from(key.content.field_expires.is_some());
    }

    /// Takes another part of the same database.
    pub(super) fn merge(&mut self, other: &Self) {
        self.fingerprint.merge(other.fingerprint);
        for (kind, count) in &other.kinds {
            *self.kinds.entry(*kind).or_default() += count;
        }
        self.expiring += other.expiring;
        self.fields_expiring += other.fields_expiring;
    }
}

/// The fingerprint of one key.
pub(super) fn one(key: &Key) -> Fingerprint {
    let content = &key.content;
    let mut row = Vec::with_capacity(key.name.len() + 64);
    row.extend_from_slice(&(key.name.len() as u64).to_le_bytes());
    row.extend_from_slice(&key.name);
    row.extend_from_slice(&key.expires.unwrap_or(-1).to_le_bytes());
    row.push(content.kind as u8);
    row.extend_from_slice(&content.bytes.to_le_bytes());
    row.extend_from_slice(&content.elements.to_le_bytes());
    row.extend_from_slice(&content.hash.to_le_bytes());
    Fingerprint {
        rows: 1,
        bytes: key.name.len() as u64 + content.bytes,
        hash: xxhash_rust::xxh3::xxh3_128(&row),
    }
}

impl Tally {
    /// Takes one key.
    pub(super) fn add_key(&mut self, key: &Key) {
        self.databases.entry(key.database).or_default().add(key);
    }

    /// Takes one item.
    pub(super) fn add(&mut self, item: &Item) {
        match item {
            Item::Key(key) => self.add_key(key),
            Item::Function(hash, bytes) => {
                self.functions.merge(Fingerprint { rows: 1, bytes: *bytes, hash: *hash });
            }
            Item::Aux(name, value) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.aux.insert(text(name), text(value));
            }
            Item::End { checked } => self.checked = *checked,
            Item::Database(_) | Item::ModuleAux(_) => {}
        }
    }

    /// The objects for the index.
    pub(super) fn objects(&self) -> Vec<Object> {
        let keyspaces = self.databases.iter().map(|(number, keyspace)| Object {
            name: format!("db{number}"),
            kind: "keyspace".to_owned(),
            fingerprint: keyspace.fingerprint,
        });
        let libraries = (self.functions.rows > 0).then(|| Object {
            name: LIBRARIES.to_owned(),
            kind: "library".to_owned(),
            fingerprint: self.functions,
        });
        keyspaces.chain(libraries).collect()
    }

    /// The counts for the record.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        let mut add = |name: String, count: u64| *counts.entry(name).or_default() += count;
        add("databases".into(), self.databases.len() as u64);
        add("functions".into(), self.functions.rows);
        add("keys".into(), 0);
        for (number, keyspace) in &self.databases {
            add("keys".into(), keyspace.fingerprint.rows);
            add("keys_expiring".into(), keyspace.expiring);
            add("hashes_with_expiring_fields".into(), keyspace.fields_expiring);
            add(format!("db{number}_keys"), keyspace.fingerprint.rows);
            add(format!("db{number}_keys_expiring"), keyspace.expiring);
            for (kind, count) in &keyspace.kinds {
                add(format!("db{number}_{}", kind.word()), *count);
            }
        }
        counts
    }
}
