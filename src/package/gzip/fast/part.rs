//! Writing a part: with a code made for it, with the fixed code, or as it is, whatever takes the fewest bits.

use super::bits::{Bits, Code};
use super::codes::{self, DISTANCE_SYMBOLS, DISTANCES, END, LENGTH_SYMBOLS, LENGTHS, LITERALS, SHORTEST};
use super::lengths;
use super::matches::Found;

/// The longest code, so that four literals, or a length and a distance with all their bits, are added between two
/// flushes.
const LIMIT: usize = 12;
/// The most bytes of one stored block.
const MOST_STORED: usize = 0xffff;
/// The order of the code lengths of the code lengths (RFC 1951, 3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The lengths of the two codes of a part.
#[derive(Debug)]
struct Lengths {
    literals: [u8; 288],
    distances: [u8; DISTANCES],
}

/// Writes parts.
#[derive(Debug, Default)]
pub(super) struct Writer {
    symbols: codes::Symbols,
}

impl Writer {
    /// Writes what was found in `plain`.
    pub(super) fn write(&self, found: &Found, plain: &[u8], last: bool, bits: &mut Bits<'_>) {
        let literals = self.frequencies(found);
        let own = Lengths::new(&literals, &found.distances);
        let header = Header::new(&own);
        let fixed =
            Lengths { literals: codes::fixed_literals(), distances: [codes::FIXED_DISTANCE; DISTANCES] };
        let last = u64::from(last);
        let own_size = header.size() + own.size(&literals, &found.distances);
        let fixed_size = fixed.size(&literals, &found.distances);
        let stored_size = (plain.len() + 5 * plain.len().div_ceil(MOST_STORED).max(1)) * 8;
        if stored_size <= own_size.min(fixed_size) {
            store(plain, last, bits);
        } else if fixed_size <= own_size {
            bits.put(last | 1 << 1, 3);
            self.body(found, &fixed, bits);
        } else {
            bits.put(last | 2 << 1, 3);
            header.write(bits);
            self.body(found, &own, bits);
        }
    }

    /// How often each symbol of literals and lengths occurs.
    fn frequencies(&self, found: &Found) -> [u32; 288] {
        // Four tables, because equal bytes in a row would wait for each other.
        let mut counts = [[0_u32; 256]; 4];
        let (groups, rest) = found.literals().as_chunks::<4>();
        for group in groups {
            for (counts, byte) in counts.iter_mut().zip(group) {
                counts[usize::from(*byte)] += 1;
            }
        }
        let mut frequencies = [0; 288];
        for counts in counts {
            for (frequency, count) in frequencies.iter_mut().zip(counts) {
                *frequency += count;
            }
        }
        for byte in rest {
            frequencies[usize::from(*byte)] += 1;
        }
        frequencies[END] = 1;
        for (length, count) in (0_u8..=255).zip(found.lengths) {
            frequencies[END + 1 + usize::from(self.symbols.length(length))] += count;
        }
        frequencies
    }

    fn body(&self, found: &Found, lengths: &Lengths, bits: &mut Bits<'_>) {
        let literal_codes = lengths::codes(&lengths.literals);
        let distance_codes = lengths::codes(&lengths.distances);
        let mut literal = [Code::default(); 256];
        for (byte, slot) in literal.iter_mut().enumerate() {
            *slot = Code::new(u64::from(literal_codes[byte]), u32::from(lengths.literals[byte]));
        }
        let mut length = [Code::default(); LENGTHS];
        for (number, slot) in (0_u8..=255).zip(&mut length) {
            let symbol = usize::from(self.symbols.length(number));
            let (first, more) = LENGTH_SYMBOLS[symbol];
            let count = lengths.literals[END + 1 + symbol];
            let beyond = u64::from(u16::from(number) + SHORTEST - first);
            let bits = u64::from(literal_codes[END + 1 + symbol]) | beyond << count;
            *slot = Code::new(bits, u32::from(count + more));
        }
        // A code with room for the bits behind it, the distance that these count from, and how many they are.
        let mut distance = [(Code::default(), 0, 0); DISTANCES];
        for (symbol, (first, more)) in DISTANCE_SYMBOLS.into_iter().enumerate() {
            let count = u32::from(lengths.distances[symbol] + more);
            let code = Code::new(u64::from(distance_codes[symbol]), count);
            distance[symbol] = (code, first, u32::from(more));
        }
        let mut literals = found.padded_literals();
        for found in found.matches() {
            literals = run(literals, found.literals as usize, &literal, bits);
            bits.add(length[usize::from(found.length)]);
            let (code, first, more) = distance[usize::from(found.symbol) % DISTANCES];
            bits.add(code.ending(u64::from(found.distance.wrapping_sub(first)), more));
            bits.flush();
        }
        let left = found.literals().len() - (found.padded_literals().len() - literals.len());
        run(literals, left, &literal, bits);
        bits.put(u64::from(literal_codes[END]), u32::from(lengths.literals[END]));
    }
}

