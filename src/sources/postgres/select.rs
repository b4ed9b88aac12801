//! Which schemas and tables are wanted.

use globset::{Glob, GlobMatcher};

use super::item::Item;

/// Patterns of schemas (`sales`) and tables (`sales.orders`).
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

/// One pattern: of a schema, or of a table in a schema.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    written: String,
    schema: GlobMatcher,
    table: Option<GlobMatcher>,
}

impl Pattern {
    /// Reads `schema` or `schema.table`, either part a glob.
    pub(crate) fn parse(written: &str) -> Result<Self, globset::Error> {
        let glob = |text: &str| Ok::<_, globset::Error>(Glob::new(text)?.compile_matcher());
        let (schema, table) = match written.split_once('.') {
            Some((schema, table)) => (glob(schema)?, Some(glob(table)?)),
            None => (glob(written)?, None),
        };
        Ok(Self { written: written.to_owned(), schema, table })
    }

    /// The pattern as written.
    pub(crate) fn written(&self) -> &str {
        &self.written
    }

    /// Whether a table is meant.
    pub(crate) fn takes_table(&self, schema: &str, table: &str) -> bool {
        self.schema.is_match(schema) && self.table.as_ref().is_none_or(|glob| glob.is_match(table))
    }

    /// Whether it is what takes every schema.
    fn is_everything(&self) -> bool {
        self.table.is_none() && matches!(self.written.as_str(), "*" | "**")
    }

    /// Whether something in the schema may be meant.
    pub(crate) fn reaches_schema(&self, schema: &str) -> bool {
        self.schema.is_match(schema)
    }

    fn takes_whole_schema(&self, schema: &str) -> bool {
        self.table.is_none() && self.schema.is_match(schema)
    }
}

impl Selector {
    /// A selector for these patterns; no `include` means everything, and so does one that takes every schema.
    pub(super) fn new(include: Vec<Pattern>, exclude: Vec<Pattern>) -> Self {
        let include = if include.iter().any(Pattern::is_everything) { Vec::new() } else { include };
        Self { include, exclude }
    }

    /// The patterns of `include` and `exclude`.
    pub(super) fn patterns(&self) -> (&[Pattern], &[Pattern]) {
        (&self.include, &self.exclude)
    }

    /// Whether a relation is wanted.
    pub(super) fn takes_table(&self, schema: &str, table: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|p| p.takes_table(schema, table)))
            && !self.exclude.iter().any(|p| p.takes_table(schema, table))
    }

    /// Whether an object is wanted. Objects outside schemas are, unless something is included by name.
    pub(super) fn takes(&self, item: &Item) -> bool {
        if item.schema.is_empty() {
            return self.include.is_empty();
        }
        if let Some((schema, table)) = &item.of {
            // Publications themselves belong to no schema.
            let published = item.label() != "publication_table" || self.include.is_empty();
            return published && self.takes_table(schema, table);
        }
        match item.label() {
            "schema" => {
                (self.include.is_empty() || self.include.iter().any(|p| p.reaches_schema(&item.schema)))
                    && !self.exclude.iter().any(|p| p.takes_whole_schema(&item.schema))
            }
            "extension" => self.include.is_empty(),
            "publication_schema" => self.include.is_empty() && self.takes_schema(&item.schema),
            _ => self.takes_schema(&item.schema),
        }
    }

    /// Whether a partition is only left out because no pattern names it.
    pub(super) fn overlooks(&self, item: &Item) -> bool {
        let excludes = |(schema, table): &(String, String)| {
            self.exclude.iter().any(|pattern| pattern.takes_table(schema, table))
        };
        item.label() == "partition" && !self.takes(item) && !item.of.as_ref().is_some_and(excludes)
    }

    /// Whether anything but single tables was asked for.
    pub(super) fn takes_all_schemas(&self) -> bool {
        self.include.is_empty()
    }

    fn takes_schema(&self, schema: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|p| p.takes_whole_schema(schema)))
            && !self.exclude.iter().any(|p| p.takes_whole_schema(schema))
    }
}
