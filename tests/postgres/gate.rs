//! The gate: our dump restored into A and `pg_dump`'s into B give databases that `pg_dump` cannot tell apart.

use std::path::Path;

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::{content, same, text};
use crate::support::postgres::{Cluster, Dumped, Trio, dump, restore, trio};
use crate::support::{run, scratch, shell};

/// A database that goes both ways.
struct Seed {
    database: &'static str,
    /// The file that fills it.
    file: &'static str,
    /// So many tables, sequences and large objects it has at least.
    content: usize,
    /// So many tables and sequences a restore counts at least.
    counts: [u64; 2],
    /// One changed thing of each kind, and how it is changed back; each must be seen in `pg_dump`'s text.
    changes: &'static [(&'static str, &'static str)],
    /// A changed value that must be seen in the rows.
    row: &'static str,
}

/// One of everything that a server can have, and names that need care.
const TORTURE: Seed = Seed {
    database: "torture",
    file: "torture.sql",
    content: 31,
    counts: [19, 6],
    changes: &[
        ("COMMENT ON COLUMN app.pair.b IS 'other'", "COMMENT ON COLUMN app.pair.b IS 'the second'"),
        ("GRANT DELETE ON app.orders TO alice", "REVOKE DELETE ON app.orders FROM alice"),
        ("SELECT setval('app.fresh_sequence', 43, false)", "SELECT setval('app.fresh_sequence', 42, false)"),
        ("UPDATE app.wide SET t = t || '.' WHERE id = 2", "UPDATE app.wide SET t = left(t, -1) WHERE id = 2"),
        (
            "ALTER TABLE app.orders ALTER total SET STATISTICS 9",
            "ALTER TABLE app.orders ALTER total SET STATISTICS -1",
        ),
    ],
    row: "UPDATE app.values SET int2 = int2 + 1 WHERE id = 50",
};

/// What an application has, in the manner of sample databases.
const HIRE: Seed = Seed {
    database: "hire",
    file: "hire.sql",
    content: 25,
    counts: [16, 8],
    changes: &[
        (
            "ALTER TABLE hire.payment DETACH PARTITION hire.payment_later",
            "ALTER TABLE hire.payment ATTACH PARTITION hire.payment_later DEFAULT",
        ),
        (
            "ALTER DEFAULT PRIVILEGES IN SCHEMA hire REVOKE SELECT ON TABLES FROM alice",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA hire GRANT SELECT ON TABLES TO alice",
        ),
        (
            "ALTER TYPE hire.condition RENAME VALUE 'worn' TO 'torn'",
            "ALTER TYPE hire.condition RENAME VALUE 'torn' TO 'worn'",
        ),
        (
            "ALTER TABLE hire.tool DISABLE TRIGGER tool_search",
            "ALTER TABLE hire.tool ENABLE TRIGGER tool_search",
        ),
        (
            "ALTER SEQUENCE hire.tool_id_seq OWNED BY NONE",
            "ALTER SEQUENCE hire.tool_id_seq OWNED BY hire.tool.id",
        ),
        (
            "ALTER TABLE hire.branch ALTER CONSTRAINT branch_manager NOT DEFERRABLE",
            "ALTER TABLE hire.branch ALTER CONSTRAINT branch_manager DEFERRABLE INITIALLY DEFERRED",
        ),
        (
            "UPDATE hire.payment SET amount = amount + 1 WHERE loan = 700",
            "UPDATE hire.payment SET amount = amount - 1 WHERE loan = 700",
        ),
    ],
    row: "UPDATE hire.power_tool SET watts = watts + 1 WHERE title = 'Drill 77'",
};

const SEEDS: [&Seed; 2] = [&TORTURE, &HIRE];

fn load(cluster: &Cluster) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    cluster.file("postgres", &dir.join("globals.sql"));
    cluster.psql("postgres", "CREATE DATABASE torture TEMPLATE template0 CONNECTION LIMIT 50");
    cluster.psql("postgres", "ALTER DATABASE torture SET work_mem = '5MB'; ALTER ROLE alice IN DATABASE torture SET search_path TO app, \"odd schema\"; COMMENT ON DATABASE torture IS 'it''s a DATABASE \"torture\"'; GRANT CREATE ON DATABASE torture TO alice");
    cluster.psql("postgres", "CREATE DATABASE hire TEMPLATE template0");
    for seed in SEEDS {
        cluster.file(seed.database, &dir.join(seed.file));
    }
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
    same(&ours.text("pg_dumpall", &["--globals-only"]), &judge.text("pg_dumpall", &["--globals-only"]));
    // Over the wire one database has to be chosen.
    let error = restore(&dumped, &ours.url("other"), Request::default()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the package has several databases (postgres, hire, torture); choose one"),
        "{error}"
    );
    for seed in SEEDS {
        both_ways(seed, source, ours, judge, &dumped).await;
    }
}

/// What psql made of our dump is what it made of `pg_dump`'s, and so is what this program makes of it.
async fn both_ways(seed: &Seed, source: &Cluster, ours: &Cluster, judge: &Cluster, dumped: &Dumped) {
    let expected = text(judge, seed.database);
    same(&text(ours, seed.database), &expected);
    let create = |cluster: &Cluster| cluster.text("pg_dump", &["-C", "-s", "-d", seed.database]);
    same(&create(ours), &create(judge));
    let rows = content(source, seed.database);
    assert!(rows.len() >= seed.content, "{rows:?}");
    assert_eq!(content(ours, seed.database), rows);

    // The same over the wire, into a database of another name.
    ours.psql(seed.database, "DROP SUBSCRIPTION IF EXISTS sub");
    let only = Request { only: vec![format!("{}/", seed.database)], ..Request::default() };
    let other = format!("other_{}", seed.database);
    let restored = restore(dumped, &ours.url(&other), only).await.unwrap();
    let counts = ["tables", "sequences"].map(|kind| restored.counts[kind]);
    assert!(counts[0] >= seed.counts[0] && counts[1] >= seed.counts[1], "{restored:?}");
    // Several connections loaded the rows, so their order is no promise.
    let expected = sorted(&expected);
    same(&sorted(&text(ours, &other)), &expected);
    assert_eq!(content(ours, &other), rows);
    negative_controls(seed, ours, &other, &expected, &rows);
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// One changed thing of each kind must be seen, or the gate proves nothing.
fn negative_controls(seed: &Seed, cluster: &Cluster, database: &str, expected: &str, rows: &[String]) {
    for (change, back) in seed.changes {
        cluster.psql(database, change);
        assert!(sorted(&text(cluster, database)) != expected, "{change}");
        cluster.psql(database, back);
        same(&sorted(&text(cluster, database)), expected);
    }
    cluster.psql(database, seed.row);
    assert_ne!(content(cluster, database), rows);
}
