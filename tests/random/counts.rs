//! How many objects of each class the servers accepted: a generator whose statements are refused proves nothing.

use std::collections::BTreeMap;

/// A class, how many of it there are at least in ten databases, and what counts them.
pub(crate) type Class = (&'static str, u64, &'static str);

/// Objects by class.
pub(crate) struct Counts {
    classes: &'static [Class],
    found: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn new(classes: &'static [Class]) -> Self {
        Self { classes, found: BTreeMap::new() }
    }

    /// Adds what a database has, in the order of the classes.
    pub(crate) fn add(&mut self, numbers: &[u64]) {
        assert_eq!(numbers.len(), self.classes.len());
        for ((class, ..), number) in self.classes.iter().zip(numbers) {
            *self.found.entry(class).or_default() += number;
        }
    }

    /// What there was too little of in so many databases. A few, looked at again, need not have everything.
    pub(crate) fn lacking(&self, databases: u64) -> Vec<String> {
        if databases < 8 {
            return Vec::new();
        }
        let lacking =
            self.classes.iter().filter(|(class, least, _)| self.found[class] < least * databases / 10);
        lacking
            .map(|(class, least, _)| format!("{class}: {}, of ten databases {least}", self.found[class]))
            .collect()
    }

    /// All of them, a line each.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> =
            self.found.iter().map(|(class, number)| format!("{class}: {number}")).collect();
        lines.join("\n")
    }
}
