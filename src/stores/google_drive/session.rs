//! An upload session: chunks in order, each kept until the service has it, and a question after every doubt.
//!
//! The protocol is that of developers.google.com/workspace/drive/api/guides/manage-uploads ("resumable"), with the
//! length unknown until the last chunk. The service says how far it has come; it may have taken less than was sent.
//! The session's address lets whoever has it write: it is never logged and never part of an error.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use google_drive3::api::File;
use hyper::Method;

use super::client::{Answer, Client, Failure, Raw};
use super::error::cut;
use super::file::{FIELDS, Found, metadata};
use super::transmit::query;
use crate::config::secret::Secret;
use crate::stores::{Error, ObjectName, Reason};

const BEGIN: &str = "begin the upload";
const SEND: &str = "upload a chunk";
const ASK: &str = "ask how far the upload has come";
/// How often a session that was lost before it had anything is begun anew.
const RESTARTS: u32 = 3;

/// What is to become of the bytes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) name: ObjectName,
    pub(super) id: String,
    pub(super) folder: String,
}

/// A session's address, shared with whoever may have to end it.
#[derive(Debug, Clone, Default)]
pub(super) struct Address(Arc<Mutex<Option<Secret>>>);

/// A session that the service knows.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    target: Target,
    address: Address,
    /// How many bytes the service has.
    sent: u64,
}

/// How far the service has come.
#[derive(Debug)]
enum Progress {
    /// It has this many bytes.
    Bytes(u64),
    /// It has made the file.
    Done(Box<Found>),
}

impl Address {
    fn get(&self) -> Result<String, Error> {
        let address = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let address = address.as_ref().map(|address| address.expose().to_owned());
        address.ok_or_else(|| lost("there is none"))
    }

    fn set(&self, address: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Secret::new(address));
    }

    /// Ends the session, as far as the service lets itself be told: an unfinished one is dropped after a week.
    pub(super) async fn cancel(&self, client: &Client) {
        let Ok(url) = self.get() else { return };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let raw = Raw { method: Method::DELETE, url, headers: Vec::new(), body: Bytes::new() };
        if let Err(error) = client.answer("give the upload up", raw).await {
            tracing::debug!(%error, "the service drops the session by itself after a week");
        }
    }
}

fn lost(what: &str) -> Error {
    Error::new(Reason::SessionLost, format!("the upload's session is lost: {what}"))
        .help("the next run starts again")
}

impl Session {
    /// Begins a session. `address` holds where it is from then on.
    pub(super) async fn begin(client: &Client, target: &Target, address: Address) -> Result<Self, Error> {
        let session = Self { client: client.clone(), target: target.clone(), address, sent: 0 };
        session.initiate().await?;
        Ok(session)
    }

    async fn initiate(&self) -> Result<(), Error> {
        let pairs = [("uploadType", "resumable"), ("supportsAllDrives", "true"), ("fields", FIELDS)];
        let target = &self.target;
        let raw = Raw {
            method: Method::POST,
            url: format!("{}upload/drive/v3/files?{}", self.client.plan.root, query(&pairs)),
            headers: vec![
                ("Content-Type", "application/json; charset=UTF-8".to_owned()),
                ("X-Upload-Content-Type", "application/octet-stream".to_owned()),
            ],
            body: metadata(&target.name, &target.id, &target.folder).to_string().into(),
        };
        let attempt = || async {
            let answer = self.client.answer(BEGIN, raw.clone()).await?;
            if !matches!(answer.status, 200 | 201) {
                return Err(answer.failure(BEGIN));
            }
            let location = answer.headers.get("location").and_then(|location| location.to_str().ok());
            let Some(location) = location.filter(|location| self.is_ours(location)) else {
                return Err(cut(BEGIN).into());
            };
            self.address.set(location);
            Ok(())
        };
        self.client.run(BEGIN, attempt).await
    }

    /// Whether an address is of the service that was asked: the token goes with the bytes.
    fn is_ours(&self, location: &str) -> bool {
        location.starts_with(&self.client.plan.root)
    }

