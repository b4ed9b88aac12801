//! What modules write: a list of numbers and strings, each with its kind before it, which can be walked without the
//! module.

use xxhash_rust::xxh3::Xxh3;

use super::Error;
use super::content::Content;
use super::reader::{Feed, Reader, release};
use super::vectors::{self, Elements, Part};

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
    let name = name(id);
    content.elements = 1;
    let mut hasher = Xxh3::new();
    hasher.update(&id.to_le_bytes());
    let mut elements = (name == vectors::NAME).then(Elements::new);
    content.bytes = parts(reader, &mut hasher, elements.as_mut())?;
    content.hash = hasher.digest128();
    content.unordered = elements.and_then(Elements::sum);
    content.module = Some(name);
    Ok(())
}

/// Reads a module's data outside of the keyspace, and returns the name of its type.
pub(super) fn read_aux<F: Feed>(reader: &mut Reader<F>) -> Result<String, Error> {
    let id = reader.count("a module's id")?;
    // Whether the data belongs before or after the keys: the kind of the number, then the number.
    reader.count("a module's data")?;
    reader.count("a module's data")?;
    parts(reader, &mut Xxh3::new(), None)?;
    Ok(name(id))
}

fn parts<F: Feed>(
    reader: &mut Reader<F>,
    hasher: &mut Xxh3,
    mut elements: Option<&mut Elements>,
) -> Result<u64, Error> {
    let what = "a module's data";
    let (mut bytes, mut text) = (0, Vec::new());
    let mut show = |part: &Part<'_>| {
        if let Some(elements) = &mut elements {
            elements.take(part);
        }
    };
    loop {
        let kind = reader.count(what)?;
        hasher.update(&kind.to_le_bytes());
        match kind {
            0 => return Ok(bytes),
            1 | 2 => {
                let number = reader.count(what)?;
                hasher.update(&number.to_le_bytes());
                show(&Part::Number(number));
            }
            3 => {
                hasher.update(&reader.array::<4>(what)?);
                show(&Part::Fraction);
            }
            4 => {
                hasher.update(&reader.array::<8>(what)?);
                show(&Part::Fraction);
            }
            5 => {
                let length = reader.string(&mut text, what)?;
                hasher.update(&length.to_le_bytes());
                hasher.update(&text);
                show(&Part::Text(&text));
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
