//! What is done to a request on its way out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::stores::retry::Pulse;

/// The pieces in which a body is handed to the connection: small enough that a dying connection is noticed.
const PIECE: usize = 64 << 10;

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

struct Pieces {
    rest: Bytes,
    pulse: Pulse,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.pulse.beat();
        let size = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
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
    fn only_the_operation_id_goes() {
        assert_eq!(without_operation_id("https://h/b/k?x-id=PutObject"), "https://h/b/k");
        assert_eq!(
            without_operation_id("https://h/b/k?partNumber=1&x-id=UploadPart&uploadId=u"),
            "https://h/b/k?partNumber=1&uploadId=u"
        );
        assert_eq!(without_operation_id("https://h/b/k"), "https://h/b/k");
    }
}