    /// Sends the next chunk and returns when the service has all of it. With `total` it is the last one, and the file
    /// is returned; without, the chunk must be a multiple of 256 KiB.
    pub(super) async fn send(&mut self, chunk: Bytes, total: Option<u64>) -> Result<Option<Found>, Error> {
        let (start, end) = (self.sent, self.sent + chunk.len() as u64);
        let (mut next, mut in_doubt, mut restarts) = (start, false, 0);
        let mut waits = self.client.retry.waits();
        loop {
            self.client.pass().await;
            let asked = in_doubt;
            let progress = if asked {
                self.ask(total).await
            } else {
                let from = usize::try_from(next - start).unwrap_or(usize::MAX);
                self.put(next, chunk.slice(from..), total).await
            };
            let error = match progress {
                Ok(Progress::Done(found)) if total.is_some() => return Ok(Some(*found)),
                Ok(Progress::Done(_)) => {
                    return Err(Error::new(Reason::Corrupt, "the service ended the upload before its end"));
                }
                Ok(Progress::Bytes(has)) if has > end => {
                    let message =
                        format!("the service says that it has {has} bytes of the {end} that were sent");
                    return Err(Error::new(Reason::Corrupt, message));
                }
                // It says less than it had confirmed. Once may be a slip; when asked, it is the truth.
                Ok(Progress::Bytes(has)) if has < start && asked => {
                    return Err(lost(&format!("the service has only {has} of {start} bytes left")));
                }
                Ok(Progress::Bytes(has)) if has < start => Error::new(
                    Reason::Transient(None),
                    format!("cannot {SEND}: the service names no progress"),
                ),
                Ok(Progress::Bytes(has)) if has == end && total.is_none() => {
                    self.sent = end;
                    return Ok(None);
                }
                Ok(Progress::Bytes(has)) if has > next => {
                    waits.reset();
                    (next, in_doubt) = (has, false);
                    continue;
                }
                // An answer to the question moves nothing by itself; the bytes are sent again from there.
                Ok(Progress::Bytes(has)) if asked => {
                    (next, in_doubt) = (has, false);
                    continue;
                }
                Ok(Progress::Bytes(_)) => Error::new(
                    Reason::Transient(None),
                    format!("cannot {SEND}: the service has taken nothing of it"),
                ),
                Err(error) if error.reason == Reason::SessionLost && start == 0 && restarts < RESTARTS => {
                    // Everything that was ever sent is still here.
                    restarts += 1;
                    if let Some(found) = self.finished(total).await? {
                        return Ok(Some(found));
                    }
                    self.initiate().await?;
                    (next, in_doubt) = (0, false);
                    continue;
                }
                Err(error) => error,
            };
            waits.wait_after(SEND, error).await.map_err(|error| self.client.ended(error))?;
            in_doubt = true;
        }
    }

    /// The file, if this was the last chunk and the service has made it although the session is gone.
    async fn finished(&self, total: Option<u64>) -> Result<Option<Found>, Error> {
        match total {
            Some(total) => Ok(self.client.get(&self.target.id).await?.filter(|found| found.size == total)),
            None => Ok(None),
        }
    }

    async fn put(&self, from: u64, bytes: Bytes, total: Option<u64>) -> Result<Progress, Error> {
        let total = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
        let range = if bytes.is_empty() {
            format!("bytes */{total}")
        } else {
            format!("bytes {from}-{}/{total}", from + bytes.len() as u64 - 1)
        };
        self.exchange(SEND, range, bytes).await
    }

    async fn ask(&self, total: Option<u64>) -> Result<Progress, Error> {
        let total = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
        self.exchange(ASK, format!("bytes */{total}"), Bytes::new()).await
    }

    async fn exchange(&self, doing: &str, range: String, body: Bytes) -> Result<Progress, Error> {
        let raw = Raw {
            method: Method::PUT,
            url: self.address.get()?,
            headers: vec![("Content-Range", range)],
            body,
        };
        let answer = self.client.answer(doing, raw).await?;
        match answer.status {
            200 | 201 => {
                let file: File = serde_json::from_value(answer.body).map_err(|_| cut(doing))?;
                let found = Found::read(file)?.ok_or_else(|| cut(doing))?;
                Ok(Progress::Done(Box::new(found)))
            }
            308 => {
                if let Some(location) = answer.headers.get("location").and_then(|value| value.to_str().ok())
                    && self.is_ours(location)
                {
                    self.address.set(location);
                }
                persisted(&answer).map(Progress::Bytes)
            }
            404 | 410 => Err(lost("the service does not know it any more")),
            _ => {
                let Failure { error, token_refused } = answer.failure(doing);
                if !token_refused {
                    return Err(error);
                }
                // A session outlives a token. The next request gets a new one; the waits are bounded.
                self.client.shared.tokens.forget().await;
                Err(Error { reason: Reason::Transient(None), ..error })
            }
        }
    }
}

/// How many bytes a 308 says that the service has; without a `Range` it has none.
fn persisted(answer: &Answer) -> Result<u64, Error> {
    let Some(range) = answer.headers.get("range") else { return Ok(0) };
    let last = range.to_str().ok().and_then(|range| range.rsplit('-').next());
    let last: Option<u64> = last.and_then(|last| last.parse().ok());
    last.map(|last| last + 1).ok_or_else(|| cut(SEND))
}
