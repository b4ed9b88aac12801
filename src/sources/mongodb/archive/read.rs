//! Reading an archive back: strict where `mongorestore` is, and where it is not.

use std::collections::HashMap;
use std::io::{ErrorKind, Read};

use mongodb::bson::RawDocument;

use super::{Crc, Entry, Error, Kind, LARGEST_DOCUMENT, MAGIC, Namespace, TERMINATOR, VERSION};

/// The header of an archive. Its entries follow one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prelude {
    /// The version of the server that was dumped.
    pub server_version: String,
    /// The program that wrote the archive.
    pub tool_version: String,
}

/// What comes next in an archive.
#[derive(Debug)]
pub enum Event<'a> {
    /// The begin of the prelude.
    Prelude(Prelude),
    /// A namespace of the prelude.
    Entry(Entry),
    /// The end of the prelude.
    PreludeEnd,
    /// A document of a namespace.
    Document(&'a Namespace, &'a RawDocument),
    /// The end of a namespace, with the checksum that the archive states.
    End(&'a Namespace, u64),
}

/// Where in an archive the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Begin,
    Prelude,
    Between,
    /// In a segment of the reader's namespace.
    Inside,
    /// Behind the header of a namespace's last segment.
    Ended,
}

/// Reads an archive piece by piece.
///
/// The pieces may come in separate inputs (members) as long as each ends between two documents. Knows nothing of
/// checksums: that is [`Checked`].
#[derive(Debug)]
pub struct Reader {
    place: Place,
    document: Vec<u8>,
    namespace: Namespace,
}

impl Default for Reader {
    fn default() -> Self {
        Self { place: Place::Begin, document: Vec::new(), namespace: Namespace::new("", "") }
    }
}

impl Reader {
    /// A reader whose first input begins after the prelude.
    pub fn after_prelude() -> Self {
        Self { place: Place::Between, ..Self::default() }
    }

    /// Reads the next piece. `None` at the end of the input.
    pub fn next(&mut self, input: &mut dyn Read) -> Result<Option<Event<'_>>, Error> {
        if self.place == Place::Begin {
            return self.prelude(input).map(Some);
        }
        loop {
            let Some(length) = length(input)? else { return Ok(None) };
            if length == TERMINATOR {
                match self.place {
                    Place::Prelude => {
                        self.place = Place::Between;
                        return Ok(Some(Event::PreludeEnd));
                    }
                    Place::Inside | Place::Ended => self.place = Place::Between,
                    _ => return Err(damaged("a segment", "an end without a begin")),
                }
                continue;
            }
            self.load(length, input)?;
            match self.place {
                Place::Prelude => return entry(document(&self.document)?).map(|e| Some(Event::Entry(e))),
                Place::Between => {
                    if let Some(crc) = self.open()? {
                        return Ok(Some(Event::End(&self.namespace, crc)));
                    }
                }
                Place::Inside => {
                    return Ok(Some(Event::Document(&self.namespace, document(&self.document)?)));
                }
                Place::Ended | Place::Begin => return Err(damaged("a segment", "documents after the end")),
            }
        }
    }

    /// Makes sure that the last input ended between two segments.
    pub fn finish(&self) -> Result<(), Error> {
        match self.place {
            Place::Between => Ok(()),
            Place::Begin | Place::Prelude => Err(Error::Truncated("the prelude")),
            Place::Inside | Place::Ended => Err(Error::Truncated("a segment")),
        }
    }

    fn prelude(&mut self, input: &mut dyn Read) -> Result<Event<'_>, Error> {
        let magic = length(input)?.ok_or(Error::Truncated("the magic number"))?;
        if magic != MAGIC {
            return Err(Error::Magic(magic));
        }
        let first = length(input)?.ok_or(Error::Truncated("the prelude"))?;
        self.load(first, input)?;
        let header = document(&self.document)?;
        let version = text(header, "version", "the prelude's header")?;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        self.place = Place::Prelude;
        Ok(Event::Prelude(Prelude {
            server_version: text(header, "server_version", "the prelude's header")?,
            tool_version: text(header, "tool_version", "the prelude's header")?,
        }))
    }

    /// Takes the segment header that was just loaded; says the checksum if it is a namespace's last.
    fn open(&mut self) -> Result<Option<u64>, Error> {
        const WHAT: &str = "a segment's header";
        let header = document(&self.document)?;
        let namespace = Namespace::new(text(header, "db", WHAT)?, text(header, "collection", WHAT)?);
        let ended = header.get_bool("EOF").map_err(|e| damaged(WHAT, e))?;
        let crc = header.get_i64("CRC").map_err(|e| damaged(WHAT, e))?;
        self.place = if ended { Place::Ended } else { Place::Inside };
        self.namespace = namespace;
        Ok(ended.then_some(crc.cast_unsigned()))
    }

    fn load(&mut self, length: [u8; 4], input: &mut dyn Read) -> Result<(), Error> {
        let size = i32::from_le_bytes(length);
        let bytes = usize::try_from(size).ok().filter(|bytes| (5..=LARGEST_DOCUMENT).contains(bytes));
        let Some(bytes) = bytes else { return Err(Error::Length(i64::from(size))) };
        self.document.clear();
        self.document.resize(bytes, 0);
        self.document[..4].copy_from_slice(&length);
        input.read_exact(&mut self.document[4..]).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Error::Truncated("a document"),
            _ => Error::Io(error),
        })
    }
}

