//! What comes back is what was there: by server start, by RESTORE, by replication, in the same and in another version.

use crate::site::Site;
use crate::support::redis::{Instance, Product};

fn started_on_the_dump(product: Product, mode: &str) {
    let source = Instance::start(product, &[]);
    source.seed();
    let site = Site::at(source.port, &format!(", mode: {mode}"));
    site.good(&["backup"]);
    let copy = Instance::on(product, &site.rdb(), &[]);
    assert_eq!(copy.state(), source.state());
    assert_eq!(copy.digests(), source.digests());
}

fn restored_into_a_running_server(from: Product, mode: &str, into: Product) {
    let source = Instance::start(from, &[]);
    source.seed();
    let site = Site::at(source.port, &format!(", mode: {mode}"));
    site.good(&["backup"]);
    let target = Instance::start(into, &[]);
    site.good(&["restore", "cache", "--into", &target.url()]);
    if from == into {
        assert_eq!(target.state(), source.state());
        assert_eq!(target.digests(), source.digests());
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
