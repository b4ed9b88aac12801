//! Finding repetitions: what a part consists of is told as literals and matches.

use super::PART;
use super::codes::{self, LENGTHS, SHORTEST};

/// The bytes that a hash is made of: shorter repetitions are not found, and would gain little far away.
const HASHED: usize = 6;
/// The table takes 64 KiB: half of it would be a few percent faster and find fewer.
const TABLE_BITS: u32 = 15;
/// The farthest distance (RFC 1951, 3.2.5), as a power of two.
const WINDOW_BITS: u32 = 15;
/// In the last so many bytes of a block nothing is looked for, so that whole words can be read wherever something is.
const TAIL: usize = 24;
/// Of so many positions the first three are noted, which one word of eight bytes holds, and two of those looked up: what
/// begins at one of the others is found behind its begin, and goes back to it.
const STEP: usize = 4;
const LOOKED_UP: [usize; 2] = [0, 2];
/// After so many bytes without a repetition one more position is skipped each time.
const PATIENCE: usize = 48;

/// Some literals, and a repetition behind them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Match {
    pub(super) literals: u32,
    /// How far back the repeated bytes begin, 1 to 32,768.
    pub(super) distance: u16,
    /// The length beyond [`SHORTEST`].
    pub(super) length: u8,
    /// The distance's symbol.
    pub(super) symbol: u8,
}

/// What a part consists of.
#[derive(Debug)]
pub(super) struct Found {
    matches: Vec<Match>,
    /// All literals, and then bytes without meaning.
    literals: Vec<u8>,
    matched: usize,
    literal: usize,
    /// How often each length was found, beyond [`SHORTEST`].
    pub(super) lengths: [u32; LENGTHS],
    /// How often each distance's symbol was found.
    pub(super) distances: [u32; codes::DISTANCES],
}

impl Default for Found {
    fn default() -> Self {
        Self {
            matches: vec![Match::default(); PART / HASHED + 1],
            literals: vec![0; PART + 16],
            matched: 0,
            literal: 0,
            lengths: [0; LENGTHS],
            distances: [0; codes::DISTANCES],
        }
    }
}

impl Found {
    pub(super) fn matches(&self) -> &[Match] {
        &self.matches[..self.matched]
    }

    /// All literals in order; those behind the last match too.
    pub(super) fn literals(&self) -> &[u8] {
        &self.literals[..self.literal]
    }

    /// The literals with at least eight bytes behind them.
    pub(super) fn padded_literals(&self) -> &[u8] {
        &self.literals
    }

    fn clear(&mut self) {
        (self.matched, self.literal) = (0, 0);
        self.lengths.fill(0);
        self.distances.fill(0);
    }

    /// Takes the literals from `from` to `to`. Most runs are short: 16 bytes are copied whatever their number is.
    #[inline]
    fn take(&mut self, plain: &[u8], from: usize, to: usize) {
        let count = to - from;
        if count <= 16 && from + 16 <= plain.len() {
            self.literals[self.literal..self.literal + 16].copy_from_slice(&plain[from..from + 16]);
        } else {
            self.literals[self.literal..self.literal + count].copy_from_slice(&plain[from..to]);
        }
        self.literal += count;
    }
}

/// Looks for repetitions in one block after the other.
#[derive(Debug)]
pub(super) struct Finder {
    /// Where a hash was last seen, modulo 64 KiB. At a block's begin all are zero: a position that a block has.
    table: Box<[u16; 1 << TABLE_BITS]>,
    codes: codes::Symbols,
    found: Found,
}

impl Default for Finder {
    #[allow(clippy::large_stack_arrays, reason = "64 KiB, on their way into a box")]
    fn default() -> Self {
        Self {
            table: Box::new([0; 1 << TABLE_BITS]),
            codes: codes::Symbols::default(),
            found: Found::default(),
        }
    }
}

/// A repetition: where, and where the same bytes stand before.
#[derive(Clone, Copy)]
struct Hit {
    at: usize,
    earlier: usize,
}

impl Hit {
    /// Where the repetition begins, eight bytes before it was found at most, and not before `from`.
    #[inline]
    fn begin(self, plain: &[u8], from: usize) -> Self {
        if self.earlier < 8 {
            return self;
        }
        let differ = word(plain, self.at - 8) ^ word(plain, self.earlier - 8);
        let back = ((differ.leading_zeros() / 8) as usize).min(self.at - from);
        Self { at: self.at - back, earlier: self.earlier - back }
    }
}

