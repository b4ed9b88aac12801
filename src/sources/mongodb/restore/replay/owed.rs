//! Documents that the target has not as the source had them, because the slice is to settle them.
//!
//! A document that was there when the slice begins, and was deleted before its collection was read, is in no package:
//! changes of it find nothing. One that was deleted and inserted again may be in the package as it was before, or twice.
//! Only a deletion, or the insertion of another with the same `_id`, makes that right, and it is later in the slice.
//! What is still owed at its end is lost, and fails the restore.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::super::super::archive::Namespace;
use super::super::super::element;
use super::super::Error;

/// Documents by their collections in the target, as their `_id`s alone.
///
/// A few bytes for each: they are those that were deleted within the slice after something else, and only between the
/// two.
#[derive(Debug, Default)]
pub(in super::super) struct Owed {
    documents: BTreeMap<Namespace, BTreeSet<Vec<u8>>>,
}

impl Owed {
    /// Notes that the slice must settle a document.
    pub(in super::super) fn note(
        &mut self,
        namespace: Namespace,
        document: &RawDocument,
    ) -> Result<(), Error> {
        self.documents.entry(namespace).or_default().insert(id(document)?);
        Ok(())
    }

    /// Takes what else is owed.
    pub(in super::super) fn merge(&mut self, other: Self) {
        for (namespace, documents) in other.documents {
            self.documents.entry(namespace).or_default().extend(documents);
        }
    }

    /// A document was inserted or deleted: whatever it lacked is settled.
    fn settle(&mut self, namespace: &Namespace, document: &RawDocument) -> Result<(), Error> {
        if let Some(documents) = self.documents.get_mut(namespace) {
            documents.remove(&id(document)?);
        }
        Ok(())
    }

    /// A collection was dropped, and its documents with it.
    pub(super) fn dropped(&mut self, namespace: &Namespace) {
        self.documents.remove(namespace);
    }

    /// A collection was renamed over another, if there was one.
    pub(super) fn renamed(&mut self, from: &Namespace, to: &Namespace) {
        self.documents.remove(to);
        if let Some(documents) = self.documents.remove(from) {
            self.documents.insert(to.clone(), documents);
        }
    }

    /// Follows an operation, as it was given to the target, of which the target says whether it was `applied`.
    ///
    /// An update fails if its document is not there. Of a capped collection that is no loss: what is not there has
    /// given way to newer documents, in the source as well, whose older versions do not log it.
    pub(super) fn follow(
        &mut self,
        operation: &RawDocument,
        applied: bool,
        capped: impl Fn(&Namespace) -> bool,
    ) -> Result<(), Error> {
        if applied && self.documents.is_empty() {
            return Ok(());
        }
        let bad = |error| Error::reply("an operation of the oplog", error);
        let ns = operation.get_str("ns").map_err(bad)?;
        let namespace = Namespace::parse(ns).ok_or_else(|| Error::reply("an operation of the oplog", ns))?;
        match (operation.get_str("op").map_err(bad)?, applied) {
            ("u", false) if capped(&namespace) => Ok(()),
            ("u", false) => self.note(namespace, operation.get_document("o2").map_err(bad)?),
            ("i" | "d", true) => self.settle(&namespace, operation.get_document("o").map_err(bad)?),
            (_, true) => Ok(()),
            (kind, false) => {
                Err(Error::Replay(format!("the target refuses an operation `{kind}` on `{ns}`")))
            }
        }
    }

    /// Fails if a document is still owed.
    pub(super) fn nothing_left(&self) -> Result<(), Error> {
        let count: usize = self.documents.values().map(BTreeSet::len).sum();
        let first = self.documents.iter().find_map(|(namespace, ids)| Some((namespace, ids.first()?)));
        let Some((namespace, id)) = first else { return Ok(()) };
        let id = RawDocumentBuf::from_bytes(id.clone()).map_err(|error| Error::reply("an `_id`", error))?;
        Err(Error::Replay(format!(
            "{count} documents were changed and not dumped, or dumped twice, and neither inserted nor deleted later, first {id:?} of `{namespace}`"
        )))
    }
}

/// The operation that removes a document, if it is there.
pub(super) fn removal(namespace: &Namespace, document: &RawDocument) -> Result<RawDocumentBuf, Error> {
    let id = RawDocumentBuf::from_bytes(id(document)?).map_err(|error| Error::reply("an `_id`", error))?;
    Ok(rawdoc! { "op": "d", "ns": namespace.to_string(), "o": id })
}

/// A document's `_id`, as the bytes of a document that has nothing else.
fn id(document: &RawDocument) -> Result<Vec<u8>, Error> {
    const WHAT: &str = "an operation of the oplog";
    let id = element::elements(document).flatten().find(|element| element.key == b"_id");
    let id = id.ok_or_else(|| Error::reply(WHAT, "it names no `_id`"))?;
    element::document([id]).map(RawDocumentBuf::into_bytes).map_err(|error| Error::reply(WHAT, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: fn(&Namespace) -> bool = |_| false;

    fn update(id: i32) -> RawDocumentBuf {
        rawdoc! { "op": "u", "ns": "a.b", "o": { "$v": 2_i32 }, "o2": { "shard": 1_i32, "_id": id } }
    }

    fn missed() -> Owed {
        let mut owed = Owed::default();
        owed.follow(&update(1), false, NEVER).unwrap();
        owed
    }

    #[test]
    fn a_missed_document_must_go_or_come() {
        let lost = missed().nothing_left().unwrap_err().to_string();
        assert!(lost.contains("1 documents were changed and not dumped"), "{lost}");
        for settling in ["i", "d"] {
            let mut owed = missed();
            let other = rawdoc! { "op": settling, "ns": "a.b", "o": { "_id": 2_i32 } };
            owed.follow(&other, true, NEVER).unwrap();
            assert!(owed.nothing_left().is_err(), "of another document");
            let elsewhere = rawdoc! { "op": settling, "ns": "a.c", "o": { "_id": 1_i32 } };
            owed.follow(&elsewhere, true, NEVER).unwrap();
            assert!(owed.nothing_left().is_err(), "of another collection");
            let own = rawdoc! { "op": settling, "ns": "a.b", "o": { "x": 5_i32, "_id": 1_i32 } };
            owed.follow(&own, true, NEVER).unwrap();
            owed.nothing_left().unwrap();
            // Only what comes after the change counts.
            owed.follow(&update(1), false, NEVER).unwrap();
            assert!(owed.nothing_left().is_err());
        }
    }

    #[test]
    fn it_goes_with_its_collection() {
        let (from, to) = (Namespace::new("a", "b"), Namespace::new("a", "c"));
        let mut owed = missed();
        owed.dropped(&from);
        owed.nothing_left().unwrap();
        let mut owed = missed();
        owed.renamed(&from, &to);
        owed.dropped(&from);
        assert!(owed.nothing_left().unwrap_err().to_string().contains("`a.c`"));
        owed.renamed(&from, &to);
        owed.nothing_left().unwrap();
    }

    #[test]
    fn only_changes_may_find_nothing() {
        for kind in ["i", "d"] {
            let operation = rawdoc! { "op": kind, "ns": "a.b", "o": { "_id": 1_i32 } };
            assert!(Owed::default().follow(&operation, false, NEVER).is_err());
        }
        let mut owed = Owed::default();
        owed.follow(&update(1), false, |_| true).unwrap();
        owed.nothing_left().unwrap();
    }
}
