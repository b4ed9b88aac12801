//! Puts a package back over the wire: definitions, rows in parallel, then indexes in parallel while the rows are read
//! back and compared, then keys and what else depends on rows.

mod analyze;
mod blocks;
mod clear;
mod load;
mod rows;
mod swap;
mod target;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use globset::{Glob, GlobMatcher};
use sqlx::postgres::PgConnectOptions;

use super::config::Plan;
use super::select::Pattern;
use super::{Error, connect, fingerprint, paths};
use crate::config::context::Context;
use crate::package::Package;
use crate::package::index::Line;
use crate::package::member::Object;
use crate::sources::{Request, Restored};

pub(super) use load::Loader;
pub(super) use rows::Loaded;

/// The switches that this source knows.
const SWITCHES: &[&str] = &["no-owner", "no-acl", "swap"];

/// What a restore was asked to do.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Task {
    /// The server, and a database on it if one was named.
    options: PgConnectOptions,
    /// The database to restore into, if not the one it came from.
    name: Option<String>,
    /// The tables to restore; empty: everything.
    only: Vec<Pattern>,
    /// What the request names, by database.
    wanted: Vec<Wanted>,
    replace: bool,
    swap: bool,
    no_owner: bool,
    no_acl: bool,
    jobs: usize,
}

/// One `--only`: `shop/`, `sales.orders`, or `shop/sales.orders`, each part a glob.
#[derive(Debug, Clone)]
struct Wanted {
    database: Option<GlobMatcher>,
    table: Option<Pattern>,
}

/// What the index says is in the package.
#[derive(Debug, Default)]
struct Contents {
    globals: bool,
    databases: Vec<String>,
    /// The bytes of the members that fill each database, by what their paths begin with.
    rows: BTreeMap<String, u64>,
    objects: Vec<Object>,
}

impl Contents {
    /// The bytes of one database's tables, by the names that blocks give them.
    fn sizes(&self, database: &str) -> HashMap<String, u64> {
        let prefix = format!("{}/", paths::component(database));
        let size = |object: &Object| {
            let table = object.name.strip_prefix(&prefix)?;
            Some((table.to_owned(), object.fingerprint.bytes))
        };
        self.objects.iter().filter_map(size).collect()
    }
}

/// Restores what the request names.
pub(super) async fn restore(plan: &Plan, package: &Package, request: &Request) -> Result<Restored, Error> {
    let task = Task::new(plan, request)?;
    let contents = contents(package).await?;
    let databases: Vec<(&String, Task)> =
        contents.databases.iter().filter_map(|name| Some((name, task.within(name)?))).collect();
    if databases.is_empty() {
        return Err(Error::Request("`--only` matches no database of the package".to_owned()));
    }
    if task.name.is_some() && databases.len() != 1 {
        let names = contents.databases.join(", ");
        let why = format!(
            "the package has several databases ({names}); choose one with `--only NAME/`, or name a server without a database to restore them all"
        );
        return Err(Error::Request(why));
    }
    let mut restored = Restored::default();
    if request.dry_run {
        for (database, _) in &databases {
            let into = task.name.as_deref().unwrap_or(database.as_str());
            let server = connect::target(&task.options);
            restored.notes.push(format!("would restore database {database} into {into} on {server}"));
        }
        return Ok(restored);
    }
    let own = if contents.globals && task.name.is_none() && task.wanted.is_empty() {
        load::globals(&task, package).await?
    } else {
        Vec::new()
    };
    let (mut compared, mut unfilled) = (0, Vec::new());
    for (database, task) in &databases {
        let (objects, views) = one(task, package, &contents, database, &mut restored).await?;
        compared += objects;
        unfilled.extend(views);
    }
    load::own(&task, &own, &mut restored).await?;
    if !unfilled.is_empty() {
        return Err(Error::Unfilled(unfilled));
    }
    restored.counts.insert("databases".into(), databases.len() as u64);
    restored.compared = format!("{compared} tables, sequences and large objects by fingerprint");
    Ok(restored)
}

