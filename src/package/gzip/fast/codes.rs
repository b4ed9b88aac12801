//! The symbols of lengths and distances, and the fixed code (RFC 1951, 3.2.5 and 3.2.6).

/// The shortest and the longest repetition that can be said.
pub(super) const SHORTEST: u16 = 3;
pub(super) const LONGEST: u16 = 258;
/// How many lengths there are.
pub(super) const LENGTHS: usize = (LONGEST - SHORTEST) as usize + 1;
/// The symbol of a part's end; behind it are those of the lengths.
pub(super) const END: usize = 256;
/// The symbols of literals and lengths that are used; the fixed code has two more.
pub(super) const LITERALS: usize = 286;
/// The symbols of distances are fewer than these slots of a table of them.
pub(super) const DISTANCES: usize = 32;

/// The shortest length of each symbol, and how many bits follow it.
pub(super) const LENGTH_SYMBOLS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// The shortest distance of each symbol, and how many bits follow it.
pub(super) const DISTANCE_SYMBOLS: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

/// The symbol of each length and distance.
#[derive(Debug)]
pub(super) struct Symbols {
    lengths: [u8; LENGTHS],
    /// Of the distances 1 to 256, then of each 128 that follow.
    distances: Box<[u8; 512]>,
}

impl Default for Symbols {
    fn default() -> Self {
        let mut symbols = Self { lengths: [0; LENGTHS], distances: Box::new([0; 512]) };
        for (symbol, (first, _)) in (0_u8..).zip(LENGTH_SYMBOLS) {
            symbols.lengths[usize::from(first - SHORTEST)..].fill(symbol);
        }
        for (symbol, (first, _)) in (0_u8..).zip(DISTANCE_SYMBOLS) {
            let first = usize::from(first);
            if first <= 256 {
                symbols.distances[first - 1..256].fill(symbol);
            }
            symbols.distances[256 + first.div_ceil(128).saturating_sub(1)..].fill(symbol);
        }
        symbols
    }
}

impl Symbols {
    /// The symbol of a length, which is given without [`SHORTEST`].
    #[inline]
    pub(super) fn length(&self, length: u8) -> u8 {
        self.lengths[usize::from(length)]
    }

    /// The symbol of a distance from 1 to 32,768.
    #[inline]
    pub(super) fn distance(&self, distance: usize) -> u8 {
        let before = distance - 1;
        self.distances[if before < 256 { before } else { 256 + before / 128 % 256 }]
    }
}

/// The lengths of the fixed code for literals and lengths.
pub(super) fn fixed_literals() -> [u8; 288] {
    let mut lengths = [8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    lengths
}

/// The length of the fixed code for distances.
pub(super) const FIXED_DISTANCE: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_distance_has_the_symbol_whose_range_holds_it() {
        let symbols = Symbols::default();
        for length in SHORTEST..=LONGEST {
            let (first, bits) =
                LENGTH_SYMBOLS[usize::from(symbols.length(u8::try_from(length - SHORTEST).unwrap()))];
            let range = first..first + (1 << bits);
            assert!(range.contains(&length), "{length}");
            assert!(length != LONGEST || bits == 0, "the longest has a symbol of its own");
        }
        for distance in 1..=32_768 {
            let (first, bits) = DISTANCE_SYMBOLS[usize::from(symbols.distance(distance))];
            let range = usize::from(first)..usize::from(first) + (1 << bits);
            assert!(range.contains(&distance), "{distance}");
        }
    }
}
