//! What a value holds, as one hash that does not depend on how the server lays the value out.
//!
//! The same set as an intset, a listpack or a hash table, compressed or not, written by whichever version, has the
//! same [`Content`]: so a copy can be compared with its original although the copy's server chose another layout, and
//! although hash tables are written in the order of a random seed.
//!
//! | kind | hash |
//! |---|---|
//! | string | XXH3-128 of the bytes |
//! | list | XXH3-128 of every element, its length (8 bytes, little endian) before it, in order |
//! | set | sum of the XXH3-128 of the members |
//! | zset | sum of the XXH3-128 of score (8 bytes, IEEE 754, little endian) and member |
//! | hash | sum of the XXH3-128 of length of the field, field, value, and the field's expiry if it has one |
//! | stream | XXH3-128 of entries, ids, groups, pending entries and consumers in order (see [`super::stream`]) |
//! | module | XXH3-128 of the module's id and of the parts that it wrote |

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::compact::{self, Malformed};
use super::reader::{Feed, Reader, release};
use super::types::{Kind, Shape};
use super::{Error, module, stream};

/// What a value holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What it is to its users.
    pub kind: Kind,
    /// The hash of its content.
    pub hash: u128,
    /// The bytes of its elements, as a client would read them.
    pub bytes: u64,
    /// How many elements it has: members, fields, entries; 1 for strings and modules.
    pub elements: u64,
    /// When the first of a hash's fields expires, in milliseconds since 1970.
    pub field_expires: Option<i64>,
    /// The name of the module's type, if it is a module's.
    pub module: Option<String>,
    /// A hash of a vector set that does not depend on the order of its elements.
    pub unordered: Option<u128>,
    /// What a stream says of itself that versions before 7.0 do not know, as a hash: its first id, its greatest deleted id,
    /// how many entries were ever added, and read by each group.
    pub counters: Option<u128>,
}

impl Content {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            hash: 0,
            bytes: 0,
            elements: 0,
            field_expires: None,
            module: None,
            unordered: None,
            counters: None,
        }
    }

    fn sum(&mut self, row: &[u8], bytes: usize) {
        self.hash = self.hash.wrapping_add(xxh3_128(row));
        self.bytes += bytes as u64;
        self.elements += 1;
    }

    /// Takes a field, unless it has expired by `now`.
    fn field(&mut self, row: &mut Vec<u8>, field: usize, expires: Option<i64>, now: i64) {
        if expires.is_some_and(|at| at <= now) {
            return;
        }
        let bytes = row.len() - 8;
        row[..8].copy_from_slice(&(field as u64).to_le_bytes());
        if let Some(at) = expires {
            row.extend_from_slice(&at.to_le_bytes());
            self.field_expires = Some(self.field_expires.map_or(at, |earliest| earliest.min(at)));
        }
        self.sum(row, bytes);
    }
}

/// The time by which no field of a hash has expired.
pub(super) const NEVER: i64 = i64::MIN;

/// Reads the value that follows and says what it holds; of a hash, without the fields that have expired by `now`, in
/// milliseconds since 1970.
pub(super) fn read<F: Feed>(reader: &mut Reader<F>, shape: Shape, now: i64) -> Result<Content, Error> {
    let mut content = Content::new(shape.kind());
    match shape {
        Shape::String => {
            (content.hash, content.bytes) = reader.hash_string("a string")?;
            content.elements = 1;
        }
        Shape::List | Shape::ListZiplist | Shape::ListOfZiplists | Shape::ListOfListpacks => {
            list(reader, shape, &mut content)?;
        }
        Shape::Set | Shape::SetIntset | Shape::SetListpack => set(reader, shape, &mut content)?,
        Shape::Zset | Shape::ZsetText => scored(reader, shape, &mut content)?,
        Shape::ZsetZiplist | Shape::ZsetListpack => scored_compact(reader, shape, &mut content)?,
        Shape::Hash | Shape::HashExpiring | Shape::HashRelative { .. } => {
            fields(reader, shape, now, &mut content)?;
        }
        Shape::HashZipmap | Shape::HashZiplist | Shape::HashListpack | Shape::HashListpackExpiring { .. } => {
            fields_compact(reader, shape, now, &mut content)?;
        }
        Shape::Stream(version) => stream::read(reader, version, &mut content)?,
        Shape::Module => module::read(reader, &mut content)?,
    }
    Ok(content)
}

