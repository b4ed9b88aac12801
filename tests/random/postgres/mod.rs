//! Random databases of PostgreSQL 15, restored from our package in both ways, against what `pg_dump` says of them.

mod compare;
mod constraints;
mod counts;
mod indexes;
mod others;
mod programs;
mod rights;
mod rows;
mod tables;
mod triggers;
mod types;
mod views;
mod world;

use chupacabra::sources::Request;
use serde_json::json;

use crate::chance::seeds;
use crate::counts::Counts;
use crate::support::postgres::{Cluster, Dumped, chain, dump, restore};
use crate::support::{scratch, shell};
use compare::{State, differences, state};
use world::{World, quoted};

/// A server of each end, with the same roles.
fn servers() -> (Cluster, Cluster) {
    let start = || {
        let cluster = Cluster::start(15, &[]);
        cluster.psql("postgres", &rights::roles());
        cluster
    };
    std::thread::scope(|scope| {
        let target = scope.spawn(start);
        (start(), target.join().unwrap())
    })
}

/// Writes the database of a seed and returns its name.
fn write(source: &Cluster, seed: u64) -> String {
    let name = format!("random '{seed}\"");
    let mut world = World::new(source, &name, seed);
    let options = world
        .chance
        .pick(&[
            "",
            "",
            "",
            "ENCODING 'SQL_ASCII' LOCALE 'C'",
            "LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk'",
            "CONNECTION LIMIT 50 OWNER alice",
            "LOCALE 'C.UTF-8' OWNER \"bob-ß\"",
        ])
        .to_owned();
    source.psql("postgres", &format!("CREATE DATABASE {} TEMPLATE template0 {options}", quoted(&name)));
    others::first(&mut world);
    types::write(&mut world);
    programs::write(&mut world);
    tables::write(&mut world);
    constraints::write(&mut world);
    rows::write(&mut world);
    constraints::foreign_keys(&mut world);
    views::write(&mut world);
    indexes::write(&mut world);
    programs::made_of_them(&mut world);
    triggers::write(&mut world);
    others::last(&mut world);
    rights::write(&mut world);
    world.end();
    name
}

/// The URL of a database whose name is what names may be.
fn url(target: &Cluster, name: &str) -> String {
    target.url(&name.replace(' ', "%20").replace('"', "%22"))
}

/// The database made anew on the target by a line of shell, which prints a script for psql.
fn by_psql(script: &str, target: &Cluster) -> Result<(), String> {
    let psql = target.bin.join("psql");
    let (psql, port) = (psql.display(), target.port);
    let line = format!(
        "{{ {script} | {psql} -qAtX -h 127.0.0.1 -p {port} -U postgres -d postgres >/dev/null; }} 2>&1 || echo it failed"
    );
    let said = String::from_utf8_lossy(&shell(&line)).into_owned();
    let said: Vec<&str> = said.lines().filter(|line| !line.contains("WARNING:  ")).collect();
    let said = said.join("\n");
    if said.is_empty() { Ok(()) } else { Err(said.chars().take(1000).collect()) }
}

/// A copy is looked at and removed, so that each has the name of its source.
fn copied(target: &Cluster, name: &str) -> State {
    let state = state(target, name);
    remove(target, name);
    state
}

fn remove(cluster: &Cluster, name: &str) {
    let subscriptions = cluster.psql(name, "SELECT string_agg(format('DROP SUBSCRIPTION %I', subname), chr(1)) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())");
    for statement in subscriptions.split('\u{1}').filter(|statement| !statement.is_empty()) {
        cluster.psql(name, statement);
    }
    cluster.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", quoted(name)));
}

/// What `pg_dump | psql` makes of the database, if psql takes all of it.
fn by_pg_dump(source: &Cluster, target: &Cluster, name: &str) -> Option<State> {
    let dir = scratch();
    let script = dir.path().join("script.sql");
    std::fs::write(&script, source.text("pg_dump", &["-C", "-d", name])).unwrap();
    let done = by_psql(&format!("cat {}", script.display()), target);
    let copy = copied(target, name);
    // Rarely psql does not take it; then the source alone is the judge.
    if let Err(said) = &done {
        crate::keep(&format!("{name}.theirs"), said.as_bytes());
    }
    done.is_ok().then_some(copy)
}

