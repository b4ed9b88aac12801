//! Reading back what was written, as the medium has it and not as the page cache remembers it.
//!
//! A large object is read back while it is still being written, one [`WINDOW`] behind, so that the proof costs little
//! time at the end.

use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rustix::fs::{Advice, fadvise};

/// After how many bytes written they are read back.
pub(super) const WINDOW: u64 = 8 << 20;

/// What is compared: XXH3-128. Against a disk that errs it is as good as a cryptographic digest, at a tenth of the cost;
/// against someone who changes packages the record's SHA-256 and age stand.
pub(super) type Hasher = xxhash_rust::xxh3::Xxh3;

/// The size and digest of a file, as far as it has been read.
pub(super) struct ReadBack {
    file: File,
    hasher: Hasher,
    at: u64,
    buffer: Vec<u8>,
}

impl ReadBack {
    /// Begins at the first byte of a file.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, hasher: Hasher::new(), at: 0, buffer: vec![0; 1 << 18] })
    }

    /// Reads to `end`, or to the file's end if that comes first. What is read must have been flushed: only then can its
    /// pages be dropped from the cache, which is done first.
    fn reach(&mut self, end: u64) -> io::Result<()> {
        fadvise(&self.file, self.at, NonZeroU64::new(end.saturating_sub(self.at)), Advice::DontNeed)?;
        while self.at < end {
            let most = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(self.buffer.len());
            let count = match self.file.read(&mut self.buffer[..most]) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.hasher.update(&self.buffer[..count]);
            self.at += count as u64;
        }
        Ok(())
    }

    /// Reads to the end of a file that has been flushed, and returns its size and digest.
    pub(super) fn finish(mut self) -> io::Result<(u64, u128)> {
        // No file is longer than this; the kernel takes offsets up to it.
        self.reach(i64::MAX.unsigned_abs())?;
        Ok((self.at, self.hasher.digest128()))
    }

    /// Flushes and reads up to each of the marks.
    fn follow(mut self, marks: &Receiver<u64>) -> io::Result<Self> {
        while let Ok(mut mark) = marks.recv() {
            while let Ok(later) = marks.try_recv() {
                mark = later;
            }
            self.file.sync_data()?;
            self.reach(mark)?;
        }
        Ok(self)
    }
}

/// A thread that reads back behind the writer. It ends when this is dropped.
pub(super) struct Behind {
    marks: Sender<u64>,
    thread: JoinHandle<io::Result<ReadBack>>,
}

impl Behind {
    /// Starts the thread.
    pub(super) fn start(read_back: ReadBack) -> io::Result<Self> {
        let (marks, receiver) = channel();
        let thread = std::thread::Builder::new().name("read-back".into());
        let thread = thread.spawn(move || read_back.follow(&receiver))?;
        Ok(Self { marks, thread })
    }

    /// Has everything before `end` flushed and read back, some time from now.
    pub(super) fn reach(&self, end: u64) {
        // A thread that has failed is gone; finishing tells why.
        let _ = self.marks.send(end);
    }

    /// Reads what is left of the flushed file, and returns its size and digest.
    pub(super) fn finish(self) -> io::Result<(u64, u128)> {
        drop(self.marks);
        let lost = |_| io::Error::other("the thread that reads back was lost");
        self.thread.join().map_err(lost)??.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};

    use super::*;

    /// What is read back behind a writer of `size` bytes, when `damage` is done to the file before the last mark.
    fn written(size: usize, damage: bool) -> ((u64, u128), u128) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let behind = Behind::start(ReadBack::of(file.path()).unwrap()).unwrap();
        let content: Vec<u8> = (0..=250).cycle().take(size).collect();
        for (number, chunk) in content.chunks(100_000).enumerate() {
            file.write_all(chunk).unwrap();
            if number % 3 == 0 {
                file.flush().unwrap();
                behind.reach(number as u64 * 100_000);
            }
        }
        if damage {
            file.seek(SeekFrom::Start(size as u64 - 1)).unwrap();
            file.write_all(&[255]).unwrap();
        }
        file.as_file().sync_all().unwrap();
        (behind.finish().unwrap(), xxhash_rust::xxh3::xxh3_128(&content))
    }

    #[test]
    fn everything_is_read_once_whatever_the_marks() {
        for size in [1, 99_999, 100_000, 3_141_592] {
            let ((length, digest), sent) = written(size, false);
            assert_eq!((length, digest), (size as u64, sent));
        }
    }

    #[test]
    fn a_byte_that_differs_is_seen() {
        let ((_, digest), sent) = written(1_000_000, true);
        assert_ne!(digest, sent);
    }
}
