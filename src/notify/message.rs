//! The message for people, made from the report and nothing else.

use super::News;
use crate::config::units::ByteSize;
use crate::report::{Job, Report, Status, Stopped};

/// The longest that is told of one source's trouble, in characters.
const LONGEST_REASON: usize = 300;

/// The news as a text of at most `longest` characters: the verdict first, then what is not good, then the rest.
pub(super) fn text(news: News<'_>, label: Option<&str>, longest: usize) -> String {
    let told = match news {
        News::Start(sources) => {
            let names: Vec<&str> = sources.iter().map(crate::catalog::SourceName::as_str).collect();
            format!("backup begins: {}", names.join(", "))
        }
        News::Broken(why) => {
            format!("backup FAILED before it began\n{}", cut(&plain(why), 3 * LONGEST_REASON))
        }
        News::End(report) => told(report),
    };
    let label = label.map(|label| format!("[{label}] ")).unwrap_or_default();
    cut(&format!("{label}{told}"), longest)
}

fn told(report: &Report) -> String {
    let of = report.jobs.len();
    let good = report.jobs.iter().filter(|job| sound(job)).count();
    let mut lines = vec![match report.stopped {
        Some(Stopped::Terminated) => format!("backup FAILED: told to stop (SIGTERM), {good} of {of} good"),
        Some(Stopped::Interrupted) => format!("backup FAILED: interrupted, {good} of {of} good"),
        None if good == of && report.problems.is_empty() => format!("backup good: {of} of {of}"),
        None if of > 0 && report.jobs.iter().all(|job| job.status == Status::Failed) => {
            format!("backup FAILED: 0 of {of} good")
        }
        None => format!("backup PARTIAL: {good} of {of} good"),
    }];
    lines.extend(report.problems.iter().map(|problem| cut(&plain(problem), LONGEST_REASON)));
    let (fine, trouble): (Vec<&Job>, Vec<&Job>) = report.jobs.iter().partition(|job| sound(job));
    lines.extend(trouble.into_iter().chain(fine).map(line));
    lines.join("\n")
}

fn sound(job: &Job) -> bool {
    job.status == Status::Good && job.stores.iter().all(|store| store.prune_error.is_empty())
}

fn line(job: &Job) -> String {
    let word = match job.status {
        Status::Good => "good",
        Status::Suspicious => "SUSPICIOUS",
        Status::Partial => "PARTIAL",
        Status::Failed => "FAILED",
    };
    let size = job
        .record
        .iter()
        .map(|record| format!(", {} in {:.0} s", ByteSize(record.package.size), job.seconds.max(0.0)));
    let line = format!("{} ({}): {word}{}", job.source, job.kind, size.collect::<String>());
    let mut reasons = Vec::new();
    reasons.extend((!job.error.is_empty()).then(|| job.error.join(": ")));
    for store in &job.stores {
        reasons.extend(
            (!store.committed).then(|| format!("not in {}: {}", store.store, store.error.join(": "))),
        );
        let pruned = store.prune_error.join(": ");
        reasons.extend((!pruned.is_empty()).then(|| format!("not pruned in {}: {pruned}", store.store)));
    }
    if let Some(record) = &job.record {
        let suspicious = record.suspicious.iter();
        reasons.extend(
            suspicious.map(|why| format!("{why} (if that is right: chupacabra accept {})", record.key)),
        );
        reasons.extend(
            record
                .missing
                .first()
                .map(|one| format!("{} missing, the first: {}: {}", record.missing.len(), one.name, one.why)),
        );
    }
    if reasons.is_empty() {
        return line;
    }
    format!("{line}: {}", cut(&plain(&reasons.join("; ")), LONGEST_REASON))
}

/// On one line and without control characters: names of files and messages of servers may hold anything.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most `longest` characters, the last of them an ellipsis if something was cut.
fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{kept}…")
}
