//! Writing: the bytes that stand before a member's content.

use super::header::{kind, put_base_256, put_octal};
use super::{Error, MAX_PAX, RECORD, pax, sparse};
use crate::package::member::{Header, Kind};

/// Checks that a header can be written and that its paths are safe to extract.
pub fn check(header: &Header) -> Result<(), Error> {
    safe(&header.path)?;
    match &header.kind {
        Kind::HardLink(target) => safe(target)?,
        Kind::Symlink(target) if target.is_empty() || target.contains(&0) => {
            return Err(Error::Unrepresentable("a link's target is empty or holds a NUL"));
        }
        _ => {}
    }
    if header.mode > 0o7777 {
        return Err(Error::Unrepresentable("the mode has more than permission bits"));
    }
    if header.mtime.nanos > 999_999_999 || header.mtime.seconds == i64::MIN {
        return Err(Error::Unrepresentable("the time of modification cannot be written"));
    }
    if header.user.contains(&0) || header.group.contains(&0) {
        return Err(Error::Unrepresentable("an owner's name holds a NUL"));
    }
    if header.xattrs.iter().any(|(name, _)| name.is_empty() || name.contains(&0)) {
        return Err(Error::Unrepresentable("an extended attribute has no name"));
    }
    match (&header.kind, &header.sparse) {
        (Kind::File, Some(segments)) => sparse::check(segments, header.size),
        (Kind::File, None) => Ok(()),
        (_, None) if header.size == 0 => Ok(()),
        _ => Err(Error::Unrepresentable("only files have content")),
    }
}

/// Refuses paths that are empty, absolute, end in `/` or have a part `..`: they could leave the target directory.
pub(super) fn safe(path: &[u8]) -> Result<(), Error> {
    let parts = || path.split(|byte| *byte == b'/');
    let sound = !path.is_empty()
        && !path.contains(&0)
        && parts().all(|part| part != b".." && !part.is_empty())
        && (path == b"." || parts().all(|part| part != b"."));
    if sound { Ok(()) } else { Err(Error::Path(crate::package::error::printable(path))) }
}

/// Appends everything that stands before the content of a member: extended header, header, map of holes.
pub fn frame(header: &Header, out: &mut Vec<u8>) -> Result<(), Error> {
    check(header)?;
    let map = header.sparse.as_ref().map(|segments| sparse::map(segments, header.size));
    let stored = header.stored() + map.as_ref().map_or(0, |map| map.len() as u64);
    let (mut record, extended) = build(header, stored);
    if extended.len() > MAX_PAX {
        return Err(Error::TooLarge("the extended header is"));
    }
    if !extended.is_empty() {
        out.extend_from_slice(extension(&extended)?.as_bytes());
        out.extend_from_slice(&extended);
        pad(out, extended.len());
    }
    record.set_cksum();
    out.extend_from_slice(record.as_bytes());
    out.extend_from_slice(map.as_deref().unwrap_or_default());
    Ok(())
}

/// The zero bytes that follow content of `stored` bytes.
pub fn padding(stored: u64) -> &'static [u8] {
    const ZEROS: [u8; RECORD] = [0; RECORD];
    let over = usize::try_from(stored % RECORD as u64).unwrap_or(0);
    if over == 0 { &[] } else { &ZEROS[over..] }
}

/// The end mark: two records of zeros.
pub fn end() -> &'static [u8] {
    &[0; 2 * RECORD]
}

fn pad(out: &mut Vec<u8>, written: usize) {
    out.extend_from_slice(padding(written as u64));
}

/// The header of an extended header. Its name is what a program without pax support would create.
fn extension(extended: &[u8]) -> Result<tar::Header, Error> {
    let mut record = tar::Header::new_ustar();
    let old = record.as_old_mut();
    old.name[..9].copy_from_slice(b"PaxHeader");
    put_octal(&mut old.mode, 0o600);
    put_octal(&mut old.uid, 0);
    put_octal(&mut old.gid, 0);
    put_octal(&mut old.mtime, 0);
    old.linkflag = [kind::PAX];
    if !put_octal(&mut old.size, extended.len() as u64) {
        return Err(Error::TooLarge("the extended header is"));
    }
    record.set_cksum();
    Ok(record)
}

