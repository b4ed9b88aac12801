//! Users and roles with their credentials, merged by the server from temporary collections.

use std::collections::BTreeMap;

use mongodb::bson::{Document, RawDocumentBuf, rawdoc};

use super::super::archive::Namespace;
use super::super::listing::WAITING;
use super::Error;
use super::target::Target;
use crate::sources::Restored;

/// Users and roles: the server's collection, where they wait to be merged, and the word for counts.
const MERGED: [(&str, &str, &str); 2] =
    [("system.users", WAITING[0], "users"), ("system.roles", WAITING[1], "roles")];

/// Where the documents of a collection of users or roles wait to be merged.
pub(super) fn temporary(namespace: &Namespace) -> Option<Namespace> {
    let found = MERGED.iter().find(|(own, ..)| namespace.database == "admin" && namespace.collection == *own);
    found.map(|(_, temporary, _)| Namespace::new("admin", *temporary))
}

/// Drops the temporary collections.
pub(super) async fn clear(target: &Target) -> Result<(), Error> {
    for (_, temporary, _) in MERGED {
        target.drop(&Namespace::new("admin", temporary)).await?;
    }
    Ok(())
}

/// Makes the temporary collections anew.
pub(super) async fn make(target: &Target) -> Result<(), Error> {
    clear(target).await?;
    for (_, temporary, _) in MERGED {
        let create = rawdoc! { "create": temporary };
        target.run("admin", create, &format!("create `admin.{temporary}`")).await?;
    }
    Ok(())
}

/// Merges what waits, and compares every user and role.
///
/// Users and roles that the target has and the archive has not stay. Of those that both have, the target's stay
/// unless it is told to replace them; they are named then. The user who restores stays in any case: replaced, it
/// would be logged out at once.
pub(super) async fn merge(target: &Target, replace: bool, restored: &mut Restored) -> Result<(), Error> {
    let mut wanted = Vec::new();
    let myself = myself(target).await?;
    for (own, temporary, word) in MERGED {
        let mut dumped = all(target, temporary).await?;
        let before = all(target, own).await?;
        restored.counts.insert(word.into(), dumped.len() as u64);
        if replace {
            for id in myself.iter().filter(|_| word == "users") {
                if dumped.get(id).is_some_and(|document| before.get(id) != Some(document)) {
                    dumped.remove(id);
                    remove(target, temporary, id).await?;
                    restored.notes.push(format!("the user who restores was left as it is: {id}"));
                }
            }
            // The server drops whoever is not in the temporary collection.
            for (_, document) in before.iter().filter(|(id, _)| !dumped.contains_key(*id)) {
                insert(target, temporary, document).await?;
            }
        } else {
            let kept =
                dumped.iter().filter(|(id, document)| before.get(*id).is_some_and(|own| own != *document));
            let kept: Vec<&str> = kept.map(|(id, _)| id.as_str()).collect();
            if !kept.is_empty() {
                let kept = kept.join(", ");
                restored
                    .notes
                    .push(format!("these {word} exist with other content and were left as they are: {kept}"));
            }
        }
        wanted.push((own, dumped, before));
    }
    let command = rawdoc! {
        "_mergeAuthzCollections": 1_i32,
        "tempUsersCollection": format!("admin.{}", WAITING[0]),
        "tempRolesCollection": format!("admin.{}", WAITING[1]),
        "drop": replace,
        "db": "",
    };
    target.run("admin", command, "merge users and roles").await?;
    for (own, dumped, before) in wanted {
        let after = all(target, own).await?;
        for (id, document) in dumped {
            let kept = !replace && before.contains_key(&id);
            if !kept && after.get(&id) != Some(&document) {
                return Err(Error::NotMerged(id));
            }
        }
    }
    Ok(())
}

/// Every document of a collection of `admin`, by its `_id`.
async fn all(target: &Target, collection: &str) -> Result<BTreeMap<String, RawDocumentBuf>, Error> {
    let what = format!("read `admin.{collection}`");
    let find = rawdoc! { "find": collection };
    let mut batches = target.member.cursor("admin", find, 1_000, what.as_str()).await?;
    let mut found = BTreeMap::new();
    while let Some(batch) = batches.next().await? {
        for document in batch.documents()? {
            let document = document?;
            let id = document.get_str("_id").map_err(|error| Error::reply(what.as_str(), error))?;
            found.insert(id.to_owned(), document.to_owned());
        }
    }
    Ok(found)
}

/// The users that this connection has logged in as.
async fn myself(target: &Target) -> Result<Vec<String>, Error> {
    const WHAT: &str = "ask who restores";
    let reply = target.run("admin", rawdoc! { "connectionStatus": 1_i32 }, WHAT).await?;
    let users = reply.get_document("authInfo").and_then(|info| info.get_array("authenticatedUsers"));
    let users = users.map_err(|error| Error::reply(WHAT, error))?;
    let id = |user: &Document| Some(format!("{}.{}", user.get_str("db").ok()?, user.get_str("user").ok()?));
    Ok(users.iter().filter_map(|user| id(user.as_document()?)).collect())
}

async fn remove(target: &Target, collection: &str, id: &str) -> Result<(), Error> {
    let command = rawdoc! { "delete": collection, "deletes": [{ "q": { "_id": id }, "limit": 1_i32 }] };
    let reply = target.run("admin", command, &format!("delete from `admin.{collection}`")).await?;
    if reply.get_i32("n").is_ok_and(|n| n == 1) { Ok(()) } else { Err(Error::reply("delete", reply)) }
}

async fn insert(target: &Target, collection: &str, document: &RawDocumentBuf) -> Result<(), Error> {
    let mut documents = mongodb::bson::RawArrayBuf::new();
    documents.push(document.clone());
    let mut command = rawdoc! { "insert": collection };
    command.append(mongodb::bson::raw::cstr!("documents"), documents);
    let reply = target.run("admin", command, &format!("insert into `admin.{collection}`")).await?;
    if reply.get_i32("n").is_ok_and(|n| n == 1) { Ok(()) } else { Err(Error::reply("insert", reply)) }
}
