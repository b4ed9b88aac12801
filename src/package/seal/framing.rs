//! The first thread: members into the tar stream.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use tokio::sync::mpsc;

use super::{Counters, Totals};
use crate::gather::gather;
use crate::package::error::printable;
use crate::package::gzip::Packer;
use crate::package::index::{Entry, Note};
use crate::package::member::{Content, Header, Large, Settled};
use crate::package::outlet::Parcel;
use crate::package::pulse::Pulse;
use crate::package::{Error, tar};

/// How much is hashed at once: enough for BLAKE3's widest path, little enough for a processor's own cache.
const PIECE: usize = 64 << 10;

/// Frames members and fills the compressor's blocks.
pub(super) struct Framing {
    packer: Packer,
    notes: SyncSender<Note>,
    abandoned: Arc<AtomicBool>,
    counters: Arc<Counters>,
    pulse: Pulse,
    totals: Totals,
    frame: Vec<u8>,
}

/// The compressor or the index has stopped; whatever stopped it has noted why.
fn consequence<E>(_: E) -> Error {
    Error::Abandoned
}

impl Framing {
    pub(super) fn new(
        packer: Packer,
        notes: SyncSender<Note>,
        abandoned: Arc<AtomicBool>,
        counters: Arc<Counters>,
        pulse: Pulse,
    ) -> Self {
        let (totals, frame) = (Totals::default(), Vec::new());
        Self { packer, notes, abandoned, counters, pulse, totals, frame }
    }

    /// Takes parcels until the end, then ends the archive.
    pub(super) fn run(mut self, mut parcels: mpsc::Receiver<Parcel>) -> Result<Totals, Error> {
        loop {
            let parcel = next(&mut parcels, &self.pulse);
            self.look()?;
            match parcel {
                None => return Err(Error::Abandoned),
                Some(Parcel::Member(header, content, lease)) => {
                    self.member(&header, content)?;
                    drop(lease);
                }
                Some(Parcel::Object(object)) => {
                    self.totals.objects += 1;
                    self.notes.send(Note::Object(object)).map_err(consequence)?;
                }
                Some(Parcel::End) => break,
            }
        }
        parcels.close();
        if parcels.blocking_recv().is_some() {
            return Err(Error::Late);
        }
        self.packer.put(tar::end()).map_err(consequence)?;
        self.totals.tar_bytes = self.packer.finish().map_err(consequence)?;
        self.notes.send(Note::Totals(self.totals.clone())).map_err(consequence)?;
        Ok(self.totals)
    }

    fn look(&self) -> Result<(), Error> {
        if self.abandoned.load(Ordering::Relaxed) { Err(Error::Abandoned) } else { Ok(()) }
    }

    fn member(&mut self, header: &Header, content: Content) -> Result<(), Error> {
        let offset = self.packer.position();
        self.pulse.member(&header.path);
        self.frame.clear();
        tar::frame(header, &mut self.frame)
            .map_err(|source| Error::Member { path: printable(&header.path), source })?;
        self.packer.put(&self.frame).map_err(consequence)?;
        let stored = header.stored();
        let mut entry = Entry::of(header, offset);
        let digest = match content {
            Content::Bytes(bytes) => {
                fits(header, bytes.len() as u64)?;
                self.counters.content.fetch_add(stored, Ordering::Relaxed);
                self.put_hashed(&bytes)?
            }
            Content::Hashed(bytes, digest) => {
                fits(header, bytes.len() as u64)?;
                self.counters.content.fetch_add(stored, Ordering::Relaxed);
                self.packer.put(&bytes).map_err(consequence)?;
                digest
            }
            Content::Reader(mut large) => {
                let digest = self.pour(header, &mut *large)?;
                let settled =
                    self.pulse.wait(|| large.settle()).map_err(|source| content_error(header, source))?;
                entry.superseded = settled == Settled::Superseded;
                digest
            }
        };
        self.packer.put(tar::padding(stored)).map_err(consequence)?;
        if header.kind == crate::package::member::Kind::File {
            entry.digest = Some(*digest.as_bytes());
        }
        entry.length = self.packer.position() - offset;
        self.totals.members += 1;
        self.totals.content_bytes += stored;
        self.counters.members.fetch_add(1, Ordering::Relaxed);
        self.notes.send(Note::Member(entry)).map_err(consequence)
    }

    /// Hashes bytes and copies them into the compressor's blocks, a piece at a time: what was just hashed is still in the
    /// processor's cache.
    fn put_hashed(&mut self, bytes: &[u8]) -> Result<blake3::Hash, Error> {
        let mut hasher = blake3::Hasher::new();
        for piece in bytes.chunks(PIECE) {
            hasher.update(piece);
            self.packer.put(piece).map_err(consequence)?;
        }
        Ok(hasher.finalize())
    }

    /// Reads a member's content straight into the compressor's blocks.
    fn pour(&mut self, header: &Header, large: &mut dyn Large) -> Result<blake3::Hash, Error> {
        let stored = header.stored();
        self.pulse.reading(&[&header.path]);
        let mut hasher = blake3::Hasher::new();
        let mut left = stored;
        while left > 0 {
            self.look()?;
            let room = self.packer.room();
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
            let count = self
                .pulse
                .wait(|| read_some(large, &mut room[..most]))
                .map_err(|source| content_error(header, source))?;
            if count == 0 {
                return Err(wrong_size(header, stored - left));
            }
            hasher.update(&room[..count]);
            self.packer.advance(count).map_err(consequence)?;
            left -= count as u64;
            self.counters.content.fetch_add(count as u64, Ordering::Relaxed);
        }
        let mut more = [0; 1];
        match self
            .pulse
            .wait(|| read_some(large, &mut more))
            .map_err(|source| content_error(header, source))?
        {
            0 => Ok(hasher.finalize()),
            _ => Err(wrong_size(header, stored + 1)),
        }
    }
}

/// The next parcel. Where none waits, several may gather first: the compressor has blocks for longer than that.
fn next(parcels: &mut mpsc::Receiver<Parcel>, pulse: &Pulse) -> Option<Parcel> {
    if let Ok(parcel) = parcels.try_recv() {
        return Some(parcel);
    }
    gather();
    pulse.wait(|| parcels.blocking_recv())
}

fn read_some(source: &mut dyn Large, out: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(out) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn content_error(header: &Header, source: io::Error) -> Error {
    Error::Content { path: printable(&header.path), source }
}

fn fits(header: &Header, actual: u64) -> Result<(), Error> {
    if actual == header.stored() { Ok(()) } else { Err(wrong_size(header, actual)) }
}

fn wrong_size(header: &Header, actual: u64) -> Error {
    Error::ContentSize { path: printable(&header.path), expected: header.stored(), actual }
}
