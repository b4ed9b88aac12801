//! Views, and other definitions that reach into each other.

use chupacabra::sources::Request;
use chupacabra::sources::mariadb::Config;
use tokio_util::sync::CancellationToken;

use crate::dumped::{config, dump, only, source};
use crate::facts::{assert_same, facts};
use crate::shared::{both_ways, source_server};
use crate::support::mariadb::{MariaDb, feed};

/// Views whose definitions ask what kind of a view or column they stand on, in an order that their names do not tell.
#[tokio::test(flavor = "multi_thread")]
async fn views_on_views_of_every_type_are_made_again() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE stack_a; CREATE DATABASE stack_b; USE stack_b; \
         CREATE TABLE t (id INT PRIMARY KEY, u UUID, i INET6, p POINT, w TEXT, FULLTEXT (w)); \
         CREATE VIEW z AS SELECT * FROM t; CREATE VIEW y AS SELECT id, u, i, p, w FROM z WHERE id > 0 WITH CASCADED CHECK OPTION; \
         CREATE VIEW c AS SELECT * FROM y WITH LOCAL CHECK OPTION; \
         CREATE VIEW b AS SELECT * FROM c WHERE u = CAST('123e4567-e89b-12d3-a456-426655440000' AS UUID) AND i > CAST('::1' AS INET6); \
         CREATE VIEW a AS SELECT ST_X(p) AS x FROM b; CREATE VIEW stack_a.over AS SELECT id FROM stack_b.y WITH CHECK OPTION; \
         CREATE VIEW back AS SELECT o.id FROM stack_a.over o WITH CHECK OPTION; CREATE VIEW stack_a.a AS SELECT u FROM stack_b.back, stack_b.b",
    );
    let stacks = Config { databases: vec!["stack_?".to_owned()], ..config(from) };
    let dumped = dump(stacks).await.unwrap();
    assert_eq!(dumped.summary.counts["views"], 8);
    both_ways(from, &dumped, &["stack_a", "stack_b"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn default_values_come_from_sequences_of_any_database() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE reach_a; CREATE DATABASE reach_b; CREATE SEQUENCE reach_b.s START 5; CREATE SEQUENCE reach_a.s; \
         CREATE TABLE reach_a.t (id INT PRIMARY KEY DEFAULT NEXTVAL(reach_b.s), a INT); INSERT INTO reach_a.t (a) VALUES (1), (2); \
         CREATE TABLE reach_b.t (id INT PRIMARY KEY DEFAULT NEXTVAL(reach_a.s)); INSERT INTO reach_b.t VALUES ()",
    );
    let both = Config { databases: vec!["reach_?".to_owned()], ..config(from) };
    let dumped = dump(both).await.unwrap();
    assert_eq!(dumped.summary.counts["sequences"], 2);
    both_ways(from, &dumped, &["reach_a", "reach_b"]).await;
}

/// A user without SET USER is told another error about a definer that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_a_dropped_user_is_whole_for_any_reader() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE DATABASE left_behind; CREATE TABLE left_behind.t (a INT); INSERT INTO left_behind.t VALUES (3); CREATE USER gone; \
         GRANT ALL ON left_behind.* TO gone; CREATE DEFINER=gone VIEW left_behind.v AS SELECT a FROM left_behind.t; DROP USER gone; \
         CREATE USER modest; GRANT RELOAD, SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON *.* TO modest",
    );
    let dumped = dump(Config { user: "modest".to_owned(), ..only(&server, "left_behind") }).await.unwrap();
    assert!(dumped.summary.missing.is_empty(), "{:?}", dumped.summary.missing);
    assert!(dumped.summary.notes.is_empty(), "{:?}", dumped.summary.notes);
    let target = MariaDb::start(&[]);
    feed(&mut target.client(&[]), &dumped.script(&[]));
    let query = "SHOW CREATE VIEW left_behind.v";
    assert_eq!(target.sql(query), server.sql(query));
    target.sql("CREATE USER gone; GRANT ALL ON left_behind.* TO gone");
    assert_eq!(target.sql("SELECT * FROM left_behind.v").trim(), "3");
}

