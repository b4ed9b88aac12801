//! What a restore can be asked for, what it refuses, and that its comparison finds what is lost.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chupacabra::package::digest::Fingerprint;
use chupacabra::package::member::Object;
use chupacabra::sources::Request;
use chupacabra::sources::redis::{Redis, rdb};
use redis::{Value, cmd};
use tokio_util::sync::CancellationToken;

use crate::site::Site;
use crate::support::redis::{Instance, Product, differences};
use crate::support::server::wait_until;
use crate::support::{package, shell};

/// The keys of a database of a server.
fn keys(server: &Instance, database: u32) -> Vec<String> {
    let mut keys: Vec<String> = cmd("KEYS").arg("*").query(&mut server.connect(database)).unwrap();
    keys.sort();
    keys
}

fn small() -> (Instance, Site) {
    let source = Instance::start(Product::Redis, &[]);
    for line in ["SET session:1 a", "SET session:2 b", "SET other c", "RPUSH list x y"] {
        source.run(0, line);
    }
    let library = "#!lua name=f\nredis.register_function('f', function() return 1 end)";
    let _: Value = cmd("FUNCTION").arg("LOAD").arg(library).query(&mut source.connect(0)).unwrap();
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    (source, site)
}

#[test]
fn only_some_keys_into_another_database() {
    let (_source, site) = small();
    let target = Instance::start(Product::Redis, &[]);
    site.good(&["restore", "cache", "--into", &target.url(), "--only", "session:*", "--switch", "db=0:5"]);
    assert_eq!(keys(&target, 5), ["session:1", "session:2"]);
    assert!(keys(&target, 0).is_empty());
}

#[test]
fn existing_keys_are_refused_before_anything_is_written() {
    let (_source, site) = small();
    let target = Instance::start(Product::Redis, &[]);
    target.run(0, "SET unrelated 1");
    site.good(&["restore", "cache", "--into", &target.url(), "--only", "list"]);
    assert_eq!(keys(&target, 0), ["list", "unrelated"], "keys that are in nobody's way stay");
    target.run(0, "SET other mine");
    let said = site.bad(&["restore", "cache", "--into", &target.url(), "--only", "[!l]*"]);
    assert!(said.contains("already has keys of the package, for example `other` in database 0"), "{said}");
    assert!(said.contains("--replace"), "{said}");
    assert_eq!(keys(&target, 0), ["list", "other", "unrelated"]);
    site.good(&["restore", "cache", "--into", &target.url(), "--replace"]);
    let other: String = cmd("GET").arg("other").query(&mut target.connect(0)).unwrap();
    assert_eq!(other, "c");
    assert_eq!(keys(&target, 0).len(), 5);
}

/// Loads a library of one function into a server.
fn load(server: &Instance, library: &str, function: &str) {
    let code =
        format!("#!lua name={library}\nredis.register_function('{function}', function() return 1 end)");
    let _: Value = cmd("FUNCTION").arg("LOAD").arg(code).query(&mut server.connect(0)).unwrap();
}

/// How many libraries of functions a server has.
fn libraries(server: &Instance) -> usize {
    let Value::Array(libraries) = server.run(0, "FUNCTION LIST") else { panic!("FUNCTION LIST") };
    libraries.len()
}

/// Functions are as precious as keys: none is lost without leave, and nothing is written before that is known.
#[test]
fn existing_functions_are_refused_before_anything_is_written() {
    let (_source, site) = small();
    let target = Instance::start(Product::Redis, &[]);
    load(&target, "mine", "own");
    let url = target.url();
    let by_replication = ["restore", "cache", "--into", &url, "--switch", "via=replication"];
    let said = site.bad(&by_replication);
    assert!(
        said.contains("already has libraries of functions, and would lose all of them, for example `mine`")
    );
    assert!(said.contains("--replace") && libraries(&target) == 1, "{said}");
    // One that is in nobody's way stays.
    site.good(&["restore", "cache", "--into", &url]);
    assert_eq!((keys(&target, 0).len(), libraries(&target)), (4, 2));
    target.run(0, "FLUSHALL");
    let said = site.bad(&["restore", "cache", "--into", &url]);
    assert!(said.contains("already has libraries of functions of the package, for example `f`"), "{said}");
    assert!(said.contains("--replace") && keys(&target, 0).is_empty(), "{said}");
    target.run(0, "SET unrelated 1");
    let said = site.bad(&by_replication);
    assert!(
        said.contains("already has keys, and would lose all of them, for example `unrelated` in database 0")
    );
    site.good(&["restore", "cache", "--into", &url, "--replace"]);
    assert_eq!((keys(&target, 0).len(), libraries(&target)), (5, 2));
    site.good(&[&by_replication[..], &["--replace"]].concat());
    assert_eq!((keys(&target, 0).len(), libraries(&target)), (4, 1));
}

