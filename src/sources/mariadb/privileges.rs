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
    /// The columns that privileges are limited to.
    pub(super) columns: BTreeSet<String>,
    /// Who has them, as the server writes it.
    grantee: String,
}

impl Grant {
    /// Reads a line as `SHOW GRANTS` writes it; `None` for roles, proxies and defaults, which name no object.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("GRANT ")?;
        let on = outside_of_quotes(rest, " ON ")?;
        let (list, rest) = (&rest[..on], &rest[on + 4..]);
        let to = outside_of_quotes(rest, " TO ")?;
        let (target, after) = (&rest[..to], &rest[to + 4..]);
        let grantee = after[..outside_of_quotes(after, " ").unwrap_or(after.len())].to_owned();
        let dot = outside_of_quotes(target, ".")?;
        let (left, object) = (&target[..dot], unquoted(&target[dot + 1..]));
        let (class, database) = match left.find('`') {
            Some(at) => (left[..at].trim().to_owned(), unquoted(&left[at..])),
            None => (String::new(), left.trim().to_owned()),
        };
        let (mut privileges, mut columns) = (BTreeSet::new(), BTreeSet::new());
        for part in parts(list) {
            let (privilege, limited) = limits(part);
            privileges.insert(privilege.to_uppercase());
            columns.extend(limited);
        }
        (!privileges.contains("PROXY")).then_some(Self {
            privileges,
            class,
            database,
            object,
            columns,
            grantee,
        })
    }

    fn gives(&self, privilege: &str) -> bool {
        self.privileges.contains(privilege) || self.privileges.contains("ALL PRIVILEGES")
    }

    fn is_of_tables(&self) -> bool {
        self.class.is_empty() && self.object == "*"
    }

    /// Whether it is about a whole database, and this one among others.
    fn is_about(&self, database: &str) -> bool {
        self.is_of_tables() && self.database != "*" && like(&self.database, database)
    }

    /// How much of the database's name is written before the first wildcard.
    fn certainty(&self) -> usize {
        let mut characters = self.database.chars().enumerate();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => drop(characters.next()),
                '%' | '_' => return at,
                _ => {}
            }
        }
        usize::MAX
    }
}

/// The line of a grant without the columns that are not `there`, and without the privileges that then have none;
/// `None` if no privilege is left.
pub(super) fn without_columns(line: &str, there: impl Fn(&str) -> bool) -> Option<String> {
    let rest = line.strip_prefix("GRANT ")?;
    let (list, rest) = rest.split_at(outside_of_quotes(rest, " ON ")?);
    let kept = parts(list).into_iter().filter_map(|part| {
        let (privilege, columns) = limits(part);
        let kept: Vec<String> =
            columns.iter().filter(|column| there(column)).map(|column| sql::quoted(column)).collect();
        match (columns.is_empty(), kept.is_empty()) {
            (true, _) => Some(privilege.to_owned()),
            (false, true) => None,
            (false, false) => Some(format!("{privilege} ({})", kept.join(", "))),
        }
    });
    let kept: Vec<String> = kept.collect();
    (!kept.is_empty()).then(|| format!("GRANT {}{rest}", kept.join(", ")))
}

/// Whether grants give a privilege on a database, or with `*` on everything.
///
/// Of the grants that one account or role has on databases the server takes one, that whose pattern is the most
/// certain: what another gives on the same database does not count.
fn give(grants: &[Grant], privilege: &str, database: &str) -> bool {
    let global = |grant: &&Grant| grant.is_of_tables() && grant.database == "*";
    if grants.iter().filter(global).any(|grant| grant.gives(privilege)) {
        return true;
    }
    let about: Vec<&Grant> = grants.iter().filter(|grant| grant.is_about(database)).collect();
    about.iter().any(|grant| {
        let rivals = about.iter().filter(|rival| rival.grantee == grant.grantee);
        let best = rivals.clone().map(|rival| rival.certainty()).max();
        // Of two that are equally certain it is not known which the server takes.
        rivals.filter(|rival| Some(rival.certainty()) == best).all(|rival| rival.gives(privilege))
    })
}

