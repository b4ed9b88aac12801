//! Gives a restored database the name of the one whose place it takes.
//!
//! Both names change in one transaction, or none does, whatever happens to this program or the connection. While the
//! server renames a database it lets nobody in, and waits five seconds for those inside to leave. They are made to
//! leave during that time, so that a pool which connects again at once is not in the way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::Error;
use super::super::data::quote;
use super::super::dump::literal;
use super::super::session::{Session, code, detail};
use super::Task;
use super::target::{exists, maintenance};

/// How often the server is asked to rename; each time it waits for five seconds.
const ATTEMPTS: usize = 6;
/// How long it may wait for whoever changes or copies the database; nobody else gets in meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Puts the database `working` into the place of `name`. Returns what the one that was there is called now.
pub(super) async fn swap(task: &Task, name: &str, working: &str) -> Result<Option<String>, Error> {
    let mut server = maintenance(task, name).await?;
    server.wait_for_locks(PATIENCE).await?;
    let mut guard = maintenance(task, name).await?;
    let old = exists(&mut server, name).await?.then(|| working.replacen("_restoring_", "_replaced_", 1));
    let rename = |from: &str, to: &str| format!("ALTER DATABASE {} RENAME TO {}; ", quote(from), quote(to));
    // Statements that are sent together are one transaction.
    let mut statements = old.as_ref().map(|old| rename(name, old)).unwrap_or_default();
    statements.push_str(&rename(working, name));
    let names = format!("{}, {}", literal(name), literal(working));
    let mut attempt = 1;
    loop {
        match renamed(&mut server, &mut guard, &statements, &names).await {
            Err(error) if attempt < ATTEMPTS && code(&error).as_deref() == Some("55006") => attempt += 1,
            result => {
                server.close().await;
                guard.close().await;
                return match result {
                    Ok(()) => Ok(old),
                    Err(error) => Err(match detail(&error) {
                        Some(detail) => error.at(detail),
                        None => error,
                    }),
                };
            }
        }
    }
}

/// Runs the statements, and ends whatever is connected to the databases meanwhile.
async fn renamed(
    server: &mut Session,
    guard: &mut Session,
    statements: &str,
    names: &str,
) -> Result<(), Error> {
    let over = AtomicBool::new(false);
    let renames = async {
        let result = server.execute(statements).await;
        over.store(true, Ordering::Relaxed);
        result
    };
    let ends = async {
        // The server ends its own vacuuming by itself, and nobody else may.
        let end = format!(
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname IN ({names}) AND backend_type <> 'autovacuum worker'"
        );
        while !over.load(Ordering::Relaxed) {
            guard.rows(&end).await?;
            guard.execute("SELECT pg_sleep(0.1)").await?;
        }
        Ok(())
    };
    match tokio::join!(renames, ends) {
        (Ok(()), _) => Ok(()),
        // Sessions that may not be ended are why the others could not be waited for.
        (Err(error), Err(refused)) if code(&error).as_deref() == Some("55006") => Err(refused),
        (Err(error), _) => Err(error),
    }
}
