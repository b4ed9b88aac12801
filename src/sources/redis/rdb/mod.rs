//! The RDB format: walked from begin to end without building anything out of it.
//!
//! The walker knows the length of everything that a server of Redis 5 to 8 or Valkey 7 to 9 writes (the reference is
//! `src/rdb.c` of either). It never skips what it does not know: an unknown opcode or type ends the walk by name.
//! Memory stays constant but for the strings of the one value in hand, and grows only with bytes that have arrived,
//! never with a length that was merely claimed.

pub mod compact;
pub mod content;
mod lzf;
mod module;
pub mod reader;
mod stream;
pub mod types;
mod vectors;
pub mod walk;
pub mod write;

pub use content::Content;
pub use reader::{Feed, Reader};
pub use types::Format;
pub use walk::{Item, Key, Walker};

/// Why a stream is not a sound RDB file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It ended before its end.
    #[error("the RDB stream ends after {at} bytes, in the middle of {what}")]
    Truncated {
        /// How many bytes there were.
        at: u64,
        /// What was being read.
        what: &'static str,
    },
    /// It does not begin like one.
    #[error("not an RDB file: it begins with `{0}`")]
    Magic(String),
    /// A version below those that are known.
    #[error("RDB version {0} is older than those that can be walked (9 and later)")]
    Version(u32),
    /// An opcode or value type that is not known.
    #[error("unknown RDB {what} {code} (0x{code:02X}) at byte {at}, after key `{after}`")]
    Unknown {
        /// `opcode or value type`, `string encoding` …
        what: &'static str,
        /// The number.
        code: u64,
        /// Where it stands.
        at: u64,
        /// The last key before it.
        after: String,
    },
    /// Something that is known and does not hold together.
    #[error("malformed {what} at byte {at}")]
    Malformed {
        /// What is malformed.
        what: &'static str,
        /// Where its end stands.
        at: u64,
    },
    /// A value is malformed.
    #[error("key `{key}` of database {database}: {source}")]
    Value {
        /// The key's name, as far as it is text.
        key: String,
        /// Its database.
        database: u64,
        /// What is wrong.
        source: Box<Error>,
    },
    /// The checksum at the end is another than that of the bytes.
    #[error("the RDB checksum is {found:016x}, the bytes say {computed:016x}")]
    Checksum {
        /// As the file has it.
        found: u64,
        /// As computed.
        computed: u64,
    },
    /// Bytes follow the end.
    #[error("bytes follow the end of the RDB stream")]
    Trailing,
    /// Whoever takes the bytes has stopped.
    #[error("{0}")]
    Stopped(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The most of a key's name that a message shows.
const SHOWN: usize = 80;

/// A key's name for messages.
pub fn shown(name: &[u8]) -> String {
    let cut = &name[..name.len().min(SHOWN)];
    let mut text: String = String::from_utf8_lossy(cut).chars().flat_map(char::escape_default).collect();
    if name.len() > SHOWN {
        text.push('…');
    }
    text
}

/// The CRC-64 of Redis (polynomial of Jones, reflected): over RDB files and over DUMP payloads.
pub fn crc64(bytes: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Redis, bytes)
}

#[cfg(test)]
mod tests;
