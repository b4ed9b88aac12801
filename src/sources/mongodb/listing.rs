//! What a deployment has: databases, collections, views, options, indexes.

use std::collections::HashMap;
use std::fmt::Write as _;

use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::archive::{Entry, Kind, Namespace};
use super::connect::Member;
use super::selection::Selection;
use super::{Error, extended_json, metadata};

/// One namespace with what a dump must know of it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// What the prelude says of it.
    pub(super) entry: Entry,
    /// Its options.
    options: RawDocumentBuf,
    /// The UUID of the collection that holds its documents; views have none.
    pub(super) uuid: Option<Vec<u8>>,
    /// Whether it is capped: its order is then part of its content.
    pub(super) capped: bool,
    /// Whether its `_id` index covers it from end to end in an order that ranges can be cut from.
    pub(super) divisible: bool,
    /// Whether it can be read by an index on `_id` that is not the collection itself.
    pub(super) by_id: bool,
    /// How many indexes it has.
    pub(super) indexes: usize,
    /// The names of indexes that are being built. They do not count before they are finished: what they index may break
    /// a rule of theirs, and then they never will be.
    pub(super) unfinished: Vec<String>,
}

impl Listed {
    /// The word for the index's objects.
    pub(super) fn kind(&self) -> &'static str {
        match self.entry.kind {
            Kind::Collection if self.capped => "capped",
            other => other.as_str(),
        }
    }
}

/// The databases that are the deployment's own.
pub(super) const OWN_DATABASES: [&str; 2] = ["local", "config"];
/// The system collections of `admin` that are dumped, in the order in which they stand in an archive.
pub(super) const AUTH_COLLECTIONS: [&str; 3] = ["system.version", "system.users", "system.roles"];
/// System collections that a server makes by itself: profiles, keys, the list of views (they are dumped one by one),
/// health logs, leftovers of drops and of resharding.
const OWN_COLLECTIONS: [&str; 8] = [
    "system.profile",
    "system.keys",
    "system.views",
    "system.healthlog",
    "system.indexes",
    "system.namespaces",
    "system.new_users",
    "system.backup_users",
];

/// Where users and roles wait in `admin` until a restore has merged them, in the order of the collections that they are
/// merged into. A restore that was broken off may leave them, and whoever lists them sees no data of anybody's.
pub(super) const WAITING: [&str; 2] = ["chupacabra_restore_users", "chupacabra_restore_roles"];

/// Whether users or roles wait here to be merged.
pub(super) fn is_waiting(namespace: &Namespace) -> bool {
    namespace.database == "admin" && WAITING.contains(&namespace.collection.as_str())
}

/// Lists everything that the selection means.
pub(super) async fn list(
    member: &Member,
    selection: &Selection,
    users_and_roles: bool,
) -> Result<Vec<Listed>, Error> {
    let mut all = Vec::new();
    for database in databases(member).await? {
        if OWN_DATABASES.contains(&database.as_str())
            || !selection.has_database(&database) && database != "admin"
        {
            continue;
        }
        for collection in collections(member, &database).await? {
            if wanted(&collection.entry.namespace, selection, users_and_roles)? {
                all.push(collection);
            }
        }
    }
    selection.check(&all.iter().map(|listed| &listed.entry.namespace))?;
    let mut there = Vec::with_capacity(all.len());
    for mut listed in all {
        let Some(indexes) = indexes(member, &listed).await? else {
            // Dropped or renamed meanwhile: with an oplog its slice says what became of it.
            if member.hello.set.is_some() {
                continue;
            }
            return Err(Error::Gone(listed.entry.namespace.to_string()));
        };
        listed.indexes = indexes.built.len();
        listed.by_id = listed.by_id && indexes.built.iter().any(|index| is_id(index));
        listed.divisible = listed.divisible && indexes.built.iter().any(|index| is_plain_id(index));
        listed.entry.metadata = metadata(&listed, &indexes.built)
            .map_err(|source| Error::Metadata { namespace: listed.entry.namespace.to_string(), source })?;
        listed.unfinished = indexes.unfinished;
        there.push(listed);
    }
    there.sort_by(|a, b| a.entry.namespace.cmp(&b.entry.namespace));
    Ok(there)
}