/// The header and the records of the extended header for whatever the header cannot hold.
fn build(header: &Header, stored: u64) -> (tar::Header, Vec<u8>) {
    let mut record = tar::Header::new_ustar();
    let mut extended = Vec::new();
    names(header, &mut record, &mut extended);
    let Some(ustar) = record.as_ustar_mut() else { return (record, extended) };
    put_octal(&mut ustar.mode, u64::from(header.mode));
    for (field, value, key) in [
        (&mut ustar.uid[..], header.uid, &b"uid"[..]),
        (&mut ustar.gid[..], header.gid, b"gid"),
        (&mut ustar.size[..], stored, b"size"),
    ] {
        if !put_octal(field, value) {
            put_octal(field, 0);
            pax::push(&mut extended, key, value.to_string().as_bytes());
        }
    }
    let whole = u64::try_from(header.mtime.seconds).ok().filter(|_| header.mtime.nanos == 0);
    if !whole.is_some_and(|seconds| put_octal(&mut ustar.mtime, seconds)) {
        let rounded = u64::try_from(header.mtime.seconds).unwrap_or(0);
        if !put_octal(&mut ustar.mtime, rounded) {
            put_octal(&mut ustar.mtime, 0);
        }
        pax::push(&mut extended, b"mtime", pax::time_text(header.mtime).as_bytes());
    }
    for (field, value, key) in
        [(&mut ustar.uname, &header.user, &b"uname"[..]), (&mut ustar.gname, &header.group, b"gname")]
    {
        if value.len() < field.len() && value.is_ascii() {
            field[..value.len()].copy_from_slice(value);
        } else {
            pax::push(&mut extended, key, value);
        }
    }
    let (major, minor) = match header.kind {
        Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => (major, minor),
        _ => (0, 0),
    };
    for (field, value) in [(&mut ustar.dev_major, major), (&mut ustar.dev_minor, minor)] {
        if !put_octal(field, u64::from(value)) {
            put_base_256(field, u64::from(value));
        }
    }
    for (name, value) in &header.xattrs {
        pax::push(&mut extended, &xattr_key(name), value);
    }
    (record, extended)
}

/// Type, path, link target and what makes a file sparse.
fn names(header: &Header, record: &mut tar::Header, extended: &mut Vec<u8>) {
    let mut path = header.path.clone();
    let (flag, link) = match &header.kind {
        Kind::File => (kind::FILE, None),
        Kind::HardLink(target) => (kind::HARD_LINK, Some(target)),
        Kind::Symlink(target) => (kind::SYMLINK, Some(target)),
        Kind::CharDevice(..) => (kind::CHAR_DEVICE, None),
        Kind::BlockDevice(..) => (kind::BLOCK_DEVICE, None),
        Kind::Directory => (kind::DIRECTORY, None),
        Kind::Fifo => (kind::FIFO, None),
    };
    if header.kind == Kind::Directory {
        path.push(b'/');
    }
    let names = [Some(&path), link, Some(&header.user), Some(&header.group)];
    if names.into_iter().flatten().any(|name| std::str::from_utf8(name).is_err()) {
        // Values of an extended header are UTF-8 unless this says otherwise.
        pax::push(extended, b"hdrcharset", b"BINARY");
    }
    let old = record.as_old_mut();
    old.linkflag = [flag];
    let in_header = path.len() <= old.name.len() && path.is_ascii();
    if header.sparse.is_some() {
        pax::push(extended, b"GNU.sparse.major", b"1");
        pax::push(extended, b"GNU.sparse.minor", b"0");
        pax::push(extended, b"GNU.sparse.name", &path);
        pax::push(extended, b"GNU.sparse.realsize", header.size.to_string().as_bytes());
        old.name[..13].copy_from_slice(b"GNUSparseFile");
    } else if in_header {
        old.name[..path.len()].copy_from_slice(&path);
    } else {
        pax::push(extended, b"path", &path);
        old.name[..8].copy_from_slice(b"LongName");
    }
    if let Some(target) = link {
        if target.len() <= old.linkname.len() && target.is_ascii() {
            old.linkname[..target.len()].copy_from_slice(target);
        } else {
            pax::push(extended, b"linkpath", target);
            // libarchive takes an entry for no link at all if this field is empty.
            old.linkname[..8].copy_from_slice(b"LongLink");
        }
    }
}

/// The key of an extended attribute. `=` would end the key, so it is escaped as GNU tar does, and so is `%`.
fn xattr_key(name: &[u8]) -> Vec<u8> {
    let mut key = b"SCHILY.xattr.".to_vec();
    for byte in name {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            _ => key.push(*byte),
        }
    }
    key
}
