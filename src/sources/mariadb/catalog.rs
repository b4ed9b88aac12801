//! What the server has: databases, tables and their columns.

use std::collections::BTreeMap;

use super::Error;
use super::config::Plan;
use super::connect::{Cell, Session, lossy};
use super::globs;
use super::script;
use super::sql;

/// Engines whose tables hold no rows of their own: a dump has their definitions only.
const WITHOUT_ROWS: [&str; 2] = ["MRG_MyISAM", "BLACKHOLE"];

/// Engines whose tables show rows of other servers or tables: a dump has their definitions only, and says so.
const ELSEWHERE: [&str; 4] = ["FEDERATED", "SPIDER", "SPHINX", "OQGRAPH"];

/// Engines whose tables may hold rows of their own that cannot be put back by inserting them: CONNECT's lie in files
/// that others may own too, those of S3 can only be read. A dump has their definitions only, and is not complete.
const UNREAD: [&str; 2] = ["CONNECT", "S3"];

/// A base table, a system-versioned table or a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// Its database.
    pub(super) database: String,
    /// Its name.
    pub(super) name: String,
    /// What it is.
    pub(super) kind: TableKind,
    /// Its engine.
    pub(super) engine: String,
    /// Whether the engine takes part in transactions and their snapshots.
    pub(super) transactional: bool,
    /// Bytes of its rows, as the server estimates them.
    pub(super) bytes: u64,
}

/// The kinds of tables that hold rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableKind {
    /// A table.
    Base,
    /// A table that keeps its rows' history.
    Versioned,
    /// A sequence.
    Sequence,
}

impl Table {
    /// The name of the object in the index, `database.table`, with dots and percent signs inside names encoded.
    pub(super) fn object(&self) -> String {
        script::object_name(&self.database, &self.name)
    }

    /// The path of the table's data member with this number.
    pub(super) fn path(&self, part: u32) -> String {
        format!("db/{}/2-data/{}.{part:04}.sql", encoded(&self.database), encoded(&self.name))
    }

    /// Whether it has rows that a dump reads.
    pub(super) fn has_rows(&self) -> bool {
        !self.is_of(&WITHOUT_ROWS) && !self.shows_others() && !self.is_unread()
    }

    /// Whether its rows are those of another server or table.
    pub(super) fn shows_others(&self) -> bool {
        self.is_of(&ELSEWHERE)
    }

    /// Whether it may have rows of its own that a dump lacks.
    pub(super) fn is_unread(&self) -> bool {
        self.is_of(&UNREAD)
    }

    fn is_of(&self, engines: &[&str]) -> bool {
        engines.iter().any(|engine| engine.eq_ignore_ascii_case(&self.engine))
    }
}

/// A name as part of a path or an object's name: what is not a letter, a digit, `_`, `-` or beyond ASCII is
/// percent-encoded.
pub(super) fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '_' | '-') || !character.is_ascii() {
            out.push(character);
        } else {
            out.push('%');
            out.extend([u32::from(character) >> 4, u32::from(character) & 15].map(digit));
        }
    }
    out
}

/// A hexadecimal digit.
fn digit(value: u32) -> char {
    char::from_digit(value, 16).unwrap_or('0').to_ascii_uppercase()
}

/// A column as the server describes it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// Its type's first word.
    pub(super) data_type: String,
    /// Its type in full.
    pub(super) full_type: String,
    /// Its charset, for text.
    pub(super) charset: Option<String>,
    /// Its collation, for text.
    pub(super) collation: String,
    /// `VIRTUAL GENERATED`, `INVISIBLE` …
    pub(super) extra: String,
    /// The expression of a generated column; `ROW START` and `ROW END` of a period.
    pub(super) generation: String,
}

/// What the server puts before a directory's name that is no database's name: of a database of before `MySQL` 5.1, or of
/// none, as `lost+found` is at the root of a volume.
const DIRECTORY: &str = "#mysql50#";

/// Server errors that mean: this directory is no database.
const NO_DATABASE: [u16; 2] = [
    1102, // ER_WRONG_DB_NAME
    1018, // ER_CANT_READ_DIR
];

/// The databases that the plan means. Every glob must mean one: most likely it is misspelt otherwise, and what it should
/// have named would be missing.
pub(super) async fn databases(session: &mut Session, plan: &Plan) -> Result<Vec<String>, Error> {
    let query = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY BINARY SCHEMA_NAME";
    let all = session.rows("cannot list the databases", query).await?;
    let names = all.into_iter().filter_map(|row| row.into_iter().next().flatten()).map(lossy);
    let names: Vec<String> = names.filter(|name| !globs::SYSTEM.contains(&name.as_str())).collect();
    let unmatched = plan.database_globs.unmatched(names.iter().cloned());
    if !unmatched.is_empty() {
        return Err(Error::NoDatabase { globs: unmatched.join(", ") });
    }
    let mut meant = Vec::with_capacity(names.len());
    for name in names {
        if !plan.database_globs.is_empty() && !plan.database_globs.matches(&name) {
            continue;
        }
        if !name.starts_with(DIRECTORY) {
            meant.push(name);
        } else if has_tables(session, &name).await? {
            let class = "database whose directory has a name of before MySQL 5.1".to_owned();
            return Err(Error::UnknownClass { name, class });
        }
    }
    Ok(meant)
}

