//! Grants: what a restore can give again, and what the reader's own hide.

use chupacabra::sources::Request;
use chupacabra::sources::mariadb::Config;
use tokio_util::sync::CancellationToken;

use crate::dumped::{config, dump, only, source};
use crate::support::mariadb::{MariaDb, feed};

/// A server keeps grants on columns that are gone and on views that nobody can open. No server takes them again.
#[tokio::test(flavor = "multi_thread")]
async fn grants_on_what_is_gone_end_no_restore() {
    let from = MariaDb::start(&[]);
    from.sql(
        "CREATE DATABASE gone; USE gone; CREATE TABLE t (`a,)` INT, b INT, c INT); CREATE TABLE base (a INT); CREATE VIEW v AS SELECT a FROM base; \
         CREATE USER some; GRANT SELECT (`a,)`, b), INSERT, UPDATE (b) ON t TO some WITH GRANT OPTION; CREATE USER few; GRANT SELECT (b) ON t TO few; \
         GRANT SELECT ON v TO few; GRANT SELECT (c) ON t TO few; ALTER TABLE t DROP COLUMN b; DROP TABLE base",
    );
    let dumped = dump(Config { system: true, ..config(&from) }).await.unwrap();
    let mut notes: Vec<&String> =
        dumped.summary.notes.iter().filter(|note| note.starts_with("a grant")).collect();
    notes.sort_unstable();
    assert_eq!(
        notes,
        [
            "a grant to `few`@`%` is about columns that gone.t has not: b",
            "a grant to `few`@`%` is about gone.v, which is not in the dump",
            "a grant to `some`@`%` is about columns that gone.t has not: b",
        ]
    );
    let to = MariaDb::start(&[]);
    let granted = "SHOW GRANTS FOR some; SHOW GRANTS FOR few";
    let expected = "GRANT USAGE ON *.* TO `some`@`%`\nGRANT SELECT (`a,)`), INSERT ON `gone`.`t` TO `some`@`%` WITH GRANT OPTION\n\
                    GRANT USAGE ON *.* TO `few`@`%`\nGRANT SELECT (`c`) ON `gone`.`t` TO `few`@`%`";
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(granted).trim(), expected);
    to.sql("DROP USER some; DROP USER few");
    let request = Request { replace: true, ..Request::default() };
    source(config(&to)).restore(&dumped.package, &request, &CancellationToken::new()).await.unwrap();
    assert_eq!(to.sql(granted).trim(), expected);
}

/// Of an account's grants on databases the server takes the most certain one: a narrow grant hides what a wide one shows.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_narrower_grant_hides_is_said() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE DATABASE narrow; CREATE TABLE narrow.t (a INT); CREATE TRIGGER narrow.tr BEFORE INSERT ON narrow.t FOR EACH ROW SET NEW.a = 1; \
         CREATE USER reader; GRANT RELOAD ON *.* TO reader; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `%`.* TO reader",
    );
    let reader = || Config { user: "reader".to_owned(), ..only(&server, "narrow") };
    let dumped = dump(reader()).await.unwrap();
    assert_eq!(dumped.summary.counts.get("triggers"), Some(&1), "the wide grant alone shows it");
    server.sql("GRANT SELECT, SHOW VIEW, EVENT ON narrow.* TO reader");
    let error = dump(reader()).await.map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "the user reader@% lacks triggers of narrow (TRIGGER is not granted on `narrow`)");
    server.sql("GRANT TRIGGER ON narrow.* TO reader");
    assert_eq!(dump(reader()).await.unwrap().summary.counts.get("triggers"), Some(&1));
}

/// Whoever accepts what may not be seen gets the rest, and is told object by object.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_to_the_reader_is_missing_where_that_is_allowed() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE DATABASE ajar; USE ajar; CREATE TABLE t (a INT); INSERT INTO t VALUES (1); CREATE TABLE secret (a INT); INSERT INTO secret VALUES (2); \
         CREATE VIEW v AS SELECT a FROM t; CREATE PROCEDURE p() SELECT 1; CREATE USER reader; GRANT RELOAD ON *.* TO reader; \
         GRANT SELECT ON t TO reader; GRANT INSERT ON secret TO reader; GRANT SELECT ON v TO reader; GRANT EXECUTE ON ajar.* TO reader",
    );
    let reader = |allow_missing_privileges| Config {
        user: "reader".to_owned(),
        allow_missing_privileges,
        ..only(&server, "ajar")
    };
    let closed = async || {
        let dumped = dump(reader(true)).await.unwrap();
        let missing = dumped.summary.missing.iter().map(|missing| missing.name.clone());
        let closed: Vec<String> = missing.filter(|name| !name.contains(" of ")).collect();
        (closed, dumped)
    };
    let (missing, dumped) = closed().await;
    assert_eq!(missing, ["table ajar.secret", "procedure ajar.p", "view ajar.v"]);
    let to = MariaDb::start(&[]);
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(
        to.sql("SHOW TABLES FROM ajar; SELECT * FROM ajar.t").trim(),
        "t\n1",
        "nor is there a placeholder"
    );
    server.sql("REVOKE RELOAD ON *.* FROM reader; GRANT SHOW VIEW ON ajar.v TO reader");
    assert_eq!(closed().await.0, ["table ajar.secret", "procedure ajar.p"], "over one connection");
    let error = source(reader(false)).probe().await.unwrap_err().to_string();
    assert!(error.starts_with("the user reader@% lacks rows of ajar"), "{error}");
}

