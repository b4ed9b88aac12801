//! Sizes and durations as people write them: `64MiB`, `30d`, `1h30m`.
//!
//! A bare number is refused: a unit that is left out is a unit that is guessed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What is wrong with a written quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no number at the start.
    #[error("`{0}` does not start with a number")]
    NoNumber(String),
    /// The unit is missing.
    #[error("`{written}` has no unit, write for example `{example}`")]
    NoUnit {
        /// The text as written.
        written: String,
        /// The same number with a unit.
        example: String,
    },
    /// The unit is not known.
    #[error("`{unit}` is not a unit of {quantity}, use one of {known}")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// `size` or `duration`.
        quantity: &'static str,
        /// The units that exist.
        known: &'static str,
    },
    /// The value does not fit.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// A number of bytes. Written with a unit: `512KiB`, `8MiB`, `1GiB`, `2TB`, `100B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl ByteSize {
    /// The number of bytes as a `usize`, capped at what the platform can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(written: &str) -> Result<Self, Error> {
        let (number, unit) = split(written)?;
        if unit.is_empty() {
            return Err(Error::NoUnit { written: written.into(), example: format!("{number}MiB") });
        }
        let known = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let (_, factor) = known.ok_or_else(|| Error::UnknownUnit {
            unit: unit.into(),
            quantity: "size",
            known: "B, KiB, MiB, GiB, TiB, KB, MB, GB, TB",
        })?;
        number.checked_mul(*factor).map(Self).ok_or_else(|| Error::TooLarge(written.into()))
    }
}

impl fmt::Display for ByteSize {
    /// Prints the largest binary unit with at most one decimal, for people: `1.5 GiB`.
    #[allow(clippy::cast_precision_loss, reason = "a figure for people, rounded to one decimal")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.iter().find(|(_, factor)| self.0 >= *factor) {
            Some((unit, factor)) => write!(f, "{:.1} {unit}", self.0 as f64 / *factor as f64),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// A number of bytes in a second. Written with a unit: `512KiB/s`, `10MiB/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

impl FromStr for Rate {
    type Err = Error;

    fn from_str(written: &str) -> Result<Self, Error> {
        match written.trim().strip_suffix("/s") {
            Some(size) => size.parse::<ByteSize>().map(|size| Self(size.0)),
            None => {
                let size = written.parse::<ByteSize>().map(|_| written.trim().to_owned());
                let example = format!("{}/s", size.unwrap_or_else(|_| "10MiB".to_owned()));
                Err(Error::NoUnit { written: written.into(), example })
            }
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", ByteSize(self.0))
    }
}

/// A length of time. Written with units: `30d`, `26h`, `1h30m`, `500ms`. A day is 24 hours, a week 7 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

const SPAN_UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

impl FromStr for Span {
    type Err = Error;

    fn from_str(written: &str) -> Result<Self, Error> {
        let mut rest = written.trim();
        let mut millis = 0u64;
        loop {
            let (number, tail) = split(rest)?;
            let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, next) = tail.split_at(end);
            if unit.is_empty() {
                return Err(Error::NoUnit { written: written.into(), example: format!("{number}d") });
            }
            let known = SPAN_UNITS.iter().find(|(name, _)| *name == unit.trim());
            let (_, factor) = known.ok_or_else(|| Error::UnknownUnit {
                unit: unit.into(),
                quantity: "duration",
                known: "ms, s, m, h, d, w",
            })?;
            let part = number.checked_mul(*factor);
            millis = part
                .and_then(|part| millis.checked_add(part))
                .ok_or_else(|| Error::TooLarge(written.into()))?;
            if next.is_empty() {
                return Ok(Self(Duration::from_millis(millis)));
            }
            rest = next;
        }
    }
}

impl fmt::Display for Span {
    /// Prints the two largest units that are not zero: `1d 2h`, `3m 20s`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let parts = [
            ("d", seconds / 86_400),
            ("h", seconds / 3_600 % 24),
            ("m", seconds / 60 % 60),
            ("s", seconds % 60),
        ];
        let shown: Vec<String> = parts
            .iter()
            .skip_while(|(_, n)| *n == 0)
            .take(2)
            .filter(|(_, n)| *n > 0)
            .map(|(unit, n)| format!("{n}{unit}"))
            .collect();
        f.write_str(if shown.is_empty() { "0s" } else { "" })?;
        f.write_str(&shown.join(" "))
    }
}

/// Splits `12MiB` into `12` and `MiB`.
fn split(written: &str) -> Result<(u64, &str), Error> {
    let written = written.trim();
    let digits = written.find(|c: char| !c.is_ascii_digit()).unwrap_or(written.len());
    let (number, unit) = written.split_at(digits);
    if number.is_empty() {
        return Err(Error::NoNumber(written.into()));
    }
    let number = number.parse().map_err(|_| Error::TooLarge(written.into()))?;
    Ok((number, unit.trim()))
}

/// Gives a written quantity its serde and JSON Schema forms: a string that [`FromStr`] reads.
macro_rules! written {
    ($type:ident, $pattern:literal, $description:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    };
}

written!(ByteSize, "^ *[0-9]+ *([KkMmGgTt]i?)?[Bb] *$", "a size with its unit, for example 64MiB");
written!(Rate, "^ *[0-9]+ *([KkMmGgTt]i?)?[Bb] */s *$", "a size in a second, for example 10MiB/s");
written!(Span, "^ *([0-9]+ *(ms|s|m|h|d|w) *)+$", "a duration with its unit, for example 30d or 1h30m");

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}B", self.0))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}ms", self.0.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!("8MiB".parse(), Ok(ByteSize(8 << 20)));
        assert_eq!("2 gb".parse(), Ok(ByteSize(2_000_000_000)));
        assert_eq!("100B".parse(), Ok(ByteSize(100)));
        assert_eq!(
            "64".parse::<ByteSize>().unwrap_err().to_string(),
            "`64` has no unit, write for example `64MiB`"
        );
        assert!("MiB".parse::<ByteSize>().is_err());
        assert!("1 parsec".parse::<ByteSize>().unwrap_err().to_string().contains("not a unit of size"));
        assert!("99999999999TiB".parse::<ByteSize>().is_err());
    }

    #[test]
    fn rates_are_sizes_in_a_second() {
        assert_eq!("10MiB/s".parse(), Ok(Rate(10 << 20)));
        assert_eq!(Rate(10 << 20).to_string(), "10.0 MiB/s");
        assert_eq!(
            "10MiB".parse::<Rate>().unwrap_err().to_string(),
            "`10MiB` has no unit, write for example `10MiB/s`"
        );
        assert!("10/s".parse::<Rate>().is_err());
    }

    #[test]
    fn spans_add_up() {
        assert_eq!("30d".parse(), Ok(Span(Duration::from_hours(30 * 24))));
        assert_eq!("1h30m".parse(), Ok(Span(Duration::from_mins(90))));
        assert_eq!("500ms".parse(), Ok(Span(Duration::from_millis(500))));
        assert!("30".parse::<Span>().is_err());
        assert!("3 moons".parse::<Span>().is_err());
    }

    #[test]
    fn people_read_the_two_largest_units() {
        assert_eq!(Span(Duration::from_secs(93_784)).to_string(), "1d 2h");
        assert_eq!(Span(Duration::ZERO).to_string(), "0s");
        assert_eq!(ByteSize(1_610_612_736).to_string(), "1.5 GiB");
        assert_eq!(ByteSize(12).to_string(), "12 B");
    }
}
