//! Writing the pieces of an archive. Who puts them in order, and counts what is open, is [`super::super::dump`].

use mongodb::bson::{RawDocument, rawdoc};

use super::{Crc, Entry, MAGIC, Namespace, TERMINATOR, VERSION};

/// The magic number and the header: the begin of the prelude. Entries and the terminator follow.
pub fn prelude_begin(concurrent: i32, server_version: &str) -> Vec<u8> {
    let header = rawdoc! {
        "concurrent_collections": concurrent,
        "version": VERSION,
        "server_version": server_version,
        "tool_version": concat!("chupacabra-", env!("CARGO_PKG_VERSION")),
    };
    [&MAGIC, header.as_bytes()].concat()
}

/// One namespace of the prelude.
pub fn prelude_entry(entry: &Entry) -> Vec<u8> {
    rawdoc! {
        "db": entry.namespace.database.as_str(),
        "collection": entry.namespace.collection.as_str(),
        "metadata": entry.metadata.as_str(),
        "size": 0_i32,
        "type": entry.kind.as_str(),
    }
    .into_bytes()
}

/// The last segment of a namespace.
pub fn end(namespace: &Namespace, crc: &Crc) -> Vec<u8> {
    [header(namespace, true, crc.value()).as_slice(), &TERMINATOR].concat()
}

/// Documents of one namespace on their way into one member.
#[derive(Debug)]
pub struct Segment {
    bytes: Vec<u8>,
    header: usize,
}

impl Segment {
    /// An empty segment with room for `capacity` bytes of documents.
    pub fn new(namespace: &Namespace, capacity: usize) -> Self {
        let header = header(namespace, false, 0);
        let mut bytes = Vec::with_capacity(header.len() + capacity + TERMINATOR.len());
        bytes.extend_from_slice(&header);
        Self { header: bytes.len(), bytes }
    }

    /// Appends a document as it is.
    pub fn push(&mut self, document: &RawDocument) {
        self.bytes.extend_from_slice(document.as_bytes());
    }

    /// The documents so far.
    pub fn documents(&self) -> &[u8] {
        &self.bytes[self.header..]
    }

    /// The whole segment, with its terminator.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&TERMINATOR);
        self.bytes
    }
}

fn header(namespace: &Namespace, end: bool, crc: u64) -> Vec<u8> {
    rawdoc! {
        "db": namespace.database.as_str(),
        "collection": namespace.collection.as_str(),
        "EOF": end,
        "CRC": crc.cast_signed(),
    }
    .into_bytes()
}
