//! Whether the server can be reached, and whether everything on it can be dumped.

use super::catalog::expand;
use super::config::Plan;
use super::session::Session;
use super::{Error, dump, globals, patterns};
use crate::sources::Facts;
use crate::stores::{Finding, Severity};

/// The newest major version that the tests run against.
const TESTED: u32 = 18;

/// Connects and asks what the dump will need.
pub(super) async fn probe(plan: &Plan) -> Result<Facts, Error> {
    let mut session = Session::open(&plan.options).await?;
    let mut facts = Facts { product: format!("PostgreSQL {}", session.version), ..Facts::default() };
    if session.major < 13 {
        let found =
            format!("PostgreSQL {} is older than 13, the oldest version that was tested", session.version);
        facts.findings.push(version(found));
    } else if session.major > TESTED {
        let found = format!(
            "PostgreSQL {} is newer than {TESTED}, the newest version that was tested",
            session.version
        );
        facts.findings.push(version(found));
    }
    keeps_sessions(plan, &mut session).await?;
    let databases = dump::databases(&mut session, plan).await?;
    let mut bytes = 0_u64;
    for name in &databases {
        let size = session.value(&format!("SELECT pg_database_size({})::text", dump::literal(name))).await?;
        bytes += size.parse::<u64>().unwrap_or(0);
    }
    if plan.globals {
        globals::check_rights(&mut session, plan).await?;
    }
    patterns::check(plan, &databases).await?;
    for name in &databases {
        readable(plan, name).await?;
    }
    facts.estimate = Some(bytes);
    session.close().await;
    Ok(facts)
}

/// Every table that is wanted can be read.
async fn readable(plan: &Plan, database: &str) -> Result<(), Error> {
    let mut session = Session::open(&plan.options.clone().database(database)).await?;
    let sql = "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'S') AND @user(n) AND @own(c) AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) ORDER BY 1, 2";
    let refused = session.rows(&expand(sql, session.major)).await?;
    session.close().await;
    let refused: Vec<String> = refused
        .iter()
        .filter(|row| plan.selector.takes_table(row.text(0), row.text(1)))
        .map(|row| format!("{database}.{}.{}", row.text(0), row.text(1)))
        .collect();
    let Some(first) = refused.first() else { return Ok(()) };
    let more = if refused.len() > 1 { format!(" and {} more", refused.len() - 1) } else { String::new() };
    let right = "the right to SELECT; `GRANT pg_read_all_data` gives it for all tables since version 14";
    Err(Error::Right { what: format!("reading {first}{more}"), right })
}

fn version(what: String) -> Finding {
    let help = "restore into a scratch server and compare before you rely on it".to_owned();
    Finding { severity: Severity::Notice, topic: "version".to_owned(), what, help }
}

/// A pooler in transaction mode gives each transaction whichever server process is free: settings are lost, and locks
/// with them. It shows when a second connection is given the process of the first, or the first one another.
pub(super) async fn keeps_sessions(plan: &Plan, session: &mut Session) -> Result<(), Error> {
    const PROCESS: &str =
        "SELECT pg_backend_pid()::text, coalesce(current_setting('chupacabra.probe', true), '')";
    session.execute("SET chupacabra.probe = 'kept'").await?;
    let first = session.value(PROCESS).await?;
    let mut second = Session::open(&plan.options).await?;
    for _ in 0..3 {
        match second.execute("BEGIN").await {
            // In statement mode there are no transactions at all.
            Err(Error::Server(sqlx::Error::Database(_))) => return Err(Error::Pooled),
            begun => begun?,
        }
        let other = second.value(PROCESS).await?;
        let rows = session.rows(PROCESS).await?;
        second.execute("ROLLBACK").await?;
        let kept = rows.first().is_some_and(|row| row.text(0) == first && row.text(1) == "kept");
        if !kept || other == first {
            return Err(Error::Pooled);
        }
    }
    second.close().await;
    Ok(())
}
