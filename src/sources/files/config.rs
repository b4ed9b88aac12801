//! The configuration of a files source.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::globs::{Globs, refused};
use crate::config::context::Context;
use crate::config::units::ByteSize;

/// A files source as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory to back up.
    pub path: PathBuf,
    /// Globs of paths below it to back up, with the directories that lead there; empty or absent: all. Each must match
    /// something, or the job fails.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs of paths below it to leave out. A glob without `/` matches names at any depth, one with `/` matches from
    /// `path` on; a trailing `/` matches directories only; what matches a directory covers everything in it.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Do not descend into other file systems mounted below; mount points stay as empty directories. Default: false.
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
    /// Memory for remembering files with several hard links until all of their links were seen. Default: 16MiB.
    pub hard_link_memory: Option<ByteSize>,
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
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The directory to back up.
    pub path: PathBuf,
    /// What to back up; empty: everything.
    pub include: Globs,
    /// What to leave out.
    pub exclude: Globs,
    /// Whether to stay on the file system of `path`.
    pub one_file_system: bool,
    /// Whether to leave out the content of cache directories.
    pub exclude_caches: bool,
    /// What to do with files that change whenever they are read.
    pub changing_files: ChangingFiles,
    /// How many files and directories are read at once.
    pub read_ahead: usize,
    /// Bytes that the table of hard links may take.
    pub hard_link_memory: usize,
}

impl Plan {
    /// Whether `include` has this path, or may have something below it.
    pub(super) fn leads_to(&self, path: &[u8], directory: bool) -> bool {
        let include = &self.include;
        include.is_empty() || include.covers(path, directory) || directory && include.reach_below(path)
    }
}

impl Config {
    /// Fills defaults in and refuses what cannot be meant.
    pub fn plan(self, context: &mut Context) -> Option<Plan> {
        let absolute = self.path.is_absolute();
        if !absolute {
            let what = format!("`{}` is a relative path", self.path.display());
            context.problem("path", what, "write the directory's full path, beginning with `/`");
        }
        let read_ahead = self.read_ahead.unwrap_or(32);
        let bounded = (1..=256).contains(&read_ahead);
        if !bounded {
            let help = "each one is a thread: 32 suits disks, 64 or 128 slow network file systems";
            context.problem("read_ahead", format!("{read_ahead} is not between 1 and 256"), help);
        }
        let mut pointed = true;
        for (key, globs) in [("include", &self.include), ("exclude", &self.exclude)] {
            for (what, help) in globs.iter().filter_map(|glob| refused(glob, &self.path)) {
                context.problem(key, what, help);
                pointed = false;
            }
        }
        let help = "`*` stays within a name, `**` crosses `/`, `?` is one byte, `[ab]` and `{a,b}` choose, `\\` takes a sign literally";
        let include = context.check("include", Globs::new(&self.include), help)?;
        let exclude = context.check("exclude", Globs::new(&self.exclude), help)?;
        (absolute && bounded && pointed).then_some(Plan {
            path: self.path,
            include,
            exclude,
            one_file_system: self.one_file_system,
            exclude_caches: self.exclude_caches,
            changing_files: self.changing_files,
            read_ahead,
            hard_link_memory: self.hard_link_memory.map_or(16 << 20, ByteSize::as_usize),
        })
    }
}
