//! Rows: read by COPY on several connections of one snapshot, cut into members of whole rows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;

use super::alive::{self, Readers};
use super::catalog::expand;
use super::config::Plan;
use super::member::{Frame, MEMBER};
use super::queue::{Locked, Queue};
use super::rows::{Rows, Threads};
use super::session::Session;
use super::shares::{Job, Progress, Shares};
use super::{Error, paths, snapshot};
use crate::package::digest::Fingerprint;
use crate::package::member::{Object, Time};
use crate::package::outlet::Outlet;

/// A table is read in ranges of this many pages, so that several connections share it.
const RANGE_PAGES: u64 = 4096;

/// A range of a table's pages, from the first (included) to the last (excluded); `None`: the whole table.
pub(super) type Range = Option<(u64, Option<u64>)>;

/// A table whose rows are dumped.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub schema: String,
    pub name: String,
    /// Quoted, in order; empty if the table has none or only generated ones.
    pub columns: String,
    /// Which rows, for configuration tables of extensions: `WHERE …`.
    pub condition: String,
    /// Partitions may not take the same rows elsewhere (hash of something whose number the server chose: an enum's label,
    /// an object), so all go through the partitioned table.
    pub through_root: bool,
    /// Its rows are not on a standby.
    pub unlogged: bool,
    /// Pages that may be read in ranges; 0: only as a whole.
    pub pages: u64,
    /// For configuration tables of extensions with foreign keys between them, which exist before the rows: how many of
    /// them must be loaded before, one after the other.
    pub tied: Option<u32>,
    /// An extension has it.
    pub of_extension: bool,
}

impl Table {
    pub(super) fn qualified(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }

    /// The object's name in the index.
    pub(super) fn object(&self, database: &str) -> String {
        object(database, &self.schema, &self.name)
    }

    /// The statement that reads the rows of a range of pages, or all.
    pub(super) fn copy_out(&self, range: Range) -> String {
        let table = self.qualified();
        // COPY wants a list, a query at least one column: without any, the server's own list is empty too.
        let plain = self.condition.is_empty() && !self.through_root;
        if self.columns.is_empty() {
            return format!("COPY {table} TO STDOUT");
        }
        let columns = &self.columns;
        match range {
            None if plain => format!("COPY {table} ({columns}) TO STDOUT"),
            None => {
                let only = if self.through_root { "" } else { "ONLY " };
                format!("COPY (SELECT {columns} FROM {only}{table} {}) TO STDOUT", self.condition)
            }
            Some((from, to)) => {
                let end = to.map(|to| format!(" AND ctid < '({to},0)'")).unwrap_or_default();
                format!("COPY (SELECT {columns} FROM ONLY {table} WHERE ctid >= '({from},0)'{end}) TO STDOUT")
            }
        }
    }

    /// The statements that lock what [`copy_out`](Self::copy_out) reads, or fail if that is not possible at once. A
    /// query also takes the indexes, when it is planned.
    pub(super) fn lock(&self) -> String {
        let only = if self.through_root { "" } else { "ONLY " };
        let table = self.qualified();
        let lock = format!("LOCK TABLE {only}{table} IN ACCESS SHARE MODE NOWAIT;");
        let query = self.through_root || !self.condition.is_empty() || self.ranges().len() > 1;
        if query { format!("{lock} EXPLAIN SELECT FROM {only}{table};") } else { lock }
    }

    pub(super) fn copy_in(&self) -> String {
        let list = if self.columns.is_empty() { String::new() } else { format!(" ({})", self.columns) };
        format!("COPY {}{list} FROM stdin;\n", self.qualified())
    }

    /// The columns of a statement that [`copy_in`](Self::copy_in) made.
    pub(super) fn columns_of(&self, statement: &str) -> Option<String> {
        let list = statement.strip_prefix(&format!("COPY {} (", self.qualified()))?;
        Some(list.strip_suffix(") FROM stdin;\n")?.to_owned())
    }

    /// The ranges that are read one by one; together they are the table.
    pub(super) fn ranges(&self) -> Vec<Range> {
        if self.pages <= RANGE_PAGES || self.columns.is_empty() {
            return vec![None];
        }
        let parts = self.pages.div_ceil(RANGE_PAGES);
        (0..parts)
            .map(|part| Some((part * RANGE_PAGES, (part + 1 < parts).then_some((part + 1) * RANGE_PAGES))))
            .collect()
    }
}

