//! Retention: which packages are kept, and why. Pure: it reads no clock and touches no store.
//!
//! Retention never makes things worse. Ages count from the newest good package, not from now, so a source whose
//! backups have stopped loses nothing; and a single package that stands alone, because it is the first after a long time or
//! was made while a clock was ahead, makes no other old. The newest good packages stay however old they are; and while
//! the newest package is not good, nothing is dropped at all.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::Key;
use crate::clock::Timestamp;
use crate::config::context::Context;
use crate::config::units::Span;

const DAY: Duration = Duration::from_hours(24);

/// How long packages are kept, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Keep every package at most this much older than the newest good one. The first good one after a longer time
    /// without any makes no other old: that takes a second. Default: 30d.
    pub keep_within: Option<Span>,
    /// Keep at least this many of the newest good packages, however old. At least 1. Default: 3.
    pub keep_last: Option<u32>,
    /// Keep the newest good package of each of the last this many hours that have one. Default: 0.
    pub hourly: Option<u32>,
    /// Keep the newest good package of each of the last this many days that have one. Default: 0.
    pub daily: Option<u32>,
    /// Keep the newest good package of each of the last this many ISO weeks that have one. Default: 0.
    pub weekly: Option<u32>,
    /// Keep the newest good package of each of the last this many months that have one. Default: 0.
    pub monthly: Option<u32>,
    /// Keep the newest good package of each of the last this many years that have one. Default: 0.
    pub yearly: Option<u32>,
    /// Remove what has no record (left by interrupted runs) once it is this old; longer than any run. Default: 2d.
    pub orphans_after: Option<Span>,
    /// Apply all this after every good backup. `false`: only the verb `prune` does, for example where backups run with a
    /// key that may not delete. Default: true.
    pub automatic: Option<bool>,
}

/// How long packages are kept, as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Everything at most this much older than the newest good package stays.
    pub keep_within: Duration,
    /// At least this many of the newest good packages stay.
    pub keep_last: u32,
    /// How many periods of each kind keep their newest good package.
    pub periods: Vec<(Period, u32)>,
    /// Objects without a record are swept at this age.
    pub orphans_after: Duration,
    /// Whether a good backup applies this.
    pub automatic: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            keep_within: 30 * DAY,
            keep_last: 3,
            periods: Vec::new(),
            orphans_after: 2 * DAY,
            automatic: true,
        }
    }
}

impl Config {
    /// Fills in the defaults; refuses a policy that could leave nothing.
    pub fn plan(&self, context: &mut Context) -> Policy {
        let default = Policy::default();
        if self.keep_last == Some(0) {
            context.problem(
                "keep_last",
                "0 would let retention remove the last good package",
                "write 1 or more",
            );
        }
        let orphans_after = self.orphans_after.map_or(default.orphans_after, |span| span.0);
        if orphans_after < Duration::from_hours(1) {
            let what = "an upload that is still running could be taken for a leftover";
            context.problem(
                "orphans_after",
                what,
                "write at least `1h`, and more than the longest backup takes",
            );
        }
        let counts = [
            (Period::Hour, self.hourly),
            (Period::Day, self.daily),
            (Period::Week, self.weekly),
            (Period::Month, self.monthly),
            (Period::Year, self.yearly),
        ];
        let periods =
            counts.into_iter().filter_map(|(period, count)| Some((period, count.filter(|n| *n > 0)?)));
        Policy {
            keep_within: self.keep_within.map_or(default.keep_within, |span| span.0),
            keep_last: self.keep_last.unwrap_or(default.keep_last).max(1),
            periods: periods.collect(),
            orphans_after,
            automatic: self.automatic.unwrap_or(default.automatic),
        }
    }
}

/// A stretch of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// An ISO 8601 week, Monday to Sunday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Period {
    /// A number that two times share if and only if they are in the same period.
    fn of(self, at: Timestamp) -> (i16, i16, i8, i8) {
        let at = at.to_zoned(TimeZone::UTC);
        match self {
            Self::Hour => (at.year(), i16::from(at.month()), at.day(), at.hour()),
            Self::Day => (at.year(), i16::from(at.month()), at.day(), 0),
            Self::Week => {
                let week = at.date().iso_week_date();
                (week.year(), i16::from(week.week()), 0, 0)
            }
            Self::Month => (at.year(), i16::from(at.month()), 0, 0),
            Self::Year => (at.year(), 0, 0, 0),
        }
    }
}

/// A recorded package, as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its key, which says when it was made.
    pub key: Key,
    /// Whether it is complete, present, and not suspicious.
    pub good: bool,
    /// Whether it was verified after it was made.
    pub verified: bool,
    /// Whether it is dated later than it can have been made.
    pub ahead: bool,
}

/// What becomes of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The package.
    pub key: Key,
    /// Whether it stays.
    pub keep: bool,
    /// Why.
    pub reason: Reason,
}

