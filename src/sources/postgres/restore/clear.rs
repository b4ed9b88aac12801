//! Makes room for single tables. What is not restored stays, and a table that was a partition of another one is going to be
//! one again.

use std::collections::BTreeSet;

use super::super::data::quote;
use super::super::dump::literal;
use super::super::script::Kind;
use super::super::session::{Session, code, detail};
use super::super::{Error, paths};
use super::Task;
use super::blocks::Owned;

/// The statements that make those of the tables partitions again whose parents stay.
const PLACES: &str = "SELECT format('ALTER TABLE ONLY %s ATTACH PARTITION %s %s', i.inhparent::regclass, c.oid::regclass, pg_get_expr(c.relpartbound, c.oid))
FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relispartition AND c.oid = ANY (<tables>) AND NOT i.inhparent = ANY (<tables>)";

/// Partitions of the tables, which are dropped with them although they are none of them.
const LOST: &str = "SELECT DISTINCT 'partition ' || p.relid::text FROM unnest(<tables>) t(oid) CROSS JOIN pg_partition_tree(t.oid) p
WHERE NOT p.relid::oid = ANY (<tables>) ORDER BY 1";

/// Makes the schemas of the wanted tables exist, and the tables not. Returns the statements that give those their place
/// back that were partitions of tables which stay.
pub(super) async fn clear(
    task: &Task,
    session: &mut Session,
    blocks: &[Owned],
) -> Result<Vec<String>, Error> {
    let (mut found, mut tables) = (false, BTreeSet::new());
    for block in blocks.iter().filter(|block| block.kind == Kind::Object && task.takes(&block.relation)) {
        found = true;
        let Some((schema, table)) = block.relation.split_once('.') else { continue };
        let (schema, table) =
            (paths::decode(schema).unwrap_or_default(), paths::decode(table).unwrap_or_default());
        session.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote(&schema))).await?;
        if !block.label.starts_with("table ") {
            continue;
        }
        let name = format!("{}.{}", quote(&schema), quote(&table));
        if session.value(&format!("SELECT to_regclass({}) IS NOT NULL", literal(&name))).await? != "t" {
            continue;
        }
        if !task.replace {
            return Err(Error::NotEmpty(format!("the place of table {schema}.{table}")));
        }
        tables.insert(name);
    }
    if !found {
        return Err(Error::Request("`--only` matches no table of the package".to_owned()));
    }
    if tables.is_empty() { Ok(Vec::new()) } else { drop_tables(session, tables).await }
}

/// Drops the tables, but never what hangs on them: views, keys and partitions that are not in the selection would be
/// lost.
async fn drop_tables(session: &mut Session, tables: BTreeSet<String>) -> Result<Vec<String>, Error> {
    let oids: Vec<String> = tables.iter().map(|name| format!("{}::regclass", literal(name))).collect();
    let oids = format!("ARRAY[{}]::oid[]", oids.join(", "));
    let tables = tables.into_iter().collect::<Vec<String>>().join(", ");
    let lost = session.rows(&LOST.replace("<tables>", &oids)).await?;
    if !lost.is_empty() {
        let lost: Vec<&str> = lost.iter().map(|row| row.text(0)).collect();
        return Err(Error::InTheWay(tables, lost.join(", ")));
    }
    let places = session.rows(&PLACES.replace("<tables>", &oids)).await?;
    match session.execute(&format!("DROP TABLE {tables}")).await {
        Err(error) if code(&error).as_deref() == Some("2BP01") => {
            Err(Error::InTheWay(tables, detail(&error).unwrap_or_default()))
        }
        dropped => dropped.map(|()| places.iter().map(|row| row.text(0).to_owned()).collect()),
    }
}