/// What a reader's rights decide may be open to others: such a view is missing, unless the reader may see everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_only_this_reader_cannot_open_is_missing() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE DATABASE shown; CREATE DATABASE closed; CREATE TABLE closed.t (a INT); CREATE TABLE shown.t (a INT); \
         CREATE SQL SECURITY INVOKER VIEW shown.v AS SELECT a FROM closed.t; CREATE VIEW shown.stale AS SELECT a FROM shown.t; DROP TABLE shown.t; \
         CREATE USER modest; GRANT RELOAD ON *.* TO modest; GRANT SELECT ON mysql.* TO modest; \
         GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON shown.* TO modest",
    );
    let dumped = dump(Config { user: "modest".to_owned(), ..only(&server, "shown") }).await.unwrap();
    let missing: Vec<&str> = dumped.summary.missing.iter().map(|missing| missing.name.as_str()).collect();
    assert_eq!(missing, ["view shown.v"]);
    assert_eq!(dumped.summary.notes.len(), 1, "{:?}", dumped.summary.notes);
    assert!(dumped.summary.notes[0].starts_with("the view shown.stale cannot be opened"));
    let dumped = dump(only(&server, "shown")).await.unwrap();
    assert!(dumped.summary.missing.is_empty(), "root opens it: {:?}", dumped.summary.missing);
}

/// A server makes no view on another whose definer has no rights yet to what that shows.
#[tokio::test(flavor = "multi_thread")]
async fn views_on_views_of_others_come_after_their_rights() {
    let from = MariaDb::start(&[]);
    from.sql(
        "CREATE DATABASE granted; USE granted; CREATE TABLE t (a INT); INSERT INTO t VALUES (3); \
         CREATE USER app; GRANT SELECT (a) ON granted.t TO app; CREATE DEFINER=app VIEW b AS SELECT a FROM t; \
         CREATE VIEW a AS SELECT a FROM b; CREATE DEFINER=app VIEW c AS SELECT a FROM t; GRANT SELECT ON granted.c TO app",
    );
    let dumped = dump(Config { system: true, ..only(&from, "granted") }).await.unwrap();
    let to = MariaDb::start(&[]);
    let (request, stop) = (Request { replace: true, ..Request::default() }, CancellationToken::new());
    source(config(&to)).restore(&dumped.package, &request, &stop).await.unwrap();
    assert_eq!(to.sql("SELECT * FROM granted.a").trim(), "3");
    assert_same(&facts(&from, &["granted"], true), &facts(&to, &["granted"], true));
    to.sql("DROP DATABASE granted; DROP USER app");
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql("SELECT * FROM granted.a").trim(), "3");
    assert_same(&facts(&from, &["granted"], true), &facts(&to, &["granted"], true));
}

/// What a view names may not be in the package. Everything else is restored, and the views are named.
#[tokio::test(flavor = "multi_thread")]
async fn views_of_what_is_not_there_end_no_restore() {
    let from = MariaDb::start(&[]);
    from.sql(
        "CREATE DATABASE here; CREATE DATABASE away; CREATE TABLE away.x (a INT); USE here; CREATE TABLE logs (a INT); CREATE TABLE z (a INT); \
         INSERT INTO z VALUES (1); CREATE VIEW a AS SELECT a FROM logs; CREATE VIEW b AS SELECT a FROM away.x; \
         CREATE VIEW c AS SELECT a FROM b; CREATE VIEW e AS SELECT a FROM z; \
         CREATE EVENT ev ON SCHEDULE EVERY 1 YEAR DISABLE DO SELECT 1; CREATE USER u; GRANT SELECT ON here.a TO u; GRANT SELECT ON here.e TO u",
    );
    let part = Config { exclude_tables: vec!["here.logs".to_owned()], system: true, ..only(&from, "here") };
    let dumped = dump(part).await.unwrap();
    let to = MariaDb::start(&[]);
    let request = Request { replace: true, ..Request::default() };
    let stop = CancellationToken::new();
    let error = source(config(&to)).restore(&dumped.package, &request, &stop).await.unwrap_err();
    let said = error.to_string();
    let begin = "everything is restored and compared but what names something that is not there, or is not this user's to give: ";
    assert!(said.starts_with(begin), "{said}");
    for unmade in ["view here.a: Table 'here.logs'", "view here.b: ", "view here.c: "] {
        assert!(said.contains(unmade), "{unmade}: {said}");
    }
    assert!(!said.contains("2-grants") && !said.contains("here.e"), "{said}");
    let left = "SHOW TABLES FROM here; SELECT * FROM here.e";
    assert_eq!(to.sql(left).trim(), "e\nz\n1", "no placeholder is left");
    assert_eq!(to.sql("SHOW EVENTS FROM here").lines().count(), 1);
    let grants = to.sql("SHOW GRANTS FOR u");
    assert!(grants.contains("`here`.`e`") && grants.contains("`here`.`a`"), "until it is made: {grants}");
    // Where what they name is there, they are made.
    to.sql("CREATE DATABASE away; CREATE TABLE away.x (a INT); INSERT INTO away.x VALUES (5)");
    let views = Request { only: vec!["here.[bc]".to_owned()], ..Request::default() };
    source(config(&to)).restore(&dumped.package, &views, &stop).await.unwrap();
    assert_eq!(to.sql("SELECT * FROM here.c").trim(), "5");
}

