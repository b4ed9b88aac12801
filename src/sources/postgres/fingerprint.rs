//! Takes fingerprints of what a database holds, the same way whether it was dumped or restored.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;

use super::data::{self, Range, Table};
use super::large_objects::{self, Pieces};
use super::member::MEMBER;
use super::restore::Loaded;
use super::rows::{Rows, Threads};
use super::session::{Row, Session};
use super::shares::{Progress, Shares};
use super::{Error, dump, paths};
use crate::package::digest::Fingerprint;

/// Fingerprints of all tables, sequences and large objects that `wanted` names, by the names that the index uses.
///
/// `loaded` says in which order the columns were dumped. `database` is the name under which the content was dumped.
pub(super) async fn take(
    options: &PgConnectOptions,
    database: &str,
    jobs: usize,
    loaded: &Loaded,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<(String, String), Fingerprint>, Error> {
    let mut session = Session::open(options).await?;
    let tables = data::every_table(&mut session).await?;
    let mut tables: Vec<Table> = tables.into_iter().filter(|table| wanted(&table.object(database))).collect();
    // What takes longest comes first, as in a dump.
    tables.sort_by_key(|table| std::cmp::Reverse(table.pages));
    for table in &mut tables {
        // A column that a parent got later stands elsewhere after a restore; the rows that were dumped have the
        // order of the statement that loaded them.
        let list = loaded.get(&paths::relation(&table.schema, &table.name));
        if let Some(columns) = list.and_then(|statement| table.columns_of(&session.own(statement))) {
            table.columns = columns;
        }
    }
    let mut found = rows(options, database, jobs, tables).await?;
    let object = |row: &Row| data::object(database, row.text(0), row.text(1));
    for row in dump::sequences(&mut session, |sequence| wanted(&object(sequence))).await? {
        let mut fingerprint = Fingerprint::default();
        fingerprint.add(row.text(3).as_bytes());
        found.insert(("sequence".into(), object(&row)), fingerprint);
    }
    let name = large_objects::name(database);
    if wanted(&name) {
        let mut fingerprint = Fingerprint::default();
        let mut pieces = Pieces::default();
        while let Some(piece) = pieces.next(&mut session).await? {
            fingerprint.add(piece.row().as_bytes());
        }
        if fingerprint.rows > 0 {
            found.insert(("large_objects".into(), name), fingerprint);
        }
    }
    session.close().await;
    Ok(found)
}

type Found = BTreeMap<(String, String), Fingerprint>;

async fn rows(
    options: &PgConnectOptions,
    database: &str,
    jobs: usize,
    tables: Vec<Table>,
) -> Result<Found, Error> {
    let shares = Shares::new(tables, jobs);
    let workers = shares.jobs();
    let shares = Arc::new(Mutex::new(shares));
    let mut threads: Threads<Found> = Threads::new();
    for _ in 0..workers {
        let (options, shares, database) = (options.clone(), Arc::clone(&shares), database.to_owned());
        threads.spawn(async move {
            let mut session = Session::open(&options).await?;
            let mut found = Found::new();
            loop {
                let Some((progress, range)) = shares.lock().await.next() else { break };
                let table = &progress.table;
                match of_range(&mut session, &progress, range).await {
                    Ok(fingerprint) => {
                        let all = progress.end(fingerprint);
                        found.extend(all.map(|all| (("table".into(), table.object(&database)), all)));
                    }
                    Err(error) => {
                        session.abandon().await;
                        return Err(error.at(format!("reading back table {}.{}", table.schema, table.name)));
                    }
                }
            }
            session.close().await;
            Ok(found)
        });
    }
    let mut all = Found::new();
    while let Some(done) = threads.join_next().await {
        all.extend(done?);
    }
    Ok(all)
}

async fn of_range(session: &mut Session, progress: &Progress, range: Range) -> Result<Fingerprint, Error> {
    let mut rows = Rows::begin(session, &progress.table.copy_out(range)).await?;
    let mut read = 0;
    while let Some(row) = rows.next().await? {
        read += row.len();
        if read >= MEMBER {
            progress.read(std::mem::take(&mut read));
        }
    }
    Ok(rows.fingerprint())
}
