//! Definitions that a server shows or makes in another way than it should, on the source or on the target.

use chupacabra::catalog::Record;
use chupacabra::config::secret::SecretRef;
use chupacabra::package::{Package, Selection};
use chupacabra::sources::mariadb::Config;
use chupacabra::sources::{Request, Verdict};
use tokio_util::sync::CancellationToken;

use crate::dumped::{Dumped, config, dump, dump_as, only, source};
use crate::shared::{both_ways, source_server, target_server};
use crate::support::mariadb::{MariaDb, feed};
use crate::support::package;

async fn restored(server: &MariaDb, dumped: &Dumped) {
    source(config(server))
        .restore(&dumped.package, &Request::default(), &CancellationToken::new())
        .await
        .unwrap();
}

/// A stored value that a restore makes anew as another is named, and one that it makes anew as it was is not.
#[tokio::test(flavor = "multi_thread")]
async fn generated_values_of_another_time_zone_are_missing() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE zoned; CREATE DATABASE zoned_past; USE zoned; CREATE TABLE t (ts TIMESTAMP NULL, d DATE AS (DATE(ts)) STORED, dt DATETIME AS (ts) STORED, \
         v DATETIME(6) AS (ts) VIRTUAL, h INT AS (HOUR(v)) STORED, c VARCHAR(30) AS (CONCAT(ts)) STORED, \
         u BIGINT AS (UNIX_TIMESTAMP(ts)) STORED, n INT AS (YEAR(ts) * 0) STORED); \
         SET time_zone = '+00:00'; INSERT INTO t (ts) VALUES ('2026-01-01 23:30:00'), (NULL); \
         USE zoned_past; CREATE TABLE w (ts TIMESTAMP NULL, d DATE AS (DATE(ts)) STORED) WITH SYSTEM VERSIONING; \
         SET time_zone = '+09:00'; INSERT INTO w (ts) VALUES ('2026-01-01 03:00:00'); DELETE FROM w; \
         SET time_zone = '+00:00'; INSERT INTO w (ts) VALUES ('2026-01-01 03:00:00')",
    );
    let missing = async |config: Config| {
        let summary = dump(config).await.unwrap().summary;
        summary.missing.into_iter().map(|missing| missing.name).collect::<Vec<_>>()
    };
    assert_eq!(missing(only(from, "zoned_past")).await, ["values of zoned_past.w.d"], "history counts");
    assert_eq!(missing(only(from, "zoned")).await, Vec::<String>::new());
    both_ways(from, &dump(only(from, "zoned")).await.unwrap(), &["zoned"]).await;
    from.sql("USE zoned; SET time_zone = '+09:00'; INSERT INTO t (ts) VALUES ('2026-01-01 03:00:00')");
    let named = ["d", "dt", "h", "c"].map(|column| format!("values of zoned.t.{column}"));
    assert_eq!(missing(only(from, "zoned")).await, named);
}

/// How many digits a quotient has depends on who opened the table.
#[tokio::test(flavor = "multi_thread")]
async fn quotients_have_as_many_digits_as_they_had() {
    let from = MariaDb::start(&["--div-precision-increment=10"]);
    let table = "(id INT PRIMARY KEY, a INT, b INT, c DECIMAL(20,12) AS (a / b) STORED, d DOUBLE AS (a / b) STORED, \
         v VARCHAR(40) AS (CONCAT(a / b)) STORED, i INT AS (a / b * 10) STORED)";
    from.sql(&format!(
        "CREATE DATABASE quotients; USE quotients; CREATE TABLE t {table}; INSERT INTO t (id, a, b) VALUES (1, 1, 3), (2, 2, 3)"
    ));
    let dumped = dump(only(&from, "quotients")).await.unwrap();
    assert_eq!(dumped.summary.missing, []);
    both_ways(&from, &dumped, &["quotients"]).await;
    let shown = "SELECT c, d, v FROM quotients.t WHERE id = 1";
    let first = from.sql(shown);
    assert!(first.starts_with("0.333333333333\t"), "the control: four digits are usual, not {first}");
    // Others than the server's own cannot be had again: they are named.
    from.sql(&format!(
        "CREATE DATABASE fewer; USE fewer; SET div_precision_increment = 2; CREATE TABLE t {table}; INSERT INTO t (id, a, b) VALUES (1, 1, 3)"
    ));
    let missing = dump(only(&from, "fewer")).await.unwrap().summary.missing;
    let names: Vec<_> = missing.iter().map(|missing| missing.name.as_str()).collect();
    assert_eq!(names, ["values of fewer.t.c", "values of fewer.t.d", "values of fewer.t.v"]);
}

