//! Documents from the package into collections, in parallel unordered batches.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use futures_util::future::try_join_all;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};
use tokio::sync::mpsc;

use super::super::archive::{Checked, Event, Namespace, Reader};
use super::super::element;
use super::super::fingerprint::Fingerprinter;
use super::Error;
use super::contents::{Contents, OPLOG, PRELUDE};
use super::mapping::{Mapping, Piece};
use super::replay::Owed;
use super::target::Target;
use crate::package::digest::Fingerprint;
use crate::package::index;
use crate::package::member::Header;
use crate::package::open::VisitError;
use crate::package::{Package, Selection, Visitor};

/// Bytes of documents in one `insert`. One document may exceed it, never two.
const BATCH: usize = 2 << 20;
/// Documents in one `insert` at most; servers take 100,000.
const MOST_DOCUMENTS: usize = 20_000;

/// What was loaded.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) twice: Twice,
}

/// Documents that were left out, because another one with the same `_id` is there.
///
/// A scan can meet an `_id` twice: a document that it has read is deleted and inserted again, and stands ahead of it.
/// Deletion and insertion are then in the oplog's slice, which so decides what is there in the end; until it has, it
/// does not matter which of the two the target has. Without a slice only capped collections are scanned so, and what was
/// read first stays, as of any other collection.
#[derive(Debug, Default)]
pub(super) struct Twice {
    /// The fingerprints of what was left out, by the collections in the target.
    left_out: HashMap<Namespace, Fingerprinter>,
    /// The fingerprints of collections whose order matters: of all their documents, and of those that are there.
    ordered: HashMap<Namespace, (Fingerprinter, Fingerprinter)>,
    /// What the slice must settle.
    pub(super) owed: Owed,
}

/// The fingerprint of what is there when something was left out.
fn without(all: Fingerprint, left_out: Fingerprint) -> Fingerprint {
    Fingerprint {
        rows: all.rows.wrapping_sub(left_out.rows),
        bytes: all.bytes.wrapping_sub(left_out.bytes),
        hash: all.hash.wrapping_sub(left_out.hash),
    }
}

impl Twice {
    fn leave_out(&mut self, namespace: &Namespace, document: &RawDocument) -> Result<(), Error> {
        self.left_out.entry(namespace.clone()).or_default().add(document);
        self.owed.note(namespace.clone(), document)
    }

    /// Follows a batch of a collection whose order matters.
    fn in_order(&mut self, namespace: &Namespace, documents: &[&RawDocument], left_out: &HashSet<usize>) {
        let ordered = || (Fingerprinter::new(true), Fingerprinter::new(true));
        let (all, there) = self.ordered.entry(namespace.clone()).or_insert_with(ordered);
        for (number, document) in documents.iter().enumerate() {
            all.add(document);
            if !left_out.contains(&number) {
                there.add(document);
            }
        }
    }

    /// The fingerprint that a collection must have, of which this was dumped.
    pub(super) fn expected(&self, namespace: &Namespace, dumped: Fingerprint) -> Fingerprint {
        let Some(left_out) = self.left_out.get(namespace) else { return dumped };
        match self.ordered.get(namespace) {
            Some((all, there)) if all.value() == dumped => there.value(),
            Some(_) => dumped,
            None => without(dumped, left_out.value()),
        }
    }

    /// What is to be said of what no slice settles.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.left_out.iter().map(|(namespace, left_out)| {
            let count = left_out.value().rows;
            format!(
                "`{namespace}`: {count} documents were deleted and inserted again while they were read; they are as they \
                 were before"
            )
        })
    }

    fn merge(&mut self, other: Self) {
        for (namespace, left_out) in other.left_out {
            self.left_out.entry(namespace).or_default().merge(&left_out);
        }
        // Each has one lane.
        self.ordered.extend(other.ordered);
        self.owed.merge(other.owed);
    }
}

