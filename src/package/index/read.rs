//! Reading an index, line by line.

use std::io::{BufRead, Read};

use super::line::{End, Row, VERSION};
use super::{Entry, Line};
use crate::package::Error;
use crate::package::gzip::Block;
use crate::package::seal::Totals;

/// The longest line that is read.
const MAX_LINE: u64 = 32 << 20;

/// The lines of an index. Yields nothing before the first line has been checked, and its end only after the last.
pub(in crate::package) struct Rows<R> {
    source: R,
    line: Vec<u8>,
    totals: Totals,
    blocks: u64,
    chain: blake3::Hasher,
    position: Block,
    end: Option<End>,
}

/// What a line holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::package) enum Item {
    Line(Line),
    Block(Block),
}

impl<R: BufRead> Rows<R> {
    /// Reads and checks the first line: version, and whose index it is.
    pub(in crate::package) fn new(source: R, key: &str) -> Result<Self, Error> {
        let mut rows = Self {
            source,
            line: Vec::new(),
            totals: Totals::default(),
            blocks: 0,
            chain: blake3::Hasher::new(),
            position: Block::default(),
            end: None,
        };
        match rows.row()? {
            Row::Index(head) if head.version > VERSION => {
                Err(Error::NewerVersion(format!("the index (version {})", head.version)))
            }
            Row::Index(head) if head.package != key => {
                Err(Error::ForeignIndex { expected: key.to_owned(), found: head.package })
            }
            Row::Index(_) => Ok(rows),
            _ => Err(Error::Damaged("the index does not begin with its first line".into())),
        }
    }

    /// The next member, object or block; `None` after the last line, when everything has been counted.
    pub(in crate::package) fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.end.is_some() {
            return Ok(None);
        }
        match self.row()? {
            Row::Index(_) => Err(Error::Damaged("the index begins twice".into())),
            Row::Member(member) => {
                let wrong = |what| Error::Damaged(format!("bad {what} in the index"));
                let entry = member.into_entry().map_err(wrong)?;
                self.count(&entry)?;
                Ok(Some(Item::Line(Line::Entry(entry))))
            }
            Row::Object(object) => {
                self.totals.objects += 1;
                Ok(Some(Item::Line(Line::Object(object))))
            }
            Row::Block(plain_offset, plain_length, offset, length) => {
                self.block(Block { plain_offset, plain_length, offset, length }).map(Some)
            }
            Row::End(end) => self.finish(end).map(|()| None),
        }
    }

    /// The next member, over everything else.
    pub(in crate::package) fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            match self.next()? {
                None => return Ok(None),
                Some(Item::Line(Line::Entry(entry))) => return Ok(Some(entry)),
                Some(_) => {}
            }
        }
    }

    /// The last line, once it has been read.
    pub(in crate::package) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The digest of all block lines.
    pub(in crate::package) fn blocks(&self) -> blake3::Hash {
        self.chain.finalize()
    }

    fn count(&mut self, entry: &Entry) -> Result<(), Error> {
        let end = entry.offset.checked_add(entry.length);
        match end {
            Some(end) if entry.offset == self.totals.tar_bytes && end > entry.offset => {
                self.totals.tar_bytes = end;
                self.totals.members += 1;
                Ok(())
            }
            _ => Err(Error::Damaged(format!("a member line is missing before offset {}", entry.offset))),
        }
    }

    fn block(&mut self, block: Block) -> Result<Item, Error> {
        if block.plain_offset != self.position.plain_offset || block.offset != self.position.offset {
            return Err(Error::Damaged(format!("a block line is missing before offset {}", block.offset)));
        }
        let after = (|| {
            Some((
                block.plain_offset.checked_add(block.plain_length.into())?,
                block.offset.checked_add(block.length.into())?,
            ))
        })();
        let (plain_offset, offset) = after.ok_or_else(|| Error::Damaged("bad block in the index".into()))?;
        self.position = Block { plain_offset, offset, ..Block::default() };
        self.blocks += 1;
        block.digest(&mut self.chain);
        Ok(Item::Block(block))
    }

    /// Compares the last line with what came before it.
    fn finish(&mut self, end: End) -> Result<(), Error> {
        let counted = (self.totals.members, self.totals.objects, self.blocks);
        if counted != (end.totals.members, end.totals.objects, end.blocks) {
            return Err(Error::Damaged(format!(
                "the index has {} members, {} objects, {} blocks; its last line says {}, {}, {}",
                counted.0, counted.1, counted.2, end.totals.members, end.totals.objects, end.blocks
            )));
        }
        // Behind the last member stands the archive's end mark, in the last block.
        let tar_bytes = self.totals.tar_bytes + crate::package::tar::end().len() as u64;
        if tar_bytes != end.totals.tar_bytes || self.position.plain_offset != end.totals.tar_bytes {
            return Err(Error::Damaged("the index does not cover the archive".into()));
        }
        if !self.source.fill_buf().map_err(Error::from_read)?.is_empty() {
            return Err(Error::Damaged("there is something behind the last line of the index".into()));
        }
        self.end = Some(end);
        Ok(())
    }

    fn row(&mut self) -> Result<Row, Error> {
        self.line.clear();
        let mut limited = (&mut self.source).take(MAX_LINE);
        limited.read_until(b'\n', &mut self.line).map_err(Error::from_read)?;
        match self.line.pop() {
            Some(b'\n') => parse(&self.line),
            Some(_) if self.line.len() as u64 + 1 == MAX_LINE => {
                Err(Error::Damaged("a line of the index is too long".into()))
            }
            _ => Err(Error::Truncated("the index has no last line".into())),
        }
    }
}

fn parse(line: &[u8]) -> Result<Row, Error> {
    serde_json::from_slice(line).map_err(|error| {
        // A line of an unknown kind is sound JSON with one key.
        let kind = match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line) {
            Ok(map) if map.len() == 1 => map.into_iter().next().map(|(kind, _)| kind),
            _ => None,
        };
        match kind.filter(|kind| !["index", "member", "object", "block", "end"].contains(&kind.as_str())) {
            Some(kind) => Error::NewerVersion(format!("a line `{kind}` of the index")),
            None => Error::Damaged(format!("a line of the index cannot be read: {error}")),
        }
    })
}
