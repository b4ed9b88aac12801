//! One instant, seen by several connections.
//!
//! A global read lock is held while every connection opens its own snapshot, so that all see the same. Before the lock
//! is given back, every connection takes a metadata lock on every table that will be dumped: from then on nobody can
//! change a definition until the dump is over, so no table can vanish or turn unreadable half way. One connection's
//! lock would keep the definitions, but a change that waits for it comes before whoever asks for a lock after it: the
//! other connections would wait for the change, and the change for the end of the dump.
//!
//! Where the user may not take the global lock, one connection reads everything. Its snapshot and its metadata locks
//! cannot be taken at once then; if a definition changed in between, both are taken anew, a bounded number of times,
//! and always before the first member is handed over.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use tracing::{info, warn};

use super::catalog::{self, Table};
use super::config::{NonTransactional, Plan};
use super::connect::Session;
use super::{Error, privileges, sql};
use crate::sources::Missing;

/// How often a single connection tries to get a snapshot that fits the definitions.
const ATTEMPTS: u32 = 5;

/// How many tables are locked by one statement.
const BATCH: usize = 50;

/// Server errors that mean: this table is not the one that the snapshot knows.
const CHANGED: [u16; 3] = [
    1412, // ER_TABLE_DEF_CHANGED: created, rebuilt or truncated after the snapshot
    1146, // ER_NO_SUCH_TABLE: dropped or renamed away after it was listed
    1049, // ER_BAD_DB_ERROR: its database was dropped after it was listed
];

/// Server errors that mean: the user may not take the global lock.
const REFUSED: [u16; 2] = [
    1227, // ER_SPECIFIC_ACCESS_DENIED_ERROR: no RELOAD
    1045, // ER_ACCESS_DENIED_ERROR, as managed services answer
];

/// The open snapshot.
pub(super) struct Snapshot {
    /// The connection that holds the metadata locks, and the global lock while it lasts.
    pub(super) control: Session,
    /// The connections that read tables.
    pub(super) workers: Vec<Session>,
    /// The databases.
    pub(super) databases: Vec<String>,
    /// The tables and sequences.
    pub(super) tables: Vec<Table>,
    /// The server's clock at the snapshot, in seconds since 1970.
    pub(super) seconds: i64,
    /// Where the snapshot stands in the server's own logs.
    pub(super) coordinates: BTreeMap<String, String>,
    /// Whether the global lock is still held.
    pub(super) locked: bool,
    /// Whether several connections could see the same instant.
    pub(super) shared: bool,
    /// The tables that the user may not read, where that is allowed.
    pub(super) missing: Vec<Missing>,
}

