//! Takes the blocks of definitions out of a package, and reads those of older packages as they are written now.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::Error;
use super::super::data::quote;
use super::super::script::{self, Block, Kind};
use crate::package::index::Entry;
use crate::package::member::Header;
use crate::package::open::VisitError;
use crate::package::{Package, Selection, Visitor};

/// A block on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owned {
    pub kind: Kind,
    pub relation: String,
    pub label: String,
    pub statements: Vec<u8>,
}

/// The blocks of all members whose path is wanted.
pub(super) async fn blocks(
    package: &Package,
    wanted: impl Fn(&str) -> bool + Send + 'static,
) -> Result<Vec<Owned>, Error> {
    let selection =
        Selection::Where(Box::new(move |entry: &Entry| std::str::from_utf8(&entry.path).is_ok_and(&wanted)));
    let found = Arc::new(Mutex::new(Vec::new()));
    package.read(selection, Collect(Arc::clone(&found))).await?;
    let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(found)
}

/// Keeps the blocks of the members that it visits.
struct Collect(Arc<Mutex<Vec<Owned>>>);

impl Visitor for Collect {
    fn member(&mut self, _: &Entry, _: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for block in script::blocks(&bytes) {
            found.extend(Owned::read(&block?));
        }
        Ok(())
    }
}

impl Owned {
    /// The block as it is written now. Before, default privileges were objects, and the first of a database's
    /// properties was its owner.
    fn read(block: &Block<'_>) -> Vec<Self> {
        let part = |kind: Kind, statements: &[u8]| Self {
            kind,
            relation: block.relation.clone(),
            label: block.label.clone(),
            statements: statements.to_vec(),
        };
        let statements = block.statements;
        match block.kind {
            Kind::Object if statements.trim_ascii_start().starts_with(b"ALTER DEFAULT PRIVILEGES ") => {
                vec![part(Kind::Privilege, statements)]
            }
            Kind::Property => match owner(statements) {
                Some(end) if statements[end..].trim_ascii().is_empty() => {
                    vec![part(Kind::Owner, statements)]
                }
                Some(end) => {
                    let (owner, rest) = statements.split_at(end);
                    vec![part(Kind::Owner, owner), part(Kind::Property, rest)]
                }
                None => vec![part(Kind::Property, statements)],
            },
            kind => vec![part(kind, statements)],
        }
    }

    /// Whether this makes the database what cannot be filled, or not be dropped when that fails.
    pub(super) fn is_last_property(&self) -> bool {
        let is = |what: &[u8]| self.statements.windows(what.len()).any(|text| text == what);
        self.kind == Kind::Property
            && self.statements.starts_with(b"ALTER DATABASE ")
            && (is(b" IS_TEMPLATE true;") || is(b" CONNECTION LIMIT "))
    }

    /// The statement that creates the database. That of a database which every server has is a comment, for psql.
    pub(super) fn creation(&self) -> Option<Self> {
        match self.kind {
            Kind::Database => Some(self.clone()),
            Kind::Psql => {
                let statements = self.statements.strip_prefix(b"-- ")?.to_vec();
                statements.starts_with(b"CREATE DATABASE ").then(|| Self { statements, ..self.clone() })
            }
            _ => None,
        }
    }

    /// The role whose settings for the database this block makes.
    pub(super) fn role(&self, database: &str) -> Option<String> {
        if self.kind != Kind::Property {
            return None;
        }
        let text = std::str::from_utf8(&self.statements).ok()?.strip_prefix("ALTER ROLE ")?;
        let (role, _) = text.split_once(&format!(" IN DATABASE {} SET ", quote(database)))?;
        Some(role.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\""))
    }
}

/// Where the statement ends that says who owns a database, if these statements begin with it.
fn owner(statements: &[u8]) -> Option<usize> {
    let rest = statements.strip_prefix(b"ALTER DATABASE ")?;
    let rest = &rest[name(rest)?..];
    let rest = rest.strip_prefix(b" OWNER TO ")?;
    let rest = rest[name(rest)?..].strip_prefix(b";")?;
    Some(statements.len() - rest.len())
}

/// How long the name is that stands first, quoted or not.
fn name(text: &[u8]) -> Option<usize> {
    if !text.starts_with(b"\"") {
        return text.iter().position(|byte| matches!(byte, b' ' | b';'));
    }
    let mut at = 1;
    loop {
        at += text[at..].iter().position(|byte| *byte == b'"')? + 1;
        // Two of them are one that belongs to the name.
        if text.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, statements: &str) -> Vec<(Kind, String)> {
        let block = Block {
            kind,
            relation: "-".to_owned(),
            label: "shop".to_owned(),
            statements: statements.as_bytes(),
            data: b"",
        };
        let owned = Owned::read(&block).into_iter();
        owned.map(|block| (block.kind, String::from_utf8(block.statements).unwrap())).collect()
    }

    #[test]
    fn the_owner_is_taken_out_of_an_older_packages_properties() {
        let owners = [
            "ALTER DATABASE \"shop\" OWNER TO app;",
            "ALTER DATABASE \"sh\"\"op; OWNER TO x;\" OWNER TO \"the; \"\"app\"\"\";",
        ];
        let rest = "\nALTER DATABASE \"shop\" CONNECTION LIMIT 5;\n";
        for owner in owners {
            assert_eq!(read(Kind::Property, owner), [(Kind::Owner, owner.to_owned())]);
            assert_eq!(
                read(Kind::Property, &format!("{owner}{rest}")),
                [(Kind::Owner, owner.to_owned()), (Kind::Property, rest.to_owned())]
            );
        }
    }

    #[test]
    fn other_blocks_stay_what_they_are() {
        let cases = [
            (Kind::Property, "ALTER DATABASE \"shop\" CONNECTION LIMIT 5;\n"),
            (Kind::Property, "ALTER DATABASE \"x OWNER TO y;\" CONNECTION LIMIT 5;\n"),
            (Kind::Property, "ALTER DATABASE \"shop\" OWNER TO \"never closed;\n"),
            (Kind::Property, "COMMENT ON DATABASE \"shop\" IS 'ALTER DATABASE \"shop\" OWNER TO app;';\n"),
            (Kind::Object, "ALTER TABLE a ALTER b SET DEFAULT 'ALTER DEFAULT PRIVILEGES ';\n"),
            (Kind::Owner, "ALTER DATABASE \"shop\" OWNER TO app;\n"),
        ];
        for (kind, statements) in cases {
            assert_eq!(read(kind, statements), [(kind, statements.to_owned())]);
        }
        let default = "\nALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO b;\n";
        assert_eq!(read(Kind::Object, default), [(Kind::Privilege, default.to_owned())]);
    }

    #[test]
    fn the_role_of_a_setting_is_known() {
        let role = |statements: &str| {
            let (relation, label) = (String::new(), String::new());
            let block = Owned { kind: Kind::Property, relation, label, statements: statements.into() };
            block.role("sh\"op")
        };
        let setting = "IN DATABASE \"sh\"\"op\" SET \"work_mem\" TO '5MB';\n";
        assert_eq!(role(&format!("ALTER ROLE \"the \"\"app\" {setting}")).as_deref(), Some("the \"app"));
        assert_eq!(role("ALTER DATABASE \"sh\"\"op\" SET \"work_mem\" TO '5MB';\n"), None);
    }
}
