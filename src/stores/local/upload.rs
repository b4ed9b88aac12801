//! Writing an object into a directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::read_back::{Behind, Hasher, ReadBack, WINDOW};
use super::{Answers, PART, PATIENCE, sync_parent, told};
use crate::stores::{Error, Proof, Reason, Stored, Upload};

/// An object on its way into a directory.
pub(super) struct LocalUpload {
    file: Arc<File>,
    temporary: Temporary,
    path: PathBuf,
    sent: Hasher,
    size: u64,
    behind: Option<Behind>,
    answers: Answers,
}

/// A temporary file that is removed unless it got its final name.
#[derive(Debug)]
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What cannot be removed now is swept by a later prune.
            drop(fs::remove_file(path));
        }
    }
}

/// Creates the store's own directory, but not its parents: a missing parent is a volume that is not mounted.
pub(super) fn make_root(root: &Path) -> Result<(), Error> {
    match fs::create_dir(root) {
        Ok(()) => sync_parent(root),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(told(root, "create", error)
                .help("its parent directory does not exist: is the volume mounted?"))
        }
        Err(error) => Err(told(root, "create", error)),
    }
}

impl LocalUpload {
    pub(super) fn create(root: &Path, path: &Path, answers: Answers) -> Result<Self, Error> {
        make_root(root)?;
        let dir = path.parent().unwrap_or(root);
        fs::create_dir_all(dir).map_err(|error| told(dir, "create", error))?;
        if fs::exists(path).map_err(|error| told(path, "examine", error))? {
            return Err(told(path, "create", io::ErrorKind::AlreadyExists.into()));
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = dir.join(format!(".{file}.{:016x}{PART}", rand::random::<u64>()));
        let opened = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&temporary);
        let file = opened.map_err(|error| told(&temporary, "create", error))?;
        Ok(Self {
            file: Arc::new(file),
            temporary: Temporary(Some(temporary)),
            path: path.to_path_buf(),
            sent: Hasher::new(),
            size: 0,
            behind: None,
            answers,
        })
    }

    /// Has what was written so far flushed and read back while more is written.
    fn read_back_so_far(&mut self) -> io::Result<()> {
        let behind = if let Some(behind) = &self.behind {
            behind
        } else {
            let temporary = self.temporary.0.as_deref().unwrap_or(&self.path);
            self.behind.insert(Behind::start(ReadBack::of(temporary)?)?)
        };
        behind.reach(self.size);
        Ok(())
    }

    /// Flushes, reads back, gives the final name, flushes the directory.
    fn complete(mut self) -> Result<Stored, Error> {
        let temporary = self.temporary.0.clone().unwrap_or_default();
        self.file.sync_all().map_err(|error| told(&temporary, "flush", error))?;
        let read = match self.behind.take() {
            Some(behind) => behind.finish(),
            None => ReadBack::of(&temporary).and_then(ReadBack::finish),
        };
        let read = read.map_err(|error| told(&temporary, "read back", error))?;
        if read != (self.size, self.sent.digest128()) {
            let what = format!("`{}` holds other bytes than were written to it", temporary.display());
            return Err(Error::new(Reason::Corrupt, what).help("examine the disk or the network file system"));
        }
        rename_new(&temporary, &self.path).map_err(|error| told(&self.path, "name", error))?;
        self.temporary.0 = None;
        sync_parent(&self.path)?;
        if let Some(dir) = self.path.parent() {
            sync_parent(dir)?;
        }
        Ok(Stored { size: self.size, proof: Proof::ReadBack })
    }
}

/// Renames without overwriting. File systems without `RENAME_NOREPLACE` (NFS) get a hard link instead, and those that
/// have no hard links either (shared folders of virtual machines, buckets that are mounted) a look and then a rename:
/// there two who write the same name in the same moment could not be told apart, but no two runs have the same names.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        other => return Ok(other?),
    }
    match rustix::fs::link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP) => match fs::symlink_metadata(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// Whether this is how the name of a temporary file looks: other programs too have hidden files that end in `.part`.
pub(super) fn is_temporary(file: &str) -> bool {
    let number = file.strip_prefix('.').and_then(|file| file.strip_suffix(PART)?.rsplit_once('.'));
    number.is_some_and(|(_, number)| {
        number.len() == 16 && number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[async_trait]
impl Upload for LocalUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.sent.update(&bytes);
        self.size += bytes.len() as u64;
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        let written = bytes.len() as u64;
        let write = move || (&*file).write_all(&bytes).map_err(|error| told(&path, "write", error));
        self.answers.blocking(write).await?;
        if self.size / WINDOW > (self.size - written) / WINDOW {
            self.read_back_so_far().map_err(|error| told(&self.path, "read back", error))?;
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Stored, Error> {
        // What is flushed and read back may be the rest of a large object on a slow disk.
        let answers = self.answers.clone();
        answers.within(6 * PATIENCE, move || self.complete()).await
    }

    async fn abort(self: Box<Self>) -> Result<(), Error> {
        let answers = self.answers.clone();
        answers
            .blocking(move || {
                drop(self);
                Ok(())
            })
            .await
    }
}
