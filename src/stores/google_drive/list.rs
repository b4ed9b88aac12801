//! Listing, deleting and sweeping: the requests about many files, page by page to the end.

use std::collections::BTreeMap;

use bytes::BytesMut;
use futures_util::{FutureExt as _, TryStreamExt as _};
use google_drive3::api::File;

use super::client::{Client, Inner};
use super::download;
use super::file::{FIELDS, Found, first_piece};
use super::transmit::quoted;
use crate::clock::Timestamp;
use crate::stores::{Error, Listed, ObjectName, Reason};

const PAGE: i32 = 1_000;
/// A record is a small text; what is larger is none.
const LARGEST_RECORD: u64 = 16 << 20;

impl Inner {
    /// All files that a search finds. A page that cannot be had, or that is not complete, fails it.
    pub(super) async fn search(&self, doing: &str, search: &str, fields: &str) -> Result<Vec<File>, Error> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self
                .metadata(doing, |hub, seen| {
                    let mut list = hub.files().list().q(search).page_size(PAGE).spaces("drive");
                    list = list.supports_all_drives(true).include_items_from_all_drives(true);
                    if let Some(drive) = self.drive() {
                        list = list.corpora("drive").drive_id(drive);
                    }
                    if let Some(token) = &token {
                        list = list.page_token(token);
                    }
                    list.param("fields", fields).delegate(seen).doit().boxed()
                })
                .await?;
            if page.incomplete_search == Some(true) {
                return Err(incomplete(doing, "the service has not searched everywhere"));
            }
            let Some(files) = page.files else {
                return Err(incomplete(doing, "the service's answer has no files"));
            };
            found.extend(files);
            match page.next_page_token {
                None => return Ok(found),
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                Some(_) => {
                    return Err(incomplete(doing, "the service says that there is more, but not where"));
                }
            }
        }
    }
}

fn incomplete(doing: &str, what: &str) -> Error {
    Error::new(Reason::Rejected, format!("cannot {doing}: {what}")).help("try again later")
}

/// All objects of the store whose name begins with `prefix`, files of one name together.
async fn grouped(client: &Client, prefix: &str) -> Result<BTreeMap<ObjectName, Vec<Found>>, Error> {
    let mut groups: BTreeMap<ObjectName, Vec<Found>> = BTreeMap::new();
    let fields = format!("nextPageToken,incompleteSearch,files({FIELDS})");
    for folder in &client.existing_folders().await?.ids {
        let search = format!("{} in parents and trashed = false", quoted(folder));
        for file in client.search("list objects", &search, &fields).await? {
            let Some(found) = Found::read(file)?.filter(|found| found.name.as_str().starts_with(prefix))
            else {
                continue;
            };
            if !client.known().gone.contains(&found.id) {
                groups.entry(found.name.clone()).or_default().push(found);
            }
        }
    }
    // Listings lag behind: what this process has made and does not see is asked for by its id.
    let unseen: Vec<(ObjectName, String)> = {
        let known = client.known();
        let below = known.ids.iter().filter(|(name, _)| name.as_str().starts_with(prefix));
        let seen = |name: &ObjectName, id: &String| {
            groups.get(name).is_some_and(|group| group.iter().any(|found| found.id == *id))
        };
        below.filter(|(name, id)| !seen(name, id)).map(|(name, id)| (name.clone(), id.clone())).collect()
    };
    for (name, id) in unseen {
        match client.get(&id).await? {
            Some(found) if found.name == name => groups.entry(name).or_default().push(found),
            _ => {
                client.known().ids.remove(&name);
            }
        }
    }
    Ok(groups)
}

/// All finished objects whose name begins with `prefix`, each name once.
pub(super) async fn list(client: &Client, prefix: &str) -> Result<Vec<Listed>, Error> {
    let mut listed = Vec::new();
    for (name, found) in grouped(client, prefix).await? {
        if let Some((chosen, others)) = choose(client, &name, found).await? {
            for other in &others {
                tracing::warn!(%name, id = other.id, "two files have one name; a later prune sweeps this one");
            }
            client.known().ids.insert(name.clone(), chosen.id);
            listed.push(Listed { name, size: chosen.size, modified: chosen.modified });
        }
    }
    Ok(listed)
}

