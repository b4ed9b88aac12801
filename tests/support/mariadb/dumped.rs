//! A dump sealed in this process, as a package in a store in memory.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Command;

use chupacabra::catalog::record::Record;
use chupacabra::config::context::Context;
use chupacabra::package::digest::Fingerprint;
use chupacabra::package::index::Line;
use chupacabra::package::pipe::pipe;
use chupacabra::package::{Package, Settings, seal};
use chupacabra::sources::Summary;
use chupacabra::sources::mariadb::{Config, Error, MariaDb as Source};
use tokio_util::sync::CancellationToken;

use crate::support::mariadb::MariaDb;
use crate::support::memory_store::MemoryStore;
use crate::support::package::{self, Keys, collect};
use crate::support::{run, scratch, tool};

/// A dump in a package.
pub struct Dumped {
    keys: Keys,
    bytes: Vec<u8>,
    store: MemoryStore,
    pub package: Package,
    pub objects: BTreeMap<String, Fingerprint>,
    pub summary: Summary,
}

impl Dumped {
    /// What stock tools get out of the package: `age -d -i key P | tar xzO PATHS…`, in archive order.
    pub fn script(&self, paths: &[&str]) -> Vec<u8> {
        let dir = scratch();
        let (key, package) = (dir.path().join("key"), dir.path().join("package"));
        std::fs::write(&key, &self.keys.text).unwrap();
        std::fs::write(&package, &self.bytes).unwrap();
        let line = "age -d -i \"$1\" \"$2\" | tar xzO \"${@:3}\"";
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", line, "-"]).arg(&key).arg(&package).args(paths);
        tool("age");
        run(&mut command).stdout
    }
}

/// A configuration that reaches this server as root.
pub fn config(server: &MariaDb) -> Config {
    Config {
        host: Some("127.0.0.1".to_owned()),
        port: Some(server.port),
        user: "root".to_owned(),
        ..Config::default()
    }
}

/// The source of a configuration.
pub fn source(config: Config) -> Source {
    let mut context = Context::default();
    let plan = config.plan(&mut context);
    let problems = context.into_problems();
    assert!(problems.is_empty(), "{problems:?}");
    Source::new(plan.unwrap())
}

/// Dumps into a package. A dump that fails leaves none.
pub async fn dump(config: Config) -> Result<Dumped, Error> {
    dump_during(config, |_| {}).await
}

/// Dumps into a package while `meanwhile` looks at the bytes that come out.
pub async fn dump_during(
    config: Config,
    mut meanwhile: impl FnMut(usize) + Send + 'static,
) -> Result<Dumped, Error> {
    let keys = package::keys();
    let settings = Settings { memory: 16 << 20, ..package::settings(&keys.recipient) };
    let key = package::key("mariadb");
    let (package_writer, mut package_reader) = pipe(2);
    let (index_writer, index_reader) = pipe(2);
    let (outlet, sealing) = seal(&settings, &key.to_string(), package_writer, index_writer).unwrap();
    let bytes = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Ok(Some(bytes)) = package_reader.next().await {
            all.extend_from_slice(&bytes);
            meanwhile(all.len());
        }
        all
    });
    let index = tokio::spawn(collect(index_reader));
    let summary = source(config).dump(outlet, &CancellationToken::new()).await?;
    let packed = tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap().unwrap();
    let bytes = bytes.await.unwrap();
    let (index, end) = index.await.unwrap();
    end.unwrap();
    let store = MemoryStore::default();
    package::store(&store, &key, bytes.clone(), index);
    let record = Record { product: product(&keys, &bytes), ..package::record(&key, &packed) };
    let package = package::package(&store, &record, &keys);
    let lines = std::sync::Arc::new(std::sync::Mutex::new((BTreeMap::new(), Vec::new())));
    let seen = lines.clone();
    package
        .index(move |line| {
            let mut seen = seen.lock().unwrap();
            match line {
                Line::Entry(entry) => seen.1.push(String::from_utf8(entry.path).unwrap()),
                Line::Object(object) => {
                    assert!(seen.0.insert(object.name, object.fingerprint).is_none(), "named twice");
                }
            }
            Ok(())
        })
        .await
        .unwrap();
    let (objects, _) = std::mem::take(&mut *lines.lock().unwrap());
    Ok(Dumped { keys, bytes, store, package, objects, summary })
}

/// A package whose record names another product.
pub async fn dump_as(config: Config, product: &str) -> Package {
    let dumped = dump(config).await.unwrap();
    let record = Record { product: product.to_owned(), ..dumped.package.record().clone() };
    package::package(&dumped.store, &record, &dumped.keys)
}

/// What was dumped, as the package itself says.
fn product(keys: &Keys, package: &[u8]) -> String {
    let mut start = vec![0; 1024];
    let opened = chupacabra::package::age::open(&keys.identities, package).unwrap();
    flate2::read::MultiGzDecoder::new(opened).read_exact(&mut start).unwrap();
    let start = String::from_utf8_lossy(&start);
    let (_, rest) = start.split_once("-- # Dump of ").unwrap();
    rest.split_once(" by ").unwrap().0.to_owned()
}

/// A configuration of one database only.
pub fn only(server: &MariaDb, database: &str) -> Config {
    Config { databases: vec![database.to_owned()], ..config(server) }
}
