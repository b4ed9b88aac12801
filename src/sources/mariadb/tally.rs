//! The count of what the server has against the count of what was emitted.

use std::collections::BTreeMap;

use super::Error;

/// Counts per class.
#[derive(Debug, Default)]
pub(super) struct Tally {
    expected: BTreeMap<&'static str, u64>,
    emitted: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Notes that the server has `count` more of a class.
    pub(super) fn expect(&mut self, class: &'static str, count: u64) {
        *self.expected.entry(class).or_default() += count;
    }

    /// Notes that one object of a class was handed over, or is named as missing.
    pub(super) fn emit(&mut self, class: &'static str) {
        *self.emitted.entry(class).or_default() += 1;
    }

    /// Notes an object of a class that nobody counts independently.
    pub(super) fn count(&mut self, class: &'static str) {
        self.expect(class, 1);
        self.emit(class);
    }

    /// Compares, and returns the counts for the record.
    pub(super) fn settle(self) -> Result<BTreeMap<String, u64>, Error> {
        for class in self.expected.keys().chain(self.emitted.keys()) {
            let expected = self.expected.get(class).copied().unwrap_or(0);
            let emitted = self.emitted.get(class).copied().unwrap_or(0);
            if expected != emitted {
                return Err(Error::Incomplete { class, expected, emitted });
            }
        }
        Ok(self.emitted.into_iter().map(|(class, count)| (class.to_owned(), count)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_surplus_object_is_an_error() {
        let mut tally = Tally::default();
        tally.expect("views", 2);
        tally.emit("views");
        assert!(matches!(tally.settle(), Err(Error::Incomplete { class: "views", expected: 2, emitted: 1 })));
        let mut tally = Tally::default();
        tally.emit("views");
        assert!(matches!(tally.settle(), Err(Error::Incomplete { expected: 0, emitted: 1, .. })));
    }
}