/// The object's name in the index: `shop/public.orders`, odd characters percent-encoded.
pub(super) fn object(database: &str, schema: &str, name: &str) -> String {
    format!("{}/{}", paths::component(database), paths::relation(schema, name))
}

/// A name as SQL, always quoted.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables whose rows are wanted, and a note about those that patterns take and that cannot be restored without what
/// the patterns leave out: an extension creates its tables itself.
pub(super) async fn tables(
    session: &mut Session,
    plan: &Plan,
) -> Result<(Vec<Table>, Option<String>), Error> {
    let standby = session.value("SELECT pg_is_in_recovery()::text").await? == "true";
    let mut tables = every_table(session).await?;
    tables.retain(|table| {
        let (schema, name) = (table.schema.as_str(), table.name.as_str());
        plan.selector.takes_table(schema, name)
            && !plan.schema_only.iter().any(|p| p.takes_table(schema, name))
    });
    if let Some(table) = tables.iter().find(|table| standby && table.unlogged) {
        return Err(Error::Right {
            what: format!("reading the unlogged table {}.{}", table.schema, table.name),
            right: "the primary server; list it in `schema_only` to back up its definition alone",
        });
    }
    let without = |table: &Table| table.of_extension && !plan.selector.takes_all_schemas();
    let (left_out, mut tables): (Vec<Table>, Vec<Table>) = tables.into_iter().partition(without);
    tables.sort_by_key(|table| std::cmp::Reverse(table.pages));
    let names: Vec<String> =
        left_out.iter().map(|table| format!("{}.{}", table.schema, table.name)).collect();
    let note = (!names.is_empty()).then(|| {
        let (names, database) = (names.join(", "), &session.database);
        format!("`include` leaves the extensions of {database} out, and so the rows of their tables: {names}")
    });
    Ok((tables, note))
}

/// Takes out the tables that others refer to while they are loaded, and these others, in the order of loading.
pub(super) fn tied(tables: Vec<Table>) -> (Vec<Table>, Vec<Table>) {
    let (mut tied, rest): (Vec<Table>, Vec<Table>) =
        tables.into_iter().partition(|table| table.tied.is_some());
    tied.sort_by_key(|table| table.tied);
    (tied, rest)
}

/// All tables with rows of their own.
pub(super) async fn every_table(session: &mut Session) -> Result<Vec<Table>, Error> {
    let mut tables = Vec::new();
    for row in session.rows(&expand(include_str!("catalog/data.sql"), session.major)).await? {
        let condition = row.text(6).to_owned();
        let through_root = row.text(7) == "p";
        // Ranges of rows are found without reading the whole table since 14, and only in heaps.
        let splits = session.major >= 14 && row.text(5) == "heap" && condition.is_empty() && !through_root;
        tables.push(Table {
            schema: row.text(1).to_owned(),
            name: row.text(2).to_owned(),
            columns: row.text(3).to_owned(),
            condition,
            through_root,
            unlogged: row.text(8) == "u",
            pages: if splits { row.number(4)? } else { 0 },
            tied: if row.is_null(9) { None } else { Some(row.number(9)?) },
            of_extension: row.text(10) == "t",
        });
    }
    Ok(tables)
}

/// What all connections that read one database share.
pub(super) struct Reading {
    pub options: PgConnectOptions,
    pub snapshot: String,
    pub database: String,
    pub restrict: String,
    pub mtime: Time,
    pub outlet: Outlet,
    pub readers: Readers,
    /// How long a statement waits for a lock.
    pub lock_timeout: Duration,
}

impl Reading {
    /// What is being done, for messages.
    fn of(&self, table: &Table) -> String {
        format!("reading table {}.{} of {}", table.schema, table.name, self.database)
    }
}

