//! Reading primitives of the RDB format from pieces that arrive one by one.

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use super::{Error, lzf};

/// Where the bytes come from, and where they go once the walker is through with them.
pub trait Feed {
    /// Whether [`passed`](Self::passed) must stop exactly before and after each value: then a payload can be cut out.
    const MARKS: bool;

    /// The next piece, waiting for it; `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>, Error>;

    /// Takes bytes that have been walked, in order, each once.
    fn passed(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// The walker stands between two items, with `_pending` walked bytes not yet passed. `true` asks for them now.
    fn boundary(&mut self, _pending: usize) -> Result<bool, Error> {
        Ok(false)
    }

    /// What is passed from now on is the value of type `_code`. Only with [`MARKS`](Self::MARKS).
    fn begins(&mut self, _code: u8) {}

    /// The value has been passed whole. Only with [`MARKS`](Self::MARKS).
    fn ends(&mut self) {}
}

/// A length as the format has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// A number.
    Plain(u64),
    /// The encoding of a string that follows.
    Encoded(u8),
}

/// The longest string that is taken in one allocation before its bytes have arrived.
const TRUSTED: usize = 1 << 16;

/// Reads primitives and hands what it has read on to the feed.
pub struct Reader<F> {
    pub(super) feed: F,
    piece: Bytes,
    at: usize,
    handed: usize,
    /// Where the present piece begins in the stream.
    base: u64,
    crc: crc_fast::Digest,
    scratch: Vec<u8>,
    text: Vec<u8>,
}

