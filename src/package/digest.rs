//! Digests of bytes, and fingerprints of content whose order does not matter.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// The size and SHA-256 of an object as a store holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectDigest {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, lowercase hexadecimal, as `sha256sum` prints it.
    pub sha256: String,
}

/// Computes an [`ObjectDigest`] of bytes as they pass.
#[derive(Clone, Default)]
pub struct ObjectHasher {
    sha256: sha2::Sha256,
    size: u64,
}

impl ObjectHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// The bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> ObjectDigest {
        ObjectDigest { size: self.size, sha256: hex::encode(self.sha256.finalize()) }
    }
}

impl fmt::Debug for ObjectHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectHasher").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Row count, byte count and an order-independent hash of a table's, collection's or keyspace's content.
///
/// The hash is the sum modulo 2^128 of the XXH3-128 hash (seed 0) of every row's bytes. Which bytes make a row is the
/// source's definition, written in `FORMAT.md`. Two contents with the same multiset of rows have the same
/// fingerprint in whatever order, and by however many connections, they were read. It finds loss and damage, not
/// forgery: age's authentication is what protects against that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Rows, documents or keys.
    pub rows: u64,
    /// The sum of the rows' bytes.
    pub bytes: u64,
    /// The sum of the rows' hashes, 32 hexadecimal digits.
    #[serde(with = "hex_u128")]
    pub hash: u128,
}

impl Fingerprint {
    /// Takes one row.
    pub fn add(&mut self, row: &[u8]) {
        self.rows += 1;
        self.bytes += row.len() as u64;
        self.hash = self.hash.wrapping_add(xxhash_rust::xxh3::xxh3_128(row));
    }

    /// Takes all rows of another part of the same content.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, {} bytes, {:032x}", self.rows, self.bytes, self.hash)
    }
}

mod hex_u128 {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        u128::from_str_radix(&String::deserialize(deserializer)?, 16).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_content_does() {
        let of = |rows: &[&str]| {
            let mut fingerprint = Fingerprint::default();
            for row in rows {
                fingerprint.add(row.as_bytes());
            }
            fingerprint
        };
        assert_eq!(of(&["a", "bc", "d"]), of(&["d", "a", "bc"]));
        assert_ne!(of(&["a", "bc", "d"]), of(&["ab", "c", "d"]));
        assert_ne!(of(&["a"]), of(&["a", "a"]));
        let mut halves = of(&["a"]);
        halves.merge(of(&["d", "bc"]));
        assert_eq!(halves, of(&["a", "bc", "d"]));
    }

    #[test]
    fn fingerprints_read_back() {
        let mut fingerprint = Fingerprint::default();
        fingerprint.add(b"row");
        let json = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), fingerprint);
    }

    #[test]
    fn object_digest_is_sha256() {
        let mut hasher = ObjectHasher::default();
        hasher.update(b"abc");
        let digest = hasher.finish();
        assert_eq!(digest.size, 3);
        assert_eq!(digest.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
