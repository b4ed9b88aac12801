//! Writing the few things of an RDB file that are not cut out of payloads.

use super::types::{Format, opcode};

/// Appends a length.
pub fn length(length: u64, into: &mut Vec<u8>) {
    match (u8::try_from(length), u32::try_from(length)) {
        (Ok(short @ 0..=0x3F), _) => into.push(short),
        (_, Ok(middle)) => {
            into.push(0x80);
            into.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            into.push(0x81);
            into.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// Appends a string.
pub fn string(text: &[u8], into: &mut Vec<u8>) {
    length(text.len() as u64, into);
    into.extend_from_slice(text);
}

/// Appends a field of metadata. Servers ignore those that they do not know.
pub fn aux(name: &str, value: &[u8], into: &mut Vec<u8>) {
    into.push(opcode::AUX);
    string(name.as_bytes(), into);
    string(value, into);
}

/// Begins a file.
pub fn header(format: Format) -> Vec<u8> {
    format.magic()
}

/// Appends the choice of a database.
pub fn database(number: u64, into: &mut Vec<u8>) {
    into.push(opcode::SELECT_DB);
    length(number, into);
}

/// Appends a key with the value of a DUMP payload (without its footer).
pub fn key(name: &[u8], expires: Option<i64>, code: u8, body: &[u8], into: &mut Vec<u8>) {
    if let Some(at) = expires {
        into.push(opcode::EXPIRE_MS);
        into.extend_from_slice(&at.to_le_bytes());
    }
    into.push(code);
    string(name, into);
    into.extend_from_slice(body);
}

/// Ends a DUMP payload: version and checksum.
pub fn footer(format: Format, payload: &mut Vec<u8>) {
    let version = u16::try_from(format.version).unwrap_or(u16::MAX);
    payload.extend_from_slice(&version.to_le_bytes());
    let sum = super::crc64(payload);
    payload.extend_from_slice(&sum.to_le_bytes());
}
