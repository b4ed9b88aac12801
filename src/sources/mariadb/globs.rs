//! Which databases and tables are meant.

use globset::{Glob, GlobSet, GlobSetBuilder};

/// The databases that belong to the server itself.
pub(super) const SYSTEM: [&str; 4] = ["information_schema", "performance_schema", "mysql", "sys"];

/// Compiled globs: of databases, and of tables as `database.table`.
#[derive(Debug, Clone)]
pub(super) struct Globs {
    set: GlobSet,
    empty: bool,
}

impl Globs {
    /// Compiles globs; a wrong one is told with its text.
    pub(super) fn new(written: &[String]) -> Result<Self, globset::Error> {
        let mut builder = GlobSetBuilder::new();
        for glob in written {
            builder.add(Glob::new(glob)?);
        }
        Ok(Self { set: builder.build()?, empty: written.is_empty() })
    }

    /// Whether there is no glob at all.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether one of the globs matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.set.is_match(name)
    }
}