/// A function whose name another library of the target has is found out by the target alone, before there are keys.
#[test]
fn a_function_that_another_library_has() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "DEBUG POPULATE 20000 key 100");
    load(&source, "f", "f");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let target = Instance::start(Product::Redis, &[]);
    load(&target, "mine", "f");
    for more in [&[][..], &["--replace"]] {
        let said = site.bad(&[&["restore", "cache", "--into", &target.url()], more].concat());
        assert!(said.contains("`FUNCTION RESTORE`") && said.contains("Function f already exists"), "{said}");
        assert_eq!((target.run(0, "DBSIZE"), libraries(&target)), (Value::Int(0), 1), "{more:?}");
    }
}

/// That the target has libraries besides hides none that is gone.
#[test]
fn a_library_that_is_lost_while_keys_are_restored() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "DEBUG POPULATE 100000 key 100");
    load(&source, "f", "f");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    for lost in [false, true] {
        let target = Instance::start(Product::Redis, &[]);
        load(&target, "mine", "own");
        load(&target, "yours", "other");
        let mut restore = site.command(&["restore", "cache", "--into", &target.url()]);
        let restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(Duration::from_secs(30), || libraries(&target) == 3, || target.log());
        if lost {
            target.run(0, "FUNCTION DELETE f");
        }
        let output = restore.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(if lost { 5 } else { 0 }), "{said}");
        assert_eq!(said.contains("1 of 1 libraries are not there as they were"), lost, "{said}");
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let (_source, site) = small();
    let target = Instance::start(Product::Redis, &[]);
    let said = site.good(&["restore", "cache", "--into", &target.url(), "--dry-run"]);
    assert!(said.contains("would restore") && said.contains("4 keys"), "{said}");
    assert!(keys(&target, 0).is_empty());
}

#[test]
fn requests_that_cannot_be_meant() {
    let (_source, site) = small();
    let told = |args: &[&str]| site.bad(&[&["restore", "cache"], args].concat());
    assert!(told(&["--switch", "nonsense"]).contains("there is no switch `nonsense`; known are"));
    assert!(told(&["--switch", "db=1"]).contains("`db=1` is no pair of databases; write `db=0:5`"));
    assert!(told(&["--into", "127.0.0.1"]).contains("`--into` is not a URL"));
    assert!(told(&["--into", "redis://u:p@h"]).contains("`--into` holds a password"));
    let said = told(&["--switch", "via=replication", "--only", "a"]);
    assert!(said.contains("`via=replication` restores everything as it was"), "{said}");
    let said = told(&["--switch", "via=replication", "--into", "rediss://127.0.0.1:1"]);
    assert!(said.contains("over a plain connection") && said.contains("`tls-replication`"), "{said}");
}

/// What has expired meanwhile is counted, and is no difference.
#[test]
fn keys_that_expire_in_between() {
    let source = Instance::start(Product::Valkey, &[]);
    source.run(0, "SET stays 1");
    source.run(0, "SET goes 1 PX 8000");
    source.run(0, "HSET fields a 1 b 2");
    source.run(0, "HPEXPIRE fields 8000 FIELDS 1 a");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    assert_eq!(site.record()["counts"]["keys"], 3, "the machine was too slow for this test");
    let gone = || keys(&source, 0) == ["fields", "stays"] && source.run(0, "HLEN fields") == Value::Int(1);
    wait_until(Duration::from_secs(30), gone, String::new);
    let target = Instance::start(Product::Valkey, &[]);
    let said = site.good(&["restore", "cache", "--into", &target.url()]);
    // The key has; the hash too, if the target has already thrown the field away.
    assert!(said.contains("keys or fields of hashes had expired before they could be compared"), "{said}");
    assert_eq!(differences(&target.state(), &source.state()), Vec::<String>::new());
    let replicated = Instance::start(Product::Valkey, &[]);
    site.good(&["restore", "cache", "--into", &replicated.url(), "--switch", "via=replication"]);
    assert_eq!(differences(&replicated.state(), &source.state()), Vec::<String>::new());
}

