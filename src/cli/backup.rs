//! `backup`: one run over the named sources.

use clap::Args as ClapArgs;

use super::output::{self, count, ratio, size};
use super::{Session, check, session};
use crate::backup::Run;
use crate::config::units::Span;
use crate::exit::Exit;
use crate::report::{Job, Report, Status};
use crate::telemetry::Format;

/// Back up all sources, or those named
///
/// Each source is dumped, packed, encrypted and sent to its stores; what the stores hold is compared with what was
/// sent, and only then recorded. Retention is applied afterwards, to sources whose backup is good.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra backup\n  chupacabra backup web --dry-run")]
pub(super) struct Args {
    /// The sources to back up [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Only examine sources and stores, and say what would be backed up
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let plan = session.plan()?;
        let names = session::sources(&plan, &self.sources)?;
        if self.dry_run {
            return check::examine(&plan, &names, self.json).await;
        }
        let stores = session::connect(&plan, None).await?;
        let bar = session.bar();
        let run = Run {
            plan: &plan,
            stores: &stores,
            clock: session.clock,
            stop: session.shutdown.token(),
            progress: &session.progress,
        };
        let mut report = run.backup(&names).await;
        drop(bar);
        report.stopped = session.shutdown.stopped();
        if self.json {
            output::json(&report)?;
        } else if session.screen.format() == Format::Human {
            show(&report)?;
        }
        Ok(report.exit())
    }
}

/// Prints one row for each source and store, and below it what a person should look at. Why something failed has been
/// told by an event when it did.
pub(super) fn show(report: &Report) -> anyhow::Result<()> {
    let mut table =
        output::table(&["SOURCE", "STORE", "OUTCOME", "CONTENT", "PACKAGE", "RATIO", "MEMBERS", "TOOK"]);
    let mut reasons = Vec::new();
    for job in &report.jobs {
        let row = |store: &str, outcome: String| {
            let mut row = vec![job.source.to_string(), store.to_owned(), outcome];
            row.extend(figures(job));
            row
        };
        if job.stores.is_empty() {
            table.add_row(row("-", "failed".to_owned()));
        }
        for store in &job.stores {
            let outcome = if store.committed { word(job.status) } else { "failed" };
            let pruned = if store.pruned > 0 { format!(", {} pruned", store.pruned) } else { String::new() };
            table.add_row(row(&store.store, format!("{outcome}{pruned}")));
        }
        let record = job.record.iter();
        reasons.extend(
            record
                .clone()
                .flat_map(|record| &record.suspicious)
                .map(|why| format!("{}: suspicious: {why}", job.source)),
        );
        reasons.extend(
            record
                .flat_map(|record| &record.missing)
                .map(|one| format!("{}: missing: {}: {}", job.source, one.name, one.why)),
        );
    }
    output::show(&table)?;
    for reason in reasons {
        output::line(output::printable(&reason))?;
    }
    Ok(())
}

fn figures(job: &Job) -> [String; 5] {
    let took = Span(std::time::Duration::from_secs_f64(job.seconds.max(0.0))).to_string();
    match &job.record {
        Some(record) => {
            let (content, package) = (record.totals.content_bytes, record.package.size);
            [size(content), size(package), ratio(content, package), count(record.totals.members), took]
        }
        None => ["-".into(), "-".into(), "-".into(), "-".into(), took],
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Good => "good",
        Status::Suspicious => "suspicious",
        Status::Partial => "partial",
        Status::Failed => "failed",
    }
}
