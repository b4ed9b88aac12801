//! Rows of system-versioned tables that still are, on servers whose time ends elsewhere.

use chupacabra::package::Selection;
use chupacabra::package::digest::Fingerprint;
use chupacabra::package::member::Object;
use chupacabra::sources::mariadb::{Config, Error};
use chupacabra::sources::{Request, Restored};
use tokio_util::sync::CancellationToken;

use crate::dumped::{Dumped, config, dump, only, source};
use crate::shared::{both_ways, source_server, target_server};
use crate::support::mariadb::{MariaDb, feed};
use crate::support::package;

/// A table with the usual period, one with named columns.
fn versioned(name: &str) -> String {
    format!(
        "CREATE DATABASE {name}; USE {name}; \
         CREATE TABLE t (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING; INSERT INTO t VALUES (1, 1), (2, 2), (3, 3); \
         UPDATE t SET a = a + 10 WHERE id < 3; DELETE FROM t WHERE id = 2; \
         CREATE TABLE e (till TIMESTAMP(6) GENERATED ALWAYS AS ROW END, id INT, `from` TIMESTAMP(6) GENERATED ALWAYS AS ROW START INVISIBLE, \
         PERIOD FOR SYSTEM_TIME (`from`, till)) WITH SYSTEM VERSIONING; INSERT INTO e (id) VALUES (1), (2); DELETE FROM e WHERE id = 1"
    )
}

/// A table whose period counts transactions; its rows' numbers cannot be restored.
const BY_TRANSACTION: &str = "CREATE TABLE ends.b (id INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, \
    PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING; INSERT INTO ends.b (id) VALUES (1), (2)";

/// The rows that are, and the rows that were with their ends.
fn rows(server: &MariaDb, name: &str) -> String {
    server.sql(&format!(
        "USE {name}; SET time_zone = '+00:00'; SELECT * FROM t ORDER BY id; SELECT 'past', t.*, row_start, row_end FROM t FOR SYSTEM_TIME ALL \
         WHERE row_end < NOW(6) ORDER BY row_end, id; SELECT id, `from` FROM e; SELECT 'past', e.*, `from` FROM e FOR SYSTEM_TIME ALL WHERE till < NOW(6); \
         SELECT id FROM b ORDER BY id"
    ))
}

