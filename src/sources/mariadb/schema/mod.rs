//! Definitions: what stands in a dump beside the rows.

mod defaults;
pub(super) mod events;
mod members;
pub(super) mod one;
mod program;
pub(super) mod routines;
pub(super) mod system;
mod translated;
pub(super) mod triggers;
pub(super) mod views;

use std::collections::BTreeSet;

use super::catalog::{self, Table};
use super::config::Plan;
use super::connect::{Cell, Session, lossy};
use super::dump::Part;
use super::fingerprint::Rows;
use super::names::{self, Place};
use super::script::{Label, Script};
use super::snapshot::Snapshot;
use super::tally::Tally;
use super::{Error, sql};
use crate::package::member::{Header, Object, Time};
use crate::package::outlet::Outlet;

/// The `sql_mode` under which a dump is restored.
///
/// Zero as an explicit value of an `AUTO_INCREMENT` column stays zero; an engine that is missing is an error and not
/// replaced; days like February 30th that a column holds are kept.
pub(super) const RESTORING_MODE: &str = "NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES";

/// The settings under which all other members are restored.
///
/// A `TIMESTAMP NOT NULL` without a default value has none wherever it is restored: where servers give it one, it would be
/// the time of each change.
const SETTINGS: [&str; 3] = [
    "SET NAMES utf8mb4",
    "SET SESSION time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES'",
    "SET SESSION unique_checks = 0, foreign_key_checks = 0, check_constraint_checks = 0, sql_notes = 0, \
     autocommit = 1, innodb_strict_mode = 0 /*M!101100 , explicit_defaults_for_timestamp = 1 */",
];

/// What a server needs that logs changes as statements: it takes the state of no sequence otherwise. Whoever restores
/// elsewhere needs no right to say so.
pub(super) const LOGGED_BY_ROW: &str = "EXECUTE IMMEDIATE IF(@@log_bin AND @@binlog_format = 'STATEMENT', \
     'SET SESSION binlog_format = ''ROW''', 'DO 0')";

/// The kind of label below which a database gets its charset, collation and comment: one that is there already, empty,
/// keeps its own otherwise, and routines made in it get those. Not wanted where a part of a package is restored.
pub(super) const DEFAULTS: &str = "defaults";

/// Why there is no definition where a server answers with NULL.
const HIDDEN: &str = "the server does not show it to this user";

/// The first member: the settings that all others rely on.
///
/// How many digits a quotient has is settled when a table is opened, by the session that opens it: for generated columns
/// as well, whose values a restore makes anew.
pub(super) async fn preamble(control: &mut Session, version: &str) -> Result<Script, Error> {
    let doing = "cannot read div_precision_increment";
    let digits = control.text(doing, "SELECT @@global.div_precision_increment").await?;
    let digits = digits.ok_or_else(|| hidden(doing))?;
    let mut script = Script::default();
    script.comment(&format!("Dump of MariaDB {version} by ChupaCabra."));
    script.comment("Restore on an empty server: tar xzO < this archive | mariadb");
    script.comment("One database: the members preamble.sql and db/NAME, in this order.");
    for setting in SETTINGS {
        script.statement(setting);
    }
    script.statement(format!("SET SESSION div_precision_increment = {digits}"));
    Ok(script)
}

/// Hands members and objects over.
#[derive(Debug, Clone)]
pub(super) struct Emitter {
    outlet: Outlet,
    mtime: Time,
}

impl Emitter {
    /// An emitter whose members carry the time of the snapshot.
    pub(super) fn new(outlet: Outlet, mtime: Time) -> Self {
        Self { outlet, mtime }
    }

    /// The package's end.
    pub(super) fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// Hands a member over that belongs to no table.
    pub(super) async fn member(&self, path: &str, script: Script) -> Result<(), Error> {
        let data = script.finish();
        let header = Header::data(path, "", data.len() as u64, self.mtime);
        Ok(self.outlet.member(header, data).await?)
    }

    /// Notes an object's fingerprint.
    pub(super) async fn object(&self, object: Object) -> Result<(), Error> {
        Ok(self.outlet.object(object).await?)
    }

    /// A member that grows.
    pub(super) fn part(&self, path: String) -> Part {
        Part::new(path, self.clone())
    }
}

