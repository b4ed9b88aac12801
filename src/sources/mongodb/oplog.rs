//! The slice of the oplog that makes a dump consistent: everything written while the collections were read.
//!
//! The slice begins at or before the oldest operation that a reader may have missed, and ends at the newest that one
//! may have seen. Every entry may be replayed on a state that already contains it, so it does not matter which. Only a
//! change of a document finds nothing if that was deleted before its collection was read; the deletion is then later in
//! the slice, and whoever replays it must see that it is.

mod filter;

use std::collections::HashSet;

use mongodb::bson::{RawArrayBuf, RawBsonRef, RawDocument, Timestamp, rawdoc};

use super::Error;
use super::archive::Namespace;
use super::collection::{SEGMENT, Stream};
use super::connect::Member;
use super::fingerprint::Fingerprinter;
use super::listing::OWN_DATABASES;
use crate::package::digest::Fingerprint;
use crate::package::outlet::Outlet;
use filter::is_temporary;
pub(super) use filter::{Filter, VIEWS};

const LOCAL: &str = "local";
const OPLOG: &str = "oplog.rs";
/// Documents of a reply; the server cuts a reply at 16 MiB anyway.
const BATCH: i32 = 5_000;
/// By how many seconds a slice may begin earlier than the dump.
const EARLIER: u32 = 3_600;

/// From where the slice must begin. To be asked before anything else of the dump is read.
///
/// The begin is the newest operation that a majority has: no hole can be before it, and this member has applied it.
/// A transaction that is under way then may have begun earlier, and shows its writes only at its end.
pub(super) async fn start(member: &Member) -> Result<Timestamp, Error> {
    const WHAT: &str = "read `config.transactions`";
    let newest = match member.unchanged().await?.majority {
        Some(majority) => majority,
        None => newest(member).await?,
    };
    let find = rawdoc! {
        "find": "transactions",
        "filter": { "state": { "$in": ["prepared", "inProgress"] } },
        "projection": { "startOpTime": 1_i32 },
    };
    let mut batches = member.cursor("config", find, 1_000, WHAT).await?;
    let mut start = newest;
    while let Some(batch) = batches.next().await? {
        for document in batch.documents()? {
            let begun = document?.get_document("startOpTime").and_then(|time| time.get_timestamp("ts"));
            start = start.min(begun.map_err(|error| Error::reply(WHAT, error))?);
        }
    }
    still_there(member, start).await?;
    Ok(start)
}

/// Fails unless the oplog still has the entry of this time.
pub(super) async fn still_there(member: &Member, start: Timestamp) -> Result<(), Error> {
    let find = rawdoc! { "find": OPLOG, "filter": { "ts": { "$gte": start } }, "limit": 1_i32 };
    let first = member.first(LOCAL, find, "read the oplog").await?;
    match first.map(|entry| time(&entry)).transpose()? {
        Some(first) if first == start => Ok(()),
        _ => Err(Error::OplogTooSmall { start: show(start) }),
    }
}

/// The time of the newest entry.
async fn newest(member: &Member) -> Result<Timestamp, Error> {
    let find = rawdoc! { "find": OPLOG, "sort": { "$natural": -1_i32 }, "limit": 1_i32 };
    let entry = member.first(LOCAL, find, "read the oplog").await?;
    time(&entry.ok_or_else(|| Error::reply("read the oplog", "it is empty"))?)
}

/// What a slice is.
#[derive(Debug)]
pub(super) struct Slice {
    /// The time of its first entry.
    pub(super) start: Timestamp,
    /// The time of its last.
    pub(super) end: Timestamp,
    /// The entries' fingerprint.
    pub(super) fingerprint: Fingerprint,
    /// What of the collections that were cut off has not been dropped, and has not given way to another.
    pub(super) cut: HashSet<String>,
}

