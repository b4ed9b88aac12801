//! A file as Drive has it: what makes it an object of the store, and the requests about one of them.

use std::collections::HashMap;

use futures_util::FutureExt as _;
use google_drive3::api::{File, GeneratedIds};
use serde_json::{Value, json};

use super::client::{Client, Inner};
use super::list;
use crate::clock::Timestamp;
use crate::stores::{Error, ObjectName, Reason};

/// What is asked of a file.
pub(super) const FIELDS: &str =
    "id,name,size,mimeType,sha256Checksum,md5Checksum,createdTime,modifiedTime,appProperties,trashed";
/// What folders are.
pub(super) const FOLDER: &str = "application/vnd.google-apps.folder";
/// Begins the types of what has no bytes: folders, shortcuts, documents.
const NO_BYTES: &str = "application/vnd.google-apps.";
/// The properties that hold the object's name, in pieces: a key and its value have 124 bytes together.
const NAME: &str = "chupacabra-name-";
const NAME_PIECE: usize = 100;
/// The property that holds the source.
const SOURCE: &str = "chupacabra-source";
/// How many ids are fetched at once.
const IDS: i32 = 20;

/// An object of the store, as Drive has it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) name: ObjectName,
    pub(super) size: u64,
    pub(super) sha256: Option<String>,
    pub(super) md5: Option<String>,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
}

impl Found {
    /// Reads an answer; `None` for what is no object of a store: a folder, a document, what is in the trash.
    pub(super) fn read(file: File) -> Result<Option<Self>, Error> {
        let mime = file.mime_type.as_deref().unwrap_or_default();
        if mime.starts_with(NO_BYTES) || file.trashed == Some(true) {
            return Ok(None);
        }
        let shown = file.name.clone().unwrap_or_default();
        let name = name(file.app_properties.as_ref()).unwrap_or_else(|| shown.clone());
        let Ok(name) = ObjectName::new(name) else { return Ok(None) };
        let timestamp = |at: Option<i64>| at.and_then(|at| Timestamp::from_millisecond(at).ok());
        let created = timestamp(file.created_time.map(|at| at.timestamp_millis()));
        let modified = timestamp(file.modified_time.map(|at| at.timestamp_millis()));
        match (file.id, file.size.and_then(|size| u64::try_from(size).ok()), created, modified) {
            (Some(id), Some(size), Some(created), Some(modified)) => Ok(Some(Self {
                id,
                name,
                size,
                sha256: file.sha256_checksum,
                md5: file.md5_checksum,
                created,
                modified,
            })),
            _ => Err(Error::new(
                Reason::Rejected,
                format!("the service shows `{shown}` without its id, size or time"),
            )),
        }
    }
}

/// The object's name, put together from the properties.
fn name(properties: Option<&HashMap<String, String>>) -> Option<String> {
    let properties = properties?;
    let pieces = (0..).map_while(|piece| properties.get(&format!("{NAME}{piece}")));
    let name: String = pieces.map(String::as_str).collect();
    (!name.is_empty()).then_some(name)
}

/// The properties that tell an object's name and source.
fn properties(name: &ObjectName) -> Value {
    let mut all = serde_json::Map::new();
    for (number, piece) in pieces(name.as_str()).into_iter().enumerate() {
        all.insert(format!("{NAME}{number}"), piece.into());
    }
    let source = name.as_str().rsplit('/').nth(1).filter(|source| source.len() <= NAME_PIECE);
    if let Some(source) = source {
        all.insert(SOURCE.to_owned(), source.into());
    }
    Value::Object(all)
}

/// Cuts a name so that each piece fits into a property.
pub(super) fn pieces(name: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(NAME_PIECE));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The search term of the property that holds the name's beginning.
pub(super) fn first_piece(name: &ObjectName) -> (String, String) {
    let piece = pieces(name.as_str()).first().map(|piece| (*piece).to_owned()).unwrap_or_default();
    (format!("{NAME}0"), piece)
}

