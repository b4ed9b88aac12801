//! What the target has, and what it shall have in the end: collections now, indexes and views when all is replayed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::super::super::archive::{Kind, Namespace};
use super::super::mapping::{self, Mapping, Piece};
use super::super::target::{Target, append};
use super::super::{Error, room, users};
use super::entry::{self, Command, Crud, first};
use super::owed::Owed;

/// The option that lets documents be forgotten. It takes effect at the very end only: until then nothing may disappear.
const EXPIRE: &str = "expireAfterSeconds";
/// The option that says how a time series fills its buckets. It takes effect at the end only: a server lets it change in
/// one direction, and the series may have been listed when it had changed already.
const SERIES: &str = "timeseries";

/// How a change of an index says that it is unique no more. No index is listed with it.
const NOT_UNIQUE: &str = "forceNonUnique";

/// Collections, indexes and views, by their names in the target.
#[derive(Debug, Default)]
pub(in super::super) struct State {
    /// What can be written to: time series by their buckets.
    existing: HashMap<Namespace, Traits>,
    /// By the collections on which they are built. A time series is listed with its indexes as users know them, but its
    /// oplog has those of its buckets: they stand apart.
    indexes: BTreeMap<Namespace, Vec<RawDocumentBuf>>,
    views: BTreeMap<Namespace, RawDocumentBuf>,
    /// What changes were left out for, because it was not there: it must have been dropped by the end.
    absent: BTreeSet<Namespace>,
    owed: Owed,
    /// Whether capped collections have no limits until the end.
    roomy: bool,
}

/// What must be known of a collection that is there.
#[derive(Debug, Clone, Default)]
struct Traits {
    capped: bool,
    /// Its limits, if it is capped and has none until the end: as the change that gives them back.
    limits: Option<RawDocumentBuf>,
    /// Whether it has a collation, which every index gets that says nothing else.
    collated: bool,
    /// After how long it forgets its documents, by its options: clustered collections and time series do.
    expire: Option<RawBson>,
    /// How it fills its buckets since that was changed.
    series: Option<RawBson>,
}

impl Traits {
    /// Reads them from a collection's options.
    fn of(options: &RawDocument, roomy: bool) -> Self {
        let capped = room::is_capped(options);
        Self {
            expire: options.get(EXPIRE).ok().flatten().map(Into::into),
            capped,
            limits: (capped && roomy).then(|| room::limits(options)),
            collated: options.get("collation").is_ok_and(|collation| collation.is_some()),
            series: None,
        }
    }

    /// The options that take effect at the end only.
    fn late(&self) -> RawDocumentBuf {
        let mut options = self.limits.clone().unwrap_or_default();
        for (name, value) in
            [(cstr!("timeseries"), &self.series), (cstr!("expireAfterSeconds"), &self.expire)]
        {
            if let Some(value) = value {
                options.append(name, value.clone());
            }
        }
        options
    }
}

impl State {
    /// What has been created from the prelude, and what of it the slice must settle.
    pub(in super::super) fn new(pieces: &[Piece], mapping: &Mapping, roomy: bool, owed: Owed) -> Self {
        let mut state = Self { owed, roomy, ..Self::default() };
        for piece in pieces {
            if piece.kind == Kind::View {
                state.views.insert(piece.to.clone(), piece.options.clone());
            } else {
                state.existing.insert(piece.data_to(), Traits::of(&piece.options, roomy));
                state.indexes.insert(piece.to.clone(), piece.indexes.clone());
            }
        }
        if mapping.users_and_roles() {
            let own = ["system.users", "system.roles"].map(|name| Namespace::new("admin", name));
            let own = own.iter().filter_map(users::temporary);
            state.existing.extend(own.map(|name| (name, Traits::default())));
        }
        state
    }

    /// Whether a collection is there now.
    pub(in super::super) fn exists(&self, namespace: &Namespace) -> bool {
        self.existing.contains_key(namespace)
    }

    /// Whether an insertion must put its document last, even if it is there: the order of a collection that has room is
    /// settled by the slice.
    pub(super) fn is_roomy(&self, namespace: &Namespace) -> bool {
        self.existing.get(namespace).is_some_and(|traits| traits.limits.is_some())
    }

    /// Notes that a change was left out because its collection is not there.
    pub(super) fn leave_out(&mut self, namespace: Namespace) {
        self.absent.insert(namespace);
    }

    /// Follows an operation that the target has, or has not, applied.
    pub(super) fn follow(&mut self, operation: &RawDocument, applied: bool) -> Result<(), Error> {
        let gives_way = |traits: &Traits| traits.capped && traits.limits.is_none();
        let capped = |namespace: &Namespace| self.existing.get(namespace).is_some_and(gives_way);
        self.owed.follow(operation, applied, capped)
    }