/// Where a plugin judges passwords, a server takes no user whose password it is told as it keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn users_are_restored_where_passwords_are_judged() {
    let from = MariaDb::start(&[]);
    from.sql(
        "INSTALL SONAME 'auth_ed25519'; CREATE USER old IDENTIFIED BY 'Password-1'; CREATE USER new IDENTIFIED VIA ed25519 USING PASSWORD('Password-1'); \
         INSTALL SONAME 'simple_password_check'; INSTALL SONAME 'password_reuse_check'; CREATE DATABASE judged; CREATE TABLE judged.t (a INT)",
    );
    let hashed = from
        .sql("SELECT CONCAT('CREATE USER other IDENTIFIED BY PASSWORD ''', PASSWORD('Password-1'), '''')");
    let refused = from.try_sql(&hashed).unwrap_err();
    assert!(refused.contains("--strict-password-validation"), "the control: {refused}");
    let dumped = dump(Config { system: true, ..config(&from) }).await.unwrap();
    assert_eq!(dumped.summary.counts["plugins"], 3);
    let shown = "SHOW CREATE USER old; SHOW CREATE USER new; SELECT * FROM mysql.plugin ORDER BY name";
    let to = MariaDb::start(&[]);
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(shown), from.sql(shown));
    let to = MariaDb::start(&[]);
    source(config(&to))
        .restore(&dumped.package, &Request::default(), &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(to.sql(shown), from.sql(shown));
    assert!(to.try_sql(&hashed).is_err(), "passwords are judged there too");
}

/// A glob with a wildcard may mean databases that the reader does not see.
#[tokio::test(flavor = "multi_thread")]
async fn databases_that_a_wildcard_may_mean_are_seen_or_said() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE DATABASE wild_a; CREATE DATABASE wild_b; CREATE TABLE wild_a.t (a INT); CREATE USER reader; GRANT RELOAD ON *.* TO reader; \
         GRANT SELECT ON mysql.* TO reader; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON wild_a.* TO reader",
    );
    let reader = |glob: &str| Config { user: "reader".to_owned(), ..only(&server, glob) };
    for glob in ["wild_*", "wild_?", "wild_[ab]", "wild_{a,b}"] {
        let error = dump(reader(glob)).await.map(|_| ()).unwrap_err().to_string();
        assert!(
            error.starts_with("the user reader@% lacks databases (SHOW DATABASES is not granted"),
            "{error}"
        );
    }
    assert!(dump(reader("wild_a")).await.unwrap().summary.missing.is_empty());
    server.sql("GRANT SHOW DATABASES ON *.* TO reader; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON wild_b.* TO reader");
    assert_eq!(dump(reader("wild_*")).await.unwrap().summary.counts["databases"], 2);
}

/// A grant that tells a password takes it out of its expiry, and the time until the next stands on a line of its own.
#[tokio::test(flavor = "multi_thread")]
async fn passwords_stay_expired() {
    let from = MariaDb::start(&[]);
    from.sql(
        "CREATE USER late IDENTIFIED BY 'x' PASSWORD EXPIRE INTERVAL 5 DAY; ALTER USER late PASSWORD EXPIRE; GRANT SELECT ON *.* TO late; \
         CREATE USER never IDENTIFIED BY 'x' PASSWORD EXPIRE NEVER; ALTER USER never PASSWORD EXPIRE ACCOUNT LOCK; \
         CREATE USER sound IDENTIFIED BY 'x' PASSWORD EXPIRE INTERVAL 7 DAY; GRANT SELECT ON *.* TO sound",
    );
    let shown = "SHOW CREATE USER late; SHOW CREATE USER never; SHOW CREATE USER sound; SHOW GRANTS FOR late";
    assert_eq!(from.sql(shown).matches("PASSWORD EXPIRE\n").count(), 2, "{}", from.sql(shown));
    let dumped = dump(Config { system: true, ..config(&from) }).await.unwrap();
    let to = MariaDb::start(&[]);
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(shown), from.sql(shown));
    to.sql("DROP USER late; DROP USER never; DROP USER sound");
    source(config(&to))
        .restore(&dumped.package, &Request::default(), &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(to.sql(shown), from.sql(shown));
}

