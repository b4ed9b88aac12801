//! The fields of the 512-byte header.

use super::Error;

/// The type flags of the entries that are written and read.
pub(super) mod kind {
    pub(in super::super) const FILE: u8 = b'0';
    pub(in super::super) const OLD_FILE: u8 = 0;
    pub(in super::super) const HARD_LINK: u8 = b'1';
    pub(in super::super) const SYMLINK: u8 = b'2';
    pub(in super::super) const CHAR_DEVICE: u8 = b'3';
    pub(in super::super) const BLOCK_DEVICE: u8 = b'4';
    pub(in super::super) const DIRECTORY: u8 = b'5';
    pub(in super::super) const FIFO: u8 = b'6';
    pub(in super::super) const PAX: u8 = b'x';
    pub(in super::super) const GNU_LONG_NAME: u8 = b'L';
    pub(in super::super) const GNU_LONG_LINK: u8 = b'K';
}

/// Writes an octal number with a closing NUL if it fits the field.
pub(super) fn put_octal(field: &mut [u8], value: u64) -> bool {
    let width = field.len() - 1;
    let text = format!("{value:0width$o}");
    if text.len() > width {
        return false;
    }
    field[..width].copy_from_slice(text.as_bytes());
    field[width] = 0;
    true
}

/// Writes a number in base 256, as GNU tar and star do where octal digits do not suffice.
pub(super) fn put_base_256(field: &mut [u8], value: u64) {
    field.fill(0);
    let start = field.len() - 8;
    field[start..].copy_from_slice(&value.to_be_bytes());
    field[0] |= 0x80;
}

/// Reads a number in octal or in base 256. Blank is zero.
pub(super) fn number(field: &[u8], what: &'static str, offset: u64) -> Result<u64, Error> {
    let bad = Error::Field { what, offset };
    if let Some(first) = field.first().filter(|byte| **byte & 0x80 != 0) {
        let high = field.len().saturating_sub(8);
        // Negative numbers (0xff…) and numbers beyond 64 bits are refused here; fields of eight bytes lose the mark.
        let clean = if high == 0 {
            first.trailing_zeros() >= 7
        } else {
            *first == 0x80 && field[1..high].iter().all(|b| *b == 0)
        };
        let mut bytes = [0; 8];
        bytes[8 - field.len().min(8)..].copy_from_slice(&field[high..]);
        if high == 0 {
            bytes[0] &= 0x7f;
        }
        return if clean { Ok(u64::from_be_bytes(bytes)) } else { Err(bad) };
    }
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    if text.is_empty() {
        return Ok(0);
    }
    if !text.iter().all(|byte| (b'0'..=b'7').contains(byte)) {
        return Err(bad);
    }
    let text = std::str::from_utf8(text).map_err(|_| bad.clone())?;
    u64::from_str_radix(text, 8).map_err(|_| bad)
}

/// The time of an old header may be negative in base 256; this is the one field where that makes sense.
pub(super) fn seconds(field: &[u8], offset: u64) -> Result<i64, Error> {
    if field.first() == Some(&0xff) && field.len() >= 8 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&field[field.len() - 8..]);
        return Ok(i64::from_be_bytes(bytes));
    }
    let value = number(field, "mtime", offset)?;
    i64::try_from(value).map_err(|_| Error::Field { what: "mtime", offset })
}

/// A text field: up to the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Whether the checksum of a header is right: the sum of its bytes with the checksum's own taken as blanks.
pub(super) fn checksum_fits(record: &[u8; super::RECORD]) -> bool {
    let sum: u64 = record
        .iter()
        .enumerate()
        .map(|(at, byte)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte }))
        .sum();
    number(&record[148..156], "checksum", 0) == Ok(sum)
}
