//! `verify`: do the stores still have what was recorded?

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::output::{self, count, size};
use super::{Problem, Session, session};
use crate::catalog::{Found, Key, Scan, SourceName};
use crate::exit::Exit;
use crate::report::chain;
use crate::stores::counted::Counted;
use crate::stores::{self, Named};
use crate::telemetry::Format;
use crate::verify::{Depth, Outcome, Verified, verify};

/// Re-read packages and compare them with their records
///
/// Without a private key the bytes are compared: what the store has is what was sent. With one, everything is opened
/// and every member compared with the index. What was found is noted in the store and shown by `list`: retention does
/// not count on a package that is damaged, and `restore` prefers another.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra verify\n  chupacabra verify web --all --identity key.txt")]
pub(super) struct Args {
    /// Only packages of this source [default: of all sources]
    #[arg(value_name = "SOURCE")]
    source: Option<SourceName>,
    /// Only this package
    #[arg(long, value_name = "KEY", conflicts_with_all = ["all", "source"])]
    package: Option<Key>,
    /// Every package, not only the newest of each source
    #[arg(long)]
    all: bool,
    /// Only in this store
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// The private key [default: the configuration's `encryption.identity`]
    #[arg(short, long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let plan = session.plan()?;
        let identities = session::identities(&plan, self.identity.as_deref())?;
        let stores = session::connect(&plan, self.store.as_deref()).await?;
        let (mut wanted, mut verified) = (Vec::new(), Vec::new());
        let mut unlisted = None;
        for named in stores.values() {
            match self.choose(named).await {
                Ok((found, unreadable)) => {
                    wanted.extend(found.into_iter().map(|found| (named, found)));
                    verified.extend(unreadable);
                }
                Err(error) => {
                    let why = chain(&error).join(": ");
                    tracing::error!(store = named.name, error = why, action = "verify", "store not listed");
                    unlisted = unlisted.or(Some(error));
                }
            }
        }
        verified.iter().for_each(told);
        let unlisted = match unlisted {
            // Nothing is verified: then it is the error of all.
            Some(error) if wanted.is_empty() => return Err(error.into()),
            unlisted => unlisted.is_some(),
        };
        if wanted.is_empty() && verified.is_empty() {
            let help = "`chupacabra list` shows every package there is";
            return Err(Problem::failed("there is no such package to verify", help).into());
        }
        let bar = session.bar();
        for (named, found) in wanted {
            let record = &found.record;
            session.progress.begin(record.key.source().as_str(), "verifying", Some(record.package.size));
            let counted = Counted::named(named, &session.progress);
            let verifying = verify(&counted, &found, &identities, session.clock.now());
            let Some(one) = session.unless_stopped(verifying).await else {
                return Ok(session.shutdown.exit(Exit::Unexpected));
            };
            told(&one);
            verified.push(one);
        }
        drop(bar);
        let printed = if self.json {
            output::json(&verified)
        } else if session.screen.format() == Format::Human {
            show(&verified)
        } else {
            Ok(())
        };
        let exit = match exit(&verified) {
            Exit::Good if unlisted => Exit::Partial,
            exit => exit,
        };
        output::verdict(printed, exit)
    }

    /// The packages that are wanted, and those of them whose record cannot be read.
    async fn choose(&self, named: &Named) -> Result<(Vec<Found>, Vec<Verified>), stores::Error> {
        let source = self.package.as_ref().map(Key::source).or(self.source.as_ref());
        let Scan { packages, unreadable, .. } = Scan::of(&named.store, source).await?;
        let readable = packages.iter().map(|found| &found.record.key);
        let mut newest: BTreeMap<&SourceName, &Key> = BTreeMap::new();
        for key in readable.chain(unreadable.iter().map(|(key, _)| key)) {
            let known = newest.entry(key.source()).or_insert(key);
            *known = key.max(*known);
        }
        let wanted = |key: &Key| match &self.package {
            Some(wanted) => key == wanted,
            None => self.all || newest.get(key.source()) == Some(&key),
        };
        let unreadable = unreadable.iter().filter(|(key, _)| wanted(key));
        let unreadable = unreadable.map(|(key, why)| Verified::unreadable(&named.name, key, why)).collect();
        Ok((packages.iter().filter(|found| wanted(&found.record.key)).cloned().collect(), unreadable))
    }
}

fn exit(verified: &[Verified]) -> Exit {
    let has = |outcome| verified.iter().any(|one| one.outcome == outcome);
    // What was removed meanwhile is nobody's fault, but if nothing else was read, nothing was verified.
    let unread = has(Outcome::Unknown) || has(Outcome::Removed) && !has(Outcome::Sound);
    match (has(Outcome::Mismatch), unread, has(Outcome::Sound)) {
        (true, ..) => Exit::Mismatch,
        (_, true, true) => Exit::Partial,
        (_, true, false) => Exit::Failed,
        _ => Exit::Good,
    }
}

fn told(one: &Verified) {
    let (key, store) = (&one.key, &one.store);
    if one.outcome == Outcome::Sound {
        tracing::info!(%key, %store, bytes = one.bytes, members = one.members, action = "verify", "package verified");
    } else if one.outcome == Outcome::Removed {
        tracing::warn!(%key, %store, action = "verify", "package was removed while it was read");
    } else {
        let error = one.error.join(": ");
        tracing::error!(%key, %store, error, outcome = ?one.outcome, action = "verify", "package not verified");
    }
}

pub(super) fn show(verified: &[Verified]) -> anyhow::Result<()> {
    let mut table = output::table(&["PACKAGE", "STORE", "OUTCOME", "COMPARED", "SIZE"]);
    for one in verified {
        let outcome = match one.outcome {
            Outcome::Sound => "sound",
            Outcome::Mismatch => "MISMATCH",
            Outcome::Unknown => "unknown",
            Outcome::Removed => "removed",
        };
        let compared = match one.depth {
            Depth::Nothing => "-".to_owned(),
            Depth::Bytes => "bytes (no key given)".to_owned(),
            Depth::Members => format!("{} members", count(one.members)),
        };
        table.add_row([one.key.to_string(), one.store.clone(), outcome.into(), compared, size(one.bytes)]);
    }
    output::show(&table)?;
    for one in verified {
        if !one.error.is_empty() && one.outcome != Outcome::Removed {
            output::line(output::printable(&format!(
                "{} in {}: {}",
                one.key,
                one.store,
                one.error.join(": ")
            )))?;
        }
        if let Some(why) = &one.not_noted {
            output::line(format!("{} in {}: this was not noted in the store: {why}", one.key, one.store))?;
        }
    }
    Ok(())
}
