//! Which databases and tables are meant.

use globset::{Glob, GlobSet, GlobSetBuilder};

/// The databases that belong to the server itself.
pub(super) const SYSTEM: [&str; 4] = ["information_schema", "performance_schema", "mysql", "sys"];

/// Compiled globs: of databases, or of tables as `database.table`.
#[derive(Debug, Clone)]
pub(super) struct Globs {
    set: GlobSet,
    databases: GlobSet,
    written: Vec<String>,
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
        Ok(Self { set: set.build()?, databases: databases.build()?, written: written.to_vec() })
    }

    /// Whether there is no glob at all.
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Whether what they match depends on which names there are: there is no glob, or one with a wildcard.
    pub(super) fn are_open(&self) -> bool {
        let wild = |glob: &String| glob.contains(['*', '?', '[', '{']);
        self.is_empty() || self.written.iter().any(wild)
    }

    /// Whether one of the globs matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.set.is_match(name)
    }

    /// The globs that match none of these names, as they were written.
    pub(super) fn unmatched(&self, names: impl Iterator<Item = String>) -> Vec<&str> {
        let (mut hit, mut at) = (vec![false; self.written.len()], Vec::new());
        for name in names {
            self.set.matches_into(&name, &mut at);
            for &glob in &at {
                hit[glob] = true;
            }
        }
        self.written.iter().zip(hit).filter(|(_, hit)| !hit).map(|(glob, _)| glob.as_str()).collect()
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
    fn a_glob_that_matches_nothing_is_told() {
        let globs = Globs::new(&["a.x".to_owned(), "a.y*".to_owned(), "?.x".to_owned()]).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(globs.unmatched(names(&["a.x"]).into_iter()), ["a.y*"]);
        assert_eq!(globs.unmatched(names(&["b.x", "a.yy"]).into_iter()), ["a.x"]);
        assert_eq!(globs.unmatched(names(&["a.x", "a.y"]).into_iter()), Vec::<&str>::new());
    }

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
