//! Uploading: one chunk on its way while the next is filled; or one request for what is small.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use google_drive3::api::File;
use hyper::Method;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Raw};
use super::error::cut;
use super::file::{FIELDS, Found, metadata};
use super::list;
use super::session::{Address, Session, Target};
use super::transmit::query;
use crate::stores::retry::unless_stopped;
use crate::stores::{Error, ObjectName, Proof, Reason, Stored, Upload};

/// What one request without a session may hold (manage-uploads, "multipart upload": 5 MB).
const SMALL: usize = 5_000_000;
const STORE: &str = "store the object";

/// An object on its way into a folder.
pub(super) struct DriveUpload {
    client: Client,
    name: ObjectName,
    buffer: BytesMut,
    whole: Whole,
    sending: Option<Sending>,
    /// The memory of a chunk that has arrived, for the next one.
    spare: BytesMut,
    /// Cancelled when nobody wants the object any more.
    stop: CancellationToken,
}

/// Chunks on their way: at most one, in a task that gives the session back.
struct Sending {
    target: Target,
    address: Address,
    task: JoinSet<Result<(Session, Option<BytesMut>), Error>>,
}

/// What was sent, for comparison.
#[derive(Clone, Default)]
struct Whole {
    size: u64,
    sha256: Sha256,
    md5: Md5,
}

impl Whole {
    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        self.md5.update(bytes);
    }

    /// Whether the file has these bytes; `None` if the service does not say enough to know.
    fn is(&self, found: &Found) -> Option<bool> {
        let (sha256, md5) =
            (hex::encode(self.sha256.clone().finalize()), hex::encode(self.md5.clone().finalize()));
        let same = match (&found.sha256, &found.md5) {
            (Some(theirs), _) => *theirs == sha256,
            (None, Some(theirs)) => *theirs == md5,
            (None, None) => return None,
        };
        Some(same && found.size == self.size)
    }
}

impl DriveUpload {
    pub(super) fn new(client: Client, name: ObjectName, stop: CancellationToken) -> Self {
        Self {
            client,
            name,
            buffer: BytesMut::new(),
            whole: Whole::default(),
            sending: None,
            spare: BytesMut::new(),
            stop,
        }
    }

    async fn target(&self) -> Result<Target, Error> {
        let folder = self.client.folders().await?.first().to_owned();
        Ok(Target { name: self.name.clone(), id: self.client.new_id().await?, folder })
    }

    /// The session, when the chunk before has arrived; begun if there is none.
    async fn session(&mut self) -> Result<Session, Error> {
        if let Some(sending) = &mut self.sending {
            return match sending.task.join_next().await {
                Some(Ok(sent)) => {
                    let (session, memory) = sent?;
                    self.spare = memory.unwrap_or_default();
                    self.spare.clear();
                    Ok(session)
                }
                _ => Err(Error::new(Reason::SessionLost, "the upload of a chunk ended unexpectedly")),
            };
        }
        let (target, address) = (self.target().await?, Address::default());
        let begun = Session::begin(&self.client, &target, address.clone()).await;
        self.sending = Some(Sending { target, address, task: JoinSet::new() });
        begun
    }

    /// Sends what is buffered, waiting until the chunk before has arrived.
    async fn send_chunk(&mut self) -> Result<(), Error> {
        let mut session = self.session().await?;
        let chunk = std::mem::replace(&mut self.buffer, std::mem::take(&mut self.spare)).freeze();
        if let Some(sending) = &mut self.sending {
            sending.task.spawn(async move {
                session.send(chunk.clone(), None).await?;
                Ok((session, chunk.try_into_mut().ok()))
            });
        }
        Ok(())
    }

    /// Sends the last chunk, and compares the file with what was sent.
    async fn send_last(&mut self) -> Result<Stored, Error> {
        if self.sending.is_none() && self.buffer.len() <= SMALL {
            let target = self.target().await?;
            let body = std::mem::take(&mut self.buffer).freeze();
            let sent = self.send_small(&target, body).await;
            return self.resolve(&target, sent).await;
        }
        let mut session = self.session().await?;
        let Some(target) = self.sending.as_ref().map(|sending| sending.target.clone()) else {
            return Err(Error::new(Reason::SessionLost, "the upload has no session"));
        };
        let chunk = std::mem::take(&mut self.buffer).freeze();
        let sent = session.send(chunk, Some(self.whole.size)).await;
        let sent = sent.and_then(|found| found.ok_or_else(|| cut(STORE)));
        self.resolve(&target, sent).await
    }

