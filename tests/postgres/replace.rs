//! What a restore drops and creates again, and what it refuses before anything is dropped.

use chupacabra::sources::{Request, Verdict};
use serde_json::json;

use crate::compare::content;
use crate::restore::tampered;
use crate::support::postgres::{Dumped, chain, dump, restore, shared};

const MIXED: &str = "CREATE TABLE t (a int PRIMARY KEY, b serial, c text); INSERT INTO t VALUES (1, DEFAULT, 'x'); CREATE SEQUENCE s START 7;
CREATE VIEW v AS SELECT a FROM t; CREATE MATERIALIZED VIEW m AS SELECT a FROM v; CREATE VIEW over_m AS SELECT a FROM m;
CREATE VIEW late AS SELECT a, c FROM t GROUP BY a; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE f (a int) SERVER far";

async fn dumped(database: &str, sql: &str) -> Dumped {
    let cluster = shared();
    cluster.database(database, sql);
    dump(cluster.config(json!({ "database": database, "globals": false }))).await.unwrap()
}

fn replace(only: &str) -> Request {
    let only = if only.is_empty() { Vec::new() } else { vec![only.to_owned()] };
    Request { only, replace: true, ..Request::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_has_a_name_of_the_package_is_replaced() {
    let cluster = shared();
    let dumped = dumped("mixed", MIXED).await;
    let before = content(cluster, "mixed");
    cluster.psql("mixed", "UPDATE t SET c = 'changed'; SELECT nextval('s'); CREATE OR REPLACE VIEW v AS SELECT a + 1 AS a FROM t");
    assert_ne!(content(cluster, "mixed"), before);
    for only in ["public", "public.*"] {
        restore(&dumped, &cluster.url("mixed"), replace(only)).await.unwrap();
        assert_eq!(content(cluster, "mixed"), before, "{only}");
    }
    let only = Request { only: vec!["public.s".to_owned()], ..Request::default() };
    let error = restore(&dumped, &cluster.url("mixed"), only).await.unwrap_err();
    assert_eq!(chain(&error), "restoring database mixed: the place of sequence public.s is not empty");
}

/// What cannot be created again was never gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_leaves_everything_where_it_was() {
    let cluster = shared();
    let dumped = dumped("stays", MIXED).await;
    cluster.psql("stays", "CREATE SCHEMA mine; CREATE VIEW mine.upon AS SELECT a FROM over_m");
    let before = content(cluster, "stays");
    let error = restore(&dumped, &cluster.url("stays"), replace("public")).await.unwrap_err();
    assert!(chain(&error).ends_with("\"public\".\"over_m\" cannot be replaced, because other objects need it: view mine.upon depends on view public.over_m"), "{}", chain(&error));
    assert_eq!(error.verdict(), Verdict::Refused);
    assert_eq!(content(cluster, "stays"), before);
    cluster.psql("stays", "DROP SCHEMA mine CASCADE");
    let before = content(cluster, "stays");
    let broken = tampered(&dumped, "db/stays/1-pre-data.sql", "CREATE SEQUENCE", "CREATE SEQUENZE").await;
    let error = restore(&broken, &cluster.url("stays"), replace("public")).await.unwrap_err();
    assert!(chain(&error).contains("syntax error"), "{}", chain(&error));
    assert_eq!(content(cluster, "stays"), before);
}

/// Default privileges of the target are not those under which the package was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn default_privileges_of_the_target_let_nobody_in() {
    let cluster = shared();
    cluster.psql("postgres", "CREATE ROLE reads_all");
    let dumped = dumped(
        "private",
        "CREATE ROLE reads_some; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reads_all; ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO reads_all;
        CREATE TABLE secrets (a serial); REVOKE ALL ON secrets FROM reads_all; GRANT SELECT ON secrets TO reads_some; REVOKE ALL ON SEQUENCE secrets_a_seq FROM reads_all",
    )
    .await;
    let rights = "SELECT string_agg(relname || ' ' || relacl::text, ', ' ORDER BY relname) FROM pg_class WHERE relname ~ '^secrets'";
    let expected = cluster.psql("private", rights);
    assert!(expected.contains("reads_some=r") && !expected.contains("reads_all"), "{expected}");
    restore(&dumped, &cluster.url("private"), replace("public.secrets")).await.unwrap();
    let found = cluster.psql("private", rights);
    assert!(found.contains("secrets {postgres=arwdDxt/postgres,reads_some=r/postgres}"), "{found}");
    assert!(!found.contains("reads_all"), "{found}");
    // A database that has some is not empty.
    cluster.database("private_into", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reads_all");
    let error = restore(&dumped, &cluster.url("private_into"), Request::default()).await.unwrap_err();
    let told = "database private_into (default privileges on new relations belonging to role postgres is there) is not empty";
    assert_eq!(error.to_string(), told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_their_table_are_refused_before_anything_is_dropped() {
    let cluster = shared();
    cluster.database("alone_rows", "CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE u AS SELECT 2 AS a");
    let config = json!({ "database": "alone_rows", "globals": false, "data_only": ["public.t"] });
    let dumped = dump(cluster.config(config)).await.unwrap();
    for only in ["", "public", "public.t"] {
        let error = restore(&dumped, &cluster.url("alone_rows"), replace(only)).await.unwrap_err();
        assert_eq!(error.to_string(), "the package has the rows of public.t, but not the definitions");
        assert!(error.help().unwrap().contains("psql"));
        assert_eq!(error.verdict(), Verdict::Refused);
    }
    assert_eq!(cluster.psql("alone_rows", "SELECT a FROM t"), "1");
    restore(&dumped, &cluster.url("alone_rows"), replace("public.u")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_is_one_again() {
    let cluster = shared();
    let dumped =
        dumped("pattern", "CREATE TABLE shape AS SELECT 1 AS a; ALTER DATABASE pattern IS_TEMPLATE true")
            .await;
    let template = "SELECT count(*) FROM pg_database WHERE datname = 'pattern' AND datistemplate";
    restore(&dumped, &cluster.url("pattern"), replace("")).await.unwrap();
    assert_eq!(cluster.psql("pattern", template), "1");
    let swap = Request { switches: vec!["swap".to_owned()], ..replace("") };
    restore(&dumped, &cluster.url("pattern"), swap).await.unwrap();
    assert_eq!(cluster.psql("pattern", template), "1");
    // One that cannot be finished is dropped.
    let row = "db/pattern/2-data/public.shape.0001.sql";
    let broken = tampered(&dumped, row, "\n1\n", "\n2\n").await;
    restore(&broken, &cluster.url("pattern_copy"), Request::default()).await.unwrap_err();
    let left = "SELECT count(*) FROM pg_database WHERE datname ~ '^pattern_'";
    assert_eq!(cluster.psql("postgres", left), "0");
}

/// Every server has `postgres`, and under another name it is still what it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_own_database_keeps_its_locale_under_another_name() {
    let cluster = shared();
    let config = json!({ "database": "postgres", "globals": false });
    let dumped = dump(cluster.config(config)).await.unwrap();
    let path = "db/postgres/1-pre-data.sql";
    // This server's own locale is what a new database has anyway.
    let dumped = tampered(&dumped, path, "LC_CTYPE = 'C.UTF-8'", "LC_CTYPE = 'C'      ").await;
    restore(&dumped, &cluster.url("postgres_copy"), Request::default()).await.unwrap();
    let locale = "SELECT datctype FROM pg_database WHERE datname = 'postgres_copy'";
    assert_eq!(cluster.psql("postgres", locale), "C");
}
