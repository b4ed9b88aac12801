//! Definitions in charsets that a server shows in another one.

use crate::dumped::{dump, only};
use crate::shared::{both_ways, source_server, target_server};
use crate::support::mariadb::feed;

/// The server shows `?` for members that UTF-8 of three bytes does not have. Values are theirs all the same.
#[tokio::test(flavor = "multi_thread")]
async fn members_that_the_server_does_not_show_are_kept() {
    let from = source_server();
    from.sql(
        "SET NAMES utf8mb4; CREATE DATABASE members CHARACTER SET utf8mb4; USE members; \
         CREATE TABLE t (id INT COMMENT 'why?', e ENUM('😀','why?','it''s \\\\ 🦀') NOT NULL DEFAULT '😀' COMMENT ' DEFAULT ''?', \
         s SET('x','🦀','😀') COLLATE utf8mb4_bin, u ENUM('a','b😀') CHARACTER SET utf16 DEFAULT 'a', b ENUM(0xFF, 0xE9) CHARACTER SET binary, \
         one SET(0xFF) CHARACTER SET binary, g ENUM(0xAAA1, 'x') CHARACTER SET gbk DEFAULT 'x'); \
         INSERT INTO t (id, e, s, u, b, one, g) VALUES (1, 1, 1, 1, 1, 1, 1), (2, 2, 2, 2, 2, 0, 2), (3, 3, 7, NULL, NULL, NULL, NULL); \
         INSERT INTO t (id) VALUES (4); CREATE TABLE empty LIKE t",
    );
    assert!(from.sql("SHOW CREATE TABLE members.t").contains("enum('?',"), "the control");
    both_ways(from, &dump(only(from, "members")).await.unwrap(), &["members"]).await;
    let to = target_server();
    to.sql("USE members; INSERT INTO empty (id, e, s) VALUES (1, 3, 6); INSERT INTO empty (id) VALUES (2)");
    let shown = "SELECT CONVERT(e USING utf8mb4), s, u FROM members.empty ORDER BY id";
    assert_eq!(to.sql(shown).trim(), "it's \\\\ 🦀\t🦀,😀\ta\n😀\tNULL\ta");
}

/// Which of two members that are shown alike is the default value is not known: better no dump than the wrong one.
#[tokio::test(flavor = "multi_thread")]
async fn a_default_value_that_could_be_several_members_is_refused() {
    let from = source_server();
    from.sql("SET NAMES utf8mb4; CREATE DATABASE unclear; CREATE TABLE unclear.t (e ENUM('😀','🦀') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '🦀')");
    let error = dump(only(from, "unclear")).await.err().unwrap().to_string();
    assert_eq!(
        error,
        "unclear.t.e is a column with a default value that the server does not show, which this version cannot dump"
    );
}

/// Texts may have what the charset of their author has not, and literals of other charsets inside.
#[tokio::test(flavor = "multi_thread")]
async fn programs_keep_bytes_that_their_charset_has_not() {
    let from = source_server();
    let script = b"SET NAMES utf8mb4; CREATE DATABASE beyond CHARACTER SET utf8mb4; USE beyond; CREATE TABLE t (a VARCHAR(9)); \
        CREATE VIEW v AS SELECT _latin1 0xE9 AS a, 0xFF AS b, _sjis 0x955C AS c; \
        CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN LENGTH(_binary'\xff'); \
        SET NAMES sjis; CREATE VIEW s AS SELECT _latin1 0xE9 AS a, '\x95\x5c' AS b; SET NAMES ujis; CREATE VIEW u AS SELECT _latin1 0xE9 AS a; \
        SET NAMES utf8mb3; CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = _utf8mb4'\xf0\x9f\x98\x80'; \
        CREATE PROCEDURE p() SELECT _utf8mb4'\xf0\x9f\x98\x80'; CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DISABLE DO SET @a = _utf8mb4'\xf0\x9f\x98\x80'";
    feed(&mut from.client(&[]), script);
    both_ways(from, &dump(only(from, "beyond")).await.unwrap(), &["beyond"]).await;
    let to = target_server();
    to.sql("INSERT INTO beyond.t VALUES ('x')");
    assert_eq!(
        to.sql("SELECT HEX(a) FROM beyond.t; SELECT HEX(a), HEX(c) FROM beyond.v; SELECT HEX(a), HEX(b) FROM beyond.s; SELECT beyond.f()").trim(),
        "F09F9880\nE9\t955C\nE9\t955C\n1"
    );
}

