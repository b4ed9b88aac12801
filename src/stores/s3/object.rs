//! The requests about one object, each repeated and resolved until its outcome is known.

use std::collections::HashMap;

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ChecksumMode, CompletedMultipartUpload, CompletedPart, ObjectLockMode, ServerSideEncryption as Sse,
    StorageClass,
};
use bytes::Bytes;

use super::checksum::{Part, Whole};
use super::client::Client;
use super::config::{ChecksumKind, LockMode, ServerSideEncryption};
use super::transmit::{Beating, Renamed};
use super::upload::Target;
use crate::clock::Timestamp;
use crate::stores::retry::Pulse;
use crate::stores::{Error, Reason};

/// The user metadata that tells uploads of one name apart.
const IDENTITY: &str = "chupacabra-upload";

/// A random number that goes with an upload and stays with its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity(String);

impl Identity {
    pub(super) fn new() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }
}

/// What the service says of an object.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) size: u64,
    pub(super) etag: Option<String>,
    /// Encrypted with a KMS key: then the `ETag` is no MD5.
    pub(super) kms: bool,
    pub(super) checksum: Option<String>,
    identity: Option<String>,
}

impl Head {
    /// Whether it is the object of this upload: by its identity, or by size and `ETag` where the service keeps none.
    pub(super) fn is(&self, identity: &Identity, size: u64, etag: &str) -> bool {
        match &self.identity {
            Some(theirs) => *theirs == identity.0,
            None => self.size == size && self.etag.as_deref() == Some(etag),
        }
    }
}

/// An `ETag` without its quotes.
fn bare(etag: Option<&str>) -> Option<String> {
    etag.map(|etag| etag.trim_matches('"').to_owned())
}

impl Client {
    /// Looks at an object; `None` if there is none.
    pub(super) async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        let kind = self.plan.checksum;
        let request = || {
            let head = self.sdk().head_object().bucket(&self.plan.bucket).key(key);
            head.set_checksum_mode(kind.algorithm().map(|_| ChecksumMode::Enabled)).send()
        };
        let head = match self.send("look at the object", request).await {
            Ok(head) => head,
            Err(error) if error.reason == Reason::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let checksum = match kind {
            ChecksumKind::None => None,
            ChecksumKind::Crc64nvme => head.checksum_crc64_nvme(),
            ChecksumKind::Crc32c => head.checksum_crc32_c(),
            ChecksumKind::Sha256 => head.checksum_sha256(),
        };
        let identity = head.metadata().and_then(|all| all.get(IDENTITY)).cloned();
        Ok(Some(Head {
            size: head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            etag: bare(head.e_tag()),
            kms: matches!(head.server_side_encryption(), Some(Sse::AwsKms | Sse::AwsKmsDsse)),
            checksum: checksum.map(str::to_owned),
            identity,
        }))
    }

    /// Fails if there already is an object of that name. A key that may not look is no reason to fail.
    pub(super) async fn refuse_existing(&self, target: &Target) -> Result<(), Error> {
        match self.head(&target.key).await {
            Ok(Some(_)) => Err(exists(target)),
            Err(error) if error.reason != Reason::Denied => Err(error),
            _ => Ok(()),
        }
    }

    /// Stores an object in one request. Returns the `ETag`.
    pub(super) async fn put(
        &self,
        target: &Target,
        body: Bytes,
        part: &Part,
    ) -> Result<Option<String>, Error> {
        let size = body.len() as u64;
        let attempt = |_| async {
            match self.put_once(target, body.clone(), part).await {
                // The object may be our own, of an attempt whose answer was lost.
                Err(error) if error.reason == Reason::Exists => {
                    self.resolve(target, size, &part.etag(), exists(target)).await
                }
                result => result,
            }
        };
        self.retry.run("store the object", attempt).await
    }

