//! Dumps a server: what belongs to all of it, then one database after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rand::RngExt as _;
use sqlx::postgres::PgConnectOptions;

use super::alive::Readers;
use super::catalog::{self, Catalog};
use super::config::{Databases, Plan};
use super::data::{self, Reading, Table};
use super::item::{Item, Phase};
use super::large_objects::{self, Pieces};
use super::member::{begin_member, end_member};
use super::script::{self, Kind};
use super::session::{Row, Session};
use super::{Error, globals, order, paths, patterns, probe, snapshot};
use crate::package::digest::Fingerprint;
use crate::package::member::{Header, Object, Time};
use crate::package::outlet::Outlet;
use crate::sources::{ConsistencyKind, Summary};

/// Settings under which definitions and rows are loaded.
const SETTINGS: &str = "SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = off;
SET xmloption = content;
SET lc_monetary = 'C';
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
SET default_transaction_read_only = off;
SET array_nulls = on;
SET transform_null_equals = off;";

/// What the label of a table begins with whose rows are in the package, but not its definition.
pub(super) const ROWS_ALONE: &str = "rows alone ";

/// Dumps everything that the plan names.
pub(super) async fn dump(plan: &Plan, outlet: &Outlet) -> Result<Summary, Error> {
    let restrict: String =
        rand::rng().sample_iter(rand::distr::Alphanumeric).take(40).map(char::from).collect();
    let mut session = Session::open(&plan.options).await?;
    probe::keeps_sessions(plan, &mut session).await?;
    let mut summary = Summary::default();
    let databases = databases(&mut session, plan).await?;
    patterns::check(plan, &databases).await?;
    let mtime = now(&mut session).await?;
    if plan.globals {
        let mut script = Vec::new();
        begin_member(&mut script, &restrict, session.encoding());
        globals::server(&mut session, plan, &mut script).await?;
        end_member(&mut script, &restrict);
        let header = Header::data("globals.sql", "", script.len() as u64, mtime);
        outlet.member(header, Bytes::from(script)).await?;
    }
    // The databases take long; a connection that nobody uses meanwhile would be ended by somebody.
    session.close().await;
    let single = databases.len() == 1;
    for name in &databases {
        let database = Database { plan, name, restrict: &restrict, outlet };
        database.dump(single, &mut summary).await?;
    }
    summary.consistency.kind = if single { ConsistencyKind::Snapshot } else { ConsistencyKind::Fuzzy };
    summary.counts.insert("databases".into(), databases.len() as u64);
    Ok(summary)
}

/// The databases that the plan means.
pub(super) async fn databases(session: &mut Session, plan: &Plan) -> Result<Vec<String>, Error> {
    let rows = session.rows("SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND datname <> 'template1' ORDER BY datname = 'postgres' DESC, datname").await?;
    let all: Vec<String> = rows.iter().map(|row| row.text(0).to_owned()).collect();
    let globs = match &plan.databases {
        Databases::One(name) => {
            if !all.contains(name) {
                return Err(Error::NoMatch {
                    key: "database",
                    pattern: name.clone(),
                    place: "on this server".into(),
                });
            }
            return Ok(vec![name.clone()]);
        }
        Databases::Matching(globs) => globs,
    };
    for (pattern, glob) in globs {
        if !all.iter().any(|name| glob.is_match(name)) {
            return Err(Error::NoMatch {
                key: "databases",
                pattern: pattern.clone(),
                place: "on this server".into(),
            });
        }
    }
    Ok(all
        .into_iter()
        .filter(|name| globs.is_empty() || globs.iter().any(|(_, glob)| glob.is_match(name)))
        .collect())
}

async fn now(session: &mut Session) -> Result<Time, Error> {
    let micros = session.value("SELECT (extract(epoch FROM now()) * 1000000)::int8::text").await?;
    Ok(time(micros.parse().map_err(|_| Error::Answer("a time that is none"))?))
}

fn time(micros: i64) -> Time {
    let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    Time { seconds: micros.div_euclid(1_000_000), nanos }
}

/// One database being dumped.
struct Database<'a> {
    plan: &'a Plan,
    name: &'a str,
    restrict: &'a str,
    outlet: &'a Outlet,
}

