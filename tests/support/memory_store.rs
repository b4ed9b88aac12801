//! A store in memory that counts what is read from it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chupacabra::clock::Timestamp;
use chupacabra::stores::{Download, Finding, Listed, ObjectName, Store, Upload};
use chupacabra::stores::{Error, Intent, Proof, Reason, Stored};
use futures_util::StreamExt as _;

/// The size of the pieces in which downloads arrive.
const PIECE: usize = 64 * 1024;

/// Named objects, and how many bytes of them were handed out.
#[derive(Clone, Default)]
pub struct MemoryStore {
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
    read: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

impl MemoryStore {
    /// Puts an object there, over whatever was.
    pub fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        self.objects.lock().unwrap().insert(name.to_owned(), bytes.into());
    }

    /// An object's bytes.
    pub fn get(&self, name: &str) -> Bytes {
        self.objects.lock().unwrap().get(name).unwrap_or_else(|| panic!("no object {name}")).clone()
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    /// The bytes handed out since the last call, and the requests for them.
    pub fn take_counts(&self) -> (u64, u64) {
        (self.read.swap(0, Ordering::SeqCst), self.requests.swap(0, Ordering::SeqCst))
    }
}

struct MemoryUpload {
    store: MemoryStore,
    name: ObjectName,
    bytes: Vec<u8>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn create(&self, name: &ObjectName, _: &Intent) -> Result<Box<dyn Upload>, Error> {
        if self.objects.lock().unwrap().contains_key(name.as_str()) {
            return Err(Error::new(Reason::Exists, format!("`{name}` exists")));
        }
        Ok(Box::new(MemoryUpload { store: self.clone(), name: name.clone(), bytes: Vec::new() }))
    }

    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, Error> {
        let object = self.objects.lock().unwrap().get(name.as_str()).cloned();
        let object = object.ok_or_else(|| Error::new(Reason::NotFound, format!("no object `{name}`")))?;
        let range = range.map_or(0..object.len(), |range| {
            usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
        });
        if range.start > range.end || range.end > object.len() {
            return Err(Error::new(Reason::Rejected, format!("`{name}` has no range {range:?}")));
        }
        self.requests.fetch_add(1, Ordering::SeqCst);
        let part = object.slice(range);
        let read = self.read.clone();
        let pieces = (0..part.len()).step_by(PIECE).map(move |start| {
            let piece = part.slice(start..part.len().min(start + PIECE));
            read.fetch_add(piece.len() as u64, Ordering::SeqCst);
            Ok(piece)
        });
        Ok(futures_util::stream::iter(pieces).boxed())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let objects = self.objects.lock().unwrap();
        let listed = objects.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(name, bytes)| {
            Ok(Listed {
                name: ObjectName::new(name.clone())?,
                size: bytes.len() as u64,
                modified: Timestamp::UNIX_EPOCH,
            })
        });
        listed.collect()
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.objects.lock().unwrap().remove(name.as_str());
        Ok(())
    }

    async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }
}

#[async_trait]
impl Upload for MemoryUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Stored, Error> {
        let size = self.bytes.len() as u64;
        let mut objects = self.store.objects.lock().unwrap();
        if objects.contains_key(self.name.as_str()) {
            return Err(Error::new(Reason::Exists, format!("`{}` exists", self.name)));
        }
        objects.insert(self.name.as_str().to_owned(), self.bytes.into());
        Ok(Stored { size, proof: Proof::ReadBack })
    }

    async fn abort(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}
