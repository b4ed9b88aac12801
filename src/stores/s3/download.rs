//! Downloading: a range of an object, and whether what comes is that range of it.

use std::ops::Range;

use async_trait::async_trait;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use futures_util::stream::{self, StreamExt as _};

use super::client::Client;
use crate::stores::resumed::{Answer, DOING, Ranges, resumed};
use crate::stores::retry::Pulse;
use crate::stores::{Download, Error, Reason};

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
    let ranged = Ranged { client: client.clone(), key, etag: got.e_tag };
    Ok(resumed(ranged, rest, pieces(got.body), waits, client.plan.patience))
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

/// An object whose ranges can be asked for again.
struct Ranged {
    client: Client,
    key: String,
    /// The version that the first bytes came from.
    etag: Option<String>,
}

#[async_trait]
impl Ranges for Ranged {
    async fn ask(&self, range: &Range<u64>) -> Result<Answer, Error> {
        let request = get(&self.client, &self.key, Some(range));
        let got = self.client.attempt(DOING, Pulse::default(), request).await?;
        check_range(&got, range)?;
        if got.e_tag != self.etag {
            return Err(Error::new(Reason::Corrupt, "the object was replaced while it was read"));
        }
        Ok(pieces(got.body))
    }
}

fn pieces(body: ByteStream) -> Answer {
    let pieces = stream::unfold(body, |mut body| async move {
        let piece = body.next().await?;
        Some((piece.map_err(Into::into), body))
    });
    pieces.boxed()
}
