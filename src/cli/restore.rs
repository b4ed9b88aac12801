//! `restore`: a package back into its source or a directory.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::json;

use super::output::{self, count, size, time};
use super::when::When;
use super::{Problem, Session, session};
use crate::catalog::{Key, SourceName};
use crate::clock::Timestamp;
use crate::config::Plan;
use crate::exit::Exit;
use crate::restore::{Choice, Chosen, choose, restore};
use crate::sources::Request;
use crate::stores::Named;
use crate::stores::counted::Counted;

/// Restore a source's newest package, or the one asked for
///
/// Refuses a target that is not empty unless `--replace` is given, never writes outside the target, and compares
/// what it wrote with what was backed up.
#[derive(Debug, ClapArgs)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "EXAMPLE:\n  chupacabra restore web --into /srv/web-restored --identity key.txt\n  \
                        chupacabra restore web --at 2026-11-21 --only 'etc/**' --into /tmp/etc --identity key.txt")]
pub(super) struct Args {
    /// The source
    #[arg(value_name = "SOURCE")]
    source: SourceName,
    /// The newest package made at this time or before: `2026-11-21`, `2026-11-21 18:30` (UTC), RFC 3339, or `-3d`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "package")]
    at: Option<When>,
    /// This package, by its key as `list --json` and `show` print it
    #[arg(long, value_name = "KEY")]
    package: Option<Key>,
    /// Where to: a directory, a database's URL without its password or, on the configured server, its name [default: the configured source]
    #[arg(long, value_name = "TARGET")]
    into: Option<String>,
    /// Only what matches one of these globs: paths of files, names of tables
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// The private key [default: the configuration's `encryption.identity`]
    #[arg(short, long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Take it from this store
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// Replace a target that is not empty
    #[arg(long)]
    replace: bool,
    /// Leave owners as they are on this machine
    #[arg(long)]
    no_owner: bool,
    /// Leave access rights as they are on this machine
    #[arg(long)]
    no_acl: bool,
    /// A further switch of one kind of source; a source refuses those that it does not know
    #[arg(long = "switch", value_name = "NAME[=VALUE]")]
    switches: Vec<String>,
    /// Only say what would be restored
    #[arg(long)]
    dry_run: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(mut self, session: &Session) -> anyhow::Result<Exit> {
        let plan = session.plan()?;
        let identities = session::required_identities(&plan, self.identity.as_deref())?;
        let now = session.clock.now();
        let at = self.at.map(|at| at.resolve(now));
        let name = self.source.as_str();
        let choosing = chosen(&plan, self.store.as_deref(), name, self.package.clone(), at, now);
        let Some(chosen) = session.unless_stopped(choosing).await else {
            return Ok(session.shutdown.exit(Exit::Unexpected));
        };
        let mut chosen = chosen?;
        chosen.named = Counted::named(&chosen.named, &session.progress);
        let configured = plan.sources.get(chosen.found.record.key.source()).map(|plan| &plan.source);
        let (replace, dry_run) = (self.replace, self.dry_run);
        let (into, only) = (self.into.take(), std::mem::take(&mut self.only));
        let request = Request { into, only, replace, dry_run, switches: self.all_switches() };
        let estimate = request.only.is_empty().then_some(chosen.found.record.package.size);
        session.progress.begin(name, "restoring", estimate);
        let bar = session.bar();
        let stop = session.shutdown.token();
        let restored = restore(&chosen, configured, identities, &request, &stop).await;
        drop(bar);
        if let Some(stopped) = session.shutdown.stopped() {
            tracing::warn!(?stopped, "the restore was interrupted: its target is incomplete");
            return Ok(session.shutdown.exit(Exit::Unexpected));
        }
        let restored = restored?;
        let record = &chosen.found.record;
        if self.json {
            let json = json!({ "key": record.key, "store": chosen.named.name, "dry_run": dry_run, "restored": restored });
            output::json(&json)?;
            return Ok(Exit::Good);
        }
        let verb = if dry_run { "would restore" } else { "restored" };
        let (key, store, made) = (&record.key, &chosen.named.name, time(record.key.at()));
        output::line(format!("{verb} {key} from {store}, made {made}"))?;
        let counts = restored.counts.iter().map(|(name, number)| format!("{} {name}", count(*number)));
        let counts: Vec<String> = counts.chain([size(restored.bytes)]).collect();
        output::line(format!("  {}", counts.join(", ")))?;
        if !restored.compared.is_empty() {
            output::line(format!("  compared: {}", restored.compared))?;
        }
        for note in &restored.notes {
            output::line(output::printable(&format!("  note: {note}")))?;
        }
        Ok(Exit::Good)
    }

    fn all_switches(&self) -> Vec<String> {
        let flags = [(self.no_owner, "no-owner"), (self.no_acl, "no-acl")];
        let given = flags.iter().filter(|(given, _)| *given).map(|(_, name)| (*name).to_owned());
        given.chain(self.switches.iter().cloned()).collect()
    }
}

/// The package meant by a source's name or a key.
pub(super) async fn chosen(
    plan: &Plan,
    store: Option<&str>,
    source_or_key: &str,
    key: Option<Key>,
    at: Option<Timestamp>,
    now: Timestamp,
) -> anyhow::Result<Chosen> {
    let (source, key) = match key {
        Some(key) => (key.source().clone(), Some(key)),
        None => session::source_or_package(source_or_key)?,
    };
    if source_or_key.parse::<SourceName>().is_ok_and(|named| named != source) {
        let what = format!("the package is of `{source}`, not of `{source_or_key}`");
        return Err(Problem::usage(what, format!("write `{source}` as the source")).into());
    }
    let stores: Vec<Named> = session::connect(plan, store).await?.into_values().collect();
    Ok(choose(&stores, &source, &Choice { key, at, now }).await?)
}