/// Why a package stays or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Stays: nothing is dropped while there is no good package.
    NoGoodPackage,
    /// Stays: the newest package is not good, so nothing is dropped until a good one follows.
    Frozen,
    /// Stays: it is dated later than it can have been made, so a clock was or is wrong.
    InTheFuture,
    /// Stays: one of the newest good packages.
    Last(u32),
    /// Stays: the newest good package that has been verified.
    NewestVerified,
    /// Stays: young enough.
    Within(Span),
    /// Stays: it was young enough before the newest good package came, which stands alone so far.
    NewestAlone,
    /// Stays: the newest good package of a period.
    NewestOf(Period),
    /// Goes: nothing keeps it.
    Expired,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGoodPackage => f.write_str("there is no good package yet"),
            Self::Frozen => f.write_str("frozen: the newest package is not good"),
            Self::InTheFuture => {
                f.write_str("it is dated later than it can have been made: check the clocks")
            }
            Self::Last(count) => write!(f, "among the last {count} good packages"),
            Self::NewestVerified => f.write_str("the newest verified package"),
            Self::Within(span) => write!(f, "within {span} of the newest good package"),
            Self::NewestAlone => {
                f.write_str("until another follows the newest good package, which came long after the others")
            }
            Self::NewestOf(period) => {
                let period = match period {
                    Period::Hour => "hour",
                    Period::Day => "day",
                    Period::Week => "week",
                    Period::Month => "month",
                    Period::Year => "year",
                };
                write!(f, "the newest of its {period}")
            }
            Self::Expired => f.write_str("older than everything the policy keeps"),
        }
    }
}

/// Decides what becomes of each package of one source in one store. The result is newest first.
///
/// Guarantees, for every policy: the newest `keep_last` good packages stay; nothing goes while the newest package is
/// not good; a package dated after `now` or after it was written neither goes nor makes others go; deciding again after
/// the dropped ones are gone drops nothing more.
pub fn decide(policy: &Policy, packages: &[Candidate], now: Timestamp) -> Vec<Decision> {
    let mut sorted: Vec<&Candidate> = packages.iter().collect();
    sorted.sort_by(|a, b| b.key.cmp(&a.key));
    let ahead = |package: &Candidate| package.ahead || package.key.at() > now;
    let past: Vec<&Candidate> = sorted.iter().copied().filter(|package| !ahead(package)).collect();
    let hold = match past.first() {
        _ if !past.iter().any(|package| package.good) => Some(Reason::NoGoodPackage),
        Some(newest) if !newest.good => Some(Reason::Frozen),
        _ => None,
    };
    let kept = kept(policy, &past);
    let reason = |package: &Candidate| match &hold {
        _ if ahead(package) => Reason::InTheFuture,
        Some(hold) => hold.clone(),
        None => kept.get(&package.key).cloned().unwrap_or(Reason::Expired),
    };
    sorted
        .into_iter()
        .map(|package| {
            let reason = reason(package);
            Decision { key: package.key.clone(), keep: reason != Reason::Expired, reason }
        })
        .collect()
}

/// The packages that some rule keeps, with the first rule that does. `past` is newest first.
fn kept(policy: &Policy, past: &[&Candidate]) -> BTreeMap<Key, Reason> {
    let mut kept = BTreeMap::new();
    let good: Vec<&Candidate> = past.iter().copied().filter(|package| package.good).collect();
    let Some(newest) = good.first() else { return kept };
    let before = before_alone(policy, &good);
    for package in good.iter().take(policy.keep_last as usize) {
        kept.entry(package.key.clone()).or_insert(Reason::Last(policy.keep_last));
    }
    if let Some(verified) = good.iter().find(|package| package.verified) {
        kept.entry(verified.key.clone()).or_insert(Reason::NewestVerified);
    }
    for package in past {
        if package.key.at() > newest.key.at() || within(policy, newest, package) {
            kept.entry(package.key.clone()).or_insert(Reason::Within(Span(policy.keep_within)));
        } else if before
            .is_some_and(|before| package.key.at() > before.key.at() || within(policy, before, package))
        {
            kept.entry(package.key.clone()).or_insert(Reason::NewestAlone);
        }
    }
    for (period, count) in &policy.periods {
        let mut seen = Vec::new();
        for package in &good {
            let of = period.of(package.key.at());
            if seen.last() != Some(&of) {
                if seen.len() == *count as usize {
                    break;
                }
                seen.push(of);
                kept.entry(package.key.clone()).or_insert(Reason::NewestOf(*period));
            }
        }
    }
    kept
}

/// Whether one package is in the window of another one, which is newer.
fn within(policy: &Policy, newer: &Candidate, older: &Candidate) -> bool {
    newer.key.at().duration_since(older.key.at()).unsigned_abs() <= policy.keep_within
}

/// The second of the good packages, if the newest stands alone while the others do not. `good` is newest first.
fn before_alone<'a>(policy: &Policy, good: &[&'a Candidate]) -> Option<&'a Candidate> {
    let [newest, before, third, ..] = good else { return None };
    (!within(policy, newest, before) && within(policy, before, third)).then_some(*before)
}

#[cfg(test)]
mod tests;
