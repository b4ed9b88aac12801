//! Reading: headers back as they were written, content in between.

use std::io::{self, Read};

use super::header::{checksum_fits, kind, number, seconds, text};
use super::{Error, MAX_PAX, RECORD, pax, sparse, write};
use crate::package::member::{Header, Kind, Time};

/// Reads members one after the other. Strict: what it does not understand is an error, and an archive without its end
/// mark is truncated.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    offset: u64,
    content: u64,
    padding: usize,
}

/// A member as it was read. Its content follows in the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its metadata. The object's name is not in a tar archive and stays empty.
    pub header: Header,
    /// Where its first header begins in the archive.
    pub offset: u64,
}

/// What an extended header (or GNU's long names) says of the entry that follows.
#[derive(Debug, Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    user: Option<Vec<u8>>,
    group: Option<Vec<u8>>,
    mtime: Option<Time>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    sparse_major: Option<u64>,
    sparse_minor: Option<u64>,
    sparse_name: Option<Vec<u8>>,
    sparse_size: Option<u64>,
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<R: Read> Reader<R> {
    /// A reader of the archive's first member, or of one further on that begins at `offset`.
    pub fn new(source: R, offset: u64) -> Self {
        Self { source, offset, content: 0, padding: 0 }
    }

    /// Where in the archive the reader stands.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Says where the source stands after it was moved to the beginning of a member.
    pub fn jump(&mut self, offset: u64) {
        (self.offset, self.content, self.padding) = (offset, 0, 0);
    }

    /// The source.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// The next member, after whatever is left of the last one; `None` at the end mark.
    pub fn member(&mut self) -> io::Result<Option<Member>> {
        self.skip()?;
        let offset = self.offset;
        let mut extended = Extended::default();
        let mut sidecars = 0;
        loop {
            let record = self.record()?;
            if record.iter().all(|byte| *byte == 0) {
                if sidecars > 0 || self.record()?.iter().any(|byte| *byte != 0) {
                    return Err(invalid(Error::Checksum(offset)));
                }
                return Ok(None);
            }
            if !checksum_fits(&record) {
                return Err(invalid(Error::Checksum(offset)));
            }
            let flag = record[156];
            match flag {
                kind::PAX => extended.read(&self.sidecar(&record, offset)?, offset).map_err(invalid)?,
                kind::GNU_LONG_NAME => extended.path = Some(text(&self.sidecar(&record, offset)?).to_vec()),
                kind::GNU_LONG_LINK => extended.link = Some(text(&self.sidecar(&record, offset)?).to_vec()),
                _ => return self.entry(&record, extended, offset).map(Some),
            }
            sidecars += 1;
            if sidecars > 3 {
                return Err(invalid(Error::TooLarge("the number of extended headers is")));
            }
        }
    }

    /// Checks that nothing but zeros follows the end mark, to the end of the source.
    pub fn finish(&mut self) -> io::Result<()> {
        let mut rest = [0; RECORD];
        loop {
            match self.source.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(count) if rest[..count].iter().all(|byte| *byte == 0) => self.offset += count as u64,
                Ok(_) => return Err(invalid(Error::Trailing(self.offset))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what is left of the present member: content and padding.
    pub fn skip(&mut self) -> io::Result<()> {
        let mut waste = [0; 8_192];
        while self.content > 0 {
            if self.read(&mut waste)? == 0 {
                return Err(invalid(Error::Truncated(self.offset)));
            }
        }
        let padding = std::mem::take(&mut self.padding);
        self.exact(&mut waste[..padding])?;
        if waste[..padding].iter().any(|byte| *byte != 0) {
            return Err(invalid(Error::Padding(self.offset)));
        }
        Ok(())
    }

    fn record(&mut self) -> io::Result<[u8; RECORD]> {
        let mut record = [0; RECORD];
        self.exact(&mut record)?;
        Ok(record)
    }

    fn exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        self.source.read_exact(out).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof if error.get_ref().is_none() => {
                invalid(Error::Truncated(self.offset))
            }
            _ => error,
        })?;
        self.offset += out.len() as u64;
        Ok(())
    }

    /// The content of an extended header or a GNU long name.
    fn sidecar(&mut self, record: &[u8; RECORD], offset: u64) -> io::Result<Vec<u8>> {
        let size = number(&record[124..136], "size", offset).map_err(invalid)?;
        let size = usize::try_from(size).ok().filter(|size| *size <= MAX_PAX);
        let size = size.ok_or_else(|| invalid(Error::TooLarge("the extended header is")))?;
        let mut bytes = vec![0; size];
        self.exact(&mut bytes)?;
        self.padding = write::padding(size as u64).len();
        self.skip()?;
        Ok(bytes)
    }

    fn entry(&mut self, record: &[u8; RECORD], extended: Extended, offset: u64) -> io::Result<Member> {
        let field =
            |range: std::ops::Range<usize>, what| number(&record[range], what, offset).map_err(invalid);
        let stored = extended.size.map_or_else(|| field(124..136, "size"), Ok)?;
        let mtime = match extended.mtime {
            Some(mtime) => mtime,
            None => Time { seconds: seconds(&record[136..148], offset).map_err(invalid)?, nanos: 0 },
        };
        let is_sparse = extended.is_sparse(offset).map_err(invalid)?;
        let link = extended.link.unwrap_or_else(|| text(&record[157..257]).to_vec());
        let devices = || -> io::Result<(u32, u32)> {
            let narrow =
                |value| u32::try_from(value).map_err(|_| invalid(Error::Field { what: "device", offset }));
            Ok((narrow(field(329..337, "device")?)?, narrow(field(337..345, "device")?)?))
        };
        let flag = record[156];
        let mut path = extended.path.unwrap_or_else(|| name(record));
        let kind = match flag {
            kind::OLD_FILE if path.ends_with(b"/") => Kind::Directory,
            kind::FILE | kind::OLD_FILE => Kind::File,
            kind::HARD_LINK => Kind::HardLink(relative(link)),
            kind::SYMLINK => Kind::Symlink(link),
            kind::CHAR_DEVICE => devices().map(|(major, minor)| Kind::CharDevice(major, minor))?,
            kind::BLOCK_DEVICE => devices().map(|(major, minor)| Kind::BlockDevice(major, minor))?,
            kind::DIRECTORY => Kind::Directory,
            kind::FIFO => Kind::Fifo,
            other => {
                let kind = other.escape_ascii().to_string();
                return Err(invalid(Error::Kind { kind, offset }));
            }
        };
        if let Some(name) = extended.sparse_name {
            path = name;
        }
        let mut header = Header {
            path: relative(path),
            kind,
            mode: u32::try_from(field(100..108, "mode")? & 0o7777).unwrap_or(0),
            uid: extended.uid.map_or_else(|| field(108..116, "uid"), Ok)?,
            gid: extended.gid.map_or_else(|| field(116..124, "gid"), Ok)?,
            user: extended.user.unwrap_or_else(|| text(&record[265..297]).to_vec()),
            group: extended.group.unwrap_or_else(|| text(&record[297..329]).to_vec()),
            mtime,
            xattrs: extended.xattrs,
            size: 0,
            sparse: None,
            object: String::new(),
        };
        self.size(&mut header, stored, is_sparse.then_some(extended.sparse_size.unwrap_or(0)), offset)?;
        write::check(&header).map_err(invalid)?;
        Ok(Member { header, offset })
    }

    /// Works out how much content follows, after the map of holes if there is one.
    fn size(&mut self, header: &mut Header, stored: u64, sparse: Option<u64>, offset: u64) -> io::Result<()> {
        let wrong = || invalid(Error::Field { what: "size", offset });
        match (&header.kind, sparse) {
            (Kind::File, None) => header.size = stored,
            (Kind::File, Some(size)) => {
                let map = sparse::read(&mut self.source, stored, size)?;
                self.offset += map.length;
                header.size = size;
                header.sparse = Some(map.segments);
                if Some(header.stored()) != stored.checked_sub(map.length) {
                    return Err(wrong());
                }
            }
            _ if stored > 0 || sparse.is_some() => return Err(wrong()),
            _ => {}
        }
        self.content = header.stored();
        self.padding = write::padding(self.content).len();
        Ok(())
    }
}