    async fn put_once(&self, target: &Target, body: Bytes, part: &Part) -> Result<Option<String>, Error> {
        let (plan, pulse) = (&self.plan, Pulse::default());
        let lock = self.lock(target);
        let request = self
            .sdk()
            .put_object()
            .bucket(&plan.bucket)
            .key(&target.key)
            .content_md5(part.content_md5())
            .set_metadata(Some(metadata(target)))
            .set_if_none_match(plan.quirks.conditional_put.then(|| "*".to_owned()))
            .set_storage_class(plan.storage_class.as_deref().map(StorageClass::from))
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(plan.kms_key_id.clone())
            .set_tagging(plan.tags.clone())
            .set_object_lock_mode(lock.as_ref().map(|(mode, _)| mode.clone()))
            .set_object_lock_retain_until_date(lock.map(|(_, until)| until));
        let sum = part.checksum.clone();
        let request = match plan.checksum {
            ChecksumKind::None => request,
            ChecksumKind::Crc64nvme => request.set_checksum_crc64_nvme(sum),
            ChecksumKind::Crc32c => request.set_checksum_crc32_c(sum),
            ChecksumKind::Sha256 => request.set_checksum_sha256(sum),
        };
        let beating = Beating { pulse: pulse.clone(), body: body.clone() };
        let request = request.body(ByteStream::from(body)).customize().interceptor(beating).send();
        let stored = self.attempt("store the object", pulse, request).await?;
        Ok(bare(stored.e_tag()))
    }

    /// Begins a multipart upload. Returns its id.
    pub(super) async fn create_multipart(&self, target: &Target) -> Result<String, Error> {
        let plan = &self.plan;
        let lock = self.lock(target);
        let request = || {
            self.sdk()
                .create_multipart_upload()
                .bucket(&plan.bucket)
                .key(&target.key)
                .set_metadata(Some(metadata(target)))
                .set_checksum_algorithm(plan.checksum.algorithm())
                .set_checksum_type(plan.checksum.over())
                .set_storage_class(plan.storage_class.as_deref().map(StorageClass::from))
                .set_server_side_encryption(self.encryption())
                .set_ssekms_key_id(plan.kms_key_id.clone())
                .set_tagging(plan.tags.clone())
                .set_object_lock_mode(lock.as_ref().map(|(mode, _)| mode.clone()))
                .set_object_lock_retain_until_date(lock.as_ref().map(|(_, until)| *until))
                .customize()
                .interceptor(Renamed)
                .send()
        };
        let created = self.send("begin the upload", request).await?;
        let id = created.upload_id().filter(|id| !id.is_empty()).map(str::to_owned);
        id.ok_or_else(|| Error::new(Reason::Rejected, "cannot begin the upload: the service gave it no id"))
    }

    /// Uploads one part, as often as it takes.
    pub(super) async fn upload_part(
        &self,
        key: &str,
        id: &str,
        number: i32,
        body: Bytes,
        part: &Part,
    ) -> Result<CompletedPart, Error> {
        let doing = format!("upload part {number}");
        let attempt = |_| self.upload_part_once(&doing, key, id, number, body.clone(), part);
        self.retry.run(&doing, attempt).await
    }

    async fn upload_part_once(
        &self,
        doing: &str,
        key: &str,
        id: &str,
        number: i32,
        body: Bytes,
        part: &Part,
    ) -> Result<CompletedPart, Error> {
        let pulse = Pulse::default();
        let request = self.sdk().upload_part().bucket(&self.plan.bucket).key(key).upload_id(id);
        let request = request.part_number(number).content_md5(part.content_md5());
        let completed = CompletedPart::builder().part_number(number);
        let sum = part.checksum.clone();
        let (request, completed) = match self.plan.checksum {
            ChecksumKind::None => (request, completed),
            ChecksumKind::Crc64nvme => {
                (request.set_checksum_crc64_nvme(sum.clone()), completed.set_checksum_crc64_nvme(sum))
            }
            ChecksumKind::Crc32c => {
                (request.set_checksum_crc32_c(sum.clone()), completed.set_checksum_crc32_c(sum))
            }
            ChecksumKind::Sha256 => {
                (request.set_checksum_sha256(sum.clone()), completed.set_checksum_sha256(sum))
            }
        };
        let beating = Beating { pulse: pulse.clone(), body: body.clone() };
        let request = request.body(ByteStream::from(body)).customize().interceptor(beating).send();
        let stored = self.attempt(doing, pulse, request).await?;
        let Some(etag) = bare(stored.e_tag()) else {
            return Err(Error::new(
                Reason::Transient(None),
                format!("cannot {doing}: the answer has no ETag"),
            ));
        };
        let kms = matches!(stored.server_side_encryption(), Some(Sse::AwsKms | Sse::AwsKmsDsse));
        if self.plan.quirks.md5_etags && !kms && etag != part.etag() {
            let message = format!("cannot {doing}: the service received other bytes than were sent");
            return Err(Error::new(Reason::Transient(None), message));
        }
        Ok(completed.set_e_tag(stored.e_tag().map(str::to_owned)).build())
    }