    /// Fails if changes were left out for a collection that was not dropped afterwards, or for a document that was
    /// neither deleted nor inserted: they would be lost.
    pub(super) fn nothing_lost(&self) -> Result<(), Error> {
        self.owed.nothing_left()?;
        self.absent.first().map_or(Ok(()), |lost| {
            Err(Error::Replay(format!("`{lost}` was changed, and neither dumped nor created nor dropped")))
        })
    }

    /// The options that take effect at the end only, of the collections and time series that have some.
    pub(in super::super) fn late(&self) -> impl Iterator<Item = (Namespace, RawDocumentBuf)> {
        let late = self.existing.iter().map(|(data, traits)| (logical(data), traits.late()));
        late.filter(|(_, options)| !options.is_empty())
    }

    /// The indexes of each collection, and whether one without a collation must be told that it has none.
    pub(in super::super) fn indexes(&self) -> impl Iterator<Item = (&Namespace, &Vec<RawDocumentBuf>, bool)> {
        self.indexes.iter().map(|(namespace, indexes)| {
            let data = [Kind::Collection, Kind::TimeSeries].map(|kind| mapping::data(namespace, kind));
            let collated =
                data.iter().any(|data| self.existing.get(data).is_some_and(|traits| traits.collated));
            (namespace, indexes, collated)
        })
    }

    /// The views with their options.
    pub(in super::super) fn views(&self) -> impl Iterator<Item = (&Namespace, &RawDocumentBuf)> {
        self.views.iter()
    }

    /// Follows a change of the list of views. Those of time series come with the time series.
    pub(super) fn view(&mut self, crud: &Crud<'_>, mapping: &Mapping) -> Result<(), Error> {
        let name = crud.view()?;
        let to = Namespace::parse(name).and_then(|name| mapping.collection(&name));
        let Some(to) = to else { return Ok(()) };
        if crud.kind == "d" {
            self.views.remove(&to);
            return Ok(());
        }
        let on = crud.object.get_str("viewOn");
        let on = on.map_err(|_| Error::Replay(format!("the view `{name}` was changed in part")))?;
        if !on.starts_with("system.buckets.") {
            self.views.insert(to, crud.object.to_owned());
        }
        Ok(())
    }

    /// Runs, or notes, a command; says whether it was run.
    pub(super) async fn command(
        &mut self,
        command: Command<'_>,
        mapping: &Mapping,
        target: &Target,
    ) -> Result<bool, Error> {
        let Command { database, name, object, uuid } = command;
        let (_, about) = first(object)?;
        let RawBsonRef::String(about) = about else {
            // Of a whole database (`dropDatabase`): each of its collections was dropped by an entry of its own.
            return if name == "dropDatabase" { Ok(false) } else { Err(unknown(name)) };
        };
        if let Some(names) = entry::renames(&command)? {
            return self.rename(names, uuid, mapping, target).await;
        }
        let from = Namespace::new(database, about);
        if about == "system.views" {
            if name == "drop" {
                self.views.retain(|view, _| view.database != mapping.database(database));
            }
            return Ok(false);
        }
        let Some(to) = mapping.documents_of(&from, uuid) else { return Ok(false) };
        match name {
            "create" => self.create(&to, object, target).await,
            "drop" => self.drop(&to, target).await,
            "createIndexes" => self.indexes_made(&to, object, &[object]),
            "commitIndexBuild" => {
                let array =
                    object.get_array("indexes").map_err(|error| Error::reply("an index build", error))?;
                let specs: Option<Vec<_>> = array.into_iter().map(|spec| spec.ok()?.as_document()).collect();
                let specs = specs.ok_or_else(|| Error::reply("an index build", "an index is no document"))?;
                self.indexes_made(&to, object, &specs)
            }
            "dropIndexes" | "deleteIndexes" | "dropIndex" | "deleteIndex" => {
                let dropped =
                    object.get_str("index").map_err(|error| Error::reply("a dropped index", error))?;
                self.without_index(&to, dropped);
                Ok(false)
            }
            // The build's commit says all.
            "startIndexBuild" | "abortIndexBuild" | "setMultikeyMetadata" | "dbCheck" => Ok(false),
            "collMod" => self.modify(&to, object, target).await,
            _ => Err(unknown(name)),
        }
    }

