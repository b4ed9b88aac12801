//! Small packages, sealed and opened in memory.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chupacabra::catalog::key::Part;
use chupacabra::catalog::record::{Outcome, VERSION};
use chupacabra::catalog::{Key, Record};
use chupacabra::package::age::{Identity, Recipient, keygen};
use chupacabra::package::digest::ObjectHasher;
use chupacabra::package::index::Entry;
use chupacabra::package::member::{Content, Header, Kind, Object, Time};
use chupacabra::package::open::VisitError;
use chupacabra::package::pipe::{Broken, PipeReader, pipe};
use chupacabra::package::{self, Package, Packed, Settings, Visitor, gzip, seal};
use chupacabra::sources::Consistency;
use chupacabra::stores::Proof;

use super::memory_store::MemoryStore;

/// A key pair of a test.
pub struct Keys {
    /// The identity file's text.
    pub text: String,
    /// The private side.
    pub identities: Vec<Identity>,
    /// The public side.
    pub recipient: Recipient,
}

/// A new key pair.
pub fn keys() -> Keys {
    let (text, recipient) = keygen();
    let identities = Identity::parse_file(&text).unwrap();
    Keys { text, identities, recipient }
}

/// A key for a package of a source.
pub fn key(source: &str) -> Key {
    Key::new(source.parse().unwrap(), "2026-11-21T18:30:00.123Z".parse().unwrap())
}

/// Settings for small packages.
pub fn settings(recipient: &Recipient) -> Settings {
    Settings { level: 1, threads: 2, memory: 8 << 20, recipients: vec![recipient.clone()] }
}

/// A regular file's header.
pub fn file(path: impl Into<Vec<u8>>, size: usize) -> Header {
    let mtime = Time { seconds: 1_700_000_000, nanos: 0 };
    Header { mode: 0o644, ..Header::data(path, "", size as u64, mtime) }
}

/// A header without content.
pub fn empty(path: impl Into<Vec<u8>>, kind: Kind) -> Header {
    Header { kind, ..file(path, 0) }
}

/// One thing that a source hands over.
#[derive(Debug)]
pub enum Step {
    /// A member.
    Member(Header, Content),
    /// An object.
    Object(Object),
}

/// A member with its bytes.
pub fn member(header: Header, bytes: impl Into<Bytes>) -> Step {
    Step::Member(header, Content::Bytes(bytes.into()))
}

/// Collects a pipe. What came before a break is returned with it.
pub async fn collect(mut reader: PipeReader) -> (Vec<u8>, Result<(), Broken>) {
    let mut all = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(bytes)) => all.extend_from_slice(&bytes),
            Ok(None) => return (all, Ok(())),
            Err(broken) => return (all, Err(broken)),
        }
    }
}

/// Seals steps and returns package and index, or the error of `finish`.
pub async fn try_seal(
    settings: &Settings,
    key: &Key,
    steps: impl IntoIterator<Item = Step>,
) -> Result<(Packed, Vec<u8>, Vec<u8>), package::Error> {
    let (package_writer, package_reader) = pipe(2);
    let (index_writer, index_reader) = pipe(2);
    let (outlet, sealing) = seal(settings, &key.to_string(), package_writer, index_writer)?;
    let package = tokio::spawn(collect(package_reader));
    let index = tokio::spawn(collect(index_reader));
    for step in steps {
        let sent = match step {
            Step::Member(header, content) => outlet.leased(header, content, None).await,
            Step::Object(object) => outlet.object(object).await,
        };
        if sent.is_err() {
            break;
        }
    }
    drop(outlet);
    let packed = tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap();
    let (package, package_end) = package.await.unwrap();
    let (index, index_end) = index.await.unwrap();
    assert_eq!(
        packed.is_ok(),
        package_end.is_ok() && index_end.is_ok(),
        "pipes end if and only if it is sound"
    );
    packed.map(|packed| (packed, package, index))
}

/// The record of a sealed package.
pub fn record(key: &Key, packed: &Packed) -> Record {
    Record {
        version: VERSION,
        key: key.clone(),
        kind: "files".into(),
        product: "files".into(),
        finished: "2026-11-21T18:31:00Z".parse().unwrap(),
        outcome: Outcome::Complete,
        package: packed.package.clone(),
        index: packed.index.clone(),
        proof: Proof::ReadBack,
        totals: packed.totals.clone(),
        counts: BTreeMap::new(),
        consistency: Consistency::default(),
        missing: Vec::new(),
        notes: Vec::new(),
        suspicious: None,
        recipients: Vec::new(),
        agent: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Puts a package into a store.
pub fn store(store: &MemoryStore, key: &Key, package: Vec<u8>, index: Vec<u8>) {
    store.put(&key.object(&Part::Package), package);
    store.put(&key.object(&Part::Index), index);
}

/// Seals steps into a new store.
pub async fn sealed(
    keys: &Keys,
    source: &str,
    steps: impl IntoIterator<Item = Step>,
) -> (MemoryStore, Record) {
    let key = key(source);
    let (packed, package, index) = try_seal(&settings(&keys.recipient), &key, steps).await.unwrap();
    let memory = MemoryStore::default();
    store(&memory, &key, package, index);
    (memory, record(&key, &packed))
}

/// A package in a store, with the keys to open it.
pub fn package(store: &MemoryStore, record: &Record, keys: &Keys) -> Package {
    Package::new(Arc::new(store.clone()), record.clone(), keys.identities.clone())
}

/// The bytes of a digest of an object, for records made by hand.
pub fn digest(bytes: &[u8]) -> chupacabra::package::digest::ObjectDigest {
    let mut hasher = ObjectHasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// A visitor that keeps everything.
#[derive(Clone, Default)]
pub struct Keep(pub Arc<Mutex<Vec<(Entry, Header, Vec<u8>)>>>);

impl Visitor for Keep {
    fn member(&mut self, entry: &Entry, header: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        self.0.lock().unwrap().push((entry.clone(), header, bytes));
        Ok(())
    }
}

impl Keep {
    /// What was kept.
    pub fn take(&self) -> Vec<(Entry, Header, Vec<u8>)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// The plain bytes of a sealed object: the tar stream of a package, the lines of an index.
pub fn unseal(identities: &[Identity], object: &[u8]) -> Vec<u8> {
    let opened = package::age::open(identities, object).unwrap();
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(opened).read_to_end(&mut plain).unwrap();
    plain
}

/// Blocks as the program writes them.
pub fn gzipped(plain: &[u8]) -> Vec<u8> {
    let mut engine = gzip::Engine::new(1);
    let (mut all, mut member) = (Vec::new(), Vec::new());
    for block in plain.chunks(gzip::BLOCK) {
        gzip::compress(&mut engine, block, &mut member).unwrap();
        all.extend_from_slice(&member);
    }
    all
}

/// Encrypts bytes as they are.
pub fn encrypted(recipient: &Recipient, bytes: &[u8]) -> Vec<u8> {
    let mut sealed = package::age::seal(std::slice::from_ref(recipient), Vec::new()).unwrap();
    sealed.write_all(bytes).unwrap();
    sealed.finish().unwrap()
}

/// A new object with other plain bytes.
pub fn reseal(recipient: &Recipient, plain: &[u8]) -> Vec<u8> {
    encrypted(recipient, &gzipped(plain))
}
