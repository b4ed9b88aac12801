//! What goes wrong outside: a dump that is not whole ends as an error, soon, and leaves the server as it was.

use std::time::{Duration, Instant};

use chupacabra::sources::Request;
use chupacabra::sources::mariadb::{Config, Tls};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use tokio_util::sync::CancellationToken;

use crate::dumped::{config, dump, dump_during, only, source};
use crate::support::mariadb::MariaDb;
use crate::support::proxy::Proxy;

const LARGE: &str = "CREATE DATABASE large; USE large; CREATE TABLE t (id INT PRIMARY KEY, b VARBINARY(2000)); \
    INSERT INTO t SELECT seq, RANDOM_BYTES(960) FROM seq_1_to_30000; CREATE TABLE u LIKE t; INSERT INTO u SELECT * FROM t";

fn large() -> MariaDb {
    let server = MariaDb::start(&[]);
    server.sql(LARGE);
    server
}

async fn root(port: u16) -> Conn {
    Conn::new(
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(port)
            .user(Some("root"))
            .prefer_socket(false),
    )
    .await
    .unwrap()
}

/// The server is free: nobody of ours holds a lock, and a definition can be changed at once.
fn assert_free(server: &MariaDb) {
    server.sql("SET lock_wait_timeout = 5; ALTER TABLE large.t COMMENT = 'free'; INSERT INTO large.t VALUES (-1, ''); DELETE FROM large.t WHERE id = -1");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_fail_the_dump() {
    let server = large();
    let port = server.port;
    for after in [1, 10 << 20, 30 << 20] {
        let (reached, mut wait) = tokio::sync::mpsc::unbounded_channel::<()>();
        let killer = tokio::spawn(async move {
            wait.recv().await.unwrap();
            let mut conn = root(port).await;
            let ids: Vec<u64> = conn.query("SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER = 'root'").await.unwrap();
            for id in &ids {
                let _ = conn.query_drop(format!("KILL {id}")).await;
            }
            ids.len()
        });
        let result = dump_during(only(&server, "large"), move |bytes| {
            if bytes >= after {
                let _ = reached.send(());
            }
        })
        .await;
        assert!(killer.await.unwrap() > 0);
        let error = result
            .err()
            .unwrap_or_else(|| panic!("killed after {after} bytes and nobody noticed"))
            .to_string();
        assert!(error.starts_with("cannot "), "{error}");
        assert_free(&server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_goes_fails_the_dump() {
    let server = large();
    for limit in [100, 20_000, 5 << 20, 40 << 20] {
        let proxy = Proxy::start(server.port);
        proxy.cut_after(limit);
        let through = Config { port: Some(proxy.port), ..only(&server, "large") };
        let start = Instant::now();
        let error =
            dump(through).await.err().unwrap_or_else(|| panic!("cut after {limit} bytes and nobody noticed"));
        assert!(start.elapsed() < Duration::from_mins(1), "{error}");
        assert_free(&server);
    }
    let proxy = Proxy::start(server.port);
    let through = Config { port: Some(proxy.port), ..only(&server, "large") };
    dump(through).await.unwrap();
    assert!(proxy.passed() > 40 << 20, "the largest limit lies inside the dump: {}", proxy.passed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_fails_the_dump_and_a_restore() {
    let mut server = large();
    let whole = dump(only(&server, "large")).await.unwrap();
    let target = MariaDb::start(&[]);
    let proxy = Proxy::start(target.port);
    let into = source(Config { port: Some(proxy.port), ..config(&target) });
    let request = Request::default();
    let stop = CancellationToken::new();
    let restoring = into.restore(&whole.package, &request, &stop);
    let cutting = async {
        while target.try_sql("SELECT 1 FROM large.t LIMIT 1").map_or(true, |rows| rows.is_empty()) {
            tokio::task::yield_now().await;
        }
        proxy.cut();
    };
    let (restored, ()) = tokio::join!(restoring, cutting);
    restored.unwrap_err();
    let (reached, mut wait) = tokio::sync::mpsc::unbounded_channel::<()>();
    let dumping = tokio::spawn(dump_during(only(&server, "large"), move |bytes| {
        if bytes > 2 << 20 {
            let _ = reached.send(());
        }
    }));
    wait.recv().await.unwrap();
    server.stop();
    assert!(dumping.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn being_told_to_stop_ends_soon() {
    let server = large();
    let settings = crate::support::package::settings(&crate::support::package::keys().recipient);
    let (writer, reader) = chupacabra::package::pipe::pipe(1);
    let (index, _kept) = chupacabra::package::pipe::pipe(1);
    let (outlet, _sealing) = chupacabra::package::seal(&settings, "x", writer, index).unwrap();
    let stop = CancellationToken::new();
    let dumping = source(only(&server, "large"));
    // Nobody reads the package, so the dump waits for ever, as it would for an upload that hangs.
    let (done, ()) = tokio::join!(dumping.dump(outlet, &stop), async {
        while server.sql("SHOW PROCESSLIST").lines().count() < 4 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    });
    assert_eq!(done.unwrap_err().to_string(), "stopped");
    drop(reader);
    assert_free(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_may_not_see_is_said_before_anything_is_dumped() {
    let server = large();
    server.sql("CREATE USER blind; GRANT SELECT, SHOW VIEW, TRIGGER ON large.* TO blind; GRANT RELOAD ON *.* TO blind");
    let blind = Config { user: "blind".to_owned(), ..only(&server, "large") };
    let message = "the user blind@% lacks events of large (EVENT is not granted on `large`); \
                   routines of large (neither SELECT on `mysql` nor SHOW CREATE ROUTINE is granted)";
    assert_eq!(source(blind.clone()).probe().await.unwrap_err().to_string(), message);
    assert_eq!(dump(blind.clone()).await.err().unwrap().to_string(), message);
    let accepted = dump(Config { allow_missing_privileges: true, ..blind }).await.unwrap();
    let missing: Vec<&str> = accepted.summary.missing.iter().map(|missing| missing.name.as_str()).collect();
    assert_eq!(missing, ["events of large", "routines of large"]);
    let all = Config { user: "blind".to_owned(), ..config(&server) };
    let error = dump(all).await.err().unwrap().to_string();
    assert!(
        error.contains("SHOW DATABASES is not granted: there may be others that the user does not see"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_cannot_be_reached_or_entered() {
    let server = MariaDb::start(&[]);
    server.sql("INSTALL SONAME 'auth_ed25519'; CREATE USER modern IDENTIFIED VIA ed25519 USING PASSWORD('secret'); GRANT ALL ON *.* TO modern; \
                CREATE USER pam IDENTIFIED VIA unix_socket; CREATE DATABASE reached; CREATE TABLE reached.t (a INT)");
    let failure = async |config: Config| source(config).probe().await.unwrap_err().to_string();
    let closed = crate::support::server::free_port();
    let error = failure(Config { port: Some(closed), ..config(&server) }).await;
    assert!(
        error.starts_with(&format!("cannot connect to 127.0.0.1:{closed}: ")) && error.contains("refused"),
        "{error}"
    );
    let error = failure(Config { user: "nobody".to_owned(), ..config(&server) }).await;
    assert!(error.contains("Access denied for user 'nobody'@"), "{error}");
    let error = failure(Config { user: "pam".to_owned(), ..config(&server) }).await;
    assert!(
        error.contains("auth_socket") || error.contains("unix_socket") || error.contains("Access denied"),
        "{error}"
    );
    let encrypted = source(Config { tls: Some(Tls::Required), ..config(&server) }).probe().await;
    if server.sql("SELECT @@have_ssl").trim() == "YES" {
        // Newer servers make certificates of their own.
        encrypted.unwrap();
    } else {
        let error = encrypted.unwrap_err().to_string();
        assert!(error.contains("TLS is asked for and the server offers none"), "{error}");
    }
    let error = failure(Config { databases: vec!["nothing*".to_owned()], ..config(&server) }).await;
    assert_eq!(error, "no database matches nothing*");
    let file = server.dir().join("password");
    std::fs::write(&file, "secret\n").unwrap();
    let reference = chupacabra::config::secret::SecretRef { env: None, file: Some(file) };
    let modern = Config { user: "modern".to_owned(), password: Some(reference), ..only(&server, "reached") };
    assert!(dump(modern).await.unwrap().objects.contains_key("reached.t"), "ed25519 is spoken");
    // A listener that never answers is not waited for without end.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let error =
        failure(Config { port: Some(port), connect_timeout: Some("1s".parse().unwrap()), ..config(&server) })
            .await;
    assert_eq!(error, format!("cannot connect to 127.0.0.1:{port}: no answer within 1 s"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_modes_change_nothing() {
    let shop = "CREATE DATABASE modes; USE modes; CREATE TABLE t (`a b` INT, c VARCHAR(9) DEFAULT 'x'); INSERT INTO t VALUES (0, '\\\\'); \
                CREATE VIEW v AS SELECT CONCAT(c, 'y') AS d FROM t";
    let plain = MariaDb::start(&[]);
    plain.sql(shop);
    let expected = dump(only(&plain, "modes"))
        .await
        .unwrap()
        .script(&["db/modes/1-schema.0001.sql", "db/modes/2-data/t.0001.sql"]);
    for mode in ["ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT", "ORACLE"] {
        let server = MariaDb::start(&[]);
        server.sql(shop);
        server.sql(&format!("SET GLOBAL sql_mode = '{mode}', time_zone = '+07:00', max_statement_time = 0.001, sql_select_limit = 1, character_set_results = latin1"));
        let dumped = dump(only(&server, "modes")).await.unwrap();
        let script = dumped.script(&["db/modes/1-schema.0001.sql", "db/modes/2-data/t.0001.sql"]);
        assert_eq!(String::from_utf8_lossy(&script), String::from_utf8_lossy(&expected), "{mode}");
        let target = MariaDb::start(&[&format!("--sql-mode={mode}")]);
        source(config(&target))
            .restore(&dumped.package, &Request::default(), &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(target.sql("SELECT * FROM modes.v").trim(), "\\\\y");
    }
}

/// A misspelt glob would leave out what it should have named.
#[tokio::test(flavor = "multi_thread")]
async fn globs_that_mean_nothing_are_refused() {
    let server = MariaDb::start(&[]);
    server.sql(
        "CREATE DATABASE meant; CREATE TABLE meant.orders (a INT); CREATE VIEW meant.seen AS SELECT 1 AS a",
    );
    let globs = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>();
    let with = |databases: &[&str], tables: &[&str]| Config {
        databases: globs(databases),
        tables: globs(tables),
        ..config(&server)
    };
    for (config, message) in [
        (with(&["meant", "maent"], &[]), "no database matches maent"),
        (with(&["me*"], &["meant.ordres", "meant.o*"]), "no table matches meant.ordres"),
        (with(&[], &["maent.*"]), "no table matches maent.*"),
    ] {
        assert_eq!(source(config.clone()).probe().await.unwrap_err().to_string(), message);
        let error = dump(config).await.map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.help().is_some());
    }
    let dumped = dump(with(&["me*"], &["meant.ord*", "meant.seen"])).await.unwrap();
    assert_eq!(dumped.summary.counts["tables"] + dumped.summary.counts["views"], 2);
}

/// The root of a volume has `lost+found`, which the server lists among its databases.
#[tokio::test(flavor = "multi_thread")]
async fn directories_that_are_no_databases_are_passed_over() {
    let server = MariaDb::start(&[]);
    server.sql("CREATE DATABASE there; CREATE TABLE there.t (a INT)");
    let data = server.dir().join("data");
    for name in ["lost+found", ".snapshot"] {
        std::fs::create_dir(data.join(name)).unwrap();
    }
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(data.join("lost+found"), closed).unwrap();
    let listed = server.sql("SHOW DATABASES");
    assert!(listed.contains("#mysql50#lost+found") && listed.contains("#mysql50#.snapshot"), "{listed}");
    let dumped = dump(config(&server)).await.unwrap();
    assert_eq!(dumped.summary.counts["databases"], 1);
    source(config(&server)).probe().await.unwrap();
    // One that holds a table is a database of long ago: it is not passed over.
    let old = data.join("of-old");
    std::fs::create_dir(&old).unwrap();
    for file in ["t.frm", "t.ibd"] {
        std::fs::copy(data.join("there").join(file), old.join(file)).unwrap();
    }
    let error = dump(config(&server)).await.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.starts_with("#mysql50#of-old is a database whose directory has a name of before"),
        "{error}"
    );
}
