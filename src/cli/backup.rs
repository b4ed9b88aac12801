//! `backup`: one run over the named sources.

use std::collections::BTreeMap;

use clap::Args as ClapArgs;

use super::output::{self, count, ratio, size};
use super::when::When;
use super::{Problem, Session, check, problem, session};
use crate::backup::Run;
use crate::catalog::SourceName;
use crate::clock::Timestamp;
use crate::config::Plan;
use crate::config::units::Span;
use crate::exit::Exit;
use crate::notify::{News, notify};
use crate::report::{Job, Report, Status, chain};
use crate::shard::{self, Shard};
use crate::stores::Reason;
use crate::telemetry::Format;

/// Back up all sources, or those named
///
/// Each source is dumped, packed, encrypted and sent to its stores; what the stores hold is compared with what was
/// sent, and only then recorded. Retention is applied afterwards, to sources whose backup is good.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra backup\n  chupacabra backup web --dry-run\n  \
                        chupacabra backup --shard 0/3 --as-of 2026-11-21T02:30:00Z")]
pub(super) struct Args {
    /// The sources to back up [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Back up only this share of the sources: 0/3, 1/3 or 2/3 of three runs that together back up all
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Shares of equal size, judged by the packages made before this time, which must be the same for all shards
    /// [default: every source counts the same]
    #[arg(
        long,
        value_name = "TIME",
        requires = "shard",
        conflicts_with = "as_of_job",
        allow_hyphen_values = true
    )]
    as_of: Option<When>,
    /// The same for a Job made by a CronJob, whose name holds its time
    #[arg(long, value_name = "NAME", requires = "shard", env = "CHUPACABRA_JOB", hide_env_values = true)]
    as_of_job: Option<String>,
    /// Only examine sources and stores, and say what would be backed up
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether nothing is written.
    pub(super) fn only_looks(&self) -> bool {
        self.dry_run
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let plan = session.plan()?;
        if self.dry_run {
            let Share { names, problem } = self.share(&plan, session).await?;
            if let Some(problem) = problem {
                tracing::warn!("{problem}");
            }
            return check::examine(&plan, &names, self.json).await;
        }
        match Box::pin(self.back_up(&plan, session)).await {
            Ok(report) => {
                notify(&plan.notifications, News::End(&report)).await;
                let printed = if self.json {
                    output::json(&report)
                } else if session.screen.format() == Format::Human {
                    show(&report)
                } else {
                    Ok(())
                };
                if session.screen.format() == Format::Json {
                    conclude(&report);
                }
                output::verdict(printed, report.exit())
            }
            Err(error) => {
                let told: Vec<String> = problem::told(&error).into_iter().map(|told| told.problem).collect();
                notify(&plan.notifications, News::Broken(&told.join("; "))).await;
                Err(error)
            }
        }
    }

    async fn back_up(&self, plan: &Plan, session: &Session) -> anyhow::Result<Report> {
        let sharing = session.unless_stopped(self.share(plan, session));
        let Share { names, problem } = sharing.await.transpose()?.unwrap_or_default();
        let stores = session::connect(plan, None).await?;
        let bar = session.bar();
        let run = Run {
            plan,
            stores: &stores,
            clock: session.clock,
            stop: session.shutdown.token(),
            progress: &session.progress,
        };
        // Whoever cannot be told that a run begins must not hold up its end.
        let begun = session.unless_stopped(notify(&plan.notifications, News::Start(&names)));
        let (mut report, _) = tokio::join!(run.backup(&names), begun);
        drop(bar);
        report.problems.extend(problem);
        report.stopped = session.shutdown.stopped();
        Ok(report)
    }

    /// What this run backs up.
    async fn share(&self, plan: &Plan, session: &Session) -> anyhow::Result<Share> {
        let names = session::sources(plan, &self.sources)?;
        let Some(shard) = self.shard else { return Ok(Share { names, problem: None }) };
        let (sizes, problem) = match self.reference(session) {
            Some(as_of) => sizes(plan, &names, as_of).await?,
            None => (BTreeMap::new(), None),
        };
        let own = shard.of(&names, &sizes);
        let list = own.iter().map(SourceName::as_str).collect::<Vec<_>>().join(", ");
        tracing::info!(%shard, weighted = !sizes.is_empty(), sources = list, "the share of this run");
        Ok(Share { names: own, problem })
    }

    /// The time that all shards share, if there is one.
    fn reference(&self, session: &Session) -> Option<Timestamp> {
        match (&self.as_of, &self.as_of_job) {
            (Some(when), _) => Some(when.resolve(session.clock.now())),
            (None, Some(job)) => {
                let at = shard::scheduled(job);
                if at.is_none() {
                    tracing::info!(job, "this Job was not made by a CronJob: every source counts the same");
                }
                at
            }
            (None, None) => None,
        }
    }
}

