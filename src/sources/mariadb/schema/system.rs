//! What belongs to the server and to no database: plugins, loadable functions, servers, users, roles and grants.
//!
//! Users come before everything that names them as definer; grants come after everything that they are about, because
//! the server refuses a grant on a table or routine that is not there.

use std::collections::{BTreeMap, BTreeSet};

use super::super::catalog::{self, Table};
use super::super::config::Plan;
use super::super::connect::Session;
use super::super::privileges::{Grant, is_system, without_columns};
use super::super::script::Script;
use super::super::tally::Tally;
use super::super::{Error, sql};
use super::views::View;
use super::{RESTORING_MODE, cell, hidden};

/// `ER_PASSWORD_NO_MATCH`: the account is stored and not in use, as one with a host's name under `skip_name_resolve`.
const IGNORED: u16 = 1133;

/// The account that the server makes for itself.
const OWN: &str = "mariadb.sys";

/// A user, a role, or `PUBLIC`.
struct Account {
    user: String,
    host: String,
    role: bool,
    /// Whether its password is expired, as an administrator has it, whatever its age.
    expired: bool,
    /// The role that it begins with.
    default_role: String,
}

impl Account {
    fn quoted(&self) -> String {
        match (self.role, self.user.as_str()) {
            (true, "PUBLIC") => "PUBLIC".to_owned(),
            (true, user) => sql::quoted(user),
            (false, user) => format!("{}@{}", sql::quoted(user), sql::quoted(&self.host)),
        }
    }
}

/// Writes plugins but those that judge passwords, loadable functions, servers, users and roles; returns what should be
/// known.
pub(in super::super) async fn before(
    control: &mut Session,
    script: &mut Script,
    tally: &mut Tally,
) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    plugins(control, script, tally, false).await?;
    loadable(control, script, tally).await?;
    servers(control, script, tally).await?;
    for account in accounts(control).await? {
        let name = account.quoted();
        if account.role {
            if account.user != "PUBLIC" {
                script.statement(format!("CREATE ROLE IF NOT EXISTS {name}"));
            }
        } else {
            let doing = format!("cannot read the user {name}");
            let query = format!("SHOW CREATE USER {name}");
            let shown = match control.rows(&doing, query).await {
                Ok(rows) => rows.iter().map(|row| cell(row, 0)).collect::<Vec<_>>(),
                Err(Error::Statement { code: Some(IGNORED), .. }) => {
                    notes.push(format!("the server itself ignores the user {name}: not dumped"));
                    tally.emit("accounts");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let (text, more) = shown.split_first().ok_or_else(|| hidden(&doing))?;
            let rest = text.strip_prefix("CREATE USER").unwrap_or(text);
            // A user that is there already, as root always is, gets the dump's password and limits.
            script.statement(format!("CREATE USER IF NOT EXISTS{rest}"));
            script.statement(format!("ALTER USER{rest}"));
            // Of an expired password, when the next one expires.
            for alter in more {
                script.statement(alter);
            }
        }
        tally.emit("accounts");
    }
    Ok(notes)
}

/// Writes the plugins: those that judge passwords, or the others. Under the former a server takes no user whose password
/// it is told as it keeps it, and so they come after all users.
async fn plugins(
    control: &mut Session,
    script: &mut Script,
    tally: &mut Tally,
    judging: bool,
) -> Result<(), Error> {
    let query = format!(
        "SELECT name, dl FROM mysql.plugin WHERE {} name IN (SELECT PLUGIN_NAME FROM information_schema.ALL_PLUGINS \
         WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION') ORDER BY name",
        if judging { "" } else { "NOT" }
    );
    for row in control.rows("cannot list the plugins", query).await? {
        let (name, library) = (sql::quoted(&cell(&row, 0)), sql::literal(&cell(&row, 1)));
        script.statement(format!("INSTALL PLUGIN IF NOT EXISTS {name} SONAME {library}"));
        tally.emit("plugins");
    }
    Ok(())
}

async fn loadable(control: &mut Session, script: &mut Script, tally: &mut Tally) -> Result<(), Error> {
    let query = "SELECT name, ret, dl, type FROM mysql.func ORDER BY name";
    for row in control.rows("cannot list the loadable functions", query).await? {
        let (name, library) = (cell(&row, 0), cell(&row, 2));
        let returns = match cell(&row, 1).as_str() {
            "0" => "STRING",
            "1" => "REAL",
            "2" => "INTEGER",
            "4" => "DECIMAL",
            other => return Err(Error::UnknownClass { name, class: format!("function returning {other}") }),
        };
        let aggregate = if cell(&row, 3) == "aggregate" { "AGGREGATE " } else { "" };
        let (name, library) = (sql::quoted(&name), sql::literal(&library));
        script.statement(format!(
            "CREATE {aggregate}FUNCTION IF NOT EXISTS {name} RETURNS {returns} SONAME {library}"
        ));
        tally.emit("loadable_functions");
    }
    Ok(())
}

/// The options of a server that every version knows, in the order of their columns.
const SERVER_OPTIONS: [&str; 7] = ["HOST", "DATABASE", "USER", "PASSWORD", "PORT", "SOCKET", "OWNER"];

async fn servers(control: &mut Session, script: &mut Script, tally: &mut Tally) -> Result<(), Error> {
    // From 11.7 on a server may have options of any name, which stand in a column of their own, with all others.
    let column = "SELECT COUNT(*) FROM information_schema.COLUMNS \
                  WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'servers' AND COLUMN_NAME = 'Options'";
    let any = control.text("cannot list the servers", column).await?.is_some_and(|count| count != "0");
    let query = format!(
        "SELECT Server_name, Wrapper, Host, Db, Username, Password, Port, Socket, Owner, {} \
         FROM mysql.servers ORDER BY Server_name",
        if any { "Options" } else { "'{}'" }
    );
    for row in control.rows("cannot list the servers", query).await? {
        let known =
            SERVER_OPTIONS.iter().enumerate().map(|(at, option)| ((*option).to_owned(), cell(&row, at + 2)));
        let known = known.filter(|(option, value)| !value.is_empty() && (option != "PORT" || value != "0"));
        let mut options = named(&cell(&row, 9)).ok_or_else(|| Error::UnknownClass {
            name: cell(&row, 0),
            class: "server with options that are no JSON object of texts".to_owned(),
        })?;
        if options.is_empty() {
            options = known.collect();
            // Neither an empty list is taken nor one without any of these, and an empty host is none.
            if !options.iter().any(|(option, _)| option == "HOST" || option == "SOCKET") {
                options.push(("HOST".to_owned(), String::new()));
            }
        }
        let options: Vec<String> =
            options.iter().map(|(option, value)| server_option(option, value)).collect();
        let (name, wrapper) = (sql::quoted(&cell(&row, 0)), sql::quoted(&cell(&row, 1)));
        let options = options.join(", ");
        script.statement(format!(
            "CREATE OR REPLACE SERVER {name} FOREIGN DATA WRAPPER {wrapper} OPTIONS ({options})"
        ));
        tally.emit("servers");
    }
    Ok(())
}

/// The members of a JSON object of texts, in their order.
fn named(json: &str) -> Option<Vec<(String, String)>> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).ok()?;
    object.into_iter().map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