/// Whether a directory whose name is no database's holds tables.
async fn has_tables(session: &mut Session, directory: &str) -> Result<bool, Error> {
    let query = format!("SHOW TABLES FROM {}", sql::quoted(directory));
    match session.rows("cannot look into a directory", query).await {
        Ok(tables) => Ok(!tables.is_empty()),
        Err(Error::Statement { code: Some(code), .. }) if NO_DATABASE.contains(&code) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Fails for a glob of tables that means none, for it is misspelt most likely.
pub(super) async fn check(session: &mut Session, plan: &Plan, databases: &[String]) -> Result<(), Error> {
    let mut names = Vec::new();
    if plan.table_globs.is_empty() {
        return Ok(());
    }
    for database in databases {
        let query = format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
            sql::literal(database)
        );
        for row in session.rows("cannot list the tables", query).await? {
            names.extend(row.into_iter().next().map(text).map(|table| format!("{database}.{table}")));
        }
    }
    match plan.table_globs.unmatched(names.into_iter()).as_slice() {
        [] => Ok(()),
        globs => Err(Error::NoTable { globs: globs.join(", ") }),
    }
}

/// The tables, system-versioned tables and sequences of a database, without views, in the order of their names.
pub(super) async fn tables(session: &mut Session, plan: &Plan, database: &str) -> Result<Vec<Table>, Error> {
    let query = format!(
        "SELECT t.TABLE_NAME, t.TABLE_TYPE, t.ENGINE, e.TRANSACTIONS, t.TABLE_COMMENT \
         FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
         WHERE t.TABLE_SCHEMA = {} ORDER BY BINARY t.TABLE_NAME",
        sql::literal(database)
    );
    let (mut tables, mut one_by_one) = (Vec::new(), false);
    for row in session.rows("cannot list the tables", query).await? {
        let mut row = row.into_iter().map(text);
        let mut next = || row.next().unwrap_or_default();
        let (name, class, engine, transactional, comment) = (next(), next(), next(), next(), next());
        let kind = match class.as_str() {
            "BASE TABLE" => TableKind::Base,
            "SYSTEM VERSIONED" => TableKind::Versioned,
            "SEQUENCE" => TableKind::Sequence,
            "VIEW" => continue,
            _ => return Err(Error::UnknownClass { name: format!("{database}.{name}"), class }),
        };
        let (broken, transactional) = (engine.is_empty(), transactional == "YES");
        let table = Table { database: database.to_owned(), name, kind, engine, transactional, bytes: 0 };
        one_by_one |= !table.has_rows();
        if !plan.wants_table(database, &table.name) {
            continue;
        }
        if broken {
            return Err(Error::BrokenTable { name: format!("{database}.{}", table.name), why: comment });
        }
        tables.push(table);
    }
    measure(session, database, &mut tables, one_by_one).await?;
    Ok(tables)
}

/// Asks how large tables are. Whoever asks that of a table that shows another server's rows asks that server, and gets
/// its error if it is gone: where there are such tables, the others are asked about one by one.
async fn measure(
    session: &mut Session,
    database: &str,
    tables: &mut [Table],
    one_by_one: bool,
) -> Result<(), Error> {
    let query = format!(
        "SELECT TABLE_NAME, COALESCE(DATA_LENGTH, 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
        sql::literal(database)
    );
    let queries: Vec<String> = if one_by_one {
        let measured = tables.iter().filter(|table| table.has_rows());
        measured.map(|table| format!("{query} AND TABLE_NAME = {}", sql::literal(&table.name))).collect()
    } else {
        vec![query]
    };
    let mut sizes = BTreeMap::new();
    for query in queries {
        for row in session.rows("cannot read the tables' sizes", query).await? {
            let mut row = row.into_iter().map(text);
            let (name, bytes) = (row.next().unwrap_or_default(), row.next().unwrap_or_default());
            sizes.insert(name, bytes.parse().unwrap_or(0));
        }
    }
    for table in tables {
        table.bytes = sizes.get(&table.name).copied().unwrap_or(0);
    }
    Ok(())
}

/// The names of a database's views.
pub(super) async fn views(session: &mut Session, plan: &Plan, database: &str) -> Result<Vec<String>, Error> {
    let query = format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_TYPE = 'VIEW' \
         ORDER BY BINARY TABLE_NAME",
        sql::literal(database)
    );
    let rows = session.rows("cannot list the views", query).await?;
    let names = rows.into_iter().filter_map(|row| row.into_iter().next()).map(text);
    Ok(names.filter(|name| plan.wants_table(database, name)).collect())
}

/// The columns of a table or view in their order.
pub(super) async fn columns(
    session: &mut Session,
    database: &str,
    table: &str,
) -> Result<Vec<Column>, Error> {
    let query = format!(
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, GENERATION_EXPRESSION \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} ORDER BY ORDINAL_POSITION",
        sql::literal(database),
        sql::literal(table)
    );
    let mut columns = Vec::new();
    for row in session.rows("cannot list the columns", query).await? {
        let mut row = row.into_iter();
        let mut next = || row.next().flatten().map(lossy);
        // The comparison of names ignores case on the server and must not here.
        if next().as_deref() != Some(table) {
            continue;
        }
        columns.push(Column {
            name: next().unwrap_or_default(),
            data_type: next().unwrap_or_default(),
            full_type: next().unwrap_or_default(),
            charset: next(),
            collation: next().unwrap_or_default(),
            extra: next().unwrap_or_default(),
            generation: next().unwrap_or_default(),
        });
    }
    Ok(columns)
}

/// The text of a cell; NULL is empty.
pub(super) fn text(cell: Cell) -> String {
    cell.map(lossy).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_make_sound_paths() {
        assert_eq!(encoded("a.b/c%d é"), "a%2Eb%2Fc%25d%20é");
        assert_eq!(encoded(".."), "%2E%2E");
    }
}
