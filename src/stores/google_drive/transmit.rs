//! How bytes and texts go into Drive's requests: bodies in small pieces, queries with their escapes.

use bytes::Bytes;
use google_drive3::common;
use http_body_util::BodyExt as _;

use crate::stores::requests::{Pieces, encoded};
use crate::stores::retry::Pulse;

/// The body of a request.
pub(super) fn body(bytes: Bytes, pulse: &Pulse) -> common::Body {
    let pieces = Pieces { rest: bytes, pulse: pulse.clone() };
    common::Body::new(pieces.map_err(|never| match never {}))
}

/// A query string, or the body of a form.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
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