impl Database<'_> {
    async fn dump(&self, single: bool, summary: &mut Summary) -> Result<(), Error> {
        let options: PgConnectOptions = self.plan.options.clone().database(self.name);
        let mut snapshot = snapshot::take(&options, &self.plan.selector, self.plan.lock_timeout).await?;
        let mtime = time(snapshot.taken);
        for (key, value) in &snapshot.coordinates {
            let key = if single { (*key).to_owned() } else { format!("{}.{key}", self.name) };
            summary.consistency.coordinates.insert(key, value.clone());
        }
        let session = &mut snapshot.session;
        let catalog = catalog::collect(session, &self.plan.selector).await?;
        catalog::check(session, &catalog).await?;
        let Catalog { items, privileges, counts, missing, notes, .. } = catalog;
        count(summary, &counts);
        summary.missing.extend(missing);
        summary.notes.extend(notes);
        let items = order::order(items)?;
        let (tables, left_out) = data::tables(session, self.plan).await?;
        summary.notes.extend(left_out);
        let count = tables.len() as u64;
        let property = globals::database(session, &session.own(self.name)).await?;
        let mut pre = self.opening(session, &property, &tables);
        for item in items.iter().filter(|item| item.phase == Phase::Pre && self.defines(item)) {
            push_item(&mut pre, session, item);
        }
        let large_objects = self.define_large_objects(session, &mut pre).await?;
        if large_objects > 0 {
            *summary.counts.entry("large_object".into()).or_default() += large_objects;
        }
        end_member(&mut pre, self.restrict);
        self.member(paths::pre_data(self.name), pre, mtime).await?;
        let reading = Reading {
            options,
            snapshot: snapshot.id.clone(),
            database: self.name.to_owned(),
            restrict: self.restrict.to_owned(),
            mtime,
            outlet: self.outlet.clone(),
            readers: Readers::default(),
            lock_timeout: self.plan.lock_timeout,
        };
        *summary.counts.entry("tables_with_rows".into()).or_default() += count;
        let reading = Arc::new(reading);
        let (tied, tables) = data::tied(tables);
        let mut total = data::read(session, &reading, tied, 1).await?;
        total.merge(data::read(session, &reading, tables, self.plan.jobs).await?);
        *summary.counts.entry("rows".into()).or_default() += total.rows;
        self.sequences(session, mtime).await?;
        self.large_objects(session, large_objects, mtime).await?;
        let mut post = Vec::new();
        begin_member(&mut post, self.restrict, session.encoding());
        script::push(&mut post, Kind::Set, "", SETTINGS.as_bytes());
        let (last, first): (Vec<&Item>, Vec<&Item>) = items
            .iter()
            .filter(|item| item.phase == Phase::Post && self.defines(item))
            .partition(|item| matches!(item.label(), "refresh" | "event_trigger"));
        for item in first {
            push_item(&mut post, session, item);
        }
        for privilege in privileges {
            let relation = privilege.relation.as_deref().unwrap_or("-");
            script::push_for(
                &mut post,
                Kind::Privilege,
                relation,
                &privilege.target,
                &session.bytes(&privilege.sql),
            );
        }
        for item in last {
            push_item(&mut post, session, item);
        }
        end_member(&mut post, self.restrict);
        self.member(paths::post_data(self.name), post, mtime).await?;
        snapshot.session.close().await;
        Ok(())
    }

    /// Whether an item's definition is wanted; tables may be named of which only the rows are.
    fn defines(&self, item: &Item) -> bool {
        let Some((schema, table)) = &item.of else { return true };
        !self.has_rows_alone(schema, table)
    }

    fn has_rows_alone(&self, schema: &str, table: &str) -> bool {
        self.plan.data_only.iter().any(|pattern| pattern.takes_table(schema, table))
    }

    fn opening(&self, session: &Session, property: &[(Kind, String)], tables: &[Table]) -> Vec<u8> {
        let mut script = Vec::new();
        begin_member(&mut script, self.restrict, session.encoding());
        for (kind, sql) in property.iter().filter(|(kind, _)| *kind == Kind::Database) {
            script::push(&mut script, *kind, self.name, &session.bytes(sql));
        }
        // A connection string may hold any name; a quoted identifier may not hold a line break here. It is quoted three
        // times: psql reads escapes within single quotes, then takes double quotes out, and the driver reads the rest.
        let quoted = self.name.replace('\\', "\\\\").replace('\'', "\\'");
        let connect = format!("dbname='{quoted}'").replace('"', "\"\"");
        let connect = format!("\"{connect}\"").replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n");
        let commands = format!(
            "\\unrestrict {key}\n\\encoding UTF8\n\\connect -reuse-previous=on '{connect}'\n\\restrict {key}\n",
            key = self.restrict
        );
        script::push(&mut script, Kind::Psql, "", commands.as_bytes());
        script::push(
            &mut script,
            Kind::Set,
            "",
            format!("SET client_encoding = '{}';\n{SETTINGS}", session.encoding()).as_bytes(),
        );
        for (kind, sql) in property.iter().filter(|(kind, _)| *kind != Kind::Database) {
            script::push(&mut script, *kind, self.name, &session.bytes(sql));
        }
        for table in tables.iter().filter(|table| self.has_rows_alone(&table.schema, &table.name)) {
            let relation = paths::relation(&table.schema, &table.name);
            let label = format!("{ROWS_ALONE}{}.{}", table.schema, table.name);
            let comment = b"-- The definition of this table is not in the package.";
            script::push_for(&mut script, Kind::Object, &relation, &label, comment);
        }
        script
    }

    async fn member(&self, path: String, script: Vec<u8>, mtime: Time) -> Result<(), Error> {
        let header = Header::data(path, "", script.len() as u64, mtime);
        Ok(self.outlet.member(header, Bytes::from(script)).await?)
    }

    async fn sequences(&self, session: &mut Session, mtime: Time) -> Result<(), Error> {
        let mut script = Vec::new();
        begin_member(&mut script, self.restrict, session.encoding());
        let rows = sequences(session, |sequence| self.takes_value(sequence)).await?;
        for row in &rows {
            let (schema, name) = (row.text(0), row.text(1));
            let (sql, value) = (row.text(2), row.text(3));
            let relation = paths::relation(row.text(4), row.text(5));
            script::push_for(
                &mut script,
                Kind::Value,
                &relation,
                &format!("{schema}.{name}"),
                &session.bytes(sql),
            );
            let mut fingerprint = Fingerprint::default();
            fingerprint.add(value.as_bytes());
            let name = data::object(self.name, schema, name);
            self.outlet.object(Object { name, kind: "sequence".into(), fingerprint }).await?;
        }
        end_member(&mut script, self.restrict);
        self.member(format!("db/{}/2-data/sequences.sql", paths::component(self.name)), script, mtime).await
    }

    /// Whether a sequence's value is wanted, from what [`sequences`] knows before it reads any. A sequence goes with the
    /// table whose column owns it, and those of extensions with the extensions.
    fn takes_value(&self, sequence: &Row) -> bool {
        let (schema, table) = (sequence.text(3), sequence.text(4));
        let schema_only = |schema: &str, name: &str| {
            self.plan.schema_only.iter().any(|pattern| pattern.takes_table(schema, name))
        };
        let unreadable = sequence.text(6) == "t" && schema_only(schema, table);
        self.plan.selector.takes_table(schema, table)
            && (sequence.text(5) == "f" || self.plan.selector.takes_all_schemas())
            && !unreadable
            && !schema_only(sequence.text(0), sequence.text(1))
    }

    /// Creates large objects, which belong to no schema; returns how many.
    async fn define_large_objects(&self, session: &mut Session, script: &mut Vec<u8>) -> Result<u64, Error> {
        if !self.plan.selector.takes_all_schemas() {
            return Ok(0);
        }
        large_objects::define(session, script).await
    }

    /// Large objects, in pieces of 256 KiB, which is what the fingerprint takes as rows.
    async fn large_objects(&self, session: &mut Session, defined: u64, mtime: Time) -> Result<(), Error> {
        if !self.plan.selector.takes_all_schemas() {
            return Ok(());
        }
        let (mut part, mut script) = (0, Vec::new());
        let mut fingerprint = Fingerprint::default();
        let mut pieces = Pieces::default();
        while let Some(piece) = pieces.next(session).await? {
            if script.is_empty() {
                begin_member(&mut script, self.restrict, session.encoding());
            }
            fingerprint.add(piece.row().as_bytes());
            script::push(&mut script, Kind::Value, &piece.oid, piece.statement().as_bytes());
            if script.len() >= 1 << 20 {
                part += 1;
                self.large_objects_member(part, &mut script, mtime).await?;
            }
        }
        if pieces.read != defined {
            return Err(Error::Answer("not as many large objects as were created"));
        }
        if !script.is_empty() {
            part += 1;
            self.large_objects_member(part, &mut script, mtime).await?;
        }
        if part > 0 {
            let name = large_objects::name(self.name);
            self.outlet.object(Object { name, kind: "large_objects".into(), fingerprint }).await?;
        }
        Ok(())
    }

    async fn large_objects_member(&self, part: u32, script: &mut Vec<u8>, mtime: Time) -> Result<(), Error> {
        end_member(script, self.restrict);
        let path = format!("db/{}/2-data/large_objects.{part:04}.sql", paths::component(self.name));
        self.member(path, std::mem::take(script), mtime).await
    }
}