/// Reads a string that holds a compact collection.
fn blob<F: Feed>(reader: &mut Reader<F>, what: &'static str) -> Result<Vec<u8>, Error> {
    let mut blob = Vec::new();
    reader.string(&mut blob, what)?;
    Ok(blob)
}

/// Names a malformed compact collection.
pub(super) fn sound<F: Feed, T>(
    reader: &Reader<F>,
    what: &'static str,
    result: Result<T, Malformed>,
) -> Result<T, Error> {
    result.map_err(|Malformed| Error::Malformed { what, at: reader.offset() })
}

fn list<F: Feed>(reader: &mut Reader<F>, shape: Shape, content: &mut Content) -> Result<(), Error> {
    let mut hasher = Xxh3::new();
    let mut each = |element: &[u8]| {
        hasher.update(&(element.len() as u64).to_le_bytes());
        hasher.update(element);
        content.bytes += element.len() as u64;
        content.elements += 1;
    };
    let mut element = Vec::new();
    let nodes = if shape == Shape::ListZiplist { 1 } else { reader.count("a list's length")? };
    for _ in 0..nodes {
        let plain = match shape {
            Shape::List => true,
            Shape::ListOfListpacks => match reader.count("a list node's container")? {
                1 => true,
                2 => false,
                _ => return Err(Error::Malformed { what: "list node's container", at: reader.offset() }),
            },
            _ => false,
        };
        element.clear();
        reader.string(&mut element, "a list")?;
        match shape {
            _ if plain => each(&element),
            Shape::ListOfListpacks => {
                sound(reader, "listpack of a list", compact::listpack(&element, &mut each))?;
            }
            _ => {
                sound(reader, "ziplist of a list", compact::ziplist(&element, &mut each))?;
            }
        }
        release(&mut element);
    }
    content.hash = hasher.digest128();
    Ok(())
}

fn set<F: Feed>(reader: &mut Reader<F>, shape: Shape, content: &mut Content) -> Result<(), Error> {
    match shape {
        Shape::Set => {
            let mut member = Vec::new();
            for _ in 0..reader.count("a set's length")? {
                reader.string(&mut member, "a set's member")?;
                content.sum(&member, member.len());
                release(&mut member);
            }
        }
        Shape::SetIntset => {
            let blob = blob(reader, "an intset")?;
            sound(reader, "intset", compact::intset(&blob, |member| content.sum(member, member.len())))?;
        }
        _ => {
            let blob = blob(reader, "a set's listpack")?;
            let result = compact::listpack(&blob, |member| content.sum(member, member.len()));
            sound(reader, "listpack of a set", result)?;
        }
    }
    Ok(())
}

/// The bytes that stand for a score: both zeros are one.
fn score(score: f64) -> [u8; 8] {
    (score + 0.0).to_le_bytes()
}

fn scored<F: Feed>(reader: &mut Reader<F>, shape: Shape, content: &mut Content) -> Result<(), Error> {
    let (mut member, mut row) = (Vec::new(), Vec::new());
    for _ in 0..reader.count("a sorted set's length")? {
        reader.string(&mut member, "a sorted set's member")?;
        let value = match shape {
            Shape::Zset => f64::from_le_bytes(reader.array("a score")?),
            _ => text_score(reader)?,
        };
        row.extend_from_slice(&score(value));
        row.extend_from_slice(&member);
        content.sum(&row, row.len());
        release(&mut row);
        release(&mut member);
    }
    Ok(())
}

