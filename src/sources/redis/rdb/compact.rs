//! The compact encodings of small collections: listpack, ziplist, zipmap, intset.
//!
//! Each function shows the elements in order as the text that a client would read, or says that the bytes do not
//! hold together.

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Text of an element: bytes as they are, numbers in decimal.
struct Text([u8; 20]);

impl Text {
    fn show(number: i64, each: &mut impl FnMut(&[u8])) {
        let mut text = Self([0; 20]);
        let mut at = 20;
        let mut left = number.unsigned_abs();
        loop {
            at -= 1;
            // A digit is below 10.
            text.0[at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if number < 0 {
            at -= 1;
            text.0[at] = b'-';
        }
        each(&text.0[at..]);
    }
}

fn bytes<const N: usize>(blob: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    blob.get(at..at.saturating_add(N)).and_then(|slice| slice.try_into().ok()).ok_or(Malformed)
}

fn byte(blob: &[u8], at: usize) -> Result<u8, Malformed> {
    blob.get(at).copied().ok_or(Malformed)
}

fn wide(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A 24-bit number, with its sign.
fn three(raw: [u8; 3]) -> i64 {
    i64::from(i32::from_le_bytes([0, raw[0], raw[1], raw[2]]) >> 8)
}

/// Shows the elements of a listpack.
pub fn listpack(blob: &[u8], mut each: impl FnMut(&[u8])) -> Result<u64, Malformed> {
    if wide(u32::from_le_bytes(bytes(blob, 0)?)) != blob.len() {
        return Err(Malformed);
    }
    let claimed = u16::from_le_bytes(bytes(blob, 4)?);
    let (mut at, mut count) = (6, 0u64);
    while byte(blob, at)? != 0xFF {
        let size = listpack_element(blob, at, &mut each)?;
        at += size + back_length(size);
        count += 1;
    }
    let agrees = claimed == u16::MAX || u64::from(claimed) == count;
    if at + 1 == blob.len() && agrees { Ok(count) } else { Err(Malformed) }
}

/// Shows one element of a listpack and returns its size without the backward length.
fn listpack_element(blob: &[u8], at: usize, each: &mut impl FnMut(&[u8])) -> Result<usize, Malformed> {
    let first = byte(blob, at)?;
    let (head, length) = match first {
        0..=0x7F => {
            Text::show(i64::from(first), each);
            return Ok(1);
        }
        0x80..=0xBF => (1, usize::from(first & 0x3F)),
        0xC0..=0xDF => {
            let raw = i64::from(first & 0x1F) << 8 | i64::from(byte(blob, at + 1)?);
            Text::show(if raw >= 1 << 12 { raw - (1 << 13) } else { raw }, each);
            return Ok(2);
        }
        0xE0..=0xEF => (2, usize::from(first & 0x0F) << 8 | usize::from(byte(blob, at + 1)?)),
        0xF0 => (5, wide(u32::from_le_bytes(bytes(blob, at + 1)?))),
        0xF1 => {
            Text::show(i64::from(i16::from_le_bytes(bytes(blob, at + 1)?)), each);
            return Ok(3);
        }
        0xF2 => {
            Text::show(three(bytes(blob, at + 1)?), each);
            return Ok(4);
        }
        0xF3 => {
            Text::show(i64::from(i32::from_le_bytes(bytes(blob, at + 1)?)), each);
            return Ok(5);
        }
        0xF4 => {
            Text::show(i64::from_le_bytes(bytes(blob, at + 1)?), each);
            return Ok(9);
        }
        _ => return Err(Malformed),
    };
    let start = at + head;
    each(blob.get(start..start.saturating_add(length)).ok_or(Malformed)?);
    Ok(head + length)
}

/// How many bytes the backward length of an element takes (`lpEncodeBacklen`).
fn back_length(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

/// Shows the elements of a ziplist.
pub fn ziplist(blob: &[u8], mut each: impl FnMut(&[u8])) -> Result<u64, Malformed> {
    if wide(u32::from_le_bytes(bytes(blob, 0)?)) != blob.len() {
        return Err(Malformed);
    }
    let claimed = u16::from_le_bytes(bytes(blob, 8)?);
    let (mut at, mut count) = (10, 0u64);
    while byte(blob, at)? != 0xFF {
        at += if byte(blob, at)? == 0xFE { 5 } else { 1 };
        at += ziplist_element(blob, at, &mut each)?;
        count += 1;
    }
    let agrees = claimed == u16::MAX || u64::from(claimed) == count;
    if at + 1 == blob.len() && agrees { Ok(count) } else { Err(Malformed) }
}

/// Shows one element of a ziplist, from its encoding on, and returns its size from there.
fn ziplist_element(blob: &[u8], at: usize, each: &mut impl FnMut(&[u8])) -> Result<usize, Malformed> {
    let first = byte(blob, at)?;
    let (head, length) = match first {
        0..=0x3F => (1, usize::from(first)),
        0x40..=0x7F => (2, usize::from(first & 0x3F) << 8 | usize::from(byte(blob, at + 1)?)),
        0x80 => (5, wide(u32::from_be_bytes(bytes(blob, at + 1)?))),
        0xC0 => {
            Text::show(i64::from(i16::from_le_bytes(bytes(blob, at + 1)?)), each);
            return Ok(3);
        }
        0xD0 => {
            Text::show(i64::from(i32::from_le_bytes(bytes(blob, at + 1)?)), each);
            return Ok(5);
        }
        0xE0 => {
            Text::show(i64::from_le_bytes(bytes(blob, at + 1)?), each);
            return Ok(9);
        }
        0xF0 => {
            Text::show(three(bytes(blob, at + 1)?), each);
            return Ok(4);
        }
        0xFE => {
            Text::show(i64::from(i8::from_le_bytes(bytes(blob, at + 1)?)), each);
            return Ok(2);
        }
        0xF1..=0xFD => {
            Text::show(i64::from(first & 0x0F) - 1, each);
            return Ok(1);
        }
        _ => return Err(Malformed),
    };
    let start = at + head;
    each(blob.get(start..start.saturating_add(length)).ok_or(Malformed)?);
    Ok(head + length)
}

/// Shows the keys and values of a zipmap in turn.
pub fn zipmap(blob: &[u8], mut each: impl FnMut(&[u8])) -> Result<u64, Malformed> {
    let (mut at, mut count) = (1, 0u64);
    byte(blob, 0)?;
    while byte(blob, at)? != 0xFF {
        let (head, length) = match byte(blob, at)? {
            0xFE => (5, wide(u32::from_le_bytes(bytes(blob, at + 1)?))),
            short => (1, usize::from(short)),
        };
        // A value is followed by free bytes, whose number stands before it.
        let free = if count % 2 == 1 { 1 + usize::from(byte(blob, at + head)?) } else { 0 };
        let start = at + head + usize::from(free > 0);
        let end = start.checked_add(length).ok_or(Malformed)?;
        each(blob.get(start..end).ok_or(Malformed)?);
        at = end + free.saturating_sub(1);
        count += 1;
    }
    if at + 1 == blob.len() && count % 2 == 0 { Ok(count) } else { Err(Malformed) }
}

/// Shows the members of an intset.
pub fn intset(blob: &[u8], mut each: impl FnMut(&[u8])) -> Result<u64, Malformed> {
    let width = wide(u32::from_le_bytes(bytes(blob, 0)?));
    let count = wide(u32::from_le_bytes(bytes(blob, 4)?));
    if !matches!(width, 2 | 4 | 8) || count.checked_mul(width) != Some(blob.len() - 8) {
        return Err(Malformed);
    }
    for at in (8..blob.len()).step_by(width) {
        let number = match width {
            2 => i64::from(i16::from_le_bytes(bytes(blob, at)?)),
            4 => i64::from(i32::from_le_bytes(bytes(blob, at)?)),
            _ => i64::from_le_bytes(bytes(blob, at)?),
        };
        Text::show(number, &mut each);
    }
    Ok(count as u64)
}
