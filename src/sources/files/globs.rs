//! Globs over paths below the tree's root: `include`, `exclude`, and `--only`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A set of globs with the meaning that `.gitignore` gave people the habit of.
///
/// `*` and `?` stay within a name, `**` crosses `/`. A glob without `/` (a trailing one aside) matches names at any
/// depth, a glob with `/` matches from the root on. A trailing `/` matches directories only. What matches a directory
/// covers everything below it.
#[derive(Debug, Clone, Default)]
pub struct Globs {
    /// Matched by anything.
    any: GlobSet,
    /// Matched by directories only.
    directories: GlobSet,
    /// For each glob the names that its paths begin with, up to the first name with a sign of a glob.
    /// `None`: it may match anywhere.
    prefixes: Vec<Option<Vec<String>>>,
}

impl Globs {
    /// Reads globs as written.
    pub fn new(written: &[String]) -> Result<Self, globset::Error> {
        let (mut any, mut directories) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut prefixes = Vec::new();
        for glob in written {
            let below = glob.trim_start_matches("./").trim_start_matches('/');
            let name = below.trim_end_matches('/');
            let anchored = glob.starts_with(['/', '.']) && below.len() < glob.len() || name.contains('/');
            let pattern = if anchored { name.to_owned() } else { format!("**/{name}") };
            let compiled =
                GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build()?;
            let set = if below.ends_with('/') { &mut directories } else { &mut any };
            set.add(compiled);
            prefixes.push(anchored.then(|| literal_names(name)));
        }
        Ok(Self { any: any.build()?, directories: directories.build()?, prefixes })
    }

    /// Whether there is no glob at all.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Whether a glob matches this very path (its parents aside).
    pub fn matches(&self, path: &[u8], directory: bool) -> bool {
        let path = OsStr::from_bytes(path);
        self.any.is_match(path) || (directory && self.directories.is_match(path))
    }

    /// Whether a glob matches this path or a directory above it.
    pub fn covers(&self, path: &[u8], directory: bool) -> bool {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        self.matches(path, directory) || slashes.into_iter().any(|at| self.matches(&path[..at], true))
    }

    /// Whether something below this directory could match.
    pub fn reach_below(&self, directory: &[u8]) -> bool {
        self.prefixes.iter().any(|prefix| {
            let Some(prefix) = prefix else { return true };
            let names = directory.split(|byte| *byte == b'/');
            names.zip(prefix).all(|(name, wanted)| name == wanted.as_bytes())
        })
    }
}

fn literal_names(glob: &str) -> Vec<String> {
    let literal = |name: &&str| !name.contains(['*', '?', '[', ']', '{', '}', '\\']);
    // A `{a,b/c}` may span names: the split at `/` then shows a brace in the first of them, which ends the prefix.
    glob.split('/').take_while(literal).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(written: &[&str]) -> Globs {
        Globs::new(&written.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn names_match_at_any_depth_and_paths_from_the_root() {
        let set = globs(&["*.tmp", "var/cache", "/top"]);
        assert!(set.matches(b"a.tmp", false) && set.matches(b"a/b/c.tmp", false));
        assert!(set.matches(b"var/cache", true) && !set.matches(b"x/var/cache", true));
        assert!(set.matches(b"top", false) && !set.matches(b"x/top", false));
        assert!(set.covers(b"var/cache/a/b", false) && !set.covers(b"var/cached", false));
    }

    #[test]
    fn stars_stay_within_names_and_double_stars_do_not() {
        let set = globs(&["a/*/c", "d/**/e"]);
        assert!(set.matches(b"a/b/c", false) && !set.matches(b"a/b/b/c", false));
        assert!(set.matches(b"d/e", false) && set.matches(b"d/x/y/e", false));
    }

    #[test]
    fn a_trailing_slash_means_directories() {
        let set = globs(&["build/"]);
        assert!(set.matches(b"x/build", true) && !set.matches(b"x/build", false));
        assert!(set.covers(b"x/build/y", false));
    }

    #[test]
    fn names_that_are_not_utf8_match_too() {
        let set = globs(&["*.log"]);
        assert!(set.matches(b"\xff\xfe.log", false) && !set.matches(b"\xff\xfe", false));
    }

    #[test]
    fn only_directories_that_lead_somewhere_are_entered() {
        let set = globs(&["a/b/*.txt"]);
        assert!(set.reach_below(b"a") && set.reach_below(b"a/b") && set.reach_below(b"a/b/c"));
        assert!(!set.reach_below(b"b") && !set.reach_below(b"a/c"));
        assert!(globs(&["*.txt"]).reach_below(b"anything"));
    }
}
