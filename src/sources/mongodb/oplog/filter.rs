//! What of the oplog concerns a dump.

use std::collections::HashSet;

use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf, Timestamp, rawdoc};

use super::super::Error;
use super::super::archive::Namespace;
use super::super::connect::Member;
use super::{BATCH, LOCAL, OPLOG, command, logical};

/// The collection of a database's views, each as a document whose `_id` is the view's full name.
pub(in super::super) const VIEWS: &str = "system.views";

/// Which entries a slice keeps.
pub(in super::super) struct Filter<'a> {
    /// Whether a namespace is dumped.
    wanted: &'a (dyn Fn(&Namespace) -> bool + Sync),
    /// Everything is dumped: entries pass as they are.
    pub(super) all: bool,
    /// Collections, by their UUIDs, that take a name that is wanted: they are kept under whatever name.
    followed: HashSet<Vec<u8>>,
    /// The server's temporary collections that take a name that is not wanted.
    left_out: HashSet<Vec<u8>>,
}

impl<'a> Filter<'a> {
    /// A filter that keeps what is `wanted`, or everything as it is.
    pub(in super::super) fn new(wanted: &'a (dyn Fn(&Namespace) -> bool + Sync), all: bool) -> Self {
        Self { wanted, all, followed: HashSet::new(), left_out: HashSet::new() }
    }
}

impl Filter<'_> {
    /// Finds out which collections are renamed within the slice to names that are wanted. `$out`, `convertToCapped` and
    /// many users make a collection anew beside the old one and let it take its place.
    pub(super) async fn look_ahead(
        &mut self,
        member: &Member,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<(), Error> {
        if self.all {
            return Ok(());
        }
        let find = rawdoc! {
            "find": OPLOG,
            "filter": {
                "ts": { "$gte": start, "$lte": end }, "op": "c", "o.renameCollection": { "$exists": true },
            },
            "noCursorTimeout": true,
        };
        let mut batches = member.cursor(LOCAL, find, BATCH.unsigned_abs(), "read the oplog").await?;
        while let Some(batch) = batches.next().await? {
            for entry in batch.documents()? {
                self.renamed(entry?)?;
            }
        }
        self.left_out.retain(|uuid| !self.followed.contains(uuid));
        Ok(())
    }

    fn renamed(&mut self, entry: &RawDocument) -> Result<(), Error> {
        let reply = |error| Error::reply("read the oplog", error);
        let object = entry.get_document("o").map_err(reply)?;
        let from = object.get_str("renameCollection").map_err(reply)?;
        let to = object.get_str("to").map_err(reply)?;
        let uuid = entry.get_binary("ui").map_err(reply)?.bytes.to_vec();
        if self.has(to) {
            self.followed.insert(uuid);
        } else if is_temporary(from) {
            self.left_out.insert(uuid);
        }
        Ok(())
    }

    /// Whether a change of one document is kept: of a view's definition if the view is wanted.
    fn keeps_change(&self, entry: &RawDocument, ns: &str) -> Result<bool, Error> {
        if ns.split_once('.').is_none_or(|(_, collection)| collection != VIEWS) {
            return Ok(self.keeps(entry, ns));
        }
        let view = entry.get_document("o2").or_else(|_| entry.get_document("o"));
        let view = view.and_then(|view| view.get_str("_id"));
        Ok(self.has(view.map_err(|error| Error::reply("read the oplog", error))?))
    }

    /// Whether a change of a namespace is kept.
    fn keeps(&self, entry: &RawDocument, ns: &str) -> bool {
        let uuid = entry.get_binary("ui").map(|uuid| uuid.bytes).unwrap_or_default();
        self.followed.contains(uuid) || self.has(ns) && !self.left_out.contains(uuid)
    }

    /// The entry, or what of it concerns the dump; `None` if nothing does.
    pub(super) fn keep(&self, entry: &RawDocument) -> Result<Option<RawDocumentBuf>, Error> {
        if self.all {
            return Ok(Some(entry.to_owned()));
        }
        let what = "read the oplog";
        let operation = entry.get_str("op").map_err(|error| Error::reply(what, error))?;
        let ns = entry.get_str("ns").map_err(|error| Error::reply(what, error))?;
        match operation {
            "n" => Ok(None),
            "c" => self.command(entry, ns),
            _ => Ok(self.keeps_change(entry, ns)?.then(|| entry.to_owned())),
        }
    }

    pub(super) fn has(&self, ns: &str) -> bool {
        Namespace::parse(ns).is_some_and(|namespace| (self.wanted)(&logical(namespace)))
    }

    fn command(&self, entry: &RawDocument, ns: &str) -> Result<Option<RawDocumentBuf>, Error> {
        let Some((name, target)) = command(entry)? else { return Ok(None) };
        match (name, target) {
            ("applyOps", _) => self.transaction(entry).map(Some),
            // The end of a prepared transaction: harmless if none of its operations was kept.
            ("commitTransaction" | "abortTransaction", _) => Ok(Some(entry.to_owned())),
            ("renameCollection", RawBsonRef::String(from)) => {
                Ok(self.keeps(entry, from).then(|| entry.to_owned()))
            }
            (_, RawBsonRef::String(collection)) => {
                let database = ns.split_once('.').map_or(ns, |(database, _)| database);
                Ok(self.keeps(entry, &format!("{database}.{collection}")).then(|| entry.to_owned()))
            }
            // Of a whole database: each of its collections is dropped by an entry of its own before.
            _ => Ok(None),
        }
    }

    /// The entry with only those inner operations that concern the dump.
    fn transaction(&self, entry: &RawDocument) -> Result<RawDocumentBuf, Error> {
        rewrite(entry, &mut |inner| {
            let ns = inner.get_str("ns").map_err(|error| Error::reply("read the oplog", error))?;
            if inner.get_str("op").is_ok_and(|op| op == "c") {
                return self.command(inner, ns);
            }
            Ok(self.keeps_change(inner, ns)?.then(|| inner.to_owned()))
        })
    }
}

