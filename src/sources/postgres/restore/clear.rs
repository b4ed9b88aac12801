//! Makes room for single tables, views and sequences. What is not restored stays, and a table that was a partition of
//! another one is going to be one again.

use std::collections::BTreeSet;

use super::super::data::quote;
use super::super::dump::literal;
use super::super::script::Kind;
use super::super::session::{Row, Session, code, detail};
use super::super::{Error, paths};
use super::blocks::Owned;
use super::{Task, load};

/// What stands where something is going to be restored: oid, schema, name, what it is.
const FOUND: &str = "SELECT c.oid, n.nspname, c.relname,
CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'table' END
FROM unnest(<names>) name JOIN pg_class c ON c.oid = to_regclass(name) JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') ORDER BY c.oid DESC";

/// The statements that make those of the tables partitions again whose parents stay.
const PLACES: &str = "SELECT format('ALTER TABLE ONLY %s ATTACH PARTITION %s %s', i.inhparent::regclass, c.oid::regclass, pg_get_expr(c.relpartbound, c.oid))
FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relispartition AND c.oid = ANY (<tables>) AND NOT i.inhparent = ANY (<tables>)";

/// Partitions of the tables, which are dropped with them although they are none of them.
const LOST: &str = "SELECT DISTINCT 'partition ' || p.relid::text FROM unnest(<tables>) t(oid) CROSS JOIN pg_partition_tree(t.oid) p
WHERE NOT p.relid::oid = ANY (<tables>) ORDER BY 1";

/// The statements that leave new tables and their sequences with the privileges that the server gives where no default
/// privileges say otherwise.
const TAKEN_BACK: &str = "SELECT format('REVOKE ALL ON %1$s %2$s FROM %3$s; GRANT ALL ON %1$s %2$s TO %4$I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
  c.oid::regclass, string_agg(DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, ', '), pg_get_userbyid(c.relowner))
FROM pg_class c CROSS JOIN aclexplode(c.relacl) x WHERE c.oid IN (SELECT to_regclass(name) FROM unnest(<names>) name
  UNION ALL SELECT d.objid FROM unnest(<names>) name JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = d.classid
    AND d.refobjid = to_regclass(name) AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))
GROUP BY c.oid, c.relkind, c.relowner";

/// Makes the schemas of what is wanted exist, and itself not. What is there is dropped in a transaction that stays open:
/// if it cannot be created again, it was never gone. Returns the statements that give those tables their place back that
/// were partitions of tables which stay.
pub(super) async fn clear(
    task: &Task,
    session: &mut Session,
    blocks: impl Iterator<Item = &Owned>,
) -> Result<Vec<String>, Error> {
    let (mut schemas, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (schema, name) in blocks.filter_map(|block| relation(task, block)) {
        names.insert(format!("{schema}.{name}"));
        schemas.insert(schema);
    }
    if names.is_empty() {
        return Err(Error::Request("`--only` matches no table of the package".to_owned()));
    }
    for schema in schemas {
        session.execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
    }
    let found = session.rows(&FOUND.replace("<names>", &array(&names))).await?;
    let Some(first) = found.last() else { return Ok(Vec::new()) };
    if !task.replace {
        let label = format!("{}.{}", first.text(1), first.text(2));
        return Err(Error::NotEmpty(format!("the place of {} {}", first.text(3), label)));
    }
    let oids: Vec<&str> = found.iter().map(|row| row.text(0)).collect();
    let oids = format!("ARRAY[{}]::oid[]", oids.join(", "));
    let lost = session.rows(&LOST.replace("<tables>", &oids)).await?;
    if !lost.is_empty() {
        let lost: Vec<&str> = lost.iter().map(|row| row.text(0)).collect();
        return Err(Error::InTheWay(tables(&found), lost.join(", ")));
    }
    let places = session.rows(&PLACES.replace("<tables>", &oids)).await?;
    session.begin().await?;
    drop_all(session, &found).await?;
    Ok(places.iter().map(|row| row.text(0).to_owned()).collect())
}

/// Takes away what default privileges of the target have given to what was just created: the package's privileges say
/// how these differ from those of a server without any.
pub(super) async fn take_back(task: &Task, session: &mut Session, blocks: &[Owned]) -> Result<(), Error> {
    let names = blocks.iter().filter_map(|block| relation(task, block));
    let names: BTreeSet<String> = names.map(|(schema, name)| format!("{schema}.{name}")).collect();
    for row in session.rows(&TAKEN_BACK.replace("<names>", &array(&names))).await? {
        session.execute(row.text(0)).await?;
    }
    Ok(())
}

/// Schema and name, as SQL, of what a wanted block makes.
fn relation(task: &Task, block: &Owned) -> Option<(String, String)> {
    if block.kind != Kind::Object || !task.takes(&block.relation) {
        return None;
    }
    let (schema, name) = block.relation.split_once('.')?;
    Some((quote(&paths::decode(schema)?), quote(&paths::decode(name)?)))
}

fn array(names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
    format!("ARRAY[{}]::text[]", names.join(", "))
}

/// The tables among what was found, by name.
fn tables(found: &[Row]) -> String {
    let names: BTreeSet<String> = found.iter().filter(|row| row.text(3) == "table").map(name).collect();
    names.into_iter().collect::<Vec<String>>().join(", ")
}

fn name(found: &Row) -> String {
    format!("{}.{}", quote(found.text(1)), quote(found.text(2)))
}

/// Drops what was found, but never what hangs on it: views, keys and partitions that are not in the selection would be
/// lost. Whatever is refused is tried again as long as something else goes. Tables go at once, because their keys may
/// need each other.
async fn drop_all(session: &mut Session, found: &[Row]) -> Result<(), Error> {
    let single = found.iter().filter(|row| row.text(3) != "table");
    let mut open: Vec<(String, String)> = single.map(|row| (row.text(3).to_owned(), name(row))).collect();
    let tables = tables(found);
    if !tables.is_empty() {
        open.push(("table".to_owned(), tables));
    }
    while !open.is_empty() {
        let (before, mut refused) = (open.len(), None);
        let mut left = Vec::new();
        for (kind, names) in open {
            match load::run(session, format!("DROP {kind} IF EXISTS {names}").as_bytes()).await {
                Err(error) if code(&error).as_deref() == Some("2BP01") => {
                    let why = || Error::InTheWay(names.clone(), detail(&error).unwrap_or_default());
                    refused.get_or_insert_with(why);
                    left.push((kind, names));
                }
                dropped => dropped?,
            }
        }
        if let Some(refused) = refused.filter(|_| left.len() == before) {
            return Err(refused);
        }
        open = left;
    }
    Ok(())
}
