//! The deployment that is restored into.

use std::collections::BTreeSet;

use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use mongodb::error::ErrorKind;

use super::super::archive::{Kind, Namespace};
use super::super::config::ReadFrom;
use super::super::connect::{self, Member};
use super::super::{Error, Plan, probe};
use super::contents::Contents;
use super::mapping::{Mapping, Piece};
use super::replay::State;
use super::room;
use crate::config::secret::Secret;

/// The collection of a database's functions: the one system collection that users write to. It cannot be dropped.
const FUNCTIONS: &str = "system.js";
const REPLAY: &str = "replay the oplog";

/// The deployment that is restored into, by its primary.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) member: Member,
}

impl Target {
    /// Connects to the URL of the request, or to the source's own place.
    pub(super) async fn connect(plan: &Plan, into: Option<&str>) -> Result<Self, Error> {
        let mut plan = plan.clone();
        plan.read_from = ReadFrom::Primary;
        if let Some(url) = into {
            plan.url = Secret::new(url);
        }
        if plan.url.expose().is_empty() {
            return Err(Error::NoTarget);
        }
        let member = connect::member(&plan).await?;
        match probe::not_a_shard(&member).await {
            // Who may restore a database of their own need not be allowed to see it.
            Ok(()) | Err(Error::Unprivileged { .. }) => Ok(Self { member }),
            Err(error) => Err(error),
        }
    }

    /// Refuses an archive of a newer server: it may have what this one does not know.
    pub(super) fn accepts(&self, contents: &Contents) -> Result<(), Error> {
        let (archive, server) = (&contents.prelude.server_version, &self.member.version);
        match (release(archive), release(server)) {
            (Some(theirs), Some(ours)) if theirs <= ours => Ok(()),
            _ => Err(Error::NewerServer { archive: archive.clone(), server: server.clone() }),
        }
    }

    /// Runs a command and returns its reply.
    pub(super) async fn run(
        &self,
        database: &str,
        command: RawDocumentBuf,
        what: &str,
    ) -> Result<Document, Error> {
        let reply = self.member.database(database).run_raw_command(command).await;
        reply.map_err(|error| Error::driver(what, error))
    }

    /// What is in the way of the names `wanted`: collections and views in the databases that are restored, or only those
    /// of the same names if only some are restored.
    pub(super) async fn occupied(
        &self,
        wanted: &BTreeSet<&Namespace>,
        mapping: &Mapping,
    ) -> Result<Vec<Namespace>, Error> {
        let databases: BTreeSet<&str> = wanted.iter().map(|to| to.database.as_str()).collect();
        let mut occupied = Vec::new();
        for database in databases {
            let whole = mapping.is_all() && database != "admin";
            for name in self.names(database).await? {
                let found = Namespace::new(database, name);
                if wanted.contains(&found) || whole && !found.collection.starts_with("system.") {
                    occupied.push(found);
                }
            }
        }
        Ok(occupied)
    }

