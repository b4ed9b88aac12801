//! What a database is to the stock tools, and where two differ.

use std::collections::BTreeMap;

use crate::keep;
use crate::support::postgres::Cluster;
use crate::support::postgres::compare::{content, difference};

/// Every grant with its grantor, which `pg_dump` shows by the order of its statements only.
const RIGHTS: &str = "
SELECT string_agg(line, chr(10) ORDER BY line COLLATE \"C\") FROM (
SELECT concat_ws(' ', pg_describe_object(o.class, o.oid, o.part), pg_get_userbyid(x.grantor), CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END, x.privilege_type, x.is_grantable) AS line FROM (
  SELECT tableoid AS class, oid, 0 AS part, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner)) AS acl FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND oid >= 16384
  UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, attacl FROM pg_attribute WHERE attrelid >= 16384 AND NOT attisdropped
  UNION ALL SELECT tableoid, oid, 0, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT tableoid, oid, 0, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace WHERE nspname !~ '^pg_'
  UNION ALL SELECT tableoid, oid, 0, coalesce(typacl, acldefault('T', typowner)) FROM pg_type WHERE oid >= 16384 AND typelem = 0
  UNION ALL SELECT tableoid, oid, 0, coalesce(srvacl, acldefault('S', srvowner)) FROM pg_foreign_server
  UNION ALL SELECT tableoid, oid, 0, coalesce(fdwacl, acldefault('F', fdwowner)) FROM pg_foreign_data_wrapper
  UNION ALL SELECT tableoid, oid, 0, coalesce(lanacl, acldefault('l', lanowner)) FROM pg_language
  UNION ALL SELECT 'pg_largeobject'::regclass, oid, 0, coalesce(lomacl, acldefault('L', lomowner)) FROM pg_largeobject_metadata
  UNION ALL SELECT tableoid, oid, 0, defaclacl FROM pg_default_acl
  UNION ALL SELECT tableoid, oid, 0, coalesce(datacl, acldefault('d', datdba)) FROM pg_database WHERE datname = current_database()
) o CROSS JOIN aclexplode(o.acl) x) l";

/// What a database is.
pub(crate) type State = BTreeMap<&'static str, String>;

/// Asks for everything.
pub(crate) fn state(cluster: &Cluster, database: &str) -> State {
    let text = |more: &[&str]| cluster.text("pg_dump", &[&["-d", database], more].concat());
    // Rows that several connections loaded come in any order.
    let data = text(&["-a"]);
    let mut data: Vec<&str> = data.lines().collect();
    data.sort_unstable();
    State::from([
        ("definitions", text(&["-C", "-s"])),
        ("data", data.join("\n")),
        ("content", content(cluster, database).join("\n")),
        ("rights", cluster.psql(database, RIGHTS)),
    ])
}

/// Where a copy differs from its source. What `pg_dump` makes something else of, `theirs` shows.
pub(crate) fn differences(source: &State, copy: &State, theirs: Option<&State>, name: &str) -> Vec<String> {
    let mut differing = Vec::new();
    for (class, expected) in source {
        if copy[class] == *expected || theirs.is_some_and(|theirs| copy[class] == theirs[class]) {
            continue;
        }
        keep(&format!("{name}.{class}.source"), expected.as_bytes());
        keep(&format!("{name}.{class}.copy"), copy[class].as_bytes());
        if let Some(theirs) = theirs {
            keep(&format!("{name}.{class}.theirs"), theirs[class].as_bytes());
        }
        let first = difference(&copy[class], expected).unwrap_or_default();
        differing.push(format!(
            "{name}: {class} of copy and source: {}",
            first.chars().take(1500).collect::<String>()
        ));
    }
    differing
}