/// Writes the first `count` of the literals and returns the others. Behind the last there must be four more bytes.
#[inline]
fn run<'a>(mut literals: &'a [u8], mut count: usize, codes: &[Code; 256], bits: &mut Bits<'_>) -> &'a [u8] {
    while count > 4 {
        for byte in &literals[..4] {
            bits.add(codes[usize::from(*byte)]);
        }
        bits.flush();
        literals = &literals[4..];
        count -= 4;
    }
    // All four, some of them with no bits: how many there are cannot be foretold.
    for (number, byte) in literals[..4].iter().enumerate() {
        bits.add(if number < count { codes[usize::from(*byte)] } else { Code::default() });
    }
    bits.flush();
    &literals[count..]
}

/// Writes bytes as they are, in stored blocks (RFC 1951, 3.2.4).
fn store(plain: &[u8], last: u64, bits: &mut Bits<'_>) {
    let mut left = plain;
    loop {
        let (now, later) = left.split_at(left.len().min(MOST_STORED));
        bits.put(if later.is_empty() { last } else { 0 }, 3);
        bits.align();
        let size = now.len() as u64;
        bits.put(size | (size ^ 0xffff) << 16, 32);
        bits.copy(now);
        left = later;
        if left.is_empty() {
            break;
        }
    }
}

impl Lengths {
    fn new(literals: &[u32; 288], distances: &[u32; DISTANCES]) -> Self {
        let mut own = Self { literals: [0; 288], distances: [0; DISTANCES] };
        lengths::limited(&literals[..LITERALS], LIMIT, &mut own.literals[..LITERALS]);
        let used = DISTANCE_SYMBOLS.len();
        lengths::limited(&distances[..used], LIMIT, &mut own.distances[..used]);
        own
    }

    /// The bits that symbols of these frequencies take with this code.
    fn size(&self, literals: &[u32; 288], distances: &[u32; DISTANCES]) -> usize {
        let sum = |frequencies: &[u32], lengths: &[u8]| -> usize {
            frequencies
                .iter()
                .zip(lengths)
                .map(|(frequency, length)| *frequency as usize * usize::from(*length))
                .sum()
        };
        let more = |frequencies: &[u32], symbols: &[(u16, u8)]| -> usize {
            frequencies
                .iter()
                .zip(symbols)
                .map(|(frequency, (_, bits))| *frequency as usize * usize::from(*bits))
                .sum()
        };
        sum(literals, &self.literals)
            + sum(distances, &self.distances)
            + more(&literals[END + 1..], &LENGTH_SYMBOLS)
            + more(distances, &DISTANCE_SYMBOLS)
    }
}

/// The code lengths of a part, written in a code of their own (RFC 1951, 3.2.7).
struct Header {
    literals: usize,
    distances: usize,
    /// A symbol, the bits that follow it, and how many.
    items: Vec<(u8, u8, u8)>,
    lengths: [u8; 19],
    written: usize,
}

impl Header {
    fn new(part: &Lengths) -> Self {
        let until =
            |lengths: &[u8]| lengths.iter().rposition(|length| *length > 0).map_or(0, |last| last + 1);
        let literals = until(&part.literals).max(END + 1);
        let distances = until(&part.distances).max(1);
        let all = [&part.literals[..literals], &part.distances[..distances]].concat();
        let mut items = Vec::with_capacity(all.len());
        for equal in all.chunk_by(|one, other| one == other) {
            repeat(equal[0], equal.len(), &mut items);
        }
        let mut frequencies = [0; 19];
        for (symbol, ..) in &items {
            frequencies[usize::from(*symbol)] += 1;
        }
        let mut lengths = [0; 19];
        lengths::limited(&frequencies, 7, &mut lengths);
        let written =
            ORDER.iter().rposition(|symbol| lengths[*symbol] > 0).map_or(4, |last| (last + 1).max(4));
        Self { literals, distances, items, lengths, written }
    }

    /// The bits that it takes.
    fn size(&self) -> usize {
        let items = self.items.iter().map(|(symbol, _, more)| self.lengths[usize::from(*symbol)] + more);
        14 + 3 * self.written + items.map(usize::from).sum::<usize>()
    }

    fn write(&self, bits: &mut Bits<'_>) {
        let counts = (self.literals - (END + 1)) | (self.distances - 1) << 5 | (self.written - 4) << 10;
        bits.put(counts as u64, 14);
        for symbol in &ORDER[..self.written] {
            bits.put(u64::from(self.lengths[*symbol]), 3);
        }
        let codes = lengths::codes(&self.lengths);
        for (symbol, value, more) in &self.items {
            let count = self.lengths[usize::from(*symbol)];
            let code = u64::from(codes[usize::from(*symbol)]) | u64::from(*value) << count;
            bits.put(code, u32::from(count + more));
        }
    }
}

/// Says that `count` code lengths in a row are `length`.
#[allow(clippy::cast_possible_truncation, reason = "no repetition says more than 138")]
fn repeat(length: u8, mut count: usize, items: &mut Vec<(u8, u8, u8)>) {
    if length == 0 {
        while count >= 11 {
            let now = count.min(138);
            items.push((18, (now - 11) as u8, 7));
            count -= now;
        }
        if count >= 3 {
            items.push((17, (count - 3) as u8, 3));
            count = 0;
        }
    } else {
        items.push((length, 0, 0));
        count -= 1;
        while count >= 3 {
            let now = count.min(6);
            items.push((16, (now - 3) as u8, 2));
            count -= now;
        }
    }
    items.extend(std::iter::repeat_n((length, 0, 0), count));
}
