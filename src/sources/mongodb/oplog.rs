//! The slice of the oplog that makes a dump consistent: everything written while the collections were read.
//!
//! The slice begins at or before the oldest operation that a reader may have missed, and ends at the newest that one
//! may have seen. Every entry may be replayed on a state that already contains it, so it does not matter which. Only a
//! change of a document finds nothing if that was deleted before its collection was read; the deletion is then later in
//! the slice, and whoever replays it must see that it is.

mod filter;

use std::collections::HashSet;

use mongodb::bson::{RawBsonRef, RawDocument, Timestamp, rawdoc};

use super::Error;
use super::archive::Namespace;
use super::collection::{SEGMENT, Stream};
use super::connect::Member;
use super::fingerprint::Fingerprinter;
use crate::package::digest::Fingerprint;
use crate::package::outlet::Outlet;
pub(super) use filter::Filter;
use filter::is_temporary;

const LOCAL: &str = "local";
const OPLOG: &str = "oplog.rs";
/// Documents of a reply; the server cuts a reply at 16 MiB anyway.
const BATCH: i32 = 5_000;

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
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    /// The time of its first entry.
    pub(super) start: Timestamp,
    /// The time of its last.
    pub(super) end: Timestamp,
    /// The entries' fingerprint.
    pub(super) fingerprint: Fingerprint,
}

/// Reads the slice from `start` to now and hands it over under the archive's namespace for it.
pub(super) async fn slice(
    member: &Member,
    start: Timestamp,
    stream: &Stream,
    filter: Filter<'_>,
    outlet: &Outlet,
) -> Result<Slice, Error> {
    read(member, start, stream, filter, outlet).await.map_err(|error| match error {
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
    outlet: &Outlet,
) -> Result<Slice, Error> {
    let end = newest(member).await?;
    filter.look_ahead(member, start, end).await?;
    let find = rawdoc! {
        "find": OPLOG,
        "filter": { "ts": { "$gte": start, "$lte": end } },
        "batchSize": BATCH,
        "noCursorTimeout": true,
    };
    let mut batches = member.cursor(LOCAL, find, BATCH.unsigned_abs(), "read the oplog").await?;
    let mut watch = Watch::default();
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
    Ok(Slice { start, end, fingerprint: fingerprint.value() })
}

fn in_order(start: Timestamp, last: Option<Timestamp>, at: Timestamp) -> Result<(), Error> {
    match last {
        None if at == start => Ok(()),
        None => Err(Error::OplogTooSmall { start: show(start) }),
        Some(last) if last < at => Ok(()),
        Some(last) => Err(Error::OplogGap(format!("{} follows {}", show(at), show(last)))),
    }
}

/// Looks out for what a replay could not repeat.
#[derive(Debug, Default)]
struct Watch {
    /// Collections created within the slice, by UUID: all their documents are in it.
    created: HashSet<Vec<u8>>,
}

impl Watch {
    fn entry(&mut self, entry: &RawDocument, filter: &Filter<'_>) -> Result<(), Error> {
        if !entry.get_str("op").is_ok_and(|op| op == "c") {
            return Self::version(entry);
        }
        let Some((name, target)) = command(entry)? else { return Ok(()) };
        let uuid = entry.get_binary("ui").map(|uuid| uuid.bytes.to_vec());
        match (name, target) {
            ("create", _) => {
                self.created.extend(uuid);
                Ok(())
            }
            ("renameCollection", RawBsonRef::String(from)) => {
                let to = entry.get_document("o").and_then(|o| o.get_str("to")).unwrap_or_default();
                let rebuilt = uuid.is_ok_and(|uuid| self.created.contains(&uuid));
                let (leaves, comes) = (filter.all || filter.has(from), filter.all || filter.has(to));
                // What was created within the slice is replayed whole, but must not end where nothing is wanted. All
                // else may have been read under neither name.
                if !leaves && !comes || rebuilt && (comes || is_temporary(from)) {
                    return Ok(());
                }
                Err(Error::Unrepeatable { what: format!("`{from}` was renamed to `{to}`") })
            }
            ("importCollection", _) => Err(Error::Unrepeatable { what: "a collection was imported".into() }),
            _ => Ok(()),
        }
    }

    /// A change of the feature compatibility version changes how everything else is written.
    fn version(entry: &RawDocument) -> Result<(), Error> {
        let changed = entry.get_str("ns").is_ok_and(|ns| ns == "admin.system.version")
            && !entry.get_str("op").is_ok_and(|op| op == "n");
        if changed {
            let what = "`admin.system.version` changed (the server was upgraded or downgraded)".into();
            return Err(Error::Unrepeatable { what });
        }
        Ok(())
    }
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
