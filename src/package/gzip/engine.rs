//! The library that compresses. A package does not say which one it was: both write plain deflate.

use std::io;

use super::fast::Deflater;

/// A deflate compressor at a fixed level, used for many blocks.
pub enum Engine {
    /// Our own: level 1, unless ISA-L is there.
    Fast(Box<Deflater>),
    /// libdeflate: the levels that no other has.
    Libdeflate(libdeflater::Compressor),
    /// ISA-L: levels 1 to 3, faster still.
    #[cfg(feature = "isal")]
    Isal(isal::CompressionLevel),
}

impl Engine {
    /// The engine for a level: 1 to 12, anything beyond is taken for the nearest.
    pub fn new(level: u8) -> Self {
        #[cfg(feature = "isal")]
        match level {
            0 | 1 => return Self::Isal(isal::CompressionLevel::One),
            2 | 3 => return Self::Isal(isal::CompressionLevel::Three),
            _ => {}
        }
        if level <= 1 {
            return Self::Fast(Box::default());
        }
        let level = libdeflater::CompressionLvl::new(i32::from(level.clamp(1, 12)));
        Self::Libdeflate(libdeflater::Compressor::new(level.unwrap_or_default()))
    }

    /// The most bytes that `size` bytes can become.
    pub fn bound(&mut self, size: usize) -> usize {
        match self {
            Self::Fast(_) => Deflater::bound(size),
            Self::Libdeflate(compressor) => compressor.deflate_compress_bound(size),
            // Stored deflate blocks: 5 bytes for each 65,535, and ISA-L's own slack.
            #[cfg(feature = "isal")]
            Self::Isal(_) => size + size / 8 + 4_096,
        }
    }

    /// Compresses `plain` as one raw deflate stream into `out` and returns its length.
    pub fn deflate(&mut self, plain: &[u8], out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Fast(deflater) => deflater.deflate(plain, out),
            Self::Libdeflate(compressor) => compressor.deflate_compress(plain, out).map_err(io::Error::other),
            #[cfg(feature = "isal")]
            Self::Isal(level) => {
                isal::compress_into(plain, out, *level, isal::Codec::Deflate).map_err(io::Error::other)
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fast(_) => "Fast",
            Self::Libdeflate(_) => "Libdeflate",
            #[cfg(feature = "isal")]
            Self::Isal(_) => "Isal",
        })
    }
}