/// Writes a database's definition, and enters it.
pub(super) async fn database(control: &mut Session, script: &mut Script, name: &str) -> Result<(), Error> {
    script.object(&Label::new("database", name, ""));
    database_for_more(control, script, name).await?;
    script.use_database(name);
    database_defaults(control, script, name).await
}

/// Writes what a database's tables and routines get where they say nothing of their own, and its comment.
async fn database_defaults(control: &mut Session, script: &mut Script, name: &str) -> Result<(), Error> {
    let query = format!(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT \
         FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
        sql::literal(name)
    );
    let doing = format!("cannot read the defaults of the database {name}");
    let row = control.rows(&doing, query).await?.into_iter().next().ok_or_else(|| hidden(&doing))?;
    script.object(&Label::new(DEFAULTS, name, ""));
    script.statement(format!(
        "ALTER DATABASE {} CHARACTER SET {} COLLATE {} COMMENT {}",
        sql::quoted(name),
        cell(&row, 0),
        cell(&row, 1),
        sql::literal(&cell(&row, 2))
    ));
    Ok(())
}

/// Writes a database's definition where it only is to be there: it comes with its label later, and is made once.
pub(super) async fn database_for_more(
    control: &mut Session,
    script: &mut Script,
    name: &str,
) -> Result<(), Error> {
    let query = format!("SHOW CREATE DATABASE IF NOT EXISTS {}", sql::quoted(name));
    let doing = format!("cannot read the definition of the database {name}");
    let definition = shown(control, &doing, &query, 1).await?;
    script.statement(definition);
    Ok(())
}

/// Writes a table's definition. Returns the sequences that its default values need.
pub(super) async fn table(
    control: &mut Session,
    script: &mut Script,
    table: &Table,
) -> Result<BTreeSet<(String, String)>, Error> {
    let query = format!("SHOW CREATE TABLE {}", sql::quoted(&table.name));
    let doing = format!("cannot read the definition of {}.{}", table.database, table.name);
    let definition = shown(control, &doing, &query, 1).await?;
    script.object(&Label::new("table", &table.database, &table.name));
    let needed = sequences(&definition);
    // `?` may stand for what the server does not show.
    let asks = table.has_rows() && definition.contains(&b'?');
    let definition = if table.engine == "ARCHIVE" && has_any_row(control, &doing, table).await? {
        without_next(definition)
    } else {
        definition
    };
    let (definition, unshown) = if asks {
        let unshown = defaults::unshown(control, table).await?;
        (members::unshown(control, table, definition).await?, unshown)
    } else {
        (definition, Vec::new())
    };
    script.statement(definition);
    for alter in unshown {
        script.statement(alter);
    }
    Ok(needed)
}

/// The sequences that a table's definition names, with their databases, as the server prints them.
fn sequences(definition: &[u8]) -> BTreeSet<(String, String)> {
    let chains = names::chains(definition).into_iter().filter(|chain| chain.place == Place::Table);
    let named = chains.filter_map(|chain| match chain.names.as_slice() {
        [database, sequence] => Some((names::name(definition, database), names::name(definition, sequence))),
        _ => None,
    });
    named.collect()
}

async fn has_any_row(control: &mut Session, doing: &str, table: &Table) -> Result<bool, Error> {
    let query = format!("SELECT 1 FROM {} LIMIT 1", sql::quoted(&table.name));
    Ok(!control.rows(doing, query).await?.is_empty())
}