/// Where the documents of a namespace go.
#[derive(Debug, Clone)]
struct Route {
    to: Arc<Namespace>,
    /// The lane of a collection whose order matters; the others' batches take any.
    lane: Option<usize>,
}

/// Documents on their way to one collection.
#[derive(Debug)]
struct Batch {
    to: Arc<Namespace>,
    ordered: bool,
    documents: Vec<u8>,
    count: usize,
}

/// Reads members and deals their documents out.
struct Loader {
    routes: HashMap<Namespace, Route>,
    checked: Checked,
    lanes: Vec<mpsc::Sender<Batch>>,
    next: usize,
    loaded: Loaded,
}

impl Visitor for Loader {
    fn member(&mut self, entry: &index::Entry, _: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        if entry.object == PRELUDE || entry.object == OPLOG {
            return Ok(());
        }
        let mut reader = Reader::after_prelude();
        let mut batch: Option<(Route, Batch)> = None;
        while let Some(event) = reader.next(content)? {
            let (namespace, document) = match event {
                Event::Document(namespace, document) => (namespace, document),
                Event::End(namespace, crc) => {
                    if self.routes.contains_key(namespace) {
                        self.checked.end(namespace, crc)?;
                    }
                    continue;
                }
                _ => return Err("a prelude among the data".into()),
            };
            // What is not restored is not looked at; its members' digests are checked all the same.
            let Some(route) = self.routes.get(namespace) else { return Ok(()) };
            self.checked.document(namespace, document)?;
            let size = document.as_bytes().len();
            let full = batch.as_ref().is_some_and(|(_, batch)| {
                batch.documents.len() + size > BATCH || batch.count == MOST_DOCUMENTS || batch.to != route.to
            });
            let route = route.clone();
            if full {
                self.send(&mut batch)?;
            }
            let (_, filling) = batch.get_or_insert_with(|| {
                let ordered = route.lane.is_some();
                (
                    route.clone(),
                    Batch { to: route.to, ordered, documents: Vec::with_capacity(BATCH), count: 0 },
                )
            });
            filling.documents.extend_from_slice(document.as_bytes());
            filling.count += 1;
        }
        self.send(&mut batch)?;
        Ok(reader.finish()?)
    }
}

impl Loader {
    fn send(&mut self, batch: &mut Option<(Route, Batch)>) -> Result<(), VisitError> {
        let Some((route, batch)) = batch.take() else { return Ok(()) };
        self.loaded.documents += batch.count as u64;
        self.loaded.bytes += batch.documents.len() as u64;
        self.next += 1;
        let lane = route.lane.unwrap_or(self.next) % self.lanes.len();
        self.lanes[lane].blocking_send(batch).map_err(|_| "the target takes no more".into())
    }
}

/// Loads all documents that are restored.
pub(super) async fn load(
    package: &Package,
    contents: &Contents,
    pieces: &[Piece],
    mapping: &Mapping,
    target: &Target,
    parallel: usize,
) -> Result<Loaded, Error> {
    let (lanes, workers): (Vec<_>, Vec<_>) = (0..parallel.max(1))
        .map(|_| {
            let (send, receive) = mpsc::channel(1);
            (send, insert_all(target, receive, contents.has_oplog()))
        })
        .unzip();
    let mut loader = Loader {
        routes: HashMap::new(),
        checked: Checked::default(),
        lanes,
        next: 0,
        loaded: Loaded::default(),
    };
    let ordered: HashMap<Namespace, usize> = pieces
        .iter()
        .enumerate()
        .filter(|(_, p)| p.ordered())
        .map(|(lane, p)| (p.data_from(), lane))
        .collect();
    for entry in &contents.entries {
        let from = entry.data();
        if let Some(to) = mapping.documents(&from) {
            let lane = ordered.get(&from).copied();
            loader.checked.expect(from.clone());
            loader.routes.insert(from, Route { to: Arc::new(to), lane });
        }
    }
    let objects: Vec<String> = pieces.iter().map(|piece| piece.from.to_string()).collect();
    let selection = if mapping.is_all() {
        Selection::All
    } else {
        Selection::Where(Box::new(move |entry| objects.contains(&entry.object)))
    };
    let reading = async {
        let loader = package.read(selection, loader).await?;
        loader.checked.finish()?;
        // The lanes end here, and with them the workers.
        Ok::<_, Error>(loader.loaded)
    };
    let writing = try_join_all(workers);
    tokio::pin!(reading, writing);
    // A worker that failed is the cause: whoever waits for its lane is given up at once.
    tokio::select! {
        biased;
        written = &mut writing => {
            let twice = written?;
            Ok(reading.await?.without(twice))
        }
        read = &mut reading => {
            let twice = writing.await?;
            Ok(read?.without(twice))
        }
    }
}