/// A target that throws keys away again has not been restored.
#[test]
fn a_target_that_loses_keys_is_found_out() {
    let source = Instance::start(Product::Redis, &["--rdbcompression", "no"]);
    source.run(0, "DEBUG POPULATE 20000 key 1000");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let target =
        Instance::start(Product::Redis, &["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-random"]);
    let said = site.bad(&["restore", "cache", "--into", &target.url()]);
    assert!(said.contains("after the restore key `key:") && said.contains("is not there"), "{said}");
}

/// What a target throws away after it was compared is lost all the same: what expires first, or was not used for longest.
#[test]
fn a_target_that_evicts_what_was_compared_is_found_out() {
    let source = Instance::start(Product::Redis, &["--rdbcompression", "no"]);
    source.run(0, "DEBUG POPULATE 8000 key 1000");
    let all_expire =
        "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('PEXPIRE', key, 36000000) end";
    let _: Value = cmd("EVAL").arg(all_expire).arg(0).query(&mut source.connect(0)).unwrap();
    source.run(1, "DEBUG POPULATE 20000 key 1000");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let sizes = |target: &Instance| -> Vec<u64> {
        (0..2).map(|database| cmd("DBSIZE").query(&mut target.connect(database)).unwrap()).collect()
    };
    for (policy, room, enough) in
        [("volatile-ttl", "26mb", false), ("allkeys-lru", "26mb", false), ("allkeys-lru", "200mb", true)]
    {
        let limits = ["--maxmemory", room, "--maxmemory-policy", policy, "--maxmemory-samples", "64"];
        let target = Instance::start(Product::Redis, &limits);
        let done = AtomicBool::new(false);
        let (code, said) = std::thread::scope(|scope| {
            // The clock of `allkeys-lru` counts whole seconds: the restore must take several of them.
            let slow = scope.spawn(|| {
                let mut connection = target.connect(0);
                while policy == "allkeys-lru" && !enough && !done.load(Ordering::Relaxed) {
                    let _: Value = cmd("DEBUG").arg("SLEEP").arg("0.05").query(&mut connection).unwrap();
                }
            });
            let output = site.command(&["restore", "cache", "--into", &target.url()]).output().unwrap();
            done.store(true, Ordering::Relaxed);
            slow.join().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        });
        let left = sizes(&target);
        if enough {
            assert_eq!((code, left), (Some(0), vec![8_000, 20_000]), "{policy}, {room}: {said}");
            continue;
        }
        assert!(left[0] < 8_000, "{policy}: {left:?}: nothing was evicted, so nothing is shown");
        assert_eq!(code, Some(5), "{policy}: {left:?}: {said}");
        assert!(said.contains("keys during the restore") && said.contains("`maxmemory`"), "{policy}: {said}");
    }
}

/// A key that expires after it was compared is no difference, whichever way it came.
#[test]
fn a_key_that_expires_after_it_was_compared() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "SET early 1 EX 36000");
    source.run(0, "SET stays 1");
    source.run(1, "DEBUG POPULATE 100000 key 100");
    let site = Site::at(source.port, ", connections: 1");
    site.good(&["backup"]);
    for way in ["restore", "replication"] {
        let target = Instance::start(Product::Redis, &[]);
        let via = format!("via={way}");
        let mut restore = site.command(&["restore", "cache", "--into", &target.url(), "--switch", &via]);
        let restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let read = || target.dumps() > 1_000;
        wait_until(Duration::from_secs(60), read, || target.log());
        // Its time has come.
        assert_eq!(target.run(0, "PEXPIRE early 1"), Value::Int(1), "{way}");
        let output = restore.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(target.dumps(), 100_002, "{way}: every key was compared");
        assert_eq!(output.status.code(), Some(0), "{way}: {said}");
        assert_eq!(target.run(1, "DBSIZE"), Value::Int(100_000), "{way}");
    }
}

