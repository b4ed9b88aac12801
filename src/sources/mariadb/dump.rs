//! One dump, from the snapshot to the last member.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::catalog::{self, Column, Table, TableKind, encoded};
use super::config::Plan;
use super::connect::Session;
use super::data::{self, Job, Range};
use super::history::{Ends, TABLE, WITH_HISTORY};
use super::probe::{self, Server};
use super::schema::views::View;
use super::schema::{self, Emitter};
use super::script::{Script, object_name};
use super::snapshot::Snapshot;
use super::tally::Tally;
use super::{Error, generated, privileges, ranges, select, sql};
use crate::package::member::Time;
use crate::package::outlet::Outlet;
use crate::sources::{Consistency, ConsistencyKind, Missing, Summary};

/// Of how many tables the columns are in memory at once.
const TABLES_AT_ONCE: usize = 256;

pub(super) async fn dump(plan: &Plan, outlet: Outlet) -> Result<Summary, Error> {
    let mut session = Session::open(plan).await?;
    let server = probe::server(&mut session).await?;
    session.close().await;
    let mut snapshot = Snapshot::open(plan).await?;
    let mut missing = privileges::check(&mut snapshot.control, plan, &snapshot.databases).await?;
    catalog::check(&mut snapshot.control, plan, &snapshot.databases).await?;
    missing.append(&mut snapshot.missing);
    let mut dump = Dump::new(plan, server, snapshot, outlet);
    dump.missing = missing;
    dump.structure().await?;
    dump.data().await?;
    dump.programs().await?;
    dump.summary().await
}

struct Dump<'a> {
    plan: &'a Plan,
    server: Server,
    snapshot: Snapshot,
    emitter: Emitter,
    tally: Tally,
    missing: Vec<Missing>,
    notes: Vec<String>,
    /// Views that have no placeholder.
    unseen: BTreeSet<View>,
}

impl<'a> Dump<'a> {
    fn new(plan: &'a Plan, server: Server, snapshot: Snapshot, outlet: Outlet) -> Self {
        let mtime = Time { seconds: snapshot.seconds, nanos: 0 };
        let emitter = Emitter::new(outlet, mtime);
        let (tally, missing, notes) = (Tally::default(), Vec::new(), Vec::new());
        Self { plan, server, snapshot, emitter, tally, missing, notes, unseen: BTreeSet::new() }
    }

    /// Everything before the data: settings, databases, sequences, tables, placeholders of views.
    async fn structure(&mut self) -> Result<(), Error> {
        let preamble = schema::preamble(&mut self.snapshot.control, &self.server.version).await?;
        self.emitter.member("preamble.sql", preamble).await?;
        if self.plan.system {
            let mut part = self.emitter.part("system/1-before".to_owned());
            let control = &mut self.snapshot.control;
            let notes = schema::system::before(control, part.script(), &mut self.tally).await?;
            self.notes.extend(notes);
            part.end().await?;
        }
        let databases = self.snapshot.databases.clone();
        // Those of all databases first: default values of columns reach into other databases.
        for database in &databases {
            self.sequences(database).await?;
        }
        for database in &databases {
            let path = format!("db/{}/1-schema", encoded(database));
            let mut part = self.emitter.part(path);
            let control = &mut self.snapshot.control;
            schema::database(control, part.script(), database).await?;
            control.run("cannot enter the database", format!("USE {}", sql::quoted(database))).await?;
            let tables: Vec<Table> =
                self.snapshot.tables.iter().filter(|table| table.database == *database).cloned().collect();
            for table in tables.iter().filter(|table| table.kind != TableKind::Sequence) {
                let needed = schema::table(control, part.script(), table).await?;
                self.missing.extend(without_sequences(&self.snapshot.tables, table, needed));
                self.tally.emit("tables");
                part.end_when_full(database).await?;
            }
            let without = schema::views::placeholders(control, self.plan, &mut part, database).await?;
            self.unseen.extend(without);
            part.end().await?;
            self.tally.emit("databases");
        }
        Ok(())
    }

