//! What makes two databases the same: `pg_dump`'s text, and every table's rows.

use crate::support::postgres::Cluster;

/// One row for each table, sequence and large object: its name, its number of rows and a digest of them in any order.
pub fn content(cluster: &Cluster, database: &str) -> Vec<String> {
    // Where columns that parents got later stand is not part of it: their order is the definition's.
    let list = "SELECT format('SELECT %L, count(*), md5(string_agg(said, chr(10) ORDER BY said COLLATE \"C\")) FROM (SELECT ROW(%s)::text FROM ONLY %s) r(said)', c.oid::regclass,
            (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname COLLATE \"C\") FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), c.oid::regclass)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm') AND c.relname !~ '^moods_' AND (c.relkind <> 'm' OR c.relispopulated)
        AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        UNION ALL SELECT 'SELECT ''moods'', count(*), md5(string_agg((r.*)::text, chr(10) ORDER BY (r.*)::text COLLATE \"C\")) FROM app.moods r' FROM pg_class WHERE relname = 'moods'
        UNION ALL SELECT format('SELECT %L, last_value, is_called::text FROM %s', oid::regclass, oid::regclass) FROM pg_class WHERE relkind = 'S'
        UNION ALL SELECT format('SELECT %L, 1, md5(lo_get(%s))', oid, oid) FROM pg_largeobject_metadata";
    let queries = cluster.psql(
        database,
        &format!("SELECT string_agg(replace(q, chr(10), chr(10)), ' UNION ALL ') FROM ({list}) l(q)"),
    );
    if queries.is_empty() {
        return Vec::new();
    }
    let mut rows: Vec<String> = cluster
        .psql(database, &format!("SET TimeZone = UTC; SET extra_float_digits = 3; {queries}"))
        .lines()
        .map(str::to_owned)
        .collect();
    rows.sort();
    rows
}

/// `pg_dump`'s text of a database. Which partition of a hash of an enum has a row is not part of it.
pub fn text(cluster: &Cluster, database: &str) -> String {
    cluster.text("pg_dump", &["--exclude-table-data=app.moods_*", "-d", database])
}

/// Fails with the first lines that differ.
pub fn same(ours: &str, theirs: &str) {
    if let Some(difference) = difference(ours, theirs) {
        panic!("{difference}");
    }
}

/// The first lines that differ, if any do.
pub fn difference(ours: &str, theirs: &str) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let pairs = ours.lines().zip(theirs.lines()).enumerate().filter(|(_, (a, b))| a != b);
    let first: Vec<String> = pairs.take(20).map(|(n, (a, b))| format!("{n}: {a}\n   {b}")).collect();
    let (ours, theirs) = (ours.lines().count(), theirs.lines().count());
    Some(format!("{ours} and {theirs} lines, first differences:\n{}", first.join("\n")))
}
