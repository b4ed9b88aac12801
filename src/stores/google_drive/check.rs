//! Examining a drive: who we are, where we write, how much room there is, and whether everything that a backup, a
//! restore and a prune need works, tried out on a small file that is removed again.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, TryStreamExt as _};
use google_drive3::api::{About, Drive, File};
use tokio_util::sync::CancellationToken;

use super::GoogleDrive;
use super::client::Client;
use super::credentials::Credentials;
use super::session::{Address, Session, Target};
use super::upload::DriveUpload;
use super::{download, list};
use crate::config::units::ByteSize;
use crate::stores::{Error, Finding, ObjectName, Reason, Severity, Upload as _};

const CONTENT: &[u8] = b"chupacabra check: this file may be removed\n";
/// A refresh token that ends within this is of a client in testing.
const TESTING: Duration = Duration::from_hours(8 * 24);
/// Tokens for service accounts are refused when the clocks are further apart.
const MOST_SKEW: i64 = 300;

/// Tries everything that a backup, a restore and a prune need.
pub(super) async fn check(store: &GoogleDrive) -> Vec<Finding> {
    let mut check = Check { client: store.client.hasty(), findings: Vec::new() };
    let about = check.identity().await;
    check.clock(store).await;
    let Some(about) = about else { return check.findings };
    check.testing();
    check.storage(&about).await;
    if !check.folder().await {
        return check.findings;
    }
    check.room(&about).await;
    check.session().await;
    check.round_trip().await;
    check.findings
}

struct Check {
    client: Client,
    findings: Vec<Finding>,
}

