//! What of a package is restored, and under which name.

use std::collections::{BTreeMap, BTreeSet};

use super::super::globs::Globs;
use super::super::script::Label;
use super::target::decoded;
use super::{Error, target::Target};
use crate::sources::Request;

/// The choice.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    only: Globs,
    /// The one database that gets another name, and that name.
    pub(super) renamed: Option<(String, String)>,
    /// Whether users, grants and the like are restored.
    pub(super) system: bool,
}

impl Wanted {
    /// Reads the request against the databases that the package has.
    pub(super) fn new(
        request: &Request,
        target: &Target,
        databases: &BTreeSet<String>,
    ) -> Result<Self, Error> {
        let only = Globs::new(&request.only).map_err(|error| Error::Only(error.to_string()))?;
        let mut wanted = Self { only, renamed: None, system: true };
        for switch in &request.switches {
            match switch.as_str() {
                "no-system" => wanted.system = false,
                other => return Err(Error::Switch(other.to_owned())),
            }
        }
        if let Some(name) = &target.database {
            let concerned: Vec<&String> =
                databases.iter().filter(|database| wanted.database(database)).collect();
            let [one] = concerned.as_slice() else {
                return Err(Error::OneName { name: name.clone(), databases: concerned.len() });
            };
            wanted.renamed = Some(((*one).clone(), name.clone()));
        }
        wanted.system &= wanted.only.is_empty() && wanted.renamed.is_none();
        Ok(wanted)
    }

    /// Whether everything of the package is restored.
    pub(super) fn everything(&self) -> bool {
        self.only.is_empty()
    }

    /// Whether anything of this database may be wanted. The name is decoded.
    pub(super) fn database(&self, database: &str) -> bool {
        self.everything() || self.only.might_match_in(database)
    }

    /// Whether a member may hold something wanted, by its path.
    pub(super) fn path(&self, path: &str) -> bool {
        match path.split_once('/') {
            Some(("system", _)) => self.system,
            Some(("db", rest)) => {
                let database = rest.split('/').next().unwrap_or_default();
                let data = rest.split_once("/2-data/").and_then(|(_, file)| file.split('.').next());
                match data {
                    Some(table) => self.name(&format!("{database}.{table}")),
                    None => self.database(&decoded(database)),
                }
            }
            _ => true,
        }
    }

    /// Whether an object is wanted, by its encoded name.
    pub(super) fn name(&self, name: &str) -> bool {
        self.everything() || self.only.matches(&decoded(name))
    }

    /// Whether the statements below a label are wanted. Triggers go with their tables.
    pub(super) fn label(&self, label: &Label) -> bool {
        match label.kind.as_str() {
            "database" => true,
            // A placeholder's view follows, unless it is not wanted itself.
            _ => self.name(&label.name) || label.on.as_ref().is_some_and(|table| self.name(table)),
        }
    }

    /// The name under which a database is restored.
    pub(super) fn database_name(&self, database: &str) -> String {
        match &self.renamed {
            Some((from, to)) if from == database => to.clone(),
            _ => database.to_owned(),
        }
    }
}

/// Splits an object's encoded name into database and name, decoded.
pub(super) fn split(object: &str) -> (String, String) {
    let (database, name) = object.split_once('.').unwrap_or((object, ""));
    (decoded(database), decoded(name))
}

/// What a package holds, from its index.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The databases, decoded.
    pub(super) databases: BTreeSet<String>,
    /// The objects with a fingerprint, by encoded name: kind and fingerprint.
    pub(super) objects: BTreeMap<String, (String, crate::package::digest::Fingerprint)>,
}

impl Contents {
    /// Takes a member's path.
    pub(super) fn path(&mut self, path: &str) {
        if let Some(database) = path.strip_prefix("db/").and_then(|rest| rest.split('/').next()) {
            self.databases.insert(decoded(database));
        }
    }
}
