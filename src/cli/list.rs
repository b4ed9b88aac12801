//! `list`: the packages that the stores have.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::output::{self, age, ratio, size, time};
use super::{Problem, Session, session};
use crate::catalog::record::Outcome;
use crate::catalog::scan::Presence;
use crate::catalog::{Found, Record, Scan, SourceName};
use crate::clock::Timestamp;
use crate::config::plan::Plan;
use crate::config::units::Span;
use crate::exit::Exit;
use crate::report::chain;
use crate::telemetry::Format;

/// List the packages that the stores have
///
/// Reads the stores only: the list is right on any machine, and no private key is needed.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra list\n  chupacabra list web --store nas --json\n  \
                        chupacabra list --max-age 26h || echo 'a backup is missing'")]
pub(super) struct Args {
    /// Only packages of this source
    #[arg(value_name = "SOURCE")]
    source: Option<SourceName>,
    /// Only packages in this store
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// Exit with 6 unless every configured source has a good package this young in each of its stores
    #[arg(long, value_name = "AGE")]
    max_age: Option<Span>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What one store has.
#[derive(Debug, Serialize)]
struct Listing {
    store: String,
    packages: Vec<Package>,
    /// Packages whose record cannot be read, with the reason.
    unreadable: Vec<(String, String)>,
    /// Objects of packages that have no record: left by runs that were interrupted, or of one that runs now.
    orphans: usize,
    /// Objects with names that are not ours.
    ignored: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Package {
    record: Record,
    presence: Presence,
    #[serde(flatten)]
    noted: Noted,
    #[serde(skip)]
    good: bool,
    #[serde(skip)]
    ahead: bool,
}

/// What became known about a package after it was made.
#[derive(Debug, Serialize)]
pub(super) struct Noted {
    pub(super) verified: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) damaged: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) accepted: Option<Timestamp>,
}

impl Noted {
    pub(super) fn of(found: &Found) -> Self {
        Self { verified: found.verified, damaged: found.damaged, accepted: found.accepted }
    }
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let plan = session.plan()?;
        self.examines_something(&plan)?;
        let stores = session::connect(&plan, self.store.as_deref()).await?;
        let mut listings = Vec::new();
        for (name, named) in &stores {
            listings.push(Listing::of(
                name,
                Scan::of(&named.store, self.source.as_ref()).await,
                session.clock.now(),
            ));
        }
        let printed = if self.json { output::json(&listings) } else { show(&listings, session.clock.now()) };
        let stale = self.max_age.map(|most| self.stale(&plan, &listings, most, session.clock.now()));
        for line in stale.iter().flatten() {
            if session.screen.format() == Format::Json {
                tracing::error!(action = "list", "{line}");
            } else {
                output::notice(line);
            }
        }
        // What cannot be listed must not look like an empty store.
        let failed = listings.iter().filter(|listing| !listing.error.is_empty()).count();
        let exit = match failed {
            0 if stale.is_some_and(|stale| !stale.is_empty()) => Exit::Stale,
            0 => Exit::Good,
            all if all == listings.len() => Exit::Failed,
            _ => Exit::Partial,
        };
        output::verdict(printed, exit)
    }
}

impl Args {
    /// Refuses a question about ages that no configured source answers: the answer would always be that all is well.
    fn examines_something(&self, plan: &Plan) -> Result<(), Problem> {
        if self.max_age.is_none() {
            return Ok(());
        }
        if let Some(source) = &self.source {
            session::sources(plan, &[source.to_string()])?;
        }
        let Some(store) = self.store.as_ref().filter(|store| plan.stores.contains_key(*store)) else {
            return Ok(());
        };
        let wanted = |name: &SourceName| self.source.as_ref().is_none_or(|source| source == name);
        let mut sources = plan.sources.iter().filter(|(name, _)| wanted(name));
        if sources.any(|(_, source)| source.stores.iter().any(|(name, _)| name == store)) {
            return Ok(());
        }
        let what = format!("`--max-age` has nothing to judge: no such package is to be in `{store}`");
        Err(Problem::usage(what, "leave `--store` out, or name a store that the source's packages go to"))
    }