/// The sources of a run, and what makes it doubtful whether all runs together have all of them.
#[derive(Default)]
struct Share {
    names: Vec<SourceName>,
    problem: Option<String>,
}

/// How many of the newest good packages retention must leave for the shards to see the same sizes: this run adds one,
/// a shard that is tried again another.
const NEEDED: u32 = 3;

/// The sizes of the last packages; without them every source counts the same.
///
/// A key that may only write gives none to any shard, so that they agree. A store that fails may have answered the
/// others: then a source may be in no share or in two. Its other stores get their packages all the same, and the problem
/// is told.
async fn sizes(
    plan: &Plan,
    names: &[SourceName],
    as_of: Timestamp,
) -> anyhow::Result<(BTreeMap<SourceName, u64>, Option<String>)> {
    let stores = session::connect(plan, None).await?;
    let mut first = Vec::new();
    for name in names {
        let targets = plan.sources.get(name).into_iter().flat_map(|source| &source.stores).take(1);
        for (store, policy) in targets {
            if policy.keep_last < NEEDED {
                let what = format!(
                    "the shards of `{name}` could not agree: its retention keeps {}",
                    policy.keep_last
                );
                let help = "write `keep_last: 3` or more, or leave `--as-of` and `--as-of-job` out";
                return Err(Problem::usage(what, help).into());
            }
            first.extend(stores.get(store).map(|named| (name.clone(), named.clone(), policy.clone())));
        }
    }
    match shard::sizes(&first, as_of).await {
        Ok(sizes) => Ok((sizes, None)),
        Err(error) if error.reason == Reason::Denied => {
            tracing::info!(%error, "the sizes of the last packages may not be read: every source counts the same");
            Ok((BTreeMap::new(), None))
        }
        Err(error) => {
            let why = chain(&error).join(": ");
            let problem = format!(
                "the sizes of the last packages cannot be had, so that every source counted the same here, and one may be in no shard: {why}"
            );
            Ok((BTreeMap::new(), Some(problem)))
        }
    }
}

/// The most characters of the last event's text: with all its fields it stays below the 2048 bytes of a log that
/// Kubernetes keeps as the message of a container that failed.
const LAST_WORDS: usize = 1_000;

/// Tells last what is not good: what came after it hides it from whoever sees only the log's end.
fn conclude(report: &Report) {
    if report.exit() != Exit::Good {
        let why = News::End(report).text(LAST_WORDS).replace('\n', "; ");
        tracing::error!(error = why, "run ended");
    }
}

/// Prints one row for each source and store, and below it what a person should look at. Why something failed has been
/// told by an event when it did.
pub(super) fn show(report: &Report) -> anyhow::Result<()> {
    let mut table =
        output::table(&["SOURCE", "STORE", "OUTCOME", "CONTENT", "PACKAGE", "RATIO", "MEMBERS", "TOOK"]);
    let mut reasons = report.problems.clone();
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
