//! What targets are like: they close silent connections, have clocks of their own, few databases, other versions.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use redis::{Value, cmd};

use crate::site::Site;
use crate::support::proxy::Proxy;
use crate::support::redis::{Instance, Product, Sentinel};
use crate::support::server::{free_port, wait_until};

const BY_REPLICATION: [&str; 2] = ["--switch", "via=replication"];

fn restore<'a>(target: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["restore", "cache", "--into", target][..], more].concat()
}

/// Servers close connections that are silent (`timeout`), and a restore takes longer than that.
#[test]
fn a_target_that_closes_silent_connections() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "SET early 1");
    source.run(1, "DEBUG POPULATE 150000 key 100");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    for way in ["via=restore", "via=replication"] {
        let target = Instance::start(Product::Redis, &["--timeout", "1"]);
        let begun = std::time::Instant::now();
        site.good(&restore(&target.url(), &["--switch", way]));
        assert!(begun.elapsed() > Duration::from_secs(2), "the machine is too fast for this test");
        assert_eq!(target.run(1, "DBSIZE"), Value::Int(150_000), "{way}");
    }
}

/// The connection was there and broke: nobody is sent to look at host and port.
#[test]
fn a_target_that_is_lost_while_it_is_restored() {
    let source = Instance::start(Product::Redis, &["--rdbcompression", "no"]);
    source.run(0, "DEBUG POPULATE 4000 key 2000");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let target = Instance::start(Product::Redis, &[]);
    let proxy = Proxy::start(target.port);
    proxy.cut_after_sent(3 << 20);
    let said = site.bad(&restore(&format!("redis://127.0.0.1:{}", proxy.port), &[]));
    assert!(proxy.was_cut());
    let ended = format!("the connection to 127.0.0.1:{} ended while an answer was awaited: ", proxy.port);
    assert!(said.contains(&ended) && !said.contains("cannot connect"), "{said}");
    assert_ne!(target.digests(), source.digests(), "the comparison can fail");
    site.good(&restore(&target.url(), &["--replace"]));
    assert_eq!(target.digests(), source.digests());
}

