//! Fingerprints of collections.
//!
//! A row is a document's raw BSON. In a capped collection the order is part of the content, so there the hash is a
//! polynomial of the documents' hashes, modulo 2^128, instead of their sum.

use mongodb::bson::RawDocument;

use crate::package::digest::Fingerprint;

/// An odd number with its bits well mixed (the golden ratio's fraction, twice).
const STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// Takes the fingerprint of documents as they pass.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fingerprinter {
    so_far: Fingerprint,
    ordered: bool,
}

impl Fingerprinter {
    /// For a collection whose order matters, or does not.
    pub(super) fn new(ordered: bool) -> Self {
        Self { so_far: Fingerprint::default(), ordered }
    }

    /// Takes a document.
    pub(super) fn add(&mut self, document: &RawDocument) {
        if self.ordered {
            // `add` sums, so what was there before moves on by one place first.
            self.so_far.hash = self.so_far.hash.wrapping_mul(STEP);
        }
        self.so_far.add(document.as_bytes());
    }

    /// Takes another range of the same collection. Not for collections whose order matters: they have one range.
    pub(super) fn merge(&mut self, other: &Self) {
        self.so_far.merge(other.so_far);
    }

    /// The fingerprint of all that was taken.
    pub(super) fn value(&self) -> Fingerprint {
        self.so_far
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{RawDocumentBuf, rawdoc};

    fn of(ordered: bool, documents: &[&RawDocumentBuf]) -> Fingerprint {
        let mut fingerprint = Fingerprinter::new(ordered);
        documents.iter().for_each(|document| fingerprint.add(document));
        fingerprint.value()
    }

    #[test]
    fn order_matters_where_it_should() {
        let (a, b) = (rawdoc! { "a": 1_i32 }, rawdoc! { "a": 2_i32 });
        assert_eq!(of(false, &[&a, &b]), of(false, &[&b, &a]));
        assert_ne!(of(true, &[&a, &b]), of(true, &[&b, &a]));
        assert_ne!(of(true, &[&a, &a]), of(true, &[&a]));
        assert_ne!(of(false, &[&a]), of(false, &[&b]));
    }
}
