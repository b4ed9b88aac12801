//! Members: what a source hands to the package, one tar entry each.

use std::io::Read;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::digest::Fingerprint;

/// The metadata of one member: everything a tar header and its PAX records can say.
///
/// Paths and names are bytes, because file systems do not promise UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The path inside the archive: relative, no `..`, no leading `/`, no trailing `/`.
    pub path: Vec<u8>,
    /// What kind of entry this is.
    pub kind: Kind,
    /// Permission bits, with set-uid, set-gid and sticky: `0o7777` at most.
    pub mode: u32,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The owner's name, empty if unknown.
    pub user: Vec<u8>,
    /// The group's name, empty if unknown.
    pub group: Vec<u8>,
    /// The time of last modification.
    pub mtime: Time,
    /// Extended attributes, POSIX ACLs among them, as (name, value); written as PAX `SCHILY.xattr.NAME`.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The size of the content in bytes as an extracted file would show it. For sparse files this counts the holes.
    pub size: u64,
    /// The data segments of a sparse file, as (offset, length), in order, not touching. `None`: not sparse.
    pub sparse: Option<Vec<(u64, u64)>>,
    /// The object that the data belongs to, for example `shop/public.orders`. Empty for files.
    pub object: String,
}

impl Header {
    /// A member that carries data of a database: a regular file, readable by its owner only.
    pub fn data(path: impl Into<Vec<u8>>, object: impl Into<String>, size: u64, mtime: Time) -> Self {
        Self {
            path: path.into(),
            kind: Kind::File,
            mode: 0o600,
            uid: 0,
            gid: 0,
            user: Vec::new(),
            group: Vec::new(),
            mtime,
            xattrs: Vec::new(),
            size,
            sparse: None,
            object: object.into(),
        }
    }

    /// The bytes that follow the header: the size, less the holes of a sparse file. Zero for everything but files.
    pub fn stored(&self) -> u64 {
        match (&self.kind, &self.sparse) {
            (Kind::File, None) => self.size,
            (Kind::File, Some(segments)) => segments.iter().map(|(_, length)| length).sum(),
            _ => 0,
        }
    }
}

/// What kind of entry a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to the given target.
    Symlink(Vec<u8>),
    /// Another name of the member with the given path, earlier in the archive.
    HardLink(Vec<u8>),
    /// A FIFO.
    Fifo,
    /// A character device, by major and minor number.
    CharDevice(u32, u32),
    /// A block device, by major and minor number.
    BlockDevice(u32, u32),
}

/// A point in time with nanoseconds, possibly before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    /// Seconds since 1970-01-01 UTC, rounded down.
    pub seconds: i64,
    /// Nanoseconds after that second, below 10^9.
    pub nanos: u32,
}

impl From<crate::clock::Timestamp> for Time {
    fn from(at: crate::clock::Timestamp) -> Self {
        let nanos = at.as_nanosecond();
        Self {
            seconds: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX),
            nanos: u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
        }
    }
}

/// The content of a member on its way into the package.
pub enum Content {
    /// All of it, in memory; its length is the header's stored size.
    Bytes(Bytes),
    /// As above, with the BLAKE3 digest already computed by whoever read it.
    Hashed(Bytes, blake3::Hash),
    /// Read by the package itself while it frames the archive: for files too large to hold. Must yield the header's
    /// stored size, neither less nor more; the reader pads or cuts, notes that it did, and says so in [`Large::settle`].
    Reader(Box<dyn Large>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes(_) => "Bytes",
            Self::Hashed(..) => "Hashed",
            Self::Reader(_) => "Reader",
        })
    }
}

/// Content that is read while it is packed.
pub trait Large: Read + Send {
    /// Says what became of the read once the stored size has been taken: sound, or superseded by a later member of
    /// the same path because the file changed meanwhile. An error here fails the package.
    fn settle(self: Box<Self>) -> std::io::Result<Settled>;
}

/// What became of a large read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The content is what the file held from begin to end.
    Sound,
    /// The file changed while it was read. The member is marked as superseded in the index; the source sends another.
    Superseded,
}

/// An object of a source with its fingerprint: a table, a collection, a keyspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// The object's name, as [`Header::object`] has it, for example `shop/public.orders`.
    pub name: String,
    /// What it is, in the source's own word: `table`, `sequence`, `collection`, `keyspace`.
    pub kind: String,
    /// The content's fingerprint, taken in the dump's own snapshot.
    pub fingerprint: Fingerprint,
}
