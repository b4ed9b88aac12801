//! What goes wrong is an error with its name and its remedy, and leaves no backup behind.

use std::process::{Command, Stdio};
use std::time::Duration;

use redis::{Value, cmd};

use crate::site::Site;
use crate::support::redis::{Instance, Product};
use crate::support::server::{free_port, wait_until};

/// Keys so slow to save that a snapshot can be caught in the middle.
fn slow(product: Product) -> Instance {
    let server = Instance::start(product, &["--rdb-key-save-delay", "2000", "--rdbcompression", "no"]);
    server.run(0, "DEBUG POPULATE 4000 key 2000");
    server
}

/// Begins a backup, does something in the middle of the snapshot, and returns what the program said.
fn in_the_middle(server: &Instance, act: impl FnOnce()) -> String {
    let site = Site::at(server.port, "");
    let backup = site.command(&["backup"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = || server.info("total_net_repl_output_bytes").parse::<u64>().unwrap() > 100_000;
    wait_until(Duration::from_secs(30), begun, || "no snapshot begins".to_owned());
    act();
    let output = backup.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(!site.has_record(), "nothing is recorded");
    said
}

fn kill(pid: i32) {
    crate::support::run(Command::new("kill").args(["-KILL", &pid.to_string()]));
}

#[test]
fn a_master_killed_in_mid_stream() {
    for product in [Product::Redis, Product::Valkey] {
        let server = slow(product);
        let pid = server.pid();
        let said = in_the_middle(&server, || kill(pid));
        assert!(said.contains("broke off after") && said.contains("Background transfer error"), "{said}");
    }
}

#[test]
fn a_snapshot_that_fails_on_the_servers_side() {
    let server = slow(Product::Redis);
    let pid = server.pid();
    let child = format!("pgrep -P {pid}");
    let said = in_the_middle(&server, || {
        let child = String::from_utf8(crate::support::shell(&child)).unwrap();
        kill(child.trim().parse().unwrap());
    });
    assert!(said.contains("broke off after"), "{said}");
}

/// A replica that wants the RDB file only is not fed the writes that happen meanwhile: there is nothing that could
/// exceed its output buffer, however small the limit.
#[test]
fn the_output_buffer_limit_is_never_exceeded() {
    let server = slow(Product::Redis);
    let limit = ["SET", "client-output-buffer-limit", "replica 1mb 1mb 1"];
    let _: Value = cmd("CONFIG").arg(&limit).query(&mut server.connect(0)).unwrap();
    let site = Site::at(server.port, "");
    let backup = site.command(&["backup"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(Duration::from_secs(30), || server.info("rdb_bgsave_in_progress") == "1", String::new);
    let mut connection = server.connect(1);
    for i in 0..40 {
        let _: Value = cmd("SET").arg(i).arg(vec![b'x'; 1 << 20]).query(&mut connection).unwrap();
    }
    let output = backup.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(site.record()["counts"]["keys"], 4000);
}

#[test]
fn passwords() {
    let server = Instance::start(Product::Redis, &[]);
    server.run(0, "CONFIG SET requirepass secret-word");
    let site = Site::at(server.port, "");
    let said = site.bad(&["backup"]);
    assert!(said.contains("wants a password") && said.contains("give `password`"), "{said}");
    let file = site.dir.path().join("password");
    std::fs::write(&file, "wrong-word\n").unwrap();
    site.configure(&format!(
        "host: 127.0.0.1, port: {}, password: {{ file: {} }}",
        server.port,
        file.display()
    ));
    let said = site.bad(&["backup"]);
    assert!(said.contains("refuses the user name or password"), "{said}");
    assert!(!said.contains("wrong-word"), "{said}");
    std::fs::write(&file, "secret-word\n").unwrap();
    let said = site.good(&["backup"]);
    assert!(!said.contains("secret-word"), "{said}");
}

/// A user without a password is that user all the same, and not the one that the server takes everybody for.
#[test]
fn a_user_without_a_password() {
    for product in [Product::Redis, Product::Valkey] {
        let server = Instance::start(product, &[]);
        server.run(0, "SET a 1");
        server.run(0, "ACL SETUSER free on nopass ~* +@all");
        server.run(0, "ACL SETUSER locked on >word ~* +@all");
        for mode in ["psync", "scan"] {
            let site = Site::at(server.port, &format!(", mode: {mode}, username: free"));
            site.good(&["backup"]);
            let said = Site::at(server.port, &format!(", mode: {mode}, username: locked")).bad(&["backup"]);
            assert!(said.contains("refuses the user name or password"), "{product:?}, {mode}: {said}");
            // Whoever says nothing is taken for `default`, who may do nothing: so it was `free` who did it.
            server.run(0, "ACL SETUSER default -@all +auth +acl");
            site.good(&["backup"]);
            let said = Site::at(server.port, &format!(", mode: {mode}")).bad(&["backup"]);
            assert!(said.contains("user `default` of 127.0.0.1:"), "{product:?}, {mode}: {said}");
            let url = format!("redis://free@127.0.0.1:{}", server.port);
            site.good(&["restore", "cache", "--replace", "--into", &url]);
            server.run(0, "ACL SETUSER default +@all");
        }
    }
}

#[test]
fn a_user_who_may_not_replicate_is_told_the_rule_and_the_rule_helps() {
    let server = Instance::start(Product::Redis, &[]);
    server.seed();
    server.run(0, "ACL SETUSER backup on >word ~* +ping +info +scan +dump +pexpiretime +select +dbsize");
    let site = Site::at(server.port, "");
    let file = site.dir.path().join("password");
    std::fs::write(&file, "word").unwrap();
    let login = format!(
        "host: 127.0.0.1, port: {}, username: backup, password: {{ file: {} }}",
        server.port,
        file.display()
    );
    site.configure(&login);
    let said = site.bad(&["backup"]);
    assert!(
        said.contains("user `backup` of 127.0.0.1:") && said.contains("may not run `replconf`"),
        "{said}"
    );
    let rule = "ACL SETUSER backup +psync +replconf +ping +info";
    assert!(said.contains(rule), "{said}");
    server.run(0, rule);
    site.good(&["backup"]);
    // That rule alone is enough: with nothing but it.
    server.run(0, "ACL SETUSER backup reset on >word");
    server.run(0, rule);
    site.good(&["backup"]);
    let copy = Instance::on(Product::Redis, &site.rdb(), &[]);
    assert!(crate::support::redis::differences(&copy.state(), &server.state()).is_empty());
}

/// Without INFO nobody knows whether the server has all of the keys: that is an error, before anything is sent.
#[test]
fn a_user_who_may_not_ask_what_the_server_is() {
    let server = Instance::start(Product::Redis, &[]);
    server.seed();
    server.run(0, "ACL SETUSER backup on >word +psync +replconf +ping");
    let site = Site::at(server.port, "");
    let file = site.dir.path().join("password");
    std::fs::write(&file, "word").unwrap();
    site.configure(&format!(
        "host: 127.0.0.1, port: {}, username: backup, password: {{ file: {} }}",
        server.port,
        file.display()
    ));
    for words in [["backup"], ["check"]] {
        let said = site.bad(&words);
        assert!(said.contains("may not run `info`"), "{words:?}: {said}");
        let rule = said.contains("`ACL SETUSER backup +info`");
        assert!(rule || words == ["check"], "{words:?}: {said}");
        assert!(!site.has_record());
    }
    server.run(0, "ACL SETUSER backup +info");
    site.good(&["backup"]);
}

/// The rights that the reference names for `mode: scan` are enough, and each of them is needed or named.
#[test]
fn a_user_who_may_only_scan() {
    let server = Instance::start(Product::Redis, &[]);
    server.seed();
    let rights =
        "+ping +info +select +dbsize +scan +multi +exec +dump +pexpiretime +memory|usage +function|dump";
    let site = Site::at(server.port, "");
    let file = site.dir.path().join("password");
    std::fs::write(&file, "word").unwrap();
    site.configure(&format!(
        "host: 127.0.0.1, port: {}, mode: scan, username: backup, password: {{ file: {} }}",
        server.port,
        file.display()
    ));
    server.run(0, &format!("ACL SETUSER backup reset on >word ~* {rights}"));
    site.good(&["backup"]);
    let copy = Instance::on(Product::Redis, &site.rdb(), &[]);
    assert!(crate::support::redis::differences(&copy.state(), &server.state()).is_empty());
    for right in ["info", "scan", "multi", "dump", "pexpiretime", "function|dump", "dbsize"] {
        server.run(0, &format!("ACL SETUSER backup reset on >word ~* {rights} -{right}"));
        let said = site.bad(&["backup"]);
        assert!(said.contains(&format!("+{right}`")) && said.contains("may not run"), "{right}: {said}");
    }
}

/// As managed services do it: the command is not there.
#[test]
fn without_psync_only_the_fallback_helps() {
    let server = Instance::start(Product::Redis, &["--rename-command", "PSYNC", ""]);
    server.seed();
    let site = Site::at(server.port, "");
    let said = site.bad(&["backup"]);
    assert!(said.contains("does not let replicas in: unknown command 'psync'"), "{said}");
    assert!(said.contains("set `mode: scan` (not point-in-time), or `fallback: scan`"), "{said}");
    site.configure(&format!("host: 127.0.0.1, port: {}, fallback: scan", server.port));
    site.good(&["backup"]);
    let record = site.record();
    assert_eq!(record["consistency"]["kind"], "fuzzy");
    assert_eq!(record["notes"][0], "read key by key: not at one point in time");
    let copy = Instance::on(Product::Redis, &site.rdb(), &[]);
    assert!(crate::support::redis::differences(&copy.state(), &server.state()).is_empty());
}

#[test]
fn protected_mode() {
    // The address of this machine on its way out; nothing is sent.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").expect("a network interface besides loopback");
    let address = socket.local_addr().unwrap().ip().to_string();
    let server =
        Instance::start(Product::Redis, &["--bind", &address, "127.0.0.1", "--protected-mode", "yes"]);
    let site = Site::new(&format!("host: {address}, port: {}", server.port));
    let said = site.bad(&["backup"]);
    assert!(said.contains("is in protected mode and takes connections from its own machine only"), "{said}");
    assert!(said.contains("give the server a password"), "{said}");
}

#[test]
fn nobody_there_and_a_replica_without_its_master() {
    let nobody = free_port();
    let site = Site::at(nobody, "");
    let said = site.bad(&["backup"]);
    assert!(said.contains(&format!("cannot connect to 127.0.0.1:{nobody}")), "{said}");
    let lost = Instance::start(Product::Redis, &["--replicaof", "127.0.0.1", &nobody.to_string()]);
    let site = Site::at(lost.port, "");
    let said = site.bad(&["backup"]);
    assert!(said.contains("is a replica without a link to its master"), "{said}");
}

#[test]
fn contradictions_are_told_before_anything_runs() {
    let told = |source: &str| Site::new(source).bad(&["backup"]);
    assert!(told("port: 1").contains("a server needs exactly one of `host`, `socket` and `sentinel`"));
    assert!(told("host: a, socket: /b").contains("a server needs exactly one of"));
    assert!(told("host: a, connections: 0").contains("0 connections cannot restore"));
    assert!(told("host: a, tls: { cert_file: /x }").contains("`cert_file` and `key_file` go together"));
    assert!(told("host: a, mode: scan, fallback: scan").contains("`mode: scan` already reads key by key"));
    assert!(told("sentinel: { nodes: [], master: m }").contains("there is no sentinel to ask"));
    assert!(told("sentinel: { nodes: ['a:b'], master: m }").contains("`a:b` is not an address"));
}
