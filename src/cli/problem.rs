//! What a user is told when something is wrong: the problem, what to do, and how the process ends.

use std::error::Error;

use crate::exit::Exit;
use crate::sources::Verdict;
use crate::{config, package, restore, stores};

/// An error that knows its remedy and its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Problem {
    what: String,
    help: String,
    exit: Exit,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// Something about the command line or its arguments.
    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into(), exit: Exit::Usage, source: None }
    }

    /// Something that was tried and did not work.
    pub fn failed(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into(), exit: Exit::Failed, source: None }
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

/// A problem line and its help line, which may be empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The problem, cause by cause.
    pub problem: String,
    /// What to do.
    pub help: String,
}

/// What is to be said of an error: one line each, except for a configuration with several problems.
pub(super) fn told(error: &anyhow::Error) -> Vec<Told> {
    for cause in error.chain() {
        if let Some(config::Error::Wrong(located)) = cause.downcast_ref() {
            let one = |located: &config::Located| Told {
                problem: located.to_string(),
                help: located.problem.help.clone(),
            };
            return located.iter().map(one).collect();
        }
    }
    let mut causes: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // A transparent error repeats its cause; some others quote it.
        if !causes.last().is_some_and(|last| last.ends_with(&text)) {
            causes.push(text);
        }
    }
    vec![Told { problem: causes.join(": "), help: error.chain().find_map(help).unwrap_or_default() }]
}

fn help(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(problem) = cause.downcast_ref::<Problem>() {
        return Some(problem.help.clone());
    }
    if let Some(error) = cause.downcast_ref::<config::Error>() {
        return Some(error.help().to_owned());
    }
    if let Some(error) = cause.downcast_ref::<stores::Error>() {
        return error.help.clone();
    }
    if let Some(error) = cause.downcast_ref::<package::Error>() {
        return error.help();
    }
    match cause.downcast_ref::<restore::Error>()? {
        restore::Error::NoPackage { .. } => Some("`chupacabra list` shows every package there is".to_owned()),
        restore::Error::Store { source, .. } => {
            source.help.clone().or_else(|| Some("`chupacabra check` examines the stores".to_owned()))
        }
        restore::Error::NotWhole { .. } | restore::Error::Unreadable { .. } => {
            Some("choose another with `--at` or `--package`, or another store with `--store`".to_owned())
        }
        restore::Error::UnknownKind { .. } => {
            Some("a newer version wrote it: restore it with that version".to_owned())
        }
        restore::Error::Source(error) => error.help(),
    }
}

/// How the process ends after this error.
pub(super) fn exit(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            return problem.exit;
        }
        if cause.downcast_ref::<config::Error>().is_some() {
            return Exit::Usage;
        }
        if let Some(error) = cause.downcast_ref::<package::Error>() {
            return if error.is_mismatch() { Exit::Mismatch } else { Exit::Failed };
        }
        if let Some(restore::Error::Source(error)) = cause.downcast_ref() {
            return match error.verdict() {
                Verdict::Refused => Exit::Usage,
                Verdict::Differs => Exit::Mismatch,
                Verdict::Failed => Exit::Failed,
            };
        }
        if cause.downcast_ref::<restore::Error>().is_some() || cause.downcast_ref::<stores::Error>().is_some()
        {
            return Exit::Failed;
        }
    }
    Exit::Unexpected
}
