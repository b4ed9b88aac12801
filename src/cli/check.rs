//! `check`: is everything there that a backup needs?

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{Session, output, session};
use crate::catalog::SourceName;
use crate::config::Plan;
use crate::config::plan::{SourcePlan, StorePlan};
use crate::exit::Exit;
use crate::report::chain;
use crate::stores::{Finding, Severity};

/// Examine the configuration, every store and every source, and say what to do about what is wrong
///
/// Writes a small object into each store and removes it again; changes nothing else.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra check\n  chupacabra check web --json")]
pub(super) struct Args {
    /// The sources to examine, with the stores they use [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// What was found at one store or source.
#[derive(Debug, Serialize)]
struct Examined {
    what: &'static str,
    name: String,
    kind: &'static str,
    findings: Vec<Finding>,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let plan = session.plan()?;
        let names = session::sources(&plan, &self.sources)?;
        examine(&plan, &names, self.json).await
    }
}

/// Examines the sources and the stores they use.
pub(super) async fn examine(plan: &Plan, names: &[SourceName], json: bool) -> anyhow::Result<Exit> {
    let mut examined = Vec::new();
    let used = |store: &str| {
        let sources = names.iter().filter_map(|name| plan.sources.get(name));
        sources.flat_map(|source| &source.stores).any(|(name, _)| name == store)
    };
    for (name, plan) in plan.stores.iter().filter(|(name, _)| used(name)) {
        examined.push(store(name, plan).await);
    }
    for (name, plan) in names.iter().filter_map(|name| plan.sources.get_key_value(name)) {
        examined.push(source(name, plan).await);
    }
    let printed = if json { output::json(&examined) } else { show(&examined) };
    let bad = |one: &&Examined| one.findings.iter().any(|finding| finding.severity == Severity::Bad);
    let exit = match examined.iter().filter(bad).count() {
        0 => Exit::Good,
        all if all == examined.len() => Exit::Failed,
        _ => Exit::Partial,
    };
    output::verdict(printed, exit)
}

async fn store(name: &str, plan: &StorePlan) -> Examined {
    let findings = match plan.kind.connect().await {
        Ok(store) => store.check().await,
        Err(error) => vec![bad("connect", &error, error.help.clone())],
    };
    Examined { what: "store", name: name.to_owned(), kind: plan.kind.word(), findings }
}

async fn source(name: &SourceName, plan: &SourcePlan) -> Examined {
    let findings = match plan.source.examine(plan.stall_timeout).await {
        Ok(facts) => {
            let estimate = facts.estimate.map(|bytes| format!(", about {}", output::size(bytes)));
            let what = format!("{} can be read{}", facts.product, estimate.unwrap_or_default());
            let reached =
                Finding { severity: Severity::Good, topic: "read".into(), what, help: String::new() };
            std::iter::once(reached).chain(facts.findings).collect()
        }
        Err(error) => vec![bad("read", &error, error.help())],
    };
    Examined { what: "source", name: name.to_string(), kind: plan.source.kind(), findings }
}

fn bad(topic: &str, error: &dyn std::error::Error, help: Option<String>) -> Finding {
    let help = help.unwrap_or_default();
    Finding { severity: Severity::Bad, topic: topic.to_owned(), what: chain(error).join(": "), help }
}

fn show(examined: &[Examined]) -> anyhow::Result<()> {
    let mut table = output::table(&["", "NAME", "KIND", "TOPIC", "STATE", "FOUND"]);
    for one in examined {
        for finding in &one.findings {
            let state = match finding.severity {
                Severity::Good => "good",
                Severity::Notice => "notice",
                Severity::Bad => "BAD",
            };
            table.add_row([
                one.what,
                &one.name,
                one.kind,
                &finding.topic,
                state,
                &output::printable(&finding.what),
            ]);
        }
    }
    output::show(&table)?;
    for one in examined {
        for finding in one.findings.iter().filter(|finding| !finding.help.is_empty()) {
            output::line(format!("help: {} {}, {}: {}", one.what, one.name, finding.topic, finding.help))?;
        }
    }
    Ok(())
}
