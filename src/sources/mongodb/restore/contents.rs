//! What a package has: the prelude, and the objects of the index.

use std::collections::BTreeMap;
use std::io::Read;

use super::super::archive::{Entry, Event, Namespace, Prelude, Reader};
use super::Error;
use crate::package::index;
use crate::package::member::{Header, Object};
use crate::package::open::VisitError;
use crate::package::{Package, Selection, Visitor};

/// The object under which the prelude's members stand in the index.
pub(super) const PRELUDE: &str = "prelude";
/// The object of the oplog's slice.
pub(super) const OPLOG: &str = "oplog";

/// What a package has.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) prelude: Prelude,
    pub(super) entries: Vec<Entry>,
    pub(super) objects: BTreeMap<String, Object>,
}

/// Reads the prelude, whose members follow each other.
#[derive(Default)]
struct PreludeVisitor {
    reader: Reader,
    prelude: Option<Prelude>,
    entries: Vec<Entry>,
}

impl Visitor for PreludeVisitor {
    fn member(&mut self, _: &index::Entry, _: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        while let Some(event) = self.reader.next(content)? {
            match event {
                Event::Prelude(prelude) => self.prelude = Some(prelude),
                Event::Entry(entry) => self.entries.push(entry),
                Event::PreludeEnd => {}
                Event::Document(namespace, _) | Event::End(namespace, _) => {
                    return Err(format!("a document of {namespace} in the prelude").into());
                }
            }
        }
        Ok(())
    }
}

impl Contents {
    /// Reads the index and the prelude.
    pub(super) async fn read(package: &Package) -> Result<Self, Error> {
        let objects = package.objects().await?;
        let wanted = Selection::Where(Box::new(|entry| entry.object == PRELUDE));
        let visitor = package.read(wanted, PreludeVisitor::default()).await?;
        visitor.reader.finish()?;
        let Some(prelude) = visitor.prelude else { return Err(Error::NoPrelude) };
        let contents = Self { prelude, entries: visitor.entries, objects };
        for entry in &contents.entries {
            contents.object(&entry.namespace)?;
        }
        Ok(contents)
    }

    /// The object of a namespace of the prelude.
    pub(super) fn object(&self, namespace: &Namespace) -> Result<&Object, Error> {
        let name = namespace.to_string();
        self.objects.get(&name).ok_or(Error::NoObject(name))
    }

    /// Whether there is a slice of the oplog.
    pub(super) fn has_oplog(&self) -> bool {
        self.entries.iter().any(|entry| entry.namespace == Namespace::oplog())
    }
}