/// What a new file is told to be.
pub(super) fn metadata(name: &ObjectName, id: &str, folder: &str) -> Value {
    json!({
        "id": id,
        "name": name.as_str(),
        "mimeType": "application/octet-stream",
        "parents": [folder],
        "appProperties": properties(name),
    })
}

impl Inner {
    /// An id that no file has yet.
    pub(super) async fn new_id(&self) -> Result<String, Error> {
        let mut ids = self.shared.ids.lock().await;
        if ids.is_empty() {
            let fetched: GeneratedIds = self
                .metadata("get ids for new files", |hub, seen| {
                    hub.files().generate_ids().count(IDS).space("drive").delegate(seen).doit().boxed()
                })
                .await?;
            ids.extend(fetched.ids.into_iter().flatten());
        }
        ids.pop().ok_or_else(|| Error::new(Reason::Rejected, "the service gives no ids for new files"))
    }

    /// Looks at a file by its id; `None` if it is gone, in the trash, or not to be seen.
    pub(super) async fn get(&self, id: &str) -> Result<Option<Found>, Error> {
        let got = self.metadata("look at the file", |hub, seen| {
            let get = hub.files().get(id).supports_all_drives(true).param("fields", FIELDS);
            get.delegate(seen).doit().boxed()
        });
        match got.await {
            Ok(file) => Found::read(file),
            Err(error) if error.reason == Reason::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a file for good, or into the trash. One that is gone is no error.
    pub(super) async fn remove(&self, id: &str, trash: bool) -> Result<(), Error> {
        let removed = if trash {
            self.metadata("move the file to the trash", |hub, seen| {
                let change = File { trashed: Some(true), ..File::default() };
                let update = hub.files().update(change, id).supports_all_drives(true).param("fields", "id");
                update.delegate(seen).doit_without_upload().boxed()
            })
            .await
            .map(drop)
        } else {
            self.metadata("delete the file", |hub, seen| {
                let delete = hub.files().delete(id).supports_all_drives(true).delegate(seen);
                async move { delete.doit().await.map(|response| (response, ())) }.boxed()
            })
            .await
        };
        match removed {
            Err(error) if error.reason != Reason::NotFound => Err(error.help(
                "the account may not delete here: in a shared drive it must be Content manager to move files to the \
                 trash (`trash: true`) and Manager to delete them for good",
            )),
            _ => {
                let mut known = self.known();
                known.gone.insert(id.to_owned());
                known.ids.retain(|_, known| known != id);
                Ok(())
            }
        }
    }
}

impl Client {
    /// The file of this name. Of several, the one that the record names, or the oldest.
    pub(super) async fn find(&self, name: &ObjectName) -> Result<Option<Found>, Error> {
        let known = self.known().ids.get(name).cloned();
        if let Some(id) = known {
            if let Some(found) = self.get(&id).await?.filter(|found| found.name == *name) {
                return Ok(Some(found));
            }
            self.known().ids.remove(name);
        }
        let found = list::named(self, name).await?;
        let chosen = list::choose(self, name, found).await?.map(|(chosen, _)| chosen);
        if let Some(chosen) = &chosen {
            self.known().ids.insert(name.clone(), chosen.id.clone());
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_come_back_from_the_properties() {
        for text in ["a", "web/web-1.json", &"ü".repeat(400), &format!("a{}", "日".repeat(250))] {
            let object = ObjectName::new(text).unwrap();
            let Value::Object(all) = properties(&object) else { panic!("no properties") };
            assert!(all.len() <= 30, "{} properties", all.len());
            let all: HashMap<String, String> =
                all.into_iter().map(|(key, value)| (key, value.as_str().unwrap().to_owned())).collect();
            assert!(all.iter().all(|(key, value)| key.len() + value.len() <= 124));
            assert_eq!(name(Some(&all)).as_deref(), Some(text));
        }
    }
}
