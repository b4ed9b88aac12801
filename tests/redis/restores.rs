//! What a restore can be asked for, what it refuses, and that its comparison finds what is lost.

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
    crate::support::server::wait_until(Duration::from_secs(30), gone, String::new);
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
            site.good(&["backup"]);
            done.store(true, Ordering::Relaxed);
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
    site.good(&["restore", "cache", "--into", &target.url(), "--switch", "acl"]);
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
