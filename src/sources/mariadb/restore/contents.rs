//! What a package holds: from its index, and from the labels of its definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::globs::Globs;
use super::super::script;
use super::Error;
use super::load::label;
use super::target::decoded;
use crate::package::digest::Fingerprint;
use crate::package::index::{Entry, Line};
use crate::package::member::Header;
use crate::package::open::VisitError;
use crate::package::{Package, Selection, Visitor};

/// What a package holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The databases, decoded.
    pub(super) databases: BTreeSet<String>,
    /// The objects with a fingerprint, by encoded name: kind and fingerprint.
    pub(super) objects: BTreeMap<String, (String, Fingerprint)>,
    /// Whether there are events.
    pub(super) events: bool,
    /// What definitions make, as kind and encoded name. Only read where a part of the package is asked for.
    made: BTreeSet<(String, String)>,
}

impl Contents {
    /// Reads the index; and the definitions in which `only` could match, if it says anything.
    pub(super) async fn read(package: &Package, only: &Globs) -> Result<Self, Error> {
        let mut contents = Self::indexed(package).await?;
        if !only.is_empty() {
            let only = only.clone();
            let definitions = move |entry: &Entry| {
                let path = String::from_utf8_lossy(&entry.path);
                !path.contains("/2-data/")
                    && super::load::database_of(&path).is_some_and(|database| only.might_match_in(&database))
            };
            let labels = package.read(Selection::Where(Box::new(definitions)), Labels::default()).await?;
            contents.made = labels.0;
        }
        Ok(contents)
    }

    async fn indexed(package: &Package) -> Result<Self, Error> {
        let contents = Arc::new(Mutex::new(Self::default()));
        let filling = Arc::clone(&contents);
        package
            .index(move |line| {
                let mut contents = filling.lock().unwrap_or_else(PoisonError::into_inner);
                match line {
                    Line::Entry(entry) => contents.path(&String::from_utf8_lossy(&entry.path)),
                    Line::Object(object) => {
                        contents.objects.insert(object.name, (object.kind, object.fingerprint));
                    }
                }
                Ok(())
            })
            .await?;
        let mut filled = contents.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut filled))
    }

    fn path(&mut self, path: &str) {
        if let Some(database) = path.strip_prefix("db/").and_then(|rest| rest.split('/').next()) {
            self.databases.insert(decoded(database));
        }
        self.events |= super::load::is_of_events(path);
    }

    /// The names of all objects, encoded; some more than once. Complete where a part of the package is asked for.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let made = self.made.iter().map(|(_, name)| name.as_str());
        made.chain(self.objects.keys().map(String::as_str))
    }

    /// Whether the package makes a table, sequence or view of this name, which all share one space of names.
    pub(super) fn has_relation(&self, name: &str) -> bool {
        self.objects.contains_key(name)
            || ["table", "sequence", "view"].iter().any(|kind| self.has(kind, name))
    }

    /// Whether the package makes something of this kind and encoded name.
    pub(super) fn has(&self, kind: &str, name: &str) -> bool {
        self.made.contains(&(kind.to_owned(), name.to_owned()))
    }
}

/// Takes the labels out of definitions.
#[derive(Debug, Default)]
struct Labels(BTreeSet<(String, String)>);

impl Visitor for Labels {
    fn member(&mut self, entry: &Entry, _: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        let mut data = Vec::new();
        content.read_to_end(&mut data)?;
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        let database = super::load::database_of(&path);
        let statements =
            script::statements(&data).map_err(|error| Error::Malformed { path, why: error.to_string() })?;
        let labels = statements.iter().filter_map(|statement| label(statement, database.as_deref()));
        for label in labels.filter(|label| label.kind != "database") {
            self.0.insert((label.kind, label.name));
        }
        Ok(())
    }
}