/// Restores one database and compares it. Returns how many objects were compared, and the materialized views that the
/// server refuses to fill: what they show follows from tables, so that all else is kept.
async fn one(
    task: &Task,
    package: &Package,
    contents: &Contents,
    database: &str,
    restored: &mut Restored,
) -> Result<(u64, Vec<String>), Error> {
    let restoring = |error: Error| error.at(format!("restoring database {database}"));
    let pre = load::Pre::read(package, database).await.map_err(restoring)?;
    pre.has_definitions(task)?;
    let place = target::prepare(task, database).await?;
    let loader = Loader::new(task.clone(), place.options.clone(), database, contents.sizes(database));
    if place.fresh {
        loader.create(&pre).await.map_err(restoring)?;
    }
    let outcome = async {
        let bytes = contents.rows.get(&paths::rows(database)).copied().unwrap_or(0);
        let (loaded, places) = loader.load(package, &pre, restored, bytes).await?;
        tracing::info!(database, "rows loaded, reading them back and building indexes");
        let (indexes, rest) = loader.post_data(package).await?;
        // The rows are read back while indexes are built on them: neither changes them. Both go on to their end, so
        // that nothing works any more in a database that is thrown away.
        let mut built = Restored::default();
        let (compared, indexed) = tokio::join!(
            compare(task, contents, &place, database, &loaded, restored),
            loader.build(&indexes, &mut built)
        );
        indexed?;
        let compared = compared?;
        restored.notes.extend(built.notes);
        tracing::info!(database, compared, "rows compared, building keys and what else depends on rows");
        loader.build(&rest, restored).await?;
        loader.attach(&places).await?;
        loader.close(&pre, restored).await?;
        Ok::<_, Error>(compared)
    };
    match outcome.await {
        Ok(compared) => {
            // The planner can do without statistics, so what is loaded and compared is kept whatever comes of this.
            restored.notes.extend(analyze::analyze(&place.options, task.jobs).await);
            target::settle(task, place, restored).await?;
            Ok((compared, loader.unfilled()))
        }
        Err(error) => {
            // Nothing is left behind that could be taken for a restored database.
            target::discard(task, place).await;
            Err(restoring(error))
        }
    }
}

async fn compare(
    task: &Task,
    contents: &Contents,
    place: &target::Place,
    database: &str,
    loaded: &rows::Loaded,
    restored: &mut Restored,
) -> Result<u64, Error> {
    let prefix = format!("{}/", paths::component(database));
    let names: HashSet<&str> = contents.objects.iter().map(|object| object.name.as_str()).collect();
    let wanted = |name: &str| {
        name.strip_prefix(&prefix).is_some_and(|relation| task.takes(relation)) && names.contains(name)
    };
    let mut found = fingerprint::take(&place.options, database, task.jobs, loaded, wanted).await?;
    let (mut compared, mut differences) = (0, Vec::new());
    for object in contents.objects.iter().filter(|object| wanted(&object.name)) {
        compared += 1;
        restored.bytes += object.fingerprint.bytes;
        *restored.counts.entry(format!("{}s", object.kind.trim_end_matches('s'))).or_default() += 1;
        if object.kind == "table" {
            *restored.counts.entry("rows".into()).or_default() += object.fingerprint.rows;
        }
        match found.remove(&(object.kind.clone(), object.name.clone())) {
            Some(fingerprint) if fingerprint == object.fingerprint => {}
            Some(fingerprint) => differences.push(format!(
                "{} {}: dumped {}, restored {fingerprint}",
                object.kind, object.name, object.fingerprint
            )),
            None => differences.push(format!("{} {}: missing", object.kind, object.name)),
        }
    }
    if differences.is_empty() { Ok(compared) } else { Err(Error::Differs(differences)) }
}

/// Reads `--into`: nothing is the configured server, a name another database of it, an address a server of its own.
/// Returns how to connect, and the database if it is said.
fn into(plan: &Plan, into: Option<&str>) -> Result<(PgConnectOptions, Option<String>), Error> {
    let refused = |why: &str| Error::Request(why.to_owned());
    match into {
        Some(url) if url.contains("://") => {
            let options = connect::from_url(url, &mut Context::default());
            let options = options.ok_or_else(|| refused("`--into` is not a valid postgres:// URL"))?;
            let name = options.get_database().map(str::to_owned);
            Ok((connect::with_session_options(options), name))
        }
        _ if !plan.configured => {
            Err(refused("no server is configured: write `--into postgres://user@host/database`"))
        }
        Some("") => Err(refused("`--into` is empty: write a database's name or a postgres:// URL")),
        name => Ok((plan.options.clone(), name.map(str::to_owned))),
    }
}

