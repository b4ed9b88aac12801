//! Reads members out of the package and runs their blocks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinSet;

use super::super::data::quote;
use super::super::script::Kind;
use super::super::session::{Session, code, is_unknown};
use super::super::{Error, dump, paths};
use super::blocks::{Owned, blocks};
use super::{Task, clear, rows, target};
use crate::package::Package;
use crate::report::chain;
use crate::sources::Restored;

/// How often a statement is tried that only failed because another one held its locks the other way round.
const ATTEMPTS: usize = 5;

/// An index is built by one process.
const ONE_PROCESS: &str = "SET max_parallel_maintenance_workers = 0";
/// An index is built by as many processes as the server's settings say.
const DIVIDED: &str = "RESET max_parallel_maintenance_workers";

/// Loads one database.
#[derive(Clone)]
pub(in crate::sources::postgres) struct Loader {
    task: Task,
    options: PgConnectOptions,
    /// The database's name in the package.
    database: String,
    /// The bytes of each table, by the name that blocks give it.
    sizes: Arc<HashMap<String, u64>>,
    /// Materialized views that the server refuses to fill, and why.
    unfilled: Arc<Mutex<Vec<String>>>,
}

/// Blocks that come before the rows.
pub(super) struct Pre(Vec<Owned>);

/// Blocks that come after the rows.
pub(super) struct Post(Vec<Owned>);

/// Runs what belongs to the whole server, except for what would take the right or the password from the role that
/// restores, while it still has to connect: that comes back, to be [put](own) last.
pub(super) async fn globals(task: &Task, package: &Package) -> Result<Vec<Owned>, Error> {
    let blocks = blocks(package, |path| path == "globals.sql").await?;
    let mut session = target::maintenance(task, "").await?;
    let own = session.value("SELECT format('ALTER ROLE %I WITH ', session_user)").await?;
    let own = session.bytes(&own);
    let (own, blocks): (Vec<Owned>, Vec<Owned>) =
        blocks.into_iter().partition(|block| block.statements.starts_with(&own));
    for block in blocks.iter().filter(|block| matches!(block.kind, Kind::Global | Kind::Set)) {
        match run(&mut session, &block.statements).await {
            Ok(()) => {}
            // A tablespace that is there already: there is no IF NOT EXISTS for it.
            Err(error) if code(&error).as_deref() == Some("42710") => {}
            Err(error) => return Err(error.at(block.label.clone())),
        }
    }
    session.close().await;
    Ok(own)
}

/// Makes the role that restored what it was in the package.
pub(super) async fn own(task: &Task, blocks: &[Owned], restored: &mut Restored) -> Result<(), Error> {
    if blocks.is_empty() {
        return Ok(());
    }
    let mut session = target::maintenance(task, "").await?;
    for block in blocks {
        run(&mut session, &block.statements).await.map_err(|error| error.at(block.label.clone()))?;
        let note = format!(
            "the role {}, which restored, has the rights and the password of the package now",
            block.label
        );
        restored.notes.push(note);
    }
    session.close().await;
    Ok(())
}

impl Pre {
    /// Reads what comes before the rows.
    pub(super) async fn read(package: &Package, database: &str) -> Result<Self, Error> {
        Ok(Self(blocks_of(package, paths::pre_data(database)).await?))
    }

    /// Refuses tables of which only the rows are there: they could go into no table that this restore makes.
    pub(super) fn has_definitions(&self, task: &Task) -> Result<(), Error> {
        let alone = self.0.iter().filter(|block| task.takes(&block.relation));
        let alone: Vec<&str> = alone.filter_map(|block| block.label.strip_prefix(dump::ROWS_ALONE)).collect();
        if alone.is_empty() { Ok(()) } else { Err(Error::RowsAlone(alone.join(", "))) }
    }
}

async fn blocks_of(package: &Package, path: String) -> Result<Vec<Owned>, Error> {
    blocks(package, move |found| found == path).await
}

impl Loader {
    pub(super) fn new(
        task: Task,
        options: PgConnectOptions,
        database: &str,
        sizes: HashMap<String, u64>,
    ) -> Self {
        let (database, sizes) = (database.to_owned(), Arc::new(sizes));
        Self { task, options, database, sizes, unfilled: Arc::default() }
    }