    /// A database's sequences, and the database, if it has any.
    async fn sequences(&mut self, database: &str) -> Result<(), Error> {
        let sequences = self.snapshot.tables.iter();
        let sequences: Vec<Table> = sequences
            .filter(|table| table.database == database && table.kind == TableKind::Sequence)
            .cloned()
            .collect();
        if sequences.is_empty() {
            return Ok(());
        }
        let mut part = self.emitter.part(format!("db/{}/0-sequences", encoded(database)));
        let control = &mut self.snapshot.control;
        schema::database_for_more(control, part.script(), database).await?;
        part.script().use_database(database);
        control.run("cannot enter the database", format!("USE {}", sql::quoted(database))).await?;
        part.script().statement(schema::LOGGED_BY_ROW);
        for sequence in &sequences {
            let object = schema::sequence(control, part.script(), sequence).await?;
            self.emitter.object(object).await?;
            self.tally.emit("sequences");
            part.end_when_full(database).await?;
        }
        part.end().await.map(drop)
    }

    /// The rows: those of engines without transactions first, while the lock lasts.
    async fn data(&mut self) -> Result<(), Error> {
        if self.plan.schema_only {
            return self.snapshot.unlock().await;
        }
        self.name_unread();
        let mut tables: Vec<Table> = self.snapshot.tables.clone();
        tables.retain(|table| table.kind != TableKind::Sequence && table.has_rows());
        // The largest first: the last connection still reading then has little left.
        tables.sort_by_key(|table| std::cmp::Reverse(table.bytes));
        let (after, under_lock): (Vec<_>, Vec<_>) = tables.into_iter().partition(|table| table.transactional);
        if !self.snapshot.locked {
            let newer = |table: &Table| {
                format!("{} ({}) was read without a lock: it may be newer", table.object(), table.engine)
            };
            self.notes.extend(under_lock.iter().map(newer));
        }
        self.rows(under_lock).await?;
        self.snapshot.unlock().await?;
        self.rows(after).await
    }

    /// Names the tables of which there is only the definition.
    fn name_unread(&mut self) {
        for table in &self.snapshot.tables {
            let (name, engine) = (table.object(), &table.engine);
            if table.shows_others() {
                self.notes.push(format!("{name} ({engine}): its definition only, its rows are elsewhere"));
            }
            if table.is_unread() {
                let why = format!("rows of the engine {engine} are not dumped, only the definition is");
                self.missing.push(Missing { name, why });
            }
        }
    }

    /// Reads the rows of tables, some tables at a time, so that what is known of their columns stays small.
    async fn rows(&mut self, tables: Vec<Table>) -> Result<(), Error> {
        for batch in tables.chunks(TABLES_AT_ONCE) {
            let mut queue = VecDeque::new();
            for table in batch {
                queue.extend(self.ranges(table.clone()).await?);
            }
            let mut jobs: Vec<Arc<Job>> = queue.iter().map(|(job, _): &Range| Arc::clone(job)).collect();
            jobs.dedup_by(|one, other| Arc::ptr_eq(one, other));
            let outlet = self.emitter.outlet();
            let workers = std::mem::take(&mut self.snapshot.workers);
            if workers.is_empty() {
                data::read_alone(&mut self.snapshot.control, queue, outlet).await?;
            } else {
                self.snapshot.workers = data::read(workers, queue, outlet).await?;
            }
            self.name_untaken(&jobs);
        }
        Ok(())
    }

    /// Names the tables of whose history some was left out.
    fn name_untaken(&mut self, jobs: &[Arc<Job>]) {
        for job in jobs.iter().filter(|job| job.untaken() > 0) {
            let name = format!("history of {}", job.table.object());
            let count = job.untaken();
            let why = format!("no server takes rows that ended when they began, or before: {count}");
            self.missing.push(Missing { name, why });
        }
    }