/// How many entries a stream ever had decides what its readers are told to be behind.
#[test]
fn a_stream_that_counts_otherwise_is_found_out() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "DEBUG POPULATE 100000 key 100");
    source.run(1, "XADD stream 5-1 field value");
    let site = Site::at(source.port, ", connections: 1");
    site.good(&["backup"]);
    for (added, code) in [(1, 0), (7, 5)] {
        let target = Instance::start(Product::Redis, &[]);
        let words = ["restore", "cache", "--into", &target.url(), "--switch", "via=replication"];
        let mut restore = site.command(&words);
        let restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(Duration::from_secs(60), || target.dumps() > 0, || target.log());
        // As the file had it until now; its turn comes last.
        target.run(1, &format!("XSETID stream 5-1 ENTRIESADDED {added} MAXDELETEDID 0-0"));
        let output = restore.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        let found =
            said.contains("key `stream` of database 1 of 127.0.0.1:") && said.contains("another value");
        assert_eq!(found, code != 0, "{said}");
    }
}

/// A target that is loading cannot be let go at once; nobody leaves before it is.
#[test]
fn a_target_that_loads_is_let_go_by_whoever_is_told_to_stop() {
    for product in [Product::Redis, Product::Valkey] {
        let (_source, site) = many();
        let target = Instance::start(product, &SLOW_TO_LOAD);
        let mut restore =
            site.command(&["restore", "cache", "--into", &target.url(), "--switch", "via=replication"]);
        let restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(Duration::from_secs(30), || target.info("loading") == "1", || target.log());
        crate::support::run(Command::new("kill").args(["-TERM", &restore.id().to_string()]));
        let output = restore.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(143), "{said}");
        assert_eq!(target.info("role"), "master", "{said}");
        target.run(0, "SET writable 1");
    }
}

/// The reason of a failure is told, not that the target could not be let go at once; and it is let go.
#[test]
fn a_target_that_is_silent_while_it_loads_is_let_go_and_the_reason_is_told() {
    let (source, site) = many();
    site.configure(&format!("host: 127.0.0.1, port: {}, timeout: 1s", source.port));
    let target = Instance::start(Product::Redis, &SLOW_TO_LOAD);
    target.run(0, "CONFIG SET loading-process-events-interval-bytes 1000000000");
    let said = site.bad(&["restore", "cache", "--into", &target.url(), "--switch", "via=replication"]);
    assert!(said.contains("sent nothing for 1 s while the target loaded the RDB file"), "{said}");
    assert_eq!(target.info("role"), "master", "{said}");
    target.run(0, "SET writable 1");
}

/// A target of which nobody can say whether it follows is named, and what had gone wrong before.
#[test]
fn a_target_that_is_killed_while_it_loads() {
    let (_source, site) = many();
    let target = Instance::start(Product::Redis, &SLOW_TO_LOAD);
    let mut restore =
        site.command(&["restore", "cache", "--into", &target.url(), "--switch", "via=replication"]);
    let restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(Duration::from_secs(30), || target.info("loading") == "1", || target.log());
    crate::support::run(Command::new("kill").args(["-KILL", &target.pid().to_string()]));
    let output = restore.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("ended while the target loaded the RDB file"), "{said}");
    assert!(said.contains("may still follow us") && said.contains("`REPLICAOF NO ONE`"), "{said}");
}

/// Whoever refuses to follow is not said to follow.
#[test]
fn a_target_that_refuses_to_follow_is_not_said_to_follow() {
    let (source, site) = many();
    let target = Instance::start(Product::Redis, &[]);
    target.run(0, "ACL SETUSER restorer on >word ~* +@all -replicaof -slaveof");
    let file = site.dir.path().join("password");
    std::fs::write(&file, "word").unwrap();
    let login = format!("username: restorer, password: {{ file: {} }}", file.display());
    site.configure(&format!("host: 127.0.0.1, port: {}, {login}", source.port));
    let said = site.bad(&["restore", "cache", "--into", &target.url(), "--switch", "via=replication"]);
    assert!(
        said.contains("user `restorer` of 127.0.0.1:") && said.contains("may not run `replicaof`"),
        "{said}"
    );
    assert!(!said.contains("still follow"), "{said}");
    assert_eq!(target.info("role"), "master");
}

