//! Gathers the statistics that the planner needs, of several tables at once.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::super::Error;
use super::super::session::{Session, code};
use super::load::run;

/// What `ANALYZE` of a whole database takes. Partitioned tables bring their partitions along and come first; of the
/// others, what takes longest. The last is taken first.
const TABLES: &str = "SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
ORDER BY c.relkind = 'p', pg_relation_size(c.oid)";

/// Analyzes every table of a database over `jobs` connections.
pub(super) async fn analyze(options: &PgConnectOptions, jobs: usize) -> Result<(), Error> {
    let mut session = Session::open(options).await?;
    let tables = session.rows(TABLES).await?;
    session.close().await;
    let statements: Vec<String> = tables.iter().map(|row| format!("ANALYZE {};", row.text(0))).collect();
    let queue = Arc::new(Mutex::new(statements));
    let mut tasks: JoinSet<Result<(), Error>> = JoinSet::new();
    for _ in 0..jobs {
        let (options, queue) = (options.clone(), Arc::clone(&queue));
        tasks.spawn(async move {
            let mut session = Session::open(&options).await?;
            loop {
                let Some(statement) = queue.lock().await.pop() else { break };
                let statement = session.bytes(&statement);
                match run(&mut session, &statement).await {
                    // Somebody dropped it meanwhile.
                    Err(error) if code(&error).as_deref() == Some("42P01") => {}
                    result => result?,
                }
            }
            session.close().await;
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|_| Error::Stopped)??;
    }
    Ok(())
}