impl Check {
    fn say(&mut self, severity: Severity, topic: &str, what: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding { severity, topic: topic.into(), what: what.into(), help: help.into() });
    }

    fn good(&mut self, topic: &str, what: impl Into<String>) {
        self.say(Severity::Good, topic, what, "");
    }

    fn bad(&mut self, topic: &str, error: &Error) {
        self.say(Severity::Bad, topic, error.to_string(), error.remedy());
    }

    /// The first request: shows whether the service is there and the credentials good.
    async fn identity(&mut self) -> Option<About> {
        let about = self.client.metadata("ask who we are", |hub, seen| {
            let fields = "user(displayName,emailAddress),storageQuota";
            hub.about().get().param("fields", fields).delegate(seen).doit().boxed()
        });
        match about.await {
            Ok(about) => {
                let user = about.user.clone().unwrap_or_default();
                let email = user.email_address.or(user.display_name).unwrap_or_else(|| "somebody".to_owned());
                self.good("account", format!("signed in as {email}"));
                Some(about)
            }
            Err(error) => {
                self.bad("account", &error);
                None
            }
        }
    }

    async fn clock(&mut self, store: &GoogleDrive) {
        let Some(theirs) = self.client.ask_date().await else { return };
        let skew = (store.clock.now().as_second() - theirs).abs();
        let what = format!("this machine's clock and the service's are {skew} s apart");
        let help =
            "set this machine's clock (NTP): tokens of another time are refused, and retention goes by time";
        if skew >= MOST_SKEW {
            self.say(Severity::Bad, "clock", what, help);
        } else if skew > 60 {
            self.say(Severity::Notice, "clock", what, help);
        } else {
            self.good("clock", what);
        }
    }

    /// Google tells how long a refresh token lasts only where it does not last.
    fn testing(&mut self) {
        let Some(life) = self.client.shared.tokens.refresh_token_life().filter(|life| *life < TESTING) else {
            return;
        };
        let what =
            format!("the consent ends in {} days: the OAuth client is in testing", life.as_secs() / 86_400);
        let help = "publish the OAuth client (Google Auth platform, Audience, Publish app; `drive.file` needs no \
                    review), then run `chupacabra drive login` again";
        self.say(Severity::Bad, "consent", what, help);
    }

    async fn storage(&mut self, about: &About) {
        // A folder that cannot be looked at is told of by itself.
        let shared = self.client.folders().await.is_ok_and(|folders| folders.drive.is_some());
        let own = self.client.plan.shared_drive.is_none() && !shared;
        let alone = match &self.client.plan.credentials {
            Credentials::ServiceAccount(account) => account.subject.is_none(),
            Credentials::WorkloadIdentity { .. } => true,
            Credentials::User(_) => false,
        };
        let limit = about.storage_quota.as_ref().and_then(|quota| quota.limit);
        if own && alone && limit.is_none_or(|limit| limit == 0) {
            let what = "a service account has no storage of its own";
            let help = "make it a member of a shared drive and set `shared_drive`, or let it work on behalf of a user \
                        with `subject` (domain-wide delegation)";
            self.say(Severity::Bad, "storage", what, help);
        }
    }

    /// Where packages go, and what may be done there.
    async fn folder(&mut self) -> bool {
        let folder = async {
            let folders = self.client.folders().await?.clone();
            let folder = self.client.folder(folders.first()).await?;
            Ok((folders, folder))
        };
        let (folders, folder) = match folder.await {
            Ok(found) => found,
            Err(error) => {
                self.bad("folder", &error);
                return false;
            }
        };
        let name = folder.name.clone().unwrap_or_default();
        match folder.drive_id.clone() {
            Some(drive) => {
                let drive = self.drive(&drive).await;
                self.good("folder", format!("packages go into `{name}` in the shared drive `{drive}`"));
            }
            None => self.good("folder", format!("packages go into `{name}`")),
        }
        if folders.ids.len() > 1 {
            let what = format!(
                "there are {} folders `{name}`; all are read, the oldest is written to",
                folders.ids.len()
            );
            self.say(
                Severity::Notice,
                "folder",
                what,
                "move the files of the younger ones over and remove them",
            );
        }
        self.rights(&folder);
        true
    }

    async fn drive(&mut self, id: &str) -> String {
        let got = self.client.metadata("look at the shared drive", |hub, seen| {
            hub.drives().get(id).param("fields", "id,name").delegate(seen).doit().boxed()
        });
        let drive: Drive = got.await.unwrap_or_default();
        drive.name.unwrap_or_else(|| id.to_owned())
    }

    fn rights(&mut self, folder: &File) {
        let can = folder.capabilities.clone().unwrap_or_default();
        if can.can_add_children == Some(false) {
            let help =
                "make the account Content manager or Manager of the shared drive, or Editor of the folder";
            self.say(Severity::Bad, "rights", "the account may not add files here", help);
        }
        // In one's own drive the owner of a file deletes it; these rights are those of a shared drive.
        let (trash, shared) = (self.client.plan.trash, folder.drive_id.is_some());
        if shared && trash && can.can_trash_children == Some(false) {
            let help = "make the account Content manager of the shared drive if it should prune";
            self.say(
                Severity::Notice,
                "rights",
                "the account may not move files to the trash: `prune` will fail",
                help,
            );
        } else if shared && !trash && can.can_delete_children == Some(false) {
            let help = "make the account Manager of the shared drive, or set `trash: true`";
            self.say(
                Severity::Notice,
                "rights",
                "the account may not delete files for good: `prune` will fail",
                help,
            );
        }
    }

    /// The room that is left against the largest of the last packages.
    async fn room(&mut self, about: &About) {
        let objects = match list::list(&self.client, "").await {
            Ok(objects) => objects,
            Err(error) => return self.bad("list", &error),
        };
        self.good("list", format!("{} objects can be listed", objects.len()));
        if self.client.drive().is_some() {
            return;
        }
        let Some(quota) = &about.storage_quota else { return };
        let (Some(limit), used) = (quota.limit.filter(|limit| *limit > 0), quota.usage.unwrap_or_default())
        else {
            return;
        };
        let free = u64::try_from(limit.saturating_sub(used)).unwrap_or_default();
        let largest = objects.iter().map(|object| object.size).max().unwrap_or_default();
        let what = format!("{} are free, the largest package has {}", ByteSize(free), ByteSize(largest));
        let help = "empty the trash, keep less (`retention`), or get more storage";
        if free <= largest || free == 0 {
            self.say(Severity::Bad, "room", what, help);
        } else if free / 3 < largest {
            self.say(Severity::Notice, "room", what, help);
        } else {
            self.good("room", what);
        }
    }

    /// A session can be begun; that is where quotas and rights are refused. It is given up at once.
    async fn session(&mut self) {
        let begun = async {
            let name = ObjectName::new("chupacabra-check-session")?;
            let folder = self.client.folders().await?.first().to_owned();
            let target = Target { name, id: self.client.new_id().await?, folder };
            let address = Address::default();
            Session::begin(&self.client, &target, address.clone()).await?;
            address.cancel(&self.client).await;
            Ok(())
        };
        match begun.await {
            Ok(()) => self.good("upload", "upload sessions can be begun"),
            Err(error) => self.bad("upload", &error),
        }
    }

    /// One small file: written, read, and removed for good.
    async fn round_trip(&mut self) {
        let written = async {
            let name = ObjectName::new(format!("chupacabra-check-{:016x}", rand::random::<u64>()))?;
            let mut upload =
                Box::new(DriveUpload::new(self.client.clone(), name.clone(), CancellationToken::new()));
            upload.write(Bytes::from_static(CONTENT)).await?;
            upload.finish().await?;
            Ok(name)
        };
        let name = match written.await {
            Ok(name) => name,
            Err(error) => return self.bad("write", &error),
        };
        self.good("write", "files can be written, and their checksums agree");
        let read = async {
            let download = download::open(&self.client, &name, None).await?;
            let bytes: Vec<Bytes> = download.try_collect().await?;
            Ok(bytes.concat())
        };
        match read.await {
            Ok(bytes) if bytes == CONTENT => self.good("read", "files can be read back"),
            Ok(_) => {
                self.bad("read", &Error::new(Reason::Corrupt, "other bytes came back than were written"));
            }
            Err(error) => self.bad("read", &error),
        }
        let Some(id) = self.client.known().ids.get(&name).cloned() else { return };
        let trash = self.client.plan.trash;
        // The trash is no place for a check's litter, if it can be avoided.
        let removed = match self.client.remove(&id, false).await {
            Err(error) if trash && error.reason == Reason::Denied => self.client.remove(&id, true).await,
            removed => removed,
        };
        match removed {
            Ok(()) => self.good("delete", "files can be removed"),
            Err(error) if error.reason == Reason::Denied => {
                let what = format!("the account may not delete: `prune` will fail, and `{name}` is left");
                self.say(Severity::Notice, "delete", what, error.remedy());
            }
            Err(error) => self.bad("delete", &error),
        }
    }
}
