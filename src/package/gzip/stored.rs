//! Blocks that would not shrink: found by a look at some of their bytes, and stored as they are (RFC 1951, 3.2.4).

/// The most bytes of one stored deflate block.
const MOST: usize = 0xffff;

/// The bytes that are looked at, in pieces spread over the whole block.
const LOOK: usize = 32 << 10;
const PIECE: usize = 1 << 10;

/// The size of the pieces that are compressed to be sure.
const SAMPLE: usize = 16 << 10;

/// The length of `plain` bytes as stored deflate blocks.
pub(super) fn length(plain: usize) -> usize {
    plain + 5 * plain.div_ceil(MOST).max(1)
}

/// Whether all byte values are about equally frequent, as in what is compressed or encrypted already.
///
/// For `n` random bytes the squares of the 256 counts add up to about `n + n² / 256`; text is many times above it.
pub(super) fn is_flat(plain: &[u8]) -> bool {
    if plain.len() < 2 * LOOK {
        return false;
    }
    let mut counts = [0_u64; 256];
    for piece in plain.chunks_exact(plain.len() / (LOOK / PIECE)) {
        for byte in &piece[..PIECE] {
            counts[usize::from(*byte)] += 1;
        }
    }
    let looked: u64 = counts.iter().sum();
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    let random = looked + looked * looked / 256;
    squares * 100 <= random * 110
}

/// Two pieces of the block, to be compressed by way of trial.
pub(super) fn samples(plain: &[u8]) -> [&[u8]; 2] {
    let middle = plain.len() / 2;
    [&plain[..SAMPLE.min(plain.len())], &plain[middle..(middle + SAMPLE).min(plain.len())]]
}

/// Writes `plain` as stored blocks and returns their length. `out` has room for [`length`] bytes.
pub(super) fn write(plain: &[u8], out: &mut [u8]) -> usize {
    let mut at = 0;
    let mut left = plain.chunks(MOST).peekable();
    while let Some(chunk) = left.next() {
        // MOST fits, so the conversion keeps every bit.
        let size = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out[at] = u8::from(left.peek().is_none());
        out[at + 1..at + 3].copy_from_slice(&size.to_le_bytes());
        out[at + 3..at + 5].copy_from_slice(&(!size).to_le_bytes());
        out[at + 5..at + 5 + chunk.len()].copy_from_slice(chunk);
        at += 5 + chunk.len();
    }
    at
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Bytes of a generator with a period far beyond what is looked at (xorshift64*).
    fn noise(size: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
        };
        (0..size).map(|_| next()).collect()
    }

    #[test]
    fn stored_blocks_are_what_any_reader_reads() {
        for size in [1, MOST - 1, MOST, MOST + 1, 2 * MOST, 300_000] {
            let plain = noise(size);
            let mut out = vec![0; length(size)];
            assert_eq!(write(&plain, &mut out), out.len());
            let mut back = Vec::new();
            flate2::read::DeflateDecoder::new(&out[..]).read_to_end(&mut back).unwrap();
            assert!(back == plain, "{size} bytes");
        }
    }

    #[test]
    fn noise_is_flat_and_text_is_not() {
        assert!(is_flat(&noise(1 << 20)));
        let text: Vec<u8> = (0..200_000).flat_map(|n| format!("{n} ").into_bytes()).collect();
        assert!(!is_flat(&text));
        let mut mixed = noise(1 << 20);
        mixed[..300_000].copy_from_slice(&text[..300_000]);
        assert!(!is_flat(&mixed), "a third of it is text");
    }

    #[test]
    fn noise_that_repeats_still_shrinks() {
        let mut member = Vec::new();
        let plain = noise(5_003).repeat(200);
        let mut engine = super::super::Engine::new(1);
        assert!(is_flat(&plain));
        super::super::compress(&mut engine, &plain, &mut member).unwrap();
        assert!(member.len() < plain.len() / 2);
        super::super::compress(&mut engine, &noise(1 << 20), &mut member).unwrap();
        assert!(member.len() < (1 << 20) + 200, "{}", member.len());
    }
}
