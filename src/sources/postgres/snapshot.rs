//! One point in time that several connections see, with every table held still.

use sqlx::postgres::PgConnectOptions;

use super::Error;
use super::catalog::expand;
use super::select::Selector;
use super::session::{Session, code};

/// A transaction that sees one point in time and holds a lock on every table that is dumped.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The connection that holds it.
    pub session: Session,
    /// Its name, for other connections.
    pub id: String,
    /// Where it stands: `lsn`, `timeline`, `xmin`.
    pub coordinates: Vec<(&'static str, String)>,
    /// When it was taken, in microseconds since 1970.
    pub taken: i64,
}

/// The tables that are locked: everything with rows of its own or with definitions that only a lock keeps still.
const TABLES: &str = "SELECT c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND (@user(n) AND @own(c) OR EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig))) ORDER BY c.oid";

const ATTEMPTS: usize = 10;

/// Settings with which the server leaves out what it cannot read, as if it had never been there.
const CARELESS: &str = "SELECT name FROM pg_settings WHERE name IN ('zero_damaged_pages', 'ignore_checksum_failure') AND setting = 'on' ORDER BY 1";

/// Takes a snapshot of the database that `options` name.
///
/// The locks come first and the snapshot after them: a table rewritten or truncated in between would look empty to a
/// snapshot that is older than the rewrite. Whatever was created meanwhile is seen by comparing, and then all is
/// begun again.
pub(super) async fn take(
    options: &PgConnectOptions,
    selector: &Selector,
    lock_timeout: std::time::Duration,
) -> Result<Snapshot, Error> {
    let mut session = Session::open(options).await?;
    if let Some(setting) = session.rows(CARELESS).await?.first() {
        return Err(Error::Careless(setting.text(0).to_owned()));
    }
    let tables = expand(TABLES, session.major);
    session.wait_for_locks(lock_timeout).await?;
    for _ in 0..ATTEMPTS {
        let before = wanted(&mut session, &tables, selector).await?;
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        // What came or went before its lock was taken shows in the comparison.
        if lock(&mut session, &before).await? && wanted(&mut session, &tables, selector).await? == before {
            return finish(session).await;
        }
        session.execute("ROLLBACK").await?;
    }
    Err(Error::Unsettled)
}

/// Locks the tables. Returns whether it could: one of them may be gone, or somebody waits for one while holding the next.
async fn lock(session: &mut Session, tables: &[(u32, String)]) -> Result<bool, Error> {
    for batch in tables.chunks(200) {
        let names: Vec<String> = batch.iter().map(|(_, name)| format!("ONLY {name}")).collect();
        let locked = session.execute(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "))).await;
        match locked {
            Ok(()) => {}
            Err(error) if matches!(code(&error).as_deref(), Some("42P01" | "40P01")) => return Ok(false),
            Err(error) => return Err(error.at(format!("locking the tables of {}", session.database))),
        }
    }
    Ok(true)
}

async fn wanted(session: &mut Session, sql: &str, selector: &Selector) -> Result<Vec<(u32, String)>, Error> {
    let rows = session.rows(sql).await?;
    let wanted = rows.iter().filter(|row| selector.takes_table(row.text(1), row.text(2)));
    wanted.map(|row| Ok((row.number(0)?, row.text(3).to_owned()))).collect()
}

async fn finish(mut session: Session) -> Result<Snapshot, Error> {
    session.settle().await?;
    let id = session.value("SELECT pg_export_snapshot()").await?;
    let facts = session
        .rows("SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text,
(SELECT timeline_id FROM pg_control_checkpoint())::text, pg_snapshot_xmin(pg_current_snapshot())::text,
(extract(epoch FROM now()) * 1000000)::int8::text")
        .await?;
    let facts = facts.first().ok_or(Error::Answer("no row"))?;
    let coordinates = [("lsn", 0), ("timeline", 1), ("xmin", 2)];
    let coordinates = coordinates.into_iter().map(|(key, at)| (key, facts.text(at).to_owned())).collect();
    let taken = facts.number(3)?;
    Ok(Snapshot { session, id, coordinates, taken })
}

/// A further connection that sees what the snapshot sees. It has no locks yet.
pub(super) async fn join(
    options: &PgConnectOptions,
    id: &str,
    lock_timeout: std::time::Duration,
) -> Result<Session, Error> {
    let mut session = Session::open(options).await?;
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    session.execute(&format!("SET TRANSACTION SNAPSHOT '{id}'")).await?;
    session.wait_for_locks(lock_timeout).await?;
    Ok(session)
}
