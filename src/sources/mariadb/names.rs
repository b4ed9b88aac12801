//! The names in a statement that the server printed: it puts each in backticks and joins them with dots.

use std::ops::Range;

/// What a chain of names stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A table, view or sequence: after FROM or JOIN, or the argument of NEXTVAL and its kin.
    Table,
    /// A function: before a parenthesis.
    Function,
    /// A column, an alias, or a table with its column.
    Other,
}

/// Names joined with dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// Where the names stand, backticks included.
    pub(super) names: Vec<Range<usize>>,
    /// What they stand for.
    pub(super) place: Place,
}

impl Chain {
    /// Whether the first name is that of a database. An alias may have the same name as its database: then only the
    /// place tells `alias`.`column` from `database`.`table`.
    pub(super) fn begins_with_a_database(&self) -> bool {
        self.names.len() > 2 || (self.names.len() == 2 && self.place != Place::Other)
    }
}

/// The functions whose arguments have a FROM of their own, which is before no table.
const WITH_FROM: [&[u8]; 4] = [b"trim", b"extract", b"substr", b"substring"];

/// The functions whose argument is a sequence.
const OF_SEQUENCES: [&[u8]; 3] = [b"nextval", b"lastval", b"setval"];

/// All chains of a statement, in their order.
pub(super) fn chains(sql: &[u8]) -> Vec<Chain> {
    let mut found: Vec<Chain> = Vec::new();
    // The words directly before the open parentheses.
    let mut open: Vec<&[u8]> = Vec::new();
    let (mut at, mut table, mut last) = (0, false, 0..0);
    while at < sql.len() {
        let start = at;
        match sql[at] {
            b'\'' => at = string_end(sql, at),
            b'`' => {
                at = name_end(sql, at);
                let mut names = Vec::with_capacity(2);
                names.push(start..at);
                while sql.get(at) == Some(&b'.') && sql.get(at + 1) == Some(&b'`') {
                    names.push(at + 1..name_end(sql, at + 1));
                    at = names.last().map_or(sql.len(), |name| name.end);
                }
                let of_sequence = open.last().is_some_and(|word| OF_SEQUENCES.contains(word));
                let place = match sql.get(at) {
                    Some(b'(') => Place::Function,
                    _ if table || of_sequence => Place::Table,
                    _ => Place::Other,
                };
                found.push(Chain { names, place });
            }
            byte if is_of_a_word(byte) => {
                while sql.get(at).copied().is_some_and(is_of_a_word) {
                    at += 1;
                }
                last = start..at;
                let word = &sql[start..at];
                let inside = open.last().is_some_and(|word| WITH_FROM.contains(word));
                table = (word == b"from" && !inside) || word == b"join" || word == b"straight_join";
                continue;
            }
            byte => {
                at += 1;
                match byte {
                    b'(' => open.push(if last.end == start { &sql[last.clone()] } else { b"" }),
                    b')' => drop(open.pop()),
                    _ => {}
                }
                // Tables stand behind parentheses too.
                table &= byte == b'(' || byte.is_ascii_whitespace();
                continue;
            }
        }
        table = false;
    }
    found
}

/// The name that stands there, without its backticks.
pub(super) fn name(sql: &[u8], at: &Range<usize>) -> String {
    let quoted = super::connect::lossy(&sql[at.clone()]);
    let inner = quoted.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    inner.unwrap_or(&quoted).replace("``", "`")
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Where a string ends that begins with the quote at `start`.
pub(super) fn string_end(sql: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = sql.get(at) {
        match byte {
            b'\\' => at += 2,
            b'\'' if sql.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    sql.len()
}

/// Where a name ends that begins with the quote at `start`, a backtick or another.
pub(super) fn name_end(sql: &[u8], start: usize) -> usize {
    let quote = sql[start];
    let mut at = start + 1;
    while let Some(&byte) = sql.get(at) {
        if byte == quote {
            if sql.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    sql.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chains of each place, as they are written.
    fn of(sql: &str, place: Place) -> Vec<&str> {
        let all = chains(sql.as_bytes());
        let chosen = all.iter().filter(|chain| chain.place == place);
        chosen.map(|chain| &sql[chain.names[0].start..chain.names.last().unwrap().end]).collect()
    }

    #[test]
    fn tables_functions_and_columns_are_told_apart() {
        let sql = "CREATE VIEW `v` AS select `s`.`id` AS `from`,trim(leading 'from `x`' from `s`.`n`) AS `t`,extract(year from `s`.`d`) AS `y`,\
                   `s`.`f`(1) AS `g`,nextval(`s`.`q`) AS `n`,`s`.`p`.`h`(2) AS `h` from (((`s`.`a` `s` left join (`o`.`x` join `s`.`s` `r`) \
                   on(`r`.`id` = `s`.`id`)) straight_join `s`.`b`) join (select `z`.`id` AS `id` from `s`.`z``(` union select 1 AS `1`) `u`) \
                   where `s`.`id` in (select `s`.`id` from `c` limit 1)";
        assert_eq!(
            of(sql, Place::Table),
            ["`s`.`q`", "`s`.`a`", "`o`.`x`", "`s`.`s`", "`s`.`b`", "`s`.`z``(`", "`c`"]
        );
        assert_eq!(of(sql, Place::Function), ["`s`.`f`", "`s`.`p`.`h`"]);
        assert!(of(sql, Place::Other).contains(&"`s`.`n`") && of(sql, Place::Other).contains(&"`s`.`d`"));
        assert_eq!(name(b"x `a``b`", &(2..8)), "a`b");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            chains(&bytes);
        }
    }
}