    async fn create(&mut self, to: &Namespace, object: &RawDocument, target: &Target) -> Result<bool, Error> {
        if self.exists(to) {
            return Ok(false);
        }
        self.make_way(to, target).await?;
        self.existing.insert(to.clone(), Traits::of(object, self.roomy));
        if Mapping::is_passing(to) {
            // A restore that was broken off may have left it.
            target.drop(to).await?;
        }
        let name = logical(to);
        let mut command = rawdoc! { "create": name.collection.as_str() };
        // `temp` cannot be asked for: a rename follows. Buckets are created by creating their time series, which knows
        // the rest.
        let own: &[&str] = if name == *to {
            &["create", "temp", EXPIRE]
        } else {
            &["create", "validator", "clusteredIndex", EXPIRE]
        };
        let options = if self.roomy { room::without_limits(object)? } else { object.to_owned() };
        append(&mut command, &options, own)?;
        target.make(&name, command).await?;
        self.indexes.insert(name, Vec::new());
        Ok(true)
    }

    /// Drops a time series that stands where a collection is to be, or the other way round.
    ///
    /// It was listed as what it was later. So the slice has all of it: it is made, and filled, once more.
    async fn make_way(&mut self, to: &Namespace, target: &Target) -> Result<(), Error> {
        let name = logical(to);
        let other = if name == *to { mapping::data(to, Kind::TimeSeries) } else { name };
        if self.exists(&other) { self.drop(&other, target).await.map(|_| ()) } else { Ok(()) }
    }

    async fn drop(&mut self, to: &Namespace, target: &Target) -> Result<bool, Error> {
        let name = logical(to);
        self.indexes.remove(to);
        self.indexes.remove(&name);
        self.absent.remove(to);
        self.owed.dropped(to);
        if self.existing.remove(to).is_none() {
            return Ok(false);
        }
        target.drop(&name).await.map(|()| true)
    }

    async fn rename(
        &mut self,
        (from, new): (Namespace, Namespace),
        uuid: Option<&[u8]>,
        mapping: &Mapping,
        target: &Target,
    ) -> Result<bool, Error> {
        // A selection may mean only one of the two names.
        let (old, new) = match (mapping.documents_of(&from, uuid), mapping.documents_of(&new, uuid)) {
            (Some(old), Some(new)) if old == new => return Ok(false),
            (Some(old), Some(new)) => (old, new),
            (None, None) => return Ok(false),
            // It was made within the slice, and leaves what is restored.
            (Some(old), None) if !mapping.is_all() => return self.drop(&old, target).await,
            _ => {
                return Err(Error::Replay(format!(
                    "`{from}` was renamed to `{new}`, of which only one is restored"
                )));
            }
        };
        let Some(traits) = self.existing.remove(&old) else {
            return Err(Error::Replay(format!("`{from}` was renamed, and neither dumped nor created")));
        };
        self.make_way(&new, target).await?;
        target.rename(&old, &new).await?;
        let indexes = self.indexes.remove(&old).unwrap_or_default();
        self.owed.renamed(&old, &new);
        self.absent.remove(&new);
        self.existing.insert(new.clone(), traits);
        self.indexes.insert(new, indexes);
        Ok(true)
    }

    /// Drops what was followed to a name that is restored and has left it again.
    pub(super) async fn drop_passing(&mut self, target: &Target) -> Result<(), Error> {
        let passing: Vec<_> = self.existing.keys().filter(|to| Mapping::is_passing(to)).cloned().collect();
        for to in passing {
            self.drop(&to, target).await?;
        }
        Ok(())
    }

    /// Notes indexes that were built. The first field of a single one is the command itself.
    fn indexes_made(
        &mut self,
        to: &Namespace,
        object: &RawDocument,
        specs: &[&RawDocument],
    ) -> Result<bool, Error> {
        let command = first(object)?.0;
        if !self.exists(to) {
            return Ok(false);
        }
        for spec in specs {
            let mut index = RawDocumentBuf::new();
            append(&mut index, spec, &[command])?;
            let name = index.get_str("name").map_err(|error| Error::reply("an index", error))?;
            self.without_index(to, name);
            self.indexes.entry(to.clone()).or_default().push(index);
        }
        Ok(false)
    }

    /// Forgets an index, whether it was listed or built.
    fn without_index(&mut self, to: &Namespace, name: &str) {
        for on in [to, &logical(to)] {
            if let Some(indexes) = self.indexes.get_mut(on) {
                indexes.retain(|index| index.get_str("name").is_ok_and(|other| other != name));
            }
        }
    }

