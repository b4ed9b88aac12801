//! Times on the command line: `2026-11-21`, `2026-11-21 18:30`, RFC 3339, or `-3d` ago. Without an offset it is UTC.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::config::units::Span;

/// A point in time, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// A fixed time. A date means its last moment, a minute its last, so that what was made then is included.
    At(Timestamp),
    /// So long ago.
    Ago(Span),
}

/// Not a time.
#[derive(Debug, thiserror::Error)]
#[error(
    "write `2026-11-21`, `2026-11-21 18:30` (UTC), `2026-11-21T18:30:00+01:00`, or `-3d` for three days ago"
)]
pub(super) struct Unreadable;

impl When {
    /// The point in time, seen from `now`.
    pub(super) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => {
                let span = jiff::SignedDuration::try_from(span.0).unwrap_or(jiff::SignedDuration::MAX);
                now.checked_sub(span).unwrap_or(Timestamp::MIN)
            }
        }
    }
}

impl FromStr for When {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let text = text.trim();
        if let Some(ago) = text.strip_prefix('-') {
            return ago.parse().map(Self::Ago).map_err(|_| Unreadable);
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        let last = |civil: DateTime| {
            civil.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| Unreadable)
        };
        let minute = |text: &str| {
            ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"].iter().find_map(|form| DateTime::strptime(form, text).ok())
        };
        if let Some(minute) = minute(text) {
            return last(
                minute.with().second(59).subsec_nanosecond(999_999_999).build().map_err(|_| Unreadable)?,
            )
            .map(Self::At);
        }
        if let Ok(date) = Date::strptime("%Y-%m-%d", text) {
            return last(date.at(23, 59, 59, 999_999_999)).map(Self::At);
        }
        // Seconds without an offset: UTC, like everything else here.
        text.parse::<DateTime>().map_err(|_| Unreadable).and_then(last).map(Self::At)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> String {
        match text.parse() {
            Ok(When::At(at)) => at.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_forms_are_read_in_utc_and_include_what_was_made_then() {
        assert_eq!(at("2026-11-21"), "2026-11-21T23:59:59.999999999Z");
        assert_eq!(at("2026-11-21 18:30"), "2026-11-21T18:30:59.999999999Z");
        assert_eq!(at("2026-11-21T18:30:00+01:00"), "2026-11-21T17:30:00Z");
        assert_eq!(at("2026-11-21T18:30:00Z"), "2026-11-21T18:30:00Z");
        assert_eq!(at("2026-11-21 18:30:05"), "2026-11-21T18:30:05Z");
    }

    #[test]
    fn ago_counts_from_now() {
        let now: Timestamp = "2026-11-21T18:30:00Z".parse().unwrap();
        let ago: When = "-3d".parse().unwrap();
        assert_eq!(ago.resolve(now).to_string(), "2026-11-18T18:30:00Z");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "yesterday", "-3", "2026-13-01", "3d", "-", "2026-11-21 25:00"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }
}