/// The names of all databases. Fails for a user who may not see all of them, instead of leaving some out.
async fn databases(member: &Member) -> Result<Vec<String>, Error> {
    const WHAT: &str = "list the databases";
    let command = mongodb::bson::doc! { "listDatabases": 1, "nameOnly": true, "authorizedDatabases": false };
    let reply = member.database("admin").run_command(command).await;
    let reply = reply.map_err(|error| Error::driver(WHAT, error))?;
    let databases = reply.get_array("databases").map_err(|error| Error::reply(WHAT, error))?;
    let name =
        |database: &mongodb::bson::Bson| database.as_document()?.get_str("name").ok().map(str::to_owned);
    databases.iter().map(|database| name(database).ok_or_else(|| Error::reply(WHAT, "no name"))).collect()
}

async fn collections(member: &Member, database: &str) -> Result<Vec<Listed>, Error> {
    let what = format!("list the collections of `{database}`");
    let command = rawdoc! { "listCollections": 1_i32, "authorizedCollections": false };
    let mut batches = member.cursor(database, command, 1_000, what).await?;
    let mut found = Vec::new();
    while let Some(batch) = batches.next().await? {
        for document in batch.documents()? {
            found.push(collection(database, document?)?);
        }
    }
    // A time series has that of its buckets, which are listed beside it.
    let uuids = found.iter().filter_map(|one| Some((one.entry.namespace.clone(), one.uuid.clone()?)));
    let uuids: HashMap<Namespace, Vec<u8>> = uuids.collect();
    for series in found.iter_mut().filter(|one| one.entry.kind == Kind::TimeSeries) {
        series.uuid = uuids.get(&series.entry.data()).cloned();
    }
    Ok(found)
}

fn uuid(document: &RawDocument) -> Option<Vec<u8>> {
    let info = document.get_document("info").ok()?;
    info.get_binary("uuid").ok().map(|uuid| uuid.bytes.to_vec())
}

/// Fails unless a collection that was read to its end is still the one that was listed.
///
/// A reader that finds nothing under a name is told that it has read all there is, and one that reads in ranges may have
/// read them of different collections. Without an oplog nothing else would say so; what happens to it afterwards is no
/// loss.
pub(super) async fn still_the_same(member: &Member, listed: &Listed) -> Result<(), Error> {
    let data = listed.entry.data();
    let what = format!("look for `{data}`");
    let command = rawdoc! { "listCollections": 1_i32, "filter": { "name": data.collection.as_str() } };
    let found = member.first(&data.database, command, &what).await?;
    match found.and_then(|document| uuid(&document)) {
        found @ Some(_) if found == listed.uuid => Ok(()),
        _ => Err(Error::Gone(listed.entry.namespace.to_string())),
    }
}

/// Reads one document of `listCollections`.
fn collection(database: &str, document: &RawDocument) -> Result<Listed, Error> {
    let what = || format!("list the collections of `{database}`");
    let name = document.get_str("name").map_err(|error| Error::reply(what(), error))?;
    let word = document.get_str("type").map_err(|error| Error::reply(what(), error))?;
    let kind = Kind::parse(word).filter(|kind| *kind != Kind::Unsaid);
    let kind = kind.ok_or_else(|| Error::reply(what(), format!("`{name}` is a `{word}`")))?;
    let empty = RawDocumentBuf::new();
    let options = document.get_document("options").unwrap_or(&empty);
    let namespace = Namespace::new(database, name);
    let capped = options.get_bool("capped").unwrap_or_default();
    let by_id = kind == Kind::Collection && !capped;
    Ok(Listed {
        entry: Entry { namespace, kind, metadata: String::new() },
        options: options.to_owned(),
        uuid: uuid(document),
        capped,
        divisible: by_id && options.get("collation").is_ok_and(|c| c.is_none()),
        by_id,
        indexes: 0,
        unfinished: Vec::new(),
    })
}

