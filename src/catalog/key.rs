//! Keys: one parser and one printer for the names of packages and of what stands beside them.
//!
//! `<source>/<source>-<UTC time>.tar.gz.age`, with `.index.age` and `.json` beside it, and notes of what became known
//! later: `.verified-<UTC time>.json`, `.damaged-…`, `.accepted-…`.
//! The store's own prefix comes before all of them and is the store's business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The name of a source: lowercase letters, digits and inner hyphens, at most 63 (a DNS label, RFC 1123).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName(String);

/// A text that is not a name or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not the name of a source.
    #[error("`{0}` is not a name: use lowercase letters, digits and inner hyphens, at most 63")]
    Name(String),
    /// Not a package's key.
    #[error("`{0}` is not the key of a package")]
    Key(String),
}

impl SourceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SourceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let sound =
            letters && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-');
        if sound { Ok(Self(text.to_owned())) } else { Err(Error::Name(text.to_owned())) }
    }
}

impl TryFrom<String> for SourceName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<SourceName> for String {
    fn from(name: SourceName) -> Self {
        name.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of a package: its source and the time at which its run began, to the millisecond.
///
/// Keys of one source sort by time, as text too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    source: SourceName,
    at: Timestamp,
}

/// What an object below a source's folder is, judged by its name alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The package itself.
    Package,
    /// The encrypted index.
    Index,
    /// The record.
    Record,
    /// A note of what became known about the package at this time.
    Note(Note, Timestamp),
}

/// What a note says. The record stands for ever as it was written; what becomes known later is noted beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// It was compared with its record, and is as recorded.
    Verified,
    /// It was compared with its record, and is not what was recorded.
    Damaged,
    /// A person looked at what is suspicious about it or missing from it, and takes it as it is.
    Accepted,
}

impl Note {
    const ALL: [Self; 3] = [Self::Verified, Self::Damaged, Self::Accepted];

    /// The word in names.
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Damaged => "damaged",
            Self::Accepted => "accepted",
        }
    }
}

impl Key {
    /// The key of a package of `source` whose run began at `at`; finer than milliseconds is cut off.
    pub fn new(source: SourceName, at: Timestamp) -> Self {
        let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
        Self { source, at }
    }

    /// The source.
    pub fn source(&self) -> &SourceName {
        &self.source
    }

    /// When the run began.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The object name of one of the package's parts.
    pub fn object(&self, part: &Part) -> String {
        let stem = format!("{0}/{0}-{1}", self.source, compact(self.at));
        match part {
            Part::Package => format!("{stem}.tar.gz.age"),
            Part::Index => format!("{stem}.index.age"),
            Part::Record => format!("{stem}.json"),
            Part::Note(note, at) => format!("{stem}.{}-{}.json", note.word(), compact(*at)),
        }
    }

    /// Reads an object name; `None` for every name that [`object`](Self::object) would not print.
    pub fn parse_object(name: &str) -> Option<(Self, Part)> {
        let (folder, file) = name.split_once('/')?;
        let rest = file.strip_prefix(folder)?.strip_prefix('-')?;
        let (time, suffix) = rest.split_at_checked(COMPACT_LENGTH)?;
        let part = match suffix {
            ".tar.gz.age" => Part::Package,
            ".index.age" => Part::Index,
            ".json" => Part::Record,
            other => {
                let (word, at) = other.strip_prefix('.')?.strip_suffix(".json")?.split_once('-')?;
                let note = Note::ALL.into_iter().find(|note| note.word() == word)?;
                Part::Note(note, parse_compact(at)?)
            }
        };
        let key = Self { source: folder.parse().ok()?, at: parse_compact(time)? };
        (key.object(&part) == name).then_some((key, part))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object(&Part::Package))
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match Self::parse_object(text) {
            Some((key, Part::Package)) => Ok(key),
            _ => Err(Error::Key(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Key {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

const COMPACT: &str = "%Y%m%dT%H%M%S.%3fZ";
const COMPACT_LENGTH: usize = "20261121T183000.123Z".len();

/// `20261121T183000.123Z`: ISO 8601 basic format, UTC, with milliseconds.
fn compact(at: Timestamp) -> String {
    at.strftime(COMPACT).to_string()
}

fn parse_compact(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z').filter(|_| text.len() == COMPACT_LENGTH)?;
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S.%f", digits).ok()?;
    at.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_prints_as_documented() {
        let at = "2026-11-21T18:30:00.123456Z".parse().unwrap();
        let key = Key::new("shop-db".parse().unwrap(), at);
        assert_eq!(key.to_string(), "shop-db/shop-db-20261121T183000.123Z.tar.gz.age");
        assert_eq!(key.object(&Part::Record), "shop-db/shop-db-20261121T183000.123Z.json");
        let verified = key.object(&Part::Note(Note::Verified, at));
        assert_eq!(verified, "shop-db/shop-db-20261121T183000.123Z.verified-20261121T183000.123Z.json");
    }

    #[test]
    fn other_shapes_are_no_keys() {
        for name in [
            "web/web-20261121T183000.123Z.tar.gz",
            "web/other-20261121T183000.123Z.tar.gz.age",
            "web/web-20261321T183000.123Z.tar.gz.age",
            "web/web-20261121T183000Z.tar.gz.age",
            "web/web-20261121T183000.123Z.json.tmp",
            "Web/Web-20261121T183000.123Z.json",
            "web-20261121T183000.123Z.json",
            "a/web/web-20261121T183000.123Z.json",
            "web/web-20261121T183000.123Z.verified-x.json",
            "web/web-20261121T183000.123Z.broken-20261121T183000.123Z.json",
            "web/web-+0261121T183000.123Z.json",
            "web/web-ä0261121T183000.123Z.json",
            "",
        ] {
            assert_eq!(Key::parse_object(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn keys_read_back(name in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", millis in 0i64..4_102_444_800_000) {
            let key = Key::new(name.parse().unwrap(), Timestamp::from_millisecond(millis).unwrap());
            let notes = Note::ALL.map(|note| Part::Note(note, key.at()));
            for part in [Part::Package, Part::Index, Part::Record].into_iter().chain(notes) {
                prop_assert_eq!(Key::parse_object(&key.object(&part)), Some((key.clone(), part)));
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = Key::parse_object(&text);
        }
    }
}
