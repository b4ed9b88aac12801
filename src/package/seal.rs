//! Writing a package: members in, package and index out.

use super::Error;
use super::digest::ObjectDigest;
use super::outlet::Outlet;
use super::pipe::PipeWriter;

/// How packages are written. Comes from the configuration; nothing in here depends on the data.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Compression level, 1 to 12.
    pub level: u8,
    /// Compression threads.
    pub threads: usize,
    /// Bytes that members may hold in memory while they wait.
    pub memory: usize,
    /// For whom packages are encrypted. Not empty.
    pub recipients: Vec<super::age::Recipient>,
}

/// A package being written.
#[derive(Debug)]
pub struct Sealing {}

/// Counts of what went into a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Members.
    pub members: u64,
    /// Objects with a fingerprint.
    pub objects: u64,
    /// Content bytes of all members (holes not counted).
    pub content_bytes: u64,
    /// Bytes of the tar stream.
    pub tar_bytes: u64,
}

/// A package whose every byte has been handed to the uploads. Not yet a backup.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Size and digest of the package object.
    pub package: ObjectDigest,
    /// Size and digest of the index object.
    pub index: ObjectDigest,
    /// What is in it.
    pub totals: Totals,
}

/// Begins a package. `key` is the package's key, which the index repeats so that it fits no other package.
pub fn seal(
    settings: &Settings,
    key: &str,
    package: PipeWriter,
    index: PipeWriter,
) -> Result<(Outlet, Sealing), Error> {
    let _ = (settings, key, package, index);
    todo!()
}

impl Sealing {
    /// Ends the package: waits until every member handed over has been written, then finishes package and index.
    ///
    /// To be called only after the dump has said that it is complete. Dropping a `Sealing` instead breaks both pipes.
    pub fn finish(self) -> Result<Packed, Error> {
        todo!()
    }
}
