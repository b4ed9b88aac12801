//! The fields of a document as bytes, for documents that the driver's types do not take: servers keep text that is not
//! UTF-8 as old drivers have sent it, in keys too.

use mongodb::bson::{RawDocument, RawDocumentBuf};

/// A field of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Its type, by the number that BSON has for it.
    pub(super) kind: u8,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    /// All of it: type, key and value.
    whole: &'a [u8],
}

/// BSON's number for a timestamp.
pub(super) const TIMESTAMP: u8 = 0x11;

/// The fields at the top of a document; `None` instead of one that is not BSON, and then no more.
pub(super) fn elements(document: &RawDocument) -> impl Iterator<Item = Option<Element<'_>>> {
    let bytes = document.as_bytes();
    let mut rest = bytes.get(4..bytes.len().saturating_sub(1)).unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let first = split_first(rest);
        rest = first.map_or(&[][..], |(_, more)| more);
        Some(first.map(|(element, _)| element))
    })
}

fn split_first(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (kind, named) = bytes.split_first()?;
    let key = &named[..end_of_text(named)?];
    let value = &named[key.len() + 1..];
    let value = value.get(..length(*kind, value)?)?;
    let (whole, more) = bytes.split_at_checked(1 + key.len() + 1 + value.len())?;
    Some((Element { kind: *kind, key, value, whole }, more))
}

fn end_of_text(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == 0)
}

/// How long a value is that begins here, by the BSON specification, version 1.1.
fn length(kind: u8, value: &[u8]) -> Option<usize> {
    let told = || value.first_chunk::<4>().and_then(|told| usize::try_from(i32::from_le_bytes(*told)).ok());
    match kind {
        // Undefined, null, the least and the largest key.
        0x06 | 0x0a | 0x7f | 0xff => Some(0),
        0x08 => Some(1),
        0x10 => Some(4),
        // Doubles, dates, timestamps, long integers.
        0x01 | 0x09 | TIMESTAMP | 0x12 => Some(8),
        // Object ids and decimals.
        0x07 => Some(12),
        0x13 => Some(16),
        // Text, code and symbols; binaries with their kind; pointers.
        0x02 | 0x0d | 0x0e => told()?.checked_add(4),
        0x05 => told()?.checked_add(5),
        0x0c => told()?.checked_add(16),
        // Documents, arrays, and code with a scope: the length counts itself.
        0x03 | 0x04 | 0x0f => told(),
        // Regular expressions.
        0x0b => {
            let pattern = end_of_text(value)? + 1;
            Some(pattern + end_of_text(&value[pattern..])? + 1)
        }
        _ => None,
    }
}

/// A document of these fields, as they are.
pub(super) fn document<'a>(
    elements: impl IntoIterator<Item = Element<'a>>,
) -> Result<RawDocumentBuf, mongodb::bson::error::Error> {
    let mut bytes = vec![0; 4];
    for element in elements {
        bytes.extend_from_slice(element.whole);
    }
    bytes.push(0);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    RawDocumentBuf::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::raw::CString;
    use mongodb::bson::{
        Binary, DateTime, Decimal128, RawBson, RawJavaScriptCodeWithScope, Regex, Timestamp, rawdoc,
    };

    /// One field of every type.
    fn every_type() -> RawDocumentBuf {
        let text = |text: &str| CString::try_from(text.to_owned()).unwrap();
        let scope = rawdoc! { "x": 1_i32 };
        let scoped = RawJavaScriptCodeWithScope { code: "f(x)".into(), scope };
        let document = rawdoc! {
            "double": 1.5, "text": "a \u{0} b", "document": { "a": 1_i32 }, "array": [1_i32, "x"],
            "binary": Binary { subtype: 2.into(), bytes: vec![1, 2, 3] }, "undefined": RawBson::Undefined,
            "id": ObjectId::from_bytes([7; 12]), "bool": true, "date": DateTime::from_millis(1), "null": RawBson::Null,
            "regex": Regex { pattern: text("a.b"), options: text("i") },
            "code": RawBson::JavaScriptCode("f()".into()), "symbol": RawBson::Symbol("s".into()), "scoped": scoped,
            "int": 1_i32, "timestamp": Timestamp { time: 0, increment: 0 }, "long": 2_i64,
            "decimal": "1.5".parse::<Decimal128>().unwrap(), "least": RawBson::MinKey, "largest": RawBson::MaxKey,
        };
        let mut pointer = vec![0x0c];
        pointer
            .extend_from_slice(b"pointer\0\x04\0\0\0a.b\0\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01");
        let mut bytes = document.into_bytes();
        bytes.pop();
        bytes.extend(pointer);
        bytes.push(0);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        RawDocumentBuf::from_bytes(bytes).unwrap()
    }

    #[test]
    fn every_type_is_as_long_as_the_driver_says() {
        let whole = every_type();
        let found: Vec<Element<'_>> = elements(&whole).map(Option::unwrap).collect();
        let known: Vec<_> = whole.iter_elements().map(Result::unwrap).collect();
        assert_eq!(found.len(), 21);
        for (found, known) in found.iter().zip(&known) {
            assert_eq!(found.key, known.key().as_str().as_bytes());
            assert_eq!((found.kind, found.value.len()), (known.element_type() as u8, known.size()));
        }
        assert!(known.last().unwrap().value().unwrap().as_db_pointer().is_some());
        assert_eq!(document(found).unwrap(), whole);
    }

    #[test]
    fn what_is_not_bson_ends_the_fields() {
        let mut bytes = rawdoc! { "a": 1_i32, "b": "text" }.into_bytes();
        let at = bytes.len() - 10;
        bytes[at] = 0xee;
        for broken in [bytes, b"\x08\0\0\0\x33a\0\0".to_vec()] {
            let broken = RawDocumentBuf::from_bytes(broken).unwrap();
            assert_eq!(elements(&broken).last(), Some(None), "{broken:?}");
        }
        assert_eq!(elements(&rawdoc! {}).count(), 0);
    }
}
