//! Reading some members: by the index, only the ranges that hold them.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::ops::Range;

use super::ranges::Ranges;
use super::{OpenIndex, Reading, Visitor, content, decoders};
use crate::package::error::printable;
use crate::package::index::{Entry, Item, Line};
use crate::package::{Error, gzip, tar};

/// The wanted members that are kept in memory; of more, one bit per member is kept and the index is read again.
const KEPT: usize = 4_096;

/// What one pass over the index says of the wanted members.
#[derive(Default)]
struct Choice {
    kept: VecDeque<Entry>,
    chosen: Bits,
    count: usize,
    /// What they occupy of the tar stream, joined where less than a block is between.
    extents: Vec<Range<u64>>,
    /// Where each block begins: in the tar stream, in the gzip stream. The last is the end of both.
    blocks: Vec<(u64, u64)>,
}

/// One bit per member of the archive.
#[derive(Default)]
struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        if self.length.is_multiple_of(64) {
            self.words.push(0);
        }
        if let (Some(word), true) = (self.words.last_mut(), bit) {
            *word |= 1 << (self.length % 64);
        }
        self.length += 1;
    }

    fn get(&self, at: usize) -> bool {
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

/// Reads the members that `choose` picks.
pub(super) fn read(
    reading: &Reading,
    mut choose: Box<dyn FnMut(&Entry) -> bool + Send>,
    visitor: &mut dyn Visitor,
) -> Result<(), Error> {
    let mut choice = Choice::default();
    let mut index = reading.index()?;
    while let Some(item) = index.rows.next().map_err(|error| error.of("the index"))? {
        choice.take(item, &mut *choose);
    }
    index.finish(&reading.package.record)?;
    if choice.count == 0 {
        return Ok(());
    }
    let runs = choice.runs()?;
    let ranges = runs.iter().map(|run| run.packed.clone()).collect();
    let plain = gzip::Reader::new(Ranges::open(reading, ranges)?, decoders()).map_err(Error::Thread)?;
    let source = Pieces { plain, runs: runs.into_iter().map(|run| run.plain).collect(), position: None };
    let mut archive = tar::Reader::new(source, 0);
    let mut wanted = Wanted::new(reading, choice)?;
    while let Some(entry) = wanted.next()? {
        archive.get_mut().seek(entry.offset).map_err(Error::from_read)?;
        archive.jump(entry.offset);
        let missing = || Error::Mismatch(format!("`{}` is missing", printable(&entry.path)));
        let member = archive.member().map_err(Error::from_read)?.ok_or_else(missing)?;
        content::visit(&mut archive, member, &entry, visitor)?;
        archive.get_mut().advance_to(archive_end(&entry));
    }
    Ok(())
}

fn archive_end(entry: &Entry) -> u64 {
    entry.offset + entry.length
}

/// A run of blocks that is read in one go.
struct Run {
    plain: Range<u64>,
    packed: Range<u64>,
}

impl Choice {
    fn take(&mut self, item: Item, choose: &mut dyn FnMut(&Entry) -> bool) {
        match item {
            Item::Line(Line::Entry(entry)) => {
                let wanted = choose(&entry);
                self.chosen.push(wanted);
                if wanted {
                    self.want(entry);
                }
            }
            Item::Line(Line::Object(_)) => {}
            Item::Block(block) => {
                self.blocks.pop();
                self.blocks.push((block.plain_offset, block.offset));
                self.blocks.push((
                    block.plain_offset + u64::from(block.plain_length),
                    block.offset + u64::from(block.length),
                ));
            }
        }
    }

    fn want(&mut self, entry: Entry) {
        let end = archive_end(&entry);
        match self.extents.last_mut() {
            Some(last) if entry.offset - last.end < gzip::BLOCK as u64 => last.end = end,
            _ => self.extents.push(entry.offset..end),
        }
        self.count += 1;
        if self.count <= KEPT {
            self.kept.push_back(entry);
        } else {
            self.kept.clear();
        }
    }

    /// The runs of blocks that hold the extents, joined where they share or follow each other.
    fn runs(&self) -> Result<Vec<Run>, Error> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for extent in &self.extents {
            let first = self.blocks.partition_point(|(plain, _)| *plain <= extent.start).checked_sub(1);
            let last = self.blocks.partition_point(|(plain, _)| *plain < extent.end);
            let (Some(first), true) = (first, last < self.blocks.len()) else {
                return Err(Error::Damaged("the index has no block for a member".into()));
            };
            match runs.last_mut() {
                Some((_, end)) if first <= *end => *end = last,
                _ => runs.push((first, last)),
            }
        }
        let run = |(first, last): (usize, usize)| Run {
            plain: self.blocks[first].0..self.blocks[last].0,
            packed: self.blocks[first].1..self.blocks[last].1,
        };
        Ok(runs.into_iter().map(run).collect())
    }
}

/// The wanted members once more, in order.
enum Wanted {
    Kept(VecDeque<Entry>),
    Again { index: Box<OpenIndex>, chosen: Bits, at: usize },
}

impl Wanted {
    fn new(reading: &Reading, choice: Choice) -> Result<Self, Error> {
        if choice.count <= KEPT {
            return Ok(Self::Kept(choice.kept));
        }
        let index = Box::new(reading.index()?);
        Ok(Self::Again { index, chosen: choice.chosen, at: 0 })
    }

    fn next(&mut self) -> Result<Option<Entry>, Error> {
        match self {
            Self::Kept(entries) => Ok(entries.pop_front()),
            Self::Again { index, chosen, at } => loop {
                let entry = index.rows.next_entry().map_err(|error| error.of("the index"))?;
                *at += 1;
                if entry.is_none() || chosen.get(*at - 1) {
                    return Ok(entry);
                }
            },
        }
    }
}

/// The tar stream with the parts left out that nobody wants.
struct Pieces {
    plain: gzip::Reader,
    runs: VecDeque<Range<u64>>,
    /// Where in the tar stream the next decoded byte belongs; nothing before the first run.
    position: Option<u64>,
}

impl Pieces {
    /// Goes forward to a position of the tar stream, which must lie in a run.
    fn seek(&mut self, to: u64) -> io::Result<()> {
        loop {
            let gone = || io::Error::new(io::ErrorKind::InvalidData, "a member lies outside the blocks read");
            let run = self.runs.front().ok_or_else(gone)?.clone();
            let position = *self.position.get_or_insert(run.start);
            if to < position {
                return Err(gone());
            }
            let target = to.min(run.end);
            self.discard(target - position)?;
            self.position = Some(target);
            if to < run.end {
                return Ok(());
            }
            self.runs.pop_front();
            self.position = None;
        }
    }

    fn discard(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let ready = self.plain.fill_buf()?.len();
            if ready == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let now = usize::try_from(count).unwrap_or(usize::MAX).min(ready);
            self.plain.consume(now);
            count -= now as u64;
        }
        Ok(())
    }

    /// Takes note of what has been read since the last [`seek`](Self::seek).
    fn advance_to(&mut self, position: u64) {
        self.position = Some(position);
    }
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.plain.read(out)
    }
}