    async fn names(&self, database: &str) -> Result<Vec<String>, Error> {
        let what = format!("list the collections of `{database}`");
        let command = rawdoc! { "listCollections": 1_i32, "nameOnly": true };
        let mut batches = self.member.cursor(database, command, 1_000, what.as_str()).await?;
        let mut names = Vec::new();
        while let Some(batch) = batches.next().await? {
            for document in batch.documents()? {
                let name = document?.get_str("name").map_err(|error| Error::reply(what.as_str(), error))?;
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Drops what has one of the `names`, those of what is restored. Other collections stay.
    pub(super) async fn clear(&self, names: &BTreeSet<&Namespace>) -> Result<(), Error> {
        for name in names {
            self.drop(name).await?;
        }
        Ok(())
    }

    /// Drops a collection, view or time series; one that is not there is no error.
    pub(super) async fn drop(&self, namespace: &Namespace) -> Result<(), Error> {
        if namespace.collection == FUNCTIONS {
            return self.empty(namespace).await;
        }
        let command = rawdoc! { "drop": namespace.collection.as_str() };
        match self.run(&namespace.database, command, &format!("drop `{namespace}`")).await {
            // NamespaceNotFound, before MongoDB 7.0.
            Err(Error::Server { why, .. }) if why.starts_with("NamespaceNotFound") => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Empties a collection that cannot be dropped.
    async fn empty(&self, namespace: &Namespace) -> Result<(), Error> {
        let command = rawdoc! {
            "delete": namespace.collection.as_str(),
            "deletes": [{ "q": {}, "limit": 0_i32 }],
        };
        let reply = self.run(&namespace.database, command, &format!("empty `{namespace}`")).await?;
        if reply.contains_key("writeErrors") { Err(Error::reply("delete", reply)) } else { Ok(()) }
    }

    /// Creates a collection or time series with its options.
    ///
    /// What makes it forget comes at the very end ([`finish`](Self::finish)): until then nothing may disappear. A
    /// `roomy` one has no limits until then either.
    pub(super) async fn create(&self, piece: &Piece, roomy: bool) -> Result<(), Error> {
        let mut command = rawdoc! { "create": piece.to.collection.as_str() };
        let options = if roomy { room::without_limits(&piece.options)? } else { piece.options.clone() };
        append(&mut command, &options, &["expireAfterSeconds", "temp", "autoIndexId"])?;
        // Servers before 4.0 let collections be without an index on `_id`, and later ones list it still, with the index.
        if piece.options.get_bool("autoIndexId").unwrap_or_default()
            && release(&self.member.version) < Some((8, 2))
        {
            command.append(cstr!("autoIndexId"), true);
        }
        let id = piece.indexes.iter().find(|index| is_its_own(index, &piece.options));
        if let (Some(id), Kind::Collection) = (id, piece.kind) {
            let mut spec = RawDocumentBuf::new();
            append(&mut spec, id, &["ns"])?;
            command.append(cstr!("idIndex"), spec);
        }
        self.make(&piece.to, command).await
    }

    /// Runs a command that creates a collection or time series.
    pub(super) async fn make(&self, namespace: &Namespace, command: RawDocumentBuf) -> Result<(), Error> {
        match self.run(&namespace.database, command, &format!("create `{namespace}`")).await {
            // It was emptied instead of dropped.
            Err(Error::Server { why, .. })
                if namespace.collection == FUNCTIONS && why.starts_with("NamespaceExists") =>
            {
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// Builds the indexes from their raw specifications, one collection after the other, and says what of them could not
    /// be built. The others are built all the same.
    pub(super) async fn index(&self, state: &State) -> Result<Vec<String>, Error> {
        let mut failed = Vec::new();
        for (namespace, indexes, collated) in state.indexes() {
            let mut specs = Vec::new();
            for index in indexes.iter().filter(|index| !made_with_collection(index)) {
                let mut spec = RawDocumentBuf::new();
                append(&mut spec, index, &["ns"])?;
                // `listIndexes` shows no simple collation, and a collection's own would take its place.
                if collated && spec.get("collation").is_ok_and(|collation| collation.is_none()) {
                    spec.append(cstr!("collation"), rawdoc! { "locale": "simple" });
                }
                specs.push(spec);
            }
            if specs.is_empty() || self.build(namespace, &specs).await?.is_none() {
                continue;
            }
            // All or none: one by one it shows which it is.
            for spec in &specs {
                failed.extend(self.build(namespace, std::slice::from_ref(spec)).await?);
            }
        }
        Ok(failed)
    }

    /// Builds indexes of a collection; says why if the server refuses to.
    async fn build(&self, namespace: &Namespace, specs: &[RawDocumentBuf]) -> Result<Option<String>, Error> {
        let mut indexes = RawArrayBuf::new();
        for spec in specs {
            indexes.push(spec.clone());
        }
        // Servers before 3.4 kept options that do not exist, and later ones list them still.
        let mut command = rawdoc! {
            "createIndexes": namespace.collection.as_str(),
            "ignoreUnknownIndexOptions": true,
        };
        command.append(cstr!("indexes"), indexes);
        // The default is every voting member, and a build waits for one that is down without end.
        if self.member.hello.set.is_some() && release(&self.member.version) >= Some((4, 4)) {
            command.append(cstr!("commitQuorum"), "majority");
        }
        self.attempted(namespace, command, "index").await
    }

    /// Creates the views, and says which the server refuses. One may be of another, in any order.
    pub(super) async fn views(&self, state: &State) -> Result<Vec<String>, Error> {
        let mut failed = Vec::new();
        for (namespace, options) in state.views() {
            let mut command = rawdoc! { "create": namespace.collection.as_str() };
            append(&mut command, options, &["_id"])?;
            failed.extend(self.attempted(namespace, command, "create the view").await?);
        }
        Ok(failed)
    }

    /// Gives clustered collections and time series the options that take effect at the end only, as they were in the
    /// end: they forget again. Says what the server refuses.
    pub(super) async fn finish(&self, state: &State) -> Result<Vec<String>, Error> {
        let mut failed = Vec::new();
        for (namespace, options) in state.late() {
            let mut command = rawdoc! { "collMod": namespace.collection.as_str() };
            append(&mut command, &options, &[])?;
            failed.extend(self.attempted(&namespace, command, "change").await?);
        }
        Ok(failed)
    }

    /// Runs a command; says why if the server refuses to.
    async fn attempted(
        &self,
        namespace: &Namespace,
        command: RawDocumentBuf,
        what: &str,
    ) -> Result<Option<String>, Error> {
        match self.run(&namespace.database, command, &format!("{what} `{namespace}`")).await {
            Err(Error::Server { what, why }) => Ok(Some(format!("{what}: {why}"))),
            other => other.map(|_| None),
        }
    }

    /// Applies an operation of the oplog that cannot find nothing.
    pub(super) async fn apply(&self, operation: RawDocumentBuf) -> Result<(), Error> {
        let mut operations = RawArrayBuf::new();
        operations.push(operation);
        match self.attempt(&operations, 1).await?.as_slice() {
            [true] => Ok(()),
            _ => Err(Error::reply(REPLAY, "an operation was not applied")),
        }
    }

    /// Applies operations of the oplog; says of each, from the first to the last that was attempted, whether it was.
    ///
    /// An update of a document that is not there fails. Before 6.2 it would insert what it changes as a document,
    /// unless told otherwise; since then there is no choice, and to ask for it is an error (6711601).
    pub(super) async fn attempt(&self, operations: &RawArrayBuf, count: usize) -> Result<Vec<bool>, Error> {
        let mut command = RawDocumentBuf::new();
        command.append(cstr!("applyOps"), operations.clone());
        command.append(cstr!("allowAtomic"), false);
        command.append(cstr!("bypassDocumentValidation"), true);
        if release(&self.member.version) < Some((6, 2)) {
            command.append(cstr!("alwaysUpsert"), false);
        }
        let replied = self.member.database("admin").run_raw_command(command).await;
        let results = match replied {
            Ok(reply) => {
                results(&reply).filter(|results| results.len() == count && !results.contains(&false))
            }
            // UnknownError: some were not applied, and only the reply says which. UpdateOperationFailed: nothing there.
            Err(error) if matches!(*error.kind, ErrorKind::Command(ref told) if [8, 218].contains(&told.code)) =>
            {
                let told = error.server_response().and_then(|reply| Document::try_from(&**reply).ok());
                let told = told.and_then(|reply| results(&reply));
                let told = told.filter(|results| results.len() <= count && results.contains(&false));
                return told.ok_or_else(|| Error::driver(REPLAY, error));
            }
            Err(error) => return Err(Error::driver(REPLAY, error)),
        };
        results.ok_or_else(|| Error::reply(REPLAY, "not all operations were applied, and none failed"))
    }

    /// Renames a collection over another.
    pub(super) async fn rename(&self, from: &Namespace, to: &Namespace) -> Result<(), Error> {
        let command =
            rawdoc! { "renameCollection": from.to_string(), "to": to.to_string(), "dropTarget": true };
        self.run("admin", command, &format!("rename `{from}` to `{to}`")).await.map(|_| ())
    }
}

/// What `applyOps` says of each operation that it attempted.
fn results(reply: &Document) -> Option<Vec<bool>> {
    reply.get_array("results").ok()?.iter().map(mongodb::bson::Bson::as_bool).collect()
}

/// Whether an index is the one on `_id` of a collection with these options.
///
/// Between the listings of options and of indexes the collection may have been made anew with others, as the slice will
/// do; until then those of the options do.
fn is_its_own(index: &RawDocument, options: &RawDocument) -> bool {
    let is_none = |holder: &RawDocument, name: &str| holder.get(name).is_ok_and(|value| value.is_none());
    let collation = |holder: &RawDocument| holder.get_document("collation").ok().map(ToOwned::to_owned);
    index.get_str("name").is_ok_and(|name| name == "_id_")
        && is_none(index, "clustered")
        && is_none(options, "clusteredIndex")
        && collation(index) == collation(options)
}

/// Whether an index comes with the collection.
fn made_with_collection(index: &RawDocument) -> bool {
    index.get_str("name").is_ok_and(|name| name == "_id_")
        || matches!(index.get("clustered"), Ok(Some(RawBsonRef::Boolean(true))))
}

/// Appends the fields of a document but some.
pub(super) fn append(to: &mut RawDocumentBuf, from: &RawDocument, but: &[&str]) -> Result<(), Error> {
    for element in from {
        let (key, value) = element.map_err(|error| Error::reply("metadata", error))?;
        if !but.contains(&key.as_str()) {
            to.append(key, value);
        }
    }
    Ok(())
}

/// The release that a version belongs to: `6.0` of `6.0.5`.
pub(super) fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_as_numbers() {
        assert!(release("6.0.5").unwrap() < release("10.0.0-rc1").unwrap());
        assert_eq!(release("7.0.0-rc1"), Some((7, 0)));
        assert_eq!(release("master"), None);
    }
}
