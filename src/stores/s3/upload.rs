//! Uploading: parts of one size, several at once, within a fixed memory; or one request for what fits into one part.

use async_trait::async_trait;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::checksum::{Agreement, PartDigest, Whole};
use super::client::Client;
use super::object::{Head, Identity};
use super::parts::Parts;
use crate::clock::Timestamp;
use crate::stores::retry::unless_stopped;
use crate::stores::{Error, ObjectName, Proof, Reason, Stored, Upload};

/// An object on its way into a bucket.
pub(super) struct S3Upload {
    client: Client,
    target: Target,
    parts: Parts,
    buffer: BytesMut,
    digest: PartDigest,
    whole: Whole,
    session: Option<Session>,
    /// Cancelled when nobody wants the object any more.
    stop: CancellationToken,
}

/// What is to become of the bytes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) name: ObjectName,
    pub(super) key: String,
    /// Tells this upload's object from another one of the same name.
    pub(super) identity: Identity,
    pub(super) retain_until: Option<Timestamp>,
}

/// A multipart upload that the service knows.
struct Session {
    id: String,
    sending: JoinSet<Result<Sent, Error>>,
    done: Vec<CompletedPart>,
    begun: i32,
    /// The memory of parts that have arrived, for those to come: what is allocated once stays enough.
    spare: Vec<BytesMut>,
}

/// A part that has arrived, and its memory if nobody else holds it any more.
type Sent = (CompletedPart, Option<BytesMut>);

impl S3Upload {
    pub(super) fn new(client: Client, target: Target, parts: Parts, stop: CancellationToken) -> Self {
        let checksum = client.plan.checksum;
        Self {
            client,
            target,
            parts,
            buffer: BytesMut::new(),
            digest: PartDigest::new(checksum),
            whole: Whole::new(checksum),
            session: None,
            stop,
        }
    }

    /// Sends what is buffered as the next part, waiting while as many as may be are on their way.
    async fn send_part(&mut self) -> Result<(), Error> {
        let checksum = self.client.plan.checksum;
        let part = std::mem::replace(&mut self.digest, PartDigest::new(checksum)).finish();
        let body = std::mem::take(&mut self.buffer).freeze();
        self.whole.add(&part);
        let session = if let Some(session) = &mut self.session {
            session
        } else {
            let id = self.client.create_multipart(&self.target).await?;
            self.session.insert(Session::new(id))
        };
        while session.sending.len() >= self.parts.at_once {
            session.wait_for_one().await?;
        }
        session.begun += 1;
        let (client, key, id, number) =
            (self.client.clone(), self.target.key.clone(), session.id.clone(), session.begun);
        session.sending.spawn(async move {
            let sent = client.upload_part(&key, &id, number, body.clone(), &part).await?;
            Ok((sent, body.try_into_mut().ok()))
        });
        self.buffer = session.spare.pop().unwrap_or_default();
        self.buffer.clear();
        Ok(())
    }

    async fn finish_single(mut self: Box<Self>) -> Result<Stored, Error> {
        let body = std::mem::take(&mut self.buffer).freeze();
        let part = std::mem::replace(&mut self.digest, PartDigest::new(self.client.plan.checksum)).finish();
        self.whole.add(&part);
        let etag = self.client.put(&self.target, body, &part).await?;
        self.compare(false, etag.as_deref(), &self.whole.single_etag()).await
    }

