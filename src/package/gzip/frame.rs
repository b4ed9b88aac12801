//! One member: header with its own length, deflate data, CRC-32 and size.

use std::io;

use super::engine::Engine;
use super::stored;

/// The bytes of a member before its deflate data.
pub const HEADER: usize = 20;
/// CRC-32 and size behind the deflate data.
pub(super) const TRAILER: usize = 8;
/// The most plain bytes that a block may hold. A reader refuses more: a length is not a reason to allocate.
pub const MAX_PLAIN: usize = 4 << 20;
/// The longest member that a reader accepts.
pub const MAX_MEMBER: usize = MAX_PLAIN + MAX_PLAIN / 8 + 8_192;

/// Magic, method deflate, flag FEXTRA, no time, no hint, unknown system; eight bytes of extra field, of which the
/// subfield `CP` has four. The member's length follows.
const FIXED: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'C', b'P', 4, 0];

/// Where one block stands, in the tar stream and in the gzip stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Block {
    /// The first byte in the tar stream.
    pub plain_offset: u64,
    /// The bytes of the tar stream in it.
    pub plain_length: u32,
    /// The member's first byte in the gzip stream.
    pub offset: u64,
    /// The member's length.
    pub length: u32,
}

impl Block {
    /// Takes the block into a running digest, for comparing two lists of blocks without holding either.
    pub fn digest(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.plain_offset.to_le_bytes());
        hasher.update(&self.plain_length.to_le_bytes());
        hasher.update(&self.offset.to_le_bytes());
        hasher.update(&self.length.to_le_bytes());
    }
}

/// Compresses `plain` into one whole member and returns its length. `member` may be longer: it is used again.
pub(super) fn compress(engine: &mut Engine, plain: &[u8], member: &mut Vec<u8>) -> io::Result<usize> {
    let needed = HEADER + engine.bound(plain.len()).max(stored::length(plain.len())) + TRAILER;
    if member.len() < needed {
        member.resize(needed, 0);
    }
    let deflated = deflate(engine, plain, &mut member[HEADER..needed - TRAILER])?;
    let length = HEADER + deflated + TRAILER;
    let too_long = |_| io::Error::other("a block grew beyond 4 GiB");
    let length_field = u32::try_from(length).map_err(too_long)?;
    let size_field = u32::try_from(plain.len()).map_err(too_long)?;
    member[..16].copy_from_slice(&FIXED);
    member[16..HEADER].copy_from_slice(&length_field.to_le_bytes());
    member[HEADER + deflated..length - 4].copy_from_slice(&libdeflater::crc32(plain).to_le_bytes());
    member[length - 4..length].copy_from_slice(&size_field.to_le_bytes());
    Ok(length)
}

/// Deflates `plain`, or stores it if a look at it says that it would not shrink: photographs and archives are then
/// not worked on in vain.
fn deflate(engine: &mut Engine, plain: &[u8], out: &mut [u8]) -> io::Result<usize> {
    if !stored::is_flat(plain) {
        return engine.deflate(plain, out);
    }
    // All bytes being equally frequent may still be a repetition.
    for sample in stored::samples(plain) {
        if engine.deflate(sample, out)? < sample.len() / 100 * 98 {
            return engine.deflate(plain, out);
        }
    }
    Ok(stored::write(plain, out))
}

/// The length of a member by its first [`HEADER`] bytes; `None` if it is not one of ours.
pub(super) fn member_length(header: &[u8; HEADER]) -> Option<usize> {
    if header[..16] != FIXED {
        return None;
    }
    let length = u32::from_le_bytes([header[16], header[17], header[18], header[19]]);
    usize::try_from(length).ok()
}

/// The plain size by a whole member's last four bytes.
pub(super) fn plain_size(member: &[u8]) -> usize {
    match member.last_chunk::<4>() {
        Some(size) => u32::from_le_bytes(*size) as usize,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_member_is_plain_gzip_that_knows_its_length() {
        let plain: Vec<u8> = (0..300_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for level in [1, 2, 3, 6, 12] {
            let mut member = Vec::new();
            let length = compress(&mut Engine::new(level), &plain, &mut member).unwrap();
            member.truncate(length);
            assert_eq!(member_length(member[..HEADER].try_into().unwrap()), Some(member.len()));
            assert_eq!(plain_size(&member), plain.len());
            let mut back = Vec::new();
            flate2::read::MultiGzDecoder::new(&member[..]).read_to_end(&mut back).unwrap();
            assert!(back == plain);
        }
    }
}
