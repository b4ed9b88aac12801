//! Numbers that follow from a seed, on every machine and with every version of every crate.

use std::ops::Range;

/// `SplitMix64`.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xA076_1D64_78BD_642F) ^ 0xE703_7ED1_A0B4_28DB)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below another.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    /// A number of a range.
    pub(crate) fn of(&mut self, range: Range<usize>) -> usize {
        range.start + self.below(range.end - range.start)
    }

    /// True so many times of a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// One of several.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// One of several pairs.
    pub(crate) fn pick_pair(&mut self, all: &[(&'static str, &'static str)]) -> (&'static str, &'static str) {
        all[self.below(all.len())]
    }

    /// One of several, if there is one.
    pub(crate) fn one<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { Some(&all[self.below(all.len())]) }
    }

    /// So many different ones, or all, in any order.
    pub(crate) fn some<'a, T>(&mut self, all: &'a [T], number: usize) -> Vec<&'a T> {
        let mut left: Vec<&T> = all.iter().collect();
        let mut taken = Vec::new();
        while taken.len() < number && !left.is_empty() {
            taken.push(left.swap_remove(self.below(left.len())));
        }
        taken
    }

    /// A text so many times of a hundred, and nothing else.
    pub(crate) fn maybe(&mut self, percent: u64, text: &str) -> String {
        if self.percent(percent) { text.to_owned() } else { String::new() }
    }
}

/// The seeds that are run: those of `CHUPACABRA_SEEDS`, such as `100..130`, or the given ones.
pub(crate) fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(given) = std::env::var("CHUPACABRA_SEEDS") else { return default };
    let bounds = given.split_once("..").map(|(first, end)| (first.trim().parse(), end.trim().parse()));
    let Some((Ok(first), Ok(end))) = bounds else {
        panic!("CHUPACABRA_SEEDS is a range such as 100..130, not {given}");
    };
    assert!(first < end, "CHUPACABRA_SEEDS has no seed in it: {given}");
    first..end
}
