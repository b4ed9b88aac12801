//! One instant: under writers, under changes of definitions, with and without the right to lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chupacabra::sources::ConsistencyKind;
use chupacabra::sources::mariadb::{Config, config::NonTransactional};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};

use crate::dumped::{config, dump, dump_during, only};
use crate::support::mariadb::{MariaDb, feed};
use crate::support::run;

/// Twenty accounts in each of four tables, always holding 8,000 together.
const ACCOUNTS: &str = "CREATE DATABASE bank; USE bank; \
    CREATE TABLE a (id INT PRIMARY KEY, m INT, filler TEXT); INSERT INTO a SELECT seq, 100, REPEAT('x', 2000) FROM seq_1_to_2000; \
    CREATE TABLE b LIKE a; INSERT INTO b SELECT * FROM a; CREATE TABLE c LIKE a; INSERT INTO c SELECT * FROM a; CREATE TABLE d LIKE a; INSERT INTO d SELECT * FROM a;";

const SUM: &str = "SELECT (SELECT SUM(m) FROM bank.a) + (SELECT SUM(m) FROM bank.b) + (SELECT SUM(m) FROM bank.c) + (SELECT SUM(m) FROM bank.d)";

async fn connect(port: u16, user: &str) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some(user))
        .prefer_socket(false);
    Conn::new(options).await.unwrap()
}