    /// The ranges in which a table is read.
    async fn ranges(&mut self, table: Table) -> Result<Vec<Range>, Error> {
        let control = &mut self.snapshot.control;
        let columns = catalog::columns(control, &table.database, &table.name).await?;
        let history = self.history(&table, &columns).await?;
        let control = &mut self.snapshot.control;
        for differing in generated::differing(control, &table, &columns, history).await? {
            let name = format!("values of {}.{}", table.object(), encoded(&differing.column));
            self.missing.push(Missing { name, why: differing.why.to_owned() });
        }
        let conditions = if self.snapshot.shared {
            ranges::of(control, &table, &columns, history).await?
        } else {
            vec![String::new()]
        };
        let ends = Ends::of(control, if history { WITH_HISTORY } else { TABLE }).await?;
        let selected = select::selected(&table, &columns, ends)?;
        let mtime = Time { seconds: self.snapshot.seconds, nanos: 0 };
        let count = u32::try_from(conditions.len()).unwrap_or(u32::MAX);
        let job = Arc::new(Job::new(table, selected, history, mtime, count));
        Ok(conditions.into_iter().map(|condition| (Arc::clone(&job), condition)).collect())
    }

    /// Whether a table's history is dumped. History that could not be restored, or is not wanted, is named if there is
    /// any.
    async fn history(&mut self, table: &Table, columns: &[Column]) -> Result<bool, Error> {
        if table.kind != TableKind::Versioned {
            return Ok(false);
        }
        let end = columns.iter().find(|column| column.generation == "ROW END");
        let by_transaction = end.is_some_and(|column| column.data_type == "bigint");
        if self.plan.history && self.server.inserts_history() && !by_transaction {
            return Ok(true);
        }
        self.name_starts(table).await?;
        let key = sql::quoted(end.map_or("row_end", |column| column.name.as_str()));
        let past = if by_transaction { "18446744073709551615" } else { "NOW(6)" };
        let query = format!(
            "SELECT 1 FROM {} FOR SYSTEM_TIME ALL WHERE {key} < {past} LIMIT 1",
            sql::qualified(&table.database, &table.name)
        );
        let doing = format!("cannot look for the history of {}.{}", table.database, table.name);
        if !self.snapshot.control.rows(&doing, query).await?.is_empty() {
            let name = format!("history of {}", table.object());
            if self.plan.history {
                let why = "this server cannot insert the history of such a table".to_owned();
                self.missing.push(Missing { name, why });
            } else {
                self.notes.push(format!("{name}: left out as configured"));
            }
        }
        Ok(false)
    }

    /// Names a table whose rows lose the time since when they are as they are: without its history no server takes that, and
    /// each row begins when it is restored.
    async fn name_starts(&mut self, table: &Table) -> Result<(), Error> {
        let query = format!("SELECT 1 FROM {} LIMIT 1", sql::qualified(&table.database, &table.name));
        let doing = format!("cannot look for rows of {}.{}", table.database, table.name);
        if self.snapshot.control.rows(&doing, query).await?.is_empty() {
            return Ok(());
        }
        let name = format!("starts of rows of {}", table.object());
        if self.plan.history {
            let why = "this server cannot insert them, a restored row begins when it is restored".to_owned();
            self.missing.push(Missing { name, why });
        } else {
            self.notes.push(format!("{name}: left out as configured, with the history"));
        }
        Ok(())
    }

