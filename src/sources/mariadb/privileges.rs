//! What the user may see, from `SHOW GRANTS`: what it may not see would be missing from the dump without a word.

use std::collections::BTreeSet;

use super::config::Plan;
use super::connect::{Session, lossy};
use super::{Error, globs, sql};
use crate::sources::Missing;

/// A privilege on a database, and what a dump loses without it.
const NEEDED: [(&str, &str); 4] =
    [("SELECT", "rows"), ("SHOW VIEW", "views"), ("TRIGGER", "triggers"), ("EVENT", "events")];

/// One line of `SHOW GRANTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// The privileges, in capitals, without column lists.
    pub(super) privileges: BTreeSet<String>,
    /// `PROCEDURE`, `PACKAGE` …; empty for tables.
    pub(super) class: String,
    /// The database, possibly a pattern, or `*`.
    pub(super) database: String,
    /// The object in it, or `*`.
    pub(super) object: String,
}

impl Grant {
    /// Reads a line as `SHOW GRANTS` writes it; `None` for roles, proxies and defaults, which name no object.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("GRANT ")?;
        let on = outside_of_quotes(rest, " ON ")?;
        let (list, rest) = (&rest[..on], &rest[on + 4..]);
        let to = outside_of_quotes(rest, " TO ")?;
        let target = &rest[..to];
        let dot = outside_of_quotes(target, ".")?;
        let (left, object) = (&target[..dot], unquoted(&target[dot + 1..]));
        let (class, database) = match left.find('`') {
            Some(at) => (left[..at].trim().to_owned(), unquoted(&left[at..])),
            None => (String::new(), left.trim().to_owned()),
        };
        let mut privileges = BTreeSet::new();
        let mut depth = 0;
        let mut word = String::new();
        for character in list.chars().chain([',']) {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                ',' if depth == 0 => {
                    privileges.insert(std::mem::take(&mut word).trim().to_uppercase());
                }
                _ if depth == 0 => word.push(character),
                _ => {}
            }
        }
        (!privileges.contains("PROXY")).then_some(Self { privileges, class, database, object })
    }

    fn gives(&self, privilege: &str, database: &str) -> bool {
        self.class.is_empty()
            && self.object == "*"
            && (self.database == "*" || like(&self.database, database))
            && (self.privileges.contains(privilege) || self.privileges.contains("ALL PRIVILEGES"))
    }
}

/// What the user may not see of the databases meant. Empty: everything can be dumped.
pub(super) async fn missing(
    session: &mut Session,
    plan: &Plan,
    databases: &[String],
) -> Result<Vec<Missing>, Error> {
    let grants = grants(session).await?;
    let has = |privilege: &str, database: &str| grants.iter().any(|grant| grant.gives(privilege, database));
    let mut missing = Vec::new();
    if plan.database_globs.is_empty() && !has("SELECT", "*") && !has("SHOW DATABASES", "*") {
        let why = "SHOW DATABASES is not granted: there may be others that the user does not see".to_owned();
        missing.push(Missing { name: "databases".to_owned(), why });
    }
    for database in databases {
        for (privilege, loss) in NEEDED {
            if !has(privilege, database) {
                let why = format!("{privilege} is not granted on {}", sql::quoted(database));
                missing.push(Missing { name: format!("{loss} of {database}"), why });
            }
        }
        let routines = has("SELECT", "mysql") || has("SHOW CREATE ROUTINE", database);
        if !routines {
            let why = "neither SELECT on `mysql` nor SHOW CREATE ROUTINE is granted".to_owned();
            missing.push(Missing { name: format!("routines of {database}"), why });
        }
    }
    if plan.system && !has("SELECT", "mysql") {
        let why = "SELECT is not granted on `mysql`".to_owned();
        missing.push(Missing { name: "users and grants".to_owned(), why });
    }
    Ok(missing)
}

/// Whether the user may take the global read lock.
pub(super) async fn may_lock(session: &mut Session) -> Result<bool, Error> {
    Ok(grants(session).await?.iter().any(|grant| grant.gives("RELOAD", "*")))
}

