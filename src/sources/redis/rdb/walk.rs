//! The walk over a whole RDB stream, item by item.

use super::content::{self, Content, NEVER};
use super::reader::{Feed, Reader};
use super::types::{Format, opcode};
use super::{Error, module, shown};

/// What the walker has just passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A field of metadata.
    Aux(Vec<u8>, Vec<u8>),
    /// The following keys are of this database.
    Database(u64),
    /// The hash of a library of functions, and its length.
    Function(u128, u64),
    /// Data of a module, outside of the keyspace, by the name of its type.
    ModuleAux(String),
    /// A key with its value.
    Key(Key),
    /// The end, with a checksum that is right.
    End {
        /// `false`: the server was told to write no checksums, so there was none to compare.
        checked: bool,
    },
}

/// A key with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The database.
    pub database: u64,
    /// The name.
    pub name: Vec<u8>,
    /// When it expires, in milliseconds since 1970.
    pub expires: Option<i64>,
    /// For how many seconds it had not been used, if the server keeps that.
    pub idle: Option<u64>,
    /// How often it is used, if the server keeps that.
    pub freq: Option<u8>,
    /// The number of its layout.
    pub code: u8,
    /// What it holds.
    pub content: Content,
}

/// Walks over an RDB stream.
pub struct Walker<F> {
    reader: Reader<F>,
    format: Format,
    database: u64,
    last: Vec<u8>,
    slots: bool,
    imports: bool,
    ended: bool,
}

impl<F: Feed> Walker<F> {
    /// Begins a walk: reads the magic.
    pub fn new(feed: F) -> Result<Self, Error> {
        let mut reader = Reader::new(feed);
        let format = Format::parse(reader.array("the magic")?)?;
        reader.hand_on()?;
        Ok(Self { reader, format, database: 0, last: Vec::new(), slots: false, imports: false, ended: false })
    }

    /// The dialect and version.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether sizes of slots have passed, which servers write in cluster mode alone (Redis from 7.4 as an opcode, Valkey
    /// from 8.1 as metadata): then the stream may have a part of the keys only. Older nodes write nothing of the kind.
    pub fn has_slots(&self) -> bool {
        self.slots
    }

    /// Whether a slot on its way in has passed, which Valkey writes from 9.0.
    pub fn has_imports(&self) -> bool {
        self.imports
    }

    /// Where the bytes come from.
    pub fn feed(&mut self) -> &mut F {
        &mut self.reader.feed
    }

    /// Ends the walk.
    pub fn into_feed(self) -> F {
        self.reader.feed
    }

    /// Walks over the next item; `None` after the end.
    pub fn item(&mut self) -> Result<Option<Item>, Error> {
        if self.ended {
            return Ok(None);
        }
        self.between_items()?;
        let (mut expires, mut idle, mut freq) = (None, None, None);
        loop {
            let code = self.reader.byte("the next key")?;
            match code {
                opcode::EXPIRE_MS => expires = Some(i64::from_le_bytes(self.reader.array("an expiry")?)),
                opcode::EXPIRE => {
                    expires = Some(i64::from(u32::from_le_bytes(self.reader.array("an expiry")?)) * 1_000);
                }
                opcode::IDLE => idle = Some(self.reader.count("an idle time")?),
                opcode::FREQ => freq = Some(self.reader.byte("a frequency")?),
                opcode::RESIZE_DB => {
                    self.reader.count("a database's size")?;
                    self.reader.count("a database's size")?;
                }
                opcode::SLOT_INFO => {
                    self.slots = true;
                    for _ in 0..3 {
                        self.reader.count("a slot's sizes")?;
                    }
                }
                // To Redis the number means what modules know of the next key, which is not walked.
                opcode::SLOT_IMPORT if self.format.valkey => self.slot_import()?,
                opcode::FUNCTION..=opcode::END => return self.special(code).map(Some),
                _ => return self.key(code, expires, idle, freq).map(|key| Some(Item::Key(key))),
            }
        }
    }

    /// Lets the feed cut here.
    fn between_items(&mut self) -> Result<(), Error> {
        if self.reader.feed.boundary(self.reader.pending())? {
            self.reader.hand_on()?;
        }
        Ok(())
    }

    fn slot_import(&mut self) -> Result<(), Error> {
        (self.slots, self.imports) = (true, true);
        self.reader.string(&mut Vec::new(), "a slot import")?;
        for _ in 0..self.reader.count("a slot import")? {
            self.reader.count("a slot range")?;
            self.reader.count("a slot range")?;
        }
        Ok(())
    }

    fn special(&mut self, code: u8) -> Result<Item, Error> {
        match code {
            opcode::SELECT_DB => {
                self.database = self.reader.count("a database's number")?;
                Ok(Item::Database(self.database))
            }
            opcode::AUX => {
                let (mut name, mut value) = (Vec::new(), Vec::new());
                self.reader.string(&mut name, "a metadata field")?;
                self.reader.string(&mut value, "a metadata field")?;
                self.slots |= name == b"slot-info";
                Ok(Item::Aux(name, value))
            }
            opcode::FUNCTION => {
                self.begins(code)?;
                let (hash, length) = self.reader.hash_string("a library of functions")?;
                self.ends()?;
                Ok(Item::Function(hash, length))
            }
            opcode::MODULE_AUX => Ok(Item::ModuleAux(module::read_aux(&mut self.reader)?)),
            opcode::END => self.end(),
            _ => Err(self.unknown(code)),
        }
    }