async fn restored(server: &MariaDb, dumped: &Dumped, request: Request) -> Result<Restored, Error> {
    source(config(server)).restore(&dumped.package, &request, &CancellationToken::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_still_are_have_no_end_in_a_dump() {
    let from = source_server();
    from.sql(&versioned("ends"));
    let dumped = dump(only(from, "ends")).await.unwrap();
    let script = String::from_utf8_lossy(&dumped.script(&["db/ends/2-data"])).into_owned();
    assert!(!script.contains("'2038-01-19") && !script.contains("'2106-02-07"), "{script}");
    assert_eq!(script.matches("DEFAULT").count(), 3, "{script}");
    assert_eq!(dumped.objects["ends.t"].rows, 5);
    both_ways(from, &dumped, &["ends"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB 11.5 or later beside the system's: tests/run --ring mariadb_newer"]
async fn rows_that_still_are_stay_so_where_time_ends_later_and_back() {
    let (older, newer) = (MariaDb::start_of_the_system(&[]), MariaDb::start(&[]));
    assert!(older.sql("SELECT VERSION()").starts_with("10.11"), "the system's");
    older.sql(&versioned("ends"));
    older.sql(BY_TRANSACTION);
    let there = dump(only(&older, "ends")).await.unwrap();
    feed(&mut newer.client(&[]), &there.script(&[]));
    assert_eq!(rows(&newer, "ends"), rows(&older, "ends"));
    let request = || Request { replace: true, ..Request::default() };
    restored(&newer, &there, request()).await.unwrap();
    assert_eq!(rows(&newer, "ends"), rows(&older, "ends"));
    // And back: what the newer server has for the end of time would be no timestamp at all on the older.
    let back = dump(only(&newer, "ends")).await.unwrap();
    assert_eq!(back.objects, there.objects, "the same content has the same fingerprints");
    let expected = rows(&older, "ends");
    restored(&older, &back, request()).await.unwrap();
    assert_eq!(rows(&older, "ends"), expected);
}

/// A package as they were: ends as literals, and a fingerprint of them. Where time ends later it must not pass.
#[tokio::test(flavor = "multi_thread")]
async fn older_packages_pass_where_their_rows_are_current_and_nowhere_else() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE ends_as_were; CREATE TABLE ends_as_were.t (id INT PRIMARY KEY) WITH SYSTEM VERSIONING; \
         INSERT INTO ends_as_were.t VALUES (1)",
    );
    let dumped = dump(only(from, "ends_as_were")).await.unwrap();
    let end = from.sql("SET time_zone = '+00:00'; SELECT row_end FROM ends_as_were.t");
    let start = from.sql("SET time_zone = '+00:00'; SELECT row_start FROM ends_as_were.t");
    let fingerprint = |end: &str| {
        let mut row = Vec::new();
        for value in ["1", start.trim(), end] {
            row.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
            row.extend_from_slice(value.as_bytes());
        }
        let mut fingerprint = Fingerprint::default();
        fingerprint.add(&row);
        fingerprint
    };
    let kept = package::Keep::default();
    dumped.package.read(Selection::All, kept.clone()).await.unwrap();
    let members = kept.take();
    let keys = package::keys();
    let as_it_was = async |end: &str, fingerprint: Fingerprint| {
        let (old, new) = (b",DEFAULT)".as_slice(), format!(",'{end}')"));
        let steps = members.iter().map(|(_, header, bytes)| {
            let mut bytes = bytes.clone();
            let mut header = header.clone();
            if let Some(at) = bytes.windows(old.len()).position(|window| window == old) {
                bytes.splice(at..at + old.len(), new.bytes());
                // The statement's length stands before it.
                let mark = b"-- statement ";
                let from =
                    bytes[..at].windows(mark.len()).rposition(|window| window == mark).unwrap() + mark.len();
                let length: usize = std::str::from_utf8(&bytes[from..from + 10]).unwrap().parse().unwrap();
                bytes[from..from + 10]
                    .copy_from_slice(format!("{:010}", length + new.len() - old.len()).as_bytes());
                header.size = bytes.len() as u64;
            }
            package::member(header, bytes)
        });
        let object =
            Object { name: "ends_as_were.t".to_owned(), kind: "table_with_history".to_owned(), fingerprint };
        let steps = steps.chain([package::Step::Object(object)]).collect::<Vec<_>>();
        let (store, record) = package::sealed(&keys, "mariadb", steps).await;
        let package = package::package(&store, &record, &keys);
        let target = crate::shared::target_server();
        let request = Request { replace: true, ..Request::default() };
        source(config(target)).restore(&package, &request, &CancellationToken::new()).await
    };
    let done = as_it_was(end.trim(), fingerprint(end.trim())).await.unwrap();
    assert_eq!(done.compared, "1 tables and sequences by fingerprint");
    let error =
        as_it_was("2030-01-01 00:00:00.000000", fingerprint(end.trim())).await.unwrap_err().to_string();
    assert!(error.starts_with("restored content differs from the dump"), "{error}");
    if end.starts_with("2106") {
        let earlier = "2038-01-19 03:14:07.999999";
        // What an older server took for current is past here.
        let error = as_it_was(earlier, fingerprint(earlier)).await.unwrap_err().to_string();
        assert!(error.starts_with("restored content differs from the dump"), "{error}");
    }
}

/// A server may show everybody the rows of another time, and end connections with each transaction. A dump has the rows of
/// now all the same, and a restore goes on.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_server_do_not_choose_the_rows() {
    let server = MariaDb::start(&["--completion-type=RELEASE"]);
    server.sql(
        "CREATE DATABASE now; CREATE TABLE now.v (id INT) WITH SYSTEM VERSIONING; INSERT INTO now.v VALUES (1), (2); \
         CREATE TABLE now.t (id INT); INSERT INTO now.t VALUES (3); CREATE TABLE now.u (id INT); INSERT INTO now.u VALUES (4); \
         SET GLOBAL system_versioning_asof = '2000-01-01 00:00:00'",
    );
    let rows = "SELECT COUNT(*) FROM now.v; SET system_versioning_asof = DEFAULT; SELECT COUNT(*) FROM now.v";
    assert_eq!(server.sql(rows).trim(), "0\n2", "the control");
    let config = Config { history: Some(false), connections: Some(1), ..only(&server, "now") };
    let dumped = dump(config).await.unwrap();
    assert_eq!(dumped.objects["now.v"].rows, 2);
    let request = Request { into: Some("copy".to_owned()), ..Request::default() };
    restored(&server, &dumped, request).await.unwrap();
    assert_eq!(server.sql(&rows.replace("now.v", "copy.v")).trim(), "0\n2");
}

/// What one statement writes and overwrites leaves rows behind that no server takes. They are named, and all others come
/// back.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_ended_when_they_began_are_named() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE twice; USE twice; CREATE TABLE t (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING; \
         INSERT INTO t VALUES (2, 1); UPDATE t SET a = 2; REPLACE INTO t VALUES (1, 1), (1, 2), (3, 1), (3, 2)",
    );
    let count = "SELECT COUNT(*), SUM(row_start < row_end) FROM twice.t FOR SYSTEM_TIME ALL";
    // Newer servers leave none behind.
    let leaves = from.sql("SELECT VERSION()").starts_with("10.");
    assert_eq!(from.sql(count).trim(), if leaves { "6\t4" } else { "4\t4" }, "the control");
    let dumped = dump(only(from, "twice")).await.unwrap();
    let missing = dumped.summary.missing.iter().map(|missing| (missing.name.as_str(), missing.why.as_str()));
    let why = "no server takes rows that ended when they began, or before: 2";
    let expected = if leaves { vec![("history of twice.t", why)] } else { Vec::new() };
    assert_eq!(missing.collect::<Vec<_>>(), expected);
    let rows = "SET time_zone = '+00:00'; SELECT id, a, row_start, row_end FROM twice.t FOR SYSTEM_TIME ALL \
        WHERE row_start < row_end ORDER BY row_end, id";
    let to = target_server();
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!((to.sql(count).trim(), to.sql(rows)), ("4\t4", from.sql(rows)));
    restored(to, &dumped, Request { replace: true, ..Request::default() }).await.unwrap();
    assert_eq!((to.sql(count).trim(), to.sql(rows)), ("4\t4", from.sql(rows)));
}

