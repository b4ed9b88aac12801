//! One object of a database, as statements that create it and what must exist before.

use std::collections::BTreeSet;

use super::catalog::CLASSES;

/// Where an object stands in the catalog: the oid of the catalog and the oid in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    pub class: u32,
    pub oid: u32,
}

/// Added to a class's index to make an address for items whose oid is another object's.
const BORROWED: u32 = u32::MAX - 1_000;

impl Address {
    /// The address of a further item about the same object.
    pub(super) fn borrowed(self, class: usize) -> Self {
        Self { class: BORROWED + u32::try_from(class).unwrap_or_default(), oid: self.oid }
    }
}

/// Before or after the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Must exist before data is loaded.
    Pre,
    /// Is created when the data is there.
    Post,
}

/// One object.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Index into [`CLASSES`].
    pub class: usize,
    pub address: Address,
    /// The schema, empty for objects without one.
    pub schema: String,
    /// The name within the schema, for messages and order.
    pub name: String,
    /// The owner's name, if the object has one of its own.
    pub owner: Option<String>,
    /// The object as `ALTER … OWNER TO` names it.
    pub identity: Option<String>,
    /// The statements that create it. A view's lack the leading `CREATE`.
    pub sql: String,
    /// For views: the statement that creates one of the same columns without what it reads. For functions whose body the
    /// server reads when it creates them: the statement that creates the same one without a body.
    pub placeholder: Option<String>,
    /// The table that it belongs to.
    pub table: Option<u32>,
    /// Schema and name of the relation whose patterns decide about it: its own, or that of the table that it is part
    /// of or that owns it.
    pub of: Option<(String, String)>,
    /// That table, or the item itself if it is a relation, as blocks name it.
    pub relation: Option<String>,
    pub phase: Phase,
    /// Comments and labels.
    pub notes: Vec<String>,
    /// Indexes of items that must come first.
    pub needs: BTreeSet<usize>,
}

impl Item {
    /// The class's name.
    pub(super) fn label(&self) -> &'static str {
        CLASSES[self.class].label
    }

    /// The item for messages: `view public.totals`.
    pub(super) fn describe(&self) -> String {
        let label = self.label().replace('_', " ");
        if self.schema.is_empty() || self.label() == "schema" {
            format!("{label} {}", self.name)
        } else {
            format!("{label} {}.{}", self.schema, self.name)
        }
    }
}
