//! Names and texts that need care.

use std::collections::HashSet;

use crate::chance::Chance;

/// What names begin with. A number follows where a name is taken.
const NAMES: &[&str] = &[
    "a",
    "t",
    "x",
    "id",
    "name",
    "order",
    "select",
    "user",
    "table",
    "group",
    "default",
    "end",
    "begin",
    "value",
    "key",
    "all",
    "Mixed Case",
    "UPPER",
    "with.dot",
    "it's",
    "quo\"te",
    "back`tick",
    "back\\slash",
    "dollar$1",
    "$$",
    "$f$",
    "new\nline",
    "naïve",
    "straße",
    "日本語",
    "émoji",
    "trail_",
    "--",
    "/*x*/",
    "*/",
    "%s",
    ":colon",
    "@at",
    "{brace}",
    "semi;colon",
    "a,b",
    "(paren)",
    "1first",
    "plain",
    "customer",
    "r",
    "row",
    "old",
    "new",
    "excluded",
    "this",
    "null",
    "true",
    "a name that is as long as a name may be, which is sixty",
    "percent%",
    "#hash",
    "tab\tbed",
    "a=b",
    "\u{fc}ber",
    "q?",
];

/// Texts for comments, values and bodies.
const TEXTS: &[&str] = &[
    "",
    " ",
    "plain",
    "it's",
    "''",
    "\"double\"",
    "back\\slash",
    "\\",
    "\\'",
    "\\n",
    "two\nlines",
    "\r\n",
    "tab\t",
    "$$",
    "$1",
    "$f$ x $f$",
    "--",
    "-- no\ncomment",
    "/* not closed",
    "*/",
    ";",
    "naïve",
    "日本語",
    "NULL",
    "null",
    "\\N",
    "\\.",
    "%",
    "%s %d",
    "_",
    ":x",
    ":'x'",
    "`",
    "@",
    "{}",
    "{a,b}",
    "(1,2)",
    "[1,2)",
    "trailing ",
    " leading",
    "\u{1}\u{1f}",
    "\u{7f}",
    "\u{a0}",
    "a\u{301}",
    "ſ",
    "İ",
    "0",
    "-1",
    "1e5",
    "t",
    "DELIMITER",
    "line\u{2028}separator",
    "?",
    "!50000 SELECT",
    "<a&b>",
    "%(x)",
    "a\tb\nc\\d'e\"f`g$h",
];

/// Names that are each given once.
#[derive(Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// A new name, not longer than so many bytes.
    pub(crate) fn new_name(&mut self, chance: &mut Chance, longest: usize) -> String {
        loop {
            let stem = if chance.percent(40) { "plain" } else { chance.pick(NAMES) };
            let number = if chance.percent(if stem == "plain" { 100 } else { 40 }) {
                chance.below(10_000).to_string()
            } else {
                String::new()
            };
            let mut name = format!("{stem}{number}");
            while name.len() > longest {
                name.pop();
            }
            // Servers that fold case or pad with spaces take some names for one.
            if !name.ends_with(' ') && self.taken.insert(name.to_lowercase()) {
                return name;
            }
        }
    }
}

/// A text, now and then a long one.
pub(crate) fn text(chance: &mut Chance) -> String {
    match chance.below(40) {
        0 => chance.pick(TEXTS).repeat(700),
        1..=5 => format!("{}{}", chance.pick(TEXTS), chance.pick(TEXTS)),
        _ => chance.pick(TEXTS).to_owned(),
    }
}
