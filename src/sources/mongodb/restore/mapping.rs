//! Which namespaces are restored, and under which names.

use std::collections::{BTreeMap, HashSet};

use mongodb::bson::RawDocumentBuf;

use super::super::archive::{Entry, Kind, Namespace};
use super::super::listing::{self, AUTH_COLLECTIONS};
use super::super::metadata;
use super::super::selection::Selection;
use super::contents::Contents;
use super::{Error, users};
use crate::sources::Request;

/// What a request means for names.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    only: Selection,
    databases: BTreeMap<String, String>,
    users_and_roles: bool,
    /// Collections, by their UUIDs, that take the name of one that is restored.
    followed: HashSet<Vec<u8>>,
}

/// How the name begins that a collection has in the target until it takes the name of one that is restored. Its own may
/// be taken there by something that is no part of the restore.
const FOLLOWED: &str = "chupacabra_restore.";

/// One namespace to be restored.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Its name in the archive.
    pub(super) from: Namespace,
    /// Its name in the target.
    pub(super) to: Namespace,
    pub(super) kind: Kind,
    /// As `listCollections` had them.
    pub(super) options: RawDocumentBuf,
    /// As `listIndexes` had them.
    pub(super) indexes: Vec<RawDocumentBuf>,
}

impl Piece {
    /// Whether its order is part of its content.
    pub(super) fn ordered(&self) -> bool {
        self.options.get_bool("capped").unwrap_or_default()
    }

    /// The namespace of its documents in the archive.
    pub(super) fn data_from(&self) -> Namespace {
        data(&self.from, self.kind)
    }

    /// The namespace of its documents in the target.
    pub(super) fn data_to(&self) -> Namespace {
        data(&self.to, self.kind)
    }
}

/// The namespace that holds the documents of another.
pub(super) fn data(namespace: &Namespace, kind: Kind) -> Namespace {
    Entry { namespace: namespace.clone(), kind, metadata: String::new() }.data()
}

impl Mapping {
    /// Reads a request. `--only` has globs of `database.collection`; the switch `rename=OLD:NEW` restores a database
    /// under another name.
    pub(super) fn new(request: &Request, contents: &Contents) -> Result<Self, Error> {
        let mut databases = BTreeMap::new();
        for switch in &request.switches {
            let renamed = switch.strip_prefix("rename=").and_then(|names| names.split_once(':'));
            let (old, new) = renamed.ok_or_else(|| Error::Switch(switch.clone()))?;
            if !contents.entries.iter().any(|entry| entry.namespace.database == old) {
                return Err(Error::NoMatch(old.to_owned()));
            }
            databases.insert(old.to_owned(), new.to_owned());
        }
        let only = Selection::new(&[], &request.only, &[]).map_err(|error| Error::Glob(error.to_string()))?;
        let users = contents.entries.iter().any(|entry| users::temporary(&entry.namespace).is_some());
        let users_and_roles = users && only.is_all() && databases.is_empty();
        Ok(Self { only, databases, users_and_roles, followed: HashSet::new() })
    }

    /// The namespaces that are restored. Fails if a pattern matches none.
    pub(super) fn pieces(&self, contents: &Contents) -> Result<Vec<Piece>, Error> {
        let known = contents.entries.iter().map(|entry| &entry.namespace).filter(|ns| !is_auth(ns));
        self.only.check(&known)?;
        let wanted = contents.entries.iter().filter(|entry| entry.namespace != Namespace::oplog());
        let wanted = wanted.filter_map(|entry| Some((entry, self.collection(&entry.namespace)?)));
        let mut sources: BTreeMap<Namespace, &Namespace> = BTreeMap::new();
        for (entry, to) in wanted.clone() {
            if let Some(other) = sources.insert(to.clone(), &entry.namespace) {
                let (one, other, to) = (other.to_string(), entry.namespace.to_string(), to.to_string());
                return Err(Error::SameName { one, other, to });
            }
        }
        wanted.map(piece).collect()
    }

    /// The name in the target of a collection or view as users know it; `None` if it is not restored.
    pub(super) fn collection(&self, from: &Namespace) -> Option<Namespace> {
        let own = matches!(from.database.as_str(), "" | "local" | "config");
        // Packages of servers on which a restore was broken off have what it left.
        if own || is_auth(from) || listing::is_waiting(from) || !self.only.has(from) {
            return None;
        }
        Some(Namespace::new(self.database(&from.database), &from.collection))
    }

    /// The name in the target of a database.
    pub(super) fn database<'a>(&'a self, from: &'a str) -> &'a str {
        self.databases.get(from).map_or(from, String::as_str)
    }

    /// The name in the target of a collection that holds documents: time series by their buckets, users and roles by
    /// the temporary collections that they are merged from.
    pub(super) fn documents(&self, from: &Namespace) -> Option<Namespace> {
        if is_auth(from) {
            return users::temporary(from).filter(|_| self.users_and_roles);
        }
        match from.collection.strip_prefix("system.buckets.") {
            Some(series) => {
                let to = self.collection(&Namespace::new(&from.database, series))?;
                Some(data(&to, Kind::TimeSeries))
            }
            None if from.collection.starts_with("system.") && from.collection != "system.js" => None,
            None => self.collection(from),
        }
    }

    /// As [`documents`](Self::documents), and a name of our own for a collection that is followed.
    pub(super) fn documents_of(&self, from: &Namespace, uuid: Option<&[u8]>) -> Option<Namespace> {
        self.documents(from).or_else(|| {
            let uuid = uuid.filter(|uuid| self.followed.contains(*uuid))?;
            let plain = !from.collection.starts_with("system.");
            plain.then(|| {
                Namespace::new(self.database(&from.database), format!("{FOLLOWED}{}", hex::encode(uuid)))
            })
        })
    }

    /// Follows a collection that is renamed, if that gives it a name that is restored.
    pub(super) fn renamed(&mut self, from: &Namespace, to: &Namespace, uuid: Option<&[u8]>) {
        if self.documents(from).is_none() && self.documents(to).is_some() {
            self.followed.extend(uuid.map(<[u8]>::to_vec));
        }
    }

    /// Whether a collection of the target has its name only until it takes another.
    pub(super) fn is_passing(to: &Namespace) -> bool {
        to.collection.starts_with(FOLLOWED)
    }

    /// Whether everything is restored.
    pub(super) fn is_all(&self) -> bool {
        self.only.is_all()
    }

    /// Whether users and roles are restored: only with everything else, and under the same names.
    pub(super) fn users_and_roles(&self) -> bool {
        self.users_and_roles
    }
}

fn is_auth(namespace: &Namespace) -> bool {
    namespace.database == "admin" && AUTH_COLLECTIONS.contains(&namespace.collection.as_str())
}

/// Reads an entry's metadata.
fn piece((entry, to): (&Entry, Namespace)) -> Result<Piece, Error> {
    let bad = |source| Error::Metadata { namespace: entry.namespace.to_string(), source };
    let metadata = metadata::read(&entry.metadata).map_err(bad)?;
    let reply = |error| Error::reply(format!("the metadata of `{}`", entry.namespace), error);
    let options = metadata.get_document("options").map_err(reply)?.to_owned();
    let mut indexes = Vec::new();
    for index in metadata.get_array("indexes").map_err(reply)? {
        let index = index.map_err(|error| bad(error.into()))?;
        let index = index.as_document().ok_or_else(|| {
            Error::reply(format!("the metadata of `{}`", entry.namespace), "an index is no document")
        })?;
        indexes.push(index.to_owned());
    }
    Ok(Piece { from: entry.namespace.clone(), to, kind: entry.kind, options, indexes })
}
