//! Options and indexes as an archive's metadata: canonical extended JSON, as `mongodump` writes it.
//!
//! Extended JSON has no way to tell a value by its type from a document that looks like one: the literal
//! `{ "$oid": "…" }` of a view comes back as an object id. Metadata that would not come back as it was has everything once
//! more, as BSON, under a [key](BSON) that other readers pass over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawDocument, RawDocumentBuf};
use serde::Deserialize;

use super::extended_json::{self, Error};

/// The key of what extended JSON would change: a document with `options` and `indexes` as BSON, in base64.
const BSON: &str = "bson";

/// Writes options and indexes as an object that more can be put into.
pub(super) fn write(options: &RawDocument, indexes: &[RawDocumentBuf]) -> Result<String, Error> {
    let mut listed = RawArrayBuf::new();
    for index in indexes {
        listed.push(index.clone());
    }
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("options"), options.to_owned());
    document.append(cstr!("indexes"), listed);
    let mut text = extended_json::write(&document)?;
    if !extended_json::read(&text).is_ok_and(|read| read == document) {
        text.pop();
        text.push_str(&format!(",\"{BSON}\":\"{}\"}}", STANDARD.encode(document.as_bytes())));
    }
    Ok(text)
}

/// Reads options and indexes as they were.
pub(super) fn read(text: &str) -> Result<RawDocumentBuf, Error> {
    /// What is looked for; all else is passed over unread.
    #[derive(Deserialize)]
    struct Faithful {
        bson: Option<String>,
    }
    let Some(encoded) = serde_json::from_str::<Faithful>(text)?.bson else {
        return extended_json::read(text);
    };
    let bytes = STANDARD.decode(encoded).map_err(|error| wrong(&error))?;
    Ok(RawDocumentBuf::from_bytes(bytes)?)
}

fn wrong(why: &dyn std::fmt::Display) -> Error {
    Error::Extended { key: BSON.into(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::rawdoc;

    #[test]
    fn what_looks_like_a_type_comes_back_as_it_was() {
        let index = rawdoc! { "v": 2_i32, "key": { "a": 1_i32 }, "name": "a_1" };
        let come_back = |options: &RawDocument| {
            let text = write(options, std::slice::from_ref(&index)).unwrap();
            let read = read(&text).unwrap();
            assert_eq!(read.get_document("options").unwrap(), options, "{text}");
            let indexes = read.get_array("indexes").unwrap();
            assert_eq!(
                indexes.into_iter().next().unwrap().unwrap().as_document().unwrap(),
                &*index,
                "{text}"
            );
            text.contains(BSON)
        };
        assert!(!come_back(&rawdoc! { "capped": true, "size": 4_096_i64 }), "as it always was");
        for literal in [
            rawdoc! { "$oid": "0123456789abcdef01234567" },
            // No reader takes this for a number.
            rawdoc! { "$numberInt": "x" },
            rawdoc! { "$undefined": 1_i32 },
            rawdoc! { "$date": { "$numberLong": "1" } },
        ] {
            assert!(come_back(&rawdoc! { "pipeline": [{ "$set": { "x": { "$literal": literal } } }] }));
        }
        for damaged in [r#"{"bson":"!"}"#, r#"{"bson":"AAAA"}"#, "{"] {
            assert!(read(damaged).is_err(), "{damaged}");
        }
    }
}