/// Reads four bytes: a length, or the terminator. `None` at the end of the input.
fn length(input: &mut dyn Read) -> Result<Option<[u8; 4]>, Error> {
    let mut bytes = [0; 4];
    let mut have = 0;
    while have < bytes.len() {
        match input.read(&mut bytes[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(Error::Truncated("a document")),
            Ok(more) => have += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Io(error)),
        }
    }
    Ok(Some(bytes))
}

fn document(bytes: &[u8]) -> Result<&RawDocument, Error> {
    RawDocument::from_bytes(bytes).map_err(|error| damaged("a document", error))
}

fn entry(document: &RawDocument) -> Result<Entry, Error> {
    const WHAT: &str = "an entry of the prelude";
    let word = text(document, "type", WHAT)?;
    Ok(Entry {
        namespace: Namespace::new(text(document, "db", WHAT)?, text(document, "collection", WHAT)?),
        kind: Kind::parse(&word).ok_or_else(|| damaged(WHAT, format!("unknown type `{word}`")))?,
        metadata: text(document, "metadata", WHAT)?,
    })
}

fn text(document: &RawDocument, key: &str, what: &'static str) -> Result<String, Error> {
    document.get_str(key).map(str::to_owned).map_err(|error| damaged(what, error))
}

fn damaged(what: &'static str, why: impl std::fmt::Display) -> Error {
    Error::Damaged { what, why: why.to_string() }
}

/// Follows the namespaces of an archive: every one ends once, with the checksum of what was read.
#[derive(Debug, Default)]
pub struct Checked {
    open: HashMap<Namespace, Option<Crc>>,
}

impl Checked {
    /// Notes a namespace that the archive must have, by the name that its segments use.
    pub fn expect(&mut self, namespace: Namespace) {
        self.open.insert(namespace, Some(Crc::default()));
    }

    /// Takes a document.
    pub fn document(&mut self, namespace: &Namespace, document: &RawDocument) -> Result<(), Error> {
        self.crc(namespace)?.update(document.as_bytes());
        Ok(())
    }

    /// Takes a namespace's end and compares the checksums.
    pub fn end(&mut self, namespace: &Namespace, stated: u64) -> Result<(), Error> {
        let found = self.crc(namespace)?.value();
        if found != stated {
            return Err(Error::Crc { namespace: namespace.clone(), found, stated });
        }
        self.open.insert(namespace.clone(), None);
        Ok(())
    }

    /// Makes sure that every namespace expected has ended.
    pub fn finish(&self) -> Result<(), Error> {
        let unfinished =
            self.open.iter().filter(|(_, crc)| crc.is_some()).map(|(namespace, _)| namespace).min();
        unfinished.map_or(Ok(()), |namespace| Err(Error::Unfinished(namespace.clone())))
    }

    fn crc(&mut self, namespace: &Namespace) -> Result<&mut Crc, Error> {
        match self.open.get_mut(namespace) {
            Some(Some(crc)) => Ok(crc),
            Some(None) => Err(Error::AfterEnd(namespace.clone())),
            None => Err(Error::Unknown(namespace.clone())),
        }
    }
}
