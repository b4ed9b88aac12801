//! The gate: our dump restored into A and `pg_dump`'s into B give databases that `pg_dump` cannot tell apart.

use std::path::Path;

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::{content, same, text};
use crate::support::postgres::{Cluster, Dumped, Trio, dump, restore, trio};
use crate::support::{run, scratch, shell};

const TORTURE: &str = "torture";

fn load(cluster: &Cluster) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    cluster.file("postgres", &dir.join("globals.sql"));
    cluster.psql("postgres", "CREATE DATABASE torture TEMPLATE template0 CONNECTION LIMIT 50");
    cluster.psql("postgres", "ALTER DATABASE torture SET work_mem = '5MB'; ALTER ROLE alice IN DATABASE torture SET search_path TO app, \"odd schema\"; COMMENT ON DATABASE torture IS 'it''s a DATABASE \"torture\"'; GRANT CREATE ON DATABASE torture TO alice");
    cluster.file(TORTURE, &dir.join("torture.sql"));
}

/// Restores our package with nothing but age, tar and psql.
fn stock(dumped: &Dumped, cluster: &Cluster) {
    let dir = scratch();
    let psql = cluster.bin.join("psql");
    let script = dumped.stock(dir.path());
    shell(&format!(
        "{script} | {} -qAtX -h 127.0.0.1 -p {} -U postgres -d postgres",
        psql.display(),
        cluster.port
    ));
}

/// Restores what `pg_dumpall` says.
fn peer(source: &Cluster, target: &Cluster) {
    let dir = scratch();
    let path = dir.path().join("all.sql");
    run(source.client("pg_dumpall").arg("-f").arg(&path));
    // The role that both servers have makes one error, which is why this does not stop at errors.
    let output = target.client("psql").args(["-qAtX", "-d", "postgres", "-f"]).arg(&path).output().unwrap();
    let errors =
        String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(errors, 1, "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) async fn gate(major: u32) {
    let Trio { source, ours, theirs } = &trio(major);
    load(source);
    let dumped = dump(source.config(json!({}))).await.unwrap();
    stock(&dumped, ours);
    // What a newer pg_dump says of an older server is not for that server to read, so the source itself is the judge.
    let judge = if source.has_own_clients() {
        peer(source, theirs);
        theirs
    } else {
        source
    };
    let expected = text(judge, TORTURE);
    same(&text(ours, TORTURE), &expected);
    same(&ours.text("pg_dumpall", &["--globals-only"]), &judge.text("pg_dumpall", &["--globals-only"]));
    let create = |cluster: &Cluster| cluster.text("pg_dump", &["-C", "-s", "-d", TORTURE]);
    same(&create(ours), &create(judge));
    let rows = content(source, TORTURE);
    assert!(rows.len() > 30, "{rows:?}");
    assert_eq!(content(ours, TORTURE), rows);

    // The same over the wire, into a database of another name.
    ours.psql(TORTURE, "DROP SUBSCRIPTION sub");
    let error = restore(&dumped, &ours.url("other"), Request::default()).await.unwrap_err();
    assert!(
        error.to_string().starts_with("the package has several databases (postgres, torture); choose one"),
        "{error}"
    );
    let only = Request { only: vec!["torture/".to_owned()], ..Request::default() };
    let restored = restore(&dumped, &ours.url("other"), only).await.unwrap();
    assert!(restored.counts["tables"] >= 19 && restored.counts["sequences"] >= 6, "{restored:?}");
    // Several connections loaded the rows, so their order is no promise.
    let expected = sorted(&expected);
    same(&sorted(&text(ours, "other")), &expected);
    assert_eq!(content(ours, "other"), rows);
    negative_controls(ours, &expected, &rows);
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// One changed thing of each kind must be seen, or the gate proves nothing.
fn negative_controls(cluster: &Cluster, expected: &str, rows: &[String]) {
    let changes = [
        ("COMMENT ON COLUMN app.pair.b IS 'other'", "COMMENT ON COLUMN app.pair.b IS 'the second'"),
        ("GRANT DELETE ON app.orders TO alice", "REVOKE DELETE ON app.orders FROM alice"),
        ("SELECT setval('app.fresh_sequence', 43, false)", "SELECT setval('app.fresh_sequence', 42, false)"),
        ("UPDATE app.wide SET t = t || '.' WHERE id = 2", "UPDATE app.wide SET t = left(t, -1) WHERE id = 2"),
        (
            "ALTER TABLE app.orders ALTER total SET STATISTICS 9",
            "ALTER TABLE app.orders ALTER total SET STATISTICS -1",
        ),
    ];
    for (change, back) in changes {
        cluster.psql("other", change);
        assert!(sorted(&text(cluster, "other")) != expected, "{change}");
        cluster.psql("other", back);
    }
    cluster.psql("other", "UPDATE app.values SET int2 = int2 + 1 WHERE id = 50");
    assert_ne!(content(cluster, "other"), rows);
}
