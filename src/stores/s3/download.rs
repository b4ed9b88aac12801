//! Downloading: a range, resumed at the byte where it was cut, until all of it has come or the retries are used up.

use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};

use super::client::Client;
use crate::stores::retry::{Pulse, Waits, watch};
use crate::stores::{Download, Error, Reason};

const DOING: &str = "read the object";

/// A download in progress.
struct Reading {
    client: Client,
    key: String,
    /// What is still to come.
    rest: Range<u64>,
    /// The version that the first bytes came from.
    etag: Option<String>,
    body: Option<ByteStream>,
    waits: Waits,
}

/// Opens an object, or a range of it.
pub(super) async fn open(client: &Client, key: String, range: Option<Range<u64>>) -> Result<Download, Error> {
    if let Some(range) = &range
        && range.is_empty()
    {
        return open_empty(client, &key, range.start).await;
    }
    let got = client.send(DOING, || get(client, &key, range.as_ref())).await?;
    let rest = match range {
        Some(range) => {
            check_range(&got, &range)?;
            range
        }
        None => 0..length(&got)?,
    };
    let waits = client.retry.waits();
    let reading = Reading { client: client.clone(), key, rest, etag: got.e_tag, body: Some(got.body), waits };
    Ok(stream::try_unfold(reading, |mut reading| async move {
        let bytes = reading.next().await?;
        Ok(bytes.map(|bytes| (bytes, reading)))
    })
    .boxed())
}

/// S3 has no way to ask for no bytes; whether they would be within the object must still be known.
async fn open_empty(client: &Client, key: &str, at: u64) -> Result<Download, Error> {
    match client.head(key).await? {
        Some(head) if at <= head.size => Ok(stream::empty().boxed()),
        Some(head) => Err(beyond(&(at..at), head.size)),
        None => Err(Error::new(Reason::NotFound, format!("there is no object `{key}`"))),
    }
}

async fn get(
    client: &Client,
    key: &str,
    range: Option<&Range<u64>>,
) -> Result<GetObjectOutput, aws_sdk_s3::error::SdkError<aws_sdk_s3::operation::get_object::GetObjectError>> {
    let range = range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
    client.sdk().get_object().bucket(&client.plan.bucket).key(key).set_range(range).send().await
}

fn length(got: &GetObjectOutput) -> Result<u64, Error> {
    let length = got.content_length().and_then(|length| u64::try_from(length).ok());
    length.ok_or_else(|| {
        Error::new(Reason::Rejected, "cannot read the object: the service does not say its size")
    })
}

/// Makes sure that the answer is the range that was asked for, all of it.
fn check_range(got: &GetObjectOutput, range: &Range<u64>) -> Result<(), Error> {
    let Some(said) = got.content_range() else {
        let message = "cannot read a range: the service ignores ranges";
        return Err(Error::new(Reason::Rejected, message));
    };
    let wanted = format!("bytes {}-{}/", range.start, range.end - 1);
    if said.starts_with(&wanted) && length(got)? == range.end - range.start {
        return Ok(());
    }
    match said.rsplit('/').next().and_then(|total| total.parse().ok()) {
        Some(total) if range.end > total => Err(beyond(range, total)),
        _ => Err(Error::new(Reason::Corrupt, format!("cannot read a range: asked for {wanted}, got {said}"))),
    }
}

fn beyond(range: &Range<u64>, size: u64) -> Error {
    let message = format!("bytes {} to {} are not within the object's {size}", range.start, range.end);
    Error::new(Reason::Rejected, message)
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
                    self.waits.reset();
                    return Ok(Some(bytes));
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
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let body = self.resume().await?;
                self.body.insert(body)
            }
        };
        let patience = self.client.plan.patience;
        let read = async { Ok(body.next().await) };
        match watch(&Pulse::default(), patience, DOING, read).await? {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(error)) => {
                let message = format!("cannot {DOING}: the connection broke at byte {}", self.rest.start);
                Err(Error::new(Reason::Transient(None), message).because(error))
            }
            None => {
                let message =
                    format!("cannot {DOING}: it ended at byte {} of {}", self.rest.start, self.rest.end);
                Err(Error::new(Reason::Transient(None), message))
            }
        }
    }

    async fn resume(&self) -> Result<ByteStream, Error> {
        let request = get(&self.client, &self.key, Some(&self.rest));
        let got = self.client.attempt(DOING, Pulse::default(), request).await?;
        check_range(&got, &self.rest)?;
        if got.e_tag != self.etag {
            return Err(Error::new(Reason::Corrupt, "the object was replaced while it was read"));
        }
        Ok(got.body)
    }
}
