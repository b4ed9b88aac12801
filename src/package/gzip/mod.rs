//! gzip: independent blocks, each a member of its own (RFC 1952), written and read on all cores.
//!
//! Every member says in an extra field how long it is (as BGZF does, with its own identifier), so a reader finds the
//! next one without decoding and several are decoded at once. Other gzip readers skip the field. Nothing in here
//! knows of tar or age.

pub mod engine;
pub mod fast;
mod frame;
mod read;
mod stored;
mod write;

pub use engine::Engine;
pub use frame::{Block, HEADER, MAX_MEMBER, MAX_PLAIN};
pub use read::Reader;
pub use write::{Compressed, Packed, Packer, pack};

/// The bytes of the tar stream that one block holds; the last may hold fewer.
pub const BLOCK: usize = 1 << 20;

/// Compresses `plain` into one whole gzip member in `member`, whatever that held before.
pub fn compress(engine: &mut Engine, plain: &[u8], member: &mut Vec<u8>) -> std::io::Result<()> {
    let length = frame::compress(engine, plain, member)?;
    member.truncate(length);
    Ok(())
}
