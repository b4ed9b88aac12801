//! tar: the framing of members, POSIX pax interchange format (IEEE Std 1003.1), and its strict reader.
//!
//! Written so that GNU tar, bsdtar and Python's `tarfile` extract everything: long and odd names, nanoseconds, large
//! numbers, extended attributes (`SCHILY.xattr.*`) and holes (GNU sparse 1.0). Content is not touched in here.

mod header;
mod pax;
mod read;
mod sparse;
mod write;

pub use read::{Member, Reader};
pub use write::{check, end, frame, padding};

/// The unit of an archive: headers fill one, content is padded to a multiple.
pub const RECORD: usize = 512;
/// The most bytes that the extended header of one member may have, written or read.
pub const MAX_PAX: usize = 4 << 20;
/// The most data segments that a sparse file may have, written or read.
pub const MAX_SEGMENTS: usize = 1 << 20;

/// Why a member cannot be written, or an archive cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A path that could leave the target directory, or that no archive can hold.
    #[error("`{0}` is not a safe relative path")]
    Path(String),
    /// A header value that the format cannot express.
    #[error("{0}")]
    Unrepresentable(&'static str),
    /// The segments of a sparse file are not in order, touch each other or leave the file.
    #[error("the map of holes is not in order")]
    Segments,
    /// More than the limits of this module.
    #[error("{0} beyond the limit")]
    TooLarge(&'static str),
    /// A header's checksum is wrong: not a header, or a damaged one.
    #[error("bad header checksum at byte {0}")]
    Checksum(u64),
    /// A value of a header cannot be read.
    #[error("bad {what} in the header at byte {offset}")]
    Field {
        /// Which value.
        what: &'static str,
        /// Where the member begins in the archive.
        offset: u64,
    },
    /// A kind of entry that this program does not know.
    #[error("unknown entry type `{kind}` at byte {offset}")]
    Kind {
        /// The type flag, escaped.
        kind: String,
        /// Where the entry begins in the archive.
        offset: u64,
    },
    /// The archive ends inside a member or without its end mark.
    #[error("ends at byte {0}, before its end mark")]
    Truncated(u64),
    /// There is something behind the end mark.
    #[error("bytes after the end mark, at byte {0}")]
    Trailing(u64),
    /// Padding that is not zero.
    #[error("padding at byte {0} is not zero")]
    Padding(u64),
}

#[cfg(test)]
mod tests;
