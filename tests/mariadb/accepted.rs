//! Through the program itself: what a person has accepted to be missing from a package may be missing from later ones.

use std::process::Command;

use crate::support::mariadb::MariaDb;
use crate::support::{chupacabra, run, scratch};

/// Runs to the end, for people, and insists on the exit code; returns what was printed.
fn exits(command: &mut Command, code: i32) -> String {
    let output = command.env("CHUPACABRA_LOG_FORMAT", "human").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    told
}

#[test]
fn retention_goes_on_once_somebody_has_accepted_what_is_missing() {
    let server = MariaDb::start(&[]);
    server.sql("CREATE DATABASE part; CREATE TABLE part.t (a INT); INSERT INTO part.t VALUES (1); CREATE USER blind; \
                GRANT SELECT, SHOW VIEW, TRIGGER ON part.* TO blind; GRANT SELECT ON mysql.* TO blind; GRANT RELOAD ON *.* TO blind");
    let dir = scratch();
    let path = |name: &str| dir.path().join(name).display().to_string();
    run(chupacabra().args(["keygen", "--output", &path("key")]));
    let key = std::fs::read_to_string(dir.path().join("key")).unwrap();
    let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let config = format!(
        "encryption: {{ recipients: [{recipient}] }}\nretention: {{ keep_within: 0s, keep_last: 1 }}\n\
         stores: {{ here: {{ local: {{ path: {} }} }} }}\n\
         sources: {{ db: {{ mariadb: {{ host: 127.0.0.1, port: {}, user: blind, databases: [part], allow_missing_privileges: true }} }} }}\n",
        path("store"),
        server.port,
    );
    std::fs::write(dir.path().join("c.yaml"), config).unwrap();
    let config = path("c.yaml");
    let call = |verb: &[&str], code| exits(chupacabra().args(["--config", &config]).args(verb), code);
    // How many packages there are, and how the newest is shown.
    let listed = || {
        let told = call(&["list"], 0);
        let packages: Vec<&str> = told.lines().filter(|line| line.contains("here")).collect();
        let last = *packages.last().unwrap();
        let word = if last.contains("partial, accepted") { "accepted" } else { "partial" };
        (packages.len(), last.contains("partial").then_some(word))
    };

    // Nobody has looked: nothing goes.
    call(&["backup"], 3);
    call(&["backup"], 3);
    assert_eq!(listed(), (2, Some("partial")));
    let told = call(&["accept", "db"], 0);
    assert!(told.contains("missing: events of part"), "{told}");
    assert_eq!(listed(), (2, Some("accepted")));
    call(&["list", "--max-age", "1h"], 0);
    // The next lacks no more. It still says so, and retention takes it for good.
    call(&["backup"], 3);
    assert_eq!(listed(), (1, Some("accepted")));
    // What is missing now, nobody has accepted.
    server.sql("REVOKE TRIGGER ON part.* FROM blind");
    call(&["backup"], 3);
    call(&["backup"], 3);
    assert_eq!(listed(), (3, Some("partial")));
    let told = call(&["prune", "--dry-run"], 0);
    assert_eq!(told.matches("frozen").count(), 3, "{told}");
}
