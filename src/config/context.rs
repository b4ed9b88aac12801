//! Where a configuration is wrong: every problem with its path and what would be right.

use super::secret::{Secret, SecretRef};

/// One thing that is wrong with a configuration that parses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key's path, for example `sources.web.files.path`.
    pub path: String,
    /// What is wrong, lowercase, no full stop.
    pub what: String,
    /// What would be right.
    pub help: String,
}

/// Collects the problems found while a [`Config`](super::Config) becomes a [`Plan`](super::Plan).
///
/// Planning goes on after a problem, so that all of them are told at once; the plan is used only if there is none.
#[derive(Debug, Default)]
pub struct Context {
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Context {
    /// Runs `plan` one step deeper in the configuration, for example `at("files", …)`.
    pub fn at<T>(&mut self, key: impl Into<String>, plan: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key.into());
        let planned = plan(self);
        self.path.pop();
        planned
    }

    /// Notes a problem at `key` below the present path (`""` for the present path itself).
    pub fn problem(&mut self, key: &str, what: impl Into<String>, help: impl Into<String>) {
        let mut path = self.path.clone();
        if !key.is_empty() {
            path.push(key.to_owned());
        }
        self.problems.push(Problem { path: path.join("."), what: what.into(), help: help.into() });
    }

    /// Reads the secret that stands at `key`; a secret that cannot be had is a problem.
    pub fn secret(&mut self, key: &str, reference: Option<&SecretRef>) -> Option<Secret> {
        let reference = reference?;
        match reference.resolve() {
            Ok(secret) => Some(secret),
            Err(error) => {
                let help = "write `{ env: NAME }` or `{ file: PATH }` and make sure that it is there";
                self.problem(key, error.to_string(), help);
                None
            }
        }
    }

    /// Unwraps a value that a key must have; an error is a problem at `key`.
    pub fn check<T, E: std::fmt::Display>(
        &mut self,
        key: &str,
        result: Result<T, E>,
        help: &str,
    ) -> Option<T> {
        result.map_err(|error| self.problem(key, error.to_string(), help)).ok()
    }

    /// The problems found, in the order of the file's keys as far as they were planned in that order.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}