/// A server keeps a default role that is gone, or taken away, and takes no such one.
#[tokio::test(flavor = "multi_thread")]
async fn default_roles_that_are_gone_end_no_restore() {
    let from = MariaDb::start(&[]);
    from.sql(
        "CREATE ROLE dropped; CREATE ROLE taken; CREATE ROLE held; CREATE USER one; CREATE USER two; CREATE USER three; GRANT dropped TO one; \
         GRANT taken TO two; GRANT held TO three; SET DEFAULT ROLE dropped FOR one; SET DEFAULT ROLE taken FOR two; SET DEFAULT ROLE held FOR three; \
         DROP ROLE dropped; REVOKE taken FROM two",
    );
    let dumped = dump(Config { system: true, ..config(&from) }).await.unwrap();
    let notes = dumped.summary.notes.iter().filter(|note| note.starts_with("the default role"));
    assert_eq!(
        notes.collect::<Vec<_>>(),
        [
            "the default role of `one`@`%` is `dropped`, which it has not",
            "the default role of `two`@`%` is `taken`, which it has not",
        ]
    );
    let granted = "SHOW GRANTS FOR one; SHOW GRANTS FOR two; SHOW GRANTS FOR three";
    let expected = "GRANT USAGE ON *.* TO `one`@`%`\nGRANT USAGE ON *.* TO `two`@`%`\nGRANT `held` TO `three`@`%`\n\
                    GRANT USAGE ON *.* TO `three`@`%`\nSET DEFAULT ROLE `held` FOR `three`@`%`";
    let to = MariaDb::start(&[]);
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(granted).trim(), expected);
    let to = MariaDb::start(&[]);
    source(config(&to))
        .restore(&dumped.package, &Request::default(), &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(to.sql(granted).trim(), expected);
}

/// What whoever restores may not give is named, and everything else comes back.
#[tokio::test(flavor = "multi_thread")]
async fn grants_that_are_not_the_restorers_to_give_end_no_restore() {
    let from = MariaDb::start(&[]);
    from.sql(
        "CREATE DATABASE given; CREATE TABLE given.t (a INT); INSERT INTO given.t VALUES (1); CREATE VIEW given.v AS SELECT a FROM given.t; \
         CREATE EVENT given.e ON SCHEDULE EVERY 1 YEAR DISABLE DO SELECT 1; CREATE ROLE r; CREATE USER a IDENTIFIED BY 'x'; GRANT r TO a; \
         GRANT SELECT ON *.* TO a; GRANT PROXY ON ''@'%' TO a WITH GRANT OPTION",
    );
    let dumped = dump(Config { system: true, ..config(&from) }).await.unwrap();
    let to = MariaDb::start(&[]);
    to.sql("CREATE USER dba; GRANT ALL ON *.* TO dba WITH GRANT OPTION");
    let dba = source(Config { user: "dba".to_owned(), ..config(&to) });
    let refused = async |replace: bool| {
        let request = Request { replace, ..Request::default() };
        let error = dba.restore(&dumped.package, &request, &CancellationToken::new()).await.unwrap_err();
        assert_eq!(to.sql("SELECT * FROM given.v").trim(), "1");
        assert_eq!(to.sql("SHOW EVENTS FROM given").lines().count(), 1);
        error.to_string()
    };
    let begin = "everything is restored and compared but what names something that is not there, or is not this user's to give: ";
    let said = refused(false).await;
    assert!(said.starts_with(begin), "{said}");
    assert!(said.contains("«GRANT PROXY ON ''@'%' TO 'a'@'%' WITH GRANT OPTION»"), "{said}");
    assert!(!said.contains("`r`"), "a new role is its maker's to give: {said}");
    let grants = to.sql("SHOW GRANTS FOR a");
    assert!(grants.contains("GRANT `r` TO `a`@`%`") && grants.contains("GRANT SELECT ON *.*"), "{grants}");
    assert!(!to.sql("SHOW GRANTS FOR dba").contains("`r`"), "nor does it stay its maker's");
    let said = refused(true).await;
    assert!(said.starts_with(begin) && said.contains("«GRANT `r` TO `a`@`%`»"), "{said}");
    assert!(!said.contains("REVOKE") && !said.contains("IDENTIFIED"), "nothing was given: {said}");
}

/// A server of another wrapper than its options say, or without any.
#[tokio::test(flavor = "multi_thread")]
async fn servers_without_options_come_back() {
    let from = MariaDb::start(&[]);
    from.sql(
        "CREATE SERVER bare FOREIGN DATA WRAPPER mysql OPTIONS (HOST ''); CREATE SERVER none FOREIGN DATA WRAPPER other OPTIONS (HOST ''); \
         CREATE SERVER named FOREIGN DATA WRAPPER other OPTIONS (USER 'u'); CREATE SERVER local FOREIGN DATA WRAPPER mysql OPTIONS (SOCKET '/s')",
    );
    let query = "SELECT Server_name, Wrapper, Host, Db, Username, Port, Socket FROM mysql.servers ORDER BY 1";
    assert_eq!(from.sql(query).lines().count(), 4);
    let dumped = dump(Config { system: true, ..config(&from) }).await.unwrap();
    let to = MariaDb::start(&[]);
    feed(&mut to.client(&[]), &dumped.script(&[]));
    assert_eq!(to.sql(query), from.sql(query));
}
