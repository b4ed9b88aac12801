//! The newest documents of a capped collection, as the package has them.
//!
//! A capped collection that is full drops its oldest document for every new one. A scan reads those that it then drops
//! as well as those that come, so a package can have more documents than the collection can hold. A target keeps the
//! newest of them, as the source did.

use std::io::Read;

use mongodb::bson::{RawBsonRef, RawDocument};

use super::super::archive::{Event, Namespace, Reader};
use super::super::fingerprint::Fingerprinter;
use super::Error;
use crate::package::digest::Fingerprint;
use crate::package::index;
use crate::package::member::Header;
use crate::package::open::VisitError;
use crate::package::{Package, Selection, Visitor};

/// The newest documents of a collection.
pub(super) struct Newest {
    /// Their fingerprint, in their order.
    pub(super) fingerprint: Fingerprint,
    /// The bytes of the document before them.
    before: u64,
}

impl Newest {
    /// Whether a capped collection with these options could not have held the document before them as well.
    pub(super) fn fill(&self, options: &RawDocument) -> bool {
        let limit = |name| options.get(name).ok().flatten().and_then(whole);
        let over = |limit: Option<u64>, needed: u64| limit.is_some_and(|limit| limit > 0 && needed > limit);
        over(limit("size"), self.fingerprint.bytes + self.before)
            || over(limit("max"), self.fingerprint.rows + 1)
    }
}

fn whole(number: RawBsonRef<'_>) -> Option<u64> {
    let number = match number {
        RawBsonRef::Int32(number) => i64::from(number),
        RawBsonRef::Int64(number) => number,
        // Old servers have kept it as the shell has written it.
        RawBsonRef::Double(number) => format!("{number:.0}").parse().ok()?,
        _ => return None,
    };
    u64::try_from(number).ok()
}

/// Takes a collection's documents after the first ones.
struct After {
    data: Namespace,
    skip: u64,
    before: u64,
    newest: Fingerprinter,
}

impl Visitor for After {
    fn member(&mut self, _: &index::Entry, _: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        let mut reader = Reader::after_prelude();
        while let Some(event) = reader.next(content)? {
            match event {
                Event::Document(namespace, document) if *namespace == self.data => self.take(document),
                _ => {}
            }
        }
        Ok(reader.finish()?)
    }
}

impl After {
    fn take(&mut self, document: &RawDocument) {
        if self.skip > 0 {
            self.skip -= 1;
            self.before = document.as_bytes().len() as u64;
        } else {
            self.newest.add(document);
        }
    }
}

/// Reads the documents of a capped collection after the first `skip`.
pub(super) async fn newest(package: &Package, object: &Namespace, skip: u64) -> Result<Newest, Error> {
    let name = object.to_string();
    let wanted = Selection::Where(Box::new(move |entry| entry.object == name));
    let after = After { data: object.clone(), skip, before: 0, newest: Fingerprinter::new(true) };
    let after = package.read(wanted, after).await?;
    Ok(Newest { fingerprint: after.newest.value(), before: after.before })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::rawdoc;

    #[test]
    fn only_what_did_not_fit_may_be_missing() {
        let newest = Newest { fingerprint: Fingerprint { rows: 10, bytes: 4_000, hash: 1 }, before: 100 };
        assert!(newest.fill(&rawdoc! { "capped": true, "size": 4_096_i32 }));
        assert!(newest.fill(&rawdoc! { "capped": true, "size": 4_099.0 }));
        assert!(!newest.fill(&rawdoc! { "capped": true, "size": 4_100_i64 }), "it would have fitted");
        assert!(newest.fill(&rawdoc! { "capped": true, "size": 1_i64 << 40, "max": 10_i32 }));
        assert!(!newest.fill(&rawdoc! { "capped": true, "size": 1_i64 << 40, "max": 11_i32 }));
        assert!(!newest.fill(&rawdoc! { "capped": true }));
    }
}