/// Keys that take a target three seconds to load.
fn many() -> (Instance, Site) {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "DEBUG POPULATE 3000 key 100");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    (source, site)
}

/// The file is received as a whole before it is loaded, a millisecond for each key, and the server answers meanwhile.
const SLOW_TO_LOAD: [&str; 6] = [
    "--repl-diskless-load",
    "disabled",
    "--key-load-delay",
    "1000",
    "--loading-process-events-interval-bytes",
    "2048",
];

/// Two keys that a transaction keeps in step are in step in the copy.
#[test]
fn a_snapshot_is_of_one_instant() {
    for product in [Product::Redis, Product::Valkey] {
        let source = Instance::start(product, &["--rdb-key-save-delay", "200"]);
        source.run(0, "DEBUG POPULATE 3000 key 100");
        source.run(0, "MSET a 0 zz 0");
        let site = Site::at(source.port, "");
        let done = AtomicBool::new(false);
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut connection = source.connect(0);
                let mut step = 0u64;
                while !done.load(Ordering::Relaxed) {
                    step += 1;
                    let mut pipe = redis::pipe();
                    pipe.atomic().set("a", step).ignore().set("zz", step).ignore();
                    let () = pipe.query(&mut connection).unwrap();
                }
                step
            });
            let backup = site.command(&["backup"]).output().unwrap();
            // Whatever came of it: a writer that goes on would hold the test up for ever.
            done.store(true, Ordering::Relaxed);
            assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
            writer.join().unwrap()
        });
        let copy = Instance::on(product, &site.rdb(), &[]);
        let mut connection = copy.connect(0);
        let (a, zz): (u64, u64) = cmd("MGET").arg("a").arg("zz").query(&mut connection).unwrap();
        assert_eq!(a, zz);
        assert!(a > 0 && a < written, "there was writing before ({a}) and after ({written})");
        assert_eq!(site.record()["consistency"]["kind"], "snapshot");
        let coordinates = &site.record()["consistency"]["coordinates"];
        for name in ["replication_id", "replication_offset", "run_id", "rdb"] {
            assert!(coordinates[name].is_string(), "{name} in {coordinates}");
        }
    }
}

#[test]
fn users_and_settings_travel_inside_the_file() {
    let source = Instance::start(Product::Redis, &[]);
    source.seed();
    source.run(0, "ACL SETUSER app on >word ~app:* +get +set");
    let site = Site::at(source.port, ", include_acl: true, include_config: true");
    site.good(&["backup"]);
    let rdb = site.rdb();
    let checked = String::from_utf8(shell(&format!("redis-check-rdb {}", rdb.display()))).unwrap();
    assert!(checked.contains("RDB looks OK") && checked.contains("Checksum OK"), "{checked}");
    assert!(checked.contains("chupacabra-acl") && checked.contains("user app on"), "{checked}");
    assert!(checked.contains("chupacabra-config") && checked.contains("maxmemory-policy"), "{checked}");
    assert!(!checked.contains("requirepass"), "{checked}");
    let copy = Instance::on(Product::Redis, &rdb, &[]);
    assert_eq!(differences(&copy.state(), &source.state()), Vec::<String>::new());
    let target = Instance::start(Product::Redis, &[]);
    let said = site.good(&["restore", "cache", "--into", &target.url(), "--switch", "acl"]);
    let forgetful = "users are in the target's memory only, and gone when it starts again: ";
    assert!(said.contains(&format!("{forgetful}`CONFIG REWRITE` there")), "{said}");
    let file = target.dir.path().join("users.acl");
    std::fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    let keeps = Instance::start(Product::Redis, &["--aclfile", &file]);
    let said = site.good(&["restore", "cache", "--into", &keeps.url(), "--switch", "acl"]);
    assert!(said.contains(&format!("{forgetful}`ACL SAVE` there writes them into `{file}`")), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), b"", "nobody asked for that");
    // The same rules, in whatever order; that payloads are checked is the default and may be said or not.
    let users = |server: &Instance| -> Vec<Vec<String>> {
        let list: Vec<String> = cmd("ACL").arg("LIST").query(&mut server.connect(0)).unwrap();
        let words = |line: &String| -> Vec<String> {
            let mut words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
            words.retain(|word| word != "sanitize-payload");
            words.sort();
            words
        };
        list.iter().map(words).collect()
    };
    assert_eq!(users(&target), users(&source));
    site.good(&["restore", "cache", "--replace", "--into", &target.url(), "--switch", "via=replication"]);
    assert_eq!(differences(&target.state(), &source.state()), Vec::<String>::new());
}

