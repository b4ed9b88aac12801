//! A stream of bits, the least significant first (RFC 1951, 3.1.1).

/// Some bits and how many they are, 50 at most: the bits at the top of a word, their number at its bottom.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Code(u64);

impl Code {
    /// The low `count` bits of a value that has no others.
    #[inline]
    pub(super) fn new(value: u64, count: u32) -> Self {
        Self((value << 1) << (63 - count) | u64::from(count))
    }

    /// With its last `count` bits, which were zeros, set to a value that has no others.
    #[inline]
    pub(super) fn ending(self, value: u64, count: u32) -> Self {
        // Of no bits the value is zero wherever it is shifted to.
        Self(self.0 | value.wrapping_shl(count.wrapping_neg()))
    }
}

/// Writes bits into room that is known to suffice.
///
/// The newest bit is the highest of the buffer, so that one shift both makes room for a code and puts the older bits
/// below it. What is below the bits that count has no meaning: bits that were written, and numbers of bits.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    out: &'a mut [u8],
    at: usize,
    buffer: u64,
    /// In its lowest six bits, how many bits count; below 8 after each [`flush`](Self::flush).
    count: u64,
}

impl<'a> Bits<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, buffer: 0, count: 0 }
    }

    /// Adds bits. Between two flushes at most 50 may be added.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a shift goes by the lowest six bits")]
    pub(super) fn add(&mut self, code: Code) {
        self.buffer = self.buffer.wrapping_shr(code.0 as u32) | code.0;
        self.count = self.count.wrapping_add(code.0);
    }

    /// Writes whole bytes. Needs room for eight, whatever it writes.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a shift goes by the lowest six bits")]
    pub(super) fn flush(&mut self) {
        let word = self.buffer.wrapping_shr(0_u32.wrapping_sub(self.count as u32));
        self.out[self.at..self.at + 8].copy_from_slice(&word.to_le_bytes());
        self.at += (self.count as usize & 63) / 8;
        self.count &= 7;
    }

    /// Adds and flushes; 50 bits at most.
    pub(super) fn put(&mut self, value: u64, count: u32) {
        self.add(Code::new(value, count));
        self.flush();
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self) {
        self.put(0, (8 - (self.count & 7) as u32) % 8);
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
