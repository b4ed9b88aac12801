//! What can go wrong with a package.

use std::io;

use super::digest::ObjectDigest;
use super::{age, tar};
use crate::stores;

/// Why a package could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key could not be used.
    #[error(transparent)]
    Key(#[from] age::Error),
    /// None of the identities opens it.
    #[error("none of the given identities opens this package")]
    WrongKey,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] stores::Error),
    /// Writing to the upload failed: it ended before the package did.
    #[error("the package could not be written")]
    Write(#[source] io::Error),
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] io::Error),
    /// A member cannot be written as it is.
    #[error("member `{path}` cannot be packed: {source}")]
    Member {
        /// The member's path, made printable.
        path: String,
        /// What is wrong with it.
        source: tar::Error,
    },
    /// The content of a member could not be read while it was packed.
    #[error("the content of `{path}` could not be read")]
    Content {
        /// The member's path, made printable.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A member has another size than its header says.
    #[error("`{path}` has {actual} bytes of content, its header says {expected}")]
    ContentSize {
        /// The member's path, made printable.
        path: String,
        /// What the header says.
        expected: u64,
        /// What there was, at least.
        actual: u64,
    },
    /// A member was handed over after the package had been finished.
    #[error("a member was handed over after the end of the dump")]
    Late,
    /// The package was given up before it was finished.
    #[error("the package was given up before it was finished")]
    Abandoned,
    /// The object ends too early.
    #[error("the object is truncated: {0}")]
    Truncated(String),
    /// The object holds bytes that this program did not write.
    #[error("the object is damaged: {0}")]
    Damaged(String),
    /// The object is not the one that the record describes.
    #[error("{what}: the record says {expected}, the store has {actual}")]
    NotAsRecorded {
        /// `package` or `index`.
        what: &'static str,
        /// Size and digest by the record.
        expected: String,
        /// Size and digest as read.
        actual: String,
    },
    /// The index belongs to another package.
    #[error("the index is that of `{found}`, not of `{expected}`")]
    ForeignIndex {
        /// The package that was asked for.
        expected: String,
        /// The package that the index names.
        found: String,
    },
    /// Package and index do not agree.
    #[error("the package is not what its index says: {0}")]
    Mismatch(String),
    /// Written by a newer version of this program.
    #[error("{0} is of a newer version; use a newer chupacabra")]
    NewerVersion(String),
    /// The archive is malformed.
    #[error("the archive is damaged: {0}")]
    Archive(#[from] tar::Error),
    /// The visitor failed.
    #[error(transparent)]
    Visit(super::open::VisitError),
}

impl Error {
    /// Whether the package is not what was recorded, rather than out of reach.
    pub fn is_mismatch(&self) -> bool {
        match self {
            Self::Truncated(_)
            | Self::Damaged(_)
            | Self::NotAsRecorded { .. }
            | Self::ForeignIndex { .. }
            | Self::Mismatch(_)
            | Self::Archive(_) => true,
            // A recorded object that is gone or that the store knows to be damaged is not what was recorded either.
            Self::Store(error) => matches!(error.reason, stores::Reason::NotFound | stores::Reason::Corrupt),
            _ => false,
        }
    }

    /// The error behind a failed read: errors that passed through readers as [`io::Error`] come out as they were.
    pub(super) fn from_read(error: io::Error) -> Self {
        let kind = error.kind();
        let text = error.to_string();
        let boxed = match error.into_inner() {
            None if kind == io::ErrorKind::UnexpectedEof => return Self::Truncated(text),
            None => return Self::Damaged(text),
            Some(boxed) => boxed,
        };
        let boxed = match boxed.downcast::<Self>() {
            Ok(own) => return *own,
            Err(boxed) => boxed,
        };
        let boxed = match boxed.downcast::<stores::Error>() {
            Ok(store) => return Self::Store(*store),
            Err(boxed) => boxed,
        };
        match boxed.downcast::<tar::Error>() {
            Ok(archive) => (*archive).into(),
            Err(_) if kind == io::ErrorKind::UnexpectedEof => Self::Truncated(text),
            Err(_) => Self::Damaged(text),
        }
    }

    /// The same error, said of one part.
    pub(super) fn of(self, part: &str) -> Self {
        match self {
            Self::Truncated(what) => Self::Truncated(format!("{part}: {what}")),
            Self::Damaged(what) => Self::Damaged(format!("{part}: {what}")),
            other => other,
        }
    }

    /// An object that is not the recorded one.
    pub(super) fn not_as_recorded(
        what: &'static str,
        recorded: &ObjectDigest,
        actual: &ObjectDigest,
    ) -> Self {
        let text = |digest: &ObjectDigest| format!("{} bytes, SHA-256 {}", digest.size, digest.sha256);
        Self::NotAsRecorded { what, expected: text(recorded), actual: text(actual) }
    }
}

/// A path for people: what is not printable UTF-8 is escaped.
pub(super) fn printable(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => path.escape_ascii().to_string(),
    }
}
