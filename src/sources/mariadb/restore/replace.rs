//! Routines that take the place of others: a server keeps the grants on one that is replaced, and on no other.

use bytes::Bytes;

use super::super::script::Label;

/// The kinds of labels of what is replaced.
const REPLACED: [&str; 4] = ["procedure", "function", "package", "package_body"];

/// The word that a routine's text begins with, and what replaces it: as they stand in quotes, and as digits.
const CREATE: [(&str, &str); 2] =
    [("'CREATE ", "'CREATE OR REPLACE "), ("0x43524541544520", "0x435245415445204F52205245504C41434520")];

/// The statement that holds a routine's text, so that it replaces what is there; any other as it is.
pub(super) fn replacing(sql: Bytes, label: &Label) -> Bytes {
    if !REPLACED.contains(&label.kind.as_str()) {
        return sql;
    }
    replaced(&sql).map_or(sql, Bytes::from)
}

fn replaced(sql: &[u8]) -> Option<Vec<u8>> {
    let literal = sql.strip_prefix(b"SET @chupacabra = ")?;
    CREATE.iter().find_map(|(create, replace)| {
        // Digits may have the name of their charset before them.
        let charset =
            literal.iter().take_while(|byte| **byte == b'_' || byte.is_ascii_alphanumeric()).count();
        let start = if literal.starts_with(b"_") { charset + 1 } else { 0 };
        let rest = literal.get(start..)?.strip_prefix(create.as_bytes())?;
        let before = &sql[..sql.len() - literal.len() + start];
        Some([before, replace.as_bytes(), rest].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_word_of_a_routines_text_is_another() {
        let of = |kind: &str, sql: &'static str| {
            let replaced = replacing(Bytes::from_static(sql.as_bytes()), &Label::new(kind, "d", "r"));
            String::from_utf8(replaced.to_vec()).unwrap()
        };
        let text = "SET @chupacabra = 'CREATE DEFINER=`a` PROCEDURE `r`() SELECT \\'CREATE \\''";
        let replaced =
            "SET @chupacabra = 'CREATE OR REPLACE DEFINER=`a` PROCEDURE `r`() SELECT \\'CREATE \\''";
        assert_eq!(of("procedure", text), replaced);
        assert_eq!(of("trigger", text), text);
        let digits = of("package_body", "SET @chupacabra = _latin1 0x4352454154452044E9");
        assert_eq!(digits, "SET @chupacabra = _latin1 0x435245415445204F52205245504C4143452044E9");
        assert_eq!(of("function", "EXECUTE IMMEDIATE @chupacabra"), "EXECUTE IMMEDIATE @chupacabra");
    }
}