    /// Makes the parts an object. Returns the `ETag`.
    ///
    /// A lost answer, an upload that is no longer known and an object that is suddenly there may all mean that an
    /// earlier attempt succeeded: the object itself decides.
    pub(super) async fn complete(
        &self,
        target: &Target,
        id: &str,
        parts: &CompletedMultipartUpload,
        whole: &Whole,
    ) -> Result<Option<String>, Error> {
        let attempt = |_| async {
            match self.complete_once(target, id, parts, whole).await {
                Ok(etag) => Ok(etag),
                Err(error) => self.resolve(target, whole.size(), &whole.composite_etag(), error).await,
            }
        };
        self.retry.run("complete the upload", attempt).await
    }

    async fn complete_once(
        &self,
        target: &Target,
        id: &str,
        parts: &CompletedMultipartUpload,
        whole: &Whole,
    ) -> Result<Option<String>, Error> {
        let plan = &self.plan;
        let request = self
            .sdk()
            .complete_multipart_upload()
            .bucket(&plan.bucket)
            .key(&target.key)
            .upload_id(id)
            .multipart_upload(parts.clone())
            .set_if_none_match(plan.quirks.conditional_complete.then(|| "*".to_owned()))
            .set_checksum_type(plan.checksum.over());
        let sum = whole.checksum(true);
        let request = match plan.checksum {
            ChecksumKind::None => request,
            ChecksumKind::Crc64nvme => request.set_checksum_crc64_nvme(sum),
            ChecksumKind::Crc32c => request.set_checksum_crc32_c(sum),
            ChecksumKind::Sha256 => request.set_checksum_sha256(sum),
        };
        // Joining thousands of parts takes a service minutes, during which it says nothing.
        let patience = plan.patience.saturating_mul(5);
        let completed =
            self.attempt_for("complete the upload", Pulse::default(), patience, request.send()).await?;
        Ok(bare(completed.e_tag()))
    }

    /// After an error: succeeds if the object is there and is ours, and gives the error back if not.
    async fn resolve(
        &self,
        target: &Target,
        size: u64,
        etag: &str,
        error: Error,
    ) -> Result<Option<String>, Error> {
        let open = matches!(error.reason, Reason::Transient(_) | Reason::SessionLost | Reason::Exists);
        if !open {
            return Err(error);
        }
        match self.head(&target.key).await {
            Ok(Some(head)) if head.is(&target.identity, size, etag) => Ok(head.etag),
            Ok(Some(_)) => Err(exists(target)),
            _ => Err(error),
        }
    }

    /// Gives a multipart upload up. One that is no longer known is no error.
    pub(super) async fn abort(&self, key: &str, id: &str) -> Result<(), Error> {
        let request =
            || self.sdk().abort_multipart_upload().bucket(&self.plan.bucket).key(key).upload_id(id).send();
        match self.send("abort the upload", request).await {
            Err(error) if !matches!(error.reason, Reason::SessionLost | Reason::NotFound) => Err(error),
            _ => Ok(()),
        }
    }

    fn encryption(&self) -> Option<Sse> {
        self.plan.encryption.map(|encryption| match encryption {
            ServerSideEncryption::Aes256 => Sse::Aes256,
            ServerSideEncryption::AwsKms => Sse::AwsKms,
        })
    }

    fn lock(&self, target: &Target) -> Option<(ObjectLockMode, DateTime)> {
        let lock = self.plan.lock?;
        let until = target.retain_until?;
        Some((lock_mode(lock.mode), DateTime::from_secs(whole_seconds(until))))
    }
}

pub(super) fn lock_mode(mode: LockMode) -> ObjectLockMode {
    match mode {
        LockMode::Governance => ObjectLockMode::Governance,
        LockMode::Compliance => ObjectLockMode::Compliance,
    }
}

/// Seconds, rounded up: protection never ends early.
pub(super) fn whole_seconds(at: Timestamp) -> i64 {
    at.as_second() + i64::from(at.subsec_nanosecond() > 0)
}

fn metadata(target: &Target) -> HashMap<String, String> {
    HashMap::from([(IDENTITY.to_owned(), target.identity.0.clone())])
}

fn exists(target: &Target) -> Error {
    Error::new(Reason::Exists, format!("there already is an object `{}`", target.name))
}
