//! Connections that have nothing to say for a long time.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;

use crate::faults::ROWS;
use crate::support::postgres::{Cluster, chain, dump_with};
use crate::support::proxy::Proxy;
use crate::support::server::wait_until;

/// Longer than the timeouts of the server below, which end a session that they apply to at once.
const LONG: Duration = Duration::from_secs(2);

fn wait(time: Duration) {
    let start = std::time::Instant::now();
    wait_until(time * 2, || start.elapsed() > time, String::new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_servers_timeouts_for_idle_sessions_do_not_matter() {
    let settings = ["idle_session_timeout=300ms", "idle_in_transaction_session_timeout=300ms"];
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(15, &settings)));
    // The settings do what they say to whoever does not change them.
    let mut idle = cluster.client("psql");
    idle.args(["-qAtX", "-d", "postgres", "-c", "BEGIN", "-c", "\\! sleep 1", "-c", "SELECT 1"]);
    let output = idle.output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("idle-in-transaction timeout"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Two databases, so that a connection for what belongs to the server would be idle during the first.
    cluster.database("idle_one", ROWS);
    cluster.database("idle_two", ROWS);
    let config = cluster.config(json!({ "databases": ["idle_*"], "role_passwords": false }));
    let dumped = dump_with(config, || wait(LONG)).await.unwrap();
    assert_eq!(dumped.summary.counts["rows"], 40_000);
}

/// A server for connections that nobody reads from: while one waits to send, no database can be dropped, and other tests
/// of the shared server drop theirs.
fn apart() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(15, &[]))
}

/// The statement that a reading connection is in.
const READS: &str = "SELECT pid FROM pg_stat_activity WHERE application_name = 'chupacabra' AND query ~ '^COPY .*rows' AND datname =";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_network_that_swallows_everything_is_noticed() {
    let cluster = apart();
    cluster.database("swallowed", ROWS);
    let proxy: &'static Proxy = Box::leak(Box::new(Proxy::start(cluster.port)));
    let config =
        json!({ "host": "127.0.0.1", "port": proxy.port, "database": "swallowed", "globals": false });
    let dumping = dump_with(config, || {
        let reads = || !apart().psql("postgres", &format!("{READS} 'swallowed'")).is_empty();
        wait_until(Duration::from_secs(30), reads, String::new);
        // From here on nothing arrives, and nobody says so.
        proxy.hold_after(0);
    });
    let result = tokio::time::timeout(Duration::from_mins(3), dumping).await;
    proxy.release();
    let error = result.expect("the dump ends by itself").err().unwrap();
    assert_eq!(chain(&error), "the server has not answered a question for 60 seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_reading_connection_that_is_cut_in_silence_is_noticed() {
    let cluster = apart();
    cluster.database("half_cut", ROWS);
    let proxy: &'static Proxy = Box::leak(Box::new(Proxy::start(cluster.port)));
    let config = json!({ "host": "127.0.0.1", "port": proxy.port, "database": "half_cut", "globals": false });
    // Only a connection that reads rows has so much to say.
    proxy.hold_after(8 << 20);
    let killer = std::thread::spawn(move || {
        wait_until(Duration::from_mins(1), || proxy.has_held(), String::new);
        let kill = format!("SELECT pg_terminate_backend(pid) FROM ({READS} 'half_cut') a");
        wait_until(Duration::from_secs(20), || apart().psql("postgres", &kill).contains('t'), String::new);
    });
    let result = tokio::time::timeout(Duration::from_mins(2), dump_with(config, || {})).await;
    killer.join().unwrap();
    proxy.release();
    let error = result.expect("the dump ends by itself").err().unwrap();
    assert_eq!(chain(&error), "a connection that reads rows was cut: the server does not know it any more");
}
