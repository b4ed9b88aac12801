//! What a database or a role sets for its sessions does not change what a restore makes of a package.

use std::process::Stdio;

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::content;
use crate::support::postgres::{Cluster, dump, restore, shared};
use crate::support::run;

/// Rows enough for the comparison to hold its lock while the primary key wants its own.
const TUNED: &str = "CREATE TABLE rows (id int PRIMARY KEY, filler text);
INSERT INTO rows SELECT i, repeat('x', 500) FROM generate_series(1, 100000) i; CREATE INDEX by_filler ON rows (left(filler, 3));
CREATE TABLE lists (words text[]); INSERT INTO lists VALUES (ARRAY['a', NULL]), (ARRAY['NULL', 'b']);
CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM rows;";

const SETTINGS: &[&str] = &[
    "lock_timeout = '1ms'",
    "statement_timeout = '200ms'",
    "default_tablespace = 'fast'",
    "array_nulls = off",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_deferrable = on",
    "default_transaction_read_only = on",
    "transform_null_equals = on",
    "backslash_quote = off",
];

async fn settings_of_the_database(major: u32) {
    let cluster = Cluster::start(major, &["allow_in_place_tablespaces=on"]);
    run(cluster
        .client("psql")
        .args(["-qAtX", "-d", "postgres", "-c", "CREATE TABLESPACE fast LOCATION ''"])
        .stdin(Stdio::null()));
    cluster.database("tuned", TUNED);
    let before = content(&cluster, "tuned");
    for setting in SETTINGS {
        cluster.psql("postgres", &format!("ALTER DATABASE tuned SET {setting}"));
    }
    // The settings do what they say to whoever does not change them.
    assert!(!cluster.try_psql("tuned", "SELECT count(*) FROM rows, rows r").status.success());
    let dumped = dump(cluster.config(json!({ "database": "tuned", "globals": false }))).await.unwrap();
    let restored = restore(&dumped, &cluster.url("tuned_copy"), Request::default()).await.unwrap();
    assert_eq!(restored.notes, Vec::<String>::new());
    let set = |database: &str| {
        let sql = "SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase";
        cluster.psql("postgres", &format!("{sql} WHERE datname = '{database}'"))
    };
    assert_eq!(set("tuned").split(' ').count(), SETTINGS.len());
    assert_eq!(set("tuned_copy"), set("tuned"));
    cluster.psql("postgres", "ALTER DATABASE tuned_copy RESET ALL");
    assert_eq!(content(&cluster, "tuned_copy"), before);
    let moved = "SELECT count(*), count(*) FILTER (WHERE reltablespace <> 0) FROM pg_class WHERE relname IN ('rows', 'rows_pkey', 'by_filler', 'seen')";
    assert_eq!(cluster.psql("tuned_copy", moved), "4|0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_database_in_15() {
    settings_of_the_database(15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_database_in_18() {
    settings_of_the_database(18).await;
}

/// The planner's statistics are no reason to throw a loaded and compared database away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_that_cannot_be_gathered_are_told() {
    let cluster = shared();
    cluster.database(
        "unreachable",
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
        CREATE TABLE parted (a int) PARTITION BY LIST (a); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
        CREATE FOREIGN TABLE parted_2 PARTITION OF parted FOR VALUES IN (2) SERVER files OPTIONS (filename '/nowhere/at/all');
        INSERT INTO parted VALUES (1); CREATE TABLE plain (b int); INSERT INTO plain SELECT generate_series(1, 100)",
    );
    assert!(!cluster.try_psql("unreachable", "ANALYZE parted").status.success());
    let dumped = dump(cluster.config(json!({ "database": "unreachable", "globals": false }))).await.unwrap();
    for (switches, replace) in [(vec![], false), (vec!["swap".to_owned()], true)] {
        let request = Request { switches, replace, ..Request::default() };
        let restored = restore(&dumped, &cluster.url("unreachable_copy"), request).await.unwrap();
        let [note] = restored.notes.as_slice() else { panic!("{restored:?}") };
        assert!(note.contains("ANALYZE public.parted") && note.contains("/nowhere/at/all"), "{note}");
        // The others have theirs.
        let facts =
            "SELECT count(*), (SELECT reltuples FROM pg_class WHERE relname = 'plain') FROM ONLY parted_1";
        assert_eq!(cluster.psql("unreachable_copy", facts), "1|100");
    }
}

/// A server that is told to pass over damage would make a sound package of what is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_passes_over_damage_is_not_dumped() {
    let cluster = shared();
    cluster.database("careless", "CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 1000);");
    let config = || cluster.config(json!({ "database": "careless", "globals": false }));
    dump(config()).await.unwrap();
    for setting in ["zero_damaged_pages", "ignore_checksum_failure"] {
        cluster.psql("postgres", &format!("ALTER DATABASE careless SET {setting} = on"));
        let error = dump(config()).await.err().expect("a dump of whatever can be read");
        assert!(error.to_string().contains(setting), "{error}");
        assert!(error.help().unwrap().contains("turn it off"), "{error}");
        cluster.psql("postgres", "ALTER DATABASE careless RESET ALL");
    }
}