impl Loaded {
    fn without(mut self, left_out: Vec<Twice>) -> Self {
        for twice in left_out {
            self.twice.merge(twice);
        }
        for left_out in self.twice.left_out.values() {
            self.documents -= left_out.value().rows.min(self.documents);
            self.bytes -= left_out.value().bytes.min(self.bytes);
        }
        self
    }
}

async fn insert_all(
    target: &Target,
    mut batches: mpsc::Receiver<Batch>,
    settled_later: bool,
) -> Result<Twice, Error> {
    let mut twice = Twice::default();
    while let Some(batch) = batches.recv().await {
        let may_repeat = settled_later || batch.ordered;
        insert(target, batch, may_repeat.then_some(&mut twice)).await?;
    }
    Ok(twice)
}

/// Inserts one batch; every document or an error. With a `twice` those are left out whose `_id` is there.
async fn insert(target: &Target, batch: Batch, mut twice: Option<&mut Twice>) -> Result<(), Error> {
    let what = format!("insert into `{}`", batch.to);
    let mut documents = RawArrayBuf::new();
    let mut each = Vec::with_capacity(batch.count);
    let mut rest = batch.documents.as_slice();
    while !rest.is_empty() {
        let (document, more) = split_first(rest).ok_or_else(|| Error::reply(what.as_str(), "not BSON"))?;
        documents.push(document);
        each.push(document);
        rest = more;
    }
    let mut command = rawdoc! {
        "insert": batch.to.collection.as_str(),
        // What comes after a document that is left out is inserted too, by a server one after the other all the same.
        "ordered": batch.ordered && twice.is_none(),
        "bypassDocumentValidation": true,
    };
    command.append(cstr!("documents"), documents);
    let reply = target.run(&batch.to.database, command, &what).await?;
    let mut left_out = HashSet::new();
    if let Ok(errors) = reply.get_array("writeErrors") {
        let there: Option<HashSet<usize>> = errors.iter().map(already_there).collect();
        let (Some(there), Some(twice)) = (there, twice.as_mut()) else {
            let first = errors.first().map(ToString::to_string).unwrap_or_default();
            return Err(Error::reply(
                what,
                format!("{} documents were refused, first {first}", errors.len()),
            ));
        };
        for document in there.iter().filter_map(|number| each.get(*number)) {
            twice.leave_out(&batch.to, document)?;
        }
        left_out = there;
    }
    if let (true, Some(twice)) = (batch.ordered, twice) {
        twice.in_order(&batch.to, &each, &left_out);
    }
    let inserted = reply.get_i32("n").map_err(|error| Error::reply(what.as_str(), error))?;
    if usize::try_from(inserted).ok().and_then(|n| n.checked_add(left_out.len())) != Some(batch.count) {
        return Err(Error::reply(what, format!("{inserted} of {} documents were inserted", batch.count)));
    }
    for (_, document) in each.iter().enumerate().filter(|(number, _)| !left_out.contains(number)) {
        if let Some(fix) = without_loss(&batch.to, document)? {
            target.apply(fix).await?;
        }
    }
    Ok(())
}

