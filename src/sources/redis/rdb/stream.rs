//! Streams: entries in listpacks, then the stream's own numbers, then consumer groups with what is pending.
//!
//! The hash takes everything in the order in which servers write it (radix trees are ordered), except for what
//! versions know and others do not: the first id, the greatest deleted id, the number of entries ever added and read
//! (RDB 10), when a consumer was last active (RDB 11), and what is remembered of producers that may repeat themselves
//! (RDB 13). The numbers of RDB 10 make a hash of their own, to compare where both sides have them.

use xxhash_rust::xxh3::Xxh3;

use super::Error;
use super::content::{Content, sound};
use super::reader::{Feed, Reader, release};

struct Hash(Xxh3);

impl Hash {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.0.update(text);
    }
}

/// Reads a stream of the given version of its layout.
pub(super) fn read<F: Feed>(reader: &mut Reader<F>, version: u8, content: &mut Content) -> Result<(), Error> {
    let (mut hash, mut counters) = (Hash(Xxh3::new()), Hash(Xxh3::new()));
    let mut text = Vec::new();
    for _ in 0..reader.count("a stream's listpacks")? {
        for what in ["a stream's id", "a stream's entries"] {
            let length = reader.string(&mut text, what)?;
            hash.text(&text);
            if what == "a stream's entries" {
                content.bytes += length;
                sound(reader, "listpack of a stream", super::compact::listpack(&text, |_| ()))?;
            }
            release(&mut text);
        }
    }
    content.elements = reader.count("a stream's length")?;
    hash.number(content.elements);
    id(reader, &mut hash)?;
    if version >= 2 {
        id(reader, &mut counters)?;
        id(reader, &mut counters)?;
        counters.number(reader.count("a stream's entries added")?);
    }
    let groups = reader.count("a stream's groups")?;
    hash.number(groups);
    for _ in 0..groups {
        group(reader, version, [&mut hash, &mut counters], &mut text)?;
    }
    if version >= 4 {
        producers(reader, &mut text)?;
    }
    content.hash = hash.0.digest128();
    content.counters = (version >= 2).then(|| counters.0.digest128());
    Ok(())
}

fn id<F: Feed>(reader: &mut Reader<F>, hash: &mut Hash) -> Result<(), Error> {
    for _ in 0..2 {
        hash.number(reader.count("a stream's id")?);
    }
    Ok(())
}

fn group<F: Feed>(
    reader: &mut Reader<F>,
    version: u8,
    [hash, counters]: [&mut Hash; 2],
    text: &mut Vec<u8>,
) -> Result<(), Error> {
    reader.string(text, "a group's name")?;
    hash.text(text);
    text.clear();
    id(reader, hash)?;
    if version >= 2 {
        counters.number(reader.count("a group's entries read")?);
    }
    let pending = reader.count("a group's pending entries")?;
    hash.number(pending);
    for _ in 0..pending {
        hash.0.update(&reader.array::<16>("a pending entry's id")?);
        hash.0.update(&reader.array::<8>("a pending entry's delivery time")?);
        hash.number(reader.count("a pending entry's delivery count")?);
    }
    let consumers = reader.count("a group's consumers")?;
    hash.number(consumers);
    for _ in 0..consumers {
        reader.string(text, "a consumer's name")?;
        hash.text(text);
        text.clear();
        hash.0.update(&reader.array::<8>("when a consumer was seen")?);
        if version >= 3 {
            reader.array::<8>("when a consumer was active")?;
        }
        let pending = reader.count("a consumer's pending entries")?;
        hash.number(pending);
        for _ in 0..pending {
            hash.0.update(&reader.array::<16>("a consumer's pending entry")?);
        }
    }
    Ok(())
}

/// Passes over what Redis 8.6 remembers of messages by their producers' own ids (`rdbSaveStreamIdmpEntries`): for how
/// long and how many, then by producer the ids and those of their entries, then how many there ever were.
fn producers<F: Feed>(reader: &mut Reader<F>, text: &mut Vec<u8>) -> Result<(), Error> {
    let what = "a stream's producers";
    reader.count(what)?;
    reader.count(what)?;
    for _ in 0..reader.count(what)? {
        reader.string(text, what)?;
        release(text);
        for _ in 0..reader.count(what)? {
            reader.string(text, what)?;
            release(text);
            reader.count(what)?;
            reader.count(what)?;
        }
    }
    reader.count(what)?;
    reader.count(what)?;
    Ok(())
}
