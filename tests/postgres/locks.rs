//! Whoever waits for a table that is being dumped waits for the end of the dump, and never stops it.

use std::process::{Child, Stdio};
use std::time::Duration;

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::content;
use crate::faults::ROWS;
use crate::session::Session;
use crate::support::postgres::{Cluster, Dumped, chain, dump, dump_with, restore, shared};
use crate::support::server::wait_until;

/// Longer than any of these dumps takes, so that one that waits for ever fails its test.
const FOR_EVER: Duration = Duration::from_mins(1);

/// Waits until so many sessions of a database wait for a lock or run something, as the condition says.
fn sessions(database: &str, number: usize, condition: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid() AND {condition}"
    );
    let found = || shared().psql("postgres", &sql);
    wait_until(
        Duration::from_secs(30),
        || found() == number.to_string(),
        || format!("{condition}: {}", found()),
    );
}

/// A statement in a session of its own, which waits for a lock.
struct Waiting(Child);

impl Waiting {
    fn start(database: &str, statement: &str) -> Self {
        let mut psql = shared().client("psql");
        psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]);
        let child = psql.stdin(Stdio::null()).spawn().unwrap();
        sessions(database, 1, &format!("wait_event_type = 'Lock' AND query = '{statement}'"));
        Self(child)
    }

    fn ends_well(mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}

/// A transaction that is held open until something more is said.
fn open(database: &str, begin: &str) -> Session {
    let mut session = Session::open(shared(), database);
    session.tell(begin);
    sessions(database, 1, "state = 'idle in transaction'");
    session
}

async fn is_the_source(dumped: &Dumped, cluster: &Cluster, database: &str, before: &[String]) {
    let copy = format!("{database}_copy");
    restore(dumped, &cluster.url(&copy), Request::default()).await.unwrap();
    assert_eq!(content(cluster, &copy), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_table_that_somebody_waits_for_before_it_is_read() {
    let cluster = shared();
    cluster.database("queued", &format!("{ROWS} INSERT INTO first SELECT generate_series(1, 3)"));
    let before = content(cluster, "queued");
    let (send, waiting) = std::sync::mpsc::channel();
    let config = cluster.config(json!({ "database": "queued", "globals": false, "jobs": 1 }));
    let dumping = dump_with(config, move || {
        sessions("queued", 1, "query ~ '^COPY .*rows'");
        let ddl = Waiting::start("queued", "TRUNCATE first");
        // The application queues up behind it.
        let application = Waiting::start("queued", "INSERT INTO first VALUES (9)");
        send.send([ddl, application]).unwrap();
    });
    let dumped = tokio::time::timeout(FOR_EVER, dumping).await.expect("the dump ends").unwrap();
    waiting.recv().unwrap().into_iter().for_each(Waiting::ends_well);
    assert_eq!(cluster.psql("queued", "SELECT * FROM first"), "9");
    is_the_source(&dumped, cluster, "queued", &before).await;
}

/// One connection reads the first range of a table, and another comes to the second after somebody has asked for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_later_range_of_a_table_that_somebody_waits_for() {
    let cluster = shared();
    let table = |name: &str, rows: u32| {
        format!(
            "CREATE TABLE {name} (id int, filler text); ALTER TABLE {name} ALTER filler SET STORAGE PLAIN;
            INSERT INTO {name} SELECT i, repeat('x', 1900) FROM generate_series(1, {rows}) i;"
        )
    };
    cluster.database("ranges", &(table("large", 20_400) + &table("later", 20_000)));
    let pages = "SELECT min(pg_relation_size(oid) / 8192) FROM pg_class WHERE relname IN ('large', 'later')";
    assert!(cluster.psql("ranges", pages).parse::<u32>().unwrap() > 4096);
    let before = content(cluster, "ranges");
    let (send, waiting) = std::sync::mpsc::channel();
    let config = cluster.config(json!({ "database": "ranges", "globals": false, "jobs": 3 }));
    let dumping = dump_with(config, move || {
        sessions("ranges", 2, "query ~ '^COPY .*large'");
        sessions("ranges", 1, "query ~ '^COPY .*later'");
        send.send(Waiting::start("ranges", "ALTER TABLE later ADD more int")).unwrap();
    });
    let dumped = tokio::time::timeout(FOR_EVER, dumping).await.expect("the dump ends").unwrap();
    waiting.recv().unwrap().ends_well();
    is_the_source(&dumped, cluster, "ranges", &before).await;
}

/// The holder of the snapshot has its locks and still reads the catalog; nobody reads rows yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_table_that_somebody_waits_for_before_any_is_read() {
    let cluster = shared();
    cluster.database(
        "early",
        "CREATE TABLE one (a int); CREATE TABLE two (a int); CREATE VIEW seen AS SELECT 1;
        CREATE TABLE moods (a int, b text) PARTITION BY HASH (a); CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        INSERT INTO one SELECT generate_series(1, 5); INSERT INTO two SELECT generate_series(1, 7); INSERT INTO moods SELECT i, i FROM generate_series(1, 9) i",
    );
    let facts = "SELECT count(*), sum(a) FROM one UNION ALL SELECT count(*), sum(a) FROM two UNION ALL SELECT count(*), sum(a) FROM moods";
    let before = cluster.psql("early", facts);
    let mut blocker = open("early", "BEGIN; DROP VIEW seen");
    let config = cluster.config(json!({ "database": "early", "globals": false }));
    let dumping = tokio::spawn(dump(config));
    sessions("early", 1, "wait_event_type = 'Lock' AND application_name = 'chupacabra'");
    let ddl = ["one", "two", "moods"].map(|table| Waiting::start("early", &format!("TRUNCATE {table}")));
    blocker.tell("ROLLBACK");
    blocker.ends_well();
    let dumped = tokio::time::timeout(FOR_EVER, dumping).await.expect("the dump ends").unwrap().unwrap();
    ddl.into_iter().for_each(Waiting::ends_well);
    assert_eq!(cluster.psql("early", facts), "0|\n0|\n0|");
    restore(&dumped, &cluster.url("early_copy"), Request::default()).await.unwrap();
    assert_eq!(cluster.psql("early_copy", facts), before);
}

