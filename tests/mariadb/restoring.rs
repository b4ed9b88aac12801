//! Our own restore: parts, other names, refusals, and that it notices what differs.

use chupacabra::package::Selection;
use chupacabra::package::member::Object;
use chupacabra::sources::mariadb::{Config, Error};
use chupacabra::sources::{Request, Restored};
use tokio_util::sync::CancellationToken;

use crate::dumped::{Dumped, config, dump, only, source};
use crate::shared::{source_server, target_server};
use crate::support::mariadb::{MariaDb, feed};
use crate::support::package;

async fn restored(server: &MariaDb, dumped: &Dumped, request: Request) -> Result<Restored, Error> {
    source(config(server)).restore(&dumped.package, &request, &CancellationToken::new()).await
}

fn named(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

/// A database with a little of everything that names its database.
fn shop(name: &str) -> String {
    format!(
        "CREATE DATABASE {name}; USE {name}; CREATE SEQUENCE s; CREATE TABLE a (id INT PRIMARY KEY DEFAULT NEXTVAL(s), t TEXT); \
         INSERT INTO a (t) VALUES ('x'), ('y'); CREATE TABLE b (id INT, KEY (id), FOREIGN KEY (id) REFERENCES a (id)); INSERT INTO b VALUES (1); \
         CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 4; CREATE VIEW v AS SELECT f() AS f, COUNT(*) AS n FROM a; \
         CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.t = CONCAT(NEW.t, '!')"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_under_another_name() {
    let (from, to) = (source_server(), target_server());
    from.sql(&shop("named"));
    let dumped = dump(only(from, "named")).await.unwrap();
    let request = Request { into: Some("öther`name".to_owned()), ..Request::default() };
    restored(to, &dumped, request).await.unwrap();
    assert_eq!(to.sql("SHOW DATABASES LIKE 'named'"), "", "its own name is not touched");
    assert_eq!(to.sql("SET NAMES utf8mb4; USE `öther``name`; SELECT * FROM v; INSERT INTO a (t) VALUES ('z'); SELECT COUNT(*), MAX(t) FROM a").trim(), "4\t2\n3\tz!");
    assert!(
        to.sql("SET NAMES utf8mb4; SHOW CREATE TABLE `öther``name`.a").contains("nextval(`öther``name`.`s`)")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_table_with_its_trigger() {
    let (from, to) = (source_server(), target_server());
    from.sql(&shop("parts"));
    let dumped = dump(only(from, "parts")).await.unwrap();
    to.sql("CREATE DATABASE parts; CREATE TABLE parts.b (kept INT)");
    let request = Request { only: named(&["parts.[as]"]), ..Request::default() };
    let done = restored(to, &dumped, request).await.unwrap();
    assert_eq!(done.counts.get("table"), Some(&1));
    assert_eq!(to.sql("SHOW TABLES FROM parts").trim(), "a\nb\ns");
    assert_eq!(
        to.sql("SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'parts'").trim(),
        "tr"
    );
    assert!(to.sql("SHOW CREATE TABLE parts.b").contains("kept"), "what was not asked for is not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_empty_is_refused_unless_replaced() {
    let (from, to) = (source_server(), target_server());
    from.sql("CREATE DATABASE full; CREATE TABLE full.t (a INT); INSERT INTO full.t VALUES (1)");
    let dumped = dump(only(from, "full")).await.unwrap();
    to.sql("CREATE DATABASE full; CREATE TABLE full.precious (a INT)");
    let error = restored(to, &dumped, Request::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "the target is not empty: database `full`; `--replace` drops it first");
    let dry = Request { replace: true, dry_run: true, ..Request::default() };
    restored(to, &dumped, dry).await.unwrap();
    assert_eq!(
        to.sql("SHOW TABLES FROM full").trim(),
        "precious",
        "neither a refusal nor a rehearsal touches it"
    );
    restored(to, &dumped, Request { replace: true, ..Request::default() }).await.unwrap();
    assert_eq!(to.sql("SELECT * FROM full.t").trim(), "1");
    let error =
        restored(to, &dumped, Request { only: named(&["full.t"]), ..Request::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), "the target is not empty: `full`.`t`; `--replace` drops it first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_above_the_targets_packet_is_named_and_smaller_ones_are_cut() {
    let from = source_server();
    from.sql("CREATE DATABASE packets; USE packets; CREATE TABLE packets.t (id INT PRIMARY KEY, b TEXT); INSERT INTO packets.t SELECT seq, REPEAT('x', 10000) FROM seq_1_to_100");
    let small = MariaDb::start(&["--max-allowed-packet=65536"]);
    let dumped = dump(only(from, "packets")).await.unwrap();
    restored(&small, &dumped, Request::default()).await.unwrap();
    from.sql("INSERT INTO packets.t VALUES (77777, REPEAT('y', 65000))");
    from.sql("UPDATE packets.t SET b = REPEAT('y', 65535) WHERE id = 77777");
    let dumped = dump(only(from, "packets")).await.unwrap();
    let error = restored(&small, &dumped, Request { replace: true, ..Request::default() })
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("a row of packets.t needs a packet of 65")
            && error.contains("the target takes 65536: (77777,'yyyy"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_content_that_differs_is_an_error() {
    let (from, to) = (source_server(), target_server());
    from.sql(
        "CREATE DATABASE differs; CREATE TABLE differs.t (a INT, b VARCHAR(9)); \
         INSERT INTO differs.t VALUES (1, 'x'), (2, NULL)",
    );
    let dumped = dump(only(from, "differs")).await.unwrap();
    // The same package again with one value changed: everything restores, and is not what the dump had.
    let kept = package::Keep::default();
    dumped.package.read(Selection::All, kept.clone()).await.unwrap();
    let changed = |from: &'static [u8], to: &'static [u8]| {
        let members = kept.0.lock().unwrap();
        let steps = members.iter().map(|(_, header, bytes)| {
            let at = bytes.windows(from.len()).position(|window| window == from);
            let mut bytes = bytes.clone();
            if let Some(at) = at {
                bytes.splice(at..at + from.len(), to.iter().copied());
            }
            package::member(header.clone(), bytes)
        });
        let fingerprint = dumped.objects["differs.t"];
        let object = Object { name: "differs.t".to_owned(), kind: "table".to_owned(), fingerprint };
        steps.chain([package::Step::Object(object)]).collect::<Vec<_>>()
    };
    let keys = package::keys();
    for (from, to_bytes, sound) in [
        (b"(2,NULL)".as_slice(), b"(2,NULL)".as_slice(), true),
        (b"(2,NULL)", b"(2,'  ')", false),
        (b"(1,'x')", b"(1,'y')", false),
    ] {
        let (store, record) = package::sealed(&keys, "mariadb", changed(from, to_bytes)).await;
        let package = package::package(&store, &record, &keys);
        let request = Request { replace: true, ..Request::default() };
        let done = source(config(to)).restore(&package, &request, &CancellationToken::new()).await;
        if sound {
            assert_eq!(done.unwrap().compared, "1 tables and sequences by fingerprint");
        } else {
            let error = done.unwrap_err().to_string();
            assert!(
                error.starts_with("restored content differs from the dump: differs.t has 2 rows"),
                "{error}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_database_comes_out_with_tar() {
    let (from, to) = (MariaDb::start(&[]), MariaDb::start(&[]));
    from.sql("CREATE DATABASE one; CREATE TABLE one.t (a INT); INSERT INTO one.t VALUES (0), (5); CREATE VIEW one.v AS SELECT * FROM one.t; \
              CREATE DATABASE two; CREATE TABLE two.t (a INT); INSERT INTO two.t VALUES (6)");
    let dumped = dump(config(&from)).await.unwrap();
    feed(&mut to.client(&[]), &dumped.script(&["preamble.sql", "db/one"]));
    assert_eq!(to.sql("SELECT * FROM one.v").trim(), "0\n5");
    assert_eq!(to.sql("SHOW DATABASES LIKE 'two'"), "");
    feed(
        &mut to.client(&[]),
        &dumped.script(&["preamble.sql", "db/two/1-schema.0001.sql", "db/two/2-data/t.0001.sql"]),
    );
    assert_eq!(to.sql("SELECT * FROM two.t").trim(), "6");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_meant() {
    let (from, to) = (source_server(), target_server());
    from.sql("CREATE DATABASE meant1; CREATE DATABASE meant2");
    let both = Config { databases: named(&["meant?"]), ..config(from) };
    let dumped = dump(both).await.unwrap();
    for (request, message) in [
        (
            Request { switches: named(&["no-owner"]), ..Request::default() },
            "`no-owner` is no switch of a MariaDB restore; it knows `no-system`",
        ),
        (
            Request { into: Some("x".to_owned()), ..Request::default() },
            "2 databases cannot all be restored as `x`: choose one with `--only DATABASE.*`",
        ),
        (
            Request { only: named(&["nothing.*"]), ..Request::default() },
            "nothing in the package matches nothing.*",
        ),
        (
            Request { into: Some("mysql://root:pw@h/".to_owned()), ..Request::default() },
            "`--into `: a password must not stand in the URL; use `?password_env=` or `?password_file=`",
        ),
    ] {
        assert_eq!(restored(to, &dumped, request).await.unwrap_err().to_string(), message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_matches_nothing_is_refused_and_nothing_is_made() {
    let (from, to) = (source_server(), target_server());
    from.sql(&shop("picked"));
    let dumped = dump(only(from, "picked")).await.unwrap();
    for (patterns, message) in [
        (&["picked.ordres"][..], "nothing in the package matches picked.ordres"),
        (&["picked.a", "picked.bb", "pickd.*"], "nothing in the package matches picked.bb, pickd.*"),
        (&["picked"], "`--only`: `picked` names no table: write `database.table` or `database.*`"),
    ] {
        let request = Request { only: named(patterns), ..Request::default() };
        let error = restored(to, &dumped, request).await.unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.verdict(), chupacabra::sources::Verdict::Refused);
    }
    assert_eq!(to.sql("SHOW DATABASES LIKE 'picked'"), "");
    // Whatever has a name can be named: a view, a function, a trigger.
    for (pattern, made) in [("picked.f", "function"), ("picked.[sa]", "table"), ("picked.v", "view")] {
        let request = Request { only: named(&[pattern]), ..Request::default() };
        let done = restored(to, &dumped, request).await.unwrap();
        assert_eq!(done.counts.get(made), Some(&1), "{pattern}: {:?}", done.counts);
    }
}

/// The views of the package have placeholders that go only where the views go.
#[tokio::test(flavor = "multi_thread")]
async fn views_come_with_what_was_asked_for_and_not_without() {
    let (from, to) = (source_server(), target_server());
    from.sql(
        "CREATE DATABASE looks; USE looks; CREATE TABLE a (id INT); CREATE TABLE b (id INT); \
         INSERT INTO a VALUES (1); INSERT INTO b VALUES (2); CREATE VIEW x AS SELECT id FROM b; CREATE VIEW v AS SELECT id FROM x",
    );
    let dumped = dump(only(from, "looks")).await.unwrap();
    let only = |patterns: &[&str]| Request { only: named(patterns), ..Request::default() };
    restored(to, &dumped, only(&["looks.b"])).await.unwrap();
    assert_eq!(to.sql("SHOW TABLES FROM looks").trim(), "b", "no view that nobody asked for");
    to.sql("CREATE VIEW looks.v AS SELECT 7 AS mine");
    restored(to, &dumped, only(&["looks.a"])).await.unwrap();
    assert_eq!(
        to.sql("SELECT * FROM looks.v; SELECT * FROM looks.a").trim(),
        "7\n1",
        "nor is one in the way"
    );
    to.sql("DROP VIEW looks.v");
    restored(to, &dumped, only(&["looks.[vx]"])).await.unwrap();
    assert_eq!(to.sql("SELECT * FROM looks.v").trim(), "2", "one view on the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_drops_only_what_the_package_has() {
    let (from, to) = (source_server(), target_server());
    from.sql(
        "CREATE DATABASE swap; USE swap; CREATE TABLE orders (id INT); INSERT INTO orders VALUES (1); \
         CREATE FUNCTION orders_f() RETURNS INT DETERMINISTIC RETURN 1",
    );
    let dumped = dump(only(from, "swap")).await.unwrap();
    to.sql(
        "CREATE DATABASE swap; USE swap; CREATE TABLE orders (old INT); CREATE TABLE orders_of_the_target (id INT); \
         INSERT INTO orders_of_the_target VALUES (5); CREATE VIEW orders_view AS SELECT 6 AS six; \
         CREATE FUNCTION orders_f() RETURNS INT DETERMINISTIC RETURN 2; CREATE PROCEDURE orders_f() SELECT 8; \
         CREATE EVENT orders_event ON SCHEDULE EVERY 1 YEAR DISABLE DO SELECT 1",
    );
    let request = Request { only: named(&["swap.orders*"]), replace: true, ..Request::default() };
    restored(to, &dumped, request).await.unwrap();
    assert_eq!(
        to.sql("USE swap; SELECT * FROM orders; SELECT * FROM orders_of_the_target; SELECT * FROM orders_view; SELECT orders_f(); CALL orders_f(); \
                SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'swap'").trim(),
        "1\n5\n6\n1\n8\norders_event"
    );
}

/// A restored account is often the one that restores. Its connections go on.
#[tokio::test(flavor = "multi_thread")]
async fn the_restoring_account_may_get_another_password() {
    let from = MariaDb::start(&[]);
    from.sql(
        "CREATE DATABASE locked; CREATE TABLE locked.t (a INT); INSERT INTO locked.t VALUES (1); \
         CREATE EVENT locked.e ON SCHEDULE EVERY 1 YEAR DISABLE DO SELECT 1; \
         CREATE USER keeper@'%' IDENTIFIED BY 'theirs'; GRANT ALL ON *.* TO keeper@'%' WITH GRANT OPTION",
    );
    let dumped = dump(Config { system: true, ..config(&from) }).await.unwrap();
    let to = MariaDb::start(&[]);
    to.sql("CREATE USER keeper@'%' IDENTIFIED BY 'ours'; GRANT ALL ON *.* TO keeper@'%' WITH GRANT OPTION");
    let file = to.dir().join("password");
    std::fs::write(&file, "ours").unwrap();
    let password = Some(chupacabra::config::secret::SecretRef { env: None, file: Some(file) });
    let keeper = source(Config { user: "keeper".to_owned(), password, ..config(&to) });
    let done = keeper.restore(&dumped.package, &Request::default(), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.compared, "1 tables and sequences by fingerprint, 3 definitions by their text");
    assert_eq!(done.counts.get("event"), Some(&1));
    let error = keeper.probe().await.unwrap_err().to_string();
    assert!(error.contains("Access denied for user 'keeper'"), "the password is the package's: {error}");
}

/// Events fire as soon as they are there, and change rows: those were compared before.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_fire_at_once_are_no_difference() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE busy; USE busy; CREATE TABLE a (id INT PRIMARY KEY, b VARBINARY(2000)); INSERT INTO a SELECT seq, RANDOM_BYTES(960) FROM seq_1_to_60000; \
         CREATE TABLE z (id INT); CREATE EVENT e ON SCHEDULE EVERY 1 SECOND DO INSERT INTO busy.z VALUES (1)",
    );
    let dumped = dump(only(from, "busy")).await.unwrap();
    assert_eq!(dumped.objects["busy.z"].rows, 0);
    let to = MariaDb::start(&["--event-scheduler=ON"]);
    let one_by_one = source(Config { connections: Some(1), ..config(&to) });
    let done =
        one_by_one.restore(&dumped.package, &Request::default(), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.counts.get("event"), Some(&1));
    // The control: it does fire.
    while to.sql("SELECT COUNT(*) FROM busy.z").trim() == "0" {
        tokio::task::yield_now().await;
    }
}

/// Beside the database that it comes from: what names that database by the author's hand must not reach into it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_beside_its_original_stands_alone() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE DATABASE shop; CREATE DATABASE other; USE shop; CREATE TABLE other.x (id INT); INSERT INTO other.x VALUES (1); \
         CREATE TABLE shop (id INT, n TEXT); INSERT INTO shop VALUES (1, 'xa'), (3, 'xb'); CREATE TABLE a (id INT); INSERT INTO a VALUES (3); \
         CREATE VIEW v AS SELECT shop.id FROM shop JOIN a USING (id); \
         CREATE VIEW w AS SELECT shop.id, TRIM(LEADING 'x' FROM shop.n) AS n FROM shop.shop, other.x WHERE shop.id IN (SELECT shop.id FROM shop.a AS shop); \
         CREATE TRIGGER shop.tr BEFORE INSERT ON shop.a FOR EACH ROW SET NEW.id = NEW.id + 100; \
         SET NAMES latin1; CREATE TRIGGER shop.tr2 BEFORE INSERT ON `shop`.`shop` FOR EACH ROW SET NEW.n = 'é'",
    );
    let dumped = dump(only(&server, "shop")).await.unwrap();
    let request = Request { into: Some("copy".to_owned()), ..Request::default() };
    restored(&server, &dumped, request).await.unwrap();
    let triggers = "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_SCHEMA FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN ('shop', 'copy') ORDER BY 1, 2";
    assert_eq!(
        server.sql(triggers).trim(),
        "copy\ttr\tcopy\ncopy\ttr2\tcopy\nshop\ttr\tshop\nshop\ttr2\tshop"
    );
    server.sql("DROP DATABASE shop");
    assert_eq!(server.sql("SELECT * FROM copy.v; SELECT * FROM copy.w; INSERT INTO copy.a VALUES (1); SELECT MAX(id) FROM copy.a").trim(), "3\n3\tb\n101");
}

/// A server may keep all names of tables in lower case. What it was given is there all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_folds_names_has_them() {
    let from = source_server();
    from.sql("CREATE DATABASE Folded; USE Folded; CREATE TABLE Orders (Id INT PRIMARY KEY); INSERT INTO Orders VALUES (1), (2); CREATE VIEW Seen AS SELECT Id FROM Orders");
    let dumped = dump(only(from, "Folded")).await.unwrap();
    let to = MariaDb::start(&["--lower-case-table-names=1"]);
    let done = restored(&to, &dumped, Request::default()).await.unwrap();
    assert_eq!(done.compared, "1 tables and sequences by fingerprint");
    assert_eq!(done.notes, ["definitions are not compared: this server keeps names in lower case"]);
    assert_eq!(to.sql("SHOW TABLES FROM folded; SELECT COUNT(*) FROM folded.seen").trim(), "orders\nseen\n2");
    to.sql("DELETE FROM folded.orders WHERE id = 2");
    let error = restored(&to, &dumped, Request::default()).await.unwrap_err().to_string();
    assert!(error.starts_with("the target is not empty: database `Folded`"), "{error}");
}

/// Whoever may call a routine may do so after it was replaced.
#[tokio::test(flavor = "multi_thread")]
async fn replaced_routines_keep_their_grants() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE DATABASE called; USE called; CREATE PROCEDURE p() SELECT 1; CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1; \
         SET NAMES latin1; CREATE PROCEDURE l() SELECT HEX('\u{e9}'); SET NAMES utf8mb4; SET sql_mode = 'ORACLE';\n\
         DELIMITER //\nCREATE PACKAGE k AS PROCEDURE x(); END//\nCREATE PACKAGE BODY k AS PROCEDURE x() AS BEGIN SELECT 1; END; END//\nDELIMITER ;\n\
         CREATE USER app; GRANT EXECUTE ON PROCEDURE called.p TO app; GRANT EXECUTE ON FUNCTION called.f TO app; \
         GRANT EXECUTE ON PROCEDURE called.l TO app; GRANT EXECUTE ON PACKAGE called.k TO app; GRANT EXECUTE ON PACKAGE BODY called.k TO app",
    );
    let dumped = dump(only(&server, "called")).await.unwrap();
    let grants = server.sql("SHOW GRANTS FOR app");
    assert_eq!(grants.lines().count(), 6, "{grants}");
    let latin1 = server.sql("CALL called.l()");
    server.sql(
        "USE called; CREATE OR REPLACE PROCEDURE p() SELECT 2; CREATE OR REPLACE PROCEDURE l() SELECT 2; \
         CREATE OR REPLACE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 2",
    );
    let request = Request { only: named(&["called.*"]), replace: true, ..Request::default() };
    restored(&server, &dumped, request).await.unwrap();
    assert_eq!(server.sql("SHOW GRANTS FOR app"), grants);
    assert_eq!(
        server.sql("USE called; CALL p(); SELECT f(); SET sql_mode = 'ORACLE'; CALL k.x()").trim(),
        "1\n1\n1"
    );
    assert_eq!(server.sql("CALL called.l()"), latin1);
}

/// An ARCHIVE table with unique numbers takes none below one that it has, or is told.
#[tokio::test(flavor = "multi_thread")]
async fn archives_with_numbers_come_back_in_their_order() {
    let (from, to) = (MariaDb::start(&[]), MariaDb::start(&[]));
    for server in [&from, &to] {
        server.sql("INSTALL SONAME 'ha_archive'");
    }
    from.sql(
        "CREATE DATABASE filed; USE filed; CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, b LONGTEXT) ENGINE=ARCHIVE; \
         INSERT INTO t SELECT seq * 2, REPEAT('x', 400000) FROM seq_1_to_60; CREATE TABLE one (id INT UNIQUE AUTO_INCREMENT) ENGINE=ARCHIVE; \
         INSERT INTO one VALUES (1), (7); CREATE TABLE none (id INT PRIMARY KEY AUTO_INCREMENT) ENGINE=ARCHIVE AUTO_INCREMENT=100; \
         CREATE TABLE many (id INT AUTO_INCREMENT, KEY (id)) ENGINE=ARCHIVE AUTO_INCREMENT=50; INSERT INTO many VALUES (9), (3)",
    );
    let next = "SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'filed' ORDER BY 1; \
        SELECT COUNT(*), MAX(id) FROM filed.t; SELECT * FROM filed.one; SELECT * FROM filed.many";
    let dumped = dump(only(&from, "filed")).await.unwrap();
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(next), from.sql(next));
    restored(&to, &dumped, Request { replace: true, ..Request::default() }).await.unwrap();
    assert_eq!(to.sql(next), from.sql(next));
}

/// A database in use keeps its collation, whatever collations the parts that it gets were made under.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_leaves_the_databases_collation_alone() {
    let (from, to) = (source_server(), target_server());
    from.sql(
        "CREATE DATABASE lent COLLATE utf8mb4_general_ci; USE lent; CREATE TABLE t (a INT); CREATE PROCEDURE p() SELECT 1; \
         CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1; ALTER DATABASE lent COLLATE utf8mb4_bin",
    );
    let dumped = dump(only(from, "lent")).await.unwrap();
    to.sql("CREATE DATABASE lent COLLATE latin1_german1_ci");
    restored(to, &dumped, Request { only: named(&["lent.*"]), ..Request::default() }).await.unwrap();
    let collations = "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'lent'; \
        SELECT DATABASE_COLLATION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'lent'; \
        SELECT DATABASE_COLLATION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'lent'";
    assert_eq!(to.sql(collations).trim(), "latin1_german1_ci\nutf8mb4_general_ci\nutf8mb4_general_ci");
}

/// A server may not keep what no statement says to keep.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_kept_where_a_server_commits_nothing_by_itself() {
    let from = source_server();
    from.sql("CREATE DATABASE committed; CREATE TABLE committed.t (a INT); INSERT INTO committed.t VALUES (1), (2)");
    let dumped = dump(only(from, "committed")).await.unwrap();
    let to = MariaDb::start(&["--autocommit=0"]);
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql("SELECT COUNT(*) FROM committed.t").trim(), "2");
    restored(&to, &dumped, Request { replace: true, ..Request::default() }).await.unwrap();
    assert_eq!(to.sql("SELECT COUNT(*) FROM committed.t").trim(), "2");
}
