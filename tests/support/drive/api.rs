//! The requests about files, folders, drives and the account.

use axum::body::Bytes;
use chupacabra::clock::Timestamp;
use serde_json::{Value, json};

use super::fields::Mask;
use super::search::Term;
use super::world::{Caller, Entry, FOLDER, ROOT, World};
use super::{Asked, Said, uploads};

pub(super) fn route(world: &mut World, asked: &Asked, caller: &Caller, method: &str, path: &[&str]) -> Said {
    match (method, path) {
        ("GET", ["drive", "v3", "about"]) => about(world, asked, caller),
        ("GET", ["drive", "v3", "files", "generateIds"]) => generate_ids(world, asked),
        ("GET", ["drive", "v3", "files"]) => list(world, asked, caller),
        ("POST", ["drive", "v3", "files"]) => create(world, asked, caller),
        ("GET", ["drive", "v3", "files", id]) => get(world, asked, caller, id),
        ("PATCH", ["drive", "v3", "files", id]) => update(world, asked, caller, id),
        ("DELETE", ["drive", "v3", "files", id]) => delete(world, asked, caller, id),
        ("GET", ["drive", "v3", "drives", id]) => match world.drives.get(*id) {
            Some(name) => selected(
                200,
                &json!({ "kind": "drive#drive", "id": id, "name": name }),
                asked,
                "kind,id,name",
            ),
            None => Said::not_found(id),
        },
        ("POST", ["upload", "drive", "v3", "files"]) => uploads::create(world, asked, caller, None),
        ("PATCH", ["upload", "drive", "v3", "files", id]) => uploads::create(world, asked, caller, Some(id)),
        _ => Said::error(404, "notFound", "Not Found"),
    }
}

/// The part of an answer that `fields` asks for.
pub(super) fn selected(status: u16, value: &Value, asked: &Asked, default: &str) -> Said {
    select(status, value, asked.query("fields").unwrap_or(default))
}

pub(super) fn select(status: u16, value: &Value, fields: &str) -> Said {
    match Mask::parse(fields) {
        Some(mask) => Said::json(status, &mask.apply(value)),
        None => Said::error(400, "invalidParameter", &format!("Invalid field selection {fields}")),
    }
}

fn about(world: &World, asked: &Asked, caller: &Caller) -> Said {
    if asked.query("fields").is_none() {
        let message = "The 'fields' parameter is required for this method.";
        return Said::error(400, "required", message);
    }
    let user = json!({ "kind": "drive#user", "displayName": "Some One", "me": true, "permissionId": "1",
                       "emailAddress": caller.email });
    let mut quota = json!({ "usage": world.used().to_string(), "usageInDrive": world.used().to_string(),
                            "usageInDriveTrash": "0" });
    if let Some(limit) = world.switches.limit {
        quota["limit"] = limit.to_string().into();
    }
    if world.switches.without_storage {
        quota["limit"] = "0".into();
    }
    selected(200, &json!({ "kind": "drive#about", "user": user, "storageQuota": quota }), asked, "")
}

fn generate_ids(world: &mut World, asked: &Asked) -> Said {
    let count: usize = asked.query("count").map_or(Ok(10), str::parse).unwrap_or_default();
    if !(1..=1_000).contains(&count) {
        return Said::invalid("Invalid value. Values must be within the range: [1, 1000]");
    }
    let ids: Vec<String> = (0..count).map(|_| world.new_id()).collect();
    selected(200, &json!({ "kind": "drive#generatedIds", "space": "drive", "ids": ids }), asked, "*")
}

/// Whether the caller sees a file at all.
pub(super) fn sees(entry: &Entry, caller: &Caller) -> bool {
    let root = entry.parent.is_empty();
    root || !caller.own_files || entry.app == caller.app
}

/// The file, if it is there, to be seen, and asked for as files of its drive must be.
fn find<'a>(world: &'a World, asked: &Asked, caller: &Caller, id: &str) -> Result<&'a Entry, Said> {
    let id = if id == "root" { ROOT } else { id };
    let entry = world.files.get(id).filter(|entry| sees(entry, caller));
    // A file of a shared drive is not there for who does not ask for it.
    entry
        .filter(|entry| entry.drive.is_none() || asked.is("supportsAllDrives"))
        .ok_or_else(|| Said::not_found(id))
}