/// Whether the user may read every table and call every function, so that what it cannot open nobody can.
pub(super) async fn may_read_and_execute_all(session: &mut Session) -> Result<bool, Error> {
    let grants = grants(session).await?;
    Ok(["SELECT", "EXECUTE"].iter().all(|privilege| grants.iter().any(|grant| grant.gives(privilege, "*"))))
}

async fn grants(session: &mut Session) -> Result<Vec<Grant>, Error> {
    let rows = session.rows("cannot read the user's privileges", "SHOW GRANTS").await?;
    let lines = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).map(lossy);
    Ok(lines.filter_map(|line| Grant::parse(&line)).collect())
}

/// Fails if anything is missing that the configuration does not accept.
pub(super) async fn check(
    session: &mut Session,
    plan: &Plan,
    databases: &[String],
) -> Result<Vec<Missing>, Error> {
    let missing = missing(session, plan, databases).await?;
    if missing.is_empty() || plan.allow_missing_privileges {
        return Ok(missing);
    }
    let user =
        session.text("cannot read the user's name", "SELECT CURRENT_USER()").await?.unwrap_or_default();
    let list: Vec<String> = missing.iter().map(|lost| format!("{} ({})", lost.name, lost.why)).collect();
    Err(Error::Privileges { user, missing: list.join("; ") })
}

/// Whether a name is the server's own database.
pub(super) fn is_system(database: &str) -> bool {
    globs::SYSTEM.contains(&database)
}

/// Where a text begins outside of backticks and parentheses.
fn outside_of_quotes(line: &str, wanted: &str) -> Option<usize> {
    let (mut quoted, mut depth) = (false, 0);
    for (at, character) in line.char_indices() {
        match character {
            '`' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if !quoted && depth == 0 && line[at..].starts_with(wanted) {
            return Some(at);
        }
    }
    None
}

fn unquoted(name: &str) -> String {
    let name = name.trim();
    match name.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(inner) => inner.replace("``", "`"),
        None => name.to_owned(),
    }
}

/// The pattern match of database names in grants: `%`, `_` and `\`.
fn like(pattern: &str, name: &str) -> bool {
    let mut pattern = pattern.chars();
    match pattern.next() {
        None => name.is_empty(),
        Some('%') => {
            let rest = pattern.as_str();
            name.char_indices().map(|(at, _)| &name[at..]).chain([""]).any(|tail| like(rest, tail))
        }
        Some(first) => {
            let literal = if first == '\\' { pattern.next().unwrap_or('\\') } else { first };
            let mut tail = name.chars();
            let next = tail.next();
            let fits = if first == '_' { next.is_some() } else { next == Some(literal) };
            fits && like(pattern.as_str(), tail.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(line: &str) -> Grant {
        Grant::parse(line).unwrap()
    }

    #[test]
    fn grants_are_read_as_the_server_writes_them() {
        let all = grant("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION");
        assert!(all.gives("TRIGGER", "shop"));
        let some = grant("GRANT SELECT, SHOW VIEW ON `sh\\_op%`.* TO `u`@`%`");
        assert!(some.gives("SELECT", "sh_op1") && some.gives("SHOW VIEW", "sh_op"));
        assert!(!some.gives("SELECT", "shxop") && !some.gives("EVENT", "sh_op"));
        let columns = grant("GRANT SELECT (`a ON b`, `c`), INSERT ON `d`.`t ON x`.`y` TO `u`@`%`");
        assert_eq!(columns.privileges, ["SELECT", "INSERT"].map(String::from).into());
        let routine = grant("GRANT EXECUTE ON PACKAGE BODY `d`.`p``q` TO PUBLIC");
        assert_eq!((routine.class.as_str(), routine.object.as_str()), ("PACKAGE BODY", "p`q"));
        assert!(Grant::parse("GRANT `r1` TO `u`@`%`").is_none());
        assert!(Grant::parse("GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION").is_none());
    }
}
