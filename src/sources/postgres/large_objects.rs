//! Large objects, in pieces.
//!
//! Their pages may only be read by superusers, so their ends are found by reading up to them; what was never written
//! reads as zeros.

use super::Error;
use super::paths;
use super::session::Session;

/// The size of a piece: a whole number of pages.
const PIECE: usize = 256 << 10;

/// The name of all large objects together in the index.
pub(super) fn name(database: &str) -> String {
    format!("{}/large objects", paths::component(database))
}

/// Walks through the pieces of all large objects of a database.
pub(super) struct Pieces {
    /// The objects that are not read yet, the next one last.
    oids: Vec<String>,
    offset: usize,
}

/// A part of a large object.
pub(super) struct Piece {
    pub oid: String,
    offset: usize,
    /// The bytes as the server prints them, hexadecimal.
    content: String,
}

impl Pieces {
    /// All large objects, by oid.
    pub(super) async fn of_all(session: &mut Session) -> Result<Self, Error> {
        let rows = session.rows("SELECT oid FROM pg_largeobject_metadata ORDER BY oid DESC").await?;
        Ok(Self { oids: rows.iter().map(|row| row.text(0).to_owned()).collect(), offset: 0 })
    }

    /// The next piece that has bytes.
    pub(super) async fn next(&mut self, session: &mut Session) -> Result<Option<Piece>, Error> {
        while let Some(oid) = self.oids.last().cloned() {
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