impl Task {
    fn new(plan: &Plan, request: &Request) -> Result<Self, Error> {
        for switch in &request.switches {
            if !SWITCHES.contains(&switch.as_str()) {
                let known = SWITCHES.join("`, `");
                return Err(Error::Request(format!("unknown switch `{switch}`; there are `{known}`")));
            }
        }
        let has = |name: &str| request.switches.iter().any(|switch| switch == name);
        let (options, name) = into(plan, request.into.as_deref())?;
        let wanted: Result<Vec<Wanted>, _> = request.only.iter().map(|text| Wanted::parse(text)).collect();
        let wanted = wanted.map_err(|error| Error::Request(format!("`--only`: {error}")))?;
        if has("swap") && wanted.iter().any(|wanted| wanted.table.is_some()) {
            return Err(Error::Request(
                "`swap` restores whole databases; leave tables out of `--only`".to_owned(),
            ));
        }
        Ok(Self {
            options,
            name,
            only: Vec::new(),
            wanted,
            replace: request.replace,
            swap: has("swap"),
            no_owner: has("no-owner"),
            no_acl: has("no-acl"),
            jobs: plan.jobs,
        })
    }

    /// The task for one database; nothing if it is not wanted.
    fn within(&self, database: &str) -> Option<Self> {
        let mut task = self.clone();
        if !self.wanted.is_empty() {
            let of = |wanted: &&Wanted| wanted.database.as_ref().is_none_or(|glob| glob.is_match(database));
            let wanted: Vec<&Wanted> = self.wanted.iter().filter(of).collect();
            let tables: Option<Vec<Pattern>> = wanted.iter().map(|wanted| wanted.table.clone()).collect();
            task.only = match tables {
                Some(tables) if tables.is_empty() => return None,
                Some(tables) => tables,
                // One of them names the whole database.
                None => Vec::new(),
            };
        }
        Some(task)
    }

    /// Whether something that belongs to this table (as blocks and paths name it) is wanted.
    pub(super) fn takes(&self, relation: &str) -> bool {
        if self.only.is_empty() {
            return true;
        }
        let Some((schema, table)) = relation.split_once('.') else { return false };
        let (Some(schema), Some(table)) = (paths::decode(schema), paths::decode(table)) else { return false };
        self.only.iter().any(|pattern| pattern.takes_table(&schema, &table))
    }
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, globset::Error> {
        let (database, table) = match text.split_once('/') {
            Some((database, table)) => (Some(Glob::new(database)?.compile_matcher()), table),
            None => (None, text),
        };
        let table = (!table.is_empty()).then(|| Pattern::parse(table)).transpose()?;
        Ok(Self { database, table })
    }
}

async fn contents(package: &Package) -> Result<Contents, Error> {
    let contents = Arc::new(Mutex::new(Contents::default()));
    let filled = Arc::clone(&contents);
    package
        .index(move |line| {
            let mut contents = filled.lock().unwrap_or_else(PoisonError::into_inner);
            match line {
                Line::Entry(entry) => {
                    let path = String::from_utf8_lossy(&entry.path).into_owned();
                    contents.globals |= path == "globals.sql";
                    let name = path.strip_prefix("db/").and_then(|rest| rest.strip_suffix("/1-pre-data.sql"));
                    contents.databases.extend(name.and_then(paths::decode));
                    if let Some(end) = path.find("/2-data/") {
                        *contents.rows.entry(path[..end + "/2-data/".len()].to_owned()).or_default() +=
                            entry.size;
                    }
                }
                Line::Object(object) => contents.objects.push(object),
            }
            Ok(())
        })
        .await?;
    let contents = std::mem::take(&mut *contents.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(contents)
}
