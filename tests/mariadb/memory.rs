//! Through the program itself: a backup, its memory, and a restore.

use std::path::Path;
use std::process::Command;

use crate::facts::{assert_same, facts};
use crate::shared::target_server;
use crate::support::mariadb::MariaDb;
use crate::support::{chupacabra, run, scratch, tool};

/// The program's peak memory in MiB.
fn peak(arguments: &[&str], report: &Path) -> u64 {
    let mut command = Command::new(tool("time"));
    command.args(["-f", "%M", "-o"]).arg(report).arg(chupacabra().get_program()).args(arguments);
    run(&mut command);
    std::fs::read_to_string(report).unwrap().trim().parse::<u64>().unwrap() / 1024
}

#[test]
fn memory_does_not_grow_with_the_data() {
    let server = MariaDb::start(&[]);
    server.sql("CREATE DATABASE grown; CREATE TABLE grown.t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(200), b VARBINARY(900)); USE grown; \
                INSERT INTO t (a, b) SELECT REPEAT(MD5(seq), 5), RANDOM_BYTES(500) FROM seq_1_to_60000");
    let dir = scratch();
    let path = |name: &str| dir.path().join(name).display().to_string();
    run(chupacabra().args(["keygen", "--output", &path("key")]));
    let key = std::fs::read_to_string(dir.path().join("key")).unwrap();
    let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let config = format!(
        "encryption: {{ recipients: [{recipient}], identity: {{ file: {} }} }}\nstores: {{ here: {{ local: {{ path: {} }} }} }}\n\
         sources: {{ db: {{ mariadb: {{ host: 127.0.0.1, port: {}, user: root }} }} }}\n",
        path("key"),
        path("store"),
        server.port,
    );
    std::fs::write(dir.path().join("c.yaml"), config).unwrap();
    let config = path("c.yaml");
    let small = peak(&["backup", "--config", &config], &dir.path().join("time"));
    server.sql("USE grown; INSERT INTO t (a, b) SELECT a, b FROM t; INSERT INTO t (a, b) SELECT a, b FROM t");
    let large = peak(&["backup", "--config", &config], &dir.path().join("time"));
    assert!(large <= 128 && large <= small + 32, "{small} MiB for 1 share of data, {large} MiB for 4");
    let target = target_server();
    let into = format!("mysql://root@127.0.0.1:{}", target.port);
    let restoring = peak(&["restore", "db", "--config", &config, "--into", &into], &dir.path().join("time"));
    assert!(restoring <= 128, "{restoring} MiB for a restore");
    assert_same(&facts(&server, &["grown"], false), &facts(target, &["grown"], false));
}
