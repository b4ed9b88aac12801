//! Paths of members: readable, unique, and safe in any file system.

/// A name as a path component: letters, digits, `_`, `-` stay, the rest is percent-encoded by byte.
pub(super) fn component(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The path of a database's definitions.
pub(super) fn pre_data(database: &str) -> String {
    format!("db/{}/1-pre-data.sql", component(database))
}

/// The path of one part of a table's rows.
pub(super) fn data(database: &str, schema: &str, table: &str, part: u64) -> String {
    format!("db/{}/2-data/{}.{}.{part:04}.sql", component(database), component(schema), component(table))
}

/// The path of what is built on rows.
pub(super) fn post_data(database: &str) -> String {
    format!("db/{}/3-post-data.sql", component(database))
}
