//! The numbers of the format and their names.

use super::Error;

/// Opcodes that stand where a value type could.
pub mod opcode {
    /// State of a slot that Valkey 9 is importing.
    pub const SLOT_IMPORT: u8 = 243;
    /// Sizes of a cluster slot.
    pub const SLOT_INFO: u8 = 244;
    /// A library of functions.
    pub const FUNCTION: u8 = 245;
    /// Data of a module outside of the keyspace.
    pub const MODULE_AUX: u8 = 247;
    /// Seconds since the next key was used.
    pub const IDLE: u8 = 248;
    /// How often the next key is used (LFU).
    pub const FREQ: u8 = 249;
    /// A field of metadata.
    pub const AUX: u8 = 250;
    /// Sizes of the hash tables of a database.
    pub const RESIZE_DB: u8 = 251;
    /// Expiry of the next key in milliseconds.
    pub const EXPIRE_MS: u8 = 252;
    /// Expiry of the next key in seconds.
    pub const EXPIRE: u8 = 253;
    /// The database of the following keys.
    pub const SELECT_DB: u8 = 254;
    /// The end; a checksum follows.
    pub const END: u8 = 255;
}

/// Which dialect and version a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Whether the magic is Valkey's: from version 80 on, type numbers mean other things than with Redis.
    pub valkey: bool,
    /// The version.
    pub version: u32,
}

impl Format {
    /// Reads the nine bytes that an RDB file begins with.
    pub fn parse(magic: [u8; 9]) -> Result<Self, Error> {
        let unknown = || Error::Magic(super::shown(&magic));
        let text = std::str::from_utf8(&magic).map_err(|_| unknown())?;
        let (valkey, digits) = match (text.strip_prefix("REDIS"), text.strip_prefix("VALKEY")) {
            (Some(digits), _) => (false, digits),
            (_, Some(digits)) => (true, digits),
            _ => return Err(unknown()),
        };
        let version = digits.parse().map_err(|_| unknown())?;
        if version < 9 { Err(Error::Version(version)) } else { Ok(Self { valkey, version }) }
    }

    /// The format of DUMP payloads of a version, which carry no magic.
    pub fn of_version(version: u32) -> Self {
        Self { valkey: version >= 80, version }
    }

    /// The nine bytes that an RDB file begins with.
    pub fn magic(self) -> Vec<u8> {
        if self.valkey { format!("VALKEY{:03}", self.version) } else { format!("REDIS{:04}", self.version) }
            .into_bytes()
    }

    /// The shape of the values of type `code`.
    pub(super) fn shape(self, code: u8) -> Option<Shape> {
        Some(match code {
            0 => Shape::String,
            1 => Shape::List,
            2 => Shape::Set,
            3 => Shape::ZsetText,
            4 => Shape::Hash,
            5 => Shape::Zset,
            7 => Shape::Module,
            9 => Shape::HashZipmap,
            10 => Shape::ListZiplist,
            11 => Shape::SetIntset,
            12 => Shape::ZsetZiplist,
            13 => Shape::HashZiplist,
            14 => Shape::ListOfZiplists,
            15 => Shape::Stream(1),
            16 => Shape::HashListpack,
            17 => Shape::ZsetListpack,
            18 => Shape::ListOfListpacks,
            19 => Shape::Stream(2),
            20 => Shape::SetListpack,
            21 => Shape::Stream(3),
            22 if self.valkey => Shape::HashExpiring,
            22 => Shape::HashRelative { minimum: false },
            23 if !self.valkey => Shape::HashListpackExpiring { minimum: false },
            24 if !self.valkey => Shape::HashRelative { minimum: true },
            25 if !self.valkey => Shape::HashListpackExpiring { minimum: true },
            26 if !self.valkey => Shape::Stream(4),
            _ => return None,
        })
    }
}

/// How a value is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    String,
    List,
    ListZiplist,
    ListOfZiplists,
    ListOfListpacks,
    Set,
    SetIntset,
    SetListpack,
    /// Scores as text.
    ZsetText,
    Zset,
    ZsetZiplist,
    ZsetListpack,
    Hash,
    HashZipmap,
    HashZiplist,
    HashListpack,
    /// Valkey 9: field, value, absolute expiry.
    HashExpiring,
    /// Redis 7.4: expiry relative to the earliest, field, value.
    HashRelative {
        /// Whether the earliest expiry stands before the fields.
        minimum: bool,
    },
    /// Redis 7.4: a listpack of field, value, absolute expiry.
    HashListpackExpiring {
        /// Whether the earliest expiry stands before the listpack.
        minimum: bool,
    },
    Stream(u8),
    Module,
}

/// What a value is to its users, however it is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    Zset,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
    /// A value of a module.
    Module,
}

impl Kind {
    /// The word that `TYPE` answers with, but for modules.
    pub fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Zset => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
            Self::Module => "module",
        }
    }
}

impl Shape {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::String => Kind::String,
            Self::List | Self::ListZiplist | Self::ListOfZiplists | Self::ListOfListpacks => Kind::List,
            Self::Set | Self::SetIntset | Self::SetListpack => Kind::Set,
            Self::ZsetText | Self::Zset | Self::ZsetZiplist | Self::ZsetListpack => Kind::Zset,
            Self::Stream(_) => Kind::Stream,
            Self::Module => Kind::Module,
            _ => Kind::Hash,
        }
    }
}