/// Copies an `applyOps` entry with its inner operations changed or left out.
fn rewrite(
    entry: &RawDocument,
    change: &mut dyn FnMut(&RawDocument) -> Result<Option<RawDocumentBuf>, Error>,
) -> Result<RawDocumentBuf, Error> {
    let reply = |error| Error::reply("read the oplog", error);
    let mut copy = RawDocumentBuf::new();
    for element in entry {
        let (key, value) = element.map_err(reply)?;
        let RawBsonRef::Document(object) = value else {
            copy.append(key, value);
            continue;
        };
        if key.as_str() != "o" {
            copy.append(key, value);
            continue;
        }
        let mut inner = RawDocumentBuf::new();
        for element in object {
            let (key, value) = element.map_err(reply)?;
            let (RawBsonRef::Array(operations), "applyOps") = (value, key.as_str()) else {
                inner.append(key, value);
                continue;
            };
            let mut kept = mongodb::bson::RawArrayBuf::new();
            for operation in operations {
                let operation = operation.map_err(reply)?;
                let operation = operation
                    .as_document()
                    .ok_or_else(|| Error::reply("read the oplog", "an operation is no document"))?;
                if let Some(operation) = change(operation)? {
                    kept.push(operation);
                }
            }
            inner.append(key, kept);
        }
        copy.append(key, inner);
    }
    Ok(copy)
}

/// Whether a namespace is one in which the server makes a collection before that takes its name.
pub(super) fn is_temporary(ns: &str) -> bool {
    let collection = ns.split_once('.').map_or(ns, |(_, collection)| collection);
    let (begin, rest) = collection.split_once('.').unwrap_or((collection, ""));
    match begin {
        "tmp" => rest.starts_with("agg_out.") || rest.starts_with("mr."),
        _ => {
            begin.starts_with("tmp")
                && (rest.starts_with("convertToCapped.") || rest.starts_with("renameCollection"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_judged_by_their_own_names() {
        let wanted = |namespace: &Namespace| ["v", VIEWS].contains(&namespace.collection.as_str());
        let filter = Filter::new(&wanted, false);
        let kept = |entry: &RawDocument| filter.keep(entry).unwrap().is_some();
        let views = "shop.system.views";
        for (name, expected) in [("shop.v", true), ("shop.secret", false)] {
            assert_eq!(kept(&rawdoc! { "op": "i", "ns": views, "o": { "_id": name } }), expected);
            assert_eq!(kept(&rawdoc! { "op": "d", "ns": views, "o": { "_id": name } }), expected);
            let changed = rawdoc! { "op": "u", "ns": views, "o": { "viewOn": "a" }, "o2": { "_id": name } };
            assert_eq!(kept(&changed), expected);
            let inner =
                filter.keep(&rawdoc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": [changed] } });
            let inner = inner.unwrap().unwrap();
            let inner = inner.get_document("o").and_then(|o| o.get_array("applyOps")).unwrap();
            assert_eq!(!inner.is_empty(), expected);
        }
        assert!(kept(&rawdoc! { "op": "c", "ns": "shop.$cmd", "o": { "drop": VIEWS } }));
        assert!(filter.keep(&rawdoc! { "op": "i", "ns": views, "o": {} }).is_err());
    }

    #[test]
    fn temporary_collections_are_the_servers_own() {
        for own in [
            "shop.tmp.agg_out.389c562b-000b-493c-93b8-2ac21f65e1f5",
            "shop.tmp.mr.orders_0",
            "shop.tmpNeAOf.convertToCapped.orders",
            "shop.tmpNeAOf.renameCollection",
        ] {
            assert!(is_temporary(own), "{own}");
        }
        for users in
            ["shop.tmp", "shop.tmp.orders", "tmp.agg_out.x", "shop.orders.tmp.agg_out.x", "shop.tmporders.x"]
        {
            assert!(!is_temporary(users), "{users}");
        }
    }
}
