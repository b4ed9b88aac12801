//! Downloading: a range, resumed at the byte where it was cut, until all of it has come or the retries are used up.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Method, Response};

use super::client::{Client, Failure, Raw, read_json};
use super::error::cut;
use super::file::Found;
use super::transmit::query;
use crate::stores::retry::{Pulse, Waits, watch};
use crate::stores::{Download, Error, ObjectName, Reason};

const DOING: &str = "read the object";

/// A download in progress.
struct Reading {
    client: Client,
    file: Found,
    /// What is still to come.
    rest: Range<u64>,
    body: Option<Incoming>,
    waits: Waits,
}

/// Opens an object, or a range of it.
pub(super) async fn open(
    client: &Client,
    name: &ObjectName,
    range: Option<Range<u64>>,
) -> Result<Download, Error> {
    match client.find(name).await? {
        Some(file) => of(client, file, range).await,
        None => Err(Error::new(Reason::NotFound, format!("there is no object `{name}`"))),
    }
}

/// Opens a file, or a range of it.
pub(super) async fn of(client: &Client, file: Found, range: Option<Range<u64>>) -> Result<Download, Error> {
    let rest = range.unwrap_or(0..file.size);
    if rest.end > file.size || rest.start > rest.end {
        let message =
            format!("bytes {} to {} are not within the object's {}", rest.start, rest.end, file.size);
        return Err(Error::new(Reason::Rejected, message));
    }
    // Drive has no way to ask for no bytes, and refuses every range of an empty file.
    if rest.is_empty() {
        return Ok(stream::empty().boxed());
    }
    let (first, known) = (&rest, &file);
    let body = client.run(DOING, || get(client, known, first)).await?;
    let waits = client.retry.waits();
    let reading = Reading { client: client.clone(), file, rest, body: Some(body), waits };
    Ok(stream::try_unfold(reading, |mut reading| async move {
        let bytes = reading.next().await?;
        Ok(bytes.map(|bytes| (bytes, reading)))
    })
    .boxed())
}

/// Asks for a range once.
async fn get(client: &Client, file: &Found, range: &Range<u64>) -> Result<Incoming, Failure> {
    let answer = match ask(client, file, range, false).await? {
        Judged::Good(body) => return Ok(body),
        Judged::Bad(failure) => failure,
    };
    if client.plan.acknowledge_abuse && answer.error.message.contains("cannotDownloadAbusiveFile") {
        return match ask(client, file, range, true).await? {
            Judged::Good(body) => Ok(body),
            Judged::Bad(failure) => Err(failure),
        };
    }
    Err(answer)
}

enum Judged {
    Good(Incoming),
    Bad(Failure),
}

async fn ask(client: &Client, file: &Found, range: &Range<u64>, acknowledge: bool) -> Result<Judged, Error> {
    let mut pairs = vec![("alt", "media"), ("supportsAllDrives", "true")];
    if acknowledge {
        pairs.push(("acknowledgeAbuse", "true"));
    }
    let raw = Raw {
        method: Method::GET,
        url: format!("{}drive/v3/files/{}?{}", client.plan.root, file.id, query(&pairs)),
        headers: vec![("Range", format!("bytes={}-{}", range.start, range.end - 1))],
        body: Bytes::new(),
    };
    let pulse = Pulse::default();
    let exchange = async {
        let answer = client.exchange(DOING, raw, &pulse).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        if matches!(status, 200 | 206) {
            check_range(&answer, range, file.size)?;
            return Ok(Judged::Good(answer.into_body()));
        }
        let body = read_json(answer.into_body(), DOING).await.unwrap_or_default();
        Ok(Judged::Bad(Failure::answered(DOING, status, &headers, &body)))
    };
    watch(&pulse, client.plan.patience, DOING, exchange).await
}

/// Makes sure that the answer is the range that was asked for, of the file as it was.
fn check_range(answer: &Response<Incoming>, range: &Range<u64>, size: u64) -> Result<(), Error> {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
    let whole = range.start == 0 && range.end == size;
    let right = match answer.status().as_u16() {
        // The whole file may come without being called a range.
        200 => whole && length.is_none_or(|length| length == size),
        _ => header("content-range") == Some(&format!("bytes {}-{}/{size}", range.start, range.end - 1)),
    };
    if right && length.is_none_or(|length| length == range.end - range.start) {
        return Ok(());
    }
    let said = header("content-range").unwrap_or("the whole file");
    let message = format!(
        "cannot {DOING}: asked for bytes {} to {} of {size}, got {said}: it was replaced, or ranges are ignored",
        range.start, range.end
    );
    Err(Error::new(Reason::Corrupt, message))
}

impl Reading {
    /// The next bytes, or `None` after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            match self.step().await {
                Ok(bytes) => {
                    self.rest.start += bytes.len() as u64;
                    if self.rest.start > self.rest.end {
                        return Err(Error::new(Reason::Corrupt, "the service sent more than was asked for"));
                    }
                    if !bytes.is_empty() {
                        self.waits.reset();
                        return Ok(Some(bytes));
                    }
                }
                Err(error) => {
                    self.body = None;
                    self.waits.wait_after(DOING, error).await?;
                }
            }
        }
    }

    /// Reads once, from the open body or from a new one at the byte where the last ended.
    async fn step(&mut self) -> Result<Bytes, Error> {
        let body = if let Some(body) = &mut self.body {
            body
        } else {
            self.client.pass().await;
            let body = get(&self.client, &self.file, &self.rest).await;
            self.body.insert(match body {
                Ok(body) => body,
                Err(Failure { error, token_refused }) => {
                    if !token_refused {
                        return Err(error);
                    }
                    // The token had ended while the body came; waiting is bounded as for every other error.
                    self.client.shared.tokens.forget().await;
                    return Err(Error { reason: Reason::Transient(None), ..error });
                }
            })
        };
        let read = async { Ok(body.frame().await) };
        match watch(&Pulse::default(), self.client.plan.patience, DOING, read).await? {
            Some(Ok(frame)) => Ok(frame.into_data().unwrap_or_default()),
            Some(Err(_)) | None => Err(cut(DOING)),
        }
    }
}
