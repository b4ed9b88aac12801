//! What makes a table's rows a member that `psql` reads by itself.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::data::{Reading, Table};
use super::script::{self, Kind};
use super::session::Session;
use super::shares::Progress;
use super::{Error, paths};
use crate::package::budget::Lease;
use crate::package::member::{Content, Header};

/// A member is handed over when it has this many bytes; a row is never cut.
pub(super) const MEMBER: usize = 2 << 20;

/// Lets rows in before those that they refer to, where the role may do so: a restore over several connections keeps no
/// order, and a table that refers to itself has no order between its members.
const KEYS_REST: &str = "SELECT pg_catalog.set_config('session_replication_role', 'replica', false) WHERE EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper);";
/// The end of what [`KEYS_REST`] began.
const KEYS_WORK: &str = "SELECT pg_catalog.set_config('session_replication_role', 'origin', false) WHERE EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper);";

/// What stands around the rows in each member of a table.
pub(super) struct Frame {
    head: Vec<u8>,
    tail: Vec<u8>,
    /// Where in the head the COPY block's first line stands.
    line: usize,
    statement: usize,
    relation: String,
    label: String,
}

impl Frame {
    /// The frame of one table, as the session reads it.
    pub(super) fn new(session: &Session, reading: &Reading, table: &Table) -> Self {
        let statement = session.bytes(&table.copy_in());
        let label = format!("{}.{}", table.schema, table.name);
        let mut head = Vec::new();
        begin_member(&mut head, &reading.restrict, session.encoding());
        if table.tied.is_some() {
            script::push(&mut head, Kind::Set, "", KEYS_REST.as_bytes());
        }
        let line = head.len();
        let relation = paths::relation(&table.schema, &table.name);
        head.extend(script::header(Kind::Copy, statement.len(), 0, &relation, &label));
        head.extend_from_slice(&statement);
        let mut tail = b"\\.\n".to_vec();
        if table.tied.is_some() {
            script::push(&mut tail, Kind::Set, "", KEYS_WORK.as_bytes());
        }
        end_member(&mut tail, &reading.restrict);
        Self { head, tail, line, statement: statement.len(), relation, label }
    }

    /// A member without rows yet.
    pub(super) fn begin(&self) -> Vec<u8> {
        let mut member = Vec::with_capacity(MEMBER + MEMBER / 8);
        member.extend_from_slice(&self.head);
        member
    }

    /// Whether a member that was begun has no rows.
    pub(super) fn is_empty(&self, member: &[u8]) -> bool {
        member.len() == self.head.len()
    }

    /// Ends a member and hands it over as the table's next, with the memory that it holds.
    pub(super) async fn send(
        &self,
        reading: &Reading,
        progress: &Progress,
        mut member: Vec<u8>,
        lease: Option<Lease>,
    ) -> Result<(), Error> {
        let data = member.len() - self.head.len() + b"\\.\n".len();
        member.extend_from_slice(&self.tail);
        let line = script::header(Kind::Copy, self.statement, data, &self.relation, &self.label);
        member[self.line..self.line + line.len()].copy_from_slice(&line);
        let part = progress.part.fetch_add(1, Ordering::Relaxed) + 1;
        let table = &progress.table;
        let path = paths::data(&reading.database, &table.schema, &table.name, part);
        let header = Header::data(path, table.object(&reading.database), member.len() as u64, reading.mtime);
        reading.outlet.leased(header, Content::Bytes(Bytes::from(member)), lease).await?;
        Ok(())
    }
}

/// What makes a member of its own readable by `psql`: it stops at errors, and nothing in it is a command to `psql`.
pub(super) fn begin_member(script: &mut Vec<u8>, restrict: &str, encoding: &str) {
    let commands = format!("\\set ON_ERROR_STOP on\n\\restrict {restrict}\n");
    script::push(script, Kind::Psql, "", commands.as_bytes());
    script::push(
        script,
        Kind::Set,
        "",
        format!("SET client_encoding = '{encoding}'; SET lc_monetary = 'C';").as_bytes(),
    );
}

/// The end of what [`begin_member`] began.
pub(super) fn end_member(script: &mut Vec<u8>, restrict: &str) {
    script::push(script, Kind::Psql, "", format!("\\unrestrict {restrict}\n").as_bytes());
}
