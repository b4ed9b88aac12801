//! Reading everything, in one stream.

use std::io::Read;

use super::{Identity, OpenIndex, Reading, Visitor, content, decoders};
use crate::catalog::key::Part;
use crate::package::error::printable;
use crate::package::{Error, age, gzip, tar};

/// Reads the whole object, with the index alongside.
pub(super) fn read(reading: &Reading, visitor: &mut dyn Visitor) -> Result<(), Error> {
    let record = &reading.package.record;
    let fetch = reading.fetch(&Part::Package)?;
    let outcome = fetch.outcome();
    let opened = age::open(&reading.package.identities, fetch)?;
    let mut index = reading.index()?;
    let plain = gzip::Reader::new(opened, decoders()).map_err(Error::Thread)?;
    let mut archive = tar::Reader::new(plain, 0);
    while let Some(member) = archive.member().map_err(Error::from_read)? {
        let Some(entry) = next_entry(&mut index)? else {
            let path = printable(&member.header.path);
            return Err(Error::Mismatch(format!("`{path}` is not in the index")));
        };
        content::visit(&mut archive, member, &entry, visitor)?;
    }
    if let Some(entry) = next_entry(&mut index)? {
        return Err(Error::Mismatch(format!("`{}` is missing", printable(&entry.path))));
    }
    archive.finish().map_err(Error::from_read)?;
    let blocks = archive.get_mut().blocks();
    if archive.offset() != record.totals.tar_bytes || blocks != Some(index.rows.blocks()) {
        return Err(Error::Mismatch("its blocks are not those of the index".into()));
    }
    index.finish(record)?;
    outcome.check("package", &record.package)
}

fn next_entry(index: &mut OpenIndex) -> Result<Option<crate::package::index::Entry>, Error> {
    index.rows.next_entry().map_err(|error| error.of("the index"))
}

/// Reads any `.tar.gz.age` stream without record and index, for example one made by `tar | gzip | age`.
///
/// Returns the number of members. What age, gzip and tar can prove is checked; that nothing is missing between
/// members is not.
pub fn members(
    identities: &[Identity],
    source: impl Read + Send + 'static,
    mut visit: impl FnMut(tar::Member, &mut dyn Read) -> Result<(), super::VisitError>,
) -> Result<u64, Error> {
    let opened = age::open(identities, source)?;
    let plain = gzip::Reader::new(opened, decoders()).map_err(Error::Thread)?;
    let mut archive = tar::Reader::new(plain, 0);
    let mut count = 0;
    while let Some(member) = archive.member().map_err(Error::from_read)? {
        visit(member, &mut archive).map_err(Error::Visit)?;
        count += 1;
    }
    archive.finish().map_err(Error::from_read)?;
    Ok(count)
}
