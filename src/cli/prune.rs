//! `prune`: retention, with a reason for every package.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{Session, output, session};
use crate::exit::Exit;
use crate::prune::{Intended, Pruned, intend};
use crate::report::chain;
use crate::stores::Named;
use crate::telemetry::Format;

/// Remove what retention does not keep, and what interrupted runs left behind
///
/// `backup` does the same after every good backup. The newest good packages are never removed, and nothing is
/// removed while the newest package of a source is not good.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra prune --dry-run\n  chupacabra prune web")]
pub(super) struct Args {
    /// The sources whose packages are judged [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Only say what would be removed, and why
    #[arg(long)]
    dry_run: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// One source in one store: what was intended, and what was done.
#[derive(Debug, Serialize)]
struct Outcome {
    store: String,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    intended: Option<Intended>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pruned: Option<Pruned>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error: Vec<String>,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let plan = session.plan()?;
        let sources = session::sources(&plan, &self.sources)?;
        let stores = session::connect(&plan, None).await?;
        let mut outcomes = Vec::new();
        for (name, source) in sources.iter().filter_map(|source| plan.sources.get_key_value(source)) {
            for (store, policy) in &source.stores {
                let Some(named) = stores.get(store) else { continue };
                if session.shutdown.token().is_cancelled() {
                    break;
                }
                let intending = intend(named, name, policy, session.clock.now());
                let Some(intended) = session.unless_stopped(intending).await else { break };
                let outcome = Outcome {
                    store: store.clone(),
                    source: name.to_string(),
                    intended: None,
                    pruned: None,
                    error: Vec::new(),
                };
                outcomes.push(match intended {
                    Ok(intended) => self.execute(named, intended, outcome).await,
                    Err(error) => Outcome { error: chain(&error), ..outcome },
                });
            }
        }
        let printed = if self.json {
            output::json(&outcomes)
        } else if session.screen.format() == Format::Human || self.dry_run {
            show(&outcomes, self.dry_run)
        } else {
            Ok(())
        };
        let failed = outcomes.iter().filter(|outcome| !outcome.error.is_empty()).count();
        let exit = session.shutdown.exit(match failed {
            0 => Exit::Good,
            all if all == outcomes.len() => Exit::Failed,
            _ => Exit::Partial,
        });
        output::verdict(printed, exit)
    }

    async fn execute(&self, named: &Named, intended: Intended, outcome: Outcome) -> Outcome {
        let (pruned, error) = if self.dry_run {
            (None, Vec::new())
        } else {
            match intended.execute(named).await {
                Ok(pruned) => (Some(pruned), Vec::new()),
                Err(error) => (None, chain(&error)),
            }
        };
        if let Some(pruned) = &pruned {
            tracing::info!(
                source = %intended.source, store = %named.name, packages = pruned.packages, orphans = pruned.orphans,
                leftovers = pruned.leftovers, action = "prune", "pruned"
            );
        }
        if !error.is_empty() {
            tracing::error!(source = %intended.source, store = %named.name, error = error.join(": "), "retention not enforced");
        }
        Outcome { intended: Some(intended), pruned, error, ..outcome }
    }
}

fn show(outcomes: &[Outcome], dry_run: bool) -> anyhow::Result<()> {
    let mut table = output::table(&["PACKAGE", "STORE", "DECISION", "REASON"]);
    let decided = outcomes.iter().filter_map(|outcome| outcome.intended.as_ref());
    for intended in decided.clone() {
        for decision in &intended.decisions {
            let word = match (decision.keep, dry_run) {
                (true, _) => "keep",
                (false, true) => "would drop",
                (false, false) => "drop",
            };
            table.add_row([
                decision.key.to_string(),
                intended.store.clone(),
                word.into(),
                decision.reason.to_string(),
            ]);
        }
        for orphan in intended.orphans.iter().chain(&intended.leftovers) {
            let word = if dry_run { "would drop" } else { "drop" };
            table.add_row([&output::printable(orphan), &*intended.store, word, "has no record and is old"]);
        }
    }
    if table.is_empty() {
        output::line("no packages")?;
    } else {
        output::show(&table)?;
    }
    for intended in decided.filter(|intended| intended.young_orphans > 0) {
        output::line(format!(
            "{} in {}: {} objects without a record are young: a running backup may own them",
            intended.source, intended.store, intended.young_orphans
        ))?;
    }
    for outcome in outcomes {
        let Outcome { store, source, pruned, error, .. } = outcome;
        for (key, why) in pruned.iter().flat_map(|pruned| &pruned.locked) {
            output::line(format!("{source} in {store}: {key} is locked: {why}"))?;
        }
        if !error.is_empty() {
            output::line(format!("{source} in {store}: {}", error.join(": ")))?;
        }
    }
    Ok(())
}
