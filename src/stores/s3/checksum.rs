//! Checksums of parts and of whole objects, as S3 writes them.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::config::ChecksumKind;
use super::object::Head;

/// Computes the digests of one part as its bytes come in.
pub(super) struct PartDigest {
    md5: Md5,
    checksum: Running,
}

/// The digests of one part.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// MD5: every service compares it with what arrives.
    pub(super) md5: [u8; 16],
    /// The configured checksum in Base64, as the headers have it.
    pub(super) checksum: Option<String>,
    raw: Vec<u8>,
}

/// Computes the digests of the whole object.
pub(super) struct Whole {
    kind: ChecksumKind,
    checksum: Running,
    /// MD5 over the parts' MD5s: the ETag of a multipart object.
    md5s: Md5,
    first: Option<[u8; 16]>,
    /// SHA-256 over the parts' SHA-256s.
    sums: Sha256,
    parts: u32,
    size: u64,
}

/// A checksum in the making.
enum Running {
    None,
    Crc(Crc, usize),
    Sha256(Box<Sha256>),
}

/// How the service's checksum compares with ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// The service says nothing that can be compared.
    Unknown,
    /// It has other bytes.
    Differs,
    /// The checksum over the parts' checksums is the same.
    Parts,
    /// The checksum over all bytes is the same.
    Whole,
}

impl ChecksumKind {
    /// The SDK's word; `None` if no checksum is configured.
    pub(super) fn algorithm(self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::None => None,
            Self::Crc64nvme => Some(ChecksumAlgorithm::Crc64Nvme),
            Self::Crc32c => Some(ChecksumAlgorithm::Crc32C),
            Self::Sha256 => Some(ChecksumAlgorithm::Sha256),
        }
    }

    /// CRCs of parts can be joined to one of the whole, digests cannot.
    pub(super) fn over(self) -> Option<ChecksumType> {
        match self {
            Self::None => None,
            Self::Crc64nvme | Self::Crc32c => Some(ChecksumType::FullObject),
            Self::Sha256 => Some(ChecksumType::Composite),
        }
    }

    fn running(self) -> Running {
        match self {
            Self::None => Running::None,
            Self::Crc64nvme => Running::Crc(Crc::new(CrcAlgorithm::Crc64Nvme), 8),
            Self::Crc32c => Running::Crc(Crc::new(CrcAlgorithm::Crc32Iscsi), 4),
            Self::Sha256 => Running::Sha256(Box::default()),
        }
    }
}

impl Running {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Crc(crc, _) => crc.update(bytes),
            Self::Sha256(sha256) => sha256.update(bytes),
        }
    }

    fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::None => None,
            Self::Crc(crc, width) => Some(crc.finalize().to_be_bytes()[8 - width..].to_vec()),
            Self::Sha256(sha256) => Some(sha256.clone().finalize().to_vec()),
        }
    }
}

impl PartDigest {
    pub(super) fn new(kind: ChecksumKind) -> Self {
        Self { md5: Md5::new(), checksum: kind.running() }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksum.update(bytes);
    }

    pub(super) fn finish(self) -> Part {
        let raw = self.checksum.value();
        let checksum = raw.as_deref().map(|value| BASE64.encode(value));
        Part { md5: self.md5.finalize().into(), checksum, raw: raw.unwrap_or_default() }
    }
}

impl Part {
    /// The value of the header `Content-MD5`.
    pub(super) fn content_md5(&self) -> String {
        BASE64.encode(self.md5)
    }

    /// The ETag that a service gives it that makes ETags of MD5s.
    pub(super) fn etag(&self) -> String {
        hex::encode(self.md5)
    }
}

impl Whole {
    pub(super) fn new(kind: ChecksumKind) -> Self {
        Self {
            kind,
            checksum: kind.running(),
            md5s: Md5::new(),
            first: None,
            sums: Sha256::new(),
            parts: 0,
            size: 0,
        }
    }

    /// Takes the object's next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Takes the digests of the object's next part.
    pub(super) fn add(&mut self, part: &Part) {
        self.md5s.update(part.md5);
        self.sums.update(&part.raw);
        self.first.get_or_insert(part.md5);
        self.parts += 1;
    }

    /// How many bytes there are.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The ETag of an object that was sent in one request.
    pub(super) fn single_etag(&self) -> String {
        self.first.map(hex::encode).unwrap_or_default()
    }

    /// The ETag of an object that was sent in parts.
    pub(super) fn composite_etag(&self) -> String {
        format!("{}-{}", hex::encode(self.md5s.clone().finalize()), self.parts)
    }

    /// The checksum of the object in the form in which the service says it.
    pub(super) fn checksum(&self, multipart: bool) -> Option<String> {
        match (self.kind, multipart) {
            (ChecksumKind::None, _) => None,
            (ChecksumKind::Sha256, true) => {
                Some(format!("{}-{}", BASE64.encode(self.sums.clone().finalize()), self.parts))
            }
            _ => self.checksum.value().map(|value| BASE64.encode(value)),
        }
    }

    /// Compares the checksum that the service says with ours.
    pub(super) fn agreement(&self, head: &Head, multipart: bool) -> Agreement {
        match (&head.checksum, self.checksum(multipart)) {
            (Some(theirs), Some(ours)) if *theirs != ours => Agreement::Differs,
            (Some(_), Some(_)) if multipart && self.kind == ChecksumKind::Sha256 => Agreement::Parts,
            (Some(_), Some(_)) => Agreement::Whole,
            _ => Agreement::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(kind: ChecksumKind, bytes: &[u8]) -> String {
        let mut digest = PartDigest::new(kind);
        digest.update(bytes);
        digest.finish().checksum.unwrap()
    }

    #[test]
    fn checksums_are_those_of_the_catalogues() {
        // reveng.sourceforge.io, the check values over `123456789`: CRC-64/NVME and CRC-32/ISCSI.
        let bytes = b"123456789";
        assert_eq!(
            checksum(ChecksumKind::Crc64nvme, bytes),
            BASE64.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes())
        );
        assert_eq!(checksum(ChecksumKind::Crc32c, bytes), BASE64.encode(0xe306_9283_u32.to_be_bytes()));
        assert_eq!(checksum(ChecksumKind::Sha256, b"abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn etags_are_those_of_s3() {
        let mut whole = Whole::new(ChecksumKind::None);
        for part in [b"abc".as_slice(), b"def"] {
            let mut digest = PartDigest::new(ChecksumKind::None);
            digest.update(part);
            whole.add(&digest.finish());
        }
        assert_eq!(whole.single_etag(), "900150983cd24fb0d6963f7d28e17f72");
        // printf '%s%s' "$(printf abc | md5sum)" "$(printf def | md5sum)" as bytes | md5sum
        assert_eq!(whole.composite_etag(), "4c8e93283780e078db9e0c6b9b3f8043-2");
    }
}