    /// Stores a small object in one request. A repeated one meets the file that the first has made.
    async fn send_small(&self, target: &Target, content: Bytes) -> Result<Found, Error> {
        let boundary = format!("chupacabra-{:032x}", rand::random::<u128>());
        let mut body = BytesMut::with_capacity(content.len() + 4_096);
        let metadata = metadata(&target.name, &target.id, &target.folder);
        let head = format!(
            "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n--{boundary}\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&content);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let pairs = [("uploadType", "multipart"), ("supportsAllDrives", "true"), ("fields", FIELDS)];
        let raw = Raw {
            method: Method::POST,
            url: format!("{}upload/drive/v3/files?{}", self.client.plan.root, query(&pairs)),
            headers: vec![("Content-Type", format!("multipart/related; boundary={boundary}"))],
            body: body.freeze(),
        };
        let attempt = || async {
            let answer = self.client.answer(STORE, raw.clone()).await?;
            if !matches!(answer.status, 200 | 201) {
                return Err(answer.failure(STORE));
            }
            let file: File = serde_json::from_value(answer.body).map_err(|_| cut(STORE))?;
            Ok(Found::read(file)?.ok_or_else(|| cut(STORE))?)
        };
        self.client.run(STORE, attempt).await
    }

    /// Whatever was answered, the file decides: it is compared with what was sent, and removed if it differs.
    async fn resolve(&self, target: &Target, sent: Result<Found, Error>) -> Result<Stored, Error> {
        let found = match sent {
            Ok(found) if self.whole.is(&found).is_some() => found,
            Ok(_) => match self.client.get(&target.id).await? {
                Some(found) => found,
                None => return Err(self.corrupt("it is not there")),
            },
            Err(error) if error.reason == Reason::Denied || error.reason == Reason::Full => {
                return Err(error);
            }
            // The answer may have been lost, not the file.
            Err(error) => match self.client.get(&target.id).await {
                Ok(Some(found)) => found,
                _ => return Err(error),
            },
        };
        match self.whole.is(&found) {
            Some(true) => {
                self.client.known().ids.insert(self.name.clone(), found.id);
                Ok(Stored { size: found.size, proof: Proof::Checksum })
            }
            said => {
                let what = if said.is_none() {
                    "the service computes no checksum"
                } else {
                    "the service has other bytes"
                };
                if let Err(error) = self.client.remove(&target.id, false).await {
                    tracing::warn!(name = %self.name, %error, "a damaged file is left; unless it is a record, a later prune sweeps it");
                }
                Err(self.corrupt(what))
            }
        }
    }

    fn corrupt(&self, what: &str) -> Error {
        Error::new(Reason::Corrupt, format!("`{}` was uploaded, but {what}", self.name))
    }

    /// Whether there is an object of this name, as far as this process knows and the listing shows.
    async fn is_taken(&self) -> Result<bool, Error> {
        let known = self.client.known().ids.get(&self.name).cloned();
        if let Some(id) = known
            && self.client.get(&id).await?.is_some()
        {
            return Ok(true);
        }
        Ok(!list::named(&self.client, &self.name).await?.is_empty())
    }

    async fn cancel(&mut self) {
        if let Some(mut sending) = self.sending.take() {
            sending.task.shutdown().await;
            sending.address.cancel(&self.client).await;
        }
    }
}

#[async_trait]
impl Upload for DriveUpload {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        let chunk = self.client.plan.chunk_size;
        while !bytes.is_empty() {
            // A full buffer is only sent when more comes: the last chunk is sent by whoever finishes.
            if self.buffer.len() == chunk {
                self.send_chunk().await?;
            }
            if self.buffer.capacity() == 0 {
                self.buffer.reserve(chunk);
            }
            let taken = bytes.split_to(bytes.len().min(chunk - self.buffer.len()));
            self.whole.update(&taken);
            self.buffer.extend_from_slice(&taken);
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored, Error> {
        let stop = self.stop.clone();
        let finished = match Box::pin(unless_stopped(&stop, self.is_taken())).await {
            Ok(false) => Box::pin(unless_stopped(&stop, self.send_last())).await,
            Ok(true) => {
                Err(Error::new(Reason::Exists, format!("there already is an object `{}`", self.name)))
            }
            Err(error) => Err(error),
        };
        if finished.is_err() {
            self.cancel().await;
        }
        finished
    }

    async fn abort(mut self: Box<Self>) -> Result<(), Error> {
        self.cancel().await;
        Ok(())
    }
}
