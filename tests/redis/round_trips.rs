//! What comes back is what was there: by server start, by RESTORE, by replication, in the same and in another version.

use std::collections::BTreeMap;

use redis::{Value, cmd};

use crate::site::Site;
use crate::support::redis::{Instance, Product, differences};

/// Fails with what differs.
fn same(copy: &BTreeMap<String, String>, original: &BTreeMap<String, String>) {
    let differences = differences(copy, original);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(copy.len() > 90, "the seed is there");
}

fn started_on_the_dump(product: Product, mode: &str) {
    let source = Instance::start(product, &[]);
    source.seed();
    let site = Site::at(source.port, &format!(", mode: {mode}"));
    site.good(&["backup"]);
    let copy = Instance::on(product, &site.rdb(), &[]);
    same(&copy.state(), &source.state());
    same(&copy.digests(), &source.digests());
}

fn restored_into_a_running_server(from: Product, mode: &str, into: Product) {
    let source = Instance::start(from, &[]);
    source.seed();
    let site = Site::at(source.port, &format!(", mode: {mode}"));
    site.good(&["backup"]);
    let target = Instance::start(into, &[]);
    site.good(&["restore", "cache", "--into", &target.url()]);
    if from == into {
        same(&target.state(), &source.state());
        same(&target.digests(), &source.digests());
    }
}

#[test]
fn redis_psync_by_server_start() {
    started_on_the_dump(Product::Redis, "psync");
}

#[test]
fn redis_scan_by_server_start() {
    started_on_the_dump(Product::Redis, "scan");
}

#[test]
fn valkey_psync_by_server_start() {
    started_on_the_dump(Product::Valkey, "psync");
}

#[test]
fn valkey_scan_by_server_start() {
    started_on_the_dump(Product::Valkey, "scan");
}

#[test]
fn redis_psync_by_restore() {
    restored_into_a_running_server(Product::Redis, "psync", Product::Redis);
}

#[test]
fn redis_scan_by_restore() {
    restored_into_a_running_server(Product::Redis, "scan", Product::Redis);
}

#[test]
fn valkey_psync_by_restore() {
    restored_into_a_running_server(Product::Valkey, "psync", Product::Valkey);
}

#[test]
fn valkey_scan_by_restore() {
    restored_into_a_running_server(Product::Valkey, "scan", Product::Valkey);
}

/// Restores by replication, over whatever the target has.
fn restored_by_replication(product: Product) {
    let source = Instance::start(product, &[]);
    source.seed();
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let target = Instance::start(product, &[]);
    target.run(5, "SET stale 1");
    let refused = site.bad(&["restore", "cache", "--into", &target.url(), "--switch", "via=replication"]);
    assert!(refused.contains("already has keys, and would lose all of them"), "{refused}");
    assert_eq!(target.state().len(), 2, "nothing was touched");
    site.good(&["restore", "cache", "--replace", "--into", &target.url(), "--switch", "via=replication"]);
    same(&target.state(), &source.state());
    same(&target.digests(), &source.digests());
    assert_eq!(target.info("role"), "master", "the target is let go");
}

#[test]
fn redis_by_replication() {
    restored_by_replication(Product::Redis);
}

#[test]
fn valkey_by_replication() {
    restored_by_replication(Product::Valkey);
}

/// What every version shows alike: everything but the inner layout of streams.
fn portable(instance: &Instance) -> BTreeMap<String, String> {
    let cut = |(name, value): (String, String)| {
        let end = value.find(" FULL ").unwrap_or(value.len());
        (name, value[..end].to_owned())
    };
    instance.state().into_iter().map(cut).collect()
}

#[test]
fn an_older_redis_into_a_newer_valkey() {
    let source = Instance::start(Product::Redis, &[]);
    source.seed();
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let by_restore = Instance::start(Product::Valkey, &[]);
    site.good(&["restore", "cache", "--into", &by_restore.url()]);
    same(&portable(&by_restore), &portable(&source));
    let by_start = Instance::on(Product::Valkey, &site.rdb(), &[]);
    same(&portable(&by_start), &portable(&source));
    let by_replication = Instance::start(Product::Valkey, &[]);
    site.good(&["restore", "cache", "--into", &by_replication.url(), "--switch", "via=replication"]);
    same(&portable(&by_replication), &portable(&source));
}