/// Which document of a batch was refused because its `_id` is there, if that is what the error says.
fn already_there(error: &Bson) -> Option<usize> {
    let error = error.as_document()?;
    // DuplicateKey.
    let by_id = error.get_i32("code").is_ok_and(|code| code == 11_000)
        && error.get_document("keyPattern").ok()?.keys().eq(["_id"]);
    usize::try_from(error.get_i32("index").ok()?).ok().filter(|_| by_id)
}

fn split_first(bytes: &[u8]) -> Option<(&RawDocument, &[u8])> {
    let length = bytes.first_chunk::<4>().map(|length| i32::from_le_bytes(*length))?;
    let (first, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    Some((RawDocument::from_bytes(first).ok()?, rest))
}

/// The operation that puts timestamps of zero back, if the document has some at its top: a server replaces these in
/// whatever is inserted by the present time, but not in an update by difference.
pub(super) fn without_loss(
    namespace: &Namespace,
    document: &RawDocument,
) -> Result<Option<RawDocumentBuf>, Error> {
    let bad = |why: &dyn std::fmt::Display| Error::reply(format!("a document of `{namespace}`"), why);
    let (mut id, mut zeroes) = (None, Vec::new());
    for element in element::elements(document) {
        let element = element.ok_or_else(|| bad(&"not BSON"))?;
        if element.key == b"_id" {
            id = Some(element);
        } else if element.kind == element::TIMESTAMP && element.value == [0; 8] {
            zeroes.push(element);
        }
    }
    let (Some(id), false) = (id, zeroes.is_empty()) else { return Ok(None) };
    let zeroes = element::document(zeroes).map_err(|error| bad(&error))?;
    let which = element::document([id]).map_err(|error| bad(&error))?;
    Ok(Some(rawdoc! {
        "op": "u",
        "ns": namespace.to_string(),
        "o": { "$v": 2_i32, "diff": { "u": zeroes } },
        "o2": which,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::bson;

    #[test]
    fn timestamps_of_zero_are_put_back_whatever_their_names() {
        // `_id` and the key are `caf` and a byte that is not UTF-8.
        let odd = b"\x02_id\0\x05\0\0\0caf\xe9\0\x11caf\xe9\0\0\0\0\0\0\0\0\0\x10x\0\x01\0\0\0";
        let of = |fields: &[u8]| {
            let length = u32::try_from(fields.len() + 5).unwrap().to_le_bytes();
            RawDocumentBuf::from_bytes([length.as_slice(), fields, &[0]].concat()).unwrap()
        };
        let fix = without_loss(&Namespace::new("a", "b"), &of(odd)).unwrap().unwrap();
        assert_eq!(fix.get_document("o2").unwrap(), &*of(&odd[..14]));
        let changed = fix.get_document("o").and_then(|o| o.get_document("diff")?.get_document("u"));
        assert_eq!(changed.unwrap(), &*of(&odd[14..28]));
        assert_eq!(without_loss(&Namespace::new("a", "b"), &of(&odd[..14])).unwrap(), None);
    }

    #[test]
    fn only_a_second_document_with_the_same_id_may_be_left_out() {
        let by_id =
            bson!({ "index": 7, "code": 11_000, "keyPattern": { "_id": 1 }, "keyValue": { "_id": 0 } });
        assert_eq!(already_there(&by_id), Some(7));
        for other in [
            bson!({ "index": 7, "code": 11_000, "keyPattern": { "place": 1 } }),
            bson!({ "index": 7, "code": 11_000, "keyPattern": { "_id": 1, "place": 1 } }),
            bson!({ "index": 7, "code": 11_000 }),
            bson!({ "index": 7, "code": 121, "keyPattern": { "_id": 1 } }),
        ] {
            assert_eq!(already_there(&other), None, "{other}");
        }
    }
}