/// Reads the slice from `start` to now and hands it over under the archive's namespace for it. Looks for the end of the
/// collections that were `cut` off while they were read, by their UUIDs in hexadecimal digits.
pub(super) async fn slice(
    member: &Member,
    start: Timestamp,
    stream: &Stream,
    filter: Filter<'_>,
    cut: HashSet<String>,
    outlet: &Outlet,
) -> Result<Slice, Error> {
    read(member, start, stream, filter, cut, outlet).await.map_err(|error| match error {
        // CappedPositionLost: the oplog's begin has overtaken the reader.
        Error::CursorLost { code: 136, .. } => Error::OplogTooSmall { start: show(start) },
        error => error,
    })
}

async fn read(
    member: &Member,
    start: Timestamp,
    stream: &Stream,
    mut filter: Filter<'_>,
    cut: HashSet<String>,
    outlet: &Outlet,
) -> Result<Slice, Error> {
    let end = newest(member).await?;
    let start = begin(member, start, end, &filter).await?;
    filter.look_ahead(member, start, end).await?;
    let find = rawdoc! {
        "find": OPLOG,
        "filter": { "ts": { "$gte": start, "$lte": end } },
        "batchSize": BATCH,
        "noCursorTimeout": true,
    };
    let mut batches = member.cursor(LOCAL, find, BATCH.unsigned_abs(), "read the oplog").await?;
    let mut watch = Watch { cut, ..Watch::default() };
    let mut fingerprint = Fingerprinter::new(true);
    let mut segment = stream.segment();
    let mut last = None;
    while let Some(batch) = batches.next().await? {
        for entry in batch.documents()? {
            let entry = entry?;
            let at = time(entry)?;
            in_order(start, last, at)?;
            last = Some(at);
            watch.entry(entry, &filter)?;
            let Some(kept) = filter.keep(entry)? else { continue };
            if !segment.documents().is_empty() && segment.documents().len() + kept.as_bytes().len() > SEGMENT
            {
                stream.hand_over(outlet, std::mem::replace(&mut segment, stream.segment())).await?;
            }
            fingerprint.add(&kept);
            segment.push(&kept);
        }
    }
    // A scan of the oplog that ends early has met entries that are not yet visible, or were rolled back.
    if last != Some(end) {
        let seen = last.map_or_else(|| "nothing".into(), show);
        return Err(Error::OplogGap(format!("it should end at {}, and {seen} was read last", show(end))));
    }
    if !segment.documents().is_empty() {
        stream.hand_over(outlet, segment).await?;
    }
    stream.fingerprinted(&fingerprint);
    still_there(member, start).await?;
    Ok(Slice { start, end, fingerprint: fingerprint.value(), cut: watch.cut })
}

/// From where the slice is read: earlier than `start` if what is renamed within it was made shortly before.
///
/// A replay can rename what the slice makes, and nothing else. Where `$out` runs all the time, some collection is always
/// being made, and will take another's name.
async fn begin(
    member: &Member,
    start: Timestamp,
    end: Timestamp,
    filter: &Filter<'_>,
) -> Result<Timestamp, Error> {
    let earliest = Timestamp { time: start.time.saturating_sub(EARLIER), increment: 0 };
    let mut begin = start;
    loop {
        let renamed = renamed(member, begin, end, filter).await?;
        if renamed.is_empty() {
            return Ok(begin);
        }
        let find = rawdoc! {
            "find": OPLOG,
            "filter": {
                "ts": { "$gte": earliest, "$lt": begin }, "op": "c", "o.create": { "$exists": true },
                "ui": { "$in": renamed },
            },
            "limit": 1_i32,
        };
        // Of what is there no more, or was made long before, the rename itself says that it cannot be repeated.
        let Some(made) = member.first(LOCAL, find, "read the oplog").await? else { return Ok(begin) };
        begin = time(&made)?;
    }
}

