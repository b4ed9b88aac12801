//! Reading an object from a directory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream;

use super::{Answers, told};
use crate::stores::{Download, Error, Reason};

/// How much is read at once, in bytes.
const CHUNK: u64 = 1 << 20;

struct Reading {
    file: File,
    path: PathBuf,
    left: u64,
}

pub(super) fn open(path: &Path, range: Option<Range<u64>>, answers: Answers) -> Result<Download, Error> {
    let mut file = File::open(path).map_err(|error| told(path, "open", error))?;
    let size = file.metadata().map_err(|error| told(path, "examine", error))?.len();
    let range = range.unwrap_or(0..size);
    if range.start > range.end || range.end > size {
        let what = format!("`{}` has {size} bytes, not {}..{}", path.display(), range.start, range.end);
        return Err(Error::new(Reason::Corrupt, what));
    }
    file.seek(SeekFrom::Start(range.start)).map_err(|error| told(path, "read", error))?;
    let reading = Reading { file, path: path.to_path_buf(), left: range.end - range.start };
    let chunks = stream::try_unfold((reading, answers), async |(reading, answers): (Reading, Answers)| {
        let next = answers.blocking(move || next(reading)).await?;
        Ok(next.map(|(chunk, reading)| (chunk, (reading, answers))))
    });
    Ok(chunks.boxed())
}

fn next(mut reading: Reading) -> Result<Option<(Bytes, Reading)>, Error> {
    if reading.left == 0 {
        return Ok(None);
    }
    let wanted = usize::try_from(reading.left.min(CHUNK)).unwrap_or(usize::MAX);
    let mut chunk = BytesMut::zeroed(wanted);
    reading.file.read_exact(&mut chunk).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Error::new(Reason::Corrupt, format!("`{}` is shorter than it was", reading.path.display()))
        }
        _ => told(&reading.path, "read", error),
    })?;
    reading.left -= wanted as u64;
    Ok(Some((chunk.freeze(), reading)))
}