impl Finder {
    /// Forgets the block before.
    pub(super) fn begin(&mut self) {
        self.table.fill(0);
    }

    /// What [`find`](Self::find) found last.
    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    /// Takes a part of the block that begins at `start`, and returns where it ends.
    pub(super) fn find(&mut self, plain: &[u8], start: usize) -> usize {
        let end = plain.len().min(start + PART);
        let stop = end.min(plain.len().saturating_sub(TAIL));
        self.found.clear();
        let mut taken = start;
        while let Some(hit) = self.next(plain, taken, stop) {
            let length = equal(plain, hit);
            self.found.take(plain, taken, hit.at);
            self.note(hit.at - taken, hit.at - hit.earlier, length);
            taken = hit.at + length;
            if taken < stop {
                self.exchange(word(plain, taken - 2), taken - 2);
            }
        }
        let end = end.max(taken);
        self.found.take(plain, taken, end);
        end
    }

    /// The first repetition from `from` on that is found before `stop`.
    #[inline]
    fn next(&mut self, plain: &[u8], from: usize, stop: usize) -> Option<Hit> {
        let (mut at, mut step, mut patience) = (from, STEP, from + PATIENCE);
        while at < stop {
            let here = word(plain, at);
            let words = [here, here >> 8, here >> 16];
            let distances = [
                self.exchange(words[0], at),
                self.exchange(words[1], at + 1),
                self.exchange(words[2], at + 2),
            ];
            for number in LOOKED_UP {
                let (at, distance) = (at + number, distances[number]);
                // Whatever stood here last stands in the block, or `exchange` would not have said so.
                let earlier = at.wrapping_sub(usize::from(distance));
                // One test of both, because alone neither can be foretold: the bytes are equal, the distance in 1..=32768.
                let differ = (words[number] ^ word(plain, earlier)) << (64 - 8 * HASHED);
                if differ | u64::from(distance.wrapping_sub(1) >> WINDOW_BITS) == 0 {
                    return Some(Hit { at, earlier }.begin(plain, from));
                }
            }
            if at >= patience {
                step += 1;
                patience += PATIENCE;
            }
            at += step;
        }
        None
    }

    /// Notes a position and returns the distance to the one that was noted for its hash before, modulo 64 KiB.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "positions are noted modulo 64 KiB")]
    fn exchange(&mut self, bytes: u64, at: usize) -> u16 {
        let hash = (bytes << (64 - 8 * HASHED)).wrapping_mul(0x9e37_79b1_85eb_ca87) >> (64 - TABLE_BITS);
        let noted = &mut self.table[hash as usize];
        let distance = (at as u16).wrapping_sub(*noted);
        *noted = at as u16;
        distance
    }

    #[inline]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a part has 128 KiB, lengths end at 258, distances at 32,768"
    )]
    fn note(&mut self, literals: usize, distance: usize, length: usize) {
        let symbol = self.codes.distance(distance);
        let length = (length - usize::from(SHORTEST)) as u8;
        self.found.lengths[usize::from(length)] += 1;
        self.found.distances[usize::from(symbol) % codes::DISTANCES] += 1;
        self.found.matches[self.found.matched] =
            Match { literals: literals as u32, distance: distance as u16, length, symbol };
        self.found.matched += 1;
    }
}

/// How many bytes are equal, 258 at most.
#[inline]
fn equal(plain: &[u8], hit: Hit) -> usize {
    let differ = long_word(plain, hit.at) ^ long_word(plain, hit.earlier);
    if differ != 0 {
        return (differ.trailing_zeros() / 8) as usize;
    }
    let most = usize::from(codes::LONGEST).min(plain.len() - hit.at);
    let mut length = 16;
    while length + 8 <= most {
        let differ = word(plain, hit.at + length) ^ word(plain, hit.earlier + length);
        if differ != 0 {
            return length + (differ.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    while length < most && plain[hit.at + length] == plain[hit.earlier + length] {
        length += 1;
    }
    length
}

#[inline]
fn word(plain: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&plain[at..at + 8]);
    u64::from_le_bytes(word)
}

#[inline]
fn long_word(plain: &[u8], at: usize) -> u128 {
    let mut word = [0; 16];
    word.copy_from_slice(&plain[at..at + 16]);
    u128::from_le_bytes(word)
}