    /// The configured sources without a good package as young as asked, a line for each store that lacks one.
    fn stale(&self, plan: &Plan, listings: &[Listing], most: Span, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        let wanted = |name: &SourceName| self.source.as_ref().is_none_or(|source| source == name);
        for (name, source) in plan.sources.iter().filter(|(name, _)| wanted(name)) {
            let its = |listing: &&Listing| source.stores.iter().any(|(store, _)| *store == listing.store);
            for Listing { store, packages, .. } in listings.iter().filter(its) {
                // What is dated in the future was made while a clock was wrong: its age says nothing.
                let good = |found: &&Package| found.good && !found.ahead && found.record.key.source() == name;
                let newest = packages.iter().filter(good).map(|found| found.record.key.at()).max();
                let young = newest.is_some_and(|at| {
                    now.duration_since(at)
                        <= jiff::SignedDuration::try_from(most.0).unwrap_or(jiff::SignedDuration::MAX)
                });
                match newest {
                    _ if young => {}
                    Some(at) => lines.push(format!(
                        "stale: the newest good package of {name} in {store} is {} old",
                        age(at, now)
                    )),
                    None => lines.push(format!("stale: there is no good package of {name} in {store}")),
                }
            }
        }
        lines
    }
}

impl Listing {
    fn of(store: &str, scan: Result<Scan, crate::stores::Error>, now: Timestamp) -> Self {
        let (scan, error) = match scan {
            Ok(scan) => (scan, Vec::new()),
            Err(error) => (Scan::default(), chain(&error)),
        };
        let package = |found: Found| Package {
            presence: found.presence,
            noted: Noted::of(&found),
            good: found.is_good(),
            ahead: found.is_ahead(now),
            record: found.record,
        };
        Self {
            store: store.to_owned(),
            packages: scan.packages.into_iter().map(package).collect(),
            unreadable: scan.unreadable.into_iter().map(|(key, why)| (key.to_string(), why)).collect(),
            orphans: scan.orphans.len(),
            ignored: scan.ignored,
            error,
        }
    }
}

fn show(listings: &[Listing], now: Timestamp) -> anyhow::Result<()> {
    let mut table = output::table(&[
        "SOURCE", "STORE", "TIME", "AGE", "CONTENT", "PACKAGE", "RATIO", "OUTCOME", "VERIFIED",
    ]);
    for listing in listings {
        for Package { record, presence, noted, .. } in &listing.packages {
            let (content, packed) = (record.totals.content_bytes, record.package.size);
            table.add_row([
                record.key.source().to_string(),
                listing.store.clone(),
                time(record.key.at()),
                age(record.key.at(), now),
                size(content),
                size(packed),
                ratio(content, packed),
                outcome(record, *presence, noted).to_owned(),
                noted.verified.map_or("never".to_owned(), |at| format!("{} ago", age(at, now))),
            ]);
        }
    }
    if table.is_empty() {
        output::line("no packages")?;
    } else {
        output::show(&table)?;
    }
    for listing in listings {
        notes(listing)?;
    }
    Ok(())
}

/// What a listing has besides packages.
fn notes(listing: &Listing) -> anyhow::Result<()> {
    let store = &listing.store;
    if !listing.error.is_empty() {
        output::line(format!("{store}: cannot be listed: {}", listing.error.join(": ")))?;
    }
    for (key, why) in &listing.unreadable {
        output::line(output::printable(&format!("{store}: {key} has a record that cannot be read: {why}")))?;
    }
    if listing.orphans > 0 {
        output::line(format!(
            "{store}: {} objects have no record; `prune` removes them once they are old",
            listing.orphans
        ))?;
    }
    if listing.ignored > 0 {
        output::line(format!("{store}: {} other objects, ignored", listing.ignored))?;
    }
    Ok(())
}

pub(super) fn outcome(record: &Record, presence: Presence, noted: &Noted) -> &'static str {
    match (presence, record.outcome, &record.suspicious) {
        (Presence::Missing, ..) => "OBJECTS MISSING",
        (Presence::WrongSize, ..) => "WRONG SIZE",
        _ if noted.damaged.is_some() => "DAMAGED",
        (_, Outcome::Partial, _) if noted.accepted.is_some() => "partial, accepted",
        (_, _, Some(_)) if noted.accepted.is_some() => "suspicious, accepted",
        (_, Outcome::Partial, _) => "partial",
        (_, _, Some(_)) => "suspicious",
        _ => "complete",
    }
}