/// What no lock on a table keeps away: somebody has an index for himself, and rows are asked for by a query.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lock_that_never_comes_while_rows_are_read() {
    let cluster = shared();
    cluster.database(
        "indexed",
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE days (m mood, a int) PARTITION BY HASH (m);
        CREATE TABLE days_0 PARTITION OF days FOR VALUES WITH (MODULUS 1, REMAINDER 0); CREATE INDEX held ON days_0 (a);
        INSERT INTO days SELECT 'bad', i FROM generate_series(1, 10) i; CREATE TABLE other (a int); INSERT INTO other SELECT generate_series(1, 20);",
    );
    let mut blocker = open("indexed", "BEGIN; REINDEX INDEX held");
    let config = json!({ "database": "indexed", "globals": false, "lock_timeout": "1s" });
    let dumping = dump(cluster.config(config));
    let error = tokio::time::timeout(FOR_EVER, dumping).await.expect("the dump ends").err().unwrap();
    let text = chain(&error);
    assert!(
        text.starts_with("reading table public.days of indexed: ")
            && text.contains("canceling statement due to lock timeout"),
        "{text}"
    );
    // With more patience it is read as the last, when it can be.
    let dumping = tokio::spawn(dump(cluster.config(json!({ "database": "indexed", "globals": false }))));
    sessions("indexed", 1, "wait_event_type = 'Lock' AND query ~ '^COPY .*days'");
    sessions("indexed", 0, "application_name = 'chupacabra' AND state = 'idle in transaction'");
    blocker.tell("COMMIT");
    blocker.ends_well();
    let dumped = tokio::time::timeout(FOR_EVER, dumping).await.expect("the dump ends").unwrap().unwrap();
    assert_eq!(dumped.summary.counts["rows"], 30);
}

/// Whoever locks tables in another order than the dump may wait for it while it waits for them. The server ends one of
/// both; if it is the dump, it begins again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dump_that_waits_in_a_circle() {
    let cluster = shared();
    cluster.database(
        "circle",
        "CREATE TABLE first (a int); CREATE TABLE second (a int); INSERT INTO first VALUES (1); ALTER DATABASE circle SET deadlock_timeout = '5s'",
    );
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'circle'";
    assert_eq!(cluster.psql("postgres", deadlocks), "0");
    let other = "SET deadlock_timeout = '10min'; BEGIN; LOCK TABLE second; INSERT INTO second VALUES (7)";
    let mut other = open("circle", other);
    let dumping = tokio::spawn(dump(cluster.config(json!({ "database": "circle", "globals": false }))));
    sessions("circle", 1, "wait_event_type = 'Lock'");
    other.tell("LOCK TABLE first; COMMIT");
    let dumped = tokio::time::timeout(FOR_EVER, dumping).await.expect("the dump ends").unwrap().unwrap();
    wait_until(Duration::from_secs(20), || cluster.psql("postgres", deadlocks) == "1", String::new);
    other.ends_well();
    is_the_source(&dumped, cluster, "circle", &content(cluster, "circle")).await;
}
