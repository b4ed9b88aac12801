//! Which databases and tables are meant.

use globset::{Glob, GlobSet, GlobSetBuilder};

/// The databases that belong to the server itself.
pub(super) const SYSTEM: [&str; 4] = ["information_schema", "performance_schema", "mysql", "sys"];

/// Compiled globs: of databases, or of tables as `database.table`.
#[derive(Debug, Clone)]
pub(super) struct Globs {
    set: GlobSet,
    databases: GlobSet,
    empty: bool,
}

impl Globs {
    /// Compiles globs; a wrong one is told with its text.
    pub(super) fn new(written: &[String]) -> Result<Self, globset::Error> {
        let (mut set, mut databases) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for glob in written {
            set.add(Glob::new(glob)?);
            let database = glob.split_once('.').map_or(glob.as_str(), |(database, _)| database);
            databases.add(Glob::new(database).or_else(|_| Glob::new("*"))?);
        }
        Ok(Self { set: set.build()?, databases: databases.build()?, empty: written.is_empty() })
    }

    /// Whether there is no glob at all.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether one of the globs matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.set.is_match(name)
    }

    /// Whether something in this database could match.
    pub(super) fn might_match_in(&self, database: &str) -> bool {
        self.databases.is_match(database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_with_their_database() {
        let globs = Globs::new(&["shop.ord*".to_owned(), "log_?.*".to_owned()]).unwrap();
        assert!(globs.matches("shop.orders") && globs.matches("log_1.x"));
        assert!(!globs.matches("shop.customer") && !globs.matches("other.orders"));
        assert!(
            globs.might_match_in("shop") && globs.might_match_in("log_2") && !globs.might_match_in("other")
        );
    }
}
