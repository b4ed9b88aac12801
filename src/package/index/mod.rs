//! The index: what is in a package and where.
//!
//! Lines of JSON, gzip, age, in an object beside the package. Written and read as a stream: neither side holds more
//! than a line. `FORMAT.md` specifies the lines.

mod line;
mod read;
mod write;

use super::member::{Object, Time};

pub use line::VERSION;

pub(super) use read::{Item, Rows};
pub(super) use write::{Note, write};

/// Reads the plain lines of an index, as they are below compression and encryption, and checks them against each
/// other and the key of their package. Returns the totals.
pub fn check(source: impl std::io::BufRead, key: &str) -> Result<super::Totals, super::Error> {
    let mut rows = Rows::new(source, key)?;
    while rows.next()?.is_some() {}
    Ok(rows.end().map(|end| end.totals.clone()).unwrap_or_default())
}

/// One line of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A member.
    Entry(Entry),
    /// An object with its fingerprint.
    Object(Object),
}

/// A member as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path in the archive.
    pub path: Vec<u8>,
    /// `file`, `directory`, `symlink`, `hard_link`, `fifo`, `char_device`, `block_device`.
    pub kind: EntryKind,
    /// Where the member's first header block stands in the tar stream.
    pub offset: u64,
    /// The bytes of the member in the tar stream: headers, content and padding.
    pub length: u64,
    /// The content's size as extracted (holes counted).
    pub size: u64,
    /// The BLAKE3 digest of the stored content; absent for members without content.
    pub digest: Option<[u8; 32]>,
    /// The object that the member belongs to; empty for files.
    pub object: String,
    /// A later member of the same path replaces this one: the file changed while it was read.
    pub superseded: bool,
    /// Permission bits.
    pub mode: u32,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The time of last modification.
    pub mtime: Time,
    /// Where a symbolic or hard link points; empty for everything else.
    pub link: Vec<u8>,
}

/// The kind of an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of an earlier member.
    HardLink,
    /// A FIFO.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}