/// Reads a score as servers before RDB version 8 wrote it.
fn text_score<F: Feed>(reader: &mut Reader<F>) -> Result<f64, Error> {
    match reader.byte("a score")? {
        253 => Ok(f64::NAN),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        length => {
            let mut text = Vec::new();
            reader.take(u64::from(length), &mut text, "a score")?;
            sound(reader, "score", parse_score(&text))
        }
    }
}

fn parse_score(text: &[u8]) -> Result<f64, Malformed> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)
}

fn scored_compact<F: Feed>(reader: &mut Reader<F>, shape: Shape, content: &mut Content) -> Result<(), Error> {
    let what = "listpack of a sorted set";
    let blob = blob(reader, what)?;
    let mut member: Option<Vec<u8>> = None;
    let mut damaged = false;
    let each = |element: &[u8]| match member.take() {
        None => member = Some([&[0; 8], element].concat()),
        Some(mut row) => match parse_score(element) {
            Ok(value) => {
                row[..8].copy_from_slice(&score(value));
                content.sum(&row, row.len());
            }
            Err(Malformed) => damaged = true,
        },
    };
    let result = match shape {
        Shape::ZsetZiplist => compact::ziplist(&blob, each),
        _ => compact::listpack(&blob, each),
    };
    sound(reader, what, result)?;
    sound(reader, what, if damaged || member.is_some() { Err(Malformed) } else { Ok(()) })
}

fn fields<F: Feed>(
    reader: &mut Reader<F>,
    shape: Shape,
    now: i64,
    content: &mut Content,
) -> Result<(), Error> {
    let minimum = match shape {
        Shape::HashRelative { minimum: true } => i64::from_le_bytes(reader.array("a hash's expiry")?),
        _ => 1,
    };
    let mut row = Vec::new();
    for _ in 0..reader.count("a hash's length")? {
        let mut expires = None;
        if matches!(shape, Shape::HashRelative { .. }) {
            let relative = reader.count("a field's expiry")?;
            let absolute = i64::try_from(relative).ok().and_then(|after| minimum.checked_add(after - 1));
            let absolute = sound(reader, "field's expiry", absolute.ok_or(Malformed))?;
            expires = (relative > 0).then_some(absolute);
        }
        row.extend_from_slice(&[0; 8]);
        reader.string(&mut row, "a hash's field")?;
        let field = row.len() - 8;
        reader.string(&mut row, "a hash's value")?;
        if shape == Shape::HashExpiring {
            let at = i64::from_le_bytes(reader.array("a field's expiry")?);
            expires = (at >= 0).then_some(at);
        }
        content.field(&mut row, field, expires, now);
        release(&mut row);
    }
    Ok(())
}

fn fields_compact<F: Feed>(
    reader: &mut Reader<F>,
    shape: Shape,
    now: i64,
    content: &mut Content,
) -> Result<(), Error> {
    let what = "compact hash";
    if shape == (Shape::HashListpackExpiring { minimum: true }) {
        reader.array::<8>("a hash's expiry")?;
    }
    let blob = blob(reader, what)?;
    let columns = if matches!(shape, Shape::HashListpackExpiring { .. }) { 3 } else { 2 };
    let (mut row, mut field, mut column, mut damaged) = (vec![0; 8], 0, 0, false);
    let each = |element: &[u8]| {
        let mut expires = None;
        if column == 2 {
            match std::str::from_utf8(element).ok().and_then(|text| text.parse::<i64>().ok()) {
                Some(at) => expires = (at > 0).then_some(at),
                None => damaged = true,
            }
        } else {
            row.extend_from_slice(element);
        }
        if column == 0 {
            field = row.len() - 8;
        }
        column += 1;
        if column == columns {
            content.field(&mut row, field, expires, now);
            row.truncate(8);
            column = 0;
        }
    };
    let result = match shape {
        Shape::HashZipmap => compact::zipmap(&blob, each),
        Shape::HashZiplist => compact::ziplist(&blob, each),
        _ => compact::listpack(&blob, each),
    };
    sound(reader, what, result)?;
    sound(reader, what, if damaged || column != 0 { Err(Malformed) } else { Ok(()) })
}
