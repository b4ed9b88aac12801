//! A hot standby as the source: it works, and what it cancels is told, and tried again a few times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::content;
use crate::faults::ROWS;
use crate::program::Site;
use crate::support::postgres::{Cluster, chain, dump, dump_with, restore, source};
use crate::support::server::wait_until;

/// A primary and a standby that lets nobody hold up what it replays.
fn pair() -> (&'static Cluster, &'static Cluster) {
    let primary: &'static Cluster = Box::leak(Box::new(Cluster::start(15, &[])));
    primary.database("followed", ROWS);
    let settings = ["max_standby_streaming_delay=0", "hot_standby_feedback=off"];
    let standby: &'static Cluster = Box::leak(Box::new(primary.standby(&settings)));
    caught_up(primary, standby);
    (primary, standby)
}

fn caught_up(primary: &Cluster, standby: &Cluster) {
    let lsn = primary.psql("postgres", "SELECT pg_current_wal_flush_lsn()");
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{lsn}'");
    wait_until(Duration::from_mins(1), || standby.psql("postgres", &replayed) == "t", String::new);
}

/// Something that was deleted before a dump began and is removed for good while it runs.
fn conflict(primary: &Cluster) {
    primary.psql("followed", "DELETE FROM first; INSERT INTO first VALUES (1); DELETE FROM first");
    primary.psql("followed", "VACUUM first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_standby_is_dumped_as_the_primary_is() {
    let (primary, standby) = pair();
    let config = |cluster: &Cluster| cluster.config(json!({ "databases": ["followed"] }));
    let dumped = dump(config(standby)).await.unwrap();
    for key in ["lsn", "timeline", "xmin"] {
        assert!(dumped.summary.consistency.coordinates.contains_key(key), "{:?}", dumped.summary.consistency);
    }
    restore(&dumped, &primary.url("followed_copy"), Request::default()).await.unwrap();
    assert_eq!(content(primary, "followed_copy"), content(primary, "followed"));

    // Rows of an unlogged table are not there, so there is no dump that says they are none.
    primary.psql("followed", "CREATE UNLOGGED TABLE volatile (a serial); INSERT INTO volatile VALUES (1)");
    caught_up(primary, standby);
    let error = dump(config(standby)).await.err().unwrap();
    assert_eq!(
        chain(&error),
        "reading the unlogged table public.volatile needs the primary server; list it in `schema_only` to back up its definition alone"
    );
    let schema_only = json!({ "database": "followed", "globals": false, "schema_only": ["public.volatile"] });
    dump(standby.config(schema_only)).await.unwrap();

    // What the primary removes or drops meanwhile ends the dump, and it says why.
    primary.psql("followed", "DROP TABLE volatile");
    for dropping in [false, true] {
        primary.psql("followed", "CREATE TABLE going (a int)");
        caught_up(primary, standby);
        let config = standby.config(json!({ "database": "followed", "globals": false }));
        let dumping = dump_with(config, move || {
            let reads = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^COPY .*rows'";
            wait_until(Duration::from_secs(30), || standby.psql("postgres", reads) != "0", String::new);
            if dropping {
                primary.psql("followed", "DROP TABLE going");
            } else {
                primary.psql("followed", "DROP TABLE going; INSERT INTO first VALUES (1)");
                conflict(primary);
            }
            let ended = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chupacabra' AND state = 'idle in transaction'";
            wait_until(Duration::from_secs(30), || standby.psql("postgres", ended) == "0", String::new);
        });
        let error = dumping.await.err().unwrap();
        let text = chain(&error);
        let reason = "the standby cancelled the dump: what it replays from the primary conflicts with what is being read: error returned from database: ";
        assert!(text.contains(reason) && text.contains("due to conflict with recovery"), "{text}");
        assert!(error.may_pass() && error.help().unwrap().contains("hot_standby_feedback"), "{text}");
    }
    source(config(standby)).unwrap().probe().await.unwrap();
}

/// Makes conflicts until told to stop.
struct Vacuuming(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Vacuuming {
    fn start(primary: &'static Cluster) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                conflict(primary);
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Vacuuming {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().map(std::thread::JoinHandle::join);
    }
}

#[test]
fn a_run_begins_again_three_times_and_no_more() {
    let (primary, standby) = pair();
    primary.psql("followed", "INSERT INTO rows SELECT id + 20000, filler FROM rows");
    caught_up(primary, standby);
    let site =
        Site::new(&format!("host: 127.0.0.1, port: {}, database: followed, globals: false", standby.port));
    let vacuuming = Vacuuming::start(primary);
    let output = site.backup();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(
        said.contains("the standby cancelled the dump") && said.contains("hot_standby_feedback"),
        "{said}"
    );
    assert_eq!(said.matches("dumping again from the beginning").count(), 2, "{said}");
    assert_eq!(site.stored(), Vec::<String>::new());
    drop(vacuuming);

    // One conflict, and then peace: the second attempt is the backup.
    caught_up(primary, standby);
    let conflicts = "SELECT sum(confl_snapshot + confl_lock) FROM pg_stat_database_conflicts";
    let before: u64 = standby.psql("postgres", conflicts).parse().unwrap();
    let vacuuming = Vacuuming::start(primary);
    let peace = std::thread::spawn(move || {
        let more = || standby.psql("postgres", conflicts).parse::<u64>().unwrap() > before;
        wait_until(Duration::from_mins(1), more, String::new);
        drop(vacuuming);
    });
    let output = site.backup();
    peace.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!((1..=2).contains(&said.matches("dumping again from the beginning").count()), "{said}");
    assert_eq!(site.stored().len(), 3, "{:?}", site.stored());
}
