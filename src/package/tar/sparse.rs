//! Holes: the map of GNU sparse format 1.0, which stands before the data of a sparse file.

use std::io::{self, Read};

use super::{Error, MAX_SEGMENTS, RECORD};

/// Checks that segments are in order, do not touch and lie within the file.
pub(super) fn check(segments: &[(u64, u64)], size: u64) -> Result<(), Error> {
    if segments.len() > MAX_SEGMENTS {
        return Err(Error::TooLarge("the number of holes is"));
    }
    let mut free_from = None;
    for (offset, length) in segments {
        let end = offset.checked_add(*length).ok_or(Error::Segments)?;
        let touches = free_from.is_some_and(|free| *offset <= free);
        if *length == 0 || touches || end > size {
            return Err(Error::Segments);
        }
        free_from = Some(end);
    }
    Ok(())
}

/// The map as it stands in the archive, padded.
pub(super) fn map(segments: &[(u64, u64)], size: u64) -> Vec<u8> {
    let ends_in_hole = segments.last().is_none_or(|(offset, length)| offset + length < size);
    let mut map = format!("{}\n", segments.len() + usize::from(ends_in_hole)).into_bytes();
    let end = ends_in_hole.then_some((size, 0));
    for (offset, length) in segments.iter().copied().chain(end) {
        map.extend_from_slice(format!("{offset}\n{length}\n").as_bytes());
    }
    map.resize(map.len().next_multiple_of(RECORD), 0);
    map
}

/// A map that was read, and the bytes that it took.
pub(super) struct Map {
    pub(super) segments: Vec<(u64, u64)>,
    pub(super) length: u64,
}

/// Reads a map from the first bytes of a member's data, of which there are `available`.
pub(super) fn read(source: &mut impl Read, available: u64, size: u64) -> io::Result<Map> {
    let mut numbers = Numbers { source, record: [0; RECORD], used: RECORD, length: 0, available };
    let count = numbers.next()?;
    if count > MAX_SEGMENTS as u64 + 1 {
        return Err(malformed(Error::TooLarge("the number of holes is")));
    }
    let mut segments = Vec::new();
    for _ in 0..count {
        let (offset, length) = (numbers.next()?, numbers.next()?);
        if length > 0 {
            segments.push((offset, length));
        } else if offset > size {
            return Err(malformed(Error::Segments));
        }
    }
    let length = numbers.length;
    join(&mut segments);
    check(&segments, size).map_err(malformed)?;
    Ok(Map { segments, length })
}

/// Joins segments that touch, which other writers produce.
fn join(segments: &mut Vec<(u64, u64)>) {
    segments.dedup_by(|next, last| {
        let touches = last.0.checked_add(last.1) == Some(next.0);
        if touches {
            last.1 = last.1.saturating_add(next.1);
        }
        touches
    });
}

struct Numbers<'a, R> {
    source: &'a mut R,
    record: [u8; RECORD],
    used: usize,
    length: u64,
    available: u64,
}

impl<R: Read> Numbers<'_, R> {
    fn next(&mut self) -> io::Result<u64> {
        let mut number = 0u64;
        for at in 0..=20 {
            let byte = self.byte()?;
            match byte {
                b'\n' if at > 0 => return Ok(number),
                b'0'..=b'9' => {
                    let next = number.checked_mul(10).and_then(|n| n.checked_add(u64::from(byte - b'0')));
                    number = next.ok_or_else(|| malformed(Error::Segments))?;
                }
                _ => break,
            }
        }
        Err(malformed(Error::Segments))
    }

    fn byte(&mut self) -> io::Result<u8> {
        if self.used == RECORD {
            if self.length + RECORD as u64 > self.available {
                return Err(malformed(Error::Segments));
            }
            self.source.read_exact(&mut self.record)?;
            self.length += RECORD as u64;
            self.used = 0;
        }
        self.used += 1;
        Ok(self.record[self.used - 1])
    }
}

fn malformed(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