/// The metadata of what is listed, with its indexes.
fn metadata(listed: &Listed, indexes: &[RawDocumentBuf]) -> Result<String, extended_json::Error> {
    let mut text = metadata::write(&listed.options, indexes)?;
    text.pop();
    let Entry { namespace, kind, .. } = &listed.entry;
    // Writing to a string cannot fail.
    if let (Some(uuid), Kind::Collection) = (&listed.uuid, kind) {
        let _ = write!(text, ",\"uuid\":\"{}\"", hex::encode(uuid));
    }
    let name = extended_json::write_value(RawBsonRef::String(&namespace.collection))?;
    let _ = write!(text, ",\"collectionName\":{name},\"type\":\"{}\"}}", kind.as_str());
    Ok(text)
}

/// The indexes of a collection.
#[derive(Debug, Default)]
struct Indexes {
    built: Vec<RawDocumentBuf>,
    /// The names of those that are being built.
    unfinished: Vec<String>,
}

impl Indexes {
    fn take(&mut self, index: &RawDocument) -> Result<(), mongodb::bson::error::Error> {
        // The server puts around the specification what tells which build it is.
        if index.get("buildUUID")?.is_some() {
            let name = index.get_document("spec").and_then(|spec| spec.get_str("name"));
            self.unfinished.push(name.unwrap_or("of an unknown name").to_owned());
        } else {
            self.built.push(index.to_owned());
        }
        Ok(())
    }
}

/// Lists the indexes of a collection; `None` if it is no longer there.
async fn indexes(member: &Member, listed: &Listed) -> Result<Option<Indexes>, Error> {
    if listed.entry.kind == Kind::View {
        return Ok(Some(Indexes::default()));
    }
    let namespace = &listed.entry.namespace;
    let command = rawdoc! { "listIndexes": namespace.collection.as_str(), "includeBuildUUIDs": true };
    let what = format!("list the indexes of `{namespace}`");
    let mut batches = match member.cursor(&namespace.database, command, 1_000, what.as_str()).await {
        Err(Error::Server { why, .. }) if why.starts_with("NamespaceNotFound") => return Ok(None),
        other => other?,
    };
    let mut found = Indexes::default();
    while let Some(batch) = batches.next().await? {
        for document in batch.documents()? {
            found.take(document?).map_err(|error| Error::reply(what.as_str(), error))?;
        }
    }
    Ok(Some(found))
}

/// Whether an index is the one on `_id`.
fn is_id(index: &RawDocument) -> bool {
    index.get_str("name").is_ok_and(|name| name == "_id_")
        && index.get("clustered").is_ok_and(|value| value.is_none())
}

/// Whether an index is the usual one on `_id`.
fn is_plain_id(index: &RawDocument) -> bool {
    is_id(index) && index.get("collation").is_ok_and(|value| value.is_none())
}

/// Whether a namespace is dumped. Everything that is left out is left out by a rule of this function.
fn wanted(namespace: &Namespace, selection: &Selection, users_and_roles: bool) -> Result<bool, Error> {
    let name = namespace.collection.as_str();
    if namespace.database == "admin" && AUTH_COLLECTIONS.contains(&name) {
        return Ok(users_and_roles);
    }
    let own = OWN_COLLECTIONS.contains(&name) || name.starts_with("system.buckets.") || is_waiting(namespace);
    if own || !selection.has(namespace) {
        return Ok(false);
    }
    if name.starts_with("system.") && name != "system.js" {
        return Err(Error::UnknownSystemCollection(namespace.to_string()));
    }
    Ok(true)
}