#[test]
fn a_newer_valkey_into_an_older_redis_is_refused_by_name() {
    let source = Instance::start(Product::Valkey, &[]);
    source.seed();
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let target = Instance::start(Product::Redis, &[]);
    let said = site.bad(&["restore", "cache", "--into", &target.url()]);
    assert!(
        said.contains("the package holds Valkey 9.1")
            && said.contains("(RDB version 80), which Redis 7.0.15 does not read")
            && said.contains("restore into a server that reads RDB version 80"),
        "{said}"
    );
    assert_eq!(target.state().len(), 1, "nothing was written");
}

/// Neither reading nor comparing counts as use, by which a server decides what to evict first.
#[test]
fn what_is_read_or_compared_does_not_count_as_used() {
    let lru = ["--maxmemory-policy", "allkeys-lru"];
    let lfu = ["--maxmemory-policy", "allkeys-lfu"];
    for (policy, option, value, as_told) in [(lru, "IDLETIME", 200, 199..=230), (lfu, "FREQ", 0, 0..=0)] {
        let source = Instance::start(Product::Valkey, &policy);
        source.run(0, "SET other 1");
        let payload: Vec<u8> = cmd("DUMP").arg("other").query(&mut source.connect(0)).unwrap();
        let mut restore = cmd("RESTORE");
        restore.arg("key").arg(0).arg(payload).arg(option).arg(value);
        let _: Value = restore.query(&mut source.connect(0)).unwrap();
        let used = |server: &Instance| -> i64 {
            cmd("OBJECT").arg(option).arg("key").query(&mut server.connect(0)).unwrap()
        };
        let is_kept = |server: &Instance| as_told.contains(&used(server));
        let site = Site::at(source.port, ", mode: scan");
        site.good(&["backup"]);
        assert!(is_kept(&source), "{option}: {}", used(&source));
        site.configure(&format!("host: 127.0.0.1, port: {}", source.port));
        site.good(&["backup"]);
        for way in ["via=restore", "via=replication"] {
            let target = Instance::start(Product::Valkey, &policy);
            site.good(&["restore", "cache", "--into", &target.url(), "--switch", way]);
            assert!(is_kept(&target), "{option}, {way}: {}", used(&target));
            // The negative control.
            target.run(0, "DUMP key");
            assert!(!is_kept(&target), "{option}");
        }
    }
}

/// The comparison finds what `DEBUG DIGEST` does not.
#[test]
fn a_changed_expiry_and_an_acknowledged_entry_are_found() {
    let source = Instance::start(Product::Redis, &[]);
    source.seed();
    let before = (source.state(), source.info("db0"));
    source.run(0, "PEXPIREAT int:8 4102444800001");
    let changed = source.state();
    assert_ne!(changed, before.0);
    source.run(0, "PEXPIREAT int:8 4102444800000");
    assert_eq!(source.state(), before.0);
    source.run(0, "XACK stream:groups workers 3-1");
    assert_ne!(source.state(), before.0);
}

/// So does the fingerprint in the package: the smallest changes give another.
#[test]
fn the_fingerprint_sees_one_expiry_one_acknowledgement_and_one_field() {
    let source = Instance::start(Product::Valkey, &[]);
    source.seed();
    let site = Site::at(source.port, "");
    let fingerprint = || {
        site.good(&["backup"]);
        site.indexed("db0")
    };
    let before = fingerprint();
    assert_eq!(fingerprint(), before, "the same content has the same fingerprint");
    source.run(0, "PEXPIREAT int:8 4102444800001");
    let expiry = fingerprint();
    assert_ne!(expiry, before);
    source.run(0, "PEXPIREAT int:8 4102444800000");
    assert_eq!(fingerprint(), before);
    source.run(0, "XACK stream:groups workers 3-1");
    let acknowledged = fingerprint();
    assert_ne!(acknowledged, before);
    source.run(0, "HPEXPIREAT hash:fields 4102444800009 FIELDS 1 later");
    assert_ne!(fingerprint(), acknowledged);
}
