//! `accept`: a person has looked, and the package is right as it is.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::output::{self, printable};
use super::{Problem, Session, session};
use crate::catalog::key::Note;
use crate::catalog::{Found, Key, Scan, note};
use crate::exit::Exit;

/// Take a suspicious or incomplete package for good
///
/// A package that holds far less than the one before it, or that lacks something, holds retention back and is no good
/// package for `list --max-age` until a person has looked. This notes in the stores that one has: retention goes on
/// from it, and later packages are compared with it. What an accepted package lacks, later ones may lack too.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra show web\n  chupacabra accept web\n  \
                        chupacabra accept web/web-20261121T183000.123Z.tar.gz.age --dry-run")]
pub(super) struct Args {
    /// A source (its newest package) or the key of a package
    #[arg(value_name = "SOURCE|KEY")]
    package: String,
    /// Only in this store
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// Only say what would be accepted
    #[arg(long)]
    dry_run: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What became of a package in one store.
#[derive(Debug, Serialize)]
struct Outcome {
    key: Key,
    store: String,
    /// What a person has to know and accept; nothing if the package is good already.
    why: Vec<String>,
    accepted: bool,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let plan = session.plan()?;
        let (source, key) = session::source_or_package(&self.package)?;
        let stores = session::connect(&plan, self.store.as_deref()).await?;
        let mut found = Vec::new();
        for named in stores.values() {
            let scan = Scan::of(&named.store, Some(&source)).await?;
            let wanted = |found: &&Found| key.as_ref().is_none_or(|key| found.record.key == *key);
            found.extend(scan.packages.iter().rfind(wanted).map(|found| (named, found.clone())));
            if let Some((unread, why)) =
                scan.unreadable.iter().find(|(unread, _)| key.as_ref() == Some(unread))
            {
                let what = format!("the record of {unread} in `{}` cannot be read: {why}", named.name);
                return Err(
                    Problem::failed(what, "name another package, or another store with `--store`").into()
                );
            }
        }
        if found.is_empty() {
            let help = "`chupacabra list` shows every package there is";
            return Err(Problem::failed("there is no such package to accept", help).into());
        }
        // Nothing is accepted in one store before it is clear that it can be in all.
        for (named, found) in &found {
            if !found.is_sound() {
                let what = format!("{} in `{}` is damaged or not whole", found.record.key, named.name);
                let help =
                    "only what a package lacks can be accepted: `chupacabra verify` says what is wrong";
                return Err(Problem::failed(what, help).into());
            }
        }
        let mut told = Vec::new();
        for (named, found) in found {
            let record = &found.record;
            let why = if found.is_good() { Vec::new() } else { reasons(&found) };
            let accepted = !why.is_empty() && !self.dry_run;
            if accepted {
                let words = why.join("; ");
                note::leave(&named.store, &record.key, Note::Accepted, session.clock.now(), &words).await?;
                tracing::info!(key = %record.key, store = %named.name, why = words, action = "accept", "package accepted");
            }
            told.push(Outcome { key: record.key.clone(), store: named.name.clone(), why, accepted });
        }
        let printed = if self.json { output::json(&told) } else { show(&told) };
        output::verdict(printed, Exit::Good)
    }
}

fn reasons(found: &Found) -> Vec<String> {
    let record = &found.record;
    let suspicious = record.suspicious.iter().map(|why| format!("suspicious: {why}"));
    suspicious.chain(record.missing.iter().map(|one| format!("missing: {}: {}", one.name, one.why))).collect()
}

fn show(told: &[Outcome]) -> anyhow::Result<()> {
    for Outcome { key, store, why, accepted } in told {
        let word = match (why.is_empty(), accepted) {
            (true, _) => "is good, nothing to accept",
            (_, true) => "accepted",
            (_, false) => "would be accepted",
        };
        output::line(format!("{key} in {store}: {word}"))?;
        for reason in why {
            output::line(printable(&format!("  {reason}")))?;
        }
    }
    Ok(())
}