/// A sequence that the configuration leaves out is named where a table cannot be made without it.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_that_tables_need_and_the_dump_has_not_are_named() {
    let from = source_server();
    from.sql(
        "CREATE DATABASE needs_a; CREATE DATABASE needs_b; CREATE SEQUENCE needs_a.own; CREATE SEQUENCE needs_b.s; \
         CREATE TABLE needs_a.t (id INT DEFAULT NEXTVAL(needs_b.s), b INT DEFAULT (LASTVAL(needs_b.s) + 1), c INT DEFAULT NEXTVAL(needs_a.own))",
    );
    let missing = async |config: Config| {
        let dumped = dump(config).await.unwrap();
        dumped.summary.missing.into_iter().map(|missing| (missing.name, missing.why)).collect::<Vec<_>>()
    };
    let why = "default values of needs_a.t need it, which no server makes without it, and it is not dumped";
    let named = |sequence: &str| (format!("sequence {sequence}"), why.to_owned());
    assert_eq!(missing(only(from, "needs_a")).await, [named("needs_b.s")]);
    let both = || Config { databases: vec!["needs_?".to_owned()], ..config(from) };
    assert_eq!(missing(both()).await, []);
    let part = Config { exclude_tables: vec!["needs_a.own".to_owned()], ..both() };
    assert_eq!(missing(part).await, [named("needs_a.own")]);
}

/// Whoever opens such a view writes, which a dump may not. That is no fault of the view's.
#[tokio::test(flavor = "multi_thread")]
async fn views_that_write_are_whole() {
    let from = MariaDb::start(&[]);
    from.sql(
        "CREATE DATABASE counted; USE counted; CREATE TABLE seen (a INT) ENGINE=MyISAM; INSERT INTO seen VALUES (1); CREATE TABLE gone (a INT); \
         CREATE SEQUENCE s;\nDELIMITER //\nCREATE FUNCTION f() RETURNS INT DETERMINISTIC BEGIN INSERT INTO seen VALUES (2); RETURN 1; END//\nDELIMITER ;\n\
         CREATE VIEW n AS SELECT NEXTVAL(s) AS n; CREATE VIEW w AS SELECT f() AS w; CREATE VIEW both_of AS SELECT n.n, w.w FROM n, w; \
         CREATE VIEW broken AS SELECT NEXTVAL(s) AS n, a FROM gone; DROP TABLE gone; CREATE USER app; GRANT SELECT (n) ON n TO app; GRANT SELECT ON w TO app",
    );
    let dumped = dump(Config { system: true, ..only(&from, "counted") }).await.unwrap();
    assert!(dumped.summary.missing.is_empty(), "{:?}", dumped.summary.missing);
    let notes = dumped.summary.notes.iter().filter_map(|note| note.split_once(" cannot be opened"));
    assert_eq!(notes.map(|note| note.0).collect::<Vec<_>>(), ["the view counted.broken"]);
    let shown = "SHOW CREATE VIEW counted.n; SHOW CREATE VIEW counted.w; SHOW CREATE VIEW counted.both_of; SHOW GRANTS FOR app; \
        SELECT NEXT_NOT_CACHED_VALUE FROM counted.s; SELECT * FROM counted.seen";
    let to = MariaDb::start(&[]);
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(shown), from.sql(shown));
    let request = Request { replace: true, ..Request::default() };
    source(config(&to)).restore(&dumped.package, &request, &CancellationToken::new()).await.unwrap();
    assert_eq!(to.sql(shown), from.sql(shown));
    assert_eq!(to.sql("SELECT COUNT(*) FROM counted.both_of").trim(), "1");
}
