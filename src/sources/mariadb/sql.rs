//! Identifiers and literals of SQL, as bytes.

/// Writes an identifier in backticks.
pub(super) fn identifier(out: &mut Vec<u8>, name: &[u8]) {
    out.push(b'`');
    for &byte in name {
        if byte == b'`' {
            out.push(b'`');
        }
        out.push(byte);
    }
    out.push(b'`');
}

/// An identifier in backticks, as text.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A table's qualified name.
pub(super) fn qualified(database: &str, name: &str) -> String {
    format!("{}.{}", quoted(database), quoted(name))
}

/// Writes a string literal in single quotes, escaped so that neither a client nor a line end changes it.
///
/// Needs a session without `NO_BACKSLASH_ESCAPES`.
pub(super) fn string(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'\'');
    let mut rest = value;
    while let Some(at) = rest.iter().position(|&byte| ESCAPE[usize::from(byte)] != 0) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', ESCAPE[usize::from(rest[at])]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

/// A string literal, as text.
pub(super) fn literal(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len() + 2);
    string(&mut out, value.as_bytes());
    super::connect::lossy(out)
}

/// Writes a hexadecimal literal; an empty value has none and becomes an empty string.
pub(super) fn hexadecimal(out: &mut Vec<u8>, value: &[u8]) {
    if value.is_empty() {
        out.extend_from_slice(b"''");
        return;
    }
    out.reserve(2 + 2 * value.len());
    out.extend_from_slice(b"0x");
    for &byte in value {
        out.extend_from_slice(&HEX[usize::from(byte)]);
    }
}

/// The letter that stands for a byte after a backslash; 0: the byte stands for itself.
const ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    table[0] = b'0';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\\' as usize] = b'\\';
    table[b'\'' as usize] = b'\'';
    table[b'"' as usize] = b'"';
    table[0x1a] = b'Z';
    table
};

const HEX: [[u8; 2]; 256] = {
    let digits = *b"0123456789ABCDEF";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_strings_are_quoted() {
        assert_eq!(qualified("a`b", "c\nd"), "`a``b`.`c\nd`");
        assert_eq!(literal("it's \"5\\6\"\r\n\0\u{1a}é"), "'it\\'s \\\"5\\\\6\\\"\\r\\n\\0\\Zé'");
        let mut out = Vec::new();
        hexadecimal(&mut out, &[0, 0xfe]);
        hexadecimal(&mut out, &[]);
        assert_eq!(out, b"0x00FE''");
    }
}
