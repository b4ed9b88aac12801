//! Writing the index while the package is written.

use std::io::Write;
use std::sync::mpsc::Receiver;

use super::Entry;
use super::line::{End, Row};
use crate::gather::gather;
use crate::package::digest::ObjectDigest;
use crate::package::gzip::{self, BLOCK, Block, Engine};
use crate::package::member::Object;
use crate::package::pipe::PipeWriter;
use crate::package::seal::{HashedPipe, Totals};
use crate::package::{Error, age};

/// What the threads of a package tell the index.
#[derive(Debug)]
pub(in crate::package) enum Note {
    Member(Entry),
    Object(Object),
    Block(Block),
    /// The archive is complete.
    Totals(Totals),
    /// The package object is complete.
    Package(ObjectDigest),
}

/// Writes the index of the package `key` until all tellers are gone. It only gets an end line, and its pipe only an
/// end, if both ends of the package were told.
pub(in crate::package) fn write(
    level: u8,
    key: &str,
    notes: &Receiver<Note>,
    sink: age::Sealed<HashedPipe>,
) -> Result<(ObjectDigest, PipeWriter), Error> {
    let mut lines = Lines { engine: Engine::new(level), plain: Vec::new(), member: Vec::new(), sink };
    lines.push(&Row::head(key))?;
    let (mut totals, mut package, mut blocks) = (None, None, 0);
    while let Some(note) = next(notes) {
        match note {
            Note::Member(entry) => lines.push(&Row::from(&entry))?,
            Note::Object(object) => lines.push(&Row::Object(object))?,
            Note::Block(block) => {
                blocks += 1;
                lines.push(&Row::block(&block))?;
            }
            Note::Totals(all) => totals = Some(all),
            Note::Package(digest) => package = Some(digest),
        }
    }
    let (Some(totals), Some(package)) = (totals, package) else { return Err(Error::Abandoned) };
    lines.push(&Row::End(End { totals, blocks, package }))?;
    lines.flush()?;
    let hashed = lines.sink.finish().map_err(Error::Write)?;
    Ok(hashed.finish())
}

/// The next note. Where none waits, several may gather first.
fn next(notes: &Receiver<Note>) -> Option<Note> {
    if let Ok(note) = notes.try_recv() {
        return Some(note);
    }
    gather();
    notes.recv().ok()
}

struct Lines {
    engine: Engine,
    plain: Vec<u8>,
    member: Vec<u8>,
    sink: age::Sealed<HashedPipe>,
}

impl Lines {
    fn push(&mut self, row: &Row) -> Result<(), Error> {
        serde_json::to_writer(&mut self.plain, row).map_err(|error| Error::Write(error.into()))?;
        self.plain.push(b'\n');
        if self.plain.len() >= BLOCK / 4 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        // A line may be longer than a block; a block longer than the limit could not be read back.
        for plain in self.plain.chunks(BLOCK) {
            gzip::compress(&mut self.engine, plain, &mut self.member).map_err(Error::Write)?;
            self.sink.write_all(&self.member).map_err(Error::Write)?;
        }
        self.plain.clear();
        Ok(())
    }
}