/// The server shows `?` for a character of four bytes. The default value has it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn default_values_keep_characters_that_the_server_does_not_show() {
    let from = source_server();
    from.sql(
        "SET NAMES utf8mb4; CREATE DATABASE smiles CHARACTER SET utf8mb4; USE smiles; \
         CREATE TABLE `a?` (id INT, `c?` VARCHAR(20) DEFAULT 'it''s \\\\ 😀?', w CHAR(5) CHARACTER SET utf16 NOT NULL DEFAULT '🦀', \
         why VARCHAR(9) DEFAULT '?', e VARCHAR(9) DEFAULT (CONCAT('😀', '?')), l VARCHAR(9) CHARACTER SET latin1 DEFAULT '?'); \
         INSERT INTO `a?` (id) VALUES (0); CREATE TABLE v (id INT, c VARCHAR(9) DEFAULT '😀') WITH SYSTEM VERSIONING",
    );
    let dumped = dump(only(from, "smiles")).await.unwrap();
    both_ways(from, &dumped, &["smiles"]).await;
    let to = target_server();
    to.sql("USE smiles; INSERT INTO `a?` (id) VALUES (1); INSERT INTO v (id) VALUES (1)");
    assert_eq!(
        to.sql("SET NAMES utf8mb4; SELECT `c?`, w, why, e, l FROM smiles.`a?` WHERE id = 1; SELECT c FROM smiles.v")
            .trim(),
        "it's \\\\ 😀?\t🦀\t?\t😀?\t?\n😀"
    );
}

/// Whoever prepares a database for a restore need not know its charset. One that is not empty keeps its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_there_and_empty_gets_its_defaults() {
    let (from, to) = (source_server(), MariaDb::start(&[]));
    from.sql(
        "CREATE DATABASE prepared CHARACTER SET latin1 COLLATE latin1_german1_ci COMMENT 'it''s'; USE prepared; CREATE TABLE t (a INT); \
         CREATE FUNCTION f(a VARCHAR(10)) RETURNS VARCHAR(10) DETERMINISTIC RETURN a",
    );
    let dumped = dump(only(from, "prepared")).await.unwrap();
    let collations = "SHOW CREATE DATABASE prepared; SELECT DATABASE_COLLATION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'prepared'";
    let expected = from.sql(collations);
    to.sql("CREATE DATABASE prepared CHARACTER SET utf8mb4 COMMENT 'here'");
    restored(&to, &dumped).await;
    assert_eq!(to.sql(collations), expected);
    to.sql("DROP DATABASE prepared; CREATE DATABASE prepared CHARACTER SET utf8mb4");
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(collations), expected);
    to.sql("DROP DATABASE prepared; CREATE DATABASE prepared CHARACTER SET utf8mb4 COMMENT 'here'");
    let own = to.sql("SHOW CREATE DATABASE prepared");
    let part = Request { only: vec!["prepared.t".to_owned()], ..Request::default() };
    let done = source(config(&to)).restore(&dumped.package, &part, &CancellationToken::new()).await.unwrap();
    assert_eq!(to.sql("SHOW CREATE DATABASE prepared"), own);
    assert_eq!(to.sql("SHOW TABLES FROM prepared").trim(), "t");
    assert_eq!(done.counts.keys().map(String::as_str).collect::<Vec<_>>(), ["database", "table"]);
}

