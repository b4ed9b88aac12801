//! Compares two directory trees, entry by entry and byte by byte.
//!
//! Knows nothing of packages: it is the second opinion on what `quickstart` restored.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The first line of a CACHEDIR.TAG (bford.info/cachedir).
const CACHE_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) others: u64,
    pub(super) bytes: u64,
    /// What differs, in words.
    pub(super) differences: Vec<String>,
}

/// Compares `copy` with `original`, leaving out `without` below the original, the content of tagged cache
/// directories, and sockets.
pub(super) fn compare(original: &Path, copy: &Path, without: &Path) -> io::Result<Compared> {
    let mut compared = Compared::default();
    let mut pending = vec![PathBuf::new()];
    while let Some(dir) = pending.pop() {
        let left = entries(&original.join(&dir), Some(without))?;
        let mut right = entries(&copy.join(&dir), None)?;
        for (name, meta) in left {
            let path = dir.join(&name);
            match right.remove(&name) {
                Some(other) => {
                    let same = compared.entry((&original.join(&path), &meta), (&copy.join(&path), &other))?;
                    if let Some(what) = same {
                        compared.differences.push(format!("{}: {what}", path.display()));
                    } else if meta.is_dir() {
                        pending.push(path);
                    }
                }
                None => compared.differences.push(format!("{}: not restored", path.display())),
            }
        }
        let extra =
            right.into_keys().map(|name| format!("{}: not in the original", dir.join(name).display()));
        compared.differences.extend(extra);
    }
    Ok(compared)
}

/// The entries of a directory; in the original without what a backup leaves out.
fn entries(dir: &Path, without: Option<&Path>) -> io::Result<BTreeMap<OsString, Metadata>> {
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = fs::symlink_metadata(entry.path())?;
        let left_out = meta.file_type().is_socket() || without == Some(entry.path().as_path());
        if !left_out {
            entries.insert(entry.file_name(), meta);
        }
    }
    if without.is_some() && is_cache(&dir.join("CACHEDIR.TAG")) {
        entries.retain(|name, _| name == "CACHEDIR.TAG");
    }
    Ok(entries)
}

fn is_cache(tag: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(tag).and_then(|file| file.take(CACHE_TAG.len() as u64).read_to_end(&mut start));
    read.is_ok() && start == CACHE_TAG
}

impl Compared {
    /// What differs between two entries, if anything does.
    fn entry(&mut self, left: (&Path, &Metadata), right: (&Path, &Metadata)) -> io::Result<Option<String>> {
        let ((left, meta), (right, other)) = (left, right);
        if meta.file_type() != other.file_type() {
            return Ok(Some("another kind of file".to_owned()));
        }
        if meta.is_symlink() {
            self.others += 1;
            let same = fs::read_link(left)? == fs::read_link(right)?;
            return Ok((!same).then(|| "another target".to_owned()));
        }
        if meta.mode() != other.mode() {
            return Ok(Some(format!(
                "mode {:o} instead of {:o}",
                other.mode() & 0o7777,
                meta.mode() & 0o7777
            )));
        }
        if (meta.mtime(), meta.mtime_nsec()) != (other.mtime(), other.mtime_nsec()) {
            return Ok(Some("another time of modification".to_owned()));
        }
        if meta.is_dir() {
            self.directories += 1;
            return Ok(None);
        }
        if !meta.is_file() {
            self.others += 1;
            return Ok(None);
        }
        self.files += 1;
        if meta.len() != other.len() {
            return Ok(Some(format!("{} bytes instead of {}", other.len(), meta.len())));
        }
        self.bytes += meta.len();
        Ok((!same_content(File::open(left)?, File::open(right)?)?).then(|| "other content".to_owned()))
    }
}

fn same_content(mut left: File, mut right: File) -> io::Result<bool> {
    let (mut one, mut other) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = left.read(&mut one)?;
        if read == 0 {
            return Ok(right.read(&mut other)? == 0);
        }
        match right.read_exact(&mut other[..read]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            result => result?,
        }
        if one[..read] != other[..read] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// Two equal trees, with something to leave out in the original.
    fn trees() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (left, right) = (dir.path().join("left"), dir.path().join("right"));
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        for tree in [&left, &right] {
            fs::create_dir_all(tree.join("sub")).unwrap();
            fs::write(tree.join("sub/file"), "content").unwrap();
            symlink("file", tree.join("sub/link")).unwrap();
        }
        fs::create_dir_all(left.join("own/store")).unwrap();
        for tree in [&left, &right] {
            for path in ["sub/file", "sub", ""] {
                File::open(tree.join(path)).unwrap().set_modified(time).unwrap();
            }
        }
        (dir, left, right)
    }

    fn differences(left: &Path, right: &Path) -> Vec<String> {
        compare(left, right, &left.join("own")).unwrap().differences
    }

    #[test]
    fn equal_trees_are_equal() {
        let (_dir, left, right) = trees();
        let compared = compare(&left, &right, &left.join("own")).unwrap();
        assert_eq!(compared.differences, Vec::<String>::new());
        assert_eq!((compared.files, compared.directories, compared.others, compared.bytes), (1, 1, 1, 7));
    }

    type Change = fn(&Path);

    #[test]
    fn every_kind_of_difference_is_found() {
        let changes: [(&str, Change); 6] = [
            ("sub/file: 8 bytes instead of 7", |tree| {
                keep_time(&tree.join("sub/file"), |path| fs::write(path, "contents").unwrap());
            }),
            ("sub/file: other content", |tree| {
                keep_time(&tree.join("sub/file"), |path| fs::write(path, "CONTENT").unwrap());
            }),
            ("sub/file: mode 600 instead of 644", |tree| {
                fs::set_permissions(tree.join("sub/file"), fs::Permissions::from_mode(0o600)).unwrap();
            }),
            ("sub/file: another time of modification", |tree| {
                File::open(tree.join("sub/file"))
                    .unwrap()
                    .set_modified(std::time::SystemTime::UNIX_EPOCH)
                    .unwrap();
            }),
            ("extra: not in the original", |tree| fs::write(tree.join("extra"), "").unwrap()),
            ("sub/link: another target", |tree| {
                keep_time(&tree.join("sub"), |sub| {
                    fs::remove_file(sub.join("link")).unwrap();
                    symlink("elsewhere", sub.join("link")).unwrap();
                });
            }),
        ];
        for (expected, change) in changes {
            let (_dir, left, right) = trees();
            fs::set_permissions(left.join("sub/file"), fs::Permissions::from_mode(0o644)).unwrap();
            fs::set_permissions(right.join("sub/file"), fs::Permissions::from_mode(0o644)).unwrap();
            change(&right);
            assert_eq!(differences(&left, &right), [expected]);
        }
        let (_dir, left, right) = trees();
        keep_time(&right.join("sub"), |sub| fs::remove_file(sub.join("file")).unwrap());
        assert_eq!(differences(&left, &right), ["sub/file: not restored"]);
    }

    /// Changes something and puts the time of modification back, so that only the change itself can be noticed.
    fn keep_time(path: &Path, change: impl FnOnce(&Path)) {
        let time = fs::metadata(path).unwrap().modified().unwrap();
        change(path);
        File::open(path).unwrap().set_modified(time).unwrap();
    }
}