/// The collections that are dumped, by their UUIDs, that are renamed within a slice which has not made them.
async fn renamed(
    member: &Member,
    start: Timestamp,
    end: Timestamp,
    filter: &Filter<'_>,
) -> Result<RawArrayBuf, Error> {
    let find = rawdoc! {
        "find": OPLOG,
        "filter": {
            "ts": { "$gte": start, "$lte": end }, "op": "c",
            "$or": [{ "o.create": { "$exists": true } }, { "o.renameCollection": { "$exists": true } }],
        },
        "batchSize": BATCH,
        "noCursorTimeout": true,
    };
    let mut batches = member.cursor(LOCAL, find, BATCH.unsigned_abs(), "read the oplog").await?;
    let mut made: HashSet<Vec<u8>> = HashSet::new();
    let mut renamed = RawArrayBuf::new();
    while let Some(batch) = batches.next().await? {
        for entry in batch.documents()? {
            let entry = entry?;
            let Ok(uuid) = entry.get_binary("ui") else { continue };
            match command(entry)? {
                Some(("renameCollection", RawBsonRef::String(from))) => {
                    let to = entry.get_document("o").and_then(|o| o.get_str("to")).unwrap_or_default();
                    let wanted = filter.all || filter.has(from) || filter.has(to);
                    if wanted && !made.contains(uuid.bytes) {
                        renamed.push(uuid);
                    }
                }
                _ => {
                    made.insert(uuid.bytes.to_vec());
                }
            }
        }
    }
    Ok(renamed)
}

fn in_order(start: Timestamp, last: Option<Timestamp>, at: Timestamp) -> Result<(), Error> {
    match last {
        None if at == start => Ok(()),
        None => Err(Error::OplogTooSmall { start: show(start) }),
        Some(last) if last < at => Ok(()),
        Some(last) => Err(Error::OplogGap(format!("{} follows {}", show(at), show(last)))),
    }
}

/// The commands that a replay repeats, or knows to have no effect of their own, besides those that are looked at.
const REPEATED: [&str; 14] = [
    "dropDatabase",
    "createIndexes",
    "startIndexBuild",
    "commitIndexBuild",
    "abortIndexBuild",
    "dropIndexes",
    "deleteIndexes",
    "dropIndex",
    "deleteIndex",
    "applyOps",
    "commitTransaction",
    "abortTransaction",
    "dbCheck",
    "setMultikeyMetadata",
];

/// What a replay knows of an index to change.
const CHANGED: [&str; 7] =
    ["name", "keyPattern", "expireAfterSeconds", "hidden", "unique", "prepareUnique", "forceNonUnique"];

/// The kinds of entries that a replay repeats, or knows to be the server's own: no-ops, keys, and record ids.
const KINDS: [&str; 9] = ["i", "u", "d", "c", "n", "km", "ci", "cu", "cd"];

/// Looks out for what a replay could not repeat.
#[derive(Debug, Default)]
struct Watch {
    /// Collections created within the slice, by UUID: all their documents are in it.
    created: HashSet<Vec<u8>>,
    /// Collections that were cut off while they were read, by UUID, and whose end has not come.
    cut: HashSet<String>,
}

impl Watch {
    fn entry(&mut self, entry: &RawDocument, filter: &Filter<'_>) -> Result<(), Error> {
        match entry.get_str("op").map_err(|error| Error::reply("read the oplog", error))? {
            "c" => {}
            kind if KINDS.contains(&kind) => return Self::version(entry, filter),
            kind => {
                return Err(Error::Unrepeatable {
                    what: format!("an entry of the kind `{kind}` was written"),
                });
            }
        }
        let Some((name, target)) = command(entry)? else { return Ok(()) };
        let uuid = entry.get_binary("ui").map(|uuid| uuid.bytes.to_vec());
        match (name, target) {
            ("create", _) => {
                self.created.extend(uuid);
                Ok(())
            }
            ("drop", _) => {
                self.ended(uuid.unwrap_or_default());
                Ok(())
            }
            ("renameCollection", RawBsonRef::String(from)) => {
                let to = entry.get_document("o").and_then(|o| o.get_str("to")).unwrap_or_default();
                let rebuilt = uuid.is_ok_and(|uuid| self.created.contains(&uuid));
                let (leaves, comes) = (filter.all || filter.has(from), filter.all || filter.has(to));
                let over = entry.get_document("o").and_then(|o| o.get_binary("dropTarget"));
                self.ended(over.map(|over| over.bytes.to_vec()).unwrap_or_default());
                // What was created within the slice is replayed whole, but must not end where nothing is wanted. All
                // else may have been read under neither name.
                if !leaves && !comes || rebuilt && (comes || is_temporary(from)) {
                    return Ok(());
                }
                Err(Error::Unrepeatable { what: format!("`{from}` was renamed to `{to}`") })
            }
            ("importCollection", _) => Err(Error::Unrepeatable { what: "a collection was imported".into() }),
            ("collMod", _) => match unknown_change(entry)? {
                Some(option) if !is_own(entry) && filter.keep(entry)?.is_some() => Err(Error::Unrepeatable {
                    what: format!("an index was changed by the option `{option}`, which is not known,"),
                }),
                _ => Ok(()),
            },
            (name, _) if REPEATED.contains(&name) || is_own(entry) || filter.keep(entry)?.is_none() => Ok(()),
            // Better told now than when the package is needed.
            (name, _) => Err(Error::Unrepeatable { what: format!("the command `{name}` was run") }),
        }
    }

