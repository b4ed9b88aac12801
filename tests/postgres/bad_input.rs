//! What a person gets wrong, and what they are told.

use chupacabra::sources::Request;
use chupacabra::sources::postgres::Postgres;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::postgres::{chain, dump, shared, source};
use crate::support::run;
use crate::support::server::free_port;

async fn refused(config: serde_json::Value) -> String {
    let error = source(config).unwrap().probe().await.err().unwrap();
    chain(&error)
}

fn problems(config: serde_json::Value) -> Vec<String> {
    let problems = source(config).err().unwrap();
    problems.into_iter().map(|p| format!("{}: {} ({})", p.path, p.what, p.help)).collect()
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let port = free_port();
    let text = refused(json!({ "host": "127.0.0.1", "port": port })).await;
    let expected = format!(
        "cannot connect to 127.0.0.1:{port} (database postgres, user postgres): error communicating with database: Connection refused (os error 111)"
    );
    assert_eq!(text, expected);
}

/// Behind a proxy whose server is gone, or a firewall, somebody may take the connection and never answer.
#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let began = std::time::Instant::now();
    let text = refused(json!({ "host": "127.0.0.1", "port": port })).await;
    assert!(text.starts_with(&format!("cannot connect to 127.0.0.1:{port} ")), "{text}");
    assert!(text.ends_with("no answer within a minute"), "{text}");
    let took = began.elapsed().as_secs();
    assert!((59..90).contains(&took), "{took} s");
}

#[tokio::test]
async fn a_role_or_database_that_does_not_exist() {
    let cluster = shared();
    let text = refused(cluster.config(json!({ "user": "nobody-here" }))).await;
    assert!(text.contains("role \"nobody-here\" does not exist"), "{text}");
    let text = refused(cluster.config(json!({ "database": "no-such" }))).await;
    assert!(text.contains("database \"no-such\" does not exist"), "{text}");
    let text = refused(cluster.config(json!({ "databases": ["postgres", "no_*"] }))).await;
    assert_eq!(text, "`databases`: `no_*` matches nothing on this server");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_never_printed() {
    let cluster = crate::support::postgres::Cluster::start(15, &[]);
    cluster.database("shop", "CREATE TABLE orders AS SELECT generate_series(1, 9) AS id");
    cluster.psql("postgres", "ALTER ROLE postgres PASSWORD 'right'");
    let hba = cluster.dir.join("data/pg_hba.conf");
    std::fs::write(&hba, "host all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n").unwrap();
    // The old rules still let this one in.
    cluster.psql("postgres", "SELECT pg_reload_conf()");
    let dir = crate::support::scratch();
    let secret = |text: &str| {
        let path = dir.path().join(text);
        std::fs::write(&path, text).unwrap();
        json!({ "file": path })
    };
    let passfile = dir.path().join("pgpass");
    std::fs::write(&passfile, format!("127.0.0.1:{}:*:postgres:right\n", cluster.port)).unwrap();
    let refuses = || !cluster.try_psql("postgres", "SELECT 1").status.success();
    crate::support::server::wait_until(std::time::Duration::from_secs(10), refuses, String::new);
    let text = refused(cluster.config(json!({ "password": secret("hunter2") }))).await;
    assert!(
        text.contains("password authentication failed for user \"postgres\"") && !text.contains("hunter2"),
        "{text}"
    );
    source(cluster.config(json!({ "password": secret("right") }))).unwrap().probe().await.unwrap();
    source(cluster.config(json!({ "passfile": passfile }))).unwrap().probe().await.unwrap();
    let url = dir.path().join("url");
    std::fs::write(&url, format!("postgres://postgres:right@127.0.0.1:{}/postgres", cluster.port)).unwrap();
    source(json!({ "url": { "file": url } })).unwrap().probe().await.unwrap();
    let debug = format!("{:?}", source(json!({ "url": { "file": url } })).unwrap());
    assert!(!debug.contains("right"), "{debug}");
    // A name alone is another database of the configured server, password and all.
    let configured = source(cluster.config(json!({ "databases": ["shop"], "password": secret("right") })));
    let dumped = dump(cluster.config(json!({ "databases": ["shop"], "password": secret("right") }))).await;
    let (configured, package, stop) = (configured.unwrap(), dumped.unwrap(), CancellationToken::new());
    let request = |into: Option<&str>| Request { into: into.map(str::to_owned), ..Request::default() };
    configured.restore(&package.package(), &request(Some("shop_restored")), &stop).await.unwrap();
    let mut psql = cluster.client("psql");
    psql.args(["-qAtX", "-d", "shop_restored", "-c", "SELECT sum(id) FROM orders"])
        .env("PGPASSWORD", "right");
    assert_eq!(String::from_utf8_lossy(&run(&mut psql).stdout), "45\n");
    // Where no server is configured, none is guessed.
    for into in [Some("shop_restored"), None] {
        let refused = Postgres::unconfigured().restore(&package.package(), &request(into), &stop).await;
        let text = chain(&refused.unwrap_err());
        assert_eq!(text, "no server is configured: write `--into postgres://user@host/database`");
    }
    let refused = configured.restore(&package.package(), &request(Some("")), &stop).await.unwrap_err();
    assert_eq!(chain(&refused), "`--into` is empty: write a database's name or a postgres:// URL");
}

#[tokio::test]
async fn encryption_that_the_server_does_not_offer() {
    let cluster = shared();
    let text = refused(cluster.config(json!({ "tls": { "mode": "require" } }))).await;
    assert!(text.contains("server does not support TLS"), "{text}");
    source(cluster.config(json!({ "tls": { "mode": "prefer" } }))).unwrap().probe().await.unwrap();
}

#[tokio::test]
async fn patterns_that_match_nothing() {
    let cluster = shared();
    cluster.database("patterns", "CREATE SCHEMA sales; CREATE TABLE sales.orders (a int)");
    for (key, pattern) in [
        ("include", "sale"),
        ("include", "sales.order"),
        ("exclude", "x.*"),
        ("schema_only", "sales.o"),
        ("data_only", "y"),
    ] {
        let config = cluster.config(json!({ "database": "patterns", "globals": false, key: [pattern] }));
        let error = crate::support::postgres::dump(config).await.err().unwrap();
        assert_eq!(chain(&error), format!("`{key}`: `{pattern}` matches nothing in database patterns"));
    }
}

#[test]
fn what_cannot_be_meant_is_told_with_its_path() {
    assert_eq!(
        problems(json!({ "database": "a", "databases": ["b"], "jobs": 0, "include": ["a[b"] })),
        [
            "sources.db.postgres.include: error parsing glob 'a[b': unclosed character class; missing ']' (write a glob such as `sales`, `sales.orders_*` or `*.audit`)",
            "sources.db.postgres.databases: both `database` and `databases` are given (keep one of them)",
            "sources.db.postgres.jobs: 0 connections read nothing (write 1 or more, or leave the key out)",
        ]
    );
    assert_eq!(
        problems(json!({ "tls": { "cert_file": "/x" } })),
        [
            "sources.db.postgres.tls: a client certificate needs its key (give both `cert_file` and `key_file`)"
        ]
    );
    assert_eq!(
        problems(json!({ "tls": { "ca_file": "/not/there" } })),
        [
            "sources.db.postgres.tls.ca_file: No such file or directory (os error 2) (name a readable PEM file)"
        ]
    );
}