/// An option as it is written: those that every version knows are words and no names.
fn server_option(option: &str, value: &str) -> String {
    let known = SERVER_OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(option));
    let number = option.eq_ignore_ascii_case("PORT") && value.bytes().all(|byte| byte.is_ascii_digit());
    let option = if known { option.to_owned() } else { sql::quoted(option) };
    let value = if number { value.to_owned() } else { sql::literal(value) };
    format!("{option} {value}")
}

async fn accounts(control: &mut Session) -> Result<Vec<Account>, Error> {
    let query = "SELECT User, Host, JSON_VALUE(Priv, '$.is_role'), JSON_VALUE(Priv, '$.password_last_changed'), \
                 JSON_VALUE(Priv, '$.default_role') FROM mysql.global_priv ORDER BY BINARY User, BINARY Host";
    let rows = control.rows("cannot list the users", query).await?;
    let accounts = rows.iter().map(|row| Account {
        user: cell(row, 0),
        host: cell(row, 1),
        role: matches!(cell(row, 2).as_str(), "1" | "true"),
        expired: cell(row, 3) == "0",
        default_role: cell(row, 4),
    });
    Ok(accounts.filter(|account| account.user != OWN).collect())
}

/// What grants may be about: the objects that are in the dump.
pub(in super::super) struct Known {
    tables: BTreeSet<(String, String)>,
    routines: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Known {
    /// Reads the names of the dump's tables, views and routines. Views `without` a placeholder are not in the dump, or as
    /// comments only.
    pub(in super::super) async fn read(
        control: &mut Session,
        plan: &Plan,
        tables: &[Table],
        without: &BTreeSet<View>,
        databases: &[String],
    ) -> Result<Self, Error> {
        let mut known = Self { tables: BTreeSet::new(), routines: BTreeMap::new() };
        known.tables.extend(tables.iter().map(|table| (table.database.clone(), table.name.clone())));
        for database in databases {
            for view in catalog::views(control, plan, database).await? {
                known.tables.insert((database.clone(), view));
            }
            known.tables.retain(|view| !without.contains(view));
            let query = format!(
                "SELECT ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {}",
                sql::literal(database)
            );
            for row in control.rows("cannot list the routines", query).await? {
                let key = (database.clone(), cell(&row, 0).to_lowercase());
                known.routines.entry(key).or_default().insert(cell(&row, 1));
            }
        }
        Ok(known)
    }

    fn has(&self, grant: &Grant) -> bool {
        if grant.object == "*" || is_system(&grant.database) {
            return true;
        }
        let key = (grant.database.clone(), grant.object.clone());
        if grant.class.is_empty() || grant.class == "TABLE" {
            return self.tables.contains(&key);
        }
        let key = (key.0, key.1.to_lowercase());
        self.routines.get(&key).is_some_and(|classes| classes.contains(&grant.class))
    }
}

/// Writes the grants, and the plugins that judge passwords. A grant on something that is not in the dump would end a
/// restore: it is kept as a comment, and noted.
pub(in super::super) async fn grants(
    control: &mut Session,
    script: &mut Script,
    known: &Known,
    tally: &mut Tally,
) -> Result<Vec<String>, Error> {
    let (mut notes, mut in_use) = (Vec::new(), BTreeSet::new());
    let mapped = mapped(control).await?;
    for account in accounts(control).await? {
        let name = account.quoted();
        let doing = format!("cannot read the grants of {name}");
        let granted = match control.rows(&doing, format!("SHOW GRANTS FOR {name}")).await {
            // Named among the notes already, with the user.
            Err(Error::Statement { code: Some(1141 | IGNORED), .. }) => continue,
            granted => granted?,
        };
        in_use.insert((account.user.clone(), account.host.clone()));
        for row in granted {
            let line = cell(&row, 0);
            if line.starts_with("GRANT PROXY ") {
                // Shown with another host than the stored one: see `proxies`.
                continue;
            }
            let holds =
                || mapped.contains(&[&account.user, &account.host, &account.default_role].map(Clone::clone));
            if line.starts_with("SET DEFAULT ROLE ") && !holds() {
                script.comment(&line);
                let role = sql::quoted(&account.default_role);
                notes.push(format!("the default role of {name} is {role}, which it has not"));
                continue;
            }
            let Some(grant) = Grant::parse(&line) else {
                script.statement(line);
                tally.count("grants");
                continue;
            };
            if !known.has(&grant) {
                script.comment(&line);
                let object = format!("{}.{}", grant.database, grant.object);
                notes.push(format!("a grant to {name} is about {object}, which is not in the dump"));
            } else if grant.class.starts_with("PACKAGE") {
                // The only mode in which every version reads a grant on a package.
                script.statement("SET sql_mode = 'ORACLE'");
                script.statement(line);
                script.statement(format!("SET sql_mode = '{RESTORING_MODE}'"));
            } else if let Some(gone) = columns_gone(control, &grant).await? {
                let object = format!("{}.{}", grant.database, grant.object);
                script.comment(&line);
                if let Some(line) = without_columns(&line, |column| !gone.contains(&column.to_lowercase())) {
                    script.statement(line);
                }
                let gone: Vec<String> = gone.into_iter().collect();
                notes.push(format!(
                    "a grant to {name} is about columns that {object} has not: {}",
                    gone.join(", ")
                ));
            } else {
                script.statement(line);
            }
            tally.count("grants");
        }
        if account.expired {
            // A grant that tells a password makes it a new one.
            script.statement(format!("ALTER USER {name} PASSWORD EXPIRE"));
        }
    }
    proxies(control, script, tally, &in_use).await?;
    creators(control, script).await?;
    plugins(control, script, tally, true).await?;
    Ok(notes)
}

/// Who has which role: user, host and role. A server keeps a default role that was taken away, and takes no such one.
async fn mapped(control: &mut Session) -> Result<BTreeSet<[String; 3]>, Error> {
    let query = "SELECT User, Host, Role FROM mysql.roles_mapping";
    let rows = control.rows("cannot list the roles", query).await?;
    Ok(rows.iter().map(|row| [cell(row, 0), cell(row, 1), cell(row, 2)]).collect())
}

/// The columns that a grant is about and that its table does not have, in lower case: a server keeps the privileges of a
/// column that is dropped, shows them, and takes no grant of them.
async fn columns_gone(control: &mut Session, grant: &Grant) -> Result<Option<BTreeSet<String>>, Error> {
    if grant.columns.is_empty() {
        return Ok(None);
    }
    let columns = catalog::columns(control, &grant.database, &grant.object).await?;
    if columns.is_empty() {
        // The server does not tell those of a view in which a reader writes, by NEXTVAL for one.
        return Ok(None);
    }
    let there: BTreeSet<String> = columns.iter().map(|column| column.name.to_lowercase()).collect();
    let mut gone: BTreeSet<String> = grant.columns.iter().map(|column| column.to_lowercase()).collect();
    gone.retain(|column| !there.contains(column));
    Ok((!gone.is_empty()).then_some(gone))
}

/// Writes who may act as whom. The row without any proxied account is the installer's own for `root`: every server has
/// it, and no statement can make it.
async fn proxies(
    control: &mut Session,
    script: &mut Script,
    tally: &mut Tally,
    in_use: &BTreeSet<(String, String)>,
) -> Result<(), Error> {
    let query = "SELECT Proxied_user, Proxied_host, User, Host, With_grant FROM mysql.proxies_priv \
                 ORDER BY BINARY User, BINARY Host, BINARY Proxied_user, BINARY Proxied_host";
    for row in control.rows("cannot list the proxies", query).await? {
        let installers = cell(&row, 0).is_empty() && cell(&row, 1).is_empty();
        if installers || !in_use.contains(&(cell(&row, 2), cell(&row, 3))) {
            continue;
        }
        let account = |at| format!("{}@{}", sql::literal(&cell(&row, at)), sql::literal(&cell(&row, at + 1)));
        let option = if cell(&row, 4) == "1" { " WITH GRANT OPTION" } else { "" };
        script.statement(format!("GRANT PROXY ON {} TO {}{option}", account(0), account(2)));
        tally.count("proxies");
    }
    Ok(())
}

/// Takes away what the creation of a role gave to whoever restores, unless the dump's server gave it as well. A role that
/// was there already may have given nothing, and then is not this user's to take.
async fn creators(control: &mut Session, script: &mut Script) -> Result<(), Error> {
    let mut holders: BTreeMap<String, [Vec<String>; 2]> = BTreeMap::new();
    for account in
        accounts(control).await?.into_iter().filter(|account| account.role && account.user != "PUBLIC")
    {
        holders.entry(account.user).or_default();
    }
    let query = "SELECT Role, CONCAT(User, '@', Host), Admin_option FROM mysql.roles_mapping ORDER BY 1, 2";
    for row in control.rows("cannot list the roles", query).await? {
        let lists = holders.entry(cell(&row, 0)).or_default();
        lists[usize::from(cell(&row, 2) == "Y")].push(sql::literal(&cell(&row, 1)));
    }
    for (role, [plain, admins]) in holders {
        let test = |list: Vec<String>| {
            if list.is_empty() {
                "FALSE".to_owned()
            } else {
                format!("CURRENT_USER() IN ({})", list.join(", "))
            }
        };
        let (plain, admins) = (test(plain), test(admins));
        script.statement(format!(
            "SET @chupacabra = (SELECT COUNT(*) FROM information_schema.APPLICABLE_ROLES \
             WHERE GRANTEE = CURRENT_USER() AND IS_GRANTABLE = 'YES' AND BINARY ROLE_NAME = {})",
            sql::literal(&role)
        ));
        let role = sql::quoted(&role);
        let less = sql::literal(&format!("REVOKE ADMIN OPTION FOR {role} FROM CURRENT_USER"));
        let none = sql::literal(&format!("REVOKE {role} FROM CURRENT_USER"));
        script.statement(format!(
            "EXECUTE IMMEDIATE CASE WHEN @chupacabra = 0 OR {admins} THEN 'DO 0' WHEN {plain} THEN {less} ELSE {none} END"
        ));
    }
    Ok(())
}

/// Counts what the server has.
pub(super) async fn expect(control: &mut Session, tally: &mut Tally) -> Result<(), Error> {
    for (class, table) in [
        ("plugins", "mysql.plugin"),
        ("loadable_functions", "mysql.func"),
        ("servers", "mysql.servers"),
        ("accounts", "mysql.global_priv WHERE User <> 'mariadb.sys'"),
    ] {
        tally.expect(class, control.count("cannot count", &format!("SELECT COUNT(*) FROM {table}")).await?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_servers_are_words_or_names() {
        assert_eq!(server_option("host", "it's"), "host 'it\\'s'");
        assert_eq!(server_option("PORT", "44"), "PORT 44");
        assert_eq!(server_option("zo`ne", ""), "`zo``ne` ''");
        let two = [("b", "x\"y"), ("a", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(named(r#"{"b": "x\"y", "a": ""}"#), Some(two.into()));
        assert_eq!(named("{}"), Some(Vec::new()));
        assert_eq!((named(r#"{"a": 1}"#), named("[]"), named("")), (None, None, None));
    }
}
