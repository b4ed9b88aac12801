//! One instant: an invariant that writers keep across tables holds in the copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chupacabra::sources::{ConsistencyKind, Request};
use serde_json::json;

use crate::support::postgres::{dump, dump_with, restore, shared};

const BOOKS: &str = "CREATE TABLE left_side (id int PRIMARY KEY, amount int, filler text);
CREATE TABLE right_side (id int PRIMARY KEY, amount int, filler text);
INSERT INTO left_side SELECT i, 100, repeat(md5(i::text), 100) FROM generate_series(1, 3000) i;
INSERT INTO right_side SELECT i, 100, repeat(md5(i::text), 100) FROM generate_series(1, 3000) i;
CREATE TABLE journal (id bigserial, moved int);";

/// Moves an amount from one table to the other and writes it down, 200 times, each in its own transaction.
const MOVES: &str = "DO $$ DECLARE a int; b int; BEGIN FOR i IN 1..200 LOOP
  a := 1 + floor(random() * 3000); b := 1 + floor(random() * 3000);
  UPDATE left_side SET amount = amount - 3 WHERE id = a; UPDATE right_side SET amount = amount + 3 WHERE id = b;
  INSERT INTO journal (moved) VALUES (3); COMMIT; END LOOP; END $$";

const INVARIANT: &str = "SELECT (SELECT sum(amount) FROM left_side) + (SELECT sum(amount) FROM right_side),
  (SELECT sum(amount) FROM right_side) - 300000 - (SELECT coalesce(sum(moved), 0) FROM journal), (SELECT count(*) > 0 FROM journal)";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_do_not_tear_the_copy() {
    let cluster = shared();
    cluster.database("books", BOOKS);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut rounds = 0;
                while !stop.load(Ordering::Relaxed) {
                    cluster.psql("books", MOVES);
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    // Reading waits until the writers have moved on, so that a copy without a snapshot would be torn.
    let moved = || cluster.psql("books", "SELECT count(*) FROM journal").parse::<u64>().unwrap();
    crate::support::server::wait_until(std::time::Duration::from_secs(30), || moved() > 100, String::new);
    let config = cluster.config(json!({ "database": "books", "globals": false }));
    let dumped = dump_with(config, move || {
        let before = moved();
        crate::support::server::wait_until(
            std::time::Duration::from_secs(30),
            || moved() > before + 400,
            String::new,
        );
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    let rounds: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    assert!(rounds > 2);
    assert_eq!(dumped.summary.consistency.kind, ConsistencyKind::Snapshot);
    for key in ["lsn", "timeline", "xmin"] {
        assert!(dumped.summary.consistency.coordinates.contains_key(key), "{:?}", dumped.summary.consistency);
    }
    restore(&dumped, &cluster.url("books_copy"), Request::default()).await.unwrap();
    assert_eq!(cluster.psql("books_copy", INVARIANT), "600000|0|t");
    // The invariant can fail: one row of one side less is seen.
    cluster.psql("books_copy", "DELETE FROM journal WHERE id = (SELECT max(id) FROM journal)");
    assert_eq!(cluster.psql("books_copy", INVARIANT), "600000|3|t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_big_table_is_read_in_ranges_and_comes_back_whole() {
    let cluster = shared();
    cluster.database("big", "CREATE TABLE big (id int, filler text); ALTER TABLE big ALTER filler SET STORAGE PLAIN;
        INSERT INTO big SELECT i, repeat('x', 1900) FROM generate_series(1, 50000) i; DELETE FROM big WHERE id % 10 = 3;");
    let dumped =
        dump(cluster.config(json!({ "database": "big", "jobs": 3, "globals": false }))).await.unwrap();
    let listing = dumped.record.totals.members;
    assert!(listing > 30, "{listing} members");
    assert_eq!(dumped.summary.counts["rows"], 45_000);
    restore(&dumped, &cluster.url("big_copy"), Request::default()).await.unwrap();
    let facts = "SELECT count(*), sum(id), sum(length(filler)), count(DISTINCT id) FROM big";
    assert_eq!(cluster.psql("big_copy", facts), cluster.psql("big", facts));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_100_megabytes_pass() {
    let cluster = shared();
    cluster.database("huge", "CREATE TABLE huge (id int, t text, b bytea); INSERT INTO huge VALUES (1, repeat('0123456789', 10000000), NULL), (2, 'small', decode(repeat('ab', 30000000), 'hex'))");
    let dumped = dump(cluster.config(json!({ "database": "huge", "globals": false }))).await.unwrap();
    restore(&dumped, &cluster.url("huge_copy"), Request::default()).await.unwrap();
    let facts = "SELECT id, length(t), md5(t), length(b), md5(b) FROM huge ORDER BY id";
    assert_eq!(cluster.psql("huge_copy", facts), cluster.psql("huge", facts));
}
