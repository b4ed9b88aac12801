//! What of a package is restored, and under which name.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::super::globs::Globs;
use super::super::script::{Label, Statement};
use super::target::decoded;
use super::{Error, contents::Contents, rename, target::Target};
use crate::sources::Request;

/// The choice.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    only: Globs,
    /// The databases of which something is wanted.
    databases: BTreeSet<String>,
    /// The one database that gets another name, and that name.
    pub(super) renamed: Option<(String, String)>,
    /// Whether users, grants and the like are restored.
    pub(super) system: bool,
    /// Whether what is there already makes way.
    pub(super) replace: bool,
}

impl Wanted {
    /// Reads the request against what the package has. Every pattern must match something there.
    pub(super) fn new(
        request: &Request,
        target: &Target,
        only: Globs,
        contents: &Contents,
    ) -> Result<Self, Error> {
        let unmatched = only.unmatched(contents.names().map(decoded));
        if !unmatched.is_empty() {
            return Err(Error::Nothing(unmatched.join(", ")));
        }
        let mut databases = contents.databases.clone();
        if !only.is_empty() {
            let names = contents.names().filter(|name| only.matches(&decoded(name)));
            databases = names.map(|name| split(name).0).collect();
        }
        let mut wanted = Self { only, databases, renamed: None, system: true, replace: request.replace };
        for switch in &request.switches {
            match switch.as_str() {
                "no-system" => wanted.system = false,
                other => return Err(Error::Switch(other.to_owned())),
            }
        }
        if let Some(name) = &target.database {
            let mut concerned = wanted.databases.iter();
            let (Some(one), None) = (concerned.next(), concerned.next()) else {
                return Err(Error::OneName { name: name.clone(), databases: wanted.databases.len() });
            };
            wanted.renamed = Some((one.clone(), name.clone()));
        }
        wanted.system &= wanted.only.is_empty() && wanted.renamed.is_none();
        Ok(wanted)
    }

    /// Whether everything of the package is restored.
    pub(super) fn everything(&self) -> bool {
        self.only.is_empty()
    }

    /// The databases of which something is wanted, decoded.
    pub(super) fn databases(&self) -> impl Iterator<Item = &String> {
        self.databases.iter()
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
                    None => self.databases.contains(&decoded(database)),
                }
            }
            _ => true,
        }
    }

    /// Whether an object is wanted, by its encoded name.
    pub(super) fn name(&self, name: &str) -> bool {
        self.everything() || self.only.matches(&decoded(name))
    }

    /// The globs of a request. One that names no table is refused, as in a configuration.
    pub(super) fn globs(request: &Request) -> Result<Globs, Error> {
        if let Some(glob) = request.only.iter().find(|glob| !glob.contains('.')) {
            return Err(Error::Only(format!(
                "`{glob}` names no table: write `database.table` or `database.*`"
            )));
        }
        Globs::new(&request.only).map_err(|error| Error::Only(error.to_string()))
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

    /// A statement of a database as it is restored.
    pub(super) fn named(&self, statement: &Statement<'_>, database: Option<&str>) -> Result<Bytes, Error> {
        match (&self.renamed, database) {
            (Some((from, to)), Some(database)) if from == database => {
                let label = statement.label.as_ref();
                let renamed = rename::renamed(statement.sql, label, from, to);
                let what = || label.map_or_else(String::new, ToString::to_string);
                Ok(Bytes::from(renamed.map_err(|rename::Fixed| Error::Fixed { what: what() })?))
            }
            _ => Ok(Bytes::copy_from_slice(statement.sql)),
        }
    }
}

/// Splits an object's encoded name into database and name, decoded.
pub(super) fn split(object: &str) -> (String, String) {
    let (database, name) = object.split_once('.').unwrap_or((object, ""));
    (decoded(database), decoded(name))
}
