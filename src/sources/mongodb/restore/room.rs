//! Room for capped collections while the oplog's slice is replayed.
//!
//! A slice begins before its collections were read. What came and went again before then comes and goes once more in the
//! replay, and in a full collection something else, that nothing brings back, would give way to it. So it has no limits
//! until the end. What gave way in the source leaves with its own entry of the oplog: servers since 5.0 log that, and
//! only these let documents be deleted from capped collections. An insertion that finds its document moves it to the
//! end, because in the source it is there.

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawDocument, RawDocumentBuf};

use super::Error;
use super::contents::Contents;
use super::target::{Target, append, release};

/// A collection's limits, as it is created with.
const LIMITS: [&str; 2] = ["size", "max"];
/// The same, as they are changed.
pub(super) const CHANGED: [&str; 2] = ["cappedSize", "cappedMax"];
/// The largest size that servers take: a pebibyte. None of it is set aside.
const LARGEST: i64 = 1 << 50;

/// Whether capped collections are given room: the source has logged what gave way, and the target lets limits change.
pub(super) fn given(contents: &Contents, target: &Target) -> bool {
    contents.has_oplog()
        && release(&contents.prelude.server_version) >= Some((5, 0))
        && release(&target.member.version) >= Some((6, 0))
}

/// Whether these options are of a capped collection.
pub(super) fn is_capped(options: &RawDocument) -> bool {
    options.get_bool("capped").unwrap_or_default()
}

/// The options of a collection, without its limits if it is capped.
pub(super) fn without_limits(options: &RawDocument) -> Result<RawDocumentBuf, Error> {
    let mut roomy = RawDocumentBuf::new();
    if !is_capped(options) {
        append(&mut roomy, options, &[])?;
        return Ok(roomy);
    }
    append(&mut roomy, options, &LIMITS)?;
    roomy.append(cstr!("size"), LARGEST);
    Ok(roomy)
}

/// The limits of a capped collection, as the change that gives them back.
pub(super) fn limits(options: &RawDocument) -> RawDocumentBuf {
    let mut limits = RawDocumentBuf::new();
    for (name, changed) in LIMITS.into_iter().zip([cstr!("cappedSize"), cstr!("cappedMax")]) {
        if let Ok(Some(limit)) = options.get(name) {
            limits.append(changed, limit);
        }
    }
    limits
}

/// Takes what a change of a collection says of its limits.
pub(super) fn change(limits: &mut RawDocumentBuf, change: &RawDocument) -> Result<(), Error> {
    let mut changed = RawDocumentBuf::new();
    let said = |name: &&str| change.get(name).is_ok_and(|limit| limit.is_some());
    let new: Vec<&str> = CHANGED.into_iter().filter(|name| said(name)).collect();
    append(&mut changed, limits, &new)?;
    for element in change {
        let (key, value) = element.map_err(|error| Error::reply("a changed collection", error))?;
        if new.contains(&key.as_str()) {
            changed.append(key, value);
        }
    }
    *limits = changed;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::rawdoc;

    #[test]
    fn limits_come_back_as_they_were_in_the_end() {
        let options = rawdoc! { "capped": true, "size": 4_096_i32, "max": 10_i32, "validator": {} };
        let roomy = rawdoc! { "capped": true, "validator": {}, "size": LARGEST };
        assert_eq!(without_limits(&options).unwrap(), roomy);
        let mut limits = limits(&options);
        assert_eq!(limits, rawdoc! { "cappedSize": 4_096_i32, "cappedMax": 10_i32 });
        change(&mut limits, &rawdoc! { "collMod": "a", "cappedSize": 8_192_i64, "validator": {} }).unwrap();
        assert_eq!(limits, rawdoc! { "cappedMax": 10_i32, "cappedSize": 8_192_i64 });
        let plain = rawdoc! { "size": 5_i32 };
        assert_eq!(without_limits(&plain).unwrap(), plain);
    }
}
