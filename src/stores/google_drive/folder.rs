//! The folder of the store: found by its id or path, made by who writes if it is missing.
//!
//! Folders of one name may exist twice: two agents made them at the same moment. New files go into the oldest, and all
//! of them are looked into, so that nothing is out of sight.

use futures_util::FutureExt as _;
use google_drive3::api::File;
use hyper::Method;
use serde_json::json;

use super::client::{Inner, Raw};
use super::config::Folder;
use super::file::FOLDER;
use super::transmit::{query, quoted};
use crate::stores::{Error, Reason};

const FIELDS: &str = "id,name,mimeType,trashed,driveId,createdTime,capabilities(canAddChildren,canTrashChildren,canDeleteChildren)";

/// The folders that the path leads to.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    /// Their ids; never empty. The first one takes new files.
    pub(super) ids: Vec<String>,
    /// The shared drive that they are in.
    pub(super) drive: Option<String>,
}

impl Folders {
    /// Where new files go.
    pub(super) fn first(&self) -> &str {
        self.ids.first().map_or("root", String::as_str)
    }
}

impl Inner {
    /// The store's folders; looked for once, and made if need be.
    pub(super) async fn folders(&self) -> Result<&Folders, Error> {
        self.shared.folders.get_or_try_init(|| self.resolve(true)).await
    }

    /// The store's folders for who only reads: made by nobody. Fails with [`Reason::NotFound`] if there are none; an empty
    /// folder in the wrong account would look like a store without packages.
    pub(super) async fn existing_folders(&self) -> Result<&Folders, Error> {
        self.shared.folders.get_or_try_init(|| self.resolve(false)).await
    }

    /// The shared drive that the store is in: the configured one, or that of the folder once it has been looked at.
    ///
    /// A search that does not name the drive finds only what this account has made or opened there: an account that
    /// restores what another has backed up would find nothing.
    pub(super) fn drive(&self) -> Option<&str> {
        let configured = self.plan.shared_drive.as_deref();
        configured.or_else(|| self.shared.folders.get()?.drive.as_deref())
    }

    async fn resolve(&self, make: bool) -> Result<Folders, Error> {
        match &self.plan.folder {
            Folder::Id(id) => {
                let drive = self.folder(id).await?.drive_id;
                Ok(Folders { ids: vec![id.clone()], drive })
            }
            Folder::Path(segments) => {
                let mut parents = vec![self.plan.shared_drive.clone().unwrap_or_else(|| "root".to_owned())];
                for segment in segments {
                    let found = self.children(&parents, segment).await?;
                    parents = match (found.is_empty(), make) {
                        (false, _) => found,
                        (true, true) => self.add(&parents, segment).await?,
                        (true, false) => return Err(no_folder(&segments.join("/"))),
                    };
                }
                Ok(Folders { ids: parents, drive: self.plan.shared_drive.clone() })
            }
        }
    }

    /// Looks at a folder by its id, and refuses what is none.
    pub(super) async fn folder(&self, id: &str) -> Result<File, Error> {
        let got = self.metadata("look at the folder", |hub, seen| {
            let get = hub.files().get(id).supports_all_drives(true).param("fields", FIELDS);
            get.delegate(seen).doit().boxed()
        });
        let file = match got.await {
            Err(error) if error.reason == Reason::NotFound => {
                return Err(Error::new(Reason::Rejected, format!("there is no folder `{id}` that this account sees")).help(
                    "share the folder with the account as Editor. With the scope `drive.file` the agent sees only \
                     folders that it made: use `folder`, or `scope: drive`",
                ));
            }
            got => got?,
        };
        let name = file.name.clone().unwrap_or_default();
        if file.mime_type.as_deref() != Some(FOLDER) {
            return Err(Error::new(Reason::Rejected, format!("`{name}` is a file, not a folder"))
                .help("write the id of a folder: the last part of its address in the browser"));
        }
        if file.trashed == Some(true) {
            return Err(Error::new(Reason::Rejected, format!("the folder `{name}` is in the trash"))
                .help("take it out of the trash in Drive, or name another one"));
        }
        let (wanted, is) = (self.plan.shared_drive.as_deref(), file.drive_id.as_deref());
        if wanted.is_some() && wanted != is {
            return Err(Error::new(
                Reason::Rejected,
                format!("the folder `{name}` is not in the shared drive"),
            )
            .help("correct `folder_id` or `shared_drive`"));
        }
        Ok(file)
    }

    /// Makes a folder of this name in the first of these, and returns all of that name.
    async fn add(&self, parents: &[String], name: &str) -> Result<Vec<String>, Error> {
        let parent = parents.first().map_or("root", String::as_str);
        let made = self.make(parent, name).await?;
        // Someone else may have made one at the same moment: then both use the older one.
        let mut all = self.children(parents, name).await?;
        if !all.contains(&made) {
            all.push(made);
        }
        Ok(all)
    }

    async fn children(&self, parents: &[String], name: &str) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for parent in parents {
            let search = format!(
                "name = {} and {} in parents and mimeType = '{FOLDER}' and trashed = false",
                quoted(name),
                quoted(parent)
            );
            let fields = "nextPageToken,incompleteSearch,files(id,name,createdTime)";
            let listed = match self.search("look for the folder", &search, fields).await {
                // The drive itself is what is not there.
                Err(error) if error.reason == Reason::NotFound => return Err(no_drive(error)),
                listed => listed?,
            };
            // Drive's search does not tell capital letters from small ones.
            found.extend(listed.into_iter().filter(|file| file.name.as_deref() == Some(name)));
        }
        found.sort_by_key(|file| (file.created_time, file.id.clone()));
        Ok(found.into_iter().filter_map(|file| file.id).collect())
    }

    /// Makes a folder. The id is taken first, so that a repeated request makes no second one.
    async fn make(&self, parent: &str, name: &str) -> Result<String, Error> {
        let doing = "make the folder";
        let id = self.new_id().await?;
        let metadata = json!({ "id": id, "name": name, "mimeType": FOLDER, "parents": [parent] });
        let url = format!(
            "{}drive/v3/files?{}",
            self.plan.root,
            query(&[("supportsAllDrives", "true"), ("fields", "id")])
        );
        let attempt = || async {
            let answer = self
                .answer(
                    doing,
                    Raw {
                        method: Method::POST,
                        url: url.clone(),
                        headers: vec![("Content-Type", "application/json; charset=UTF-8".to_owned())],
                        body: metadata.to_string().into(),
                    },
                )
                .await?;
            match answer.status {
                200 | 201 | 409 => Ok(()),
                _ => Err(answer.failure(doing)),
            }
        };
        match self.run(doing, attempt).await {
            Err(error) if error.reason == Reason::NotFound => Err(no_drive(error)),
            made => made.map(|()| id),
        }
    }
}

fn no_folder(path: &str) -> Error {
    Error::new(Reason::NotFound, format!("there is no folder `{path}` that this account sees")).help(
        "the first backup, or `check`, makes it. If there are backups in it, this is another account, or the scope is \
         `drive.file` with another OAuth client than theirs: then the agent sees only what it made itself",
    )
}

fn no_drive(error: Error) -> Error {
    Error { reason: Reason::Rejected, ..error }
        .help("the shared drive is not there, or the account is no member of it: correct `shared_drive`, or add the account")
}