/// A server shows comments and the heads of events in UTF-8, whatever the rest is in.
#[tokio::test(flavor = "multi_thread")]
async fn comments_and_names_of_programs_of_other_charsets_are_kept() {
    let from = source_server();
    let script = b"CREATE DATABASE mixed CHARACTER SET utf8mb4; USE mixed; SET NAMES latin1; \
        CREATE DEFINER = `r\xe9`@`%` EVENT `e\xe9` ON SCHEDULE EVERY 1 YEAR DISABLE COMMENT '\xe9 DO ''\xe9' DO SET @a = '\xe9'; \
        CREATE PROCEDURE `p\xe9`(`a\xe9` ENUM('\xe9')) COMMENT '\xe9' SELECT '\xe9'; \
        CREATE FUNCTION f() RETURNS INT DETERMINISTIC COMMENT 'it''s \\\\ \xe9' RETURN 1; \
        CREATE FUNCTION r(`a` ENUM('\xe9')) RETURNS ENUM('\xe9','it''s RETURNS') CHARSET utf8mb4 DETERMINISTIC COMMENT '\xe9' RETURN '\xe9'; \
        SET sql_mode = 'ORACLE'; EXECUTE IMMEDIATE 'CREATE FUNCTION o() RETURN INT DETERMINISTIC COMMENT ''\xe9'' AS BEGIN RETURN 1; END'; \
        EXECUTE IMMEDIATE 'CREATE FUNCTION os RETURN SET(''\xe9'',''\xf6'') DETERMINISTIC AS BEGIN RETURN ''\xe9''; END'; \
        EXECUTE IMMEDIATE 'CREATE PACKAGE pack COMMENT ''\xe9'' AS FUNCTION f() RETURN INT; END'; \
        SET sql_mode = 'NO_BACKSLASH_ESCAPES'; CREATE PROCEDURE b() COMMENT 'a\\b''\n\xe9' SELECT '\\y'; \
        CREATE EVENT be ON SCHEDULE EVERY 1 YEAR DISABLE COMMENT 'a\\b''\n\xe9' DO SET @a = '\\y'; \
        SET NAMES utf8mb4; CREATE PROCEDURE u() COMMENT 'a\\b''\n' SELECT '\\y'; SET sql_mode = ''; \
        SET NAMES gbk; CREATE EVENT g ON SCHEDULE EVERY 1 YEAR DISABLE COMMENT '\xc3\xa9''\xc7\xd1' DO SET @a = '\xc3\xa9'; \
        CREATE PROCEDURE g() COMMENT '\xc3\xa9''\xc7\xd1' SELECT '\xc3\xa9'; \
        CREATE FUNCTION gr() RETURNS ENUM('\xc7\xd1') DETERMINISTIC RETURN '\xc7\xd1'";
    feed(&mut from.client(&["--binary-mode"]), script);
    let lists = "SELECT EVENT_NAME, EVENT_COMMENT, DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'mixed' ORDER BY 1; \
                 SELECT ROUTINE_NAME, ROUTINE_COMMENT FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mixed' ORDER BY 1; \
                 SELECT name, `returns` FROM mysql.proc WHERE db = 'mixed' AND type = 'FUNCTION' ORDER BY 1";
    let expected = from.sql(lists);
    assert!(expected.contains("eé\té DO 'é\tré@%"), "the control: {expected}");
    for returned in ["r\tenum('é','it''s RETURNS')", "os\tset('é','ö')", "gr\tenum('茄')"] {
        assert!(expected.contains(returned), "the control: {returned}: {expected}");
    }
    both_ways(from, &dump(only(from, "mixed")).await.unwrap(), &["mixed"]).await;
    assert_eq!(target_server().sql(lists), expected);
}

/// A server shows the first `@` of an event's definer as the one before the host. Users of mail addresses have two.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_users_with_an_at_sign_are_theirs() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE addressed; USE addressed; \
         CREATE DEFINER=`joe@example.org`@`%` EVENT e ON SCHEDULE EVERY 1 YEAR DISABLE DO SELECT 1; \
         CREATE DEFINER=`joe@example.org`@`%` PROCEDURE p() SELECT 1; CREATE TABLE t (a INT); \
         CREATE DEFINER=`joe@example.org`@`%` TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1; \
         SET sql_mode = 'ANSI'; CREATE DEFINER='@joe'@localhost EVENT f ON SCHEDULE EVERY 1 YEAR DISABLE DO SELECT 1",
    );
    let shown = from.sql("SHOW CREATE EVENT addressed.e");
    assert!(shown.contains("DEFINER=`joe`@`example.org@%`"), "the control: {shown}");
    both_ways(from, &dump(only(from, "addressed")).await.unwrap(), &["addressed"]).await;
    let definers =
        "SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'addressed' ORDER BY EVENT_NAME";
    assert_eq!(target_server().sql(definers).trim(), "joe@example.org@%\n@joe@localhost");
}
