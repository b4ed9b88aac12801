//! The configuration of a files source.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::Context;

/// A files source as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory to back up.
    pub path: PathBuf,
    /// Globs of paths below it to back up; empty or absent: all.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs of paths below it to leave out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Do not descend into other file systems mounted below. Default: false.
    #[serde(default)]
    pub one_file_system: bool,
    /// Leave out the content of directories that hold a `CACHEDIR.TAG` (bford.info/cachedir). Default: false.
    #[serde(default)]
    pub exclude_caches: bool,
    /// What to do when a file is still changing after it was read again. Default: `fail`.
    #[serde(default)]
    pub changing_files: ChangingFiles,
    /// How many files are read ahead at once. More helps on network file systems. Default: 32.
    pub read_ahead: Option<usize>,
}

/// What to do with a file that changes whenever it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangingFiles {
    /// Fail the job and commit nothing.
    #[default]
    Fail,
    /// Keep the last read and name the file in the record.
    Accept,
}

/// A files source as meant.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The directory to back up.
    pub path: PathBuf,
}

impl Config {
    /// Fills defaults in and refuses what cannot be meant.
    pub fn plan(self, context: &mut Context) -> Option<Plan> {
        let _ = context;
        Some(Plan { path: self.path })
    }
}
