//! The lines as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Entry, EntryKind};
use crate::package::digest::ObjectDigest;
use crate::package::gzip::Block;
use crate::package::member::{Header, Kind, Object, Time};
use crate::package::seal::Totals;

/// The version of the index's shape. A reader refuses a newer one.
pub const VERSION: u32 = 1;

/// One line: an object with one key, which says what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::package) enum Row {
    Index(Head),
    Member(Member),
    Object(Object),
    /// Offset and length in the tar stream, offset and length in the gzip stream.
    Block(u64, u32, u64, u32),
    End(End),
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::package) struct Head {
    pub(in crate::package) version: u32,
    pub(in crate::package) package: String,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::package) struct End {
    pub(in crate::package) totals: Totals,
    pub(in crate::package) blocks: u64,
    pub(in crate::package) package: ObjectDigest,
}

/// A text where the bytes are UTF-8, otherwise base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::package) enum Name {
    Text(String),
    Bytes { base64: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::package) struct Member {
    path: Name,
    kind: EntryKind,
    offset: u64,
    length: u64,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    object: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    superseded: bool,
    mode: u32,
    uid: u64,
    gid: u64,
    /// Seconds and nanoseconds.
    mtime: (i64, u32),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<Name>,
}

impl Name {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { base64: STANDARD.encode(bytes) },
        }
    }

    fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes { base64 } => STANDARD.decode(base64).ok(),
        }
    }
}

impl Row {
    pub(in crate::package) fn head(package: &str) -> Self {
        Self::Index(Head { version: VERSION, package: package.to_owned() })
    }

    pub(in crate::package) fn block(block: &Block) -> Self {
        Self::Block(block.plain_offset, block.plain_length, block.offset, block.length)
    }
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        Self::Member(Member {
            path: Name::of(&entry.path),
            kind: entry.kind,
            offset: entry.offset,
            length: entry.length,
            size: entry.size,
            blake3: entry.digest.map(hex::encode),
            object: entry.object.clone(),
            superseded: entry.superseded,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: (entry.mtime.seconds, entry.mtime.nanos),
            link: (!entry.link.is_empty()).then(|| Name::of(&entry.link)),
        })
    }
}

impl Member {
    /// The entry, or the name of the value that makes no sense.
    pub(in crate::package) fn into_entry(self) -> Result<Entry, &'static str> {
        let mut digest = None;
        if let Some(text) = self.blake3 {
            let mut bytes = [0; 32];
            hex::decode_to_slice(text, &mut bytes).map_err(|_| "blake3")?;
            digest = Some(bytes);
        }
        Ok(Entry {
            path: self.path.into_bytes().ok_or("path")?,
            kind: self.kind,
            offset: self.offset,
            length: self.length,
            size: self.size,
            digest,
            object: self.object,
            superseded: self.superseded,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: Time { seconds: self.mtime.0, nanos: self.mtime.1 },
            link: self.link.map_or_else(|| Some(Vec::new()), Name::into_bytes).ok_or("link")?,
        })
    }
}

impl EntryKind {
    /// The kind of a member.
    pub fn of(kind: &Kind) -> Self {
        match kind {
            Kind::File => Self::File,
            Kind::Directory => Self::Directory,
            Kind::Symlink(_) => Self::Symlink,
            Kind::HardLink(_) => Self::HardLink,
            Kind::Fifo => Self::Fifo,
            Kind::CharDevice(..) => Self::CharDevice,
            Kind::BlockDevice(..) => Self::BlockDevice,
        }
    }
}

impl Entry {
    /// What the index says of a member, before its content is known.
    pub(in crate::package) fn of(header: &Header, offset: u64) -> Self {
        Self {
            path: header.path.clone(),
            kind: EntryKind::of(&header.kind),
            offset,
            length: 0,
            size: header.size,
            digest: None,
            object: header.object.clone(),
            superseded: false,
            mode: header.mode,
            uid: header.uid,
            gid: header.gid,
            mtime: header.mtime,
            link: match &header.kind {
                Kind::Symlink(target) | Kind::HardLink(target) => target.clone(),
                _ => Vec::new(),
            },
        }
    }
}