impl Snapshot {
    /// Opens the snapshot.
    pub(super) async fn open(plan: &Plan) -> Result<Self, Error> {
        let mut control = Session::reading(plan).await?;
        let mut workers = Vec::new();
        for _ in 1..plan.connections {
            workers.push(Session::reading(plan).await?);
        }
        match control.run("cannot take the global read lock", "FLUSH TABLES WITH READ LOCK").await {
            Ok(()) => Self::shared(plan, control, workers).await,
            Err(Error::Statement { code: Some(code), why, .. }) if REFUSED.contains(&code) => {
                warn!(server = plan.server(), why, "no global read lock, one connection reads everything");
                for worker in workers {
                    worker.close().await;
                }
                Self::alone(plan, control).await
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the snapshots of all connections under the global lock that `control` holds.
    async fn shared(plan: &Plan, mut control: Session, mut workers: Vec<Session>) -> Result<Self, Error> {
        begin(&mut control).await?;
        for worker in &mut workers {
            begin(worker).await?;
        }
        let coordinates = coordinates(&mut control).await?;
        let (databases, tables, missing) = listed(&mut control, plan).await?;
        let everyone = workers.iter_mut().chain([&mut control]);
        try_join_all(everyone.map(|session| lock_all_definitions(session, &tables, 0))).await?;
        let seconds = seconds(&mut control).await?;
        let mut snapshot = Self {
            control,
            workers,
            databases,
            tables,
            seconds,
            coordinates,
            locked: true,
            shared: true,
            missing,
        };
        let keep = plan.non_transactional == NonTransactional::Lock && !plan.schema_only;
        if !(keep && snapshot.tables.iter().any(|table| !table.transactional && table.has_rows())) {
            snapshot.unlock().await?;
        }
        Ok(snapshot)
    }

    /// Opens a snapshot on one connection, again if definitions change meanwhile.
    async fn alone(plan: &Plan, mut control: Session) -> Result<Self, Error> {
        let mut last = String::new();
        for attempt in 1..=ATTEMPTS {
            begin(&mut control).await?;
            match settled(plan, &mut control).await {
                Ok((databases, tables, missing)) => {
                    let coordinates = coordinates_of_the_snapshot(&mut control).await?;
                    let seconds = seconds(&mut control).await?;
                    let (workers, locked, shared) = (Vec::new(), false, false);
                    return Ok(Self {
                        control,
                        workers,
                        databases,
                        tables,
                        seconds,
                        coordinates,
                        locked,
                        shared,
                        missing,
                    });
                }
                Err(Error::Statement { code: Some(code), why, .. }) if CHANGED.contains(&code) => {
                    info!(attempt, why, "a definition changed, taking the snapshot anew");
                    last = why;
                    control.run("cannot end the snapshot", "ROLLBACK").await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Changing { attempts: ATTEMPTS, last })
    }

    /// Gives the global lock back; writers go on.
    pub(super) async fn unlock(&mut self) -> Result<(), Error> {
        if self.locked {
            self.control.run("cannot give the global read lock back", "UNLOCK TABLES").await?;
            self.locked = false;
        }
        Ok(())
    }
}

async fn begin(session: &mut Session) -> Result<(), Error> {
    session.run("cannot open a snapshot", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await
}

/// The databases, their tables, and the tables that the user may not read, where that is allowed.
type Listed = (Vec<String>, Vec<Table>, Vec<Missing>);

async fn listed(control: &mut Session, plan: &Plan) -> Result<Listed, Error> {
    let databases = catalog::databases(control, plan).await?;
    let mut tables = Vec::new();
    for database in &databases {
        tables.extend(catalog::tables(control, plan, database).await?);
    }
    let missing =
        if plan.allow_missing_privileges { take_closed(control, &mut tables).await? } else { Vec::new() };
    Ok((databases, tables, missing))
}

/// Takes out the tables that the user may not read.
async fn take_closed(control: &mut Session, tables: &mut Vec<Table>) -> Result<Vec<Missing>, Error> {
    let (mut open, mut missing) = (Vec::with_capacity(tables.len()), Vec::new());
    for table in std::mem::take(tables) {
        match lock_definitions(control, std::slice::from_ref(&table), 0).await {
            Err(error) if privileges::is_denied(&error) => {
                missing.push(Missing { name: format!("table {}", table.object()), why: error.to_string() });
            }
            done => {
                done?;
                open.push(table);
            }
        }
    }
    *tables = open;
    Ok(missing)
}

/// Lists the tables and reads from each, so that a definition that the snapshot does not know is found now.
async fn settled(plan: &Plan, control: &mut Session) -> Result<Listed, Error> {
    let (databases, tables, missing) = listed(control, plan).await?;
    lock_all_definitions(control, &tables, 1).await?;
    Ok((databases, tables, missing))
}

async fn lock_all_definitions(session: &mut Session, tables: &[Table], rows: u8) -> Result<(), Error> {
    for batch in tables.chunks(BATCH) {
        lock_definitions(session, batch, rows).await?;
    }
    Ok(())
}

/// Takes the metadata locks of some tables, which the transaction then holds to its end. Reads `rows` of each.
async fn lock_definitions(control: &mut Session, tables: &[Table], rows: u8) -> Result<(), Error> {
    let select = |table: &Table| {
        format!("(SELECT 1 FROM {} LIMIT {rows})", sql::qualified(&table.database, &table.name))
    };
    let selects: Vec<String> = tables.iter().filter(|table| table.has_rows()).map(select).collect();
    if selects.is_empty() {
        return Ok(());
    }
    control.run("cannot lock the tables' definitions", selects.join(" UNION ALL ")).await
}

async fn seconds(control: &mut Session) -> Result<i64, Error> {
    let now = control.text("cannot read the server's clock", "SELECT UNIX_TIMESTAMP()").await?;
    Ok(now.and_then(|now| now.parse().ok()).unwrap_or(0))
}

/// The binary log's position and GTIDs that belong to the session's snapshot, whatever was committed after it. The
/// server remembers them with the snapshot, but not what a replica had applied by then: that is left out.
async fn coordinates_of_the_snapshot(control: &mut Session) -> Result<BTreeMap<String, String>, Error> {
    let doing = "cannot read the snapshot's position in the binary log";
    let mut status = BTreeMap::new();
    for row in control.rows(doing, "SHOW STATUS LIKE 'binlog_snapshot_%'").await? {
        let mut row = row.into_iter().map(catalog::text);
        status.insert(row.next().unwrap_or_default().to_lowercase(), row.next().unwrap_or_default());
    }
    let mut found = BTreeMap::new();
    let mut taken = |name: &str| status.remove(name).filter(|value| !value.is_empty());
    let (file, position) = (taken("binlog_snapshot_file"), taken("binlog_snapshot_position"));
    // Without a binary log there is no file.
    let Some((file, position)) = file.zip(position) else { return Ok(found) };
    let query = format!("SELECT BINLOG_GTID_POS({}, {})", sql::literal(&file), sql::literal(&position));
    if let Some(gtid) = control.text(doing, &query).await?.filter(|gtid| !gtid.is_empty()) {
        found.insert("gtid_binlog_pos".to_owned(), gtid);
    }
    found.insert("binlog_file".to_owned(), file);
    found.insert("binlog_position".to_owned(), position);
    Ok(found)
}

/// The binary log's position and GTIDs as they are now, as far as the server keeps them and the user may see them. They
/// are the snapshot's while the global lock is held.
async fn coordinates(control: &mut Session) -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    let variables = [
        ("gtid_binlog_pos", "SELECT @@GLOBAL.gtid_binlog_pos"),
        ("gtid_slave_pos", "SELECT @@GLOBAL.gtid_slave_pos"),
    ];
    for (name, query) in variables {
        if let Some(value) =
            control.text("cannot read the GTID", query).await?.filter(|value| !value.is_empty())
        {
            found.insert(name.to_owned(), value);
        }
    }
    match control.rows("cannot read the binary log's position", "SHOW MASTER STATUS").await {
        Ok(rows) => {
            for row in rows.into_iter().take(1) {
                let mut row = row.into_iter().map(catalog::text);
                found.insert("binlog_file".to_owned(), row.next().unwrap_or_default());
                found.insert("binlog_position".to_owned(), row.next().unwrap_or_default());
            }
        }
        // The user lacks BINLOG MONITOR: the coordinates stay what GTIDs say.
        Err(Error::Statement { code: Some(1227), .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}
