//! Counts what the catalogs have against what was turned into statements, and refuses what it does not know.

use super::super::Error;
use super::super::item::Address;
use super::super::session::Session;
use super::{Catalog, expand};

/// Fails with the names of all objects that nothing in the dump accounts for.
pub(in crate::sources::postgres) async fn check(
    session: &mut Session,
    catalog: &Catalog,
) -> Result<(), Error> {
    let sql = expand(include_str!("everything.sql"), session.major);
    let mut unknown = Vec::new();
    for row in session.rows(&sql).await? {
        let address = Address { class: row.number(0)?, oid: row.number(1)? };
        if !catalog.known.contains(&address) {
            unknown.push(row.text(2).to_owned());
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(Error::Unknown(unknown)) }
}
