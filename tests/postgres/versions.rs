//! The gate over the versions that every run tests, and what tar and psql alone make of a package.

use serde_json::json;

use crate::compare::same;
use crate::gate::gate;
use crate::support::postgres::dump;
use crate::support::{scratch, shell};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_15() {
    gate(15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_18() {
    gate(18).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_table_and_the_schema_alone_come_out_with_tar() {
    let cluster = crate::support::postgres::shared();
    // The last table is empty, and yet large enough that it is read in ranges.
    cluster.database(
        "taken",
        "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000); CREATE TABLE u (b int);
        CREATE TABLE v (c text) WITH (autovacuum_enabled = false); ALTER TABLE v ALTER c SET STORAGE PLAIN;
        INSERT INTO v SELECT repeat('x', 1900) FROM generate_series(1, 20000); DELETE FROM v",
    );
    assert!(cluster.psql("taken", "SELECT pg_relation_size('v') / 8192").parse::<u32>().unwrap() > 4096);
    let dumped = dump(cluster.config(json!({ "database": "taken", "globals": false }))).await.unwrap();
    let dir = scratch();
    let script = dumped.stock(dir.path()).replace(" | tar xzO", "");
    let psql = |database: &str| {
        format!(
            "{} -qAtX -h 127.0.0.1 -p {} -U postgres -d {database}",
            cluster.bin.join("psql").display(),
            cluster.port
        )
    };
    cluster.database("taken_table", "CREATE TABLE t (a int)");
    shell(&format!("{script} | tar xzO --wildcards 'db/taken/2-data/public.t.*' | {}", psql("taken_table")));
    assert_eq!(cluster.psql("taken_table", "SELECT count(*), sum(a) FROM t"), "1000|500500");
    cluster.psql("postgres", "ALTER DATABASE taken RENAME TO taken_before");
    shell(&format!(
        "{script} | tar xzO db/taken/1-pre-data.sql db/taken/3-post-data.sql | {}",
        psql("postgres")
    ));
    assert_eq!(cluster.psql("taken", "SELECT count(*) FROM t"), "0");
    same(
        &cluster.text("pg_dump", &["-s", "-d", "taken"]),
        &cluster.text("pg_dump", &["-s", "-d", "taken_before"]),
    );
    let listing = String::from_utf8(shell(&format!("{script} | tar tz"))).unwrap();
    let mut names: Vec<&str> = listing.lines().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "db/taken/1-pre-data.sql",
            "db/taken/2-data/public.t.0001.sql",
            "db/taken/2-data/public.u.0001.sql",
            "db/taken/2-data/public.v.0001.sql",
            "db/taken/2-data/sequences.sql",
            "db/taken/3-post-data.sql"
        ]
    );
}
