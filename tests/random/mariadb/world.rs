//! A database that is being written, and what is known of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::types::Type;
use crate::chance::Chance;
use crate::keep;
use crate::support::mariadb::{MariaDb, fed};
use crate::words::{self, Names};

/// A column, with quotes.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Type,
}

/// A table or a view. All names have their quotes.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) engine: &'static str,
    pub(crate) is_view: bool,
}

/// A database, its random choices, and what was said to the server.
pub(crate) struct World<'a> {
    pub(crate) chance: Chance,
    names: Names,
    pub(crate) server: &'a MariaDb,
    /// Without quotes.
    pub(crate) database: String,
    pending: String,
    said: String,
    refused: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) sequences: Vec<String>,
    /// Routines, each with its class before its name.
    pub(crate) routines: Vec<(&'static str, String)>,
    pub(crate) users: Vec<String>,
}

/// A name with its quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a literal, which means the same whether or not backslashes escape.
pub(crate) fn literal(text: &str) -> String {
    if text.contains('\\') {
        // Never empty, and without an introducer it has the charset of what it is stored in.
        let hex = hex::encode_upper(text);
        return format!("CONVERT(X'{hex}' USING utf8mb4)");
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// What no statement has in it.
const DELIMITER: &str = "<<end>>";

impl<'a> World<'a> {
    pub(crate) fn new(server: &'a MariaDb, database: &str, seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            names: Names::default(),
            server,
            database: database.to_owned(),
            pending: String::new(),
            said: String::new(),
            refused: String::new(),
            tables: Vec::new(),
            sequences: Vec::new(),
            routines: Vec::new(),
            users: Vec::new(),
        }
    }

    /// A new name, with quotes.
    pub(crate) fn name(&mut self) -> String {
        quoted(&self.names.new_name(&mut self.chance, 60))
    }

    /// A literal of a random text where only a literal may stand. Escapes are read as the session's mode says.
    pub(crate) fn text(&mut self) -> String {
        let text = words::text(&mut self.chance);
        let text: String = text.chars().take(200).collect();
        format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    }

    /// Notes a statement. The server may refuse it.
    pub(crate) fn say(&mut self, statement: impl AsRef<str>) {
        self.pending.push_str(statement.as_ref());
        self.pending.push_str(&format!("\n{DELIMITER}\n"));
    }

    /// Tells the server everything that was noted, each statement for itself.
    pub(crate) fn tell(&mut self) {
        let statements = std::mem::take(&mut self.pending);
        let input = format!(
            "USE {};\nSET NAMES utf8mb4; SET max_statement_time = 20;\nDELIMITER {DELIMITER}\n{statements}",
            quoted(&self.database)
        );
        let options = [
            "--batch",
            "--force",
            "--default-character-set=utf8mb4",
            "--comments",
            "--binary-mode",
            "--max-allowed-packet=64M",
        ];
        let (_, _, complaints) = fed(&mut self.server.client(&options), input.as_bytes());
        self.said.push_str(&statements);
        let complaints = String::from_utf8_lossy(&complaints).into_owned();
        assert!(!complaints.contains("Lost connection") && !complaints.contains("gone away"), "{complaints}");
        let lines: Vec<&str> = input.lines().collect();
        for complaint in complaints.lines() {
            let at =
                complaint.split(" at line ").nth(1).and_then(|rest| rest.split(':').next()?.parse().ok());
            let begin = at.unwrap_or(1_usize).saturating_sub(1);
            let statement =
                lines.get(begin..).unwrap_or_default().iter().take_while(|line| **line != DELIMITER);
            let statement: Vec<&str> = statement.copied().collect();
            writeln!(self.refused, "{complaint}\n    {}", statement.join("\n")).unwrap();
        }
    }

    /// Tells the server what was noted, and asks which of the tables with which columns there are.
    pub(crate) fn look(&mut self) {
        self.tell();
        let database = self.database.replace('\\', "\\\\").replace('\'', "''");
        let known = self.server.sql(&format!(
            "SELECT HEX(TABLE_NAME), HEX(COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{database}'"
        ));
        let known: BTreeSet<&str> = known.lines().collect();
        let hex = |name: &str| {
            let name = name[1..name.len() - 1].replace("``", "`");
            hex::encode_upper(name)
        };
        for table in &mut self.tables {
            let name = hex(&table.name);
            table.columns.retain(|column| known.contains(format!("{name}\t{}", hex(&column.name)).as_str()));
        }
        self.tables.retain(|table| !table.columns.is_empty());
    }

    /// A table, or also a view.
    pub(crate) fn a_table(&mut self, views: bool) -> Option<Table> {
        let all: Vec<&Table> = self.tables.iter().filter(|table| views || !table.is_view).collect();
        self.chance.one(&all).map(|table| (*table).clone())
    }

    /// Keeps what was said and what was refused, for whoever looks into a failure.
    pub(crate) fn end(self) {
        keep(&format!("{}.sql", self.database), self.said.as_bytes());
        keep(&format!("{}.refused", self.database), self.refused.as_bytes());
    }
}
