//! Replaying the oplog's slice.
//!
//! Two readings: the first, before anything is touched, learns which transactions end well within the slice, which
//! collections take the place of one that is restored, and which names are made; the second applies. So a transaction that is spread over many entries need not be held in
//! memory: its operations are applied where they stand, which comes to the same, because nothing else can have touched
//! its documents before it ended.

mod entry;
mod owed;
mod state;

use std::collections::{BTreeSet, HashSet};
use std::io::Read;

use mongodb::bson::{RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf};
use tokio::runtime::Handle;

use super::super::archive::{Event, Namespace, Reader};
use super::contents::{Contents, OPLOG};
use super::mapping::Mapping;
use super::target::Target;
use super::{Error, load, users};
use crate::package::index;
use crate::package::member::Header;
use crate::package::open::VisitError;
use crate::package::{Package, Selection, Visitor};
use entry::{Command, Crud, Entry, Transaction};
pub(super) use owed::Owed;
pub(super) use state::State;

/// Operations in one `applyOps`.
const MOST_OPERATIONS: usize = 1_000;
/// Bytes of operations in one `applyOps`. One may exceed it, never two.
const MOST_BYTES: usize = 4 << 20;

/// Reads the slice, if there is one, for what must be known before anything is touched.
pub(super) async fn look_ahead(
    package: &Package,
    contents: &Contents,
    mapping: &Mapping,
) -> Result<Ahead, Error> {
    let ahead = Ahead { ended: HashSet::new(), made: BTreeSet::new(), mapping: mapping.clone() };
    if contents.has_oplog() { Ok(package.read(slice(), ahead).await?) } else { Ok(ahead) }
}

/// Replays the slice and returns how many operations were applied.
pub(super) async fn replay(
    package: &Package,
    ahead: Ahead,
    target: &Target,
    state: &mut State,
) -> Result<u64, Error> {
    let replayer = Replayer {
        mapping: ahead.mapping,
        target: target.clone(),
        state: std::mem::take(state),
        ended: ahead.ended,
        runtime: Handle::current(),
        waiting: Waiting::default(),
        applied: 0,
    };
    let mut replayer = package.read(slice(), replayer).await?;
    let rest = std::mem::take(&mut replayer.waiting);
    replayer.applied += rest.count as u64;
    rest.apply(target, &mut replayer.state).await?;
    replayer.state.nothing_lost()?;
    replayer.state.drop_passing(target).await?;
    *state = replayer.state;
    Ok(replayer.applied)
}

fn slice() -> Selection {
    Selection::Where(Box::new(|entry| entry.object == OPLOG))
}

/// Calls `each` with every entry of a member.
fn entries(
    content: &mut dyn Read,
    mut each: impl FnMut(&RawDocument) -> Result<(), Error>,
) -> Result<(), VisitError> {
    let mut reader = Reader::after_prelude();
    while let Some(event) = reader.next(content)? {
        if let Event::Document(_, document) = event {
            each(document)?;
        }
    }
    Ok(reader.finish()?)
}

/// What must be known of the slice before it is applied.
pub(super) struct Ahead {
    /// The transactions of several entries that commit within it.
    ended: HashSet<Transaction>,
    /// What it makes, under the names in the target: these too must not be there, or be replaced. It may be gone again
    /// at the slice's end.
    pub(super) made: BTreeSet<Namespace>,
    /// Follows collections that take the place of one that is restored.
    mapping: Mapping,
}

impl Visitor for Ahead {
    fn member(&mut self, _: &index::Entry, _: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        entries(content, |document| {
            self.ended.extend(entry::ends(document)?);
            self.entry(document)
        })
    }
}

impl Ahead {
    fn entry(&mut self, document: &RawDocument) -> Result<(), Error> {
        match entry::read(document)? {
            Entry::Command(command) => self.command(&command),
            Entry::Operations { operations, .. } => {
                operations.iter().try_for_each(|operation| self.entry(operation))
            }
            Entry::Crud(crud) if crud.namespace.collection == "system.views" && crud.kind != "d" => {
                self.made
                    .extend(Namespace::parse(crud.view()?).and_then(|view| self.mapping.collection(&view)));
                Ok(())
            }
            Entry::Crud(_) | Entry::Nothing => Ok(()),
        }
    }

