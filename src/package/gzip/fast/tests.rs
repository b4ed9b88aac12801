use std::io::Read as _;

use proptest::prelude::{Just, any, prop_oneof};
use proptest::{collection, prop_assert, proptest};

use super::*;

fn deflated(deflater: &mut Deflater, plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0xaa; Deflater::bound(plain.len())];
    let length = deflater.deflate(plain, &mut out).unwrap();
    assert!(out[length..].len() >= 8, "the bound has room for a whole word");
    out.truncate(length);
    out
}

/// Opened by two inflaters that share nothing: zlib-rs and libdeflate, which must both find the stream's end.
fn opens_as(deflated: &[u8], plain: &[u8]) -> bool {
    let mut back = Vec::new();
    let mut inflater = flate2::bufread::DeflateDecoder::new(deflated);
    let whole = inflater.read_to_end(&mut back).is_ok() && inflater.into_inner().is_empty();
    let mut other = vec![0; plain.len()];
    let result = libdeflater::Decompressor::new().deflate_decompress(deflated, &mut other);
    whole && back == plain && result.is_ok_and(|length| length == plain.len()) && other == plain
}

/// xorshift64*
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

#[test]
fn blocks_of_every_size_open_again() {
    let mut deflater = Deflater::default();
    let text = include_str!("../../FORMAT.md").repeat(60).into_bytes();
    let noise = Noise(7).bytes(text.len());
    let zeros = vec![0; text.len()];
    let sizes = (0..70)
        .chain([254, 255, 256, 257, 258, 259, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537])
        .chain([PART - 1, PART, PART + 1, PART + TAIL, 2 * PART + 3, text.len()]);
    for size in sizes {
        for plain in [&text[..size], &noise[..size], &zeros[..size]] {
            let small = deflated(&mut deflater, plain);
            assert!(opens_as(&small, plain), "{size} bytes");
        }
    }
}

const TAIL: usize = 24;

#[test]
fn every_distance_and_length_is_said_right() {
    let mut deflater = Deflater::default();
    let mut noise = Noise(11);
    for distance in
        (1..300).chain((300..32_768).step_by(509)).chain([32_767, 32_768, 32_769, 40_000, 65_536, 65_540])
    {
        let mut plain = noise.bytes(distance);
        for _ in 0..700 {
            plain.push(plain[plain.len() - distance]);
        }
        plain.extend(noise.bytes(40));
        assert!(opens_as(&deflated(&mut deflater, &plain), &plain), "distance {distance}");
    }
    for length in 1..600 {
        let again = noise.bytes(length);
        let plain = [&again[..], &noise.bytes(50), &again, &noise.bytes(50)].concat();
        let small = deflated(&mut deflater, &plain);
        assert!(opens_as(&small, &plain), "length {length}");
        assert!(length < 60 || small.len() < plain.len() - length / 2, "length {length} was not found");
    }
}

/// Only half of all positions are looked up: wherever a repetition begins, all of it is said.
#[test]
fn a_repetition_is_found_from_its_begin() {
    let mut noise = Noise(13);
    for gap in 0..16 {
        let (before, again, between) = (noise.bytes(8), noise.bytes(20), noise.bytes(gap));
        let plain = [&before[..], &again, &between, &again, &noise.bytes(60)].concat();
        let mut finder = Finder::default();
        finder.begin();
        finder.find(&plain, 0);
        let found = finder.found().matches()[0];
        let (literals, distance) = (found.literals as usize, usize::from(found.distance));
        assert_eq!((literals, distance), (28 + gap, 20 + gap));
        assert_eq!(usize::from(found.length) + 3, 20, "gap {gap}");
    }
}

#[test]
fn what_does_not_shrink_is_stored() {
    let plain = Noise(3).bytes(1 << 20);
    let small = deflated(&mut Deflater::default(), &plain);
    assert!(small.len() < plain.len() + 200, "{}", small.len());
    assert!(opens_as(&small, &plain));
}

/// Frequencies like Fibonacci's numbers make the deepest trees there are.
#[test]
fn codes_longer_than_the_limit_are_shortened() {
    let mut plain = Vec::new();
    let (mut one, mut other) = (1, 1);
    for byte in 0..22_u8 {
        plain.extend(std::iter::repeat_n(byte, one));
        (one, other) = (other, one + other);
    }
    // In an order in which nothing repeats, so that all of it stays literals.
    let mut noise = Noise(5);
    for at in (1..plain.len()).rev() {
        plain.swap(at, usize::try_from(noise.next() % (at as u64 + 1)).unwrap());
    }
    assert!(opens_as(&deflated(&mut Deflater::default(), &plain), &plain));
    for limit in [7, 9, 12] {
        let frequencies: Vec<u32> = (0..30).map(|power| 1 << power.min(27)).collect();
        let mut lengths = [0; 30];
        lengths::limited(&frequencies, limit, &mut lengths);
        let sum: usize = lengths.iter().map(|length| 1 << (limit - usize::from(*length))).sum();
        assert_eq!(sum, 1 << limit, "the code is complete");
        assert!(lengths.is_sorted_by(|rarer, commoner| rarer >= commoner));
    }
}

#[test]
fn a_block_gets_smaller_than_by_zlib() {
    let text = include_str!("../../FORMAT.md").repeat(4);
    let mut rows = String::new();
    for row in 0..20_000 {
        rows += &format!("{row}\tcustomer-{}\t2026-11-{:02}\n", row * 7_919 % 100_000, row % 28 + 1);
    }
    for plain in [text.as_bytes(), rows.as_bytes()] {
        let small = deflated(&mut Deflater::default(), plain);
        let mut zlib = Vec::new();
        flate2::read::DeflateEncoder::new(plain, flate2::Compression::new(1)).read_to_end(&mut zlib).unwrap();
        assert!(small.len() < zlib.len(), "{} and {}", small.len(), zlib.len());
    }
}

#[test]
fn a_block_that_does_not_open_is_an_error() {
    let mut deflater = Deflater::default();
    let plain = b"a block, a block, a block".repeat(50);
    let small = deflated(&mut deflater, &plain);
    assert!(deflater.open(&plain, &small).is_ok());
    for at in 0..small.len() {
        let mut broken = small.clone();
        broken[at] ^= 0x40;
        // The last byte's upper bits are no part of the stream.
        if at + 1 < small.len() {
            assert!(deflater.open(&plain, &broken).is_err(), "byte {at}");
        }
    }
    assert!(deflater.open(&plain[1..], &small).is_err());
    assert!(deflater.deflate(&plain, &mut [0; 64]).is_err(), "too little room");
}

proptest! {
    /// Pieces that repeat, at random distances, of random alphabets: all that the finder may meet.
    #[test]
    fn anything_opens_again(
        pieces in collection::vec((0_usize..400, any::<u64>(), prop_oneof![Just(2_u64), Just(17), Just(256)]), 1..60),
        picks in collection::vec((any::<proptest::sample::Index>(), 0_usize..3_000), 0..200),
    ) {
        let pieces: Vec<Vec<u8>> = pieces
            .into_iter()
            .map(|(size, seed, letters)| {
                let mut noise = Noise(seed | 1);
                (0..size).map(|_| u8::try_from((noise.next() >> 32) % letters).unwrap()).collect()
            })
            .collect();
        let mut plain = Vec::new();
        for (pick, gap) in picks {
            plain.extend(pick.get(&pieces));
            plain.extend(std::iter::repeat_n(7, gap / 100));
        }
        prop_assert!(opens_as(&deflated(&mut Deflater::default(), &plain), &plain));
    }
}