    /// Everything after the data: routines, triggers, grants, views, events.
    async fn programs(&mut self) -> Result<(), Error> {
        let databases = self.snapshot.databases.clone();
        let control = &mut self.snapshot.control;
        for database in &databases {
            let mut part = self.emitter.part(format!("db/{}/3-routines", encoded(database)));
            let closed =
                schema::routines::dump(control, self.plan, &mut part, database, &mut self.tally).await?;
            self.missing.extend(closed);
            part.end().await?;
        }
        for database in &databases {
            let mut part = self.emitter.part(format!("db/{}/4-after", encoded(database)));
            schema::triggers::dump(control, self.plan, &mut part, database, &mut self.tally).await?;
            part.end().await?;
        }
        if self.plan.system {
            let mut part = self.emitter.part("system/2-grants".to_owned());
            let tables = &self.snapshot.tables;
            let known =
                schema::system::Known::read(control, self.plan, tables, &self.unseen, &databases).await?;
            let notes = schema::system::grants(control, part.script(), &known, &mut self.tally).await?;
            self.notes.extend(notes);
            part.end().await?;
        }
        let (plan, emitter, tally) = (self.plan, &self.emitter, &mut self.tally);
        let broken = schema::views::finals(control, plan, emitter, &databases, tally).await?;
        self.missing.extend(broken.missing);
        self.notes.extend(broken.notes);
        for database in &databases {
            let mut part = self.emitter.part(format!("db/{}/5-events", encoded(database)));
            schema::events::dump(control, &mut part, database, &mut self.tally).await?;
            part.end().await?;
        }
        Ok(())
    }

    async fn summary(mut self) -> Result<Summary, Error> {
        schema::expect(&mut self.snapshot, self.plan, &mut self.tally).await?;
        if !self.snapshot.shared {
            let note = "no global read lock (RELOAD): one connection read everything".to_owned();
            self.notes.push(note);
        }
        let coordinates = std::mem::take(&mut self.snapshot.coordinates);
        self.snapshot.control.close().await;
        for worker in self.snapshot.workers {
            worker.close().await;
        }
        Ok(Summary {
            consistency: Consistency { kind: ConsistencyKind::Snapshot, coordinates },
            missing: self.missing,
            notes: self.notes,
            counts: self.tally.settle()?,
        })
    }
}

/// Names what a table needs and the dump has not: a server makes no table whose sequences are not there.
fn without_sequences(
    dumped: &[Table],
    table: &Table,
    needed: BTreeSet<(String, String)>,
) -> impl Iterator<Item = Missing> {
    let object = table.object();
    let is_dumped = |database: &str, name: &str| {
        dumped.iter().any(|table| table.database == database && table.name == name)
    };
    let absent: Vec<_> = needed.into_iter().filter(|(database, name)| !is_dumped(database, name)).collect();
    absent.into_iter().map(move |(database, name)| Missing {
        name: format!("sequence {}", object_name(&database, &name)),
        why: format!(
            "default values of {object} need it, which no server makes without it, and it is not dumped"
        ),
    })
}

/// A member that grows until it is handed over.
pub(super) struct Part {
    path: String,
    number: u32,
    script: Script,
    emitter: Emitter,
}

impl Part {
    /// A member whose files are `path.0001.sql` and so on.
    pub(super) fn new(path: String, emitter: Emitter) -> Self {
        Self { path, number: 0, script: Script::default(), emitter }
    }

    /// Where statements go.
    pub(super) fn script(&mut self) -> &mut Script {
        &mut self.script
    }

    /// Hands the member over when it is large, and begins the next in the same database.
    pub(super) async fn end_when_full(&mut self, database: &str) -> Result<(), Error> {
        if self.script.len() >= 1 << 20 {
            self.hand_over().await?;
            self.script.use_database(database);
        }
        Ok(())
    }

    /// As this, with numbers after `number`.
    pub(super) fn after(self, number: u32) -> Self {
        Self { number, ..self }
    }

    /// Hands the member over. Returns its number, or the last one's before it if it is empty.
    pub(super) async fn end(mut self) -> Result<u32, Error> {
        if !self.script.is_empty() {
            self.hand_over().await?;
        }
        Ok(self.number)
    }

    async fn hand_over(&mut self) -> Result<(), Error> {
        self.number += 1;
        let path = format!("{}.{:04}.sql", self.path, self.number);
        self.emitter.member(&path, std::mem::take(&mut self.script)).await
    }
}
