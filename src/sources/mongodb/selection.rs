//! Which namespaces are meant.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::Error;
use super::archive::Namespace;

/// The namespaces that a configuration, or `--only`, means.
#[derive(Debug, Clone)]
pub struct Selection {
    databases: Patterns,
    collections: Patterns,
    exclude: Patterns,
}

/// Globs, and how they were written.
#[derive(Debug, Clone)]
struct Patterns {
    written: Vec<String>,
    set: GlobSet,
}

impl Patterns {
    fn new(written: &[String]) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in written {
            set.add(Glob::new(pattern)?);
        }
        Ok(Self { written: written.to_vec(), set: set.build()? })
    }

    fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Whether one matches, or there are none.
    fn allow(&self, name: &str) -> bool {
        self.is_empty() || self.set.is_match(name)
    }
}

impl Selection {
    /// Compiles the globs. `databases` and `collections` select, `exclude` leaves out of what they select.
    pub fn new(
        databases: &[String],
        collections: &[String],
        exclude: &[String],
    ) -> Result<Self, globset::Error> {
        Ok(Self {
            databases: Patterns::new(databases)?,
            collections: Patterns::new(collections)?,
            exclude: Patterns::new(exclude)?,
        })
    }

    /// Whether everything is meant.
    pub fn is_all(&self) -> bool {
        self.databases.is_empty() && self.collections.is_empty() && self.exclude.is_empty()
    }

    /// Whether a database may have collections that are meant.
    pub fn has_database(&self, database: &str) -> bool {
        self.databases.allow(database)
    }

    /// Whether a collection is meant.
    pub fn has(&self, namespace: &Namespace) -> bool {
        let name = namespace.to_string();
        self.databases.allow(&namespace.database)
            && self.collections.allow(&name)
            && (self.exclude.is_empty() || !self.exclude.set.is_match(&name))
    }

    /// Refuses patterns that select nothing of what there is: a typing error must not become an empty backup.
    pub fn check<'a>(&self, existing: impl Iterator<Item = &'a Namespace> + Clone) -> Result<(), Error> {
        for (pattern, matcher) in self.databases.matchers() {
            if !existing.clone().any(|namespace| matcher.is_match(&namespace.database)) {
                return Err(Error::NoMatch(pattern.to_owned()));
            }
        }
        for (pattern, matcher) in self.collections.matchers() {
            if !existing.clone().any(|namespace| matcher.is_match(namespace.to_string())) {
                return Err(Error::NoMatch(pattern.to_owned()));
            }
        }
        Ok(())
    }
}

impl Patterns {
    fn matchers(&self) -> impl Iterator<Item = (&str, globset::GlobMatcher)> {
        self.written.iter().filter_map(|written| {
            Glob::new(written).ok().map(|glob| (written.as_str(), glob.compile_matcher()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(databases: &[&str], collections: &[&str], exclude: &[&str]) -> Selection {
        let owned = |globs: &[&str]| globs.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>();
        Selection::new(&owned(databases), &owned(collections), &owned(exclude)).unwrap()
    }

    #[test]
    fn collections_may_have_dots() {
        let chosen = selection(&["shop*"], &["*.orders*"], &["shop.orders.old"]);
        assert!(chosen.has(&Namespace::new("shop", "orders")));
        assert!(chosen.has(&Namespace::new("shop2", "orders.new")));
        assert!(!chosen.has(&Namespace::new("shop", "orders.old")));
        assert!(!chosen.has(&Namespace::new("blog", "orders")));
        assert!(selection(&[], &[], &[]).has(&Namespace::new("a", "b")));
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_named() {
        let existing = [Namespace::new("shop", "orders")];
        assert!(selection(&["shop"], &["shop.*"], &[]).check(existing.iter()).is_ok());
        let error = selection(&["shop", "shpo"], &[], &[]).check(existing.iter()).unwrap_err();
        assert_eq!(error.to_string(), "the pattern `shpo` matches no collection");
    }
}