    /// A collection was dropped, or gave way to another.
    fn ended(&mut self, uuid: Vec<u8>) {
        if !self.cut.is_empty() {
            self.cut.remove(&hex::encode(uuid));
        }
    }

    /// A change of the feature compatibility version changes how everything else is written. With the first user or role
    /// the server notes the schema of users in the same collection: a dump of users that listed none has no place for
    /// them.
    fn version(entry: &RawDocument, filter: &Filter<'_>) -> Result<(), Error> {
        let changed = entry.get_str("ns").is_ok_and(|ns| ns == "admin.system.version")
            && !entry.get_str("op").is_ok_and(|op| op == "n");
        if !changed {
            return Ok(());
        }
        let which = entry.get_document("o2").or_else(|_| entry.get_document("o"));
        let what = match which.and_then(|which| which.get_str("_id")) {
            Ok("authSchema") if !filter.has("admin.system.users") => return Ok(()),
            Ok("authSchema") => "the first user or role of the deployment was made",
            _ => "`admin.system.version` changed (the server was upgraded or downgraded)",
        };
        Err(Error::Unrepeatable { what: what.into() })
    }
}

/// What a changed collection says of an index that no replay knows, if anything.
fn unknown_change(entry: &RawDocument) -> Result<Option<&str>, Error> {
    let Ok(index) = entry.get_document("o").and_then(|object| object.get_document("index")) else {
        return Ok(None);
    };
    for element in index {
        let (option, _) = element.map_err(|error| Error::reply("read the oplog", error))?;
        if !CHANGED.contains(&option.as_str()) {
            return Ok(Some(option.as_str()));
        }
    }
    Ok(None)
}

/// Whether an entry is of a database that is the deployment's own, and restored in no case.
fn is_own(entry: &RawDocument) -> bool {
    let namespace = entry.get_str("ns").ok().and_then(Namespace::parse);
    namespace.is_some_and(|namespace| OWN_DATABASES.contains(&namespace.database.as_str()))
}

/// The name of an entry's command and what it is about.
fn command(entry: &RawDocument) -> Result<Option<(&str, RawBsonRef<'_>)>, Error> {
    let object = entry.get_document("o").map_err(|error| Error::reply("read the oplog", error))?;
    let first = object.into_iter().next().transpose();
    let first = first.map_err(|error| Error::reply("read the oplog", error))?;
    Ok(first.map(|(name, target)| (name.as_str(), target)))
}

/// The namespace as users know it: a time series for its buckets.
fn logical(namespace: Namespace) -> Namespace {
    match namespace.collection.strip_prefix("system.buckets.") {
        Some(name) => Namespace::new(&namespace.database, name),
        None => namespace,
    }
}

fn time(entry: &RawDocument) -> Result<Timestamp, Error> {
    entry.get_timestamp("ts").map_err(|error| Error::reply("read the oplog", error))
}