/// A server with the old way of TIMESTAMP would make a column the time of each change.
#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_without_a_default_value_gets_none() {
    let from = source_server();
    from.sql("CREATE DATABASE stamps; CREATE TABLE stamps.t (id INT, ts TIMESTAMP NOT NULL)");
    let dumped = dump(only(from, "stamps")).await.unwrap();
    let shown = "SHOW CREATE TABLE stamps.t";
    let to = MariaDb::start(&["--explicit-defaults-for-timestamp=OFF"]);
    to.sql("CREATE DATABASE stamps; CREATE TABLE stamps.t (id INT, ts TIMESTAMP NOT NULL)");
    assert!(to.sql(shown).contains("ON UPDATE"), "the control: {}", to.sql(shown));
    to.sql("DROP DATABASE stamps");
    restored(&to, &dumped).await;
    assert_eq!(to.sql(shown), from.sql(shown));
    to.sql("DROP DATABASE stamps");
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(shown), from.sql(shown));
}

/// A server that is not strict takes members that it cannot tell apart by their names.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_the_same_name_keep_their_numbers() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE twins; USE twins; SET sql_mode = ''; CREATE TABLE t (e ENUM('a', 'A', 'b', 'a'), s SET('x', 'X'), \
         k ENUM('a', 'A') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin); INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (4, 3, 2), (NULL, 0, 1)",
    );
    let dumped = dump(only(from, "twins")).await.unwrap();
    both_ways(from, &dumped, &["twins"]).await;
    let script = String::from_utf8(dumped.script(&["db/twins/2-data"])).unwrap();
    assert!(script.contains("(2,2,'A')"), "where members differ, their names are written: {script}");
}

/// A server that logs changes as statements takes the state of no sequence.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_logs_statements_gets_sequences() {
    let (from, to) = (source_server(), MariaDb::start(&["--binlog-format=STATEMENT"]));
    from.sql("CREATE DATABASE logged; CREATE SEQUENCE logged.q START WITH 7; DO NEXTVAL(logged.q)");
    let dumped = dump(only(from, "logged")).await.unwrap();
    let state = "SELECT * FROM logged.q";
    restored(&to, &dumped).await;
    assert_eq!(to.sql(state), from.sql(state));
    to.sql("DROP DATABASE logged");
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(state), from.sql(state));
    let refused = to.try_sql(&format!("INSERT INTO logged.q {state}")).unwrap_err();
    assert!(refused.contains("ERROR 1665"), "the control: {refused}");
}

/// Everything of a database, with one more statement at the end of its tables.
async fn with_statement(dumped: &Dumped, database: &str, lines: &str) -> Package {
    let kept = package::Keep::default();
    dumped.package.read(Selection::All, kept.clone()).await.unwrap();
    let path = format!("db/{database}/1-schema.0001.sql");
    let steps = kept.take().into_iter().map(|(_, mut header, mut bytes)| {
        if header.path == path.as_bytes() {
            bytes.extend_from_slice(lines.as_bytes());
            header.size = bytes.len() as u64;
        }
        package::member(header, bytes)
    });
    let steps: Vec<_> = steps.collect();
    let keys = package::keys();
    let (store, record) = package::sealed(&keys, "mariadb", steps).await;
    let product = dumped.package.record().product.clone();
    package::package(&store, &Record { product, ..record }, &keys)
}