    /// Materialized views that are there and empty, because the server refuses to fill them, and why.
    pub(super) fn unfilled(&self) -> Vec<String> {
        std::mem::take(&mut self.unfilled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads definitions and rows. Returns also the statements that [`attach`](Self::attach) runs at the end.
    pub(super) async fn load(
        &self,
        package: &Package,
        Pre(blocks): &Pre,
        restored: &mut Restored,
        bytes: u64,
    ) -> Result<(rows::Loaded, Vec<String>), Error> {
        let mut session = Session::open(&self.options).await?;
        let whole = self.task.only.is_empty();
        let places = if whole {
            Vec::new()
        } else {
            let late = blocks_of(package, paths::post_data(&self.database)).await?;
            clear::clear(&self.task, &mut session, blocks.iter().chain(&late)).await?
        };
        let now = |block: &&Owned| block.kind != Kind::Database && !block.is_last_property();
        for block in blocks.iter().filter(now).filter(|block| self.wants(block)) {
            self.run(&mut session, block, restored).await?;
        }
        if !whole && !self.task.no_acl {
            clear::take_back(&self.task, &mut session, blocks).await?;
        }
        session.commit().await?;
        restored.notes.extend(self.without_roles(blocks));
        let loaded = rows::load(package, &self.task, &self.options, &self.database, bytes).await?;
        session.close().await;
        Ok((loaded, places))
    }

    /// What is built on the rows: the indexes that stand first, which only read them, and the rest.
    pub(super) async fn post_data(&self, package: &Package) -> Result<(Post, Post), Error> {
        let blocks = blocks_of(package, paths::post_data(&self.database)).await?;
        let mut wanted: Vec<Owned> = blocks.into_iter().filter(|block| self.wants(block)).collect();
        let indexes = wanted.iter().take_while(|block| matches!(block.kind, Kind::Set | Kind::Index)).count();
        let rest = wanted.split_off(indexes);
        Ok((Post(wanted), Post(rest)))
    }

    /// Builds in order; indexes next to each other, and foreign keys, on several connections.
    pub(super) async fn build(&self, post: &Post, restored: &mut Restored) -> Result<(), Error> {
        let mut session = Session::open(&self.options).await?;
        session.own_times().await?;
        let mut rest = post.0.as_slice();
        while let Some(first) = rest.first() {
            let parallel = matches!(first.kind, Kind::Index | Kind::ForeignKey);
            let count =
                if parallel { rest.iter().take_while(|block| block.kind == first.kind).count() } else { 1 };
            let (now, later) = rest.split_at(count);
            if parallel {
                self.parallel(now, restored).await?;
            } else {
                self.run(&mut session, first, restored).await?;
            }
            rest = later;
        }
        session.close().await;
        Ok(())
    }

    /// Makes those tables partitions again that were some before they were replaced: rows, indexes and all.
    pub(super) async fn attach(&self, places: &[String]) -> Result<(), Error> {
        if places.is_empty() {
            return Ok(());
        }
        let mut session = Session::open(&self.options).await?;
        for statement in places {
            session.execute(statement).await.map_err(|error| error.at(statement.clone()))?;
        }
        session.close().await;
        Ok(())
    }

    /// Gives the database the properties that stand in the way until it is filled.
    pub(super) async fn close(&self, Pre(blocks): &Pre, restored: &mut Restored) -> Result<(), Error> {
        let last = |block: &&Owned| block.is_last_property() && self.wants(block);
        let mut session = Session::open(&self.options).await?;
        for block in blocks.iter().filter(last) {
            self.run(&mut session, block, restored).await?;
        }
        session.close().await;
        Ok(())
    }

    fn wants(&self, block: &Owned) -> bool {
        let whole = self.task.only.is_empty();
        match block.kind {
            Kind::Psql => false,
            Kind::Set => true,
            Kind::Owner => !self.task.no_owner && self.task.takes(&block.relation),
            Kind::Privilege => !self.task.no_acl && self.task.takes(&block.relation),
            // A role's settings are not there without the role.
            Kind::Property => whole && !(self.task.no_owner && block.role(&self.database).is_some()),
            // Older packages name the parent's index there: `sales.orders%2Eorders_pkey`.
            Kind::Object if block.label.starts_with("index attachment ") => {
                let table = block.relation.split_once("%2E").map_or("", |(table, _)| table);
                self.task.takes(&block.relation) || self.task.takes(table)
            }
            _ => self.task.takes(&block.relation),
        }
    }

    /// What is told about roles whose settings are left out.
    fn without_roles(&self, blocks: &[Owned]) -> Option<String> {
        let roles: BTreeSet<String> = blocks.iter().filter_map(|block| block.role(&self.database)).collect();
        let told = self.task.no_owner && self.task.only.is_empty() && !roles.is_empty();
        let roles: Vec<String> = roles.into_iter().collect();
        told.then(|| {
            let roles = roles.join(", ");
            format!("left out, because owners were not wanted: settings of roles for this database: {roles}")
        })
    }

    /// Creates the database as the package says, under the name that it shall have. After an error there is none that
    /// this made.
    pub(super) async fn create(&self, Pre(blocks): &Pre) -> Result<(), Error> {
        let name = self.options.get_database().unwrap_or_default();
        let mut server = target::maintenance(&self.task, name).await?;
        let mut created = false;
        for block in blocks.iter().filter_map(Owned::creation) {
            run(&mut server, &self.renamed(&block))
                .await
                .map_err(|error| error.at(format!("creating database {name}")))?;
            created = true;
        }
        if !created {
            // Older packages have no statement for `postgres`, because every server has it.
            server.execute(&format!("CREATE DATABASE {} TEMPLATE template0", quote(name))).await?;
        }
        server.close().await;
        Ok(())
    }

    /// The statements about the database itself, with the name that it has here.
    fn renamed(&self, block: &Owned) -> Vec<u8> {
        let name = self.options.get_database().unwrap_or_default();
        let (from, to) = (format!("DATABASE {}", quote(&self.database)), format!("DATABASE {}", quote(name)));
        let Ok(text) = std::str::from_utf8(&block.statements) else { return block.statements.clone() };
        // A comment comes after the name and may repeat it.
        match text.strip_prefix("COMMENT ON ") {
            Some(_) => text.replacen(&from, &to, 1).into_bytes(),
            None => text.replace(&from, &to).into_bytes(),
        }
    }

    async fn run(&self, session: &mut Session, block: &Owned, restored: &mut Restored) -> Result<(), Error> {
        let statements = match block.kind {
            Kind::Property => self.renamed(block),
            Kind::Owner | Kind::Privilege if block.relation == "-" => self.renamed(block),
            _ => block.statements.clone(),
        };
        let mut result = run(session, &statements).await;
        if result.as_ref().is_err_and(is_unknown)
            && matches!(block.kind, Kind::Object | Kind::Index | Kind::Last)
        {
            result = found(session, &statements).await;
            restored.notes.extend(result.as_ref().ok().map(|()| unqualified(&block.label)));
        }
        let Err(error) = result else { return Ok(()) };
        if self.can_do_without(block, &error) {
            let note = format!("left out, because what it refers to is not here: {}", block.label);
            // A comment is left out with what it is about.
            if restored.notes.last() != Some(&note) {
                restored.notes.push(note);
            }
            return Ok(());
        }
        // A materialized view is filled with its owner's rights, who may have lost them since it was on the source; and
        // then others cannot be filled from it.
        let is_refused = matches!(code(&error).as_deref(), Some("42501" | "55000"));
        if is_refused && block.kind == Kind::Last && block.label.starts_with("refresh ") {
            let unfilled = not_filled(&block.label, &error);
            self.unfilled.lock().unwrap_or_else(PoisonError::into_inner).push(unfilled);
            return Ok(());
        }
        Err(error.at(block.label.clone()))
    }

    /// Whether the rest is right without this block, which refers to what is not here. A table taken alone may point at
    /// others, and whoever wants no owners may not have their roles either. Without a policy that lets somebody in, nobody
    /// sees more; without one that restricts, somebody might.
    fn can_do_without(&self, block: &Owned, error: &Error) -> bool {
        let is = |label: &str| block.kind == Kind::Object && block.label.starts_with(label);
        let policy = is("policy ") && !block.statements.windows(15).any(|text| text == b" AS RESTRICTIVE");
        let alone = !self.task.only.is_empty() && is_unknown(error);
        let without_roles = self.task.no_owner && code(error).as_deref() == Some("42704");
        match block.kind {
            Kind::ForeignKey | Kind::Owner | Kind::Privilege => alone,
            _ if is("trigger") || is("publication table ") => alone,
            _ => policy && (alone || without_roles) || is("user mapping ") && without_roles,
        }
    }

    /// Runs blocks on several connections; those of one table in order on one of them, the largest table first.
    ///
    /// While others wait, the server builds an index with one process: several builds at a time use its processors as
    /// well, and to divide one costs half as much time of processors again.
    async fn parallel(&self, blocks: &[Owned], restored: &mut Restored) -> Result<(), Error> {
        let mut by_table: BTreeMap<&str, Vec<Owned>> = BTreeMap::new();
        for block in blocks {
            by_table.entry(&block.relation).or_default().push(block.clone());
        }
        let size = |table: &str| self.sizes.get(table).copied().unwrap_or(0);
        let mut tables: Vec<(&str, Vec<Owned>)> = by_table.into_iter().collect();
        tables.sort_by_key(|(table, _)| size(table));
        let queue: Vec<Vec<Owned>> = tables.into_iter().map(|(_, blocks)| blocks).collect();
        let workers = self.task.jobs.min(queue.len());
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        let mut tasks: JoinSet<Result<Vec<String>, Error>> = JoinSet::new();
        for _ in 0..workers {
            let (loader, queue) = (self.clone(), Arc::clone(&queue));
            tasks.spawn(async move {
                let mut session = Session::open(&loader.options).await?;
                let mut noted = Restored::default();
                loop {
                    let (next, others) = {
                        let mut queue = queue.lock().await;
                        (queue.pop(), !queue.is_empty())
                    };
                    let Some(blocks) = next else { break };
                    if workers > 1 {
                        session.execute(if others { ONE_PROCESS } else { DIVIDED }).await?;
                    }
                    for block in &blocks {
                        loader.patiently(&mut session, block, &mut noted).await?;
                    }
                }
                session.close().await;
                Ok(noted.notes)
            });
        }
        while let Some(done) = tasks.join_next().await {
            restored.notes.extend(done.map_err(|_| Error::Stopped)??);
        }
        Ok(())
    }

    async fn patiently(
        &self,
        session: &mut Session,
        block: &Owned,
        noted: &mut Restored,
    ) -> Result<(), Error> {
        for _ in 1..ATTEMPTS {
            match self.run(session, block, noted).await {
                Err(Error::At { source, .. }) if code(&source).as_deref() == Some("40P01") => {}
                result => return result,
            }
        }
        self.run(session, block, noted).await
    }
}

/// Runs statements where names without a schema are found as the database's own sessions find them: an index, a check or
/// a materialized view may call a function of the application whose body names others so.
async fn found(session: &mut Session, statements: &[u8]) -> Result<(), Error> {
    session.own_names().await?;
    let result = run(session, statements).await;
    session.no_names().await?;
    result
}

fn not_filled(label: &str, error: &Error) -> String {
    let view = label.strip_prefix("refresh ").unwrap_or(label);
    format!("{view}: {}", chain(error).join(": "))
}

fn unqualified(label: &str) -> String {
    format!(
        "{label} calls a function that names others without their schema, and was made with the database's own `search_path`; psql stops there, so give the function a `SET search_path`"
    )
}

/// Runs the statements of a block in one go. If they fail, none of them has done anything, and a transaction that they
/// are a part of goes on.
pub(super) async fn run(session: &mut Session, statements: &[u8]) -> Result<(), Error> {
    if !session.in_transaction() {
        return send(session, statements).await;
    }
    session.execute("SAVEPOINT block").await?;
    let sent = send(session, statements).await;
    let end = if sent.is_ok() { "RELEASE SAVEPOINT block" } else { "ROLLBACK TO SAVEPOINT block" };
    let ended = session.execute(end).await;
    sent.and(ended)
}

async fn send(session: &mut Session, statements: &[u8]) -> Result<(), Error> {
    if let Ok(text) = std::str::from_utf8(statements) {
        return session.execute_sent(text).await;
    }
    // Only a SQL_ASCII database has such names. The driver sends text, so the server puts the bytes together.
    let bytes = hex::encode(statements);
    let sql = format!("DO $$ BEGIN EXECUTE convert_from('\\x{bytes}'::bytea, 'SQL_ASCII'); END $$");
    session.execute_sent(&sql).await
}