/// A cluster time as tools write it: `seconds:increment`.
pub(super) fn show(at: Timestamp) -> String {
    format!("{}:{}", at.time, at.increment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(entry: &RawDocument, all: bool) -> Result<(), Error> {
        let shop = |namespace: &Namespace| namespace.database == "shop";
        Watch::default().entry(entry, &Filter::new(&shop, all))
    }

    #[test]
    fn what_a_replay_does_not_know_ends_the_dump() {
        let command = |ns: &str, name: &str| {
            let mut object = mongodb::bson::RawDocumentBuf::new();
            object.append(mongodb::bson::raw::CString::try_from(name.to_owned()).unwrap(), "a");
            rawdoc! { "op": "c", "ns": ns, "o": object }
        };
        for all in [true, false] {
            assert!(watched(&command("shop.$cmd", "createIndexes"), all).is_ok());
            assert!(watched(&command("config.$cmd", "later"), all).is_ok(), "restored in no case");
            let error = watched(&command("shop.$cmd", "later"), all).unwrap_err().to_string();
            assert!(error.starts_with("the command `later` was run during the dump"), "{error}");
            assert!(watched(&rawdoc! { "op": "n", "ns": "", "o": {} }, all).is_ok());
            let error =
                watched(&rawdoc! { "op": "x", "ns": "shop.a", "o": {} }, all).unwrap_err().to_string();
            assert!(error.starts_with("an entry of the kind `x` was written during the dump"), "{error}");
        }
        let change = |ns: &str, option: &str| {
            let mut index = rawdoc! { "name": "a_1" };
            index.append(mongodb::bson::raw::CString::try_from(option.to_owned()).unwrap(), true);
            rawdoc! { "op": "c", "ns": ns, "o": { "collMod": "a", "index": index } }
        };
        for all in [true, false] {
            assert!(watched(&change("shop.$cmd", "forceNonUnique"), all).is_ok());
            assert!(watched(&change("config.$cmd", "later"), all).is_ok());
            let error = watched(&change("shop.$cmd", "later"), all).unwrap_err().to_string();
            assert!(error.starts_with("an index was changed by the option `later`"), "{error}");
        }
        assert!(watched(&change("blog.$cmd", "later"), false).is_ok(), "not dumped");
        assert!(watched(&command("blog.$cmd", "later"), false).is_ok(), "not dumped");
        assert!(watched(&command("blog.$cmd", "later"), true).is_err());
    }

    #[test]
    fn the_first_user_is_no_upgrade() {
        let said = |entry: &RawDocument, users: bool| {
            let wanted = |namespace: &Namespace| users || namespace.database == "shop";
            Watch::default().entry(entry, &Filter::new(&wanted, users)).map_err(|error| error.to_string())
        };
        let version = |op: &str, which: &str| rawdoc! { "op": op, "ns": "admin.system.version", "o": {}, "o2": { "_id": which } };
        for users in [true, false] {
            let upgraded = said(&version("u", "featureCompatibilityVersion"), users).unwrap_err();
            assert!(upgraded.contains("upgraded or downgraded"), "{upgraded}");
        }
        let first = said(&version("i", "authSchema"), true).unwrap_err();
        assert!(first.starts_with("the first user or role of the deployment was made"), "{first}");
        said(&version("i", "authSchema"), false).unwrap();
    }

    #[test]
    fn what_was_cut_off_must_be_dropped_or_give_way() {
        let uuid = |byte: u8| mongodb::bson::Binary { subtype: 4.into(), bytes: vec![byte; 16] };
        let all = |_: &Namespace| true;
        let filter = Filter::new(&all, true);
        let cut = [1_u8, 2, 3].map(|byte| hex::encode([byte; 16]));
        let mut watch = Watch { cut: HashSet::from(cut), ..Watch::default() };
        let entry = |ui: u8, object: mongodb::bson::RawDocumentBuf| rawdoc! { "op": "c", "ns": "a.$cmd", "ui": uuid(ui), "o": object };
        watch.entry(&entry(1, rawdoc! { "drop": "x" }), &filter).unwrap();
        watch.entry(&entry(2, rawdoc! { "create": "y" }), &filter).unwrap();
        let renamed = rawdoc! { "renameCollection": "a.y", "to": "a.z", "dropTarget": uuid(3) };
        watch.entry(&entry(2, renamed), &filter).unwrap();
        assert_eq!(watch.cut, HashSet::from([hex::encode([2_u8; 16])]));
    }
}
