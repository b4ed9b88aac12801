//! Downloading: a range of a file, and whether what comes is that range of it.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use hyper::{Method, Response};

use super::client::{Client, Failure, Raw, read_json};
use super::file::Found;
use super::transmit::query;
use crate::stores::resumed::{Answer, DOING, Ranges, resumed};
use crate::stores::retry::{Pulse, watch};
use crate::stores::{Download, Error, ObjectName, Reason};

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
    let patience = client.plan.patience;
    let ranged = Ranged { client: client.clone(), file };
    Ok(resumed(ranged, rest, pieces(body), waits, patience))
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

/// A file whose ranges can be asked for again.
struct Ranged {
    client: Client,
    file: Found,
}

#[async_trait]
impl Ranges for Ranged {
    async fn ask(&self, range: &Range<u64>) -> Result<Answer, Error> {
        self.client.pass().await;
        match get(&self.client, &self.file, range).await {
            Ok(body) => Ok(pieces(body)),
            Err(Failure { error, token_refused: false }) => Err(error),
            Err(Failure { error, .. }) => {
                // The token had ended while the body came; waiting is bounded as for every other error.
                self.client.shared.tokens.forget().await;
                Err(Error { reason: Reason::Transient(None), ..error })
            }
        }
    }
}

fn pieces(body: Incoming) -> Answer {
    BodyDataStream::new(body).map_err(Into::into).boxed()
}
