//! Large objects, in pieces.
//!
//! An application may have millions of them, so they are no items of the catalog: they are created in batches, and read
//! by their oids a thousand at a time.
//!
//! Their pages may only be read by superusers, so their ends are found by reading up to them; what was never written
//! reads as zeros.

use super::data::quote;
use super::dump::literal;
use super::script::{self, Kind};
use super::session::Session;
use super::{Error, paths};

/// The size of a piece: a whole number of pages.
const PIECE: usize = 256 << 10;

/// The name of all large objects together in the index.
pub(super) fn name(database: &str) -> String {
    format!("{}/large objects", paths::component(database))
}

/// So many oids are known at a time.
const BATCH: usize = 1_000;

/// Appends the statements that create all large objects, give them to their owners, and comment and label them. Returns
/// how many there are.
pub(super) async fn define(session: &mut Session, script: &mut Vec<u8>) -> Result<u64, Error> {
    let mut total = 0;
    for row in session.rows(include_str!("catalog/large_objects.sql")).await? {
        let (owner, oids) = (row.text(0), row.text(2));
        total += row.number::<u64>(1)?;
        let label = format!("large objects {oids}");
        let create = format!(
            "SELECT pg_catalog.count(pg_catalog.lo_create(o)) FROM pg_catalog.unnest('{{{oids}}}'::pg_catalog.oid[]) o;"
        );
        script::push(script, Kind::Object, &label, create.as_bytes());
        let owner = literal(&format!(" OWNER TO {}", quote(owner)));
        let body = format!(
            "DECLARE o pg_catalog.oid; BEGIN FOREACH o IN ARRAY '{{{oids}}}'::pg_catalog.oid[] LOOP EXECUTE 'ALTER LARGE OBJECT ' || o || {owner}; END LOOP; END"
        );
        script::push(script, Kind::Owner, &label, &session.bytes(&format!("DO {};", literal(&body))));
    }
    for row in session.rows(include_str!("catalog/large_object_notes.sql")).await? {
        let label = format!("large object {}", row.text(0));
        script::push(script, Kind::Object, &label, &session.bytes(row.text(1)));
    }
    Ok(total)
}

/// Walks through the pieces of all large objects of a database, by oid.
#[derive(Default)]
pub(super) struct Pieces {
    /// The objects that are not read yet, as far as they are known, the next one last.
    oids: Vec<String>,
    /// The last oid that was asked for.
    known: Option<String>,
    offset: usize,
    /// How many objects were read to their ends.
    pub read: u64,
}

/// A part of a large object.
pub(super) struct Piece {
    pub oid: String,
    offset: usize,
    /// The bytes as the server prints them, hexadecimal.
    content: String,
}

impl Pieces {
    /// The next object to read from.
    async fn oid(&mut self, session: &mut Session) -> Result<Option<String>, Error> {
        if self.oids.is_empty() {
            let after = self.known.as_ref().map(|oid| format!("WHERE oid > '{oid}'")).unwrap_or_default();
            let sql = format!("SELECT oid FROM pg_largeobject_metadata {after} ORDER BY oid LIMIT {BATCH}");
            let rows = session.rows(&sql).await?;
            self.oids = rows.iter().rev().map(|row| row.text(0).to_owned()).collect();
            self.known = self.oids.first().cloned().or(self.known.take());
        }
        Ok(self.oids.last().cloned())
    }

    /// The next piece that has bytes.
    pub(super) async fn next(&mut self, session: &mut Session) -> Result<Option<Piece>, Error> {
        while let Some(oid) = self.oid(session).await? {
            let offset = self.offset;
            let sql = format!("SELECT pg_catalog.lo_get({oid}, {offset}, {PIECE})::text");
            let content = session
                .value(&sql)
                .await
                .map_err(|error| error.at(format!("reading large object {oid} of {}", session.database)))?;
            let digits =
                content.strip_prefix("\\x").ok_or(Error::Answer("bytes that are not hexadecimal"))?;
            if digits.len() < 2 * PIECE {
                self.oids.pop();
                self.offset = 0;
                self.read += 1;
            } else {
                self.offset += PIECE;
            }
            if !digits.is_empty() {
                return Ok(Some(Piece { oid, offset, content }));
            }
        }
        Ok(None)
    }
}

impl Piece {
    /// The piece as the fingerprint takes it.
    pub(super) fn row(&self) -> String {
        format!("{}\t{}\t{}", self.oid, self.offset, self.content)
    }

    /// The statement that writes it.
    pub(super) fn statement(&self) -> String {
        format!("SELECT pg_catalog.lo_put('{}', {}, '{}');", self.oid, self.offset, self.content)
    }
}
