//! The gate over PostgreSQL's own regression database: nearly every object class there is, in the ways that the people
//! who write the server thought of. Takes about five minutes, so it is a ring of its own.
//!
//! `CHUPACABRA_REGRESS` names the server's `src/test/regress`, with `regress.so` built in it; `tests/run` prepares it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::Command;

use chupacabra::sources::Request;
use serde_json::json;

use support::postgres::{Cluster, Trio, dump, restore, trio};
use support::server::unprivileged;
use support::{scratch, shell};

/// Runs the server's regression tests, which leave the database behind.
fn load(cluster: &Cluster) {
    let given =
        std::env::var_os("CHUPACABRA_REGRESS").expect("CHUPACABRA_REGRESS is set; ./tests/run prepares it");
    let sources = cluster.dir.join("regress");
    shell(&format!(
        "cp -r {} {} && mkdir -p {}/testtablespace",
        PathBuf::from(given).display(),
        sources.display(),
        sources.display()
    ));
    if rustix::process::geteuid().is_root() {
        shell(&format!("chown -R nobody {}", sources.display()));
    }
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let program = text(&cluster.bin.join("../lib/pgxs/src/test/regress/pg_regress"));
    let (input, bin, port) = (text(&sources), text(&cluster.bin), cluster.port.to_string());
    let arguments: Vec<String> = [
        ("inputdir", input.as_str()),
        ("outputdir", &input),
        ("dlpath", &input),
        ("bindir", &bin),
        ("schedule", &text(&sources.join("parallel_schedule"))),
        ("max-connections", "4"),
        ("host", "127.0.0.1"),
        ("port", &port),
        ("user", "postgres"),
    ]
    .map(|(key, value)| format!("--{key}={value}"))
    .to_vec();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let line = unprivileged(&program, &arguments);
    // Some of its tests differ by locale and settings; what counts is what they leave.
    let output = Command::new(line[0]).args(&line[1..]).current_dir(&sources).output().unwrap();
    let tables = cluster
        .psql("regression", "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384");
    assert!(
        tables.parse::<u32>().unwrap() > 500,
        "{tables} tables\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_dump_cannot_tell_them_apart() {
    let Trio { source, ours, theirs } = &trio(15);
    load(source);
    let dumped = dump(source.config(json!({}))).await.unwrap();
    let dir = scratch();
    let psql = |cluster: &Cluster| {
        format!("{} -qAtX -h 127.0.0.1 -p {} -U postgres", cluster.bin.join("psql").display(), cluster.port)
    };
    shell(&format!("{} | {} -d postgres", dumped.stock(dir.path()), psql(ours)));
    let all = dir.path().join("all.sql");
    support::run(source.client("pg_dumpall").arg("-f").arg(&all));
    shell(&format!("{} -d postgres -f {} 2>&1 | grep -c ERROR | grep -qx 1", psql(theirs), all.display()));
    let text = |cluster: &Cluster| cluster.text("pg_dump", &["-C", "-d", "regression"]);
    let expected = text(theirs);
    assert!(expected.len() > 10_000_000);
    assert!(text(ours) == expected, "restored with psql");
    let globals = |cluster: &Cluster| cluster.text("pg_dumpall", &["--globals-only"]);
    assert!(globals(ours) == globals(theirs), "globals");
    // The restore compares every table with the fingerprint taken in the source's snapshot.
    let request = Request { only: vec!["regression/".to_owned()], replace: true, ..Request::default() };
    restore(&dumped, &ours.url("regression"), request).await.unwrap();
    let sorted = |cluster: &Cluster| {
        // Rows are loaded by several connections; their order is no promise.
        let text = text(cluster);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert!(sorted(ours) == sorted(theirs), "restored over the wire");
}
