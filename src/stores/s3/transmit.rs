//! What is done to a request on its way out.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use hyper::body::{Body, Frame};

use crate::stores::requests::Pieces;
use crate::stores::retry::Pulse;

/// Beats a pulse for every piece of a request's body that the connection takes.
///
/// The body was signed as one piece of memory; only how it is handed over changes.
#[derive(Debug)]
pub(super) struct Beating {
    pub(super) pulse: Pulse,
    /// The body, sharing its memory with what was signed.
    pub(super) body: Bytes,
}

impl Intercept for Beating {
    fn name(&self) -> &'static str {
        "Beating"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let pieces = Pieces { rest: self.body.clone(), pulse: self.pulse.clone() };
        *context.request_mut().body_mut() = SdkBody::from_body_1_x(pieces);
        Ok(())
    }
}

/// Takes the query parameter `x-id` out of every request before it is signed.
#[derive(Debug)]
pub(super) struct WithoutOperationId;

impl Intercept for WithoutOperationId {
    fn name(&self) -> &'static str {
        "WithoutOperationId"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let stripped = without_operation_id(request.uri());
        request.set_uri(stripped)?;
        Ok(())
    }
}

/// Gives the answer to `CreateMultipartUpload` the root element that it should have.
///
/// `rclone serve s3` calls it `InitiateMultipartUpload`, which the SDK refuses to read.
#[derive(Debug)]
pub(super) struct Renamed;

impl Intercept for Renamed {
    fn name(&self) -> &'static str {
        "Renamed"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let answer = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Renaming { answer: Some(answer), read: Vec::new() });
        Ok(())
    }
}

/// Reads a short answer to its end and then gives it out, with its root renamed.
struct Renaming {
    answer: Option<SdkBody>,
    read: Vec<u8>,
}

/// Far more than the answer has.
const MOST_ANSWER: usize = 64 << 10;

impl Body for Renaming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let Some(answer) = &mut self.answer else { return Poll::Ready(None) };
            match ready!(Pin::new(answer).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    self.read.extend_from_slice(&bytes);
                    if self.read.len() > MOST_ANSWER {
                        return Poll::Ready(Some(Err("the answer is too long".into())));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.answer = None;
                    return Poll::Ready(Some(Ok(Frame::data(renamed(&self.read)))));
                }
            }
        }
    }
}

fn renamed(answer: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(answer);
    text.replace("InitiateMultipartUpload>", "InitiateMultipartUploadResult>").into_bytes().into()
}

fn without_operation_id(uri: &str) -> String {
    let Some((path, query)) = uri.split_once('?') else {
        return uri.to_owned();
    };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("x-id=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wrong_root_is_renamed() {
        let right = "<?xml version=\"1.0\"?><InitiateMultipartUploadResult xmlns=\"x\"><UploadId>1</UploadId></InitiateMultipartUploadResult>";
        assert_eq!(renamed(right.as_bytes()), right);
        let wrong = "<InitiateMultipartUpload><UploadId>1</UploadId></InitiateMultipartUpload>";
        let wanted = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>";
        assert_eq!(renamed(wrong.as_bytes()), wanted);
    }

    #[test]
    fn only_the_operation_id_goes() {
        assert_eq!(without_operation_id("https://h/b/k?x-id=PutObject"), "https://h/b/k");
        assert_eq!(
            without_operation_id("https://h/b/k?partNumber=1&x-id=UploadPart&uploadId=u"),
            "https://h/b/k?partNumber=1&uploadId=u"
        );
        assert_eq!(without_operation_id("https://h/b/k"), "https://h/b/k");
    }
}