    /// Changes a collection's options. What the entry names is what it was called in the source, so the command names
    /// what it is called in the target; and it is run as a user would, who changes a time series and not its buckets.
    async fn modify(&mut self, to: &Namespace, object: &RawDocument, target: &Target) -> Result<bool, Error> {
        let Some(traits) = self.existing.get_mut(to) else { return Ok(false) };
        let option =
            |name: &str| object.get(name).map_err(|error| Error::reply("a changed collection", error));
        if let Some(expire) = option(EXPIRE)? {
            // Otherwise it is the word `off`.
            traits.expire = Some(expire.into()).filter(|expire| !matches!(expire, RawBson::String(_)));
        }
        if let Some(series) = option(SERIES)? {
            traits.series = Some(series.into());
        }
        let mut apart = vec!["collMod", "index", EXPIRE, SERIES];
        if let Some(limits) = &mut traits.limits {
            room::change(limits, object)?;
            apart.extend(room::CHANGED);
        }
        if let Ok(change) = object.get_document("index") {
            self.modify_index(to, change)?;
        }
        let mut rest = RawDocumentBuf::new();
        append(&mut rest, object, &apart)?;
        if rest.is_empty() {
            return Ok(false);
        }
        let name = logical(to);
        let mut command = rawdoc! { "collMod": name.collection.as_str() };
        append(&mut command, &rest, &[])?;
        target.run(&name.database, command, &format!("change `{name}`")).await.map(|_| true)
    }

    fn modify_index(&mut self, to: &Namespace, change: &RawDocument) -> Result<(), Error> {
        let name = change.get_str("name").map_err(|error| Error::reply("a changed index", error))?;
        let known = logical(to);
        let indexes = self.indexes.iter_mut().filter(|(on, _)| *on == to || **on == known);
        let mut indexes = indexes.flat_map(|(_, indexes)| indexes);
        let Some(index) = indexes.find(|index| index.get_str("name").is_ok_and(|other| other == name)) else {
            return Ok(());
        };
        let changed: Vec<&str> = change.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let mut replaced: Vec<&str> = changed.iter().copied().filter(|key| *key != "name").collect();
        if replaced.contains(&"unique") {
            // What an index is prepared for ends when it is unique: it cannot be both.
            replaced.push("prepareUnique");
        }
        if replaced.contains(&NOT_UNIQUE) {
            replaced.push("unique");
        }
        let mut spec = RawDocumentBuf::new();
        append(&mut spec, index, &replaced)?;
        // An option that is `false` is the same as none, and that is how the server lists it.
        for element in change {
            let (key, value) = element.map_err(|error| Error::reply("a changed index", error))?;
            let off = matches!(key.as_str(), "hidden" | "prepareUnique") && value.as_bool() == Some(false);
            if !["name", NOT_UNIQUE].contains(&key.as_str()) && !off {
                spec.append(key, value);
            }
        }
        *index = spec;
        Ok(())
    }
}

/// The namespace as users know it: a time series for its buckets.
pub(super) fn logical(namespace: &Namespace) -> Namespace {
    match namespace.collection.strip_prefix("system.buckets.") {
        Some(series) => Namespace::new(&namespace.database, series),
        None => namespace.clone(),
    }
}

fn unknown(command: &str) -> Error {
    Error::Replay(format!("the oplog has a command `{command}`, which is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_must_have_been_dropped() {
        let mut state = State::default();
        state.nothing_lost().unwrap();
        state.leave_out(Namespace::new("a", "b"));
        let lost = state.nothing_lost().unwrap_err().to_string();
        assert!(lost.contains("`a.b` was changed, and neither dumped nor created nor dropped"), "{lost}");
    }

    #[test]
    fn an_index_changes_as_the_server_lists_it() {
        let to = Namespace::new("a", "b");
        let mut state = State::default();
        state.existing.insert(to.clone(), Traits::default());
        let build = rawdoc! { "createIndexes": "b", "v": 2_i32, "key": { "x": 1_i32 }, "name": "x_1" };
        state.indexes_made(&to, &build, &[&build]).unwrap();
        state.modify_index(&to, &rawdoc! { "name": "x_1", "hidden": true }).unwrap();
        let hidden = rawdoc! { "v": 2_i32, "key": { "x": 1_i32 }, "name": "x_1", "hidden": true };
        assert_eq!(state.indexes[&to], [hidden]);
        state.modify_index(&to, &rawdoc! { "name": "x_1", "hidden": false }).unwrap();
        let plain = rawdoc! { "v": 2_i32, "key": { "x": 1_i32 }, "name": "x_1" };
        assert_eq!(state.indexes[&to], std::slice::from_ref(&plain));
        state.modify_index(&to, &rawdoc! { "name": "x_1", "unique": true }).unwrap();
        assert!(state.indexes[&to][0].get_bool("unique").unwrap());
        state.modify_index(&to, &rawdoc! { "name": "x_1", "forceNonUnique": true }).unwrap();
        assert_eq!(state.indexes[&to], [plain]);
    }
}
