//! Listing, deleting and sweeping: the requests about many objects, page by page to the end.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{BucketVersioningStatus, MultipartUpload};

use super::check;
use super::client::Client;
use super::lock::why_refused;
use crate::catalog::Key;
use crate::clock::Timestamp;
use crate::stores::{Error, Listed, ObjectName, Reason};

/// All finished objects whose name begins with `prefix`.
pub(super) async fn list(client: &Client, prefix: &str) -> Result<Vec<Listed>, Error> {
    let whole = format!("{}{prefix}", client.plan.prefix);
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let request = || {
            let page = client.sdk().list_objects_v2().bucket(&client.plan.bucket).prefix(&whole);
            page.set_continuation_token(token.clone()).send()
        };
        let page = client.send("list objects", request).await?;
        for object in page.contents() {
            // What has no sound name is not ours: other programs' folder markers, for one.
            let Some(name) = object.key().and_then(|key| client.name(key)) else { continue };
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            let modified = object.last_modified().and_then(|at| timestamp(*at));
            match (size, modified) {
                (Some(size), Some(modified)) => found.push(Listed { name, size, modified }),
                _ => return Err(incomplete(&format!("`{name}` is listed without its size or time"))),
            }
        }
        let next = page.next_continuation_token().map(str::to_owned);
        match (page.is_truncated().unwrap_or(false), next) {
            (false, _) => break,
            (true, Some(next)) if token.as_ref() != Some(&next) => token = Some(next),
            (true, _) => return Err(incomplete("the service says that there is more, but not where")),
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn incomplete(what: &str) -> Error {
    Error::new(Reason::Rejected, format!("cannot list objects: {what}"))
}

pub(super) fn timestamp(at: DateTime) -> Option<Timestamp> {
    let nanos = i32::try_from(at.subsec_nanos()).ok()?;
    Timestamp::new(at.secs(), nanos).ok()
}

/// Removes an object; in a bucket with versions, every version of it and every marker.
pub(super) async fn delete(client: &Client, name: &ObjectName) -> Result<(), Error> {
    let key = client.key(name);
    if client.keeps_versions().await? {
        return delete_versions(client, &key).await;
    }
    let Some(marker) = delete_one(client, &key, None).await? else { return Ok(()) };
    // Nobody could say that the bucket keeps versions: the object is hidden, and nothing of it removed.
    let removed = delete_versions(client, &key).await;
    if removed.is_err()
        && let Err(error) = delete_one(client, &key, Some(marker)).await
    {
        tracing::warn!(key, %error, "a delete marker hides an object that could not be removed");
    }
    removed.map_err(|error| match error.reason {
        Reason::Denied => error.help(
            "the bucket keeps versions: allow s3:GetBucketVersioning, s3:ListBucketVersions and s3:DeleteObjectVersion",
        ),
        _ => error,
    })
}

async fn delete_versions(client: &Client, key: &str) -> Result<(), Error> {
    for version in versions(client, key).await? {
        delete_one(client, key, Some(version)).await?;
    }
    Ok(())
}

/// Removes an object or one version of it. Returns the version of the marker that the service has made or removed
/// instead.
async fn delete_one(client: &Client, key: &str, version: Option<String>) -> Result<Option<String>, Error> {
    let request = || {
        let delete = client.sdk().delete_object().bucket(&client.plan.bucket).key(key);
        delete.set_version_id(version.clone()).send()
    };
    match client.send("delete the object", request).await {
        Ok(deleted) if deleted.delete_marker() == Some(true) => {
            Ok(Some(deleted.version_id().unwrap_or("null").to_owned()))
        }
        Ok(_) => Ok(None),
        Err(error) if error.reason == Reason::NotFound => Ok(None),
        Err(error) if matches!(error.reason, Reason::Denied | Reason::Locked) => {
            Err(why_refused(client, key, version.as_deref(), error).await)
        }
        Err(error) => Err(error),
    }
}

/// The ids of all versions and markers of a key, the oldest first: what is under lock is met before anything that
/// hides it has gone.
async fn versions(client: &Client, key: &str) -> Result<Vec<String>, Error> {
    let mut found: Vec<(Option<DateTime>, String)> = Vec::new();
    let (mut key_marker, mut version_marker) = (None::<String>, None::<String>);
    loop {
        let request = || {
            let page = client.sdk().list_object_versions().bucket(&client.plan.bucket).prefix(key);
            page.set_key_marker(key_marker.clone()).set_version_id_marker(version_marker.clone()).send()
        };
        let page = client.send("list versions", request).await?;
        let of = |theirs: Option<&str>| theirs == Some(key);
        let versions = page.versions().iter().filter(|one| of(one.key()));
        let markers = page.delete_markers().iter().filter(|one| of(one.key()));
        let versions = versions.map(|one| (one.last_modified, one.version_id.clone()));
        for (at, id) in versions.chain(markers.map(|one| (one.last_modified, one.version_id.clone()))) {
            // What is passed over would be left, and be counted as removed.
            let id = id.ok_or_else(|| incomplete("the service lists a version without its id"))?;
            found.push((at, id));
        }
        let next = (page.next_key_marker.clone(), page.next_version_id_marker.clone());
        if !page.is_truncated().unwrap_or(false) {
            break;
        }
        if next == (key_marker.clone(), version_marker.clone()) || next.0.is_none() {
            return Err(incomplete("the service says that there are more versions, but not where"));
        }
        (key_marker, version_marker) = next;
    }
    found.sort_by_key(|(at, _)| at.map(|at| (at.secs(), at.subsec_nanos())));
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

impl Client {
    /// Whether the bucket keeps what is deleted or overwritten. Asked once. Where it cannot be asked, a bucket whose
    /// objects are protected does, as Object Lock wants it; of others the answer to a deletion tells.
    pub(super) async fn keeps_versions(&self) -> Result<bool, Error> {
        let ask = || async {
            let request = || self.sdk().get_bucket_versioning().bucket(&self.plan.bucket).send();
            match self.send("ask for the bucket's versioning", request).await {
                Ok(answer) => Ok(matches!(
                    answer.status(),
                    Some(BucketVersioningStatus::Enabled | BucketVersioningStatus::Suspended)
                )),
                Err(error) if error.is_transient() => Err(error),
                Err(_) => Ok(self.plan.lock.is_some()),
            }
        };
        self.versioned.get_or_try_init(ask).await.copied()
    }
}

/// Aborts unfinished uploads of packages below `prefix` that were begun before `before`. Returns what they would have
/// become.
pub(super) async fn sweep(
    client: &Client,
    prefix: &str,
    before: Timestamp,
    dry_run: bool,
) -> Result<Vec<String>, Error> {
    let mut swept = Vec::new();
    for upload in unfinished(client, prefix).await? {
        let begun = upload.initiated().and_then(|at| timestamp(*at));
        let (Some(key), Some(id), Some(begun)) = (upload.key(), upload.upload_id(), begun) else { continue };
        // Uploads of other programs in the same bucket have names of another shape: they are not touched.
        let Some(name) = client.name(key).filter(|name| is_ours(name) && begun < before) else { continue };
        if !dry_run {
            client.abort(key, id).await?;
        }
        swept.push(format!("{name} (unfinished upload of {})", begun.strftime("%Y-%m-%dT%H:%M:%SZ")));
    }
    swept.sort();
    Ok(swept)
}

/// Whether an object of this name is an agent's: part of a package, or a check's.
fn is_ours(name: &ObjectName) -> bool {
    Key::parse_object(name.as_str()).is_some() || name.as_str().starts_with(check::NAMES)
}

/// The multipart uploads that are neither completed nor aborted. Services that do not list them have none to show, and a
/// key that may not list them must not keep retention from being applied: `check` names the right.
pub(super) async fn unfinished(client: &Client, prefix: &str) -> Result<Vec<MultipartUpload>, Error> {
    let whole = format!("{}{prefix}", client.plan.prefix);
    let mut found = Vec::new();
    let (mut key_marker, mut id_marker) = (None::<String>, None::<String>);
    loop {
        let request = || {
            let page = client.sdk().list_multipart_uploads().bucket(&client.plan.bucket).prefix(&whole);
            page.set_key_marker(key_marker.clone()).set_upload_id_marker(id_marker.clone()).send()
        };
        let page = match client.send("list unfinished uploads", request).await {
            Ok(page) => page,
            Err(error) if error.reason == Reason::Denied => {
                tracing::warn!(%error, "unfinished uploads are not swept: allow s3:ListBucketMultipartUploads");
                return Ok(found);
            }
            Err(error)
                if matches!(error.reason, Reason::Rejected | Reason::NotFound | Reason::SessionLost) =>
            {
                tracing::debug!(%error, "unfinished uploads are not swept");
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        // Some services list by their own idea of a prefix.
        let below = |upload: &&MultipartUpload| upload.key().is_some_and(|key| key.starts_with(&whole));
        found.extend(page.uploads().iter().filter(below).cloned());
        let next = (page.next_key_marker.clone(), page.next_upload_id_marker.clone());
        if !page.is_truncated().unwrap_or(false) {
            return Ok(found);
        }
        if next == (key_marker.clone(), id_marker.clone()) || next.0.is_none() {
            return Err(incomplete("the service says that there are more uploads, but not where"));
        }
        (key_marker, id_marker) = next;
    }
}
