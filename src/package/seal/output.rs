//! The last thread: compressed blocks in order, through age into the pipe.

use std::io::{self, Write};
use std::sync::mpsc::SyncSender;

use crate::package::digest::{ObjectDigest, ObjectHasher};
use crate::package::index::Note;
use crate::package::pipe::PipeWriter;
use crate::package::{Error, age, gzip};

/// A pipe that knows what went through it.
#[derive(Debug)]
pub(in crate::package) struct HashedPipe {
    pipe: PipeWriter,
    hasher: ObjectHasher,
}

impl HashedPipe {
    pub(in crate::package) fn new(pipe: PipeWriter) -> Self {
        Self { pipe, hasher: ObjectHasher::default() }
    }

    pub(in crate::package) fn finish(self) -> (ObjectDigest, PipeWriter) {
        (self.hasher.finish(), self.pipe)
    }
}

impl Write for HashedPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

/// Writes blocks until the last, then ends age. The pipe is returned without its end, which is not this thread's say.
pub(super) fn run(
    mut packed: gzip::Packed,
    mut sealed: age::Sealed<HashedPipe>,
    notes: &SyncSender<Note>,
) -> Result<(ObjectDigest, PipeWriter), Error> {
    let consequence = |_| Error::Abandoned;
    while let Some(compressed) = packed.take().map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::Abandoned,
        _ => Error::Write(error),
    })? {
        sealed.write_all(compressed.member()).map_err(Error::Write)?;
        notes.send(Note::Block(compressed.block)).map_err(consequence)?;
        packed.recycle(compressed);
    }
    let (digest, pipe) = sealed.finish().map_err(Error::Write)?.finish();
    notes.send(Note::Package(digest.clone())).map_err(|_| Error::Abandoned)?;
    Ok((digest, pipe))
}
