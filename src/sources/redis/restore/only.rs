//! Which keys are asked for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::sources::redis::Error;

/// Patterns of keys, and whether each has met one.
pub(super) struct Only {
    set: GlobSet,
    patterns: Vec<(String, AtomicBool)>,
}

impl Only {
    /// Reads the patterns; `None` if everything is asked for.
    pub(super) fn of(patterns: &[String]) -> Result<Option<Self>, Error> {
        if patterns.is_empty() {
            return Ok(None);
        }
        let mut set = GlobSetBuilder::new();
        for text in patterns {
            set.add(Glob::new(text).map_err(|error| Error::Request(error.to_string()))?);
        }
        let set = set.build().map_err(|error| Error::Request(error.to_string()))?;
        let patterns = patterns.iter().map(|text| (text.clone(), AtomicBool::new(false))).collect();
        Ok(Some(Self { set, patterns }))
    }

    /// Whether one of the patterns fits.
    pub(super) fn wants(&self, key: &[u8]) -> bool {
        let fitting = self.set.matches(Path::new(OsStr::from_bytes(key)));
        for at in &fitting {
            self.patterns[*at].1.store(true, Ordering::Relaxed);
        }
        !fitting.is_empty()
    }

    /// Fails if a pattern has met no key, now that all of them are past: it does not mean what was meant.
    pub(super) fn refuse_unmet(&self) -> Result<(), Error> {
        let unmet = self.patterns.iter().filter(|(_, met)| !met.load(Ordering::Relaxed));
        let unmet: Vec<String> = unmet.map(|(text, _)| format!("`{text}`")).collect();
        if unmet.is_empty() { Ok(()) } else { Err(Error::NoSuchKey(unmet.join(", "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_must_meet_a_key() {
        let only = Only::of(&["session:*".to_owned(), "{user}:*".to_owned()]).unwrap().unwrap();
        assert!(only.wants(b"session:1") && !only.wants(b"{user}:1"), "braces are alternatives");
        let said = only.refuse_unmet().unwrap_err().to_string();
        assert!(said.ends_with("`{user}:*`"), "{said}");
        assert!(only.wants(b"user:1") && only.refuse_unmet().is_ok());
        let literal = Only::of(&["[{]user[}]:*".to_owned()]).unwrap().unwrap();
        assert!(literal.wants(b"{user}:1"));
        assert!(Only::of(&[]).unwrap().is_none());
    }
}
