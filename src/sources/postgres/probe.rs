//! Whether the server can be reached, and whether everything on it can be dumped.

use super::config::Plan;
use super::session::Session;
use super::{Error, dump};
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
    keeps_sessions(&mut session).await?;
    let databases = dump::databases(&mut session, plan).await?;
    let mut bytes = 0_u64;
    for name in &databases {
        let size = session.value(&format!("SELECT pg_database_size({})::text", dump::literal(name))).await?;
        bytes += size.parse::<u64>().unwrap_or(0);
    }
    facts.estimate = Some(bytes);
    session.close().await;
    Ok(facts)
}

fn version(what: String) -> Finding {
    let help = "restore into a scratch server and compare before you rely on it".to_owned();
    Finding { severity: Severity::Notice, topic: "version".to_owned(), what, help }
}

/// A pooler in transaction mode gives each statement whichever server session is free: settings are lost, and locks
/// and snapshots with them.
async fn keeps_sessions(session: &mut Session) -> Result<(), Error> {
    session.execute("SET chupacabra.probe = 'kept'").await?;
    let first = session.value("SELECT pg_backend_pid()::text").await?;
    for _ in 0..3 {
        let rows = session
            .rows("SELECT pg_backend_pid()::text, coalesce(current_setting('chupacabra.probe', true), '')")
            .await?;
        let kept = rows.first().is_some_and(|row| row.text(0) == first && row.text(1) == "kept");
        if !kept {
            return Err(Error::Pooled);
        }
    }
    Ok(())
}