/// The definition of an ARCHIVE table without its next number, where a key says that numbers are unique: such a table takes
/// no row below that, and counts on from its rows by itself.
fn without_next(mut definition: Vec<u8>) -> Vec<u8> {
    const NEXT: &[u8] = b"\n) ENGINE=ARCHIVE AUTO_INCREMENT=";
    // A string has no line ends.
    let place = |of: &[u8]| definition.windows(of.len()).position(|window| window == of);
    let unique = place(b"\n  PRIMARY KEY ").is_some() || place(b"\n  UNIQUE KEY ").is_some();
    if let Some(start) = place(NEXT).filter(|_| unique) {
        let digits = definition[start + NEXT.len()..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = start + NEXT.len() - b" AUTO_INCREMENT=".len();
        definition.drain(number..start + NEXT.len() + digits);
    }
    definition
}

/// Writes a sequence with its state; returns its fingerprint.
pub(super) async fn sequence(
    control: &mut Session,
    script: &mut Script,
    table: &Table,
) -> Result<Object, Error> {
    let doing = format!("cannot read the sequence {}.{}", table.database, table.name);
    let name = sql::quoted(&table.name);
    let definition = shown(control, &doing, &format!("SHOW CREATE SEQUENCE {name}"), 1).await?;
    script.object(&Label::new("sequence", &table.database, &table.name));
    script.statement(definition);
    let rows = control.rows(&doing, format!("SELECT * FROM {name}")).await?;
    let state = rows.into_iter().next().unwrap_or_default();
    let values: Vec<String> = state.iter().cloned().map(catalog::text).collect();
    // A sequence takes a whole row in place of its state, an exhausted one too, which SETVAL would refuse.
    script.statement(format!("INSERT INTO {name} VALUES ({})", values.join(",")));
    let mut fingerprint = Rows::default();
    for value in &state {
        fingerprint.value(value.as_deref());
    }
    fingerprint.end_row();
    Ok(Object { name: table.object(), kind: "sequence".to_owned(), fingerprint: fingerprint.finish() })
}

/// The cell of a `SHOW CREATE` that holds the definition. NULL means that the user may not see it.
async fn shown(control: &mut Session, doing: &str, query: &str, cell: usize) -> Result<Vec<u8>, Error> {
    let rows = control.rows(doing, query).await?;
    let cells: Vec<Cell> = rows.into_iter().next().unwrap_or_default();
    cells.into_iter().nth(cell).flatten().ok_or_else(|| hidden(doing))
}

fn hidden(doing: &str) -> Error {
    Error::Statement { doing: doing.to_owned(), why: HIDDEN.to_owned(), code: None }
}

/// Whether the server does not show something to this user.
pub(super) fn is_hidden(error: &Error) -> bool {
    matches!(error, Error::Statement { why, code: None, .. } if why == HIDDEN)
}

/// Counts what the server has, independently of the lists that were walked.
pub(super) async fn expect(snapshot: &mut Snapshot, plan: &Plan, tally: &mut Tally) -> Result<(), Error> {
    tally.expect("databases", snapshot.databases.len() as u64);
    if plan.system {
        system::expect(&mut snapshot.control, tally).await?;
    }
    for table in &snapshot.tables {
        let sequence = table.kind == catalog::TableKind::Sequence;
        tally.expect(if sequence { "sequences" } else { "tables" }, 1);
    }
    for database in snapshot.databases.clone() {
        let views = catalog::views(&mut snapshot.control, plan, &database).await?;
        tally.expect("views", views.len() as u64);
        for (class, table, column) in
            [("routines", "ROUTINES", "ROUTINE_SCHEMA"), ("events", "EVENTS", "EVENT_SCHEMA")]
        {
            let query = format!(
                "SELECT COUNT(*) FROM information_schema.{table} WHERE {column} = {}",
                sql::literal(&database)
            );
            tally.expect(class, snapshot.control.count("cannot count", &query).await?);
        }
    }
    Ok(())
}

/// Text of a cell that a `SHOW` has at this place.
fn cell(row: &[Cell], at: usize) -> String {
    row.get(at).cloned().flatten().map(lossy).unwrap_or_default()
}

/// The collation that a database has now.
async fn database_collation(control: &mut Session, database: &str) -> Result<String, Error> {
    let query = format!(
        "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
        sql::literal(database)
    );
    Ok(control.text("cannot read the database's collation", &query).await?.unwrap_or_default())
}

/// Writes something that was made when the database had the collation `then`; it has `now`.
fn under_collation(
    script: &mut Script,
    database: &str,
    now: &str,
    then: &str,
    write: impl FnOnce(&mut Script),
) {
    let alter = |collation: &str| format!("ALTER DATABASE {} COLLATE {collation}", sql::quoted(database));
    let differs = !then.is_empty() && !now.is_empty() && now != then;
    if differs {
        script.statement(alter(then));
    }
    write(script);
    if differs {
        script.statement(alter(now));
    }
}
