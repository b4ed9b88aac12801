//! Tables whose rows are elsewhere, and servers that are something else.

use chupacabra::config::secret::SecretRef;
use chupacabra::sources::mariadb::Config;

use crate::dumped::{config, dump, only};
use crate::shared::target_server;
use crate::support::mariadb::{MariaDb, feed};

/// A FEDERATED table comes with its definition and its name in the notes, whether or not the other side is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_server_are_not_dumped_and_the_table_is_named() {
    let server = MariaDb::start(&[]);
    server.sql(&format!(
        "INSTALL SONAME 'ha_federatedx'; CREATE DATABASE far; CREATE DATABASE near; \
         CREATE TABLE far.t (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO far.t VALUES (1, 'there'); \
         CREATE TABLE near.own (id INT PRIMARY KEY); INSERT INTO near.own VALUES (7); \
         CREATE TABLE near.shown (id INT PRIMARY KEY, v VARCHAR(10)) ENGINE=FEDERATED \
         CONNECTION='mysql://root@127.0.0.1:{}/far/t'",
        server.port
    ));
    assert_eq!(server.sql("SELECT v FROM near.shown"), "there\n");
    let note = "near.shown (FEDERATED): its definition only, its rows are elsewhere";
    let dumped = dump(only(&server, "near")).await.unwrap();
    assert_eq!(dumped.summary.notes, [note]);
    assert!(dumped.summary.missing.is_empty(), "{:?}", dumped.summary.missing);
    let names: Vec<&str> = dumped.objects.keys().map(String::as_str).collect();
    assert_eq!(names, ["near.own"], "nothing is said of rows that are not there");
    let script = dumped.script(&[]);
    assert!(!String::from_utf8_lossy(&script).contains("there'"));
    // Where the other side can be reached the restored table shows the same.
    server.sql("DROP DATABASE near");
    feed(&mut server.client(&[]), &script);
    assert_eq!(server.sql("SELECT v FROM near.shown UNION SELECT id FROM near.own"), "there\n7\n");
    server.sql("DROP TABLE far.t; FLUSH TABLES");
    assert!(server.try_sql("SELECT v FROM near.shown").is_err(), "the other side is gone");
    let dumped = dump(only(&server, "near")).await.unwrap();
    assert_eq!(dumped.summary.notes, [note]);
    assert_eq!(dumped.objects["near.own"].rows, 1);
}

/// What a MySQL server would be told: its version string has no `MariaDB` in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_mariadb_is_refused_by_name() {
    let server = MariaDb::start(&["--version=8.0.36"]);
    let error = dump(config(&server)).await.map(|_| ()).unwrap_err();
    let said = error.to_string();
    assert_eq!(said, "8.0.36 is not supported: this source has been tried with MariaDB only");
    let old = MariaDb::start(&["--version=10.5.29-MariaDB"]);
    let error = dump(config(&old)).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("10.6 is the oldest version"), "{error}");
    // The same servers under their own name are dumped.
    dump(config(target_server())).await.unwrap();
}

/// A user of MariaDB's newest plugin logs in; one with another password does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB 11.6 or later: tests/run --ring mariadb_newer"]
async fn parsec_is_spoken() {
    let server = MariaDb::start(&[]);
    server.sql(
        "INSTALL SONAME 'auth_parsec'; CREATE USER modern IDENTIFIED VIA parsec USING PASSWORD('secret'); \
         GRANT ALL ON *.* TO modern; CREATE DATABASE reached; CREATE TABLE reached.t (a INT)",
    );
    let attempt = async |password: &str| {
        let file = server.dir().join("password");
        std::fs::write(&file, password).unwrap();
        let password = Some(SecretRef { env: None, file: Some(file) });
        dump(Config { user: "modern".to_owned(), password, ..only(&server, "reached") }).await
    };
    assert!(attempt("secret").await.unwrap().objects.contains_key("reached.t"));
    let error = attempt("wrong").await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("Access denied for user 'modern'@"), "{error}");
}

/// Servers whose options nobody foresaw come back with all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB 11.7 or later: tests/run --ring mariadb_newer"]
async fn servers_keep_options_of_any_name() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE SERVER plain FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1'); \
         CREATE SERVER any FOREIGN DATA WRAPPER mysql OPTIONS (user 'u', zone 'e\\'u \\\\ \"é\"', HOST '127.0.0.1', `od d``` '', port 44)",
    );
    let dumped = dump(Config { system: true, ..config(&server) }).await.unwrap();
    let target = MariaDb::start(&[]);
    feed(&mut target.client(&[]), &dumped.script(&[]));
    let query = "SELECT * FROM mysql.servers ORDER BY 1; SHOW CREATE SERVER any";
    assert!(server.sql(query).contains("zone"), "{}", server.sql(query));
    assert_eq!(target.sql(query), server.sql(query));
}