/// The wanted sequences: schema, name, the statement that sets it, its value as text, schema and name of the table that
/// owns it.
///
/// Others are never read, because one of them might not be readable. They are chosen by schema, name, both as SQL, schema
/// and name of the owning table, whether an extension has it, whether it is unlogged on a standby.
pub(super) async fn sequences(
    session: &mut Session,
    wanted: impl Fn(&Row) -> bool,
) -> Result<Vec<Row>, Error> {
    let list = catalog::expand(
        "SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), coalesce(tn.nspname, n.nspname), coalesce(t.relname, c.relname),
         NOT @own(c), c.relpersistence = 'u' AND pg_is_in_recovery()
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_depend d ON d.classid = c.tableoid AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = c.tableoid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
         LEFT JOIN pg_class t ON t.oid = d.refobjid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
         WHERE c.relkind = 'S' AND (@user(n) AND @own(c) OR EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig))) ORDER BY 1, 2",
        session.major,
    );
    let mut names = session.rows(&list).await?;
    names.retain(wanted);
    let mut result = Vec::new();
    for batch in names.chunks(200) {
        let queries: Vec<String> = batch
            .iter()
            .map(|row| {
                let (schema, name) = (literal(row.text(0)), literal(row.text(1)));
                format!(
                    "SELECT {schema}::text, {name}::text, format('SELECT pg_catalog.setval(%L, %s, %L);', format('%I.%I', {schema}::text, {name}::text), last_value, is_called), last_value::text || E'\\t' || is_called::text, {}::text, {}::text FROM {}",
                    literal(row.text(3)),
                    literal(row.text(4)),
                    row.text(2)
                )
            })
            .collect();
        result.extend(session.rows(&queries.join("\nUNION ALL ")).await?);
    }
    Ok(result)
}

/// A text as an SQL literal, whatever the server's `standard_conforming_strings`.
pub(super) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

fn count(summary: &mut Summary, counts: &BTreeMap<&'static str, u64>) {
    for (label, number) in counts {
        *summary.counts.entry((*label).to_owned()).or_default() += number;
    }
}

/// Appends an item: created, given to its owner, commented.
fn push_item(script: &mut Vec<u8>, session: &Session, item: &Item) {
    let kind = match item.label() {
        "index" => Kind::Index,
        "foreign_key" => Kind::ForeignKey,
        "refresh" | "event_trigger" => Kind::Last,
        "default_privileges" => Kind::Privilege,
        _ => Kind::Object,
    };
    let label = item.describe();
    let relation = item.relation.as_deref().unwrap_or("-");
    if !item.sql.is_empty() {
        script::push_for(script, kind, relation, &label, &session.bytes(&item.sql));
    }
    if let (Some(owner), Some(identity)) = (&item.owner, &item.identity) {
        let sql = format!("ALTER {identity} OWNER TO {};", data::quote(owner));
        script::push_for(script, Kind::Owner, relation, &label, &session.bytes(&sql));
    }
    for note in &item.notes {
        script::push_for(script, kind, relation, &label, &session.bytes(note));
    }
}