/// A server whose clock is ahead.
fn ahead(seconds: i32) -> (tempfile::TempDir, Product) {
    let dir = crate::support::scratch();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let code = format!(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <sys/time.h>\n#include <time.h>\n\
         int clock_gettime(clockid_t c, struct timespec *t) {{\n\
         int r = ((int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, \"clock_gettime\"))(c, t);\n\
         if (c == CLOCK_REALTIME) t->tv_sec += {seconds};\n return r; }}\n\
         int gettimeofday(struct timeval *t, void *z) {{\n\
         int r = ((int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, \"gettimeofday\"))(t, z);\n\
         t->tv_sec += {seconds};\n return r; }}\n\
         time_t time(time_t *p) {{ struct timeval t; gettimeofday(&t, 0); if (p) *p = t.tv_sec; return t.tv_sec; }}\n"
    );
    std::fs::write(at("ahead.c"), code).unwrap();
    let compile = ["-shared", "-fPIC", "-o", &at("ahead.so"), &at("ahead.c"), "-ldl"];
    crate::support::run(Command::new("cc").args(compile));
    let (library, server) = (at("ahead.so"), Product::Redis.binary().display().to_string());
    std::fs::write(at("server"), format!("#!/bin/sh\nLD_PRELOAD={library} exec {server} \"$@\"\n")).unwrap();
    std::fs::set_permissions(at("server"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let product = Product::At(Box::leak(at("server").into_boxed_str()));
    (dir, product)
}

/// What has expired on the target, the target's clock says.
#[test]
fn a_target_whose_clock_is_ahead() {
    let source = Instance::start(Product::Redis, &[]);
    let lives = "for i = 1, 2000 do redis.call('SET', 'k' .. i, 'v', 'PX', 20000 + i * 20) end";
    let _: Value = cmd("EVAL").arg(lives).arg(0).query(&mut source.connect(0)).unwrap();
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let (_dir, product) = ahead(40);
    let target = Instance::start(product, &[]);
    let said = site.good(&restore(&target.url(), &[]));
    assert!(said.contains("keys or fields of hashes had expired"), "{said}");
    let Value::Int(left) = target.run(0, "DBSIZE") else { panic!("DBSIZE") };
    assert!((1..2_000).contains(&left), "{left}: some have expired there, and some have not");
    // The negative control: keys that are gone without having expired are missed.
    let small = ["--maxmemory", "1mb", "--maxmemory-policy", "allkeys-random"];
    let said = site.bad(&restore(&Instance::start(Product::Redis, &small).url(), &[]));
    assert!(said.contains("is not there") || said.contains("OOM") || said.contains("evicted"), "{said}");
}

/// What a server cannot load it does not survive, nor does its own file: it is not told to.
#[test]
fn a_target_that_could_not_load_the_file_keeps_what_it_has() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "SET a 1");
    source.run(9, "SET b 1");
    let newer = Instance::start(Product::Valkey, &[]);
    newer.run(0, "SET a 1");
    let few = ["--databases", "4", "--repl-diskless-load", "disabled"];
    for (source, limits, room, why) in [
        (&source, &few[..], "0", "has no database 9, of which the package has keys: raise `databases` there"),
        (&newer, &[], "0", "which Redis 7.0"),
        (&newer, &[], "1", "which Redis 7.0"),
    ] {
        let target = Instance::start(Product::Redis, limits);
        target.run(1, "SET precious 1");
        target.run(0, "SAVE");
        target.run(0, &format!("CONFIG SET maxmemory {room}"));
        let before = std::fs::read(target.dir.path().join("dump.rdb")).unwrap();
        let site = Site::at(source.port, "");
        site.good(&["backup"]);
        let said = site.bad(&restore(&target.url(), &["--replace", "--switch", "via=replication"]));
        assert!(said.contains(why), "{said}");
        assert!(!said.contains("follow us"), "{said}");
        assert_eq!((target.run(1, "DBSIZE"), target.run(0, "DBSIZE")), (Value::Int(1), Value::Int(0)));
        assert_eq!(target.info("role"), "master");
        assert_eq!(std::fs::read(target.dir.path().join("dump.rdb")).unwrap(), before);
    }
    // A server that is full makes room for a file that it reads.
    let full = Instance::start(Product::Redis, &[]);
    full.run(1, "SET stale 1");
    full.run(0, "CONFIG SET maxmemory 1");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    site.good(&restore(&full.url(), &["--replace", "--switch", "via=replication"]));
    assert_eq!((full.run(1, "DBSIZE"), full.run(9, "DBSIZE")), (Value::Int(0), Value::Int(1)));
}

/// A value longer than the target takes in one argument is refused by its name, and can go the other way.
#[test]
fn a_value_that_is_too_long_for_the_target() {
    let source = Instance::start(Product::Redis, &["--rdbcompression", "no"]);
    let _: Value = cmd("SET").arg("long").arg(vec![b'x'; 3 << 20]).query(&mut source.connect(0)).unwrap();
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let narrow = ["--proto-max-bulk-len", "2mb"];
    let target = Instance::start(Product::Redis, &narrow);
    let said = site.bad(&restore(&target.url(), &[]));
    assert!(said.contains("key `long` has 31457") && said.contains("takes 2097152 at most"), "{said}");
    assert!(said.contains("`via=replication`"), "{said}");
    site.good(&restore(&target.url(), &BY_REPLICATION));
    site.good(&restore(&Instance::start(Product::Redis, &["--proto-max-bulk-len", "4mb"]).url(), &[]));
}

/// A node takes the keys of its own slots, and says of others where they belong.
#[test]
fn a_node_of_a_cluster_that_has_other_slots() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "SET {a}1 x");
    source.run(0, "SET {b}1 x");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let limits = ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--databases", "1"];
    let node = Instance::start(Product::Redis, &limits);
    let Value::Int(slot) = node.run(0, "CLUSTER KEYSLOT {a}1") else { panic!("CLUSTER KEYSLOT") };
    node.run(0, &format!("CLUSTER ADDSLOTS {slot}"));
    let settled = || {
        let info: String = cmd("CLUSTER").arg("INFO").query(&mut node.connect(0)).unwrap();
        info.contains("cluster_state:ok")
    };
    wait_until(Duration::from_secs(30), settled, || node.log());
    let said = site.bad(&restore(&node.url(), &["--replace"]));
    assert!(said.contains("`RESTORE {b}1`") && said.contains("slots which the record names"), "{said}");
    site.good(&restore(&node.url(), &["--replace", "--only", "[{]a[}]*"]));
    assert_eq!(node.run(0, "DBSIZE"), Value::Int(1));
}

/// Two databases into one: a key that both have would be lost, and each would compare equal right after it was written.
#[test]
fn two_databases_into_one() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "SET a zero");
    source.run(1, "SET a one");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let target = Instance::start(Product::Redis, &[]);
    let said = site.bad(&restore(&target.url(), &["--replace", "--switch", "db=1:0"]));
    assert!(said.contains("databases 0 and 1 of the package would both go into database 0"), "{said}");
    assert_eq!(target.state().len(), 1, "nothing was written");
    let said = site.bad(&restore(&target.url(), &["--switch", "db=1:0"]));
    assert!(said.contains("already has keys of the package"), "{said}");
    // Exchanged they do not meet.
    site.good(&restore(&target.url(), &["--replace", "--switch", "db=1:0", "--switch", "db=0:1"]));
    let value: String = cmd("GET").arg("a").query(&mut target.connect(0)).unwrap();
    assert_eq!(value, "one");
}

