//! Reading extended attributes, POSIX ACLs among them.

use std::os::fd::BorrowedFd;

use rustix::fs;
use rustix::io::Errno;

/// Names and values.
pub(super) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Where attributes are read from: an open file, or a name that must not be opened (a device, a symbolic link).
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// An open file or directory.
    Open(BorrowedFd<'a>),
    /// An entry of an open directory. Linux has no call for this, `/proc` leads there without following the entry.
    Entry(BorrowedFd<'a>, &'a [u8]),
}

impl Place<'_> {
    fn list(self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(fd) => fs::flistxattr(fd, buffer),
            Self::Entry(folder, name) => fs::llistxattr(proc_path(folder, name), buffer),
        }
    }

    fn get(self, attribute: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(fd) => fs::fgetxattr(fd, attribute, buffer),
            Self::Entry(folder, name) => fs::lgetxattr(proc_path(folder, name), attribute, buffer),
        }
    }
}

/// The path of an entry of an open directory, through `/proc`.
pub(super) fn proc_path(folder: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    use std::os::fd::AsRawFd as _;
    let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// Linux's limits for the list of names and for one value: no file system returns more.
const LIMIT: usize = 64 << 10;

/// Reads all attributes. A file system that has none has none; every other error is one.
pub(super) fn read(place: Place<'_>) -> Result<Xattrs, Errno> {
    let names = match grow(1 << 10, |buffer| place.list(buffer)) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        names => names?,
    };
    let mut attributes = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        match grow(256, |buffer| place.get(name, buffer)) {
            Ok(value) => attributes.push((name.to_vec(), value)),
            // Removed since it was listed: the file never had all of the list at once.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    attributes.sort_unstable();
    Ok(attributes)
}

fn grow(first: usize, mut fill: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 1 << 10];
    let small = &mut small[..first.min(1 << 10)];
    match fill(small) {
        Ok(length) => return Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut buffer = vec![0; LIMIT];
    let length = fill(&mut buffer)?;
    buffer.truncate(length);
    buffer.shrink_to_fit();
    Ok(buffer)
}