fn time(millis: i64) -> String {
    Timestamp::from_millisecond(millis).unwrap().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// A file as answers have it.
pub(super) fn show(world: &World, entry: &Entry, caller: &Caller) -> Value {
    let switches = &world.switches;
    let shared = entry.drive.is_some();
    let write = !(shared && switches.reader);
    let mut shown = json!({
        "kind": "drive#file",
        "id": entry.id,
        "name": entry.name,
        "mimeType": entry.mime,
        "trashed": entry.trashed,
        "explicitlyTrashed": entry.trashed,
        "createdTime": time(entry.created),
        "modifiedTime": time(entry.modified),
        "version": "1",
        "capabilities": {
            "canAddChildren": write,
            "canTrashChildren": write,
            "canDeleteChildren": write && !(shared && switches.content_manager),
        },
    });
    if !entry.parent.is_empty() {
        shown["parents"] = json!([entry.parent]);
    }
    if let Some(drive) = &entry.drive {
        shown["driveId"] = drive.as_str().into();
    } else {
        shown["ownedByMe"] = true.into();
    }
    if entry.app == caller.app && !entry.properties.is_empty() {
        shown["appProperties"] = Value::Object(entry.properties.clone());
    }
    if entry.mime != FOLDER {
        shown["size"] = (entry.content.len() as u64 + entry.forgotten).to_string().into();
        shown["md5Checksum"] = entry.digests.1.as_str().into();
        shown["originalFilename"] = entry.name.as_str().into();
        if !switches.without_sha256 {
            shown["sha256Checksum"] = entry.digests.0.as_str().into();
        }
    }
    shown
}

fn list(world: &mut World, asked: &Asked, caller: &Caller) -> Said {
    let Some(term) = asked.query("q").map_or(Some(Term::And(Vec::new())), Term::parse) else {
        return Said::invalid("Invalid Value");
    };
    let drive = asked.query("driveId");
    if drive.is_some() && asked.query("corpora") != Some("drive") {
        return Said::invalid(
            "The driveId parameter must be specified if and only if corpora is set to drive.",
        );
    }
    if let Some(drive) = drive.filter(|drive| !world.drives.contains_key(*drive)) {
        return Said::error(404, "notFound", &format!("Shared drive not found: {drive}"));
    }
    let shared = asked.is("supportsAllDrives") && asked.is("includeItemsFromAllDrives");
    if drive.is_some() && !shared {
        return Said::invalid("The includeItemsFromAllDrives parameter must be set to true.");
    }
    world.listings += 1;
    let (now, lag) = (world.listings, world.switches.list_lag);
    let in_reach = |entry: &Entry| match drive {
        Some(drive) => entry.drive.as_deref() == Some(drive),
        None => entry.drive.is_none() || shared && asked.query("corpora") == Some("allDrives"),
    };
    let query = |entry: &Entry| {
        !entry.parent.is_empty() && in_reach(entry) && sees(entry, caller) && term.finds(entry, &caller.app)
    };
    let ghosts = world.ghosts.iter().filter(|(removed, _)| now - removed <= lag).map(|(_, entry)| entry);
    let at_once = |entry: &Entry| entry.mime == FOLDER && !world.switches.folders_lag;
    let settled = world.files.values().filter(|entry| at_once(entry) || now - entry.listed_from > lag);
    let found: Vec<&Entry> = settled.chain(ghosts).filter(|entry| query(&root_named(entry, asked))).collect();
    let size: usize = asked.query("pageSize").map_or(Ok(100), str::parse).unwrap_or(100);
    let size = size.min(world.switches.page);
    let Ok(start) =
        asked.query("pageToken").map_or(Ok(0), |token| token.trim_start_matches('~').parse::<usize>())
    else {
        return Said::invalid("Invalid Value");
    };
    let page: Vec<Value> =
        found.iter().skip(start).take(size).map(|entry| show(world, entry, caller)).collect();
    let mut answer =
        json!({ "kind": "drive#fileList", "incompleteSearch": world.switches.incomplete, "files": page });
    if start + size < found.len() {
        answer["nextPageToken"] = format!("~{}", start + size).into();
    }
    selected(200, &answer, asked, "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)")
}

/// In searches the root may be called by its name.
fn root_named(entry: &Entry, asked: &Asked) -> Entry {
    let mut entry = entry.clone();
    if entry.parent == ROOT && asked.query("q").is_some_and(|q| q.contains("'root' in parents")) {
        entry.parent = "root".into();
    }
    entry
}

/// Where a new file goes, or why it does not.
pub(super) fn place(
    world: &World,
    asked: &Asked,
    caller: &Caller,
    metadata: &Value,
) -> Result<(String, Option<String>), Said> {
    let parents = metadata["parents"].as_array().cloned().unwrap_or_default();
    if parents.len() > 1 {
        return Err(Said::error(400, "cannotAddParent", "A file may have only one parent."));
    }
    let parent = parents.first().and_then(Value::as_str).unwrap_or("root");
    let folder = find(world, asked, caller, parent)?;
    if folder.mime != FOLDER {
        return Err(Said::error(403, "parentNotAFolder", "The specified parent is not a folder."));
    }
    if folder.drive.is_some() && world.switches.reader {
        let message = "Insufficient permissions for the specified parent.";
        return Err(Said::error(403, "insufficientParentPermissions", message));
    }
    if let Some(id) = metadata["id"].as_str()
        && world.files.contains_key(id)
    {
        return Err(Said::error(409, "fileIdInUse", "A file already exists with the provided ID."));
    }
    if let Some(properties) = metadata["appProperties"].as_object() {
        let long = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len) > 124;
        if properties.len() > 30 || properties.iter().any(long) {
            return Err(Said::error(
                403,
                "appPropertiesLimitExceeded",
                "The limit on properties was exceeded.",
            ));
        }
    }
    Ok((folder.id.clone(), folder.drive.clone()))
}

