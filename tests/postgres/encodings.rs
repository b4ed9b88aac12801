//! Databases whose encoding is not UTF-8.

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::{content, same};
use crate::support::postgres::{chain, dump, restore, shared};
use crate::support::{scratch, shell};

fn create(name: &str, encoding: &str, sql: &[u8]) {
    let cluster = shared();
    cluster.psql(
        "postgres",
        &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"),
    );
    let dir = scratch();
    let path = dir.path().join("load.sql");
    std::fs::write(&path, sql).unwrap();
    cluster.file(name, &path);
}

/// Restores over the wire and with psql, and compares both with the source.
async fn round_trip(name: &str) {
    let cluster = shared();
    let dumped = dump(cluster.config(json!({ "database": name, "globals": false }))).await.unwrap();
    let copy = format!("{name}_copy");
    restore(&dumped, &cluster.url(&copy), Request::default()).await.unwrap();
    let bytes = |database: &str| {
        let mut command = cluster.client("pg_dump");
        crate::support::run(command.args(["--restrict-key=x", "-d", database])).stdout
    };
    assert!(bytes(&copy) == bytes(name), "{}", String::from_utf8_lossy(&bytes(&copy)));
    cluster.psql("postgres", &format!("ALTER DATABASE {name} RENAME TO {name}_before"));
    let dir = scratch();
    let psql = cluster.bin.join("psql");
    shell(&format!(
        "{} | {} -qAtX -h 127.0.0.1 -p {} -U postgres -d postgres",
        dumped.stock(dir.path()),
        psql.display(),
        cluster.port
    ));
    assert!(bytes(name) == bytes(&copy));
    let facts = "SELECT md5(string_agg(t::text, '|' ORDER BY a)) FROM t";
    same(&cluster.psql(name, facts), &cluster.psql(&copy, facts));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latin1() {
    let sql = b"SET client_encoding = LATIN1; CREATE TABLE t (a int, \"caf\xe9\" text); COMMENT ON TABLE t IS '\xa9';
        INSERT INTO t VALUES (1, '\xe9\xff'), (2, E'\\\\ \\n'); CREATE FUNCTION \"\xe4\"() RETURNS text LANGUAGE sql AS $$ SELECT '\xf6'::text $$;";
    create("latin", "LATIN1", sql);
    round_trip("latin").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_ascii_with_bytes_of_no_encoding() {
    let sql = b"CREATE TABLE t (a int, b text); COMMENT ON TABLE t IS 'byte \xff here'; CREATE TYPE e AS ENUM ('\xe9', '\xc3\xa9');
        INSERT INTO t VALUES (1, E'\xff\xfe\\\\'), (2, 'caf\xc3\xa9'), (3, '\x81\\.');
        CREATE FUNCTION \"f\xe9\"() RETURNS text LANGUAGE sql AS $$ SELECT '\xf6'::text $$; CREATE TABLE \"utf8 caf\xc3\xa9\" (x e DEFAULT '\xe9');
        INSERT INTO \"utf8 caf\xc3\xa9\" VALUES (DEFAULT);";
    create("ascii", "SQL_ASCII", sql);
    round_trip("ascii").await;
}

/// Columns that a parent got later stand elsewhere after a restore, and rows are read back in the order of the dump's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_of_sql_ascii_that_stand_elsewhere() {
    let sql = "CREATE TABLE parent (a int); CREATE TABLE \"käse\" (\"größe\" text, b int) INHERITS (parent); CREATE TABLE plain (\"größe\" text) INHERITS (parent);
        ALTER TABLE parent ADD \"später\" int; INSERT INTO \"käse\" VALUES (1, 'x', 2, 3); INSERT INTO plain VALUES (4, 'y', 5)";
    create("elsewhere", "SQL_ASCII", sql.as_bytes());
    let cluster = shared();
    let dumped = dump(cluster.config(json!({ "database": "elsewhere", "globals": false }))).await.unwrap();
    restore(&dumped, &cluster.url("elsewhere_copy"), Request::default()).await.unwrap();
    let order = "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attnum > 0";
    assert_eq!(cluster.psql("elsewhere", order), "a größe später");
    assert_eq!(cluster.psql("elsewhere_copy", order), "a später größe");
    assert_eq!(content(cluster, "elsewhere_copy"), content(cluster, "elsewhere"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_whose_name_cannot_be_sent_is_refused() {
    create("unsendable", "SQL_ASCII", b"CREATE TABLE \"caf\xe9\" (a int);");
    let cluster = shared();
    let error =
        dump(cluster.config(json!({ "database": "unsendable", "globals": false }))).await.err().unwrap();
    let text = chain(&error);
    assert!(
        text.ends_with("in a SQL_ASCII database is not valid UTF-8 and cannot be named to the server"),
        "{text}"
    );
}

/// The server itself does not give these characters back as they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_that_another_one_stands_for_are_told() {
    let cluster = shared();
    let converted = "SELECT convert_to(convert_from('\\xadf0', 'EUC_JP'), 'EUC_JP')";
    assert_eq!(cluster.psql("postgres", converted), "\\xa2e2");
    create("japanese", "EUC_JP", b"CREATE TABLE t (a int)");
    let dumped = dump(cluster.config(json!({ "database": "japanese", "globals": false }))).await.unwrap();
    let [note] = dumped.summary.notes.as_slice() else { panic!("{:?}", dumped.summary) };
    assert!(note.starts_with("japanese is encoded in EUC_JP: "), "{note}");
}
