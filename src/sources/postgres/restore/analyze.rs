//! Gathers the statistics that the planner needs, of several tables at once.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::super::Error;
use super::super::session::{Session, code};
use super::load::run;
use crate::report::chain;

/// What `ANALYZE` of a whole database takes. Partitioned tables bring their partitions along and come first; of the
/// others, what takes longest. The last is taken first.
const TABLES: &str = "SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
ORDER BY c.relkind = 'p', pg_relation_size(c.oid)";

/// Analyzes every table of a database over `jobs` connections. Returns what has no statistics now, and why: a
/// partition on another server that is not there, an index over a function that needs something else.
pub(super) async fn analyze(options: &PgConnectOptions, jobs: usize) -> Vec<String> {
    let queue = match tables(options).await {
        Ok(tables) => Arc::new(Mutex::new(tables)),
        Err(error) => return vec![note("", &error)],
    };
    let mut tasks: JoinSet<Vec<String>> = JoinSet::new();
    for _ in 0..jobs {
        let (options, queue) = (options.clone(), Arc::clone(&queue));
        tasks.spawn(async move {
            let mut notes = Vec::new();
            if let Err(error) = worker(&options, &queue, &mut notes).await {
                notes.push(note("", &error));
            }
            notes
        });
    }
    let mut notes = Vec::new();
    while let Some(done) = tasks.join_next().await {
        notes.extend(done.unwrap_or_else(|_| vec![note("", &Error::Stopped)]));
    }
    notes
}

async fn tables(options: &PgConnectOptions) -> Result<Vec<String>, Error> {
    let mut session = Session::open(options).await?;
    let tables = session.rows(TABLES).await?;
    session.close().await;
    Ok(tables.iter().map(|row| row.text(0).to_owned()).collect())
}

/// Takes tables until none is left. Fails only with its connection.
async fn worker(
    options: &PgConnectOptions,
    queue: &Mutex<Vec<String>>,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let mut session = Session::open(options).await?;
    loop {
        let Some(table) = queue.lock().await.pop() else { break };
        let statement = session.bytes(&format!("ANALYZE {table};"));
        let Err(error) = run(&mut session, &statement).await else { continue };
        match code(&error).as_deref() {
            // Somebody dropped it meanwhile.
            Some("42P01") => {}
            Some(_) => notes.push(note(&format!(" {table}"), &error)),
            None => return Err(error.at(format!("analyzing table {table}"))),
        }
    }
    session.close().await;
    Ok(())
}

fn note(table: &str, error: &Error) -> String {
    let why = chain(error).join(": ");
    format!("the planner lacks statistics, so run `ANALYZE{table}`: {why}")
}