/// Without its history a table's rows begin when they are restored. That is said, also where no row has ended yet.
#[tokio::test(flavor = "multi_thread")]
async fn starts_of_rows_that_are_not_kept_are_named() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE began; CREATE TABLE began.t (id INT) WITH SYSTEM VERSIONING; INSERT INTO began.t VALUES (1); \
         CREATE TABLE began.empty (id INT) WITH SYSTEM VERSIONING",
    );
    from.sql(&BY_TRANSACTION.replace("ends.b", "began.b"));
    let dumped = dump(only(from, "began")).await.unwrap();
    let missing: Vec<_> = dumped.summary.missing.iter().map(|missing| missing.name.as_str()).collect();
    assert_eq!(missing, ["starts of rows of began.b"]);
    assert!(dumped.summary.notes.is_empty(), "{:?}", dumped.summary.notes);
    let dumped = dump(Config { history: Some(false), ..only(from, "began") }).await.unwrap();
    assert!(dumped.summary.missing.is_empty(), "{:?}", dumped.summary.missing);
    let mut notes = dumped.summary.notes.clone();
    notes.sort_unstable();
    assert_eq!(
        notes,
        ["b", "t"].map(|table| format!(
            "starts of rows of began.{table}: left out as configured, with the history"
        ))
    );
}