/// Restores a package in both ways and returns what differs.
async fn both_ways(source: &Cluster, target: &Cluster, name: &str, dumped: &Dumped) -> Vec<String> {
    let expected = state(source, name);
    let theirs = by_pg_dump(source, target, name);
    let mut failures = Vec::new();
    let dir = scratch();
    crate::keep(&format!("{name}.ours"), &shell(&dumped.stock(dir.path())));
    if let Err(said) = by_psql(&dumped.stock(dir.path()), target) {
        failures.push(format!("{name}: psql refuses our script: {said}"));
    }
    let copy = copied(target, name);
    failures.extend(differences(&expected, &copy, theirs.as_ref(), &format!("{name}, by psql")));
    match restore(dumped, &url(target, name), Request::default()).await {
        Ok(_) => {
            let copy = copied(target, name);
            failures.extend(differences(&expected, &copy, theirs.as_ref(), &format!("{name}, by the wire")));
        }
        Err(error) => failures.push(format!("{name}: restore over the wire: {}", chain(&error))),
    }
    failures
}

async fn dumped(source: &Cluster, name: &str) -> Result<Dumped, String> {
    let dumped = dump(source.config(json!({ "database": name, "globals": false }))).await;
    let dumped = dumped.map_err(|error| format!("{name}: dump: {}", chain(&error)))?;
    let told = (&dumped.summary.missing, &dumped.summary.notes);
    if told.0.is_empty() && told.1.is_empty() {
        Ok(dumped)
    } else {
        Err(format!("{name}: missing and notes: {told:?}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_databases_come_back() {
    let (source, target) = servers();
    let seeds = seeds(1..11);
    let databases = seeds.end - seeds.start;
    let mut counts = Counts::new(counts::CLASSES);
    let mut failures = Vec::new();
    for seed in seeds {
        let name = write(&source, seed);
        counts.add(&counts::numbers(&source, &name));
        match dumped(&source, &name).await {
            Ok(dumped) => failures.extend(both_ways(&source, &target, &name, &dumped).await),
            Err(failure) => failures.push(failure),
        }
        remove(&source, &name);
    }
    crate::keep("counts.postgres", counts.text().as_bytes());
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
    let lacking = counts.lacking(databases);
    assert!(lacking.is_empty(), "the server took too little: {lacking:?}");
}

/// What the negative controls change, beside everything random.
const CONTROL: &str = "CREATE SCHEMA control; CREATE TABLE control.t (a int DEFAULT 1, b text); ALTER TABLE control.t REPLICA IDENTITY FULL; GRANT USAGE ON SCHEMA control TO PUBLIC;
INSERT INTO control.t VALUES (1, 'one'), (2, NULL); COMMENT ON COLUMN control.t.b IS 'said'; CREATE SEQUENCE control.s;
GRANT SELECT ON control.t TO alice WITH GRANT OPTION; GRANT SELECT ON control.t TO carol";

/// One changed thing of each kind, the class by which it is seen, and how it is changed back.
const CHANGES: &[(&str, &str, &str)] = &[
    ("content", "UPDATE control.t SET b = '' WHERE b IS NULL", "UPDATE control.t SET b = NULL WHERE b = ''"),
    ("data", "UPDATE control.t SET b = 'One' WHERE a = 1", "UPDATE control.t SET b = 'one' WHERE a = 1"),
    ("content", "SELECT nextval('control.s')", "SELECT setval('control.s', 1, false)"),
    ("definitions", "COMMENT ON COLUMN control.t.b IS 'said '", "COMMENT ON COLUMN control.t.b IS 'said'"),
    (
        "definitions",
        "ALTER TABLE control.t ALTER a SET DEFAULT 2",
        "ALTER TABLE control.t ALTER a SET DEFAULT 1",
    ),
    ("definitions", "GRANT UPDATE (b) ON control.t TO carol", "REVOKE UPDATE (b) ON control.t FROM carol"),
    (
        "rights",
        "REVOKE SELECT ON control.t FROM carol; SET ROLE alice; GRANT SELECT ON control.t TO carol; RESET ROLE",
        "REVOKE SELECT ON control.t FROM alice CASCADE; GRANT SELECT ON control.t TO alice WITH GRANT OPTION; GRANT SELECT ON control.t TO carol",
    ),
];

/// A changed value, comment, default or grant is seen, or the comparison proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_changed_is_seen() {
    let (source, target) = servers();
    let name = write(&source, 0);
    source.psql(&name, CONTROL);
    let dumped = dumped(&source, &name).await.unwrap();
    restore(&dumped, &url(&target, &name), Request::default()).await.unwrap();
    // The source itself may have columns in another order.
    let expected = state(&target, &name);
    let seen = || differences(&expected, &state(&target, &name), None, &name);
    assert_eq!(seen(), Vec::<String>::new());
    for (class, change, back) in CHANGES {
        target.psql(&name, change);
        assert!(seen().iter().any(|difference| difference.contains(&format!("{class} of copy"))), "{change}");
        target.psql(&name, back);
        assert_eq!(seen(), Vec::<String>::new(), "{back}");
    }
}
