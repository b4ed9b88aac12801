//! Rows: read from tables by several connections, written as `INSERT` statements into members of bounded size.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mysql_async::Row;

use super::catalog::Table;
use super::connect::Session;
use super::fingerprint::{self, Rows};
use super::history::{TABLE, WITH_HISTORY};
use super::script::{Open, Script};
use super::select::{self, Literal, Selected};
use super::{Error, sql};
use crate::package::digest::Fingerprint;
use crate::package::member::{Header, Object, Time};
use crate::package::outlet::Outlet;

/// When a statement has this many bytes it ends: far below any server's `max_allowed_packet`.
const STATEMENT: usize = 512 << 10;

/// When a member has this many bytes it ends.
const MEMBER: usize = 2 << 20;

/// A table whose rows are to be read, possibly in several ranges at once.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) table: Table,
    pub(super) columns: Vec<Selected>,
    /// Whether the rows' history is read too.
    pub(super) history: bool,
    pub(super) mtime: Time,
    parts: AtomicU32,
    open: Mutex<(u32, Fingerprint)>,
    /// Which columns have the start and the end of a row's validity.
    period: Option<(usize, usize)>,
    untaken: AtomicU64,
}

impl Job {
    /// A table that is read in `ranges` ranges.
    pub(super) fn new(table: Table, columns: Vec<Selected>, history: bool, mtime: Time, ranges: u32) -> Self {
        let open = Mutex::new((ranges, Fingerprint::default()));
        let at = |literal| columns.iter().position(|column| column.literal == literal);
        let period = at(Literal::Start).zip(at(Literal::End));
        let (parts, untaken) = (AtomicU32::new(0), AtomicU64::new(0));
        Self { table, columns, history, mtime, parts, open, period, untaken }
    }

    /// How many rows of the past were left out because no server takes them.
    pub(super) fn untaken(&self) -> u64 {
        self.untaken.load(Ordering::Relaxed)
    }

    /// Whether no server takes this row: it ended when it began, or before. What one statement inserts and removes again
    /// is such a row, and what is removed when the clock has been set back.
    fn is_untaken(&self, row: &Row) -> bool {
        // Both read alike, and `current` comes after every digit.
        self.period.is_some_and(|(start, end)| fingerprint::value(row, start) >= fingerprint::value(row, end))
    }

    /// Takes the fingerprint of a range; returns that of the table after the last one.
    fn settle(&self, part: Fingerprint) -> Option<Fingerprint> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 -= 1;
        open.1.merge(part);
        (open.0 == 0).then_some(open.1)
    }

    /// What a statement begins with whose rows have all columns but these.
    fn insert(&self, unwritten: &[usize]) -> Vec<u8> {
        let mut out = b"INSERT INTO ".to_vec();
        sql::identifier(&mut out, self.table.name.as_bytes());
        out.extend_from_slice(b" (");
        let mut separator: &[u8] = b"";
        for (at, column) in self.columns.iter().enumerate() {
            if !unwritten.contains(&at) {
                out.extend_from_slice(separator);
                sql::identifier(&mut out, column.name.as_bytes());
                separator = b",";
            }
        }
        out.extend_from_slice(b") VALUES\n");
        out
    }
}

/// A range of a table's rows: the condition begins with a blank or is empty.
pub(super) type Range = (Arc<Job>, String);

/// Reads ranges with all sessions until none is left, and gives the sessions back.
pub(super) async fn read(
    sessions: Vec<Session>,
    ranges: VecDeque<Range>,
    outlet: &Outlet,
) -> Result<Vec<Session>, Error> {
    let queue = Arc::new(Mutex::new(ranges));
    let mut tasks = tokio::task::JoinSet::<Result<Session, Error>>::new();
    for mut session in sessions {
        let (queue, outlet) = (Arc::clone(&queue), outlet.clone());
        tasks.spawn(async move {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some((job, condition)) = next else { return Ok(session) };
                range(&mut session, &job, &condition, &outlet).await?;
            }
        });
    }
    let mut sessions = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let stopped = |_| Error::Stopped;
        // Leaving drops the set, which ends the other tasks.
        sessions.push(done.map_err(stopped)??);
    }
    Ok(sessions)
}

async fn range(session: &mut Session, job: &Job, condition: &str, outlet: &Outlet) -> Result<(), Error> {
    let query = select::query(&job.table, &job.columns, job.history, condition);
    let doing = format!("cannot read {}.{}", job.table.database, job.table.name);
    let mut writer = Writer::new(job, outlet);
    let mut rows = session.stream(&doing, query).await?;
    while let Some(row) = rows.next().await? {
        writer.row(row).await?;
    }
    drop(rows);
    let part = writer.finish().await?;
    if let Some(fingerprint) = job.settle(part) {
        let name = job.table.object();
        let kind = if job.history { WITH_HISTORY } else { TABLE }.to_owned();
        outlet.object(Object { name, kind, fingerprint }).await?;
    }
    Ok(())
}

