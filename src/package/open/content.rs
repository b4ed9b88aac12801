//! A member against its line in the index.

use std::io::{self, Read};

use super::Visitor;
use crate::package::error::printable;
use crate::package::index::{Entry, EntryKind};
use crate::package::member::{Header, Kind};
use crate::package::{Error, tar};

/// Reads a member's content and takes its digest.
struct Digested<'a, R> {
    source: &'a mut tar::Reader<R>,
    hasher: blake3::Hasher,
    /// What ended the content before its end. Whoever reads gets its words; the error itself says whether the package is
    /// damaged or out of reach, and behind it the source would only say that it has ended.
    failed: Option<io::Error>,
}

impl<R: Read> Read for Digested<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = &self.failed {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        match self.source.read(out) {
            Ok(count) => {
                self.hasher.update(&out[..count]);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = io::Error::new(error.kind(), error.to_string());
                self.failed = Some(error);
                Err(told)
            }
        }
    }
}

/// Gives a member to the visitor and compares it with the index: where it stands, what it is, what is in it.
pub(super) fn visit<R: Read>(
    source: &mut tar::Reader<R>,
    member: tar::Member,
    entry: &Entry,
    visitor: &mut dyn Visitor,
) -> Result<(), Error> {
    let tar::Member { mut header, offset } = member;
    compare(&header, offset, entry)?;
    header.object.clone_from(&entry.object);
    let has_content = header.kind == Kind::File;
    let mut content = Digested { source, hasher: blake3::Hasher::new(), failed: None };
    let visited = visitor.member(entry, header, &mut content);
    let rest = drain(&mut content);
    // A visitor that stumbles over a damaged package tells of its own failure; the package's is the cause.
    if let Some(cause) = content.failed {
        return Err(Error::from_read(cause));
    }
    rest.map_err(Error::from_read)?;
    visited.map_err(Error::Visit)?;
    let digest = has_content.then(|| *content.hasher.finalize().as_bytes());
    if digest != entry.digest {
        return Err(Error::Mismatch(format!(
            "the content of `{}` has another digest",
            printable(&entry.path)
        )));
    }
    source.skip().map_err(Error::from_read)?;
    let length = source.offset() - offset;
    if length == entry.length {
        return Ok(());
    }
    Err(Error::Mismatch(format!(
        "`{}` takes {length} bytes, the index says {}",
        printable(&entry.path),
        entry.length
    )))
}

fn drain(content: &mut impl Read) -> io::Result<()> {
    // Small, because it is made for every member and nearly always finds nothing.
    let mut waste = [0; 1 << 12];
    while content.read(&mut waste)? > 0 {}
    Ok(())
}

fn compare(header: &Header, offset: u64, entry: &Entry) -> Result<(), Error> {
    let name = || printable(&header.path);
    if header.path != entry.path {
        return Err(Error::Mismatch(format!(
            "`{}` stands where `{}` should",
            name(),
            printable(&entry.path)
        )));
    }
    let expected = Entry::of(header, offset);
    let same = EntryKind::of(&header.kind) == entry.kind
        && (expected.offset, expected.size, &expected.link) == (entry.offset, entry.size, &entry.link)
        && (expected.mode, expected.uid, expected.gid) == (entry.mode, entry.uid, entry.gid)
        && expected.mtime == entry.mtime;
    if same { Ok(()) } else { Err(Error::Mismatch(format!("`{}` has other metadata", name()))) }
}
