//! How bytes and texts go into requests: bodies in small pieces, queries with their escapes.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use google_drive3::common;
use hyper::body::{Body, Frame, SizeHint};

use crate::stores::retry::Pulse;

/// The pieces in which a body is handed to the connection: small enough that a dying connection is noticed.
const PIECE: usize = 64 << 10;

/// A body that beats a pulse for every piece that the connection takes.
struct Pieces {
    rest: Bytes,
    pulse: Pulse,
}

/// The body of a request.
pub(super) fn body(bytes: Bytes, pulse: &Pulse) -> common::Body {
    common::Body::new(Pieces { rest: bytes, pulse: pulse.clone() })
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
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

/// A query string, or the body of a form.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A text inside the quotes of Drive's search language. Backslashes first: they are the escape.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_search_terms_are_escaped() {
        assert_eq!(query(&[("q", "a b&c=ü"), ("x", "1")]), "q=a%20b%26c%3D%C3%BC&x=1");
        assert_eq!(quoted(r"o'clock \ x"), r"'o\'clock \\ x'");
    }
}
