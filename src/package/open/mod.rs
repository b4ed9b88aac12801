//! Reading a package back: whole, or only the members that are wanted.
//!
//! Nothing in here trusts the store: every byte is authenticated by age, every block by its CRC, every member by its
//! digest, and the whole by the record. Nothing in here writes anywhere; that is the visitor's business.

mod content;
mod fetch;
mod ranges;
mod verify;
mod wanted;
mod whole;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::age::Identity;
use super::index::{Entry, Line, Rows};
use super::member::{Header, Object};
use super::{Error, age, gzip, index};
use crate::catalog::key::Part;
use crate::catalog::record::Record;
use crate::stores::{ObjectName, Store};
use fetch::{Fetch, Outcome};

pub use whole::members;

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

/// A visitor that takes nothing: reading with it verifies every member.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Visitor for Discard {
    fn member(&mut self, _: &Entry, _: Header, _: &mut dyn Read) -> Result<(), VisitError> {
        Ok(())
    }
}

/// A visitor's own failure.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// The threads that decode one stream.
fn decoders() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(8)
}

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
    ///
    /// That it is whole and this package's is only known when this has returned without an error.
    pub async fn index(
        &self,
        mut visit: impl FnMut(Line) -> Result<(), VisitError> + Send + 'static,
    ) -> Result<(), Error> {
        self.blocking(move |reading| {
            let mut index = reading.index()?;
            while let Some(item) = index.rows.next()? {
                if let index::Item::Line(line) = item {
                    visit(line).map_err(Error::Visit)?;
                }
            }
            index.finish(&reading.package.record)
        })
        .await
    }

    /// Reads the index for its objects, by their names.
    pub async fn objects(&self) -> Result<BTreeMap<String, Object>, Error> {
        let objects = Arc::new(Mutex::new(BTreeMap::new()));
        let into = Arc::clone(&objects);
        let visit = move |line| {
            if let Line::Object(object) = line {
                into.lock().unwrap_or_else(PoisonError::into_inner).insert(object.name.clone(), object);
            }
            Ok(())
        };
        self.index(visit).await?;
        let found = std::mem::take(&mut *objects.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(found)
    }

    /// Reads members and checks each against the index: position, size, digest. Returns the visitor.
    ///
    /// Dropping the future ends the reading soon, as an error for the visitor's thread.
    pub async fn read<V: Visitor>(&self, selection: Selection, mut visitor: V) -> Result<V, Error> {
        self.blocking(move |reading| {
            match selection {
                Selection::All => whole::read(reading, &mut visitor)?,
                Selection::Where(choose) => wanted::read(reading, choose, &mut visitor)?,
            }
            Ok(visitor)
        })
        .await
    }

    /// Runs `work` on a thread that may block, for as long as somebody waits for it.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let stop = CancellationToken::new();
        let _guard: DropGuard = stop.clone().drop_guard();
        let reading = Reading { package: self.clone(), runtime: Handle::current(), stop };
        match tokio::task::spawn_blocking(move || work(&reading)).await {
            Ok(result) => result,
            Err(panic) => match panic.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Abandoned),
            },
        }
    }
}

/// One reading of a package on a blocking thread.
#[derive(Clone)]
struct Reading {
    package: Package,
    runtime: Handle,
    stop: CancellationToken,
}

/// An open index.
struct OpenIndex {
    rows: Rows<gzip::Reader>,
    outcome: Outcome,
}

impl Reading {
    fn name(&self, part: &Part) -> Result<ObjectName, Error> {
        Ok(ObjectName::new(self.package.record.key.object(part))?)
    }

    fn fetch(&self, part: &Part) -> Result<Fetch, Error> {
        let store = self.package.store.clone();
        Ok(Fetch::start(&self.runtime, store, self.name(part)?, None, self.stop.clone()))
    }

    fn index(&self) -> Result<OpenIndex, Error> {
        let fetch = self.fetch(&Part::Index)?;
        let outcome = fetch.outcome();
        let opened = age::open(&self.package.identities, fetch).map_err(|error| error.of("the index"))?;
        let source = gzip::Reader::new(opened, 1).map_err(Error::Thread)?;
        let key = self.package.record.key.to_string();
        let rows = Rows::new(source, &key).map_err(|error| error.of("the index"))?;
        Ok(OpenIndex { rows, outcome })
    }
}

impl OpenIndex {
    /// Checks, after the last line, that the index is the one that the record names and speaks of its package.
    fn finish(self, record: &Record) -> Result<(), Error> {
        let end = self.rows.end().ok_or_else(|| Error::Truncated("the index has no last line".into()))?;
        if end.package != record.package {
            return Err(Error::not_as_recorded(
                "package, as the index has it",
                &record.package,
                &end.package,
            ));
        }
        if end.totals != record.totals {
            return Err(Error::Mismatch("index and record count differently".into()));
        }
        self.outcome.check("index", &record.index)
    }
}