/// A database that the package does not have was meant otherwise: those that it has would overwrite what is live.
#[test]
fn a_database_that_the_package_does_not_have() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "SET a old");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    source.run(0, "SET a live");
    for more in [&["--replace"][..], &["--dry-run"]] {
        let said = site.bad(&[&["restore", "cache", "--switch", "db=1:9"], more].concat());
        let why = "no keys of database 1, which `db=FROM:TO` is to send elsewhere; it has keys of: 0";
        assert!(said.contains(why), "{said}");
    }
    let twice = ["restore", "cache", "--replace", "--switch", "db=0:9", "--switch", "db=0:8"];
    let said = site.bad(&twice);
    assert!(said.contains("database 0 has one place to go to: give `db=0:…` once"), "{said}");
    assert_eq!(cmd("GET").arg("a").query::<String>(&mut source.connect(0)).unwrap(), "live");
    site.good(&["restore", "cache", "--replace", "--switch", "db=0:9"]);
    assert_eq!(cmd("GET").arg("a").query::<String>(&mut source.connect(9)).unwrap(), "old");
}

/// A pattern that meets no key was meant otherwise: braces, for example, are alternatives.
#[test]
fn a_pattern_that_meets_no_key() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "SET {user}:1 a");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let target = Instance::start(Product::Redis, &[]);
    let url = target.url();
    for more in [&[][..], &["--dry-run"]] {
        let said = site.bad(&restore(&url, &[&["--only", "{user}:*"], more].concat()));
        assert!(said.contains("no key in the package matches `{user}:*`") && said.contains("[{]"), "{said}");
        let good = restore(&url, &[&["--only", "[{]user[}]:*", "--replace"], more].concat());
        assert!(site.good(&good).contains("1 keys"));
    }
    assert_eq!(target.run(0, "DBSIZE"), Value::Int(1));
}