/// All files of one name that can be seen.
pub(super) async fn named(client: &Client, name: &ObjectName) -> Result<Vec<Found>, Error> {
    let folders = match client.existing_folders().await {
        Err(error) if error.reason == Reason::NotFound => return Ok(Vec::new()),
        folders => &folders?.ids,
    };
    let fields = format!("nextPageToken,incompleteSearch,files({FIELDS})");
    let (key, value) = first_piece(name);
    let by_name = format!("name = {}", quoted(name.as_str()));
    // A file that a person has renamed is still known by its properties.
    let by_property = format!("appProperties has {{ key={} and value={} }}", quoted(&key), quoted(&value));
    let mut all: Vec<Found> = Vec::new();
    for term in [by_name, by_property] {
        for folder in folders {
            let search = format!("{term} and {} in parents and trashed = false", quoted(folder));
            for file in client.search("look for the file", &search, &fields).await? {
                all.extend(Found::read(file)?.filter(|found| found.name == *name));
            }
        }
        if !all.is_empty() {
            break;
        }
    }
    let known = client.known();
    all.retain(|found| !known.gone.contains(&found.id));
    Ok(all)
}

/// Of several files of one name, the one whose digest the record names, or the oldest; and the others.
pub(super) async fn choose(
    client: &Client,
    name: &ObjectName,
    mut found: Vec<Found>,
) -> Result<Option<(Found, Vec<Found>)>, Error> {
    found.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    if found.len() > 1
        && let Some(record) = record(client, name).await?
    {
        let named =
            |found: &Found| found.sha256.as_ref().is_some_and(|digest| record.contains(digest.as_str()));
        // A stable sort: the oldest stays the first of those that the record does not tell apart.
        found.sort_by_key(|one| !named(one));
    }
    let mut found = found.into_iter();
    Ok(found.next().map(|chosen| (chosen, found.collect())))
}

/// The text of the oldest record beside an object; `None` for a record itself, and where there is none.
async fn record(client: &Client, name: &ObjectName) -> Result<Option<String>, Error> {
    let text = name.as_str();
    let stem = text.strip_suffix(".tar.gz.age").or_else(|| text.strip_suffix(".index.age"));
    let Some(Ok(record)) = stem.map(|stem| ObjectName::new(format!("{stem}.json"))) else { return Ok(None) };
    let mut records = named(client, &record).await?;
    records.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    let Some(record) = records.into_iter().next().filter(|record| record.size <= LARGEST_RECORD) else {
        return Ok(None);
    };
    let bytes: BytesMut = download::of(client, record, None).await?.try_collect().await?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Removes every file of this name.
pub(super) async fn delete(client: &Client, name: &ObjectName) -> Result<(), Error> {
    let known = client.known().ids.get(name).cloned();
    let mut ids: Vec<String> = named(client, name).await?.into_iter().map(|found| found.id).collect();
    ids.extend(known.filter(|id| !ids.contains(id)));
    for id in ids {
        client.remove(&id, client.plan.trash).await?;
    }
    Ok(())
}

/// Removes the files that have another's name. Drive drops unfinished uploads by itself, after a week.
pub(super) async fn sweep(
    client: &Client,
    prefix: &str,
    before: Timestamp,
    dry_run: bool,
) -> Result<Vec<String>, Error> {
    let mut swept = Vec::new();
    for (name, found) in grouped(client, prefix).await? {
        let Some((_, others)) = choose(client, &name, found).await? else { continue };
        for other in others.into_iter().filter(|other| other.created < before) {
            if !dry_run {
                client.remove(&other.id, client.plan.trash).await?;
            }
            swept.push(format!(
                "{name} (second file of this name, {})",
                other.created.strftime("%Y-%m-%dT%H:%M:%SZ")
            ));
        }
    }
    Ok(swept)
}
