//! The oplog's entries as they concern a replay.

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use super::super::super::archive::Namespace;
use super::super::Error;

/// A transaction: the session's id as it stands in the entry, and the transaction's number.
pub(super) type Transaction = (Vec<u8>, i64);

/// One entry.
pub(super) enum Entry<'a> {
    /// Nothing to do: no-ops, and what the ends of transactions say is known already.
    Nothing,
    /// A change of one document.
    Crud(Crud<'a>),
    /// Several operations: a transaction, or a part of one.
    Operations {
        /// The transaction that it is only a part of: to be applied only if that ends well.
        part_of: Option<Transaction>,
        operations: Vec<&'a RawDocument>,
    },
    /// A command on a database.
    Command(Command<'a>),
}

/// A command on a database.
#[derive(Clone, Copy)]
pub(super) struct Command<'a> {
    pub(super) database: &'a str,
    pub(super) name: &'a str,
    pub(super) object: &'a RawDocument,
    /// The UUID of the collection that it is about.
    pub(super) uuid: Option<&'a [u8]>,
}

/// A change of one document.
pub(super) struct Crud<'a> {
    pub(super) namespace: Namespace,
    /// `i`, `u` or `d`.
    pub(super) kind: &'a str,
    /// The document, the change or the `_id`.
    pub(super) object: &'a RawDocument,
    /// Which document is changed.
    pub(super) which: Option<&'a RawDocument>,
    /// The collection's UUID.
    pub(super) uuid: Option<&'a [u8]>,
    /// Whether a deletion is of one document only.
    one: Option<bool>,
}

impl<'a> Crud<'a> {
    /// The full name of the view that a change of the list of views is about.
    pub(super) fn view(&self) -> Result<&'a str, Error> {
        let holder = self.which.unwrap_or(self.object);
        holder.get_str("_id").map_err(|error| Error::reply("a view in the oplog", error))
    }

    /// The operation for `applyOps`, on another namespace, without what belongs to the source: UUIDs, times, sessions.
    pub(super) fn operation(&self, to: &Namespace) -> RawDocumentBuf {
        let mut operation = RawDocumentBuf::new();
        operation.append(cstr!("op"), self.kind);
        operation.append(cstr!("ns"), to.to_string());
        operation.append(cstr!("o"), self.object.to_owned());
        if let Some(which) = self.which {
            operation.append(cstr!("o2"), which.to_owned());
        }
        if let Some(one) = self.one {
            operation.append(cstr!("b"), one);
        }
        operation
    }
}

fn bad(why: impl std::fmt::Display) -> Error {
    Error::reply("an entry of the oplog", why)
}

/// Reads an entry or one of a transaction's operations.
pub(super) fn read(entry: &RawDocument) -> Result<Entry<'_>, Error> {
    let kind = entry.get_str("op").map_err(bad)?;
    if !matches!(kind, "i" | "u" | "d" | "c") {
        // `n`, and the bookkeeping of record ids and keys in newer servers.
        return Ok(Entry::Nothing);
    }
    let object = entry.get_document("o").map_err(bad)?;
    let ns = entry.get_str("ns").map_err(bad)?;
    let uuid = entry.get_binary("ui").ok().map(|uuid| uuid.bytes);
    if kind != "c" {
        let namespace = Namespace::parse(ns).ok_or_else(|| bad(format!("namespace `{ns}`")))?;
        let which = match entry.get("o2").map_err(bad)? {
            Some(value) => Some(value.as_document().ok_or_else(|| bad("`o2` is no document"))?),
            None => None,
        };
        return Ok(Entry::Crud(Crud { namespace, kind, object, which, uuid, one: entry.get_bool("b").ok() }));
    }
    let (name, value) = first(object)?;
    if name == "applyOps" {
        let RawBsonRef::Array(array) = value else { return Err(bad("`applyOps` is no array")) };
        let operations = array.into_iter().map(|operation| {
            let operation = operation.map_err(bad)?;
            operation.as_document().ok_or_else(|| bad("an operation is no document"))
        });
        let whole = !flag(object, "partialTxn") && !flag(object, "prepare");
        let part_of = if whole { None } else { transaction(entry) };
        return Ok(Entry::Operations { part_of, operations: operations.collect::<Result<_, _>>()? });
    }
    if matches!(name, "commitTransaction" | "abortTransaction") {
        return Ok(Entry::Nothing);
    }
    let database = ns.split_once('.').map_or(ns, |(database, _)| database);
    Ok(Entry::Command(Command { database, name, object, uuid }))
}