/// Users come last: with them the one who restores may lose what it needs.
#[test]
fn users_who_take_away_what_the_restore_needs() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "DEBUG POPULATE 5000 key 10");
    let password = source.dir.path().join("password");
    std::fs::write(&password, "word").unwrap();
    source.run(0, "ACL SETUSER admin on >word ~* &* +@all");
    source.run(0, "ACL SETUSER default on nopass ~* -@all +ping");
    let login = format!("username: admin, password: {{ file: {} }}", password.display());
    let site = Site::at(source.port, &format!(", include_acl: true, {login}"));
    site.good(&["backup"]);
    for way in ["via=restore", "via=replication"] {
        let target = Instance::start(Product::Redis, &[]);
        // As `default`, who has no rights afterwards.
        site.configure(&format!("host: 127.0.0.1, port: {}", target.port));
        let said = site.good(&["restore", "cache", "--switch", "acl", "--switch", way]);
        assert!(said.contains("2 users"), "{way}: {said}");
        let refused = cmd("DBSIZE").query::<Value>(&mut target.connect(0)).unwrap_err();
        assert_eq!(refused.code(), Some("NOPERM"), "{way}");
        let url = format!("redis://admin:word@127.0.0.1:{}", target.port);
        let mut admin = redis::Client::open(url).unwrap().get_connection().unwrap();
        assert_eq!(cmd("DBSIZE").query::<u64>(&mut admin).unwrap(), 5_000, "{way}");
    }
}

/// Sends the words of a replica and waits for an answer to each.
fn speak(stream: &mut TcpStream, words: &[&str]) {
    write!(stream, "*{}\r\n", words.len()).unwrap();
    for word in words {
        write!(stream, "${}\r\n{word}\r\n", word.len()).unwrap();
    }
    assert!(stream.read(&mut [0; 256]).unwrap() > 0);
}

