//! Globs over paths below the tree's root: `include`, `exclude`, and `--only`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A set of globs with the meaning that `.gitignore` gave people the habit of.
///
/// `*` and `?` stay within a name, `**` crosses `/`. `?` is one byte, so that a letter beyond ASCII takes several. A glob without `/` (a trailing one aside) matches names at any
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
    /// The globs as written, those of each set by their number in it.
    written: [Vec<String>; 2],
}

impl Globs {
    /// Reads globs as written.
    pub fn new(written: &[String]) -> Result<Self, globset::Error> {
        let (mut any, mut directories) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut prefixes = Vec::new();
        let mut texts = [Vec::new(), Vec::new()];
        for glob in written {
            let below = glob.trim_start_matches("./").trim_start_matches('/');
            let name = below.trim_end_matches('/');
            let anchored = glob.starts_with(['/', '.']) && below.len() < glob.len() || name.contains('/');
            let pattern = if anchored { name.to_owned() } else { format!("**/{name}") };
            let compiled =
                GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build()?;
            let (set, texts) = if below.ends_with('/') {
                (&mut directories, &mut texts[1])
            } else {
                (&mut any, &mut texts[0])
            };
            set.add(compiled);
            texts.push(glob.clone());
            prefixes.push(anchored.then(|| literal_names(name)));
        }
        Ok(Self { any: any.build()?, directories: directories.build()?, prefixes, written: texts })
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

/// Which globs of a set have matched something. For many threads.
#[derive(Debug, Default)]
pub(super) struct Matched {
    flags: [Vec<AtomicBool>; 2],
    left: AtomicUsize,
}

impl Matched {
    /// None of them yet.
    pub(super) fn new(globs: &Globs) -> Self {
        let flags = globs.written.each_ref().map(|set| set.iter().map(|_| AtomicBool::new(false)).collect());
        Self { flags, left: AtomicUsize::new(globs.prefixes.len()) }
    }

    /// Notes the globs that match this very path.
    pub(super) fn note(&self, globs: &Globs, path: &[u8], directory: bool) {
        if self.left.load(Ordering::Relaxed) == 0 {
            return;
        }
        let path = OsStr::from_bytes(path);
        let any = globs.any.matches(path).into_iter().map(|number| &self.flags[0][number]);
        let below = if directory { globs.directories.matches(path) } else { Vec::new() };
        for flag in any.chain(below.into_iter().map(|number| &self.flags[1][number])) {
            if !flag.swap(true, Ordering::Relaxed) {
                self.left.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Notes the globs that match this path or a directory above it.
    pub(super) fn note_all(&self, globs: &Globs, path: &[u8], directory: bool) {
        self.note(globs, path, directory);
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            self.note(globs, &path[..at], true);
        }
    }

    /// A glob that has matched nothing, as it was written.
    pub(super) fn without_match<'a>(&self, globs: &'a Globs) -> Option<&'a str> {
        let pairs = self.flags.iter().zip(&globs.written).flat_map(|(flags, texts)| flags.iter().zip(texts));
        pairs.into_iter().find(|(flag, _)| !flag.load(Ordering::Relaxed)).map(|(_, text)| text.as_str())
    }
}

/// Why a glob of paths below `root` cannot match anything, or not what it seems to, and what to write instead.
pub(super) fn refused(glob: &str, root: &Path) -> Option<(String, String)> {
    let (shown, root) = (format!("`{glob}`"), root.to_string_lossy());
    let below = glob.trim_start_matches("./").trim_start_matches('/').trim_end_matches('/');
    if below.is_empty() || below == "." {
        let help = "leave it out: without `include` and `exclude` everything is backed up";
        return Some((format!("{shown} names no path below `path`"), help.to_owned()));
    }
    if glob.starts_with('!') {
        return Some((
            format!(
                "{shown} would not bring anything back, as it does in `.gitignore`: `!` is a sign like any other"
            ),
            format!("say what is wanted in `include`; for a name that begins with it, write `\\{glob}`"),
        ));
    }
    if has_class_beyond_ascii(glob) {
        return Some((
            format!(
                "{shown} chooses between letters beyond ASCII, which have several bytes, by single bytes"
            ),
            "write `{ä,ö}` in place of `[äö]`".to_owned(),
        ));
    }
    if let Some(rest) = glob.strip_prefix(root.trim_end_matches('/')).filter(|_| root != "/")
        && let Some(rest) = rest.strip_prefix('/')
    {
        return Some((
            format!("{shown} repeats `path`"),
            format!("globs begin below `path`: write `{rest}`"),
        ));
    }
    if glob.contains("//") {
        return Some((format!("{shown} has an empty name in it"), "write a single `/`".to_owned()));
    }
    if below.split('/').any(|name| name == "." || name == "..") {
        return Some((
            format!("{shown} has `.` or `..` in it"),
            "write the path from `path` on without them".to_owned(),
        ));
    }
    None
}

/// Whether there is a letter beyond ASCII between brackets.
fn has_class_beyond_ascii(glob: &str) -> bool {
    glob.split('[').skip(1).any(|class| class.split(']').next().is_some_and(|class| !class.is_ascii()))
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

    #[test]
    fn globs_that_matched_nothing_are_found_whichever_others_did() {
        let set = globs(&["a", "b/c", "d/"]);
        let matched = Matched::new(&set);
        matched.note(&set, b"x/a", false);
        matched.note(&set, b"d", false);
        assert_eq!(matched.without_match(&set), Some("b/c"));
        matched.note(&set, b"b/c", true);
        assert_eq!(matched.without_match(&set), Some("d/"), "a file is no directory");
        matched.note(&set, b"d", true);
        assert_eq!(matched.without_match(&set), None);
    }

    #[test]
    fn globs_that_can_match_nothing_are_refused() {
        let root = Path::new("/srv/web");
        for glob in [
            "",
            ".",
            "./",
            "/",
            "etc//nginx",
            "!etc",
            "[äö]x",
            "a/../b",
            "a/./b",
            "..",
            "/srv/web/etc",
            "/srv/web/",
        ] {
            assert!(refused(glob, root).is_some(), "{glob}");
        }
        assert!(refused("/srv/web/etc", root).unwrap().1.contains("`etc`"));
        for glob in [
            "etc",
            "./etc",
            "/etc",
            "etc/",
            "/srv/website",
            "a/.b/..c",
            "**/x",
            "*.{a,b}",
            r"\!etc",
            "{ä,ö}x",
            "[a-z]ä",
        ] {
            assert_eq!(refused(glob, root), None, "{glob}");
        }
        assert_eq!(refused("/etc", Path::new("/")), None);
    }
}