    fn command(&mut self, command: &Command<'_>) -> Result<(), Error> {
        if let Some((from, to)) = entry::renames(command)? {
            self.mapping.renamed(&from, &to, command.uuid);
            self.make(&to);
        } else if let ("create", RawBsonRef::String(name)) = entry::first(command.object)? {
            self.make(&Namespace::new(command.database, name));
        }
        Ok(())
    }

    /// Notes a collection that is restored. Users and roles are merged from collections of our own.
    fn make(&mut self, from: &Namespace) {
        if users::temporary(from).is_none() {
            self.made.extend(self.mapping.documents(from).as_ref().map(state::logical));
        }
    }
}

/// Operations that will be applied together.
#[derive(Default)]
struct Waiting {
    operations: RawArrayBuf,
    count: usize,
    bytes: usize,
}

impl Waiting {
    /// Applies them. A server that gives up at a failure is asked for what comes after it.
    async fn apply(self, target: &Target, state: &mut State) -> Result<(), Error> {
        let (mut operations, mut left) = (self.operations, self.count);
        while left > 0 {
            let results = target.attempt(&operations, left).await?;
            let mut rest = RawArrayBuf::new();
            for (number, operation) in operations.into_iter().enumerate() {
                let operation = operation.map_err(|error| Error::reply("an operation", error))?;
                let operation = operation.as_document();
                let operation = operation.ok_or_else(|| Error::reply("an operation", "it is no document"))?;
                match results.get(number) {
                    Some(applied) => state.follow(operation, *applied)?,
                    None => rest.push(operation),
                }
            }
            left -= results.len();
            operations = rest;
        }
        Ok(())
    }
}

/// Applies the slice, entry by entry.
struct Replayer {
    mapping: Mapping,
    target: Target,
    state: State,
    ended: HashSet<Transaction>,
    runtime: Handle,
    waiting: Waiting,
    applied: u64,
}

impl Visitor for Replayer {
    fn member(&mut self, _: &index::Entry, _: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        entries(content, |document| self.entry(document))
    }
}

impl Replayer {
    fn entry(&mut self, document: &RawDocument) -> Result<(), Error> {
        match entry::read(document)? {
            Entry::Nothing => Ok(()),
            Entry::Crud(crud) => self.crud(&crud),
            Entry::Operations { part_of, operations } => {
                if part_of.is_some_and(|transaction| !self.ended.contains(&transaction)) {
                    return Ok(());
                }
                operations.iter().try_for_each(|operation| self.entry(operation))
            }
            Entry::Command(command) => self.command(command),
        }
    }

    fn crud(&mut self, crud: &Crud<'_>) -> Result<(), Error> {
        if crud.namespace.collection == "system.views" {
            return self.state.view(crud, &self.mapping);
        }
        let Some(to) = self.mapping.documents_of(&crud.namespace, crud.uuid) else { return Ok(()) };
        // A collection that neither the prelude nor the slice has made is dropped later in the slice: see the end.
        if !self.state.exists(&to) {
            self.state.leave_out(to);
            return Ok(());
        }
        if crud.kind == "i" && self.state.is_roomy(&to) {
            self.wait_for(owed::removal(&to, crud.object)?)?;
        }
        self.wait_for(crud.operation(&to))?;
        // An update can put a whole document in another's place: that is written as an insertion is.
        let zeroes = load::without_loss(&to, crud.object)?;
        zeroes.map_or(Ok(()), |fix| self.wait_for(fix))
    }

    fn wait_for(&mut self, operation: RawDocumentBuf) -> Result<(), Error> {
        let bytes = operation.as_bytes().len();
        if self.waiting.count == MOST_OPERATIONS || self.waiting.bytes + bytes > MOST_BYTES {
            self.flush()?;
        }
        self.waiting.count += 1;
        self.waiting.bytes += bytes;
        self.waiting.operations.push(operation);
        Ok(())
    }

    /// Applies what waits.
    fn flush(&mut self) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        self.applied += waiting.count as u64;
        self.runtime.block_on(waiting.apply(&self.target, &mut self.state))
    }

    /// A command: what was before it is applied first.
    fn command(&mut self, command: Command<'_>) -> Result<(), Error> {
        self.flush()?;
        let work = self.state.command(command, &self.mapping, &self.target);
        self.applied += u64::from(self.runtime.block_on(work)?);
        Ok(())
    }
}
