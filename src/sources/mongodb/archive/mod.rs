//! The archive format of `mongodump`, written and read strictly.
//!
//! An archive is the [magic number](MAGIC), a *prelude* and then *segments*:
//!
//! - The prelude is a header document (`concurrent_collections`, `version`, `server_version`, `tool_version`), one
//!   document for each namespace (`db`, `collection`, `metadata`, `size`, `type`) and the [terminator](TERMINATOR).
//! - A segment is a header document (`db`, `collection`, `EOF`, `CRC`), the raw documents and the terminator. Segments
//!   of different namespaces may interleave. A namespace's last segment has `EOF: true`, no documents, and the
//!   CRC-64/XZ of all its documents in the order in which they stand in the archive.
//!
//! A namespace is *open* from its first segment to its last. `mongorestore` restores as many namespaces at once as
//! `concurrent_collections` says and waits for ever if more are open, so the writer closes each as soon as it can.
//!
//! The format is described in mongo-tools, `common/archive/spec.md`.

mod crc;
mod read;
mod write;

pub use crc::Crc;
pub use read::{Checked, Event, Prelude, Reader};
pub use write::{Segment, end, prelude_begin, prelude_entry};

/// The first four bytes of an archive.
pub const MAGIC: [u8; 4] = [0x6d, 0xe2, 0x99, 0x81];
/// Ends the prelude and every segment. No document can begin with it: its length would be negative.
pub const TERMINATOR: [u8; 4] = [0xff; 4];
/// The version of the format.
pub const VERSION: &str = "0.1";
/// The largest document there is: 16 MiB, and 16 KiB more for what an oplog entry adds.
pub const LARGEST_DOCUMENT: usize = (16 << 20) + (16 << 10);

/// A namespace: a database and a collection in it. The oplog's slice is `oplog` in the database with the empty name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace {
    /// The database.
    pub database: String,
    /// The collection. May contain dots.
    pub collection: String,
}

impl Namespace {
    /// Joins a database with a collection.
    pub fn new(database: impl Into<String>, collection: impl Into<String>) -> Self {
        Self { database: database.into(), collection: collection.into() }
    }

    /// The namespace under which an archive carries the slice of the oplog.
    pub fn oplog() -> Self {
        Self::new("", "oplog")
    }

    /// Splits `database.collection` at the first dot: a database's name has none.
    pub fn parse(written: &str) -> Option<Self> {
        written.split_once('.').map(|(database, collection)| Self::new(database, collection))
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.database.is_empty() {
            f.write_str(&self.collection)
        } else {
            write!(f, "{}.{}", self.database, self.collection)
        }
    }
}

/// What a namespace of the prelude is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A collection.
    Collection,
    /// A view: metadata only.
    View,
    /// A time series: the metadata is the series', the data is its bucket collection's.
    TimeSeries,
    /// Not said, as for the oplog.
    Unsaid,
}

impl Kind {
    /// The word of the format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::View => "view",
            Self::TimeSeries => "timeseries",
            Self::Unsaid => "",
        }
    }

    /// The kind that a word of the format means.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Collection, Self::View, Self::TimeSeries, Self::Unsaid]
            .into_iter()
            .find(|k| k.as_str() == word)
    }
}

/// One namespace as the prelude has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as users know it.
    pub namespace: Namespace,
    /// What it is.
    pub kind: Kind,
    /// Its options and indexes as canonical extended JSON; empty for the oplog.
    pub metadata: String,
}

impl Entry {
    /// The namespace under which the segments carry its documents.
    pub fn data(&self) -> Namespace {
        match self.kind {
            Kind::TimeSeries => Namespace::new(
                &self.namespace.database,
                format!("system.buckets.{}", self.namespace.collection),
            ),
            _ => self.namespace.clone(),
        }
    }
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not begin with the magic number.
    #[error("this is not a mongodump archive: it begins with {0:02x?}")]
    Magic([u8; 4]),
    /// The format is of a version that this reader does not know.
    #[error("the archive has format version `{0}`, this program reads {VERSION}")]
    Version(String),
    /// It ends in the middle of something.
    #[error("the archive ends in the middle of {0}")]
    Truncated(&'static str),
    /// A document's length cannot be.
    #[error("a document of {0} bytes: the archive is damaged")]
    Length(i64),
    /// A document is not BSON, or lacks what the format says it has.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// What was being read.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The checksum differs.
    #[error("the documents of {namespace} have checksum {found:016x}, the archive says {stated:016x}")]
    Crc {
        /// The namespace.
        namespace: Namespace,
        /// As computed.
        found: u64,
        /// As the archive has it.
        stated: u64,
    },
    /// A segment of a namespace after its last.
    #[error("{0} goes on after its end")]
    AfterEnd(Namespace),
    /// A segment of a namespace that the prelude does not have.
    #[error("{0} is not in the prelude")]
    Unknown(Namespace),
    /// A namespace of the prelude whose last segment is missing.
    #[error("the archive ends before {0} does")]
    Unfinished(Namespace),
    /// Reading failed.
    #[error("the archive cannot be read: {0}")]
    Io(#[from] std::io::Error),
}