/// The transaction of several entries that this entry ends well, if it does.
pub(super) fn ends(entry: &RawDocument) -> Result<Option<Transaction>, Error> {
    if !entry.get_str("op").is_ok_and(|op| op == "c") {
        return Ok(None);
    }
    let object = entry.get_document("o").map_err(bad)?;
    let ends = match first(object)?.0 {
        "commitTransaction" => true,
        "applyOps" => {
            let before = entry.get_document("prevOpTime").and_then(|time| time.get_timestamp("ts"));
            let has_parts = before.is_ok_and(|before| before.time > 0);
            has_parts && !flag(object, "partialTxn") && !flag(object, "prepare")
        }
        _ => false,
    };
    Ok(if ends { transaction(entry) } else { None })
}

fn transaction(entry: &RawDocument) -> Option<Transaction> {
    let session = entry.get_document("lsid").ok()?.as_bytes().to_vec();
    Some((session, entry.get_i64("txnNumber").ok()?))
}

fn flag(object: &RawDocument, name: &str) -> bool {
    object.get_bool(name).unwrap_or_default()
}

/// The old and the new name, if the command renames a collection.
pub(super) fn renames(command: &Command<'_>) -> Result<Option<(Namespace, Namespace)>, Error> {
    let (name, RawBsonRef::String(from)) = first(command.object)? else { return Ok(None) };
    if name != "renameCollection" {
        return Ok(None);
    }
    let to = command.object.get_str("to").map_err(bad)?;
    let parse = |name: &str| Namespace::parse(name).ok_or_else(|| bad(format!("namespace `{name}`")));
    Ok(Some((parse(from)?, parse(to)?)))
}

/// The first field: a command's name and what it is about.
pub(super) fn first(object: &RawDocument) -> Result<(&str, RawBsonRef<'_>), Error> {
    let first = object.into_iter().next().ok_or_else(|| bad("an empty command"))?.map_err(bad)?;
    Ok((first.0.as_str(), first.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{Timestamp, rawdoc};

    fn applied(flags: &RawDocument, prev: u32) -> RawDocumentBuf {
        let mut object = rawdoc! { "applyOps": [{ "op": "d", "ns": "a.b", "o": { "_id": 1_i32 } }] };
        for element in flags {
            let (key, value) = element.unwrap();
            object.append(key, value);
        }
        rawdoc! {
            "op": "c", "ns": "admin.$cmd", "o": object, "lsid": { "id": 1_i32 }, "txnNumber": 7_i64,
            "prevOpTime": { "ts": Timestamp { time: prev, increment: 1 }, "t": 1_i64 },
        }
    }

    #[test]
    fn parts_wait_for_their_transactions_end() {
        for flags in [rawdoc! { "partialTxn": true }, rawdoc! { "prepare": true }] {
            let part = applied(&flags, 0);
            assert!(matches!(read(&part).unwrap(), Entry::Operations { part_of: Some((_, 7)), .. }));
            assert_eq!(ends(&part).unwrap(), None);
        }
        let last = applied(&rawdoc! {}, 5);
        assert!(matches!(read(&last).unwrap(), Entry::Operations { part_of: None, .. }));
        assert!(ends(&last).unwrap().is_some());
        let alone = applied(&rawdoc! {}, 0);
        assert!(ends(&alone).unwrap().is_none(), "needs no second entry");
        let commit = rawdoc! {
            "op": "c", "ns": "admin.$cmd", "o": { "commitTransaction": 1_i32 }, "lsid": { "id": 1_i32 },
            "txnNumber": 7_i64,
        };
        assert_eq!(ends(&commit).unwrap(), ends(&last).unwrap());
        let abort = rawdoc! {
            "op": "c", "ns": "admin.$cmd", "o": { "abortTransaction": 1_i32 }, "lsid": { "id": 1_i32 },
            "txnNumber": 7_i64,
        };
        assert_eq!(ends(&abort).unwrap(), None);
    }

    #[test]
    fn what_belongs_to_the_source_is_left_out() {
        let entry = rawdoc! {
            "op": "u", "ns": "a.b", "ui": 1_i32, "o": { "$v": 2_i32 }, "o2": { "_id": 1_i32 }, "ts": 1_i32,
            "lsid": {}, "stmtId": 0_i32,
        };
        let Entry::Crud(crud) = read(&entry).unwrap() else { panic!("an update") };
        let expected = rawdoc! { "op": "u", "ns": "x.y", "o": { "$v": 2_i32 }, "o2": { "_id": 1_i32 } };
        assert_eq!(crud.operation(&Namespace::new("x", "y")), expected);
    }
}
