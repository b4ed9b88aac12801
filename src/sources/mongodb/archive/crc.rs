//! The checksum of a namespace.

use crc_fast::{CrcAlgorithm, Digest};

/// Computes CRC-64/XZ (reflected ECMA-182 polynomial, all ones in and out) over a namespace's documents.
#[derive(Debug, Clone, Copy)]
pub struct Crc(Digest);

impl Default for Crc {
    fn default() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Xz))
    }
}

impl Crc {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes taken; zero if there were none.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_catalogue() {
        let mut crc = Crc::default();
        assert_eq!(crc.value(), 0);
        crc.update(b"12345");
        crc.update(b"6789");
        // The catalogue of parametrised CRC algorithms, CRC-64/XZ, `check`.
        assert_eq!(crc.value(), 0x995d_c9bb_df19_39fa);
    }
}
