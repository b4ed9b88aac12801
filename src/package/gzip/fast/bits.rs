//! A stream of bits, the least significant first (RFC 1951, 3.1.1).

/// Writes bits into room that is known to suffice.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    out: &'a mut [u8],
    at: usize,
    buffer: u64,
    /// Bits in the buffer; below 8 after each [`flush`](Self::flush).
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, buffer: 0, count: 0 }
    }

    /// Adds the low `count` bits of a value that has no others. Between two flushes at most 56 bits may be added.
    #[inline]
    pub(super) fn add(&mut self, value: u64, count: u32) {
        self.buffer |= value << self.count;
        self.count += count;
    }

    /// Writes whole bytes. Needs room for eight, whatever it writes.
    #[inline]
    pub(super) fn flush(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.buffer.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.buffer >>= self.count & !7;
        self.count &= 7;
    }

    /// Adds and flushes.
    pub(super) fn put(&mut self, value: u64, count: u32) {
        self.add(value, count);
        self.flush();
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self) {
        self.put(0, (8 - self.count) % 8);
    }

    /// Copies whole bytes. The stream must be aligned.
    pub(super) fn copy(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// Ends the stream and returns its length in bytes.
    pub(super) fn finish(mut self) -> usize {
        self.align();
        self.at
    }
}
