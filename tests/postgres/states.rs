//! States that a catalog can be in and statements do not make: temporary tables of others, what is half built or half
//! detached, what differs from the parent.

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::{content, same};
use crate::session::Session;
use crate::support::postgres::{Dumped, dump, restore, shared};
use crate::support::server::wait_until;

/// Dumps a database and restores it under another name.
async fn copied(database: &str) -> (Dumped, String) {
    let cluster = shared();
    let dumped = dump(cluster.config(json!({ "database": database, "globals": false }))).await.unwrap();
    let copy = format!("{database}_copy");
    restore(&dumped, &cluster.url(&copy), Request::default()).await.unwrap();
    (dumped, copy)
}

fn seen(database: &str, sql: &str) {
    let patience = std::time::Duration::from_secs(20);
    wait_until(patience, || shared().psql(database, sql) == "t", || sql.to_owned());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn privileges_on_what_is_temporary_are_nobodys() {
    let cluster = shared();
    cluster.psql("postgres", "CREATE ROLE reads_temporary");
    cluster.database(
        "temporary_rights",
        "CREATE TABLE kept AS SELECT 1 AS a; GRANT SELECT ON kept TO reads_temporary",
    );
    let mut other = Session::open(cluster, "temporary_rights");
    other.tell(
        "CREATE TEMP TABLE x (a serial); GRANT SELECT ON x TO reads_temporary; GRANT UPDATE (a) ON x TO reads_temporary;
        CREATE TYPE pg_temp.y AS (a int); GRANT USAGE ON TYPE pg_temp.y TO reads_temporary;
        CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION pg_temp.f() TO reads_temporary;",
    );
    seen(
        "temporary_rights",
        "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'f' AND proacl IS NOT NULL)",
    );
    let (_, copy) = copied("temporary_rights").await;
    let rights = "SELECT relacl FROM pg_class WHERE relname = 'kept'";
    assert_eq!(cluster.psql(&copy, rights), cluster.psql("temporary_rights", rights));
    drop(other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_of_the_server_keep_their_privileges() {
    let cluster = shared();
    cluster.database(
        "typed",
        "REVOKE USAGE ON TYPE pg_catalog.int4 FROM PUBLIC; CREATE TYPE \"My Type\" AS ENUM ('a'); REVOKE ALL ON TYPE \"My Type\" FROM PUBLIC",
    );
    let (_, copy) = copied("typed").await;
    let rights = "SELECT string_agg(typname || ' ' || typacl::text, ', ' ORDER BY typname) FROM pg_type WHERE typacl IS NOT NULL";
    let expected = cluster.psql("typed", rights);
    assert!(expected.contains("int4 ") && expected.contains("My Type "), "{expected}");
    assert_eq!(cluster.psql(&copy, rights), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_index_is_told_and_left_out() {
    let cluster = shared();
    cluster.database(
        "being_built",
        "CREATE TABLE r (a int) PARTITION BY RANGE (a); CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (10); INSERT INTO r VALUES (1), (1); CREATE INDEX good ON r (a)",
    );
    assert!(
        !cluster.try_psql("being_built", "CREATE UNIQUE INDEX CONCURRENTLY bad ON r1 (a)").status.success()
    );
    cluster.psql(
        "being_built",
        "CREATE UNIQUE INDEX whole ON ONLY r (a); ALTER INDEX whole ATTACH PARTITION bad",
    );
    let (dumped, copy) = copied("being_built").await;
    assert_eq!(dumped.summary.notes, ["index public.bad of being_built is invalid, and so it is not dumped"]);
    let indexes = "SELECT string_agg(indexrelid::regclass || ' ' || indisvalid, ', ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid IN ('r'::regclass, 'r1'::regclass)";
    assert_eq!(cluster.psql(&copy, indexes), "good true, r1_a_idx true, whole false");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_is_being_detached_is_none_any_more() {
    let cluster = shared();
    cluster.database(
        "detaching",
        "CREATE TABLE target (a int PRIMARY KEY); CREATE TABLE d (a int PRIMARY KEY REFERENCES target) PARTITION BY RANGE (a);
        CREATE TABLE d1 PARTITION OF d FOR VALUES FROM (0) TO (10); CREATE TABLE d2 PARTITION OF d FOR VALUES FROM (10) TO (20);
        INSERT INTO target VALUES (1), (11); INSERT INTO d VALUES (1), (11)",
    );
    let mut reader = Session::open(cluster, "detaching");
    reader.tell("BEGIN; SELECT * FROM d;");
    seen(
        "detaching",
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'd'::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
    );
    let detach = "SET statement_timeout = '2s'; ALTER TABLE d DETACH PARTITION d1 CONCURRENTLY";
    let mut psql = cluster.client("psql");
    let (set, alter) = detach.split_once("; ").unwrap();
    assert!(
        !psql.args(["-qAtX", "-d", "detaching", "-c", set, "-c", alter]).output().unwrap().status.success()
    );
    drop(reader);
    assert_eq!(cluster.psql("detaching", "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"), "1");
    let (dumped, copy) = copied("detaching").await;
    let note =
        "public.d1 of detaching is being detached from public.d; a restored one is no partition any more";
    assert_eq!(dumped.summary.notes, [note]);
    let facts = "SELECT (SELECT array_agg(a) FROM d), (SELECT array_agg(a) FROM d1), (SELECT count(*) FROM pg_constraint WHERE conrelid = 'd1'::regclass AND contype IN ('p', 'f')),
        (SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY 1) FROM pg_inherits)";
    assert_eq!(cluster.psql(&copy, facts), "{11}|{1}|2|d2 d2_pkey");
    // That is what it would have become.
    cluster.psql("detaching", "ALTER TABLE d DETACH PARTITION d1 FINALIZE");
    assert_eq!(cluster.psql("detaching", facts), cluster.psql(&copy, facts));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sequence_of_an_identity_may_have_another_type() {
    let cluster = shared();
    cluster.database(
        "wide",
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY); ALTER SEQUENCE t_id_seq AS bigint MAXVALUE 9000000000 INCREMENT 3 CYCLE; INSERT INTO t DEFAULT VALUES;
        CREATE TABLE u (id bigint GENERATED BY DEFAULT AS IDENTITY (START 4)); ALTER SEQUENCE u_id_seq AS smallint",
    );
    let (_, copy) = copied("wide").await;
    let facts = "SELECT string_agg(s::text, ' ' ORDER BY sequencename) FROM pg_sequences s";
    assert_eq!(cluster.psql(&copy, facts), cluster.psql("wide", facts));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_differ_from_their_parents() {
    let cluster = shared();
    cluster.database(
        "differing",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
        CREATE TABLE r (x int) PARTITION BY LIST (x); CREATE TABLE m PARTITION OF r FOR VALUES IN (1, 2) PARTITION BY LIST (x);
        CREATE TABLE a PARTITION OF m FOR VALUES IN (1); CREATE TABLE z PARTITION OF m FOR VALUES IN (2);
        CREATE TRIGGER t AFTER INSERT ON r FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE ONLY m DISABLE TRIGGER t; ALTER TABLE z ENABLE ALWAYS TRIGGER t;
        CREATE TRIGGER off AFTER INSERT ON r FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE r DISABLE TRIGGER off; ALTER TABLE m ENABLE TRIGGER off;
        CREATE TABLE parent (a text); CREATE TABLE child () INHERITS (parent); ALTER TABLE ONLY parent ALTER a SET COMPRESSION lz4; ALTER TABLE ONLY parent ALTER a SET STORAGE EXTERNAL",
    );
    let (_, copy) = copied("differing").await;
    let states = "SELECT string_agg(concat_ws(' ', tgrelid::regclass, tgname, tgenabled), ', ' ORDER BY tgrelid::regclass::text, tgname) FROM pg_trigger";
    let expected = cluster.psql("differing", states);
    assert_eq!(expected, "a off O, a t O, m off O, m t D, r off D, r t O, z off O, z t A");
    same(&cluster.psql(&copy, states), &expected);
    let columns = "SELECT string_agg(concat_ws(' ', attrelid::regclass, attcompression, attstorage), ', ' ORDER BY 1) FROM pg_attribute WHERE attrelid IN ('parent'::regclass, 'child'::regclass) AND attname = 'a'";
    same(&cluster.psql(&copy, columns), &cluster.psql("differing", columns));
    assert_eq!(content(cluster, &copy), content(cluster, "differing"));
}
