//! Random databases of MariaDB, restored from our package in both ways, against what the server and `mariadb-dump` say
//! of them.

mod counts;
mod programs;
mod rights;
mod rows;
mod tables;
mod types;
mod views;
mod world;

use chupacabra::sources::Request;
use chupacabra::sources::mariadb::Config;
use tokio_util::sync::CancellationToken;

use crate::chance::seeds;
use crate::counts::Counts;
use crate::support::mariadb::dumped::{Dumped, config, dump, only, source};
use crate::support::mariadb::facts::{Facts, differences, facts};
use crate::support::mariadb::{MariaDb, fed};
use crate::support::postgres::chain;
use world::{World, quoted};

/// A server of each end. Functions are taken whatever they say of themselves.
fn servers() -> (MariaDb, MariaDb) {
    let start = || MariaDb::start(&["--log-bin-trust-function-creators=1"]);
    (start(), start())
}

/// Writes the database of a seed and returns its name.
fn write(server: &MariaDb, seed: u64) -> String {
    // `mariadb-dump` does not find the events of a database with a quote or a backslash in its name.
    let name = format!("random `{seed}.é");
    let mut world = World::new(server, &name, seed);
    let options = world
        .chance
        .pick(&[
            "",
            "",
            "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT 'it''s \\\\'",
            "CHARACTER SET latin1",
            "CHARACTER SET utf8mb3",
            "CHARACTER SET ucs2",
        ])
        .to_owned();
    server.sql(&format!("CREATE DATABASE {} {options}", quoted(&name)));
    rights::users(&mut world);
    tables::write(&mut world);
    rows::write(&mut world);
    rows::foreign_keys(&mut world);
    views::write(&mut world);
    programs::write(&mut world);
    rights::grants(&mut world);
    world.end();
    name
}

fn remove(server: &MariaDb, name: &str) {
    server.sql(&format!("DROP DATABASE IF EXISTS {}", quoted(name)));
    rights::forget(server);
}

/// Where a copy differs from its source; the copy is removed.
fn compared(expected: &Facts, target: &MariaDb, name: &str, how: &str) -> Vec<String> {
    let copy = facts(target, &[name], true);
    remove(target, name);
    differences(expected, &copy)
        .into_iter()
        .map(|difference| format!("{name}, {how}: {difference}"))
        .collect()
}

/// Restores a package in both ways and returns what differs.
async fn both_ways(from: &MariaDb, target: &MariaDb, name: &str, dumped: &Dumped) -> Vec<String> {
    let expected = facts(from, &[name], true);
    let script = dumped.script(&[]);
    crate::keep(&format!("{name}.ours"), &script);
    let mut failures = Vec::new();
    let (taken, _, said) = fed(&mut target.client(&["--max-allowed-packet=1G"]), &script);
    if taken {
        failures.extend(compared(&expected, target, name, "by mariadb"));
    } else {
        failures.push(format!("{name}: mariadb refuses our script: {}", String::from_utf8_lossy(&said)));
        remove(target, name);
    }
    match source(config(target))
        .restore(&dumped.package, &Request::default(), &CancellationToken::new())
        .await
    {
        Ok(_) => failures.extend(compared(&expected, target, name, "by the wire")),
        Err(error) => {
            failures.push(format!("{name}: restore over the wire: {}", chain(&error)));
            remove(target, name);
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_databases_come_back() {
    let (from, target) = servers();
    let seeds = seeds(1..9);
    let databases = seeds.end - seeds.start;
    let mut counts = Counts::new(counts::CLASSES);
    let mut failures = Vec::new();
    for seed in seeds {
        let name = write(&from, seed);
        counts.add(&counts::numbers(&from, &name));
        match dump(Config { system: true, ..only(&from, &name) }).await {
            Ok(dumped) => {
                // A new server has an account for a host name that it does not resolve.
                let ignored = "the server itself ignores";
                let notes = dumped.summary.notes.iter().filter(|note| !note.starts_with(ignored));
                let told: Vec<String> = notes
                    .cloned()
                    .chain(dumped.summary.missing.iter().map(|missing| format!("{missing:?}")))
                    .collect();
                if !told.is_empty() {
                    failures.push(format!("{name}: {told:?}"));
                }
                failures.extend(both_ways(&from, &target, &name, &dumped).await);
            }
            Err(error) => failures.push(format!("{name}: dump: {}", chain(&error))),
        }
        remove(&from, &name);
    }
    crate::keep("counts.mariadb", counts.text().as_bytes());
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
    let lacking = counts.lacking(databases);
    assert!(lacking.is_empty(), "the server took too little: {lacking:?}");
}

/// What the negative controls change, beside everything random.
const CONTROL: &str = "CREATE TABLE control (a INT DEFAULT 1 COMMENT 'said', b TEXT);
INSERT INTO control VALUES (1, 'one'), (2, NULL); CREATE PROCEDURE control() COMMENT 'said' SET @a = 1;
CREATE USER control; GRANT SELECT (a) ON control TO control";

/// One changed thing of each kind, and how it is changed back.
const CHANGES: &[(&str, &str)] = &[
    ("UPDATE control SET b = '' WHERE b IS NULL", "UPDATE control SET b = NULL WHERE b = ''"),
    ("UPDATE control SET b = 'one ' WHERE a = 1", "UPDATE control SET b = 'one' WHERE a = 1"),
    (
        "ALTER TABLE control MODIFY a INT DEFAULT 1 COMMENT 'Said'",
        "ALTER TABLE control MODIFY a INT DEFAULT 1 COMMENT 'said'",
    ),
    ("ALTER TABLE control ALTER a SET DEFAULT 2", "ALTER TABLE control ALTER a SET DEFAULT 1"),
    ("GRANT SELECT (b) ON control TO control", "REVOKE SELECT (b) ON control FROM control"),
    ("ALTER PROCEDURE control COMMENT 'Said'", "ALTER PROCEDURE control COMMENT 'said'"),
    ("ALTER USER control ACCOUNT LOCK", "ALTER USER control ACCOUNT UNLOCK"),
];

/// A changed value, comment, default or grant is seen, or the comparison proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_changed_is_seen() {
    let (from, target) = servers();
    let name = write(&from, 0);
    let within = |server: &MariaDb, sql: &str| server.sql(&format!("USE {}; {sql}", quoted(&name)));
    within(&from, CONTROL);
    let expected = facts(&from, &[&name], true);
    let dumped = dump(Config { system: true, ..only(&from, &name) }).await.unwrap();
    source(config(&target))
        .restore(&dumped.package, &Request::default(), &CancellationToken::new())
        .await
        .unwrap();
    let seen = || differences(&expected, &facts(&target, &[&name], true));
    assert_eq!(seen(), Vec::<String>::new());
    for (change, back) in CHANGES {
        within(&target, change);
        assert!(!seen().is_empty(), "{change}");
        within(&target, back);
        assert_eq!(seen(), Vec::<String>::new(), "{back}");
    }
}