/// Moves money between tables until told to stop; returns how often.
fn writer(port: u16, seed: u32, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<u32> {
    tokio::spawn(async move {
        let mut conn = connect(port, "root").await;
        let (mut at, mut moved) = (seed, 0);
        while !stop.load(Ordering::SeqCst) {
            at = at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let tables = ["a", "b", "c", "d"];
            let (from, to) = (tables[(at >> 8) as usize % 4], tables[(at >> 16) as usize % 4]);
            let (id, other) = (1 + (at >> 4) % 2000, 1 + (at >> 12) % 2000);
            let moves = format!(
                "BEGIN; UPDATE bank.{from} SET m = m - 7 WHERE id = {id}; UPDATE bank.{to} SET m = m + 7 WHERE id = {other}; COMMIT"
            );
            for statement in moves.split("; ") {
                if conn.query_drop(statement).await.is_err() {
                    conn.query_drop("ROLLBACK").await.unwrap();
                    break;
                }
            }
            moved += 1;
        }
        conn.disconnect().await.unwrap();
        moved
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_never_split_a_transaction() {
    let server = MariaDb::start(&[]);
    server.sql(ACCOUNTS);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=3).map(|seed| writer(server.port, seed, stop.clone())).collect();
    let target = MariaDb::start(&[]);
    let mut positions = Vec::new();
    for _ in 0..3 {
        let dumped = dump(only(&server, "bank")).await.unwrap();
        assert_eq!(dumped.summary.consistency.kind, ConsistencyKind::Snapshot);
        positions.push(dumped.summary.consistency.coordinates["gtid_binlog_pos"].clone());
        target.sql("DROP DATABASE IF EXISTS bank");
        feed(&mut target.client(&[]), &dumped.script(&[]));
        assert_eq!(target.sql(SUM).trim(), "800000");
    }
    stop.store(true, Ordering::SeqCst);
    let mut moved = 0;
    for writer in writers {
        moved += writer.await.unwrap();
    }
    assert!(moved > 100, "the writers wrote: {moved}");
    positions.dedup();
    assert!(positions.len() > 1, "the position moves: {positions:?}");
    // The control: read without a snapshot, the sum is wrong sooner or later; so the test can see a split.
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=3).map(|seed| writer(server.port, seed, stop.clone())).collect();
    let split = (0..200).any(|_| {
        let sums = server.sql("SELECT SUM(m) FROM bank.a; SELECT SUM(m) FROM bank.b; SELECT SUM(m) FROM bank.c; SELECT SUM(m) FROM bank.d");
        sums.lines().map(|sum| sum.parse::<i64>().unwrap()).sum::<i64>() != 800_000
    });
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(split, "reading one after the other must be seen to split a transaction");
}

/// The coordinates are those of the snapshot: the binary log up to there, and no further, makes the same content.
#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_position_is_that_of_the_rows() {
    let server = MariaDb::start(&[]);
    server.sql("CREATE DATABASE log; CREATE TABLE log.t (id INT AUTO_INCREMENT PRIMARY KEY, a INT)");
    let stop = Arc::new(AtomicBool::new(false));
    let (port, ending) = (server.port, stop.clone());
    let writer = tokio::spawn(async move {
        let mut conn = connect(port, "root").await;
        while !ending.load(Ordering::SeqCst) {
            conn.query_drop("INSERT INTO log.t (a) VALUES (1)").await.unwrap();
        }
    });
    let dumped = dump(only(&server, "log")).await.unwrap();
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let coordinates = &dumped.summary.consistency.coordinates;
    let log = server.dir().join("data").join(&coordinates["binlog_file"]);
    let stop_at = format!("--stop-position={}", coordinates["binlog_position"]);
    let output =
        run(std::process::Command::new("mariadb-binlog").arg("--no-defaults").arg(stop_at).arg(&log));
    let target = MariaDb::start(&[]);
    feed(&mut target.client(&[]), &output.stdout);
    assert_eq!(target.sql("SELECT COUNT(*) FROM log.t").trim(), dumped.objects["log.t"].rows.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_wait_until_the_dump_is_over() {
    let server = MariaDb::start(&[]);
    server.sql(ACCOUNTS);
    let port = server.port;
    let (begun, mut changes) = tokio::sync::mpsc::unbounded_channel::<()>();
    // From the first bytes of the package on, definitions are changed as fast as the server lets them.
    let changer = tokio::spawn(async move {
        changes.recv().await.unwrap();
        let mut conn = connect(port, "root").await;
        let mut done = Vec::new();
        conn.query_drop("SET lock_wait_timeout = 30").await.unwrap();
        for statement in [
            "ALTER TABLE bank.b ADD COLUMN late INT FIRST",
            "TRUNCATE bank.c",
            "DROP TABLE bank.d",
            "RENAME TABLE bank.a TO bank.e",
        ] {
            done.push(conn.query_drop(statement).await);
        }
        done
    });
    let dumped = dump_during(only(&server, "bank"), move |_| {
        let _ = begun.send(());
    })
    .await
    .unwrap();
    for done in changer.await.unwrap() {
        done.unwrap();
    }
    assert_eq!(server.sql("SHOW TABLES FROM bank").trim(), "b\nc\ne", "the changes were made, afterwards");
    let target = MariaDb::start(&[]);
    feed(&mut target.client(&[]), &dumped.script(&[]));
    assert_eq!(target.sql(SUM).trim(), "800000");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_reload_one_connection_reads_and_says_so() {
    let server = MariaDb::start(&[]);
    server.sql(ACCOUNTS);
    server.sql("CREATE TABLE bank.aria (a INT) ENGINE=Aria; CREATE USER modest; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO modest");
    let stop = Arc::new(AtomicBool::new(false));
    // Definitions change all the time, before and while the snapshot is opened.
    let (port, ending) = (server.port, stop.clone());
    let changer = tokio::spawn(async move {
        let mut conn = connect(port, "root").await;
        let mut changed = 0;
        while !ending.load(Ordering::SeqCst) {
            for statement in ["CREATE TABLE bank.x (a INT)", "TRUNCATE bank.x", "DROP TABLE bank.x"] {
                conn.query_drop(statement).await.unwrap();
                changed += 1;
            }
            tokio::task::yield_now().await;
        }
        changed
    });
    let moving = writer(server.port, 9, stop.clone());
    let target = MariaDb::start(&[]);
    let mut good = 0;
    for _ in 0..4 {
        match dump(Config { user: "modest".to_owned(), ..only(&server, "bank") }).await {
            Ok(dumped) => {
                good += 1;
                let notes = dumped.summary.notes.join("\n");
                assert!(
                    notes.contains("no global read lock (RELOAD): one connection read everything"),
                    "{notes}"
                );
                assert!(
                    notes.contains("bank.aria (Aria) was read without a lock: it may be newer"),
                    "{notes}"
                );
                target.sql("DROP DATABASE IF EXISTS bank");
                feed(&mut target.client(&[]), &dumped.script(&[]));
                assert_eq!(target.sql(SUM).trim(), "800000");
            }
            Err(error) => assert!(
                error.to_string().starts_with("definitions changed during the dump 5 times"),
                "{error}"
            ),
        }
    }
    stop.store(true, Ordering::SeqCst);
    moving.await.unwrap();
    assert!(changer.await.unwrap() > 10 && good > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_without_transactions_are_read_under_the_lock_or_named() {
    let server = MariaDb::start(&[]);
    server.sql("CREATE DATABASE isam; CREATE TABLE isam.m (a INT) ENGINE=MyISAM; INSERT INTO isam.m VALUES (1); CREATE TABLE isam.i (a INT)");
    let dumped = dump(only(&server, "isam")).await.unwrap();
    assert_eq!(dumped.summary.notes, Vec::<String>::new());
    let accept = Config { non_transactional: NonTransactional::Report, ..only(&server, "isam") };
    let dumped = dump(accept).await.unwrap();
    assert_eq!(dumped.summary.notes, ["isam.m (MyISAM) was read without a lock: it may be newer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_cannot_be_had_is_an_error_in_time() {
    let server = MariaDb::start(&[]);
    server.sql(ACCOUNTS);
    let mut holder = connect(server.port, "root").await;
    holder.query_drop("LOCK TABLES bank.a WRITE").await.unwrap();
    let impatient = Config { lock_timeout: Some("1s".parse().unwrap()), ..config(&server) };
    let error = dump(impatient).await.err().unwrap().to_string();
    assert!(error.starts_with("cannot take the global read lock: Lock wait timeout exceeded"), "{error}");
    holder.query_drop("UNLOCK TABLES; INSERT INTO bank.a VALUES (9999, 0, '')").await.unwrap();
}

/// Changes of tables that no connection has read yet wait for the dump, and the dump does not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_tables_not_yet_read_wait_and_hold_nothing_up() {
    const SMALL: usize = 4;
    let server = MariaDb::start(&[]);
    server.sql("CREATE DATABASE queue; USE queue; CREATE TABLE large (id INT PRIMARY KEY, b VARBINARY(2000)); INSERT INTO large SELECT seq, RANDOM_BYTES(960) FROM seq_1_to_30000");
    for small in 1..=SMALL {
        server.sql(&format!("USE queue; CREATE TABLE t{small} (id INT PRIMARY KEY); INSERT INTO t{small} SELECT seq FROM seq_1_to_100"));
    }
    let (reached, wait) = std::sync::mpsc::channel::<()>();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (mut reached, waiting) = (Some(reached), std::sync::Mutex::new(released));
    // One worker, which is in the midst of the large table: the package is not taken until the changes are waiting.
    let patient =
        Config { connections: Some(2), lock_timeout: Some("3s".parse().unwrap()), ..only(&server, "queue") };
    let dumping = tokio::spawn(dump_during(patient, move |bytes| {
        if let Some(reached) = reached.take_if(|_| bytes > 4 << 20) {
            reached.send(()).unwrap();
            tokio::task::block_in_place(|| waiting.lock().unwrap().recv().unwrap());
        }
    }));
    tokio::task::block_in_place(|| wait.recv().unwrap());
    let mut changes = tokio::task::JoinSet::new();
    for small in 1..=SMALL {
        let port = server.port;
        changes.spawn(async move {
            let mut conn = connect(port, "root").await;
            conn.query_drop("SET lock_wait_timeout = 60").await.unwrap();
            conn.query_drop(format!("ALTER TABLE queue.t{small} ADD COLUMN late INT FIRST")).await.unwrap();
        });
    }
    let stuck =
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for table metadata lock'";
    while server.sql(stuck).trim() != SMALL.to_string() {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    let dumped = dumping.await.unwrap().unwrap();
    while let Some(changed) = changes.join_next().await {
        changed.unwrap();
    }
    assert_eq!(
        server.sql("SHOW COLUMNS FROM queue.t1").lines().count(),
        2,
        "the change was made, afterwards"
    );
    assert_eq!(dumped.objects["queue.t4"].rows, 100);
    let target = MariaDb::start(&[]);
    feed(&mut target.client(&[]), &dumped.script(&[]));
    assert_eq!(target.sql("SHOW COLUMNS FROM queue.t1").lines().count(), 1);
}

/// Without the lock too: transactions that end after the snapshot and before the position is asked for are not in it.
#[tokio::test(flavor = "multi_thread")]
async fn without_reload_the_recorded_position_is_that_of_the_rows() {
    let server = MariaDb::start(&[]);
    server.sql("CREATE DATABASE log; CREATE TABLE log.t (id INT AUTO_INCREMENT PRIMARY KEY, a INT); CREATE USER modest; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, BINLOG MONITOR ON *.* TO modest");
    for more in 1..100 {
        server.sql(&format!("CREATE TABLE log.t{more} (id INT)"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (port, ending) = (server.port, stop.clone());
    let writer = tokio::spawn(async move {
        let mut conn = connect(port, "root").await;
        while !ending.load(Ordering::SeqCst) {
            conn.query_drop("INSERT INTO log.t (a) VALUES (1)").await.unwrap();
        }
    });
    let mut dumps = Vec::new();
    for _ in 0..2 {
        dumps.push(dump(Config { user: "modest".to_owned(), ..only(&server, "log") }).await.unwrap());
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let mut seen = Vec::new();
    for dumped in dumps {
        let coordinates = &dumped.summary.consistency.coordinates;
        let log = server.dir().join("data").join(&coordinates["binlog_file"]);
        let stop_at = format!("--stop-position={}", coordinates["binlog_position"]);
        let output =
            run(std::process::Command::new("mariadb-binlog").arg("--no-defaults").arg(stop_at).arg(&log));
        let target = MariaDb::start(&[]);
        feed(&mut target.client(&[]), &output.stdout);
        let rows = dumped.objects["log.t"].rows.to_string();
        assert_eq!(target.sql("SELECT COUNT(*) FROM log.t").trim(), rows);
        let at = format!(
            "SELECT BINLOG_GTID_POS('{}', {})",
            coordinates["binlog_file"], coordinates["binlog_position"]
        );
        assert_eq!(server.sql(&at).trim(), coordinates["gtid_binlog_pos"]);
        assert!(!coordinates.contains_key("gtid_slave_pos"));
        seen.push(rows);
    }
    assert_ne!(seen[0], seen[1], "the writer wrote meanwhile");
}

/// What is no table may be dropped while a dump lasts. The next attempt does not miss it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_meanwhile_is_worth_another_attempt() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE DATABASE kept; USE kept; CREATE TABLE t (id INT PRIMARY KEY, b VARBINARY(2000)); INSERT INTO t SELECT seq, RANDOM_BYTES(960) FROM seq_1_to_30000; \
         CREATE DATABASE passing; CREATE PROCEDURE passing.p() SELECT 1",
    );
    let port = server.port;
    let (reached, wait) = std::sync::mpsc::channel::<()>();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (mut reached, waiting) = (Some(reached), std::sync::Mutex::new(released));
    let single = Config { connections: Some(1), ..config(&server) };
    let dumping = tokio::spawn(dump_during(single, move |bytes| {
        if let Some(reached) = reached.take_if(|_| bytes > 4 << 20) {
            reached.send(()).unwrap();
            tokio::task::block_in_place(|| waiting.lock().unwrap().recv().unwrap());
        }
    }));
    tokio::task::block_in_place(|| wait.recv().unwrap());
    connect(port, "root").await.query_drop("DROP DATABASE passing").await.unwrap();
    release.send(()).unwrap();
    let error = dumping.await.unwrap().err().unwrap();
    assert!(error.may_pass(), "{error}");
    assert!(error.to_string().contains("Unknown database 'passing'"), "{error}");
    dump(config(&server)).await.unwrap();
    let closed = dump(Config { user: "nobody".to_owned(), ..config(&server) }).await.err().unwrap();
    assert!(!closed.may_pass(), "the control: {closed}");
}
