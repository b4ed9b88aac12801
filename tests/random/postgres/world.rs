//! A database that is being written, and what is known of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::types::Type;
use crate::chance::Chance;
use crate::keep;
use crate::support::postgres::Cluster;
use crate::words::{self, Names};

/// A column as its author meant it.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// With quotes.
    pub(crate) name: String,
    pub(crate) kind: Type,
    /// Whether rows may give a value.
    pub(crate) given: bool,
}

/// A table that the server has.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// With schema and quotes.
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// As `pg_class.relkind` has it.
    pub(crate) class: char,
    pub(crate) is_partition: bool,
    /// Values of its first column that its partitions take.
    pub(crate) bounds: Vec<String>,
}

/// A database, its random choices, and what was said to the server.
pub(crate) struct World<'a> {
    pub(crate) chance: Chance,
    names: Names,
    cluster: &'a Cluster,
    pub(crate) database: String,
    pending: String,
    said: String,
    refused: String,
    /// All with quotes, as everything that follows.
    pub(crate) schemas: Vec<String>,
    pub(crate) types: Vec<Type>,
    pub(crate) tables: Vec<Table>,
    pub(crate) collations: Vec<String>,
    /// Functions with their arguments, of `int` and returning it.
    pub(crate) functions: Vec<String>,
    pub(crate) sequences: Vec<String>,
    pub(crate) views: Vec<String>,
    /// Whether views may get other owners. A materialized one is filled with its owner's rights, and without them
    /// nobody's script fills it again.
    pub(crate) owned_views: bool,
}

/// A name with its quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What the server knows of tables, under the names that a [`World`] gives them.
const TABLES: &str = r#"
SELECT coalesce(json_object_agg(t.name, json_build_object('class', t.relkind, 'partition', t.relispartition, 'columns', t.columns)), '{}') FROM (
  SELECT '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"' AS name, c.relkind, c.relispartition,
    (SELECT coalesce(json_object_agg('"' || replace(a.attname, '"', '""') || '"', a.attgenerated = '' AND a.attidentity <> 'a'), '{}')
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname !~ '^(pg_|information_schema)') t"#;

impl<'a> World<'a> {
    pub(crate) fn new(cluster: &'a Cluster, database: &str, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            owned_views: chance.percent(40),
            chance,
            names: Names::default(),
            cluster,
            database: database.to_owned(),
            pending: String::new(),
            said: String::new(),
            refused: String::new(),
            schemas: Vec::new(),
            types: super::types::plain(),
            tables: Vec::new(),
            collations: Vec::new(),
            functions: Vec::new(),
            sequences: Vec::new(),
            views: Vec::new(),
        }
    }

    /// A new name, with quotes.
    pub(crate) fn name(&mut self) -> String {
        loop {
            let name = self.names.new_name(&mut self.chance, 63);
            // psql looks for the end of a function that has this word in its head or its body, whoever wrote the script.
            if name != "begin" {
                return quoted(&name);
            }
        }
    }

    /// A new name in a schema.
    pub(crate) fn object(&mut self) -> String {
        let schema = self.chance.one(&self.schemas).expect("a schema").clone();
        format!("{schema}.{}", self.name())
    }

    /// A literal of a random text.
    pub(crate) fn text(&mut self) -> String {
        literal(&words::text(&mut self.chance))
    }

    /// A type that a column may have.
    pub(crate) fn a_type(&mut self) -> Type {
        self.chance.one(&self.types).expect("types").clone()
    }

    /// Notes a statement. The server may refuse it.
    pub(crate) fn say(&mut self, statement: impl AsRef<str>) {
        self.pending.push_str(statement.as_ref());
        self.pending.push_str("\n;\n");
    }

    /// Tells the server everything that was noted, each statement for itself.
    pub(crate) fn tell(&mut self) {
        let statements = std::mem::take(&mut self.pending);
        let file = self.cluster.dir.join(format!("{}.sql", self.database));
        std::fs::write(&file, &statements).unwrap();
        let mut psql = self.cluster.client("psql");
        psql.args(["-qAtX", "-d", &self.database, "-f"]).arg(&file);
        psql.env("PGOPTIONS", "-c statement_timeout=10s -c client_min_messages=error")
            .env("PGCLIENTENCODING", "UTF8");
        let output = psql.stdin(std::process::Stdio::null()).output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {complaints}", self.database);
        self.said.push_str(&statements);
        let lines: Vec<&str> = statements.lines().collect();
        for complaint in complaints.lines() {
            let at = complaint.split(".sql:").nth(1).and_then(|rest| rest.split(':').next()?.parse().ok());
            let end: usize = at.unwrap_or(0);
            let begin = lines[..end.saturating_sub(1).min(lines.len())].iter().rposition(|line| *line == ";");
            let statement = lines.get(begin.map_or(0, |n| n + 1)..end).unwrap_or_default().join("\n");
            writeln!(self.refused, "{complaint}\n    {statement}").unwrap();
        }
    }

    /// Tells the server what was noted, and asks which of the tables with which columns there are.
    pub(crate) fn look(&mut self) {
        self.tell();
        let known: BTreeMap<String, Value> = serde_json::from_str(&self.ask(TABLES)).unwrap();
        self.tables.retain_mut(|table| {
            let Some(is) = known.get(&table.name) else { return false };
            table.class = is["class"].as_str().unwrap().chars().next().unwrap();
            table.is_partition = is["partition"].as_bool().unwrap();
            table.columns.retain_mut(|column| {
                let Some(given) = is["columns"].get(&column.name) else { return false };
                column.given = given.as_bool().unwrap();
                true
            });
            true
        });
        self.views.retain(|view| known.contains_key(view));
    }

    /// Asks the server something.
    pub(crate) fn ask(&self, query: &str) -> String {
        self.cluster.psql(&self.database, query)
    }

    /// A table of one of these classes.
    pub(crate) fn a_table(&mut self, classes: &str) -> Option<Table> {
        let all: Vec<&Table> = self.tables.iter().filter(|table| classes.contains(table.class)).collect();
        self.chance.one(&all).map(|table| (*table).clone())
    }

    /// Keeps what was said and what was refused, for whoever looks into a failure.
    pub(crate) fn end(self) {
        keep(&format!("{}.sql", self.database), self.said.as_bytes());
        keep(&format!("{}.refused", self.database), self.refused.as_bytes());
    }
}
