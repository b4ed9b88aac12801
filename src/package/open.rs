//! Reading a package back: whole, or only the members that are wanted.

use std::io::Read;
use std::sync::Arc;

use super::Error;
use super::age::Identity;
use super::index::{Entry, Line};
use super::member::Header;
use crate::catalog::record::Record;
use crate::stores::Store;

/// A recorded package in a store, and the keys that open it.
#[derive(Clone)]
pub struct Package {
    store: Arc<dyn Store>,
    record: Record,
    identities: Arc<Vec<Identity>>,
}

/// Which members to read.
pub enum Selection {
    /// All of them: the object is read as one stream, and its digest compared with the record.
    All,
    /// Those for which the function says yes: only their ranges are fetched.
    Where(Box<dyn FnMut(&Entry) -> bool + Send>),
}

/// Takes members as they come out of a package, in archive order.
pub trait Visitor: Send + 'static {
    /// Takes one member. `content` yields the stored bytes; what is left unread is skipped (and still checked).
    ///
    /// `entry` is the index's line of this member. Runs on a blocking thread.
    fn member(&mut self, entry: &Entry, header: Header, content: &mut dyn Read) -> Result<(), VisitError>;
}

/// A visitor's own failure.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

impl Package {
    /// Joins a record with the store that has it and the keys that open it.
    pub fn new(store: Arc<dyn Store>, record: Record, identities: Vec<Identity>) -> Self {
        Self { store, record, identities: Arc::new(identities) }
    }

    /// The package's record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Reads the index from begin to end, line by line. Fails if it is truncated, damaged or another package's.
    pub async fn index(
        &self,
        visit: impl FnMut(Line) -> Result<(), VisitError> + Send + 'static,
    ) -> Result<(), Error> {
        let _ = visit;
        todo!()
    }

    /// Re-reads both objects and compares size and SHA-256 with the record. Needs no key.
    pub async fn verify_objects(&self) -> Result<(), Error> {
        todo!()
    }

    /// Reads members and checks each against the index: position, size, digest. Returns the visitor.
    pub async fn read<V: Visitor>(&self, selection: Selection, visitor: V) -> Result<V, Error> {
        let _ = (selection, visitor);
        todo!()
    }
}