/// What the user may not see of the databases meant. Empty: everything can be dumped.
pub(super) async fn missing(
    session: &mut Session,
    plan: &Plan,
    databases: &[String],
) -> Result<Vec<Missing>, Error> {
    let grants = grants(session).await?;
    let has = |privilege: &str, database: &str| give(&grants, privilege, database);
    let mut missing = Vec::new();
    if plan.database_globs.are_open() && !has("SELECT", "*") && !has("SHOW DATABASES", "*") {
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

/// Whether the server refused because the user may not see this.
pub(super) fn is_denied(error: &Error) -> bool {
    // ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR
    matches!(error, Error::Statement { code: Some(1142 | 1143), .. })
}

/// Whether the user may take the global read lock.
pub(super) async fn may_lock(session: &mut Session) -> Result<bool, Error> {
    Ok(give(&grants(session).await?, "RELOAD", "*"))
}

/// Whether the user may read every table and call every function, so that what it cannot open nobody can.
pub(super) async fn may_read_and_execute_all(session: &mut Session) -> Result<bool, Error> {
    let grants = grants(session).await?;
    Ok(["SELECT", "EXECUTE"].iter().all(|privilege| give(&grants, privilege, "*")))
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

/// The parts of a list between commas.
fn parts(list: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), list);
    while let Some(at) = outside_of_quotes(rest, ",") {
        found.push(rest[..at].trim());
        rest = &rest[at + 1..];
    }
    found.push(rest.trim());
    found
}

/// A privilege and the columns that it is limited to.
fn limits(part: &str) -> (&str, Vec<String>) {
    match part.split_once('(') {
        Some((privilege, columns)) => {
            let columns = columns.strip_suffix(')').unwrap_or(columns);
            (privilege.trim(), parts(columns).into_iter().map(unquoted).collect())
        }
        None => (part, Vec::new()),
    }
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
        let one = |grant: &Grant, privilege, database| give(std::slice::from_ref(grant), privilege, database);
        assert!(one(&all, "TRIGGER", "shop"));
        let some = grant("GRANT SELECT, SHOW VIEW ON `sh\\_op%`.* TO `u`@`%`");
        assert!(one(&some, "SELECT", "sh_op1") && one(&some, "SHOW VIEW", "sh_op"));
        assert!(!one(&some, "SELECT", "shxop") && !one(&some, "EVENT", "sh_op"));
        let columns = grant("GRANT SELECT (`a ON b`, `c`), INSERT ON `d`.`t ON x`.`y` TO `u`@`%`");
        assert_eq!(columns.privileges, ["SELECT", "INSERT"].map(String::from).into());
        assert_eq!(columns.columns, ["a ON b", "c"].map(String::from).into());
        let routine = grant("GRANT EXECUTE ON PACKAGE BODY `d`.`p``q` TO PUBLIC");
        assert_eq!((routine.class.as_str(), routine.object.as_str()), ("PACKAGE BODY", "p`q"));
        assert!(Grant::parse("GRANT `r1` TO `u`@`%`").is_none());
        assert!(Grant::parse("GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION").is_none());
    }

    #[test]
    fn the_most_certain_grant_of_an_account_is_the_one_that_counts() {
        let grants = |lines: &[&str]| lines.iter().map(|line| grant(line)).collect::<Vec<_>>();
        let wide = "GRANT SELECT, TRIGGER ON `%`.* TO `b`@`%`";
        let named = "GRANT SELECT ON `sh\\_op`.* TO `b`@`%`";
        assert!(give(&grants(&[wide, named]), "TRIGGER", "other"));
        assert!(!give(&grants(&[wide, named]), "TRIGGER", "sh_op"));
        assert!(give(&grants(&[wide, named]), "SELECT", "sh_op"));
        assert!(give(&grants(&[wide, named, "GRANT TRIGGER ON *.* TO `b`@`%`"]), "TRIGGER", "sh_op"));
        let role = "GRANT SELECT, TRIGGER ON `sh%`.* TO `r`";
        assert!(give(&grants(&[wide, named, role]), "TRIGGER", "sh_op"), "a role's come on top");
        let equal = "GRANT SELECT ON `sh_op`.* TO `b`@`%`";
        let other = "GRANT SELECT, TRIGGER ON `sh%`.* TO `b`@`%`";
        assert!(!give(&grants(&[equal, other]), "TRIGGER", "sh_op"));
    }

    #[test]
    fn columns_that_are_gone_go() {
        let without = |line: &str, gone: &str| without_columns(line, |column| column != gone);
        let line =
            "GRANT SELECT (`a`, `b,)`), INSERT, UPDATE (`b,)`) ON `d`.`t` TO `u`@`%` WITH GRANT OPTION";
        assert_eq!(without(line, "c").as_deref(), Some(line));
        assert_eq!(
            without(line, "b,)").as_deref(),
            Some("GRANT SELECT (`a`), INSERT ON `d`.`t` TO `u`@`%` WITH GRANT OPTION")
        );
        assert_eq!(without("GRANT SELECT (`a`) ON `d`.`t` TO `u`@`%`", "a"), None);
    }
}