/// Turns rows into members.
struct Writer<'a> {
    job: &'a Job,
    outlet: &'a Outlet,
    insert: Vec<u8>,
    /// The columns that the statements leave to the server.
    unwritten: Vec<usize>,
    script: Script,
    open: Option<Open>,
    rows: Rows,
}

impl<'a> Writer<'a> {
    fn new(job: &'a Job, outlet: &'a Outlet) -> Self {
        let (insert, unwritten, script) = (job.insert(&[]), Vec::new(), Script::default());
        Self { job, outlet, insert, unwritten, script, open: None, rows: Rows::default() }
    }

    async fn row(&mut self, row: Row) -> Result<(), Error> {
        if self.job.is_untaken(&row) {
            self.job.untaken.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        if self.script.is_empty() {
            self.begin();
        }
        self.leave_out_empty_geometries(&row);
        let start = self.script.len();
        let first = self.open.is_none();
        let open = match self.open.take() {
            Some(open) => open,
            None => self.statement(),
        };
        let from = self.script.len();
        self.values(&row, if first { b"(" } else { b",\n(" });
        drop(row);
        if !first && self.script.len() - start > STATEMENT {
            self.move_to_own_statement(open, from);
        } else {
            self.open = Some(open);
        }
        self.end_when_full().await
    }

    fn begin(&mut self) {
        self.script = Script::with_capacity(MEMBER + STATEMENT);
        self.script.use_database(&self.job.table.database);
        if self.job.history {
            self.script.statement("SET system_versioning_insert_history = 1");
        }
    }

    /// Leaves columns without a geometry to the server, in statements of their own.
    fn leave_out_empty_geometries(&mut self, row: &Row) {
        let empty = |at: &usize| {
            self.job.columns[*at].literal == Literal::Geometry
                && fingerprint::value(row, *at).is_some_and(<[u8]>::is_empty)
        };
        let unwritten: Vec<usize> = (0..self.job.columns.len()).filter(empty).collect();
        if unwritten != self.unwritten {
            if let Some(open) = self.open.take() {
                self.script.close(open);
            }
            self.insert = self.job.insert(&unwritten);
            self.unwritten = unwritten;
        }
    }

    fn statement(&mut self) -> Open {
        let open = self.script.open();
        self.script.text().extend_from_slice(&self.insert);
        open
    }

    fn values(&mut self, row: &Row, before: &[u8]) {
        let out = self.script.text();
        out.extend_from_slice(before);
        let mut separator: &[u8] = b"";
        for (at, column) in self.job.columns.iter().enumerate() {
            let value = fingerprint::value(row, at);
            self.rows.value(value);
            if !self.unwritten.contains(&at) {
                out.extend_from_slice(separator);
                select::write(out, value, &column.literal);
                separator = b",";
            }
        }
        out.push(b')');
        self.rows.end_row();
    }

    /// A row too large to share a statement moves into its own: then whatever fits a packet alone does fit.
    fn move_to_own_statement(&mut self, open: Open, from: usize) {
        let row = self.script.text().split_off(from);
        self.script.close(open);
        let open = self.statement();
        self.script.text().extend_from_slice(row.strip_prefix(b",\n").unwrap_or(&row));
        self.open = Some(open);
    }

    async fn end_when_full(&mut self) -> Result<(), Error> {
        if let Some(open) = self.open.take() {
            if self.script.length(&open) < STATEMENT && self.script.len() < MEMBER {
                self.open = Some(open);
                return Ok(());
            }
            self.script.close(open);
        }
        if self.script.len() >= MEMBER { self.hand_over().await } else { Ok(()) }
    }

    async fn hand_over(&mut self) -> Result<(), Error> {
        if self.job.history {
            self.script.statement("SET system_versioning_insert_history = 0");
        }
        let data = std::mem::take(&mut self.script).finish();
        let part = self.job.parts.fetch_add(1, Ordering::Relaxed) + 1;
        let path = self.job.table.path(part);
        let header = Header::data(path, self.job.table.object(), data.len() as u64, self.job.mtime);
        Ok(self.outlet.member(header, data).await?)
    }

    async fn finish(mut self) -> Result<Fingerprint, Error> {
        if let Some(open) = self.open.take() {
            self.script.close(open);
        }
        if !self.script.is_empty() {
            self.hand_over().await?;
        }
        Ok(self.rows.finish())
    }
}

/// Reads ranges one after the other with the one session that sees the snapshot.
pub(super) async fn read_alone(
    session: &mut Session,
    ranges: VecDeque<Range>,
    outlet: &Outlet,
) -> Result<(), Error> {
    for (job, condition) in ranges {
        range(session, &job, &condition, outlet).await?;
    }
    Ok(())
}
