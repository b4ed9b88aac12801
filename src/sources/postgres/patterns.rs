//! Whether each pattern of the configuration means something that is there.

use super::Error;
use super::catalog::expand;
use super::config::Plan;
use super::select::Pattern;
use super::session::Session;

const RELATIONS: &str = "SELECT n.nspname, coalesce(c.relname, '') FROM pg_namespace n
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') WHERE @user(n)";

/// Fails for a pattern that matches nothing in any of the databases: most likely it is misspelt, and what it should
/// have named would be missing, or be there against somebody's will.
pub(super) async fn check(plan: &Plan, databases: &[String]) -> Result<(), Error> {
    let (include, exclude) = plan.selector.patterns();
    let keys = [
        ("include", include),
        ("exclude", exclude),
        ("schema_only", plan.schema_only.as_slice()),
        ("data_only", plan.data_only.as_slice()),
    ];
    let mut open: Vec<(&'static str, &Pattern)> =
        keys.iter().flat_map(|(key, patterns)| patterns.iter().map(|pattern| (*key, pattern))).collect();
    for database in databases {
        if open.is_empty() {
            return Ok(());
        }
        let mut session = Session::open(&plan.options.clone().database(database)).await?;
        let rows = session.rows(&expand(RELATIONS, session.major)).await?;
        session.close().await;
        open.retain(|(_, pattern)| !rows.iter().any(|row| pattern.takes_table(row.text(0), row.text(1))));
    }
    let Some((key, pattern)) = open.first() else { return Ok(()) };
    let place = match databases {
        [one] => format!("in database {one}"),
        several => format!("in any of the {} databases", several.len()),
    };
    Err(Error::NoMatch { key, pattern: pattern.written().to_owned(), place })
}
