//! Paths of members: readable, unique, and safe in any file system.

/// A name as a path component: letters, digits, `_`, `-` stay, the rest is percent-encoded by byte.
pub(super) fn component(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            text.push(char::from(byte));
        } else {
            text.extend(["%", &hex::encode_upper([byte])]);
        }
    }
    text
}

/// A table as paths and blocks name it.
pub(super) fn relation(schema: &str, table: &str) -> String {
    format!("{}.{}", component(schema), component(table))
}

/// What [`component`] made, back as a name. Nothing if it is not of that form.
pub(super) fn decode(component: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(component.len());
    let mut rest = component.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(tail.get(..2)?).ok()?, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The path of a database's definitions.
pub(super) fn pre_data(database: &str) -> String {
    format!("db/{}/1-pre-data.sql", component(database))
}

/// What the paths of all members begin with that fill a database.
pub(super) fn rows(database: &str) -> String {
    format!("db/{}/2-data/", component(database))
}

/// The path of one part of a table's rows.
pub(super) fn data(database: &str, schema: &str, table: &str, part: u64) -> String {
    format!("{}{}.{part:04}.sql", rows(database), relation(schema, table))
}

/// The path of what is built on rows.
pub(super) fn post_data(database: &str) -> String {
    format!("db/{}/3-post-data.sql", component(database))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_come_back(name in ".*") {
            let path = component(&name);
            prop_assert!(path.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'.'));
            prop_assert_eq!(decode(&path), Some(name));
        }
    }
}