    async fn finish_multipart(&self, session: &mut Session) -> Result<Stored, Error> {
        while !session.sending.is_empty() {
            session.wait_for_one().await?;
        }
        session.done.sort_by_key(CompletedPart::part_number);
        let parts =
            CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut session.done))).build();
        let etag = self.client.complete(&self.target, &session.id, &parts, &self.whole).await?;
        self.compare(true, etag.as_deref(), &self.whole.composite_etag()).await
    }

    /// Ends a session. Nothing may be on its way by then: a part that arrives after the abort would stay.
    async fn give_up(&self, mut session: Session) -> Result<(), Error> {
        session.sending.shutdown().await;
        self.client.abort(&self.target.key, &session.id).await
    }

    /// Looks at the object; `None` only if it is not there after many looks: an answer from before the upload, which a
    /// cache or a replica may still give, must not cost the upload of hours.
    async fn look(&self) -> Result<Option<Head>, Error> {
        let mut waits = self.client.retry.waits();
        loop {
            if let Some(head) = self.client.head(&self.target.key).await? {
                return Ok(Some(head));
            }
            let absent = Error::new(Reason::Transient(None), "the uploaded object is not to be seen yet");
            if waits.wait_after("look at the object", absent).await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Looks at what the service has now, and compares it with what was sent. `said` is the `ETag` that the service
    /// answered with, `own` the one that it should have if its `ETags` are MD5s.
    async fn compare(&self, multipart: bool, said: Option<&str>, own: &str) -> Result<Stored, Error> {
        let size = self.whole.size();
        let head = match self.look().await {
            Ok(Some(head)) => head,
            Ok(None) => {
                return Err(corrupt(&self.target, "it is not there").help(
                    "the service, or a cache or replica before it, does not show what it has just stored: use an \
                     endpoint with read-after-write consistency",
                ));
            }
            // A key that may only write cannot look. What the service said when it finished has to do.
            Err(error) if error.reason == Reason::Denied && said == Some(own) => {
                return Ok(Stored { size, proof: Proof::PartChecksums });
            }
            Err(error) if error.reason == Reason::Denied => {
                return Err(error.help(
                    "the key may write but not look, and the service's ETag does not tell what it has (with KMS it is \
                     no MD5): allow s3:GetObject",
                ));
            }
            Err(error) => return Err(error),
        };
        if head.size != size {
            let what = format!("it has {} bytes of the {size} that were sent", head.size);
            return Err(corrupt(&self.target, &what));
        }
        if !head.is(&self.target.identity, size, said.unwrap_or(own)) {
            return Err(corrupt(&self.target, "another writer's object is there"));
        }
        let md5_etags = self.client.plan.quirks.md5_etags && !head.kms;
        if md5_etags && head.etag.as_deref() != Some(own) {
            return Err(corrupt(&self.target, "the service has other bytes (its ETag differs)"));
        }
        let proof = match self.whole.agreement(&head, multipart) {
            Agreement::Differs => {
                return Err(corrupt(&self.target, "the service has other bytes (its checksum differs)"));
            }
            Agreement::Whole => Proof::Checksum,
            // In one request the MD5 is over the whole object.
            Agreement::Unknown if md5_etags && !multipart => Proof::Checksum,
            Agreement::Unknown | Agreement::Parts => Proof::PartChecksums,
        };
        Ok(Stored { size, proof })
    }
}

impl Session {
    fn new(id: String) -> Self {
        Self { id, sending: JoinSet::new(), done: Vec::new(), begun: 0, spare: Vec::new() }
    }

    async fn wait_for_one(&mut self) -> Result<(), Error> {
        match self.sending.join_next().await {
            Some(Ok(sent)) => {
                let (part, memory) = sent?;
                self.done.push(part);
                self.spare.extend(memory);
            }
            Some(Err(lost)) => {
                return Err(
                    Error::new(Reason::SessionLost, "the upload of a part ended unexpectedly").because(lost)
                );
            }
            None => {}
        }
        Ok(())
    }
}

#[async_trait]
impl Upload for S3Upload {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        if self.whole.size() + bytes.len() as u64 > self.parts.capacity {
            let rules = self.client.plan.parts;
            return Err(
                rules.too_large(&self.parts, &format!("`{}` is larger than planned", self.target.name))
            );
        }
        while !bytes.is_empty() {
            // A full buffer is only sent when more comes: the last part is sent by whoever finishes.
            if self.buffer.len() == self.parts.size {
                self.send_part().await?;
            }
            if self.buffer.capacity() == 0 {
                self.buffer.reserve(self.parts.size);
            }
            let taken = bytes.split_to(bytes.len().min(self.parts.size - self.buffer.len()));
            self.digest.update(&taken);
            self.whole.update(&taken);
            self.buffer.extend_from_slice(&taken);
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored, Error> {
        let stop = self.stop.clone();
        let mut ready = unless_stopped(&stop, self.client.refuse_existing(&self.target)).await;
        if self.session.is_none() {
            ready?;
            return unless_stopped(&stop, self.finish_single()).await;
        }
        if ready.is_ok() {
            ready = unless_stopped(&stop, self.send_part()).await;
        }
        let Some(mut session) = self.session.take() else {
            return Err(Error::new(Reason::SessionLost, "the upload has no session"));
        };
        let finished = match ready {
            Ok(()) => unless_stopped(&stop, self.finish_multipart(&mut session)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &finished
            && error.reason != Reason::Corrupt
            && let Err(left) = self.give_up(session).await
        {
            tracing::warn!(key = %self.target.key, error = %left, "cannot abort the upload; a later prune sweeps it");
        }
        finished
    }

    async fn abort(mut self: Box<Self>) -> Result<(), Error> {
        match self.session.take() {
            Some(session) => self.give_up(session).await,
            None => Ok(()),
        }
    }
}

fn corrupt(target: &Target, what: &str) -> Error {
    Error::new(Reason::Corrupt, format!("`{}` was uploaded, but {what}", target.name))
}