impl<F: Feed> Reader<F> {
    pub(super) fn new(feed: F) -> Self {
        Self {
            feed,
            piece: Bytes::new(),
            at: 0,
            handed: 0,
            base: 0,
            crc: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Redis),
            scratch: Vec::new(),
            text: Vec::new(),
        }
    }

    /// How many bytes have been read.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// How many bytes have been read and not yet handed on.
    pub(super) fn pending(&self) -> usize {
        self.at - self.handed
    }

    /// Hands everything that has been read on to the feed.
    pub(super) fn hand_on(&mut self) -> Result<(), Error> {
        if self.handed < self.at {
            let bytes = &self.piece[self.handed..self.at];
            self.crc.update(bytes);
            self.feed.passed(bytes)?;
            self.handed = self.at;
        }
        Ok(())
    }

    /// The checksum of everything handed on so far.
    pub(super) fn checksum(&self) -> u64 {
        self.crc.finalize()
    }

    /// Makes at least one byte available, or says that there is none.
    fn fill(&mut self) -> Result<bool, Error> {
        while self.at == self.piece.len() {
            self.hand_on()?;
            self.base += self.piece.len() as u64;
            (self.at, self.handed) = (0, 0);
            self.piece = Bytes::new();
            match self.feed.next()? {
                Some(piece) => self.piece = piece,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether there is nothing more.
    pub(super) fn is_at_end(&mut self) -> Result<bool, Error> {
        Ok(!self.fill()?)
    }

    #[inline]
    fn need(&mut self, what: &'static str) -> Result<(), Error> {
        if self.at < self.piece.len() || self.fill()? {
            Ok(())
        } else {
            Err(Error::Truncated { at: self.offset(), what })
        }
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, Error> {
        self.need(what)?;
        let byte = self.piece[self.at];
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        let mut filled = 0;
        while filled < N {
            self.need(what)?;
            let some = (N - filled).min(self.piece.len() - self.at);
            array[filled..filled + some].copy_from_slice(&self.piece[self.at..self.at + some]);
            self.at += some;
            filled += some;
        }
        Ok(array)
    }

    /// Shows the next `count` bytes in pieces.
    pub(super) fn pieces(
        &mut self,
        count: u64,
        what: &'static str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        let mut left = count;
        while left > 0 {
            self.need(what)?;
            let some = usize::try_from(left).unwrap_or(usize::MAX).min(self.piece.len() - self.at);
            each(&self.piece[self.at..self.at + some]);
            self.at += some;
            left -= some as u64;
        }
        Ok(())
    }

    /// Where the next `count` bytes end, if all of them are in the present piece.
    fn end_of(&self, count: u64) -> Option<usize> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.piece.len() - self.at)?;
        Some(self.at + count)
    }

    /// Appends the next `count` bytes; memory grows with what arrives, not with what was claimed.
    pub(super) fn take(&mut self, count: u64, into: &mut Vec<u8>, what: &'static str) -> Result<(), Error> {
        if let Some(end) = self.end_of(count) {
            into.extend_from_slice(&self.piece[self.at..end]);
            self.at = end;
            return Ok(());
        }
        into.reserve(usize::try_from(count).unwrap_or(usize::MAX).min(TRUSTED));
        self.pieces(count, what, |piece| into.extend_from_slice(piece))
    }

    pub(super) fn length(&mut self, what: &'static str) -> Result<Length, Error> {
        let first = self.byte(what)?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first)),
            1 => Length::Plain(u64::from(first & 0x3F) << 8 | u64::from(self.byte(what)?)),
            2 if first == 0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array(what)?))),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array(what)?)),
            2 => return Err(Error::Malformed { what, at: self.offset() }),
            _ => Length::Encoded(first & 0x3F),
        })
    }

    /// A length that must be a number.
    pub(super) fn count(&mut self, what: &'static str) -> Result<u64, Error> {
        match self.length(what)? {
            Length::Plain(count) => Ok(count),
            Length::Encoded(_) => Err(Error::Malformed { what, at: self.offset() }),
        }
    }

    /// Appends the content of the string that follows, whatever its encoding, and returns its length.
    pub(super) fn string(&mut self, into: &mut Vec<u8>, what: &'static str) -> Result<u64, Error> {
        let start = into.len();
        match self.length(what)? {
            Length::Plain(count) => self.take(count, into, what)?,
            Length::Encoded(encoding @ 0..=2) => {
                let number = match encoding {
                    0 => i32::from(i8::from_le_bytes(self.array(what)?)),
                    1 => i32::from(i16::from_le_bytes(self.array(what)?)),
                    _ => i32::from_le_bytes(self.array(what)?),
                };
                into.extend_from_slice(number.to_string().as_bytes());
            }
            Length::Encoded(3) => self.compressed(into, what)?,
            Length::Encoded(other) => {
                let (what, code, at) = ("string encoding", u64::from(other), self.offset());
                return Err(Error::Unknown { what, code, at, after: String::new() });
            }
        }
        Ok((into.len() - start) as u64)
    }

    fn compressed(&mut self, into: &mut Vec<u8>, what: &'static str) -> Result<(), Error> {
        let packed = self.count(what)?;
        let size = self.count(what)?;
        let unpack =
            |packed: &[u8], into| usize::try_from(size).is_ok_and(|size| lzf::decompress(packed, size, into));
        let sound = if let Some(end) = self.end_of(packed) {
            let sound = unpack(&self.piece[self.at..end], into);
            self.at = end;
            sound
        } else {
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.clear();
            self.take(packed, &mut scratch, what)?;
            let sound = unpack(&scratch, into);
            release(&mut scratch);
            self.scratch = scratch;
            sound
        };
        if sound { Ok(()) } else { Err(Error::Malformed { what: "LZF string", at: self.offset() }) }
    }

    /// The XXH3-128 hash and the length of the content of the string that follows; a long one is not held.
    pub(super) fn hash_string(&mut self, what: &'static str) -> Result<(u128, u64), Error> {
        self.need(what)?;
        let first = self.piece[self.at];
        if first >> 6 == 3 {
            let mut text = std::mem::take(&mut self.text);
            text.clear();
            let length = self.string(&mut text, what)?;
            let hash = xxhash_rust::xxh3::xxh3_128(&text);
            release(&mut text);
            self.text = text;
            return Ok((hash, length));
        }
        let length = self.count(what)?;
        if let Some(end) = self.end_of(length) {
            let hash = xxhash_rust::xxh3::xxh3_128(&self.piece[self.at..end]);
            self.at = end;
            return Ok((hash, length));
        }
        let mut hasher = Xxh3::new();
        self.pieces(length, what, |piece| hasher.update(piece))?;
        Ok((hasher.digest128(), length))
    }
}

/// Empties a buffer, and gives its memory back if one large value has made it large.
pub(super) fn release(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(1 << 20);
}