/// Sentinels keep every replica that a master names, for ever; we are none.
#[test]
fn sentinels_do_not_take_a_backup_for_a_replica() {
    let slow = ["--rdb-key-save-delay", "4000", "--rdbcompression", "no"];
    let master = Instance::start(Product::Redis, &slow);
    master.run(0, "DEBUG POPULATE 6000 key 2000");
    let sentinel = Sentinel::of("group", &master);
    let site = Site::at(master.port, "");
    let backup = site.command(&["backup"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let replicas = || master.info("slave0").contains("state=");
    wait_until(Duration::from_secs(30), || master.info("connected_slaves") != "0" && replicas(), String::new);
    // The negative control, which says that it has a port.
    let mut control = TcpStream::connect(("127.0.0.1", master.port)).unwrap();
    speak(&mut control, &["REPLCONF", "listening-port", "7"]);
    speak(&mut control, &["PSYNC", "?", "-1"]);
    let log = || sentinel.log();
    let listed = || log().contains("+slave slave 127.0.0.1:7 ");
    wait_until(Duration::from_secs(30), listed, log);
    assert_eq!(master.info("rdb_bgsave_in_progress"), "1", "the backup was there to be seen");
    assert_eq!(log().matches("+slave slave ").count(), 1, "{}", log());
    let output = backup.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Functions may be hidden by a service; keys are read all the same, in the format that they have, and libraries that
/// are there make the package a part.
#[test]
fn a_service_that_hides_functions() {
    let source = Instance::start(Product::Redis, &["--rename-command", "FUNCTION", "HIDDEN"]);
    source.run(3, "RPUSH list a b");
    let site = Site::at(source.port, ", mode: scan");
    site.good(&["backup"]);
    assert_eq!(site.record()["consistency"]["coordinates"]["rdb"], "REDIS0010");
    let record = site.record().to_string();
    assert!(!record.contains("FUNCTION"), "it counts none: {record}");
    let library = "#!lua name=f\nredis.register_function('f', function() return 1 end)";
    let _: Value = cmd("HIDDEN").arg("LOAD").arg(library).query(&mut source.connect(0)).unwrap();
    let output = site.command(&["backup"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "partial: {}", String::from_utf8_lossy(&output.stderr));
    let missing = &site.record()["missing"][0];
    assert_eq!(missing["name"], "1 libraries of functions");
    assert!(missing["why"].to_string().contains("does not know `FUNCTION DUMP`"), "{missing}");
    let copy = Instance::on(Product::Redis, &site.rdb(), &[]);
    assert_eq!(copy.run(3, "LLEN list"), Value::Int(2));
}

/// A replica that loses its master while it is read has shown what was once there.
#[test]
fn a_replica_that_loses_its_master_while_it_is_read() {
    let master = Instance::start(Product::Redis, &[]);
    master.run(0, "DEBUG POPULATE 200000 key 100");
    let port = master.port.to_string();
    let replica = Instance::start(Product::Redis, &["--replicaof", "127.0.0.1", &port]);
    wait_until(Duration::from_mins(1), || replica.info("master_link_status") == "up", || replica.log());
    let site = Site::at(replica.port, ", mode: scan");
    // The negative control: with its master it can be read.
    site.good(&["backup"]);
    let records = || std::fs::read_dir(site.dir.path().join("store/cache")).unwrap().count();
    let before = records();
    let scans = || replica.info("cmdstat_scan");
    let read = scans();
    let backup = site.command(&["backup"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(Duration::from_secs(30), || scans() != read, String::new);
    crate::support::run(Command::new("kill").args(["-KILL", &master.pid().to_string()]));
    let output = backup.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("is a replica without a link to its master"), "{said}");
    assert!(!output.status.success());
    assert_eq!(records(), before, "nothing is recorded");
}

/// A target that comes from another address than the one that leads to it is named, and tries again for ever: nobody
/// waits that long. Told where to listen, whoever comes is taken for it.
#[test]
fn a_target_that_comes_from_another_address() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "SET a 1");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    site.configure(&format!("host: 127.0.0.1, port: {}, timeout: 3s", source.port));
    let target = Instance::start(Product::Redis, &["--bind-source-addr", "127.0.0.2"]);
    let said = site.bad(&restore(&target.url(), &BY_REPLICATION));
    let why =
        "did not connect to us within 3 s from its address 127.0.0.1, and 127.0.0.2 did, who was sent away";
    assert!(said.contains(why) && said.contains("--switch listen=HOST:PORT"), "{said}");
    assert_eq!((target.info("role"), target.run(0, "DBSIZE")), ("master".to_owned(), Value::Int(0)));
    // Every address of ours is none that a target could connect to: it is told the one from which it is reached.
    let listen = format!("listen=0.0.0.0:{}", free_port());
    site.good(&restore(&target.url(), &[&BY_REPLICATION[..], &["--switch", &listen]].concat()));
    assert_eq!(target.run(0, "DBSIZE"), Value::Int(1));
}

/// Whoever takes nothing is not waited for without end.
#[test]
fn a_target_that_stops_while_it_is_sent_the_file() {
    let source = Instance::start(Product::Redis, &["--rdbcompression", "no"]);
    source.run(0, "DEBUG POPULATE 20000 key 2000");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    site.configure(&format!("host: 127.0.0.1, port: {}, timeout: 2s", source.port));
    let target = Instance::start(Product::Redis, &["--repl-diskless-load", "disabled"]);
    let pid = target.pid().to_string();
    let mut restore = site.command(&restore(&target.url(), &BY_REPLICATION));
    let mut restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let takes = || {
        let text: String = cmd("INFO").arg("replication").query(&mut target.connect(0)).unwrap();
        let read = text.lines().find_map(|line| line.strip_prefix("master_sync_read_bytes:"));
        read.is_some_and(|bytes| bytes != "0")
    };
    wait_until(Duration::from_secs(30), takes, || target.log());
    let signal = |signal: &str| {
        crate::support::run(Command::new("kill").args([signal, &pid]));
    };
    signal("-STOP");
    let mut said = String::new();
    for line in BufReader::new(restore.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        // It is asked again then until it lets go.
        if line.contains("still follows us") {
            signal("-CONT");
        }
        said += &line;
    }
    assert!(!restore.wait().unwrap().success(), "{said}");
    assert!(said.contains("sent nothing for 2 s while the target took the RDB file"), "{said}");
    assert_eq!(target.info("role"), "master", "{said}");
}
