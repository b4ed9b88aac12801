//! What is left out of a dump although nobody excluded it, for people to read.

use std::collections::BTreeMap;

use super::super::Error;
use super::super::select::Selector;
use super::super::session::Session;
use super::expand;

const ENCODING: &str =
    "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()";
const LARGE_OBJECTS: &str = "SELECT count(*) FROM pg_largeobject_metadata";

/// The server has nine characters of this encoding twice, and knows one code of each when it converts back. All text goes
/// through UTF8, so that no comparison shows it either.
pub(super) async fn encoding(session: &mut Session) -> Result<Option<String>, Error> {
    let is_ambiguous = session.value(ENCODING).await? == "EUC_JP";
    Ok(is_ambiguous.then(|| {
        format!(
            "{} is encoded in EUC_JP: of nine characters that it has under two codes (such as adf0 and a2e2), a restored one has the other",
            session.database
        )
    }))
}

/// Invalid indexes, which fail to be built again for the reason that made them invalid, and partitions that are about to
/// be none.
pub(super) async fn unfinished(session: &mut Session, selector: &Selector) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for row in session.rows(&expand(include_str!("invalid_indexes.sql"), session.major)).await? {
        let (schema, table, index) = (row.text(0), row.text(1), row.text(2));
        if selector.takes_table(schema, table) {
            let database = &session.database;
            notes.push(format!("index {schema}.{index} of {database} is invalid, and so it is not dumped"));
        }
    }
    for row in session.rows(&expand(include_str!("detaching.sql"), session.major)).await? {
        let (schema, table, parent) = (row.text(0), row.text(1), row.text(2));
        if selector.takes_table(schema, table) {
            let database = &session.database;
            notes.push(format!(
                "{schema}.{table} of {database} is being detached from {parent}; a restored one is no partition any more"
            ));
        }
    }
    Ok(notes)
}

/// How many objects of each class belong to no schema, and are left out because patterns of `include` take none of those.
pub(super) async fn without_schema(
    session: &mut Session,
    classes: &BTreeMap<&'static str, u64>,
) -> Result<Option<String>, Error> {
    let mut counts: Vec<String> =
        classes.iter().map(|(label, count)| format!("{} ({count})", label.replace('_', " "))).collect();
    let large_objects = session.value(LARGE_OBJECTS).await?;
    if large_objects != "0" {
        counts.push(format!("large object ({large_objects})"));
    }
    let (database, counts) = (&session.database, counts.join(", "));
    Ok((!counts.is_empty()).then(|| {
        format!("no pattern of `include` takes what belongs to no schema of {database}, which is left out: {counts}")
    }))
}