    fn unknown(&self, code: u8) -> Error {
        let at = self.reader.offset() - 1;
        Error::Unknown { what: "opcode or value type", code: u64::from(code), at, after: shown(&self.last) }
    }

    /// Tells the feed exactly where a value begins, if it wants payloads.
    fn begins(&mut self, code: u8) -> Result<(), Error> {
        if F::MARKS {
            self.reader.hand_on()?;
            self.reader.feed.begins(code);
        }
        Ok(())
    }

    /// Tells the feed exactly where a value ends, if it wants payloads.
    fn ends(&mut self) -> Result<(), Error> {
        if F::MARKS {
            self.reader.hand_on()?;
            self.reader.feed.ends();
        }
        Ok(())
    }

    fn key(
        &mut self,
        code: u8,
        expires: Option<i64>,
        idle: Option<u64>,
        freq: Option<u8>,
    ) -> Result<Key, Error> {
        let shape = self.format.shape(code).ok_or_else(|| self.unknown(code))?;
        let mut name = Vec::new();
        self.reader.string(&mut name, "a key")?;
        self.begins(code)?;
        let content = content::read(&mut self.reader, shape, NEVER);
        let content = content.map_err(|source| match source {
            Error::Malformed { .. } | Error::Unknown { .. } => {
                Error::Value { key: shown(&name), database: self.database, source: Box::new(source) }
            }
            other => other,
        })?;
        self.ends()?;
        self.last.clear();
        self.last.extend_from_slice(&name[..name.len().min(super::SHOWN)]);
        Ok(Key { database: self.database, name, expires, idle, freq, code, content })
    }

    fn end(&mut self) -> Result<Item, Error> {
        self.reader.hand_on()?;
        let computed = self.reader.checksum();
        let found = u64::from_le_bytes(self.reader.array("the checksum")?);
        if found != 0 && found != computed {
            return Err(Error::Checksum { found, computed });
        }
        self.reader.hand_on()?;
        if !self.reader.is_at_end()? {
            return Err(Error::Trailing);
        }
        self.ended = true;
        Ok(Item::End { checked: found != 0 })
    }
}

/// Reads one DUMP payload, whose version and checksum stand at its end.
pub fn payload(payload: &[u8]) -> Result<(Format, u8, Content), Error> {
    payload_at(payload, NEVER)
}

/// As [`payload`], of a hash without the fields that have expired by `now`, in milliseconds since 1970.
pub fn payload_at(payload: &[u8], now: i64) -> Result<(Format, u8, Content), Error> {
    let short = Error::Truncated { at: payload.len() as u64, what: "a DUMP payload" };
    let Some((value, footer)) = payload.split_last_chunk::<10>() else { return Err(short) };
    let (version, sum) = (u16::from_le_bytes([footer[0], footer[1]]), &footer[2..]);
    let found = sum.iter().rev().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    let computed = super::crc64(&payload[..payload.len() - 8]);
    if found != computed {
        return Err(Error::Checksum { found, computed });
    }
    let Some((&code, body)) = value.split_first() else { return Err(short) };
    let format = Format::of_version(u32::from(version));
    let unknown =
        || Error::Unknown { what: "value type", code: u64::from(code), at: 0, after: String::new() };
    let shape = format.shape(code).ok_or_else(unknown)?;
    let mut reader = Reader::new(One(Some(bytes::Bytes::copy_from_slice(body))));
    let content = content::read(&mut reader, shape, now)?;
    if reader.is_at_end()? { Ok((format, code, content)) } else { Err(Error::Trailing) }
}

/// The code of each library of functions in a payload of FUNCTION DUMP.
pub fn functions(mut payload: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
    let short = || Error::Truncated { at: 0, what: "a payload of functions" };
    payload.truncate(payload.len().checked_sub(10).ok_or_else(short)?);
    let mut reader = Reader::new(One(Some(payload.into())));
    let mut libraries = Vec::new();
    while !reader.is_at_end()? {
        match reader.byte("a library of functions")? {
            opcode::FUNCTION => {
                let mut code = Vec::new();
                reader.string(&mut code, "a library of functions")?;
                libraries.push(code);
            }
            code => {
                let (what, at) = ("opcode", reader.offset());
                return Err(Error::Unknown { what, code: u64::from(code), at, after: String::new() });
            }
        }
    }
    Ok(libraries)
}

/// A feed of one piece.
struct One(Option<bytes::Bytes>);

impl Feed for One {
    const MARKS: bool = false;

    fn next(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        Ok(self.0.take())
    }

    fn passed(&mut self, _bytes: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}
