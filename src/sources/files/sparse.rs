//! Where a sparse file has data.

use std::os::fd::BorrowedFd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The most segments that are kept of one file.
const MOST: usize = 8 << 10;

/// The data segments of a file of `size` bytes, as (offset, length). `None` if it has no holes after all.
///
/// A file with very many holes keeps the large ones: the smallest are read as the zeros that they are, so the content
/// is the same to the byte, and the memory for the list has a bound.
pub(super) fn segments(fd: BorrowedFd<'_>, size: u64) -> Result<Option<Vec<(u64, u64)>>, Errno> {
    let mut segments = Segments::default();
    let mut at = 0;
    while at < size {
        let start = match seek(fd, SeekFrom::Data(at)) {
            Ok(start) => start,
            // No data from here to the end.
            Err(Errno::NXIO) => break,
            // A file system without holes to tell of.
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(None),
            Err(error) => return Err(error),
        };
        if start >= size {
            break;
        }
        let end = match seek(fd, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            // Cut off meanwhile: what was promised is padded, noticed and read again.
            Err(Errno::NXIO) => size,
            Err(error) => return Err(error),
        };
        if end <= start {
            break;
        }
        segments.push(start, end - start);
        at = end;
    }
    Ok((segments.list != [(0, size)]).then_some(segments.list))
}

#[derive(Debug, Default)]
struct Segments {
    list: Vec<(u64, u64)>,
    /// Holes below this size are not kept.
    smallest: u64,
}

impl Segments {
    fn push(&mut self, start: u64, length: u64) {
        match self.list.last_mut() {
            Some(last) if start - (last.0 + last.1) < self.smallest.max(1) => {
                last.1 = start + length - last.0;
            }
            _ => self.list.push((start, length)),
        }
        while self.list.len() > MOST {
            self.smallest = (self.smallest * 2).max(4 << 10);
            for (start, length) in std::mem::take(&mut self.list) {
                match self.list.last_mut() {
                    Some(last) if start - (last.0 + last.1) < self.smallest => {
                        last.1 = start + length - last.0;
                    }
                    _ => self.list.push((start, length)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_holes_become_few_and_no_data_is_left_out() {
        let mut segments = Segments::default();
        let placed: Vec<(u64, u64)> = (0..100_000).map(|i| (i * 12_288 + (i % 5) * 512, 1_024)).collect();
        for (start, length) in &placed {
            segments.push(*start, *length);
        }
        assert!(segments.list.len() <= MOST);
        for (start, length) in placed {
            let found =
                segments.list.iter().any(|(from, size)| *from <= start && start + length <= from + size);
            assert!(found, "{start}");
        }
        assert!(segments.list.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0));
    }
}
