//! Reading parts of an object by ranges.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fetch::Fetch;
use super::{Error, Reading, age};
use crate::catalog::key::Part;
use crate::stores::ObjectName;

/// The plain and the sealed size of age's chunks.
const CHUNK: u64 = 64 * 1024;
const SEALED_CHUNK: u64 = CHUNK + 16;
/// What one request asks for where nothing better is known: a header, the last chunk.
const WINDOW: u64 = 16 * 1024;
/// A gap that is cheaper to read over than to ask anew for what is behind it.
const SKIP: u64 = 64 * 1024;

/// An object as something to seek in. Only what is read is fetched, in requests of about the expected length.
struct Seekable {
    reading: Reading,
    name: ObjectName,
    size: u64,
    position: u64,
    open: Option<(Fetch, Range<u64>)>,
    expected: Arc<AtomicU64>,
}

impl Seekable {
    /// Makes sure that the next byte comes from an open download, if there is a next byte.
    fn fetch(&mut self) -> io::Result<Option<&mut Fetch>> {
        if self.position >= self.size {
            return Ok(None);
        }
        let near = match &self.open {
            Some((_, range)) => {
                range.start <= self.position && self.position < range.end.min(range.start + SKIP)
            }
            None => false,
        };
        if near {
            if let Some((fetch, range)) = &mut self.open {
                let skipped = io::copy(&mut fetch.take(self.position - range.start), &mut io::sink())?;
                range.start += skipped;
            }
        } else {
            let length = self.expected.load(Ordering::Relaxed).max(WINDOW);
            let range = self.position..self.size.min(self.position.saturating_add(length));
            let Reading { package, runtime, stop } = &self.reading;
            let (store, name) = (package.store.clone(), self.name.clone());
            let fetch = Fetch::start(runtime, store, name, Some(range.clone()), stop.clone());
            self.open = Some((fetch, range));
        }
        Ok(self.open.as_mut().map(|(fetch, _)| fetch))
    }
}

impl Read for Seekable {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let Some(fetch) = self.fetch()? else { return Ok(0) };
        let count = fetch.read(out)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        if let Some((_, range)) = &mut self.open {
            range.start += count as u64;
            if range.is_empty() {
                self.open = None;
            }
        }
        Ok(count)
    }
}

impl Seek for Seekable {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Reads some ranges of a package's gzip stream, one after the other.
pub(super) struct Ranges {
    source: age::Opened<Seekable>,
    waiting: VecDeque<Range<u64>>,
    expected: Arc<AtomicU64>,
    left: u64,
}

impl Ranges {
    /// Opens the package object and stands before the first range.
    pub(super) fn open(reading: &Reading, ranges: VecDeque<Range<u64>>) -> Result<Self, Error> {
        let expected = Arc::new(AtomicU64::new(0));
        let seekable = Seekable {
            reading: reading.clone(),
            name: reading.name(&Part::Package)?,
            size: reading.package.record.package.size,
            position: 0,
            open: None,
            expected: expected.clone(),
        };
        let source = age::open(&reading.package.identities, seekable)?;
        Ok(Self { source, waiting: ranges, expected, left: 0 })
    }
}

impl Read for Ranges {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let Some(range) = self.waiting.pop_front() else { return Ok(0) };
            // Whole chunks are fetched: those that the range begins and ends in as well.
            let chunks = (range.start % CHUNK + (range.end - range.start)).div_ceil(CHUNK);
            // The first seek reads the object's last chunk, which proves its length; that needs no large window.
            self.expected.store(SEALED_CHUNK, Ordering::Relaxed);
            self.source.seek(SeekFrom::Start(range.start - range.start % CHUNK))?;
            self.expected.store(chunks * SEALED_CHUNK, Ordering::Relaxed);
            self.source.seek(SeekFrom::Start(range.start))?;
            self.left = range.end - range.start;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let count = self.source.read(&mut out[..most])?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}
