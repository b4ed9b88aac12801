//! A restored database is put into the place of one that is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use chupacabra::sources::Request;
use serde_json::json;

use crate::support::postgres::{Cluster, chain, dump, restore};
use crate::support::server::wait_until;

const SHOP: &str =
    "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 100)";

/// Connections that come again as soon as they are ended.
struct Pool {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    fn start(cluster: &'static Cluster, database: &'static str) -> Self {
        let (stop, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..4)
            .map(|_| {
                let (stop, ended) = (Arc::clone(&stop), Arc::clone(&ended));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        cluster.try_psql(database, "SELECT pg_sleep(600)");
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let pool = Self { stop, threads };
        pool.is_there(cluster, database);
        pool
    }

    fn is_there(&self, cluster: &Cluster, database: &str) {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND query ~ 'pg_sleep'"
        );
        let all = || cluster.psql("postgres", &sql) == self.threads.len().to_string();
        wait_until(Duration::from_secs(30), all, || cluster.psql("postgres", &sql));
    }

    fn end(self, cluster: &Cluster) {
        self.stop.store(true, Ordering::Relaxed);
        let end =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'";
        let ended = || {
            cluster.psql("postgres", end);
            self.threads.iter().all(JoinHandle::is_finished)
        };
        wait_until(Duration::from_secs(30), ended, String::new);
    }
}

fn swap(replace: bool) -> Request {
    Request { switches: vec!["swap".to_owned()], replace, ..Request::default() }
}

async fn in_use(major: u32) {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(major, &[])));
    cluster.database("used", SHOP);
    let dumped = dump(cluster.config(json!({ "database": "used", "globals": false }))).await.unwrap();
    cluster.psql("used", "DELETE FROM orders");
    let pool = Pool::start(cluster, "used");
    let restored = restore(&dumped, &cluster.url("used"), swap(false)).await.unwrap();
    let [note] = restored.notes.as_slice() else { panic!("{restored:?}") };
    let old = note.rsplit(' ').next().unwrap();
    // The pool is back, in the database that was restored.
    pool.is_there(cluster, "used");
    assert_eq!(cluster.psql("used", "SELECT count(*) FROM orders"), "100");
    assert_eq!(cluster.psql(old, "SELECT count(*) FROM orders"), "0");
    restore(&dumped, &cluster.url("used"), swap(true)).await.unwrap();
    pool.is_there(cluster, "used");
    pool.end(cluster);
    let names = "SELECT string_agg(datname, ' ' ORDER BY datname), bool_and(datallowconn) FROM pg_database WHERE datname ~ '^used'";
    assert_eq!(cluster.psql("postgres", names), format!("used {old}|t"));
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_that_comes_again_in_15() {
    in_use(15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_that_comes_again_in_18() {
    in_use(18).await;
}

/// What nobody can end from outside: a prepared transaction. Hours of work are not lost, and the old database is as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_cannot_be_renamed() {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(15, &["max_prepared_transactions=2"])));
    cluster.database("prepared", SHOP);
    let dumped = dump(cluster.config(json!({ "database": "prepared", "globals": false }))).await.unwrap();
    cluster.psql("prepared", "BEGIN; DELETE FROM orders; PREPARE TRANSACTION 'left'");
    let error = restore(&dumped, &cluster.url("prepared"), swap(true)).await.unwrap_err();
    let others = "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname ~ '^prepared_'";
    let working = cluster.psql("postgres", others);
    assert!(working.starts_with("prepared_restoring_") && !working.contains(' '), "{working}");
    let text = chain(&error);
    let expected = format!(
        "putting the restored database, which is complete and called {working}, into the place of prepared: There is 1 prepared transaction using the database.: error returned from database: database \"prepared\" is being accessed by other users"
    );
    assert!(text.starts_with(&expected), "{text}");
    assert_eq!(cluster.psql(&working, "SELECT count(*) FROM orders"), "100");
    cluster.psql("prepared", "COMMIT PREPARED 'left'");
    assert_eq!(cluster.psql("prepared", "SELECT count(*) FROM orders"), "0");
    restore(&dumped, &cluster.url("prepared"), swap(true)).await.unwrap();
    assert_eq!(cluster.psql("prepared", "SELECT count(*) FROM orders"), "100");
    assert_eq!(cluster.psql("postgres", others), working);
    cluster.stop();
}
