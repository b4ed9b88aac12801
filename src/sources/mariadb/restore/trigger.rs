//! The head of a trigger, which the server keeps as its author wrote it: `CREATE … TRIGGER shop.t BEFORE INSERT ON shop.a`.

use std::ops::Range;

use super::super::names::name_end;

/// Where a trigger's head names its database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The database before the trigger's name and the one before the table's, where they are written. A server takes no
    /// other than the trigger's own.
    pub(super) qualifiers: Vec<Range<usize>>,
    /// Where the table's name ends.
    pub(super) end: usize,
}

/// Reads the head; `None` if it is not one.
pub(super) fn qualifiers(sql: &[u8]) -> Option<Head> {
    let mut tokens = Tokens { sql, at: 0 };
    tokens.pass(b"trigger")?;
    let mut name = tokens.next()?;
    let before = tokens.at;
    if is(sql, &name, b"if") {
        let (not, exists) = (tokens.next()?, tokens.next()?);
        if is(sql, &not, b"not") && is(sql, &exists, b"exists") {
            name = tokens.next()?;
        } else {
            tokens.at = before;
        }
    }
    let mut qualifiers = Vec::new();
    tokens.qualifier(&name, &mut qualifiers)?;
    tokens.pass(b"on")?;
    let table = tokens.next()?;
    let end = tokens.qualifier(&table, &mut qualifiers)?;
    Some(Head { qualifiers, end })
}

fn is(sql: &[u8], token: &Range<usize>, word: &[u8]) -> bool {
    sql[token.clone()].eq_ignore_ascii_case(word)
}

/// Words, names and signs, without blanks and comments.
struct Tokens<'a> {
    sql: &'a [u8],
    at: usize,
}

impl Tokens<'_> {
    /// Goes on until behind this word.
    fn pass(&mut self, word: &[u8]) -> Option<()> {
        loop {
            let token = self.next()?;
            if is(self.sql, &token, word) {
                return Some(());
            }
        }
    }

    /// Takes what follows the first name of two; returns where the last ends.
    fn qualifier(&mut self, name: &Range<usize>, found: &mut Vec<Range<usize>>) -> Option<usize> {
        let before = self.at;
        match self.next() {
            Some(dot) if self.sql[dot.clone()] == *b"." => {
                found.push(name.clone());
                self.next().map(|name| name.end)
            }
            _ => {
                self.at = before;
                Some(name.end)
            }
        }
    }

    fn next(&mut self) -> Option<Range<usize>> {
        self.skip();
        let start = self.at;
        match *self.sql.get(start)? {
            b'`' | b'"' | b'\'' => self.at = name_end(self.sql, start),
            byte if is_of_a_word(byte) => {
                while self.sql.get(self.at).copied().is_some_and(is_of_a_word) {
                    self.at += 1;
                }
            }
            _ => self.at += 1,
        }
        Some(start..self.at)
    }

    fn skip(&mut self) {
        while let Some(&byte) = self.sql.get(self.at) {
            let rest = &self.sql[self.at..];
            let end = |mark: &[u8]| rest.windows(mark.len()).position(|window| window == mark);
            if byte.is_ascii_whitespace() {
                self.at += 1;
            } else if rest.starts_with(b"/*") {
                self.at = end(b"*/").map_or(self.sql.len(), |end| self.at + end + 2);
            } else if byte == b'#' || rest.starts_with(b"--") {
                self.at = end(b"\n").map_or(self.sql.len(), |end| self.at + end + 1);
            } else {
                return;
            }
        }
    }
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> Option<(Vec<&str>, &str)> {
        let head = qualifiers(sql.as_bytes())?;
        Some((head.qualifiers.iter().map(|at| &sql[at.clone()]).collect(), &sql[..head.end]))
    }

    #[test]
    fn heads_are_read_as_their_authors_wrote_them() {
        for (head, expected) in [
            ("CREATE DEFINER=`on`@`%` TRIGGER tr BEFORE INSERT ON a", vec![]),
            ("CREATE TRIGGER shop.tr BEFORE INSERT ON shop.a", vec!["shop", "shop"]),
            ("create or replace trigger `sh``op`.`on` after delete\non a", vec!["`sh``op`"]),
            ("CREATE TRIGGER if not exists tr BEFORE UPDATE ON \"shop\" . \"a.b\"", vec!["\"shop\""]),
            ("CREATE TRIGGER /* shop.x */ tr -- on x.y\nBEFORE INSERT # on\nON shop/**/.a", vec!["shop"]),
            ("CREATE TRIGGER `if`.tr BEFORE INSERT ON `on`", vec!["`if`"]),
            ("CREATE TRIGGER if.tr BEFORE INSERT ON a", vec!["if"]),
        ] {
            let sql = format!("{head} FOR EACH ROW SET @a = shop.f()");
            assert_eq!(found(&sql), Some((expected, head)));
        }
        assert_eq!(found("CREATE TRIGGER tr BEFORE INSERT"), None);
        assert_eq!(found("CREATE VIEW v AS SELECT 1"), None);
    }
}
