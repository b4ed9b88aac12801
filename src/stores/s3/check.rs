//! Examining a bucket: what works with this key at this service, tried out on small objects that are removed again.
//!
//! Where the bucket protects every object by default, nothing is written: it could not be removed.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{CompletedMultipartUpload, ObjectLockEnabled};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use super::S3;
use super::checksum::{PartDigest, Whole};
use super::client::Client;
use super::config::ChecksumKind;
use super::error::NO_CREDENTIALS;
use super::object::Identity;
use super::upload::{S3Upload, Target};
use super::{download, list};
use crate::clock::Timestamp;
use crate::stores::{Error, Finding, ObjectName, Reason, Severity, Upload as _};

/// Begins the names of a check's objects.
pub(super) const NAMES: &str = "chupacabra-check-";
const CONTENT: &[u8] = b"chupacabra check: this object may be removed\n";
/// Signatures are refused beyond this (docs.aws.amazon.com, `RequestTimeTooSkewed`).
const MOST_SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);

/// Tries everything that a backup, a restore and a prune need.
pub(super) async fn check(store: &S3) -> Vec<Finding> {
    let mut check = Check { client: store.client.hasty(), findings: Vec::new() };
    check.clock_and_list(store).await;
    if check.findings.iter().any(|finding| finding.severity == Severity::Bad) {
        return check.findings;
    }
    check.versions().await;
    if check.lock().await {
        let what = "the bucket protects every new object by default: nothing was written to try it";
        check.say(Severity::Notice, "write", what, "run a backup to see whether it works");
        return check.findings;
    }
    let id = format!("{:016x}", rand::random::<u64>());
    let single = check.single(&id).await;
    let multipart = check.multipart(&id).await;
    check.unfinished().await;
    check.delete([single, multipart].into_iter().flatten().collect()).await;
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

    /// The first request: shows whether the service is there, the key good and the clocks together.
    async fn clock_and_list(&mut self, store: &S3) {
        let seen = SeenDate::default();
        let request = || {
            let page = self.client.sdk().list_objects_v2().bucket(&self.client.plan.bucket).max_keys(1);
            page.prefix(&self.client.plan.prefix).customize().interceptor(seen.clone()).send()
        };
        let listed = self.client.send("list objects", request).await;
        if let Some(theirs) = seen.get() {
            self.clock(store.clock.now(), theirs);
        }
        match listed {
            Ok(_) => self.good("list", "objects can be listed"),
            // The key is good, the right is missing.
            Err(error) if is_missing_right(&error) => self.say(
                Severity::Notice,
                "list",
                "the key may not list: backups work, `list`, `prune`, `verify` and `restore` need another key",
                "allow s3:ListBucket if this key should also prune",
            ),
            Err(error) => self.bad("connect", &error),
        }
    }

    fn clock(&mut self, ours: Timestamp, theirs: Timestamp) {
        let skew = ours.duration_since(theirs);
        let what = format!("this machine's clock and the service's are {} apart", seconds(skew));
        let help = "set this machine's clock (NTP): signatures are refused when it is 15 minutes off";
        if skew.abs() >= MOST_SKEW {
            self.say(Severity::Bad, "clock", what, help);
        } else if skew.abs() > jiff::SignedDuration::from_secs(60) {
            self.say(Severity::Notice, "clock", what, help);
        } else {
            self.good("clock", what);
        }
    }

    async fn versions(&mut self) {
        let request = || self.client.sdk().get_bucket_versioning().bucket(&self.client.plan.bucket).send();
        match self.client.send("ask for the bucket's versioning", request).await {
            Ok(_) => match self.client.keeps_versions().await {
                Ok(true) => self.good("versions", "the bucket keeps versions; prune removes every version"),
                _ => self.good("versions", "the bucket keeps no versions"),
            },
            Err(_) if self.client.plan.lock.is_some() => {
                self.good(
                    "versions",
                    "the bucket keeps versions, as `object_lock` wants; prune removes every version",
                );
            }
            Err(_) => self.say(
                Severity::Notice,
                "versions",
                "it cannot be asked whether the bucket keeps versions; prune learns it when it deletes",
                "allow s3:GetBucketVersioning",
            ),
        }
    }

    /// Whether every new object is protected by default.
    async fn lock(&mut self) -> bool {
        let request =
            || self.client.sdk().get_object_lock_configuration().bucket(&self.client.plan.bucket).send();
        let answer = self.client.send("ask for the bucket's object lock", request).await;
        let lock = answer.ok().and_then(|answer| answer.object_lock_configuration);
        let enabled =
            lock.as_ref().is_some_and(|lock| lock.object_lock_enabled == Some(ObjectLockEnabled::Enabled));
        match (&self.client.plan.lock, enabled) {
            (Some(lock), true) => {
                let what = format!("objects will be protected for {}", lock.retain_for);
                self.good("lock", what);
            }
            (Some(_), false) => self.say(
                Severity::Bad,
                "lock",
                "`object_lock` is configured, but the bucket was not made with Object Lock",
                "make a bucket with Object Lock, or remove `object_lock`",
            ),
            (None, true) => self.good("lock", "the bucket has Object Lock; this store does not use it"),
            (None, false) => {}
        }
        enabled && lock.and_then(|lock| lock.rule).and_then(|rule| rule.default_retention).is_some()
    }

    /// One object in one request: written, read, and not overwritten.
    async fn single(&mut self, id: &str) -> Option<Target> {
        let target = self.target(&format!("{NAMES}{id}"))?;
        if let Err(error) = self.upload(&target).await {
            self.bad("write", &error);
            return None;
        }
        self.good("write", "objects can be written");
        self.checksum(&target).await;
        self.read(&target).await;
        if self.client.plan.quirks.conditional_put {
            let mut digest = PartDigest::new(self.client.plan.checksum);
            digest.update(CONTENT);
            let other = Target { identity: Identity::new(), ..target.clone() };
            let again = self.client.put(&other, Bytes::from_static(CONTENT), &digest.finish()).await;
            self.overwrite("overwrite", again.map(drop));
        }
        Some(target)
    }

    /// Writes the object as a backup does, with all that it looks at and compares.
    async fn upload(&self, target: &Target) -> Result<(), Error> {
        let parts = self.client.plan.parts.plan(None, None)?;
        let mut upload =
            Box::new(S3Upload::new(self.client.clone(), target.clone(), parts, CancellationToken::new()));
        upload.write(Bytes::from_static(CONTENT)).await?;
        upload.finish().await.map(drop)
    }

    /// Whether the service keeps the checksum that it was sent: many take it and have none to compare later.
    async fn checksum(&mut self, target: &Target) {
        if self.client.plan.checksum == ChecksumKind::None {
            return;
        }
        match self.client.head(&target.key).await {
            Ok(Some(head)) if head.checksum.is_some() => self.good("checksum", "the service keeps checksums"),
            Ok(Some(_)) => self.say(
                Severity::Notice,
                "checksum",
                "the service takes `checksum` and does not keep it: nothing is compared by it",
                "remove `checksum`: what every service checks is checked without it",
            ),
            // A key that may not look cannot compare either, and is told of as one that may not read.
            _ => {}
        }
    }

    async fn read(&mut self, target: &Target) {
        let read = async {
            let download = download::open(&self.client, target.key.clone(), None).await?;
            download
                .try_fold(Vec::new(), async |mut all, bytes| {
                    all.extend_from_slice(&bytes);
                    Ok(all)
                })
                .await
        };
        match read.await {
            Ok(bytes) if bytes == CONTENT => self.good("read", "objects can be read back"),
            Ok(_) => {
                self.bad("read", &Error::new(Reason::Corrupt, "other bytes came back than were written"));
            }
            Err(error) if is_missing_right(&error) => self.say(
                Severity::Notice,
                "read",
                "the key may not read: backups work, `verify` and `restore` need another key",
                "allow s3:GetObject if this key should also verify and restore",
            ),
            Err(error) => self.bad("read", &error),
        }
    }

    fn overwrite(&mut self, topic: &str, again: Result<(), Error>) {
        match again {
            Err(error) if error.reason == Reason::Exists => {
                self.good(topic, "the service refuses to overwrite an object");
            }
            Ok(()) => self.say(
                Severity::Notice,
                topic,
                "the service overwrites although it was asked not to; names are unique, so nothing is lost",
                "set `conditional_writes: false`",
            ),
            Err(error) => self.bad(topic, &error),
        }
    }

    /// One object in parts (one part: the last may be small), twice.
    async fn multipart(&mut self, id: &str) -> Option<Target> {
        let target = self.target(&format!("{NAMES}{id}-parts"))?;
        if let Err(error) = self.complete(&target).await {
            self.bad("multipart", &error);
            return None;
        }
        self.good("multipart", "objects can be written in parts");
        if self.client.plan.quirks.conditional_complete {
            let other = Target { identity: Identity::new(), ..target.clone() };
            let again = self.complete(&other).await;
            self.overwrite("overwrite in parts", again);
        }
        Some(target)
    }

    async fn complete(&self, target: &Target) -> Result<(), Error> {
        let kind = self.client.plan.checksum;
        let (mut digest, mut whole) = (PartDigest::new(kind), Whole::new(kind));
        digest.update(CONTENT);
        whole.update(CONTENT);
        let part = digest.finish();
        whole.add(&part);
        let id = self.client.create_multipart(target).await?;
        let body = Bytes::from_static(CONTENT);
        let completed = async {
            let sent = self.client.upload_part(&target.key, &id, 1, body, &part).await?;
            let parts = CompletedMultipartUpload::builder().parts(sent).build();
            self.client.complete(target, &id, &parts, &whole).await
        };
        match completed.await {
            Ok(_) => Ok(()),
            Err(error) => self.client.abort(&target.key, &id).await.and(Err(error)),
        }
    }

    async fn unfinished(&mut self) {
        let request = || self.client.sdk().list_multipart_uploads().bucket(&self.client.plan.bucket).send();
        match self.client.send("list unfinished uploads", request).await {
            Ok(_) => self.good("sweep", "unfinished uploads can be listed"),
            Err(_) => self.say(
                Severity::Notice,
                "sweep",
                "unfinished uploads cannot be listed: what an interrupted backup leaves is not swept",
                "allow s3:ListBucketMultipartUploads, or give the bucket a lifecycle rule that aborts incomplete multipart \
                 uploads after a few days",
            ),
        }
    }

    async fn delete(&mut self, written: Vec<Target>) {
        for target in &written {
            match list::delete(&self.client, &target.name).await {
                Ok(()) => {}
                Err(error) if error.reason == Reason::Denied => {
                    let what = format!(
                        "the key may not delete: `prune` needs another key, and `{}` is left",
                        target.name
                    );
                    let help = "allow s3:DeleteObject if this key should also prune (where the bucket keeps versions, \
                                s3:ListBucketVersions and s3:DeleteObjectVersion too), or remove the object by hand";
                    return self.say(Severity::Notice, "delete", what, help);
                }
                Err(error) => return self.bad("delete", &error),
            }
        }
        if !written.is_empty() {
            self.good("delete", "objects can be deleted");
        }
    }

    /// A target without protection, so that it can be removed.
    fn target(&mut self, name: &str) -> Option<Target> {
        match ObjectName::new(name) {
            Ok(name) => Some(Target {
                key: self.client.key(&name),
                name,
                identity: Identity::new(),
                retain_until: None,
            }),
            Err(error) => {
                self.bad("write", &error);
                None
            }
        }
    }
}

/// A right that is missing, as opposed to a key that is wrong, or that there is none: STS refuses by the same code.
fn is_missing_right(error: &Error) -> bool {
    let said = |words: &str| error.message.contains(words);
    error.reason == Reason::Denied && said("AccessDenied") && !said(NO_CREDENTIALS)
}

fn seconds(skew: jiff::SignedDuration) -> String {
    format!("{} s", skew.as_secs().abs())
}

/// Keeps the date of the last answer.
#[derive(Debug, Clone, Default)]
struct SeenDate(Arc<Mutex<Option<Timestamp>>>);

impl SeenDate {
    fn get(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for SeenDate {
    fn name(&self) -> &'static str {
        "SeenDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date.and_then(list::timestamp);
        Ok(())
    }
}
