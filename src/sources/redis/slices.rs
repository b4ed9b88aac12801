//! Cutting an RDB stream into members while the walker passes over it.
//!
//! Members are cut between keys once they have [`SLICE`] bytes, and inside a value only when one value alone is
//! larger than that by [`SLICE`]: so memory does not depend on the values.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::rdb::{self, Feed};
use crate::package::budget::Budget;
use crate::package::member::{Content, Header, Time};
use crate::package::outlet::{Closed, Outlet};

/// The size of a member, in bytes.
pub(super) const SLICE: usize = 2 << 20;

/// Bytes of members that may wait: enough to keep the package busy, as the source is one stream.
const WAITING: usize = 2 * SLICE;

/// Bytes of the magic, before which nothing can be added.
const MAGIC: usize = 9;

/// Takes the walked bytes and hands them over as members.
pub(super) struct Slices {
    pieces: mpsc::Receiver<Bytes>,
    outlet: Outlet,
    mtime: Time,
    slice: Vec<u8>,
    count: u64,
    due: bool,
    added: Option<Added>,
    budget: Budget,
}

/// Metadata that is added to the file, and the checksum that becomes of it.
struct Added {
    fields: Vec<u8>,
    sum: crc_fast::Digest,
}

impl Slices {
    /// Cuts what comes through `pieces`, with `fields` added behind the magic.
    pub(super) fn new(pieces: mpsc::Receiver<Bytes>, outlet: Outlet, mtime: Time, fields: Vec<u8>) -> Self {
        let sum = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Redis);
        let added = (!fields.is_empty()).then_some(Added { fields, sum });
        let budget = Budget::new(WAITING.min(outlet.budget().total()));
        Self { pieces, outlet, mtime, slice: Vec::new(), count: 0, due: false, added, budget }
    }

    /// Hands over what is left, with the checksum that is right for it.
    pub(super) fn finish(mut self, checked: bool) -> Result<u64, Closed> {
        if let Some(mut added) = self.added.take() {
            let body = self.slice.len().saturating_sub(8);
            added.sum.update(&self.slice[..body]);
            self.slice.truncate(body);
            let sum = if checked { added.sum.finalize() } else { 0 };
            self.slice.extend_from_slice(&sum.to_le_bytes());
        }
        self.cut()?;
        Ok(self.count)
    }

    fn cut(&mut self) -> Result<(), Closed> {
        self.due = false;
        let mut whole = std::mem::take(&mut self.slice);
        if let Some(added) = &mut self.added {
            // The last eight bytes may be the checksum, which will be another.
            self.slice = whole.split_off(whole.len().saturating_sub(8));
            added.sum.update(&whole);
        }
        if whole.is_empty() {
            return Ok(());
        }
        self.count += 1;
        let path = format!("dump/{:06}.rdb", self.count);
        let header = Header::data(path, "dump", whole.len() as u64, self.mtime);
        let lease = self.budget.take_blocking(whole.len());
        self.outlet.leased_blocking(header, Content::Bytes(whole.into()), Some(lease))
    }
}

fn stopped(closed: Closed) -> rdb::Error {
    rdb::Error::Stopped(Box::new(closed))
}

impl Feed for Slices {
    const MARKS: bool = false;

    fn next(&mut self) -> Result<Option<Bytes>, rdb::Error> {
        Ok(self.pieces.blocking_recv())
    }

    fn passed(&mut self, bytes: &[u8]) -> Result<(), rdb::Error> {
        if self.slice.capacity() == 0 {
            self.slice.reserve_exact(SLICE + SLICE / 8);
        }
        let first = self.slice.is_empty() && self.count == 0;
        self.slice.extend_from_slice(bytes);
        if let (true, Some(added)) = (first && bytes.len() == MAGIC, &self.added) {
            self.slice.extend_from_slice(&added.fields);
        }
        if self.due || self.slice.len() >= 2 * SLICE {
            self.cut().map_err(stopped)?;
        }
        Ok(())
    }

    fn boundary(&mut self, pending: usize) -> Result<bool, rdb::Error> {
        if self.slice.len() + pending < SLICE {
            return Ok(false);
        }
        self.due = pending > 0;
        if !self.due {
            self.cut().map_err(stopped)?;
        }
        Ok(self.due)
    }
}
