//! The catalog as statements: one query per object class, which the server itself turns into SQL.
//!
//! Each `.sql` file here yields rows of `class, oid, schema, name, owner, identity, statements[, mode[, table]]`. They
//! run with an empty `search_path`, so that every name that the server prints is qualified. Words with `@` are
//! fragments ([`fragments`]); a line that ends in `--@>=N` or `--@<N` is for these major versions only.

mod classes;
mod collect;
mod completeness;
mod fragments;
mod notes;
mod visible;

pub(super) use classes::CLASSES;
pub(super) use collect::{Catalog, collect};
pub(super) use completeness::check;
pub(super) use fragments::expand;
