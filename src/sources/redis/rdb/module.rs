//! What modules write: a list of numbers and strings, each with its kind before it, which can be walked without the
//! module.

use xxhash_rust::xxh3::Xxh3;

use super::Error;
use super::content::Content;
use super::reader::{Feed, Reader, release};

const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The name of a module's type: nine characters of six bits each, above ten bits of version.
pub(super) fn name(id: u64) -> String {
    (0..9u64)
        .map(|at| char::from(CHARACTERS[usize::try_from(id >> (58 - 6 * at) & 63).unwrap_or(0)]))
        .collect()
}

/// Reads a value of a module.
pub(super) fn read<F: Feed>(reader: &mut Reader<F>, content: &mut Content) -> Result<(), Error> {
    let id = reader.count("a module's id")?;
    content.module = Some(name(id));
    content.elements = 1;
    let mut hasher = Xxh3::new();
    hasher.update(&id.to_le_bytes());
    content.bytes = parts(reader, &mut hasher)?;
    content.hash = hasher.digest128();
    Ok(())
}

/// Reads a module's data outside of the keyspace, and returns the name of its type.
pub(super) fn read_aux<F: Feed>(reader: &mut Reader<F>) -> Result<String, Error> {
    let id = reader.count("a module's id")?;
    // Whether the data belongs before or after the keys: the kind of the number, then the number.
    reader.count("a module's data")?;
    reader.count("a module's data")?;
    parts(reader, &mut Xxh3::new())?;
    Ok(name(id))
}

fn parts<F: Feed>(reader: &mut Reader<F>, hasher: &mut Xxh3) -> Result<u64, Error> {
    let what = "a module's data";
    let (mut bytes, mut text) = (0, Vec::new());
    loop {
        let kind = reader.count(what)?;
        hasher.update(&kind.to_le_bytes());
        match kind {
            0 => return Ok(bytes),
            1 | 2 => hasher.update(&reader.count(what)?.to_le_bytes()),
            3 => hasher.update(&reader.array::<4>(what)?),
            4 => hasher.update(&reader.array::<8>(what)?),
            5 => {
                let length = reader.string(&mut text, what)?;
                hasher.update(&length.to_le_bytes());
                hasher.update(&text);
                bytes += length;
                release(&mut text);
            }
            code => {
                let (what, at) = ("module part", reader.offset());
                return Err(Error::Unknown { what, code, at, after: String::new() });
            }
        }
    }
}