/// Reads all tables over `jobs` connections and hands their rows over. The holder of the snapshot reads what no other
/// connection could lock without waiting.
pub(super) async fn read(
    holder: &mut Session,
    reading: &Arc<Reading>,
    tables: Vec<Table>,
    jobs: usize,
) -> Result<Fingerprint, Error> {
    let read = spread(Arc::clone(reading), tables, jobs);
    let (mut total, refused) = alive::holding(holder, &reading.readers, read).await?;
    if refused.is_empty() {
        return Ok(total);
    }
    // Now it is the holder that waits for rows, so another connection asks the server about it.
    let mut watcher = Session::open(&reading.options).await?;
    let _reader = reading.readers.enter(holder).await?;
    let read = async {
        let mut total = Fingerprint::default();
        for (progress, range) in refused {
            total.merge(one(holder, reading, &progress, range).await?);
        }
        Ok(total)
    };
    total.merge(alive::holding(&mut watcher, &reading.readers, read).await?);
    watcher.close().await;
    Ok(total)
}

/// Reads over connections of their own. Returns what none of them could lock, too.
async fn spread(
    reading: Arc<Reading>,
    tables: Vec<Table>,
    jobs: usize,
) -> Result<(Fingerprint, Vec<Job>), Error> {
    let shares = Shares::new(tables, jobs);
    let workers = shares.jobs();
    let queue = Arc::new(Mutex::new(Queue::new(shares)));
    let mut threads = Threads::new();
    for _ in 0..workers {
        threads.spawn(worker(Arc::clone(&reading), Arc::clone(&queue)));
    }
    let mut total = Fingerprint::default();
    while let Some(done) = threads.join_next().await {
        total.merge(done?);
    }
    let refused = queue.lock().await.refused();
    Ok((total, refused))
}

async fn worker(reading: Arc<Reading>, queue: Arc<Mutex<Queue>>) -> Result<Fingerprint, Error> {
    let mut session = snapshot::join(&reading.options, &reading.snapshot, reading.lock_timeout).await?;
    let _reader = reading.readers.enter(&mut session).await?;
    let mut total = Fingerprint::default();
    let mut locked = Locked::default();
    loop {
        let Some((progress, range)) = queue.lock().await.next(&locked) else { break };
        let locks = locked.lock(&mut session, &progress).await;
        if !locks.map_err(|error| error.at(reading.of(&progress.table)))? {
            queue.lock().await.refuse((progress, range));
            continue;
        }
        match one(&mut session, &reading, &progress, range).await {
            Ok(fingerprint) => total.merge(fingerprint),
            Err(error) => {
                session.abandon().await;
                return Err(error);
            }
        }
    }
    session.close().await;
    Ok(total)
}

/// Reads one range of a table, and tells the table's fingerprint if it was the last. After an error the session must
/// not be used again.
async fn one(
    session: &mut Session,
    reading: &Reading,
    progress: &Progress,
    range: Range,
) -> Result<Fingerprint, Error> {
    let table = &progress.table;
    let frame = Frame::new(session, reading, table);
    let read = rows(session, reading, progress, range, &frame).await;
    let fingerprint = read.map_err(|error| error.at(reading.of(table)))?;
    if let Some(all) = progress.end(fingerprint) {
        // An empty table has its member too, so that whoever takes it out with tar finds it.
        if progress.part.load(Ordering::Relaxed) == 0 {
            frame.send(reading, progress, frame.begin(), None).await?;
        }
        let name = table.object(&reading.database);
        reading.outlet.object(Object { name, kind: "table".into(), fingerprint: all }).await?;
    }
    Ok(fingerprint)
}

async fn rows(
    session: &mut Session,
    reading: &Reading,
    progress: &Progress,
    range: Range,
    frame: &Frame,
) -> Result<Fingerprint, Error> {
    let mut lease = Some(reading.outlet.budget().take(MEMBER).await);
    let mut member = frame.begin();
    let mut rows = Rows::begin(session, &progress.table.copy_out(range)).await?;
    while let Some(row) = rows.next().await? {
        member.extend_from_slice(&row);
        if member.len() >= MEMBER {
            progress.read(member.len());
            frame.send(reading, progress, std::mem::take(&mut member), lease.take()).await?;
            lease = Some(reading.outlet.budget().take(MEMBER).await);
            member = frame.begin();
        }
    }
    if !frame.is_empty(&member) {
        frame.send(reading, progress, member, lease).await?;
    }
    Ok(rows.fingerprint())
}