/// Who asks for users does not end with none, nor with keys and without them.
#[test]
fn users_that_the_package_does_not_have() {
    let (_source, site) = small();
    let target = Instance::start(Product::Redis, &[]);
    let words = ["restore", "cache", "--into", &target.url(), "--switch", "acl"];
    for more in [&[][..], &["--dry-run"], &["--switch", "via=replication"]] {
        let said = site.bad(&[&words[..], more].concat());
        assert!(said.contains("the package has no ACL users") && said.contains("`include_acl`"), "{said}");
        assert_eq!((keys(&target, 0).len(), libraries(&target)), (0, 0), "{more:?}");
    }
}

/// A package whose one key is a value of a module that no test server has.
#[tokio::test]
async fn a_module_that_the_target_lacks_is_named() {
    let mut id = [0x81; 9];
    id[1..].copy_from_slice(&(0x0045_1734_DF12_u64 << 16).to_be_bytes());
    let mut file = b"REDIS0010".to_vec();
    rdb::write::database(0, &mut file);
    rdb::write::key(b"doc", None, 7, &[&id[..], &[5, 1, b'x', 0]].concat(), &mut file);
    file.push(0xFF);
    let sum = rdb::crc64(&file);
    file.extend_from_slice(&sum.to_le_bytes());
    let keys = package::keys();
    let member = package::member(package::file("dump/000001.rdb", file.len()), file);
    let fingerprint = Fingerprint::default();
    let object = Object { name: "db0".into(), kind: "keyspace".into(), fingerprint };
    let (store, record) = package::sealed(&keys, "cache", [member, package::Step::Object(object)]).await;
    let package = package::package(&store, &record, &keys);
    let target = Instance::start(Product::Redis, &[]);
    let request = Request { into: Some(target.url()), ..Request::default() };
    let error =
        Redis::unconfigured().restore(&package, &request, &CancellationToken::new()).await.unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("key `doc` is a value of the module type `"), "{said}");
    assert!(said.ends_with(&format!("`, which 127.0.0.1:{} does not have", target.port)), "{said}");
    assert!(error.help().unwrap().contains("load the module on the target"), "{:?}", error.help());
}

/// The index's word counts: a package whose keys are not those that were fingerprinted does not restore in silence.
#[tokio::test]
async fn a_package_that_is_not_what_its_index_says() {
    let mut file = b"REDIS0010".to_vec();
    rdb::write::database(0, &mut file);
    rdb::write::key(b"k", None, 0, &[1, b'v'], &mut file);
    file.push(0xFF);
    let sum = rdb::crc64(&file);
    file.extend_from_slice(&sum.to_le_bytes());
    let keys = package::keys();
    let member = package::member(package::file("dump/000001.rdb", file.len()), file);
    let object = Object { name: "db0".into(), kind: "keyspace".into(), fingerprint: Fingerprint::default() };
    let (store, record) = package::sealed(&keys, "cache", [member, package::Step::Object(object)]).await;
    let package = package::package(&store, &record, &keys);
    let target = Instance::start(Product::Redis, &[]);
    let request = Request { into: Some(target.url()), ..Request::default() };
    let error =
        Redis::unconfigured().restore(&package, &request, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "the package's `db0` is not what the index says of it");
}
