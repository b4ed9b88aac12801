//! What a role that is no superuser cannot see, so that it is named instead of missing in silence.

use super::super::Error;
use super::super::select::Selector;
use super::super::session::Session;
use crate::sources::Missing;

/// The one catalog with a column that only superusers may read.
const SUBSCRIPTIONS: &str = "SELECT has_column_privilege('pg_subscription', 'subconninfo', 'SELECT')::text";

/// Subscriptions of this database, without what they connect to.
const NAMES: &str = "SELECT s.subname FROM pg_subscription s
WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1";

/// User mappings whose options the server hides: the condition of the view `pg_user_mappings`, the other way round.
const HIDDEN: &str = "SELECT m.srvname, m.usename FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid
WHERE m.umoptions IS NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
AND NOT (m.umuser <> 0 AND m.usename = current_user AND (pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE')))
AND NOT (m.umuser = 0 AND pg_has_role(s.srvowner, 'USAGE')) ORDER BY 1, 2";

/// Whether the query of a class may run at all.
pub(super) async fn may_read(session: &mut Session, label: &str) -> Result<bool, Error> {
    Ok(label != "subscription" || session.value(SUBSCRIPTIONS).await? == "true")
}

/// What the server has and does not show to this role.
pub(super) async fn missing(session: &mut Session, selector: &Selector) -> Result<Vec<Missing>, Error> {
    let mut missing = Vec::new();
    if !selector.takes_all_schemas() {
        return Ok(missing);
    }
    let why = "only a superuser can read what it connects with";
    if !may_read(session, "subscription").await? {
        for row in session.rows(NAMES).await? {
            let name = format!("subscription {} of {}", row.text(0), session.database);
            missing.push(Missing { name, why: why.to_owned() });
        }
    }
    for row in session.rows(HIDDEN).await? {
        let (server, user) = (row.text(0), row.text(1));
        let name = format!("options of the user mapping of {user} for {server} in {}", session.database);
        missing.push(Missing { name, why: why.to_owned() });
    }
    Ok(missing)
}