/// Reads the present member's content.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content).unwrap_or(usize::MAX).min(out.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.source.read(&mut out[..most])?;
        if count == 0 {
            return Err(invalid(Error::Truncated(self.offset)));
        }
        self.content -= count as u64;
        self.offset += count as u64;
        Ok(count)
    }
}

/// The path of a header without extension: prefix and name.
fn name(record: &[u8; RECORD]) -> Vec<u8> {
    let is_posix = &record[257..263] == b"ustar\0";
    let prefix = if is_posix { text(&record[345..500]) } else { &[] };
    let name = text(&record[..100]);
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// A path as headers hold it here: without leading `./` and trailing `/`, which other writers add.
fn relative(mut path: Vec<u8>) -> Vec<u8> {
    while path.len() > 1 && path.last() == Some(&b'/') {
        path.pop();
    }
    while path.len() > 2 && path.starts_with(b"./") {
        path.drain(..2);
    }
    path
}

impl Extended {
    fn read(&mut self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        let bad = |what| Error::Field { what, offset };
        for record in pax::records(bytes) {
            let (key, value) = record.ok_or(bad("record of the extended header"))?;
            let decimal = |what| pax::decimal(value).map(Some).ok_or(bad(what));
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = decimal("size")?,
                b"uid" => self.uid = decimal("uid")?,
                b"gid" => self.gid = decimal("gid")?,
                b"uname" => self.user = Some(value.to_vec()),
                b"gname" => self.group = Some(value.to_vec()),
                b"mtime" => self.mtime = Some(pax::time(value).ok_or(bad("mtime"))?),
                b"GNU.sparse.major" => self.sparse_major = decimal("sparse version")?,
                b"GNU.sparse.minor" => self.sparse_minor = decimal("sparse version")?,
                b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
                b"GNU.sparse.realsize" => self.sparse_size = decimal("sparse size")?,
                _ if key.starts_with(b"GNU.sparse.") => return Err(bad("sparse version")),
                _ => {
                    // Other keys (atime, ctime, comment …) say nothing that a restore needs.
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        self.xattrs.push((xattr_name(name), value.to_vec()));
                    }
                }
            }
        }
        Ok(())
    }

    fn is_sparse(&self, offset: u64) -> Result<bool, Error> {
        match (self.sparse_major, self.sparse_minor, self.sparse_size) {
            (None, None, None) => Ok(false),
            (Some(1), Some(0), Some(_)) => Ok(true),
            _ => Err(Error::Field { what: "sparse version", offset }),
        }
    }
}

/// Takes the escapes of [`write`](mod@super::write) and GNU tar back.
fn xattr_name(mut key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(key.len());
    while let Some((first, rest)) = key.split_first() {
        let (byte, rest) = match (first, rest) {
            (b'%', [b'3', b'D', rest @ ..]) => (b'=', rest),
            (b'%', [b'2', b'5', rest @ ..]) => (b'%', rest),
            _ => (*first, rest),
        };
        name.push(byte);
        key = rest;
    }
    name
}