fn create(world: &mut World, asked: &Asked, caller: &Caller) -> Said {
    let metadata: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    match place(world, asked, caller, &metadata) {
        Ok((parent, drive)) => {
            let id = world.insert(&metadata, &parent, &caller.app, drive, Bytes::new());
            let shown = show(world, &world.files[&id], caller);
            selected(200, &shown, asked, "kind,id,name,mimeType")
        }
        Err(said) => said,
    }
}

fn get(world: &World, asked: &Asked, caller: &Caller, id: &str) -> Said {
    let entry = match find(world, asked, caller, id) {
        Ok(entry) => entry,
        Err(said) => return said,
    };
    if asked.query("alt") == Some("media") {
        return download(world, asked, entry);
    }
    selected(200, &show(world, entry, caller), asked, "kind,id,name,mimeType")
}

fn download(world: &World, asked: &Asked, entry: &Entry) -> Said {
    if entry.mime == FOLDER {
        return Said::error(
            403,
            "fileNotDownloadable",
            "Only files with binary content can be directly downloaded.",
        );
    }
    if world.switches.abusive && !asked.is("acknowledgeAbuse") {
        let message = "This file has been identified as malware or spam and cannot be downloaded.";
        return Said::error(403, "cannotDownloadAbusiveFile", message);
    }
    let size = entry.content.len();
    let (status, range) = match asked.header("range") {
        None => (200, 0..size),
        Some(text) => {
            let range = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'));
            let parsed = range.and_then(|(from, to)| {
                let from: usize = from.parse().ok()?;
                let to = if to.is_empty() { size } else { to.parse::<usize>().ok()? + 1 };
                (from < to.min(size)).then(|| from..to.min(size))
            });
            match parsed {
                Some(range) => (206, range),
                None => {
                    let message = "Request range not satisfiable";
                    return Said::error(416, "requestedRangeNotSatisfiable", message);
                }
            }
        }
    };
    let mut said = Said { status, headers: Vec::new(), body: entry.content.slice(range.clone()) };
    if status == 206 {
        said = said.with("content-range", format!("bytes {}-{}/{size}", range.start, range.end - 1));
    }
    said.with("content-type", entry.mime.clone())
}

fn update(world: &mut World, asked: &Asked, caller: &Caller, id: &str) -> Said {
    if let Err(said) = find(world, asked, caller, id) {
        return said;
    }
    let change: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let now = world.listings;
    let before = world.files[id].clone();
    if before.drive.is_some() && world.switches.reader {
        return Said::error(
            403,
            "insufficientFilePermissions",
            "The user does not have sufficient permissions.",
        );
    }
    let mut entry = before.clone();
    if let Some(name) = change["name"].as_str() {
        entry.name = name.into();
    }
    if let Some(trashed) = change["trashed"].as_bool() {
        entry.trashed = trashed;
        world.ghosts.push((now, before));
    }
    if let Some(parent) = asked.query("addParents") {
        entry.parent = if parent == "root" { ROOT.into() } else { parent.into() };
    }
    let text = change["modifiedTime"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    entry.modified = text.map_or(entry.modified, Timestamp::as_millisecond);
    let shown = show(world, &entry, caller);
    world.files.insert(entry.id.clone(), entry);
    selected(200, &shown, asked, "kind,id,name,mimeType")
}

fn delete(world: &mut World, asked: &Asked, caller: &Caller, id: &str) -> Said {
    match find(world, asked, caller, id) {
        Err(said) => return said,
        Ok(entry) if entry.drive.is_some() && (world.switches.content_manager || world.switches.reader) => {
            let message = "The user does not have sufficient permissions for this file.";
            return Said::error(403, "insufficientFilePermissions", message);
        }
        Ok(_) => {}
    }
    if let Some(entry) = world.files.remove(id) {
        world.ghosts.push((world.listings, entry));
    }
    Said::empty(204)
}
