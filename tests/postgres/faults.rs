//! Whatever breaks while a dump runs makes it fail, say what, and leave no package.

use std::time::Duration;

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::content;
use crate::session::Session;
use crate::support::postgres::{Cluster, chain, dump, dump_with, restore, shared, source};
use crate::support::proxy::Proxy;
use crate::support::server::wait_until;

/// A database whose rows are more than what fits between the server and a package that nobody reads.
pub(crate) const ROWS: &str = "CREATE TABLE first (a int); CREATE TABLE rows (id int, filler text); ALTER TABLE rows ALTER filler SET STORAGE EXTERNAL;
INSERT INTO rows SELECT i, (SELECT string_agg(md5((i * 100 + j)::text), '') FROM generate_series(1, 100) j) FROM generate_series(1, 20000) i;";

/// The same with one table, which one connection reads while the other holds the snapshot.
fn rows_alone() -> String {
    format!("{ROWS} DROP TABLE first")
}

/// Ends the server's end of the dump of `database` whose latest statement fits, as soon as there is one.
fn kill(cluster: &Cluster, database: &str, statement: &str) {
    // One that is about to go, of a dump before, has such a statement behind it.
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'chupacabra' AND datname = '{database}' AND state = 'active' AND query ~ '{statement}'"
    );
    let killed = || cluster.psql("postgres", &sql) != "0";
    wait_until(Duration::from_mins(1), killed, || format!("nothing does {statement}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_killed_while_rows_are_read() {
    let cluster = shared();
    cluster.database("killed_copy", ROWS);
    let config = cluster.config(json!({ "database": "killed_copy", "globals": false }));
    let error = dump_with(config, || kill(shared(), "killed_copy", "^COPY .*rows")).await.err().unwrap();
    let text = chain(&error);
    // A server that cannot send because nobody reads ends without saying why.
    assert!(text.starts_with("reading table public.rows of killed_copy: "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_snapshot_holder_killed_while_rows_are_read() {
    let cluster = shared();
    cluster.database("killed_holder", &rows_alone());
    let config = cluster.config(json!({ "database": "killed_holder", "globals": false }));
    let holder = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'killed_holder' AND state = 'idle in transaction'";
    let error = dump_with(config, || {
        let reads = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'killed_holder' AND query ~ '^COPY .*rows'";
        wait_until(Duration::from_mins(1), || shared().psql("postgres", reads) != "0", String::new);
        assert_eq!(shared().psql("postgres", holder), "1");
    });
    let error = error.await.err().unwrap();
    assert!(
        chain(&error).contains("terminating connection due to administrator command"),
        "{}",
        chain(&error)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_killed_while_it_waits_for_a_lock_and_a_lock_that_never_comes() {
    let cluster = shared();
    cluster.database("locked", "CREATE TABLE busy (a int); CREATE TABLE free (a int)");
    let holder = "BEGIN; ALTER TABLE busy ADD b int; SELECT pg_sleep(600)";
    let mut blocker = cluster.client("psql").args(["-qAtX", "-d", "locked", "-c", holder]).spawn().unwrap();
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE relname = 'busy' AND mode = 'AccessExclusiveLock' AND granted";
    wait_until(Duration::from_secs(20), || cluster.psql("locked", waits) == "1", String::new);
    let config = json!({ "database": "locked", "globals": false, "lock_timeout": "1s" });
    let error = dump(cluster.config(config)).await.err().unwrap();
    let text = chain(&error);
    assert!(
        text.starts_with("locking the tables of locked: ")
            && text.contains("canceling statement due to lock timeout"),
        "{text}"
    );
    let killer = std::thread::spawn(|| kill(shared(), "locked", "^LOCK"));
    let error = dump(cluster.config(json!({ "database": "locked", "globals": false }))).await.err().unwrap();
    killer.join().unwrap();
    assert!(
        chain(&error).contains("terminating connection due to administrator command"),
        "{}",
        chain(&error)
    );
    kill_all(cluster, "locked");
    blocker.wait().unwrap();
}

/// Waits until one session of the program waits for what is named.
fn waiting(cluster: &Cluster, database: &str, what: &str, application: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event_type = '{what}' AND application_name = '{application}'"
    );
    wait_until(Duration::from_secs(30), || cluster.psql("postgres", &sql) == "1", String::new);
}

/// What cannot be locked, a view for one, may go while its definition is read. It is never left out in silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_view_that_is_dropped_after_the_snapshot() {
    let cluster = shared();
    cluster.database("viewed", "CREATE TABLE t (a int); CREATE VIEW going AS SELECT a FROM t");
    let mut blocker = Session::open(cluster, "viewed");
    blocker.tell("BEGIN; DROP VIEW going");
    let dropped = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE relname = 'going' AND mode = 'AccessExclusiveLock'";
    wait_until(Duration::from_secs(20), || cluster.psql("viewed", dropped) == "1", String::new);
    let config = cluster.config(json!({ "database": "viewed", "globals": false }));
    let dumping = tokio::spawn(dump(config));
    waiting(cluster, "viewed", "Lock", "chupacabra");
    blocker.tell("COMMIT");
    let text = chain(&dumping.await.unwrap().err().unwrap());
    assert!(text.starts_with("reading the catalog: class view: "), "{text}");
}

/// The dump compares what it has locked with what is there now; that it cannot ask must not look like a difference.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_killed_between_the_locks_and_the_snapshot() {
    let cluster = shared();
    cluster.database("between", "CREATE TABLE busy (a int)");
    let (mut busy, mut catalog) = (Session::open(cluster, "between"), Session::open(cluster, "between"));
    busy.tell("BEGIN; LOCK TABLE busy");
    let locked = "SELECT count(*) FROM pg_locks WHERE relation IN ('busy'::regclass, 'pg_extension'::regclass) AND mode = 'AccessExclusiveLock' AND granted";
    wait_until(Duration::from_secs(20), || cluster.psql("between", locked) == "1", String::new);
    let dumping = tokio::spawn(dump(cluster.config(json!({ "database": "between", "globals": false }))));
    waiting(cluster, "between", "Lock", "chupacabra");
    catalog.tell("BEGIN; LOCK TABLE pg_extension");
    wait_until(Duration::from_secs(20), || cluster.psql("between", locked) == "2", String::new);
    busy.tell("COMMIT");
    let asks = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chupacabra' AND datname = 'between' AND query ~ 'pg_extension' AND wait_event_type = 'Lock'";
    wait_until(Duration::from_secs(20), || cluster.psql("postgres", asks) == "1", String::new);
    kill(cluster, "between", "pg_extension");
    let text = chain(&dumping.await.unwrap().err().unwrap());
    assert!(text.contains("terminating connection due to administrator command"), "{text}");
}

/// A migration that runs while the dump takes its locks: the dump begins again and has what is there at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tables_that_come_and_go_while_the_locks_are_taken() {
    let cluster = shared();
    cluster.database(
        "migrated",
        "CREATE TABLE busy (a int); CREATE TABLE leaving (a int); INSERT INTO busy VALUES (1)",
    );
    let holder = "BEGIN; LOCK TABLE busy; SELECT pg_sleep(600)";
    let mut blocker = cluster.client("psql").args(["-qAtX", "-d", "migrated", "-c", holder]).spawn().unwrap();
    waiting(cluster, "migrated", "Timeout", "psql");
    let config = cluster.config(json!({ "database": "migrated", "globals": false }));
    let dumping = tokio::spawn(dump(config));
    waiting(cluster, "migrated", "Lock", "chupacabra");
    cluster
        .psql("migrated", "DROP TABLE leaving; CREATE TABLE coming (b int); INSERT INTO coming VALUES (7)");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'migrated' AND application_name = 'psql'";
    cluster.psql("postgres", end);
    blocker.wait().unwrap();
    let dumped = dumping.await.unwrap().unwrap();
    restore(&dumped, &cluster.url("migrated_copy"), Request::default()).await.unwrap();
    let text = |database: &str| cluster.text("pg_dump", &["-d", database]);
    assert!(text("migrated").contains("coming") && !text("migrated").contains("leaving"));
    assert_eq!(text("migrated_copy"), text("migrated"));
}

fn kill_all(cluster: &Cluster, database: &str) {
    cluster.psql(
        "postgres",
        &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_stopped() {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(15, &[])));
    cluster.database("stopped", &rows_alone());
    let config = cluster.config(json!({ "database": "stopped", "globals": false }));
    let error = dump_with(config, || {
        let reads =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'stopped' AND query ~ '^COPY .*rows'";
        wait_until(Duration::from_mins(1), || cluster.psql("postgres", reads) != "0", String::new);
        cluster.stop();
    });
    let text = chain(&error.await.err().unwrap());
    assert!(text.starts_with("reading table public.rows of stopped: "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_network_that_is_cut() {
    let cluster = shared();
    cluster.database("cut", ROWS);
    let complete = Proxy::start(cluster.port);
    let config =
        |port: u16| json!({ "host": "127.0.0.1", "port": port, "database": "cut", "globals": false });
    dump(config(complete.port)).await.unwrap();
    let total = complete.passed();
    assert!(total > 60_000_000, "{total}");
    // While connecting, in the catalog, in the rows, and in the last bytes.
    for limit in [200, 60_000, total / 2, total - 500] {
        let proxy = Proxy::start(cluster.port);
        proxy.cut_after(limit);
        let error = dump(config(proxy.port)).await.err();
        assert!(error.is_some(), "cut after {limit} of {total} bytes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_rights_on_one_table() {
    let cluster = shared();
    cluster.psql(
        "postgres",
        "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; CREATE ROLE limited LOGIN",
    );
    cluster.database(
        "rights",
        "CREATE TABLE open (a int); CREATE TABLE closed (a int); GRANT SELECT ON open TO limited",
    );
    let config = |user: &str, more: serde_json::Value| {
        let mut config = cluster.config(json!({ "database": "rights", "user": user }));
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let error = dump(config("limited", json!({ "globals": false }))).await.err().unwrap();
    assert!(chain(&error).contains("permission denied for table closed"), "{}", chain(&error));
    let error = dump(config("reader", json!({}))).await.err().unwrap();
    assert_eq!(
        chain(&error),
        "reading the password hashes of roles needs a superuser; set `role_passwords: false` to back up roles without them, or `globals: false`"
    );
    let dumped = dump(config("reader", json!({ "role_passwords": false }))).await.unwrap();
    assert_eq!(dumped.summary.counts["tables_with_rows"], 2);
}

/// Who owns a database on a managed server is no superuser, and is in no group that may read everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_without_any_right_beyond_the_database() {
    let cluster = shared();
    cluster.psql("postgres", "CREATE ROLE landlord LOGIN");
    cluster.psql("postgres", "CREATE DATABASE owned OWNER landlord TEMPLATE template0");
    cluster.psql("owned", "SET ROLE landlord; CREATE TABLE t (id serial, a text); INSERT INTO t (a) SELECT 'x' || i FROM generate_series(1, 50) i;
        SELECT lo_from_bytea(4711, decode(repeat('00ff10', 300000), 'hex')); SELECT lo_from_bytea(4712, decode(repeat('ab', 262144), 'hex')); SELECT lo_create(4713)");
    let config = cluster.config(json!({ "database": "owned", "user": "landlord", "globals": false }));
    source(config.clone()).unwrap().probe().await.unwrap();
    let dumped = dump(config.clone()).await.unwrap();
    assert_eq!(dumped.summary.missing, []);
    restore(&dumped, &cluster.url("owned_copy"), Request::default()).await.unwrap();
    assert_eq!(content(cluster, "owned_copy"), content(cluster, "owned"));
    // The same package from a superuser: nothing was hidden.
    let all = dump(cluster.config(json!({ "database": "owned", "globals": false }))).await.unwrap();
    assert_eq!(dumped.summary.counts, all.summary.counts);

    // What such a role cannot see is named.
    cluster.psql("owned", "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
        CREATE USER MAPPING FOR postgres SERVER far OPTIONS (password 'x'); CREATE SUBSCRIPTION news CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)");
    let dumped = dump(config).await.unwrap();
    let missing: Vec<&str> = dumped.summary.missing.iter().map(|missing| missing.name.as_str()).collect();
    assert_eq!(
        missing,
        ["subscription news of owned", "options of the user mapping of postgres for far in owned"]
    );
    let all = dump(cluster.config(json!({ "database": "owned", "globals": false }))).await.unwrap();
    assert_eq!(all.summary.missing, []);
    cluster.psql("owned", "DROP SUBSCRIPTION news");
    // Another's large object is no warning either.
    cluster.psql("owned", "SELECT lo_create(4714)");
    let config = cluster.config(json!({ "database": "owned", "user": "landlord", "globals": false }));
    let text = chain(&dump(config).await.err().unwrap());
    assert!(text.starts_with("reading large object 4714 of owned: error returned from database: permission denied for large object 4714"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_own_timeouts_do_not_matter() {
    let cluster = shared();
    cluster.database("timeouts", ROWS);
    cluster.psql("timeouts", "ALTER DATABASE timeouts SET statement_timeout = '50ms'; ALTER DATABASE timeouts SET idle_in_transaction_session_timeout = '50ms'");
    cluster.psql("postgres", "ALTER DATABASE timeouts SET default_transaction_read_only = on; ALTER DATABASE timeouts SET DateStyle = 'German'; ALTER DATABASE timeouts SET search_path = public");
    let dumped = dump(cluster.config(json!({ "database": "timeouts", "globals": false }))).await.unwrap();
    assert_eq!(dumped.summary.counts["rows"], 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_an_unknown_kind_fail_by_name() {
    // Nothing that a user can do makes such an object by ordinary means; a system catalog can be told to.
    let cluster = Cluster::start(15, &["allow_system_table_mods=on"]);
    cluster.psql("postgres", "CREATE TABLE pg_catalog.hidden (a int)");
    let error = dump(cluster.config(json!({ "database": "postgres" }))).await.err().unwrap();
    assert_eq!(chain(&error), "objects that this program does not know how to dump: table hidden");
}