/// What the server has in the end is compared with what the package says of each object.
#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_is_not_the_packages_is_an_error() {
    let (from, to) = (source_server(), target_server());
    from.sql(
        "CREATE DATABASE redefined; USE redefined; \
         CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(9)) COMMENT 'first'; INSERT INTO t (a) VALUES ('x'); \
         CREATE VIEW v AS SELECT a FROM t; CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1; \
         CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1; CREATE SEQUENCE s; \
         CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO SELECT 1; \
         CREATE EVENT past ON SCHEDULE AT '2001-01-01 00:00:00' ON COMPLETION PRESERVE DO SELECT 1",
    );
    let dumped = dump(only(from, "redefined")).await.unwrap();
    let restore = async |package: &Package| {
        let request = Request { replace: true, ..Request::default() };
        source(config(to)).restore(package, &request, &CancellationToken::new()).await
    };
    // The database's defaults, a table, a sequence, a view, a function, a trigger and the event that goes on.
    let compared = "2 tables and sequences by fingerprint, 7 definitions by their text";
    assert_eq!(restore(&dumped.package).await.unwrap().compared, compared, "the control");
    let nothing = with_statement(&dumped, "redefined", "").await;
    let compared = "0 tables and sequences by fingerprint, 7 definitions by their text";
    assert_eq!(restore(&nothing).await.unwrap().compared, compared, "another control");
    for (statement, object, shown) in [
        ("ALTER TABLE t COMMENT='other'", "table redefined.t", "COMMENT='other'» instead of «"),
        ("ALTER TABLE t MODIFY a VARCHAR(8)", "table redefined.t", "`a` varchar(8) DEFAULT NULL"),
        ("ALTER TABLE t ADD UNIQUE (a)", "table redefined.t", "UNIQUE KEY `a` (`a`)"),
        ("ALTER SEQUENCE s INCREMENT 3", "sequence redefined.s", "increment by 3"),
        ("DROP SEQUENCE s", "sequence redefined.s", " not there"),
        ("ALTER DATABASE redefined COMMENT 'x'", "defaults redefined", "COMMENT 'x'» instead of «"),
    ] {
        let lines =
            format!("-- object table redefined.none\n-- statement {:010}\n{statement};\n", statement.len());
        let error = restore(&with_statement(&dumped, "redefined", &lines).await).await.unwrap_err();
        let told = error.to_string();
        let (start, rest) = told.split_once("definitions differ from the dump: ").unwrap();
        assert_eq!(start, "everything is restored and its rows are compared, but ");
        // One that the package names and does not make.
        let others = rest.replace("table redefined.none is not there", "");
        let others: Vec<&str> = others.split("; ").filter(|other| !other.is_empty()).collect();
        assert!(rest.contains("table redefined.none is not there"), "{told}");
        let is_told = others[0].starts_with(&format!("{object} is ")) && others[0].contains(shown);
        assert!(others.len() == 1 && is_told, "{statement}: {told}");
        assert_eq!(error.verdict(), Verdict::Differs);
    }
    assert_eq!(to.sql("SELECT redefined.f(), a FROM redefined.v").trim(), "1\tx", "all else is there");
}

/// What a restore may make and not see is no difference.
#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_the_user_may_not_see_is_named() {
    let (from, to) = (source_server(), target_server());
    from.sql(
        "CREATE DATABASE concealed; CREATE TABLE concealed.t (a INT); CREATE PROCEDURE concealed.p() SELECT 1",
    );
    let dumped = dump(only(from, "concealed")).await.unwrap();
    to.sql(
        "CREATE DATABASE concealed; CREATE USER halfway@'%' IDENTIFIED BY 'theirs'; \
         GRANT ALL ON concealed.* TO halfway@'%'; GRANT SET USER ON *.* TO halfway@'%'",
    );
    let file = to.dir().join("halfway");
    std::fs::write(&file, "theirs").unwrap();
    let password = Some(SecretRef { env: None, file: Some(file) });
    let halfway = source(Config { user: "halfway".to_owned(), password, ..config(to) });
    let (request, stop) = (Request::default(), CancellationToken::new());
    let restored = halfway.restore(&dumped.package, &request, &stop).await.unwrap();
    // Newer servers show a routine to whoever made it.
    let shows = !to.sql("SELECT VERSION()").starts_with("10.");
    let compared = if shows { 3 } else { 2 };
    let compared = format!("1 tables and sequences by fingerprint, {compared} definitions by their text");
    assert_eq!(restored.compared, compared);
    let note = "the server does not show this user, so not compared: procedure concealed.p".to_owned();
    assert_eq!(restored.notes, if shows { Vec::new() } else { vec![note] });
}

/// Servers of other releases show the same in other words.
#[tokio::test(flavor = "multi_thread")]
async fn definitions_of_other_releases_are_not_compared() {
    let (from, to) = (source_server(), target_server());
    from.sql("CREATE DATABASE released; CREATE TABLE released.t (a INT)");
    let dumped = dump_as(only(from, "released"), "MariaDB 10.6.1-MariaDB-log").await;
    let stop = CancellationToken::new();
    let restored = source(config(to)).restore(&dumped, &Request::default(), &stop).await.unwrap();
    assert_eq!(restored.compared, "1 tables and sequences by fingerprint");
    assert_eq!(restored.notes.len(), 1, "{:?}", restored.notes);
    let note = "definitions are not compared: they are of 10.6.1 and this server is 1";
    assert!(restored.notes[0].starts_with(note), "{:?}", restored.notes);
}
